//! The guard against losing by accident: what would take too much away waits in quarantine until somebody
//! releases it.
//!
//! Losses are counted by sort over a window that goes along, so that many small runs take no more away than
//! one. Of a sort that is too much, nothing is lost: which part of it is the accident, nobody knows. All
//! else goes on. A full read of a forest that lacks too much is not believed at all.

use std::collections::BTreeMap;
use std::fmt;

use portolan_model::SourceAnchor;
use time::Duration;

use crate::kind::TenantKind;

/// Objects of a kind that may be lost in a window without anyone's word.
pub const DELETIONS_MAX: u64 = 500;
/// The share of the objects of a kind, in percent, that may be lost likewise.
pub const DELETIONS_PERCENT_MAX: u64 = 10;
/// Losses that are always let through, so that small tenants can be tidied.
pub const DELETIONS_FREE: u64 = 10;
/// Hours over which losses are counted together.
pub const WINDOW_HOURS: u16 = 24;

/// References that may be removed in a window likewise: so many at most, this share, and so many always.
const REFERENCES: (u64, u64, u64) = (5_000, 10, 100);
/// Members that one group may lose: more than half of them is most of them.
const MEMBERS: (u64, u64, u64) = (u64::MAX, 50, 10);

/// What is lost in a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Objects of a kind.
    Objects(TenantKind),
    /// References, of whatever object: members of groups, managers.
    References,
    /// The members of one group.
    Members(SourceAnchor),
}

/// How much may be lost in a window without anyone's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// So many objects of a kind at most.
    pub count: u64,
    /// And this share of them at most, in percent of what there was when the window began.
    pub percent: u64,
    /// How long the window is.
    pub window: Duration,
}

/// Losses of one sort, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toll {
    /// What is lost.
    pub loss: Loss,
    /// What people call the group.
    pub name: Option<String>,
    /// How many there are now.
    pub there: u64,
    /// How many were lost in the window already.
    pub lost: u64,
    /// How many are to be lost now.
    pub wanted: u64,
    /// How many somebody let through, above what goes without a word.
    pub released: u64,
}

/// Losses that wait until they are released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The losses.
    pub toll: Toll,
    /// How many may be lost in the window.
    pub limit: u64,
    /// How long the window is.
    pub window: Duration,
}

/// Everything that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quarantine(Vec<Quarantined>);

impl Default for Allowance {
    fn default() -> Self {
        Self {
            count: DELETIONS_MAX,
            percent: DELETIONS_PERCENT_MAX,
            window: Duration::hours(i64::from(WINDOW_HOURS)),
        }
    }
}

impl Allowance {
    /// How many may be lost of so many.
    #[must_use]
    pub fn limit(&self, loss: &Loss, there: u64) -> u64 {
        let (count, percent, free) = match loss {
            Loss::Objects(_) => (self.count, self.percent, DELETIONS_FREE),
            Loss::References => REFERENCES,
            Loss::Members(_) => MEMBERS,
        };
        let share = u128::from(there) * u128::from(percent) / 100;
        count.min(u64::try_from(share).unwrap_or(u64::MAX)).max(free)
    }

    /// Puts in quarantine what is too much.
    #[must_use]
    pub fn judge(&self, tolls: impl IntoIterator<Item = Toll>) -> Quarantine {
        let quarantined = |toll: Toll| {
            let limit = self.limit(&toll.loss, toll.there.saturating_add(toll.lost));
            let is_let_through =
                toll.lost.saturating_add(toll.wanted) <= limit.saturating_add(toll.released);
            let window = self.window;
            (toll.wanted > 0 && !is_let_through).then_some(Quarantined { toll, limit, window })
        };
        Quarantine(tolls.into_iter().filter_map(quarantined).collect())
    }
}

/// Fewer losses than any sort's limit: how many there are of it need not be known.
#[must_use]
pub const fn is_always_let_through(loss: &Loss, lost_and_wanted: u64) -> bool {
    let free = match loss {
        Loss::Objects(_) => DELETIONS_FREE,
        Loss::References => REFERENCES.2,
        Loss::Members(_) => MEMBERS.2,
    };
    lost_and_wanted <= free
}

impl Quarantine {
    /// What waits.
    pub fn iter(&self) -> impl Iterator<Item = &Quarantined> {
        self.0.iter()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether objects of a kind are not deleted.
    #[must_use]
    pub fn holds_objects(&self, kind: TenantKind) -> bool {
        self.holds(&|loss| *loss == Loss::Objects(kind))
    }

    /// Whether no reference of this object is removed.
    #[must_use]
    pub fn holds_references(&self, of: &SourceAnchor) -> bool {
        self.holds(&|loss| match loss {
            Loss::Objects(_) => false,
            Loss::References => true,
            Loss::Members(group) => group == of,
        })
    }

    fn holds(&self, is_it: &dyn Fn(&Loss) -> bool) -> bool {
        self.0.iter().any(|one| is_it(&one.toll.loss))
    }
}

impl Quarantined {
    /// How many have to be let through above what goes without a word, so that these are.
    #[must_use]
    pub fn to_release(&self) -> u64 {
        self.toll.lost.saturating_add(self.toll.wanted).saturating_sub(self.limit)
    }
}

impl Loss {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Objects(kind) => kind.as_str(),
            Self::References => "references",
            Self::Members(_) => "members",
        }
    }
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { toll: Toll { loss, name, there, lost, wanted, .. }, limit, window } = self;
        match loss {
            Loss::Objects(kind) => write!(f, "{wanted} of {there} {kind}s would be deleted")?,
            Loss::References => write!(f, "{wanted} of {there} references would be removed")?,
            Loss::Members(anchor) => {
                let name = name.as_deref().unwrap_or(anchor.as_str());
                write!(f, "the group {name:?} would lose {wanted} of {there} members")?;
            }
        }
        let hours = window.whole_hours();
        write!(f, ", {lost} were in the last {hours} h; at most {limit} go without a word")
    }
}

/// A full read that shows far fewer objects than the read before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the directory no longer shows {missing} of the {before} {kind}s that it had; at most {limit} are believed without a word"
)]
pub struct TooManyMissing {
    /// The kind of object.
    pub kind: TenantKind,
    /// How many are missing.
    pub missing: usize,
    /// How many there were.
    pub before: usize,
    /// How many may be missing without `--allow-deletions`.
    pub limit: usize,
}

/// What is missing of each kind, out of what there was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses(BTreeMap<TenantKind, Missing>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Missing {
    lost: usize,
    of: usize,
}

impl Losses {
    /// Counts an object that is there, and is kept or not.
    pub fn count(&mut self, kind: TenantKind, kept: bool) {
        self.add(kind, usize::from(!kept), 1);
    }

    /// Counts objects of a kind that are there, and how many of them are lost.
    pub fn add(&mut self, kind: TenantKind, lost: usize, of: usize) {
        let missing = self.0.entry(kind).or_default();
        missing.lost += lost;
        missing.of += of;
    }

    /// How many objects would be lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.0.values().map(|missing| missing.lost).sum()
    }

    /// Believes a full read that does not lack too much of what was there. `allowed` is the number of
    /// objects of a kind that the operator let go for this run.
    ///
    /// # Errors
    /// [`TooManyMissing`] for the first kind above its limit.
    pub fn check_read(&self, allowed: usize) -> Result<(), TooManyMissing> {
        let above = |(kind, missing): (&TenantKind, &Missing)| {
            let limit = Allowance::default().limit(&Loss::Objects(*kind), missing.of as u64);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            (missing.lost > limit.max(allowed)).then_some(TooManyMissing {
                kind: *kind,
                missing: missing.lost,
                before: missing.of,
                limit,
            })
        };
        self.0.iter().find_map(above).map_or(Ok(()), Err)
    }
}

impl portolan_model::Hint for TooManyMissing {
    fn hint(&self) -> Option<String> {
        Some(format!(
            "let the service account read all of the domain; if they are really gone, run once with --allow-deletions {}",
            self.missing
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: Loss = Loss::Objects(TenantKind::User);

    fn toll(loss: Loss, there: u64, lost: u64, wanted: u64, released: u64) -> Toll {
        Toll { loss, name: None, there, lost, wanted, released }
    }

    fn is_let_through(toll: Toll) -> bool {
        Allowance::default().judge([toll]).is_empty()
    }

    fn group() -> SourceAnchor {
        "Zm9v".parse().unwrap()
    }

    #[test]
    fn the_limit_is_the_lesser_of_both_but_never_under_ten() {
        let limit = |there| Allowance::default().limit(&USERS, there);
        let cases = [(0, 10), (50, 10), (150, 15), (4_000, 400), (100_000, 500)];
        for (there, expected) in cases {
            assert_eq!(limit(there), expected, "{there}");
        }
    }

    #[test]
    fn many_small_runs_take_no_more_away_than_one() {
        let (mut there, mut lost) = (1_000, 0);
        while is_let_through(toll(USERS, there, lost, 9, 0)) {
            (there, lost) = (there - 9, lost + 9);
        }
        assert_eq!(lost, 99, "ten percent of those that there were");
        assert!(is_let_through(toll(USERS, 1_000, 0, 100, 0)));
        assert!(!is_let_through(toll(USERS, 1_000, 0, 101, 0)));
        assert!(is_let_through(toll(USERS, 1_000, 900, 0, 0)), "nothing is to be lost");
    }

    #[test]
    fn a_release_is_for_as_many_as_were_looked_at_and_excuses_them_later() {
        let held = Allowance::default().judge([toll(USERS, 1_000, 20, 400, 0)]);
        let one = held.iter().next().unwrap();
        assert_eq!((one.limit, one.to_release()), (102, 318));
        assert_eq!(
            one.to_string(),
            "400 of 1000 users would be deleted, 20 were in the last 24 h; at most 102 go without a word"
        );
        assert!(is_let_through(toll(USERS, 1_000, 20, 400, 318)));
        assert!(!is_let_through(toll(USERS, 1_000, 20, 401, 318)), "one more since");
        assert!(!is_let_through(toll(USERS, 600, 420, 1, 318)), "the allowance is used up");
        assert!(is_let_through(toll(USERS, 600, 420, 1, 319)));
    }

    #[test]
    fn a_group_that_loses_most_of_its_members_waits_and_no_other() {
        let members = || Loss::Members(group());
        assert!(is_let_through(toll(members(), 10, 0, 10, 0)), "a small one");
        assert!(is_let_through(toll(members(), 100, 0, 50, 0)));
        assert!(!is_let_through(toll(members(), 100, 0, 51, 0)));
        assert!(!is_let_through(toll(members(), 60, 40, 11, 0)), "in several runs");
        let held = Allowance::default().judge([toll(members(), 100, 0, 51, 0)]);
        let other = "YmFy".parse().unwrap();
        assert!(held.holds_references(&group()) && !held.holds_references(&other));
        assert!(!held.holds_objects(TenantKind::Group));
        let many = Allowance::default().judge([toll(Loss::References, 100_000, 0, 5_001, 0)]);
        assert!(many.holds_references(&other), "of all of them");
        assert!(is_let_through(toll(Loss::References, 100_000, 0, 5_000, 0)));
    }

    #[test]
    fn what_is_too_much_of_one_kind_holds_no_other() {
        let held = Allowance::default().judge([
            toll(USERS, 150, 0, 16, 0),
            toll(Loss::Objects(TenantKind::Group), 3, 0, 3, 0),
        ]);
        assert!(held.holds_objects(TenantKind::User) && !held.holds_objects(TenantKind::Group));
        assert!(!held.holds_references(&group()));
    }

    #[test]
    fn a_read_that_lacks_one_more_than_the_limit_is_not_believed_unless_it_is_allowed() {
        let losses = |lost| {
            let mut losses = Losses::default();
            losses.add(TenantKind::Group, 0, 3);
            losses.add(TenantKind::User, lost, 150);
            losses
        };
        assert!(losses(15).check_read(0).is_ok());
        let error = losses(16).check_read(0).unwrap_err();
        assert_eq!((error.limit, error.missing, error.before), (15, 16, 150));
        assert!(losses(16).check_read(15).is_err());
        assert!(losses(16).check_read(16).is_ok());
        assert_eq!(losses(16).lost(), 16);
    }

    #[test]
    fn the_limit_bears_every_number() {
        let all = Allowance { count: u64::MAX, percent: u64::MAX, window: Duration::MAX };
        assert_eq!(all.limit(&USERS, u64::MAX), u64::MAX);
        assert!(all.judge([toll(USERS, u64::MAX, u64::MAX, u64::MAX, 0)]).is_empty());
    }
}
