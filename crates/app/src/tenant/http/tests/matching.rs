//! Objects of the cloud that turn out to be the forest's.

use portolan_tenant::directory::{Attributes, Kind, Object, Value};
use portolan_tenant::feature::Feature;
use portolan_tenant::storage::Credential;

use super::*;

const BOB: &str = "bob@corp.example";

/// A user of the cloud alone, with a password; and with an immutable id, if one is given.
async fn of_the_cloud(world: &World, name: &str, addresses: &[&str], anchor: Option<&str>) -> Guid {
    let mut attributes = Attributes::default();
    let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
    for (attribute, value) in [
        ("userPrincipalName", Value::Text(name.to_owned())),
        ("accountEnabled", Value::Flag(true)),
        ("proxyAddresses", Value::Texts(addresses)),
        ("jobTitle", Value::Text("of the cloud".to_owned())),
    ] {
        attributes.set(attribute, value).unwrap();
    }
    let (id, now) = (Guid::from_random(SystemEntropy.array()), world.service.now());
    let user = Object {
        id,
        kind: Kind::User,
        anchor: anchor.map(|anchor| anchor.parse().unwrap()),
        attributes,
        created_at: now,
        synchronised_at: None,
        deleted_at: None,
    };
    let hash = NtHash::from_password("of-the-cl0ud");
    let credential = CredentialData::derive(&hash, *b"0123456789");
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_object(&user).await.unwrap();
    tx.put_credential(id, &Credential { credential, changed_at: now }).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn switch(world: &World, feature: Feature, on: bool) {
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_feature(feature, on).await.unwrap();
    tx.commit().await.unwrap();
}

async fn give_role(world: &World, user: Guid) {
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.assign_role(user, "Global Administrator", world.service.now()).await.unwrap();
    tx.commit().await.unwrap();
}

fn user(anchor: &str, name: &str, addresses: &[&str]) -> Json {
    json!({"op": "upsert", "anchor": anchor, "kind": "user", "attributes": {
        "userPrincipalName": name, "accountEnabled": true, "proxyAddresses": addresses}})
}

async fn result(world: &mut World, batch: u32, operation: Json) -> Json {
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{batch:012}"),
        "operations": [operation]});
    let answer = world.ingest(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["results"][0].clone()
}

async fn object(world: &World, id: Guid) -> Object {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    tx.object(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_user_of_the_cloud_is_matched_by_name_and_keeps_the_id_and_no_password() {
    let mut world = World::new().await;
    let id = of_the_cloud(&world, BOB, &[], None).await;
    let matched = result(&mut world, 2, user("bob", "BOB@corp.example", &[])).await;
    assert_eq!(matched["matched"], "soft");
    assert_eq!(matched["id"], id.to_string());
    let now_his = object(&world, id).await;
    assert_eq!(now_his.anchor.unwrap().as_str(), "bob");
    assert_eq!(now_his.attributes.text("jobTitle"), None, "the forest is the master now");
    assert!(world.sign_in(BOB, "of-the-cl0ud").await.sent("code").is_none());
    let credential = json!({"op": "credential", "anchor": "bob",
        "credential": credential(PASSWORD), "changed_at": "2026-11-01T00:00:00Z"});
    assert_eq!(result(&mut world, 3, credential).await["status"], "ok");
    assert!(world.sign_in(BOB, PASSWORD).await.sent("code").is_some());
    let again = result(&mut world, 4, user("bob", BOB, &[])).await;
    assert!(again["matched"].is_null(), "it is the forest's already");
    let taken = result(&mut world, 5, user("other", BOB, &[])).await;
    assert_eq!(taken["code"], "userPrincipalNameTaken", "and is matched by nobody else");
    let all = portolan_store::tenant::log::Wanted {
        since: None,
        user: None,
        anchor: None,
        count_max: 100,
    };
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let lines = tx.audits(all).await.unwrap();
    let matches = lines.iter().filter(|line| line.action == "object.match");
    assert_eq!(matches.map(|line| line.target.as_str()).collect::<Vec<_>>(), ["bob"]);
}

#[tokio::test]
async fn a_user_of_the_cloud_is_matched_by_the_primary_address_and_by_no_other() {
    let mut world = World::new().await;
    let id = of_the_cloud(&world, BOB, &["SMTP:b@corp.example"], None).await;
    let new = "robert@corp.example";
    let second = ["SMTP:r@corp.example", "smtp:b@corp.example"];
    let refused = result(&mut world, 2, user("bob", new, &second)).await;
    assert_eq!(refused["code"], "proxyAddressTaken");
    let matched = result(&mut world, 3, user("bob", new, &["SMTP:B@corp.example"])).await;
    assert_eq!((&matched["matched"], &matched["id"]), (&json!("soft"), &json!(id.to_string())));
    // One object is matched once, also within a batch; a contact is no user.
    of_the_cloud(&world, BOB, &["SMTP:x@corp.example"], None).await;
    let contact = json!({"op": "upsert", "anchor": "c", "kind": "contact",
        "attributes": {"proxyAddresses": ["SMTP:x@corp.example"]}});
    assert_eq!(result(&mut world, 4, contact).await["code"], "proxyAddressTaken");
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000005",
        "operations": [user("one", BOB, &[]), user("two", BOB, &[])]});
    let results = world.ingest(&batch).await.json();
    assert_eq!(results["results"][0]["matched"], "soft");
    assert_eq!(results["results"][1]["code"], "userPrincipalNameTaken");
}

#[tokio::test]
async fn no_administrator_and_nobody_behind_a_switch_is_matched() {
    let mut world = World::new().await;
    let id = of_the_cloud(&world, BOB, &["SMTP:b@corp.example"], None).await;
    switch(&world, Feature::BlockSoftMatch, true).await;
    let by_name = || user("bob", BOB, &[]);
    assert_eq!(result(&mut world, 2, by_name()).await["code"], "userPrincipalNameTaken");
    switch(&world, Feature::BlockSoftMatch, false).await;
    give_role(&world, id).await;
    assert_eq!(result(&mut world, 3, by_name()).await["code"], "userPrincipalNameTaken");
    let by_address = user("bob", "robert@corp.example", &["SMTP:b@corp.example"]);
    assert_eq!(result(&mut world, 4, by_address).await["code"], "proxyAddressTaken");
    let kept = object(&world, id).await;
    assert_eq!((kept.anchor, kept.synchronised_at), (None, None));
    assert!(world.sign_in(BOB, "of-the-cl0ud").await.sent("code").is_some());
}

#[tokio::test]
async fn an_immutable_id_matches_unless_it_is_blocked_and_nothing_else_writes_its_object() {
    let mut world = World::new().await;
    let id = of_the_cloud(&world, BOB, &[], Some("bobs-id")).await;
    let others = [
        json!({"op": "delete", "anchor": "bobs-id", "kind": "user"}),
        json!({"op": "credential", "anchor": "bobs-id", "credential": credential("x"),
            "changed_at": "2026-11-01T00:00:00Z"}),
        json!({"op": "references", "anchor": "bobs-id", "attribute": "manager",
            "added": ["alice"]}),
    ];
    for (number, operation) in (2..).zip(others) {
        let result = result(&mut world, number, operation).await;
        assert!(result["id"].is_null() && result["code"].is_string(), "{result}");
    }
    assert!(world.sign_in(BOB, "of-the-cl0ud").await.sent("code").is_some());
    // Whoever has an id is matched by nothing else.
    let soft = result(&mut world, 5, user("another", BOB, &[])).await;
    assert_eq!(soft["code"], "userPrincipalNameTaken");
    let taken_over = || user("bobs-id", "robert@corp.example", &[]);
    let hard = Feature::BlockCloudObjectTakeoverThroughHardMatch;
    switch(&world, hard, true).await;
    assert_eq!(result(&mut world, 6, taken_over()).await["code"], "matchBlocked");
    switch(&world, hard, false).await;
    give_role(&world, id).await;
    assert_eq!(result(&mut world, 7, taken_over()).await["code"], "matchBlocked");
    let other = of_the_cloud(&world, "eve@corp.example", &[], Some("eves-id")).await;
    let matched = result(&mut world, 8, user("eves-id", "e@corp.example", &[])).await;
    assert_eq!((&matched["matched"], &matched["id"]), (&json!("hard"), &json!(other.to_string())));
    assert_eq!(object(&world, other).await.upn(), Some("e@corp.example"));
}
