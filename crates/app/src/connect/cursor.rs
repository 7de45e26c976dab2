//! How far password hash replication is, as it is kept between runs.

use portolan_model::Guid;
use portolan_rpc::drsr::{UpToDateCursor, UpToDateVector, UsnVector};
use serde::{Deserialize, Serialize};

use crate::report::Failure;

/// Where the next cycle begins: the high-water mark with the controller it is of, and the vector that
/// holds with each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The invocationId of the controller that `from` is of.
    pub(super) invocation: Guid,
    pub(super) from: UsnVector,
    pub(super) up_to_date: Option<UpToDateVector>,
}

/// The cursor as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    invocation: String,
    from: [u64; 3],
    up_to_date: Option<Vec<(String, u64)>>,
}

impl Cursor {
    /// Before the first cycle.
    pub(super) const fn start() -> Self {
        let from = UsnVector { object_update: 0, reserved: 0, property_update: 0 };
        Self { invocation: Guid::NIL, from, up_to_date: None }
    }

    /// From what [`Cursor::write`] wrote.
    pub(super) fn read(octets: &[u8]) -> Result<Self, Failure> {
        let corrupt = |error: &(dyn std::error::Error + 'static)| {
            Failure::because("the replication cursor is not what this release writes", error)
                .with_hint("restore the last backup of the state directory")
        };
        let written: Written = serde_json::from_slice(octets).map_err(|error| corrupt(&error))?;
        let guid = |text: &str| text.parse::<Guid>().map_err(|error| corrupt(&error));
        let [object_update, reserved, property_update] = written.from;
        let cursors = written.up_to_date.map(|cursors| {
            cursors
                .iter()
                .map(|(text, usn)| Ok(UpToDateCursor { invocation: guid(text)?, usn: *usn }))
                .collect::<Result<_, Failure>>()
        });
        Ok(Self {
            invocation: guid(&written.invocation)?,
            from: UsnVector { object_update, reserved, property_update },
            up_to_date: cursors.transpose()?.map(UpToDateVector),
        })
    }

    /// Goes on to where a page ended. A page behind which there is more has to go on: a controller
    /// that stands still would be asked for ever.
    pub(super) fn advance(
        &mut self,
        invocation: Guid,
        to: UsnVector,
        more: bool,
    ) -> Result<(), Failure> {
        let key =
            |vector: UsnVector| (vector.object_update, vector.property_update, vector.reserved);
        if more && invocation == self.invocation && key(to) <= key(self.from) {
            return Err(Failure::new(
                "the domain controller has more changes, but does not go on to them",
            ));
        }
        (self.invocation, self.from) = (invocation, to);
        Ok(())
    }

    /// For the connector space.
    pub(super) fn write(&self) -> Result<Vec<u8>, Failure> {
        let cursors = self.up_to_date.as_ref().map(|vector| {
            vector.0.iter().map(|cursor| (cursor.invocation.to_string(), cursor.usn)).collect()
        });
        let UsnVector { object_update, reserved, property_update } = self.from;
        let written = Written {
            invocation: self.invocation.to_string(),
            from: [object_update, reserved, property_update],
            up_to_date: cursors,
        };
        serde_json::to_vec(&written)
            .map_err(|error| Failure::because("cannot write the replication cursor", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let invocation = Guid::from_bytes_le([7; 16]);
        let from = UsnVector { object_update: u64::MAX, reserved: 2, property_update: 3 };
        let vector = UpToDateVector(vec![UpToDateCursor { invocation, usn: 9 }]);
        let cursor = Cursor { invocation, from, up_to_date: Some(vector) };
        for cursor in [cursor, Cursor::start()] {
            assert_eq!(Cursor::read(&cursor.write().unwrap()).unwrap(), cursor);
        }
    }

    #[test]
    fn a_page_with_more_behind_it_goes_on() {
        let invocation = Guid::from_bytes_le([7; 16]);
        let mark = |object_update| UsnVector { object_update, ..UsnVector::default() };
        let mut cursor = Cursor::start();
        cursor.advance(invocation, mark(5), true).unwrap();
        assert!(cursor.advance(invocation, mark(5), true).is_err());
        assert!(cursor.advance(invocation, mark(4), true).is_err());
        assert_eq!(cursor.from, mark(5));
        cursor.advance(invocation, mark(5), false).unwrap();
        cursor.advance(invocation, mark(6), true).unwrap();
    }

    #[test]
    fn a_corrupt_cursor_is_not_a_first_cycle() {
        assert!(Cursor::read(b"{}").is_err());
    }
}
