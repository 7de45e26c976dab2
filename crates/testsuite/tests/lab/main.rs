//! The lab-driven tests: the binary under test on real hosts, with foreign clients as witnesses.
//!
//! They need root and what `cargo xtask setup` installs, and are run by `cargo xtask test`.

mod closed_rows;
mod first_light;
mod holdings;
mod ldif;
mod world;
