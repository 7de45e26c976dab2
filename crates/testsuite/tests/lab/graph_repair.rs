//! What keeps an export to Microsoft Graph from doing harm: what Graph lost is noticed and repaired, and what
//! others have there stays; deletions that are too many wait; a server in staging mode writes nothing; and what
//! Graph cannot have, or refuses, is told with what to do.

use serde_json::{Value, json};

use portolan_testsuite::Road;

use crate::graph::application;
use crate::graph_target::{Unable, company, dn, equals, init, person, read};
use crate::safety::{connect, tamper};
use crate::world::World;

/// A stranger becomes a member of a group of ours.
const STRANGER: &str = "
    INSERT INTO link (src_rid, attr, dst_anchor, seq, deleted)
        SELECT rid, 'members', 'bea==', 1, 0 FROM object
        WHERE json_extract(doc, '$.displayName') = 'Lins0';";

/// Lin 1 is lost with her memberships, Lin 2 has another title, Lin 10 has no manager; a group lacks a member
/// and has one too many.
const DAMAGE: &str = "
    CREATE TEMP TABLE lost AS SELECT rid, id, anchor FROM object
        WHERE json_extract(doc, '$.userPrincipalName') = 'lin1@corp.example';
    DELETE FROM attr_index WHERE rid IN (SELECT rid FROM lost);
    DELETE FROM link WHERE src_rid IN (SELECT rid FROM lost)
        OR dst_anchor IN (SELECT anchor FROM lost) OR dst_anchor IN (SELECT id FROM lost);
    DELETE FROM credential WHERE user_id IN (SELECT id FROM lost);
    DELETE FROM object WHERE rid IN (SELECT rid FROM lost);
    UPDATE object SET doc = json_set(doc, '$.jobTitle', 'Mallory')
        WHERE json_extract(doc, '$.userPrincipalName') = 'lin2@corp.example';
    DELETE FROM link WHERE attr LIKE 'manager%' AND src_rid = (SELECT rid FROM object
        WHERE json_extract(doc, '$.userPrincipalName') = 'lin10@corp.example');
    DELETE FROM link WHERE src_rid = (SELECT rid FROM object
            WHERE json_extract(doc, '$.displayName') = 'Lins0')
        AND dst_anchor IN (SELECT anchor FROM object
            WHERE json_extract(doc, '$.userPrincipalName') = 'lin3@corp.example');
    INSERT INTO link (src_rid, attr, dst_anchor, seq, deleted)
        SELECT g.rid, 'members', u.anchor, 1, 0 FROM object g, object u
        WHERE json_extract(g.doc, '$.displayName') = 'Lins0'
            AND json_extract(u.doc, '$.userPrincipalName') = 'lin5@corp.example';";

#[test]
fn what_graph_lost_is_repaired_what_is_too_much_waits_and_what_is_others_stays() {
    let world = World::up("graphrepair");
    let mut road = world.road();
    road.tenant_up().unwrap();
    let kind = "ec -pkeyopt ec_paramgen_curve:prime256v1";
    let permissions = ["User.ReadWrite.All", "Group.ReadWrite.All", "Organization.Read.All"];
    let (client_id, key) = application(&road, "connect", kind, &permissions);
    let writer = ["User.ReadWrite.All", "Group.ReadWrite.All"];
    let reader = application(&road, "reader", "rsa:2048", &writer);
    road.ldapmodify(&company()).unwrap();
    init(&road, &client_id, &key);

    staging(&road, &reader);
    let unable = equals(&road, &reader);
    what_cannot_be_is_told(&road, &unable);
    let (id, key) = &reader;
    road.ask("graph_write_sdk.py", json!({"client_id": id, "key": key})).unwrap();
    tamper(&road, STRANGER);
    damage(&road, &reader);
    guard(&road, &reader);
    what_is_refused_is_told(&road);
}

fn run(road: &Road<'_>) -> Value {
    road.connect_run().unwrap().success().unwrap().json().unwrap()
}

fn staging(road: &Road<'_>, reader: &(String, std::path::PathBuf)) {
    connect(road, &["staging", "on"]).success().unwrap();
    let summary = run(road);
    let found = (&summary["closed"], &summary["added"]);
    assert_eq!(found, (&json!("staging"), &json!(0)), "{summary:#}");
    assert_eq!(read(road, reader), json!({"users": {}, "groups": {}}));
    connect(road, &["staging", "off"]).success().unwrap();
    let outcome = road.connect_run().unwrap().success().unwrap();
    let said = |what: &str| outcome.stderr.find(what);
    assert!(said("confirmed ").unwrap() < said("exported ").unwrap(), "{outcome:?}");
    let outcome = road.connect_run().unwrap().success().unwrap();
    assert!(!outcome.stderr.contains("confirmed "), "once is enough: {outcome:?}");
}

/// What Graph cannot have is no addition of a plan, and is listed with what is wrong.
fn what_cannot_be_is_told(road: &Road<'_>, unable: &Unable) {
    let plan = connect(road, &["plan", "--json"]).success().unwrap().json().unwrap();
    let line = |kind: &str, count: usize, why: &str| json!({"change": "unable", "kind": kind, "count": count, "why": why});
    let contacts = line("contact", unable.contacts, "Graph makes no contacts");
    let lists = line("group", unable.lists, "Graph makes no distribution groups");
    assert_eq!(plan, json!([contacts, lists]));
    let said = connect(road, &["plan"]).success().unwrap().stdout;
    assert!(said.contains("0 to add, 0 to change, 0 to delete"), "{said}");
    assert!(said.contains("of kind contact are not exported: Graph makes no contacts"), "{said}");
    let told = connect(road, &["object", "errors"]).success().unwrap().stdout;
    assert!(told.contains("of kind contact are not exported"), "{told}");
}

fn damage(road: &Road<'_>, reader: &(String, std::path::PathBuf)) {
    let confirm = || connect(road, &["confirm", "--json"]).success().unwrap().json().unwrap();
    let nothing = confirm();
    for sort in ["other", "missing", "unknown", "references", "passwords"] {
        assert_eq!(nothing[sort], 0, "{sort}: {nothing:#}");
    }
    assert!(nothing["objects"].as_u64().unwrap() > 70, "{nothing:#}");
    let mut before = read(road, reader);
    let strangers = before["users"].as_object().unwrap().len();
    assert!(strangers as u64 > nothing["objects"].as_u64().unwrap(), "others are there");

    tamper(road, DAMAGE);
    assert_ne!(before, read(road, reader));
    let blind = run(road);
    assert_eq!((&blind["added"], &blind["updated"]), (&json!(0), &json!(0)), "nobody looked");
    let found = confirm();
    let counts = ["other", "missing", "unknown", "references"].map(|sort| found[sort].clone());
    assert_eq!(counts, [1, 1, 0, 2].map(Value::from), "{found:#}");
    let repaired = run(road);
    let done = ["added", "updated", "deleted"].map(|what| repaired[what].clone());
    assert_eq!(done, [1, 1, 0].map(Value::from), "{repaired:#}");
    assert_eq!(repaired["refused"], json!([]), "{repaired:#}");

    let mut after = read(road, reader);
    for shown in [&mut before, &mut after] {
        // She is another object now: nothing was left of the one before.
        let users = shown["users"].as_object_mut().unwrap().values_mut();
        let mut lost = users.filter(|user| user["userPrincipalName"] == "lin1@corp.example");
        lost.next().unwrap()["id"].take();
    }
    assert_eq!(before, after);
    let again = confirm();
    for sort in ["other", "missing", "unknown", "references"] {
        assert_eq!(again[sort], 0, "{sort}: {again:#}");
    }
}

fn guard(road: &Road<'_>, reader: &(String, std::path::PathBuf)) {
    let count = || read(road, reader)["users"].as_object().unwrap().len();
    let before = count();
    let gone = 20..35;
    let gone =
        gone.map(|number| format!("dn: {}\nchangetype: delete\n\n", dn(&format!("lin{number}"))));
    road.ldapmodify(&gone.collect::<String>()).unwrap();
    road.ldapmodify(&person(900)).unwrap();
    let outcome = road.connect_run().unwrap();
    assert_eq!(outcome.status.code(), Some(3), "{outcome:?}");
    let summary = outcome.json().unwrap();
    let done = (&summary["deleted"], &summary["added"]);
    assert_eq!(done, (&json!(0), &json!(1)), "{summary:#}");
    assert_eq!(count(), before + 1);
    connect(road, &["guard", "release", "--kind", "user"]).success().unwrap();
    let summary = run(road);
    assert_eq!((&summary["deleted"], &summary["held"]), (&json!(15), &json!([])), "{summary:#}");
    assert_eq!(count(), before - 14);
    let history = connect(road, &["history"]).success().unwrap().stdout;
    let released = history.lines().find(|line| line.contains("guard release"));
    assert!(released.is_some_and(|line| line.contains("15 deleted")), "{history}");
}

/// A name that a stranger has: the object is refused, and it is told what to do.
fn what_is_refused_is_told(road: &Road<'_>) {
    road.ldapmodify(&person(901).replace("lin901@corp.example", "bea@cloud.example")).unwrap();
    let summary = run(road);
    assert_eq!(summary["refused"].as_array().unwrap().len(), 1, "{summary:#}");
    let told = connect(road, &["object", "errors"]).success().unwrap().stdout;
    let line = told.lines().find(|line| line.starts_with("CN=lin901,")).unwrap();
    assert!(line.contains("another object at the target has the same userPrincipalName"), "{told}");
    assert!(told.contains("hint: another object at Graph has the value"), "{told}");
}
