//! What a reply holds and nobody here needs: read over, within bounds.

use portolan_codec::DecodeError;

use super::reply::VALUE_OCTETS_MAX;
use crate::drsr::ObjectName;
use crate::ndr::Reader;

/// Reads over when and where each attribute was changed ([MS-DRSR] 5.156,
/// `PROPERTY_META_DATA_EXT_VECTOR`).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
pub(super) fn property_meta_data(input: &mut Reader<'_>) -> Result<(), DecodeError> {
    let count = input.count(PROPERTIES_MAX, META_DATA_LENGTH, "rgMetaData")?;
    input.align(8, "PROPERTY_META_DATA_EXT_VECTOR")?;
    input.conformance(count, "cNumProps")?;
    input.align(8, "rgMetaData")?;
    input.octets(META_DATA_LENGTH * count, "rgMetaData").map(|_| ())
}

/// Reads over the values of linked attributes ([MS-DRSR] 5.167, `REPLVALINF_V1`).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
pub(super) fn linked_values(input: &mut Reader<'_>, count: usize) -> Result<(), DecodeError> {
    input.conformance(count, "rgValues")?;
    let mut heads = Vec::new();
    for _ in 0..count {
        input.align(8, "REPLVALINF_V1")?;
        let object = input.referent("pObject")?;
        input.u32("attrTyp")?.unchecked("not kept");
        let length = input.count(VALUE_OCTETS_MAX, 1, "valLen")?;
        let value = input.referent("pVal")?;
        input.u32("fIsPresent")?.unchecked("not kept");
        input.u64("timeCreated")?.unchecked("not kept");
        input.align(8, "MetaData")?;
        input.octets(META_DATA_LENGTH, "MetaData")?;
        heads.push((object, value.then_some(length)));
    }
    for (object, value) in heads {
        if object {
            ObjectName::decode(input)?;
        }
        if let Some(length) = value {
            input.conformance(length, "pVal")?;
            input.octets(length, "pVal")?;
        }
    }
    Ok(())
}

/// [MS-DRSR] 5.155, `PROPERTY_META_DATA_EXT`.
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
const META_DATA_LENGTH: usize = 4 /* dwVersion */ + 4 /* padding */ + 8 /* timeChanged */
    + 16 /* uuidDsaOriginating */ + 8 /* usnOriginating */;
/// The ranges of the counts: meta data of an object, linked values of a reply.
const PROPERTIES_MAX: usize = 1_048_576;
pub(super) const LINKED_VALUES_MAX: usize = 1_048_576;
/// Octets that a linked value has at least, before what it refers to.
pub(super) const LINKED_VALUE_LENGTH: usize = 32 + META_DATA_LENGTH;
