//! Numbers as a peer sent them, before anyone checked them.

use crate::error::{DecodeError, Fault};

/// A value from the wire. It leaves this wrapper by a check against a named limit, or with a
/// written reason why none is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untrusted<T> {
    value: T,
    offset: usize,
    field: &'static str,
}

impl<T> Untrusted<T> {
    /// Wraps a value read at `offset` as `field`.
    pub const fn new(value: T, offset: usize, field: &'static str) -> Self {
        Self { value, offset, field }
    }

    /// The value, unchecked. `_reason` says why every value is legal here.
    pub fn unchecked(self, _reason: &'static str) -> T {
        self.value
    }
}

impl<T: Copy + Into<u64>> Untrusted<T> {
    /// The value as a `usize` if it is at most `limit`.
    ///
    /// # Errors
    /// [`Fault::AboveLimit`] with both numbers.
    pub fn at_most(self, limit: usize) -> Result<usize, DecodeError> {
        let found: u64 = self.value.into();
        usize::try_from(found).ok().filter(|value| *value <= limit).ok_or_else(|| {
            DecodeError::new(
                self.offset,
                self.field,
                Fault::AboveLimit { found, limit: limit as u64 },
            )
        })
    }

    /// Nothing, if the value is exactly the `expected` one.
    ///
    /// # Errors
    /// [`Fault::Unexpected`] with what was found.
    pub fn exactly(self, expected: T, name: &'static str) -> Result<(), DecodeError> {
        let found: u64 = self.value.into();
        if found == expected.into() {
            return Ok(());
        }
        Err(DecodeError::new(self.offset, self.field, Fault::Unexpected { expected: name, found }))
    }

    /// What `parse` makes of the value.
    ///
    /// # Errors
    /// [`Fault::Unexpected`] when `parse` knows no such value.
    pub fn one_of<V>(
        self,
        expected: &'static str,
        parse: impl FnOnce(T) -> Option<V>,
    ) -> Result<V, DecodeError> {
        parse(self.value).ok_or_else(|| {
            DecodeError::new(
                self.offset,
                self.field,
                Fault::Unexpected { expected, found: self.value.into() },
            )
        })
    }
}
