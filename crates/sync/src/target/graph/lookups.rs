//! Reads of single things at Graph, twenty in a request: what each of them answers.
//!
//! A read that is told to wait, or that gets no answer, is sent again; it may come twice without harm. What
//! an answer means is whoever's who asked.

use std::collections::{BTreeMap, VecDeque};

use portolan_model::Entropy;
use serde_json::{Value as Json, json};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::change::Fault;
use super::exporter::{Action, BATCH_REQUESTS_MAX, Batch, Conversation, Settings, backoff};
use super::reply::{Answer, Reply};

/// How often a read may be told to wait.
const THROTTLED_MAX: u32 = 1_000;

/// What a read gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// This body.
    Found(Json),
    /// There is no such thing.
    Absent,
    /// It is not known.
    Failed(Fault),
}

/// A read that is not answered yet.
#[derive(Debug, Clone)]
struct Waiting {
    place: usize,
    /// How often it was sent and not answered well.
    attempts: u32,
    /// How often it was told to wait.
    throttled: u32,
    not_before: Option<OffsetDateTime>,
}

/// Reads under way.
#[derive(Debug)]
pub struct Lookups {
    settings: Settings,
    /// Addresses below the version.
    paths: Vec<String>,
    looked: Vec<Option<Looked>>,
    waiting: VecDeque<Waiting>,
    under_way: BTreeMap<u64, Vec<Waiting>>,
    /// Nothing is sent in front of this moment: the target said so.
    paused_until: Option<OffsetDateTime>,
    next_batch: u64,
}

impl Lookups {
    /// Reads of these addresses, each as in `/users/{id}`.
    #[must_use]
    pub fn new(paths: Vec<String>, settings: Settings) -> Self {
        let of = |place| Waiting { place, attempts: 0, throttled: 0, not_before: None };
        Self {
            settings,
            looked: paths.iter().map(|_| None).collect(),
            waiting: (0..paths.len()).map(of).collect(),
            paths,
            under_way: BTreeMap::new(),
            paused_until: None,
            next_batch: 1,
        }
    }

    /// What each read gave, in their order. One that is not settled yet is not known.
    #[must_use]
    pub fn finish(self) -> Vec<Looked> {
        let unsettled = || Fault::Unavailable { attempts: 0, last: "not asked".to_owned() };
        let looked = self.looked.into_iter();
        looked.map(|looked| looked.unwrap_or_else(|| Looked::Failed(unsettled()))).collect()
    }

    fn batch(&mut self, now: OffsetDateTime) -> Option<Batch> {
        let mut works = Vec::new();
        for _ in 0..self.waiting.len() {
            if works.len() >= BATCH_REQUESTS_MAX {
                break;
            }
            let Some(work) = self.waiting.pop_front() else { break };
            if work.not_before.is_some_and(|at| at > now) {
                self.waiting.push_back(work);
            } else {
                works.push(work);
            }
        }
        if works.is_empty() {
            return None;
        }
        let request = |(at, work): (usize, &Waiting)| {
            let url = self.paths.get(work.place).map(String::as_str).unwrap_or_default();
            json!({"id": (at + 1).to_string(), "method": "GET", "url": url})
        };
        let requests: Vec<_> = works.iter().enumerate().map(request).collect();
        let body = serde_json::to_vec(&json!({"requests": requests})).unwrap_or_default();
        let (number, requests) = (self.next_batch, works.len());
        self.next_batch += 1;
        self.under_way.insert(number, works);
        Some(Batch { number, requests, body: Zeroizing::new(body), alone: None })
    }

    fn settle(
        &mut self,
        mut work: Waiting,
        answer: Answer,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) {
        let looked = match answer.status {
            200..=299 => Looked::Found(answer.body),
            404 => Looked::Absent,
            429 => {
                let wait = answer.retry_after.map(|seconds| Duration::seconds(seconds.into()));
                let until = now + wait.unwrap_or_else(|| backoff(1, rng));
                work.throttled += 1;
                if work.throttled < THROTTLED_MAX {
                    self.paused_until = self.paused_until.max(Some(until));
                    work.not_before = Some(until);
                    self.waiting.push_back(work);
                    return;
                }
                let last = format!("told to wait {THROTTLED_MAX} times");
                Looked::Failed(Fault::Unavailable { attempts: work.attempts, last })
            }
            401 | 408 | 500..=599 => {
                if let Some(seconds) = answer.retry_after {
                    let until = now + Duration::seconds(seconds.into());
                    self.paused_until = self.paused_until.max(Some(until));
                }
                let said = format!("{} {}", answer.status, answer.part().message);
                return self.again(work, &said, now, rng);
            }
            403 => Looked::Failed(Fault::Denied(answer.part().message)),
            status => {
                let part = answer.part();
                Looked::Failed(Fault::Refused { status, code: part.code, message: part.message })
            }
        };
        self.give(work.place, looked);
    }

    fn again(&mut self, mut work: Waiting, said: &str, now: OffsetDateTime, rng: &mut dyn Entropy) {
        work.attempts += 1;
        if work.attempts >= self.settings.attempts_max {
            let last = said.chars().take(300).collect();
            let fault = Fault::Unavailable { attempts: work.attempts, last };
            return self.give(work.place, Looked::Failed(fault));
        }
        work.not_before = Some(now + backoff(work.attempts, rng));
        self.waiting.push_back(work);
    }

    fn give(&mut self, place: usize, looked: Looked) {
        if let Some(slot) = self.looked.get_mut(place) {
            *slot = Some(looked);
        }
    }
}

impl Conversation for Lookups {
    fn next(&mut self, now: OffsetDateTime, _: &mut dyn Entropy) -> Action {
        if self.waiting.is_empty() && self.under_way.is_empty() {
            return Action::Done;
        }
        if self.under_way.len() >= self.settings.batches_max.max(1) {
            return Action::Wait { until: None };
        }
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Action::Wait { until: Some(until) };
        }
        if let Some(batch) = self.batch(now) {
            return Action::Send(batch);
        }
        Action::Wait { until: self.waiting.iter().filter_map(|work| work.not_before).min() }
    }

    fn answered(&mut self, number: u64, reply: &Reply, now: OffsetDateTime, rng: &mut dyn Entropy) {
        let Some(works) = self.under_way.remove(&number) else { return };
        if !matches!(reply.status, 200..=299) {
            for work in works {
                self.settle(work, reply.as_answer(now), now, rng);
            }
            return;
        }
        let mut answers = BTreeMap::new();
        for (id, answer) in reply.answers(now).unwrap_or_default() {
            // Of two answers to one request the first counts.
            answers.entry(id).or_insert(answer);
        }
        for (at, work) in works.into_iter().enumerate() {
            match answers.remove(&(at + 1).to_string()) {
                Some(answer) => self.settle(work, answer, now, rng),
                None => self.again(work, "no reply to the request", now, rng),
            }
        }
    }

    fn lost(&mut self, number: u64, now: OffsetDateTime, rng: &mut dyn Entropy) {
        for work in self.under_way.remove(&number).into_iter().flatten() {
            self.again(work, "no reply", now, rng);
        }
    }

    fn paused_until(&self) -> Option<OffsetDateTime> {
        self.paused_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_000_000 + seconds).unwrap()
    }

    fn lookups(count: usize) -> Lookups {
        let base = "https://graph.cloud.example/v1.0".to_owned();
        let settings = Settings { base, batches_max: 2, attempts_max: 3, restores_deleted: false };
        Lookups::new((0..count).map(|at| format!("/users/{at}")).collect(), settings)
    }

    fn sent(action: Action) -> (u64, usize) {
        let Action::Send(batch) = action else { panic!("{action:?}") };
        (batch.number, batch.requests)
    }

    fn answer(lookups: &mut Lookups, batch: u64, responses: &Json, now: OffsetDateTime) {
        let body = json!({"responses": responses}).to_string().into_bytes();
        let reply = Reply { status: 200, retry_after: None, body };
        lookups.answered(batch, &reply, now, &mut Zeros);
    }

    #[test]
    fn twenty_go_in_a_batch_and_each_has_its_own_answer() {
        let mut lookups = lookups(21);
        assert_eq!(sent(lookups.next(at(0), &mut Zeros)), (1, 20));
        assert_eq!(sent(lookups.next(at(0), &mut Zeros)), (2, 1));
        assert_eq!(lookups.next(at(0), &mut Zeros), Action::Wait { until: None });
        let body = json!([{"id": "1", "status": 404, "body": {"error": {"code": "no"}}}]);
        answer(&mut lookups, 2, &body, at(0));
        let answers = (1..=20).map(|id| json!({"id": id.to_string(), "status": 200, "body": id}));
        answer(&mut lookups, 1, &answers.collect(), at(0));
        assert_eq!(lookups.next(at(0), &mut Zeros), Action::Done);
        let looked = lookups.finish();
        assert_eq!((&looked[0], &looked[19]), (&found(1), &found(20)));
        assert_eq!(looked[20], Looked::Absent);
    }

    fn found(number: u8) -> Looked {
        Looked::Found(json!(number))
    }

    #[test]
    fn a_service_that_is_not_available_is_asked_again_when_it_says() {
        let mut lookups = lookups(1);
        sent(lookups.next(at(0), &mut Zeros));
        let reply = Reply { status: 503, retry_after: Some("20".to_owned()), body: Vec::new() };
        lookups.answered(1, &reply, at(0), &mut Zeros);
        assert_eq!(lookups.next(at(19), &mut Zeros), Action::Wait { until: Some(at(20)) });
        assert_eq!(sent(lookups.next(at(20), &mut Zeros)), (2, 1));
    }

    #[test]
    fn who_is_told_to_wait_waits_and_who_gets_no_answer_asks_again_until_it_is_enough() {
        let mut lookups = lookups(2);
        sent(lookups.next(at(0), &mut Zeros));
        let wait = json!([{"id": "1", "status": 429, "headers": {"Retry-After": "7"}},
            {"id": "2", "status": 403, "body": {"error": {"message": "no"}}}]);
        answer(&mut lookups, 1, &wait, at(0));
        assert_eq!(lookups.next(at(1), &mut Zeros), Action::Wait { until: Some(at(7)) });
        assert_eq!(sent(lookups.next(at(7), &mut Zeros)), (2, 1));
        for batch in 2..=3 {
            lookups.lost(batch, at(7), &mut Zeros);
            let Action::Wait { until: Some(until) } = lookups.next(at(7), &mut Zeros) else {
                panic!("it is asked again at once")
            };
            assert_eq!(sent(lookups.next(until, &mut Zeros)), (batch + 1, 1));
        }
        lookups.lost(4, at(9), &mut Zeros);
        lookups.lost(4, at(9), &mut Zeros);
        assert_eq!(lookups.next(at(9), &mut Zeros), Action::Done);
        let gone = Fault::Unavailable { attempts: 3, last: "no reply".to_owned() };
        let denied = Looked::Failed(Fault::Denied("no".to_owned()));
        assert_eq!(lookups.finish(), [Looked::Failed(gone), denied]);
    }
}
