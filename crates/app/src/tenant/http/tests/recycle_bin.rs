//! Graph's recycle bin: who was deleted is listed there, and comes back as who they were.

use super::graph_writes::{ALL_WRITES, id_of, refused};
use super::*;

const USERS: &str = "/directory/deletedItems/microsoft.graph.user";

fn eve(name: &str) -> Json {
    json!({"accountEnabled": true, "displayName": "Eve", "mailNickname": name,
        "userPrincipalName": format!("{name}@cloud.example"), "onPremisesImmutableId": format!("{name}=="),
        "passwordProfile": {"password": "Ev3-Pass!word"}})
}

impl World {
    async fn delete_user(&mut self, token: &str, id: &str) {
        let answer = self.graph(token, Method::DELETE, &format!("/users/{id}"), Json::Null).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }

    async fn restore(&mut self, token: &str, id: &str) -> Answer {
        let path = format!("/directory/deletedItems/{id}/restore");
        self.graph(token, Method::POST, &path, Json::Null).await
    }

    /// The ids that a list of the recycle bin has.
    async fn recycled(&mut self, token: &str, query: &str) -> Vec<String> {
        let (bearer, path) = (format!("Bearer {token}"), format!("/v1.0{USERS}{query}"));
        let headers = [("consistencylevel", "eventual"), ("authorization", bearer.as_str())];
        let page = self.send(Method::GET, GRAPH, &path, &headers, Body::empty()).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        let ids = page["value"].as_array().unwrap().iter();
        ids.map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_deleted_user_is_listed_and_comes_back_as_who_they_were() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let mut ids = Vec::new();
    for name in ["eve", "ada", "ida"] {
        ids.push(id_of(&world.graph(&token, Method::POST, "/users", eve(name)).await));
    }
    assert_eq!(world.recycled(&token, "").await, Vec::<String>::new());
    for id in &ids[..2] {
        world.delete_user(&token, id).await;
    }
    let mut both = ids[..2].to_vec();
    both.sort();
    assert_eq!(world.recycled(&token, "?$count=true").await, both);
    assert_eq!(world.recycled(&token, "?$top=1").await, both[..1]);
    let filter = "?$filter=onPremisesImmutableId%20eq%20'eve%3D%3D'&$select=id&$count=true";
    assert_eq!(world.recycled(&token, filter).await, ids[..1]);
    let living = "?$filter=onPremisesImmutableId%20eq%20'ida%3D%3D'";
    assert_eq!(world.recycled(&token, living).await, Vec::<String>::new());
    let named = "?$filter=displayName%20eq%20'Eve'";
    assert_eq!(world.recycled(&token, named).await, both);

    let one = world.get_as(&token, &format!("/v1.0/directory/deletedItems/{}", ids[0])).await;
    assert_eq!(one.json()["@odata.type"], "#microsoft.graph.user");
    let back = world.restore(&token, &ids[0]).await;
    assert_eq!((back.status, &back.json()["id"]), (200, &json!(ids[0])), "{}", back.text);
    assert_eq!(world.recycled(&token, "").await, ids[1..2]);
    let path = format!("/v1.0/users/{}?$select=userPrincipalName,onPremisesImmutableId", ids[0]);
    let user = world.get_as(&token, &path).await.json();
    assert_eq!(user["userPrincipalName"], "eve@cloud.example");
    assert_eq!(user["onPremisesImmutableId"], "eve==");
    // The password was erased when she was deleted.
    let answer = world.sign_in("eve@cloud.example", "Ev3-Pass!word").await;
    assert!(answer.sent("code").is_none(), "{}", answer.text);
    for id in [&ids[0], &ids[2], "11111111-1111-4111-8111-111111111111"] {
        let again = world.restore(&token, id).await;
        assert_eq!(refused(&again).1, "Request_ResourceNotFound", "who is not in it: {id}");
    }
}

#[tokio::test]
async fn a_user_whose_name_has_passed_on_stays_in_the_recycle_bin() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let id = id_of(&world.graph(&token, Method::POST, "/users", eve("eve")).await);
    world.delete_user(&token, &id).await;
    let mut other = eve("eve");
    other["onPremisesImmutableId"] = json!("other==");
    let other = id_of(&world.graph(&token, Method::POST, "/users", other).await);
    let answer = world.restore(&token, &id).await;
    assert_eq!(answer.json()["error"]["details"][0]["target"], "userPrincipalName");
    world.delete_user(&token, &other).await;
    assert_eq!(world.restore(&token, &id).await.status, 200);
    // One anchor is one user's, deleted or not.
    world.delete_user(&token, &id).await;
    let again = world.graph(&token, Method::POST, "/users", eve("eve")).await;
    assert_eq!(again.json()["error"]["details"][0]["target"], "onPremisesImmutableId");
}

#[tokio::test]
async fn who_may_not_write_users_restores_none_and_the_forests_come_back_by_their_server_alone() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let id = id_of(&world.graph(&token, Method::POST, "/users", eve("eve")).await);
    world.delete_user(&token, &id).await;
    let reader = world.writer(&["User.Read.All", "Group.ReadWrite.All"]).await;
    assert_eq!(world.recycled(&reader, "").await, std::slice::from_ref(&id));
    assert_eq!(world.restore(&reader, &id).await.status, 403);
    let none = world.writer(&["Group.ReadWrite.All"]).await;
    assert_eq!(world.get_as(&none, &format!("/v1.0{USERS}")).await.status, 403);

    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let mut alice = tx.user_by_name("alice@corp.example").await.unwrap().unwrap();
    alice.deleted_at = Some(world.service.now());
    tx.put_object(&alice).await.unwrap();
    tx.commit().await.unwrap();
    let answer = world.restore(&token, &alice.id.to_string()).await;
    assert!(refused(&answer).2.contains("on-premises mastered"), "{}", answer.text);
}
