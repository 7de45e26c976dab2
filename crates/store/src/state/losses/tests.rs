//! What is counted of losses, and what of them somebody let through.

use portolan_model::SourceAnchor;
use portolan_sync::ObjectKind;
use portolan_sync::guard::Allowance;
use time::Duration;

use super::super::tests::{TARGET, export, guid, import, now, object, state, synchronise};
use super::*;

const NAME: AttributeId = AttributeId(2);

async fn tolls(state: &State) -> Vec<Toll> {
    let now = now(state).await;
    state.tolls(TARGET, now - Duration::DAY, now, Some(NAME)).await.unwrap()
}

/// A group of the first users, and so many users, imported and decided about.
async fn forest(state: &State, members: u8, users: std::ops::Range<u8>) {
    let all: Vec<u8> = (0x20..0x20 + members).collect();
    let mut objects = vec![object(0x11, ObjectKind::Group, "staff", &all)];
    objects.extend(users.map(|number| object(0x20 + number, ObjectKind::User, "one", &[])));
    import(state, &objects).await;
    synchronise(state).await;
}

#[tokio::test]
async fn losses_of_several_runs_are_counted_together_and_leave_the_window() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    forest(&state, 0, 0..40).await;
    export(&state).await;
    assert_eq!(tolls(&state).await, [], "nothing is to be lost");
    for last in [32, 25] {
        forest(&state, 0, 0..last).await;
        let deleted = export(&state).await.iter().filter(|told| told.contains("delete")).count();
        assert!(deleted == 8 || deleted == 7, "{deleted}");
    }
    forest(&state, 0, 0..22).await;
    let users = Loss::Objects(TenantKind::User);
    let expected =
        Toll { loss: users.clone(), name: None, there: 25, lost: 15, wanted: 3, released: 0 };
    assert_eq!(tolls(&state).await, std::slice::from_ref(&expected));
    assert!(!Allowance::default().judge([expected.clone()]).is_empty());
    let late = now(&state).await + Duration::DAY * 2;
    let later = state.tolls(TARGET, late - Duration::DAY, late, None).await.unwrap();
    assert_eq!(later, [Toll { lost: 0, ..expected.clone() }], "that was before the window");

    // Somebody lets them through for an hour.
    let at = now(&state).await;
    let release = Release { loss: users, count: 8, at, until: at + Duration::HOUR };
    state.release(TARGET, &release).await.unwrap();
    assert_eq!(tolls(&state).await, [Toll { released: 8, ..expected.clone() }]);
    let behind = at + Duration::HOUR * 2;
    let unused = state.tolls(TARGET, behind - Duration::DAY, behind, None).await.unwrap();
    let used = unused[0].released;
    assert!(used <= 8, "what was lost in the minute of the release may count as let through");
    state.check().await.unwrap();
}

#[tokio::test]
async fn a_group_that_loses_most_of_its_members_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let state = state(directory.path()).await;
    forest(&state, 30, 0..30).await;
    export(&state).await;
    forest(&state, 22, 0..30).await;
    assert_eq!(tolls(&state).await.len(), 1, "eight references, of no group many");
    export(&state).await;
    forest(&state, 14, 0..30).await;
    let all = tolls(&state).await;
    let group = SourceAnchor::from(guid(0x11));
    let members = Toll {
        loss: Loss::Members(group),
        name: Some("staff".to_owned()),
        there: 22,
        lost: 8,
        wanted: 8,
        released: 0,
    };
    let references = Toll { loss: Loss::References, name: None, there: 0, ..members.clone() };
    assert_eq!(all, [members.clone(), references]);
    assert!(!Allowance::default().judge([members.clone()]).is_empty());
    let at = now(&state).await;
    let release = Release { loss: members.loss.clone(), count: 1, at, until: at + Duration::HOUR };
    state.release(TARGET, &release).await.unwrap();
    assert_eq!(tolls(&state).await[0].released, 1);
    assert!(Allowance::default().judge([tolls(&state).await.remove(0)]).is_empty());
    export(&state).await;
    state.check().await.unwrap();
}
