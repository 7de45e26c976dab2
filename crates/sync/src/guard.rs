//! The guard against deleting by accident.

use crate::flow::TenantKind;

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

/// How many objects of a kind a run may delete when `exported` of them are in the tenant: 500 or
/// 10 %, whichever is less, but never under 10.
#[must_use]
pub fn limit(exported: usize) -> usize {
    DELETIONS_MAX.min(exported * DELETIONS_PERCENT_MAX / 100).max(DELETIONS_FREE)
}

/// Lets a number of deletions through, or not.
///
/// # Errors
/// [`TooManyDeletions`] above the limit.
pub fn check(kind: TenantKind, deletions: usize, exported: usize) -> Result<(), TooManyDeletions> {
    let limit = limit(exported);
    if deletions <= limit {
        return Ok(());
    }
    Err(TooManyDeletions { kind, deletions, exported, limit })
}

impl portolan_model::Hint for TooManyDeletions {
    fn hint(&self) -> Option<String> {
        Some(format!(
            "look at `portolan connect plan`; if it is right, run once with --allow-deletions {}",
            self.deletions
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
    fn one_more_than_the_limit_stops_the_run() {
        assert!(check(TenantKind::User, 15, 150).is_ok());
        let error = check(TenantKind::User, 16, 150).unwrap_err();
        assert_eq!((error.limit, error.deletions), (15, 16));
    }
}
