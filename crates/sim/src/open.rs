//! Seeds that are known to break a law and are not mended yet: a debt, which only shrinks. A test holds each to the law
//! that it breaks, so one that breaks it no longer leaves the list and becomes a test by name.

use crate::check::Law;

/// Them, and the laws that they break.
pub const OPEN: [(u64, Law); 10] = [
    // What nobody answered before the power went is not counted by the guard.
    (10_278, Law::LosesNoMoreThanAllowed),
    (10_397, Law::LosesNoMoreThanAllowed),
    (10_579, Law::LosesNoMoreThanAllowed),
    (10_620, Law::LosesNoMoreThanAllowed),
    // A server that takes over never saw the anchor under which the other one wrote an object: it has another by now.
    (10_262, Law::NoDeletionWithoutACause),
    (100_149, Law::NoDeletionWithoutACause),
    // The same, where both anchors are seen.
    (10_478, Law::AnchorsStay),
    (10_713, Law::AnchorsStay),
    (100_348, Law::AnchorsStay),
    // A manager who comes back after a deletion without an answer is nobody's manager.
    (751, Law::NothingLost),
];

/// Whether a seed is one of them.
#[must_use]
pub fn is_open(seed: u64) -> bool {
    OPEN.iter().any(|(open, _)| *open == seed)
}
