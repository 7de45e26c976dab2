//! How often somebody may ask: a bucket that fills steadily and is drawn from by each request.

use std::collections::BTreeMap;
use std::net::IpAddr;

use portolan_model::Guid;
use time::{Duration, OffsetDateTime};

/// What a bucket holds, and how it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Draws that may come at once.
    pub at_once_max: i32,
    /// How long it takes until one more may come.
    pub every: Duration,
}

/// The batches of one sync server; how often a batch draws is said by [`draws_of_batch`].
pub const BATCHES: Bucket = Bucket { at_once_max: 1_000, every: Duration::milliseconds(50) };

/// Octets of a batch that draw once more: 500 usual objects are a few of these.
pub const OCTETS_OF_DRAW: usize = 256 * 1024;

/// Members in a batch that draw once more: each is a row to write.
pub const MEMBERS_OF_DRAW: usize = 2_000;

/// The requests to the sign-in host from one site ([`Client::site`](crate::throttle::Client::site)):
/// an office that comes to work is far below it, and whoever keeps asking leaves room for the others.
pub const REQUESTS: Bucket = Bucket { at_once_max: 1_000, every: Duration::milliseconds(20) };

/// The failures of one site that the sign-in log keeps: the log is bounded, and nobody is to push
/// other people's lines out of it.
pub const LOGGED_FAILURES: Bucket = Bucket { at_once_max: 1_000, every: Duration::seconds(4) };

/// Those who have a bucket at most. Full buckets are forgotten to make room.
const BUCKETS_MAX: usize = 65_536;

/// The buckets of one kind.
#[derive(Debug)]
pub struct Rate<Key> {
    bucket: Bucket,
    /// The moment at which each is full again.
    full_at: BTreeMap<Key, OffsetDateTime>,
}

/// The rates that a tenant keeps, in memory alone.
#[derive(Debug)]
pub struct Rates {
    /// Of sync servers that proved who they are.
    pub batches: Rate<Guid>,
    /// Of sites that ask the sign-in host for something.
    pub requests: Rate<IpAddr>,
    /// Of sites whose sign-ins fail.
    pub logged_failures: Rate<IpAddr>,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            batches: Rate::new(BATCHES),
            requests: Rate::new(REQUESTS),
            logged_failures: Rate::new(LOGGED_FAILURES),
        }
    }
}

impl<Key: Ord> Rate<Key> {
    /// Full buckets for everybody.
    #[must_use]
    pub const fn new(bucket: Bucket) -> Self {
        Self { bucket, full_at: BTreeMap::new() }
    }

    /// Whether so many draws of this one may come now; they count then. When there is no room for
    /// another bucket, nobody new may draw.
    pub fn admit(&mut self, key: Key, draws: i32, now: OffsetDateTime) -> bool {
        let Bucket { at_once_max, every } = self.bucket;
        let known = self.full_at.get(&key).copied();
        if known.is_none() && self.full_at.len() >= BUCKETS_MAX {
            self.full_at.retain(|_, at| *at > now);
            if self.full_at.len() >= BUCKETS_MAX {
                return false;
            }
        }
        // No bucket takes longer to fill: one that seems to was drawn from before the clock was set back.
        let before = known.filter(|at| *at - now <= every * at_once_max);
        let full_at = before.map_or(now, |at| at.max(now)) + every * draws;
        let may = full_at - now <= every * at_once_max;
        if may {
            self.full_at.insert(key, full_at);
        }
        may
    }
}

/// How often a batch of so many octets, with so many members of groups, draws.
#[must_use]
pub fn draws_of_batch(octets: usize, members: usize) -> i32 {
    let draws = octets / OCTETS_OF_DRAW + members / MEMBERS_OF_DRAW + 1;
    i32::try_from(draws).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::now;
    use crate::wire::BODY_OCTETS_MAX;

    #[test]
    fn who_asks_without_end_is_slowed_down_and_others_are_not() {
        let mut rate = Rate::new(BATCHES);
        for _ in 0..BATCHES.at_once_max {
            assert!(rate.admit(1, 1, now()));
        }
        assert!(!rate.admit(1, 1, now()));
        assert!(rate.admit(2, 1, now()));
        let later = now() + BATCHES.every * 3;
        assert_eq!((0..5).filter(|_| rate.admit(1, 1, later)).count(), 3);
        // A clock that was set back locks nobody out for longer than the bucket takes to fill.
        let back = now() - Duration::DAY;
        assert!(rate.admit(1, 1, back));
    }

    #[test]
    fn a_large_batch_counts_as_several() {
        let draws = [0, 1, OCTETS_OF_DRAW, BODY_OCTETS_MAX].map(|octets| draws_of_batch(octets, 0));
        assert_eq!(draws, [1, 1, 2, 17]);
        assert_eq!(draws_of_batch(0, 10 * MEMBERS_OF_DRAW), 11);
        let densest = draws_of_batch(BODY_OCTETS_MAX, BODY_OCTETS_MAX / "\"a\",".len());
        assert!(densest < BATCHES.at_once_max, "every batch that may be sent comes through");
        let mut rate = Rate::new(BATCHES);
        let sent = (0..).take_while(|_| rate.admit(1, 17, now())).count();
        assert_eq!(sent, 58, "of the largest, a quarter of a gigabyte at once");
    }

    #[test]
    fn the_buckets_do_not_grow_without_end() {
        let mut rate = Rate::new(REQUESTS);
        for key in 0..BUCKETS_MAX {
            assert!(rate.admit(key, 1, now()));
        }
        assert!(!rate.admit(BUCKETS_MAX, 1, now()), "no room");
        assert!(rate.admit(0, 1, now()), "who has a bucket keeps it");
        let later = now() + REQUESTS.every;
        assert!(rate.admit(BUCKETS_MAX, 1, later), "full buckets made room");
        assert_eq!(rate.full_at.len(), 2);
    }
}
