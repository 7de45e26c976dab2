//! Seeds that are known to break a law and are not mended yet: a debt, which only shrinks. A test holds each to the law
//! that it breaks, so one that breaks it no longer leaves the list and becomes a test by name.

use crate::check::Law;

/// Them, and the laws that they break.
pub const OPEN: [(u64, Law); 0] = [];

/// Whether a seed is one of them.
#[must_use]
pub fn is_open(seed: u64) -> bool {
    OPEN.iter().any(|(open, _)| *open == seed)
}
