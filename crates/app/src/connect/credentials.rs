//! Password hash synchronisation: from a replication cycle to credentials in the tenant.
//!
//! An NT hash exists from the opened value to the derived credential, inside one function, in memory
//! that is wiped. Only in-scope users are opened; whatever else the cycle brings is counted and left.

use std::collections::BTreeSet;

use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{DistinguishedName, DnsName, Entropy as _, Guid};
use portolan_net::drs::{Changes, DrsConnection};
use portolan_net::entropy::SystemEntropy;
use portolan_rpc::drsr::{
    AttributeType, DsName, ExtendedOperation, GetNcChanges, Object, Oid, PartialAttributes,
    ReplicationFlags, Reply, UsnVector, secret,
};
use portolan_store::connector_space::ConnectorSpace;
use portolan_sync::Selection;
use portolan_tenant::wire::{OPERATIONS_MAX, Operation, SecretText};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::cursor::Cursor;
use super::export::{self, Refused};
use super::tenant_client::Tenant;
use crate::report::Failure;

/// What is asked for of each object: one secret, and when it was set.
const ATTRIBUTES: [Oid; 2] = [Oid::UNICODE_PWD, Oid::PWD_LAST_SET];

/// Who asks: no domain controller, so any GUID that is none's.
const DESTINATION: Guid =
    Guid::from_fields(0x706f_7274, 0x6f6c, 0x416e, [0x80, 0, 0x70, 0x68, 0x73, 0, 0, 1]);
/// Objects that a page should have at most.
const PAGE_OBJECTS: u32 = 1_000;
/// Octets that a page should have at most.
const PAGE_OCTETS: u32 = 8 * 1024 * 1024;
/// Pages of one cycle: ten million objects, at the size that is asked for.
const PAGES_MAX: usize = 10_000;

/// What a cycle did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Replicated {
    /// Objects that the controller sent.
    pub(super) objects: usize,
    /// In-scope users whose password hash was among them, opened and derived.
    pub(super) hashes: usize,
    /// Objects with a password hash that is none of ours: left unopened.
    pub(super) unopened: usize,
    /// Credentials that the tenant took.
    pub(super) sent: usize,
    /// Credentials that the tenant refused.
    pub(super) refused: Vec<Refused>,
}

/// A derived credential, on its way to the tenant.
struct Credential {
    guid: Guid,
    operation: Operation,
}

/// What one reply held.
#[derive(Default)]
struct Page {
    credentials: Vec<Credential>,
    /// In-scope users whose password hash was not sent: unchanged in a cycle, none when read alone.
    without_password: Vec<Guid>,
    /// Objects whose password hash was sent and not opened.
    unopened: Vec<Guid>,
}

/// Runs one incremental cycle, then reads alone whoever's credential the cycles have passed by. The
/// cursor moves when the tenant has answered for everything that it passes; what the tenant refused
/// is owed from then on, and read alone by the next run.
pub(super) async fn replicate(
    mut replica: DrsConnection,
    domain: &DnsName,
    selection: &Selection,
    space: &ConnectorSpace,
    tenant: &mut Tenant,
) -> Result<Replicated, Failure> {
    let mut done = Replicated::default();
    let start = space.replication_cursor().await?;
    let mut cursor = start.as_deref().map_or_else(|| Ok(Cursor::start()), Cursor::read)?;
    let passed_by =
        cycle(&mut replica, domain, selection, space, tenant, &mut cursor, &mut done).await?;
    space.commit_replication_cursor(&cursor.write()?, &passed_by).await?;
    passed_by_before(&mut replica, selection, space, tenant, &mut done).await?;
    // The cycle is complete: how the controller takes the goodbye changes nothing.
    let _ = replica.close().await;
    Ok(done)
}

/// Runs a cycle to its end, and gives the objects whose credential it passes although the tenant does
/// not have it: those that the tenant refused, and those out of scope, which may come into it.
async fn cycle(
    replica: &mut DrsConnection,
    domain: &DnsName,
    selection: &Selection,
    space: &ConnectorSpace,
    tenant: &mut Tenant,
    cursor: &mut Cursor,
    done: &mut Replicated,
) -> Result<BTreeSet<Guid>, Failure> {
    let context = naming_context(domain);
    let mut passed_by = BTreeSet::new();
    let mut restarted = false;
    for _ in 0..PAGES_MAX {
        let answer = ask(replica, &context, cursor, ExtendedOperation::None).await?;
        let reply = answer.reply()?;
        // A mark of another controller means nothing to this one: the vector alone says what is known.
        if reply.source_invocation != cursor.invocation && cursor.from != UsnVector::default() {
            if std::mem::replace(&mut restarted, true) {
                return Err(Failure::new(
                    "the domain controller changes its invocationId in a cycle",
                ));
            }
            cursor.invocation = reply.source_invocation;
            cursor.from = UsnVector::default();
            continue;
        }
        complete(&reply)?;
        let page = open(&reply, replica.session_key(), selection, done)?;
        let (more, vector) = (reply.more_data, reply.up_to_date.clone());
        cursor.advance(reply.source_invocation, reply.to, more)?;
        drop(reply);
        passed_by.extend(page.unopened);
        passed_by.extend(send(page.credentials, space, tenant, done).await?);
        if !more {
            cursor.up_to_date = vector.or(cursor.up_to_date.take());
            return Ok(passed_by);
        }
    }
    Err(Failure::new(format!("the domain controller sends more than {PAGES_MAX} pages of changes")))
}

/// Reads the objects in scope whose credential the cycles have passed by, each alone
/// ([MS-DRSR] 4.1.10.4.1, EXOP_REPL_OBJ).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
async fn passed_by_before(
    replica: &mut DrsConnection,
    selection: &Selection,
    space: &ConnectorSpace,
    tenant: &mut Tenant,
    done: &mut Replicated,
) -> Result<(), Failure> {
    let known = space.credentialed().await?;
    let refused: BTreeSet<_> = done.refused.iter().map(|refused| refused.anchor.clone()).collect();
    for guid in selection.password_users().filter(|guid| !known.contains(guid)) {
        let anchor = selection.password_anchor(&guid);
        if anchor.is_some_and(|anchor| refused.contains(anchor.as_str())) {
            continue;
        }
        let name = DsName { guid, name: String::new() };
        let alone = ExtendedOperation::ReplicateObject;
        let answer = ask(replica, &name, &Cursor::start(), alone).await?;
        let reply = answer.reply()?;
        complete(&reply)?;
        let page = open(&reply, replica.session_key(), selection, done)?;
        drop(reply);
        send(page.credentials, space, tenant, done).await?;
        // It was read whole, so a password that is missing here is set later, by a cycle.
        space.acknowledge_credentials(&page.without_password).await?;
    }
    Ok(())
}

/// Proves that the account may replicate the domain with its secrets (DS-Replication-Get-Changes and
/// DS-Replication-Get-Changes-All, [MS-ADTS] 5.1.3.2.1): asks for a page as a cycle would, and opens
/// nothing of it.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub(super) async fn prove_rights(
    replica: &mut DrsConnection,
    domain: &DnsName,
) -> Result<(), Failure> {
    let context = naming_context(domain);
    let answer = ask(replica, &context, &Cursor::start(), ExtendedOperation::None).await?;
    complete(&answer.reply()?)
}

/// The domain's own naming context.
fn naming_context(domain: &DnsName) -> DsName {
    DsName { guid: Guid::NIL, name: DistinguishedName::of_domain(domain).to_string() }
}

/// Asks for a page of changes, or for one object.
async fn ask(
    replica: &mut DrsConnection,
    name: &DsName,
    cursor: &Cursor,
    operation: ExtendedOperation,
) -> Result<Changes, Failure> {
    let attributes = PartialAttributes::new(&ATTRIBUTES);
    let request = GetNcChanges {
        handle: replica.handle(),
        destination: DESTINATION,
        source_invocation: cursor.invocation,
        name,
        from: cursor.from,
        up_to_date: cursor.up_to_date.as_ref(),
        flags: ReplicationFlags::WRITABLE,
        objects_max: PAGE_OBJECTS,
        octets_max: PAGE_OCTETS,
        operation,
        attributes: Some(&attributes),
    };
    Ok(replica.get_nc_changes(&request).await?)
}

/// Refuses a page in which the controller says that something is missing (dwDRSError).
fn complete(reply: &Reply<'_>) -> Result<(), Failure> {
    reply.error.success().map_err(|status| {
        Failure::new(format!("the domain controller's changes are incomplete: {status}"))
    })
}

/// Opens the hashes of in-scope users in a reply, and derives their credentials.
fn open(
    reply: &Reply<'_>,
    session_key: &[u8],
    selection: &Selection,
    done: &mut Replicated,
) -> Result<Page, Failure> {
    let types = ATTRIBUTES.map(|oid| reply.table.attribute_type(&oid));
    let [Some(unicode_pwd), pwd_last_set] = types else {
        // A table without the prefix belongs to a reply without the attribute.
        done.objects += reply.objects().len();
        return Ok(Page::default());
    };
    let mut page = Page::default();
    for object in reply.objects() {
        done.objects += 1;
        let Some(name) = object.name() else { continue };
        let value = object.attribute(unicode_pwd).and_then(|found| found.values.first().copied());
        let anchor = selection.password_anchor(&name.guid());
        match (value, anchor) {
            (Some(value), Some(anchor)) => {
                let sid = name
                    .sid()
                    .map_err(|error| Failure::because("a name has no legal SID", &error))?;
                let sid = sid.ok_or_else(|| {
                    Failure::new("the domain controller sent an account without its SID")
                })?;
                let hash = secret::nt_hash(session_key, value, sid.rid())
                    .map_err(|error| Failure::because("cannot open a password hash", &error))?;
                let credential = CredentialData::derive(&hash, SystemEntropy.array());
                drop(hash);
                done.hashes += 1;
                let changed_at = changed_at(&object, pwd_last_set)?;
                let operation = Operation::Credential {
                    anchor: anchor.to_string(),
                    credential: SecretText(credential.to_text()),
                    changed_at,
                };
                page.credentials.push(Credential { guid: name.guid(), operation });
            }
            (Some(_), None) => {
                done.unopened += 1;
                page.unopened.push(name.guid());
            }
            (None, Some(_)) => page.without_password.push(name.guid()),
            (None, None) => {}
        }
    }
    Ok(page)
}

/// When the password was set; now, where the forest does not say (pwdLastSet 0: it must change).
fn changed_at(
    object: &Object<'_, '_>,
    pwd_last_set: Option<AttributeType>,
) -> Result<String, Failure> {
    let set = pwd_last_set
        .and_then(|attribute| object.attribute(attribute)?.values.first().copied())
        .and_then(|octets| Some(i64::from_le_bytes(octets.try_into().ok()?)))
        .filter(|intervals| *intervals > 0)
        .and_then(portolan_sync::from_filetime)
        .unwrap_or_else(portolan_net::clock::now);
    OffsetDateTime::format(set, &Rfc3339)
        .map_err(|error| Failure::because("a password was set at an impossible time", &error))
}

/// Sends credentials, and gives the objects whose credential the tenant refused.
async fn send(
    mut credentials: Vec<Credential>,
    space: &ConnectorSpace,
    tenant: &mut Tenant,
    done: &mut Replicated,
) -> Result<Vec<Guid>, Failure> {
    let mut refused_guids = Vec::new();
    while !credentials.is_empty() {
        let rest = credentials.split_off(credentials.len().min(OPERATIONS_MAX));
        let (guids, operations): (Vec<_>, Vec<_>) = credentials
            .into_iter()
            .map(|credential| (credential.guid, credential.operation))
            .unzip();
        let answer = export::send(tenant, operations).await?;
        let mut taken = Vec::new();
        for (guid, result) in guids.iter().zip(&answer.results) {
            match export::refusal(result) {
                None => taken.push(*guid),
                Some(refused) => {
                    done.refused.push(refused);
                    refused_guids.push(*guid);
                }
            }
        }
        done.sent += taken.len();
        space.acknowledge_credentials(&taken).await?;
        credentials = rest;
    }
    Ok(refused_guids)
}
