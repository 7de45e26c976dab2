//! Confirming: what the tenant has, held against what the state believes that it has.
//!
//! The tenant gives digests, so that nothing is read of what is as it should be. What is other, and what is
//! missing, is to be exported again; what nobody knew of is claimed or deleted by a full synchronisation. A
//! Graph gives no digests, and what nobody knew of there is others': [`survey`].
//! Nothing is written to the tenant here. A server that becomes the one that writes confirms first: what the
//! other one exported is known then, and not exported again.

use std::collections::HashMap;

use portolan_chart::flow;
use portolan_model::SourceAnchor;
use portolan_store::state::{Confirmed, Held, Known, State};
use portolan_sync::record::{Record, Value, ValueRef};
use portolan_sync::{AttributeId, Dictionary, TenantKind};
use portolan_tenant::directory::Reference;
use portolan_tenant::wire::{
    HeldObject, HeldResponse, OPERATIONS_MAX, ObjectsResponse, Operation, OwnedObject, ReadUpTo,
    ReferencesResponse,
};
use portolan_tenant::{held, ingest};
use serde::Serialize;
use serde_json::Value as Json;

use super::cycle::Server;
use super::steps::Steps;
use super::synchronise::{self, Connected, Host, Origin};
use super::target::photo;
use super::target::tenant::attributes;
use super::target::{Sending, Target, survey};
use crate::report::Failure;

/// Pages of objects that the tenant may have, each of some thousands.
const PAGES_MAX: usize = 10_000;
/// Objects of the state that are held against the tenant's at once.
const KNOWN_AT_ONCE: u32 = 1_000;
/// References of one object that are read.
const REFERENCES_MAX: usize = 5_000_000;
/// References that are worked out in one transaction.
const RESOLVED_AT_ONCE: u32 = 20_000;
/// The attribute by which an object is known again under another anchor: it is in the forest and in the tenant, it is
/// one object's alone, and it stays as long as the object does.
const SECURITY_IDENTIFIER: &str = "onPremisesSecurityIdentifier";
/// An anchor is printable ASCII: it is in front of this.
const LAST: &str = "\u{7f}";

/// What was held against what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Confirmation {
    /// Objects that the tenant has.
    pub(super) objects: u64,
    /// Those with other attributes than it acknowledged.
    pub(super) other: u64,
    /// Objects that it does not have any more.
    pub(super) missing: u64,
    /// Objects that this server did not know of.
    pub(super) unknown: u64,
    /// Users without the password that it acknowledged.
    pub(super) passwords: u64,
    /// Objects that refer to others than it acknowledged.
    pub(super) references: u64,
}

impl Confirmation {
    /// Whether the tenant has what it acknowledged, and nothing else.
    pub(super) fn is_as_believed(&self) -> bool {
        *self == Self { objects: self.objects, ..Self::default() }
    }

    /// One line for the operator.
    pub(super) fn line(&self) -> String {
        let Self { objects, other, missing, unknown, passwords, references } = self;
        if self.is_as_believed() {
            return format!("confirmed {objects} objects: the tenant has what it acknowledged");
        }
        format!(
            "confirmed {objects} objects: {other} are other than acknowledged, {missing} are missing, \
             {unknown} are unknown, {references} refer to others, {passwords} passwords are missing; \
             the next export repairs it"
        )
    }

    pub(super) fn count(&mut self, one: Confirmed) {
        self.other += one.other;
        self.missing += one.missing;
        self.unknown += one.unknown;
        self.passwords += one.passwords;
    }
}

impl Server {
    /// Holds what the tenant has against what the state believes, and queues what is to be repaired.
    pub(super) async fn confirm(&mut self, steps: &Steps) -> Result<Confirmation, Failure> {
        let confirmation = self.confirm_all().await?;
        steps.over(self.network.chart(), flow::CONNECT_TENANT_SYNC, &confirmation.line());
        Ok(confirmation)
    }

    async fn confirm_all(&mut self) -> Result<Confirmation, Failure> {
        let Self { target, state, connected, .. } = self;
        match target {
            Target::Tenant(tenant) => {
                Confirming { tenant, state, connected, origin: &Host }.all().await
            }
            Target::Graph(graph) => {
                let names = state.dictionary().await?;
                let target = connected.target;
                let read_up_to = None;
                let sending = Sending { state, target, names: &names, read_up_to, origin: &Host };
                survey::confirm(graph, sending).await
            }
        }
    }
}

/// Who says what it has of a server's objects.
#[expect(async_fn_in_trait, reason = "one task confirms, and moves to no other thread")]
pub trait Holding {
    /// A page of living objects behind an anchor, with digests: of attributes (`content`), or of
    /// `references`.
    async fn held(&mut self, after: &str, with: &str) -> Result<ObjectsResponse, Failure>;

    /// The attributes of some objects.
    async fn read(&mut self, anchors: Vec<String>) -> Result<HeldResponse, Failure>;

    /// A page of whom an object refers to by an attribute.
    async fn held_references(
        &mut self,
        anchor: &str,
        attribute: &str,
        after: &str,
    ) -> Result<ReferencesResponse, Failure>;

    /// How far whoever wrote last had read the forests.
    async fn read_up_to(&mut self) -> Result<ReadUpTo, Failure>;
}

/// What a tenant has, held against a state.
pub(super) struct Confirming<'a, T> {
    pub(super) tenant: &'a mut T,
    pub(super) state: &'a State,
    pub(super) connected: &'a Connected,
    /// The clock by which losses are counted.
    pub(super) origin: &'a dyn Origin,
}

impl<T: Holding> Confirming<'_, T> {
    /// Holds all of it against the state, and queues what is to be repaired.
    pub(super) async fn all(&mut self) -> Result<Confirmation, Failure> {
        let mut done = Confirmation::default();
        self.confirm_objects(&mut done).await?;
        if done.unknown > 0 {
            self.recognise().await?;
        }
        // References count between objects that the tenant has: that is known by now.
        self.confirm_references(&mut done).await?;
        if done.unknown > 0 {
            synchronise::run_in_full_next(self.state, self.connected).await?;
        }
        while !self.state.resolve_references(RESOLVED_AT_ONCE).await?.is_done {}
        Ok(done)
    }

    /// What the tenant has under an anchor that nobody knows here may be what is about to be made under another one:
    /// another server wrote it before its anchor's attribute changed in the forest.
    async fn recognise(&mut self) -> Result<(), Failure> {
        let names = self.state.dictionary().await?;
        let Some(identifier) = names.id(SECURITY_IDENTIFIER) else { return Ok(()) };
        self.state.recognise(self.connected.target, identifier).await?;
        Ok(())
    }

    async fn confirm_objects(&mut self, done: &mut Confirmation) -> Result<(), Failure> {
        let names = self.state.dictionary().await?;
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let ObjectsResponse { objects: page, with_photos } =
                self.tenant.held(&after, "content").await?;
            done.objects += page.len() as u64;
            let through = end_of(&page, &after)?;
            let mut rest = page.as_slice();
            // The state may have many objects where the tenant has few: a piece of them at a time.
            loop {
                let target = self.connected.target;
                let known = self.state.known(target, &after, through, KNOWN_AT_ONCE).await?;
                let is_last = known.len() < KNOWN_AT_ONCE as usize;
                let last = known.last().filter(|_| !is_last);
                let reached = last.map_or(through, |last| last.anchor.as_str()).to_owned();
                let here = rest.iter().take_while(|object| object.anchor <= reached).count();
                let (piece, behind) = rest.split_at(here);
                rest = behind;
                let held = self.held((piece, with_photos), &known, &names).await?;
                let now = self.origin.now();
                done.count(self.state.confirm(target, &after, &reached, &held, now).await?);
                after = reached;
                if is_last {
                    break;
                }
            }
            if page.is_empty() {
                return Ok(());
            }
        }
        Err(endless())
    }

    /// What the tenant has of objects: by their digests what is known already, the others are read. Of a tenant
    /// that tells no digests of photos, their photos are believed to be there.
    async fn held(
        &mut self,
        (piece, with_photos): (&[OwnedObject], bool),
        known: &[Known],
        names: &Dictionary,
    ) -> Result<Vec<Held>, Failure> {
        let known: HashMap<&str, &Known> =
            known.iter().map(|known| (known.anchor.as_str(), known)).collect();
        let (mut held, mut unread) = (Vec::with_capacity(piece.len()), Vec::new());
        for object in piece {
            let known = known.get(object.anchor.as_str());
            let records = known.map(|known| [&known.confirmed, &known.wished]);
            let has_photo_of = |record: &Record| {
                !with_photos || photo::is_of(names, record, object.photo.as_ref())
            };
            let same = records.into_iter().flatten().flatten().find(|record| {
                digest(names, object, record).is_some_and(|known| Some(known) == object.content)
                    && has_photo_of(record)
            });
            match same {
                Some(record) => held.push(taken(object, record.clone())?),
                None => unread.push(object),
            }
        }
        let mut waiting = unread.as_slice();
        while !waiting.is_empty() {
            let asked = waiting.get(..OPERATIONS_MAX).unwrap_or(waiting);
            let anchors = asked.iter().map(|object| object.anchor.clone()).collect();
            let answer = self.tenant.read(anchors).await?;
            let answered = answer.answered.clamp(1, asked.len());
            let (now, later) = waiting.split_at(answered);
            waiting = later;
            for object in now {
                // What went meanwhile is missing.
                let found = answer.objects.iter().find(|one| one.anchor == object.anchor);
                if let Some(found) = found {
                    let known = known.get(object.anchor.as_str()).copied();
                    let photo = photo_of(object, with_photos, known, names);
                    held.push(taken(object, self.record(found, photo).await?)?);
                }
            }
        }
        Ok(held)
    }

    /// What the tenant has of an object, as the state keeps it.
    async fn record(&self, object: &HeldObject, photo: Option<Value>) -> Result<Record, Failure> {
        let names = object.attributes.keys().map(String::as_str);
        let names: Vec<&str> = names.chain(photo.is_some().then_some(photo::ATTRIBUTE)).collect();
        let ids = self.state.intern(&names).await?;
        let values = object.attributes.values().map(|json| match json {
            Json::Array(all) => all.iter().filter_map(value).collect(),
            one => value(one).into_iter().collect::<Vec<_>>(),
        });
        let values = values.chain(photo.map(|photo| vec![photo]));
        Ok(ids.into_iter().zip(values).collect())
    }

    async fn confirm_references(&mut self, done: &mut Confirmation) -> Result<(), Failure> {
        let names = self.state.dictionary().await?;
        let named = |reference: Reference| Some((names.id(reference.as_str())?, reference));
        let names: Vec<_> = Reference::ALL.into_iter().filter_map(named).collect();
        let mut after = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.tenant.held(&after, "references").await?.objects;
            if page.is_empty() {
                return Ok(());
            }
            end_of(&page, &after)?.clone_into(&mut after);
            let mut digests = HashMap::new();
            let mut anchors = Vec::with_capacity(page.len());
            for object in page {
                let anchor: SourceAnchor = object.anchor.parse().map_err(|_| nothing())?;
                digests.insert(anchor.clone(), object.references);
                anchors.push(anchor);
            }
            let target = self.connected.target;
            for known in self.state.known_references(target, &anchors, &names).await? {
                let is = digests.get(&known.anchor).cloned().flatten();
                if known.known.to_text() == is {
                    continue;
                }
                if known.wished.to_text() == is {
                    self.state.adopt_references(known.key).await?;
                    continue;
                }
                done.references += 1;
                let held = self.references_of(&known.anchor, &names).await?;
                self.state.confirm_references(target, known.key, &held).await?;
            }
        }
        Err(endless())
    }

    /// Whom an object of the tenant refers to.
    async fn references_of(
        &mut self,
        anchor: &SourceAnchor,
        names: &[(AttributeId, Reference)],
    ) -> Result<Vec<(AttributeId, SourceAnchor)>, Failure> {
        let mut held = Vec::new();
        for (id, reference) in names {
            let mut after = String::new();
            loop {
                let of = reference.as_str();
                let page = self.tenant.held_references(anchor.as_str(), of, &after).await?;
                for anchor in &page.anchors {
                    held.push((*id, anchor.parse().map_err(|_| nothing())?));
                }
                let Some(next) = page.after else { break };
                if next <= after || held.len() > REFERENCES_MAX {
                    return Err(endless());
                }
                after = next;
            }
        }
        Ok(held)
    }
}

/// The last anchor of a page, which is behind the one before; the end of all when the page is empty.
fn end_of<'p>(page: &'p [OwnedObject], after: &str) -> Result<&'p str, Failure> {
    let Some(last) = page.last() else { return Ok(LAST) };
    if last.anchor.as_str() <= after || last.anchor.as_str() >= LAST {
        return Err(endless());
    }
    Ok(&last.anchor)
}

fn endless() -> Failure {
    Failure::new("the tenant's list of this server's objects has no end")
}

fn nothing() -> Failure {
    Failure::new("the tenant names an object that is none")
}

fn taken(object: &OwnedObject, record: Record) -> Result<Held, Failure> {
    Ok(Held {
        anchor: object.anchor.parse().map_err(|_| nothing())?,
        kind: TenantKind::from_name(&object.kind).ok_or_else(nothing)?,
        record,
        has_password: object.password,
    })
}

/// The digest of what was, or would be, sent of an object; none of what the tenant would not take.
fn digest(names: &Dictionary, object: &OwnedObject, record: &Record) -> Option<String> {
    if record.is_empty() {
        return None;
    }
    let (anchor, kind) = (object.anchor.clone(), object.kind.clone());
    let attributes = attributes(names, record);
    let sent = Operation::Upsert { anchor, kind, attributes, members: None, anew: false };
    match sent.check() {
        Ok(ingest::Operation::Upsert(upsert)) => Some(held::content(&upsert.attributes, &[])),
        _ => None,
    }
}

/// The photo that an object has in the tenant: as a record has it that is known, or as one that nobody knows.
fn photo_of(
    object: &OwnedObject,
    with_photos: bool,
    known: Option<&Known>,
    names: &Dictionary,
) -> Option<Value> {
    let records = known.into_iter().flat_map(|known| [&known.confirmed, &known.wished]);
    let is_its =
        |record: &&Record| !with_photos || photo::is_of(names, record, object.photo.as_ref());
    match records.flatten().find(is_its) {
        Some(record) => photo::value(names, record).map(ValueRef::to_value),
        None => object.photo.as_deref().map(photo::unknown),
    }
}

fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::String(text) => Value::Text(text.clone()),
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => Value::Integer(number.as_i64()?),
        _ => return None,
    })
}
