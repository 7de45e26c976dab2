//! What Graph has of this server's objects, held against what it acknowledged; and of objects whose answer
//! did not come, whether they are there.
//!
//! Users and groups are read page by page. What a page should have and has not is asked for by its id before
//! it counts as missing: a page may be older than the object. Members are read of every group, managers of
//! those users who were given one, twenty in a request. Objects and members that this server did not write
//! are not looked at, so that nobody touches them.

use std::collections::{BTreeMap, HashMap};

use portolan_model::{Guid, SourceAnchor};
use portolan_store::state::{Confirmed, Held, Known, TargetKey};
use portolan_sync::target::graph::seen::{self, Seen};
use portolan_sync::target::graph::{List, Looked};
use portolan_sync::{AttributeId, TenantKind};
use portolan_tenant::directory::Reference;
use portolan_tenant::held::References;
use serde_json::Value as Json;

use super::Sending;
use super::graph::{Graph, PAGES_MAX};
use super::wire::Wire;
use crate::connect::confirm::Confirmation;
use crate::report::Failure;

/// The kinds that Graph makes.
const KINDS: [TenantKind; 2] = [TenantKind::User, TenantKind::Group];
/// Behind every anchor.
const LAST: &str = "\u{7f}";
/// Objects of the state that are looked at at once.
const KNOWN_AT_ONCE: u32 = 1_000;
/// Objects whose references are read at once.
const REFERRING_AT_ONCE: usize = 200;
/// Objects that are looked up at once.
const IN_DOUBT_AT_ONCE: u32 = 400;
/// References of one object that are read.
const REFERENCES_MAX: usize = 5_000_000;
/// References that are worked out in one transaction.
const RESOLVED_AT_ONCE: u32 = 20_000;

/// This server's objects at Graph.
type Ours = BTreeMap<SourceAnchor, (TenantKind, Guid)>;

/// What is read of an object's references, until all pages are there.
struct Reading {
    key: TargetKey,
    known: References,
    wished: References,
    reference: (AttributeId, Reference),
    /// The address of the next page.
    next: Option<String>,
    held: Vec<(AttributeId, SourceAnchor)>,
}

/// Holds what Graph has against what it acknowledged, and queues what is to be repaired.
pub(in crate::connect) async fn confirm(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
) -> Result<Confirmation, Failure> {
    let (mut done, mut ours) = (Confirmation::default(), Ours::new());
    for kind in KINDS {
        pages(graph, sending, kind, &mut ours, &mut done).await?;
    }
    missing(graph, sending, &mut ours, &mut done).await?;
    references(graph, sending, &ours, &mut done).await?;
    while !sending.state.resolve_references(RESOLVED_AT_ONCE).await?.is_done {}
    done.objects = ours.len() as u64;
    Ok(done)
}

/// Looks up the objects that were sent and whose answer did not come: what is there is known from now on,
/// and not written again if it is as it is to be.
pub(super) async fn settle_doubts(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
) -> Result<(), Failure> {
    let Sending { state, target, .. } = sending;
    let mut after = TargetKey::default();
    loop {
        let doubtful = state.in_doubt(target, after, IN_DOUBT_AT_ONCE).await?;
        let Some((last, ..)) = doubtful.last() else { return Ok(()) };
        after = *last;
        let path = |(_, anchor, kind): &(_, SourceAnchor, _)| seen::by_anchor(*kind, anchor);
        let looked = graph.look_up(doubtful.iter().map(path).collect()).await?;
        let mut found = Vec::new();
        for ((_, anchor, kind), looked) in doubtful.iter().zip(looked) {
            // One that is not found may be there: a replica has not heard of it yet. It stays in doubt.
            let Some(json) = body(looked)? else { continue };
            found.extend(Seen::read(*kind, &json).filter(|seen| seen.anchor == *anchor));
        }
        take(sending, &found, &mut Ours::new()).await?;
    }
}

/// Holds all objects of a kind against what is known of them.
async fn pages(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
    kind: TenantKind,
    ours: &mut Ours,
    done: &mut Confirmation,
) -> Result<(), Failure> {
    let mut path = seen::first_page(kind);
    for _ in 0..PAGES_MAX {
        let Some(asked) = path else { return Ok(()) };
        let List { objects, next } = graph.list_page(&asked).await?;
        let found: Vec<_> = objects.iter().filter_map(|json| Seen::read(kind, json)).collect();
        done.count(take(sending, &found, ours).await?);
        path = next;
    }
    Err(endless())
}

/// Keeps what Graph shows of this server's objects, and their ids.
async fn take(sending: Sending<'_>, found: &[Seen], ours: &mut Ours) -> Result<Confirmed, Failure> {
    let Sending { state, target, names, origin, .. } = sending;
    let anchors: Vec<_> = found.iter().map(|seen| seen.anchor.clone()).collect();
    let known = state.known_of(target, &anchors).await?;
    let known: HashMap<&SourceAnchor, &Known> =
        known.iter().map(|known| (&known.anchor, known)).collect();
    let (mut held, mut ids) = (Vec::new(), Vec::new());
    for seen in found {
        let Some(known) = known.get(&seen.anchor) else { continue };
        let records = [&known.confirmed, &known.wished].map(Option::as_ref);
        let mut records = records.into_iter().flatten().filter(|record| !record.is_empty());
        // What another agent synchronises is this server's only if this server made it.
        let base = records.clone().next().or(known.confirmed.as_ref());
        let Some(base) = base else { continue };
        let is_ours = known.confirmed.as_ref().is_some_and(|record| !record.is_empty());
        if !is_ours && seen.is_of_another {
            continue;
        }
        let same = records.find(|record| seen.shows(record, names)).cloned();
        let record = same.unwrap_or_else(|| seen.record(base, names));
        let (anchor, kind) = (seen.anchor.clone(), seen.kind);
        ours.insert(anchor.clone(), (kind, seen.id));
        ids.push((anchor.clone(), seen.id));
        // It holds no password of this server's that could be gone.
        held.push(Held { anchor, kind, record, has_password: true });
    }
    let confirmed = state.confirm_some(target, &held, &[], origin.now()).await?;
    state.identify(target, &ids).await?;
    Ok(confirmed)
}

/// Looks by their ids at the objects that no page had, and keeps which of them are gone.
async fn missing(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
    ours: &mut Ours,
    done: &mut Confirmation,
) -> Result<(), Failure> {
    let Sending { state, target, .. } = sending;
    let mut after = String::new();
    loop {
        let known = state.known(target, &after, LAST, KNOWN_AT_ONCE).await?;
        let Some(last) = known.last() else { return Ok(()) };
        last.anchor.as_str().clone_into(&mut after);
        let unseen = known.into_iter().filter(|known| known.confirmed.is_some());
        let unseen: BTreeMap<_, _> = unseen
            .map(|known| (known.anchor, known.kind))
            .filter(|(anchor, _)| !ours.contains_key(anchor))
            .collect();
        let anchors: Vec<_> = unseen.keys().cloned().collect();
        let ids = state.identities(target, &anchors).await?;
        let asked = ids.iter().filter_map(|(anchor, id)| Some((*unseen.get(anchor)?, *id)));
        let asked: Vec<_> = asked.collect();
        let paths = asked.iter().map(|(kind, id)| seen::by_id(*kind, *id)).collect();
        let mut found = Vec::new();
        for ((kind, _), looked) in asked.iter().zip(graph.look_up(paths).await?) {
            let Some(json) = body(looked)? else { continue };
            found.extend(Seen::read(*kind, &json).filter(|seen| unseen.contains_key(&seen.anchor)));
        }
        done.count(take(sending, &found, ours).await?);
        let gone: Vec<_> = anchors.into_iter().filter(|one| !ours.contains_key(one)).collect();
        done.count(state.confirm_some(target, &[], &gone, sending.origin.now()).await?);
    }
}

/// Holds whom the objects refer to against what was acknowledged.
async fn references(
    graph: &mut Graph<impl Wire>,
    sending: Sending<'_>,
    ours: &Ours,
    done: &mut Confirmation,
) -> Result<(), Failure> {
    let Sending { state, target, names, .. } = sending;
    let by_id: HashMap<Guid, &SourceAnchor> =
        ours.iter().map(|(anchor, (_, id))| (*id, anchor)).collect();
    let of = |reference: Reference| Some((names.id(reference.as_str())?, reference));
    let (members, manager) = (of(Reference::Members), of(Reference::Manager));
    let both: Vec<_> = members.into_iter().chain(manager).collect();
    let anchors: Vec<_> = ours.keys().cloned().collect();
    for piece in anchors.chunks(REFERRING_AT_ONCE) {
        let mut reading = Vec::new();
        for known in state.known_references(target, piece, &both).await? {
            let Some((kind, id)) = ours.get(&known.anchor) else { continue };
            let (reference, next) = match kind {
                TenantKind::Group => (members, seen::members(*id)),
                // Of somebody who was given no manager, the manager is others' to say.
                _ if known.known == References::default() => continue,
                _ => (manager, seen::manager(*id)),
            };
            let Some(reference) = reference else { continue };
            reading.push(Reading {
                key: known.key,
                known: known.known,
                wished: known.wished,
                reference,
                next: Some(next),
                held: Vec::new(),
            });
        }
        read(graph, &mut reading, &by_id).await?;
        for Reading { key, known, wished, reference, held, .. } in reading {
            let mut is = References::default();
            held.iter().for_each(|(_, anchor)| is.add(reference.1, anchor.as_str()));
            if is == known {
                continue;
            }
            if is == wished {
                state.adopt_references(key).await?;
                continue;
            }
            done.references += 1;
            state.confirm_references(target, key, &held).await?;
        }
    }
    Ok(())
}

/// Reads all pages of all of them: of each the next one, until none has more.
async fn read(
    graph: &mut Graph<impl Wire>,
    reading: &mut [Reading],
    by_id: &HashMap<Guid, &SourceAnchor>,
) -> Result<(), Failure> {
    let base = graph.base();
    for _ in 0..PAGES_MAX {
        let mut asked: Vec<_> = reading.iter_mut().filter(|one| one.next.is_some()).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let paths = asked.iter_mut().filter_map(|one| one.next.take()).collect();
        for (one, looked) in asked.into_iter().zip(graph.look_up(paths).await?) {
            // Who has no manager has none, and of a group that went meanwhile nobody is a member.
            let Some(json) = body(looked)? else { continue };
            let (id, reference) =
                (|json: &Json| json["id"].as_str()?.parse().ok(), one.reference.0);
            if one.reference.1 == Reference::Manager {
                let anchor = id(&json).and_then(|id: Guid| by_id.get(&id));
                one.held.extend(anchor.map(|anchor| (reference, (*anchor).clone())));
                continue;
            }
            let list = List::of(json, &base)
                .map_err(|error| Failure::because("cannot read what Graph has", &error))?;
            let anchors = list.objects.iter().filter_map(id).filter_map(|id| by_id.get(&id));
            one.held.extend(anchors.map(|anchor| (reference, (*anchor).clone())));
            one.next = list.next;
            if one.held.len() > REFERENCES_MAX {
                return Err(endless());
            }
        }
    }
    Err(endless())
}

/// What a read gave; nothing of what is not there.
fn body(looked: Looked) -> Result<Option<Json>, Failure> {
    match looked {
        Looked::Found(json) => Ok(Some(json)),
        Looked::Absent => Ok(None),
        Looked::Failed(fault) => Err(Failure::because("cannot read what Graph has", &fault)
            .with_hint("nothing of it counts; see that the application may read users and groups")),
    }
}

fn endless() -> Failure {
    Failure::new("Graph's list of objects has no end")
}
