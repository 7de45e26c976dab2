//! What of a tenant's knowledge is written to a forest, decided for each object by itself.

pub mod consistency_guid;
pub mod deletions;
pub mod devices;
pub mod groups;
