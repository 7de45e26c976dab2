//! Microsoft Graph as the target of a configured connect: the forest by `ldapsearch` against what Microsoft's
//! own SDK reads, with a power cut while a part of Graph's published limits holds the first run back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portolan_model::Guid;
use portolan_testsuite::Road;
use serde_json::{Value, json};

use crate::graph::application;
use crate::holdings::{Forest, anchor};
use crate::ldif::{Entry, text};
use crate::world::World;

/// People who are hired for this test, and groups of them: more writes than may come at once.
const PEOPLE: usize = 70;
const GROUPS: usize = 3;
/// A fortieth of Graph's limits: 75 writes at once, and one in two seconds.
const THROTTLE: [&str; 2] = ["--throttle", "graph/40"];
/// Users who are there when the power fails: fewer than are made before the first is told to wait.
const MADE_FIRST: u64 = 20;
/// How long it may take to that moment.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(300);

#[test]
fn a_forest_is_synchronised_to_graph_under_its_limits_and_across_a_power_cut() {
    let world = World::up("graphtarget");
    let mut road = world.road();
    road.tenant_up_with(&THROTTLE).unwrap();
    let permissions = ["User.ReadWrite.All", "Group.ReadWrite.All", "Organization.Read.All"];
    let kind = "ec -pkeyopt ec_paramgen_curve:prime256v1";
    let (client_id, key) = application(&road, "connect", kind, &permissions);
    let permissions = ["User.Read.All", "Group.Read.All"];
    let reader = application(&road, "reader", "rsa:2048", &permissions);
    road.ldapmodify(&company()).unwrap();
    init(&road, &client_id, &key);

    // The power fails while it is told to wait. What was made is found again, and nothing is made twice.
    let mut run = road.connect_start().unwrap();
    let began = Instant::now();
    while users(&road) < MADE_FIRST {
        assert!(began.elapsed() < BEGIN_TIME_MAX, "nobody arrives");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(run.try_wait().unwrap().is_none(), "it is told to wait for much longer");
    portolan_lab::end_inside(&mut run).unwrap();
    let before = read(&road, &reader);
    let made = before["users"].as_object().unwrap().len();
    let forest = Forest::read(&road);
    let people = forest.in_scope().values().filter(|entry| is_user(entry)).count();
    assert!((1..people).contains(&made), "{made} of {people} are there when the power fails");
    // What is left would take minutes under these limits.
    road.kill_tenant().unwrap();
    road.serve().unwrap();
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["refused"], json!([]), "{summary:#}");
    let unable = equals(&road, &reader);
    assert_eq!(summary["unable"], unable.contacts + unable.lists, "{summary:#}");
    let again = read(&road, &reader);
    for (anchor, user) in before["users"].as_object().unwrap() {
        assert_eq!(again["users"][anchor]["id"], user["id"], "nobody is made twice");
    }

    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    let done = ["added", "updated", "deleted", "references"].map(|what| summary[what].clone());
    assert_eq!(done, [0, 0, 0, 0].map(Value::from), "{summary:#}");
    assert_eq!(summary["refused"], json!([]), "{summary:#}");

    road.ldapmodify(&changes()).unwrap();
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    let done = ["added", "updated", "deleted"].map(|what| summary[what].clone());
    assert_eq!(done, [1, 1, 1].map(Value::from), "{summary:#}");
    equals(&road, &reader);

    recycled(&road, &reader);

    let state = road.path("connect").display().to_string();
    let status = road.portolan("connect", ["connect", "status", "--state", &state]).unwrap();
    let said = status.success().unwrap().stdout;
    for expected in [
        "graph        ",
        "credentials  none: passwords are not replicated: Graph takes no hash",
        &format!("not exported {} of kind contact: Graph has no such objects", unable.contacts),
        &format!("not exported {} of kind group: Graph has no such objects", unable.lists),
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// Somebody leaves the scope, is deleted at Graph, and comes back: as who they were, with their id, once.
fn recycled(road: &Road<'_>, reader: &(String, PathBuf)) {
    let of = |change: &str| {
        format!("dn: {}\nchangetype: modify\n{change}: adminDescription\n", dn("lin6"))
    };
    let id = |found: &Value| {
        let users = found["users"].as_object().unwrap();
        let is_lin = |user: &&Value| user["displayName"] == "Lin 6";
        users.values().find(is_lin).map(|user| user["id"].clone())
    };
    let run = || road.connect_run().unwrap().success().unwrap();
    let before = id(&read(road, reader)).unwrap();
    road.ldapmodify(&format!("{}adminDescription: User_NotHere\n\n", of("add"))).unwrap();
    assert_eq!(run().json().unwrap()["deleted"], 1);
    assert_eq!(id(&read(road, reader)), None);
    road.ldapmodify(&format!("{}-\nreplace: title\ntitle: Returned\n\n", of("delete"))).unwrap();
    let back = run();
    let summary = back.json().unwrap();
    assert_eq!((&summary["added"], &summary["refused"]), (&json!(1), &json!([])), "{summary:#}");
    assert!(back.stderr.contains("taken out of the recycle bin of Graph"), "{back:?}");
    assert_eq!(id(&read(road, reader)), Some(before), "the same one");
    equals(road, reader);
    assert!(run().stderr.contains("confirmed "), "what they had in the bin is looked at");
    equals(road, reader);
}

/// How many users the tenant has, by itself.
fn users(road: &Road<'_>) -> u64 {
    let data = road.path("tenant").display().to_string();
    let status = road.portolan("tenant", ["tenant", "status", "--json", "--data", &data]);
    let status = status.unwrap().success().unwrap().json().unwrap();
    status["users"].as_u64().unwrap()
}

/// Configures connect to export to the tenant's Graph.
pub(crate) fn init(road: &Road<'_>, client_id: &str, key: &Path) {
    let password = road.path("account.password");
    std::fs::write(&password, portolan_testsuite::ACCOUNT_PASSWORD).unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&password, mode).unwrap();
    let data = road.path("tenant").display().to_string();
    let status = road.portolan("tenant", ["tenant", "status", "--json", "--data", &data]);
    let status = status.unwrap().success().unwrap().json().unwrap();
    let tenant = status["tenant_id"].as_str().unwrap().to_owned();
    let path = |path: PathBuf| path.display().to_string();
    let (state, ca) = (path(road.path("connect")), path(road.path("tenant").join("ca.pem")));
    let (key, password) = (path(key.to_owned()), path(password));
    let words = ["connect", "init", "--state", &state, "--forest", "corp.example"];
    let words = words.into_iter().chain(["--account", portolan_testsuite::ACCOUNT]);
    let words = words.chain(["--password-file", &password, "--graph", "graph.cloud.example"]);
    let words = words.chain(["--login", "login.cloud.example", "--tenant-id", &tenant]);
    let words = words.chain(["--client-id", client_id, "--key", &key, "--graph-ca", &ca]);
    road.portolan("connect", words).unwrap().success().unwrap();
    let written = std::fs::read_to_string(road.path("connect").join("connect.toml")).unwrap();
    assert!(written.contains("[graph]") && !written.contains(&key), "{written}");
}

/// What Microsoft's SDK reads.
pub(crate) fn read(road: &Road<'_>, (client_id, key): &(String, PathBuf)) -> Value {
    road.ask("graph_read_sdk.py", json!({"client_id": client_id, "key": key})).unwrap()
}

/// How many objects of the forest are in scope and none that Graph makes.
pub(crate) struct Unable {
    pub(crate) contacts: usize,
    pub(crate) lists: usize,
}

/// The users and security groups of the forest are at Graph, with their members and managers, and nobody
/// else is.
pub(crate) fn equals(road: &Road<'_>, reader: &(String, PathBuf)) -> Unable {
    let forest = Forest::read(road);
    let found = read(road, reader);
    let inside = forest.in_scope();
    let is_group = |entry: &Entry| {
        let kind = text(entry, "grouptype").map_or(0, |kind| kind.parse::<i64>().unwrap());
        kind < 0
    };
    let of = |holds: &dyn Fn(&Entry) -> bool| -> BTreeMap<String, (Guid, &Entry)> {
        let chosen = inside.iter().filter(|(_, entry)| holds(entry));
        chosen.map(|(guid, entry)| (anchor(*guid), (*guid, *entry))).collect()
    };
    let (people, groups) = (of(&is_user), of(&is_group));
    let keys = |what: &str| found[what].as_object().unwrap().keys().cloned().collect();
    let users: BTreeSet<String> = keys("users");
    assert_eq!(users, people.keys().cloned().collect(), "each person, and nobody twice");
    let there: BTreeSet<String> = keys("groups");
    assert_eq!(there, groups.keys().cloned().collect(), "each security group");
    for (anchor_of, (_, entry)) in &people {
        let user = &found["users"][anchor_of];
        for (theirs, ours) in
            [("jobTitle", "title"), ("department", "department"), ("displayName", "displayname")]
        {
            // Who has no name to show is shown by the object's own.
            let named = text(entry, ours);
            let named = named.or_else(|| text(entry, "name").filter(|_| ours == "displayname"));
            assert_eq!(user[theirs].as_str(), named.as_deref(), "{theirs}: {user:#}");
        }
        let disabled =
            text(entry, "useraccountcontrol").is_some_and(|c| c.parse::<u32>().unwrap() & 2 != 0);
        assert_eq!(user["accountEnabled"], !disabled, "{user:#}");
        assert_eq!(user["onPremisesSyncEnabled"], Value::Null, "the cloud's own");
        let managers = forest.referred(entry, "manager");
        let manager = managers.iter().next().map(|guid| anchor(*guid));
        let manager = manager.filter(|anchor| people.contains_key(anchor));
        assert_eq!(user["manager"].as_str(), manager.as_deref(), "{user:#}");
    }
    for (anchor_of, (_, entry)) in &groups {
        let group = &found["groups"][anchor_of];
        let members = forest.referred(entry, "member").into_iter().map(anchor);
        let there = |anchor: &String| people.contains_key(anchor) || groups.contains_key(anchor);
        let members: BTreeSet<_> = members.filter(there).collect();
        let found: BTreeSet<String> = serde_json::from_value(group["members"].clone()).unwrap();
        assert_eq!(found, members, "{group:#}");
        let enabled = (&group["securityEnabled"], &group["mailEnabled"]);
        assert_eq!(enabled, (&json!(true), &json!(false)));
    }
    let contacts = of(&|entry| entry["objectclass"].iter().any(|class| class == b"contact")).len();
    Unable { contacts, lists: inside.len() - people.len() - groups.len() - contacts }
}

fn is_user(entry: &Entry) -> bool {
    entry["objectclass"].iter().any(|class| class == b"user")
}

pub(crate) fn dn(name: &str) -> String {
    format!("CN={name},CN=Users,DC=corp,DC=example")
}

pub(crate) fn person(number: usize) -> String {
    let name = format!("lin{number}");
    format!(
        "dn: {}\nchangetype: add\nobjectClass: user\nsAMAccountName: {name}\n\
         userPrincipalName: {name}@corp.example\ndisplayName: Lin {number}\ntitle: Weaver\n\
         userAccountControl: 514\n\n",
        dn(&name)
    )
}

/// People, groups of them, a manager of all, and two objects that Graph does not make.
pub(crate) fn company() -> String {
    let mut ldif: String = (0..PEOPLE).map(person).collect();
    for number in 1..PEOPLE {
        let (who, boss) = (dn(&format!("lin{number}")), dn("lin0"));
        if number % 10 == 0 {
            write!(ldif, "dn: {who}\nchangetype: modify\nadd: manager\nmanager: {boss}\n\n")
                .unwrap();
        }
    }
    for number in 0..GROUPS {
        let name = format!("Lins{number}");
        write!(ldif, "dn: {}\nchangetype: add\nobjectClass: group\n", dn(&name)).unwrap();
        writeln!(ldif, "sAMAccountName: {name}").unwrap();
        for member in (number..PEOPLE).step_by(GROUPS) {
            writeln!(ldif, "member: {}", dn(&format!("lin{member}"))).unwrap();
        }
        ldif.push('\n');
    }
    let everybody = dn("Lins");
    write!(
        ldif,
        "dn: {everybody}\nchangetype: add\nobjectClass: group\nsAMAccountName: Lins\nmember: {}\nmember: {}\n\n",
        dn("Lins0"),
        dn("lin1")
    )
    .unwrap();
    write!(
        ldif,
        "dn: {}\nchangetype: add\nobjectClass: group\nsAMAccountName: News\ngroupType: 2\n\
         mail: news@corp.example\nproxyAddresses: SMTP:news@corp.example\n\n",
        dn("News")
    )
    .unwrap();
    write!(
        ldif,
        "dn: {}\nchangetype: add\nobjectClass: contact\ndisplayName: Oda\nmail: oda@partner.example\n\
         proxyAddresses: SMTP:oda@partner.example\n\n",
        dn("Oda")
    )
    .unwrap();
    ldif
}

/// Somebody is hired, somebody is promoted and managed by another, somebody leaves with all memberships.
fn changes() -> String {
    format!(
        "{}dn: {}\nchangetype: modify\nreplace: title\ntitle: Chief\n-\nreplace: manager\nmanager: {}\n\n\
         dn: {}\nchangetype: delete\n\n",
        person(PEOPLE),
        dn("lin10"),
        dn("lin2"),
        dn("lin4")
    )
}
