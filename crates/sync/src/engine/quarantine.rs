//! The guard over time: what would take too much away waits in quarantine until somebody releases it.
//!
//! Losses are counted by connected system and sort over a window that goes along, so that many small
//! runs take no more away than one. What is not lost goes on meanwhile.

use std::fmt;

use time::{Duration, OffsetDateTime};

use super::model::ConnectorId;
use crate::forest::ObjectKind;
use crate::guard::{DELETIONS_FREE, DELETIONS_MAX, DELETIONS_PERCENT_MAX};
use crate::kind::TenantKind;

/// Hours over which losses are counted together, unless the configuration says otherwise.
pub const WINDOW_HOURS: i64 = 24;

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// Objects of a forest that a full import does not show any more.
    Missing(ObjectKind),
    /// Objects of a target.
    Objects(TenantKind),
    /// References of a target's objects, such as members of groups.
    References,
    /// Groups of a target that keep no member.
    EmptiedGroups,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(kind) => {
                write!(f, "{}s of the forest", kind.as_str())
            }
            Self::Objects(kind) => write!(f, "{kind}s"),
            Self::References => f.write_str("memberships"),
            Self::EmptiedGroups => f.write_str("groups' last members"),
        }
    }
}

/// How much may be lost in a window without anyone's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// So many at most.
    pub count: u64,
    /// And this share at most, in percent of what there was when the window began.
    pub percent: u64,
    /// So many always, so that small systems can be tidied.
    pub free: u64,
    /// How long the window is.
    pub window: Duration,
}

impl Default for Allowance {
    /// What a single run may lose, in a day.
    fn default() -> Self {
        Self {
            count: DELETIONS_MAX as u64,
            percent: DELETIONS_PERCENT_MAX as u64,
            free: DELETIONS_FREE as u64,
            window: Duration::hours(WINDOW_HOURS),
        }
    }
}

/// Losses of one sort in one system, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toll {
    /// In which system.
    pub connector: ConnectorId,
    /// What is lost.
    pub loss: Loss,
    /// How many there are now.
    pub there: u64,
    /// How many were lost in the window already.
    pub lost: u64,
    /// How many are to be lost now.
    pub wanted: u64,
    /// How many somebody let through, for this time.
    pub released: u64,
}

/// Losses that wait until they are released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} of {there} {loss} would be lost, {lost} were in the last {} h; at most {limit} go without a word",
    window.whole_hours()
)]
pub struct Quarantined {
    /// In which system.
    pub connector: ConnectorId,
    /// What would be lost.
    pub loss: Loss,
    /// How many there are now.
    pub there: u64,
    /// How many were lost in the window already.
    pub lost: u64,
    /// How many would be lost now.
    pub wanted: u64,
    /// How many may be lost in the window.
    pub limit: u64,
    /// How long the window is.
    pub window: Duration,
}

impl Toll {
    /// Lets losses through, or puts all of this sort in quarantine. A release is for as many as were
    /// looked at: when more are to be lost since, all wait again.
    ///
    /// # Errors
    /// [`Quarantined`], with the numbers.
    pub fn judge(&self, allowance: &Allowance) -> Result<(), Quarantined> {
        let Self { connector, loss, there, lost, wanted, released } = *self;
        let limit = allowance.limit(there.saturating_add(lost));
        if wanted == 0 || wanted <= released || lost.saturating_add(wanted) <= limit {
            return Ok(());
        }
        let window = allowance.window;
        Err(Quarantined { connector, loss, there, lost, wanted, limit, window })
    }
}

impl Allowance {
    /// How many may be lost of those that there were when the window began.
    #[must_use]
    pub fn limit(&self, there: u64) -> u64 {
        let share = u128::from(there) * u128::from(self.percent) / 100;
        self.count.min(u64::try_from(share).unwrap_or(u64::MAX)).max(self.free)
    }

    /// How many were lost in the window, of losses with their times. What was released by hand counts as
    /// well. A time that is still to come is in the window: somebody set the clock back.
    pub fn lost(
        &self,
        losses: impl IntoIterator<Item = (OffsetDateTime, u64)>,
        now: OffsetDateTime,
    ) -> u64 {
        let begin = now.checked_sub(self.window);
        let in_window = |at: OffsetDateTime| begin.is_none_or(|begin| at > begin);
        let losses = losses.into_iter().filter(|(at, _)| in_window(*at));
        losses.fold(0, |sum, (_, count)| sum.saturating_add(count))
    }
}

impl portolan_model::Hint for Quarantined {
    fn hint(&self) -> Option<String> {
        let what = "look at `portolan connect plan`; if it is right, release it from quarantine";
        Some(format!("{what}, as {} losses", self.wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toll(there: u64, lost: u64, wanted: u64, released: u64) -> Toll {
        let (connector, loss) = (ConnectorId(1), Loss::Objects(TenantKind::User));
        Toll { connector, loss, there, lost, wanted, released }
    }

    #[test]
    fn many_small_runs_take_no_more_away_than_one() {
        let allowance = Allowance::default();
        let (mut there, mut lost) = (1_000, 0);
        while toll(there, lost, 9, 0).judge(&allowance).is_ok() {
            (there, lost) = (there - 9, lost + 9);
        }
        assert_eq!(lost, 99, "ten percent of those that there were");
        assert!(toll(1_000, 0, 100, 0).judge(&allowance).is_ok());
        assert_eq!(toll(1_000, 0, 101, 0).judge(&allowance).unwrap_err().limit, 100);
    }

    #[test]
    fn a_release_is_for_as_many_as_were_looked_at() {
        let allowance = Allowance::default();
        let cases =
            [(400, 0, false), (400, 399, false), (400, 400, true), (0, 0, true), (10, 0, true)];
        for (wanted, released, through) in cases {
            let judged = toll(1_000, 0, wanted, released).judge(&allowance);
            assert_eq!(judged.is_ok(), through, "{wanted} {released}");
        }
        let error = toll(1_000, 20, 400, 0).judge(&allowance).unwrap_err();
        assert_eq!(
            error.to_string(),
            "400 of 1000 users would be lost, 20 were in the last 24 h; at most 102 go without a word"
        );
    }

    #[test]
    fn what_was_lost_before_the_window_does_not_count_and_what_is_to_come_does() {
        let at = |hours: i64| OffsetDateTime::UNIX_EPOCH + Duration::hours(hours);
        let losses = [(at(0), 1), (at(1), 2), (at(24), 4), (at(30), 8)];
        let lost = |now: i64| Allowance::default().lost(losses, at(now));
        assert_eq!((lost(24), lost(25), lost(48), lost(60)), (14, 12, 8, 0));
    }

    #[test]
    fn the_limit_bears_every_number() {
        let all = Allowance { count: u64::MAX, percent: u64::MAX, free: 0, window: Duration::MAX };
        assert_eq!(all.limit(u64::MAX), u64::MAX);
        assert!(toll(u64::MAX, u64::MAX, u64::MAX, 0).judge(&all).is_ok());
        assert_eq!(all.lost([(OffsetDateTime::UNIX_EPOCH, 3)], OffsetDateTime::UNIX_EPOCH), 3);
    }
}
