//! The engine: what becomes of objects of the forests, by the rules.

mod decision;
mod model;

pub use decision::*;
pub use model::*;
