//! What the forest, the connector space and the tenant hold, side by side.
//!
//! The forest speaks through `ldapsearch` and Samba's own client. What is expected of the tenant is
//! worked out here from their words alone, by the documented rules, not by the engine's code.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Guid, Secret};
use portolan_store::connector_space::ConnectorSpace;
use portolan_store::tenant::SqliteStore;
use portolan_store::vault::MasterKeys;
use portolan_sync::{ForestObject, ObjectKind, WANTED_ATTRIBUTES};
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use portolan_testsuite::Road;

use crate::ldif::{self, Entry, text};

/// The categories of what is imported, as objectCategory begins.
const IMPORTED: [&str; 3] = ["CN=Person,", "CN=Group,", "CN=Organizational-Unit,"];
const ROWS_MAX: u32 = 10_000;

/// The forest by `ldapsearch`: entries that are imported, and the GUID behind every name.
pub(crate) struct Forest {
    pub(crate) entries: BTreeMap<Guid, Entry>,
    guid_of: BTreeMap<String, Guid>,
}

impl Forest {
    pub(crate) fn read(road: &Road<'_>) -> Self {
        let all = ["-b", "DC=corp,DC=example", "(objectClass=*)", "objectGUID", "objectCategory"];
        let wanted = [&all[..], WANTED_ATTRIBUTES];
        // A few containers show the account their name and nothing else.
        let mut all = ldif::parse(&road.ldapsearch(&wanted.concat()).unwrap());
        all.retain(|entry| entry.contains_key("objectguid"));
        let guid_of = all.iter().map(|entry| (text(entry, "dn").unwrap(), guid(entry))).collect();
        let entries = all.into_iter().filter_map(|mut entry| {
            let category = text(&entry, "objectcategory")?;
            entry.remove("objectcategory");
            let imported = IMPORTED.iter().any(|class| category.starts_with(class));
            (imported && !has(&entry, "objectclass", "computer")).then(|| (guid(&entry), entry))
        });
        Self { entries: entries.collect(), guid_of }
    }

    /// The GUIDs of a group's members.
    fn members(&self, entry: &Entry) -> BTreeSet<Guid> {
        let names = entry.get("member").map_or(&[][..], Vec::as_slice);
        names.iter().map(|name| self.guid_of[std::str::from_utf8(name).unwrap()]).collect()
    }

    /// The entries that the default scoping rules let through.
    fn in_scope(&self) -> BTreeMap<Guid, &Entry> {
        let inside = |entry: &Entry| {
            let person = has(entry, "objectclass", "user");
            let normal = text(entry, "samaccounttype").as_deref() == Some("805306368");
            let critical = text(entry, "iscriticalsystemobject").as_deref() == Some("TRUE");
            let mailed = |name| entry.contains_key(name);
            if has(entry, "objectclass", "contact") {
                return mailed("mail") && mailed("proxyaddresses");
            }
            let kind = text(entry, "grouptype").map_or(0, |kind| kind.parse::<i64>().unwrap());
            let listed = person || kind < 0 || mailed("proxyaddresses");
            mailed("samaccountname") && !critical && listed && (normal || !person)
        };
        self.entries.iter().filter(|(_, e)| inside(e)).map(|(guid, e)| (*guid, e)).collect()
    }
}

fn guid(entry: &Entry) -> Guid {
    Guid::from_bytes_le(entry["objectguid"][0].as_slice().try_into().unwrap())
}

fn has(entry: &Entry, name: &str, value: &str) -> bool {
    entry.get(name).is_some_and(|values| values.iter().any(|v| v == value.as_bytes()))
}

fn anchor(guid: Guid) -> String {
    STANDARD.encode(guid.to_bytes_le())
}

/// Every object, attribute value and member in the connector space is the forest's.
pub(crate) async fn connector_space_equals(road: &Road<'_>, forest: &Forest) {
    let space =
        ConnectorSpace::open(&road.path("connect").join("connector-space.db")).await.unwrap();
    let mut reader = space.objects(&ObjectKind::ALL);
    let (mut objects, mut above) = (Vec::new(), Vec::new());
    loop {
        let batch = reader.next().await.unwrap();
        if batch.is_empty() {
            break;
        }
        let (places, others): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|object| object.kind == ObjectKind::Container);
        above.extend(places);
        objects.extend(others);
    }
    let held: BTreeSet<_> = objects.iter().map(|object| object.guid).collect();
    assert_eq!(held, forest.entries.keys().copied().collect(), "the same objects");
    for place in above {
        assert_eq!(forest.guid_of.get(place.dn.as_str()), Some(&place.guid), "{}", place.dn);
    }
    for object in &objects {
        let entry = &forest.entries[&object.guid];
        assert_eq!(object.dn.as_str(), text(entry, "dn").unwrap());
        assert_eq!(object.members.iter().copied().collect::<BTreeSet<_>>(), forest.members(entry));
        assert_eq!(object.parent, parent(forest, object), "{}", object.dn);
        let beside = ["dn", "objectclass", "objectguid", "parentguid", "member"];
        for (name, values) in entry.iter().filter(|(name, _)| !beside.contains(&name.as_str())) {
            let mut expected = values.clone();
            let mut found = object.values(name).to_vec();
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{name} of {}", object.dn);
        }
    }
}

fn parent(forest: &Forest, object: &ForestObject) -> Option<Guid> {
    forest.guid_of.get(object.dn.parent()?.as_str()).copied()
}

/// What the tenant holds.
pub(crate) struct Tenant {
    users: BTreeMap<String, Object>,
    contacts: BTreeMap<String, Object>,
    groups: BTreeMap<String, (Object, BTreeSet<String>)>,
    credentials: BTreeMap<String, CredentialData>,
}

impl Tenant {
    /// Reads the store, with the master key that lies beside it.
    pub(crate) async fn read(road: &Road<'_>) -> Self {
        let text = std::fs::read_to_string(road.path("tenant.master-key")).unwrap();
        let keys = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, digits) = line.split_once(' ').unwrap();
            let mut octets = [0; 32];
            hex::decode_to_slice(digits, &mut octets).unwrap();
            (name.to_owned(), Secret::new(octets))
        });
        let keys = MasterKeys::new(keys).unwrap();
        let path = road.path("tenant").join("tenant.sqlite");
        let store = SqliteStore::open(&path, keys).await.unwrap();
        let mut reading = store.begin(Access::Read).await.unwrap();
        let name = |object: &Object| object.anchor.as_ref().unwrap().to_string();
        let mut this = Self {
            users: BTreeMap::new(),
            contacts: BTreeMap::new(),
            groups: BTreeMap::new(),
            credentials: BTreeMap::new(),
        };
        for contact in reading.objects(Kind::Contact, None, ROWS_MAX).await.unwrap() {
            this.contacts.insert(name(&contact), contact);
        }
        for user in reading.objects(Kind::User, None, ROWS_MAX).await.unwrap() {
            if let Some(held) = reading.credential(user.id).await.unwrap() {
                this.credentials.insert(name(&user), held.credential);
            }
            this.users.insert(name(&user), user);
        }
        for group in reading.objects(Kind::Group, None, ROWS_MAX).await.unwrap() {
            let members = reading.members(group.id, None, ROWS_MAX).await.unwrap();
            let members = members.iter().map(name).collect();
            this.groups.insert(name(&group), (group, members));
        }
        this
    }

    /// Every user, contact, group and member is the forest's, and nothing else is here.
    pub(crate) fn equals(&self, forest: &Forest) {
        let inside = forest.in_scope();
        let (people, others): (Vec<_>, Vec<_>) =
            inside.iter().partition(|(_, entry)| has(entry, "objectclass", "user"));
        let (contacts, groups): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(_, entry)| has(entry, "objectclass", "contact"));
        let anchors = |entries: &[(&Guid, &&Entry)]| -> BTreeSet<_> {
            entries.iter().map(|(guid, _)| anchor(**guid)).collect()
        };
        assert_eq!(self.users.keys().cloned().collect::<BTreeSet<_>>(), anchors(&people));
        assert_eq!(self.groups.keys().cloned().collect::<BTreeSet<_>>(), anchors(&groups));
        assert_eq!(self.contacts.keys().cloned().collect::<BTreeSet<_>>(), anchors(&contacts));
        for (guid, entry) in contacts {
            let contact = &self.contacts[&anchor(*guid)];
            assert_eq!(contact.display_name(), text(entry, "displayname").as_deref());
            assert_eq!(contact.attributes.text("mail"), text(entry, "mail").as_deref());
            assert_eq!(contact.attributes.text("surname"), text(entry, "sn").as_deref());
        }
        for (guid, entry) in people {
            person_equals(&self.users[&anchor(*guid)], entry);
        }
        for (guid, entry) in groups {
            let (group, members) = &self.groups[&anchor(*guid)];
            let name = text(entry, "displayname").or_else(|| text(entry, "name"));
            assert_eq!(group.display_name(), name.as_deref());
            let expected =
                forest.members(entry).into_iter().filter(|guid| inside.contains_key(guid));
            assert_eq!(*members, expected.map(anchor).collect(), "members of {name:?}");
        }
    }

    /// How many credentials are here.
    pub(crate) fn credentials(&self) -> usize {
        self.credentials.len()
    }

    /// Every user of class `user` has the credential of the hash that Samba's client read, and no
    /// one else has any. Gives the hashes.
    pub(crate) fn credentials_equal(
        &self,
        forest: &Forest,
        hashes: &serde_json::Value,
    ) -> Vec<Vec<u8>> {
        let hashes = hashes.as_object().unwrap();
        let inside = forest.in_scope();
        let mut expected = BTreeSet::new();
        for (guid, hash) in hashes {
            let guid: Guid = guid.parse().unwrap();
            let Some(entry) = inside.get(&guid) else { continue };
            if has(entry, "objectclass", "inetOrgPerson") {
                continue;
            }
            let held = &self.credentials[&anchor(guid)];
            let mut octets = [0; 16];
            hex::decode_to_slice(hash.as_str().unwrap(), &mut octets).unwrap();
            let salt = held.to_text().expose().split(',').nth(1).unwrap().to_owned();
            let salt = hex::decode(salt).unwrap().try_into().unwrap();
            let derived = CredentialData::derive(&NtHash::from_octets(octets), salt);
            assert_eq!(derived.to_text().expose(), held.to_text().expose(), "{guid}");
            expected.insert(anchor(guid));
        }
        assert_eq!(self.credentials.keys().cloned().collect::<BTreeSet<_>>(), expected);
        assert!(expected.len() >= 12, "the forest has people with passwords");
        assert!(hashes.len() > expected.len(), "and secrets that are none of the tenant's");
        hashes.values().map(|hash| hex::decode(hash.as_str().unwrap()).unwrap()).collect()
    }
}

/// A user of the tenant against the person's entry.
fn person_equals(user: &Object, entry: &Entry) {
    let account = text(entry, "samaccountname").unwrap();
    let upn = text(entry, "userprincipalname").unwrap_or(format!("{account}@corp.example"));
    let (local, suffix) = upn.split_once('@').unwrap();
    let suffix = if suffix == "corp.example" { suffix } else { "cloud.example" };
    assert_eq!(user.upn(), Some(format!("{local}@{suffix}").as_str()));
    let copied = [
        ("givenname", "givenName"),
        ("sn", "surname"),
        ("title", "jobTitle"),
        ("department", "department"),
        ("company", "companyName"),
        ("mail", "mail"),
        ("mobile", "mobilePhone"),
        ("physicaldeliveryofficename", "officeLocation"),
        ("l", "city"),
        ("st", "state"),
        ("co", "country"),
        ("postalcode", "postalCode"),
        ("streetaddress", "streetAddress"),
        ("samaccountname", "onPremisesSamAccountName"),
        ("dn", "onPremisesDistinguishedName"),
    ];
    for (from, to) in copied {
        assert_eq!(user.attributes.text(to), text(entry, from).as_deref(), "{to} of {upn}");
    }
    let name = text(entry, "displayname").or_else(|| text(entry, "name"));
    assert_eq!(user.display_name(), name.as_deref());
    let control: u32 = text(entry, "useraccountcontrol").unwrap().parse().unwrap();
    assert_eq!(user.attributes.flag("accountEnabled"), Some(control & 2 == 0), "{upn}");
}
