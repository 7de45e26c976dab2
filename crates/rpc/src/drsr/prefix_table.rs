//! The table that turns object identifiers into numbers and back ([MS-DRSR] 5.180,
//! `SCHEMA_PREFIX_TABLE`; the conversion is in 5.16.4).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use portolan_codec::DecodeError;

use super::{AttributeType, Oid};
use crate::ndr::{Reader, Writer};

/// A prefix table: indexes, and the prefixes of object identifiers that they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrefixTable(Vec<(u32, Vec<u8>)>);

impl PrefixTable {
    /// A table for the given attributes, and their numbers in it, in their order.
    #[must_use]
    pub fn of(attributes: &[Oid]) -> (Self, Vec<AttributeType>) {
        let mut table = Self::default();
        for (prefix, _) in attributes.iter().filter_map(Oid::split) {
            if table.0.iter().all(|(_, known)| known != prefix) {
                let index = u32::try_from(table.0.len()).unwrap_or(u32::MAX);
                table.0.push((index, prefix.to_vec()));
            }
        }
        let types = attributes.iter().filter_map(|oid| table.attribute_type(oid)).collect();
        (table, types)
    }

    /// The number of an attribute in this table.
    #[must_use]
    pub fn attribute_type(&self, oid: &Oid) -> Option<AttributeType> {
        let (prefix, last) = oid.split()?;
        let (index, _) = self.0.iter().find(|(_, known)| known == prefix)?;
        let index = u16::try_from(*index).ok()?;
        Some(AttributeType(u32::from(index) << 16 | u32::from(last)))
    }

    /// The attribute that a number stands for in this table.
    #[must_use]
    pub fn oid(&self, attribute: AttributeType) -> Option<Oid> {
        let [low0, low1, high0, high1] = attribute.0.to_le_bytes();
        let index = u32::from(u16::from_le_bytes([high0, high1]));
        let (_, prefix) = self.0.iter().find(|(known, _)| *known == index)?;
        Some(Oid::join(prefix, u16::from_le_bytes([low0, low1])))
    }

    /// The prefixes, and behind them the entry that tells the version of the schema, without which
    /// Samba refuses the table (schemaInfo).
    fn rows(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let prefixes = self.0.iter().map(|(index, prefix)| (*index, prefix.as_slice()));
        prefixes.chain((!self.0.is_empty()).then_some((0, SCHEMA_INFO.as_slice())))
    }

    /// The structure without what its pointers refer to.
    pub(super) fn encode_fixed(&self, out: &mut Writer) {
        let count = self.rows().count();
        out.count(count);
        out.optional(count > 0);
    }

    /// What the structure's pointer refers to.
    pub(super) fn encode_deferred(&self, out: &mut Writer) {
        let count = self.rows().count();
        if count == 0 {
            return;
        }
        out.count(count);
        for (index, prefix) in self.rows() {
            out.u32(index);
            out.count(prefix.len());
            out.referent();
        }
        for (_, prefix) in self.rows() {
            out.count(prefix.len());
            out.octets(prefix);
        }
    }

    /// Reads the structure without what its pointers refer to: whether there is a table, of how many
    /// rows.
    pub(super) fn decode_fixed(input: &mut Reader<'_>) -> Result<Option<usize>, DecodeError> {
        let count = input.count(ROWS_MAX, ROW_LENGTH, "PrefixCount")?;
        Ok(input.referent("pPrefixEntry")?.then_some(count))
    }

    /// Reads the rows; that of the schema's version, which is no prefix, is left out.
    pub(super) fn decode_deferred(
        input: &mut Reader<'_>,
        count: usize,
    ) -> Result<Self, DecodeError> {
        input.conformance(count, "pPrefixEntry")?;
        let heads = (0..count)
            .map(|_| {
                let index = input.u32("ndx")?.unchecked("only compared");
                let length = input.u32("prefix length")?.at_most(PREFIX_OCTETS_MAX)?;
                Ok((index, length, input.referent("prefix elements")?))
            })
            .collect::<Result<Vec<_>, DecodeError>>()?;
        let mut rows = Vec::with_capacity(heads.len());
        for (index, length, present) in heads {
            if present {
                input.conformance(length, "prefix elements")?;
                let prefix = input.octets(length, "prefix elements")?;
                if prefix.first() != SCHEMA_INFO.first() {
                    rows.push((index, prefix.to_vec()));
                }
            }
        }
        Ok(Self(rows))
    }
}

/// The range of PrefixCount.
const ROWS_MAX: usize = 1_048_576;
const ROW_LENGTH: usize = 4 /* ndx */ + 4 /* length */ + 4 /* elements */;
/// Octets that a prefix may have.
const PREFIX_OCTETS_MAX: usize = 256;
/// A schema of no version yet: 0xff, the version, and the invocationId of its last change.
const SCHEMA_INFO: [u8; 1 + 4 + 16] =
    [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
