//! Faults in a forest, found, mended by an edited sheet, and undone: `ldapsearch` shows each step.

use std::path::{Path, PathBuf};
use std::process::Command;

use portolan_lab::plan::ADMINISTRATOR_PASSWORD;
use portolan_testsuite::{Outcome, Road, RoadError};
use serde_json::Value;

use crate::ldif;
use crate::world::World;

const ATTRIBUTES: [&str; 4] = ["userPrincipalName", "displayName", "mail", "proxyAddresses"];

/// Account, attribute, the values that are sown, the one that is found, the rules it breaks, and what
/// is proposed.
const SOWN: [(&str, &str, &[&str], &str, &[&str], Option<&str>); 7] = [
    (
        "alice",
        "userPrincipalName",
        &["al ice&co@corp.example"],
        "al ice&co@corp.example",
        &["character"],
        Some("aliceco@corp.example"),
    ),
    ("bob", "displayName", &["=Bob\u{200b}by"], "=Bob\u{200b}by", &["invisible"], Some("=Bobby")),
    (
        "carol",
        "proxyAddresses",
        &["SMTP:carol@corp.example", "smtp:ca;rol@corp.example"],
        "smtp:ca;rol@corp.example",
        &["character", "local-part"],
        None,
    ),
    (
        "heidi",
        "displayName",
        &["\u{397}eidi\u{ad}"],
        "\u{397}eidi\u{ad}",
        &["invisible"],
        Some("\u{397}eidi"),
    ),
    (
        "walter",
        "mail",
        &["walter@corp.local"],
        "walter@corp.local",
        &["top-level-domain", "primary-address"],
        Some("walter@corp.example"),
    ),
    (
        "sean",
        "userPrincipalName",
        &["sean@other.com"],
        "sean@other.com",
        &["unverified-suffix"],
        Some("sean@corp.example"),
    ),
    (
        "walter",
        "userPrincipalName",
        &["wal..ter@corp.example"],
        "wal..ter@corp.example",
        &["local-part"],
        Some("wal.ter@corp.example"),
    ),
];

fn dn_of(road: &Road<'_>, account: &str) -> String {
    let found = entry(road, account, "objectGUID");
    ldif::text(&found, "dn").unwrap()
}

fn entry(road: &Road<'_>, account: &str, attribute: &str) -> ldif::Entry {
    let filter = format!("(sAMAccountName={account})");
    let text = road.ldapsearch(&["-b", "DC=corp,DC=example", &filter, attribute]).unwrap();
    ldif::parse(&text).into_iter().next().unwrap()
}

fn values(road: &Road<'_>, account: &str, attribute: &str) -> Vec<String> {
    let entry = entry(road, account, attribute);
    let values = entry.get(&attribute.to_ascii_lowercase()).cloned().unwrap_or_default();
    values.into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
}

/// All sown attributes as the forest has them now.
fn snapshot(road: &Road<'_>) -> Vec<(String, Vec<String>)> {
    let each = SOWN.iter().map(|(account, attribute, ..)| {
        let mut held = values(road, account, attribute);
        held.sort();
        (format!("{account} {attribute}"), held)
    });
    each.collect()
}

fn sow(road: &Road<'_>) {
    let mut ldif = String::new();
    for (account, attribute, values, ..) in SOWN {
        ldif.push_str(&format!(
            "dn: {}\nchangetype: modify\nreplace: {attribute}\n",
            dn_of(road, account)
        ));
        for value in values {
            use base64::Engine as _;
            let value = base64::engine::general_purpose::STANDARD.encode(value);
            ldif.push_str(&format!("{attribute}:: {value}\n"));
        }
        ldif.push_str("-\n\n");
    }
    road.ldapmodify(&ldif).unwrap();
}

fn lint(road: &Road<'_>, arguments: &[&str]) -> Outcome {
    let state = road.path("connect").display().to_string();
    let (words, rest) =
        arguments.split_at(arguments.iter().take_while(|a| !a.starts_with('-')).count());
    let all = [&["connect", "lint"], words, &["--state", &state], rest].concat();
    road.portolan("connect", all).unwrap()
}

/// The findings of sown values, as `account attribute value rules proposal`.
fn found(
    road: &Road<'_>,
    report: &Value,
    account: &str,
    attribute: &str,
    value: &str,
) -> (Vec<String>, Option<String>) {
    let dn = dn_of(road, account);
    let findings = report["findings"].as_array().unwrap().iter();
    let own: Vec<_> = findings
        .filter(|f| f["dn"] == dn.as_str() && f["attribute"] == attribute && f["value"] == value)
        .collect();
    let rules = own.iter().map(|f| f["rule"].as_str().unwrap().to_owned()).collect();
    (rules, own.iter().find_map(|f| f["proposal"].as_str().map(str::to_owned)))
}

/// Writes an action into the rows of some attributes of the accounts, as Python's csv module reads and
/// writes them. Gives the number of rows with an action.
fn edit(road: &Road<'_>, sheet: &Path, accounts: &[&str], attributes: &[&str]) -> (PathBuf, usize) {
    let script = "import csv, sys\n\
        sheet, edited, names, attributes = sys.argv[1:5]\n\
        names, attributes = names.split('|'), attributes.split('|')\n\
        rows = list(csv.DictReader(open(sheet, newline='', encoding='utf-8')))\n\
        count = 0\n\
        for row in rows:\n\
        \x20   for cell in row.values():\n\
        \x20       assert not cell.startswith(('=', '+', '-', '@')), cell\n\
        \x20   if row['dn'] in names and row['attribute'] in attributes and row['proposed_value']:\n\
        \x20       row['action'] = 'replace'\n\
        \x20       count += 1\n\
        out = csv.DictWriter(open(edited, 'w', newline='', encoding='utf-8-sig'), rows[0].keys())\n\
        out.writeheader()\n\
        out.writerows(rows)\n\
        print(count)\n";
    let names: Vec<_> = accounts.iter().map(|account| dn_of(road, account)).collect();
    let edited = road.path("edited.csv");
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(sheet).arg(&edited);
    let output = python.arg(names.join("|")).arg(attributes.join("|")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (edited, String::from_utf8_lossy(&output.stdout).trim().parse().unwrap())
}

#[test]
fn faults_are_found_mended_by_an_edited_sheet_and_undone_and_ldapsearch_shows_each_step() {
    let world = World::up("lint");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    sow(&road);
    let sheet = road.path("sheet.csv");
    let sheet_text = sheet.display().to_string();

    let outcome = lint(&road, &["--json", "--csv", &sheet_text]);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    let report = outcome.json().unwrap();
    for (account, attribute, _, value, rules, proposal) in SOWN {
        let (broken, proposed) = found(&road, &report, account, attribute, value);
        assert_eq!(broken, rules, "{account} {attribute}");
        // What is an address of carol's already is not proposed for another of hers.
        assert_eq!(proposed.as_deref(), proposal, "{account} {attribute}");
    }
    let none = lint(&road, &["--from-space", "--rule", "shared-anchor"]);
    assert_eq!(none.status.code(), Some(0), "{}", none.stderr);
    let text = lint(&road, &["--from-space"]);
    assert!(
        text.stdout.contains("invisible (error): the value has characters that nobody sees: 2"),
        "{}",
        text.stdout
    );

    nothing_is_changed_unless_it_is_said(&road, &sheet);
    a_missing_right_is_named_with_the_command_that_grants_it(&road, &sheet);
    the_directory_refuses_a_change_of_what_was_changed_meanwhile(&road);
    what_is_applied_is_undone(&road, &sheet);
}

fn nothing_is_changed_unless_it_is_said(road: &Road<'_>, sheet: &Path) {
    let before = snapshot(road);
    let untouched = lint(road, &["apply", &sheet.display().to_string(), "--yes"]);
    assert!(untouched.stdout.contains("no row of"), "{}{}", untouched.stdout, untouched.stderr);
    let (edited, count) = edit(road, sheet, &["alice", "bob"], &ATTRIBUTES);
    assert_eq!(count, 2);
    let shown = lint(road, &["apply", &edited.display().to_string(), "--dry-run"]);
    assert_eq!(shown.status.code(), Some(0), "{}", shown.stderr);
    assert!(
        shown.stdout.contains("displayName \"=Bob\\u{200b}by\" becomes \"=Bobby\""),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("2 to change"), "{}", shown.stdout);
    assert_eq!(snapshot(road), before);
}

fn a_missing_right_is_named_with_the_command_that_grants_it(road: &Road<'_>, sheet: &Path) {
    let before = snapshot(road);
    let (edited, _) = edit(road, sheet, &["bob"], &["displayName"]);
    let edited = edited.display().to_string();
    let refused = lint(road, &["apply", &edited, "--yes"]);
    assert_eq!(snapshot(road), before);
    let (error, hint) = refused.failure();
    let bob = dn_of(road, "bob");
    let expected =
        format!("svc_connect@corp.example lacks the right \"Write Property displayName\" on {bob}");
    assert_eq!(error, Some(expected.as_str()), "{}{}", refused.stdout, refused.stderr);
    let command = hint.unwrap().split('`').nth(1).unwrap();
    assert!(
        command.starts_with("samba-tool dsacl set --action=allow --objectdn=\"OU="),
        "{command}"
    );
    let mut shell = road.lab().command("dc1", "sh").unwrap();
    let command = format!("{command} -s {}", portolan_lab::plan::FOREST_CONFIG);
    let granted = shell.args(["-c", &command]).output().unwrap();
    assert!(granted.status.success(), "{command}: {granted:?}");
    let done = lint(
        road,
        &["apply", &edited, "--yes", "--undo-file", &road.path("bob.undo").display().to_string()],
    );
    assert_eq!(done.status.code(), Some(0), "{}{}", done.stdout, done.stderr);
    assert_eq!(values(road, "bob", "displayName"), ["=Bobby"]);
    let undone = lint(road, &["undo", &road.path("bob.undo").display().to_string(), "--yes"]);
    assert_eq!(undone.status.code(), Some(0), "{}{}", undone.stdout, undone.stderr);
    assert_eq!(snapshot(road), before);
}

/// The request that a change is: the old value goes and the new one comes, or nothing happens.
fn the_directory_refuses_a_change_of_what_was_changed_meanwhile(road: &Road<'_>) {
    let walter = dn_of(road, "walter");
    let change = |old: &str| {
        road.ldapmodify(&format!(
            "dn: {walter}\nchangetype: modify\ndelete: mail\nmail: {old}\n-\nadd: mail\nmail: \
             walter@corp.example\n-\n"
        ))
    };
    let before = values(road, "walter", "mail");
    match change("stale@corp.local") {
        Err(RoadError::Failed(outcome)) => {
            assert!(outcome.stderr.contains("No such attribute (16)"), "{}", outcome.stderr);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(values(road, "walter", "mail"), before);
}

fn what_is_applied_is_undone(road: &Road<'_>, sheet: &Path) {
    let everybody = ["alice", "bob", "carol", "heidi", "walter", "sean"];
    let (edited, count) = edit(road, sheet, &everybody, &ATTRIBUTES);
    let password = road.path("administrator.password");
    std::fs::write(&password, ADMINISTRATOR_PASSWORD).unwrap();
    let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&password, mode).unwrap();
    let (edited, password) = (edited.display().to_string(), password.display().to_string());
    let undo = road.path("all.undo").display().to_string();
    let as_administrator = ["--account", "Administrator", "--password-file", &password, "--yes"];

    // Somebody changes one of the values between the look and the change.
    let heidi = dn_of(road, "heidi");
    road.ldapmodify(&format!(
        "dn: {heidi}\nchangetype: modify\nreplace: displayName\ndisplayName: Heidi H\n"
    ))
    .unwrap();
    let before = snapshot(road);
    let applied =
        lint(road, &[&["apply", &edited], &as_administrator[..], &["--undo-file", &undo]].concat());
    assert_eq!(applied.status.code(), Some(1), "{}{}", applied.stdout, applied.stderr);
    assert!(applied.stdout.contains("the old value is not there any more"), "{}", applied.stdout);
    assert!(
        applied.stdout.contains(&format!("{} changed, 0 were so before, 1 left", count - 1)),
        "{}",
        applied.stdout
    );
    for (account, attribute, _, old, _, proposal) in SOWN {
        let held = values(road, account, attribute);
        match (account, proposal) {
            ("heidi", _) => assert_eq!(held, ["Heidi H"]),
            (_, Some(new)) => assert_eq!(held, [new], "{account} {attribute}"),
            (_, None) => {
                assert!(held.iter().any(|held| held == old), "{account} {attribute} {held:?}")
            }
        }
    }

    // Once more: what was done is known, and nothing is done twice.
    let second = format!("{undo}2");
    let again = [&["apply", &edited], &as_administrator[..], &["--undo-file", &second]].concat();
    let again = lint(road, &again);
    assert!(
        again.stdout.contains(&format!("0 changed, {} were so before", count - 1)),
        "{}",
        again.stdout
    );

    let undone = lint(road, &[&["undo", &undo], &as_administrator[..]].concat());
    assert_eq!(undone.status.code(), Some(0), "{}{}", undone.stdout, undone.stderr);
    assert_eq!(snapshot(road), before);
}
