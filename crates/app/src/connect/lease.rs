//! The lease of a group of sync servers, as this one holds it: it is taken, renewed beside all other work,
//! and given back.
//!
//! Nothing is sent without it, from the moment on at which it ends by this host's own clock that never goes
//! back; whoever sleeps longer than that carries an epoch and an id that the tenant refuses. Of one server's
//! processes, one keeps the lease, and the others write under the same one as long as it does.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portolan_store::state::State;
use portolan_sync::engine::ConnectorId;
use portolan_tenant::lease::{Claim, NAME_CHARS_MAX, Tenure};
use portolan_tenant::wire::LeaseRequest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::key;
use super::secrets::Secrets;
use super::tenant_client::{Leased, Tenant};
use crate::report::Failure;

/// The file that the process which keeps the lease has locked, in the state directory.
const FILE: &str = "lease.lock";
/// What is remembered of the lease, of the target.
const REMEMBERED: &str = "lease";
/// How often is looked at what another process of this server keeps, and asked again what failed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the tenant may take to take the lease back.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long is waited for the first answer.
const FIRST_TIME_MAX: Duration = Duration::from_secs(30);

/// What this server is among those of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// Nobody was asked yet.
    Unknown,
    /// The one that writes.
    Active {
        /// What its batches carry, and the acquisition that it came behind.
        tenure: Tenure,
        /// Until when, by the clock that never goes back.
        until: Instant,
        /// Whether this process keeps the lease, and no other one of this server.
        is_kept_here: bool,
    },
    /// One that imports and synchronises, and waits.
    Warm {
        /// Why, in a clause.
        why: String,
    },
}

/// What is remembered, and what `connect status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// `active` or `warm`; `alone` where no lease is used.
    pub(super) role: String,
    /// The epoch of who is active.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) epoch: Option<u64>,
    /// The id of its lease.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) id: Option<String>,
    /// The id of the lease before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) previous: Option<String>,
    /// Until when the lease is held unless it is renewed, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) until: Option<i64>,
    /// Why this server waits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) why: Option<String>,
}

impl Standing {
    /// Where no lease is used.
    pub(super) fn alone() -> Self {
        let role = "alone".to_owned();
        Self { role, epoch: None, id: None, previous: None, until: None, why: None }
    }

    fn active(tenure: &Tenure, until: OffsetDateTime) -> Self {
        Self {
            role: "active".to_owned(),
            epoch: Some(tenure.epoch),
            id: Some(tenure.id.to_string()),
            previous: tenure.previous.map(|id| id.to_string()),
            until: Some(until.unix_timestamp()),
            why: None,
        }
    }

    fn warm(why: String) -> Self {
        Self { role: "warm".to_owned(), why: Some(why), ..Self::alone() }
    }

    /// The acquisition of who is active. What an earlier release remembered is none.
    fn tenure(&self) -> Option<Tenure> {
        let id = self.id.as_ref()?.parse().ok()?;
        let previous = self.previous.as_ref().and_then(|id| id.parse().ok());
        Some(Tenure { epoch: self.epoch?, id, previous })
    }
}

/// The lease of this server's group.
pub(super) struct Lease {
    role: watch::Sender<Role>,
    keeper: Option<JoinHandle<()>>,
}

/// Everything by which it is kept.
pub(super) struct Keeping {
    /// A client of its own: it asks while others send.
    pub(super) tenant: Tenant,
    pub(super) client_id: portolan_model::Guid,
    pub(super) state: State,
    pub(super) target: ConnectorId,
    pub(super) directory: PathBuf,
    pub(super) seconds: u32,
}

impl Lease {
    /// None yet.
    pub(super) fn none() -> Self {
        Self { role: watch::Sender::new(Role::Unknown), keeper: None }
    }

    /// What becomes of it.
    pub(super) fn watch(&self) -> watch::Receiver<Role> {
        self.role.subscribe()
    }

    /// What this server is now.
    pub(super) fn role(&self) -> Role {
        self.role.borrow().clone()
    }

    /// Whether it is kept, or waited for.
    pub(super) const fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    /// Begins to keep it, unless that was begun, and waits until it is known what this server is.
    pub(super) async fn take(
        &mut self,
        keeping: impl FnOnce() -> Result<Keeping, Failure>,
    ) -> Result<(), Failure> {
        let is_over = self.keeper.as_ref().is_none_or(JoinHandle::is_finished);
        if is_over {
            let role = self.role.clone();
            role.send_replace(Role::Unknown);
            self.keeper = Some(tokio::spawn(keep(keeping()?, role)));
        }
        let mut role = self.role.subscribe();
        let known = role.wait_for(|role| *role != Role::Unknown);
        match timeout(FIRST_TIME_MAX, known).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::new("the tenant does not say who of the sync servers writes")),
        }
    }

    /// Gives it back, so that another server is active at once.
    pub(super) async fn release(&mut self, tenant: &mut Tenant) {
        let Some(keeper) = self.keeper.take() else { return };
        keeper.abort();
        // Behind its last renewal.
        let _ = keeper.await;
        let role = self.role.send_replace(Role::Unknown);
        if let Role::Active { tenure, is_kept_here: true, .. } = role {
            let id = Some(tenure.id.to_string());
            let request = LeaseRequest::Release { epoch: tenure.epoch, id };
            // One that is not given back runs out.
            let _ = timeout(GOODBYE_TIME_MAX, tenant.lease(&request)).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

impl Role {
    /// The acquisition of who is active.
    pub(super) const fn tenure(&self) -> Option<Tenure> {
        match self {
            Self::Active { tenure, .. } => Some(*tenure),
            Self::Unknown | Self::Warm { .. } => None,
        }
    }
}

/// Resolves when this server is active by another acquisition than the one that was seen, which is seen then.
pub(super) async fn taken_over(role: &mut watch::Receiver<Role>, seen: &mut Option<Tenure>) {
    let is_other = |role: &Role| role.tenure().is_some() && role.tenure() != *seen;
    let found = role.wait_for(is_other).await.map(|role| role.tenure());
    match found {
        Ok(tenure) => *seen = tenure,
        // Nobody keeps a lease any more.
        Err(_) => std::future::pending().await,
    }
}

/// What a batch carries now.
///
/// # Errors
/// When this server is not the one that writes, or not any more.
pub(super) fn claim(role: &Role, now: Instant) -> Result<Claim, Failure> {
    match role {
        Role::Active { tenure, until, .. } if now < *until => Ok(tenure.claim()),
        Role::Active { .. } => Err(Failure::new(
            "the lease of this server ended and could not be renewed: nothing is sent",
        )),
        Role::Warm { why } => Err(Failure::new(format!("this server does not write now: {why}"))),
        Role::Unknown => Err(Failure::new("this server has no lease of its group")),
    }
}

/// What is remembered of the lease.
pub(super) async fn standing(
    state: &State,
    target: ConnectorId,
) -> Result<Option<Standing>, Failure> {
    let octets = state.remembered(target, REMEMBERED).await?;
    Ok(octets.and_then(|octets| serde_json::from_slice(&octets).ok()))
}

/// Forgets it: the group uses none.
pub(super) async fn forget(state: &State, target: ConnectorId) -> Result<(), Failure> {
    Ok(state.forget(target, REMEMBERED).await?)
}

/// Asks again and again, until this is dropped.
async fn keep(mut keeping: Keeping, told: watch::Sender<Role>) {
    let mut locked = None;
    let mut held = None;
    loop {
        if locked.is_none() {
            locked = lock(&keeping.directory);
        }
        let pause = if locked.is_some() {
            keeping.ask(&mut held, &told).await
        } else {
            told.send_replace(keeping.of_another_process().await);
            LOOK_EVERY
        };
        tokio::time::sleep(pause).await;
    }
}

impl Keeping {
    /// Asks the tenant once. Gives how long it is good to wait.
    async fn ask(&mut self, held: &mut Option<Claim>, told: &watch::Sender<Role>) -> Duration {
        let (asked, asked_at) = (portolan_net::clock::monotonic(), portolan_net::clock::now());
        let (name, seconds) = (name(), self.seconds);
        let request = match *held {
            Some(Claim { epoch, id }) => {
                LeaseRequest::Renew { name, epoch, id: Some(id.to_string()), seconds }
            }
            None => LeaseRequest::Acquire { name, seconds },
        };
        self.renew_key();
        let third = Duration::from_secs(seconds.into()) / 3;
        // The first time this signs in as well.
        let time_max = if held.is_some() { third.max(LOOK_EVERY) } else { third * 3 };
        let answer = timeout(time_max, self.tenant.lease(&request)).await;
        let answer = answer.map(|answer| answer.and_then(Given::checked));
        match answer {
            Ok(Ok(Given::Lease(tenure, seconds))) => {
                *held = Some(tenure.claim());
                let life = usable(seconds);
                let until = asked + life;
                told.send_replace(Role::Active { tenure, until, is_kept_here: true });
                self.remember(Standing::active(&tenure, asked_at + life)).await;
                third
            }
            Ok(Ok(Given::Nothing { wait, why })) => {
                let was_ours = held.take().is_some();
                told.send_replace(Role::Warm { why: why.clone() });
                self.remember(Standing::warm(why)).await;
                // Who lost it asks for it anew at once: nobody may have it.
                let wait = wait.unwrap_or(if was_ours { Duration::ZERO } else { LOOK_EVERY });
                wait.min(third).max(LOOK_EVERY / 4)
            }
            // It stays this server's until its own deadline, and may be renewed later than that.
            Ok(Err(_)) | Err(_) => {
                told.send_if_modified(|role| {
                    let is_first = *role == Role::Unknown;
                    if is_first {
                        let why = "the tenant does not answer".to_owned();
                        *role = Role::Warm { why };
                    }
                    is_first
                });
                LOOK_EVERY.min(third)
            }
        }
    }

    /// What another process of this server holds.
    async fn of_another_process(&self) -> Role {
        let standing = standing(&self.state, self.target).await.ok().flatten();
        let held =
            standing.as_ref().and_then(|standing| Some((standing.tenure()?, standing.until?)));
        let (now, at) = (portolan_net::clock::now(), portolan_net::clock::monotonic());
        let left = held.map(|(tenure, until)| (tenure, until - now.unix_timestamp()));
        match left {
            Some((tenure, left)) if left > 0 && left <= i64::from(self.seconds) => {
                let until = at + Duration::from_secs(left.unsigned_abs());
                Role::Active { tenure, until, is_kept_here: false }
            }
            _ => {
                let why = standing.and_then(|standing| standing.why);
                let another = || "another process of this server waits for the lease".to_owned();
                Role::Warm { why: why.unwrap_or_else(another) }
            }
        }
    }

    /// This server's key may have been replaced meanwhile.
    fn renew_key(&mut self) {
        let secrets = Secrets::open(&self.directory);
        if let Ok(key) = secrets.and_then(|secrets| key::current(&secrets, self.client_id)) {
            self.tenant.use_key(key);
        }
    }

    async fn remember(&self, standing: Standing) {
        // What status shows is late then; what is written does not rest on it.
        if let Ok(octets) = serde_json::to_vec(&standing) {
            let _ = self.state.remember(self.target, REMEMBERED, &octets).await;
        }
    }
}

/// What the tenant answered, once it is understood.
enum Given {
    /// The lease, for so many seconds.
    Lease(Tenure, u32),
    /// It is another's, for so long; or what was claimed is not the newest.
    Nothing { wait: Option<Duration>, why: String },
}

impl Given {
    fn checked(answer: Leased) -> Result<Self, Failure> {
        let given = match answer {
            Leased::Given(given) => given,
            Leased::Refused { wait, why } => return Ok(Self::Nothing { wait, why }),
        };
        let id = |text: &String| {
            text.parse().map_err(|_| Failure::new("the tenant names a lease by what is no GUID"))
        };
        let previous = given.previous.as_ref().map(id).transpose()?;
        let tenure = Tenure { epoch: given.epoch, id: id(&given.id)?, previous };
        Ok(Self::Lease(tenure, given.seconds))
    }
}

/// How long a lease is used that the tenant gives for so many seconds, from when it was asked for: a tenth
/// less, for clocks that go at different rates.
fn usable(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()) * 9 / 10
}

/// The lock of the process that keeps the lease; `None` while another one has it, or when there is none.
fn lock(directory: &Path) -> Option<File> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(directory.join(FILE)).ok()?;
    match file.try_lock() {
        Ok(()) => Some(file),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// What this server calls itself: the name of its host.
fn name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().filter(|char| !char.is_control()).take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use portolan_model::Guid;

    use super::*;

    const TENURE: Tenure = Tenure { epoch: 7, id: Guid::from_bytes_le([7; 16]), previous: None };

    #[test]
    fn a_batch_carries_the_lease_until_it_ends_and_nothing_is_sent_behind_it() {
        let now = portolan_net::clock::monotonic();
        let until = now + Duration::from_secs(1);
        let active = Role::Active { tenure: TENURE, until, is_kept_here: true };
        assert_eq!(claim(&active, now).unwrap(), TENURE.claim());
        let late = claim(&active, now + Duration::from_secs(1)).unwrap_err();
        assert!(late.text().contains("nothing is sent"));
        assert!(claim(&Role::Unknown, now).is_err());
        let warm = Role::Warm { why: "the lease is held by \"a\"".to_owned() };
        assert!(claim(&warm, now).unwrap_err().text().contains("held by"));
    }

    #[test]
    fn what_is_remembered_of_a_lease_is_the_lease_and_nothing_without_its_id() {
        for tenure in [TENURE, Tenure { previous: Some(Guid::from_bytes_le([8; 16])), ..TENURE }] {
            let standing = Standing::active(&tenure, OffsetDateTime::UNIX_EPOCH);
            let octets = serde_json::to_vec(&standing).unwrap();
            let read: Standing = serde_json::from_slice(&octets).unwrap();
            assert_eq!(read.tenure(), Some(tenure));
        }
        assert_eq!(Standing::warm("it is another's".to_owned()).tenure(), None);
        let earlier: Standing =
            serde_json::from_str(r#"{"role": "active", "epoch": 7, "until": 60}"#).unwrap();
        assert_eq!(earlier.tenure(), None, "that of a release without ids");
    }

    #[test]
    fn a_lease_ends_here_before_it_ends_at_the_tenant() {
        assert_eq!(usable(60), Duration::from_secs(54));
        assert_eq!(usable(5), Duration::from_millis(4_500));
        assert_eq!(usable(0), Duration::ZERO);
    }

    #[test]
    fn one_process_keeps_the_lease_and_its_end_frees_it() {
        let directory = tempfile::tempdir().unwrap();
        let held = lock(directory.path());
        assert!(held.is_some());
        assert!(lock(directory.path()).is_none());
        drop(held);
        assert!(lock(directory.path()).is_some());
    }
}
