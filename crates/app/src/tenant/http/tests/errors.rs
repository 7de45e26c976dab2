//! What a failure tells: a number, a sentence, names to find it by in the log, and nothing else.

use super::*;

/// Words of the inside, which no answer has: of the store, the language, the files, the key.
const INTERNAL: [&str; 13] = [
    "sqlx",
    "sqlite",
    "SELECT ",
    "panicked",
    "unwrap",
    ".rs:",
    "/tmp/",
    "portolan_",
    "Storage",
    "pool",
    "Some(",
    "Err(",
    "geheim",
];

/// What was provoked so far: the rule that was meant, and the answer.
struct Provoked(Vec<(Rule, Answer)>);

impl Provoked {
    fn add(&mut self, rule: Rule, answer: Answer) {
        self.0.push((rule, answer));
    }
}

/// The text of an answer with what it redirects to, as a person would read it.
fn told(answer: &Answer) -> String {
    let sent = answer.sent("error_description").unwrap_or_default();
    format!("{} {sent}", answer.text).replace("&#39;", "'")
}

fn check(rule: Rule, answer: &Answer) {
    let text = told(answer);
    let shown = rule.shown();
    assert!(text.contains(&format!("AADSTS{}", shown.number())), "{rule:?}: {text}");
    assert!(text.contains(shown.sentence()), "{rule:?}: {text}");
    let correlation = "99999999-8888-4777-8666-555555555555";
    assert!(text.contains(correlation), "{rule:?}: {text}");
    // The page repeats what was sent: tokens, in which any few letters may stand.
    let text: String = text.lines().filter(|line| !line.contains("type=\"hidden\"")).collect();
    for word in INTERNAL {
        assert!(!text.contains(word), "{rule:?} tells {word:?}: {text}");
    }
    if answer.sent("error").is_none() {
        assert_ne!(answer.status, 500, "{rule:?}");
    }
}

async fn state(world: &mut World, number: u32, attribute: &str, value: Json) -> Answer {
    let mut attributes = json!({"userPrincipalName": ALICE, "accountEnabled": true});
    attributes[attribute] = value;
    let batch = json!({"batch": format!("00000000-0000-4000-8000-{number:012}"), "operations": [
        {"op": "upsert", "anchor": "alice", "kind": "user", "attributes": attributes}]});
    assert_eq!(world.ingest(&batch).await.status, 200);
    world.sign_in(ALICE, PASSWORD).await
}

async fn account_states(world: &mut World, seen: &mut Provoked) {
    let past = json!("2026-11-01T00:00:00Z");
    for (number, (rule, attribute, value)) in (10..).zip([
        (Rule::Disabled, "accountEnabled", json!(false)),
        (Rule::AccountExpired, "onPremisesAccountExpiresDateTime", past.clone()),
        (Rule::LockedInForest, "onPremisesLockedOut", json!(true)),
        (Rule::SmartCardRequired, "onPremisesSmartCardRequired", json!(true)),
        (Rule::PasswordChangeRequired, "onPremisesPasswordChangeRequired", json!(true)),
        (Rule::PasswordExpired, "onPremisesPasswordExpiresDateTime", past),
    ]) {
        let answer = state(world, number, attribute, value).await;
        seen.add(rule, answer);
    }
    state(world, 20, "displayName", json!("Alice")).await;
    let bare = json!({"batch": "00000000-0000-4000-8000-000000000021", "operations": [
        {"op": "upsert", "anchor": "bare", "kind": "user", "attributes": {
            "userPrincipalName": "bare@corp.example", "accountEnabled": true}}]});
    world.ingest(&bare).await;
    seen.add(Rule::NoCredential, world.sign_in("bare@corp.example", PASSWORD).await);
    seen.add(Rule::UnknownUser, world.sign_in("nobody@corp.example", PASSWORD).await);
    seen.add(Rule::WrongPassword, world.sign_in(ALICE, "geheim").await);
    for _ in 0..10 {
        world.sign_in("locked@corp.example", "geheim").await;
    }
    seen.add(Rule::Locked, world.sign_in("locked@corp.example", "geheim").await);
}

async fn requests(world: &mut World, seen: &mut Provoked) {
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (rule, changes) in [
        (Rule::LoginRequired, [("prompt", "none")]),
        (Rule::ConsentRequired, [("scope", "Group.Read.All")]),
        (Rule::InvalidRequest, [("max_age", "soon")]),
        (Rule::UnknownApplication, [("client_id", nobody)]),
        (Rule::RedirectMismatch, [("redirect_uri", "https://evil.example/")]),
        (Rule::UnsupportedResponseType, [("response_type", "token")]),
        (Rule::InvalidScope, [("scope", "Everything")]),
        (Rule::ProofKeyRequired, [("code_challenge", "")]),
    ] {
        let path = world.authorize_path(&changes);
        let answer = world.get(LOGIN, &path).await;
        seen.add(rule, answer);
    }
    let other = world.authorize_path(&[]).replace(&world.tenant_id, "other.example");
    seen.add(Rule::UnknownTenant, world.get(LOGIN, &other).await);
    let stale = world.post_form(&format!("/{}/login", world.tenant_id), &[("canary", "x")]).await;
    seen.add(Rule::StalePage, stale);
    seen.add(Rule::NothingHere, world.get(LOGIN, "/nowhere").await);
    let browser = [("accept", "text/html,*/*")];
    let page = world.send(Method::GET, LOGIN, "/nowhere", &browser, Body::empty()).await;
    assert!(page.text.starts_with("<!doctype html>"), "{}", page.text);
    seen.add(Rule::NothingHere, page);
    seen.add(Rule::WrongMethod, world.get(LOGIN, &format!("/{}/login", world.tenant_id)).await);
    seen.add(Rule::WrongHost, world.get("evil.example", "/").await);
    seen.add(Rule::InvalidToken, world.get(GRAPH, "/oidc/userinfo").await);
    let here = std::mem::replace(&mut world.address, [192, 0, 2, 9].into());
    let (there, now) = (world.address, world.service.now());
    while world.service.rates().requests.admit(there, 1, now) {}
    seen.add(Rule::TooManyRequests, world.get(LOGIN, "/").await);
    world.address = here;
}

async fn grants(world: &mut World, seen: &mut Provoked) {
    seen.add(Rule::UnsupportedGrantType, world.token(&[("grant_type", "device_code")]).await);
    let client = world.application("connect").await.client_id.to_string();
    let mut tx = world.service.store().begin(Access::Write).await.unwrap();
    let mut confidential = world.application("connect").await;
    confidential.keys = vec![signing_key().public().clone()];
    tx.put_application(&confidential).await.unwrap();
    tx.commit().await.unwrap();
    let path = format!("/{}/oauth2/v2.0/token", world.tenant_id);
    let fields = [("client_id", client.as_str()), ("grant_type", "client_credentials")];
    seen.add(Rule::MissingAssertion, world.post_form(&path, &fields).await);
    let forged = [
        fields[0],
        fields[1],
        ("client_assertion_type", portolan_token::assertion::ASSERTION_TYPE),
        ("client_assertion", "x.y.z"),
    ];
    seen.add(Rule::InvalidAssertion, world.post_form(&path, &forged).await);
    seen.add(Rule::InvalidGrant, world.redeem("nothing").await);
    let code = world.sign_in(ALICE, PASSWORD).await.sent("code").unwrap();
    let wrong = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", CHALLENGE),
    ];
    seen.add(Rule::ProofKeyMismatch, world.token(&wrong).await);
    let tokens = world.redeem(&code).await.json();
    seen.add(Rule::RedeemedCode, world.redeem(&code).await);
    let id_token = tokens["id_token"].as_str().unwrap();
    let refresh = world.signed_in().await["refresh_token"].as_str().unwrap().to_owned();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(world.token(&fields).await.status, 200);
    seen.add(Rule::ReusedRefreshToken, world.token(&fields).await);
    let bob = json!({"batch": "00000000-0000-4000-8000-000000000030", "operations": [
        {"op": "upsert", "anchor": "bob", "kind": "user", "attributes": {
            "userPrincipalName": "bob@corp.example", "accountEnabled": true}},
        {"op": "credential", "anchor": "bob", "credential": credential(PASSWORD),
            "changed_at": "2026-11-01T00:00:00Z"}]});
    world.ingest(&bob).await;
    let path = world.authorize_path(&[("prompt", "login"), ("id_token_hint", id_token)]);
    let page = world.get(LOGIN, &path).await;
    seen.add(Rule::OtherPerson, world.submit(&page, "bob@corp.example", PASSWORD).await);
    let code = world.sign_in(ALICE, PASSWORD).await.sent("code").unwrap();
    world.pass(600);
    seen.add(Rule::ExpiredGrant, world.redeem(&code).await);
    world.service.store().close().await;
    seen.add(Rule::Unavailable, world.redeem(&code).await);
    let path = world.authorize_path(&[]);
    seen.add(Rule::Unavailable, world.get(LOGIN, &path).await);
}

#[tokio::test]
async fn every_failure_has_a_number_a_sentence_and_a_name_and_tells_nothing_of_the_inside() {
    let mut world = World::new().await;
    world.correlation_id = Some("99999999-8888-4777-8666-555555555555");
    let mut seen = Provoked(Vec::new());
    requests(&mut world, &mut seen).await;
    account_states(&mut world, &mut seen).await;
    grants(&mut world, &mut seen).await;
    for (rule, answer) in &seen.0 {
        check(*rule, answer);
    }
    for rule in Rule::ALL {
        assert!(seen.0.iter().any(|(provoked, _)| provoked == rule), "{rule:?} was not provoked");
    }
}
