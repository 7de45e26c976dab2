//! Core dumps: a copy of the memory on disk, with whatever secret is in it.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::report::Failure;

/// Switches core dumps off for this process, for good. Every role that holds keys, passwords or hashes
/// begins with it.
///
/// # Errors
/// When the system does not allow it; nothing secret may be read then.
pub fn forbid() -> Result<(), Failure> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| Failure::because("cannot switch core dumps off", &error))
}
