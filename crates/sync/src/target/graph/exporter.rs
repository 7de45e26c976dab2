//! The machine of an export: what is sent next, and what a reply means.
//!
//! Each change is one or more pieces of work. A piece waits until the objects that it names have ids, goes
//! out in a batch, and is settled by its own reply: done, failed, to be sent again, or turned into
//! another piece (a creation whose answer was lost is looked up first). Two pieces on one object are never
//! under way in two batches; in one batch the later depends on the earlier. When a piece can go is in
//! [`ready`], what its reply means in [`replies`].

mod ready;
mod replies;

pub(super) use replies::backoff;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use portolan_model::{Entropy, SourceAnchor};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::change::{Change, Desired, Fault, Known, Outcome};
use super::reply::Reply;
use super::request;
use super::work::{Rank, Task, Work};
use crate::TenantKind;
use crate::target::graph::change::Value;
use ready::Ready;

/// Requests that a batch may have.
pub(super) const BATCH_REQUESTS_MAX: usize = 20;

/// Members that one request names.
const BOUND_MEMBERS_MAX: usize = 20;

/// Batches without a request that was told to wait, after which one more may be under way.
const CLEAN_BATCHES: u32 = 8;

/// How an export goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the version of Graph is, as in `https://graph.microsoft.com/v1.0`.
    pub base: String,
    /// Batches that are under way at a time.
    pub batches_max: usize,
    /// How often a request is sent that the target does not answer well.
    pub attempts_max: u32,
    /// Whether a user who is in the recycle bin is taken out of it when the same anchor is to be made.
    pub restores_deleted: bool,
}

/// A request that stands alone, because a batch takes no octets as they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Alone {
    /// Its method.
    pub method: &'static str,
    /// Its path below the version.
    pub path: String,
    /// What its body is; `None` when it has none.
    pub media_type: Option<&'static str>,
    /// Its body.
    pub octets: Vec<u8>,
}

/// A batch to be sent to `/$batch`, or the request that stands alone in its place. Its body may hold passwords: it does
/// not print, and wipes itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number: its reply is told by it.
    pub number: u64,
    /// How many requests it has.
    pub requests: usize,
    /// Its body; nothing where a request stands alone.
    pub body: Zeroizing<Vec<u8>>,
    /// The request that is sent in its place.
    pub alone: Option<Alone>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, requests, .. } = self;
        f.debug_struct("Batch")
            .field("number", number)
            .field("requests", requests)
            .finish_non_exhaustive()
    }
}

/// What a driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this, and ask again at once.
    Send(Batch),
    /// Wait for a reply, or until this moment.
    Wait {
        /// When to ask again without a reply; `None` when only a reply goes on.
        until: Option<OffsetDateTime>,
    },
    /// Everything is settled.
    Done,
}

/// What talks to a Graph in batches, and leaves the sending to a driver.
pub trait Conversation {
    /// What is to be done now.
    fn next(&mut self, now: OffsetDateTime, rng: &mut dyn Entropy) -> Action;

    /// Takes the reply to a batch. A second one to the same batch is nobody's and changes nothing.
    fn answered(&mut self, number: u64, reply: &Reply, now: OffsetDateTime, rng: &mut dyn Entropy);

    /// Takes it that there is no reply to a batch: it may have been received.
    fn lost(&mut self, number: u64, now: OffsetDateTime, rng: &mut dyn Entropy);

    /// Until when the target told it to wait last, if it did: whoever talks to it next waits as well.
    fn paused_until(&self) -> Option<OffsetDateTime>;
}

/// What can go next.
enum Packed {
    /// These requests, and the pieces of work that they are of; nothing when none can go.
    Batch(Vec<Json>, Vec<((Rank, usize), Work)>),
    /// This piece of work by this request.
    Alone((Rank, usize), Alone),
}

/// An export under way.
#[derive(Debug)]
pub struct Exporter {
    settings: Settings,
    changes: Vec<Change>,
    outcomes: Vec<Outcome>,
    ids: Known,
    /// Objects whose creation is not settled.
    coming: BTreeSet<SourceAnchor>,
    waiting: BTreeMap<(Rank, usize), Work>,
    under_way: BTreeMap<u64, Vec<((Rank, usize), Work)>>,
    /// Nothing is sent in front of this moment: the target said so.
    paused_until: Option<OffsetDateTime>,
    /// Batches that may be under way now: one while the target tells requests to wait.
    allowed: usize,
    /// Batches since then without such a request.
    clean: u32,
    next_batch: u64,
    next_work: usize,
}

impl Exporter {
    /// An export of these changes to a target of which this is known.
    #[must_use]
    pub fn new(changes: Vec<Change>, known: Known, settings: Settings) -> Self {
        let mut exporter = Self {
            allowed: settings.batches_max.max(1),
            clean: 0,
            settings,
            outcomes: changes.iter().map(|_| Outcome::default()).collect(),
            changes: Vec::new(),
            ids: known,
            coming: BTreeSet::new(),
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
            paused_until: None,
            next_batch: 1,
            next_work: 0,
        };
        for (at, change) in changes.iter().enumerate() {
            exporter.plan(at, change);
        }
        exporter.changes = changes;
        exporter
    }

    fn plan(&mut self, at: usize, change: &Change) {
        match change {
            Change::Write(desired) => self.plan_write(at, desired),
            Change::Members { add, remove, .. } => {
                for members in add.chunks(BOUND_MEMBERS_MAX) {
                    self.enqueue(Work::new(at, Task::Bind(members.to_vec())));
                }
                for member in remove {
                    self.enqueue(Work::new(at, Task::Remove(member.clone())));
                }
            }
            Change::Manager { manager: Some(manager), .. } => {
                self.enqueue(Work::new(at, Task::SetManager(manager.clone())));
            }
            Change::Manager { manager: None, .. } => {
                self.enqueue(Work::new(at, Task::ClearManager));
            }
            Change::Photo { .. } => self.enqueue(Work::new(at, Task::Photo)),
            Change::Delete { kind: TenantKind::Contact, .. } => {
                self.unable(at, Fault::Unable("contacts"));
            }
            Change::Delete { kind: TenantKind::Device, .. } => {
                self.unable(at, Fault::Unable("devices"));
            }
            // One whose id nobody knows may be there all the same.
            Change::Delete { anchor, kind } => {
                let task = match (self.ids.contains_key(anchor), kind) {
                    (true, _) => Task::Delete,
                    (false, TenantKind::Group) => Task::FindGroup,
                    (false, _) => Task::FindUser { conflict: None },
                };
                self.enqueue(Work::new(at, task));
            }
        }
    }

    fn plan_write(&mut self, at: usize, desired: &Desired) {
        let is_on =
            |name: &str| matches!(desired.attributes.get(name), Some(Some(Value::Boolean(true))));
        let is_known = self.ids.contains_key(&desired.anchor);
        match desired.kind {
            TenantKind::Contact => return self.unable(at, Fault::Unable("contacts")),
            TenantKind::Device => return self.unable(at, Fault::Unable("devices")),
            TenantKind::Group if !is_known && !is_on("securityEnabled") => {
                return self.unable(at, Fault::Unable("distribution groups"));
            }
            TenantKind::User | TenantKind::Group => {}
        }
        if let Some(outcome) = self.outcomes.get_mut(at) {
            outcome.unable = request::inabilities(desired);
        }
        if !is_known {
            self.coming.insert(desired.anchor.clone());
        }
        let task = match (is_known, desired.kind) {
            (true, _) => Task::Update,
            (false, TenantKind::Group) => Task::UpsertGroup,
            (false, _) => Task::CreateUser,
        };
        self.enqueue(Work::new(at, task));
    }

    fn enqueue(&mut self, work: Work) {
        let place = (work.rank(), self.next_work);
        self.next_work += 1;
        self.waiting.insert(place, work);
    }

    /// A change is not made, for this reason.
    fn unable(&mut self, change: usize, fault: Fault) {
        if let Some(outcome) = self.outcomes.get_mut(change) {
            outcome.add(fault);
        }
    }

    /// A piece of work is not made, for this reason.
    fn fail(&mut self, work: &Work, fault: Fault) {
        if let Some(outcome) = self.outcomes.get_mut(work.change) {
            outcome.unmoved.extend(work.members().iter().cloned());
            outcome.add(fault);
        }
    }

    fn batch(&mut self, requests: Vec<Json>, works: Vec<((Rank, usize), Work)>) -> Batch {
        let (number, count) = (self.next_batch, works.len());
        self.next_batch += 1;
        self.under_way.insert(number, works);
        let whole = json!({"requests": requests});
        let body = serde_json::to_vec(&whole).unwrap_or_default();
        wipe(whole);
        Batch { number, requests: count, body: Zeroizing::new(body), alone: None }
    }

    /// The next piece of work that goes alone, if it can go before any that goes in a batch.
    fn alone(&mut self, place: (Rank, usize), alone: Alone) -> Option<Batch> {
        let number = self.next_batch;
        self.next_batch += 1;
        let work = self.waiting.remove(&place)?;
        self.under_way.insert(number, vec![(place, work)]);
        Some(Batch { number, requests: 1, body: Zeroizing::default(), alone: Some(alone) })
    }

    /// Nothing can go but what was deferred until nothing else can: so it goes. What cannot even then waits
    /// for itself.
    fn release(&mut self) {
        let deferred = self.waiting.values_mut().filter(|work| work.deferred);
        let released = deferred.map(|work| work.deferred = false).count();
        if released > 0 {
            return;
        }
        for (_, work) in std::mem::take(&mut self.waiting) {
            let last = "it waits for itself".to_owned();
            self.fail(&work, Fault::Unavailable { attempts: work.attempts, last });
            self.settled(&work);
        }
    }

    /// Takes the next pieces of work that can go, with their requests.
    fn pack(&mut self, now: OffsetDateTime, rng: &mut dyn Entropy) -> Packed {
        let busy: BTreeSet<SourceAnchor> = self
            .under_way
            .values()
            .flatten()
            .filter_map(|(_, work)| self.target(work.change).cloned())
            .collect();
        // The last request of this batch on each object.
        let mut last: BTreeMap<SourceAnchor, String> = BTreeMap::new();
        let (mut requests, mut works) = (Vec::new(), Vec::new());
        let places: Vec<_> = self.waiting.keys().copied().collect();
        for place in places {
            if works.len() >= BATCH_REQUESTS_MAX {
                break;
            }
            let Some(work) = self.waiting.get(&place) else { continue };
            let is_early = work.deferred || work.not_before.is_some_and(|at| at > now);
            let Some(target) = self.target(work.change).cloned() else { continue };
            if is_early || busy.contains(&target) {
                continue;
            }
            match self.request(place, rng) {
                // It waits until the batch has gone that is being packed.
                Ready::Alone(_) if !works.is_empty() => {}
                Ready::Alone(alone) => return Packed::Alone(place, alone),
                Ready::Later => {}
                Ready::Never => {
                    if let Some(work) = self.waiting.remove(&place) {
                        self.settled(&work);
                    }
                }
                Ready::Now(request) => {
                    let id = (works.len() + 1).to_string();
                    requests.push(request.into_json(&id, last.get(&target).map(String::as_str)));
                    last.insert(target, id);
                    works.extend(self.waiting.remove(&place).map(|work| (place, work)));
                }
            }
        }
        Packed::Batch(requests, works)
    }

    /// The object that a change is about.
    fn target(&self, change: usize) -> Option<&SourceAnchor> {
        Some(match self.changes.get(change)? {
            Change::Write(desired) => &desired.anchor,
            Change::Members { group, .. } => group,
            Change::Manager { user, .. } | Change::Photo { user, .. } => user,
            Change::Delete { anchor, .. } => anchor,
        })
    }

    /// A piece of work that is over, well or not: who waited for its object waits no longer.
    fn settled(&mut self, work: &Work) {
        if let Some(Change::Write(desired)) = self.changes.get(work.change) {
            self.coming.remove(&desired.anchor);
        }
    }

    /// What became of each change, in their order, and the ids of the target's objects as they are known
    /// now. Changes that are not settled yet count as they stand.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Outcome>, Known) {
        for at in 0..self.outcomes.len() {
            let id = self.target(at).and_then(|anchor| self.ids.get(anchor)).copied();
            if let Some(outcome) = self.outcomes.get_mut(at) {
                outcome.id = id;
            }
        }
        (self.outcomes, self.ids)
    }
}

impl Conversation for Exporter {
    fn next(&mut self, now: OffsetDateTime, rng: &mut dyn Entropy) -> Action {
        loop {
            if self.waiting.is_empty() && self.under_way.is_empty() {
                return Action::Done;
            }
            if self.under_way.len() >= self.allowed {
                return Action::Wait { until: None };
            }
            if let Some(until) = self.paused_until.filter(|until| *until > now) {
                return Action::Wait { until: Some(until) };
            }
            let before = self.waiting.len();
            match self.pack(now, rng) {
                Packed::Alone(place, alone) => {
                    if let Some(batch) = self.alone(place, alone) {
                        return Action::Send(batch);
                    }
                }
                Packed::Batch(_, works) if works.is_empty() => {}
                Packed::Batch(requests, works) => {
                    return Action::Send(self.batch(requests, works));
                }
            }
            // What was settled without a request may be what others waited for.
            if self.waiting.len() != before {
                continue;
            }
            let times = self.waiting.values().filter_map(|work| work.not_before);
            let until = times.filter(|at| *at > now).min();
            if until.is_some() || !self.under_way.is_empty() {
                return Action::Wait { until };
            }
            self.release();
        }
    }

    fn answered(&mut self, number: u64, reply: &Reply, now: OffsetDateTime, rng: &mut dyn Entropy) {
        let Some(works) = self.under_way.remove(&number) else { return };
        self.clean += 1;
        if self.clean >= CLEAN_BATCHES && self.allowed < self.settings.batches_max {
            (self.allowed, self.clean) = (self.allowed + 1, 0);
        }
        let is_alone = works.iter().all(|(_, work)| work.task == Task::Photo);
        if is_alone || !matches!(reply.status, 200..=299) {
            let whole = reply.whole(now);
            for (place, work) in works {
                self.settle(place, work, &whole, now, rng);
            }
            return;
        }
        let mut parts = BTreeMap::new();
        for (id, part) in reply.parts(now).unwrap_or_default() {
            // Of two replies to one request the first counts.
            parts.entry(id).or_insert(part);
        }
        for (index, (place, work)) in works.into_iter().enumerate() {
            match parts.remove(&(index + 1).to_string()) {
                Some(part) => self.settle(place, work, &part, now, rng),
                None => self.in_doubt(place, work, "no reply to the request", now, rng),
            }
        }
    }

    fn lost(&mut self, number: u64, now: OffsetDateTime, rng: &mut dyn Entropy) {
        for (place, work) in self.under_way.remove(&number).into_iter().flatten() {
            self.in_doubt(place, work, "no reply", now, rng);
        }
    }

    fn paused_until(&self) -> Option<OffsetDateTime> {
        self.paused_until
    }
}

/// Wipes the texts of a request: one may be a password.
fn wipe(json: Json) {
    match json {
        Json::String(text) => drop(Zeroizing::new(text)),
        Json::Array(values) => values.into_iter().for_each(wipe),
        Json::Object(members) => members.into_iter().for_each(|(_, value)| wipe(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
