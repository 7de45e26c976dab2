//! The engine: what becomes of objects of the forests, by the rules.

mod model;

pub use model::*;
