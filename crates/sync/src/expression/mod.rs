//! Expressions of flows.

use crate::dictionary::{AttributeId, Dictionary};

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no expression is known yet")]
pub struct ExpressionError;

impl Expression {
    /// An expression from its text.
    ///
    /// # Errors
    /// When it is none.
    pub const fn compile(_text: &str, _names: &mut Dictionary) -> Result<Self, ExpressionError> {
        Err(ExpressionError)
    }

    /// The attributes that it reads.
    #[must_use]
    pub const fn attributes(&self) -> &[AttributeId] {
        &[]
    }
}
