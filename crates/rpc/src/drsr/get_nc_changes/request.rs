//! The request, version 8 ([MS-DRSR] 4.1.10.2.6, `DRS_MSG_GETCHGREQ_V8`).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use portolan_model::Guid;

use crate::drsr::{AttributeType, DrsHandle, DsName, Oid, PrefixTable, UpToDateVector, UsnVector};
use crate::ndr::Writer;

/// The operation number of `IDL_DRSGetNCChanges`.
pub const OPNUM_GET_NC_CHANGES: u16 = 3;

/// How to replicate ([MS-DRSR] 5.41, `DRS_OPTIONS`).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicationFlags(pub u32);

impl ReplicationFlags {
    /// A replica that can be written to, in a first cycle or in one that goes on from a cursor
    /// (`DRS_WRIT_REP` and `DRS_INIT_SYNC`).
    pub const WRITABLE: Self = Self(0x0000_0010 | 0x0000_0020);
}

/// What the call is to do besides ([MS-DRSR] 4.1.10.2.22, EXOP_REQ codes).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtendedOperation {
    /// Nothing: a part of a cycle.
    None,
    /// Replicate the one object that is named instead of the naming context (`EXOP_REPL_OBJ`).
    ReplicateObject,
}

impl ExtendedOperation {
    const fn code(self) -> u32 {
        match self {
            Self::None => 0,
            Self::ReplicateObject => 6,
        }
    }
}

/// The attributes to replicate ([MS-DRSR] 5.146, `PARTIAL_ATTR_VECTOR_V1_EXT`), with the table
/// that their numbers are of.
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialAttributes {
    table: PrefixTable,
    types: Vec<AttributeType>,
}

impl PartialAttributes {
    /// The given attributes.
    #[must_use]
    pub fn new(attributes: &[Oid]) -> Self {
        let (table, mut types) = PrefixTable::of(attributes);
        types.sort_unstable();
        Self { table, types }
    }

    fn encode(&self, out: &mut Writer) {
        out.count(self.types.len());
        out.u32(1); // dwVersion
        out.u32(0);
        out.count(self.types.len());
        for attribute in &self.types {
            out.u32(attribute.0);
        }
    }
}

/// A request for changes.
#[derive(Debug, Clone, Copy)]
pub struct GetNcChanges<'a> {
    /// The handle of the binding.
    pub handle: DrsHandle,
    /// uuidDsaObjDest: who asks; any GUID for a client that is no domain controller.
    pub destination: Guid,
    /// uuidInvocIdSrc: the invocationId that `from` is of; nil at first.
    pub source_invocation: Guid,
    /// The naming context, or the one object.
    pub name: &'a DsName,
    /// The high-water mark of the last reply of this domain controller; zeros at first.
    pub from: UsnVector,
    /// The vector of the last complete cycle.
    pub up_to_date: Option<&'a UpToDateVector>,
    /// How to replicate.
    pub flags: ReplicationFlags,
    /// Objects that a reply should have at most; a domain controller may send more or fewer.
    pub objects_max: u32,
    /// Octets that a reply should have at most; a domain controller may send more or fewer.
    pub octets_max: u32,
    /// What to do besides.
    pub operation: ExtendedOperation,
    /// The attributes to replicate; all when `None`.
    pub attributes: Option<&'a PartialAttributes>,
}

impl GetNcChanges<'_> {
    /// The stub of the call.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.octets(&self.handle.0);
        out.u32(8); // dwInVersion
        out.u32(8); // the union's arm
        out.align(8);
        out.uuid(self.destination);
        out.uuid(self.source_invocation);
        out.referent(); // pNC
        self.from.encode(&mut out);
        out.optional(self.up_to_date.is_some());
        out.u32(self.flags.0);
        out.u32(self.objects_max);
        out.u32(self.octets_max);
        out.u32(self.operation.code());
        out.u64(0); // liFsmoInfo
        out.optional(self.attributes.is_some());
        out.u32(0); // pPartialAttrSetEx
        let none = PrefixTable::default();
        let table = self.attributes.map_or(&none, |attributes| &attributes.table);
        table.encode_fixed(&mut out);

        self.name.encode(&mut out);
        if let Some(vector) = self.up_to_date {
            vector.encode(&mut out);
        }
        if let Some(attributes) = self.attributes {
            attributes.encode(&mut out);
        }
        table.encode_deferred(&mut out);
        out.into_vec()
    }
}
