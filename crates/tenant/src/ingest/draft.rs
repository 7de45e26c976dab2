//! The part of the directory that a batch looks at, in memory, and what the batch makes of it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Entropy, Guid, SourceAnchor};
use time::OffsetDateTime;

use super::names::Names;
use super::{Fault, Operation, Upsert, check_alone, is_enabled};
use crate::Tenant;
use crate::directory::{Kind, Name, Object, Reference};
use crate::storage::{Account, Credential, ReferenceChange, StorageError, Transaction};

/// What became of an operation: the object's id, or why it was refused.
type Outcome = Result<Option<Guid>, Fault>;

/// What a batch sees and changes.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Objects as they are by now, tombstones included.
    objects: BTreeMap<SourceAnchor, Object>,
    /// The users whose passwords are set and who are not among the objects.
    accounts: BTreeMap<SourceAnchor, Account>,
    /// Who has a name that the batch wants.
    names: BTreeMap<Name, Guid>,
    /// When the passwords were set of those whose passwords the batch sets.
    passwords_set_at: BTreeMap<Guid, OffsetDateTime>,
    changes: Changes,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Changes {
    objects: BTreeSet<SourceAnchor>,
    references: Vec<ReferenceChange>,
    /// To whom all references end, before those change.
    left: BTreeSet<SourceAnchor>,
    /// Passwords; `None` for those that are erased.
    credentials: BTreeMap<Guid, Option<Credential>>,
    /// Whose sessions end.
    ended: BTreeSet<Guid>,
}

impl Draft {
    /// Reads what the operations are about, in a few statements.
    pub(super) async fn read<T: Transaction>(
        tx: &mut T,
        operations: &[Result<Operation, Fault>],
    ) -> Result<Self, StorageError> {
        let (mut anchors, mut users) = (BTreeSet::new(), BTreeSet::new());
        let mut names = BTreeSet::new();
        for operation in operations.iter().flatten() {
            match operation {
                Operation::Credential { anchor, .. } => users.insert(anchor),
                operation => anchors.insert(operation.anchor()),
            };
            if let Operation::Upsert(upsert) = operation {
                names.extend(upsert.attributes.text("userPrincipalName").map(Name::principal));
            }
        }
        let mut draft = Self::default();
        let (anchors, users): (Vec<_>, Vec<_>) =
            (anchors.into_iter().collect(), users.into_iter().collect());
        if !anchors.is_empty() {
            let objects = tx.objects_by_anchor(&anchors).await?.into_iter();
            draft.objects = objects.filter_map(|o| Some((o.anchor.clone()?, o))).collect();
        }
        if !names.is_empty() {
            let names: Vec<_> = names.into_iter().collect();
            draft.names = tx.name_holders(&names).await?.into_iter().collect();
        }
        if !users.is_empty() {
            for account in tx.accounts(&users).await? {
                draft.passwords_set_at.extend(account.password_set_at.map(|at| (account.id, at)));
                draft.accounts.insert(account.anchor.clone(), account);
            }
        }
        Ok(draft)
    }

    /// Writes what changed, in a few statements.
    pub(super) async fn write<T: Transaction>(
        self,
        tx: &mut T,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let Changes { objects, references, left, credentials, ended } = self.changes;
        let objects: Vec<_> =
            objects.iter().filter_map(|anchor| self.objects.get(anchor)).collect();
        if !objects.is_empty() {
            tx.put_objects(&objects).await?;
        }
        if !left.is_empty() {
            tx.end_references_to(&left.iter().collect::<Vec<_>>()).await?;
        }
        if !references.is_empty() {
            tx.change_references(&references).await?;
        }
        let erased = credentials.iter().filter(|(_, credential)| credential.is_none());
        for (user, _) in erased {
            tx.erase_credential(*user).await?;
        }
        let set = credentials.iter().filter_map(|(user, set)| Some((*user, set.as_ref()?)));
        let set: Vec<_> = set.collect();
        if !set.is_empty() {
            tx.put_credentials(&set).await?;
        }
        if !ended.is_empty() {
            let ended: Vec<_> = ended.into_iter().collect();
            tx.end_sessions_of_all(&ended, now).await?;
        }
        Ok(())
    }

    /// Applies operations in order.
    pub(super) fn apply(
        &mut self,
        tenant: &Tenant,
        operations: Vec<Result<Operation, Fault>>,
        now: OffsetDateTime,
        rng: &mut (dyn Entropy + Send),
    ) -> Vec<Outcome> {
        let names = Names::plan(self, tenant, &operations);
        let mut apply = |(at, operation): (usize, Result<Operation, Fault>)| match operation? {
            Operation::Upsert(upsert) => {
                let mut octets = [0; 16];
                rng.fill(&mut octets);
                let new = Guid::from_random(octets);
                self.upsert(tenant, &names, at, upsert, new, now).map(Some)
            }
            Operation::Delete { anchor, kind } => self.delete(&anchor, kind, now),
            Operation::References { anchor, reference, added, removed } => {
                self.refer(&anchor, reference, added, removed).map(Some)
            }
            Operation::Credential { anchor, credential, changed_at } => {
                self.set_password(&anchor, Credential { credential, changed_at }).map(Some)
            }
        };
        operations.into_iter().enumerate().map(&mut apply).collect()
    }

    /// The object of an anchor, tombstones included.
    pub(super) fn object(&self, anchor: &SourceAnchor) -> Option<&Object> {
        self.objects.get(anchor)
    }

    /// Who has a name.
    pub(super) fn holder(&self, name: &Name) -> Option<Guid> {
        self.names.get(name).copied()
    }

    /// Takes a name from whoever has it.
    pub(super) fn release(&mut self, name: &Name) {
        self.names.remove(name);
    }

    /// Writes an object; a new one gets the id that was drawn for it.
    fn upsert(
        &mut self,
        tenant: &Tenant,
        names: &Names,
        at: usize,
        upsert: Upsert,
        new: Guid,
        now: OffsetDateTime,
    ) -> Result<Guid, Fault> {
        let before = self.objects.get(&upsert.anchor).cloned();
        check_alone(tenant, before.as_ref(), &upsert)?;
        names.check(self, at, before.as_ref(), &upsert.attributes)?;
        let Upsert { anchor, kind, attributes, members } = upsert;
        let object = Object {
            id: before.as_ref().map_or(new, |old| old.id),
            kind,
            anchor: Some(anchor.clone()),
            attributes,
            created_at: before.as_ref().map_or(now, |old| old.created_at),
            synchronised_at: Some(now),
            deleted_at: None,
        };
        let id = object.id;
        if before.as_ref().is_some_and(|old| is_enabled(old) && !is_enabled(&object)) {
            self.changes.ended.insert(id);
        }
        self.put(before.as_ref(), anchor, object);
        if let Some(members) = members {
            let change = ReferenceChange::whole(id, Reference::Members, &members);
            self.changes.references.push(change);
        }
        Ok(id)
    }

    fn put(&mut self, before: Option<&Object>, anchor: SourceAnchor, object: Object) {
        for name in before.into_iter().flat_map(Object::names) {
            if self.names.get(&name) == Some(&object.id) {
                self.names.remove(&name);
            }
        }
        self.names.extend(object.names().into_iter().map(|name| (name, object.id)));
        self.changes.objects.insert(anchor.clone());
        self.objects.insert(anchor, object);
    }

    fn delete(&mut self, anchor: &SourceAnchor, kind: Kind, now: OffsetDateTime) -> Outcome {
        let Some(before) = self.objects.get(anchor).cloned() else { return Ok(None) };
        if before.kind != kind {
            return Err(Fault::KindMismatch);
        }
        let id = before.id;
        if before.deleted_at.is_none() {
            let object =
                Object { deleted_at: Some(now), synchronised_at: Some(now), ..before.clone() };
            self.put(Some(&before), anchor.clone(), object);
            let gone = Reference::ALL.map(|reference| ReferenceChange::whole(id, reference, &[]));
            self.changes.references.extend(gone);
            // Who comes back is a member of nothing until it is said again.
            for earlier in &mut self.changes.references {
                earlier.added.retain(|added| added != anchor);
            }
            self.changes.left.insert(anchor.clone());
            self.changes.credentials.insert(id, None);
            self.changes.ended.insert(id);
            self.passwords_set_at.remove(&id);
        }
        Ok(Some(id))
    }

    /// Changes whom an object refers to. The object is there; whom it refers to may come later.
    fn refer(
        &mut self,
        anchor: &SourceAnchor,
        reference: Reference,
        added: Vec<SourceAnchor>,
        removed: Vec<SourceAnchor>,
    ) -> Result<Guid, Fault> {
        let object = self.objects.get(anchor).filter(|object| object.deleted_at.is_none());
        let from = match object {
            Some(object) if object.kind == reference.kind() => object.id,
            Some(_) => return Err(Fault::KindMismatch),
            None => return Err(Fault::UnknownAnchor),
        };
        let is_whole = reference.is_single() && !added.is_empty();
        let change = ReferenceChange { from, reference, is_whole, added, removed };
        self.changes.references.push(change);
        Ok(from)
    }

    /// Sets a password, and ends the user's sessions when it is another one than before.
    fn set_password(
        &mut self,
        anchor: &SourceAnchor,
        credential: Credential,
    ) -> Result<Guid, Fault> {
        let object = self.objects.get(anchor);
        let object = object.map(|object| (object.id, object.kind, object.deleted_at.is_some()));
        let account =
            || self.accounts.get(anchor).map(|user| (user.id, user.kind, user.is_deleted));
        let id = match object.or_else(account) {
            Some((id, Kind::User, false)) => id,
            Some((_, _, false)) => return Err(Fault::KindMismatch),
            _ => return Err(Fault::UnknownAnchor),
        };
        let changed_at = credential.changed_at;
        if self.passwords_set_at.insert(id, changed_at) != Some(changed_at) {
            self.changes.ended.insert(id);
        }
        self.changes.credentials.insert(id, Some(credential));
        Ok(id)
    }
}
