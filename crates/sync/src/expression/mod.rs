//! Expressions: what a rule computes of an object's attributes, in the language of Entra Connect's
//! declarative provisioning ([concepts], [functions]).
//!
//! [`Expression::compile`] reads a text, resolves its names and checks its types; what comes of it is
//! evaluated for each object without reading the text again. The tables of functions are the one
//! source of the checks, the evaluation and the reference page ([`page`]).
//!
//! A function over single values goes over every value of an attribute that has several. Texts are
//! compared with case. An evaluation never panics, makes no value of more than
//! [`RESULT_OCTETS_MAX`] octets and takes at most [`STEPS_MAX`] steps; what goes wrong is an
//! [`EvaluationError`].
//!
//! [concepts]: https://learn.microsoft.com/entra/identity/hybrid/connect/concept-azure-ad-connect-sync-declarative-provisioning-expressions
//! [functions]: https://learn.microsoft.com/entra/identity/hybrid/connect/reference-connect-sync-functions-reference

mod compile;
mod error;
mod evaluate;
mod function;
mod functions;
mod kinds;
mod node;
mod operator;
mod syntax;
#[cfg(test)]
mod tests;
mod token;
mod value;

use std::cell::Cell;
use std::collections::BTreeMap;

use time::OffsetDateTime;

pub use error::{EvaluationError, ExpressionError, Mistake, Why};
pub use kinds::Kinds;
pub use value::{Datum, Outcome};

use crate::dictionary::{AttributeId, Dictionary};
use crate::source::Source;

/// Octets of an expression's text.
pub const TEXT_OCTETS_MAX: usize = 32 * 1024;
/// How many functions and parentheses may stand within each other.
pub const DEPTH_MAX: usize = 64;
/// Functions, operators' sides, attributes and constants in an expression.
pub const PARTS_MAX: usize = 4_096;
/// Values that a part of an expression may come to.
pub const VALUES_MAX: usize = 16_384;
/// Octets of a value that a function makes. What stands in an attribute passes whatever its size.
pub const RESULT_OCTETS_MAX: usize = 256 * 1024;
/// Steps of one evaluation: a function is one, as are 4 octets that it makes or 64 that it reads, and
/// each of several values counts 4.
pub const STEPS_MAX: usize = 1_000_000;

/// Values by name that differ from one connected system to another, such as `Forest.FQDN`. Case does
/// not count in names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<String, String>,
}

impl Parameters {
    /// Gives a parameter a value, in place of the one that it had.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_ascii_lowercase(), value.into());
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.value(&name.to_ascii_lowercase())
    }

    /// The value of a name in lower case.
    fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        let mut parameters = Self::default();
        for (name, value) in values {
            parameters.set(name.as_ref(), value);
        }
        parameters
    }
}

/// What an expression is evaluated with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The object whose attributes are read.
    pub source: &'a dyn Source,
    /// The object as the target has it, for `ImportedValue`; `None` when it is not there.
    pub imported: Option<&'a dyn Source>,
    /// The connected system's parameters.
    pub parameters: &'a Parameters,
    /// The time now.
    pub now: OffsetDateTime,
    /// The state of the random numbers: the same state gives the same numbers.
    pub random: &'a Cell<u64>,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    root: node::Node,
    attributes: Vec<AttributeId>,
    imported: Vec<AttributeId>,
    parameters: Vec<String>,
    kinds: Kinds,
}

impl Expression {
    /// Compiles a text. Attributes that the dictionary does not know are added to it.
    ///
    /// # Errors
    /// [`ExpressionError`] with the place of the first mistake.
    pub fn compile(text: &str, dictionary: &mut Dictionary) -> Result<Self, ExpressionError> {
        let part = syntax::parse(text)?;
        let mut compiler = compile::Compiler::new(dictionary);
        let (root, kinds) = compiler.part(&part, true)?;
        let compile::Compiler { mut attributes, mut imported, parameters, .. } = compiler;
        attributes.sort_unstable();
        imported.sort_unstable();
        Ok(Self { root, attributes, imported, parameters, kinds })
    }

    /// The value for an object.
    ///
    /// # Errors
    /// [`EvaluationError`]: a value is not what a function takes, the function Error was reached, or
    /// a limit.
    pub fn evaluate<'a>(&'a self, context: &Context<'a>) -> Result<Outcome<'a>, EvaluationError> {
        let run = evaluate::Run::new(context, STEPS_MAX);
        let operand = evaluate::evaluate(&self.root, &run, None).map_err(|failure| *failure)?;
        operand.into_outcome().map_err(|why| EvaluationError {
            offset: 0,
            function: "the result",
            argument: None,
            why,
        })
    }

    /// The attributes that are read, in ascending order. Those of `ImportedValue` are not among them.
    #[must_use]
    pub fn attributes(&self) -> &[AttributeId] {
        &self.attributes
    }

    /// The attributes that `ImportedValue` reads, in ascending order.
    #[must_use]
    pub fn imported_attributes(&self) -> &[AttributeId] {
        &self.imported
    }

    /// The names of the parameters that it needs, in lower case.
    #[must_use]
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// The types that its value can have: none when it never has one.
    #[must_use]
    pub const fn kinds(&self) -> Kinds {
        self.kinds
    }
}
