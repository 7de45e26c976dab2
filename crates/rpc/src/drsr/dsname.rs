//! The names of objects ([MS-DRSR] 5.50, `DSNAME`).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use portolan_codec::{DecodeError, Fault};
use portolan_model::{Guid, Sid};

use crate::ndr::{Reader, Writer};

/// A name to send: by GUID, or by distinguished name when the GUID is nil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsName {
    /// The objectGUID; nil when it is not known.
    pub guid: Guid,
    /// The distinguished name; empty when it is not known.
    pub name: String,
}

impl DsName {
    pub(super) fn encode(&self, out: &mut Writer) {
        let units: Vec<u16> = self.name.encode_utf16().chain([0]).collect();
        out.count(units.len());
        out.count(FIXED_LENGTH + 2 * units.len());
        out.u32(0); // SidLen: objects are not named by SID
        out.uuid(self.guid);
        out.octets(&[0; SID_LENGTH]);
        out.count(units.len() - 1);
        for unit in units {
            out.octets(&unit.to_le_bytes());
        }
    }
}

/// A name as it was received, in the memory of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectName<'a> {
    guid: Guid,
    sid: &'a [u8],
    name: &'a [u8],
}

impl<'a> ObjectName<'a> {
    pub(super) fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let units = input.count(NAME_UNITS_MAX, 2, "StringName")?;
        let at = *input;
        input.u32("structLen")?.unchecked("the counts say it again");
        let sid_length = input.u32("SidLen")?.at_most(SID_LENGTH)?;
        let guid = input.uuid("Guid")?;
        let sid = input.octets(SID_LENGTH, "Sid")?.get(..sid_length).unwrap_or_default();
        let length = input.u32("NameLen")?.at_most(units)?;
        if length + 1 != units {
            let rule = Fault::Malformed("the name does not fill its array but for the final zero");
            return Err(at.fault("NameLen", rule));
        }
        let name = input.octets(2 * length, "StringName")?;
        input.octets(2, "the end of StringName")?;
        Ok(Self { guid, sid, name })
    }

    /// The objectGUID.
    #[must_use]
    pub const fn guid(&self) -> Guid {
        self.guid
    }

    /// The objectSid, if the object has one.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets form none.
    pub fn sid(&self) -> Result<Option<Sid>, DecodeError> {
        if self.sid.is_empty() {
            return Ok(None);
        }
        Sid::decode(self.sid).map(Some)
    }

    /// The distinguished name; units that are no UTF-16 are replaced.
    #[must_use]
    pub fn name(&self) -> String {
        let units = self.name.as_chunks::<2>().0.iter().copied().map(u16::from_le_bytes);
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }
}

/// Units of a name, its final zero included: the range of NameLen, and one.
const NAME_UNITS_MAX: usize = 10_485_761 + 1;
/// Octets of the structure's Sid, an `NT4SID`.
const SID_LENGTH: usize = 28;
const FIXED_LENGTH: usize =
    4 /* structLen */ + 4 /* SidLen */ + 16 /* Guid */ + SID_LENGTH + 4 /* NameLen */;
