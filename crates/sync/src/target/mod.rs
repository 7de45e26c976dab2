//! What changes are sent to, where it is no tenant of ours.

pub mod graph;
