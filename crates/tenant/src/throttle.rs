//! How wrong passwords are slowed down.
//!
//! Ten wrong passwords in a row lock a name for a minute; each further one locks it for twice as
//! long, up to an hour. A right password, or a day without a wrong one, starts anew. Names that
//! nobody has are counted in the same way, so that locking tells nothing. While a name is locked,
//! no password is looked at.

use time::{Duration, OffsetDateTime};

/// Wrong passwords that are free.
pub const FAILURES_MAX: u32 = 10;

/// How long the first lock holds.
const LOCK_FIRST: Duration = Duration::MINUTE;

/// How long a lock holds at most.
const LOCK_MAX: Duration = Duration::HOUR;

/// After how long without a wrong password the count starts anew.
pub const FORGOTTEN_AFTER: Duration = Duration::DAY;

/// The count of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Wrong passwords in a row.
    pub failures: u32,
    /// When the last one came.
    pub failed_at: OffsetDateTime,
    /// Until when no password is looked at.
    pub locked_until: Option<OffsetDateTime>,
}

impl Throttle {
    /// Whether the name is locked.
    #[must_use]
    pub fn is_locked(&self, now: OffsetDateTime) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    /// The count after one more wrong password.
    #[must_use]
    pub fn after_failure(before: Option<Self>, now: OffsetDateTime) -> Self {
        let failures = before
            .filter(|before| now - before.failed_at < FORGOTTEN_AFTER)
            .map_or(1, |before| before.failures.saturating_add(1));
        let locked_until = failures.checked_sub(FAILURES_MAX).map(|doublings| {
            let factor = 2_i32.checked_pow(doublings).unwrap_or(i32::MAX);
            now + LOCK_FIRST.checked_mul(factor).unwrap_or(LOCK_MAX).min(LOCK_MAX)
        });
        Self { failures, failed_at: now, locked_until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::now;

    #[test]
    fn the_tenth_wrong_password_locks_and_each_further_one_doubles() {
        let mut throttle = None;
        for _ in 1..10 {
            let next = Throttle::after_failure(throttle, now());
            assert_eq!(next.locked_until, None, "{next:?}");
            throttle = Some(next);
        }
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let next = Throttle::after_failure(throttle, now());
            let until = now() + Duration::minutes(minutes);
            assert_eq!(next.locked_until, Some(until));
            assert!(next.is_locked(until - Duration::SECOND) && !next.is_locked(until));
            throttle = Some(next);
        }
        let end = Throttle { failures: u32::MAX, failed_at: now(), locked_until: None };
        let next = Throttle::after_failure(Some(end), now());
        assert_eq!(next.locked_until, Some(now() + Duration::HOUR));
    }

    #[test]
    fn a_day_without_a_wrong_password_starts_the_count_anew() {
        let before = Throttle { failures: 30, failed_at: now(), locked_until: None };
        assert_eq!(Throttle::after_failure(Some(before), now() + Duration::DAY).failures, 1);
    }
}
