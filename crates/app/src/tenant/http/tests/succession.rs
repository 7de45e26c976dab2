//! A sync server that enrols again: what was its own stays its own, and nobody else's becomes so.

use portolan_tenant::client_key;
use portolan_token::assertion;

use super::*;

/// A fresh enrolment file's secret; `replaces` is an administrator's word.
async fn enrolment(world: &World, replaces: Option<Guid>) -> Opaque {
    let secret = Opaque::draw(&mut SystemEntropy);
    let until = world.service.now() + time::Duration::HOUR;
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_enrolment(&secret.digest(), until).await.unwrap();
    if let Some(id) = replaces {
        tx.bind_enrolment(&secret.digest(), id).await.unwrap();
    }
    tx.commit().await.unwrap();
    secret
}

async fn enrol(world: &mut World, secret: &Opaque, key: &SigningKey, replaces: &Json) -> Answer {
    let body = json!({"secret": secret.expose(), "key": key.public(), "replaces": replaces});
    world.post_json("", "/enrol", body.to_string()).await
}

/// The word of `old` for `new`, in the name of an application.
fn succession(world: &World, was: &str, old: &SigningKey, new: &SigningKey) -> Json {
    let thumbprint = new.public().thumbprint().unwrap();
    let audience = client_key::succession_audience(world.service.tenant(), &thumbprint);
    let now = world.service.now();
    let proof = assertion::sign(old, was, &audience, now, &mut SystemEntropy).unwrap();
    json!({"client_id": was, "proof": proof})
}

/// A server that enrolled and wrote Bob, and its id.
async fn first_server(world: &mut World, key: &SigningKey) -> Guid {
    let secret = enrolment(world, None).await;
    let answer = enrol(world, &secret, key, &Json::Null).await;
    let id = answer.json()["client_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(write_bob(world, id, 1).await, json!("ok"));
    id
}

/// What the tenant says to a server that writes Bob.
async fn write_bob(world: &mut World, server: Guid, batch: u8) -> Json {
    let id = format!("00000000-0000-4000-8000-0000000002{batch:02}");
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let application = tx.application(server).await.unwrap().unwrap();
    drop(tx);
    let token = world.own_token(&application, SYNC, &[ROLE_INGEST]);
    let batch = json!({"batch": id, "operations": [{"op": "upsert", "anchor": "bob", "kind": "user",
        "attributes": {"userPrincipalName": "bob@corp.example", "accountEnabled": true}}]});
    let answer = world.post_json(&token, "/v1.0/ingest", batch.to_string()).await;
    let result = answer.json()["results"][0].clone();
    result.get("code").or(result.get("status")).cloned().unwrap()
}

async fn exists(world: &World, server: Guid) -> bool {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    tx.application(server).await.unwrap().is_some()
}

#[tokio::test]
async fn who_proves_the_key_of_before_succeeds_and_the_old_application_is_gone() {
    let mut world = World::empty().await;
    let (old, new) = (signing_key(), signing_key());
    let first = first_server(&mut world, &old).await;
    let secret = enrolment(&world, None).await;
    let word = succession(&world, &first.to_string(), &old, &new);
    let answer = enrol(&mut world, &secret, &new, &word).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["replaced"], json!(first.to_string()));
    let second: Guid = answer.json()["client_id"].as_str().unwrap().parse().unwrap();
    assert!(!exists(&world, first).await);
    assert_eq!(write_bob(&mut world, second, 2).await, json!("ok"));
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    assert_eq!(tx.owned(second).await.unwrap(), 1);
    let wanted = portolan_store::tenant::log::Wanted {
        since: None,
        user: None,
        anchor: None,
        count_max: 10,
    };
    let audits = tx.audits(wanted).await.unwrap();
    let line = audits.iter().find(|line| line.action == "application.succeed").unwrap();
    assert_eq!((line.actor.clone(), line.target.clone()), (second.to_string(), first.to_string()));
}

#[tokio::test]
async fn a_fresh_enrolment_file_alone_takes_nothing_over() {
    let mut world = World::empty().await;
    let (victim, mallory) = (signing_key(), signing_key());
    let first = first_server(&mut world, &victim).await;
    let secret = enrolment(&world, None).await;
    let id = first.to_string();
    let elsewhere = succession(&world, &id, &victim, &signing_key());
    for word in [
        succession(&world, &id, &mallory, &mallory),
        elsewhere,
        json!({"client_id": id, "proof": "x.y.z"}),
        succession(&world, &world.client_id, &mallory, &mallory),
    ] {
        let answer = enrol(&mut world, &secret, &mallory, &word).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (403, Some("invalidProof"))
        );
    }
    // The secret is not used up by that; with it alone one is a server, and has nothing.
    let answer = enrol(&mut world, &secret, &mallory, &Json::Null).await;
    let second: Guid = answer.json()["client_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(write_bob(&mut world, second, 2).await, json!("otherSyncServer"));
    assert_eq!(write_bob(&mut world, first, 3).await, json!("ok"));
    // A word that was used once is worth nothing to who has heard it.
    let heir = signing_key();
    let word = succession(&world, &id, &victim, &heir);
    let secret = enrolment(&world, None).await;
    assert_eq!(enrol(&mut world, &secret, &heir, &word).await.status, 200);
    let secret = enrolment(&world, None).await;
    let again = enrol(&mut world, &secret, &heir, &word).await;
    assert_eq!(again.json().get("replaced"), None, "the old one is gone, and its word with it");
}

#[tokio::test]
async fn an_administrators_word_stands_for_a_key_that_is_lost() {
    let mut world = World::empty().await;
    let first = first_server(&mut world, &signing_key()).await;
    let secret = enrolment(&world, Some(first)).await;
    let answer = enrol(&mut world, &secret, &signing_key(), &Json::Null).await;
    assert_eq!(answer.json()["replaced"], json!(first.to_string()));
    let second: Guid = answer.json()["client_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(write_bob(&mut world, second, 2).await, json!("ok"));
    assert!(!exists(&world, first).await);
}

#[tokio::test]
async fn a_server_is_told_its_last_batch_and_what_is_its_own() {
    let mut world = World::empty().await;
    let first = first_server(&mut world, &signing_key()).await;
    let secret = enrolment(&world, Some(first)).await;
    let answer = enrol(&mut world, &secret, &signing_key(), &Json::Null).await;
    let second: Guid = answer.json()["client_id"].as_str().unwrap().parse().unwrap();
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let application = tx.application(second).await.unwrap().unwrap();
    drop(tx);
    let token = world.own_token(&application, SYNC, &[ROLE_INGEST]);
    let header = format!("Bearer {token}");
    let headers = [("authorization", header.as_str())];
    let mut ask = async |path: &str| {
        world.send(Method::GET, SYNC, path, &headers, Body::empty()).await.json()
    };
    let tenant = ask("/v1.0/tenant").await;
    assert_eq!(tenant["last_batch"], json!("00000000-0000-4000-8000-000000000201"));
    let objects = ask("/v1.0/objects").await;
    assert_eq!(objects, json!({"objects": [{"anchor": "bob", "kind": "user"}]}));
    assert_eq!(ask("/v1.0/objects?after=bob").await, json!({"objects": []}));
}
