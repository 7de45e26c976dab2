//! Pages and single objects from a domain controller, and the work that they bring.
//!
//! The next page is asked for while credentials are derived from the one before: what is derived at
//! once, and what waits, is bounded by [`Work`].

use std::sync::Arc;

use portolan_model::{DistinguishedName, DnsName, Guid};
use portolan_net::drs::{Changes, DrsConnection, DrsError};
use portolan_net::entropy::SystemEntropy;
use portolan_rpc::Status;
use portolan_rpc::drsr::{
    DsName, ExtendedOperation, GetNcChanges, PartialAttributes, ReplicationFlags, Reply,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::cursor::{Cursor, Head};
use super::open::{self, ATTRIBUTES, Credential, Faulty, Page, Sealed};
use super::scope::Scope;
use crate::report::Failure;

/// Who asks: no domain controller, so any GUID that is none's.
const DESTINATION: Guid =
    Guid::from_fields(0x706f_7274, 0x6f6c, 0x416e, [0x80, 0, 0x70, 0x68, 0x73, 0, 0, 1]);
/// Objects that a page should have at most.
pub(super) const PAGE_OBJECTS: u32 = 1_000;
/// Octets that a page should have at most.
const PAGE_OCTETS: u32 = 8 * 1024 * 1024;
/// Password hashes that are derived in one piece, and sent in one batch.
const PIECE_HASHES_MAX: usize = 500;
/// Pieces that wait behind those that are derived.
const PIECES_WAITING_MAX: usize = 8;
/// What a controller answers when it has no such object: it was deleted since the import.
const NO_SUCH_OBJECT: [Status; 3] = [Status(8333), Status(8439), Status(8440)];
/// EXOP_ERR_SUCCESS ([MS-DRSR] 4.1.10.2.22).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
const EXTENDED_SUCCESS: u32 = 1;

/// A piece of work: derived credentials, or what was wrong with an object.
pub(super) type Derived = Vec<Result<Credential, (Guid, Faulty)>>;

/// Where pieces are put in their order, and taken out in the same.
pub(super) struct Work {
    pieces: mpsc::Sender<JoinHandle<Derived>>,
    threads: Arc<Semaphore>,
    session_key: Arc<Zeroizing<Vec<u8>>>,
    waiting: Vec<Sealed>,
}

/// A page that was read: what it holds, and what it says about itself.
pub(super) struct Fetched {
    pub(super) head: Head,
    pub(super) page: Page,
}

impl Work {
    /// Work for as many threads as the machine has processors, under a connection's session key.
    pub(super) fn begin(replica: &DrsConnection) -> (Self, mpsc::Receiver<JoinHandle<Derived>>) {
        let (pieces, taken) = mpsc::channel(PIECES_WAITING_MAX);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Arc::new(Semaphore::new(threads));
        let session_key = Arc::new(Zeroizing::new(replica.session_key().to_vec()));
        (Self { pieces, threads, session_key, waiting: Vec::new() }, taken)
    }

    /// Puts password hashes in, and begins to derive whatever fills a piece. Waits when too many
    /// wait already. False when nobody takes them out any more.
    pub(super) async fn put(&mut self, sealed: Vec<Sealed>) -> bool {
        self.waiting.extend(sealed);
        while self.waiting.len() >= PIECE_HASHES_MAX {
            if !self.derive(PIECE_HASHES_MAX).await {
                return false;
            }
        }
        true
    }

    /// Begins to derive what does not fill a piece.
    pub(super) async fn flush(&mut self) -> bool {
        self.waiting.is_empty() || self.derive(self.waiting.len()).await
    }

    async fn derive(&mut self, count: usize) -> bool {
        let rest = self.waiting.split_off(count.min(self.waiting.len()));
        let sealed = std::mem::replace(&mut self.waiting, rest);
        let Ok(permit) = Arc::clone(&self.threads).acquire_owned().await else { return false };
        let session_key = Arc::clone(&self.session_key);
        let piece = tokio::task::spawn_blocking(move || {
            let derived = open::derive(sealed, &session_key, &mut SystemEntropy);
            drop(permit);
            derived
        });
        self.pieces.send(piece).await.is_ok()
    }
}

/// The domain's own naming context.
fn naming_context(domain: &DnsName) -> DsName {
    DsName { guid: Guid::NIL, name: DistinguishedName::of_domain(domain).to_string() }
}

/// Fetches the page at a cursor.
pub(super) async fn page(
    replica: &mut DrsConnection,
    domain: &DnsName,
    cursor: &Cursor,
    scope: &Scope<'_>,
) -> Result<Fetched, Failure> {
    let name = naming_context(domain);
    let answer = ask(replica, &name, cursor, ExtendedOperation::None).await?;
    let reply = answer.reply()?;
    complete(&reply)?;
    let anchors = scope.anchors(&open::named(&reply)).await?;
    let anchor_of = |guid: &Guid| anchors.get(guid).cloned();
    let page = open::select(&reply, anchor_of, portolan_net::clock::now());
    Ok(Fetched { head: Head::of(&reply), page })
}

/// Fetches one object, whole ([MS-DRSR] 4.1.10.4.1, EXOP_REPL_OBJ); what stands against it is told
/// when it is that object's fault.
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
pub(super) async fn object(
    replica: &mut DrsConnection,
    guid: Guid,
    scope: &Scope<'_>,
) -> Result<Result<Page, Faulty>, Failure> {
    let name = DsName { guid, name: String::new() };
    let answer = ask(replica, &name, &Cursor::start(), ExtendedOperation::ReplicateObject).await?;
    let faulty = |why: &dyn std::fmt::Display| Ok(Err(Faulty::new(guid.to_string(), why)));
    let reply = match answer.reply() {
        Ok(reply) => reply,
        Err(DrsError::Refused { status, .. }) if NO_SUCH_OBJECT.contains(&status) => {
            return faulty(&status);
        }
        Err(error) => return Err(error.into()),
    };
    if let Err(status) = reply.error.success() {
        return faulty(&status);
    }
    if reply.extended_result != EXTENDED_SUCCESS {
        let result = reply.extended_result;
        return faulty(&format!("the domain controller did not send it, result {result}"));
    }
    let anchors = scope.anchors(&open::named(&reply)).await?;
    let anchor_of = |guid: &Guid| anchors.get(guid).cloned();
    Ok(Ok(open::select(&reply, anchor_of, portolan_net::clock::now())))
}

/// Whether the account may replicate the domain with its secrets (DS-Replication-Get-Changes and
/// DS-Replication-Get-Changes-All, [MS-ADTS] 5.1.3.2.1): asks for a page as a cycle would, and opens
/// nothing of it.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub(in super::super) async fn prove_rights(
    replica: &mut DrsConnection,
    domain: &DnsName,
) -> Result<bool, Failure> {
    let context = naming_context(domain);
    let answer = ask(replica, &context, &Cursor::start(), ExtendedOperation::None).await?;
    match answer.reply() {
        Ok(reply) => complete(&reply).map(|()| true),
        Err(DrsError::Refused { status: Status::DRA_ACCESS_DENIED, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks for a page of changes, or for one object.
async fn ask(
    replica: &mut DrsConnection,
    name: &DsName,
    cursor: &Cursor,
    operation: ExtendedOperation,
) -> Result<Changes, DrsError> {
    let attributes = PartialAttributes::new(&ATTRIBUTES);
    let vector = &cursor.up_to_date;
    let request = GetNcChanges {
        handle: replica.handle(),
        destination: DESTINATION,
        source_invocation: cursor.invocation,
        name,
        from: cursor.from,
        up_to_date: (!vector.0.is_empty()).then_some(vector),
        flags: ReplicationFlags::WRITABLE,
        objects_max: PAGE_OBJECTS,
        octets_max: PAGE_OCTETS,
        operation,
        attributes: Some(&attributes),
    };
    replica.get_nc_changes(&request).await
}

/// Refuses a page in which the controller says that something is missing (dwDRSError).
fn complete(reply: &Reply<'_>) -> Result<(), Failure> {
    reply.error.success().map_err(|status| {
        Failure::new(format!("the domain controller's changes are incomplete: {status}"))
    })
}
