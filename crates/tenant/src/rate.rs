//! How many batches a sync server may send: a bucket that fills steadily and is drawn from by each.

use std::collections::BTreeMap;

use portolan_model::Guid;
use time::{Duration, OffsetDateTime};

/// Batches that may come at once.
pub const BATCHES_AT_ONCE_MAX: i64 = 1_000;

/// How long it takes until one more may come.
pub const BATCH_EVERY: Duration = Duration::milliseconds(50);

/// The buckets. Only servers that proved who they are have one, so there are as many as enrolled.
#[derive(Debug, Default)]
pub struct IngestRate(BTreeMap<Guid, OffsetDateTime>);

impl IngestRate {
    /// Whether a batch of this server may come now; it counts then.
    pub fn admit(&mut self, server: Guid, now: OffsetDateTime) -> bool {
        // The bucket is the moment at which it is full again.
        let full_at = self.0.get(&server).map_or(now, |&at| at.max(now)) + BATCH_EVERY;
        let may =
            full_at - now <= BATCH_EVERY * i32::try_from(BATCHES_AT_ONCE_MAX).unwrap_or(i32::MAX);
        if may {
            self.0.insert(server, full_at);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::now;

    #[test]
    fn a_server_that_sends_without_end_is_slowed_down_and_others_are_not() {
        let mut rate = IngestRate::default();
        let [one, other] = [1, 2].map(|octet| Guid::from_random([octet; 16]));
        for _ in 0..BATCHES_AT_ONCE_MAX {
            assert!(rate.admit(one, now()));
        }
        assert!(!rate.admit(one, now()));
        assert!(rate.admit(other, now()));
        let later = now() + BATCH_EVERY * 3;
        assert_eq!((0..5).filter(|_| rate.admit(one, later)).count(), 3);
    }
}
