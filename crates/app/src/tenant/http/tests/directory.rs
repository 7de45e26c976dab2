//! Enrolment, ingest, Graph, discovery.

use portolan_token::assertion;

use super::*;

#[tokio::test]
async fn the_sync_server_enrols_once_and_proves_itself_by_its_key() {
    let mut world = World::empty().await;
    let secret = Opaque::draw(&mut SystemEntropy);
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let until = world.service.now() + time::Duration::HOUR;
    tx.put_enrolment(&secret.digest(), until).await.unwrap();
    tx.commit().await.unwrap();
    let key = signing_key();
    let body = json!({"secret": secret.expose(), "key": key.public()}).to_string();
    let weak = json!({"secret": secret.expose(), "key": {"kty": "oct", "k": "AA"}}).to_string();
    assert_eq!(world.post_json("", "/enrol", weak).await.status, 400);
    let enrolled = world.post_json("", "/enrol", body.clone()).await;
    assert_eq!(enrolled.status, 200, "{}", enrolled.text);
    assert_eq!(world.post_json("", "/enrol", body).await.status, 403);
    let enrolled = enrolled.json();
    assert_eq!(enrolled["initial_domain"], "cloud.example");
    let client_id = enrolled["client_id"].as_str().unwrap();
    let endpoint = enrolled["token_endpoint"].as_str().unwrap();
    let now = world.service.now();
    let sign = |key: &SigningKey| {
        assertion::sign(key, client_id, endpoint, now, &mut SystemEntropy).unwrap()
    };
    let proof = sign(&key);
    let fields = |proof: &str| {
        [
            ("grant_type", "client_credentials".to_owned()),
            ("scope", enrolled["scope"].as_str().unwrap().to_owned()),
            ("client_assertion_type", assertion::ASSERTION_TYPE.to_owned()),
            ("client_assertion", proof.to_owned()),
        ]
    };
    let path = endpoint.strip_prefix("https://login.cloud.example").unwrap().to_owned();
    let mut ask = async |proof: &str| {
        let fields = fields(proof);
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        world.post_form(&path, &fields).await
    };
    let token = ask(&proof).await.json();
    assert_eq!(claims(&token["access_token"])["roles"], json!(["Sync.Ingest"]));
    assert_eq!(refusal(&ask(&proof).await), (401, 700027), "an assertion works once");
    assert_eq!(refusal(&ask(&sign(&signing_key())).await), (401, 700027));
    let token = token["access_token"].as_str().unwrap();
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000009", "operations": []});
    let answer = world.post_json(token, "/v1.0/ingest", batch.to_string()).await;
    assert_eq!(answer.json(), json!({"batch": batch["batch"], "previous": "", "results": []}));
}

#[tokio::test]
async fn an_expired_enrolment_secret_enrols_nobody() {
    let mut world = World::empty().await;
    let secret = Opaque::draw(&mut SystemEntropy);
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    tx.put_enrolment(&secret.digest(), world.service.now()).await.unwrap();
    tx.commit().await.unwrap();
    let body = json!({"secret": secret.expose(), "key": signing_key().public()}).to_string();
    assert_eq!(world.post_json("", "/enrol", body).await.status, 403);
}

#[tokio::test]
async fn only_the_sync_servers_token_ingests() {
    let mut world = World::new().await;
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000002", "operations": []});
    let person = world.signed_in().await["access_token"].as_str().unwrap().to_owned();
    let other = world.application_token("Shop & <Co>").await;
    for token in ["", "x.y.z", person.as_str(), other.as_str()] {
        let answer = world.post_json(token, "/v1.0/ingest", batch.to_string()).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (401, Some("invalidToken"))
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let token = world.application_token("connect").await;
    world.pass(3600);
    let answer = world.post_json(&token, "/v1.0/ingest", batch.to_string()).await;
    assert_eq!(answer.status, 401, "the token has expired");
}

#[tokio::test]
async fn the_same_batch_gets_the_same_answer_and_another_content_is_refused() {
    let mut world = World::new().await;
    let user = |upn: &str| {
        json!({"batch": "00000000-0000-4000-8000-000000000002", "operations": [
            {"op": "upsert", "anchor": "bob", "kind": "user", "attributes": {
                "userPrincipalName": upn, "accountEnabled": true}},
            {"op": "upsert", "anchor": "carol", "kind": "user", "attributes": {
                "userPrincipalName": ALICE, "accountEnabled": true}},
            {"op": "credential", "anchor": "nobody", "credential": credential("x"),
                "changed_at": "2026-11-01T00:00:00Z"}]})
    };
    let first = world.ingest(&user("bob@corp.example")).await;
    let results = first.json()["results"].clone();
    assert_eq!(results[0]["status"], "ok");
    assert_eq!(results[1]["code"], "userPrincipalNameTaken");
    assert_eq!(results[2]["code"], "unknownAnchor");
    assert_eq!(world.ingest(&user("bob@corp.example")).await.text, first.text);
    assert_eq!(world.ingest(&user("bert@corp.example")).await.status, 409);
    let batch = user("bob@corp.example");
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let mut other = world.application("connect").await;
    other.client_id = Guid::from_random([8; 16]);
    "connect 2".clone_into(&mut other.name);
    tx.put_application(&other).await.unwrap();
    tx.commit().await.unwrap();
    let token = world.application_token("connect 2").await;
    let answer = world.post_json(&token, "/v1.0/ingest", batch.to_string()).await;
    assert_eq!(answer.status, 409, "the answer is not another sender's to read");
}

#[tokio::test]
async fn nobody_comes_in_under_a_name_that_is_anothers_or_of_another_domain() {
    let mut world = World::new().await;
    for (number, (upn, code)) in [
        ("ALICE@Corp.Example", "userPrincipalNameTaken"),
        ("alice@corp.example.", "invalidUserPrincipalName"),
        (" alice@corp.example", "invalidUserPrincipalName"),
        ("alice@evil.example", "unverifiedDomain"),
        ("alice@corp.example@evil.example", "invalidUserPrincipalName"),
    ]
    .into_iter()
    .enumerate()
    {
        let batch = json!({"batch": format!("00000000-0000-4000-8000-{:012}", number + 2),
            "operations": [{"op": "upsert", "anchor": "mallory", "kind": "user", "attributes": {
                "userPrincipalName": upn, "accountEnabled": true}}]});
        let answer = world.ingest(&batch).await.json();
        assert_eq!(answer["results"][0]["code"], code, "{upn}");
    }
}

fn named(anchor: &str, upn: &str) -> Json {
    json!({"op": "upsert", "anchor": anchor, "kind": "user", "attributes": {
        "userPrincipalName": upn, "accountEnabled": true}})
}

/// The words that a batch's operations were answered with.
async fn codes(world: &mut World, number: u32, operations: &[Json]) -> Vec<String> {
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{number:012}"),
        "operations": operations});
    let answer = world.ingest(&batch).await.json();
    let results = answer["results"].as_array().unwrap().iter();
    results.map(|one| one["code"].as_str().unwrap_or("ok").to_owned()).collect()
}

/// Whose name it is.
async fn holder(world: &mut World, name: &str) -> Option<String> {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    tx.user_by_name(name).await.unwrap().map(|user| user.anchor.unwrap().to_string())
}

#[tokio::test]
async fn names_are_judged_by_where_a_batch_ends() {
    let mut world = World::new().await;
    let (a, b, c) = ("a@corp.example", "b@corp.example", "c@corp.example");
    codes(&mut world, 2, &[named("A", a), named("B", b), named("C", c)]).await;
    let swap = codes(&mut world, 3, &[named("A", "B@corp.example"), named("B", a)]).await;
    assert_eq!(swap, ["ok", "ok"]);
    assert_eq!(holder(&mut world, b).await.as_deref(), Some("A"));
    assert_eq!(holder(&mut world, a).await.as_deref(), Some("B"));
    let ring = [named("A", c), named("C", a), named("B", b)];
    assert_eq!(codes(&mut world, 4, &ring).await, ["ok", "ok", "ok"]);
    // From a user who is deleted, in either order, to a new one with a password at once.
    let password = json!({"op": "credential", "anchor": "D", "credential": credential(PASSWORD),
        "changed_at": "2026-11-01T00:00:00Z"});
    let delete = |anchor: &str| json!({"op": "delete", "anchor": anchor, "kind": "user"});
    let passed = codes(&mut world, 5, &[named("D", b), password, delete("B")]).await;
    assert_eq!(passed, ["ok", "ok", "ok"]);
    assert_eq!(holder(&mut world, b).await.as_deref(), Some("D"));
    assert!(world.sign_in(b, PASSWORD).await.sent("code").is_some());
    assert_eq!(codes(&mut world, 6, &[delete("D"), named("E", b)]).await, ["ok", "ok"]);
    assert_eq!(holder(&mut world, b).await.as_deref(), Some("E"));
}

#[tokio::test]
async fn names_that_truly_clash_are_refused_one_by_one() {
    let mut world = World::new().await;
    let (a, b, c) = ("a@corp.example", "b@corp.example", "c@corp.example");
    codes(&mut world, 2, &[named("A", a), named("B", b), named("C", c)]).await;
    let taken = "userPrincipalNameTaken";
    // C wants what A gives up, but B comes first; B's own name is nobody's then.
    let both = codes(&mut world, 3, &[named("B", a), named("C", a), named("A", b)]).await;
    assert_eq!(both, ["ok", taken, "ok"]);
    assert_eq!(holder(&mut world, c).await.as_deref(), Some("C"));
    // The holder's own change is refused for another reason: so is what counted on it.
    let bad = codes(&mut world, 4, &[named("C", b), named("A", "a@evil.example")]).await;
    assert_eq!(bad, [taken, "unverifiedDomain"]);
    assert_eq!(holder(&mut world, b).await.as_deref(), Some("A"));
    let ending = [named("C", a), json!({"op": "delete", "anchor": "B", "kind": "group"})];
    assert_eq!(codes(&mut world, 5, &ending).await, [taken, "kindMismatch"]);
    // A free name is its taker's from the beginning: the taker's own is given away already.
    let free = "free@corp.example";
    let first = [named("X", free), named("X", free), named("B", a), named("A", free)];
    let hurried = codes(&mut world, 7, &first).await;
    assert_eq!(hurried, [taken, taken, "ok", "ok"]);
    let back = [named("A", b), named("B", a)];
    assert_eq!(codes(&mut world, 8, &[named("B", b), named("A", a)]).await, ["ok", "ok"]);
    assert_eq!(codes(&mut world, 9, &back).await, ["ok", "ok"]);
    // An anchor that comes twice is taken step by step.
    let twice = [named("A", a), named("B", b), named("A", "d@corp.example")];
    assert_eq!(codes(&mut world, 6, &twice).await, [taken, taken, "ok"]);
    assert_eq!(holder(&mut world, a).await.as_deref(), Some("B"));
}

#[tokio::test]
async fn batches_that_are_too_large_or_malformed_are_refused() {
    let mut world = World::empty().await;
    let token = world.application_token("connect").await;
    let delete = json!({"op": "delete", "anchor": "a", "kind": "user"});
    let many = json!({"batch": "00000000-0000-4000-8000-000000000002",
        "operations": vec![delete; 501]});
    let check = async |world: &mut World, body: String, expected: u16| {
        assert_eq!(world.post_json(&token, "/v1.0/ingest", body).await.status, expected);
    };
    check(&mut world, many.to_string(), 413).await;
    check(&mut world, " ".repeat(4 * 1024 * 1024 + 1), 413).await;
    check(&mut world, "{}".to_owned(), 400).await;
    check(&mut world, json!({"batch": "x", "operations": []}).to_string(), 400).await;
}

#[tokio::test]
async fn a_deleted_user_comes_back_with_the_old_id_and_without_the_password() {
    let mut world = World::new().await;
    let id = claims(&world.signed_in().await["id_token"])["oid"].clone();
    let batch = |number: u32, operation: Json| {
        json!({"batch": format!("00000000-0000-4000-8000-{number:012}"),
            "operations": [operation]})
    };
    let delete = json!({"op": "delete", "anchor": "alice", "kind": "user"});
    let deleted = world.ingest(&batch(12, delete.clone())).await.json();
    assert_eq!(deleted["results"][0]["id"], id);
    assert_eq!(world.ingest(&batch(13, delete)).await.json()["results"][0]["status"], "ok");
    assert!(world.sign_in(ALICE, PASSWORD).await.text.contains("AADSTS50126"));
    let restore = json!({"op": "upsert", "anchor": "alice", "kind": "user", "attributes": {
        "userPrincipalName": ALICE, "accountEnabled": true}});
    let restored = world.ingest(&batch(14, restore)).await.json();
    assert_eq!(restored["results"][0]["id"], id);
    assert!(world.sign_in(ALICE, PASSWORD).await.text.contains("AADSTS50126"));
}

#[tokio::test]
async fn graph_shows_users_in_pages_and_members_that_came_later() {
    let mut world = World::new().await;
    let user = |name: &str| {
        json!({"op": "upsert", "anchor": name, "kind": "user", "attributes": {
            "userPrincipalName": format!("{name}@corp.example"), "accountEnabled": true}})
    };
    let group = json!({"op": "upsert", "anchor": "staff", "kind": "group",
        "attributes": {"displayName": "Staff"}, "members": ["alice", "bob", "later"]});
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000002",
        "operations": [group, user("bob"), user("carol")]});
    let staff = world.ingest(&batch).await.json()["results"][0]["id"].as_str().unwrap().to_owned();
    let tokens = world.signed_in().await;
    let narrow = tokens["access_token"].as_str().unwrap().to_owned();
    let refused = world.get_as(&narrow, "/v1.0/users").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["error"]["code"], "Authorization_RequestDenied");
    assert_eq!(world.get_as("", "/v1.0/users").await.status, 401);

    let wide = world.token(&[
        ("grant_type", "password"),
        ("username", ALICE),
        ("password", PASSWORD),
        ("scope", "https://graph.cloud.example/.default"),
    ]);
    let wide = wide.await.json()["access_token"].as_str().unwrap().to_owned();
    let mut names = Vec::new();
    let mut path = "/v1.0/users?$top=2&$select=userPrincipalName".to_owned();
    loop {
        let page = world.get_as(&wide, &path).await.json();
        names.extend(page["value"].as_array().unwrap().iter().cloned());
        let Some(next) = page["@odata.nextLink"].as_str() else { break };
        path = next.strip_prefix("https://graph.cloud.example").unwrap().to_owned();
    }
    let mut names: Vec<_> =
        names.iter().map(|user| user["userPrincipalName"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["alice@corp.example", "bob@corp.example", "carol@corp.example"]);
    let bob = world.get_as(&wide, "/v1.0/users/BOB@corp.example").await;
    assert_eq!(bob.status, 200);
    assert_eq!(world.get_as(&wide, "/v1.0/users/dave@corp.example").await.status, 404);
    assert_eq!(world.get_as(&wide, "/v1.0/users?$filter=x").await.status, 400);
    let organization = world.get_as(&wide, "/v1.0/organization").await.json();
    assert_eq!(organization["value"][0]["verifiedDomains"][1]["name"], "corp.example");

    let batch = json!({"batch": "00000000-0000-4000-8000-000000000003",
        "operations": [user("later")]});
    world.ingest(&batch).await;
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let members = tx.members(staff.parse().unwrap(), None, 10).await.unwrap();
    assert_eq!(members.len(), 3);
}

#[tokio::test]
async fn graph_filters_and_counts_users() {
    let mut world = World::new().await;
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000002", "operations":
        [named("bob", "bob@corp.example"), named("carol", "carol@corp.example")]});
    world.ingest(&batch).await;
    let wide = world.token_with_role("User.Read.All").await;
    let eventual = async |world: &mut World, path: &str| {
        let bearer = format!("Bearer {wide}");
        let headers = [("authorization", bearer.as_str()), ("consistencylevel", "eventual")];
        world.send(Method::GET, GRAPH, path, &headers, Body::empty()).await
    };
    let filter = "$filter=startswith(userPrincipalName,'b')%20or%20displayName%20eq%20'Alice%20Ng'";
    let first = eventual(&mut world, &format!("/v1.0/users?{filter}&$top=1&$count=true")).await;
    let first = first.json();
    assert_eq!((&first["@odata.count"], first["value"].as_array().unwrap().len()), (&json!(2), 1));
    let next = first["@odata.nextLink"].as_str().unwrap();
    let next = next.strip_prefix("https://graph.cloud.example").unwrap();
    let second = eventual(&mut world, next).await.json();
    assert_eq!(
        (&second["@odata.count"], second["value"].as_array().unwrap().len()),
        (&json!(2), 1)
    );
    assert_ne!(first["value"], second["value"]);
    assert!(second["@odata.nextLink"].is_null());
    assert_eq!(eventual(&mut world, "/v1.0/users/$count").await.text, "3");
    assert_eq!(eventual(&mut world, &format!("/v1.0/users/$count?{filter}")).await.text, "2");
    assert_eq!(world.get_as(&wide, "/v1.0/users/$count").await.status, 400);
    assert_eq!(world.get_as(&wide, "/v1.0/users?$count=true").await.status, 400);
}

#[tokio::test]
async fn who_may_list_members_or_basic_properties_reads_no_more_of_people() {
    let mut world = World::new().await;
    let group = json!({"op": "upsert", "anchor": "staff", "kind": "group",
        "attributes": {"displayName": "Staff"}, "members": ["alice"]});
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000002", "operations": [group]});
    let staff = world.ingest(&batch).await.json()["results"][0]["id"].as_str().unwrap().to_owned();
    let lister = world.token_with_role("GroupMember.Read.All").await;
    let basic = world.token_with_role("User.ReadBasic.All").await;
    let path = format!("/v1.0/groups/{staff}/members");
    for query in ["", "?$select=userPrincipalName,accountEnabled"] {
        let page = world.get_as(&lister, &format!("{path}{query}")).await.json();
        let member = page["value"][0].as_object().unwrap();
        assert_eq!(member.keys().collect::<Vec<_>>(), ["@odata.type", "id"], "{query}");
    }
    let user = world.get_as(&basic, &format!("/v1.0/users/{ALICE}")).await.json();
    assert_eq!(user["displayName"], "Alice Ng");
    assert!(user.get("mobilePhone").is_none(), "{user}");
    for select in ["mobilePhone", "accountEnabled", "onPremisesExtensionAttributes"] {
        let path = format!("/v1.0/users?$select={select}");
        assert_eq!(world.get_as(&basic, &path).await.status, 403, "{select}");
    }
    let guess = "/v1.0/users?$filter=startswith(jobTitle,'a')";
    assert_eq!(world.get_as(&basic, guess).await.status, 403, "a filter tells as much");
    assert_eq!(world.get_as(&basic, &path).await.status, 403);
    assert_eq!(world.get_as(&basic, "/v1.0/me").await.status, 403);
}

#[tokio::test]
async fn one_object_shows_what_is_selected_and_refuses_what_is_not_understood() {
    let mut world = World::new().await;
    let tokens = world.signed_in().await;
    let token = tokens["access_token"].as_str().unwrap();
    let me = world.get_as(token, "/v1.0/me?$select=displayName").await.json();
    let names: Vec<_> = me.as_object().unwrap().keys().collect();
    assert_eq!(names, ["@odata.context", "displayName", "id"]);
    assert_eq!(me["displayName"], "Alice Ng");
    for query in [
        "$select=passwordProfile",
        "$expand=manager",
        "$top=1",
        "$filter=accountEnabled%20eq%20true",
        "$count=true",
        "$skiptoken=00000000-0000-4000-8000-000000000001",
    ] {
        let answer = world.get_as(token, &format!("/v1.0/me?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.json()["error"]["code"], "Request_BadRequest", "{query}");
    }
}

#[tokio::test]
async fn discovery_names_one_issuer_under_every_name_of_the_tenant() {
    let mut world = World::empty().await;
    let issuer = format!("https://login.cloud.example/{}/v2.0", world.tenant_id);
    for name in [world.tenant_id.clone(), "corp.example".to_owned(), "common".to_owned()] {
        let path = format!("/{name}/v2.0/.well-known/openid-configuration");
        assert_eq!(world.get(LOGIN, &path).await.json()["issuer"], issuer);
    }
    let other = "/other.example/v2.0/.well-known/openid-configuration";
    assert_eq!(refusal(&world.get(LOGIN, other).await), (400, 90002));
    let keys = world.get(LOGIN, "/common/discovery/v2.0/keys").await.json();
    assert_eq!(keys["keys"][0]["issuer"], issuer);
    assert!(keys["keys"][0]["d"].is_null());
    let realm = world.get(LOGIN, "/common/userrealm/anyone@corp.example?api-version=1.0").await;
    assert_eq!(realm.json()["account_type"], "Managed");
    let realm = world.get(LOGIN, "/common/userrealm/anyone@else.example").await;
    assert_eq!(realm.json()["account_type"], "Unknown");
    assert_eq!(world.get("evil.example", "/").await.status, 421);
    assert_eq!(world.get("LOGIN.cloud.example:1", "/").await.status, 200);
}

#[tokio::test]
async fn the_plain_listener_serves_the_list_and_nothing_else() {
    let router = crl_router(|| b"list".to_vec());
    for (method, path, expected) in [
        ("GET", "/portolan-ca.crl", 200),
        ("HEAD", "/portolan-ca.crl", 200),
        ("POST", "/portolan-ca.crl", 404),
        ("GET", "/", 404),
        ("GET", "/common/discovery/v2.0/keys", 404),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{method} {path}");
        if expected == 200 {
            assert_eq!(answer.headers()["content-type"], "application/pkix-crl");
        }
    }
}
