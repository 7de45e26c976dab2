//! Conversion: values of one type made of another's.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portolan_model::{Guid, Sid};

use super::argument;
use crate::expression::error::Why;
use crate::expression::evaluate::Run;
use crate::expression::function::{Fault, Function, blame, octets, one_of, text, word};
use crate::expression::kinds::Kinds;
use crate::expression::moment;
use crate::expression::value::{Scalar, Slot};

const TEXT_OR_OCTETS: Kinds = Kinds::TEXT.or(Kinds::REFERENCE).or(Kinds::OCTETS);
const SHOWN: Kinds = Kinds::TEXT.or(Kinds::NUMBER).or(Kinds::REFERENCE).or(Kinds::BOOLEAN);

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::each(
        "CBool",
        &[one_of("value", "exp", Kinds::BOOLEAN.or(Kinds::NUMBER)).or_null()],
        Kinds::BOOLEAN,
        |slots, _| {
            let holds = match slots[0] {
                Some(Scalar::Boolean(value)) => value,
                Some(Scalar::Integer(number)) => number != 0,
                _ => false,
            };
            Ok(Some(Scalar::Boolean(holds)))
        },
        "True of a truth value that is, and of a number that is not zero; False otherwise, of NULL \
         too.",
        &["CBool([l] = \"London\")", "CBool(NULL)"],
    ),
    Function::each(
        "CDate",
        &[text("text")],
        Kinds::TIME,
        |slots, _| {
            let text = argument::text(&mut slots[0]);
            let at = moment::parse(&text).ok_or_else(|| blame(0)(Why::form("time", &text)))?;
            Ok(Some(Scalar::Time(at)))
        },
        "The time that a text says, in UTC. It begins with a date: `2013-01-10`, `1/10/2013` (the \
         month first), `20130110`, `10 Jan 2013` or `January 10, 2013`; then it may have a time of \
         day with AM or PM, and an offset such as `Z`, `-8` or `+05:30`. Without one it is UTC.",
        &["CDate(\"2013-01-10 4:00 PM -8\")", "CDate(\"12/25/2007\")"],
    ),
    Function::each(
        "CGuid",
        &[text("guid")],
        Kinds::OCTETS,
        |slots, _| {
            let text = argument::text(&mut slots[0]);
            let guid = parse_guid(&text).ok_or_else(|| blame(0)(Why::form("GUID", &text)))?;
            Ok(Some(Scalar::Octets(guid.to_bytes_le().to_vec().into())))
        },
        "The octets of a GUID, in the order in which a directory holds them. The text is \
         hexadecimal with hyphens, with or without braces.",
        &["CGuid(\"00112233-4455-6677-8899-aabbccddeeff\")"],
    ),
    Function::each(
        "ConvertFromBase64",
        &[text("text"), word("encoding", &["Unicode", "ASCII", "UTF8"])],
        Kinds::TEXT,
        from_base64,
        "The text whose octets are encoded in Base64. Of which encoding the octets are says the \
         second argument; without it, it is Unicode: UTF-16, the lower octet first.",
        &[
            "ConvertFromBase64(\"SABlAGwAbABvACAAdwBvAHIAbABkACEA\")",
            "ConvertFromBase64(\"SGVsbG8gd29ybGQh\", UTF8)",
        ],
    )
    .optional(1),
    Function::each(
        "ConvertToBase64",
        &[one_of("value", "str", TEXT_OR_OCTETS)],
        Kinds::TEXT,
        |slots, run| {
            let octets = match slots[0].take() {
                Some(Scalar::Octets(octets)) => octets,
                Some(Scalar::Text(text) | Scalar::Reference(text)) => {
                    run.room(text.len() * 2)?;
                    text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().into()
                }
                _ => return Ok(None),
            };
            run.room(octets.len().div_ceil(3) * 4)?;
            Ok(Some(Scalar::text(BASE64_STANDARD.encode(octets))))
        },
        "Base64 of octets, or of a text's octets in UTF-16, the lower octet first.",
        &["ConvertToBase64(\"Hello world!\")", "ConvertToBase64([objectGUID])"],
    ),
    Function::each(
        "ConvertFromUTF8Hex",
        &[text("text")],
        Kinds::TEXT,
        |slots, run| {
            let text = argument::text(&mut slots[0]);
            run.room(text.len() / 2)?;
            let decoded = hex::decode(&*text).ok().and_then(|found| String::from_utf8(found).ok());
            let wrong = || blame(0)(Why::form("hexadecimal UTF-8", &text));
            Ok(Some(Scalar::text(decoded.ok_or_else(wrong)?)))
        },
        "The text whose octets in UTF-8 are given in hexadecimal.",
        &["ConvertFromUTF8Hex(\"48656C6C6F20776F726C6421\")"],
    ),
    Function::each(
        "ConvertToUTF8Hex",
        &[text("text")],
        Kinds::TEXT,
        |slots, run| {
            let text = argument::text(&mut slots[0]);
            run.room(text.len() * 2)?;
            Ok(Some(Scalar::text(hex::encode_upper(text.as_bytes()))))
        },
        "The octets of a text in UTF-8, in hexadecimal.",
        &["ConvertToUTF8Hex(\"Hello world!\")"],
    ),
    Function::each(
        "CNum",
        &[text("text")],
        Kinds::NUMBER,
        |slots, _| {
            let text = argument::text(&mut slots[0]);
            let number = parse_number(&text);
            let number = number.ok_or_else(|| blame(0)(Why::form("whole number", &text)))?;
            Ok(Some(Scalar::Integer(number)))
        },
        "The whole number that a text says in decimal digits, with or without a sign.",
        &["CNum(\"-42\")"],
    ),
    Function::each(
        "CRef",
        &[text("name")],
        Kinds::REFERENCE,
        |slots, _| Ok(Some(Scalar::Reference(argument::text(&mut slots[0])))),
        "A reference to the object with this distinguished name.",
        &["CRef(\"CN=Pools,CN=RTC Service,\" & %Forest.LDAP%)"],
    ),
    Function::each(
        "CStr",
        &[one_of("value", "var", SHOWN)],
        Kinds::TEXT,
        |slots, _| {
            let text = match slots[0].take() {
                Some(Scalar::Text(text) | Scalar::Reference(text)) => text,
                Some(Scalar::Integer(number)) => number.to_string().into(),
                Some(Scalar::Boolean(value)) => if value { "True" } else { "False" }.into(),
                _ => return Ok(None),
            };
            Ok(Some(Scalar::Text(text)))
        },
        "The text of a number, a truth value or a reference.",
        &["CStr([userAccountControl])", "CStr(1 = 2)", "CStr([dn])"],
    ),
    Function::each(
        "StringFromGuid",
        &[octets("guid")],
        Kinds::TEXT,
        |slots, _| {
            let Some(Scalar::Octets(octets)) = slots[0].take() else { return Ok(None) };
            let octets = <[u8; 16]>::try_from(&*octets);
            let wrong = |_| blame(0)(Why::form("GUID", "a value of another length than 16 octets"));
            Ok(Some(Scalar::text(Guid::from_bytes_le(octets.map_err(wrong)?).to_string())))
        },
        "The text of a GUID, of its octets in the order in which a directory holds them.",
        &["StringFromGuid([objectGUID])"],
    ),
    Function::each(
        "StringFromSid",
        &[octets("sid")],
        Kinds::TEXT,
        |slots, _| {
            let Some(Scalar::Octets(octets)) = slots[0].take() else { return Ok(None) };
            let sid = Sid::decode(&octets);
            let sid = sid.map_err(|error| blame(0)(Why::form("SID", &error.to_string())))?;
            Ok(Some(Scalar::text(sid.to_string())))
        },
        "The text of a security identifier, of its octets.",
        &["StringFromSid([objectSid])"],
    ),
];

/// A GUID with hyphens, with or without braces.
pub(super) fn parse_guid(text: &str) -> Option<Guid> {
    let bare = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    (bare.len() == 36).then(|| bare.parse().ok()).flatten()
}

/// A whole number in decimal digits; white space around it does not count.
pub(super) fn parse_number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

fn from_base64<'a>(slots: &mut [Slot<'a>], run: &Run<'_, 'a>) -> Result<Slot<'a>, Fault> {
    let text = argument::text(&mut slots[0]);
    let encoding = argument::text(&mut slots[1]);
    run.room(text.len())?;
    let octets = BASE64_STANDARD.decode(text.trim()).ok();
    let octets = octets.ok_or_else(|| blame(0)(Why::form("Base64", &text)))?;
    let decoded = match &*encoding {
        "UTF8" => String::from_utf8(octets).ok(),
        "ASCII" => octets.is_ascii().then(|| String::from_utf8(octets).ok()).flatten(),
        _ => {
            let (pairs, rest) = octets.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
    };
    let wrong = || blame(1)(Why::form("text in this encoding", &text));
    Ok(Some(Scalar::text(decoded.ok_or_else(wrong)?)))
}
