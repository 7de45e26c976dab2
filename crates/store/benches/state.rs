//! What the state of the synchronisation engine costs: octets on disk, opening, scanning, writing in
//! batches, and one member more in a large group.
//!
//! `cargo bench -p portolan-store --bench state -- USERS GROUPS`; a million and fifty thousand are what
//! the figures in the documentation are of. The file lies in `TMPDIR`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails and prints")]

use std::path::Path;
use std::time::Instant;

use portolan_model::{Guid, SourceAnchor};
use portolan_store::state::{
    FullImport, ImportedObject, KeyRange, Outcome, Place, ReferencePlace, State,
};
use portolan_sync::TenantKind;
use portolan_sync::engine::{
    AnchorClaim, ConnectorId, Feed, Link, LinkKind, MetaverseChange, MetaverseKey, MetaverseObject,
    Neighbourhood, PendingExport, Side, TargetChange, TargetObject, ValueOrigin,
};
use portolan_sync::record::{Record, RecordWriter, ValueRef};
use portolan_sync::rules::{MetaverseKind, RuleId};
use portolan_sync::{AttributeId, ObjectKind};

const ATTRIBUTES: u16 = 24;
const MEMBER: AttributeId = AttributeId(60);
const MEMBERS_OF_LARGE: u64 = 249_000;
const MEMBERS_OF_SMALL: u64 = 20;
const BATCH: u32 = 1_000;

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let users = numbers.next().unwrap_or(20_000);
    let groups = numbers.next().unwrap_or(1_000);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let state = State::open(&path).await.unwrap();
    let forest = state.connector("corp.example", Side::Forest).await.unwrap();
    let target = state.connector("cloud.example", Side::Target).await.unwrap();
    let of_join: Vec<_> = (2..5).map(AttributeId).collect();
    state.index_joins(&of_join).await.unwrap();

    for round in ["first", "repeated"] {
        let begun = Instant::now();
        let import = state.begin_full_import(forest).await.unwrap();
        let import = put_all(import, users, groups).await;
        tell(&format!("{round} import, staged"), users + groups, begun);
        let begun = Instant::now();
        import.finish(b"cursor").await.unwrap();
        tell(&format!("{round} import, merged"), users + groups, begun);
    }
    let begun = Instant::now();
    synchronise(&state, target).await;
    tell("projected", users + groups, begun);
    let begun = Instant::now();
    let mut examined = 0;
    loop {
        let resolved = state.resolve_references(5_000).await.unwrap();
        examined += resolved.examined;
        if resolved.is_done {
            break;
        }
    }
    tell("references resolved", examined, begun);
    let begun = Instant::now();
    acknowledge(&state, target).await;
    tell("acknowledged", users + groups, begun);
    state.close().await;
    let octets = std::fs::metadata(&path).unwrap().len();
    println!("on disk: {} octets an object", octets / (users + groups));
    println!("{}", tables(&path).await);

    let begun = Instant::now();
    let state = State::open(&path).await.unwrap();
    state.pending().await.unwrap();
    println!("opened in {:?}", begun.elapsed());
    for readers in [1, 2, 1, 2] {
        let ranges = state.key_ranges(readers).await.unwrap();
        let begun = Instant::now();
        let tasks: Vec<_> =
            ranges.into_iter().map(|range| tokio::spawn(scan(state.clone(), range))).collect();
        let mut found = 0;
        for task in tasks {
            found += task.await.unwrap();
        }
        tell(&format!("scanned by {readers}"), found, begun);
    }
    one_member_more(&state, forest, &path, users).await;
}

fn tell(what: &str, count: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.2} s, {:.0}/s", count as f64 / seconds);
}

fn guid(number: u64) -> Guid {
    // Spread, as a directory's are.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&mixed.to_le_bytes());
    octets[8..].copy_from_slice(&number.to_be_bytes());
    Guid::from_bytes_le(octets)
}

fn user(number: u64) -> ImportedObject {
    let mut writer = RecordWriter::default();
    for attribute in 0..ATTRIBUTES {
        let text = match attribute {
            0 => format!("user{number}@corp.example"),
            1 => format!("First{number}.Last{number}@corp.example"),
            2 => format!("S-1-5-21-1004336348-1177238915-682003330-{number}"),
            3..=9 => format!("value {attribute} of {number}"),
            _ => format!("common value {attribute}"),
        };
        writer.put(AttributeId(attribute + 2), [ValueRef::Text(&text)]);
    }
    ImportedObject {
        guid: guid(number),
        kind: ObjectKind::User,
        parent: Some(guid(u64::MAX - number % 100)),
        dn: format!("CN=User {number},OU=Unit {},DC=corp,DC=example", number % 100)
            .parse()
            .unwrap(),
        record: writer.finish(),
        references: Vec::new(),
    }
}

fn group(number: u64, users: u64) -> ImportedObject {
    let many = if number == 0 { MEMBERS_OF_LARGE.min(users - 1) } else { MEMBERS_OF_SMALL };
    let member = |at| if number == 0 { at } else { (number * 7_919 + at * 104_729) % users };
    ImportedObject {
        guid: guid(users + number),
        kind: ObjectKind::Group,
        dn: format!("CN=Group {number},OU=Groups,DC=corp,DC=example").parse().unwrap(),
        references: vec![(MEMBER, (0..many).map(member).map(guid).collect())],
        ..user(users + number)
    }
}

async fn put_all(mut import: FullImport, users: u64, groups: u64) -> FullImport {
    for number in 0..users {
        import.put(user(number)).await.unwrap();
    }
    for number in 0..groups {
        import.put(group(number, users)).await.unwrap();
    }
    import
}

async fn synchronise(state: &State, target: ConnectorId) {
    loop {
        let queued = state.next_pending(BATCH).await.unwrap();
        if queued.is_empty() {
            return;
        }
        let all = state.neighbourhoods_of(&queued).await.unwrap();
        let first = state.allot(BATCH).await.unwrap();
        let new = (first.0..).map(MetaverseKey);
        let decide = |(one, new): (_, MetaverseKey)| project(one, new, target);
        let all = all.iter().map(|queued| &queued.neighbourhood);
        let outcomes: Vec<_> = all.zip(new).filter_map(decide).collect();
        state.apply(None, &queued, &outcomes).await.unwrap();
    }
}

/// As much as the default rules: all attributes to the metaverse, and on to the target.
fn project(one: &Neighbourhood, new: MetaverseKey, target: ConnectorId) -> Option<Outcome> {
    let staged = one.staged.first()?;
    let key = one.key().unwrap_or(new);
    let attributes = staged.record.iter().filter(|(attribute, _)| attribute.0 > 1);
    let record: Record = attributes
        .map(|(attribute, values)| (attribute, values.map(ValueRef::to_value).collect()))
        .collect();
    let since = 1_700_000_000;
    let origin = |(attribute, _): (AttributeId, _)| ValueOrigin {
        attribute,
        object: staged.key,
        rule: RuleId(attribute.0),
        since,
    };
    let lineage = record.iter().map(origin).collect();
    let is_group = staged.kind == ObjectKind::Group;
    let anchor = SourceAnchor::from(staged.guid);
    let feed = Feed { attribute: MEMBER, object: staged.key, source: MEMBER };
    let mut outcome = Outcome { metaverse: Some(key), ..Outcome::default() };
    outcome.objects = vec![staged.key];
    outcome.links = vec![(staged.key, Link { metaverse: key, kind: LinkKind::Provisioned })];
    if staged.anchor.is_none() {
        let anchor = anchor.clone();
        outcome.decision.anchor = Some(AnchorClaim { object: staged.key, anchor, is_set: false });
    }
    let kind = if is_group { MetaverseKind::Group } else { MetaverseKind::Person };
    let exported = record.clone();
    outcome.decision.metaverse =
        MetaverseChange::Put(MetaverseObject { key, kind, record, lineage });
    outcome.decision.targets = vec![TargetChange::Put(TargetObject {
        connector: target,
        metaverse: key,
        kind: if is_group { TenantKind::Group } else { TenantKind::User },
        anchor,
        confirmed: None,
        pending: Some(PendingExport::Add(exported)),
        feeds: if is_group { vec![feed] } else { Vec::new() },
        password: !is_group,
    })];
    Some(outcome)
}

async fn acknowledge(state: &State, target: ConnectorId) {
    let mut after = Place::default();
    loop {
        let exports = state.pending_exports(target, after, BATCH).await.unwrap();
        let Some(last) = exports.last() else { break };
        after = last.place;
        state.acknowledge(&exports).await.unwrap();
    }
    let mut after = ReferencePlace::default();
    loop {
        let exports = state.pending_references(target, after, 10 * BATCH).await.unwrap();
        let Some(last) = exports.last() else { break };
        after = last.place;
        state.acknowledge_references(&exports).await.unwrap();
    }
}

async fn scan(state: State, range: KeyRange) -> u64 {
    let mut scan = state.scan(range);
    let mut found = 0;
    loop {
        let batch = scan.next().await.unwrap();
        if batch.is_empty() {
            return found;
        }
        found += batch.len() as u64;
    }
}

async fn one_member_more(state: &State, forest: ConnectorId, path: &Path, users: u64) {
    let log = path.with_file_name("state.db-wal");
    for at in 1..=5 {
        let begun = Instant::now();
        let before = std::fs::metadata(&log).map_or(0, |log| log.len());
        let mut changes = state.begin_changes(forest).await.unwrap();
        let group = guid(users);
        let (added, removed) = ([guid(users - at)], [guid(at)]);
        changes.change_references(&group, MEMBER, &added, &removed).await.unwrap();
        changes.finish(b"next").await.unwrap();
        let imported = begun.elapsed();
        let resolved = state.resolve_references(5_000).await.unwrap();
        let octets = std::fs::metadata(&log).map_or(0, |log| log.len()).saturating_sub(before);
        println!(
            "one member more and one less: {imported:?}, resolved {} in {:?}, log grows by {octets}",
            resolved.differing,
            begun.elapsed() - imported
        );
    }
}

/// Octets of each table and index.
async fn tables(path: &Path) -> String {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 16",
    )
    .fetch_all(&pool)
    .await
    .unwrap_or_default();
    rows.iter().map(|(name, octets)| format!("  {name}: {octets}\n")).collect()
}
