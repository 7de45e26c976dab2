//! The functions, one table for each group of the published reference.

mod argument;
mod certificate;
mod conversion;
mod date;
mod directory;
mod evaluation;
mod flow;
mod math;
mod multivalued;
mod text;

use super::function::Function;

/// A group of functions.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) functions: &'static [Function],
}

/// All groups, in the order of the page.
pub(super) const GROUPS: &[Group] = &[
    Group { title: "Certificate", functions: certificate::FUNCTIONS },
    Group { title: "Conversion", functions: conversion::FUNCTIONS },
    Group { title: "Date and time", functions: date::FUNCTIONS },
    Group { title: "Directory", functions: directory::FUNCTIONS },
    Group { title: "Evaluation", functions: evaluation::FUNCTIONS },
    Group { title: "Math", functions: math::FUNCTIONS },
    Group { title: "Multi-valued", functions: multivalued::FUNCTIONS },
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
