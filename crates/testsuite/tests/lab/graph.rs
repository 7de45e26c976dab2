//! Graph's writes: by Microsoft's own SDK, and by `portolan connect graph` under Graph's limits.

use std::fmt::Write as _;
use std::path::PathBuf;

use portolan_testsuite::Road;
use serde_json::{Value, json};

use crate::world::World;

/// An application that writes users and groups.
pub(crate) fn writer(road: &Road<'_>, name: &str, kind: &str) -> (String, PathBuf) {
    application(road, name, kind, &["User.ReadWrite.All", "Group.ReadWrite.All"])
}

/// An application of its own with a key: its id, and the file of its key and certificate.
pub(crate) fn application(
    road: &Road<'_>,
    name: &str,
    kind: &str,
    permissions: &[&str],
) -> (String, PathBuf) {
    road.add_daemon(name, kind, permissions).unwrap()
}

#[test]
fn microsofts_sdk_writes_users_groups_and_batches() {
    let world = World::up("graphsdk");
    let mut road = world.road();
    road.tenant_up().unwrap();
    let (client_id, key) = writer(&road, "sdk", "rsa:2048");
    let question = json!({"client_id": client_id, "key": key});
    let answer = road.ask("graph_write_sdk.py", question).unwrap();
    let single = &answer["single"];
    assert_eq!(single["made"]["name"], "ann@cloud.example", "{answer:#}");
    assert_eq!(single["again"]["status"], 400);
    assert_eq!(single["again"]["targets"], json!(["userPrincipalName"]));
    assert_eq!(single["changed"]["title"], "Chief");
    assert_eq!(single["twice"]["code"], "Request_BadRequest");
    for name in ["manager", "both", "left"] {
        assert_eq!(single[name], true, "{name}: {answer:#}");
    }
    assert_eq!(single["by_key"], "Named");
    assert_eq!(single["gone"]["code"], "Request_ResourceNotFound");
    let statuses = answer["batch"]["statuses"].as_object().unwrap();
    assert_eq!(statuses.len(), 20, "{answer:#}");
    for (id, status) in statuses {
        let expected = match id.as_str() {
            "same" => 400,
            "list" => 200,
            _ => 201,
        };
        assert_eq!(status, expected, "{id}");
    }
    assert_eq!(answer["batch"]["first"], "batch0@cloud.example");
    // Whom Graph made signs in at the tenant's own page, by the password that Graph was given.
    let password = single["password"].as_str().unwrap();
    road.sign_in("made by graph", "batch1@cloud.example", password).unwrap();
}

/// What a command about Graph prints.
pub(crate) fn graph(
    road: &Road<'_>,
    verb: &str,
    more: &[&str],
    client_id: &str,
    key: &str,
) -> Value {
    let (data, ca) = (road.path("tenant"), road.path("tenant").join("ca.pem"));
    let status = ["tenant", "status", "--json", "--data", data.to_str().unwrap()];
    let status = road.portolan("tenant", status).unwrap().success().unwrap().json().unwrap();
    let tenant = status["tenant_id"].as_str().unwrap().to_owned();
    let words = ["connect", "graph", verb, "--json", "--graph", "graph.cloud.example"];
    let words = words.into_iter().chain(["--login", "login.cloud.example"]);
    let words = words.chain(["--tenant-id", &tenant, "--client-id", client_id, "--key", key]);
    let words = words.chain(["--ca", ca.to_str().unwrap()]).chain(more.iter().copied());
    road.portolan("connect", words).unwrap().success().unwrap().json().unwrap()
}

#[test]
fn an_export_by_graph_arrives_under_graphs_limits() {
    let world = World::up("graphexport");
    let mut road = world.road();
    // A tenth of the limits: two writes a second, of which 300 may come at once.
    road.tenant_up_with(&["--throttle", "graph/10"]).unwrap();
    let (client_id, key) = writer(&road, "connect", "ec -pkeyopt ec_paramgen_curve:prime256v1");
    let key = key.to_str().unwrap();
    let mut lines = String::new();
    for number in 0..300 {
        let user = json!({"op": "write", "anchor": format!("user/{number}=="), "kind": "user",
            "attributes": {"userPrincipalName": format!("u{number}@corp.example"),
                "displayName": format!("User {number}"), "accountEnabled": true}});
        writeln!(lines, "{user}").unwrap();
    }
    let everybody: Vec<_> = (0..300).map(|number| format!("user/{number}==")).collect();
    let group = json!({"op": "write", "anchor": "all==", "kind": "group",
        "attributes": {"displayName": "All", "securityEnabled": true}});
    let members = json!({"op": "members", "group": "all==", "add": everybody});
    write!(lines, "{group}\n{members}\n").unwrap();
    let changes = road.path("changes.jsonl");
    std::fs::write(&changes, lines).unwrap();
    let record = road.path("exchanges.jsonl");
    let more = ["--changes", changes.to_str().unwrap(), "--record", record.to_str().unwrap()];
    let done = graph(&road, "export", &more, &client_id, key);
    assert_eq!((&done["changes"], &done["done"]), (&json!(302), &json!(302)), "{done:#}");
    let known = graph(&road, "known", &[], &client_id, key);
    assert_eq!(known.as_object().unwrap().len(), 301);
    assert_eq!(known["all=="], done["outcomes"][300]["id"]);
    // What was asked and answered is what Microsoft's description of Graph says. The one that can be had is
    // older than the alternate key of groups.
    let held = road.graph_as_described(&record).unwrap();
    let younger = "PATCH /groups(uniqueName='all=='): is not described";
    assert_eq!(held["faults"], json!([younger]), "{held:#}");
    let count = |operation: &str| held["operations"][operation].as_u64().unwrap_or_default();
    assert!(count("POST /users") >= 300, "{held:#}");
    assert!(count("PATCH /groups/{group-id}") >= 15, "{held:#}");
}
