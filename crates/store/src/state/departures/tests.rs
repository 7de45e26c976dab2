//! What is counted of objects that a target has no more, and what is made again.

use portolan_model::SourceAnchor;
use portolan_sync::ObjectKind;
use portolan_sync::TenantKind;
use portolan_sync::guard::Loss;

use super::super::tests::{TARGET, export, guid, import, now, object, state, synchronise};
use super::super::{Export, Held, Place, State, TargetKey, Unanswered};

const USER: ObjectKind = ObjectKind::User;
const GROUP: ObjectKind = ObjectKind::Group;
/// Behind every anchor.
const LAST: &str = "\u{7f}";

/// A way on which it becomes known that a target does not have an object.
#[derive(Debug, Clone, Copy)]
enum Way {
    Answered,
    Unanswered,
    Confirmed,
    ConfirmedAlone,
    Vanished,
    BegunAnew,
}

const WAYS: [Way; 6] = [
    Way::Answered,
    Way::Unanswered,
    Way::Confirmed,
    Way::ConfirmedAlone,
    Way::Vanished,
    Way::BegunAnew,
];

async fn pending(state: &State) -> Vec<Export> {
    state.pending_exports(TARGET, Place::default(), 10).await.unwrap()
}

/// It becomes known that the target has a group, and not the user any more.
async fn learn(state: &State, way: Way, sent: &[Export]) {
    let now = now(state).await;
    let (user, group) = (SourceAnchor::from(guid(0x21)), SourceAnchor::from(guid(0x11)));
    let record = super::super::tests::record("staff");
    let kind = TenantKind::Group;
    let held = Held { anchor: group.clone(), kind, record, has_password: true };
    match way {
        Way::Answered => {
            let answer = super::super::Answer::at(now);
            state.acknowledge(sent, &[], answer).await.unwrap();
        }
        Way::Unanswered => {
            let sent = Unanswered::objects(sent);
            let open = state.settle_unanswered(TARGET, &sent, now).await.unwrap();
            assert!(open.is_empty(), "{open:?}");
        }
        Way::Confirmed => {
            state.confirm(TARGET, "", LAST, &[held], now).await.unwrap();
        }
        Way::ConfirmedAlone => {
            state.confirm_some(TARGET, &[], &[user], now).await.unwrap();
        }
        Way::Vanished => {
            let keys: Vec<TargetKey> = sent.iter().map(|export| export.key).collect();
            state.vanished(&keys, now).await.unwrap();
        }
        Way::BegunAnew => {
            state.begin_anew(TARGET, &[(group, kind)], b"batches", now).await.unwrap();
        }
    }
}

/// How many users the target lost lately.
async fn lost(state: &State) -> u64 {
    let now = now(state).await;
    // Of what is to be lost no more, nothing is told: one is.
    import(state, &[object(0x11, GROUP, "staff", &[0x21])]).await;
    synchronise(state).await;
    let tolls = state.tolls(TARGET, now - time::Duration::DAY, now, None).await.unwrap();
    let users = tolls.iter().find(|toll| toll.loss == Loss::Objects(TenantKind::User));
    users.map(|toll| toll.lost).unwrap()
}

#[tokio::test]
async fn what_was_to_be_deleted_and_is_gone_is_a_loss_however_that_became_known() {
    for way in WAYS {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let staff = || object(0x11, GROUP, "staff", &[0x21]);
        import(&state, &[staff(), object(0x21, USER, "Zoë", &[])]).await;
        synchronise(&state).await;
        export(&state).await;
        import(&state, &[staff()]).await;
        synchronise(&state).await;
        let sent = pending(&state).await;
        assert_eq!(sent.len(), 1, "{sent:?}");
        learn(&state, way, &sent).await;
        assert_eq!(state.exported_count(TARGET).await.unwrap(), 1, "{way:?}");
        // Another one goes, so that something is to be lost.
        import(&state, &[staff(), object(0x22, USER, "Bob", &[])]).await;
        synchronise(&state).await;
        export(&state).await;
        assert_eq!(lost(&state).await, 1, "{way:?}");
        state.check().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_wished_for_again_is_made_with_all_that_refers_to_it_however_it_went() {
    // Who begins anew decides about everything again, which these tests' engine does not.
    for way in WAYS.into_iter().filter(|way| !matches!(way, Way::BegunAnew)) {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let forest = [object(0x11, GROUP, "staff", &[0x21]), object(0x21, USER, "Zoë", &[])];
        import(&state, &forest).await;
        synchronise(&state).await;
        export(&state).await;
        import(&state, &forest[..1]).await;
        synchronise(&state).await;
        let sent = pending(&state).await;
        // She comes back before it is known.
        import(&state, &forest).await;
        synchronise(&state).await;
        learn(&state, way, &sent).await;
        synchronise(&state).await;
        let told = export(&state).await;
        let made: Vec<_> = told.iter().filter(|told| !told.contains("group")).collect();
        assert_eq!(made, ["add user 21", "11 +21"], "{way:?}");
        synchronise(&state).await;
        assert_eq!(export(&state).await, Vec::<String>::new(), "{way:?}");
        state.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_deletion_that_was_done_is_a_loss_although_it_is_wished_for_again() {
    for (way, expected) in [(Way::Unanswered, 1), (Way::Confirmed, 0)] {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path()).await;
        let staff = object(0x11, GROUP, "staff", &[0x21]);
        let forest = [staff.clone(), object(0x21, USER, "Zoë", &[])];
        import(&state, &forest).await;
        synchronise(&state).await;
        export(&state).await;
        import(&state, &forest[..1]).await;
        synchronise(&state).await;
        let sent = pending(&state).await;
        import(&state, &forest).await;
        synchronise(&state).await;
        learn(&state, way, &sent).await;
        // It goes once more before it was made again.
        import(&state, &[staff, object(0x22, USER, "Bob", &[])]).await;
        synchronise(&state).await;
        export(&state).await;
        assert_eq!(lost(&state).await, expected, "{way:?}");
    }
}
