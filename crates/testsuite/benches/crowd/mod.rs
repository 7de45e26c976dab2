//! Objects that a state has besides those of its forest, so that it is as large as a large directory's.

use std::error::Error;
use std::path::Path;

use portolan_model::Guid;
use portolan_store::state::{ImportedObject, State};
use portolan_sync::engine::Side;
use portolan_sync::record::{RecordWriter, ValueRef};
use portolan_sync::{Dictionary, ObjectKind};
use portolan_testsuite::FOREST_DOMAIN;

/// Objects that are taken in at once.
const AT_ONCE: u64 = 20_000;
/// Attributes of a typical person that are texts of its own.
const OWN: [&str; 9] = [
    "cn",
    "displayName",
    "employeeID",
    "givenName",
    "mailNickname",
    "mobile",
    "name",
    "sn",
    "telephoneNumber",
];
/// And those that many have in common.
const COMMON: [&str; 9] = [
    "c",
    "co",
    "company",
    "department",
    "l",
    "physicalDeliveryOfficeName",
    "postalCode",
    "st",
    "title",
];

/// Lets the forest have so many people more, as if an incremental import had brought them. They are
/// `inetOrgPerson`s: they are synchronised as users are, but nobody asks the controller for their
/// password hashes.
pub async fn join(state: &Path, count: u64) -> Result<(), Box<dyn Error>> {
    let state = State::open(&state.join("connector-space.db")).await?;
    let forest = state.connector(FOREST_DOMAIN, Side::Forest).await?;
    let names = state.dictionary().await?;
    let cursor = state.forest_cursor(forest).await?.ok_or("nothing was imported yet")?;
    let mut from = 0;
    while from < count {
        let to = count.min(from + AT_ONCE);
        let mut changes = state.begin_changes(forest).await?;
        for number in from..to {
            changes.put(&person(number, &names)?, false).await?;
        }
        // The forest's own changes are read from where they were read to.
        changes.finish(&cursor).await?;
        from = to;
    }
    state.close().await;
    Ok(())
}

fn person(number: u64, names: &Dictionary) -> Result<ImportedObject, Box<dyn Error>> {
    let id = |name: &str| names.id(name).ok_or_else(|| format!("no attribute is called {name}"));
    // Spread, as a directory's are.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&mixed.to_le_bytes());
    octets[8..].copy_from_slice(&number.to_be_bytes());
    let mut writer = RecordWriter::default();
    let mut text = |name: &str, value: &str| -> Result<(), Box<dyn Error>> {
        writer.put(id(name)?, [ValueRef::Text(value)]);
        Ok(())
    };
    for name in OWN {
        text(name, &format!("{name} of person {number}"))?;
    }
    for name in COMMON {
        text(name, &format!("{name} {}", number % 50))?;
    }
    text("sAMAccountName", &format!("p{number:07}"))?;
    text("userPrincipalName", &format!("p{number:07}@{FOREST_DOMAIN}"))?;
    text("mail", &format!("p{number:07}@{FOREST_DOMAIN}"))?;
    writer.put(id("userAccountControl")?, [ValueRef::Integer(0x200)]);
    writer.put(id("sAMAccountType")?, [ValueRef::Integer(0x3000_0000)]);
    let rid = u32::try_from(number + 100_000)?;
    let sid = [&[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0][..], &[7; 12], &rid.to_le_bytes()].concat();
    writer.put(id("objectSid")?, [ValueRef::Octets(&sid)]);
    let base = FOREST_DOMAIN.replace('.', ",DC=");
    Ok(ImportedObject {
        guid: Guid::from_bytes_le(octets),
        kind: ObjectKind::InetOrgPerson,
        parent: None,
        dn: format!("CN=Person {number},CN=Users,DC={base}").parse()?,
        record: writer.finish(),
        references: Vec::new(),
    })
}
