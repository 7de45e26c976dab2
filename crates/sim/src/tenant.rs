//! The tenant: its real decisions over its real store, by a clock and randomness of the seed; and the line to
//! it, on which requests and answers are lost, come twice and come late.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_app::connect::simulated::{Holding, Ingest, Origin as _, Owned, Tenancy};
use portolan_app::report::Failure;
use portolan_app::tenant::ingest::{self, Batch, Unwritten, batch_name};
use portolan_model::{Guid, Secret, SourceAnchor};
use portolan_store::tenant::SqliteStore;
use portolan_store::vault::MasterKeys;
use portolan_tenant::application::{Application, ROLE_INGEST};
use portolan_tenant::directory::{Kind, Object, Reference, Value};
use portolan_tenant::feature::Feature;
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use portolan_tenant::wire::{
    HeldObject, HeldResponse, IngestRequest, IngestResponse, ObjectsResponse, Operation,
    OperationResult, OwnedObject, ReferencesResponse, TenantResponse,
};
use portolan_tenant::{Digest, Tenant as Identity, held, lease};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::books::Books;
use crate::chance::{Chance, Virtual};
use crate::expected::{BRANCH, INITIAL, Shown, VERIFIED, number};
use crate::fault::{BATCH, Bug, Fuse};

/// Objects that are read at once.
const PAGE: u32 = 1_000;
/// The file of a tenant's store.
pub const FILE: &str = "tenant.sqlite";
/// The file of its backup.
const BACKUP: &str = "tenant.backup";

/// What goes wrong on the line during a cycle: each once in so many batches; never at 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    /// The tenant says to wait.
    pub throttled: usize,
    /// A request does not arrive.
    pub request_lost: usize,
    /// An answer does not.
    pub answer_lost: usize,
    /// A request arrives twice.
    pub twice: usize,
    /// One of before arrives again.
    pub late: usize,
}

/// What the tenant wrote, as the checkers read it.
#[derive(Debug, Default)]
pub struct Log {
    /// The number of the object that was written under each anchor.
    pub numbers: BTreeMap<String, String>,
    /// The anchors under which each object was written.
    pub anchors: BTreeMap<String, BTreeSet<String>>,
    /// The numbers of the objects that were deleted.
    pub deleted: BTreeSet<String>,
    /// Answers that were not the same to the same batch.
    pub unlike: Vec<String>,
    /// Batches of a server behind whose back another one had taken over.
    pub late: Vec<String>,
    /// What was written since it was last asked, for people.
    pub said: Vec<String>,
    /// What went, and what was let go.
    pub books: Books,
}

/// A tenant.
pub struct Tenant {
    directory: PathBuf,
    store: SqliteStore,
    identity: Identity,
    clock: Arc<Virtual>,
    chance: Chance,
    /// Batches that were written, with who sent them and their answers.
    written: Vec<(Vec<u8>, Guid, String)>,
    /// How often the lease was given to another server, or anew.
    pub grants: u64,
    /// How many of them the backup has.
    backed_up: Option<usize>,
    /// A bug that is put in, until it struck.
    bug: Option<Bug>,
    /// What it wrote.
    pub log: Log,
}

/// An object as it is shown, with its anchor and its number.
#[derive(Debug)]
pub struct Found {
    /// Its number, of which no other object should have the same.
    pub number: String,
    /// Its anchor.
    pub anchor: String,
    /// What it is.
    pub shown: Shown,
}

fn broken(error: &StorageError) -> Failure {
    Failure::because("the simulated tenant's store", error)
}

fn keys() -> Result<MasterKeys, Failure> {
    MasterKeys::new([("k1".to_owned(), Secret::new([7; 32]))])
        .map_err(|error| Failure::because("the simulated tenant's key", &error))
}

fn identity() -> Result<Identity, Failure> {
    let name = |name: &str| {
        name.parse().map_err(|error| Failure::because("the simulated tenant's name", &error))
    };
    let id = Guid::from_random([1; 16]);
    Ok(Identity {
        id,
        domain: name(INITIAL)?,
        verified_domains: vec![name(VERIFIED)?, name(BRANCH)?],
    })
}

/// The application of a sync server: of the first one, or of the second.
#[must_use]
pub fn sender(server: usize) -> Guid {
    Guid::from_random([if server == 0 { 2 } else { 3 }; 16])
}

impl Tenant {
    /// Makes the store that tenants begin with.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn found(directory: &Path) -> Result<(), Failure> {
        let store = SqliteStore::create(&directory.join(FILE), keys()?).await?;
        let mut tx = store.begin(Access::Write).await.map_err(|error| broken(&error))?;
        let now = crate::world::EPOCH;
        tx.put_tenant(&identity()?, now).await.map_err(|error| broken(&error))?;
        for server in 0..2 {
            let application = Application {
                client_id: sender(server),
                name: format!("connect {server}"),
                redirect_uris: Vec::new(),
                permissions: Vec::new(),
                roles: vec![ROLE_INGEST.to_owned()],
                keys: Vec::new(),
            };
            tx.put_application(&application).await.map_err(|error| broken(&error))?;
        }
        let joined = tx.join_group(sender(1), sender(0)).await;
        joined.map_err(|error| broken(&error))?;
        tx.commit().await.map_err(|error| broken(&error))?;
        store.close().await;
        Ok(())
    }

    /// Opens a tenant's store, with switches by chance.
    ///
    /// # Errors
    /// When it does not open.
    pub async fn open(
        directory: &Path,
        clock: Arc<Virtual>,
        mut chance: Chance,
        bug: Option<Bug>,
    ) -> Result<Self, Failure> {
        let store = SqliteStore::open(&directory.join(FILE), keys()?).await?;
        let mut tx = store.begin(Access::Write).await.map_err(|error| broken(&error))?;
        for feature in
            [Feature::QuarantineUponUpnConflict, Feature::QuarantineUponProxyAddressesConflict]
        {
            let is_on = chance.once_in(2);
            tx.put_feature(feature, is_on).await.map_err(|error| broken(&error))?;
        }
        tx.commit().await.map_err(|error| broken(&error))?;
        Ok(Self {
            directory: directory.to_owned(),
            store,
            identity: identity()?,
            clock,
            chance,
            written: Vec::new(),
            grants: 0,
            backed_up: None,
            bug,
            log: Log::default(),
        })
    }

    /// Copies the store, as a backup does.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub async fn back_up(&mut self) -> Result<(), Failure> {
        self.exchange(FILE, BACKUP).await?;
        self.backed_up = Some(self.written.len());
        Ok(())
    }

    /// Restores the last backup; says whether there was one.
    ///
    /// # Errors
    /// When it cannot be restored.
    pub async fn restore(&mut self) -> Result<bool, Failure> {
        let Some(had) = self.backed_up else { return Ok(false) };
        self.exchange(BACKUP, FILE).await?;
        self.written.truncate(had);
        Ok(true)
    }

    /// Copies a file of the store to another while the tenant is down, and starts it again.
    async fn exchange(&mut self, from: &str, to: &str) -> Result<(), Failure> {
        self.store.close().await;
        let at = |name: &str| self.directory.join(name);
        let copied = std::fs::copy(at(from), at(to));
        copied.map_err(|error| Failure::because("cannot copy the tenant's store", &error))?;
        self.store = SqliteStore::open(&at(FILE), keys()?).await?;
        Ok(())
    }

    /// Ends it.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Asks for the lease, or for more of it, as the tenant gives it: the epoch, and until when it is used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lease(
        &mut self,
        server: usize,
        request: &lease::Request,
    ) -> Result<Option<u64>, Failure> {
        let (by, now) = (sender(server), self.clock.now());
        let mut tx = self.store.begin(Access::Write).await.map_err(|error| broken(&error))?;
        let group = tx.sync_group(by).await.map_err(|error| broken(&error))?;
        let before = tx.lease(group).await.map_err(|error| broken(&error))?;
        let Ok(decision) = lease::decide(before.as_ref(), by, "sync", request, now) else {
            return Ok(None);
        };
        tx.put_lease(group, &decision.lease).await.map_err(|error| broken(&error))?;
        tx.commit().await.map_err(|error| broken(&error))?;
        if matches!(request, lease::Request::Acquire { .. }) {
            self.grants += 1;
        }
        Ok(Some(decision.lease.epoch))
    }

    /// The bug of a tenant that takes batches of whoever held the lease once.
    async fn ignores_epoch(&self, sent: &mut IngestRequest, by: Guid) -> Result<Guid, Failure> {
        if self.bug != Some(Bug::IgnoresEpoch) || sent.lease_epoch.is_none() {
            return Ok(by);
        }
        let mut tx = self.store.begin(Access::Read).await.map_err(|error| broken(&error))?;
        let group = tx.sync_group(by).await.map_err(|error| broken(&error))?;
        let lease = tx.lease(group).await.map_err(|error| broken(&error))?;
        let Some(lease) = lease else { return Ok(by) };
        sent.lease_epoch = Some(lease.epoch);
        Ok(lease.holder().map_or(by, |holder| holder.client_id))
    }

    /// What a request does, and its answer. `grant` is the number of the lease under which it was sent.
    async fn take(&mut self, octets: &[u8], by: Guid, grant: u64) -> Result<String, Failure> {
        let mut sent: IngestRequest = serde_json::from_slice(octets)
            .map_err(|error| Failure::because("the request is not understood", &error))?;
        let id = sent.batch.parse().map_err(|_| Failure::new("the batch has no name"))?;
        let known = self.written.iter().find(|(before, ..)| before == octets);
        let known = known.map(|(.., answer)| answer.clone());
        let by = self.ignores_epoch(&mut sent, by).await?;
        let lost = self.loses(&mut sent, known.is_some());
        let other = self.sends_otherwise(&mut sent, known.is_some());
        let operations = sent.operations.clone();
        let mut digest = by.to_string().into_bytes();
        digest.extend(octets);
        let batch = Batch { sender: by, id, digest: Digest::of(&digest), sent };
        let tx = self.store.begin(Access::Write).await.map_err(|error| broken(&error))?;
        let now = self.clock.now();
        let written = ingest::write(tx, &self.identity, batch, now, &mut self.chance).await;
        let mut answer = written.map_err(|unwritten| match unwritten {
            Unwritten::Storage(error) => broken(&error),
            other => Failure::new(format!("the tenant refuses the batch: {other:?}")),
        })?;
        if let Some((other, anchor)) = other {
            answer = answer.replace(&other, &anchor);
        }
        if let Some((at, result)) = lost {
            answer = with_result(&answer, at, result)?;
        }
        if self.bug == Some(Bug::AnswersOtherwise) && known.is_some() {
            answer.push(' ');
        }
        match known {
            Some(known) if known == answer => {}
            Some(_) => self.log.unlike.push(id.to_string()),
            None => {
                if grant < self.grants {
                    self.log.late.push(id.to_string());
                }
                self.note(&operations, &answer)?;
                self.written.push((octets.to_vec(), by, answer.clone()));
                self.strike(&operations).await?;
            }
        }
        Ok(answer)
    }

    /// Keeps for the checkers what was written.
    fn note(&mut self, operations: &[Operation], answer: &str) -> Result<(), Failure> {
        let answer: IngestResponse = serde_json::from_str(answer)
            .map_err(|error| Failure::because("the answer is not understood", &error))?;
        for (operation, result) in operations.iter().zip(&answer.results) {
            let words = self.words(operation);
            if result.status != "ok" {
                let why = result.message.clone().unwrap_or_default();
                self.log.said.push(format!("refuses: {words}: {why}"));
                continue;
            }
            self.log.said.push(format!("writes: {words}"));
            let anchor = operation.anchor().to_owned();
            match operation {
                Operation::Upsert { attributes, .. } => {
                    let display = attributes.get("displayName").and_then(|name| name.as_str());
                    if let Some(number) = display.and_then(number) {
                        self.log.anchors.entry(number.clone()).or_default().insert(anchor.clone());
                        self.log.numbers.insert(anchor, number);
                    }
                }
                Operation::Delete { kind, .. } => {
                    if let Some(number) = self.log.numbers.get(&anchor) {
                        self.log.books.deleted(number, kind, self.clock.now());
                        self.log.deleted.insert(number.clone());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An operation, for people.
    fn words(&self, operation: &Operation) -> String {
        let name = |anchor: &String| {
            self.log.numbers.get(anchor).cloned().unwrap_or_else(|| anchor.clone())
        };
        let names = |anchors: &[String]| anchors.iter().map(name).collect::<Vec<_>>().join(" ");
        let who = name(&operation.anchor().to_owned());
        match operation {
            Operation::Upsert { anchor, kind, attributes, anew, .. } => {
                let display = attributes.get("displayName").and_then(|name| name.as_str());
                let who = display.and_then(number).unwrap_or_default();
                let anew = if *anew { ", anew" } else { "" };
                format!("{kind} {who} as {anchor}{anew}")
            }
            Operation::Delete { kind, .. } => format!("{kind} {who} goes"),
            Operation::References { attribute, added, removed, .. } => {
                let (added, removed) = (names(added), names(removed));
                format!("{attribute} of {who}: come {added:?}, go {removed:?}")
            }
            Operation::Photo { .. } | Operation::Credential { .. } => who,
        }
    }

    /// The bug of an operation that is acknowledged and not written: what is said of it.
    fn loses(
        &mut self,
        sent: &mut IngestRequest,
        is_known: bool,
    ) -> Option<(usize, OperationResult)> {
        if self.bug != Some(Bug::LosesAcknowledged) || is_known {
            return None;
        }
        let is_upsert = |operation: &Operation| matches!(operation, Operation::Upsert { .. });
        let at = sent.operations.iter().position(is_upsert)?;
        let operation = sent.operations.remove(at);
        self.bug = None;
        let result = OperationResult {
            anchor: operation.anchor().to_owned(),
            status: "ok".to_owned(),
            code: None,
            message: None,
            id: None,
            matched: None,
            quarantined: Vec::new(),
        };
        Some((at, result))
    }

    /// The bugs of a server that sends a deletion without a cause, or what was written before under another
    /// anchor: that one, and the right one.
    fn sends_otherwise(
        &mut self,
        sent: &mut IngestRequest,
        is_known: bool,
    ) -> Option<(String, String)> {
        let bug = self.bug.filter(|_| !is_known)?;
        let again = sent.operations.iter_mut().find(|operation| {
            let is_group = matches!(operation, Operation::Upsert { kind, .. } if kind == "group");
            is_group && self.log.numbers.contains_key(operation.anchor())
        })?;
        let right = again.anchor().to_owned();
        let other = format!("{right}x");
        match (bug, &mut *again) {
            (Bug::SendsDeletion, _) => {
                *again = Operation::Delete { anchor: right, kind: "group".to_owned() };
                self.bug = None;
                None
            }
            (Bug::ChangesAnchor, Operation::Upsert { anchor, .. }) => {
                anchor.clone_from(&other);
                self.bug = None;
                Some((other, right))
            }
            _ => None,
        }
    }

    /// The bugs of a tenant that does what nobody asked it to.
    async fn strike(&mut self, operations: &[Operation]) -> Result<(), Failure> {
        let upsert = operations.iter().find_map(|operation| match operation {
            Operation::Upsert { anchor, kind, attributes, .. } if kind == "group" => {
                Some((anchor.clone(), kind.clone(), attributes.clone()))
            }
            _ => None,
        });
        let Some((anchor, kind, attributes)) = upsert else { return Ok(()) };
        let other = format!("{anchor}x");
        let again = |anchor: &str| Operation::Upsert {
            anchor: anchor.to_owned(),
            kind: kind.clone(),
            attributes: attributes.clone(),
            members: None,
            anew: false,
        };
        let delete = Operation::Delete { anchor: anchor.clone(), kind: kind.clone() };
        let unasked = match self.bug {
            Some(Bug::WritesTwice) => vec![again(&other)],
            Some(Bug::DeletesUnasked) => vec![delete],
            Some(Bug::AddsMember) => vec![Operation::References {
                anchor: anchor.clone(),
                attribute: "members".to_owned(),
                added: vec![anchor.clone()],
                removed: Vec::new(),
            }],
            _ => return Ok(()),
        };
        self.bug = None;
        let mut tx = self.store.begin(Access::Write).await.map_err(|error| broken(&error))?;
        let checked = unasked.iter().map(Operation::check).collect();
        let now = self.clock.now();
        let applied = portolan_tenant::ingest::apply_batch(
            &mut tx,
            &self.identity,
            checked,
            now,
            &mut self.chance,
        );
        let applied = applied.await.map_err(|error| broken(&error))?;
        tx.commit().await.map_err(|error| broken(&error))?;
        if let Some(Err(fault)) = applied.outcomes.iter().find(|outcome| outcome.is_err()) {
            return Err(Failure::because("the bug does not strike", fault));
        }
        Ok(())
    }

    /// Everything that it has of the sync server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn shown(&self) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        let mut tx = self.store.begin(Access::Read).await.map_err(|error| broken(&error))?;
        for (kind, word) in
            [(Kind::User, "user"), (Kind::Contact, "contact"), (Kind::Group, "group")]
        {
            let objects = tx.objects(kind, None, PAGE).await.map_err(|error| broken(&error))?;
            for object in objects {
                let mut members = BTreeSet::new();
                let mut manager = None;
                if kind == Kind::Group {
                    let there = tx.members(object.id, None, PAGE).await;
                    let there = there.map_err(|error| broken(&error))?;
                    members.extend(there.iter().map(name_of));
                } else if kind == Kind::User {
                    let above = tx.manager(object.id).await.map_err(|error| broken(&error))?;
                    manager = above.as_ref().map(name_of);
                }
                let anchor = object.anchor.as_ref().map(ToString::to_string).unwrap_or_default();
                let shown = Shown { kind: word, attributes: attributes(&object), members, manager };
                found.push(Found { number: name_of(&object), anchor, shown });
            }
        }
        Ok(found)
    }
}

/// The number of an object, or whatever it calls itself.
fn name_of(object: &Object) -> String {
    let display = object.display_name().unwrap_or_default();
    number(display).unwrap_or_else(|| format!("{display:?}, {}", object.id))
}

/// The attributes that checkers compare.
fn attributes(object: &Object) -> BTreeMap<&'static str, String> {
    const COMPARED: [&str; 12] = [
        "accountEnabled",
        "department",
        "displayName",
        "mail",
        "mailEnabled",
        "onPremisesDistinguishedName",
        "onPremisesDomainName",
        "onPremisesSamAccountName",
        "onPremisesUserPrincipalName",
        "proxyAddresses",
        "securityEnabled",
        "userPrincipalName",
    ];
    let shown = |name: &'static str| {
        let text = match object.attributes.value(name)? {
            Value::Text(text) => text.clone(),
            Value::Flag(flag) => flag.to_string(),
            Value::Time(time) => time.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Texts(texts) => {
                let texts: BTreeSet<_> = texts.iter().map(String::as_str).collect();
                texts.into_iter().collect::<Vec<_>>().join("|")
            }
        };
        Some((name, text))
    };
    COMPARED.into_iter().filter_map(shown).collect()
}

/// An answer with one result more.
fn with_result(answer: &str, at: usize, result: OperationResult) -> Result<String, Failure> {
    let wrong = |error: serde_json::Error| Failure::because("the answer does not read", &error);
    let mut answer: IngestResponse = serde_json::from_str(answer).map_err(wrong)?;
    answer.results.insert(at, result);
    serde_json::to_string(&answer).map_err(wrong)
}

/// A lease as a server holds it.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// What its batches carry.
    pub epoch: u64,
    /// Behind that it sends nothing.
    pub until: OffsetDateTime,
    /// Which of all leases it is.
    pub grant: u64,
}

/// A sync server's line to its tenant during a cycle.
pub struct Line<'w> {
    /// The tenant.
    pub tenant: &'w Mutex<Tenant>,
    /// Which server's it is.
    pub server: usize,
    /// The epoch of the server's lease, until when it is used, and which of all leases it is; none of the only
    /// server.
    pub lease: Option<Held>,
    /// The server's own clock.
    pub clock: Arc<Virtual>,
    /// What breaks the cycle off.
    pub fuse: &'w Fuse,
    /// What goes wrong on the way.
    pub trouble: Trouble,
    /// By chance.
    pub chance: Chance,
}

impl Line<'_> {
    fn happens(&mut self, once_in: usize) -> bool {
        once_in > 0 && self.chance.once_in(once_in)
    }
}

impl Ingest for Line<'_> {
    async fn ingest(&mut self, batch: &IngestRequest) -> Result<IngestResponse, Failure> {
        self.fuse.pass(BATCH).await?;
        if self.happens(self.trouble.throttled) {
            return Err(Failure::new("the tenant says to go on more slowly"));
        }
        let octets = serde_json::to_vec(batch)
            .map_err(|error| Failure::because("cannot write the request", &error))?;
        if self.happens(self.trouble.request_lost) {
            return Err(Failure::new("the request was lost"));
        }
        let (by, grant) = (sender(self.server), self.lease.map_or(0, |lease| lease.grant));
        let answer = self.tenant.lock().await.take(&octets, by, grant).await?;
        if self.happens(self.trouble.twice) {
            self.tenant.lock().await.take(&octets, by, grant).await?;
        }
        if self.happens(self.trouble.late) {
            let mut tenant = self.tenant.lock().await;
            let before = tenant.written.clone();
            if let Some((octets, by, _)) = self.chance.one(&before) {
                tenant.take(octets, *by, grant).await?;
            }
        }
        self.fuse.pass("the answer to a batch").await?;
        if self.happens(self.trouble.answer_lost) {
            return Err(Failure::new("the answer was lost"));
        }
        serde_json::from_str(&answer)
            .map_err(|error| Failure::because("the answer is not understood", &error))
    }

    fn lease_epoch(&self) -> Result<Option<u64>, Failure> {
        let Some(held) = self.lease else { return Ok(None) };
        if self.clock.now() >= held.until {
            return Err(Failure::new("the lease of this server ended: nothing is sent"));
        }
        Ok(Some(held.epoch))
    }

    fn name(&mut self) -> Guid {
        self.chance.guid()
    }
}

impl Owned for Line<'_> {
    async fn owned(&mut self, after: &str) -> Result<ObjectsResponse, Failure> {
        self.fuse.pass("a page of what the tenant has").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let group = tx.sync_group(sender(self.server)).await.map_err(|error| broken(&error))?;
        let owned = tx.owned_objects(group, after, 3).await.map_err(|error| broken(&error))?;
        let object = |(anchor, kind)| OwnedObject {
            anchor,
            kind,
            content: None,
            photo: None,
            password: false,
            references: None,
        };
        Ok(ObjectsResponse { objects: owned.into_iter().map(object).collect(), with_photos: false })
    }
}

impl Holding for Line<'_> {
    async fn held(&mut self, after: &str, with: &str) -> Result<ObjectsResponse, Failure> {
        self.fuse.pass("a page of what is confirmed").await?;
        let tenant = self.tenant.lock().await;
        if tenant.bug == Some(Bug::ConfirmsNothing) {
            return Ok(ObjectsResponse { objects: Vec::new(), with_photos: true });
        }
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let group = tx.sync_group(sender(self.server)).await.map_err(|error| broken(&error))?;
        if with == "content" {
            let held = tx.held_objects(group, after, 3).await.map_err(|error| broken(&error))?;
            let objects = held.into_iter().map(Into::into).collect();
            return Ok(ObjectsResponse { objects, with_photos: true });
        }
        let owned = tx.owned_objects(group, after, 3).await.map_err(|error| broken(&error))?;
        let anchors = owned.iter().filter_map(|(anchor, _)| anchor.parse::<SourceAnchor>().ok());
        let anchors: Vec<_> = anchors.collect();
        let digests = tx.held_references(group, &anchors.iter().collect::<Vec<_>>()).await;
        let digests = digests.map_err(|error| broken(&error))?;
        let object = |(anchor, kind): (String, String)| OwnedObject {
            references: digests.get(&anchor).and_then(|digest| digest.to_text()),
            content: None,
            photo: None,
            password: false,
            anchor,
            kind,
        };
        Ok(ObjectsResponse { objects: owned.into_iter().map(object).collect(), with_photos: false })
    }

    async fn read(&mut self, anchors: Vec<String>) -> Result<HeldResponse, Failure> {
        self.fuse.pass("what the tenant has of objects").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let mut objects = Vec::new();
        for anchor in anchors.iter().filter_map(|anchor| anchor.parse::<SourceAnchor>().ok()) {
            let object = tx.object_by_anchor(&anchor).await.map_err(|error| broken(&error))?;
            let object = object.filter(|object| object.deleted_at.is_none());
            objects.extend(object.map(|object| HeldObject {
                anchor: anchor.to_string(),
                attributes: held::document(&object.attributes),
            }));
        }
        Ok(HeldResponse { objects, answered: anchors.len() })
    }

    async fn held_references(
        &mut self,
        anchor: &str,
        attribute: &str,
        after: &str,
    ) -> Result<ReferencesResponse, Failure> {
        self.fuse.pass("whom an object refers to").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let group = tx.sync_group(sender(self.server)).await.map_err(|error| broken(&error))?;
        let reference = Reference::from_word(attribute);
        let reference = reference.ok_or_else(|| Failure::new("there is no such reference"))?;
        let page = tx.held_page(group, anchor, reference, after).await;
        let (anchors, after) = page.map_err(|error| broken(&error))?;
        Ok(ReferencesResponse { anchors, after })
    }
}

impl Tenancy for Line<'_> {
    async fn describe(&mut self) -> Result<TenantResponse, Failure> {
        self.fuse.pass("the tenant's domains").await?;
        let tenant = self.tenant.lock().await;
        let tx = tenant.store.begin(Access::Read).await;
        let mut tx = tx.map_err(|error| broken(&error))?;
        let last = tx.last_batch(sender(self.server)).await.map_err(|error| broken(&error))?;
        Ok(TenantResponse {
            tenant_id: tenant.identity.id.to_string(),
            initial_domain: INITIAL.to_owned(),
            verified_domains: vec![VERIFIED.to_owned(), BRANCH.to_owned()],
            sync_group: Some(sender(0).to_string()),
            last_batch: Some(batch_name(last)),
            sync_servers: None,
            uses_lease: false,
        })
    }
}
