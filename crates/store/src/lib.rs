//! Storage: the engines' spaces in SQLite.

pub mod connector_space;
mod error;
mod sqlite;

pub use error::StoreError;
