//! `$batch` and Graph's limits.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_tenant::graph::throttle::Limits;

use super::graph_writes::ALL_WRITES;
use super::*;

fn user(number: usize) -> Json {
    json!({"accountEnabled": true, "displayName": format!("User {number}"),
        "mailNickname": format!("u{number}"), "userPrincipalName": format!("u{number}@cloud.example"),
        "passwordProfile": {"password": "Some-Pass!word1"}})
}

fn creation(number: usize) -> Json {
    json!({"id": number.to_string(), "method": "POST", "url": "/users",
        "headers": {"Content-Type": "application/json"}, "body": user(number)})
}

fn responses(answer: &Answer) -> Vec<Json> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["responses"].as_array().unwrap().clone()
}

#[tokio::test]
async fn each_request_of_a_batch_has_its_own_answer() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let requests = json!([
        creation(1),
        {"id": "same", "method": "POST", "url": "/users", "body": user(1),
            "headers": {"Content-Type": "application/json"}},
        {"id": "behind", "method": "GET", "url": "/users/u1@cloud.example", "dependsOn": ["same"]},
        {"id": "count", "method": "GET", "url": "users?$filter=startswith(displayName, 'User')&$count=true",
            "headers": {"ConsistencyLevel": "eventual"}},
        {"id": "nested", "method": "POST", "url": "/$batch", "body": {"requests": []},
            "headers": {"Content-Type": "application/json"}},
        {"id": "secret", "method": "GET", "url": "/organization",
            "headers": {"Authorization": "Bearer x.y.z"}},
    ]);
    let answer = world.graph(&token, Method::POST, "/$batch", json!({"requests": requests})).await;
    let responses = responses(&answer);
    let of = |id: &str| responses.iter().find(|response| response["id"] == id).unwrap();
    assert_eq!(of("1")["status"], 201, "{}", answer.text);
    assert!(of("1")["headers"]["Location"].as_str().unwrap().contains("/v1.0/users/"));
    assert_eq!(of("same")["status"], 400);
    assert_eq!(of("same")["body"]["error"]["details"][0]["target"], "userPrincipalName");
    assert_eq!(of("behind")["status"], 424);
    assert_eq!(of("count")["body"]["@odata.count"], 1);
    assert_eq!(of("nested")["status"], 404);
    assert_eq!(of("secret")["status"], 403, "the batch's own token counts");
}

#[tokio::test]
async fn a_batch_is_refused_whole_when_it_is_none() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let many: Vec<_> = (0..21).map(creation).collect();
    let answer = world.graph(&token, Method::POST, "/$batch", json!({"requests": many})).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("maximum value of 20"), "{}", answer.text);
    let none = json!({"requests": []});
    assert_eq!(world.graph(&token, Method::POST, "/$batch", none.clone()).await.status, 400);
    assert_eq!(world.graph("x.y.z", Method::POST, "/$batch", none).await.status, 401);
}

#[tokio::test]
async fn requests_of_a_batch_are_throttled_one_by_one() {
    let mut world = World::new().await;
    let limits = Limits::GRAPH.divided_by(NonZeroU32::new(300).unwrap());
    world.throttle(limits).await;
    let token = world.writer(&ALL_WRITES).await;
    let requests: Vec<_> = (0..20).map(creation).collect();
    let answer = world.graph(&token, Method::POST, "/$batch", json!({"requests": requests})).await;
    let first = responses(&answer);
    let made = first.iter().filter(|response| response["status"] == 201).count();
    assert_eq!(made, 10, "{}", answer.text);
    assert_eq!(first[0]["headers"]["x-ms-resource-unit"], "1");
    assert_eq!(first[9]["headers"]["x-ms-throttle-limit-percentage"], "1.00");
    let refused = &first[10];
    assert_eq!(refused["status"], 429);
    assert_eq!(refused["body"]["error"]["code"], "TooManyRequests");
    let scope = refused["headers"]["x-ms-throttle-scope"].as_str().unwrap();
    assert!(scope.starts_with("Tenant_Application/"), "{scope}");
    let wait: i64 = refused["headers"]["Retry-After"].as_str().unwrap().parse().unwrap();
    world.pass(wait);
    let answer = world.graph(&token, Method::POST, "/users", user(10)).await;
    assert_eq!(answer.status, 201, "who waits as told may: {}", answer.text);
}

#[tokio::test]
async fn a_photo_in_a_batch_is_base64_and_a_manager_an_object() {
    let mut world = World::new().await;
    let photo = STANDARD.encode(b"GIF89a\xff\x00");
    let sent = json!({"batch": "00000000-0000-4000-8000-000000000060", "operations": [
        {"op": "photo", "anchor": "alice", "photo": photo},
        {"op": "upsert", "anchor": "bob", "kind": "user", "attributes": {
            "userPrincipalName": "bob@corp.example", "accountEnabled": true}},
        {"op": "references", "anchor": "alice", "attribute": "manager", "added": ["bob"]}]});
    let answer = world.ingest(&sent).await;
    assert!(!answer.text.contains("error"), "{}", answer.text);
    let token = world.writer(&ALL_WRITES).await;
    let requests = json!([
        {"id": "1", "method": "GET", "url": format!("/users/{ALICE}/photo/$value")},
        {"id": "2", "method": "GET", "url": format!("/users/{ALICE}/manager")}]);
    let path = "/$batch";
    let all = world.graph(&token, Method::POST, path, json!({"requests": requests})).await;
    let all = responses(&all);
    assert_eq!((&all[0]["status"], &all[0]["body"]), (&json!(200), &json!(photo)));
    assert_eq!(all[0]["headers"]["Content-Type"], "image/gif");
    assert_eq!(all[1]["body"]["userPrincipalName"], "bob@corp.example");
}
