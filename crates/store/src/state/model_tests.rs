//! The state against one in memory that is obviously right, over random imports.

use std::collections::{BTreeMap, BTreeSet};

use portolan_model::Guid;
use portolan_sync::ObjectKind;
use proptest::prelude::*;
use sqlx::Row as _;

use super::tests::{FOREST, MEMBER, TARGET, export, guid, object, state, synchronise, wanted};
use super::{Changed, ImportedObject, State};

/// Numbers of objects: few, so that they meet.
const NUMBERS: std::ops::Range<u8> = 1..8;

#[derive(Debug, Clone)]
struct Object {
    number: u8,
    is_group: bool,
    name: u8,
    members: BTreeSet<u8>,
}

impl Object {
    fn imported(&self) -> ImportedObject {
        let kind = if self.is_group { ObjectKind::Group } else { ObjectKind::User };
        let members: Vec<_> = self.members.iter().copied().collect();
        object(self.number, kind, &format!("name {}", self.name), &members)
    }
}

#[derive(Debug, Clone)]
enum Change {
    Put(Object),
    Members(u8, BTreeSet<u8>, BTreeSet<u8>),
    Remove(u8),
}

#[derive(Debug, Clone)]
enum Step {
    /// Everything, and whether it comes to its end.
    Full(Vec<Object>, bool),
    /// Some changes, likewise.
    Delta(Vec<Change>, bool),
    /// The queue is worked off, and all exported.
    Cycle,
}

#[derive(Debug, Clone, Default)]
struct Model {
    objects: BTreeMap<u8, (bool, u8)>,
    edges: BTreeSet<(u8, u8)>,
    queue: BTreeSet<u8>,
}

impl Model {
    fn put(&mut self, object: &Object) -> bool {
        let content = (object.is_group, object.name);
        let changed = self.objects.insert(object.number, content) != Some(content);
        if changed {
            self.queue.insert(object.number);
        }
        changed
    }

    fn set_members(&mut self, number: u8, members: &BTreeSet<u8>) {
        let before = self.edges.iter().filter(|(source, _)| *source == number);
        let before: BTreeSet<u8> = before.map(|(_, target)| *target).collect();
        for member in before.symmetric_difference(members) {
            self.toggle(number, *member);
        }
    }

    fn toggle(&mut self, source: u8, target: u8) {
        if !self.edges.remove(&(source, target)) {
            self.edges.insert((source, target));
        }
        if self.objects.contains_key(&target) {
            self.queue.insert(target);
        }
    }

    fn remove(&mut self, number: u8) -> bool {
        let edges: Vec<_> = self.edges.iter().copied().collect();
        for (source, target) in edges {
            if source == number || target == number {
                self.toggle(source, target);
            }
        }
        let removed = self.objects.remove(&number).is_some();
        if removed {
            self.queue.insert(number);
        }
        removed
    }

    fn full(&mut self, objects: &[Object]) -> Changed {
        let mut changed = Changed::default();
        for object in objects {
            changed.changed += u64::from(self.put(object));
        }
        for object in objects {
            self.set_members(object.number, &object.members);
        }
        let present: BTreeSet<_> = objects.iter().map(|object| object.number).collect();
        let gone: Vec<_> =
            self.objects.keys().filter(|number| !present.contains(number)).copied().collect();
        for number in gone {
            changed.removed += u64::from(self.remove(number));
        }
        changed
    }

    fn change(&mut self, change: &Change, changed: &mut Changed) {
        match change {
            Change::Put(object) => {
                changed.changed += u64::from(self.put(object));
                self.set_members(object.number, &object.members);
            }
            Change::Members(number, added, removed) if self.objects.contains_key(number) => {
                let before = self.edges.iter().filter(|(source, _)| source == number);
                let before: BTreeSet<u8> = before.map(|(_, target)| *target).collect();
                let after = &(&before - removed) | added;
                self.set_members(*number, &after);
            }
            Change::Members(..) => {}
            Change::Remove(number) => changed.removed += u64::from(self.remove(*number)),
        }
    }
}

/// What the state has, in the model's words.
async fn read(state: &State) -> Model {
    let mut tx = state.database.read().await.unwrap();
    let number = |octets: &[u8]| octets[0];
    let mut model = Model::default();
    let rows = sqlx::query(
        "SELECT i.guid, i.kind, s.record FROM identity i JOIN staged s USING (key) WHERE state = 1",
    );
    for row in rows.fetch_all(&mut *tx).await.unwrap() {
        let record: &[u8] = row.get(2);
        // The name's number is its last octet, in front of the checksum.
        let name = record[record.len() - 5] - b'0';
        let is_group = row.get::<i64, _>(1) == 2;
        model.objects.insert(number(row.get(0)), (is_group, name));
    }
    let rows = sqlx::query(
        "SELECT s.guid, t.guid FROM reference r JOIN identity s ON s.key = r.source
         JOIN identity t ON t.key = r.target",
    );
    for row in rows.fetch_all(&mut *tx).await.unwrap() {
        model.edges.insert((number(row.get(0)), number(row.get(1))));
    }
    let rows = sqlx::query("SELECT guid FROM pending_object JOIN identity USING (key)");
    for row in rows.fetch_all(&mut *tx).await.unwrap() {
        model.queue.insert(number(row.get(0)));
    }
    model
}

async fn check(state: &State, model: &Model) {
    let found = read(state).await;
    assert_eq!(found.objects, model.objects);
    assert_eq!(found.edges, model.edges);
    assert_eq!(found.queue, model.queue);
    let mut counts = BTreeMap::<_, u64>::new();
    for (is_group, _) in model.objects.values() {
        let kind = if *is_group { ObjectKind::Group } else { ObjectKind::User };
        *counts.entry(kind).or_default() += 1;
    }
    let counted = state.object_counts(FOREST).await.unwrap();
    assert_eq!(counted.into_iter().collect::<BTreeMap<_, _>>(), counts);
}

/// What the target has by now is what the forest has.
async fn check_target(state: &State, model: &Model) {
    assert_eq!(state.exported_count(TARGET).await.unwrap(), model.objects.len() as u64);
    assert_eq!(wanted(state).await, 0);
    let rows = sqlx::query(
        "SELECT s.anchor, t.anchor FROM target_reference r JOIN target_object s ON s.key = r.source
         JOIN target_object t ON t.key = r.target",
    );
    let mut tx = state.database.read().await.unwrap();
    let number = |anchor: &str| {
        let anchor: portolan_model::SourceAnchor = anchor.parse().unwrap();
        anchor.guid().unwrap().to_bytes_le()[0]
    };
    let found: BTreeSet<(u8, u8)> = rows
        .fetch_all(&mut *tx)
        .await
        .unwrap()
        .iter()
        .map(|row| (number(row.get(0)), number(row.get(1))))
        .collect();
    let there = |(source, target): &(u8, u8)| {
        model.objects.get(source).is_some_and(|(is_group, _)| *is_group)
            && model.objects.contains_key(target)
    };
    let wanted: BTreeSet<_> = model.edges.iter().filter(|edge| there(edge)).copied().collect();
    assert_eq!(found, wanted);
    for table in ["feed", "pending_reference", "dirty_reference", "merging"] {
        let left = format!("SELECT count(*) FROM {table}");
        let left: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(left)).fetch_one(&mut *tx).await.unwrap();
        let groups = model.objects.values().filter(|(is_group, _)| *is_group).count() as i64;
        assert_eq!(left, if table == "feed" { groups } else { 0 }, "{table}");
    }
}

async fn run(steps: &[Step]) {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Full(objects, ends) => {
                let mut import = state.begin_full_import(FOREST).await.unwrap();
                for object in objects {
                    import
                        .put(ImportedObject { references: [].into(), ..object.imported() })
                        .await
                        .unwrap();
                    let members: Vec<Guid> = object.members.iter().map(|one| guid(*one)).collect();
                    import.add_references(&guid(object.number), MEMBER, &members).await.unwrap();
                }
                if *ends {
                    let changed = import.finish(b"cursor").await.unwrap();
                    assert_eq!(changed, model.full(objects));
                }
            }
            Step::Delta(all, ends) => {
                let (mut after, mut wanted) = (model.clone(), Changed::default());
                let mut changes = state.begin_changes(FOREST).await.unwrap();
                for change in all {
                    match change {
                        Change::Put(object) => {
                            changes.put(&object.imported(), false).await.unwrap();
                        }
                        Change::Members(number, added, removed) => {
                            let guids = |all: &BTreeSet<u8>| -> Vec<Guid> {
                                all.iter().map(|one| guid(*one)).collect()
                            };
                            let (added, removed) = (guids(added), guids(removed));
                            let done = changes
                                .change_references(&guid(*number), MEMBER, &added, &removed)
                                .await;
                            assert_eq!(done.is_ok(), after.objects.contains_key(number));
                        }
                        Change::Remove(number) => changes.remove(&guid(*number)).await.unwrap(),
                    }
                    after.change(change, &mut wanted);
                }
                if *ends {
                    assert_eq!(changes.finish(b"cursor").await.unwrap(), wanted);
                    model = after;
                }
            }
            Step::Cycle => {
                synchronise(&state).await;
                export(&state).await;
                // What was deleted may be due as an object of another kind.
                synchronise(&state).await;
                model.queue.clear();
                check_target(&state, &model).await;
            }
        }
        check(&state, &model).await;
    }
    state.check().await.unwrap();
}

fn members() -> impl Strategy<Value = BTreeSet<u8>> {
    proptest::collection::btree_set(NUMBERS, 0..5)
}

fn objects() -> impl Strategy<Value = Object> {
    (NUMBERS, 0..3_u8, members()).prop_map(|(number, name, members)| Object {
        number,
        // What an object is does not change.
        is_group: number % 2 == 0,
        name,
        members: if number % 2 == 0 { members } else { BTreeSet::new() },
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let forest = proptest::collection::btree_map(NUMBERS, objects(), 0..7).prop_map(|forest| {
        let own = |(number, object): (u8, Object)| (number == object.number).then_some(object);
        forest.into_iter().filter_map(own).collect()
    });
    let all = proptest::collection::vec(objects(), 0..9).prop_map(|all| {
        let by_number: BTreeMap<_, _> = all.into_iter().map(|one| (one.number, one)).collect();
        by_number.into_values().collect()
    });
    let change = prop_oneof![
        objects().prop_map(Change::Put),
        (NUMBERS, members(), members()).prop_map(|(number, added, removed)| Change::Members(
            number & !1,
            added,
            removed
        )),
        NUMBERS.prop_map(Change::Remove),
    ];
    let ends = || prop::bool::weighted(0.8);
    prop_oneof![
        1 => (forest, ends()).prop_map(|(forest, ends)| Step::Full(forest, ends)),
        2 => (all, ends()).prop_map(|(all, ends)| Step::Full(all, ends)),
        4 => (proptest::collection::vec(change, 0..6), ends())
            .prop_map(|(changes, ends)| Step::Delta(changes, ends)),
        3 => Just(Step::Cycle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn random_imports_come_to_what_they_come_to_in_memory(
        steps in proptest::collection::vec(steps(), 1..10),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
            .block_on(run(&steps));
    }
}
