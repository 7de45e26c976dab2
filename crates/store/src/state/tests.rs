//! What holds of the state as a whole: from a forest to a target and back.

use std::path::Path;

use portolan_model::{Guid, SourceAnchor};
use portolan_sync::TenantKind;
use portolan_sync::engine::{
    AnchorClaim, ConnectorId, Feed, Link, LinkKind, MetaverseChange, MetaverseKey, MetaverseObject,
    Neighbourhood, ObjectKey, PendingExport, Side, TargetChange, TargetObject, ValueOrigin,
};
use portolan_sync::record::{Record, Value, ValueRef};
use portolan_sync::rules::{MetaverseKind, RuleId};
use portolan_sync::{AttributeId, ObjectKind};
use time::OffsetDateTime;

use super::*;

pub(super) const NAME: AttributeId = AttributeId(2);
pub(super) const MEMBER: AttributeId = AttributeId(3);
const MEMBERS: AttributeId = AttributeId(4);
pub(super) const FOREST: ConnectorId = ConnectorId(1);
pub(super) const TARGET: ConnectorId = ConnectorId(2);

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
    assert_eq!(state.connector("corp.example", Side::Forest).await.unwrap(), FOREST);
    assert_eq!(state.connector("cloud.example", Side::Target).await.unwrap(), TARGET);
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
fn decide(neighbourhood: &Neighbourhood, new: MetaverseKey) -> Outcome {
    let objects = neighbourhood.staged.iter().map(|staged| staged.key).collect();
    let metaverse = neighbourhood.key();
    let mut outcome = Outcome { metaverse, objects, ..Outcome::default() };
    let decision = &mut outcome.decision;
    let Some(staged) = neighbourhood.staged.first() else {
        decision.metaverse = metaverse.map_or(MetaverseChange::Same, |_| MetaverseChange::Deleted);
        return outcome;
    };
    let key = metaverse.unwrap_or(new);
    let (kind, of_person) = match staged.kind {
        ObjectKind::Group => (TenantKind::Group, MetaverseKind::Group),
        _ => (TenantKind::User, MetaverseKind::Person),
    };
    let record: Record = [(NAME, staged.record.values(NAME).map(ValueRef::to_value).collect())]
        .into_iter()
        .collect();
    let origin =
        ValueOrigin { attribute: NAME, object: staged.key, rule: RuleId(1), since: 1_700_000_000 };
    decision.metaverse = MetaverseChange::Put(MetaverseObject {
        key,
        kind: of_person,
        record: record.clone(),
        lineage: vec![origin],
    });
    let anchor = SourceAnchor::from(staged.guid);
    if staged.link.is_none() {
        let link = Link { metaverse: key, kind: LinkKind::Provisioned };
        outcome.links = vec![(staged.key, link)];
    }
    if staged.anchor.is_none() {
        decision.anchor =
            Some(AnchorClaim { object: staged.key, anchor: anchor.clone(), is_set: false });
    }
    outcome.metaverse = Some(key);
    let feed = Feed { attribute: MEMBERS, object: staged.key, source: MEMBER };
    decision.targets = vec![TargetChange::Put(TargetObject {
        connector: TARGET,
        metaverse: key,
        kind,
        anchor,
        confirmed: neighbourhood.targets.first().and_then(|target| target.confirmed.clone()),
        pending: Some(PendingExport::Add(record)),
        feeds: if kind == TenantKind::Group { vec![feed] } else { Vec::new() },
        password: kind == TenantKind::User,
    })];
    outcome
}

/// Synchronises all that is queued. Gives how many neighbourhoods that were.
pub(super) async fn synchronise(state: &State) -> usize {
    let mut decided = 0;
    loop {
        let queued = state.next_pending(3).await.unwrap();
        if queued.is_empty() {
            break;
        }
        let all = state.neighbourhoods_of(&queued).await.unwrap();
        let first = state.allot(all.len() as u32).await.unwrap();
        let new = (first.0..).map(MetaverseKey);
        let outcomes: Vec<_> =
            all.iter().zip(new).map(|(one, new)| decide(&one.neighbourhood, new)).collect();
        assert_eq!(state.apply(None, &queued, &outcomes).await.unwrap(), []);
        decided += outcomes.len();
    }
    while !state.resolve_references(2).await.unwrap().is_done {}
    decided
}

/// Exports all that is pending, and says what.
pub(super) async fn export(state: &State) -> Vec<String> {
    let number = |anchor: &SourceAnchor| format!("{:x}", anchor.guid().unwrap().to_bytes_le()[0]);
    let answer = Answer::at(now(state).await);
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
            told.push(format!("{what} {} {}", export.kind, number(&export.anchor)));
        }
        state.acknowledge(&exports, &[], answer).await.unwrap();
    }
    let mut after = ReferencePlace::default();
    loop {
        let exports = state.pending_references(TARGET, after, 2).await.unwrap();
        let Some(last) = exports.last() else { break };
        after = last.place;
        for export in &exports {
            let sign = if export.is_added { '+' } else { '-' };
            told.push(format!("{} {sign}{}", number(&export.anchor), number(&export.target)));
        }
        state.acknowledge_references(&exports, answer).await.unwrap();
    }
    told
}

/// The time of the store.
pub(super) async fn now(state: &State) -> OffsetDateTime {
    let mut tx = state.database.read().await.unwrap();
    let seconds = sqlx::query_scalar("SELECT unixepoch()").fetch_one(&mut *tx).await.unwrap();
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

/// How many objects and references are to be lost.
pub(super) async fn wanted(state: &State) -> u64 {
    let now = now(state).await;
    let tolls = state.tolls(TARGET, now - time::Duration::DAY, now, Some(NAME)).await.unwrap();
    tolls.iter().map(|toll| toll.wanted).sum()
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
async fn all_staged_objects_are_read_by_pages_with_their_links_and_those_without() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let (zoe, bob) = (object(0x21, USER, "Zoë", &[]), object(0x22, USER, "Bob", &[]));
    // A member that the forest does not show is known by its number alone, and is not staged.
    import(&state, &[object(0x11, GROUP, "staff", &[0x21, 0x31]), zoe]).await;
    synchronise(&state).await;
    import(&state, &[object(0x11, GROUP, "staff", &[0x21, 0x31]), bob]).await;
    let (mut after, mut read) = (ObjectKey(0), Vec::new());
    loop {
        let page = state.staged_objects(after, 1).await.unwrap();
        let Some(last) = page.last() else { break };
        assert_eq!((page.len(), last.key > after), (1, true));
        after = last.key;
        read.extend(page);
    }
    read.sort_by_key(|staged| staged.guid.to_bytes_le());
    let told: Vec<_> = read
        .iter()
        .map(|staged| (staged.guid, staged.link.is_some(), staged.anchor.clone()))
        .collect();
    let anchor = Some(SourceAnchor::from(guid(0x11)));
    assert_eq!(told, [(guid(0x11), true, anchor), (guid(0x22), false, None)]);
    assert_eq!(read[1].record.first(NAME), Some(ValueRef::Text("Bob")));
    assert_eq!(state.staged_objects(ObjectKey(0), 10).await.unwrap().len(), 2);
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
    assert_eq!(wanted(&state).await, 1);
    assert_eq!(export(&state).await, ["delete user 22", "update user 21"]);
    assert_eq!(state.exported_count(TARGET).await.unwrap(), 2);
    // It comes back: as a new object, with its anchor, and is a member again.
    import(&state, &[group, object(0x21, USER, "Zoe", &[]), bob]).await;
    synchronise(&state).await;
    assert_eq!(export(&state).await, ["add user 22", "11 +22"]);
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

/// One unit moved, the other moved below it, and a reply in parts tells of the latter first.
#[tokio::test]
async fn two_units_that_changed_places_stand_below_each_other_until_all_was_told() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let unit = |number, parent: Option<u8>, dn: &str| ImportedObject {
        parent: parent.map(guid),
        dn: dn.parse().unwrap(),
        references: Vec::new(),
        ..object(number, ObjectKind::OrganizationalUnit, "unit", &[])
    };
    let mut zoe = object(0x21, USER, "Zoë", &[]);
    (zoe.parent, zoe.dn) = (Some(guid(0x42)), "CN=Zoë,OU=b,OU=a,DC=x".parse().unwrap());
    let (a, b) = (unit(0x41, None, "OU=a,DC=x"), unit(0x42, Some(0x41), "OU=b,OU=a,DC=x"));
    import(&state, &[a, b, zoe]).await;
    for told in [unit(0x41, Some(0x42), "OU=a,OU=b,DC=x"), unit(0x42, Some(0x43), "OU=b,DC=x")] {
        let mut changes = state.begin_changes(FOREST).await.unwrap();
        changes.put(&told, true).await.unwrap();
        changes.finish(b"next").await.unwrap();
    }
    let mut changes = state.begin_changes(FOREST).await.unwrap();
    for (number, name) in
        [(0x41, "OU=a,OU=b,DC=x"), (0x42, "OU=b,DC=x"), (0x21, "CN=Zoë,OU=b,DC=x")]
    {
        assert_eq!(changes.get(&guid(number)).await.unwrap().unwrap().dn.as_str(), name);
    }
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

#[tokio::test]
async fn what_is_staged_is_read_in_pages_with_references_to_what_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let mut zoe = object(0x21, USER, "Zoë", &[]);
    zoe.parent = Some(guid(0x41));
    import(&state, &[object(0x11, GROUP, "staff", &[0x21, 0x31]), zoe.clone()]).await;
    let (mut objects, mut after) = (Vec::new(), ObjectKey(0));
    loop {
        let page = state.staged(FOREST, after, 1).await.unwrap();
        let [(key, guid, found)] = page.as_slice() else { break };
        after = *key;
        objects.push((*guid, found.clone()));
    }
    let of_zoe = Found { kind: USER, parent: zoe.parent, dn: zoe.dn, record: zoe.record };
    assert_eq!(objects.len(), 2);
    assert!(objects.contains(&(guid(0x21), of_zoe)), "{objects:?}");
    let (mut references, mut after) = (Vec::new(), StagedPlace::default());
    loop {
        let page = state.staged_references(FOREST, after, 1).await.unwrap();
        let [one] = page.as_slice() else { break };
        after = one.place;
        references.push((one.source, one.attribute, one.target));
    }
    references.sort_unstable();
    let staff = guid(0x11);
    assert_eq!(references, [(staff, MEMBER, guid(0x21)), (staff, MEMBER, guid(0x31))]);
    assert_eq!(state.staged(TARGET, ObjectKey(0), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_run_is_kept_with_its_steps_and_may_be_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let run = state.begin_run("nightly", at(100)).await.unwrap();
    let read = state.begin_step(run, "import", Some("corp.example"), at(101)).await.unwrap();
    let end = StepEnd {
        took: std::time::Duration::from_millis(1_500),
        outcome: "failed",
        counts: "{}",
        error: Some("the forest is down"),
    };
    state.end_step(read, end).await.unwrap();
    let sent = state.begin_step(run, "export", None, at(103)).await.unwrap();
    assert_ne!(read, sent);
    let steps = state.run_steps(run).await.unwrap();
    let expected = RunStep {
        step: "import".to_owned(),
        forest: Some("corp.example".to_owned()),
        begun: at(101),
        took: Some(end.took),
        outcome: Some("failed".to_owned()),
        counts: Some("{}".to_owned()),
        error: Some("the forest is down".to_owned()),
    };
    assert_eq!(steps[0], expected);
    assert_eq!((steps[1].step.as_str(), steps[1].took, &steps[1].outcome), ("export", None, &None));
    assert_eq!(state.run(run).await.unwrap().unwrap().kind, "nightly");
    state.forget_run(run).await.unwrap();
    assert_eq!(state.run(run).await.unwrap(), None);
    assert_eq!(state.run_steps(run).await.unwrap(), []);
}

#[tokio::test]
async fn figures_say_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let objects =
        [object(1, ObjectKind::User, "alice", &[]), object(2, ObjectKind::Group, "staff", &[1])];
    import(&state, &objects).await;
    let waiting: Vec<_> = state.next_pending(10).await.unwrap().iter().map(|q| q.key).collect();
    assert_eq!(waiting.len(), 2);
    let alice = state.key_of(FOREST, &guid(1)).await.unwrap();
    assert!(alice.is_some_and(|alice| waiting.contains(&alice)));
    assert_eq!(state.key_of(FOREST, &guid(9)).await.unwrap(), None);
    assert_eq!(state.pending_of(&waiting[..1]).await.unwrap().len(), 1);
    synchronise(&state).await;
    let expected = Figures {
        pending: vec![(TenantKind::User, Waiting::Add, 1), (TenantKind::Group, Waiting::Add, 1)],
        references: 1,
        ..Figures::default()
    };
    assert_eq!(state.figures(TARGET).await.unwrap(), expected);
    export(&state).await;
    let figures = state.figures(TARGET).await.unwrap();
    assert_eq!(figures.exported, [(TenantKind::User, 1), (TenantKind::Group, 1)]);
    assert_eq!((figures.pending, figures.references), (vec![], 0));
    assert_eq!(state.error_counts().await.unwrap(), []);
}
