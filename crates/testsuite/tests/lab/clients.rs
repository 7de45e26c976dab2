//! Clients that nobody here wrote, unmodified: openid-client signs a person in and out, Microsoft's
//! Graph SDK reads the directory, axe-core judges the pages that Chromium shows on a phone.

use std::time::{Duration, Instant};

use portolan_testsuite::{Outcome, Road};
use serde_json::{Value, json};

use crate::world::World;

const ALICE: &str = "alice@corp.example";
const PASSWORD: &str = "Al1ce-Pass!";
const REDIRECT: &str = "https://shop.cloud.example/cb";

/// How long after the tenant has heard of it a disabling may leave anything working.
const ENDING_TIME_MAX: Duration = Duration::from_secs(5);

#[test]
fn clients_that_nobody_here_wrote_sign_in_read_the_directory_and_are_shut_out() {
    let world = World::up("clients");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    people_in_every_state(&road);
    road.connect_run().unwrap().success().unwrap();
    let client = road.add_web_application(REDIRECT).unwrap();

    everybody_is_told_their_state(&road, &client);
    let held = openid_client_signs_in_and_out(&road, &client);
    the_graph_sdk_reads_the_directory(&road, &held);
    the_pages_suit_a_phone_a_dark_screen_and_a_keyboard(&road, &client);
    a_disabled_person_is_shut_out(&road, &client, &held);
    the_logs_tell_what_happened(&road);
}

const NEW_PASSWORD: &str = "N3w-Pass!word";

/// Makes people in the forest whose accounts are in states that the lab's own are not.
fn people_in_every_state(road: &Road<'_>) {
    let samba = |arguments: &[&str]| road.samba_tool(arguments).unwrap().success().unwrap();
    for name in ["ended", "unending", "fresh", "later"] {
        samba(&["user", "create", name, NEW_PASSWORD]);
    }
    samba(&["user", "setexpiry", "ended", "--days=0"]);
    samba(&["user", "setexpiry", "later", "--days=1"]);
    samba(&["user", "setexpiry", "unending", "--noexpiry"]);
    let password = format!("--newpassword={NEW_PASSWORD}");
    samba(&["user", "setpassword", "fresh", &password, "--must-change-at-next-login"]);
}

fn everybody_is_told_their_state(road: &Road<'_>, client: &str) {
    let expected = json!({
        "ended@corp.example": "AADSTS50057",
        "later@corp.example": null,
        "unending@corp.example": null,
        "fresh@corp.example": "AADSTS50055",
        "nobody@corp.example": "AADSTS50126",
    });
    let names = expected.as_object().unwrap().keys();
    let attempts: Vec<_> = names.map(|name| json!([name, NEW_PASSWORD])).collect();
    let question = json!({"client_id": client, "redirect_uri": REDIRECT, "scope": "openid",
        "attempts": attempts});
    assert_eq!(road.ask("openid_client.mjs", question).unwrap(), expected);
}

/// Gives the tokens of a sign-in that was not ended.
fn openid_client_signs_in_and_out(road: &Road<'_>, client: &str) -> Value {
    let answer = road
        .ask(
            "openid_client.mjs",
            json!({"client_id": client, "redirect_uri": REDIRECT, "user": ALICE,
                "password": PASSWORD, "scope":
                    "openid profile email offline_access User.Read User.Read.All Group.Read.All"}),
        )
        .unwrap();
    assert_eq!(answer["claims"]["preferred_username"], ALICE, "{answer:#}");
    assert_eq!(answer["claims"]["sub"], answer["userinfo"]["sub"]);
    assert_eq!(answer["refreshed"], answer["claims"]["sub"]);
    assert_eq!(answer["narrowed"], "openid", "a refresh may ask for less");
    let told = |name: &str, number: &str| {
        assert_eq!(answer[name]["error"], "invalid_grant", "{answer:#}");
        let text = answer[name]["description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{number}:")), "{name}: {text}");
    };
    told("again", "54005");
    told("reused", "70000");
    told("family", "70000");
    assert_eq!(answer["signed_out"], format!("{REDIRECT}?state=left"));
    assert_eq!(answer["after"], "login_required");
    answer["held"].clone()
}

fn the_graph_sdk_reads_the_directory(road: &Road<'_>, held: &Value) {
    let question = json!({"token": held["access_token"], "group": "Engineers", "filter":
        "startswith(userPrincipalName,'A') and accountEnabled eq true and surname ne null"});
    let answer = road.ask("graph_sdk.py", question).unwrap();
    let users = answer["users"].as_array().unwrap();
    assert_eq!(answer["first_page"], 2, "{answer:#}");
    assert!(users.len() > 4, "several pages: {answer:#}");
    let mut ids: Vec<_> = users.iter().map(|user| user["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), users.len(), "every user comes once");
    let alice = users.iter().find(|user| user["userPrincipalName"] == ALICE).unwrap();
    assert_eq!(alice["onPremisesSyncEnabled"], true);
    assert_eq!(alice["onPremisesSamAccountName"], "alice");
    assert_eq!(alice["onPremisesImmutableId"].as_str().unwrap().len(), 24, "base64 of a GUID");
    assert_eq!(alice["jobTitle"], Value::Null, "it was not selected");
    let carol = users.iter().find(|user| user["userPrincipalName"] == "carol@corp.example");
    assert_eq!(carol.unwrap()["accountEnabled"], false);
    assert_eq!(answer["me"]["id"], alice["id"]);
    assert_eq!(answer["same_by_name"], true);
    let members = answer["members"].as_array().unwrap();
    assert!(
        !members.is_empty() && members.iter().any(|member| member["kind"] == "User"),
        "{answer:#}"
    );
    let domains = answer["organization"]["domains"].as_array().unwrap();
    assert!(domains.contains(&json!("corp.example")), "{answer:#}");
    let starts = |user: &&Value| user["userPrincipalName"].as_str().unwrap().starts_with('a');
    let filtered = answer["filtered"].as_array().unwrap();
    assert!(filtered.contains(&json!(ALICE)), "{answer:#}");
    assert!(filtered.len() <= users.iter().filter(starts).count());
    assert_eq!(answer["counted"], filtered.len());
    let refused = |name: &str| (answer[name]["status"].clone(), answer[name]["code"].clone());
    assert_eq!(refused("not_found"), (json!(404), json!("Request_ResourceNotFound")));
    assert_eq!(refused("unknown_property"), (json!(400), json!("Request_BadRequest")));
    assert_eq!(refused("too_many"), (json!(400), json!("Request_BadRequest")));
    assert_eq!(refused("bad_filter"), (json!(400), json!("Request_BadRequest")));
}

fn the_pages_suit_a_phone_a_dark_screen_and_a_keyboard(road: &Road<'_>, client: &str) {
    let status = road.path("tenant");
    let status = ["tenant", "status", "--json", "--data", status.to_str().unwrap()];
    let status = road.portolan("tenant", status).unwrap().success().unwrap().json().unwrap();
    let url = format!(
        "https://login.cloud.example/{}/oauth2/v2.0/authorize?client_id={client}\
         &redirect_uri=https%3A%2F%2Fshop.cloud.example%2Fcb&response_type=code\
         &scope=openid+profile+User.Read.All&code_challenge_method=S256\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        status["tenant_id"].as_str().unwrap()
    );
    let question = json!({"url": url, "user": ALICE, "password": PASSWORD});
    let answer = road.ask("pages.py", question).unwrap();
    let pages = answer["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 10, "five pages in two schemes: {answer:#}");
    for page in pages {
        assert_eq!(page["axe_error"], Value::Null, "{page:#}");
        assert!(page["rules_passed"].as_u64().unwrap() > 5, "axe looked: {page:#}");
        assert_eq!(page["violations"], json!([]), "{page:#}");
        assert_eq!((&page["width"], &page["sideways"]), (&json!(360), &json!(false)), "{page:#}");
        let png = std::fs::read(page["screenshot"].as_str().unwrap()).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }
    assert_ne!(pages[0]["ground"], pages[1]["ground"], "the dark page is another one");
    assert!(answer["returned"].as_str().unwrap().starts_with(REDIRECT), "{answer:#}");
    assert!(answer["account"].as_str().unwrap().contains(ALICE), "{answer:#}");
}

fn a_disabled_person_is_shut_out(road: &Road<'_>, client: &str, held: &Value) {
    let probe = || {
        let question = json!({"client_id": client, "held": held});
        road.ask("openid_client.mjs", question).unwrap()
    };
    road.samba_tool(&["user", "disable", "alice"]).unwrap().success().unwrap();
    road.connect_run().unwrap().success().unwrap();
    let heard = Instant::now();
    let answer = probe();
    let ended = heard.elapsed();
    assert_eq!(answer["refresh"]["error"], "invalid_grant", "{answer:#}");
    assert_eq!(answer["userinfo"]["status"], 401, "{answer:#}");
    assert!(ended < ENDING_TIME_MAX, "asked and answered within {ended:?}");
}

fn the_logs_tell_what_happened(road: &Road<'_>) {
    let data = road.path("tenant");
    let log = |which: &str| -> Outcome {
        let arguments =
            ["tenant", "log", which, "--json", "--user", ALICE, "--since", "1h", "--data"];
        let arguments = arguments.into_iter().chain([data.to_str().unwrap()]);
        road.portolan("tenant", arguments).unwrap().success().unwrap()
    };
    let lines = |which: &str| -> Vec<Value> {
        log(which).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let sign_ins = lines("sign-ins");
    let has = |method: &str, error: Value| {
        sign_ins.iter().any(|line| line["method"] == method && line["error"] == error)
    };
    assert!(has("password", Value::Null) && has("code", Value::Null), "{sign_ins:#?}");
    assert!(has("password", json!("AADSTS50126")), "the wrong password at the page");
    assert!(sign_ins.iter().all(|line| line["address"] != ""), "{sign_ins:#?}");
    let audits = lines("audit");
    for action in ["object.upsert", "credential.set"] {
        assert!(audits.iter().any(|line| line["action"] == action), "{action}: {audits:#?}");
    }
}
