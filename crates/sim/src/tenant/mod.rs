//! The tenant: its real decisions over its real store, by a clock and randomness of the seed. The line to it is in
//! [`line`], what checkers keep of it in [`log`], what it has in [`shown`].

mod bugs;
mod graph;
mod line;
mod log;
mod shown;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_app::connect::simulated::Origin as _;
use portolan_app::report::Failure;
use portolan_app::tenant::hosts::Hosts;
use portolan_app::tenant::ingest::{self, Batch, Unwritten};
use portolan_model::{Guid, Secret};
use portolan_store::tenant::SqliteStore;
use portolan_store::vault::MasterKeys;
use portolan_tenant::application::{Application, ROLE_INGEST};
use portolan_tenant::feature::Feature;
use portolan_tenant::lease::{self, Tenure};
use portolan_tenant::storage::{Access, StorageError, Store as _, Transaction as _};
use portolan_tenant::wire::IngestRequest;
use portolan_tenant::{Digest, Tenant as Identity};

use crate::chance::{Chance, Virtual};
use crate::expected::{BRANCH, INITIAL, VERIFIED};
use crate::fault::Bug;
use crate::graph::manners::Manners;

pub use graph::Keys;
pub use line::{Held, Line, Trouble};
pub use log::Log;
pub use shown::Found;

/// The file of a tenant's store.
pub const FILE: &str = "tenant.sqlite";
/// The file of its backup.
const BACKUP: &str = "tenant.backup";

/// A tenant.
pub struct Tenant {
    directory: PathBuf,
    store: SqliteStore,
    identity: Identity,
    clock: Arc<Virtual>,
    chance: Chance,
    /// Batches that were written, with who sent them and their answers.
    written: Vec<(Vec<u8>, Guid, String)>,
    /// How often the lease was given to another server, or anew: as often as ever, whatever was restored.
    grants: u64,
    /// The last of these leases that it has.
    granted: Option<Guid>,
    /// Who is in staging mode, as the checkers know.
    pub staging: Option<Guid>,
    /// How many batches the backup has, and its last lease.
    backed_up: Option<(usize, Option<Guid>)>,
    /// A bug that is put in, until it struck.
    bug: Option<Bug>,
    /// What it wrote.
    pub log: Log,
    /// Its hosts, where the target is its Graph.
    hosts: Option<Hosts>,
    /// How a server treats its Graph.
    pub manners: Manners,
}

fn broken(error: &StorageError) -> Failure {
    Failure::because("the simulated tenant's store", error)
}

fn master_keys() -> Result<MasterKeys, Failure> {
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
    /// Makes the store that tenants begin with, with an application that exports to Graph if it has keys.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn found(directory: &Path, keys: Option<&Keys>) -> Result<(), Failure> {
        let store = SqliteStore::create(&directory.join(FILE), master_keys()?).await?;
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
        if let Some(keys) = keys {
            let put = tx.put_application(&keys.application()).await;
            put.map_err(|error| broken(&error))?;
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
        let store = SqliteStore::open(&directory.join(FILE), master_keys()?).await?;
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
            granted: None,
            staging: None,
            backed_up: None,
            bug,
            log: Log::default(),
            hosts: None,
            manners: Manners::default(),
        })
    }

    /// Copies the store, as a backup does.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub async fn back_up(&mut self) -> Result<(), Failure> {
        self.exchange(FILE, BACKUP).await?;
        self.backed_up = Some((self.written.len(), self.granted));
        Ok(())
    }

    /// Restores the last backup; says whether there was one.
    ///
    /// # Errors
    /// When it cannot be restored.
    pub async fn restore(&mut self) -> Result<bool, Failure> {
        let Some((had, granted)) = self.backed_up else { return Ok(false) };
        self.exchange(BACKUP, FILE).await?;
        self.written.truncate(had);
        self.granted = granted;
        Ok(true)
    }

    /// Copies a file of the store to another while the tenant is down, and starts it again.
    async fn exchange(&mut self, from: &str, to: &str) -> Result<(), Failure> {
        self.store.close().await;
        let at = |name: &str| self.directory.join(name);
        let copied = std::fs::copy(at(from), at(to));
        copied.map_err(|error| Failure::because("cannot copy the tenant's store", &error))?;
        self.store = SqliteStore::open(&at(FILE), master_keys()?).await?;
        Ok(())
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> Guid {
        self.identity.id
    }

    /// Ends it.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Asks for the lease, or for more of it, as the tenant gives it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lease(
        &mut self,
        server: usize,
        request: &lease::Request,
    ) -> Result<Option<Tenure>, Failure> {
        let (by, now) = (sender(server), self.clock.now());
        let mut tx = self.store.begin(Access::Write).await.map_err(|error| broken(&error))?;
        let group = tx.sync_group(by).await.map_err(|error| broken(&error))?;
        let before = tx.lease(group).await.map_err(|error| broken(&error))?;
        // Drawn once: not again behind a backup.
        let number = match self.bug {
            Some(Bug::RepeatsLeases) => before.as_ref().map_or(0, |before| before.tenure.epoch),
            _ => self.grants,
        };
        let fresh = Guid::from_random(u128::from(number).to_be_bytes());
        let Ok(decision) = lease::decide(before.as_ref(), by, "sync", request, now, fresh) else {
            return Ok(None);
        };
        tx.put_lease(group, &decision.lease).await.map_err(|error| broken(&error))?;
        tx.commit().await.map_err(|error| broken(&error))?;
        if matches!(request, lease::Request::Acquire { .. }) {
            self.grants += 1;
            self.granted = Some(fresh);
        }
        Ok(Some(decision.lease.tenure))
    }

    /// What a request does, and its answer. `under` is the lease under which it was sent.
    async fn take(
        &mut self,
        octets: &[u8],
        by: Guid,
        under: Option<Guid>,
    ) -> Result<String, Failure> {
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
            answer = bugs::with_result(&answer, at, result)?;
        }
        if self.bug == Some(Bug::AnswersOtherwise) && known.is_some() {
            answer.push(' ');
        }
        match known {
            Some(known) if known == answer => {}
            Some(_) => self.log.unlike.push(id.to_string()),
            None => {
                if self.staging == Some(by) {
                    self.log.staged.push(id.to_string());
                }
                if under != self.granted {
                    self.log.late.push(id.to_string());
                }
                self.note(&operations, &answer)?;
                self.written.push((octets.to_vec(), by, answer.clone()));
                self.strike(&operations).await?;
            }
        }
        Ok(answer)
    }
}
