//! Requests at the same time: what works once works once, what is counted is counted.

use tokio::task::JoinSet;

use super::*;

/// Requests of each kind at a time.
const CROWD: usize = 16;

/// The statuses and bodies of the same request, sent many times at once.
async fn at_once(world: &World, host: &str, path: &str, kind: &str, body: &str) -> Vec<Json> {
    let mut requests = JoinSet::new();
    for _ in 0..CROWD {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header("host", host)
            .header("content-type", kind)
            .body(Body::from(body.to_owned()))
            .unwrap();
        requests.spawn(world.router.clone().oneshot(request));
    }
    let mut answers = Vec::new();
    for answer in requests.join_all().await {
        let answer = answer.unwrap();
        let status = answer.status().as_u16();
        let octets = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let mut json: Json = serde_json::from_slice(&octets).unwrap();
        json["status"] = json!(status);
        answers.push(json);
    }
    answers
}

fn count(answers: &[Json], pointer: &str, value: &Json) -> usize {
    answers.iter().filter(|answer| answer.pointer(pointer) == Some(value)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_comes_many_times_at_once_is_redeemed_once_and_ends_what_it_gave() {
    let mut world = World::new().await;
    let code = world.sign_in(ALICE, PASSWORD).await.sent("code").unwrap();
    let client_id = world.client_id.clone();
    let fields = [
        ("client_id", client_id.as_str()),
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let path = format!("/{}/oauth2/v2.0/token", world.tenant_id);
    let answers = at_once(&world, LOGIN, &path, "application/x-www-form-urlencoded", &body).await;
    assert_eq!(count(&answers, "/status", &json!(200)), 1);
    assert_eq!(count(&answers, "/error_codes/0", &json!(54005)), CROWD - 1);
    let given = answers.iter().find_map(|answer| answer["refresh_token"].as_str()).unwrap();
    let again = world.token(&[("grant_type", "refresh_token"), ("refresh_token", given)]).await;
    assert_eq!(refusal(&again), (400, 70000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_comes_many_times_at_once_enrols_one_server() {
    let world = World::empty().await;
    let secret = Opaque::draw(&mut SystemEntropy);
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let until = world.service.now() + time::Duration::HOUR;
    tx.put_enrolment(&secret.digest(), until).await.unwrap();
    tx.commit().await.unwrap();
    let body = json!({"secret": secret.expose(), "key": signing_key().public()}).to_string();
    let answers = at_once(&world, SYNC, "/enrol", "application/json", &body).await;
    assert_eq!(count(&answers, "/status", &json!(200)), 1);
    assert_eq!(count(&answers, "/status", &json!(403)), CROWD - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_that_come_at_once_are_all_counted() {
    let world = World::new().await;
    let client_id = world.client_id.clone();
    let fields = [
        ("client_id", client_id.as_str()),
        ("grant_type", "password"),
        ("username", ALICE),
        ("password", "wrong"),
        ("scope", "openid"),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let path = format!("/{}/oauth2/v2.0/token", world.tenant_id);
    let answers = at_once(&world, LOGIN, &path, "application/x-www-form-urlencoded", &body).await;
    assert_eq!(count(&answers, "/error_codes/0", &json!(50126)), 10);
    assert_eq!(count(&answers, "/error_codes/0", &json!(50053)), CROWD - 10);
}
