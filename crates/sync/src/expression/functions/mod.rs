//! The functions, one table for each group of the published reference.

mod argument;
mod evaluation;
mod flow;
mod text;

use super::function::Function;

/// A group of functions.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) functions: &'static [Function],
}

/// All groups, in the order of the page.
pub(super) const GROUPS: &[Group] = &[
    Group { title: "Evaluation", functions: evaluation::FUNCTIONS },
    Group { title: "Program flow", functions: flow::FUNCTIONS },
    Group { title: "Text", functions: text::FUNCTIONS },
];

/// All functions.
pub(super) fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().flat_map(|group| group.functions)
}

/// The function of a name, whatever its case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name.eq_ignore_ascii_case(name))
}
