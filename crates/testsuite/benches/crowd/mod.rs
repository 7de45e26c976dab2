//! Objects that a state has besides those of its forest, so that it is as large as a large directory's.

use std::error::Error;
use std::path::Path;

use portolan_model::Guid;
use portolan_store::state::{ImportedObject, State};
use portolan_sync::engine::Side;
use portolan_sync::{Dictionary, ObjectKind};
use portolan_testsuite::FOREST_DOMAIN;
use portolan_testsuite::measure::person;

/// Objects that are taken in at once.
const AT_ONCE: u64 = 20_000;
/// Lets the forest have so many people more, as if an incremental import had brought them. They are
/// `inetOrgPerson`s: they are synchronised as users are, but nobody asks the controller for their
/// password hashes.
pub(crate) async fn join(state: &Path, count: u64) -> Result<(), Box<dyn Error>> {
    let state = State::open(&state.join("connector-space.db")).await?;
    let forest = state.connector(FOREST_DOMAIN, Side::Forest).await?;
    let mut names = state.dictionary().await?;
    let cursor = state.forest_cursor(forest).await?.ok_or("nothing was imported yet")?;
    let mut from = 0;
    while from < count {
        let to = count.min(from + AT_ONCE);
        let mut changes = state.begin_changes(forest).await?;
        for number in from..to {
            changes.put(&another(number, &mut names)?, false).await?;
        }
        // The forest's own changes are read from where they were read to.
        changes.finish(&cursor).await?;
        from = to;
    }
    state.keep_dictionary(&names).await?;
    state.close().await;
    Ok(())
}

fn another(number: u64, names: &mut Dictionary) -> Result<ImportedObject, Box<dyn Error>> {
    // Spread, as a directory's are.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&mixed.to_le_bytes());
    octets[8..].copy_from_slice(&number.to_be_bytes());
    let base = FOREST_DOMAIN.replace('.', ",DC=");
    Ok(ImportedObject {
        guid: Guid::from_bytes_le(octets),
        kind: ObjectKind::InetOrgPerson,
        parent: None,
        dn: format!("CN=Person {number},CN=Users,DC={base}").parse()?,
        record: person(u32::try_from(number)?, None, names)?,
        references: Vec::new(),
    })
}
