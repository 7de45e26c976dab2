//! As much of DER as Kerberos messages need here (X.690 sections 8.1 and 10, definite lengths).

use portolan_codec::{DecodeError, Fault, Reader};

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const GENERAL_STRING: u8 = 0x1b;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Octets of one element.
pub(crate) const ELEMENT_OCTETS_MAX: usize = 64 * 1024;

/// The content of the next element, which must have this tag.
pub(crate) fn element<'a>(
    reader: &mut Reader<'a>,
    tag: u8,
    field: &'static str,
) -> Result<Reader<'a>, DecodeError> {
    reader.u8(field)?.exactly(tag, field)?;
    let first = reader.u8(field)?.unchecked("every value is judged here");
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81 => reader.u8(field)?.at_most(ELEMENT_OCTETS_MAX)?,
        0x82 => reader.u16_be(field)?.at_most(ELEMENT_OCTETS_MAX)?,
        _ => return Err(reader.fault(field, Fault::Malformed("a length of one to three octets"))),
    };
    reader.sub(length, field)
}

/// An element with this tag and the content of these parts; its length is that of at most 65535 octets.
pub(crate) fn put(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut element = vec![tag];
    match (u8::try_from(content.len()), u16::try_from(content.len())) {
        (Ok(length @ ..=0x7f), _) => element.push(length),
        (Ok(length), _) => element.extend([0x81, length]),
        (_, length) => {
            element.push(0x82);
            element.extend(length.unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    element.extend(content);
    element
}

/// An Int32 ([RFC 4120 section 5.2.4]).
///
/// [RFC 4120 section 5.2.4]: https://www.rfc-editor.org/rfc/rfc4120#section-5.2.4
pub(crate) fn int32(field: &mut Reader<'_>, name: &'static str) -> Result<i32, DecodeError> {
    let mut number = element(field, INTEGER, name)?;
    if number.remaining() == 0 || number.remaining() > 4 {
        return Err(number.fault(name, Fault::Malformed("an Int32 of one to four octets")));
    }
    let negative = number.peek().is_some_and(|first| first & 0x80 != 0);
    let mut value = if negative { -1 } else { 0 };
    while !number.is_empty() {
        let octet = number.u8(name)?.unchecked("every number has a meaning or none");
        value = value << 8 | i32::from(octet);
    }
    Ok(value)
}
