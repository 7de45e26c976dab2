//! The stores: the engines' spaces and storage traits over SQLite.
//!
//! One module an engine; [`sqlite`] opens a database in the one way that all of them share, and [`vault`]
//! seals what is secret. No decision is made here: what a row means is the engine's business.

pub mod sqlite;
pub mod state;
pub mod tenant;
pub mod vault;
