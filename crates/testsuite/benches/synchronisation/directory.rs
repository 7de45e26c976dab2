//! A directory of many users and groups in a state, as an import leaves it.

use std::path::Path;

use portolan_app::connect::simulated::Compiled;
use portolan_model::Guid;
use portolan_store::state::{FullImport, ImportedObject, State};
use portolan_sync::engine::Side;
use portolan_sync::record::{Record, Value};
use portolan_sync::{AttributeId, Dictionary, ObjectKind};
use portolan_testsuite::measure::{person, sid};

use super::{Failed, failed};

/// The state in a state directory.
pub(super) const FILE: &str = "connector-space.db";
/// The forest and the tenant.
pub(super) const FOREST: &str = "corp.example";
pub(super) const TENANT: &str = "cloud.example";

/// Members of the largest group, as far as there are users; and of the others.
const MEMBERS_OF_LARGEST: u64 = 249_000;
const MEMBERS_OF_OTHERS: u64 = 20;

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) users: u64,
    pub(super) groups: u64,
}

impl Size {
    pub(super) fn objects(self) -> f64 {
        (self.users + self.groups) as f64
    }
}

/// An imported directory.
pub(super) struct Directory(State);

impl Directory {
    /// Makes a state directory into which this was imported.
    pub(super) async fn import(place: &Path, size: Size) -> Result<Self, Failed> {
        std::fs::create_dir(place)?;
        Compiled::by(place).await.map_err(failed)?;
        let state = State::open(&place.join(FILE)).await?;
        let forest = state.connector(FOREST, Side::Forest).await?;
        state.connector(TENANT, Side::Target).await?;
        let mut names = state.dictionary().await?;
        let member = names.intern("member")?;
        let mut import = state.begin_full_import(forest).await?;
        import.put(unit(&mut names)?).await?;
        for number in 0..size.users {
            import.put(user(number, None, &mut names)?).await?;
        }
        groups(&mut import, size, member, &mut names).await?;
        state.keep_dictionary(&names).await?;
        import.finish(b"cursor").await?;
        Ok(Self(state))
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

async fn groups(
    import: &mut FullImport,
    size: Size,
    member: AttributeId,
    names: &mut Dictionary,
) -> Result<(), Failed> {
    for number in 0..size.groups {
        let at = size.users + number;
        let members: Vec<Guid> = if number == 0 {
            (1..MEMBERS_OF_LARGEST.min(size.users)).map(guid).collect()
        } else {
            let one = |at| guid((number * 7_919 + at * 104_729) % size.users);
            (0..MEMBERS_OF_OTHERS).map(one).collect()
        };
        import
            .put(ImportedObject {
                guid: guid(at),
                kind: ObjectKind::Group,
                parent: Some(above()),
                dn: format!("CN=group{number},OU=people,DC=corp,DC=example").parse()?,
                record: group(at, names)?,
                references: vec![(member, members)],
            })
            .await?;
    }
    Ok(())
}

/// The objectGUID of the object with this number, spread as a directory's are.
pub(super) fn guid(number: u64) -> Guid {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&mixed.to_le_bytes());
    octets[8..].copy_from_slice(&number.to_be_bytes());
    Guid::from_bytes_le(octets)
}

fn above() -> Guid {
    guid(u64::MAX)
}

fn unit(names: &mut Dictionary) -> Result<ImportedObject, Failed> {
    let name = names.intern("name")?;
    Ok(ImportedObject {
        guid: above(),
        kind: ObjectKind::OrganizationalUnit,
        parent: None,
        dn: "OU=people,DC=corp,DC=example".parse()?,
        record: [(name, vec![Value::Text("people".to_owned())])].into_iter().collect(),
        references: Vec::new(),
    })
}

/// A user, with a title or without one.
pub(super) fn user(
    number: u64,
    title: Option<&str>,
    names: &mut Dictionary,
) -> Result<ImportedObject, Failed> {
    Ok(ImportedObject {
        guid: guid(number),
        kind: ObjectKind::User,
        parent: Some(above()),
        dn: format!("CN=cn{number},OU=people,DC=corp,DC=example").parse()?,
        record: person(u32::try_from(number)?, title, names)?,
        references: Vec::new(),
    })
}

fn group(number: u64, names: &mut Dictionary) -> Result<Record, Failed> {
    let mut attributes = Vec::new();
    for name in ["cn", "displayName", "name", "sAMAccountName"] {
        attributes.push((names.intern(name)?, vec![Value::Text(format!("group{number}"))]));
    }
    // A global security group.
    attributes.push((names.intern("groupType")?, vec![Value::Integer(-0x7fff_fffe)]));
    attributes.push((names.intern("objectSid")?, vec![Value::Octets(sid(u32::try_from(number)?))]));
    Ok(attributes.into_iter().collect())
}
