//! Whose password hashes are replicated, and what the tenant has acknowledged of them.

use std::collections::{BTreeSet, HashMap};

use portolan_model::{Guid, SourceAnchor};
use portolan_store::state::{Answer, Partition, State, StateError, TargetKey};
use portolan_sync::engine::ConnectorId;

/// Users whose credential is owed that are read at once.
const OWED_AT_ONCE: u32 = 5_000;

/// The users of a domain that sign in to a target with their password hash.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Scope<'a> {
    pub(in super::super) state: &'a State,
    /// The domain's naming context. An object of another one of its forest that its controller sends is one
    /// that moved here: it has the same objectGUID.
    pub(in super::super) of: Partition,
    pub(in super::super) target: ConnectorId,
}

impl Scope<'_> {
    /// What identifies those of the objects that are such users.
    pub(super) async fn anchors(
        &self,
        guids: &[Guid],
    ) -> Result<HashMap<Guid, SourceAnchor>, StateError> {
        let Self { of, target, .. } = *self;
        self.state.anchors_of_password_users(of.forest, target, guids).await
    }

    /// Those whose credential the target does not have.
    pub(super) async fn owed(&self) -> Result<Vec<Guid>, StateError> {
        let Self { of, target, .. } = *self;
        let mut owed = Vec::new();
        let mut after = TargetKey::default();
        loop {
            let some = self.state.owed(of, target, after, OWED_AT_ONCE).await?;
            let Some((last, _)) = some.last() else { return Ok(owed) };
            after = *last;
            owed.extend(some.into_iter().map(|(_, guid)| guid));
        }
    }

    /// Keeps that the target has these credentials.
    pub(super) async fn acknowledge(
        &self,
        guids: &[Guid],
        answer: Answer<'_>,
    ) -> Result<(), StateError> {
        let Self { of, target, .. } = *self;
        self.state.acknowledge_credentials(of.forest, target, guids, answer).await
    }

    /// Keeps that these have no password.
    pub(super) async fn without_password(&self, guids: &[Guid]) -> Result<(), StateError> {
        let Self { of, target, .. } = *self;
        self.state.note_without_password(of.forest, target, guids).await
    }

    /// The cursor of the replication.
    pub(super) async fn cursor(&self) -> Result<Option<Vec<u8>>, StateError> {
        self.state.replication_cursor(self.of).await
    }

    /// Commits the cursor, with the objects that it passes by.
    pub(super) async fn commit(
        &self,
        cursor: &[u8],
        passed_by: &BTreeSet<Guid>,
    ) -> Result<(), StateError> {
        let Self { of, target, .. } = *self;
        self.state.commit_replication_cursor(of, target, cursor, passed_by).await
    }
}
