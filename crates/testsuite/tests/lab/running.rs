//! How connect runs: each step alone, one object by itself, profiles and their schedule, a changed
//! configuration while it runs, and what it tells of all that.

use std::process::Command;
use std::time::{Duration, Instant};

use portolan_testsuite::Road;
use serde_json::Value;

use crate::holdings::{Forest, Tenant, connector_space_equals};
use crate::world::World;

/// How long a daemon may take for what is waited for.
const TIME_MAX: Duration = Duration::from_secs(60);
/// What a change of the forest may take to the tenant.
const REACTION_MAX: Duration = Duration::from_secs(5);

const RULES: &str = r#"
[[rule]]
key = "corp.title"
name = "Everybody's title"
direction = "inbound"
object = ["user"]
metaverse = "person"
precedence = 50
flows = [{ target = "displayName", expression = '"Dr. " & [sn]' }]
"#;

/// A command of connect in the state of the road.
fn connect(road: &Road<'_>, words: &[&str]) -> portolan_testsuite::Outcome {
    let state = road.path("connect");
    let words = [&["connect"], words, &["--state", state.to_str().unwrap()]].concat();
    road.portolan("connect", &words).unwrap()
}

fn json(road: &Road<'_>, words: &[&str]) -> Value {
    connect(road, &[words, &["--json"]].concat()).success().unwrap().json().unwrap()
}

/// The users of the tenant by their names, as its own command lists them.
fn display_names(road: &Road<'_>) -> Vec<String> {
    let data = road.path("tenant");
    let words = ["tenant", "users", "--json", "--data", data.to_str().unwrap()];
    let users = road.portolan("tenant", words).unwrap().success().unwrap().json().unwrap();
    let name = |user: &Value| user["displayName"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<_> = users.as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}

fn has(road: &Road<'_>, name: &str) -> bool {
    display_names(road).iter().any(|of| of == name)
}

/// An administrator gives a user another displayName.
fn rename(road: &Road<'_>, dn: &str, name: &str) {
    let change =
        format!("dn: {dn}\nchangetype: modify\nreplace: displayName\ndisplayName: {name}\n");
    road.ldapmodify(&change).unwrap();
}

/// The distinguished name of a user, by `ldapsearch`.
fn name_of(road: &Road<'_>, account: &str) -> String {
    let filter = format!("(sAMAccountName={account})");
    let found = road.ldapsearch(&["-b", "DC=corp,DC=example", &filter, "displayName"]).unwrap();
    let entries = crate::ldif::parse(&found);
    crate::ldif::text(&entries[0], "dn").unwrap()
}

fn equal(road: &Road<'_>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let forest = Forest::read(road);
    runtime.block_on(connector_space_equals(road, &forest));
    runtime.block_on(Tenant::read(road)).equals(&forest);
}

fn append(road: &Road<'_>, text: &str) {
    let path = road.path("connect").join("connect.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{before}\n{text}")).unwrap();
}

#[test]
fn each_step_runs_alone_and_one_object_goes_by_itself() {
    let world = World::up("steps");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap().success().unwrap();

    // What is missing is said, and is no success.
    let early = connect(&road, &["sync", "alice@corp.example"]);
    assert!(early.failure().0.unwrap().contains("never imported"), "{early:?}");
    assert_eq!(connect(&road, &["sync", "alice"]).status.code(), Some(2));

    let read = json(&road, &["import"]);
    assert_eq!(read["imported"]["full"], true, "{read:#}");
    assert_eq!(display_names(&road), Vec::<String>::new(), "an import sends nothing");
    let decided = json(&road, &["sync"]);
    assert!(decided["synchronised"]["changed"].as_u64().unwrap() > 10, "{decided:#}");
    assert_eq!(display_names(&road), Vec::<String>::new(), "a synchronisation sends nothing");
    let sent = json(&road, &["export"]);
    assert!(sent["added"].as_u64().unwrap() > 10, "{sent:#}");
    equal(&road);

    // Two people change, and one of them goes by herself.
    let (alice, bob) = (name_of(&road, "alice"), name_of(&road, "bob"));
    rename(&road, &alice, "Alice Once");
    rename(&road, &bob, "Bob Later");
    let one = json(&road, &["sync", &alice]);
    assert_eq!((&one["imported"], &one["object"]), (&"changed".into(), &alice.as_str().into()));
    let attribute = &one["exports"][0]["attributes"][0];
    assert_eq!(
        (&attribute["name"], &attribute["after"][0]),
        (&"displayName".into(), &"Alice Once".into())
    );
    assert_eq!(one["exports"].as_array().unwrap().len(), 1, "{one:#}");
    assert!(has(&road, "Alice Once") && !has(&road, "Bob Later"));
    assert_eq!(one["password"], "replicated", "{one:#}");
    assert_eq!(json(&road, &["status"])["credentials"], 1, "hers and nobody else's");
    let again = connect(&road, &["sync", "alice@corp.example"]).success().unwrap().stdout;
    assert!(again.contains("in the forest: unchanged"), "{again}");
    assert!(again.contains("in the target: nothing to change"), "{again}");

    // New, left out, and gone.
    let nina = ["user", "create", "nina", "N1na-Pass!word", "--given-name=Nina", "--surname=N"];
    road.samba_tool(&nina).unwrap().success().unwrap();
    let new = json(&road, &["sync", "nina@corp.example"]);
    assert_eq!((&new["imported"], &new["exports"][0]["change"]), (&"new".into(), &"add".into()));
    assert!(has(&road, "Nina N"));
    // Her password came with her: she signs in before any cycle of passwords.
    assert_eq!(new["password"], "replicated", "{new:#}");
    road.sign_in("single", "nina@corp.example", "N1na-Pass!word").unwrap();
    let krbtgt = json(&road, &["sync", &name_of(&road, "krbtgt")]);
    assert!(krbtgt["left_out"].as_str().unwrap().contains("no rule takes it"), "{krbtgt:#}");
    road.samba_tool(&["user", "delete", "nina"]).unwrap().success().unwrap();
    let gone = json(&road, &["sync", new["guid"].as_str().unwrap()]);
    assert_eq!(
        (&gone["imported"], &gone["exports"][0]["change"]),
        (&"gone".into(), &"delete".into())
    );
    assert!(!has(&road, "Nina N"));
    let nobody = connect(&road, &["sync", "nobody@corp.example"]);
    assert!(nobody.failure().0.unwrap().contains("no forest has this object"), "{nobody:?}");

    // Whoever else changed goes with the next cycle, and both ends are equal again.
    road.connect_run().unwrap().success().unwrap();
    assert!(has(&road, "Bob Later"));
    equal(&road);
    history(&road);
}

/// What was done is remembered, step by step.
fn history(road: &Road<'_>) {
    let runs = json(road, &["history"]);
    let kinds: Vec<_> =
        runs.as_array().unwrap().iter().rev().filter_map(|run| run["kind"].as_str()).collect();
    let single = "sync object";
    let expected = [single, "import", "sync", "export", single, single, single, single, single];
    assert!(kinds.starts_with(&expected), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"cycle"));
    let of = |at: usize| runs[runs.as_array().unwrap().len() - 1 - at]["id"].to_string();
    let failed = json(road, &["history", &of(0)]);
    assert_eq!(
        (&failed["outcome"], &failed["steps"][0]["outcome"]),
        (&"failed".into(), &"failed".into())
    );
    assert!(failed["steps"][0]["error"].as_str().unwrap().contains("never imported"));
    let one = json(road, &["history", &of(4)]);
    let steps: Vec<_> =
        one["steps"].as_array().unwrap().iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(steps, ["import", "tenant", "sync", "export", "passwords"]);
    assert_eq!(one["steps"][0]["forest"], "corp.example");
    assert_eq!(one["steps"][3]["counts"]["updated"], 1, "{one:#}");
    let text = connect(road, &["history", &of(3)]).success().unwrap().stdout;
    assert!(text.contains("export") && text.contains("done") && text.contains("added"), "{text}");
}

#[test]
fn a_daemon_takes_changed_files_keeps_its_schedule_and_tells_its_figures() {
    let world = World::up("daemon");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap().success().unwrap();
    append(&road, "[metrics]\nlisten = \"4711\"\n");
    // By the clock it would take ten minutes.
    let options = ["--interval", "600", "--log", "json"];
    let mut daemon = road.connect_daemon(&options).unwrap();
    daemon.wait_for("\"step\":\"export\"", 1).unwrap();
    assert!(has(&road, "Alice Ångström"));

    // A rule of one's own comes into force; one that is wrong does not, and the former stays.
    let folder = road.path("connect").join("rules");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("own.toml"), RULES).unwrap();
    daemon.hang_up().unwrap();
    daemon.wait_for("the changed configuration is in force", 1).unwrap();
    until("the rule", || has(&road, "Dr. Ångström"));
    std::fs::write(folder.join("own.toml"), RULES.replace("\" & [sn]'", "\" & [sn'")).unwrap();
    daemon.hang_up().unwrap();
    let said = daemon.wait_for("going on with the configuration of before", 1).unwrap();
    assert!(said.contains("own.toml:9:") && said.contains("the rules are not right"), "{said}");
    // Others write to the forest all the time, and what matters is seen all the same.
    let modify = |dn: &str, attribute: &str, value: &str| modify(&road, dn, attribute, value);
    for noise in 0..4 {
        modify("CN=Infrastructure,DC=corp,DC=example", "description", &noise.to_string());
        std::thread::sleep(Duration::from_millis(1_500));
    }
    modify(&name_of(&road, "carol"), "sn", "Changed");
    let begun = Instant::now();
    until("a change by the former rules", || has(&road, "Dr. Changed"));
    assert!(begun.elapsed() < REACTION_MAX, "{:?}", begun.elapsed());
    // What was mended is taken when a cycle begins, without a word.
    std::fs::write(folder.join("own.toml"), RULES).unwrap();
    modify(&name_of(&road, "carol"), "sn", "Changed again");
    daemon.wait_for("the changed rules are in force", 1).unwrap();

    // So does a configuration; what it schedules runs.
    append(&road, "[[profile]]\nname = \"nightly\"\nsteps = [\"import full\", \"sing\"]\n");
    daemon.hang_up().unwrap();
    let said = daemon.wait_for("going on with the configuration of before", 2).unwrap();
    assert!(said.contains("is no step; write import, sync"), "{said}");
    let path = road.path("connect").join("connect.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("sing\"", "sync full\", \"export\", \"confirm\"");
    let scheduled = "[[schedule]]\nprofile = \"nightly\"\nevery = \"1h\"\n";
    std::fs::write(&path, format!("{text}\n{scheduled}")).unwrap();
    daemon.hang_up().unwrap();
    daemon.wait_for("the changed configuration is in force", 2).unwrap();
    until("the schedule", || {
        let runs = json(&road, &["history"]);
        let is_done = |run: &Value| run["kind"] == "nightly" && run["outcome"] == "done";
        runs.as_array().unwrap().iter().any(is_done)
    });

    figures(&road);
    let (status, said) = daemon.stop().unwrap();
    assert!(status.success(), "{said}");
    log(&said);
    // The profile runs once, too.
    let once = json(&road, &["run", "--once", "--profile", "nightly"]);
    assert_eq!(once["imported"]["full"], true, "{once:#}");
    assert!(once["confirmed"]["objects"].as_u64().unwrap() > 10, "{once:#}");
    assert_eq!(once["confirmed"]["missing"], 0, "{once:#}");
    let none = connect(&road, &["run", "--once", "--profile", "daily"]);
    assert!(none.failure().0.unwrap().contains("there is no profile \"daily\""), "{none:?}");
}

fn modify(road: &Road<'_>, dn: &str, attribute: &str, value: &str) {
    let change = format!("changetype: modify\nreplace: {attribute}\n{attribute}: {value}");
    road.ldapmodify(&format!("dn: {dn}\n{change}\n")).unwrap();
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < TIME_MAX, "{what} does not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The figures, read by Prometheus' own client.
fn figures(road: &Road<'_>) {
    let path = road.path("figures");
    let script = "import sys, urllib.request\n\
        page = urllib.request.urlopen('http://127.0.0.1:4711/metrics', timeout=10)\n\
        open(sys.argv[1], 'wb').write(page.read())";
    let mut get = road.lab().command("connect", "/usr/bin/python3").unwrap();
    assert!(get.args(["-c", script]).arg(&path).status().unwrap().success());
    let tools = portolan_testsuite::Tools::from_environment().unwrap();
    let mut read = Command::new(&tools.python);
    read.arg(tools.scripts.join("report_formats.py")).arg("prometheus").arg(&path);
    let output = read.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let families: Value = serde_json::from_slice(&output.stdout).unwrap();
    let value = |family: &str, labels: &[(&str, &str)]| {
        let samples = families[format!("portolan_connect_{family}")]["samples"].as_array().unwrap();
        let fits = |sample: &&Value| labels.iter().all(|(k, v)| sample["labels"][k] == **v);
        samples.iter().find(fits).unwrap_or_else(|| panic!("{family} {labels:?}"))["value"]
            .as_f64()
            .unwrap()
    };
    let done = |step| value("steps", &[("step", step), ("outcome", "done")]);
    assert!(done("import") >= 2.0 && done("sync") >= 2.0 && done("export") >= 2.0);
    assert!(value("staged_objects", &[("connector", "corp.example"), ("kind", "user")]) > 10.0);
    assert!(value("exported_objects", &[("kind", "user")]) > 10.0);
    assert_eq!(value("queued_objects", &[]), 0.0);
    assert!(value("credentials", &[("outcome", "sent")]) > 5.0);
    assert!(value("reloads", &[("outcome", "failed")]) >= 2.0);
    assert!(value("reloads", &[("outcome", "done")]) >= 2.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let last = value("step_last_success_timestamp_seconds", &[("step", "export")]);
    assert!((now.as_secs_f64() - last).abs() < 120.0, "{last}");
    assert_eq!(families["portolan_connect_step_duration_seconds"]["type"], "histogram");
    assert_eq!(families["portolan_connect_password_latency_seconds"]["type"], "histogram");
}

/// Every line of the log is an event, those of steps have their run, and no secret is in it.
fn log(said: &str) {
    let events: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let ended =
        events.iter().find(|event| event["message"] == "Step ended" && event["step"] == "import");
    let ended = ended.unwrap();
    assert!(
        ended["run"].is_i64() && ended["seconds"].is_f64() && ended["objects"].is_u64(),
        "{ended}"
    );
    assert_eq!((&ended["forest"], &ended["outcome"]), (&"corp.example".into(), &"done".into()));
    let read = events
        .iter()
        .find(|event| event["message"].as_str().is_some_and(|text| text.starts_with("imported")));
    assert_eq!(read.unwrap()["span"]["run"], ended["run"]);
    assert!(events.iter().any(|event| event["level"] == "ERROR" && event["hint"].is_string()));
    assert!(!said.contains(portolan_testsuite::ACCOUNT_PASSWORD));
}
