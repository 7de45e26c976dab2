//! What is kept packed, each with its checksum.
//!
//! The checksum (CRC-32C) goes over what identifies the row as well: octets that came to stand in
//! another row do not pass.

use crc::{CRC_32_ISCSI, Crc, Table};
use portolan_sync::AttributeId;
use portolan_sync::engine::{Feed, ObjectKey, PendingExport, ValueOrigin};
use portolan_sync::record::Record;
use portolan_sync::rules::RuleId;

use super::StateError;
use super::codes::DELETION;

static CRC_32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

const CHECKSUM_OCTETS: usize = 4;

/// Octets with their checksum behind them. `of` is what identifies the row.
pub(super) fn seal(of: &[&[u8]], mut octets: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(of, &octets);
    octets.extend_from_slice(&checksum.to_le_bytes());
    octets
}

/// The octets, if the checksum behind them is theirs.
pub(super) fn open<'a>(
    what: &'static str,
    of: &[&[u8]],
    sealed: &'a [u8],
) -> Result<&'a [u8], StateError> {
    let split = sealed.split_last_chunk::<CHECKSUM_OCTETS>();
    let (octets, found) = split.ok_or(StateError::corrupt(what))?;
    if checksum(of, octets) != u32::from_le_bytes(*found) {
        return Err(StateError::corrupt(what));
    }
    Ok(octets)
}

fn checksum(of: &[&[u8]], octets: &[u8]) -> u32 {
    let mut digest = CRC_32C.digest();
    of.iter().for_each(|part| digest.update(part));
    digest.update(octets);
    digest.finalize()
}

/// A record with its checksum.
pub(super) fn seal_record(of: &[&[u8]], record: &Record) -> Vec<u8> {
    let mut octets = Vec::with_capacity(record.as_octets().len() + CHECKSUM_OCTETS);
    octets.extend_from_slice(record.as_octets());
    seal(of, octets)
}

/// A record that was sealed.
pub(super) fn open_record(
    what: &'static str,
    of: &[&[u8]],
    sealed: &[u8],
) -> Result<Record, StateError> {
    let octets = open(what, of, sealed)?;
    Record::from_octets(octets.to_vec()).map_err(|_| StateError::corrupt(what))
}

/// What a target acknowledged of an object; without octets when that is not known.
pub(super) fn confirmed(of: &[u8], sealed: Option<&[u8]>) -> Result<Option<Record>, StateError> {
    match sealed {
        None => Ok(None),
        Some([]) => Ok(Some(Record::default())),
        Some(sealed) => open_record("a target's object", &[of], sealed).map(Some),
    }
}

/// What is to be done to a target's object.
pub(super) fn pending(
    of: &[u8],
    stage: Option<i64>,
    is_there: bool,
    sealed: Option<&[u8]>,
) -> Result<Option<PendingExport>, StateError> {
    match (stage, sealed) {
        (None, _) => Ok(None),
        (Some(DELETION), _) => Ok(Some(PendingExport::Delete)),
        (Some(_), None) => Err(StateError::corrupt("what is to be exported")),
        (Some(_), Some(sealed)) => {
            let record = open_record("what is to be exported", &[of], sealed)?;
            let make = if is_there { PendingExport::Update } else { PendingExport::Add };
            Ok(Some(make(record)))
        }
    }
}

/// A metaverse object's attributes and where they come from. The lineage says nothing of attributes'
/// numbers: they are those of the record, in its order.
pub(super) fn seal_metaverse(key: i64, record: &Record, lineage: &[ValueOrigin]) -> Vec<u8> {
    let octets = record.as_octets();
    let mut packed = Vec::with_capacity(octets.len() + 12 * lineage.len() + 8);
    put(&mut packed, octets.len() as u64);
    packed.extend_from_slice(octets);
    let (mut object, mut since) = (0_i64, 0_u32);
    for origin in lineage {
        put(&mut packed, u64::from(origin.attribute.0));
        put(&mut packed, u64::from(origin.rule.0));
        put(&mut packed, zigzag(origin.object.0.wrapping_sub(object)));
        put(&mut packed, zigzag(i64::from(origin.since) - i64::from(since)));
        (object, since) = (origin.object.0, origin.since);
    }
    seal(&[&key.to_le_bytes()], packed)
}

/// What was sealed of a metaverse object.
pub(super) fn open_metaverse(
    key: i64,
    sealed: &[u8],
) -> Result<(Record, Vec<ValueOrigin>), StateError> {
    const WHAT: &str = "a metaverse object";
    let corrupt = || StateError::corrupt(WHAT);
    let mut rest = open(WHAT, &[&key.to_le_bytes()], sealed)?;
    let length = take(&mut rest).and_then(|length| usize::try_from(length).ok());
    let (octets, mut rest) =
        length.and_then(|end| rest.split_at_checked(end)).ok_or_else(corrupt)?;
    let record = Record::from_octets(octets.to_vec()).map_err(|_| corrupt())?;
    let mut lineage = Vec::with_capacity(rest.len() / 4);
    let (mut object, mut since) = (0_i64, 0_i64);
    while !rest.is_empty() {
        let mut next = || take(&mut rest).ok_or_else(corrupt);
        let attribute = u16::try_from(next()?).map_err(|_| corrupt())?;
        let rule = u16::try_from(next()?).map_err(|_| corrupt())?;
        object = object.wrapping_add(unzigzag(next()?));
        since += unzigzag(next()?);
        lineage.push(ValueOrigin {
            attribute: AttributeId(attribute),
            object: ObjectKey(object),
            rule: RuleId(rule),
            since: u32::try_from(since).map_err(|_| corrupt())?,
        });
    }
    Ok((record, lineage))
}

/// Feeds of a target's object; `None` of none.
pub(super) fn pack_feeds(feeds: &[Feed]) -> Option<Vec<u8>> {
    let mut packed = Vec::with_capacity(8 * feeds.len());
    for feed in feeds {
        put(&mut packed, u64::from(feed.attribute.0));
        put(&mut packed, zigzag(feed.object.0));
        put(&mut packed, u64::from(feed.source.0));
    }
    (!packed.is_empty()).then_some(packed)
}

/// What was packed of feeds.
pub(super) fn unpack_feeds(mut packed: &[u8]) -> Result<Vec<Feed>, StateError> {
    let corrupt = || StateError::corrupt("the feeds of a target's object");
    let mut feeds = Vec::new();
    while !packed.is_empty() {
        let mut next = || take(&mut packed).ok_or_else(corrupt);
        let attribute = u16::try_from(next()?).map_err(|_| corrupt())?;
        let object = unzigzag(next()?);
        let source = u16::try_from(next()?).map_err(|_| corrupt())?;
        feeds.push(Feed {
            attribute: AttributeId(attribute),
            object: ObjectKey(object),
            source: AttributeId(source),
        });
    }
    Ok(feeds)
}

/// A small number of either sign as a small number.
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// LEB128.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..10 {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        number |= u64::from(octet & 0x7f).checked_shl(7 * at)?;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use portolan_sync::record::Value;
    use proptest::prelude::*;

    use super::*;

    fn record() -> Record {
        [(AttributeId(3), vec![Value::Text("Zoë".to_owned())])].into_iter().collect()
    }

    #[test]
    fn octets_that_changed_or_stand_in_another_row_do_not_pass() {
        let sealed = seal_record(&[&[1], b"CN=x"], &record());
        assert_eq!(open_record("it", &[&[1], b"CN=x"], &sealed).unwrap(), record());
        for bit in 0..sealed.len() * 8 {
            let mut spoilt = sealed.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            assert!(open("it", &[&[1], b"CN=x"], &spoilt).is_err(), "bit {bit}");
        }
        assert!(open("it", &[&[2], b"CN=x"], &sealed).is_err());
        assert!(open("it", &[&[1], b"CN=y"], &sealed).is_err());
        assert!(open("it", &[], &[]).is_err());
    }

    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        // RFC 3720, appendix B.4: 32 octets of zeroes.
        assert_eq!(checksum(&[], &[0; 32]).to_le_bytes(), [0xaa, 0x36, 0x91, 0x8a]);
    }

    fn origins() -> impl Strategy<Value = Vec<ValueOrigin>> {
        let origin = (0..16_384_u16, any::<i64>(), any::<u16>(), any::<u32>());
        let origin = origin.prop_map(|(attribute, object, rule, since)| ValueOrigin {
            attribute: AttributeId(attribute),
            object: ObjectKey(object),
            rule: RuleId(rule),
            since,
        });
        proptest::collection::vec(origin, 0..20)
    }

    proptest! {
        #[test]
        fn a_metaverse_object_opens_as_it_was_sealed(key: i64, lineage in origins()) {
            let sealed = seal_metaverse(key, &record(), &lineage);
            prop_assert_eq!(open_metaverse(key, &sealed).unwrap(), (record(), lineage));
            prop_assert!(open_metaverse(key.wrapping_add(1), &sealed).is_err());
        }

        #[test]
        fn feeds_unpack_as_they_were_packed(feeds in origins()) {
            let feed = |origin: ValueOrigin| Feed {
                attribute: origin.attribute,
                object: origin.object,
                source: AttributeId(origin.rule.0),
            };
            let feeds: Vec<_> = feeds.into_iter().map(feed).collect();
            let packed = pack_feeds(&feeds);
            prop_assert_eq!(packed.is_none(), feeds.is_empty());
            prop_assert_eq!(unpack_feeds(packed.as_deref().unwrap_or_default()).unwrap(), feeds);
        }

        #[test]
        fn octets_of_any_kind_unpack_or_are_refused(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(feeds) = unpack_feeds(&octets) {
                prop_assert!(feeds.len() <= octets.len());
            }
        }
    }
}
