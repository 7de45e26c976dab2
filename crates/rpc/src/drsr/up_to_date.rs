//! How far a replica is: `USN_VECTOR` ([MS-DRSR] 5.210) and `UPTODATE_VECTOR_V1_EXT` and
//! `UPTODATE_VECTOR_V2_EXT` ([MS-DRSR] 5.204 and 5.205).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use portolan_codec::DecodeError;
use portolan_model::Guid;

use crate::ndr::{Reader, Writer};

/// The high-water mark of a cycle with one domain controller (`USN_VECTOR`). It means nothing to
/// another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsnVector {
    /// usnHighObjUpdate.
    pub object_update: u64,
    /// usnReserved, which is given back as it came.
    pub reserved: u64,
    /// usnHighPropUpdate.
    pub property_update: u64,
}

impl UsnVector {
    pub(super) fn encode(self, out: &mut Writer) {
        out.u64(self.object_update);
        out.u64(self.reserved);
        out.u64(self.property_update);
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut next = |field| Ok(input.u64(field)?.unchecked("given back as it came"));
        Ok(Self {
            object_update: next("usnHighObjUpdate")?,
            reserved: next("usnReserved")?,
            property_update: next("usnHighPropUpdate")?,
        })
    }
}

/// How far a replica is with the changes of one domain controller (`UPTODATE_CURSOR_V1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpToDateCursor {
    /// The invocationId of the domain controller where the changes were made (uuidDsa).
    pub invocation: Guid,
    /// The last change of it that the replica has (usnHighPropUpdate).
    pub usn: u64,
}

/// How far a replica is with the changes of all domain controllers. It holds with each of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpToDateVector(
    /// The cursors, one for each invocationId.
    pub Vec<UpToDateCursor>,
);

impl UpToDateVector {
    /// `UPTODATE_VECTOR_V1_EXT`.
    pub(super) fn encode(&self, out: &mut Writer) {
        out.count(self.0.len());
        out.align(8);
        out.u32(1); // dwVersion
        out.u32(0);
        out.count(self.0.len());
        out.u32(0);
        for cursor in &self.0 {
            out.align(8);
            out.uuid(cursor.invocation);
            out.u64(cursor.usn);
        }
    }

    /// `UPTODATE_VECTOR_V2_EXT`; when a domain controller last synchronised is not kept.
    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.count(CURSORS_MAX, CURSOR_V2_LENGTH, "rgCursors")?;
        input.align(8, "UPTODATE_VECTOR_V2_EXT")?;
        input.u32("dwVersion")?.exactly(2, "version 2")?;
        input.u32("dwReserved1")?.unchecked("reserved");
        input.conformance(count, "cNumCursors")?;
        input.u32("dwReserved2")?.unchecked("reserved");
        let cursors = (0..count).map(|_| {
            input.align(8, "UPTODATE_CURSOR_V2")?;
            let invocation = input.uuid("uuidDsa")?;
            let usn = input.u64("usnHighPropUpdate")?.unchecked("given back as it came");
            input.u64("timeLastSyncSuccess")?.unchecked("not kept");
            Ok(UpToDateCursor { invocation, usn })
        });
        cursors.collect::<Result<_, DecodeError>>().map(Self)
    }
}

/// Cursors of a vector. The range of cNumCursors is 1,048,576; a forest has one for each controller
/// that it ever had and for each restore of one, and a vector is kept.
const CURSORS_MAX: usize = 16_384;
const CURSOR_V2_LENGTH: usize =
    16 /* uuidDsa */ + 8 /* usnHighPropUpdate */ + 8 /* timeLastSyncSuccess */;
