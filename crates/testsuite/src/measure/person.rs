//! A typical person of a directory: 25 attributes, as the benchmarks have them.

use portolan_sync::record::{Record, Value};
use portolan_sync::{Dictionary, NameRefused};

/// The attributes of a person that are texts.
pub const TEXTS: [&str; 20] = [
    "c",
    "cn",
    "co",
    "company",
    "department",
    "displayName",
    "employeeID",
    "givenName",
    "l",
    "mail",
    "mailNickname",
    "mobile",
    "name",
    "physicalDeliveryOfficeName",
    "postalCode",
    "sAMAccountName",
    "sn",
    "st",
    "telephoneNumber",
    "userPrincipalName",
];

/// Those that are numbers: an enabled account.
const NUMBERS: [(&str, i64); 4] = [
    ("accountExpires", i64::MAX),
    ("pwdLastSet", 133_000_000_000_000_000),
    ("sAMAccountType", 0x3000_0000),
    ("userAccountControl", 0x200),
];

/// The attributes of the person with a number. `title` is one more text.
///
/// # Errors
/// When an attribute gets no number.
pub fn person(
    number: u32,
    title: Option<&str>,
    names: &mut Dictionary,
) -> Result<Record, NameRefused> {
    let text = |name: &str| vec![Value::Text(format!("{name}{number}@corp.example"))];
    let mut attributes = Vec::with_capacity(TEXTS.len() + NUMBERS.len() + 2);
    for name in TEXTS {
        attributes.push((names.intern(name)?, text(name)));
    }
    for (name, value) in NUMBERS {
        attributes.push((names.intern(name)?, vec![Value::Integer(value)]));
    }
    attributes.push((names.intern("objectSid")?, vec![Value::Octets(sid(number))]));
    if let Some(title) = title {
        attributes.push((names.intern("title")?, vec![Value::Text(title.to_owned())]));
    }
    Ok(attributes.into_iter().collect())
}

/// The SID of an account of the domain.
#[must_use]
pub fn sid(number: u32) -> Vec<u8> {
    [&[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0][..], &[7; 12], &(number + 10_000).to_le_bytes()]
        .concat()
}
