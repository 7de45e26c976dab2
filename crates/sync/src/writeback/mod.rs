//! What goes back from the tenant's knowledge into the forest, as decisions: [`consistency_guid`].

pub mod consistency_guid;
