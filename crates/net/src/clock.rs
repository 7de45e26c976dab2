//! The one clock. Decisions below this crate take the time as an argument; it is read here.

use std::time::Instant;

use time::OffsetDateTime;

/// The time of day in UTC, as this host believes it.
#[must_use]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A time that never goes back, for measuring how long something took.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}
