//! Whether an object is in a rule's scope.

use crate::record::{Record, ValueRef};
use crate::rules::{Clause, Operator, Scope};

/// Whether the scope holds the object.
pub(super) fn holds(scope: &Scope, record: &Record) -> bool {
    let clause = |clause: &Clause| {
        let mut values = record.values(clause.attribute);
        let found = match clause.operator {
            Operator::IsNull => values.is_empty(),
            _ => values.any(|value| {
                let folded = |value: ValueRef<'_>| value.to_text().to_lowercase();
                clause.values.iter().any(|wanted| folded(wanted.borrow()) == folded(value))
            }),
        };
        found != clause.negated
    };
    scope.groups.is_empty() || scope.groups.iter().any(|group| group.iter().all(clause))
}
