//! The states of an account: each set in Samba as an administrator there sets it, and told at the
//! tenant's sign-in page to whoever knows the password.

use std::process::Stdio;

use portolan_testsuite::Road;
use serde_json::Value;

use crate::world::World;

const PASSWORD: &str = "St4te-Pass!word";
/// How old a password may be in this tenant.
const AGE_MAX_DAYS: &str = "90";

/// An account, the LDIF lines that put it into its state, and what its person is told; nothing when
/// the person is let in.
struct Row {
    name: &'static str,
    changes: &'static str,
    told: Option<&'static str>,
}

const ROWS: &[Row] = &[
    Row { name: "plain", changes: "", told: None },
    Row {
        name: "disabled",
        changes: "replace: userAccountControl\nuserAccountControl: 514\n",
        told: Some("This account is disabled. Ask your administrator."),
    },
    Row {
        name: "expired",
        // 2021-01-01.
        changes: "replace: accountExpires\naccountExpires: 132539328000000000\n",
        told: Some("This account has expired. Ask your administrator."),
    },
    Row { name: "never", changes: "replace: accountExpires\naccountExpires: 0\n", told: None },
    Row {
        name: "mustchange",
        changes: "replace: pwdLastSet\npwdLastSet: 0\n",
        told: Some("Your password must be changed first."),
    },
    Row {
        name: "smartcard",
        changes: "replace: userAccountControl\nuserAccountControl: 262656\n",
        told: Some("This account signs in with a smart card only."),
    },
    // Their password was set long ago.
    Row { name: "old", changes: "", told: Some("Your password has expired.") },
    Row {
        name: "oldexempt",
        changes: "replace: userAccountControl\nuserAccountControl: 66048\n",
        told: None,
    },
    // Locked by wrong passwords: that is the forest's own, as with Entra Connect.
    Row { name: "locked", changes: "", told: None },
];

#[test]
fn each_state_that_is_set_in_samba_is_told_at_the_tenant() {
    let world = World::up("states");
    let mut road = world.road();
    road.tenant_up_with(&["--password-age-max", AGE_MAX_DAYS]).unwrap();
    road.connect_up().unwrap();
    let threshold = ["domain", "passwordsettings", "set", "--account-lockout-threshold=3"];
    road.samba_tool(&threshold).unwrap().success().unwrap();
    let new_password = format!("--newpassword={PASSWORD}");
    for Row { name, changes, .. } in ROWS {
        road.samba_tool(&["user", "create", name, PASSWORD]).unwrap().success().unwrap();
        if !changes.is_empty() {
            let dn = format!("CN={name},CN=Users,DC=corp,DC=example");
            let change = format!("dn: {dn}\nchangetype: modify\n{changes}\n");
            road.ldapmodify(&change).unwrap();
        }
    }
    // With the switch a password is drawn that nobody knows.
    let set = ["user", "setpassword", "smartcard", &new_password];
    road.samba_tool(&set).unwrap().success().unwrap();
    for name in ["old", "oldexempt"] {
        set_long_ago(&world, name, &new_password);
    }
    lock(&world, &road, "locked");
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    assert_eq!(summary["credentials"]["refused"], serde_json::json!([]), "{summary:#}");

    for Row { name, told, .. } in ROWS {
        let user = format!("{name}@corp.example");
        let answer = road.sign_in(name, &user, PASSWORD).unwrap();
        match told {
            None => assert_eq!(answer["account"], user, "{name}: {answer:#}"),
            Some(told) => {
                let alert = answer["alert"].as_str().unwrap_or_default();
                assert!(alert.contains(told), "{name}: {answer:#}");
                assert_eq!(answer["account"], Value::Null, "{name}: {answer:#}");
            }
        }
        // Who does not know the password is not told the state.
        if told.is_some() {
            let answer = road.sign_in(name, &user, "not-the-password").unwrap();
            let alert = answer["alert"].as_str().unwrap_or_default();
            assert!(alert.contains("password is incorrect"), "{name}: {answer:#}");
        }
    }
}

/// An administrator sets a password on a controller whose clock is a hundred days behind.
fn set_long_ago(world: &World, name: &str, new_password: &str) {
    let mut command = world.lab.command("dc1", "samba-tool").unwrap();
    command.args(["user", "setpassword", name, new_password, "-s"]);
    command.arg(portolan_lab::plan::FOREST_CONFIG);
    command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1").env("FAKETIME", "-100d");
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Somebody guesses until the forest locks the account.
fn lock(world: &World, road: &Road<'_>, name: &str) {
    use std::io::Write as _;
    for _ in 0..3 {
        let mut kinit = world.lab.command("connect", "kinit").unwrap();
        kinit.arg(name).env("KRB5CCNAME", "MEMORY:").stdin(Stdio::piped());
        let mut kinit = kinit.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        kinit.stdin.take().unwrap().write_all(b"wrong\n").unwrap();
        assert!(!kinit.wait().unwrap().success());
    }
    let show = ["user", "show", name, "--attributes=lockoutTime"];
    let shown = road.samba_tool(&show).unwrap().success().unwrap().stdout;
    let locked = shown.lines().find_map(|line| line.strip_prefix("lockoutTime: "));
    assert!(locked.is_some_and(|at| at != "0"), "{shown}");
}
