//! Storage: the engines' spaces in SQLite.

pub mod connector_space;
mod error;
mod sqlite;
pub mod tenant;

pub use error::StoreError;
