//! What holds of the state when things break off, or a target is not what it was.

use std::collections::BTreeMap;

use portolan_model::SourceAnchor;
use portolan_sync::engine::{
    AnchorClaim, Fault, JoinCandidate, JoinCondition, JoinLookup, MetaverseKey, ObjectError,
    ObjectKey, Subject,
};
use portolan_sync::record::{Record, Value};
use portolan_sync::rules::{MetaverseKind, RuleId};
use portolan_sync::{AttributeId, ObjectKind, TenantKind};

use super::tests::{
    FOREST, MEMBER, TARGET, export, guid, import, now, object, record, state, synchronise,
};
use super::*;

const USER: ObjectKind = ObjectKind::User;
const GROUP: ObjectKind = ObjectKind::Group;
const NAME: AttributeId = AttributeId(2);

fn anchor(number: u8) -> SourceAnchor {
    SourceAnchor::from(guid(number))
}

/// A forest of three users and a group of two of them.
fn forest() -> Vec<ImportedObject> {
    let mut all: Vec<_> = (1..=3).map(|n| object(n, USER, &format!("u{n}"), &[])).collect();
    all.push(object(10, GROUP, "g", &[1, 2]));
    all
}

/// A state whose target has all that its forest has.
async fn exported(directory: &Path) -> State {
    let state = state(directory).await;
    import(&state, &forest()).await;
    synchronise(&state).await;
    assert_eq!(export(&state).await.len(), 6);
    state
}

/// What is staged, by its number: name and members.
async fn staged(state: &State) -> BTreeMap<u8, (Record, Vec<u8>)> {
    let number = |guid: &portolan_model::Guid| guid.to_bytes_le()[0];
    let mut all = BTreeMap::new();
    for (_, guid, found) in state.staged(FOREST, ObjectKey(0), 100).await.unwrap() {
        all.insert(number(&guid), (found.record, Vec::new()));
    }
    let mut after = StagedPlace::default();
    loop {
        let references = state.staged_references(FOREST, after, 2).await.unwrap();
        let Some(last) = references.last() else { return all };
        after = last.place;
        for reference in &references {
            let (_, members) = all.get_mut(&number(&reference.source)).unwrap();
            members.push(number(&reference.target));
        }
    }
}

/// How many objects were other than they were known to be.
fn differing(confirmed: Confirmed) -> u64 {
    confirmed.other + confirmed.missing + confirmed.unknown
}

#[tokio::test]
async fn an_import_that_is_broken_off_while_it_is_merged_goes_on_wherever_that_was() {
    let changed = [
        object(1, USER, "other", &[]),
        object(3, USER, "u3", &[]),
        object(4, USER, "new", &[]),
        object(10, GROUP, "g", &[1, 3, 4]),
    ];
    let (mut pieces, mut whole) = (0, None);
    loop {
        let directory = tempfile::tempdir().unwrap();
        let state = exported(directory.path()).await;
        let mut import = state.begin_full_import(FOREST).await.unwrap();
        for object in &changed {
            import.put(object.clone()).await.unwrap();
        }
        import.seal(b"second", None).await.unwrap();
        let mut goes_on = true;
        for _ in 0..pieces {
            goes_on = state.merge_a_piece(None, &mut Changed::default()).await.unwrap();
        }
        state.close().await;
        let state = State::open(&directory.path().join("connector-space.db")).await.unwrap();
        assert_eq!(state.forest_cursor(FOREST).await.unwrap().as_deref(), Some(&b"second"[..]));
        let found = staged(&state).await;
        synchronise(&state).await;
        let told = export(&state).await;
        state.check().await.unwrap();
        let came = whole.get_or_insert_with(|| (found.clone(), told.clone()));
        assert_eq!((&came.0, &came.1), (&found, &told), "broken off after {pieces} pieces");
        assert_eq!(found[&10].1, [1, 3, 4]);
        if !goes_on {
            break;
        }
        pieces += 1;
    }
    assert!(pieces > 5, "{pieces} pieces are not all steps of a merge");
}

#[tokio::test]
async fn what_a_target_says_that_it_has_is_what_counts_and_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let state = exported(directory.path()).await;
    let held = |number, kind, name: &str| Held {
        anchor: anchor(number),
        kind,
        record: record(name),
        has_password: true,
    };
    let mut all = vec![
        held(1, TenantKind::User, "u1"),
        held(2, TenantKind::User, "u2"),
        held(3, TenantKind::User, "u3"),
        held(10, TenantKind::Group, "g"),
    ];
    all.sort_by_key(|one| one.anchor.to_string());
    let last = "~";
    assert_eq!(
        differing(state.confirm(TARGET, "", last, &all, now(&state).await).await.unwrap()),
        0,
        "it has what it said"
    );
    assert_eq!(export(&state).await, [""; 0]);
    // Somebody changed one there, one is gone, and one is nobody's.
    all.retain(|one| one.anchor != anchor(2));
    all.iter_mut().find(|one| one.anchor == anchor(3)).unwrap().record = record("else");
    all.push(held(7, TenantKind::User, "stray"));
    assert_eq!(
        differing(state.confirm(TARGET, "", last, &all, now(&state).await).await.unwrap()),
        3
    );
    synchronise(&state).await;
    assert_eq!(state.delete_unclaimed(TARGET).await.unwrap(), 1);
    let mut told = export(&state).await;
    told.sort();
    assert_eq!(told, ["a +2", "add user 2", "delete user 7", "update user 3"]);
    assert_eq!(state.exported_count(TARGET).await.unwrap(), 4);
    state.check().await.unwrap();
    // A page that ends before an object says nothing of it.
    let first = all.iter().map(|one| one.anchor.to_string()).min().unwrap();
    let page: Vec<_> = all.iter().filter(|one| one.anchor.as_str() == first).cloned().collect();
    assert_eq!(
        differing(state.confirm(TARGET, "", &first, &page, now(&state).await).await.unwrap()),
        0
    );
    assert_eq!(
        differing(state.confirm(TARGET, "", &first, &[], now(&state).await).await.unwrap()),
        1
    );
}

/// A state that knows nothing finds an object in the target that two objects of the forest claim.
#[tokio::test]
async fn what_two_objects_claim_stays_until_it_is_known_whose_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    import(&state, &[object(1, USER, "u1", &[]), object(2, USER, "u2", &[])]).await;
    let there = [(anchor(7), TenantKind::User), (anchor(8), TenantKind::User)];
    state.begin_anew(TARGET, &there, b"batches", now(&state).await).await.unwrap();
    let queued = state.next_pending(10).await.unwrap();
    let disputed = queued.iter().map(|queued| {
        let fault = Fault::AnchorShared { anchor: anchor(7) };
        let errors = vec![ObjectError { subject: Subject::Staged(queued.key), fault }];
        Outcome { objects: vec![queued.key], errors, ..Outcome::default() }
    });
    let disputed: Vec<_> = disputed.collect();
    state.apply(None, &queued, &disputed).await.unwrap();
    assert_eq!(state.delete_unclaimed(TARGET).await.unwrap(), 1, "the other one is nobody's");
    assert_eq!(export(&state).await, ["delete user 8"]);
    // One is corrected, and the other one leaves the forest.
    import(&state, &[object(3, USER, "u3", &[])]).await;
    synchronise(&state).await;
    assert_eq!(state.delete_unclaimed(TARGET).await.unwrap(), 1);
    state.check().await.unwrap();
}

/// What a group refers to is written when nothing but that it is there is known no more: what would be sent
/// before goes with all else that it referred to.
#[tokio::test]
async fn references_wait_for_an_object_that_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let state = exported(directory.path()).await;
    let there = [1, 2, 3].map(|number| (anchor(number), TenantKind::User)).into_iter();
    let there: Vec<_> = there.chain([(anchor(10), TenantKind::Group)]).collect();
    state.begin_anew(TARGET, &there, b"batches", now(&state).await).await.unwrap();
    while !state.resolve_references(100).await.unwrap().is_done {}
    let after = ReferencePlace::default();
    assert_eq!(state.pending_references(TARGET, after, 100).await.unwrap(), []);
    assert!(export(&state).await.iter().any(|told| told.starts_with("a +")));
    state.check().await.unwrap();
}

#[tokio::test]
async fn a_target_that_lost_everything_gets_it_again_also_when_forgetting_breaks_off() {
    let there = [(anchor(1), TenantKind::User), (anchor(9), TenantKind::User)];
    for broken_off in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let state = exported(directory.path()).await;
        state.commit_batches(TARGET, b"before").await.unwrap();
        if broken_off {
            // As far as it comes before the end, twice over.
            let broken = &there[..1];
            state.begin_anew(TARGET, broken, b"before", now(&state).await).await.unwrap();
            assert_eq!(state.batches(TARGET).await.unwrap().as_deref(), Some(&b"before"[..]));
        }
        state.begin_anew(TARGET, &there, b"after", now(&state).await).await.unwrap();
        assert_eq!(state.batches(TARGET).await.unwrap().as_deref(), Some(&b"after"[..]));
        assert_eq!(state.exported_count(TARGET).await.unwrap(), 2);
        // What the target has and is nobody's may be claimed; what is somebody's may not.
        let claim =
            |number| AnchorClaim { object: ObjectKey(999), anchor: anchor(number), is_set: false };
        let taken = state.are_taken(&[claim(9), claim(2)]).await.unwrap();
        assert_eq!(taken, [false, true]);
        synchronise(&state).await;
        assert_eq!(state.delete_unclaimed(TARGET).await.unwrap(), 1);
        let mut told = export(&state).await;
        told.sort();
        let all = ["a +1", "a +2", "add group a", "add user 2", "add user 3", "delete user 9"];
        assert_eq!(told, [&all[..], &["update user 1"]].concat(), "{broken_off}");
        state.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_join_finds_by_value_in_the_case_that_counts_and_tells_two_from_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    state.index_joins(&[NAME]).await.unwrap();
    let named = |number, name: &str| object(number, USER, name, &[]);
    import(&state, &[named(1, "Zoë"), named(2, "zoË"), named(3, "Ann"), named(4, "ann2")]).await;
    synchronise(&state).await;
    let find = async |values: &[&str], case_sensitive, kind| {
        let values = values.iter().map(|value| Value::Text((*value).to_owned())).collect();
        let conditions = vec![JoinCondition { attribute: NAME, values, case_sensitive }];
        let lookup = JoinLookup { rule: RuleId(1), kind, conditions };
        state.find_join(&[(FOREST, lookup)]).await.unwrap().pop().unwrap()
    };
    let person = MetaverseKind::Person;
    let [ann] = find(&["ANN"], false, person).await.try_into().unwrap();
    let JoinCandidate { metaverse, occupied } = ann;
    let all = state.neighbourhoods(&[metaverse]).await.unwrap();
    assert_eq!(all[0].staged[0].guid, guid(3));
    assert_eq!(occupied, Some(all[0].staged[0].key), "one of this forest is linked to it");
    assert_eq!(find(&["ANN"], true, person).await, []);
    assert_eq!(find(&["ZOË"], false, person).await.len(), 2, "two are told, for it is ambiguous");
    assert_eq!(find(&["Zoë"], true, person).await.len(), 1);
    assert_eq!(find(&["nobody", "Ann"], true, person).await.len(), 1, "any of the values");
    assert_eq!(find(&["Ann"], true, MetaverseKind::Group).await, []);
    // An attribute that rules join by from now on is found of what was there before.
    state.index_joins(&[]).await.unwrap();
    assert_eq!(find(&["Ann"], true, person).await, []);
    state.index_joins(&[NAME]).await.unwrap();
    let found = find(&["Ann"], true, person).await;
    assert_eq!(found.first().map(|one| one.metaverse), Some(metaverse));
    assert_ne!(metaverse, MetaverseKey(0));
}

#[tokio::test]
async fn a_copy_is_the_state_as_it_was_and_its_owner_alone_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let state = exported(directory.path()).await;
    let path = directory.path().join("copy.db");
    state.copy_to(&path).await.unwrap();
    assert!(state.copy_to(&path).await.is_err(), "what is there is not written over");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    import(&state, &[]).await;
    let copy = State::open(&path).await.unwrap();
    copy.check().await.unwrap();
    assert_eq!(staged(&copy).await.len(), 4);
    assert_eq!(staged(&state).await.len(), 0);
    assert_eq!(copy.forest_cursor(FOREST).await.unwrap().as_deref(), Some(&b"cursor"[..]));
    assert_eq!(synchronise(&copy).await, 0, "nothing waits in it");
}

#[tokio::test]
async fn a_spoilt_file_is_said_to_be_one_and_nothing_of_it_is_used() {
    use std::os::unix::fs::FileExt as _;
    let check = async |spoil: &dyn Fn(&std::fs::File, u64)| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("connector-space.db");
        let state = exported(directory.path()).await;
        state.close().await;
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        spoil(&file, file.metadata().unwrap().len());
        let found = match State::open(&path).await {
            Ok(state) => state.check().await,
            Err(error) => Err(error),
        };
        let error = found.unwrap_err();
        assert!(matches!(error, StateError::Corrupt { .. }), "{error:?}");
        let hint = portolan_model::Hint::hint(&error).unwrap();
        assert!(hint.starts_with("nothing of it is used"), "{hint}");
    };
    check(&|file, _| file.write_all_at(b"no database at all", 0).unwrap()).await;
    check(&|file, length| file.set_len(length / 3).unwrap()).await;
    check(&|file, length| {
        // Every page but the first, which has the schema.
        let noise = [0x5a; 4096];
        (1..length / 4096).for_each(|page| file.write_all_at(&noise, page * 4096).unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_value_that_is_not_what_was_written_is_found_where_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let state = exported(directory.path()).await;
    let mut tx = state.database.write().await.unwrap();
    // One octet in the middle of a record: to SQLite, all is well.
    sqlx::query(
        "UPDATE staged SET record = CAST(replace(record, CAST('u2' AS BLOB), CAST('u4' AS BLOB)) AS BLOB)
         WHERE instr(record, CAST('u2' AS BLOB)) > 0",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let error = state.check().await.unwrap_err();
    assert!(matches!(error, StateError::Corrupt { .. }), "{error:?}");
    assert!(state.staged(FOREST, ObjectKey(0), 100).await.is_err());
    assert!(state.staged_objects(ObjectKey(0), 100).await.is_err());
    // A full read writes it anew.
    import(&state, &forest()).await;
    state.check().await.unwrap();
    assert_eq!(staged(&state).await.len(), 4);
}

#[tokio::test]
async fn a_full_disk_leaves_what_was_committed_and_goes_on_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let state = exported(directory.path()).await;
    let room = async |statement: &'static str| {
        let mut tx = state.database.write().await.unwrap();
        sqlx::query(statement).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    };
    // Room for no page more than there are.
    room("PRAGMA max_page_count = 1").await;
    let before = staged(&state).await;
    let mut import = state.begin_full_import(FOREST).await.unwrap();
    let mut failed = None;
    for number in 1..=200 {
        let mut large = object(number, USER, &"x".repeat(4096), &[]);
        large.references.clear();
        if let Err(error) = import.put(large).await {
            failed = Some(error);
            break;
        }
    }
    let error = match failed {
        Some(error) => error,
        None => import.finish(b"full").await.unwrap_err(),
    };
    let hint = portolan_model::Hint::hint(&error);
    assert!(hint.is_some_and(|hint| hint.starts_with("make room")), "{error:?}");
    assert_eq!(staged(&state).await, before);
    assert_eq!(state.forest_cursor(FOREST).await.unwrap().as_deref(), Some(&b"cursor"[..]));
    // Whoever opens it next has room.
    state.close().await;
    let state = State::open(&directory.path().join("connector-space.db")).await.unwrap();
    self::import(&state, &[object(1, USER, "other", &[])]).await;
    synchronise(&state).await;
    let mut told = export(&state).await;
    told.sort();
    assert_eq!(told, ["delete group a", "delete user 2", "delete user 3", "update user 1"]);
    state.check().await.unwrap();
}

#[tokio::test]
async fn groups_that_are_in_each_other_and_in_themselves_come_to_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let ring = [
        object(0x11, GROUP, "a", &[0x11, 0x12]),
        object(0x12, GROUP, "b", &[0x13]),
        object(0x13, GROUP, "c", &[0x11]),
    ];
    import(&state, &ring).await;
    assert_eq!(synchronise(&state).await, 3);
    let mut told = export(&state).await;
    told.sort();
    let groups = ["add group 11", "add group 12", "add group 13"];
    assert_eq!(told, [&["11 +11", "11 +12", "12 +13", "13 +11"], &groups[..]].concat());
    import(&state, &ring[..2]).await;
    synchronise(&state).await;
    assert_eq!(export(&state).await, ["delete group 13"]);
    state.check().await.unwrap();
}

#[tokio::test]
async fn references_of_one_object_are_held_against_those_it_is_to_have_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let mut all: Vec<_> = (1..=40).map(|n| object(n, USER, "u", &[])).collect();
    let put = async |members: &[u8]| {
        let mut changes = state.begin_changes(FOREST).await.unwrap();
        changes.put(&object(99, GROUP, "g", members), false).await.unwrap();
        changes.finish(b"cursor").await.unwrap();
        let mut found = staged(&state).await[&99].1.clone();
        found.sort_unstable();
        let mut wanted = members.to_vec();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
    };
    all.push(object(99, GROUP, "g", &[]));
    import(&state, &all).await;
    put(&(1..=40).collect::<Vec<_>>()).await;
    put(&(1..=40).filter(|n| n % 3 != 0).collect::<Vec<_>>()).await;
    put(&[40, 1]).await;
    put(&[39, 38, 2]).await;
    put(&[]).await;
    put(&[7]).await;
}

#[tokio::test]
async fn a_group_whose_members_rules_count_is_looked_at_again_when_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let state = exported(directory.path()).await;
    let change = async |added: u8, removed: u8| {
        let mut changes = state.begin_changes(FOREST).await.unwrap();
        let (group, added, removed) = (guid(10), [guid(added)], [guid(removed)]);
        changes.change_references(&group, MEMBER, &added, &removed).await.unwrap();
        changes.finish(b"cursor").await.unwrap();
        let queued = state.next_pending(10).await.unwrap();
        let mut numbers = Vec::new();
        for one in &queued {
            let object = state.object(one.key).await.unwrap().unwrap();
            numbers.push(object.guid.to_bytes_le()[0]);
        }
        synchronise(&state).await;
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(change(3, 1).await, [1, 3], "who came and who went");
    state.depend_on(&[MEMBER], TARGET, false).await.unwrap();
    assert_eq!(change(1, 3).await, [1, 3, 10], "and the group, when it is counted");
    assert_eq!(change(1, 3).await, [0; 0], "nothing changed");
    state.depend_on(&[NAME], TARGET, false).await.unwrap();
    assert_eq!(change(3, 1).await, [1, 3], "others are counted");
}

#[tokio::test]
async fn an_object_whose_confirmed_values_rules_read_is_looked_at_again_once() {
    let directory = tempfile::tempdir().unwrap();
    let state = exported(directory.path()).await;
    let rename = async |name: &str| {
        let mut changes = state.begin_changes(FOREST).await.unwrap();
        changes.put(&object(1, USER, name, &[]), false).await.unwrap();
        changes.finish(b"cursor").await.unwrap();
        synchronise(&state).await;
        state.settle_confirmed().await.unwrap();
        assert_eq!(export(&state).await, ["update user 1"]);
        state.pending().await.unwrap()
    };
    assert_eq!(rename("a").await, 0, "no rule reads what was confirmed");
    state.depend_on(&[], TARGET, true).await.unwrap();
    assert_eq!(rename("b").await, 1, "it is looked at again");
    // What is exported for the sake of that is not.
    assert_eq!(rename("c").await, 0);
    assert_eq!(rename("d").await, 1, "the next change is a new one");
    synchronise(&state).await;
    state.settle_confirmed().await.unwrap();
    assert_eq!(rename("e").await, 1, "nothing came of it, so it is settled");
    state.depend_on(&[], TARGET, false).await.unwrap();
    synchronise(&state).await;
    assert_eq!(rename("f").await, 0);
}
