//! The lab-driven tests: the binary under test on real hosts, with foreign clients as witnesses.
//!
//! They need root and what `cargo xtask setup` installs, and are run by `cargo xtask test`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod account;
mod changes;
mod chart_forest;
mod chart_matrix;
mod clients;
mod closed_rows;
mod crashes;
mod engine;
mod families;
mod faults;
mod firewall;
mod firewall_formats;
mod first_light;
mod forests;
mod graph;
mod graph_repair;
mod graph_target;
mod holdings;
mod impact;
mod incremental;
mod kills;
mod lagging;
mod ldif;
mod lint;
mod passwords;
mod photos;
mod reach;
mod rights;
mod running;
mod safety;
mod scenarios;
mod spoilt;
mod states;
mod takeover;
mod world;
mod writeback;
mod writeback_devices;
