//! Rules: which objects are synchronised, what they join, and what flows.
//!
//! A [`RuleFile`] is read from TOML; the default set and the administrator's overlays together become
//! the [`Rules`] in force. [`Scope::holds`] says which objects a rule is for, and [`PinnedFilters`]
//! which are taken at all.

mod compile;
mod error;
mod filter;
mod holds;
mod keys;
mod model;
mod operators;
mod raw;
mod reader;
mod set;
mod types;

pub use compile::{BUILT_IN_PRECEDENCES, KEY_OCTETS_MAX, PRECEDENCE_MAX};
pub use error::{Place, RuleError};
pub use filter::{Criterion, Filter, Filters, Named, NoSuchObject, PinnedFilters, Standing};
pub use holds::Verdict;
pub use model::*;
pub use operators::{Arity, NamedOperator, OPERATORS, operator, operator_name};
pub use raw::{FILE_OCTETS_MAX, RuleFile};
pub use set::{RULES_MAX, RuleNumbers, Rules};

#[cfg(test)]
mod tests;
