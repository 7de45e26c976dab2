//! Lengths, integers and headers, as X.690 prints them and as peers break them.

use proptest::prelude::*;

use super::*;

/// Lengths as X.690 section 8.1.3 prints them.
#[test]
fn lengths_take_the_fewest_octets() {
    let check = |length: usize, expected: &[u8]| {
        let (octets, from) = length_octets(length);
        assert_eq!(&octets[from..], expected, "{length}");
    };
    check(0, &[0x00]);
    check(38, &[0x26]);
    check(127, &[0x7f]);
    check(128, &[0x81, 0x80]);
    check(201, &[0x81, 0xc9]);
    check(256, &[0x82, 0x01, 0x00]);
    check(0x1_0000, &[0x83, 0x01, 0x00, 0x00]);
}

#[test]
fn integers_take_the_fewest_octets_and_return() {
    let check = |value: i64, expected: &[u8]| {
        let mut encoder = Encoder::new();
        encoder.integer(Tag::INTEGER, value);
        let encoded = encoder.into_vec();
        assert_eq!(encoded, expected, "{value}");
        let read = Decoder::new(&encoded).integer(i64::MIN..=i64::MAX, "n").unwrap();
        assert_eq!(read, value);
    };
    check(0, &[2, 1, 0]);
    check(127, &[2, 1, 127]);
    check(128, &[2, 2, 0, 0x80]);
    check(-1, &[2, 1, 0xff]);
    check(-128, &[2, 1, 0x80]);
    check(-0x8000_0000, &[2, 4, 0x80, 0, 0, 0]);
    check(i64::MIN, &[2, 8, 0x80, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn headers_that_ldap_forbids_are_refused() {
    let check = |octets: &[u8], text: &str| {
        let error = Decoder::new(octets).octets("field").unwrap_err();
        assert_eq!(error.to_string(), text, "{octets:02x?}");
    };
    check(&[], "field at offset 0: needs 1 octets, 0 are left");
    check(&[0x24, 0], "field at offset 0: expected the tag of this field, found 0x24");
    check(
        &[4, 0x80, 0, 0],
        "field at offset 1: an indefinite length, which RFC 4511 section 5.1 forbids",
    );
    check(&[4, 0xff], "field at offset 1: 127 is above the limit of 8");
    check(&[4, 0x82, 1], "field at offset 2: needs 2 octets, 1 are left");
    check(
        &[4, 0x84, 0x80, 0, 0, 0],
        "field at offset 1: 2147483648 is above the limit of 2147483647",
    );
    check(&[4, 5, 1], "field at offset 2: needs 5 octets, 1 are left");
}

#[test]
fn a_long_length_with_leading_zeros_is_read_as_windows_sends_it() {
    let octets = [4, 0x84, 0, 0, 0, 2, b'h', b'i'];
    assert_eq!(Decoder::new(&octets).text("greeting").unwrap(), "hi");
}

#[test]
fn nesting_ends_at_the_limit() {
    let mut nested = Vec::new();
    for _ in 0..=DEPTH_MAX {
        let mut encoder = Encoder::new();
        encoder.constructed(Tag::SEQUENCE, |inner| inner.encoded(&nested));
        nested = encoder.into_vec();
    }
    let mut decoder = Decoder::new(&nested);
    let error = loop {
        match decoder.constructed(Tag::SEQUENCE, "level") {
            Ok(inner) => decoder = inner,
            Err(error) => break error,
        }
    };
    assert_eq!(error.fault, Fault::AboveLimit { found: 65, limit: 64 });
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut decoder = Decoder::new(&octets);
        while decoder.element("any").is_ok() {}
        let _ = element_octets(&octets, Tag::SEQUENCE, 16, "message");
        let _ = Decoder::new(&octets).integer(0..=9, "n");
    }

    #[test]
    fn every_integer_returns(value in any::<i64>()) {
        let mut encoder = Encoder::new();
        encoder.integer(Tag::ENUMERATED, value);
        let encoded = encoder.into_vec();
        let read = Decoder::new(&encoded).enumerated(i64::MIN..=i64::MAX, "n");
        prop_assert_eq!(read.unwrap(), value);
    }
}
