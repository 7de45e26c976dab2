//! What becomes of a target that has something else than it acknowledged.

use portolan_sync::ObjectKind;
use portolan_tenant::directory::Reference;

use super::super::tests::{
    FOREST, TARGET, export, import, now, object, record, state, synchronise,
};
use super::super::{Answer, KnownReferences};
use super::*;

const USER: ObjectKind = ObjectKind::User;
const MEMBERS: portolan_sync::AttributeId = portolan_sync::AttributeId(4);
const NAMES: &[(portolan_sync::AttributeId, Reference)] = &[(MEMBERS, Reference::Members)];
/// Behind every anchor.
const LAST: &str = "\u{7f}";

fn anchor(number: u8) -> SourceAnchor {
    SourceAnchor::from(super::super::tests::guid(number))
}

fn held(number: u8, kind: TenantKind, name: &str) -> Held {
    Held { anchor: anchor(number), kind, record: record(name), has_password: true }
}

/// A group of two users, exported.
async fn exported(state: &State) {
    let forest = [
        object(0x11, ObjectKind::Group, "staff", &[0x21, 0x22]),
        object(0x21, USER, "Zoë", &[]),
        object(0x22, USER, "Bob", &[]),
    ];
    import(state, &forest).await;
    synchronise(state).await;
    assert_eq!(export(state).await.len(), 5);
}

async fn confirm(state: &State, mut held: Vec<Held>) -> Confirmed {
    held.sort_by(|a, b| a.anchor.as_str().cmp(b.anchor.as_str()));
    let confirmed = state.confirm(TARGET, "", LAST, &held, now(state).await).await.unwrap();
    synchronise(state).await;
    confirmed
}

fn all() -> Vec<Held> {
    vec![
        held(0x11, TenantKind::Group, "staff"),
        held(0x21, TenantKind::User, "Zoë"),
        held(0x22, TenantKind::User, "Bob"),
    ]
}

async fn references(state: &State) -> KnownReferences {
    let mut known = state.known_references(TARGET, &[anchor(0x11)], NAMES).await.unwrap();
    known.remove(0)
}

#[tokio::test]
async fn a_target_that_has_what_it_acknowledged_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    exported(&state).await;
    assert!(confirm(&state, all()).await.is_nothing());
    assert_eq!(export(&state).await, Vec::<String>::new());
    let known = state.known(TARGET, "", LAST, 2).await.unwrap();
    assert_eq!(known.len(), 2, "by pages");
    let rest = state.known(TARGET, known[1].anchor.as_str(), LAST, 2).await.unwrap();
    assert_eq!(rest.len(), 1);
    let only = state.known(TARGET, "", known[0].anchor.as_str(), 9).await.unwrap();
    assert_eq!(only, known[..1], "through an anchor");
    state.check().await.unwrap();
}

#[tokio::test]
async fn what_is_other_and_what_is_missing_is_exported_again_with_its_references() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    exported(&state).await;
    let guid = super::super::tests::guid(0x22);
    let answer = Answer::at(now(&state).await);
    state.acknowledge_credentials(FOREST, TARGET, &[guid], answer).await.unwrap();
    let found = vec![held(0x11, TenantKind::Group, "staff"), held(0x21, TenantKind::User, "Eve")];
    let confirmed = confirm(&state, found).await;
    assert_eq!(confirmed, Confirmed { other: 1, missing: 1, ..Confirmed::default() });
    assert_eq!(state.credentialed_count(TARGET).await.unwrap(), 0, "gone with the user");
    assert_eq!(state.exported_count(TARGET).await.unwrap(), 2);
    assert_eq!(export(&state).await, ["update user 21", "add user 22", "11 +22"]);
    assert!(confirm(&state, all()).await.is_nothing());
    state.check().await.unwrap();
}

#[tokio::test]
async fn a_target_that_has_nothing_any_more_gets_everything() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    exported(&state).await;
    let confirmed = confirm(&state, Vec::new()).await;
    assert_eq!(confirmed, Confirmed { missing: 3, ..Confirmed::default() });
    let wished = ["add user 21", "add user 22", "add group 11", "11 +21", "11 +22"];
    assert_eq!(export(&state).await, wished);
    state.check().await.unwrap();
}

#[tokio::test]
async fn what_nobody_knew_of_is_kept_and_deleted_unless_it_is_claimed() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    exported(&state).await;
    let mut found = all();
    found.push(held(0x77, TenantKind::User, "stranger"));
    let confirmed = confirm(&state, found).await;
    assert_eq!(confirmed, Confirmed { unknown: 1, ..Confirmed::default() });
    assert_eq!(export(&state).await, Vec::<String>::new());
    assert_eq!(state.delete_unclaimed(TARGET).await.unwrap(), 1);
    assert_eq!(export(&state).await, ["delete user 77"]);
}

#[tokio::test]
async fn a_password_that_is_not_there_is_owed() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    exported(&state).await;
    let guid = super::super::tests::guid(0x22);
    let answer = Answer::at(now(&state).await);
    state.acknowledge_credentials(FOREST, TARGET, &[guid], answer).await.unwrap();
    let mut found = all();
    found[2].has_password = false;
    let confirmed = confirm(&state, found).await;
    assert_eq!(confirmed, Confirmed { passwords: 1, ..Confirmed::default() });
    assert_eq!(state.credentialed_count(TARGET).await.unwrap(), 0);
    assert_eq!(export(&state).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_another_server_exported_is_not_exported_again() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let forest = [
        object(0x11, ObjectKind::Group, "staff", &[0x21, 0x22]),
        object(0x21, USER, "Zoë", &[]),
        object(0x22, USER, "Bob", &[]),
    ];
    import(&state, &forest).await;
    synchronise(&state).await;
    assert!(confirm(&state, all()).await.is_nothing());
    let known = references(&state).await;
    assert_eq!(known.known.to_text(), None);
    assert!(known.wished.to_text().is_some());
    state.adopt_references(known.key).await.unwrap();
    synchronise(&state).await;
    let adopted = references(&state).await;
    assert_eq!((adopted.known, adopted.wished), (known.wished, known.wished));
    assert_eq!(export(&state).await, Vec::<String>::new());
    state.check().await.unwrap();
}

#[tokio::test]
async fn references_that_are_other_are_mended_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    exported(&state).await;
    let before = references(&state).await;
    assert_eq!(before.known, before.wished);
    // The target has one of the two, and one that is not a member; who is not there does not count.
    import(
        &state,
        &[
            object(0x11, ObjectKind::Group, "staff", &[0x21, 0x22]),
            object(0x21, USER, "Zoë", &[]),
            object(0x22, USER, "Bob", &[]),
            object(0x23, USER, "Nina", &[]),
        ],
    )
    .await;
    synchronise(&state).await;
    assert_eq!(export(&state).await, ["add user 23"]);
    let found = [0x21, 0x23, 0x55].map(|number| (MEMBERS, anchor(number)));
    state.confirm_references(TARGET, before.key, &found).await.unwrap();
    synchronise(&state).await;
    let after = references(&state).await;
    assert_eq!(after.wished, before.wished);
    assert_ne!(after.known, before.known);
    assert_eq!(export(&state).await, ["11 +22", "11 -23"]);
    state.check().await.unwrap();
}

#[tokio::test]
async fn single_objects_are_confirmed_and_what_is_nobodys_here_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    exported(&state).await;
    let found = [held(0x21, TenantKind::User, "Eve"), held(0x77, TenantKind::User, "stranger")];
    let gone = [anchor(0x22), anchor(0x78)];
    let confirmed = state.confirm_some(TARGET, &found, &gone, now(&state).await).await.unwrap();
    assert_eq!(confirmed, Confirmed { other: 1, missing: 1, ..Confirmed::default() });
    synchronise(&state).await;
    assert_eq!(export(&state).await, ["update user 21", "add user 22", "11 +22"]);
    let all = [anchor(0x21), anchor(0x22), anchor(0x77)];
    assert_eq!(state.known_of(TARGET, &all).await.unwrap().len(), 2);
    let same = [held(0x21, TenantKind::User, "Zoë")];
    assert!(state.confirm_some(TARGET, &same, &[], now(&state).await).await.unwrap().is_nothing());
    state.check().await.unwrap();
}

#[tokio::test]
async fn what_is_there_under_another_anchor_is_not_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    import(&state, &[object(0x21, USER, "Zoë", &[]), object(0x22, USER, "Bob", &[])]).await;
    synchronise(&state).await;
    // Another server wrote one of them under an anchor that its object has no more.
    let other = held(0x31, TenantKind::User, "Zoë");
    let stranger = held(0x32, TenantKind::User, "Eve");
    let found =
        state.confirm(TARGET, "", LAST, &[other, stranger], now(&state).await).await.unwrap();
    assert_eq!(found.unknown, 2);
    assert_eq!(state.recognise(TARGET, super::super::tests::NAME).await.unwrap(), 1);
    let known = state.known(TARGET, "", LAST, 9).await.unwrap();
    let of = |anchor: &SourceAnchor| known.iter().find(|known| known.anchor == *anchor);
    assert_eq!(of(&anchor(0x21)), None, "it is not made");
    let zoe = of(&anchor(0x31)).unwrap();
    assert_eq!((&zoe.confirmed, &zoe.wished), (&Some(record("Zoë")), &Some(record("Zoë"))));
    assert!(of(&anchor(0x22)).unwrap().confirmed.is_none(), "nobody is like it");
    assert!(of(&anchor(0x32)).is_some(), "it is nobody's still");
    assert_eq!(state.next_pending(9).await.unwrap().len(), 1, "it is decided about again");
    assert_eq!(export(&state).await.len(), 1, "Bob alone is sent");
    assert_eq!(state.recognise(TARGET, super::super::tests::NAME).await.unwrap(), 0);
    state.check().await.unwrap();
}

#[tokio::test]
async fn a_value_that_several_have_recognises_none_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    let forest = [
        object(0x21, USER, "Zoë", &[]),
        object(0x22, USER, "Bob", &[]),
        object(0x23, USER, "Bob", &[]),
        object(0x24, USER, "Nina", &[]),
    ];
    import(&state, &forest).await;
    synchronise(&state).await;
    // Two are Zoë, two are to be Bob; a group is called as Nina is.
    let found = [
        held(0x31, TenantKind::User, "Zoë"),
        held(0x32, TenantKind::User, "Zoë"),
        held(0x33, TenantKind::User, "Bob"),
        held(0x34, TenantKind::Group, "Nina"),
        held(0x35, TenantKind::User, "Nina"),
    ];
    let _ = state.confirm(TARGET, "", LAST, &found, now(&state).await).await.unwrap();
    assert_eq!(state.recognise(TARGET, super::super::tests::NAME).await.unwrap(), 1);
    let known = state.known(TARGET, "", LAST, 9).await.unwrap();
    let to_be_made = known.iter().filter(|known| known.confirmed.is_none());
    let to_be_made: Vec<_> = to_be_made.map(|known| known.anchor.clone()).collect();
    assert_eq!(to_be_made, [0x21, 0x22, 0x23].map(anchor), "all but Nina");
    let nina = known.iter().find(|known| known.anchor == anchor(0x35)).unwrap();
    assert_eq!((nina.kind, known.len()), (TenantKind::User, 8), "the strangers are there");
    state.check().await.unwrap();
}

#[tokio::test]
async fn an_anchor_that_is_another_object_s_is_not_taken_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    import(&state, &[object(0x21, USER, "Zoë", &[]), object(0x22, USER, "Bob", &[])]).await;
    synchronise(&state).await;
    // What the target calls Bob has the anchor that Zoë's object has.
    let held = [held(0x21, TenantKind::User, "Bob")];
    let _ = state.confirm(TARGET, "", LAST, &held, now(&state).await).await.unwrap();
    assert_eq!(state.recognise(TARGET, super::super::tests::NAME).await.unwrap(), 0);
    state.check().await.unwrap();
}
