//! How much a writeback deletes without being asked about it.

/// Deletions of which nobody is asked, if they are no more than this part of what is there.
const DELETED_MAX: usize = 5;
const DELETED_PART: usize = 10;

/// A plan would delete too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{deleted} of {there} {what} would be deleted")]
pub struct TooManyDeleted {
    /// How many.
    pub deleted: usize,
    /// Of how many.
    pub there: usize,
    /// Of what, in the plural.
    pub what: &'static str,
}

/// Whether so many of what is there may be deleted. So many deletions may be `allowed` besides those of which
/// nobody is asked: a tenth of what is there, or five.
///
/// # Errors
/// When more would be, or everything at once.
pub const fn check(
    deleted: usize,
    there: usize,
    allowed: usize,
    what: &'static str,
) -> Result<(), TooManyDeleted> {
    let part = there / DELETED_PART;
    let free = if part > DELETED_MAX { part } else { DELETED_MAX };
    // Everything at once is never a matter of course.
    let is_all = deleted == there && deleted > 1;
    if deleted <= allowed || (deleted <= free && !is_all) {
        return Ok(());
    }
    Err(TooManyDeleted { deleted, there, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_deletions_than_a_matter_of_course_are_asked_about() {
        let judge = |deleted, there, allowed, expected: bool| {
            let judged = check(deleted, there, allowed, "groups");
            assert_eq!(judged.is_ok(), expected, "{deleted} of {there}, {allowed}");
        };
        judge(0, 0, 0, true);
        judge(1, 1, 0, true);
        judge(2, 2, 0, false);
        judge(2, 2, 2, true);
        judge(5, 20, 0, true);
        judge(6, 20, 0, false);
        judge(10, 100, 0, true);
        judge(11, 100, 0, false);
    }
}
