//! What a batch does to the store, held against operations that are applied one by one to plain maps.

use std::collections::{BTreeMap, BTreeSet};

use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{DnsName, Entropy, Guid, Secret, SourceAnchor};
use portolan_tenant::Tenant;
use portolan_tenant::directory::{Attributes, Kind, Object, Photo, Reference, Value};
use portolan_tenant::ingest::{self, Fault, Operation, Upsert};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::SqliteStore;
use crate::vault::MasterKeys;

/// Ids in the order in which they are asked for.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
    }
}

/// An operation, by numbers of anchors and names.
#[derive(Debug, Clone)]
enum Step {
    Upsert { anchor: u8, kind: Kind, name: u8, enabled: bool, members: Option<BTreeSet<u8>> },
    Delete { anchor: u8, kind: Kind },
    References { anchor: u8, reference: Reference, added: BTreeSet<u8>, removed: BTreeSet<u8> },
    Credential { anchor: u8, day: u8 },
    Photo { anchor: u8 },
    Refused,
}

fn anchor(number: u8) -> SourceAnchor {
    format!("anchor-{number}").parse().unwrap()
}

fn anchors(numbers: &BTreeSet<u8>) -> Vec<SourceAnchor> {
    numbers.iter().copied().map(anchor).collect()
}

/// Names, of which the last is of a domain that is not the tenant's. Case makes no other name.
fn name(number: u8) -> String {
    let names = ["a@corp.example", "A@CORP.example", "b@corp.example", "c@corp.example"];
    names.get(usize::from(number)).map_or("d@evil.example", |name| name).to_owned()
}

fn password_set_at(day: u8) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(day.into())
}

impl Step {
    fn operation(&self, hash: &CredentialData) -> Result<Operation, Fault> {
        Ok(match self {
            Self::Upsert { anchor: number, kind, name: wanted, enabled, members } => {
                let mut attributes = Attributes::default();
                if *kind == Kind::User {
                    let wanted = Value::Text(name(*wanted));
                    attributes.set("userPrincipalName", wanted).unwrap();
                    attributes.set("accountEnabled", Value::Flag(*enabled)).unwrap();
                }
                let members = members.as_ref().map(anchors);
                Operation::Upsert(Upsert {
                    anchor: anchor(*number),
                    kind: *kind,
                    attributes,
                    members,
                    anew: false,
                })
            }
            Self::Delete { anchor: number, kind } => {
                Operation::Delete { anchor: anchor(*number), kind: *kind }
            }
            Self::References { anchor: number, reference, added, removed } => {
                Operation::References {
                    anchor: anchor(*number),
                    reference: *reference,
                    added: anchors(added),
                    removed: anchors(&(removed - added)),
                }
            }
            Self::Credential { anchor: number, day } => Operation::Credential {
                anchor: anchor(*number),
                credential: hash.clone(),
                changed_at: password_set_at(*day),
            },
            Self::Photo { anchor: number } => {
                let photo = Photo::new(b"GIF89a".to_vec()).ok();
                Operation::Photo { anchor: anchor(*number), photo }
            }
            Self::Refused => return Err(Fault::InvalidCredential),
        })
    }
}

/// An object of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Thing {
    id: Guid,
    kind: Kind,
    name: Option<String>,
    enabled: bool,
    is_deleted: bool,
    members: BTreeSet<SourceAnchor>,
    manager: Option<SourceAnchor>,
    password_set_at: Option<OffsetDateTime>,
}

/// The directory as plain maps, and whose sessions ended.
#[derive(Debug, Default)]
struct Model {
    things: BTreeMap<SourceAnchor, Thing>,
    ended: BTreeSet<Guid>,
}

impl Model {
    /// Who has a name, but for those whose name was taken.
    fn holder(&self, name: &str, taken: &BTreeSet<Guid>) -> Option<Guid> {
        let mut living = self.things.values().filter(|thing| !thing.is_deleted);
        let has =
            |thing: &&Thing| thing.name.as_deref() == Some(name) && !taken.contains(&thing.id);
        living.find(has).map(|thing| thing.id)
    }

    fn check_alone(&self, tenant: &Tenant, upsert: &Upsert) -> Result<(), Fault> {
        let before = self.things.get(&upsert.anchor);
        if before.is_some_and(|thing| thing.kind != upsert.kind) {
            return Err(Fault::KindMismatch);
        }
        if upsert.kind != Kind::Group && upsert.members.is_some() {
            return Err(Fault::NotAGroup);
        }
        let name = upsert.attributes.text("userPrincipalName").unwrap_or_default();
        let domain = name.split_once('@').and_then(|(_, domain)| domain.parse::<DnsName>().ok());
        match upsert.kind {
            Kind::User if domain.is_none_or(|domain| !tenant.owns(&domain)) => {
                Err(Fault::UnverifiedDomain)
            }
            _ => Ok(()),
        }
    }

    /// The names that change hands within a batch: each with the place that it is for. All sets of
    /// wishes are tried; every one that leaves everybody with what they want counts.
    fn reserved(
        &self,
        tenant: &Tenant,
        operations: &[Result<Operation, Fault>],
    ) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::<_, usize>::new();
        for operation in operations.iter().flatten() {
            if matches!(operation, Operation::Upsert(_) | Operation::Delete { .. }) {
                *times.entry(operation.anchor()).or_default() += 1;
            }
        }
        let (mut wishes, mut deleted) =
            (Vec::<(usize, String, Option<Guid>)>::new(), BTreeSet::new());
        for (at, operation) in operations.iter().enumerate() {
            let Ok(operation) = operation else { continue };
            if times.get(operation.anchor()) != Some(&1) {
                continue;
            }
            let thing = self.things.get(operation.anchor());
            match operation {
                Operation::Upsert(upsert)
                    if upsert.kind == Kind::User && self.check_alone(tenant, upsert).is_ok() =>
                {
                    let name = upsert.attributes.text("userPrincipalName").unwrap().to_lowercase();
                    if wishes.iter().all(|(_, wanted, _)| *wanted != name) {
                        wishes.push((at, name, thing.map(|thing| thing.id)));
                    }
                }
                Operation::Delete { kind: Kind::User, .. } => {
                    deleted
                        .extend(thing.filter(|user| user.kind == Kind::User).map(|user| user.id));
                }
                _ => {}
            }
        }
        let none = BTreeSet::new();
        let mut reserved = BTreeMap::new();
        for set in 0..1_u32 << wishes.len() {
            let chosen: Vec<_> = (0..wishes.len())
                .filter(|bit| set & (1 << bit) != 0)
                .map(|bit| &wishes[bit])
                .collect();
            let goes = |holder: Guid| {
                deleted.contains(&holder)
                    || chosen.iter().any(|(_, name, user)| {
                        *user == Some(holder) && self.holder(name, &none) != *user
                    })
            };
            let is_good = chosen.iter().all(|(_, name, user)| match self.holder(name, &none) {
                Some(holder) => Some(holder) == *user || goes(holder),
                None => true,
            });
            if is_good {
                reserved.extend(chosen.iter().map(|(at, name, _)| (name.clone(), *at)));
            }
        }
        reserved
    }

    fn apply(
        &mut self,
        tenant: &Tenant,
        operations: &[Result<Operation, Fault>],
        rng: &mut Counting,
    ) -> Vec<Result<Option<Guid>, Fault>> {
        let reserved = self.reserved(tenant, operations);
        let none = BTreeSet::new();
        let mut taken: BTreeSet<Guid> = BTreeSet::new();
        for (name, at) in &reserved {
            let holder = self.holder(name, &none);
            let user = operations[*at].as_ref().ok().and_then(|op| self.things.get(op.anchor()));
            taken.extend(holder.filter(|holder| user.is_none_or(|user| user.id != *holder)));
        }
        let (reserved, taken) = (&reserved, &mut taken);
        let numbered = operations.iter().enumerate();
        numbered
            .map(|(at, operation)| match operation.as_ref().map_err(Clone::clone)? {
                Operation::Upsert(upsert) => {
                    let new = Guid::from_random(rng.array());
                    self.upsert(tenant, (at, new), upsert, reserved, taken)
                }
                other => self.change(other),
            })
            .collect()
    }

    /// Writes an object, at its place in the batch; a new one gets the id.
    fn upsert(
        &mut self,
        tenant: &Tenant,
        (at, new): (usize, Guid),
        upsert: &Upsert,
        reserved: &BTreeMap<String, usize>,
        taken: &mut BTreeSet<Guid>,
    ) -> Result<Option<Guid>, Fault> {
        self.check_alone(tenant, upsert)?;
        let before = self.things.get(&upsert.anchor).cloned();
        let name = upsert.attributes.text("userPrincipalName").map(str::to_lowercase);
        if let Some(name) = &name {
            let holder = self.holder(name, taken);
            let is_its_own = before.as_ref().is_some_and(|own| holder == Some(own.id));
            let may = match reserved.get(name) {
                Some(place) => *place == at,
                None => holder.is_none() || is_its_own,
            };
            if !may {
                return Err(Fault::NameTaken);
            }
        }
        let enabled = upsert.attributes.flag("accountEnabled").unwrap_or(false);
        let mut thing = before.clone().unwrap_or(Thing {
            id: new,
            kind: upsert.kind,
            name: None,
            enabled,
            is_deleted: false,
            members: BTreeSet::new(),
            manager: None,
            password_set_at: None,
        });
        if before.is_some_and(|before| before.enabled && !enabled) {
            self.ended.insert(thing.id);
        }
        taken.remove(&thing.id);
        (thing.name, thing.enabled, thing.is_deleted) = (name, enabled, false);
        if let Some(members) = &upsert.members {
            thing.members = members.iter().cloned().collect();
        }
        let id = thing.id;
        self.things.insert(upsert.anchor.clone(), thing);
        Ok(Some(id))
    }

    /// Does what is no upsert.
    fn change(&mut self, operation: &Operation) -> Result<Option<Guid>, Fault> {
        match operation {
            Operation::Upsert(_) => Err(Fault::InvalidAnchor),
            Operation::Delete { anchor, kind } => {
                let Some(thing) = self.things.get_mut(anchor) else { return Ok(None) };
                if thing.kind != *kind {
                    return Err(Fault::KindMismatch);
                }
                let id = thing.id;
                if !thing.is_deleted {
                    thing.is_deleted = true;
                    thing.members.clear();
                    (thing.manager, thing.password_set_at) = (None, None);
                    self.ended.insert(id);
                    for other in self.things.values_mut() {
                        other.members.remove(anchor);
                        other.manager.take_if(|manager| manager == anchor);
                    }
                }
                Ok(Some(id))
            }
            Operation::References { anchor, reference, added, removed } => {
                let thing = self.things.get_mut(anchor).filter(|thing| !thing.is_deleted);
                let thing = thing.ok_or(Fault::UnknownAnchor)?;
                match (reference, thing.kind) {
                    (Reference::Members, Kind::Group) => {
                        thing.members.retain(|member| !removed.contains(member));
                        thing.members.extend(added.iter().cloned());
                    }
                    (Reference::Manager, Kind::User) => {
                        if thing.manager.as_ref().is_some_and(|old| removed.contains(old)) {
                            thing.manager = None;
                        }
                        thing.manager = added.first().cloned().or(thing.manager.take());
                    }
                    _ => return Err(Fault::KindMismatch),
                }
                Ok(Some(thing.id))
            }
            Operation::Photo { anchor, .. } => {
                let thing = self.things.get(anchor).filter(|thing| !thing.is_deleted);
                match thing.ok_or(Fault::UnknownAnchor)? {
                    user if user.kind == Kind::User => Ok(Some(user.id)),
                    _ => Err(Fault::KindMismatch),
                }
            }
            Operation::Credential { anchor, changed_at, .. } => {
                let thing = self.things.get_mut(anchor).filter(|thing| !thing.is_deleted);
                let thing = thing.ok_or(Fault::UnknownAnchor)?;
                if thing.kind != Kind::User {
                    return Err(Fault::KindMismatch);
                }
                if thing.password_set_at.replace(*changed_at) != Some(*changed_at) {
                    self.ended.insert(thing.id);
                }
                Ok(Some(thing.id))
            }
        }
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![8 => Just(Kind::User), 3 => Just(Kind::Group), 1 => Just(Kind::Contact)]
}

fn step() -> impl Strategy<Value = Step> {
    let numbers = || btree_set(0..7_u8, 0..4);
    let upsert =
        (0..6_u8, kind(), 0..5_u8, any::<bool>(), proptest::option::weighted(0.3, numbers()));
    let members = (0..6_u8, numbers(), numbers());
    let manager = (0..6_u8, btree_set(0..7_u8, 0..2), numbers());
    prop_oneof![
        10 => upsert.prop_map(|(anchor, kind, name, enabled, members)| {
            let members = members.filter(|_| kind == Kind::Group || name == 0);
            Step::Upsert { anchor, kind, name, enabled, members }
        }),
        3 => (0..6_u8, kind()).prop_map(|(anchor, kind)| Step::Delete { anchor, kind }),
        3 => members.prop_map(|(anchor, added, removed)| {
            Step::References { anchor, reference: Reference::Members, added, removed }
        }),
        2 => manager.prop_map(|(anchor, added, removed)| {
            Step::References { anchor, reference: Reference::Manager, added, removed }
        }),
        4 => (0..6_u8, 0..2_u8).prop_map(|(anchor, day)| Step::Credential { anchor, day }),
        1 => (0..6_u8).prop_map(|anchor| Step::Photo { anchor }),
        1 => Just(Step::Refused),
    ]
}

/// What the store has of each thing of the model, but for whose sessions ended.
async fn stored(tx: &mut super::SqliteTransaction, object: &Object) -> Thing {
    let (id, kind) = (object.id, object.kind);
    let links: Vec<(String, String)> = sqlx::query_as(
        "SELECT l.attr, l.dst_anchor FROM link l JOIN object o ON o.rid = l.src_rid
         WHERE o.id = ? AND l.deleted = 0",
    )
    .bind(id.to_string())
    .fetch_all(&mut *tx.inner)
    .await
    .unwrap();
    let of = |reference: Reference| {
        let links = links.iter().filter(move |(attribute, _)| attribute == reference.as_str());
        links.map(|(_, to)| to.parse().unwrap()).collect::<BTreeSet<SourceAnchor>>()
    };
    let managers = of(Reference::Manager);
    assert!(managers.len() <= 1, "{managers:?}");
    Thing {
        id,
        kind,
        name: object.upn().map(str::to_lowercase),
        enabled: object.attributes.flag("accountEnabled").unwrap_or(false),
        is_deleted: object.deleted_at.is_some(),
        members: of(Reference::Members),
        manager: managers.into_iter().next(),
        password_set_at: tx.password_set_at(id).await.unwrap(),
    }
}

async fn check(batches: &[Vec<Step>]) {
    let directory = tempfile::tempdir().unwrap();
    let keys = MasterKeys::new([("k".to_owned(), Secret::new([7; 32]))]).unwrap();
    let path = directory.path().join("x.sqlite");
    let store = SqliteStore::create(&path, keys).await.unwrap();
    let tenant = Tenant {
        id: Guid::from_random([200; 16]),
        domain: "cloud.example".parse().unwrap(),
        verified_domains: vec!["corp.example".parse().unwrap()],
    };
    let hash = CredentialData::derive(&NtHash::from_password("x"), [1; 10]);
    let mut model = Model::default();
    let (mut ours, mut theirs) = (Counting(0), Counting(0));
    let mut tx = store.begin(Access::Write).await.unwrap();
    for (number, batch) in (1..).zip(batches) {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::hours(number);
        let operations: Vec<_> = batch.iter().map(|step| step.operation(&hash)).collect();
        let expected = model.apply(&tenant, &operations, &mut theirs);
        let applied = ingest::apply_batch(&mut tx, &tenant, operations, now, &mut ours).await;
        let outcomes = applied.unwrap().outcomes.into_iter();
        let ids: Vec<_> = outcomes.map(|outcome| outcome.map(|done| done.id)).collect();
        assert_eq!(ids, expected);
        for ended in std::mem::take(&mut model.ended) {
            let valid_from = tx.sessions_valid_from(ended).await.unwrap();
            assert!(valid_from.is_some_and(|from| from >= now), "{ended} {valid_from:?}");
        }
        for (anchor, thing) in &model.things {
            let object = tx.object_by_anchor(anchor).await.unwrap().unwrap();
            assert_eq!(stored(&mut tx, &object).await, *thing, "{anchor}");
            let is_living = thing.name.as_ref().filter(|_| !thing.is_deleted);
            if let Some(name) = is_living {
                let holder = tx.user_by_name(name).await.unwrap();
                assert_eq!(holder.map(|user| user.id), Some(thing.id), "{name}");
            }
        }
        let mut users = tx.objects(Kind::User, None, 100).await.unwrap();
        users.retain(|user| user.deleted_at.is_none());
        let names: i64 = sqlx::query_scalar("SELECT count(*) FROM attr_index")
            .fetch_one(&mut *tx.inner)
            .await
            .unwrap();
        assert_eq!(usize::try_from(names).unwrap(), users.len(), "each user has one name");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_batch_does_what_its_operations_do_one_by_one(
        batches in vec(vec(step(), 1..9), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(&batches));
    }
}
