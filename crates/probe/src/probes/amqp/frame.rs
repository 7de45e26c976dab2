//! The opening of AMQP 1.0: the protocol header (section 2.2 of [its transport]), and the mechanisms of
//! SASL (section 5.3.3.1 of [its security]).
//!
//! [its transport]: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-transport-v1.0-os.html
//! [its security]: https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-security-v1.0-os.html

use portolan_codec::{DecodeError, Fault, Reader};

/// The header of SASL in AMQP 1.0 (section 5.3.1).
pub(crate) const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
/// The header of AMQP 1.0 itself.
pub(crate) const PLAIN_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// What every header begins with, of whatever version.
pub(crate) const NAME: &[u8] = b"AMQP";
/// Octets of a frame's fixed head: size, data offset, type, and two of the type's own (section 2.3.1).
const HEAD_OCTETS: usize = 4 + 1 + 1 + 2;
/// Octets of a frame of SASL (section 5.3.2: as many as every peer takes).
pub const FRAME_OCTETS_MAX: usize = 512;
/// Mechanisms of one frame.
pub const MECHANISMS_MAX: usize = 64;
const TYPE_SASL: u8 = 1;
/// The descriptor of sasl-mechanisms, as a number and as a symbol.
const SASL_MECHANISMS: u64 = 0x40;
const SASL_MECHANISMS_SYMBOL: &[u8] = b"amqp:sasl-mechanisms:list";

/// Octets of the frame that these begin; nothing until its size is there.
///
/// # Errors
/// When it is none, or above the limit.
pub fn frame_octets(octets: &[u8]) -> Result<Option<usize>, DecodeError> {
    if octets.len() < 4 {
        return Ok(None);
    }
    let size = Reader::new(octets).u32_be("size")?.at_most(FRAME_OCTETS_MAX)?;
    match size < HEAD_OCTETS {
        true => Err(DecodeError::new(0, "size", Fault::Malformed("is shorter than a head"))),
        false => Ok(Some(size)),
    }
}

/// The mechanisms that a frame offers, in the server's order.
///
/// # Errors
/// When it is another frame, or none.
pub fn mechanisms(frame: &[u8]) -> Result<Vec<String>, DecodeError> {
    let mut head = Reader::new(frame);
    let size = head.u32_be("size")?.at_most(FRAME_OCTETS_MAX)?;
    let words = usize::from(head.u8("doff")?.unchecked("its end is looked for below"));
    head.u8("type")?.exactly(TYPE_SASL, "a SASL frame")?;
    head.u16_be("channel")?.unchecked("a SASL frame ignores it, section 5.3.1");
    let start = words.saturating_mul(4);
    let malformed = |field, rule| DecodeError::new(4, field, Fault::Malformed(rule));
    let body = frame.get(start.max(HEAD_OCTETS)..size);
    let body = body.ok_or_else(|| malformed("doff", "points outside the frame"))?;
    let mut body = Reader::at(body, start);
    descriptor(&mut body)?;
    let mut fields = list(&mut body)?;
    let mut found = Vec::new();
    match fields.u8("sasl-server-mechanisms")?.unchecked("every other one is refused below") {
        SYM8 => found.push(text(symbol(&mut fields, false)?)),
        SYM32 => found.push(text(symbol(&mut fields, true)?)),
        array @ (ARRAY8 | ARRAY32) => {
            let is_wide = array == ARRAY32;
            let octets = number(&mut fields, is_wide, "array size")?;
            let mut elements = fields.sub(octets, "array")?;
            let count = number(&mut elements, is_wide, "array count")?;
            if count > MECHANISMS_MAX {
                return Err(malformed("sasl-server-mechanisms", "has too many of them"));
            }
            let is_wide = elements.u8("constructor")?.one_of("a symbol", |code| match code {
                SYM8 => Some(false),
                SYM32 => Some(true),
                _ => None,
            })?;
            for _ in 0..count {
                found.push(text(symbol(&mut elements, is_wide)?));
            }
        }
        _ => return Err(malformed("sasl-server-mechanisms", "is neither a symbol nor an array")),
    }
    Ok(found)
}

/// The codes of the types (section 1.6 of the types).
const DESCRIBED: u8 = 0x00;
const SMALL_ULONG: u8 = 0x53;
const ULONG: u8 = 0x80;
const SYM8: u8 = 0xa3;
const SYM32: u8 = 0xb3;
const LIST8: u8 = 0xc0;
const LIST32: u8 = 0xd0;
const ARRAY8: u8 = 0xe0;
const ARRAY32: u8 = 0xf0;

fn descriptor(body: &mut Reader<'_>) -> Result<(), DecodeError> {
    let refuse = |body: &Reader<'_>| body.fault("descriptor", Fault::Malformed("is another one"));
    body.u8("performative")?.exactly(DESCRIBED, "a described type")?;
    let is_it = match body.u8("descriptor")?.unchecked("every other one is refused below") {
        SMALL_ULONG => {
            u64::from(body.u8("descriptor")?.unchecked("it is compared")) == SASL_MECHANISMS
        }
        ULONG => body.array("descriptor").map(u64::from_be_bytes)? == SASL_MECHANISMS,
        SYM8 => symbol(body, false)? == SASL_MECHANISMS_SYMBOL,
        _ => false,
    };
    if is_it { Ok(()) } else { Err(refuse(body)) }
}

/// The fields of a list of one or more.
fn list<'a>(body: &mut Reader<'a>) -> Result<Reader<'a>, DecodeError> {
    let is_wide = body.u8("fields")?.one_of("a list with fields", |code| match code {
        LIST8 => Some(false),
        LIST32 => Some(true),
        _ => None,
    })?;
    let octets = number(body, is_wide, "list size")?;
    let mut fields = body.sub(octets, "list")?;
    number(&mut fields, is_wide, "list count")?;
    Ok(fields)
}

fn symbol<'a>(reader: &mut Reader<'a>, is_wide: bool) -> Result<&'a [u8], DecodeError> {
    let octets = number(reader, is_wide, "symbol size")?;
    reader.take(octets, "symbol")
}

/// A length or a count, of one octet or four; nothing in a frame is above the frame's own limit.
fn number(
    reader: &mut Reader<'_>,
    is_wide: bool,
    field: &'static str,
) -> Result<usize, DecodeError> {
    match is_wide {
        true => reader.u32_be(field)?.at_most(FRAME_OCTETS_MAX),
        false => reader.u8(field)?.at_most(FRAME_OCTETS_MAX),
    }
}

/// Mechanisms are ASCII (RFC 4422 section 3.1); what else comes is made visible.
fn text(symbol: &[u8]) -> String {
    symbol.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEAD_OCTETS + body.len()).unwrap();
        [&size.to_be_bytes(), [2, 1, 0, 0].as_slice(), body].concat()
    }

    #[test]
    fn mechanisms_are_a_symbol_or_an_array_of_them() {
        let one = frame(b"\0\x53\x40\xc0\x08\x01\xa3\x05PLAIN");
        assert_eq!(mechanisms(&one), Ok(vec!["PLAIN".to_owned()]));
        let two = frame(b"\0\x53\x40\xc0\x14\x01\xe0\x11\x02\xa3\x05PLAIN\x08EXTERNAL");
        assert_eq!(mechanisms(&two).unwrap(), ["PLAIN", "EXTERNAL"]);
        let wide = frame(
            b"\0\x80\0\0\0\0\0\0\0\x40\xd0\0\0\0\x17\0\0\0\x01\xf0\0\0\0\x0e\0\0\0\x01\xb3\0\0\0\x05PLAIN",
        );
        assert_eq!(mechanisms(&wide).unwrap(), ["PLAIN"]);
        for end in 0..wide.len() {
            assert!(mechanisms(&wide[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn what_is_no_offer_of_mechanisms_is_refused() {
        // sasl-outcome, an empty list, a frame of AMQP itself, a data offset behind the end.
        let outcome = frame(b"\0\x53\x44\xc0\x03\x01\x50\0");
        assert!(mechanisms(&outcome).is_err());
        assert!(mechanisms(&frame(b"\0\x53\x40\x45")).is_err());
        let mut other = frame(b"\0\x53\x40\xc0\x08\x01\xa3\x05PLAIN");
        other[5] = 0;
        assert!(mechanisms(&other).is_err());
        other[5] = 1;
        other[4] = 255;
        assert!(mechanisms(&other).is_err());
        let many =
            frame(&[b"\0\x53\x40\xc0\xff\x01\xe0\xfc\xff\xa3".as_slice(), &[0; 251]].concat());
        assert!(mechanisms(&many).is_err());
    }

    #[test]
    fn a_frame_says_its_size_first() {
        assert_eq!(frame_octets(&[0, 0, 0]), Ok(None));
        assert_eq!(frame_octets(&[0, 0, 0, 63, 2]), Ok(Some(63)));
        assert!(frame_octets(&[0, 0, 0, 7]).is_err());
        assert!(frame_octets(&[0, 1, 0, 0]).is_err());
        assert!(frame_octets(b"HTTP").is_err());
    }
}
