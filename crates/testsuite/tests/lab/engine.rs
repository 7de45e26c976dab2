//! What an administrator does with the engine: a rule and a filter of their own, a plan that is kept and
//! applied, explanations, an organizational unit that is renamed.

use portolan_testsuite::Road;
use serde_json::Value;

use crate::world::World;

const RULES: &str = r#"
[[filter]]
unit = "OU=Partners,OU=Staff,DC=corp,DC=example"
reason = "partners sign in elsewhere"

[[rule]]
key = "corp.title"
name = "Everybody's title"
direction = "inbound"
object = ["user"]
metaverse = "person"
precedence = 50
flows = [{ target = "title", expression = '"Dr. " & [sn]' }]
"#;

/// A command of connect in the state of the road; its standard output.
fn connect(road: &Road<'_>, words: &[&str]) -> String {
    let state = road.path("connect");
    let words = [&["connect"], words, &["--state", state.to_str().unwrap()]].concat();
    road.portolan("connect", &words).unwrap().success().unwrap().stdout
}

/// The same of a command that fails; its standard error.
fn refused(road: &Road<'_>, words: &[&str]) -> String {
    let state = road.path("connect");
    let words = [&["connect"], words, &["--state", state.to_str().unwrap()]].concat();
    let outcome = road.portolan("connect", &words).unwrap();
    assert!(outcome.failure().0.is_some(), "{words:?} went well");
    outcome.stderr
}

/// The changes of a plan by what they are and of whom.
fn plan(road: &Road<'_>, more: &[&str]) -> Vec<(String, String)> {
    let text = connect(road, &[&["plan", "--json"], more].concat());
    let changes: Vec<Value> = serde_json::from_str(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> =
        changes.iter().map(|change| (text(&change["change"]), text(&change["name"]))).collect();
    all.sort();
    all
}

/// The entries of a plan as they are told.
fn entries(road: &Road<'_>) -> Vec<Value> {
    serde_json::from_str(&connect(road, &["plan", "--json"])).unwrap()
}

fn names(changes: &[(String, String)], word: &str) -> Vec<String> {
    changes.iter().filter(|(change, _)| change == word).map(|(_, name)| name.clone()).collect()
}

#[test]
fn a_plan_is_kept_applied_as_it_is_and_refused_when_it_does_not_hold() {
    let world = World::up("engine");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap().success().unwrap();
    road.connect_run().unwrap().success().unwrap();
    assert_eq!(plan(&road, &[]), [], "nothing is left to do");

    let partners = ["Grace Gómez", "Trent Turing", "Walter Weiß"];
    let folder = road.path("connect").join("rules");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("own.toml"), RULES).unwrap();
    connect(&road, &["rules", "lint"]);
    let kept = road.path("kept.json");
    let kept = kept.to_str().unwrap();
    let changes = plan(&road, &["--save", kept]);
    assert_eq!(names(&changes, "delete"), partners);
    assert!(names(&changes, "change").contains(&"Alice Ångström".to_owned()), "{changes:?}");
    assert_eq!(names(&changes, "add"), Vec::<String>::new());
    reasons_are_told(&road);

    // What comes after the plan and is not in it stays pending.
    let more = ["user", "create", "dora", "Pa55-dora-1", "--given-name=Dora", "--surname=Meier"];
    road.samba_tool(&more).unwrap().success().unwrap();
    let applied = connect(&road, &["apply", kept, "--json"]);
    let applied: Value = serde_json::from_str(&applied).unwrap();
    assert_eq!(applied["deleted"], 3, "{applied}");
    assert_eq!((applied["added"].as_u64(), &applied["refused"]), (Some(0), &Value::Array(vec![])));
    let changes = plan(&road, &[]);
    assert_eq!(changes, [("add".to_owned(), "Dora Meier".to_owned())]);
    let said = refused(&road, &["apply", kept]);
    assert!(said.contains("changes of the plan are other ones by now, or none"), "{said}");

    let walter = connect(&road, &["explain", "Walter Weiß"]);
    assert!(walter.contains("left out by a filter: partners sign in elsewhere"), "{walter}");
    let alice = connect(&road, &["explain", "CN=Alice"]);
    assert!(alice.contains("jobTitle = \"Dr. Ångström\""), "{alice}");
    assert!(alice.contains("by corp.title of [sn]: gives it"), "{alice}");
    assert!(alice.contains("by in.user.common of [title]: loses, with \"Título 1\""), "{alice}");
    let krbtgt = connect(&road, &["explain", "CN=krbtgt"]);
    assert!(krbtgt.contains("isCriticalSystemObject is TRUE"), "{krbtgt}");

    // The unit is held by its objectGUID, so its new name lets nobody in and deletes nobody.
    let rename = ["ou", "rename", "OU=Partners,OU=Staff", "OU=Allies"];
    road.samba_tool(&rename).unwrap().success().unwrap();
    road.connect_run().unwrap().success().unwrap();
    assert_eq!(plan(&road, &[]), []);
    let walter = connect(&road, &["explain", "Walter Weiß"]);
    assert!(walter.starts_with("CN=Walter Weiß,OU=Allies,"), "{walter}");
    assert!(walter.contains("left out by a filter"), "{walter}");

    // Rules that are not right stop a run before anything happens.
    std::fs::write(folder.join("own.toml"), RULES.replace("\" & [sn]'", "\" & [sn'")).unwrap();
    let said = refused(&road, &["run", "--once"]);
    assert!(said.contains("own.toml:13:") && said.contains("the rules are not right"), "{said}");
    std::fs::remove_file(folder.join("own.toml")).unwrap();
    what_changed_is_named(&road, &partners);
}

/// What changed in the forest is named, and the memberships of those who come are listed.
fn what_changed_is_named(road: &Road<'_>, partners: &[&str]) {
    let change = "dn: CN=Newsletter,OU=Groups,DC=corp,DC=example\nchangetype: modify\nreplace: \
                  displayName\ndisplayName: News\n";
    road.ldapmodify(change).unwrap();
    assert_eq!(names(&plan(road, &[]), "add"), partners);
    let told = entries(road);
    let news = told.iter().find(|entry| entry["name"] == "News").unwrap();
    let because = news["attributes"][0]["because"][0].as_str().unwrap();
    assert!(because.starts_with("displayName of CN=Newsletter,"), "{because}");
    let of_members = |entry: &&Value| entry["change"] == "references";
    let members = told.iter().find(of_members).unwrap();
    assert_eq!((&members["attribute"], &members["added"]), (&"members".into(), &1.into()));
    assert!(members["named"][0].as_str().unwrap().starts_with("+CN=Trent Turing,"), "{members}");
    let walter = told.iter().find(|entry| entry["name"] == "Walter Weiß").unwrap();
    assert_eq!(walter["reason"], "rules take it now, and did not before");
}

/// A plan says which filter and which rule each change comes from.
fn reasons_are_told(road: &Road<'_>) {
    let shown = connect(road, &["plan"]);
    assert!(shown.contains("jobTitle: Título 1 -> Dr. Ångström"), "{shown}");
    assert!(shown.contains("Walter Weiß: a filter leaves it out: partners sign in elsewhere"));
    assert!(shown.contains("3  delete user: a filter leaves it out"), "{shown}");
    assert!(shown.contains("corp.title gives it otherwise than before, of CN=Alice"), "{shown}");
    let told = entries(road);
    let alice = told.iter().find(|entry| entry["name"] == "Alice Ångström").unwrap();
    assert_eq!(alice["attributes"][0]["rules"][0], "out.user.common", "{alice}");
}
