//! The conformance suite of `portolan_tenant::storage`: what every store of a tenant does. Each
//! implementation runs all of it.

use super::SqliteStore;
use crate::vault::MasterKeys;
use portolan_legacy_crypto::NtHash;
use portolan_legacy_crypto::pph1::CredentialData;
use portolan_model::{Guid, Secret, SecretString, SourceAnchor};
use portolan_tenant::authorize::Challenge;
use portolan_tenant::directory::{Attributes, Kind, Name, Object, Reference, Value};
use portolan_tenant::grant::{DEVICE_LIFETIME, DEVICES_MAX};
use portolan_tenant::read_up_to::ReadUpTo;
use portolan_tenant::storage::{
    Access, Code, Credential, Grant, IngestedBatch, ReferenceChange, RefreshToken, Session,
    SignInRecord, Store, Transaction,
};
use portolan_tenant::throttle::Throttle;
use portolan_tenant::{Digest, Tenant};
use time::{Duration, OffsetDateTime};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(1_795_000_000_123_456_700).unwrap()
}

fn guid(number: u8) -> Guid {
    Guid::from_random([number; 16])
}

fn anchor(number: u8) -> SourceAnchor {
    format!("anchor-{number}").parse().unwrap()
}

fn object(number: u8, kind: Kind) -> Object {
    let mut attributes = Attributes::default();
    attributes.set("displayName", Value::Text(format!("Objekt {number} Ü"))).unwrap();
    if kind == Kind::User {
        let upn = format!("User{number}@corp.example");
        attributes.set("userPrincipalName", Value::Text(upn)).unwrap();
        attributes.set("accountEnabled", Value::Flag(true)).unwrap();
        attributes.set("businessPhones", Value::Texts(vec!["1".into(), "2".into()])).unwrap();
        attributes.set("onPremisesAccountExpiresDateTime", Value::Time(now())).unwrap();
    }
    Object {
        id: guid(number),
        kind,
        anchor: Some(anchor(number)),
        attributes,
        created_at: now(),
        synchronised_at: Some(now()),
        deleted_at: None,
    }
}

fn grant(user: Guid) -> Grant {
    Grant {
        client_id: guid(90),
        user,
        session: guid(91),
        scopes: "openid User.Read".to_owned(),
        authenticated_at: now(),
        family: guid(92),
    }
}

async fn objects_are_found_by_id_anchor_and_name<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    let mut user = object(1, Kind::User);
    tx.put_object(&user).await.unwrap();
    assert_eq!(tx.object(user.id).await.unwrap(), Some(user.clone()));
    assert_eq!(tx.object_by_anchor(&anchor(1)).await.unwrap(), Some(user.clone()));
    assert_eq!(tx.user_by_name("uSER1@CORP.example").await.unwrap(), Some(user.clone()));
    user.attributes
        .set("userPrincipalName", Value::Text("renamed@corp.example".to_owned()))
        .unwrap();
    tx.put_object(&user).await.unwrap();
    assert_eq!(tx.user_by_name("user1@corp.example").await.unwrap(), None);
    user.deleted_at = Some(now());
    tx.put_object(&user).await.unwrap();
    assert_eq!(tx.user_by_name("renamed@corp.example").await.unwrap(), None);
    assert_eq!(tx.object_by_anchor(&anchor(1)).await.unwrap(), Some(user));
    assert_eq!(tx.objects(Kind::User, None, 10).await.unwrap(), []);
}

async fn objects_are_written_together_and_names_change_hands<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    // More than one statement takes.
    let many: Vec<_> = (30..=250).map(|number| object(number, Kind::User)).collect();
    tx.put_objects(&many.iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(tx.count_objects(Kind::User).await.unwrap(), 221);
    let (mut one, mut other) = (object(30, Kind::User), object(31, Kind::User));
    std::mem::swap(&mut one.attributes, &mut other.attributes);
    let gone = Object { deleted_at: Some(now()), ..object(32, Kind::User) };
    tx.put_objects(&[&one, &other, &gone]).await.unwrap();
    assert_eq!(tx.user_by_name("user30@corp.example").await.unwrap(), Some(other.clone()));
    assert_eq!(tx.user_by_name("user31@corp.example").await.unwrap(), Some(one.clone()));
    let names = ["USER30@corp.example", "user32@corp.example", "nobody"].map(Name::principal);
    let holders = tx.name_holders(&names).await.unwrap();
    assert_eq!(holders, [(Name::principal("user30@corp.example"), other.id)]);
    let (known, unknown) = (anchor(32), "unknown".parse().unwrap());
    assert_eq!(tx.objects_by_anchor(&[&known, &unknown]).await.unwrap(), [gone]);
    tx.put_objects(&[]).await.unwrap();
}

async fn what_is_not_committed_was_never_there<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    tx.put_object(&object(2, Kind::User)).await.unwrap();
    drop(tx);
    let mut tx = store.begin(Access::Write).await.unwrap();
    assert_eq!(tx.object(guid(2)).await.unwrap(), None);
    tx.put_object(&object(2, Kind::User)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.begin(Access::Read).await.unwrap();
    assert!(tx.object(guid(2)).await.unwrap().is_some());
}

async fn pages_go_through_every_living_object_once<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    for number in 10..15 {
        tx.put_object(&object(number, Kind::Group)).await.unwrap();
    }
    assert_eq!(tx.count_objects(Kind::Group).await.unwrap(), 5);
    let mut seen = Vec::new();
    loop {
        let page = tx.objects(Kind::Group, seen.last().copied(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|object| object.id));
    }
    seen.sort_unstable();
    let mut expected: Vec<_> = (10..15).map(guid).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

/// Makes these the members of a group.
pub(super) async fn put_members<T: Transaction>(tx: &mut T, group: Guid, members: &[SourceAnchor]) {
    let change = ReferenceChange::whole(group, Reference::Members, members);
    tx.change_references(&[change]).await.unwrap();
}

async fn members_count_from_when_they_arrive<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    tx.put_object(&object(20, Kind::Group)).await.unwrap();
    tx.put_object(&object(21, Kind::User)).await.unwrap();
    put_members(&mut tx, guid(20), &[anchor(21), anchor(22), anchor(21)]).await;
    assert_eq!(tx.members(guid(20), None, 10).await.unwrap(), [object(21, Kind::User)]);
    tx.put_object(&object(22, Kind::User)).await.unwrap();
    assert_eq!(tx.members(guid(20), None, 10).await.unwrap().len(), 2);
    put_members(&mut tx, guid(20), &[anchor(22)]).await;
    assert_eq!(tx.members(guid(20), None, 10).await.unwrap(), [object(22, Kind::User)]);
    let gone = Object { deleted_at: Some(now()), ..object(22, Kind::User) };
    tx.put_object(&gone).await.unwrap();
    assert_eq!(tx.members(guid(20), None, 10).await.unwrap(), []);
    tx.put_object(&object(22, Kind::User)).await.unwrap();
    assert_eq!(tx.members(guid(20), None, 10).await.unwrap().len(), 1);
    tx.end_references_to(&[&anchor(22), &anchor(99)]).await.unwrap();
    assert_eq!(tx.members(guid(20), None, 10).await.unwrap(), [], "unless it was left");
}

fn change(from: u8, reference: Reference, added: &[u8], removed: &[u8]) -> ReferenceChange {
    let anchors = |numbers: &[u8]| numbers.iter().copied().map(anchor).collect();
    let (added, removed) = (anchors(added), anchors(removed));
    ReferenceChange { from: guid(from), reference, is_whole: false, added, removed }
}

async fn references_change_in_order_and_change_nothing_twice<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    for (number, kind) in [(23, Kind::Group), (24, Kind::Group), (25, Kind::User), (26, Kind::User)]
    {
        tx.put_object(&object(number, kind)).await.unwrap();
    }
    let members =
        |from, added: &[u8], removed: &[u8]| change(from, Reference::Members, added, removed);
    let check = async |tx: &mut S::Transaction, changes: &[ReferenceChange], expected: &[u8]| {
        for _ in 0..2 {
            tx.change_references(changes).await.unwrap();
            let mut found = tx.members(guid(23), None, 10).await.unwrap();
            found.sort_by_key(|object| object.anchor.clone());
            let expected: Vec<_> =
                expected.iter().map(|number| object(*number, Kind::User)).collect();
            assert_eq!(found, expected, "{changes:?}");
        }
    };
    check(&mut tx, &[members(23, &[25, 27], &[26]), members(24, &[26], &[])], &[25]).await;
    check(&mut tx, &[members(23, &[26], &[]), members(23, &[], &[25])], &[26]).await;
    check(&mut tx, &[members(23, &[], &[25]), members(23, &[25], &[])], &[25, 26]).await;
    let whole = ReferenceChange::whole(guid(23), Reference::Members, &[anchor(26)]);
    check(&mut tx, &[members(23, &[25], &[]), whole.clone()], &[26]).await;
    check(&mut tx, &[whole, members(23, &[25], &[26])], &[25]).await;
    assert_eq!(tx.members(guid(24), None, 10).await.unwrap(), [object(26, Kind::User)]);
    // Nobody has what is not in the directory.
    tx.change_references(&[members(99, &[25], &[])]).await.unwrap();
}

async fn a_manager_is_found_from_both_sides<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    for number in [31, 32, 33] {
        tx.put_object(&object(number, Kind::User)).await.unwrap();
    }
    let manager =
        |from, to: u8| ReferenceChange::whole(guid(from), Reference::Manager, &[anchor(to)]);
    tx.change_references(&[manager(31, 33), manager(32, 33)]).await.unwrap();
    assert_eq!(tx.manager(guid(31)).await.unwrap(), Some(object(33, Kind::User)));
    let first = tx.direct_reports(guid(33), None, 1).await.unwrap();
    let second = tx.direct_reports(guid(33), Some(first[0].id), 5).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    tx.change_references(&[manager(31, 32)]).await.unwrap();
    assert_eq!(tx.manager(guid(31)).await.unwrap(), Some(object(32, Kind::User)));
    assert_eq!(tx.direct_reports(guid(33), None, 5).await.unwrap(), [object(32, Kind::User)]);
    let gone = Object { deleted_at: Some(now()), ..object(32, Kind::User) };
    tx.put_object(&gone).await.unwrap();
    assert_eq!(tx.manager(guid(31)).await.unwrap(), None);
    assert_eq!(tx.direct_reports(guid(33), None, 5).await.unwrap(), []);
}

async fn a_password_is_kept_until_it_is_erased<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    let data = CredentialData::derive(&NtHash::from_password("Al1ce-Pass!"), [5; 10]);
    let credential = Credential { credential: data, changed_at: now() };
    tx.put_credential(guid(30), &credential).await.unwrap();
    let kept = tx.credential(guid(30)).await.unwrap().unwrap();
    assert!(kept.credential.verify(&SecretString::new("Al1ce-Pass!".to_owned())));
    assert_eq!(kept.changed_at, now());
    assert_eq!(tx.password_set_at(guid(30)).await.unwrap(), Some(now()));
    tx.erase_credential(guid(30)).await.unwrap();
    assert!(tx.credential(guid(30)).await.unwrap().is_none());
    assert_eq!(tx.password_set_at(guid(30)).await.unwrap(), None);
}

async fn ending_a_persons_sessions_ends_everything_of_theirs<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    let (digest, other) = (Digest::of(b"hers"), Digest::of(b"his"));
    for (digest, user) in [(digest, guid(40)), (other, guid(41))] {
        let (id, expires_at) = (guid(91), now() + Duration::HOUR);
        let session = Session { digest, id, user, authenticated_at: now(), expires_at };
        tx.put_session(&session).await.unwrap();
        assert_eq!(tx.session(&digest).await.unwrap(), Some(session));
        let code = Code {
            digest,
            grant: grant(user),
            redirect_uri: "https://shop.example/cb".to_owned(),
            challenge: Challenge::from_text("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap(),
            nonce: Some("n".to_owned()),
            expires_at,
            redeemed: false,
        };
        tx.put_code(&code).await.unwrap();
        let redeemed = Code { redeemed: true, ..code };
        tx.put_code(&redeemed).await.unwrap();
        assert_eq!(tx.code(&digest).await.unwrap(), Some(redeemed));
        let token = RefreshToken { digest, grant: grant(user), expires_at, used: false };
        tx.put_refresh_token(&token).await.unwrap();
        assert_eq!(tx.refresh_token(&digest).await.unwrap(), Some(token));
    }
    assert_eq!(tx.sessions_valid_from(guid(40)).await.unwrap(), None);
    tx.end_sessions_of(guid(40), now()).await.unwrap();
    let first = tx.sessions_valid_from(guid(40)).await.unwrap().unwrap();
    tx.end_sessions_of(guid(40), now() - Duration::HOUR).await.unwrap();
    let second = tx.sessions_valid_from(guid(40)).await.unwrap().unwrap();
    assert!(second > first, "also when the clock went back");
    assert_eq!(tx.sessions_valid_from(guid(41)).await.unwrap(), None);
    assert_eq!(tx.session(&digest).await.unwrap(), None);
    assert_eq!(tx.code(&digest).await.unwrap(), None);
    assert_eq!(tx.refresh_token(&digest).await.unwrap(), None);
    assert!(tx.session(&other).await.unwrap().is_some());
    tx.end_family(guid(92)).await.unwrap();
    assert_eq!(tx.refresh_token(&other).await.unwrap(), None);
}

async fn a_browser_is_familiar_where_somebody_signed_in<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    let (hers, his) = (Digest::of(b"her browser"), Digest::of(b"his browser"));
    tx.put_device(&hers, guid(42), now()).await.unwrap();
    tx.put_device(&hers, guid(42), now() + Duration::SECOND).await.unwrap();
    assert!(tx.device_exists(&hers).await.unwrap() && !tx.device_exists(&his).await.unwrap());
    assert!(tx.device_knows(&hers, guid(42)).await.unwrap());
    assert!(!tx.device_knows(&hers, guid(43)).await.unwrap());
    for number in 0..DEVICES_MAX {
        let device = Digest::of(&number.to_be_bytes());
        tx.put_device(&device, guid(42), now() + Duration::MINUTE).await.unwrap();
    }
    assert!(!tx.device_knows(&hers, guid(42)).await.unwrap(), "too many: the oldest has gone");
    tx.put_device(&his, guid(43), now()).await.unwrap();
    tx.prune(now() + DEVICE_LIFETIME).await.unwrap();
    assert!(!tx.device_exists(&his).await.unwrap());
}

async fn one_time_things_work_one_time<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    let name = Digest::of(b"once");
    assert!(tx.use_once(&name, now()).await.unwrap());
    assert!(!tx.use_once(&name, now()).await.unwrap());
    tx.put_enrolment(&name, now() + Duration::SECOND).await.unwrap();
    assert!(!tx.take_enrolment(&Digest::of(b"other"), now()).await.unwrap());
    assert!(!tx.take_enrolment(&name, now() + Duration::SECOND).await.unwrap());
    assert!(tx.take_enrolment(&name, now()).await.unwrap());
    assert!(!tx.take_enrolment(&name, now()).await.unwrap());
    let batch = IngestedBatch { id: guid(50), digest: name, answer: "{}".to_owned(), at: now() };
    tx.put_batch(&batch).await.unwrap();
    assert_eq!(tx.batch(guid(50)).await.unwrap(), Some(batch));
    assert_eq!(tx.batch(guid(51)).await.unwrap(), None);
}

async fn what_is_over_is_forgotten<S: Store>(store: &S) {
    let mut tx = store.begin(Access::Write).await.unwrap();
    let name = Digest::of(b"over");
    let throttle = Throttle { failures: 11, failed_at: now(), locked_until: Some(now()) };
    tx.put_throttle(&name, Some(&throttle)).await.unwrap();
    assert_eq!(tx.throttle(&name).await.unwrap(), Some(throttle));
    tx.prune(now()).await.unwrap();
    assert!(tx.throttle(&name).await.unwrap().is_some());
    tx.prune(now() + Duration::DAY).await.unwrap();
    assert_eq!(tx.throttle(&name).await.unwrap(), None);
}

async fn conformance<S: Store>(store: &S) {
    objects_are_found_by_id_anchor_and_name(store).await;
    objects_are_written_together_and_names_change_hands(store).await;
    what_is_not_committed_was_never_there(store).await;
    pages_go_through_every_living_object_once(store).await;
    members_count_from_when_they_arrive(store).await;
    references_change_in_order_and_change_nothing_twice(store).await;
    a_manager_is_found_from_both_sides(store).await;
    a_password_is_kept_until_it_is_erased(store).await;
    ending_a_persons_sessions_ends_everything_of_theirs(store).await;
    a_browser_is_familiar_where_somebody_signed_in(store).await;
    one_time_things_work_one_time(store).await;
    what_is_over_is_forgotten(store).await;
}

fn keys(octet: u8) -> MasterKeys {
    MasterKeys::new([("k1".to_owned(), Secret::new([octet; 32]))]).unwrap()
}

#[tokio::test]
async fn sqlite_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenant.sqlite");
    conformance(&SqliteStore::create(&path, keys(1)).await.unwrap()).await;
}

#[tokio::test]
async fn a_store_comes_back_after_closing_and_needs_its_master_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenant.sqlite");
    assert!(SqliteStore::open(&path, keys(1)).await.is_err(), "there is none yet");
    let store = SqliteStore::create(&path, keys(1)).await.unwrap();
    let tenant = Tenant {
        id: guid(7),
        domain: "cloud.example".parse().unwrap(),
        verified_domains: vec!["corp.example".parse().unwrap()],
    };
    let mut tx = store.begin(Access::Write).await.unwrap();
    tx.put_tenant(&tenant, now()).await.unwrap();
    tx.put_secret("signing-key/a", b"geheim", now()).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let octets = std::fs::read(&path).unwrap();
    assert!(!octets.windows(6).any(|window| window == b"geheim"));

    let store = SqliteStore::open(&path, keys(1)).await.unwrap();
    let mut tx = store.begin(Access::Read).await.unwrap();
    assert_eq!(tx.tenant().await.unwrap(), tenant);
    assert_eq!(tx.secret("signing-key/a").await.unwrap().unwrap().as_slice(), b"geheim");
    let made = tx.secrets_made("signing-key/").await.unwrap();
    assert_eq!(made, [("signing-key/a".to_owned(), now())]);
    drop(tx);
    store.close().await;
    let store = SqliteStore::open(&path, keys(2)).await.unwrap();
    let mut tx = store.begin(Access::Read).await.unwrap();
    assert!(tx.secret("signing-key/a").await.is_err());
}

#[tokio::test]
async fn the_logs_are_read_newest_first_by_person_and_time() {
    use super::log::Wanted;
    use portolan_tenant::storage::AuditRecord;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tenant.sqlite");
    let store = SqliteStore::create(&path, keys(1)).await.unwrap();
    let mut tx = store.begin(Access::Write).await.unwrap();
    let user = object(1, Kind::User);
    tx.put_object(&user).await.unwrap();
    for (number, user) in [(1, Some(user.id)), (2, None), (3, Some(user.id))] {
        let at = now() + Duration::seconds(number.into());
        tx.record_sign_in(&SignInRecord {
            at,
            correlation_id: guid(number),
            user,
            client_id: Some(guid(90)),
            address: [192, 0, 2, 7].into(),
            method: "password",
            rule: Some(portolan_tenant::Rule::WrongPassword),
        })
        .await
        .unwrap();
        let target = if number == 2 { "other".to_owned() } else { anchor(1).to_string() };
        let actor = "command line".to_owned();
        tx.record_audit(&AuditRecord { at, actor, action: "object.upsert", target }).await.unwrap();
    }
    let all = Wanted { since: None, user: None, anchor: None, count_max: 10 };
    let lines = tx.sign_ins(all).await.unwrap();
    let ids: Vec<_> = lines.iter().map(|line| line.correlation_id).collect();
    assert_eq!(ids, [guid(3), guid(2), guid(1)]);
    assert_eq!(lines[0].user_name.as_deref(), Some("User1@corp.example"));
    assert_eq!((lines[0].address.as_str(), lines[0].error), ("192.0.2.7", Some(50126)));
    assert_eq!(lines[1].user_name, None);
    let anchor = anchor(1);
    let hers = Wanted { user: Some(user.id), anchor: Some(anchor.as_str()), ..all };
    assert_eq!(tx.sign_ins(hers).await.unwrap().len(), 2);
    assert_eq!(tx.audits(hers).await.unwrap().len(), 2);
    assert_eq!(tx.audits(all).await.unwrap().len(), 3);
    let late = Wanted { since: Some(now() + Duration::seconds(3)), ..all };
    assert_eq!(tx.sign_ins(late).await.unwrap().len(), 1);
    assert_eq!(tx.audits(late).await.unwrap().len(), 1);
    assert_eq!(tx.sign_ins(Wanted { count_max: 2, ..all }).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_log_that_is_too_long_loses_its_oldest_lines() {
    let directory = tempfile::tempdir().unwrap();
    let keys = MasterKeys::new([("k1".to_owned(), Secret::new([7; 32]))]).unwrap();
    let store = SqliteStore::create(&directory.path().join("x.sqlite"), keys).await.unwrap();
    let mut tx = store.begin(Access::Write).await.unwrap();
    for number in 1..=5 {
        let record = SignInRecord {
            at: now(),
            correlation_id: guid(number),
            user: None,
            client_id: None,
            address: [192, 0, 2, 7].into(),
            method: "password",
            rule: None,
        };
        tx.record_sign_in(&record).await.unwrap();
    }
    tx.cut_sign_in_log(2).await.unwrap();
    let left: Vec<(String,)> =
        sqlx::query_as("SELECT correlation_id FROM sign_in_log ORDER BY rid")
            .fetch_all(&mut *tx.inner)
            .await
            .unwrap();
    assert_eq!(left, [(guid(4).to_string(),), (guid(5).to_string(),)]);
}

#[tokio::test]
async fn lines_about_objects_push_nothing_of_what_was_administered_out_of_the_audit_log() {
    use super::log::Wanted;
    use portolan_tenant::storage::AuditRecord;

    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::create(&directory.path().join("x.sqlite"), keys(1)).await.unwrap();
    let mut tx = store.begin(Access::Write).await.unwrap();
    let actions = ["application.enrol", "domain.add", "application.key.add"];
    let objects = ["object.upsert", "credential.set", "object.delete", "object.upsert"];
    for action in actions.into_iter().chain(objects) {
        let (actor, target) = ("connect".to_owned(), action.to_owned());
        tx.record_audit(&AuditRecord { at: now(), actor, action, target }).await.unwrap();
    }
    let mut left = async |count| {
        tx.cut_audit_log(count).await.unwrap();
        let all = Wanted { since: None, user: None, anchor: None, count_max: 10 };
        let lines = tx.audits(all).await.unwrap();
        lines.into_iter().rev().map(|line| line.action).collect::<Vec<_>>()
    };
    assert_eq!(left(4).await.len(), 7, "nothing is too much");
    let expected = [&actions[..], &objects[1..]].concat();
    assert_eq!(left(3).await, expected);
    assert_eq!(left(1).await, ["application.key.add", "object.upsert"]);
}

#[tokio::test]
async fn how_far_was_read_goes_where_the_objects_go() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::create(&directory.path().join("x.sqlite"), keys(1)).await.unwrap();
    let mut tx = store.begin(Access::Write).await.unwrap();
    let [first, second, third, database, other] = [1, 2, 3, 8, 9].map(guid);
    let read = |all: &[(Guid, u64)]| {
        let mut read = ReadUpTo::default();
        all.iter().for_each(|(of, usn)| read.note("corp.example".parse().unwrap(), *of, *usn));
        read
    };
    let last = u64::try_from(i64::MAX).unwrap();
    tx.put_read_up_to(first, &read(&[(database, 5), (other, last)])).await.unwrap();
    tx.put_read_up_to(second, &read(&[(database, 7)])).await.unwrap();
    let both = read(&[(database, 7), (other, last)]);
    // Who joins a group brings it what it wrote, and who takes its place as the only one, too.
    assert_eq!(tx.join_group(second, first).await.unwrap(), first);
    assert_eq!(tx.read_up_to(first).await.unwrap(), both);
    assert_eq!(tx.read_up_to(second).await.unwrap(), ReadUpTo::default());
    tx.put_read_up_to(third, &read(&[(database, 1)])).await.unwrap();
    tx.replace_in_group(third, guid(4)).await.unwrap();
    assert_eq!(tx.read_up_to(guid(4)).await.unwrap(), read(&[(database, 1)]));
    // It is there as long as one of the group is.
    tx.leave_group(first).await.unwrap();
    assert_eq!(tx.read_up_to(first).await.unwrap(), both);
    tx.leave_group(second).await.unwrap();
    assert_eq!(tx.read_up_to(first).await.unwrap(), ReadUpTo::default());
}
