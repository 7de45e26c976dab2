//! Two forests that know nothing of one another, in one tenant: one person in both, a mailbox whose account
//! is in the other, a member from the other, and a forest that is down.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_lab::End;
use portolan_model::Sid;
use portolan_testsuite::Road;
use serde_json::Value;

use crate::holdings::Tenant;
use crate::ldif::{self, Entry, text};
use crate::world::World;

const BY_MAIL: &str = r#"
[[rule]]
key = "corp.same-mail"
name = "Who has the same mail in another forest"
direction = "inbound"
object = ["user"]
metaverse = "person"
linking = "join"
precedence = 900
joins = [[{ source = "mail", target = "mail" }]]
"#;

/// Accounts of people, as the default rules take them, of what `ldapsearch` read.
const PEOPLE: &str = "(&(sAMAccountType=805306368)(!(isCriticalSystemObject=TRUE)))";

fn connect(road: &Road<'_>, words: &[&str]) -> String {
    let state = road.path("connect");
    let words = [&["connect"], words, &["--state", state.to_str().unwrap()]].concat();
    road.portolan("connect", &words).unwrap().success().unwrap().stdout
}

/// The people of a forest by their account's name.
fn people(ldif: &str) -> BTreeMap<String, Entry> {
    let all = ldif::parse(ldif).into_iter();
    all.map(|entry| (text(&entry, "samaccountname").unwrap(), entry)).collect()
}

fn of_corp(road: &Road<'_>) -> BTreeMap<String, Entry> {
    people(&road.ldapsearch(&["-b", "DC=corp,DC=example", PEOPLE]).unwrap())
}

fn of_other(road: &Road<'_>) -> BTreeMap<String, Entry> {
    people(&road.ldapsearch_other(&[PEOPLE]).unwrap())
}

fn anchor(entry: &Entry) -> String {
    STANDARD.encode(&entry["objectguid"][0])
}

/// Changes the other forest.
fn change_other(road: &Road<'_>, ldif: &str) {
    let database = ["-H", "/run/samba/forest/private/sam.ldb"];
    let done = road.at_other_forest("ldbmodify", &database, ldif).unwrap().success().unwrap();
    assert_eq!(done.stderr, "", "{}", done.stdout);
}

fn run(road: &Road<'_>) -> Value {
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["refused"], serde_json::json!([]), "{summary:#}");
    assert_eq!(summary["imported"].get("unread"), None, "{summary:#}");
    summary
}

fn tenant(road: &Road<'_>, runtime: &tokio::runtime::Runtime) -> Tenant {
    runtime.block_on(Tenant::read(road))
}

/// Lets alice of the other forest be she of the first, makes its bob the mailbox of the first one's, and
/// carol of the first a member of one of its groups.
fn tie(road: &Road<'_>) {
    let (corp, other) = (of_corp(road), of_other(road));
    let dn = |account: &str| text(&other[account], "dn").unwrap();
    let name = |dn: String| format!("dn:: {}", STANDARD.encode(dn));
    let sid = |account: &str| Sid::decode(&corp[account]["objectsid"][0]).unwrap().to_string();
    change_other(
        road,
        &format!(
            "{}\nchangetype: modify\nreplace: mail\nmail: alice@corp.example\n-\n\n\
             {}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n-\n\
             replace: msExchMasterAccountSID\nmsExchMasterAccountSID: {}\n-\n\n",
            name(dn("alice")),
            name(dn("bob")),
            sid("bob"),
        ),
    );
    let carol = sid("carol");
    let add = ["group", "addmembers", "Printers", &carol];
    road.at_other_forest("samba-tool", &add, "").unwrap().success().unwrap();
}

#[test]
fn two_forests_are_one_directory_and_one_that_is_down_keeps_what_it_has() {
    let world = World::with_two_forests("forests");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut road = world.road();
    begin(&mut road);
    tie(&road);
    add(&road);
    has_one_domain(&road);
    run(&road);
    let printers = both_are_there_once(&road, &runtime);
    let quiet = run(&road);
    let counts = ["added", "updated", "deleted"].map(|count| quiet[count].as_u64());
    assert_eq!(counts, [Some(0); 3], "{quiet:#}");

    // The other forest is down: the first goes on, nothing of the other is touched, and that is told.
    let other = of_other(&road);
    world.lab.stop_controller("odc1", End::Hard).unwrap();
    let new = ["user", "create", "dora", "Pa55-dora-1", "--given-name=Dora", "--surname=Meier"];
    road.samba_tool(&new).unwrap().success().unwrap();
    road.samba_tool(&["user", "delete", "zoe"]).unwrap().success().unwrap();
    let said = road.connect_run().unwrap().stderr;
    assert!(said.contains("not every forest was read: other.example"), "{said}");
    let down =
        |road: &Road<'_>| connect(road, &["status"]).lines().any(|line| line.starts_with("DOWN "));
    assert!(down(&road), "the status does not tell that a forest is down");
    let held = tenant(&road, &runtime);
    let corp = of_corp(&road);
    assert_eq!(held.user_anchors(), together(&corp, &other));
    assert!(held.members(&anchor(&printers)).contains(&anchor(&corp["carol"])));

    // It is back, and what changed there meanwhile comes.
    world.lab.start_controller("odc1").unwrap();
    let delete = ["user", "delete", "sean"];
    road.at_other_forest("samba-tool", &delete, "").unwrap().success().unwrap();
    let summary = run(&road);
    assert_eq!(summary["deleted"], 1, "{summary:#}");
    assert!(!down(&road), "it answers again");

    // Taken out, its people go, and those that are in both stay.
    connect(&road, &["forest", "remove", "other.example"]);
    let state = road.path("connect");
    let words = ["connect", "run", "--once", "--allow-deletions", "100", "--state"];
    let words = [&words[..], &[state.to_str().unwrap()]].concat();
    road.portolan("connect", &words).unwrap().success().unwrap();
    let expected: BTreeSet<String> = of_corp(&road).values().map(anchor).collect();
    assert_eq!(tenant(&road, &runtime).user_anchors(), expected);
}

/// How soon a tenant serves a domain that was added beside it: it looks every two seconds.
const FOLLOWED_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// The first forest in the tenant: whoever is in both keeps the anchor of the one that was there first.
fn begin(road: &mut Road<'_>) {
    road.tenant_up().unwrap();
    let data = road.path("tenant");
    let verify = ["tenant", "domain", "add", "other.example", "--data", data.to_str().unwrap()];
    road.portolan("tenant", verify).unwrap().success().unwrap();
    // A tenant that serves already follows what a command adds, a little later.
    std::thread::sleep(FOLLOWED_WITHIN);
    road.connect_up().unwrap().success().unwrap();
    let rules = road.path("connect").join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("own.toml"), BY_MAIL).unwrap();
    run(road);
}

/// Adds the other forest. A wrong password is refused at the check, and the first forest's account, which
/// has the same name, is not touched by it.
fn add(road: &Road<'_>) {
    let wrong = road.connect_forest_add("Wrong-Passw0rd").unwrap();
    assert!(wrong.failure().0.is_some(), "{}", wrong.stderr);
    road.connect_forest_add(portolan_testsuite::ACCOUNT_PASSWORD).unwrap().success().unwrap();
    let listed = connect(road, &["forest", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["forest"], "corp.example", "{listed:#}");
    assert_eq!(listed[1]["forest"], "other.example", "{listed:#}");
    let written = std::fs::read_to_string(road.path("connect").join("connect.toml")).unwrap();
    assert_eq!(written.matches("[[forest]]").count(), 2, "{written}");
}

/// A forest of Samba has one domain, which its own configuration names; there is no other one to be read.
fn has_one_domain(road: &Road<'_>) {
    let domains = connect(road, &["forest", "domains", "corp.example", "--json"]);
    let domains: Value = serde_json::from_str(&domains).unwrap();
    assert_eq!(domains.as_array().map(Vec::len), Some(1), "{domains:#}");
    let only = &domains[0];
    assert_eq!((&only["domain"], &only["netbios"]), (&"corp.example".into(), &"CORP".into()));
    assert_eq!((&only["read"], &only["imported"]), (&true.into(), &true.into()), "{domains:#}");
    let state = road.path("connect");
    let words = ["connect", "forest", "domains", "corp.example", "--read", "child.corp.example"];
    let words = [&words[..], &["--state", state.to_str().unwrap()]].concat();
    let refused = road.portolan("connect", &words).unwrap();
    assert!(refused.failure().0.is_some(), "{}", refused.stderr);
    assert!(refused.stderr.contains("has no domain child.corp.example"), "{}", refused.stderr);
}

/// The anchors of everybody, once: alice is joined by mail, bob by the SID of his account.
fn together(corp: &BTreeMap<String, Entry>, other: &BTreeMap<String, Entry>) -> BTreeSet<String> {
    let alone = other.iter().filter(|(name, _)| !["alice", "bob"].contains(&name.as_str()));
    corp.values().chain(alone.map(|(_, entry)| entry)).map(anchor).collect()
}

/// Gives the group of the other forest with a member from the first.
fn both_are_there_once(road: &Road<'_>, runtime: &tokio::runtime::Runtime) -> Entry {
    let (corp, other) = (of_corp(road), of_other(road));
    let held = tenant(road, runtime);
    assert_eq!(held.user_anchors(), together(&corp, &other));
    let bob = anchor(&corp["bob"]);
    assert_eq!(held.enabled(&bob), Some(true), "the account counts, and not the mailbox");
    // The member from the first forest stands there by her SID.
    let printers = road.ldapsearch_other(&["(sAMAccountName=Printers)"]).unwrap();
    let printers = ldif::parse(&printers).remove(0);
    let foreign = printers["member"].iter().filter(|name| name.starts_with(b"CN=S-1-5-21-"));
    assert_eq!(foreign.count(), 1, "{printers:?}");
    let members = held.members(&anchor(&printers));
    assert!(members.contains(&anchor(&corp["carol"])), "{members:?}");
    // Both forests' people have their own passwords, and bob that of his account.
    for person in [&corp["heidi"], &other["heidi"], &corp["bob"]] {
        assert!(held.has_credential(&anchor(person)), "{person:?}");
    }
    let alice =
        |suffix| format!("CN=Alice Ångström,OU=Engineering,OU=Staff,DC={suffix},DC=example");
    let explained = connect(road, &["explain", &alice("other")]);
    assert!(explained.contains(&format!("joined with {}", alice("corp"))), "{explained}");
    printers
}
