//! What is written back to the forest: shown first, by right alone, and never over another value.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_lab::plan::ADMINISTRATOR_PASSWORD;
use portolan_testsuite::{Outcome, Road};
use serde_json::{Value, json};

use crate::graph::{graph, writer};
use crate::ldif;
use crate::world::World;

const CONSISTENCY_GUID: &str = "ms-ds-consistencyguid";

fn writeback(road: &Road<'_>, arguments: &[&str]) -> Outcome {
    let state = road.path("connect").display().to_string();
    let all = ["connect", "writeback", "--consistency-guid", "--state", &state];
    road.portolan("connect", [&all[..], arguments].concat()).unwrap()
}

/// The objectGUID and the mS-DS-ConsistencyGuid of an account.
pub(crate) fn guids(road: &Road<'_>, account: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let filter = format!("(sAMAccountName={account})");
    let asked = ["-b", "DC=corp,DC=example", &filter, "objectGUID", "mS-DS-ConsistencyGuid"];
    let mut entry = ldif::parse(&road.ldapsearch(&asked).unwrap()).remove(0);
    let own = entry["objectguid"][0].clone();
    (own, entry.remove(CONSISTENCY_GUID).unwrap_or_default())
}

#[test]
fn the_anchor_is_written_to_each_person_with_a_right_and_never_over_another_value() {
    let world = World::up("writeback");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();

    // The account that reads the forest has no right to write: that is said before anything is tried.
    let planned = writeback(&road, &["--plan"]);
    let (error, hint) = planned.failure();
    let lacking =
        "svc_connect@corp.example lacks the right \"Write Property mS-DS-ConsistencyGuid\" on";
    assert!(error.unwrap().starts_with(lacking), "{}{}", planned.stdout, planned.stderr);
    assert!(hint.unwrap().contains("samba-tool dsacl set"), "{}", planned.stderr);
    assert!(planned.stdout.contains("0 to write, 0 were so before"), "{}", planned.stdout);

    let password = road.path("administrator.password");
    std::fs::write(&password, ADMINISTRATOR_PASSWORD).unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&password, mode).unwrap();
    let password = password.display().to_string();
    let administrator = ["--account", "Administrator", "--password-file", &password];
    let planned = writeback(&road, &[&["--plan"], &administrator[..]].concat());
    assert_eq!(planned.status.code(), Some(0), "{}{}", planned.stdout, planned.stderr);
    assert!(planned.stdout.contains("CN=Alice"), "{}", planned.stdout);
    assert_eq!(guids(&road, "alice").1, Vec::<Vec<u8>>::new(), "a plan writes nothing");

    // Somebody gives carol another value between the plan and the writing.
    let filter = ["-b", "DC=corp,DC=example", "(sAMAccountName=carol)", "cn"];
    let carol = ldif::text(&ldif::parse(&road.ldapsearch(&filter).unwrap())[0], "dn").unwrap();
    let other = "MDEyMzQ1Njc4OWFiY2RlZg==";
    let change = format!(
        "dn: {carol}\nchangetype: modify\nadd: mS-DS-ConsistencyGuid\nmS-DS-ConsistencyGuid:: {other}\n-\n"
    );
    road.ldapmodify(&change).unwrap();
    in_staging_mode_it_is_shown_and_refused(&road, &administrator);
    let applied = writeback(&road, &[&["--apply"], &administrator[..]].concat());
    assert_eq!(applied.status.code(), Some(0), "{}{}", applied.stdout, applied.stderr);
    let left = format!("left   {carol}: it has another value, which is never written over");
    assert!(applied.stdout.contains(&left), "{}", applied.stdout);
    for account in ["alice", "bob", "heidi"] {
        let (own, written) = guids(&road, account);
        assert_eq!(written, [own], "{account}");
    }
    assert_eq!(guids(&road, "carol").1, [b"0123456789abcdef".to_vec()]);

    let again = writeback(&road, &[&["--apply"], &administrator[..]].concat());
    assert!(
        again.stdout.contains("\n0 written, ") || again.stdout.starts_with("0 written, "),
        "{}",
        again.stdout
    );
    // Nobody's anchor has changed by it: nothing is added or deleted in the tenant.
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!((&summary["added"], &summary["deleted"]), (&0.into(), &0.into()), "{summary:#}");
}

fn in_staging_mode_it_is_shown_and_refused(road: &Road<'_>, administrator: &[&str]) {
    let state = road.path("connect").display().to_string();
    let staging = |word: &str| {
        road.portolan("connect", ["connect", "staging", word, "--state", &state]).unwrap()
    };
    staging("on").success().unwrap();
    let planned = writeback(road, &[&["--plan"], administrator].concat());
    assert!(planned.stdout.contains("CN=Alice"), "{}{}", planned.stdout, planned.stderr);
    let refused = writeback(road, &[&["--apply"], administrator].concat());
    let (error, hint) = refused.failure();
    let why = "nothing is written to the forest: this server is in staging mode";
    assert_eq!((refused.status.code(), error), (Some(1), Some(why)), "{}", refused.stderr);
    assert!(hint.unwrap().contains("portolan connect staging off"), "{}", refused.stderr);
    assert_eq!(guids(road, "alice").1, Vec::<Vec<u8>>::new(), "nothing is written");
    staging("off").success().unwrap();
}

const UNIT: &str = "OU=Cloud,DC=corp,DC=example";

/// Makes changes at the tenant's Graph, where groups of the cloud are.
fn at_graph(road: &Road<'_>, (client_id, key): (&str, &Path), changes: &[Value]) -> Value {
    let lines: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let file = road.path("cloud.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let more = ["--changes", file.to_str().unwrap()];
    graph(road, "export", &more, client_id, key.to_str().unwrap())
}

/// The names of the objects in the unit, and the one that carries a mark.
fn unit(road: &Road<'_>) -> (Vec<String>, Option<ldif::Entry>) {
    let all = ["-b", UNIT, "-s", "one", "(objectClass=group)", "*"];
    let found = ldif::parse(&road.ldapsearch(&all).unwrap());
    let mut names: Vec<_> = found.iter().map(|entry| ldif::text(entry, "cn").unwrap()).collect();
    names.sort();
    let marked = found.into_iter().find(|entry| entry.contains_key("admindescription"));
    (names, marked)
}

fn distinguished_name(road: &Road<'_>, account: &str) -> String {
    let filter = format!("(sAMAccountName={account})");
    let asked = ["-b", "DC=corp,DC=example", &filter, "cn"];
    ldif::text(&ldif::parse(&road.ldapsearch(&asked).unwrap())[0], "dn").unwrap()
}

/// A file with the administrator's password, which its owner alone reads.
pub(crate) fn password_file(road: &Road<'_>) -> String {
    let password = road.path("administrator.password");
    std::fs::write(&password, ADMINISTRATOR_PASSWORD).unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&password, mode).unwrap();
    password.display().to_string()
}

fn members_of(entry: &ldif::Entry) -> Vec<String> {
    let values = entry.get("member").map_or(&[][..], Vec::as_slice);
    let mut names: Vec<_> =
        values.iter().map(|name| String::from_utf8(name.clone()).unwrap()).collect();
    names.sort();
    names
}

/// What was written is the tenant's own, and a synchronisation does not bring it back from the forest.
fn does_not_come_back(road: &Road<'_>, name: &str, known: impl Fn() -> Value) {
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["refused"], json!([]), "{summary:#}");
    let filter = format!("(cn={name})");
    let written = ldif::parse(&road.ldapsearch(&["-b", UNIT, &filter, "objectGUID"]).unwrap());
    let anchor = STANDARD.encode(&written[0]["objectguid"][0]);
    assert!(!known().as_object().unwrap().contains_key(&anchor));
}

fn names_the_right(refused: &Outcome) {
    let (error, hint) = refused.failure();
    let lacking = "svc_connect@corp.example lacks the right \"Create and Delete Group objects\"";
    assert!(error.unwrap().starts_with(lacking), "{}{}", refused.stdout, refused.stderr);
    assert!(hint.unwrap().contains("samba-tool dsacl set"), "{}", refused.stderr);
}

fn is_cloud_team(entry: &ldif::Entry, name: &str) {
    for (attribute, expected) in [
        ("admindescription", name),
        ("samaccountname", name),
        ("displayname", "Cloud Team"),
        ("description", "of the cloud"),
        ("grouptype", "-2147483640"),
    ] {
        assert_eq!(ldif::text(entry, attribute).as_deref(), Some(expected), "{attribute}");
    }
}

#[test]
fn groups_of_the_tenant_are_written_to_a_unit_and_nothing_else_there_is_touched() {
    let world = World::up("writebackgroups");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    road.samba_tool(&["ou", "create", UNIT]).unwrap().success().unwrap();
    let other = ["group", "add", "Other", "--groupou=OU=Cloud"];
    road.samba_tool(&other).unwrap().success().unwrap();
    let (client_id, key) = writer(&road, "cloud", "ec -pkeyopt ec_paramgen_curve:prime256v1");
    let cloud = (client_id.as_str(), key.as_path());
    let anchor = |account: &str| STANDARD.encode(guids(&road, account).0);
    let (alice, bob, carol) = (anchor("alice"), anchor("bob"), anchor("carol"));
    let team = json!({"op": "write", "anchor": "team==", "kind": "group", "attributes":
        {"displayName": "Cloud Team", "description": "of the cloud", "securityEnabled": true}});
    let members = json!({"op": "members", "group": "team==", "add": [alice, bob]});
    let made = at_graph(&road, cloud, &[team, members]);
    assert_eq!(made["done"], 2, "{made:#}");
    let id = made["outcomes"][0]["id"].as_str().unwrap().to_owned();

    let state = road.path("connect").display().to_string();
    let password = password_file(&road);
    let key = key.display().to_string();
    let groups = |more: &[&str]| {
        let words = ["connect", "writeback", "groups", "--state", &state, "--unit", UNIT];
        let reader = ["--reader", &client_id, "--reader-key", &key];
        road.portolan("connect", [&words[..], &reader, more].concat()).unwrap()
    };
    names_the_right(&groups(&["--plan"]));
    let administrator = ["--account", "Administrator", "--password-file", &password];
    let by = |word: &str| groups(&[&[word], &administrator[..]].concat()).success().unwrap().stdout;
    let said = by("--plan");
    assert!(said.contains(&format!("add    CN=Group_{id}: Cloud Team, 2 members")), "{said}");
    assert_eq!(unit(&road).0, ["Other"], "a plan writes nothing");

    let said = by("--apply");
    assert!(said.contains("1 written, 0 left as they are"), "{said}");
    let (names, marked) = unit(&road);
    let name = format!("Group_{id}");
    assert_eq!(names, [name.clone(), "Other".to_owned()]);
    let marked = marked.unwrap();
    is_cloud_team(&marked, &name);
    let of = |accounts: [&str; 2]| {
        let mut names = accounts.map(|account| distinguished_name(&road, account));
        names.sort();
        names
    };
    assert_eq!(members_of(&marked), of(["alice", "bob"]));
    let said = by("--apply");
    assert!(said.contains("0 changes, 1 groups are as they should be"), "{said}");
    let known = || graph(&road, "known", &[], &client_id, &key);
    does_not_come_back(&road, &name, known);

    let renamed = json!({"op": "write", "anchor": "team==", "kind": "group", "attributes":
        {"displayName": "Team", "description": null}});
    let members_now = json!({"op": "members", "group": "team==", "add": [carol], "remove": [bob]});
    assert_eq!(at_graph(&road, cloud, &[renamed, members_now])["done"], 2);
    let said = by("--apply");
    assert!(said.contains("1 written, 0 left"), "{said}");
    let marked = unit(&road).1.unwrap();
    assert_eq!(ldif::text(&marked, "displayname").as_deref(), Some("Team"));
    assert_eq!(ldif::text(&marked, "description"), None);
    assert_eq!(members_of(&marked), of(["alice", "carol"]));

    let gone = json!({"op": "delete", "anchor": "team==", "kind": "group"});
    assert_eq!(at_graph(&road, cloud, &[gone])["done"], 1);
    let said = by("--apply");
    assert!(said.contains("delete CN=Group_"), "{said}");
    assert_eq!(unit(&road).0, ["Other"], "what carries no mark stays");
}
