//! Errors that tell the operator what to do next.

/// An error with a next step. The binary prints it as a `hint:` line below the `error:` line.
pub trait Hint {
    /// What to do, as a clause in lower case without a full stop; `None` when nothing helps.
    fn hint(&self) -> Option<String>;
}
