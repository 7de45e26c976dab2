//! Expressions of flows.

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression;
