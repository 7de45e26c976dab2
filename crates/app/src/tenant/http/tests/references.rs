//! References that come and go one by one: members, managers.

use portolan_tenant::wire::REFERENCES_MAX;

use super::*;

async fn results(world: &mut World, number: u32, operations: &[Json]) -> Vec<Json> {
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{number:012}"),
        "operations": operations});
    let answer = world.ingest(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["results"].as_array().unwrap().clone()
}

async fn codes(world: &mut World, number: u32, operations: &[Json]) -> Vec<String> {
    let results = results(world, number, operations).await;
    results.iter().map(|one| one["code"].as_str().unwrap_or("ok").to_owned()).collect()
}

fn user(name: &str) -> Json {
    json!({"op": "upsert", "anchor": name, "kind": "user", "attributes": {
        "userPrincipalName": format!("{name}@corp.example"), "accountEnabled": true,
        "displayName": name}})
}

fn references(anchor: &str, attribute: &str, added: &[&str], removed: &[&str]) -> Json {
    json!({"op": "references", "anchor": anchor, "attribute": attribute, "added": added,
        "removed": removed})
}

fn names(page: &Json) -> Vec<&str> {
    let values = page["value"].as_array().unwrap().iter();
    let mut names: Vec<_> =
        values.map(|value| value["displayName"].as_str().unwrap_or("?")).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_member_comes_and_goes_without_the_others_being_named() {
    let mut world = World::new().await;
    let group = json!({"op": "upsert", "anchor": "staff", "kind": "group",
        "attributes": {"displayName": "Staff"}, "members": ["alice", "bob"]});
    let first = results(&mut world, 2, &[group, user("bob"), user("carol")]).await;
    let staff = first[0]["id"].as_str().unwrap();
    let token = world.token_with_role("Directory.Read.All").await;
    let path = format!("/v1.0/groups/{staff}/members");
    let change = [references("staff", "members", &["carol", "later"], &["bob", "nobody"])];
    let changed = results(&mut world, 3, &change).await;
    assert_eq!((&changed[0]["status"], &changed[0]["id"]), (&json!("ok"), &json!(staff)));
    assert_eq!(codes(&mut world, 4, &change).await, ["ok"], "the same again changes nothing");
    assert_eq!(names(&world.get_as(&token, &path).await.json()), ["Alice Ng", "carol"]);
    codes(&mut world, 5, &[user("later")]).await;
    assert_eq!(names(&world.get_as(&token, &path).await.json()), ["Alice Ng", "carol", "later"]);
}

#[tokio::test]
async fn what_cannot_refer_is_refused_and_the_others_hold() {
    let mut world = World::new().await;
    let delete = json!({"op": "delete", "anchor": "gone", "kind": "user"});
    let operations = [
        user("gone"),
        delete,
        references("gone", "manager", &["alice"], &[]),
        references("nobody", "members", &["alice"], &[]),
        references("alice", "members", &["alice"], &[]),
        references("alice", "owners", &["alice"], &[]),
        references("alice", "manager", &["boss"], &[]),
    ];
    let expected =
        ["ok", "ok", "unknownAnchor", "unknownAnchor", "kindMismatch", "invalidReferences", "ok"];
    assert_eq!(codes(&mut world, 2, &operations).await, expected);
    let many = vec!["b".to_owned(); REFERENCES_MAX + 1];
    let many = json!({"batch": "00000000-0000-4000-8000-000000000003", "operations":
        [{"op": "references", "anchor": "alice", "attribute": "manager", "removed": many}]});
    assert_eq!(world.ingest(&many).await.status, 413);
}

#[tokio::test]
async fn graph_shows_a_manager_and_the_direct_reports() {
    let mut world = World::new().await;
    let mut operations: Vec<_> = ["bob", "carol", "dave"].map(user).into();
    for report in ["alice", "bob", "carol"] {
        operations.push(references(report, "manager", &["dave"], &[]));
    }
    codes(&mut world, 2, &operations).await;
    let token = world.token_with_role("User.Read.All").await;
    let manager = world.get_as(&token, &format!("/v1.0/users/{ALICE}/manager")).await.json();
    assert_eq!(manager["displayName"], "dave");
    assert_eq!(manager["@odata.type"], "#microsoft.graph.user");
    let context = "https://graph.cloud.example/v1.0/$metadata#directoryObjects/$entity";
    assert_eq!(manager["@odata.context"], context);
    let path = "/v1.0/users/dave@corp.example/directReports";
    let reports = world.get_as(&token, path).await.json();
    assert_eq!(names(&reports), ["Alice Ng", "bob", "carol"]);
    let mut next = Some(format!("{path}?$top=2&$select=displayName"));
    let mut found = 0;
    while let Some(path) = next {
        let page = world.get_as(&token, &path).await.json();
        found += names(&page).len();
        next = page["@odata.nextLink"]
            .as_str()
            .map(|link| link.strip_prefix("https://graph.cloud.example").unwrap().to_owned());
    }
    assert_eq!(found, 3);
    // A new manager takes the place of the old; one who is not the manager is not removed.
    let changes = [
        references("alice", "manager", &["bob"], &[]),
        references("carol", "manager", &[], &["bob"]),
        references("bob", "manager", &[], &["dave"]),
    ];
    codes(&mut world, 3, &changes).await;
    assert_eq!(names(&world.get_as(&token, path).await.json()), ["carol"]);
    assert_eq!(world.get_as(&token, "/v1.0/users/bob@corp.example/manager").await.status, 404);
    codes(&mut world, 4, &[json!({"op": "delete", "anchor": "bob", "kind": "user"})]).await;
    let gone = world.get_as(&token, &format!("/v1.0/users/{ALICE}/manager")).await;
    assert_eq!(gone.status, 404, "a deleted manager is none");
    assert_eq!(codes(&mut world, 5, &[user("bob")]).await, ["ok"]);
    let gone = world.get_as(&token, &format!("/v1.0/users/{ALICE}/manager")).await;
    assert_eq!(gone.status, 404, "and nobody's when they come back, until it is said again");
    let basic = world.token_with_role("User.ReadBasic.All").await;
    assert_eq!(world.get_as(&basic, &format!("/v1.0/users/{ALICE}/manager")).await.status, 403);
    assert_eq!(world.get_as(&token, &format!("{path}?$filter=id%20eq%20'x'")).await.status, 400);
    assert_eq!(world.get_as(&token, "/v1.0/users/nobody@corp.example/manager").await.status, 404);
    assert_eq!(world.get_as(&token, "/v1.0/me/manager").await.status, 404, "nobody's token");
}
