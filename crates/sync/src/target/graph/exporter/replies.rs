//! What a reply to a piece of work means: done, failed, to be sent again, or another piece.

use portolan_model::Entropy;
use time::{Duration, OffsetDateTime};

use super::Exporter;
use crate::target::graph::change::{Change, Fault};
use crate::target::graph::reply::Part;
use crate::target::graph::work::{Rank, Task, Work};

/// How often the one with an anchor is looked up when another object has a value of theirs: a replica may
/// not have heard of them yet.
const LOOKUPS_MAX: u32 = 6;

/// How often a request may be told to wait.
const THROTTLED_MAX: u32 = 1_000;

/// How long the first wait after a fault is at most; it doubles up to the longest.
const BACKOFF_FIRST: Duration = Duration::seconds(1);
const BACKOFF_LONGEST: Duration = Duration::seconds(64);

impl Exporter {
    /// What a reply to a piece of work means.
    pub(super) fn settle(
        &mut self,
        place: (Rank, usize),
        work: Work,
        part: &Part,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        match part.status {
            _ if part.is_success() => self.succeeded(place, work, part, now, rng),
            429 => self.throttled(place, work, part, now, rng),
            408 | 500..=599 => {
                if let Some(seconds) = part.retry_after {
                    self.pause(now + Duration::seconds(seconds.into()));
                }
                let said = format!("{} {}", part.status, part.message);
                self.in_doubt(place, work, &said, now, rng);
            }
            // What it followed failed or was told to wait, and it was not tried itself.
            424 => self.postpone(place, work, now + backoff(1, rng)),
            401 => self.again(place, work, "401", now, rng),
            _ if part.code == "Directory_ConcurrencyViolation" => {
                self.again(place, work, &part.code, now, rng);
            }
            _ => self.refused(place, work, part, now, rng),
        }
    }

    fn succeeded(
        &mut self,
        place: (Rank, usize),
        mut work: Work,
        part: &Part,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        let Some(target) = self.target(work.change).cloned() else { return };
        let has_anchor = |name: Option<&String>| name.is_some_and(|name| *name == target.as_str());
        let found = match &work.task {
            Task::FindUser { .. } | Task::FindDeleted { .. } => {
                part.objects.iter().find(|object| has_anchor(object.immutable_id.as_ref()))
            }
            Task::FindGroup => {
                part.objects.iter().find(|object| has_anchor(object.unique_name.as_ref()))
            }
            _ => part.objects.first(),
        };
        let found = found.map(|object| object.id);
        match (&work.task, found) {
            (Task::CreateUser | Task::UpsertGroup, Some(id)) => {
                self.ids.insert(target, id);
                self.restored(&work, false);
            }
            // It was there, or was made by the request whose answer was lost.
            (Task::FindUser { .. } | Task::FindGroup, Some(id)) => {
                self.ids.insert(target, id);
                work.task = if self.deletes(&work) { Task::Delete } else { Task::Update };
                work.attempts = 0;
                self.waiting.insert((work.rank(), place.1), work);
                return;
            }
            (Task::FindDeleted { conflict }, Some(id)) => {
                work.task = Task::Restore { id, conflict: conflict.clone() };
                self.waiting.insert((work.rank(), place.1), work);
                return;
            }
            // Those who have it are neither there nor in the recycle bin.
            (Task::FindDeleted { conflict }, None) => {
                work.task = Task::FindUser { conflict: Some(conflict.clone()) };
                return self.not_found(place, work, now, rng);
            }
            (Task::Restore { id, .. }, _) => {
                self.ids.insert(target, *id);
                self.restored(&work, true);
                (work.task, work.attempts) = (Task::Update, 0);
                self.waiting.insert((work.rank(), place.1), work);
                return;
            }
            (Task::CreateUser, None) => {
                return self.in_doubt(place, work, "a reply without an id", now, rng);
            }
            // It was there, and is as it should be: what is missing is its id.
            (Task::UpsertGroup, None) => {
                work.task = Task::FindGroup;
                self.waiting.insert((work.rank(), place.1), work);
                return;
            }
            (Task::FindUser { .. } | Task::FindGroup, None) => {
                return self.not_found(place, work, now, rng);
            }
            (Task::Delete, _) => {
                self.ids.remove(&target);
            }
            _ => {}
        }
        self.settled(&work);
    }

    /// Whether a piece of work is there for its object to go.
    fn deletes(&self, work: &Work) -> bool {
        matches!(self.changes.get(work.change), Some(Change::Delete { .. }))
    }

    /// Whether a piece of work is there for a photo to go.
    fn takes_photo_away(&self, work: &Work) -> bool {
        matches!(self.changes.get(work.change), Some(Change::Photo { photo: None, .. }))
    }

    /// Nobody has the anchor that was looked up.
    fn not_found(
        &mut self,
        place: (Rank, usize),
        mut work: Work,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        if self.deletes(&work) {
            // What is not there is gone.
            return self.settled(&work);
        }
        let Task::FindUser { conflict } = &work.task else {
            // A group that was there a moment ago: a replica that has not heard of it.
            return self.again(place, work, "the group is not found", now, rng);
        };
        match conflict.clone() {
            // The lost request never arrived.
            None => {
                work.task = Task::CreateUser;
                self.again(place, work, "the answer was lost", now, rng);
            }
            // The one with the anchor may be deleted.
            Some(conflict) if self.may_be_deleted(&work, &conflict) => {
                (work.task, work.is_sought) = (Task::FindDeleted { conflict }, true);
                self.waiting.insert((work.rank(), place.1), work);
            }
            // Another object has the value. It may let go of it: this waits until nothing else is to do.
            Some(_) if !work.is_last => {
                (work.task, work.attempts) = (Task::CreateUser, 0);
                (work.is_last, work.deferred) = (true, true);
                self.waiting.insert((work.rank(), place.1), work);
            }
            Some(_) if work.attempts < LOOKUPS_MAX => {
                self.again(place, work, "the value is taken", now, rng);
            }
            Some(property) => {
                self.fail(&work, Fault::Taken(property));
                self.settled(&work);
            }
        }
    }

    /// Keeps whether an object came out of the recycle bin.
    fn restored(&mut self, work: &Work, is_restored: bool) {
        if let Some(outcome) = self.outcomes.get_mut(work.change) {
            outcome.is_restored = is_restored;
        }
    }

    /// Whether the one who has a value that a user is to have may be the same user in the recycle bin.
    fn may_be_deleted(&self, work: &Work, conflict: &str) -> bool {
        let is_key = matches!(conflict, "onPremisesImmutableId" | "key");
        self.settings.restores_deleted && is_key && !work.is_sought
    }

    fn refused(
        &mut self,
        place: (Rank, usize),
        mut work: Work,
        part: &Part,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        let is_there = part.message.contains("object references already exist");
        let fault = match (&work.task, part.status) {
            // What came twice is done.
            (Task::Photo, 404) if self.takes_photo_away(&work) => {
                return self.succeeded(place, work, part, now, rng);
            }
            (Task::Delete | Task::Remove(_) | Task::ClearManager, 404) | (Task::Add(_), 400)
                if part.status == 404 || is_there =>
            {
                return self.succeeded(place, work, part, now, rng);
            }
            // Of several members Graph adds all or none: each for itself then.
            (Task::Bind(members), 400 | 404) => {
                for member in members.clone() {
                    self.enqueue(Work::new(work.change, Task::Add(member)));
                }
                return;
            }
            (Task::CreateUser, _) if part.conflict.is_some() => {
                work.task = Task::FindUser { conflict: part.conflict.clone() };
                self.waiting.insert((work.rank(), place.1), work);
                return;
            }
            (Task::Update, _) if part.conflict.is_some() && !work.is_last => {
                (work.is_last, work.deferred) = (true, true);
                self.waiting.insert((work.rank(), place.1), work);
                return;
            }
            // It was taken out of the recycle bin by a request whose answer was lost, or is gone for good: then it
            // is made anew.
            (Task::Restore { conflict, .. }, 400 | 404) if part.conflict.is_none() => {
                self.restored(&work, true);
                work.task = Task::FindUser { conflict: Some(conflict.clone()) };
                self.waiting.insert((work.rank(), place.1), work);
                return;
            }
            // The recycle bin does not answer: it is as if nobody had looked.
            (Task::FindDeleted { conflict }, _) => {
                work.task = Task::FindUser { conflict: Some(conflict.clone()) };
                return self.not_found(place, work, now, rng);
            }
            (Task::FindGroup, 404) => return self.not_found(place, work, now, rng),
            (Task::Update, 404) => {
                if let Some(target) = self.target(work.change).cloned() {
                    self.ids.remove(&target);
                }
                Fault::Vanished
            }
            (Task::Add(member), 404) => Fault::Absent(member.clone()),
            (_, 403) => Fault::Denied(part.message.clone()),
            _ if part.message.contains("on-premises mastered") => Fault::MasteredOnPremises,
            _ => match &part.conflict {
                Some(property) => Fault::Taken(property.clone()),
                None => Fault::Refused {
                    status: part.status,
                    code: part.code.clone(),
                    message: part.message.clone(),
                },
            },
        };
        self.fail(&work, fault);
        self.settled(&work);
    }

    fn throttled(
        &mut self,
        place: (Rank, usize),
        work: Work,
        part: &Part,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        let wait = match part.retry_after {
            Some(seconds) => Duration::seconds(seconds.into()),
            None => backoff(work.attempts + 1, rng),
        };
        (self.allowed, self.clean) = (1, 0);
        // The limit is the application's: what else would be sent meanwhile would be refused, too.
        self.pause(now + wait);
        self.postpone(place, work, now + wait);
    }

    /// Nothing was done, and being asked to wait is no fault: it is not counted as an attempt, and those
    /// before it are forgotten, for the target answers.
    fn postpone(&mut self, place: (Rank, usize), mut work: Work, until: OffsetDateTime) {
        work.attempts = 0;
        work.throttled += 1;
        if work.throttled >= THROTTLED_MAX {
            let last = format!("told to wait {THROTTLED_MAX} times");
            self.fail(&work, Fault::Unavailable { attempts: work.attempts, last });
            self.settled(&work);
            return;
        }
        work.not_before = Some(until);
        self.waiting.insert(place, work);
    }

    fn pause(&mut self, until: OffsetDateTime) {
        self.paused_until = Some(self.paused_until.map_or(until, |before| before.max(until)));
    }

    /// The request may have been carried out: what must not be done twice is looked up first.
    pub(super) fn in_doubt(
        &mut self,
        place: (Rank, usize),
        mut work: Work,
        said: &str,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        if matches!(work.task, Task::CreateUser) {
            work.task = Task::FindUser { conflict: None };
        }
        self.again(place, work, said, now, rng);
    }

    /// Sends a piece of work again after a while, unless it was sent too often.
    fn again(
        &mut self,
        place: (Rank, usize),
        mut work: Work,
        said: &str,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        work.attempts += 1;
        if work.attempts >= self.settings.attempts_max {
            let last = said.chars().take(300).collect();
            self.fail(&work, Fault::Unavailable { attempts: work.attempts, last });
            self.settled(&work);
            return;
        }
        work.not_before = Some(now + backoff(work.attempts, rng));
        self.waiting.insert((work.rank(), place.1), work);
    }
}

/// A wait after so many attempts: it doubles, and half of it is drawn, so that nobody waits in step.
pub(in crate::target::graph) fn backoff(attempts: u32, rng: &mut dyn Entropy) -> Duration {
    let doubled = BACKOFF_FIRST * 2_i32.saturating_pow(attempts.saturating_sub(1).min(16));
    let whole = doubled.min(BACKOFF_LONGEST);
    let mut octets = [0; 4];
    rng.fill(&mut octets);
    let drawn = f64::from(u32::from_le_bytes(octets)) / f64::from(u32::MAX);
    whole / 2 + whole / 2 * drawn
}
