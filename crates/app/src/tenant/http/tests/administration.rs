//! The first administrator's first sign-in; what sync servers may not do to each other.

use portolan_tenant::directory::{Attributes, Kind, Object, Value};
use portolan_tenant::storage::Credential;

use super::*;

const ROOT: &str = "root@cloud.example";
const GIVEN: &str = "0123456789-given";
const CHOSEN: &str = "a horse of another colour";

/// A person of the cloud alone, whose password somebody else has set.
async fn with_administrator(world: &World) -> Guid {
    let mut attributes = Attributes::default();
    for (name, value) in [
        ("userPrincipalName", Value::Text(ROOT.to_owned())),
        ("displayName", Value::Text("Root".to_owned())),
        ("accountEnabled", Value::Flag(true)),
        ("onPremisesPasswordChangeRequired", Value::Flag(true)),
    ] {
        attributes.set(name, value).unwrap();
    }
    let (id, now) = (Guid::from_random(SystemEntropy.array()), world.service.now());
    let user = Object {
        id,
        kind: Kind::User,
        anchor: None,
        attributes,
        created_at: now,
        synchronised_at: None,
        deleted_at: None,
    };
    let hash = NtHash::from_password(GIVEN);
    let credential = CredentialData::derive(&hash, *b"0123456789");
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_object(&user).await.unwrap();
    tx.put_credential(id, &Credential { credential, changed_at: now }).await.unwrap();
    tx.assign_role(id, "Global Administrator", now).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn sign_in(world: &mut World, password: &str) -> Answer {
    let page = world.get(LOGIN, "/").await;
    let path = format!("/{}/login", world.tenant_id);
    let canary = page.field("canary");
    let fields =
        [("canary", canary.as_str()), ("request", ""), ("loginfmt", ROOT), ("passwd", password)];
    world.post_form(&path, &fields).await
}

async fn choose(world: &mut World, page: &Answer, current: &str, new: [&str; 2]) -> Answer {
    let path = format!("/{}/password", world.tenant_id);
    let canary = page.field("canary");
    let fields = [
        ("canary", canary.as_str()),
        ("request", ""),
        ("loginfmt", ROOT),
        ("passwd", current),
        ("newpasswd", new[0]),
        ("again", new[1]),
    ];
    world.post_form(&path, &fields).await
}

#[tokio::test]
async fn the_first_administrator_chooses_a_password_at_the_first_sign_in() {
    let mut world = World::new().await;
    with_administrator(&world).await;
    let wrong = sign_in(&mut world, "nonsense").await;
    assert!(!wrong.text.contains("newpasswd"), "who does not know the password changes nothing");
    let page = sign_in(&mut world, GIVEN).await;
    assert!(page.text.contains("newpasswd"), "{}", page.text);
    for (new, complaint) in [
        (["a horse of another", "a horse of"], "not the same"),
        (["short", "short"], "too short"),
        ([GIVEN, GIVEN], "the current one"),
        (["My-ROOT-password", "My-ROOT-password"], "your user name"),
    ] {
        let answer = choose(&mut world, &page, GIVEN, new).await;
        assert!(answer.text.contains(complaint), "{}", answer.text);
    }
    let refused = choose(&mut world, &page, "nonsense", [CHOSEN, CHOSEN]).await;
    assert!(!refused.text.contains("newpasswd"), "{}", refused.text);
    let changed = choose(&mut world, &page, GIVEN, [CHOSEN, CHOSEN]).await;
    assert!(changed.text.contains("<h1>Sign in</h1>"), "{}", changed.text);
    let old = sign_in(&mut world, GIVEN).await;
    assert_eq!(old.status, 200, "the given password is over");
    let signed_in = sign_in(&mut world, CHOSEN).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, "/"));
}

#[tokio::test]
async fn a_synchronised_person_chooses_no_password_here() {
    let mut world = World::new().await;
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000009", "operations": [
        {"op": "upsert", "anchor": "alice", "kind": "user", "attributes": {"userPrincipalName": ALICE,
            "accountEnabled": true, "onPremisesPasswordChangeRequired": true}}]});
    world.ingest(&batch).await;
    let page = world.get(LOGIN, "/").await;
    let (path, canary) = (format!("/{}/password", world.tenant_id), page.field("canary"));
    let fields = [
        ("canary", canary.as_str()),
        ("loginfmt", ALICE),
        ("passwd", PASSWORD),
        ("newpasswd", CHOSEN),
        ("again", CHOSEN),
    ];
    let answer = world.post_form(&path, &fields).await;
    assert!(answer.text.contains("AADSTS50055"), "{}", answer.text);
}

/// What the tenant says to each operation of a batch of a sync server.
async fn send(world: &mut World, server: &str, batch: u8, operations: Json) -> Vec<String> {
    let id = format!("00000000-0000-4000-8000-0000000001{batch:02}");
    let token = world.application_token(server).await;
    let body = json!({"batch": id, "operations": operations}).to_string();
    let answer = world.post_json(&token, "/v1.0/ingest", body).await;
    let answer = answer.json();
    let results = answer["results"].as_array().cloned().unwrap_or_default();
    let word = |result: &Json| result["code"].as_str().unwrap_or("ok").to_owned();
    results.iter().map(word).collect()
}

fn upsert(anchor: &str, name: &str) -> Json {
    json!({"op": "upsert", "anchor": anchor, "kind": "user",
        "attributes": {"userPrincipalName": name, "accountEnabled": true}})
}

async fn second_server(world: &World) -> Guid {
    let client_id = Guid::from_random(SystemEntropy.array());
    let second = Application {
        client_id,
        name: "second".to_owned(),
        redirect_uris: vec![],
        permissions: vec![],
        roles: vec![ROLE_INGEST.to_owned()],
        keys: vec![],
    };
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_application(&second).await.unwrap();
    tx.commit().await.unwrap();
    client_id
}

#[tokio::test]
async fn a_second_sync_server_takes_nothing_over_until_the_first_is_removed() {
    let mut world = World::new().await;
    second_server(&world).await;
    let takeover = json!([
        upsert("alice", "mallory@corp.example"),
        {"op": "delete", "anchor": "alice", "kind": "user"},
        {"op": "credential", "anchor": "alice", "credential": credential("x"),
            "changed_at": "2026-11-02T00:00:00Z"},
        upsert("bob", "bob@corp.example"),
    ]);
    let refused = "otherSyncServer";
    let results = send(&mut world, "second", 1, takeover.clone()).await;
    assert_eq!(results, [refused, refused, refused, "ok"]);
    assert_eq!(send(&mut world, "connect", 2, json!([upsert("bob", ALICE)])).await, [refused]);
    let first = world.application("connect").await;
    let token = world.application_token("connect").await;
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    assert!(tx.remove_application(first.client_id).await.unwrap());
    tx.commit().await.unwrap();
    let empty = json!({"batch": "00000000-0000-4000-8000-000000000199", "operations": []});
    let answer = world.post_json(&token, "/v1.0/ingest", empty.to_string()).await;
    assert_eq!(answer.status, 401, "a removed server's token stops at once");
    let results = send(&mut world, "second", 3, takeover).await;
    assert_eq!(results, ["ok", "ok", "unknownAnchor", "ok"]);
}

#[tokio::test]
async fn ingest_writes_nobody_who_is_not_synchronised() {
    let mut world = World::new().await;
    let root = with_administrator(&world).await;
    let operations = json!([
        upsert("mallory", ROOT),
        {"op": "delete", "anchor": root.to_string(), "kind": "user"},
        {"op": "credential", "anchor": root.to_string(), "credential": credential("x"),
            "changed_at": "2026-11-02T00:00:00Z"},
    ]);
    let results = send(&mut world, "connect", 4, operations).await;
    assert_eq!(results, ["userPrincipalNameTaken", "ok", "unknownAnchor"]);
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let kept = tx.user_by_name(ROOT).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.anchor), (root, None));
    let credential = tx.credential(root).await.unwrap().unwrap().credential;
    assert!(credential.verify(&portolan_model::SecretString::new(GIVEN.to_owned())));
}

#[tokio::test]
async fn a_sync_server_that_sends_without_end_is_slowed_down() {
    let mut world = World::new().await;
    let token = world.application_token("connect").await;
    let client_id = world.application("connect").await.client_id;
    let now = world.service.now();
    while world.service.rates().batches.admit(client_id, 1, now) {}
    let empty = json!({"batch": "00000000-0000-4000-8000-000000000198", "operations": []});
    let answer = world.post_json(&token, "/v1.0/ingest", empty.to_string()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "10"));
    world.pass(10);
    assert_eq!(world.post_json(&token, "/v1.0/ingest", empty.to_string()).await.status, 200);
}
