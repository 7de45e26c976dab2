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
use portolan_store::state::{Found, StagedPlace, State};
use portolan_store::tenant::SqliteStore;
use portolan_store::vault::MasterKeys;
use portolan_sync::engine::{ObjectKey, Side};
use portolan_sync::record::ValueRef;
use portolan_sync::{AttributeId, Dictionary, ObjectKind, WANTED_ATTRIBUTES};
use portolan_tenant::directory::{Kind, Object};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use portolan_testsuite::Road;

use crate::ldif::{self, Entry, text};

/// The categories of what is imported, as objectCategory begins.
const IMPORTED: [&str; 5] = [
    "CN=Person,",
    "CN=Group,",
    "CN=Organizational-Unit,",
    "CN=Computer,",
    "CN=Foreign-Security-Principal,",
];
/// Attributes that the state does not keep among an object's values: they are in it otherwise.
const BESIDE: [&str; 6] =
    ["distinguishedname", "member", "memberof", "objectclass", "objectguid", "parentguid"];
/// Attributes whose values are points in time.
const TIMES: [&str; 3] = ["createtimestamp", "whenchanged", "whencreated"];
const ROWS_MAX: u32 = 10_000;

/// The forest by `ldapsearch`: entries that are imported, and the GUID behind every name.
pub(crate) struct Forest {
    pub(crate) entries: BTreeMap<Guid, Entry>,
    guid_of: BTreeMap<String, Guid>,
}

impl Forest {
    pub(crate) fn read(road: &Road<'_>) -> Self {
        let all = ["-b", "DC=corp,DC=example", "(objectClass=*)", "*"];
        let wanted = [&all[..], WANTED_ATTRIBUTES];
        // A few containers show the account their name and nothing else.
        let mut all = ldif::parse(&road.ldapsearch(&wanted.concat()).unwrap());
        all.retain(|entry| entry.contains_key("objectguid"));
        let guid_of = all.iter().map(|entry| (text(entry, "dn").unwrap(), guid(entry))).collect();
        let entries = all.into_iter().filter_map(|entry| {
            let category = text(&entry, "objectcategory")?;
            let imported = IMPORTED.iter().any(|class| category.starts_with(class));
            imported.then(|| (guid(&entry), entry))
        });
        Self { entries: entries.collect(), guid_of }
    }

    /// The GUIDs of a group's members.
    fn members(&self, entry: &Entry) -> BTreeSet<Guid> {
        self.referred(entry, "member")
    }

    /// The GUIDs of the objects that an attribute names.
    pub(crate) fn referred(&self, entry: &Entry, attribute: &str) -> BTreeSet<Guid> {
        let names = entry.get(attribute).map_or(&[][..], Vec::as_slice);
        names.iter().map(|name| self.guid_of[std::str::from_utf8(name).unwrap()]).collect()
    }

    /// The entries that the default scoping rules let through.
    pub(crate) fn in_scope(&self) -> BTreeMap<Guid, &Entry> {
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

/// The anchor that an object has by its GUID.
pub(crate) fn anchor(guid: Guid) -> String {
    STANDARD.encode(guid.to_bytes_le())
}

/// What is staged of a forest.
struct Staged {
    names: Dictionary,
    objects: BTreeMap<Guid, Found>,
    /// What an object refers to, by the attribute's name in lower case.
    references: BTreeMap<(Guid, String), BTreeSet<Guid>>,
}

impl Staged {
    async fn read(road: &Road<'_>) -> Self {
        let path = road.path("connect").join("connector-space.db");
        let state = State::open(&path).await.unwrap();
        let forest = state.connector("corp.example", Side::Forest).await.unwrap();
        let names = state.dictionary().await.unwrap();
        let (mut objects, mut after) = (BTreeMap::new(), ObjectKey(0));
        loop {
            let page = state.staged(forest, after, ROWS_MAX).await.unwrap();
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            objects.extend(page.into_iter().map(|(_, guid, found)| (guid, found)));
        }
        let (mut references, mut after) = (BTreeMap::new(), StagedPlace::default());
        loop {
            let page = state.staged_references(forest, after, ROWS_MAX).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.place;
            for reference in page {
                let name = names.name(reference.attribute).unwrap().to_ascii_lowercase();
                let referred: &mut BTreeSet<Guid> =
                    references.entry((reference.source, name)).or_default();
                referred.insert(reference.target);
            }
        }
        state.check().await.unwrap();
        state.close().await;
        Self { names, objects, references }
    }

    fn name(&self, id: AttributeId) -> String {
        self.names.name(id).unwrap().to_ascii_lowercase()
    }

    /// The attributes that are kept of any object, and those that every import asks for.
    fn attributes(&self) -> BTreeSet<String> {
        let records = self.objects.values().map(|found| &found.record);
        let kept = records.flat_map(|record| record.iter().map(|(id, _)| self.name(id)));
        let wanted = WANTED_ATTRIBUTES.iter().map(|name| name.to_ascii_lowercase());
        kept.chain(wanted).filter(|name| !BESIDE.contains(&name.as_str())).collect()
    }
}

/// Every object, attribute value, reference and place in the connector space is the forest's.
pub(crate) async fn connector_space_equals(road: &Road<'_>, forest: &Forest) {
    let staged = Staged::read(road).await;
    let (above, objects): (Vec<_>, Vec<_>) =
        staged.objects.iter().partition(|(_, found)| found.kind == ObjectKind::Container);
    let held: BTreeSet<_> = objects.iter().map(|(guid, _)| **guid).collect();
    assert_eq!(held, forest.entries.keys().copied().collect(), "the same objects");
    for (guid, place) in above {
        assert_eq!(forest.guid_of.get(place.dn.as_str()), Some(guid), "{}", place.dn);
        assert!(place.record.is_empty(), "of a place, its name alone");
    }
    let attributes = staged.attributes();
    for (guid, object) in objects {
        let entry = &forest.entries[guid];
        assert_eq!(object.dn.as_str(), text(entry, "dn").unwrap());
        // Of foreign security principals Samba tells the account no parentGUID.
        let told = entry.contains_key("parentguid");
        assert_eq!(object.parent, parent(forest, object).filter(|_| told), "{}", object.dn);
        for name in &attributes {
            let mut expected = entry.get(name).cloned().unwrap_or_default();
            expected.sort();
            assert_eq!(octets(&staged, object, name), expected, "{name} of {}", object.dn);
        }
    }
    let mut expected = BTreeMap::new();
    for (guid, entry) in &forest.entries {
        for name in ["member", "manager"] {
            expected.insert((*guid, name.to_owned()), forest.referred(entry, name));
        }
    }
    expected.retain(|_, referred| !referred.is_empty());
    assert_eq!(staged.references, expected);
}

/// The values that are kept of an attribute, written as the directory gives them, in order.
fn octets(staged: &Staged, object: &Found, name: &str) -> Vec<Vec<u8>> {
    let Some(id) = staged.names.id(name) else { return Vec::new() };
    let one = |value: ValueRef<'_>| match value {
        ValueRef::Text(text) if TIMES.contains(&name) => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            format!("{digits}.0Z").into_bytes()
        }
        ValueRef::Text(text) => text.as_bytes().to_vec(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Boolean(true) => b"TRUE".to_vec(),
        ValueRef::Boolean(false) => b"FALSE".to_vec(),
        ValueRef::Octets(octets) => octets.to_vec(),
    };
    let mut octets: Vec<_> = object.record.values(id).map(one).collect();
    octets.sort();
    octets
}

fn parent(forest: &Forest, object: &Found) -> Option<Guid> {
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

    /// The anchors of all users.
    pub(crate) fn user_anchors(&self) -> BTreeSet<String> {
        self.users.keys().cloned().collect()
    }

    /// Whether a user is enabled; `None` of one that is not here.
    pub(crate) fn enabled(&self, anchor: &str) -> Option<bool> {
        let user = self.users.get(anchor)?;
        user.attributes.flag("accountEnabled")
    }

    /// The anchors of a group's members.
    pub(crate) fn members(&self, group: &str) -> &BTreeSet<String> {
        &self.groups[group].1
    }

    /// Whether a user has a credential.
    pub(crate) fn has_credential(&self, anchor: &str) -> bool {
        self.credentials.contains_key(anchor)
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
