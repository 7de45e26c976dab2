//! How far password hash replication is, as it is kept between cycles, and what a page does to it.
//!
//! Decisions only: whether a page follows from the one before, belongs to another controller, or shows
//! that the directory went back to an earlier state.

use portolan_model::Guid;
use portolan_rpc::drsr::{Reply, UpToDateCursor, UpToDateVector, UsnVector};
use serde::{Deserialize, Serialize};

use crate::report::Failure;

/// Where the next request begins: the high-water mark with the controller it is of, and the vector
/// that holds with each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The objectGUID of the controller's nTDSDSA object, which outlives a restore; nil before the
    /// first page, and when an earlier release wrote the cursor.
    pub(crate) source: Guid,
    /// The invocationId of the controller that `from` is of.
    pub(crate) invocation: Guid,
    pub(crate) from: UsnVector,
    /// What is known of each controller's changes, from whichever of them it was heard.
    pub(crate) up_to_date: UpToDateVector,
}

/// What a page says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    source: Guid,
    invocation: Guid,
    to: UsnVector,
    more: bool,
    vector: Option<UpToDateVector>,
}

/// What a page does to a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its changes are taken, and the next page is asked for.
    GoOn,
    /// Its changes are taken, and the cycle is complete.
    Complete,
    /// The high-water mark was another controller's: the page is left, and asked for again with the
    /// vector alone.
    OtherController,
    /// The page is left, and everything is read again: the directory went back.
    WentBack(WentBack),
}

/// How a controller shows that its directory was put back to an earlier state. Changes that were
/// replicated from it may not have happened there, so that nothing of the cursor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WentBack {
    /// It has another invocationId, as a controller gives itself when it is restored.
    #[error("it was restored from a backup: its invocationId is another")]
    Restored,
    /// It counts its changes from below what it had counted to (USN rollback).
    #[error(
        "it was put back without being restored: its changes count from {found}, and were at {known}"
    )]
    RolledBack {
        /// Up to where its changes were known.
        known: u64,
        /// Up to where it has any.
        found: u64,
    },
}

/// The cursor as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Absent in what the first release wrote.
    #[serde(default)]
    source: Option<String>,
    invocation: String,
    from: [u64; 3],
    up_to_date: Option<Vec<(String, u64)>>,
}

impl Head {
    pub(crate) fn of(reply: &Reply<'_>) -> Self {
        Self {
            source: reply.source,
            invocation: reply.source_invocation,
            to: reply.to,
            more: reply.more_data,
            vector: reply.up_to_date.clone(),
        }
    }
}

impl Cursor {
    /// Before the first cycle.
    pub(crate) const fn start() -> Self {
        let from = UsnVector { object_update: 0, reserved: 0, property_update: 0 };
        let up_to_date = UpToDateVector(Vec::new());
        Self { source: Guid::NIL, invocation: Guid::NIL, from, up_to_date }
    }

    /// From what [`Cursor::write`] wrote.
    pub(crate) fn read(octets: &[u8]) -> Result<Self, Failure> {
        let corrupt = |error: &(dyn std::error::Error + 'static)| {
            Failure::because("the replication cursor is not what this release writes", error)
                .with_hint("restore the last backup of the state directory")
        };
        let written: Written = serde_json::from_slice(octets).map_err(|error| corrupt(&error))?;
        let guid = |text: &str| text.parse::<Guid>().map_err(|error| corrupt(&error));
        let [object_update, reserved, property_update] = written.from;
        let cursors = written.up_to_date.unwrap_or_default();
        let cursors = cursors
            .iter()
            .map(|(text, usn)| Ok(UpToDateCursor { invocation: guid(text)?, usn: *usn }))
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            source: written.source.as_deref().map_or(Ok(Guid::NIL), guid)?,
            invocation: guid(&written.invocation)?,
            from: UsnVector { object_update, reserved, property_update },
            up_to_date: UpToDateVector(cursors),
        })
    }

    /// For the connector space.
    pub(crate) fn write(&self) -> Result<Vec<u8>, Failure> {
        let vector = &self.up_to_date.0;
        let cursors =
            vector.iter().map(|cursor| (cursor.invocation.to_string(), cursor.usn)).collect();
        let UsnVector { object_update, reserved, property_update } = self.from;
        let written = Written {
            source: Some(self.source.to_string()),
            invocation: self.invocation.to_string(),
            from: [object_update, reserved, property_update],
            up_to_date: Some(cursors),
        };
        serde_json::to_vec(&written)
            .map_err(|error| Failure::because("cannot write the replication cursor", &error))
    }

    /// Takes a page in that was asked for with this cursor.
    ///
    /// # Errors
    /// When there is more behind the page, but the page does not go on: a controller that stands
    /// still would be asked for ever.
    pub(crate) fn take(&mut self, page: &Head) -> Result<Step, Failure> {
        if let Some(went_back) = self.went_back(page) {
            *self = Self::start();
            return Ok(Step::WentBack(went_back));
        }
        if page.invocation != self.invocation && self.from != UsnVector::default() {
            (self.source, self.invocation) = (page.source, page.invocation);
            self.from = UsnVector::default();
            return Ok(Step::OtherController);
        }
        let key = |mark: UsnVector| (mark.object_update, mark.property_update, mark.reserved);
        if page.more && page.invocation == self.invocation && key(page.to) <= key(self.from) {
            return Err(Failure::new(
                "the domain controller has more changes, but does not go on to them",
            ));
        }
        (self.source, self.invocation, self.from) = (page.source, page.invocation, page.to);
        if page.more {
            return Ok(Step::GoOn);
        }
        for known in page.vector.iter().flat_map(|vector| &vector.0) {
            self.learn(*known);
        }
        Ok(Step::Complete)
    }

    /// Whether a page shows that its controller knows less of its own changes than it once told.
    fn went_back(&self, page: &Head) -> Option<WentBack> {
        if self.source == page.source
            && self.source != Guid::NIL
            && self.invocation != page.invocation
        {
            return Some(WentBack::Restored);
        }
        let known = usn(&self.up_to_date, page.invocation)?;
        let found = usn(page.vector.as_ref()?, page.invocation)?;
        (found < known).then_some(WentBack::RolledBack { known, found })
    }

    /// What is known of a controller's changes only grows: another one may lag behind.
    fn learn(&mut self, known: UpToDateCursor) {
        let held = self.up_to_date.0.iter_mut().find(|held| held.invocation == known.invocation);
        match held {
            Some(held) => held.usn = held.usn.max(known.usn),
            None => self.up_to_date.0.push(known),
        }
    }

    /// Forgets what the controller of this page does not know itself. What is then read of it alone
    /// may be older than what others would have sent, and is sent again when it hears of it.
    pub(crate) fn know_only(&mut self, page: &Head) {
        let Some(vector) = &page.vector else { return };
        self.up_to_date.0.retain_mut(|held| match usn(vector, held.invocation) {
            Some(known) => {
                held.usn = held.usn.min(known);
                true
            }
            None => false,
        });
    }
}

fn usn(vector: &UpToDateVector, invocation: Guid) -> Option<u64> {
    vector.0.iter().find(|cursor| cursor.invocation == invocation).map(|cursor| cursor.usn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn guid(number: u8) -> Guid {
        Guid::from_bytes_le([number; 16])
    }

    fn mark(object_update: u64) -> UsnVector {
        UsnVector { object_update, ..UsnVector::default() }
    }

    fn vector(cursors: &[(u8, u64)]) -> UpToDateVector {
        let cursor = |(invocation, usn): &(u8, u64)| UpToDateCursor {
            invocation: guid(*invocation),
            usn: *usn,
        };
        UpToDateVector(cursors.iter().map(cursor).collect())
    }

    /// A cycle's last page from the controller `source`, now with `invocation`.
    fn last(source: u8, invocation: u8, to: u64, known: &[(u8, u64)]) -> Head {
        Head {
            source: guid(source),
            invocation: guid(invocation),
            to: mark(to),
            more: false,
            vector: Some(vector(known)),
        }
    }

    /// A page in the middle of a cycle.
    fn page(source: u8, invocation: u8, to: u64) -> Head {
        Head { more: true, vector: None, ..last(source, invocation, to, &[]) }
    }

    /// After a complete cycle with the controller 1, whose invocationId is 11.
    fn cursor() -> Cursor {
        let mut cursor = Cursor::start();
        cursor.take(&page(1, 11, 50)).unwrap();
        let step = cursor.take(&last(1, 11, 100, &[(11, 100), (12, 7)])).unwrap();
        assert_eq!(step, Step::Complete);
        cursor
    }

    #[test]
    fn a_cursor_reads_back_as_it_was_written_and_one_of_an_earlier_release_too() {
        for cursor in [cursor(), Cursor::start()] {
            assert_eq!(Cursor::read(&cursor.write().unwrap()).unwrap(), cursor);
        }
        let earlier = format!(
            r#"{{"invocation":"{0}","from":[100,0,100],"up_to_date":[["{0}",100]]}}"#,
            guid(11)
        );
        let read = Cursor::read(earlier.as_bytes()).unwrap();
        assert_eq!((read.source, read.up_to_date), (Guid::NIL, vector(&[(11, 100)])));
        let first = format!(r#"{{"invocation":"{}","from":[0,0,0],"up_to_date":null}}"#, Guid::NIL);
        assert_eq!(Cursor::read(first.as_bytes()).unwrap(), Cursor::start());
    }

    #[test]
    fn a_corrupt_cursor_is_not_a_first_cycle() {
        assert!(Cursor::read(b"{}").is_err());
    }

    #[test]
    fn a_page_with_more_behind_it_goes_on_and_the_vector_grows_with_the_last_alone() {
        let mut cursor = Cursor::start();
        assert_eq!(cursor.take(&page(1, 11, 5)).unwrap(), Step::GoOn);
        assert!(cursor.take(&page(1, 11, 5)).is_err());
        assert!(cursor.take(&page(1, 11, 4)).is_err());
        assert_eq!((cursor.from, cursor.up_to_date.clone()), (mark(5), vector(&[])));
        assert_eq!(cursor.take(&last(1, 11, 5, &[(11, 9)])).unwrap(), Step::Complete);
        assert_eq!(cursor.up_to_date, vector(&[(11, 9)]));
        assert_eq!(cursor.take(&page(1, 11, 6)).unwrap(), Step::GoOn);
    }

    #[test]
    fn another_controller_is_asked_again_without_the_mark_and_with_the_vector() {
        let mut cursor = cursor();
        let first = page(2, 12, 3_000);
        assert_eq!(cursor.take(&first).unwrap(), Step::OtherController);
        assert_eq!((cursor.from, cursor.invocation), (mark(0), guid(12)));
        assert_eq!(cursor.up_to_date, vector(&[(11, 100), (12, 7)]));
        assert_eq!(cursor.take(&first).unwrap(), Step::GoOn);
    }

    #[test]
    fn a_controller_that_lags_behind_takes_nothing_from_the_vector() {
        let mut cursor = cursor();
        cursor.take(&page(2, 12, 1)).unwrap();
        let step = cursor.take(&last(2, 12, 9, &[(11, 60), (12, 9), (13, 1)])).unwrap();
        assert_eq!(step, Step::Complete);
        assert_eq!(cursor.up_to_date, vector(&[(11, 100), (12, 9), (13, 1)]));
    }

    #[test]
    fn what_is_read_alone_of_a_controller_that_lags_behind_is_sent_again_later() {
        let mut cursor = cursor();
        cursor.know_only(&last(2, 13, 9, &[(11, 60), (13, 9)]));
        assert_eq!(cursor.up_to_date, vector(&[(11, 60)]));
    }

    #[test]
    fn a_restored_controller_is_read_again_from_the_beginning() {
        let mut cursor = cursor();
        let restored = last(1, 19, 80, &[(11, 70), (19, 80)]);
        assert_eq!(cursor.take(&restored).unwrap(), Step::WentBack(WentBack::Restored));
        assert_eq!(cursor, Cursor::start());
        assert_eq!(cursor.take(&restored).unwrap(), Step::Complete);
    }

    #[test]
    fn a_controller_whose_changes_count_from_below_is_read_again_from_the_beginning() {
        let mut cursor = cursor();
        let rolled_back = last(1, 11, 100, &[(11, 70)]);
        let step = cursor.take(&rolled_back).unwrap();
        assert_eq!(step, Step::WentBack(WentBack::RolledBack { known: 100, found: 70 }));
        assert_eq!(cursor, Cursor::start());
    }
}
