//! A person signs in, or does not.

use super::*;

#[tokio::test]
async fn a_person_signs_in_with_code_and_proof_key() {
    let mut world = World::new().await;
    let answer = world.sign_in(ALICE, PASSWORD).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").starts_with("https://shop.example/cb?code="));
    assert_eq!(answer.sent("state").as_deref(), Some("st&te"));
    let tokens = world.redeem(&answer.sent("code").unwrap()).await;
    assert_eq!((tokens.header("cache-control"), tokens.header("pragma")), ("no-store", "no-cache"));
    let tokens = tokens.json();
    let id = claims(&tokens["id_token"]);
    assert_eq!(id["aud"], world.client_id);
    assert_eq!(id["iss"], format!("https://login.cloud.example/{}/v2.0", world.tenant_id));
    assert_eq!((&id["nonce"], &id["preferred_username"]), (&json!("n0nce"), &json!(ALICE)));
    assert_eq!((&id["tid"], &id["ver"]), (&json!(world.tenant_id), &json!("2.0")));
    assert_eq!((&id["name"], &id["upn"]), (&json!("Alice Ng"), &json!(ALICE)));
    let access = claims(&tokens["access_token"]);
    assert_eq!(access["aud"], "https://graph.cloud.example");
    assert_eq!(access["scp"], "openid profile User.Read");
    let me = world.get_as(tokens["access_token"].as_str().unwrap(), "/v1.0/me").await.json();
    assert_eq!((&me["userPrincipalName"], &me["id"]), (&json!(ALICE), &id["oid"]));
    let info = world.get_as(tokens["access_token"].as_str().unwrap(), "/oidc/userinfo").await;
    assert_eq!(info.json()["sub"], id["sub"]);
}

#[tokio::test]
async fn a_session_signs_in_again_without_a_page_until_it_ends() {
    let mut world = World::new().await;
    world.signed_in().await;
    let silent = world.authorize_path(&[("prompt", "none")]);
    assert!(world.get(LOGIN, &silent).await.sent("code").is_some());
    assert!(world.get(LOGIN, "/").await.text.contains("Alice Ng"));
    let logout = format!("/{}/oauth2/v2.0/logout", world.tenant_id);
    assert_eq!(world.get(LOGIN, &logout).await.status, 200);
    let refused = world.get(LOGIN, &silent).await;
    assert_eq!(refused.sent("error").as_deref(), Some("login_required"));
    assert!(refused.sent("error_description").unwrap().starts_with("AADSTS50058"));
}

#[tokio::test]
async fn a_disabled_account_is_told_so_only_with_its_password() {
    let mut world = World::new().await;
    let tokens = world.signed_in().await;
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000002", "operations": [
        {"op": "upsert", "anchor": "alice", "kind": "user", "attributes": {
            "userPrincipalName": ALICE, "accountEnabled": false}}]});
    assert_eq!(world.ingest(&batch).await.status, 200);
    let silent = world.authorize_path(&[("prompt", "none")]);
    assert!(world.get(LOGIN, &silent).await.sent("error").is_some(), "the session has ended");
    let token = tokens["refresh_token"].as_str().unwrap();
    let refreshed = world.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    assert_eq!(refusal(&refreshed), (400, 70000));
    let me = world.get_as(tokens["access_token"].as_str().unwrap(), "/v1.0/me").await;
    assert_eq!(me.status, 401, "the access token has ended with the account");
    assert!(world.sign_in(ALICE, "wrong").await.text.contains("AADSTS50126"));
    assert!(world.sign_in(ALICE, PASSWORD).await.text.contains("AADSTS50057"));
}

#[tokio::test]
async fn a_changed_password_ends_the_sessions_of_the_old_one() {
    let mut world = World::new().await;
    let tokens = world.signed_in().await;
    let change = |batch: &str, password: &str, at: &str| {
        json!({"batch": batch, "operations": [{"op": "credential", "anchor": "alice",
            "credential": credential(password), "changed_at": at}]})
    };
    let same = "2026-11-01T00:00:00Z";
    world.ingest(&change("00000000-0000-4000-8000-000000000003", PASSWORD, same)).await;
    let silent = world.authorize_path(&[("prompt", "none")]);
    assert!(world.get(LOGIN, &silent).await.sent("code").is_some(), "sent again, not changed");
    let later = "2026-11-02T00:00:00Z";
    world.ingest(&change("00000000-0000-4000-8000-000000000004", "N3w-Pass!", later)).await;
    assert!(world.get(LOGIN, &silent).await.sent("error").is_some());
    let token = tokens["refresh_token"].as_str().unwrap();
    let refreshed = world.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    assert_eq!(refusal(&refreshed), (400, 70000));
    assert!(world.sign_in(ALICE, PASSWORD).await.text.contains("AADSTS50126"));
    assert!(world.sign_in(ALICE, "N3w-Pass!").await.sent("code").is_some());
}

#[tokio::test]
async fn a_code_works_once_for_its_own_request() {
    let mut world = World::new().await;
    let code = world.sign_in(ALICE, PASSWORD).await.sent("code").unwrap();
    let good = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let with = |name: &str, value: &'static str| {
        good.map(|(key, old)| (key, if key == name { value } else { old }))
    };
    let other = world.token(&with("code_verifier", CHALLENGE)).await;
    assert_eq!(refusal(&other), (400, 501481));
    let other = world.token(&with("redirect_uri", "http://localhost")).await;
    assert_eq!(refusal(&other), (400, 50011));
    let unknown = world.token(&with("code", "nothing")).await;
    assert_eq!(refusal(&unknown), (400, 70000));
    let tokens = world.token(&good).await.json();
    assert_eq!(refusal(&world.token(&good).await), (400, 54005));
    // The second attempt has ended what the first one gave.
    let token = tokens["refresh_token"].as_str().unwrap();
    let refreshed = world.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await;
    assert_eq!(refusal(&refreshed), (400, 70000));
}

#[tokio::test]
async fn a_code_expires_after_ten_minutes() {
    let mut world = World::new().await;
    let code = world.sign_in(ALICE, PASSWORD).await.sent("code").unwrap();
    world.pass(600);
    assert_eq!(refusal(&world.redeem(&code).await), (400, 70008));
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_family() {
    let mut world = World::new().await;
    let first = world.signed_in().await["refresh_token"].as_str().unwrap().to_owned();
    let refresh = |token: &str| {
        [("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())]
    };
    let fields = refresh(&first);
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let second = world.token(&fields).await.json();
    let second = second["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(refusal(&world.token(&fields).await), (400, 70000));
    let fields = refresh(&second);
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(refusal(&world.token(&fields).await), (400, 70000));
}

#[tokio::test]
async fn an_id_token_in_the_request_names_the_one_person_who_will_do() {
    let mut world = World::new().await;
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000002", "operations": [
        {"op": "upsert", "anchor": "bob", "kind": "user", "attributes": {
            "userPrincipalName": "bob@corp.example", "accountEnabled": true}},
        {"op": "credential", "anchor": "bob", "credential": credential(PASSWORD),
            "changed_at": "2026-11-01T00:00:00Z"}]});
    world.ingest(&batch).await;
    let tokens = world.signed_in().await;
    let (id_token, access_token) = (
        tokens["id_token"].as_str().unwrap().to_owned(),
        tokens["access_token"].as_str().unwrap().to_owned(),
    );
    world.pass(7200);
    let silent = world.authorize_path(&[("prompt", "none"), ("id_token_hint", &id_token)]);
    assert!(world.get(LOGIN, &silent).await.sent("code").is_some(), "the token may have expired");
    let wrong = world.authorize_path(&[("id_token_hint", &access_token)]);
    let refused = world.get(LOGIN, &wrong).await;
    assert_eq!(refused.sent("error").as_deref(), Some("invalid_request"));

    let page = {
        let path = world.authorize_path(&[("prompt", "login")]);
        world.get(LOGIN, &path).await
    };
    assert!(world.submit(&page, "bob@corp.example", PASSWORD).await.sent("code").is_some());
    let refused = world.get(LOGIN, &silent).await;
    assert_eq!(refused.sent("error").as_deref(), Some("login_required"), "it is Bob's session");
    let path = world.authorize_path(&[("id_token_hint", &id_token)]);
    let page = world.get(LOGIN, &path).await;
    let other = world.submit(&page, "bob@corp.example", PASSWORD).await;
    assert!(other.text.contains("AADSTS50058") && other.sent("code").is_none(), "{}", other.text);
    assert!(world.submit(&page, ALICE, PASSWORD).await.sent("code").is_some());
}

#[tokio::test]
async fn a_request_may_be_posted() {
    let mut world = World::new().await;
    let path = world.authorize_path(&[]);
    let (path, query) = path.split_once('?').unwrap();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let page = world.send(Method::POST, LOGIN, path, &kind, query.to_owned()).await;
    assert!(world.submit(&page, ALICE, PASSWORD).await.sent("code").is_some());
    let plain = world.send(Method::POST, LOGIN, path, &[], query.to_owned()).await;
    assert_eq!(plain.status, 400);
}

#[tokio::test]
async fn a_store_that_fails_lets_nobody_in() {
    let mut world = World::new().await;
    let tokens = world.signed_in().await;
    let path = world.authorize_path(&[("prompt", "login")]);
    let page = world.get(LOGIN, &path).await;
    let sync = world.application_token("connect").await;
    world.service.store().close().await;
    let submitted = world.submit(&page, ALICE, PASSWORD).await;
    assert_eq!((submitted.status, submitted.header("location")), (503, ""));
    assert!(submitted.header("set-cookie").is_empty() && submitted.text.contains("AADSTS90033"));
    let silent = world.authorize_path(&[("prompt", "none")]);
    let silent = world.get(LOGIN, &silent).await;
    assert_eq!((silent.status, silent.header("location")), (503, ""));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(refusal(&world.token(&fields).await), (503, 90033));
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(world.get_as(access, "/v1.0/me").await.status, 503);
    assert_eq!(world.get_as(access, "/oidc/userinfo").await.status, 503);
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000009", "operations": []});
    assert_eq!(world.post_json(&sync, "/v1.0/ingest", batch.to_string()).await.status, 503);
}

#[tokio::test]
async fn a_token_is_good_for_what_it_was_made_for_only() {
    let mut world = World::new().await;
    let tokens = world.signed_in().await;
    let id_token = tokens["id_token"].as_str().unwrap().to_owned();
    let sync = world.application_token("connect").await;
    let graph = world.token_with_role("Sync.Ingest").await;
    for token in [id_token.as_str(), sync.as_str(), tokens["refresh_token"].as_str().unwrap()] {
        assert_eq!(world.get_as(token, "/v1.0/users").await.status, 401, "{token}");
        assert_eq!(world.get_as(token, "/oidc/userinfo").await.status, 401, "{token}");
    }
    let batch = json!({"batch": "00000000-0000-4000-8000-000000000009", "operations": []});
    for token in [id_token.as_str(), graph.as_str()] {
        let answer = world.post_json(token, "/v1.0/ingest", batch.to_string()).await;
        assert_eq!(answer.status, 401, "{token}");
    }
    // A key that an application enrolled signs nothing in the tenant's name, whatever it is called.
    let (forger, ours) = (signing_key(), claims(&json!(sync)));
    let forged = forger.sign(&ours).unwrap();
    let answer = world.post_json(&forged, "/v1.0/ingest", batch.to_string()).await;
    assert_eq!(answer.status, 401);
    let (_, rest) = forged.split_once('.').unwrap();
    let renamed = format!("{}.{rest}", sync.split('.').next().unwrap());
    assert_eq!(world.post_json(&renamed, "/v1.0/ingest", batch.to_string()).await.status, 401);
}

#[tokio::test]
async fn a_sign_out_sends_on_to_registered_addresses_only() {
    let mut world = World::new().await;
    let path = format!("/{}/oauth2/v2.0/logout", world.tenant_id);
    let check = async |world: &mut World, client: &str, uri: &str, expected: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", client)
            .append_pair("post_logout_redirect_uri", uri)
            .append_pair("state", "a&b")
            .finish();
        let answer = world.get(LOGIN, &format!("{path}?{query}")).await;
        assert_eq!(answer.header("location"), expected, "{uri}");
    };
    let client = world.client_id.clone();
    check(&mut world, &client, REDIRECT, "https://shop.example/cb?state=a%26b").await;
    for uri in ["https://evil.example/", "//evil.example", "https://shop.example/cb/../x"] {
        check(&mut world, &client, uri, "").await;
    }
    check(&mut world, "00000000-0000-4000-8000-000000000000", REDIRECT, "").await;
    check(&mut world, "", REDIRECT, "").await;
}

#[tokio::test]
async fn a_form_counts_only_from_the_browser_that_was_given_it() {
    let mut world = World::new().await;
    let path = world.authorize_path(&[]);
    let page = world.get(LOGIN, &path).await;
    let cookies = std::mem::take(&mut world.cookies);
    let stranger = world.submit(&page, ALICE, PASSWORD).await;
    assert_eq!(stranger.status, 400);
    assert!(stranger.text.contains("AADSTS165000"), "{}", stranger.text);
    world.cookies = cookies;
    let login = format!("/{}/login", world.tenant_id);
    let without = world.post_form(&login, &[("loginfmt", ALICE), ("passwd", PASSWORD)]).await;
    assert!(without.text.contains("AADSTS165000"), "{}", without.text);
    let foreign =
        [("content-type", "application/x-www-form-urlencoded"), ("origin", "https://evil.example")];
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("canary", &page.field("canary"))
        .finish();
    let foreign = world.send(Method::POST, LOGIN, &login, &foreign, body).await;
    assert!(foreign.text.contains("AADSTS165000"), "{}", foreign.text);
    assert!(world.submit(&page, ALICE, PASSWORD).await.sent("code").is_some());
}

#[tokio::test]
async fn a_request_that_is_not_the_applications_stays_on_the_page() {
    let mut world = World::new().await;
    let check = async |world: &mut World, changes: &[(&str, &str)], expected: &str| {
        let path = world.authorize_path(changes);
        let page = world.get(LOGIN, &path).await;
        assert_eq!((page.status, page.header("location")), (400, ""), "{changes:?}");
        assert!(page.text.contains(expected), "{changes:?}: {}", page.text);
    };
    let evil = "https://evil.example/cb";
    check(&mut world, &[("redirect_uri", evil)], "AADSTS50011").await;
    let nobody = "00000000-0000-4000-8000-000000000000";
    check(&mut world, &[("client_id", nobody)], "AADSTS700016").await;
    let path = world.authorize_path(&[("code_challenge", "")]);
    let sent = world.get(LOGIN, &path).await;
    assert_eq!(sent.sent("error").as_deref(), Some("invalid_request"));
    let other = world.authorize_path(&[]).replace(&world.tenant_id, "other.example");
    assert!(world.get(LOGIN, &other).await.text.contains("AADSTS90002"));
}

#[tokio::test]
async fn the_page_is_safe_to_show() {
    let mut world = World::new().await;
    let path = world.authorize_path(&[("login_hint", "\"><script>alert(1)</script>")]);
    let page = world.get(LOGIN, &path).await;
    assert!(!page.text.contains("<script"), "{}", page.text);
    assert!(page.text.contains("Shop &#38; &#60;Co&#62;"), "{}", page.text);
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'none'; \
         form-action 'self' https://shop.example; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let path = world.authorize_path(&[("response_mode", "form_post")]);
    let page = world.get(LOGIN, &path).await;
    let posted = world.submit(&page, ALICE, PASSWORD).await;
    assert_eq!((posted.status, posted.field("state")), (200, "st&te".to_owned()));
    assert!(posted.header("content-security-policy").contains("script-src 'sha256-"));
    assert_eq!(world.redeem(&posted.field("code")).await.status, 200);
}

#[tokio::test]
async fn the_password_grant_is_off_unless_switched_on() {
    let mut world = World::new().await;
    let fields = [
        ("grant_type", "password"),
        ("username", ALICE),
        ("password", PASSWORD),
        ("scope", "openid User.Read"),
    ];
    assert_eq!(world.token(&fields).await.status, 200);
    let wrong = fields.map(|(key, old)| (key, if key == "password" { "wrong" } else { old }));
    assert_eq!(refusal(&world.token(&wrong).await), (400, 50126));
    let mut closed = World::new().await;
    drop(std::mem::replace(&mut closed.router, Router::new()));
    Arc::get_mut(&mut closed.service.0).unwrap().password_grant = false;
    closed.router = router(closed.service.clone());
    assert_eq!(refusal(&closed.token(&fields).await), (400, 70003));
}
