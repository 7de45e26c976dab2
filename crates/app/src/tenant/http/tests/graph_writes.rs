//! Graph's writes: users, groups, members, managers, and who may.

use portolan_tenant::directory::Reference;

use super::*;

pub(super) const ALL_WRITES: [&str; 3] =
    ["User.ReadWrite.All", "Group.ReadWrite.All", "User-PasswordProfile.ReadWrite.All"];

impl World {
    /// A token of an application that was given these permissions, and has them.
    pub(in super::super) async fn writer(&self, roles: &[&str]) -> String {
        let mut tx = self.service.store().begin(Access::Write).await.unwrap();
        let writer = Application {
            client_id: Guid::from_random(SystemEntropy.array()),
            name: "Writer".to_owned(),
            redirect_uris: vec![],
            permissions: vec![],
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            keys: vec![],
        };
        tx.put_application(&writer).await.unwrap();
        tx.commit().await.unwrap();
        self.own_token(&writer, GRAPH, roles)
    }

    /// Sends a request with a JSON body to Graph.
    pub(in super::super) async fn graph(
        &mut self,
        token: &str,
        method: Method,
        path: &str,
        body: Json,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, GRAPH, &format!("/v1.0{path}"), &headers, body).await
    }
}

fn bob() -> Json {
    json!({"accountEnabled": true, "displayName": "Bob", "mailNickname": "bob",
        "userPrincipalName": "bob@cloud.example", "jobTitle": "Baker",
        "onPremisesImmutableId": "bob==", "passwordProfile": {
            "password": "B0b-Pass!word", "forceChangePasswordNextSignIn": false}})
}

fn group(name: &str) -> Json {
    json!({"displayName": name, "mailNickname": name, "mailEnabled": false, "securityEnabled": true})
}

/// The status, the code and the sentence of a refusal.
pub(super) fn refused(answer: &Answer) -> (u16, String, String) {
    let error = &answer.json()["error"];
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    (answer.status, text("code"), text("message"))
}

pub(super) fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

pub(super) fn reference(id: &str) -> Json {
    json!({"@odata.id": format!("https://{GRAPH}/v1.0/directoryObjects/{id}")})
}

async fn member_ids(world: &mut World, token: &str, group: &str) -> Vec<String> {
    let members = world.get_as(token, &format!("/v1.0/groups/{group}/members?$select=id")).await;
    let members = members.json()["value"].as_array().unwrap().clone();
    members.iter().map(|member| member["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_user_is_made_changed_and_deleted() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let made = world.graph(&token, Method::POST, "/users", bob()).await;
    let id = id_of(&made);
    assert_eq!(made.header("location"), format!("https://{GRAPH}/v1.0/users/{id}"));
    let shown = made.json();
    assert_eq!(shown["@odata.context"], format!("https://{GRAPH}/v1.0/$metadata#users/$entity"));
    assert_eq!(shown["jobTitle"], "Baker");
    assert!(!made.text.contains("B0b-Pass"), "no password comes back");
    // The password signs in, as a synchronised one does.
    let answer = world.sign_in("bob@cloud.example", "B0b-Pass!word").await;
    assert!(answer.sent("code").is_some(), "{}", answer.text);
    let change = json!({"jobTitle": null, "city": "Ulm", "onPremisesExtensionAttributes":
        {"extensionAttribute3": "three"}});
    let path = "/users/BOB@cloud.example";
    assert_eq!(world.graph(&token, Method::PATCH, path, change).await.status, 204);
    let select = "$select=jobTitle,city,onPremisesImmutableId,onPremisesSyncEnabled,\
                  onPremisesExtensionAttributes";
    let user = world.get_as(&token, &format!("/v1.0/users/{id}?{select}")).await.json();
    assert_eq!((&user["jobTitle"], &user["city"]), (&Json::Null, &json!("Ulm")));
    assert_eq!(user["onPremisesImmutableId"], "bob==");
    assert_eq!(user["onPremisesSyncEnabled"], Json::Null, "the cloud is its master");
    assert_eq!(user["onPremisesExtensionAttributes"]["extensionAttribute3"], "three");
    let deleted = world.graph(&token, Method::DELETE, &format!("/users/{id}"), Json::Null).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    let again = world.graph(&token, Method::DELETE, &format!("/users/{id}"), Json::Null).await;
    assert_eq!(refused(&again).1, "Request_ResourceNotFound");
}

#[tokio::test]
async fn what_two_objects_may_not_share_is_refused_by_its_property() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let mut check = async |name: &str, value: &str, property: &str| {
        let mut other = bob();
        other["userPrincipalName"] = json!("robert@cloud.example");
        other["onPremisesImmutableId"] = json!("other");
        other[name] = json!(value);
        let answer = world.graph(&token, Method::POST, "/users", other).await;
        let sentence =
            format!("Another object with the same value for property {property} already exists.");
        assert_eq!(refused(&answer), (400, "Request_BadRequest".to_owned(), sentence));
        let detail = answer.json()["error"]["details"][0].clone();
        assert_eq!(
            (&detail["code"], &detail["target"]),
            (&json!("ObjectConflict"), &json!(property))
        );
    };
    check("userPrincipalName", "BOB@cloud.example", "userPrincipalName").await;
    check("onPremisesImmutableId", "bob==", "onPremisesImmutableId").await;
    check("onPremisesImmutableId", "alice", "onPremisesImmutableId").await;
}

#[tokio::test]
async fn a_body_that_is_not_right_changes_nothing() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let mut check = async |change: Json, expected: &str| {
        let mut body = bob();
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = world.graph(&token, Method::POST, "/users", body).await;
        let (status, code, sentence) = refused(&answer);
        assert_eq!((status, code.as_str()), (400, "Request_BadRequest"), "{change}");
        assert!(sentence.contains(expected), "{sentence}");
    };
    check(json!({"displayName": null}), "required for property 'displayName'").await;
    check(json!({"passwordProfile": null}), "required for property 'passwordProfile'").await;
    check(json!({"passwordProfile": {"password": "weak"}}), "password complexity").await;
    check(json!({"userPrincipalName": "bob@other.example"}), "domain portion").await;
    check(json!({"userPrincipalName": "bob"}), "property 'userPrincipalName'").await;
    check(json!({"shoeSize": 44}), "named 'shoeSize'").await;
    check(json!({"proxyAddresses": []}), "read-only").await;
    let count = world.get_as(&token, "/v1.0/users").await.json()["value"].as_array().unwrap().len();
    assert_eq!(count, 1, "alice alone");
    let answer = world.graph(&token, Method::POST, "/users", Json::Null).await;
    assert_eq!(refused(&answer).1, "BadRequest");
}

#[tokio::test]
async fn an_object_of_the_forest_is_written_by_nobody_else() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let sentence = "Unable to update the specified properties for on-premises mastered Directory \
                    Sync objects or objects currently undergoing migration.";
    let path = format!("/users/{ALICE}");
    for (method, path, body) in [
        (Method::PATCH, path.clone(), json!({"jobTitle": "x"})),
        (Method::PATCH, path.clone(), json!({"passwordProfile": {"password": "An0ther!pass"}})),
        (Method::DELETE, path.clone(), Json::Null),
        (Method::DELETE, format!("{path}/manager/$ref"), Json::Null),
    ] {
        let answer = world.graph(&token, method, &path, body).await;
        assert_eq!(refused(&answer), (400, "Request_BadRequest".to_owned(), sentence.to_owned()));
    }
    assert!(world.sign_in(ALICE, PASSWORD).await.sent("code").is_some());
}

#[tokio::test]
async fn a_group_has_members_of_either_master() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let bob = id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let alice = world.get_as(&token, &format!("/v1.0/users/{ALICE}")).await.json();
    let alice = alice["id"].as_str().unwrap().to_owned();
    let inner = id_of(&world.graph(&token, Method::POST, "/groups", group("inner")).await);
    let mut outer = group("outer");
    outer["members@odata.bind"] = json!([format!("https://{GRAPH}/v1.0/groups/{inner}")]);
    let outer = id_of(&world.graph(&token, Method::POST, "/groups", outer).await);
    let refs = format!("/groups/{outer}/members/$ref");
    assert_eq!(world.graph(&token, Method::POST, &refs, reference(&alice)).await.status, 204);
    let bind = |id: &str| format!("https://{GRAPH}/v1.0/directoryObjects/{id}");
    let both = json!({"members@odata.bind": [bind(&bob), bind(&alice)]});
    let path = format!("/groups/{outer}");
    let answer = world.graph(&token, Method::PATCH, &path, both).await;
    assert!(refused(&answer).2.contains("already exist"), "{}", answer.text);
    let mut expected = vec![inner.clone(), alice.clone()];
    expected.sort();
    assert_eq!(member_ids(&mut world, &token, &outer).await, expected, "of two, none");
    let one = json!({"members@odata.bind": [bind(&bob)]});
    assert_eq!(world.graph(&token, Method::PATCH, &path, one).await.status, 204);
    let gone = format!("/groups/{outer}/members/{alice}/$ref");
    assert_eq!(world.graph(&token, Method::DELETE, &gone, Json::Null).await.status, 204);
    let again = world.graph(&token, Method::DELETE, &gone, Json::Null).await;
    assert_eq!(refused(&again).1, "Request_ResourceNotFound");
    let mut expected = vec![inner.clone(), bob.clone()];
    expected.sort();
    assert_eq!(member_ids(&mut world, &token, &outer).await, expected);
    // Whoever is deleted is in no group.
    world.graph(&token, Method::DELETE, &format!("/users/{bob}"), Json::Null).await;
    assert_eq!(member_ids(&mut world, &token, &outer).await, [inner.as_str()]);
    let nobody = world.graph(&token, Method::POST, &refs, reference(&bob)).await;
    assert_eq!(refused(&nobody).1, "Request_ResourceNotFound");
    let itself = world.graph(&token, Method::POST, &refs, reference(&outer)).await;
    assert_eq!(refused(&itself).1, "Request_BadRequest");
    let mail = json!({"displayName": "M", "mailNickname": "m", "mailEnabled": true,
        "securityEnabled": true});
    let answer = world.graph(&token, Method::POST, "/groups", mail).await;
    assert!(refused(&answer).2.contains("mail-enabled groups"));
}

#[tokio::test]
async fn a_group_of_a_unique_name_is_made_once_however_often_it_is_sent() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let bearer = format!("Bearer {token}");
    let path = "/v1.0/groups(uniqueName='a%2Fb+c%3D%3D')";
    let mut put = async |prefer: &str, name: &str| {
        let headers = [
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
            ("prefer", prefer),
        ];
        world.send(Method::PATCH, GRAPH, path, &headers, group(name).to_string()).await
    };
    assert_eq!(put("return=minimal", "first").await.status, 404);
    let id = id_of(&put("create-if-missing", "first").await);
    assert_eq!(put("create-if-missing", "second").await.status, 204);
    let shown = world.get_as(&token, &format!("{path}?$select=displayName,uniqueName")).await;
    let shown = shown.json();
    assert_eq!(
        (&shown["id"], &shown["displayName"], &shown["uniqueName"]),
        (&json!(id), &json!("second"), &json!("a/b+c=="))
    );
    let mut other = group("third");
    other["uniqueName"] = json!("a/b+c==");
    let answer = world.graph(&token, Method::POST, "/groups", other).await;
    assert_eq!(
        (refused(&answer).0, refused(&answer).1.as_str()),
        (409, "Request_MultipleObjectsWithSameKeyValue")
    );
    let rename = json!({"uniqueName": "other"});
    let answer = world.graph(&token, Method::PATCH, &format!("/groups/{id}"), rename).await;
    assert!(refused(&answer).2.contains("read-only"));
}

#[tokio::test]
async fn a_manager_is_set_read_and_cleared() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let bob = id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let alice = world.get_as(&token, &format!("/v1.0/users/{ALICE}")).await.json();
    let alice = alice["id"].as_str().unwrap().to_owned();
    let path = format!("/users/{bob}/manager");
    let refs = format!("{path}/$ref");
    assert_eq!(world.get_as(&token, &format!("/v1.0{path}")).await.status, 404);
    assert_eq!(world.graph(&token, Method::PUT, &refs, reference(&alice)).await.status, 204);
    let manager = world.get_as(&token, &format!("/v1.0{path}")).await.json();
    assert_eq!(
        (&manager["id"], &manager["@odata.type"]),
        (&json!(alice), &json!("#microsoft.graph.user"))
    );
    let own = world.graph(&token, Method::PUT, &refs, reference(&bob)).await;
    assert_eq!(own.status, 400);
    assert_eq!(world.graph(&token, Method::DELETE, &refs, Json::Null).await.status, 204);
    assert_eq!(world.get_as(&token, &format!("/v1.0{path}")).await.status, 404);
}

#[tokio::test]
async fn only_an_application_with_the_permission_writes() {
    let mut world = World::new().await;
    let person = world.signed_in().await["access_token"].as_str().unwrap().to_owned();
    // One that was given a role by its token alone does not have it any more.
    let revoked = world.token_with_role("User.ReadWrite.All").await;
    let reader = world.writer(&["User.Read.All"]).await;
    let groups = world.writer(&["Group.ReadWrite.All"]).await;
    for token in [person, revoked, reader, groups] {
        let answer = world.graph(&token, Method::POST, "/users", bob()).await;
        assert_eq!(
            (answer.status, refused(&answer).1.as_str()),
            (403, "Authorization_RequestDenied")
        );
    }
    assert_eq!(world.graph("x.y.z", Method::POST, "/users", bob()).await.status, 401);
    let users = world.writer(&["User.ReadWrite.All"]).await;
    let id = id_of(&world.graph(&users, Method::POST, "/users", bob()).await);
    let password = json!({"passwordProfile": {"password": "An0ther!pass"}});
    let path = format!("/users/{id}");
    let answer = world.graph(&users, Method::PATCH, &path, password.clone()).await;
    assert_eq!(answer.status, 403, "it may make users, and set nobody's password");
    let mut mixed = password.clone();
    mixed["jobTitle"] = json!("x");
    assert_eq!(world.graph(&users, Method::PATCH, &path, mixed.clone()).await.status, 403);
    let passwords = world.writer(&["User-PasswordProfile.ReadWrite.All"]).await;
    assert_eq!(world.graph(&passwords, Method::PATCH, &path, mixed).await.status, 403);
    assert_eq!(world.graph(&passwords, Method::PATCH, &path, password).await.status, 204);
    let members = world.writer(&["GroupMember.ReadWrite.All"]).await;
    assert_eq!(world.graph(&members, Method::POST, "/groups", group("x")).await.status, 403);
}

#[tokio::test]
async fn an_administrators_account_is_taken_over_by_no_application() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let id = id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let now = world.service.now();
    tx.assign_role(id.parse().unwrap(), "Global Administrator", now).await.unwrap();
    tx.commit().await.unwrap();
    let path = format!("/users/{id}");
    for (method, body) in [
        (Method::PATCH, json!({"passwordProfile": {"password": "An0ther!pass"}})),
        (Method::PATCH, json!({"accountEnabled": false})),
        (Method::PATCH, json!({"userPrincipalName": "x@cloud.example"})),
        (Method::PATCH, json!({"onPremisesImmutableId": "x"})),
        (Method::DELETE, Json::Null),
    ] {
        let answer = world.graph(&token, method, &path, body).await;
        assert_eq!(refused(&answer).1, "Authorization_RequestDenied", "{}", answer.text);
    }
    let harmless = json!({"jobTitle": "Chief"});
    assert_eq!(world.graph(&token, Method::PATCH, &path, harmless).await.status, 204);
}

#[tokio::test]
async fn a_password_that_is_set_ends_what_the_old_one_began() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let id = id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let answer = world.sign_in("bob@cloud.example", "B0b-Pass!word").await;
    let tokens = world.redeem(&answer.sent("code").unwrap()).await.json();
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    world.pass(1);
    let password = json!({"passwordProfile": {"password": "An0ther!pass"}});
    world.graph(&token, Method::PATCH, &format!("/users/{id}"), password).await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_ne!(world.token(&fields).await.status, 200);
    let answer = world.sign_in("bob@cloud.example", "An0ther!pass").await;
    assert!(answer.sent("code").is_none(), "Graph's default: it is to be changed first");
    assert!(answer.text.contains("newpasswd"), "by themselves: {}", answer.text);
}

#[tokio::test]
async fn a_group_that_the_forest_takes_over_has_the_forests_members_alone() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let bob = id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let batch = |number: u8, members: &[&str]| {
        json!({"batch": format!("00000000-0000-4000-8000-0000000000{number}"), "operations": [
            {"op": "upsert", "anchor": "crew", "kind": "group", "attributes": {
                "displayName": "Crew", "securityEnabled": true}, "members": members}]})
    };
    let answer = world.ingest(&batch(20, &["alice"])).await;
    let crew = answer.json()["results"][0]["id"].as_str().unwrap().to_owned();
    let refs = format!("/groups/{crew}/members/$ref");
    let answer = world.graph(&token, Method::POST, &refs, reference(&bob)).await;
    assert!(refused(&answer).2.contains("on-premises mastered"));
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let whose = (crew.parse().unwrap(), Reference::Members);
    tx.add_references(whose, &[bob.parse().unwrap()]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(member_ids(&mut world, &token, &crew).await.len(), 2);
    world.ingest(&batch(21, &["alice"])).await;
    assert_eq!(member_ids(&mut world, &token, &crew).await.len(), 1);
}

/// Whether a sign-in with this password gives a code.
async fn signs_in(world: &mut World, password: &str) -> bool {
    world.sign_in("bob@cloud.example", password).await.sent("code").is_some()
}

#[tokio::test]
async fn an_object_of_the_cloud_is_neither_deleted_nor_given_a_password_by_its_anchor() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let id = id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000030", "operations": [
        {"op": "credential", "anchor": "bob==", "credential": credential("An0ther!pass"),
            "changed_at": "2026-11-01T00:00:00Z"},
        {"op": "delete", "anchor": "bob==", "kind": "user"},
        {"op": "upsert", "anchor": "thief", "kind": "user", "attributes": {
            "userPrincipalName": "bob@cloud.example", "accountEnabled": true}}]});
    let answer = world.ingest(&batch).await.json();
    let codes: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|result| &result["code"]).collect();
    assert_eq!(codes, ["unknownAnchor", "cloudObject", "userPrincipalNameTaken"]);
    assert!(signs_in(&mut world, "B0b-Pass!word").await);
    assert_eq!(world.get_as(&token, &format!("/v1.0/users/{id}")).await.status, 200);
}

#[tokio::test]
async fn a_user_made_by_graph_who_is_taken_over_keeps_no_password_session_or_manager() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    let id = id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let alice = world.get_as(&token, "/v1.0/users/alice@corp.example").await;
    let alice = alice.json()["id"].as_str().unwrap().to_owned();
    let manager = format!("/users/{id}/manager");
    let refs = format!("{manager}/$ref");
    assert_eq!(world.graph(&token, Method::PUT, &refs, reference(&alice)).await.status, 204);
    let reports = format!("/v1.0/users/{alice}/directReports?$select=id");
    let found = world.get_as(&token, &reports).await.json();
    assert_eq!(found["value"][0]["id"], id, "a manager by id has reports: {found}");
    let answer = world.sign_in("bob@cloud.example", "B0b-Pass!word").await;
    let tokens = world.redeem(&answer.sent("code").unwrap()).await.json();
    let refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
    world.pass(1);
    let mut upsert = json!({"op": "upsert", "anchor": "bob==", "kind": "user", "attributes": {
        "userPrincipalName": "bob@cloud.example", "accountEnabled": true}});
    let batch = |number: u8, operations: &[&Json]| {
        json!({"batch": format!("00000000-0000-4000-8000-0000000000{number}"),
            "operations": operations})
    };
    let taken = world.ingest(&batch(40, &[&upsert])).await.json()["results"][0].clone();
    assert_eq!((&taken["matched"], &taken["id"]), (&json!("hard"), &json!(id)));
    assert!(!signs_in(&mut world, "B0b-Pass!word").await, "its maker signs in no more");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_ne!(world.token(&fields).await.status, 200, "nor goes on with what they had");
    assert_eq!(world.get_as(&token, &format!("/v1.0{manager}")).await.status, 404);
    let password = json!({"op": "credential", "anchor": "bob==",
        "credential": credential("0f-the-Forest"), "changed_at": "2026-11-01T00:00:00Z"});
    upsert["attributes"]["jobTitle"] = json!("Smith");
    let both = world.ingest(&batch(41, &[&password, &upsert])).await;
    assert!(!both.text.contains("error"), "{}", both.text);
    assert!(signs_in(&mut world, "0f-the-Forest").await, "the forest's password stays");
    assert!(!signs_in(&mut world, "B0b-Pass!word").await);
}

#[tokio::test]
async fn a_takeover_and_the_forests_password_come_in_one_batch() {
    let mut world = World::new().await;
    let token = world.writer(&ALL_WRITES).await;
    id_of(&world.graph(&token, Method::POST, "/users", bob()).await);
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000050", "operations": [
        {"op": "upsert", "anchor": "bob==", "kind": "user", "attributes": {
            "userPrincipalName": "bob@cloud.example", "accountEnabled": true}},
        {"op": "credential", "anchor": "bob==", "credential": credential("0f-the-Forest"),
            "changed_at": "2026-11-01T00:00:00Z"}]});
    let answer = world.ingest(&batch).await;
    assert!(!answer.text.contains("error"), "{}", answer.text);
    assert!(!signs_in(&mut world, "B0b-Pass!word").await);
    assert!(signs_in(&mut world, "0f-the-Forest").await);
}
