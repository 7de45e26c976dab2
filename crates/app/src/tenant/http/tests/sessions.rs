//! What a change of the account ends, and when: at once, wherever it is used.

use super::*;

/// Everything that a person who is signed in holds.
struct Held {
    refresh_token: String,
    access_token: String,
    /// Not redeemed yet.
    code: String,
}

async fn held(world: &mut World) -> Held {
    let tokens = world.signed_in().await;
    let silent = world.authorize_path(&[("prompt", "none")]);
    let code = world.get(LOGIN, &silent).await.sent("code").unwrap();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let held =
        Held { refresh_token: text("refresh_token"), access_token: text("access_token"), code };
    assert_eq!(uses(world, &held).await, ALL, "everything works before");
    // The refresh token was used up by looking.
    let tokens = world.signed_in().await;
    let code = world.get(LOGIN, &silent).await.sent("code").unwrap();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    Held { refresh_token: text("refresh_token"), access_token: text("access_token"), code }
}

const ALL: [bool; 5] = [true; 5];
const NONE: [bool; 5] = [false; 5];

/// Whether each works: the session cookie, the code, the refresh token, Graph, userinfo.
async fn uses(world: &mut World, held: &Held) -> [bool; 5] {
    let silent = world.authorize_path(&[("prompt", "none")]);
    let session = world.get(LOGIN, &silent).await.sent("code").is_some();
    let code = world.redeem(&held.code).await.status == 200;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", held.refresh_token.as_str())];
    let refresh = world.token(&fields).await.status == 200;
    let graph = world.get_as(&held.access_token, "/v1.0/me").await.status == 200;
    let userinfo = world.get_as(&held.access_token, "/oidc/userinfo").await.status == 200;
    [session, code, refresh, graph, userinfo]
}

async fn change(world: &mut World, number: u32, operation: Json) {
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{number:012}"),
        "operations": [operation]});
    let answer = world.ingest(&batch).await.json();
    assert_eq!(answer["results"][0]["status"], "ok", "{answer}");
}

fn alice(attributes: Json) -> Json {
    let mut all = json!({"userPrincipalName": ALICE, "accountEnabled": true});
    for (name, value) in attributes.as_object().unwrap() {
        all[name] = value.clone();
    }
    json!({"op": "upsert", "anchor": "alice", "kind": "user", "attributes": all})
}

fn password(password: &str, at: &str) -> Json {
    json!({"op": "credential", "anchor": "alice", "credential": credential(password),
        "changed_at": at})
}

#[tokio::test]
async fn a_change_that_shuts_a_person_out_ends_all_that_they_hold_at_once() {
    let past = json!("2026-11-01T00:00:00Z");
    for operation in [
        alice(json!({"accountEnabled": false})),
        alice(json!({"onPremisesAccountExpiresDateTime": past})),
        alice(json!({"onPremisesPasswordExpiresDateTime": past})),
        alice(json!({"onPremisesPasswordChangeRequired": true})),
        alice(json!({"onPremisesLockedOut": true})),
        alice(json!({"onPremisesSmartCardRequired": true})),
        json!({"op": "delete", "anchor": "alice", "kind": "user"}),
        password("N3w-Pass!", "2026-11-02T00:00:00Z"),
    ] {
        let mut world = World::new().await;
        let held = held(&mut world).await;
        change(&mut world, 2, operation.clone()).await;
        assert_eq!(uses(&mut world, &held).await, NONE, "{operation}");
    }
}

#[tokio::test]
async fn what_a_change_ended_stays_ended_when_the_account_comes_back() {
    let comes_back: [&[Json]; 3] = [
        &[alice(json!({"accountEnabled": false})), alice(json!({}))],
        &[
            json!({"op": "delete", "anchor": "alice", "kind": "user"}),
            alice(json!({})),
            password(PASSWORD, "2026-11-01T00:00:00Z"),
        ],
        &[
            password("N3w-Pass!", "2026-11-02T00:00:00Z"),
            password(PASSWORD, "2026-11-03T00:00:00Z"),
        ],
    ];
    for operations in comes_back {
        let mut world = World::new().await;
        let held = held(&mut world).await;
        for (number, operation) in (2..).zip(operations) {
            change(&mut world, number, operation.clone()).await;
        }
        assert_eq!(uses(&mut world, &held).await, NONE, "{operations:?}");
        // A new sign-in works, in the same second.
        let tokens = world.signed_in().await;
        let access = tokens["access_token"].as_str().unwrap();
        assert_eq!(world.get_as(access, "/v1.0/me").await.status, 200, "{operations:?}");
    }
}

#[tokio::test]
async fn a_change_that_shuts_nobody_out_ends_nothing() {
    let mut world = World::new().await;
    let held = held(&mut world).await;
    change(&mut world, 2, alice(json!({"displayName": "Alice Ng-Ode"}))).await;
    change(&mut world, 3, password(PASSWORD, "2026-11-01T00:00:00Z")).await;
    assert_eq!(uses(&mut world, &held).await, ALL);
}

#[tokio::test]
async fn a_password_that_has_grown_too_old_ends_what_came_of_it() {
    let mut world = World::new().await;
    let policy = Policy { password_age_max: Some(time::Duration::days(42)) };
    world.reopen(policy).await;
    let held = held(&mut world).await;
    // The password is of the first of November; the clock stands at the eighteenth.
    world.pass(25 * 24 * 3600);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", held.refresh_token.as_str())];
    assert_eq!(refusal(&world.token(&fields).await), (400, 50055));
    assert!(world.sign_in(ALICE, PASSWORD).await.text.contains("AADSTS50055"));
    world.reopen(Policy::default()).await;
    assert!(world.sign_in(ALICE, PASSWORD).await.sent("code").is_some(), "by default it does not");
}
