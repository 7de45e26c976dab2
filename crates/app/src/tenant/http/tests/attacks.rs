//! What somebody tries who wants in, wants to hide, or wants the tenant to stop.

use portolan_store::tenant::log::{SignIn, Wanted};

use super::*;

async fn remove(world: &World, name: &str) {
    let client_id = world.application(name).await.client_id;
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    assert!(tx.remove_application(client_id).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_a_removed_application_holds_is_worth_nothing_at_once() {
    let mut world = World::new().await;
    let tokens = world.signed_in().await;
    let of_alice = tokens["access_token"].as_str().unwrap();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let its_own = world.token_with_role("User.Read.All").await;
    let users = "/v1.0/users";
    for (token, path) in [(of_alice, "/v1.0/me"), (of_alice, "/oidc/userinfo"), (&its_own, users)] {
        assert_eq!(world.get_as(token, path).await.status, 200, "{path}");
    }
    remove(&world, "Shop & <Co>").await;
    for (token, path) in [(of_alice, "/v1.0/me"), (of_alice, "/oidc/userinfo"), (&its_own, users)] {
        assert_eq!(world.get_as(token, path).await.status, 401, "{path}");
    }
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(refusal(&world.token(&fields).await), (400, 700016));
}

#[tokio::test]
async fn a_token_of_one_kind_is_none_of_another() {
    let mut world = World::new().await;
    let tokens = world.signed_in().await;
    let id_token = tokens["id_token"].as_str().unwrap();
    let access = tokens["access_token"].as_str().unwrap();
    let of_connect = world.application_token("connect").await;
    assert_eq!(world.get_as(id_token, "/v1.0/me").await.status, 401, "an ID token opens nothing");
    assert_eq!(world.get_as(&of_connect, "/v1.0/users").await.status, 401, "nor the sync host's");
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000003", "operations": []});
    for token in [access, id_token] {
        let answer = world.post_json(token, "/v1.0/ingest", batch.to_string()).await;
        assert_eq!(answer.status, 401);
    }
    let hinted = world.authorize_path(&[("id_token_hint", access)]);
    assert_eq!(world.get(LOGIN, &hinted).await.sent("error").unwrap(), "invalid_request");
    let unsigned = format!("{}.", access.rsplit_once('.').unwrap().0);
    let none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0";
    let unsigned_header = format!("{none}.{}", unsigned.split_once('.').unwrap().1);
    for forged in [unsigned, unsigned_header] {
        assert_eq!(world.get_as(&forged, "/v1.0/me").await.status, 401);
    }
}

#[tokio::test]
async fn the_next_page_is_filtered_however_the_option_was_spelled() {
    let mut world = World::new().await;
    let user = |number: usize| {
        json!({"op": "upsert", "anchor": format!("u{number}"), "kind": "user", "attributes": {
            "userPrincipalName": format!("u{number}@corp.example"), "accountEnabled": true}})
    };
    let operations: Vec<_> = (0..6).map(user).collect();
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000004", "operations": operations});
    world.ingest(&batch).await;
    let wide = world.token_with_role("User.Read.All").await;
    let filter = "startswith(userPrincipalName,'u')";
    for option in ["$filter", "$Filter", "filter", "FILTER"] {
        let mut path = format!("/v1.0/users?{option}={filter}&$top=1");
        let mut found = 0;
        loop {
            let page = world.get_as(&wide, &path).await.json();
            found += page["value"].as_array().unwrap().len();
            let Some(next) = page["@odata.nextLink"].as_str() else { break };
            path = next.strip_prefix("https://graph.cloud.example").unwrap().to_owned();
        }
        assert_eq!(found, 6, "{option}");
    }
    let twice = format!("/v1.0/users?$filter=accountEnabled%20eq%20true&filter={filter}");
    assert_eq!(world.get_as(&wide, &twice).await.status, 400);
}

#[tokio::test]
async fn one_place_that_asks_without_end_leaves_room_for_the_others() {
    let mut world = World::new().await;
    world.address = "2001:db8:1:2::1".parse().unwrap();
    let (site, now) = ("2001:db8:1::".parse().unwrap(), world.service.now());
    while world.service.rates().requests.admit(site, 1, now) {}
    // Another address of the same site, as a program and as a browser.
    world.address = "2001:db8:1:3::1".parse().unwrap();
    let refused = world.token(&[("grant_type", "refresh_token"), ("refresh_token", "x")]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "10"));
    assert_eq!(refusal(&refused), (429, 90055));
    let html = [("accept", "text/html")];
    let path = world.authorize_path(&[]);
    let page = world.send(Method::GET, LOGIN, &path, &html, Body::empty()).await;
    assert!(page.status == 429 && page.text.contains("AADSTS90055"), "{}", page.text);
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    let enrol = json!({"secret": "x", "key": {"kty": "oct"}}).to_string();
    assert_eq!(world.post_json("", "/enrol", enrol).await.status, 429);
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000005", "operations": []});
    assert_eq!(world.ingest(&batch).await.status, 200, "who proved themselves is counted apart");
    world.address = "2001:db8:2::1".parse().unwrap();
    assert_eq!(world.get(LOGIN, &path).await.status, 200, "from another site");
    world.address = "2001:db8:1:2::1".parse().unwrap();
    world.pass(1);
    assert_eq!(world.get(LOGIN, &path).await.status, 200, "a moment later");
}

async fn lines(world: &World) -> Vec<SignIn> {
    let mut tx = world.service.store().begin(Access::Read).await.unwrap();
    let all = Wanted { since: None, user: None, anchor: None, count_max: 100 };
    tx.sign_ins(all).await.unwrap()
}

#[tokio::test]
async fn nobody_pushes_other_peoples_lines_out_of_the_sign_in_log() {
    let mut world = World::new().await;
    let (site, now) = (world.address, world.service.now());
    while world.service.rates().logged_failures.admit(site, 1, now) {}
    let wrong = world.sign_in(ALICE, "wrong").await;
    assert!(wrong.text.contains("AADSTS50126"), "{}", wrong.text);
    let unknown = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    assert_eq!(refusal(&world.token(&unknown).await), (400, 70000));
    assert_eq!(lines(&world).await, [], "the place has failed too often to be kept");
    world.signed_in().await;
    let kept = lines(&world).await;
    assert!(kept.len() == 2 && kept.iter().all(|line| line.error.is_none()), "{kept:?}");
    world.address = [192, 0, 2, 8].into();
    world.sign_in(ALICE, "wrong").await;
    assert_eq!(lines(&world).await[0].error, Some(50126), "other places are kept");
}

#[tokio::test]
async fn an_answer_repeats_little_of_what_was_refused() {
    let mut world = World::new().await;
    let long = "x".repeat(1_000_000);
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000006", "operations": [
        {"op": "delete", "anchor": long, "kind": "user"},
        {"op": "upsert", "anchor": "a", "kind": "user", "attributes": {long.as_str(): true}}]});
    let answer = world.ingest(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["results"][0]["code"], "invalidAnchor");
    assert_eq!(answer.json()["results"][1]["code"], "unknownAttribute");
    assert!(answer.text.len() < 1_000, "answers are kept for days");
}

#[tokio::test]
async fn a_batch_with_many_members_counts_as_many_batches() {
    let mut world = World::new().await;
    let client_id = world.application("connect").await.client_id;
    let now = world.service.now();
    // Room for five more.
    for _ in 0..995 {
        assert!(world.service.rates().batches.admit(client_id, 1, now));
    }
    let members: Vec<_> = (0..20_000).map(|number| format!("m{number}")).collect();
    let group = |members: &[String]| {
        json!({"op": "upsert", "anchor": "g", "kind": "group",
            "attributes": {"displayName": "G"}, "members": members})
    };
    let batch = |members| json!({"batch": "00000000-0000-4000-8000-000000000007", "operations": [group(members)]});
    assert_eq!(world.ingest(&batch(&members)).await.status, 429);
    assert_eq!(world.ingest(&batch(&members[..10])).await.status, 200);
}
