//! What a wrong password costs the tenant: as much for a name that somebody has as for one that nobody
//! has, so that the time of an answer tells nothing.

use std::time::{Duration, Instant};

use portolan_model::{SecretString, SourceAnchor};
use portolan_store::tenant::SqliteTransaction;
use portolan_tenant::Digest;
use portolan_tenant::authorize::Prompt;
use portolan_tenant::directory::{
    Definition, Kind, Name, Object, Photo, ProvisioningError, Reference,
};
use portolan_tenant::feature::Features;
use portolan_tenant::sign_in::{self, Start, Submission};
use portolan_tenant::storage::{
    Account, AuditRecord, Code, Credential, IngestedBatch, ReferenceChange, RefreshToken, Session,
    StorageError,
};
use portolan_tenant::throttle::Throttle;

use super::*;

/// A transaction that notes what is asked of the store, by name.
struct Noting {
    inner: SqliteTransaction,
    asked: Vec<&'static str>,
}

macro_rules! noting {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        impl portolan_tenant::storage::Transaction for Noting {
            async fn commit(self) -> Result<(), StorageError> {
                self.inner.commit().await
            }

            $(async fn $name(&mut self, $($argument: $kind),*) -> Result<$answer, StorageError> {
                self.asked.push(stringify!($name));
                self.inner.$name($($argument),*).await
            })+
        }
    };
}

noting! {
    tenant() -> Tenant;
    object(id: Guid) -> Option<Object>;
    object_by_anchor(anchor: &SourceAnchor) -> Option<Object>;
    objects_by_anchor(anchors: &[&SourceAnchor]) -> Vec<Object>;
    objects_by_id(ids: &[Guid]) -> Vec<Object>;
    administrators(users: &[Guid]) -> Vec<Guid>;
    features() -> Features;
    extensions() -> Vec<Definition>;
    provisioning_errors(objects: &[Guid]) -> Vec<ProvisioningError>;
    put_provisioning_errors(errors: &[(Guid, Vec<ProvisioningError>)]) -> ();
    free_values(count: u32) -> Vec<ProvisioningError>;
    name_holders(names: &[Name]) -> Vec<(Name, Guid)>;
    accounts(anchors: &[&SourceAnchor]) -> Vec<Account>;
    user_by_name(name: &str) -> Option<Object>;
    put_object(object: &Object) -> ();
    put_objects(objects: &[&Object]) -> ();
    objects(kind: Kind, after: Option<Guid>, count: u32) -> Vec<Object>;
    count_objects(kind: Kind) -> u64;
    change_references(changes: &[ReferenceChange]) -> ();
    end_references_to(anchors: &[&SourceAnchor]) -> ();
    members(group: Guid, after: Option<Guid>, count: u32) -> Vec<Object>;
    group_by_unique_name(name: &str) -> Option<Object>;
    device_by_id(device_id: Guid) -> Option<Object>;
    referred(whose: (Guid, Reference), after: Option<Guid>, count: u32) -> Vec<Object>;
    add_references(whose: (Guid, Reference), to: &[Guid]) -> ();
    referred_among(whose: (Guid, Reference), among: &[Guid]) -> Vec<Guid>;
    remove_reference(whose: (Guid, Reference), to: Guid) -> bool;
    put_manager(user: Guid, manager: Option<Guid>) -> ();
    manager(user: Guid) -> Option<Object>;
    direct_reports(user: Guid, after: Option<Guid>, count: u32) -> Vec<Object>;
    photo(user: Guid) -> Option<Photo>;
    put_photos(photos: &[(Guid, Option<&Photo>)]) -> ();
    credential(user: Guid) -> Option<Credential>;
    put_credential(user: Guid, credential: &Credential) -> ();
    put_credentials(credentials: &[(Guid, &Credential)]) -> ();
    erase_credential(user: Guid) -> ();
    password_set_at(user: Guid) -> Option<OffsetDateTime>;
    end_sessions_of(user: Guid, now: OffsetDateTime) -> ();
    end_sessions_of_all(users: &[Guid], now: OffsetDateTime) -> ();
    sessions_valid_from(user: Guid) -> Option<OffsetDateTime>;
    device_exists(device: &Digest) -> bool;
    device_knows(device: &Digest, user: Guid) -> bool;
    put_device(device: &Digest, user: Guid, now: OffsetDateTime) -> ();
    throttle(name: &Digest) -> Option<Throttle>;
    put_throttle(name: &Digest, throttle: Option<&Throttle>) -> ();
    put_session(session: &Session) -> ();
    session(digest: &Digest) -> Option<Session>;
    end_session(digest: &Digest) -> ();
    put_code(code: &Code) -> ();
    code(digest: &Digest) -> Option<Code>;
    put_refresh_token(token: &RefreshToken) -> ();
    refresh_token(digest: &Digest) -> Option<RefreshToken>;
    end_family(family: Guid) -> ();
    use_once(name: &Digest, until: OffsetDateTime) -> bool;
    application(client_id: Guid) -> Option<Application>;
    applications() -> Vec<Application>;
    put_application(application: &Application) -> ();
    put_enrolment(secret: &Digest, until: OffsetDateTime) -> ();
    take_enrolment(secret: &Digest, now: OffsetDateTime) -> bool;
    batch(id: Guid) -> Option<IngestedBatch>;
    put_batch(batch: &IngestedBatch) -> ();
    record_sign_in(record: &SignInRecord) -> ();
    record_audit(record: &AuditRecord) -> ();
    prune(now: OffsetDateTime) -> ();
}

/// What a wrong password at a name asks of the store.
async fn asked(world: &World, name: &str, device: Option<Digest>) -> Vec<&'static str> {
    let inner = world.service.store().begin(Access::Write).await.unwrap();
    let mut tx = Noting { inner, asked: Vec::new() };
    let password = SecretString::new("wrong".to_owned());
    let start = Start {
        prompt: Prompt::IfNeeded,
        age_seconds_max: None,
        person: None,
        session: None,
        submission: Some(Submission { name: name.to_owned(), password }),
        client: Client { address: world.address, device },
        policy: Policy::default(),
    };
    sign_in::run(&mut tx, &start, world.service.now()).await.unwrap();
    tx.asked
}

#[tokio::test]
async fn a_wrong_password_asks_the_same_of_the_store_whoever_it_is_for() {
    let mut world = World::new().await;
    let others = json!({"batch": "00000000-0000-4000-8000-000000000002", "operations": [
        {"op": "upsert", "anchor": "bare", "kind": "user", "attributes": {
            "userPrincipalName": "bare@corp.example", "accountEnabled": true}},
        {"op": "upsert", "anchor": "off", "kind": "user", "attributes": {
            "userPrincipalName": "off@corp.example", "accountEnabled": false}},
        {"op": "credential", "anchor": "off", "credential": credential(PASSWORD),
            "changed_at": "2026-11-01T00:00:00Z"}]});
    world.ingest(&others).await;
    for device in [None, Some(Digest::of(b"a device of nobody's"))] {
        let known = asked(&world, ALICE, device).await;
        assert!(known.contains(&"credential") && known.contains(&"put_throttle"), "{known:?}");
        for name in ["nobody@corp.example", "bare@corp.example", "off@corp.example", "", "no name"]
        {
            assert_eq!(asked(&world, name, device).await, known, "{name}");
        }
    }
}

#[test]
fn checking_a_password_that_is_not_there_takes_as_long_as_one_that_is() {
    const PAIRS: usize = 201;
    let kept = CredentialData::derive(&NtHash::from_password(PASSWORD), *b"0123456789");
    let wrong = SecretString::new("wrong".to_owned());
    let time = |kept: Option<&CredentialData>| {
        let begun = Instant::now();
        assert!(!sign_in::verify(kept, &wrong).unwrap());
        begun.elapsed()
    };
    // One of each in turn, so that whatever else the machine does meets both alike.
    let (mut there, mut absent): (Vec<_>, Vec<_>) =
        (0..PAIRS).map(|_| (time(Some(&kept)), time(None))).unzip();
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[PAIRS / 2].as_secs_f64()
    };
    let ratio = median(&mut absent) / median(&mut there);
    // Without the derivation it would be below a hundredth.
    assert!((0.5..2.0).contains(&ratio), "absent / there: {ratio}");
}
