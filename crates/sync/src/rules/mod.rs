//! Rules: which objects are synchronised, what they join, and what flows.
//!
//! A [`RuleFile`] is read from TOML; the default set and the administrator's overlays together become
//! the [`Rules`] in force. [`Scope::holds`] says which objects a rule is for, and [`PinnedFilters`]
//! which are taken at all.

mod compile;
pub mod entra;
mod error;
mod filter;
mod holds;
mod keys;
mod lint;
mod model;
mod operators;
mod page;
mod raw;
mod reader;
mod set;
mod types;
mod write;

pub use compile::{BUILT_IN_PRECEDENCES, KEY_OCTETS_MAX, PRECEDENCE_MAX};
pub use error::{Place, RuleError};
pub use filter::{Criterion, Filter, Filters, Named, NoSuchObject, PinnedFilters, Standing};
pub use holds::Verdict;
pub use lint::{Finding, PARAMETERS, Severity, SystemNames, lint};
pub use model::*;
pub use operators::{Arity, NamedOperator, OPERATORS, operator, operator_name};
pub use page::page;
pub use raw::{FILE_OCTETS_MAX, RuleFile};
pub use set::{RULES_MAX, RuleNumbers, Rules};

#[cfg(test)]
mod tests;
