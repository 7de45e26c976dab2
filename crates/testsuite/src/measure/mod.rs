//! Measuring: ours beside a peer's or a limit, in the same run, and what of a process the system tells.
//!
//! The benchmarks under `benches` use it. They decide what is measured; `cargo xtask bench` shows the
//! figures.

mod figure;
mod forest;
mod person;
mod process;

pub use figure::{Better, Comparison, Figure, PAIRS, Peer, median, rounds};
pub use forest::{BulkForest, Cycle, Import, Manner};
pub use person::{TEXTS, person, sid};
pub use process::{Marked, Reading, watch};
