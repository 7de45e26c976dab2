//! Changes of the forest one after the other, each imported alone: what connect holds and what the
//! tenant holds is what `ldapsearch` shows, every time.

use portolan_testsuite::Road;
use serde_json::Value;

use crate::holdings::{Forest, Tenant, connector_space_equals};
use crate::world::World;

const FOREST: &str = "DC=corp,DC=example";

/// What an administrator does between two runs.
const CHANGES: [(&str, &[&[&str]]); 12] = [
    (
        "add a person, a contact and a group",
        &[
            &["user", "create", "nina", "N1na-Pass!word", "--given-name=Nina", "--surname=Ñandú"],
            &["contact", "create", "Otto Out", "--mail-address=otto@elsewhere.example"],
            &["group", "add", "Night shift"],
        ],
    ),
    (
        "modify",
        &[&["user", "rename", "nina", "--mail-address=n@corp.example", "--force-new-cn=Nina N"]],
    ),
    (
        "members come and go",
        &[
            &["group", "addmembers", "Engineers", "carol,nina"],
            &["group", "removemembers", "Engineers", "bob"],
            &["group", "addmembers", "Night shift", "nina,walter"],
        ],
    ),
    ("a renamed member", &[&["user", "rename", "alice", "--force-new-cn=Alice Renamed"]]),
    ("a move", &[&["user", "move", "alice", "OU=Finance,OU=Staff"]]),
    ("a unit is renamed", &[&["ou", "rename", "OU=Finance,OU=Staff", "OU=Money"]]),
    ("a unit with units in it is renamed", &[&["ou", "rename", "OU=Staff", "OU=People"]]),
    ("a unit is moved", &[&["ou", "move", "OU=Zürich,OU=People", FOREST]]),
    (
        "a container is made, filled and renamed with what is in it",
        &[
            &["ou", "create", "OU=New"],
            &["user", "move", "sean", "OU=New"],
            &["ou", "rename", "OU=New", "OU=Newer"],
        ],
    ),
    ("a member is deleted", &[&["user", "delete", "walter"]]),
    (
        "a group and a contact are deleted",
        &[&["group", "delete", "Accountants"], &["contact", "delete", "Nina Nowak"]],
    ),
    (
        "a computer without a certificate, which is imported and no device",
        &[&["computer", "create", "PC7"]],
    ),
];

/// Runs connect once, and holds both ends against the forest. Gives the summary.
fn synchronise(road: &Road<'_>, runtime: &tokio::runtime::Runtime, what: &str) -> Value {
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["refused"], serde_json::json!([]), "{what}: {summary:#}");
    equal(road, runtime);
    summary
}

fn equal(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    let forest = Forest::read(road);
    runtime.block_on(connector_space_equals(road, &forest));
    runtime.block_on(Tenant::read(road)).equals(&forest);
}

fn samba(road: &Road<'_>, arguments: &[&str]) {
    road.samba_tool(arguments).unwrap().success().unwrap();
}

/// A program at the controller works on its database, as `db`.
pub(crate) fn at_the_database(road: &Road<'_>, script: &str) {
    let script = format!(
        "import ldb\nfrom samba.samdb import SamDB\nfrom samba.auth import system_session\n\
         from samba.param import LoadParm\nsettings = LoadParm()\nsettings.load({:?})\n\
         db = SamDB(lp=settings, session_info=system_session())\n{script}",
        portolan_lab::plan::FOREST_CONFIG
    );
    let mut command = road.lab().command("dc1", "/usr/bin/python3").unwrap();
    assert!(command.args(["-c", &script]).status().unwrap().success(), "{script}");
}

#[test]
fn each_change_of_the_forest_is_imported_alone_and_both_ends_are_what_ldapsearch_shows() {
    let world = World::up("incremental");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let summary = synchronise(&road, &runtime, "the first run");
    assert_eq!(summary["imported"]["full"], true, "{summary:#}");
    assert_eq!(summary["imported"]["contacts"], 1, "{summary:#}");

    let summary = synchronise(&road, &runtime, "nothing");
    assert_eq!(summary["imported"]["full"], false, "{summary:#}");
    assert_eq!(summary["imported"]["changed"], 0, "{summary:#}");

    two_people_swap_their_names(&road, &runtime);
    one_who_is_refused_holds_up_nobody(&road, &runtime);
    for (what, commands) in CHANGES {
        for command in commands {
            samba(&road, command);
        }
        let summary = synchronise(&road, &runtime, what);
        assert_eq!(summary["imported"]["full"], false, "{what}: {summary:#}");
    }
    an_attribute_is_removed(&road, &runtime);
    a_deleted_person_is_restored(&road, &runtime);
    a_name_passes_to_another_person(&road, &runtime);
    a_killed_run_is_made_good(&road, &runtime);
    a_write_during_a_full_read_is_not_missed(&road, &runtime);
    without_the_right_changes_are_found_by_number(&road, &runtime);
}

fn an_attribute_is_removed(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    let heidi = name_of(road, "heidi");
    let script = "db.modify_ldif('dn: {heidi}\\nchangetype: modify\\ndelete: title\\n\
                  -\\nreplace: l\\nl: Bern\\n')";
    at_the_database(road, &script.replace("{heidi}", &heidi));
    let summary = synchronise(road, runtime, "an attribute is removed");
    assert_eq!((&summary["updated"], &summary["imported"]["changed"]), (&1.into(), &1.into()));
}

/// The distinguished name of an account now.
fn name_of(road: &Road<'_>, account: &str) -> String {
    let filter = format!("(sAMAccountName={account})");
    let found = road.ldapsearch(&["-b", FOREST, &filter, "objectGUID"]).unwrap();
    let entries = crate::ldif::parse(&found);
    crate::ldif::text(&entries[0], "dn").unwrap()
}

/// A reanimated tombstone is the same object, and in none of the groups that it was in.
fn a_deleted_person_is_restored(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    let before = name_of(road, "nina");
    samba(road, &["user", "delete", "nina"]);
    let summary = synchronise(road, runtime, "a deletion");
    assert_eq!(summary["deleted"], 1, "{summary:#}");
    reanimate(road, "Nina N", &before);
    let summary = synchronise(road, runtime, "a restore");
    assert_eq!(summary["added"], 1, "{summary:#}");

    // Deleted and restored between two runs, it is another object to nobody.
    samba(road, &["group", "addmembers", "Night shift", "nina"]);
    synchronise(road, runtime, "it is a member again");
    samba(road, &["user", "delete", "nina"]);
    reanimate(road, "Nina N", &before);
    synchronise(road, runtime, "a deletion and a restore at once");
}

fn reanimate(road: &Road<'_>, cn: &str, before: &str) {
    let script = format!(
        "show = ['show_deleted:1']\n\
         gone = '(&(isDeleted=TRUE)(objectClass=user)(cn={cn}*))'\n\
         found = db.search(db.domain_dn(), expression=gone, attrs=['cn'], controls=show)\n\
         message = ldb.Message(found[0].dn)\n\
         message['isDeleted'] = ldb.MessageElement([], ldb.FLAG_MOD_DELETE, 'isDeleted')\n\
         message['distinguishedName'] = ldb.MessageElement(\n\
         '{before}', ldb.FLAG_MOD_REPLACE, 'distinguishedName')\n\
         db.modify(message, controls=show)\n"
    );
    at_the_database(road, &script);
}

/// The deletion is sent before the object that takes its name.
fn a_name_passes_to_another_person(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    samba(road, &["user", "delete", "bob"]);
    samba(road, &["user", "create", "bob", "B0b-An0ther!", "--given-name=Bob"]);
    let summary = synchronise(road, runtime, "a name passes on");
    assert_eq!((&summary["added"], &summary["deleted"]), (&1.into(), &1.into()), "{summary:#}");
}

/// Gives a person a user principal name.
fn call(road: &Road<'_>, account: &str, upn: &str) {
    let script = "db.modify_ldif('dn: {dn}\\nchangetype: modify\\nreplace: userPrincipalName\\n\
                  userPrincipalName: {upn}\\n')";
    let script = script.replace("{dn}", &name_of(road, account)).replace("{upn}", upn);
    at_the_database(road, &script);
}

/// Neither name is free until both are: the tenant judges by where a batch ends.
fn two_people_swap_their_names(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    // Samba lets nobody have a name that is another's account name.
    call(road, "heidi", "one@corp.example");
    call(road, "zoe", "two@corp.example");
    synchronise(road, runtime, "before a swap");
    call(road, "heidi", "between@corp.example");
    call(road, "zoe", "one@corp.example");
    call(road, "heidi", "two@corp.example");
    let summary = synchronise(road, runtime, "a swap");
    assert_eq!((&summary["added"], &summary["updated"]), (&0.into(), &2.into()), "{summary:#}");
    call(road, "zoe", "zoe@corp.example");
    call(road, "heidi", "heidi@corp.example");
    synchronise(road, runtime, "after a swap");
}

/// Two people whose names differ only by suffixes that the tenant does not have come to the same name
/// there: one is told of, all others and all passwords go on, and one correction in the forest mends it.
fn one_who_is_refused_holds_up_nobody(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    for (account, upn) in [("twin1", "twin@one.example"), ("twin2", "twin@two.example")] {
        samba(road, &["user", "create", account, "Tw1n-Pass!word"]);
        call(road, account, upn);
    }
    samba(road, &["user", "create", "oskar", "0skar-Pass!word"]);
    for run in ["first", "second"] {
        let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
        let refused = summary["refused"].as_array().unwrap();
        assert_eq!(refused.len(), 1, "{run}: {summary:#}");
        let why = refused[0]["why"].as_str().unwrap();
        assert_eq!(why, "another user has this user principal name", "{run}: {summary:#}");
    }
    call(road, "twin2", "twin2@corp.example");
    synchronise(road, runtime, "the correction");
    let tenant = runtime.block_on(Tenant::read(road));
    tenant.credentials_equal(&Forest::read(road), &road.hashes_by_samba().unwrap());
}

/// A run that is killed at some point is made good by the next.
fn a_killed_run_is_made_good(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    for (round, wait_ms) in [40, 120, 200, 280, 360].into_iter().enumerate() {
        samba(road, &["group", "add", &format!("Round {round}")]);
        samba(road, &["user", "setpassword", "zoe", &format!("--newpassword=Zo3-Round-{round}!")]);
        // The host's own processes are entered by another, so the signal is sent from within.
        let mut command = road.lab().command("connect", "timeout").unwrap();
        command.args(["--signal=KILL", &format!("0.{wait_ms:03}"), &binary()]);
        command.args(["connect", "run", "--once", "--state"]).arg(road.path("connect"));
        command.stderr(std::process::Stdio::null()).status().unwrap();
    }
    synchronise(road, runtime, "after kills");
}

fn binary() -> String {
    std::env::var("PORTOLAN_BINARY").unwrap()
}

/// Writes go on while the forest is read in full; the run that follows at once has them all.
fn a_write_during_a_full_read_is_not_missed(road: &Road<'_>, runtime: &tokio::runtime::Runtime) {
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..40 {
                if done.load(std::sync::atomic::Ordering::Relaxed) && round > 4 {
                    return;
                }
                samba(road, &["group", "add", &format!("During {round}")]);
            }
        });
        let state = road.path("connect");
        let state = state.to_str().unwrap();
        for _ in 0..3 {
            let arguments = ["connect", "import", "--full", "--json", "--state", state];
            let read = road.portolan("connect", arguments).unwrap().success().unwrap();
            assert_eq!(read.json().unwrap()["imported"]["full"], true);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap();
    });
    let summary = synchronise(road, runtime, "writes during full reads");
    assert_eq!(summary["imported"]["full"], false, "{summary:#}");
}

/// Without DS-Replication-Get-Changes on the domain, DirSync is refused.
fn without_the_right_changes_are_found_by_number(
    road: &Road<'_>,
    runtime: &tokio::runtime::Runtime,
) {
    let state = road.path("connect");
    let state = state.to_str().unwrap();
    let import = |more: &[&str]| {
        let arguments = [&["connect", "import", "--json", "--state", state], more].concat();
        road.portolan("connect", arguments).unwrap().success().unwrap()
    };
    let trustee = name_of(road, portolan_testsuite::ACCOUNT);
    for right in ["get-changes", "get-changes-all"] {
        let car = format!("--car={right}");
        let object = format!("--objectdn={FOREST}");
        let trustee = format!("--trusteedn={trustee}");
        samba(road, &["dsacl", "set", "--action=deny", &car, &object, &trustee]);
    }
    let first = import(&["--full"]);
    assert!(first.stderr.contains("DS-Replication-Get-Changes"), "{}", first.stderr);
    for commands in [
        &[
            &["user", "create", "ulla", "Ulla-Pass!word"][..],
            &["group", "addmembers", "Engineers", "ulla"],
        ][..],
        &[&["ou", "rename", "OU=People", "OU=Folk"][..]],
        &[
            &["user", "move", "ulla", "OU=Service"][..],
            &["group", "removemembers", "Engineers", "carol"],
        ],
        &[&["user", "delete", "ulla"][..]],
    ] {
        for command in commands {
            samba(road, command);
        }
        let read = import(&[]).json().unwrap();
        assert_eq!(read["imported"]["full"], false, "{commands:?}: {read:#}");
        runtime.block_on(connector_space_equals(road, &Forest::read(road)));
    }
}
