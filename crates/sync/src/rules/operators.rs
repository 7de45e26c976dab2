//! The names of what rule files say by name, each typed once.

use super::model::{Direction, Linking, Merge, MetaverseKind, Operator};

/// An operator as a rule file names it, and whether it is the negation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedOperator {
    /// Its name.
    pub name: &'static str,
    /// The operator.
    pub operator: Operator,
    /// Whether the condition is that it does not hold.
    pub negated: bool,
    /// How many values it takes.
    pub values: Arity,
    /// What it says, for the reference page.
    pub sentence: &'static str,
}

/// How many values an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// None.
    None,
    /// One or several, of which one has to hold.
    Some,
}

const fn row(
    name: &'static str,
    operator: Operator,
    negated: bool,
    sentence: &'static str,
) -> NamedOperator {
    let values = if matches!(operator, Operator::IsNull) { Arity::None } else { Arity::Some };
    NamedOperator { name, operator, negated, values, sentence }
}

/// Every operator by the name that Entra Connect gives it, and LIKE.
pub const OPERATORS: &[NamedOperator] = &[
    row("EQUAL", Operator::Equal, false, "a value is the one given"),
    row("NOTEQUAL", Operator::Equal, true, "no value is the one given"),
    row("LESSTHAN", Operator::LessThan, false, "a number is less"),
    row("LESSTHAN_OR_EQUAL", Operator::LessThanOrEqual, false, "a number is less or the same"),
    row("GREATERTHAN", Operator::GreaterThan, false, "a number is greater"),
    row(
        "GREATERTHAN_OR_EQUAL",
        Operator::GreaterThanOrEqual,
        false,
        "a number is greater or the same",
    ),
    row("CONTAINS", Operator::Contains, false, "a value has the text in it"),
    row("NOTCONTAINS", Operator::Contains, true, "no value has the text in it"),
    row("STARTSWITH", Operator::StartsWith, false, "a value begins with the text"),
    row("NOTSTARTSWITH", Operator::StartsWith, true, "no value begins with the text"),
    row("ENDSWITH", Operator::EndsWith, false, "a value ends with the text"),
    row("NOTENDSWITH", Operator::EndsWith, true, "no value ends with the text"),
    row("LIKE", Operator::Like, false, "a value is as the pattern, in which `*` is any text"),
    row("NOTLIKE", Operator::Like, true, "no value is as the pattern"),
    row("ISNULL", Operator::IsNull, false, "there is no value"),
    row("ISNOTNULL", Operator::IsNull, true, "there is a value"),
    row("ISIN", Operator::IsIn, false, "a value is one of those given"),
    row("ISNOTIN", Operator::IsIn, true, "no value is one of those given"),
    row("ISBITSET", Operator::IsBitSet, false, "all bits of the number given are set"),
    row("ISBITNOTSET", Operator::IsBitSet, true, "not all bits of the number given are set"),
    row("ISMEMBEROF", Operator::IsMemberOf, false, "a direct member of the group with this name"),
    row(
        "ISNOTMEMBEROF",
        Operator::IsMemberOf,
        true,
        "no direct member of the group with this name",
    ),
];

/// The operator with this name, in whatever case.
#[must_use]
pub fn operator(name: &str) -> Option<&'static NamedOperator> {
    OPERATORS.iter().find(|operator| operator.name.eq_ignore_ascii_case(name))
}

/// The name of an operator or its negation. Operators of order have no negation of their own, and are
/// only ever made without one.
#[must_use]
pub fn operator_name(operator: Operator, negated: bool) -> &'static str {
    let is = |row: &&NamedOperator| row.operator == operator && row.negated == negated;
    OPERATORS.iter().find(is).map_or("?", |row| row.name)
}

/// Directions by name.
pub const DIRECTIONS: &[(&str, Direction)] =
    &[("inbound", Direction::Inbound), ("outbound", Direction::Outbound)];

/// Kinds of the metaverse by name.
pub const METAVERSE_KINDS: &[(&str, MetaverseKind)] = &[
    ("person", MetaverseKind::Person),
    ("group", MetaverseKind::Group),
    ("device", MetaverseKind::Device),
];

/// What a rule does about links, by name.
pub const LINKINGS: &[(&str, Linking)] = &[
    ("provision", Linking::Provision),
    ("join", Linking::Join),
    ("sticky-join", Linking::StickyJoin),
];

/// How values go together, by name.
pub const MERGES: &[(&str, Merge)] = &[
    ("update", Merge::Update),
    ("merge", Merge::Merge),
    ("merge-case-insensitive", Merge::MergeCaseInsensitive),
];

/// The name of one of such a table.
#[must_use]
pub fn name_of<T: PartialEq + Copy>(table: &[(&'static str, T)], wanted: T) -> &'static str {
    table.iter().find(|(_, value)| *value == wanted).map_or("?", |(name, _)| name)
}
