//! The guard against deleting by accident.

use std::collections::BTreeMap;

use crate::kind::TenantKind;

/// Deletions of one kind that a run may make without anyone's word.
pub const DELETIONS_MAX: usize = 500;
/// The share of the exported objects of a kind, in percent, that a run may delete likewise.
pub const DELETIONS_PERCENT_MAX: usize = 10;
/// Deletions that are always let through, so that small tenants can be tidied.
pub const DELETIONS_FREE: usize = 10;

/// A plan that would take too much away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the run would delete {deletions} of {exported} exported {kind}s; at most {limit} go without a word"
)]
pub struct TooManyDeletions {
    /// The kind of object.
    pub kind: TenantKind,
    /// How many would be deleted.
    pub deletions: usize,
    /// How many the tenant holds.
    pub exported: usize,
    /// How many may be deleted without `--allow-deletions`.
    pub limit: usize,
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

/// What would be lost of each kind, out of what there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses(BTreeMap<TenantKind, Loss>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Loss {
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
        let loss = self.0.entry(kind).or_default();
        loss.lost += lost;
        loss.of += of;
    }

    /// How many objects would be lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.0.values().map(|loss| loss.lost).sum()
    }

    /// Lets an export through that does not take too much away. `allowed` is the number of deletions
    /// of a kind that the operator let through for this run.
    ///
    /// # Errors
    /// [`TooManyDeletions`] for the first kind above its limit.
    pub fn check_export(&self, allowed: usize) -> Result<(), TooManyDeletions> {
        self.first_above(allowed).map_or(Ok(()), |(kind, loss, limit)| {
            Err(TooManyDeletions { kind, deletions: loss.lost, exported: loss.of, limit })
        })
    }

    /// Believes a full read that does not lack too much of what was there.
    ///
    /// # Errors
    /// [`TooManyMissing`] for the first kind above its limit.
    pub fn check_read(&self, allowed: usize) -> Result<(), TooManyMissing> {
        self.first_above(allowed).map_or(Ok(()), |(kind, loss, limit)| {
            Err(TooManyMissing { kind, missing: loss.lost, before: loss.of, limit })
        })
    }

    fn first_above(&self, allowed: usize) -> Option<(TenantKind, Loss, usize)> {
        let above = |(kind, loss): (&TenantKind, &Loss)| {
            let limit = limit(loss.of);
            (loss.lost > limit.max(allowed)).then_some((*kind, *loss, limit))
        };
        self.0.iter().find_map(above)
    }
}

/// How many objects of a kind a run may take away when there are so many of them: 500 or 10 %,
/// whichever is less, but never under 10.
#[must_use]
pub fn limit(there: usize) -> usize {
    DELETIONS_MAX.min(there * DELETIONS_PERCENT_MAX / 100).max(DELETIONS_FREE)
}

impl portolan_model::Hint for TooManyDeletions {
    fn hint(&self) -> Option<String> {
        Some(format!(
            "look at `portolan connect plan`; if it is right, run once with --allow-deletions {}",
            self.deletions
        ))
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

    #[test]
    fn the_limit_is_the_lesser_of_both_but_never_under_ten() {
        let cases = [(0, 10), (50, 10), (150, 15), (4_000, 400), (100_000, 500)];
        for (exported, expected) in cases {
            assert_eq!(limit(exported), expected, "{exported}");
        }
    }

    #[test]
    fn one_more_than_the_limit_stops_the_run_unless_it_is_allowed() {
        let losses = |lost| {
            let mut losses = Losses::default();
            losses.add(TenantKind::Group, 0, 3);
            losses.add(TenantKind::User, lost, 150);
            losses
        };
        assert!(losses(15).check_export(0).is_ok() && losses(15).check_read(0).is_ok());
        let error = losses(16).check_export(0).unwrap_err();
        assert_eq!((error.limit, error.deletions, error.exported), (15, 16, 150));
        assert!(losses(16).check_export(15).is_err());
        assert!(losses(16).check_export(16).is_ok());
        let error = losses(16).check_read(0).unwrap_err();
        assert_eq!((error.limit, error.missing, error.before), (15, 16, 150));
        assert_eq!(losses(16).lost(), 16);
    }
}
