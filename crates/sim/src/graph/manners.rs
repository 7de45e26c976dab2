//! Whether a server keeps to what Graph tells it: it sends nothing before the time of a `Retry-After` is over, and an
//! export takes no longer than the limits make it take, by a sane factor.

use http::header::RETRY_AFTER;
use http::{HeaderMap, Response};
use portolan_tenant::graph::throttle::Limits;
use serde_json::Value as Json;
use time::{Duration, OffsetDateTime};

use crate::check::{Law, Violation};

/// How much longer than it has to a cycle may take.
const FACTOR: f64 = 3.0;
/// What every cycle may take besides: waits in whole seconds, and lookups of what a replica does not know yet.
const ALLOWANCE: Duration = Duration::minutes(3);

/// What was seen of a server.
#[derive(Debug, Default)]
pub struct Manners {
    /// Nothing is to be sent in front of this moment: the server was told so.
    paused_until: Option<OffsetDateTime>,
    /// What Graph took in this cycle.
    taken: Taken,
    /// The first law that was broken.
    pub broken: Option<Violation>,
}

/// What requests came to.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    units: u64,
    writes: u64,
}

impl Manners {
    /// A server begins a cycle: one that was started anew knows nothing of what it was told.
    pub fn begin(&mut self) {
        (self.paused_until, self.taken) = (None, Taken::default());
    }

    /// A request is sent.
    pub fn sent(&mut self, now: OffsetDateTime) {
        let Some(until) = self.paused_until.filter(|until| now < *until) else { return };
        let how = format!("a request was sent {} before the time of Retry-After", until - now);
        self.broken.get_or_insert(Violation::of(Law::WaitsAsTold, how));
    }

    /// An answer arrives at the server.
    pub fn answered(&mut self, response: &Response<impl AsRef<[u8]>>, now: OffsetDateTime) {
        let mut waits = wait_of(response.headers()).into_iter().collect::<Vec<_>>();
        let body: Json = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
        for one in body["responses"].as_array().into_iter().flatten() {
            let text = one["headers"]["Retry-After"].as_str();
            waits.extend(text.and_then(|text| text.parse().ok()).map(Duration::seconds));
        }
        let until = waits.into_iter().max().map(|wait| now + wait);
        self.paused_until = self.paused_until.max(until);
    }

    /// Graph took a request, by the cost that it told.
    pub const fn cost(&mut self, units: u64, is_write: bool) {
        self.taken.units += units;
        self.taken.writes += is_write as u64;
    }

    /// A cycle in which nothing went wrong took so long, at these limits.
    pub fn took(&mut self, took: Duration, limits: &Limits) {
        let Taken { units, writes } = self.taken;
        let needed = |spent: u64, limit: portolan_tenant::graph::throttle::Limit| {
            limit.within * (spent as f64 / f64::from(limit.units))
        };
        let needed = needed(units, limits.pair_small).max(needed(writes, limits.pair_writes));
        let most = needed * FACTOR + ALLOWANCE;
        if took > most {
            let how =
                format!("{units} units and {writes} writes took {took}, and {needed} would do");
            self.broken.get_or_insert(Violation::of(Law::TakesNoLonger, how));
        }
    }
}

fn wait_of(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::seconds(seconds))
}
