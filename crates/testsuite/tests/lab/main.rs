//! The lab-driven tests: the binary under test on real hosts, with foreign clients as witnesses.
//!
//! They need root and what `cargo xtask setup` installs, and are run by `cargo xtask test`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod changes;
mod closed_rows;
mod faults;
mod first_light;
mod holdings;
mod kills;
mod ldif;
mod rights;
mod world;
