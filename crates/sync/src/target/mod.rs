//! Targets that are no tenant of ours, as machines that give requests and take replies.

pub mod graph;

/// What kind of system a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetSystem {
    /// A tenant of ours.
    Tenant,
    /// Microsoft Graph.
    Graph,
}
