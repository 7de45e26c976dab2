//! One replication cycle, and the objects that earlier cycles passed by.
//!
//! Pages are fetched, derived and delivered beside each other. The cursor moves when the tenant has
//! answered for everything that it passes; whose credential it passes although the tenant does not
//! have it is owed from then on, recorded in the same transaction, and read alone by the next run.

use std::collections::BTreeSet;

use portolan_model::{DnsName, Guid};
use portolan_net::drs::DrsConnection;
use portolan_store::state::StateError;

use super::Replicated;
use super::cursor::{Cursor, Head, Step};
use super::deliver::{self, Delivered};
use super::fetch::{self, Fetched, Work};
use super::open::{Faulty, Page};
use super::scope::Scope;
use crate::connect::progress::Progress;
use crate::connect::tenant_client::Tenant;
use crate::report::Failure;
use crate::signal::Stop;

/// Pages of one cycle: ten million objects, at the size that is asked for.
const PAGES_MAX: usize = 10_000;
/// How often a cycle may begin anew: once for another controller, once because one went back.
const RESTARTS_MAX: usize = 2;

/// What a cycle works with.
pub(in super::super) struct Cycle<'a> {
    pub(in super::super) domain: &'a DnsName,
    pub(in super::super) scope: Scope<'a>,
    pub(in super::super) tenant: &'a mut Tenant,
    pub(in super::super) stop: &'a Stop,
}

/// Why a cycle was broken off.
#[derive(Debug)]
pub(in super::super) enum Trouble {
    /// By the forest: the connection is of no use any more.
    Forest(Failure),
    /// By the tenant or this server's own space.
    Tenant(Failure),
    /// This was told to stop. What was delivered is acknowledged, and the cursor stands.
    Stopped,
}

/// What was fetched.
#[derive(Default)]
struct Read {
    objects: usize,
    hashes: usize,
    /// Objects whose hash was not opened.
    unopened: Vec<Guid>,
    /// Objects that were read alone and have no password.
    without_password: Vec<Guid>,
    faulty: Vec<Faulty>,
    /// The objects of those.
    owed: BTreeSet<Guid>,
    restarted: Option<String>,
    /// What the last page of a cycle said about itself.
    last: Option<Head>,
}

/// A stretch of a cycle: what was fetched, and what became of it.
struct Stretch {
    read: Read,
    delivered: Delivered,
}

impl Cycle<'_> {
    /// Runs one incremental cycle. With `owed`, it then reads alone the users in scope whose
    /// credential the tenant does not have.
    ///
    /// # Errors
    /// [`Trouble`]; the cursor has not moved then, unless the cycle was complete.
    pub(in super::super) async fn run(
        &mut self,
        replica: &mut DrsConnection,
        owed: bool,
    ) -> Result<Replicated, Trouble> {
        let began = portolan_net::clock::monotonic();
        let progress = Progress::begin();
        let mut done = Replicated::default();
        let stored = self.scope.cursor().await.map_err(Trouble::own)?;
        let before = stored.as_deref().map_or_else(|| Ok(Cursor::start()), Cursor::read);
        let before = before.map_err(Trouble::Tenant)?;
        let mut cursor = before.clone();
        let stretch = self.changes(replica, &mut cursor, &progress).await?;
        let last = stretch.read.last.clone();
        let mut passed_by: BTreeSet<_> = stretch.read.unopened.iter().copied().collect();
        let failed = done.add(stretch);
        let alone = if owed { self.owed(&failed).await? } else { Vec::new() };
        if let (false, Some(last)) = (alone.is_empty(), &last) {
            cursor.know_only(last);
        }
        passed_by.extend(failed);
        if cursor != before || !passed_by.is_empty() {
            let written = cursor.write().map_err(Trouble::Tenant)?;
            let committed = self.scope.commit(&written, &passed_by).await;
            committed.map_err(Trouble::own)?;
        }
        if !alone.is_empty() {
            let stretch = self.alone(replica, &alone, &progress).await?;
            done.add(stretch);
        }
        done.seconds = portolan_net::clock::monotonic().duration_since(began).as_secs_f64();
        Ok(done)
    }

    /// A cycle's changes, to its end.
    async fn changes(
        &mut self,
        replica: &mut DrsConnection,
        cursor: &mut Cursor,
        progress: &Progress,
    ) -> Result<Stretch, Trouble> {
        let (work, pieces) = Work::begin(replica);
        let delivered =
            Box::pin(deliver::all(pieces, &self.scope, self.tenant, progress, self.stop));
        let read = Reading { replica, scope: &self.scope, work, progress, stop: self.stop };
        let read = Box::pin(read.pages(self.domain, cursor));
        let joined = tokio::join!(read, delivered);
        self.stretch(joined)
    }

    /// Reads one user in scope alone, and brings what it has to the tenant. The cursor stays where it is.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(in super::super) async fn one(
        &mut self,
        replica: &mut DrsConnection,
        guid: Guid,
    ) -> Result<Replicated, Trouble> {
        let began = portolan_net::clock::monotonic();
        let mut done = Replicated::default();
        let stretch = self.alone(replica, &[guid], &Progress::begin()).await?;
        done.add(stretch);
        done.seconds = portolan_net::clock::monotonic().duration_since(began).as_secs_f64();
        Ok(done)
    }

    /// The given objects, each read alone.
    async fn alone(
        &mut self,
        replica: &mut DrsConnection,
        guids: &[Guid],
        progress: &Progress,
    ) -> Result<Stretch, Trouble> {
        let (work, pieces) = Work::begin(replica);
        let delivered =
            Box::pin(deliver::all(pieces, &self.scope, self.tenant, progress, self.stop));
        let read = Reading { replica, scope: &self.scope, work, progress, stop: self.stop };
        let read = Box::pin(read.objects(guids));
        let joined = tokio::join!(read, delivered);
        let stretch = self.stretch(joined)?;
        // It was read whole, so a password that is missing here is set later, by a cycle.
        let acknowledged = self.scope.without_password(&stretch.read.without_password).await;
        acknowledged.map_err(Trouble::own)?;
        Ok(stretch)
    }

    fn stretch(
        &self,
        (read, delivered): (Result<Read, Failure>, Result<Delivered, Failure>),
    ) -> Result<Stretch, Trouble> {
        // A tenant that fails ends the fetching too, which is no trouble of the forest's.
        let delivered = delivered.map_err(Trouble::Tenant)?;
        let read = read.map_err(Trouble::Forest)?;
        if self.stop.is_requested() {
            return Err(Trouble::Stopped);
        }
        Ok(Stretch { read, delivered })
    }

    /// The users in scope whose credential the tenant does not have, less those of whom this run has
    /// just tried.
    async fn owed(&self, tried: &BTreeSet<Guid>) -> Result<Vec<Guid>, Trouble> {
        let owed = self.scope.owed().await.map_err(Trouble::own)?;
        Ok(owed.into_iter().filter(|guid| !tried.contains(guid)).collect())
    }
}

impl Replicated {
    /// Adds a stretch, and gives the objects of which nothing came to the tenant.
    fn add(&mut self, Stretch { read, delivered }: Stretch) -> BTreeSet<Guid> {
        self.objects += read.objects;
        self.hashes += read.hashes;
        self.unopened += read.unopened.len();
        self.sent += delivered.sent;
        self.faulty.extend(read.faulty);
        self.faulty.extend(delivered.faulty);
        self.refused.extend(delivered.refused);
        self.ages.extend(delivered.ages);
        self.restarted = self.restarted.take().or(read.restarted);
        let mut failed = read.owed;
        failed.extend(delivered.owed);
        failed
    }
}

impl Trouble {
    fn own(error: StateError) -> Self {
        Self::Tenant(error.into())
    }
}

/// One side of a stretch: what is read, and where it goes.
struct Reading<'a> {
    replica: &'a mut DrsConnection,
    scope: &'a Scope<'a>,
    work: Work,
    progress: &'a Progress,
    stop: &'a Stop,
}

impl Reading<'_> {
    /// Reads a cycle's pages, and leaves the cursor at its end.
    async fn pages(mut self, domain: &DnsName, cursor: &mut Cursor) -> Result<Read, Failure> {
        let mut read = Read::default();
        let mut restarts = 0;
        for _ in 0..PAGES_MAX {
            let Fetched { head, page } =
                fetch::page(self.replica, domain, cursor, self.scope).await?;
            let step = cursor.take(&head)?;
            if let Step::OtherController | Step::WentBack(_) = step {
                restarts += 1;
                if restarts > RESTARTS_MAX {
                    return Err(Failure::new(
                        "the domain controller changes its invocationId in a cycle",
                    ));
                }
                if let Step::WentBack(how) = step {
                    let peer = self.replica.link().peer();
                    read.restarted = Some(format!("{peer} holds an earlier directory: {how}"));
                }
                continue;
            }
            let taken = self.take(&mut read, page).await;
            if step == Step::Complete {
                self.work.flush().await;
                read.last = Some(head);
                return Ok(read);
            }
            if !taken || self.stop.is_requested() {
                return Ok(read);
            }
        }
        Err(Failure::new(format!(
            "the domain controller sends more than {PAGES_MAX} pages of changes"
        )))
    }

    /// Reads objects, each alone.
    async fn objects(mut self, guids: &[Guid]) -> Result<Read, Failure> {
        let mut read = Read::default();
        for guid in guids {
            match fetch::object(self.replica, *guid, self.scope).await? {
                Ok(mut page) => {
                    read.without_password.append(&mut page.without_password);
                    if !self.take(&mut read, page).await {
                        return Ok(read);
                    }
                }
                Err(faulty) => read.faulty.push(faulty),
            }
            if self.stop.is_requested() {
                return Ok(read);
            }
        }
        self.work.flush().await;
        Ok(read)
    }

    /// Counts a page and puts its hashes to work; false when nobody delivers any more.
    async fn take(&mut self, read: &mut Read, page: Page) -> bool {
        read.objects += page.objects;
        read.hashes += page.sealed.len() + page.faulty.len();
        read.unopened.extend(page.unopened);
        for (guid, faulty) in page.faulty {
            read.owed.insert(guid);
            read.faulty.push(faulty);
        }
        self.progress.read(read.objects);
        self.work.put(page.sealed).await
    }
}
