//! The part of the directory that a batch looks at, in memory, and what the batch makes of it.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::{Entropy, Guid, SourceAnchor};
use time::OffsetDateTime;

use super::matching::counterpart;
use super::names::Names;
use super::quarantine::set_aside;
use super::{Done, Fault, Operation, Upsert, check_alone, is_enabled};
use crate::Tenant;
use crate::directory::{
    Definition, Kind, Name, Object, Photo, ProvisioningError, Reference, Value,
};
use crate::feature::{Feature, Features};
use crate::storage::{Account, Credential, ReferenceChange, StorageError, Transaction};

/// What became of an operation.
type Outcome = Result<Done, Fault>;

/// What a batch sees and changes.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Objects as they are by now, tombstones included.
    objects: BTreeMap<SourceAnchor, Object>,
    /// The users whose passwords are set and who are not among the objects.
    accounts: BTreeMap<SourceAnchor, Account>,
    /// Who has a name that the batch wants.
    names: BTreeMap<Name, Guid>,
    /// Those of them that are the cloud's own.
    strangers: BTreeMap<Guid, Object>,
    /// Those of the cloud's own objects that have a role.
    administrators: BTreeSet<Guid>,
    features: Features,
    /// The extensions of the schema, when the batch has values of any.
    extensions: BTreeMap<String, Definition>,
    /// What was set aside of each object.
    errors: BTreeMap<Guid, Vec<ProvisioningError>>,
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
    /// Photos; `None` for those that are removed.
    photos: BTreeMap<Guid, Option<Photo>>,
    /// Whose sessions end.
    ended: BTreeSet<Guid>,
    /// The objects of which something else is set aside than before.
    errors: BTreeSet<Guid>,
    /// The temporary names that were drawn.
    drawn: BTreeMap<Name, SourceAnchor>,
    /// Whether somebody may wait for what an object does not have any more.
    gives_up: bool,
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
                names.extend(Name::all(upsert.kind, &upsert.attributes));
            }
        }
        let mut draft = Self::default();
        let mut upserts = operations.iter().flatten();
        if upserts.any(|operation| {
            matches!(operation, Operation::Upsert(upsert)
            if upsert.attributes.extensions().next().is_some())
        }) {
            let all = tx.extensions().await?.into_iter();
            draft.extensions = all.map(|one| (one.name.clone(), one)).collect();
        }
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
        draft.read_strangers(tx).await?;
        if !users.is_empty() {
            for account in tx.accounts(&users).await? {
                draft.passwords_set_at.extend(account.password_set_at.map(|at| (account.id, at)));
                draft.accounts.insert(account.anchor.clone(), account);
            }
        }
        Ok(draft)
    }

    /// Reads what decides whether an object of the cloud is matched, and what was set aside before.
    async fn read_strangers<T: Transaction>(&mut self, tx: &mut T) -> Result<(), StorageError> {
        let known: BTreeSet<_> = self.objects.values().map(|object| object.id).collect();
        let others: BTreeSet<_> = self.names.values().copied().collect();
        let others: Vec<_> = others.difference(&known).copied().collect();
        if !others.is_empty() {
            let strangers = tx.objects_by_id(&others).await?.into_iter();
            let strangers = strangers.filter(Object::is_clouds_own);
            self.strangers = strangers.map(|object| (object.id, object)).collect();
        }
        let mine = self.objects.values().chain(self.strangers.values());
        let mine: Vec<_> = mine.filter(|o| o.is_clouds_own()).map(|object| object.id).collect();
        if !mine.is_empty() {
            self.administrators = tx.administrators(&mine).await?.into_iter().collect();
        }
        if !known.is_empty() {
            let known: Vec<_> = known.into_iter().collect();
            for error in tx.provisioning_errors(&known).await? {
                self.errors.entry(error.object).or_default().push(error);
            }
        }
        self.features = tx.features().await?;
        Ok(())
    }

    /// Writes what changed, in a few statements.
    pub(super) async fn write<T: Transaction>(
        self,
        tx: &mut T,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let Changes { objects, references, left, credentials, photos, ended, errors, .. } =
            self.changes;
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
        if !photos.is_empty() {
            let photos: Vec<_> = photos.iter().map(|(id, photo)| (*id, photo.as_ref())).collect();
            tx.put_photos(&photos).await?;
        }
        if !errors.is_empty() {
            let of = |id: &Guid| (*id, self.errors.get(id).cloned().unwrap_or_default());
            let errors: Vec<_> = errors.iter().map(of).collect();
            tx.put_provisioning_errors(&errors).await?;
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
        let fit = |operation| match operation {
            Ok(Operation::Upsert(upsert)) => self.fit(upsert).map(Operation::Upsert),
            other => other,
        };
        let operations: Vec<_> = operations.into_iter().map(fit).collect();
        let names = Names::plan(self, tenant, &operations);
        let mut apply = |(at, operation): (usize, Result<Operation, Fault>)| match operation? {
            Operation::Upsert(upsert) => self.upsert(tenant, (&names, at), upsert, now, rng),
            Operation::Delete { anchor, kind } => self.delete(&anchor, kind, now),
            Operation::References { anchor, reference, added, removed } => {
                self.refer(&anchor, reference, added, removed).map(done)
            }
            Operation::Photo { anchor, photo } => self.set_photo(&anchor, photo).map(done),
            Operation::Credential { anchor, credential, changed_at } => {
                self.set_password(&anchor, Credential { credential, changed_at }).map(done)
            }
        };
        operations.into_iter().enumerate().map(&mut apply).collect()
    }

    /// The object of an anchor, tombstones included.
    pub(super) fn object(&self, anchor: &SourceAnchor) -> Option<&Object> {
        self.objects.get(anchor)
    }

    /// The same, unless it is the cloud's own: of those, an upsert alone makes one a sync server's.
    pub(super) fn synchronised(&self, anchor: &SourceAnchor) -> Option<&Object> {
        self.object(anchor).filter(|object| !object.is_clouds_own())
    }

    /// Who has a name.
    pub(super) fn holder(&self, name: &Name) -> Option<Guid> {
        self.names.get(name).copied()
    }

    /// Takes a name from whoever has it.
    pub(super) fn release(&mut self, name: &Name) {
        self.names.remove(name);
    }

    /// An upsert whose extensions are as they are registered.
    fn fit(&self, mut upsert: Upsert) -> Result<Upsert, Fault> {
        let sent = upsert.attributes.extensions();
        let sent: Vec<_> = sent.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        for (name, value) in sent {
            let definition = self.extensions.get(&name);
            let definition = definition.filter(|one| one.kinds.contains(&upsert.kind));
            let definition = definition.ok_or_else(|| Fault::UnknownAttribute(name.clone()))?;
            let value =
                definition.fit(value).ok_or_else(|| Fault::InvalidExtension(name.clone()))?;
            let set = upsert.attributes.set_extension(&name, value);
            set.map_err(|_| Fault::InvalidExtension(name.clone()))?;
        }
        Ok(upsert)
    }

    /// Whether a switch is on.
    pub(super) fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// Whether an object of the cloud has a role.
    pub(super) fn is_administrator(&self, id: Guid) -> bool {
        self.administrators.contains(&id)
    }

    /// The object of the cloud that has a name.
    pub(super) fn stranger(&self, name: &Name) -> Option<&Object> {
        self.strangers.get(self.names.get(name)?)
    }

    /// What is set aside of an object.
    pub(super) fn errors(&self, id: Guid) -> &[ProvisioningError] {
        self.errors.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The temporary names that were drawn, and whose they are.
    pub(super) fn drawn(&self) -> BTreeMap<Name, Guid> {
        let id = |anchor| self.objects.get(anchor).map(|object: &Object| object.id);
        let drawn = self.changes.drawn.iter();
        drawn.filter_map(|(name, anchor)| Some((name.clone(), id(anchor)?))).collect()
    }

    /// Gives another temporary name to whoever has one.
    pub(super) fn rename(&mut self, name: &Name, anew: String) {
        let Some(anchor) = self.changes.drawn.remove(name) else { return };
        let Some(before) = self.objects.get(&anchor).cloned() else { return };
        let mut object = before.clone();
        let drawn = Name::principal(&anew);
        if object.attributes.set("userPrincipalName", Value::Text(anew)).is_ok() {
            self.put(Some(&before), anchor.clone(), object);
            self.changes.drawn.insert(drawn, anchor);
        }
    }

    /// Whether somebody may wait for what an object does not have any more.
    pub(super) const fn gives_names_up(&self) -> bool {
        self.changes.gives_up
    }

    fn put_errors(&mut self, id: Guid, errors: Vec<ProvisioningError>) {
        if self.errors(id) != errors.as_slice() {
            self.changes.errors.insert(id);
            self.changes.gives_up = true;
            self.errors.insert(id, errors);
        }
    }

    /// Writes an object; a new one gets an id.
    fn upsert(
        &mut self,
        tenant: &Tenant,
        (names, at): (&Names, usize),
        mut upsert: Upsert,
        now: OffsetDateTime,
        rng: &mut (dyn Entropy + Send),
    ) -> Outcome {
        let mut octets = [0; 16];
        rng.fill(&mut octets);
        let (before, matched) = counterpart(self, &upsert)?;
        check_alone(tenant, before.as_ref(), &upsert)?;
        let id = before.as_ref().map_or_else(|| Guid::from_random(octets), |old| old.id);
        let device = upsert.attributes.text("deviceId").filter(|_| upsert.kind == Kind::Device);
        let holder = device.and_then(|device| self.holder(&Name::device(device)));
        if holder.is_some_and(|holder| holder != id) {
            return Err(Fault::DeviceIdTaken);
        }
        let is_taken = names.check(self, at, before.as_ref(), &upsert.attributes).is_err();
        let whose = (id, before.as_ref());
        let aside = set_aside(self, tenant, whose, &mut upsert.attributes, is_taken, now, rng)?;
        let Upsert { anchor, kind, attributes, members, anew } = upsert;
        if let Some(name) = attributes.text("userPrincipalName").filter(|_| is_taken) {
            self.changes.drawn.insert(Name::principal(name), anchor.clone());
        }
        let object = Object {
            id,
            kind,
            anchor: Some(anchor.clone()),
            attributes,
            created_at: before.as_ref().map_or(now, |old| old.created_at),
            synchronised_at: Some(now),
            deleted_at: None,
        };
        self.strangers.remove(&id);
        if before.as_ref().is_some_and(|old| is_enabled(old) && !is_enabled(&object)) {
            self.changes.ended.insert(id);
        }
        if matched.is_some() {
            self.take_over(id);
        }
        self.put(before.as_ref(), anchor, object);
        if anew {
            self.forget_references(id);
            self.changes.photos.insert(id, None);
        }
        if let Some(members) = members {
            let change = ReferenceChange::whole(id, Reference::Members, &members);
            self.changes.references.push(change);
        }
        self.put_errors(id, aside.clone());
        Ok(Done { id: Some(id), matched, set_aside: aside })
    }

    /// Ends what an object had of the cloud: whoever made it there may know its password, and the forest
    /// alone says whom it refers to.
    fn take_over(&mut self, id: Guid) {
        self.forget_references(id);
        self.changes.credentials.insert(id, None);
        self.changes.photos.insert(id, None);
        self.changes.ended.insert(id);
    }

    /// Ends whomever an object refers to.
    fn forget_references(&mut self, id: Guid) {
        let gone = Reference::ALL.map(|reference| ReferenceChange::whole(id, reference, &[]));
        self.changes.references.extend(gone);
    }

    fn put(&mut self, before: Option<&Object>, anchor: SourceAnchor, object: Object) {
        let names = object.names();
        for name in before.into_iter().flat_map(Object::names) {
            self.changes.gives_up |= !names.contains(&name);
            if self.names.get(&name) == Some(&object.id) {
                self.names.remove(&name);
            }
        }
        self.names.extend(names.into_iter().map(|name| (name, object.id)));
        self.changes.objects.insert(anchor.clone());
        self.objects.insert(anchor, object);
    }

    fn delete(&mut self, anchor: &SourceAnchor, kind: Kind, now: OffsetDateTime) -> Outcome {
        let Some(before) = self.object(anchor).cloned() else { return Ok(Done::default()) };
        if before.is_clouds_own() {
            return Err(Fault::CloudsOwn);
        }
        if before.kind != kind {
            return Err(Fault::KindMismatch);
        }
        let id = before.id;
        if before.deleted_at.is_none() {
            let object =
                Object { deleted_at: Some(now), synchronised_at: Some(now), ..before.clone() };
            self.put(Some(&before), anchor.clone(), object);
            self.forget_references(id);
            // Who comes back is a member of nothing until it is said again.
            for earlier in &mut self.changes.references {
                earlier.added.retain(|added| added != anchor);
            }
            self.changes.left.insert(anchor.clone());
            self.changes.credentials.insert(id, None);
            self.changes.photos.insert(id, None);
            self.changes.ended.insert(id);
            self.passwords_set_at.remove(&id);
            self.put_errors(id, Vec::new());
        }
        Ok(done(id))
    }

    /// Changes whom an object refers to. The object is there; whom it refers to may come later.
    fn refer(
        &mut self,
        anchor: &SourceAnchor,
        reference: Reference,
        added: Vec<SourceAnchor>,
        removed: Vec<SourceAnchor>,
    ) -> Result<Guid, Fault> {
        let object = self.synchronised(anchor).filter(|object| object.deleted_at.is_none());
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

    fn set_photo(&mut self, anchor: &SourceAnchor, photo: Option<Photo>) -> Result<Guid, Fault> {
        let object = self.synchronised(anchor).filter(|object| object.deleted_at.is_none());
        match object.map(|object| (object.id, object.kind)) {
            Some((id, Kind::User)) => {
                self.changes.photos.insert(id, photo);
                Ok(id)
            }
            Some(_) => Err(Fault::KindMismatch),
            None => Err(Fault::UnknownAnchor),
        }
    }

    /// Sets a password, and ends the user's sessions when it is another one than before.
    fn set_password(
        &mut self,
        anchor: &SourceAnchor,
        credential: Credential,
    ) -> Result<Guid, Fault> {
        let object = self.synchronised(anchor);
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

/// What an operation did that found its object.
fn done(id: Guid) -> Done {
    Done { id: Some(id), ..Done::default() }
}
