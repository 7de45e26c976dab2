//! Rules: which objects are synchronised, what they join, and what flows.

mod model;

pub use model::*;
