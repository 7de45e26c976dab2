//! Passwords that follow each other in a batch, set together.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Guid, SourceAnchor};
use time::OffsetDateTime;

use super::Fault;
use crate::directory::Kind;
use crate::storage::{Account, Credential, StorageError, Transaction};

/// Passwords that wait to be set, of each user no more than one.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    waiting: Vec<(SourceAnchor, Credential)>,
    anchors: BTreeSet<SourceAnchor>,
}

impl Passwords {
    /// Whether one waits for the user with this anchor.
    pub(super) fn has(&self, anchor: &SourceAnchor) -> bool {
        self.anchors.contains(anchor)
    }

    pub(super) fn add(&mut self, anchor: SourceAnchor, credential: Credential) {
        self.anchors.insert(anchor.clone());
        self.waiting.push((anchor, credential));
    }

    /// Sets those that wait, and ends the sessions of whose password is another one than before. Gives
    /// each user's id, or why theirs was refused, in the order in which they came.
    pub(super) async fn set<T: Transaction>(
        &mut self,
        tx: &mut T,
        now: OffsetDateTime,
    ) -> Result<Vec<Result<Option<Guid>, Fault>>, StorageError> {
        let Self { waiting, .. } = std::mem::take(self);
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let anchors: Vec<_> = waiting.iter().map(|(anchor, _)| anchor).collect();
        let accounts = tx.accounts(&anchors).await?;
        let accounts: BTreeMap<_, _> =
            accounts.iter().map(|account| (&account.anchor, account)).collect();
        let (mut set, mut changed, mut results) = (Vec::new(), Vec::new(), Vec::new());
        for (anchor, credential) in &waiting {
            let user = user(accounts.get(anchor).copied());
            if let Ok(user) = user {
                set.push((user.id, credential));
                if user.password_set_at.is_none_or(|before| before != credential.changed_at) {
                    changed.push(user.id);
                }
            }
            results.push(user.map(|user| Some(user.id)));
        }
        tx.put_credentials(&set).await?;
        tx.end_sessions_of_all(&changed, now).await?;
        Ok(results)
    }
}

/// The living user who an account is.
fn user(account: Option<&Account>) -> Result<&Account, Fault> {
    match account.filter(|account| !account.is_deleted) {
        Some(user) if user.kind == Kind::User => Ok(user),
        Some(_) => Err(Fault::KindMismatch),
        None => Err(Fault::UnknownAnchor),
    }
}
