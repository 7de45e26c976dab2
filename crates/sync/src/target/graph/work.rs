//! The pieces that an export consists of.

use portolan_model::{Guid, SourceAnchor};
use time::OffsetDateTime;

/// What is sent first: lower ranks go before higher ones, as far as both can go.
pub(super) type Rank = u8;

/// What a piece of work asks for, of the object that its change is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    CreateUser,
    /// Look up who has the anchor: the answer to a creation was lost, or another object has the value of
    /// this property.
    FindUser {
        conflict: Option<String>,
    },
    /// Look up who has the anchor in the recycle bin: nobody else has it, and this property says that somebody
    /// does.
    FindDeleted {
        conflict: String,
    },
    /// Take the one of this id out of the recycle bin.
    Restore {
        id: Guid,
        conflict: String,
    },
    UpsertGroup,
    FindGroup,
    Update,
    /// Set the photo of its change, or take it away: a request that stands alone.
    Photo,
    Bind(Vec<SourceAnchor>),
    Add(SourceAnchor),
    Remove(SourceAnchor),
    SetManager(SourceAnchor),
    ClearManager,
    Delete,
}

/// A piece of work.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// The place of its change.
    pub(super) change: usize,
    pub(super) task: Task,
    /// How often it was sent and not answered well.
    pub(super) attempts: u32,
    /// How often it was told to wait.
    pub(super) throttled: u32,
    pub(super) not_before: Option<OffsetDateTime>,
    /// It goes when nothing else is left.
    pub(super) deferred: bool,
    /// It was deferred once: another conflict is final.
    pub(super) is_last: bool,
    /// The recycle bin was looked into.
    pub(super) is_sought: bool,
}

impl Work {
    pub(super) const fn new(change: usize, task: Task) -> Self {
        Self {
            change,
            task,
            attempts: 0,
            throttled: 0,
            not_before: None,
            deferred: false,
            is_last: false,
            is_sought: false,
        }
    }

    /// The members that come or go by it.
    pub(super) fn members(&self) -> &[SourceAnchor] {
        match &self.task {
            Task::Bind(members) => members,
            Task::Add(member) | Task::Remove(member) => std::slice::from_ref(member),
            _ => &[],
        }
    }

    /// Deletions give names free; what is named by others comes before them.
    pub(super) const fn rank(&self) -> Rank {
        match self.task {
            Task::Delete => 0,
            Task::FindUser { .. }
            | Task::FindDeleted { .. }
            | Task::Restore { .. }
            | Task::FindGroup => 1,
            Task::Update => 2,
            Task::CreateUser | Task::UpsertGroup => 3,
            Task::SetManager(_) | Task::ClearManager | Task::Photo => 4,
            Task::Remove(_) => 5,
            Task::Bind(_) | Task::Add(_) => 6,
        }
    }
}
