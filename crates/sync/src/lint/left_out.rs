//! Objects that somebody may expect in the tenant and that are not synchronised at all.

use super::report::Report;
use super::rule::Rule;
use crate::scope::OutOfScope;

pub(super) fn look(report: &mut Report<'_, '_>) {
    if let Some(rule) = report.subject.left_out.filter(|rule| is_unexpected(*rule)) {
        report.find_of_object(Rule::LeftOut, rule.to_string());
    }
}

/// Whether an administrator can have meant it otherwise. What is the directory's own, Exchange's or a
/// synchronisation's stays out for good.
const fn is_unexpected(rule: OutOfScope) -> bool {
    matches!(
        rule,
        OutOfScope::NoAccountName
            | OutOfScope::ReplicationConflict
            | OutOfScope::GroupTooLarge
            | OutOfScope::NoMailAddress
    )
}
