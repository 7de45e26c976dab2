//! What holds of the state as a whole: from a forest to a target and back.

use std::path::Path;

use super::effects::{Effects, MetaverseContent, MetaverseEffect, TargetEffect};
use portolan_model::Guid;
use portolan_sync::engine::{
    ConnectorId, Feed, LinkKind, MetaverseKey, Neighbourhood, PendingExport, ValueOrigin,
};
use portolan_sync::flow::TenantKind;
use portolan_sync::record::{Record, Value};
use portolan_sync::rules::{MetaverseKind, RuleId};
use portolan_sync::{AttributeId, ObjectKind};

use super::*;

const NAME: AttributeId = AttributeId(0);
const MEMBER: AttributeId = AttributeId(1);
const MEMBERS: AttributeId = AttributeId(2);
const FOREST: ConnectorId = ConnectorId(1);
const TARGET: ConnectorId = ConnectorId(2);

pub(super) fn guid(number: u8) -> Guid {
    Guid::from_bytes_le([number; 16])
}

pub(super) fn record(name: &str) -> Record {
    [(NAME, vec![Value::Text(name.to_owned())])].into_iter().collect()
}

pub(super) fn object(number: u8, kind: ObjectKind, name: &str, members: &[u8]) -> ImportedObject {
    ImportedObject {
        guid: guid(number),
        kind,
        parent: None,
        dn: format!("CN=o{number},DC=x").parse().unwrap(),
        record: record(name),
        references: vec![(MEMBER, members.iter().map(|member| guid(*member)).collect())],
    }
}

pub(super) async fn state(directory: &Path) -> State {
    let state = State::open(&directory.join("connector-space.db")).await.unwrap();
    assert_eq!(state.connector("corp.example", ConnectorKind::Forest).await.unwrap(), FOREST);
    assert_eq!(state.connector("cloud.example", ConnectorKind::Target).await.unwrap(), TARGET);
    state.intern(&["name", "member", "members"]).await.unwrap();
    state
}

pub(super) async fn import(state: &State, objects: &[ImportedObject]) -> Changed {
    let mut import = state.begin_full_import(FOREST).await.unwrap();
    for object in objects {
        import.put(object.clone()).await.unwrap();
    }
    import.finish(b"cursor").await.unwrap()
}

/// An engine of one rule: every user and group goes to the target under its objectGUID.
fn decide(neighbourhood: &Neighbourhood) -> Effects {
    let mut decision = Effects {
        objects: neighbourhood.staged.iter().map(|staged| staged.key).collect(),
        ..Effects::default()
    };
    let key = neighbourhood.metaverse.as_ref().map(|metaverse| metaverse.key);
    let Some(staged) = neighbourhood.staged.first() else {
        decision.metaverse = key.map_or(MetaverseEffect::None, MetaverseEffect::Delete);
        return decision;
    };
    let (kind, metaverse) = match staged.kind {
        ObjectKind::Group => (TenantKind::Group, MetaverseKind::Group),
        _ => (TenantKind::User, MetaverseKind::Person),
    };
    let origin =
        ValueOrigin { attribute: NAME, object: staged.key, rule: RuleId(1), since: 1_700_000_000 };
    let content =
        MetaverseContent { kind: metaverse, record: staged.record.clone(), lineage: vec![origin] };
    decision.metaverse = match key {
        Some(key) => MetaverseEffect::Put(key, content),
        None => MetaverseEffect::Make(content),
    };
    let anchor: portolan_model::SourceAnchor = staged.guid.to_string().parse().unwrap();
    if staged.link.is_none() {
        decision.links = vec![(staged.key, Some(LinkKind::Provisioned))];
        decision.anchors = vec![(staged.key, anchor.clone())];
    }
    let feed = Feed { attribute: MEMBERS, object: staged.key, source: MEMBER };
    decision.targets = vec![TargetEffect {
        connector: TARGET,
        kind,
        anchor,
        pending: Some(PendingExport::Add(staged.record.clone())),
        feeds: if kind == TenantKind::Group { vec![feed] } else { Vec::new() },
        password: kind == TenantKind::User,
    }];
    decision
}

/// Synchronises all that is queued.
pub(super) async fn synchronise(state: &State) -> usize {
    let mut decided = 0;
    loop {
        let queued = state.next_pending(3).await.unwrap();
        if queued.is_empty() {
            break;
        }
        let all = state.neighbourhoods_of(&queued).await.unwrap();
        let decisions: Vec<_> = all.iter().map(|one| decide(&one.neighbourhood)).collect();
        state.apply(None, &queued, &decisions).await.unwrap();
        decided += decisions.len();
    }
    while !state.resolve_references(2).await.unwrap().is_done {}
    decided
}

/// Exports all that is pending, and says what.
pub(super) async fn export(state: &State) -> Vec<String> {
    let mut told = Vec::new();
    let mut after = Place::default();
    loop {
        let exports = state.pending_exports(TARGET, after, 2).await.unwrap();
        let Some(last) = exports.last() else { break };
        after = last.place;
        for export in &exports {
            let what = match &export.pending {
                PendingExport::Add(_) => "add",
                PendingExport::Update(_) => "update",
                PendingExport::Delete => "delete",
            };
            told.push(format!("{what} {} {}", export.kind, &export.anchor.as_str()[..2]));
        }
        state.acknowledge(&exports).await.unwrap();
    }
    let mut after = ReferencePlace::default();
    loop {
        let exports = state.pending_references(TARGET, after, 2).await.unwrap();
        let Some(last) = exports.last() else { break };
        after = last.place;
        for export in &exports {
            let sign = if export.is_added { '+' } else { '-' };
            let (source, target) = (export.anchor.as_str(), export.target.as_str());
            told.push(format!("{} {sign}{}", &source[..2], &target[..2]));
        }
        state.acknowledge_references(&exports).await.unwrap();
    }
    told
}

const USER: ObjectKind = ObjectKind::User;
const GROUP: ObjectKind = ObjectKind::Group;

#[tokio::test]
async fn a_forest_goes_to_the_target_once_and_a_repeat_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let forest = [
        object(0x11, GROUP, "staff", &[0x21, 0x22, 0x31]),
        object(0x21, USER, "Zoë", &[]),
        object(0x22, USER, "Bob", &[]),
    ];
    assert_eq!(import(&state, &forest).await, Changed { changed: 3, removed: 0 });
    assert_eq!(state.pending().await.unwrap(), 3);
    assert_eq!(synchronise(&state).await, 3);
    let told = export(&state).await;
    let wished = ["add user 21", "add user 22", "add group 11", "11 +21", "11 +22"];
    assert_eq!(told, wished, "in this order");
    assert_eq!(export(&state).await, Vec::<String>::new());
    assert_eq!(import(&state, &forest).await, Changed::default());
    assert_eq!(state.pending().await.unwrap(), 0, "a repeat is no change");
    assert_eq!(state.exported_count(TARGET).await.unwrap(), 3);
    assert_eq!(state.object_counts(FOREST).await.unwrap(), [(USER, 2), (GROUP, 1)]);
    assert_eq!(state.forest_cursor(FOREST).await.unwrap().as_deref(), Some(&b"cursor"[..]));
    state.check().await.unwrap();
}

#[tokio::test]
async fn what_changes_and_goes_in_the_forest_changes_and_goes_in_the_target() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let group = object(0x11, GROUP, "staff", &[0x21, 0x22]);
    let bob = object(0x22, USER, "Bob", &[]);
    import(&state, &[group.clone(), object(0x21, USER, "Zoë", &[]), bob.clone()]).await;
    synchronise(&state).await;
    export(&state).await;
    let changed = import(&state, &[group.clone(), object(0x21, USER, "Zoe", &[])]).await;
    assert_eq!(changed, Changed { changed: 1, removed: 1 });
    assert_eq!(synchronise(&state).await, 2);
    assert_eq!(state.losses(TARGET).await.unwrap().lost(), 1);
    assert_eq!(export(&state).await, ["delete user 22", "update user 21"]);
    assert_eq!(state.exported_count(TARGET).await.unwrap(), 2);
    // It comes back: as a new object, with its anchor, and is a member again.
    import(&state, &[group, object(0x21, USER, "Zoe", &[]), bob]).await;
    synchronise(&state).await;
    assert_eq!(export(&state).await, ["add user 22", "11 +22"]);
    let metaverse: Vec<_> =
        state.key_ranges(1).await.unwrap().iter().map(|range| range.last).collect();
    assert_eq!(metaverse, [MetaverseKey(4)], "no key is given twice");
}

#[tokio::test]
async fn a_delta_changes_what_it_names_and_what_follows_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let mut unit = object(0x41, ObjectKind::OrganizationalUnit, "unit", &[]);
    unit.dn = "OU=a,DC=x".parse().unwrap();
    let mut zoe = object(0x21, USER, "Zoë", &[]);
    (zoe.parent, zoe.dn) = (Some(guid(0x41)), "CN=Zoë,OU=a,DC=x".parse().unwrap());
    let group = object(0x11, GROUP, "staff", &[0x21]);
    import(&state, &[group, zoe, unit.clone(), object(0x22, USER, "Bob", &[])]).await;
    synchronise(&state).await;
    export(&state).await;

    let mut changes = state.begin_changes(FOREST).await.unwrap();
    unit.dn = "OU=b,DC=x".parse().unwrap();
    unit.references.clear();
    changes.put(&unit, true).await.unwrap();
    changes.change_references(&guid(0x11), MEMBER, &[guid(0x22)], &[guid(0x21)]).await.unwrap();
    assert_eq!(changes.orphaned_by().await.unwrap(), []);
    let done = changes.finish(b"next").await.unwrap();
    assert_eq!(done, Changed { changed: 2, removed: 0 });
    let mut changes = state.begin_changes(FOREST).await.unwrap();
    let found = changes.get(&guid(0x21)).await.unwrap().unwrap();
    assert_eq!((found.dn.as_str(), found.parent), ("CN=Zoë,OU=b,DC=x", Some(guid(0x41))));
    drop(changes);
    assert_eq!(synchronise(&state).await, 3, "the unit, who is in it, and who was let in");
    assert_eq!(export(&state).await, ["11 +22", "11 -21"]);

    let mut changes = state.begin_changes(FOREST).await.unwrap();
    changes.remove(&guid(0x41)).await.unwrap();
    changes.remove(&guid(0x22)).await.unwrap();
    assert_eq!(changes.orphaned_by().await.unwrap(), [guid(0x41)]);
    changes.finish(b"last").await.unwrap();
    synchronise(&state).await;
    assert_eq!(export(&state).await, ["delete user 22", "delete user 41"]);
    assert_eq!(state.forest_cursor(FOREST).await.unwrap().as_deref(), Some(&b"last"[..]));
}

#[tokio::test]
async fn an_import_that_is_dropped_counts_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    import(&state, &[object(0x21, USER, "Zoë", &[])]).await;
    synchronise(&state).await;
    let mut broken = state.begin_full_import(FOREST).await.unwrap();
    broken.put(object(0x22, USER, "Bob", &[])).await.unwrap();
    assert_eq!(broken.losses().await.unwrap().lost(), 1);
    drop(broken);
    assert_eq!(state.pending().await.unwrap(), 0);
    assert_eq!(state.object_counts(FOREST).await.unwrap(), [(USER, 1)]);
    let changed = import(&state, &[object(0x21, USER, "Zoë", &[])]).await;
    assert_eq!(changed, Changed::default(), "what it left is erased");
}
