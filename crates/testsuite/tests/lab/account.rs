//! The service account: from a password and from keytabs, with few questions to the KDC, never locked.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_chart::flow;
use portolan_testsuite::{ACCOUNT, ACCOUNT_PASSWORD, Outcome, Road};

use crate::world::World;

const SYNCHRONISATIONS: usize = 3;

/// The account's password after it was changed in the forest.
const RENEWED: &str = "Renewed-Svc-C0nnect!";

#[test]
fn one_proof_of_the_password_serves_many_synchronisations_and_a_refused_one_is_tried_once() {
    let world = World::up("account");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    // Without a threshold the directory does not count.
    let count = ["domain", "passwordsettings", "set", "--account-lockout-threshold=10"];
    road.samba_tool(&count).unwrap().success().unwrap();

    let before = named_to_the_kdc(&world);
    road.connect_run().unwrap().success().unwrap();
    let once = named_to_the_kdc(&world) - before;
    assert!(once > 0, "the account is named to the KDC");
    synchronise_many_times(&world, &road);
    let many = named_to_the_kdc(&world) - before - once;
    assert_eq!(many, once, "{SYNCHRONISATIONS} synchronisations ask as often as one");

    let file = road.path("account.password");
    let offer = ("--password-file", file.as_path());
    std::fs::write(&file, "not-the-password").unwrap();
    assert_refused(&road.credential_set(offer).unwrap(), "KDC_ERR_PREAUTH_FAILED");
    assert_eq!(bad_passwords(&road), "1");
    let asked = named_to_the_kdc(&world);
    assert_refused(&road.credential_set(offer).unwrap(), "is not tried again");
    assert_eq!(named_to_the_kdc(&world), asked, "the KDC was not asked");
    // What was refused took no one's place, and a file is not needed.
    std::fs::remove_file(&file).unwrap();
    road.connect_run().unwrap().success().unwrap();
    // A success sets the directory's count back.
    assert_eq!(bad_passwords(&road), "0");
    a_password_that_the_forest_changed_is_tried_once(&world, &road, &file);
    for password in [ACCOUNT_PASSWORD, RENEWED] {
        assert_nowhere(&road.path("connect"), password.as_bytes());
    }
}

/// The sealed password is refused once; then nothing asks again until another one is given, with which
/// the daemon that was refused goes on.
fn a_password_that_the_forest_changed_is_tried_once(world: &World, road: &Road<'_>, file: &Path) {
    let new_password = format!("--newpassword={RENEWED}");
    road.samba_tool(&["user", "setpassword", ACCOUNT, &new_password]).unwrap().success().unwrap();
    let mut daemon = road.connect_daemon(&["--interval", "1"]).unwrap();
    let said = daemon.wait_for("waiting until the account has another secret", 1).unwrap();
    assert_eq!(said.matches("KDC_ERR_PREAUTH_FAILED").count(), 1, "{said}");
    let asked = named_to_the_kdc(world);
    let state = road.path("connect");
    for command in [&["run", "--once"][..], &["run", "--interval", "1"], &["plan"]] {
        let words = ["connect"].iter().chain(command).chain(&["--state"]);
        let words = words.map(std::ffi::OsStr::new).chain([state.as_os_str()]);
        assert_refused(&road.portolan("connect", words).unwrap(), "is not tried again");
    }
    let enrolment = road.enrolment().unwrap();
    let init = road.connect_init(&enrolment, (ACCOUNT, ACCOUNT_PASSWORD)).unwrap();
    assert_refused(&init, "is not tried again");
    assert_eq!(named_to_the_kdc(world), asked, "the KDC was not asked");

    std::fs::write(file, RENEWED).unwrap();
    road.credential_set(("--password-file", file)).unwrap().success().unwrap();
    std::fs::remove_file(file).unwrap();
    let said = daemon.wait_for(" exported ", 2).unwrap();
    assert!(said.contains("the account has another secret"), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(daemon.stop().unwrap().0.success());
    road.connect_run().unwrap().success().unwrap();
}

/// No file below a directory has a secret: as it is, in UTF-16, in hexadecimal, in base64 wherever a
/// text of that begins.
fn assert_nowhere(directory: &Path, secret: &[u8]) {
    let hexadecimal = hex::encode(secret);
    let wide = secret.iter().flat_map(|octet| [*octet, 0]).collect();
    let mut forms =
        vec![secret.to_vec(), wide, hexadecimal.to_uppercase().into(), hexadecimal.into()];
    for before in 0..3 {
        let text = STANDARD.encode([vec![0; before], secret.to_vec()].concat());
        // The first four digits and the last four are of its neighbours too.
        forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
    }
    let mut files = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            files += 1;
            let octets = std::fs::read(&path).unwrap();
            for form in &forms {
                let is_in = octets.windows(form.len()).any(|window| window == form);
                assert!(!is_in, "{} has the secret", path.display());
            }
        }
    }
    assert!(files >= 3, "{files} files were looked at");
}

#[test]
fn keytabs_of_samba_and_of_mit_krb5_serve_as_well_as_the_password() {
    let world = World::up("keytab");
    let mut road = world.road();
    road.tenant_up().unwrap();
    let samba = road.path("samba.keytab");
    export(&road, &samba);
    let enrolment = road.enrolment().unwrap();
    let init = road.connect_init_from(&enrolment, ACCOUNT, ("--keytab", &samba)).unwrap();
    init.success().unwrap();
    road.connect_run().unwrap().success().unwrap();
    nothing_of_the_host_changes_the_realm_or_the_kdc(&world, &road);
    let config = std::fs::read_to_string(road.path("connect").join("connect.toml")).unwrap();
    assert!(!config.contains("keytab") && !config.contains("password"), "{config}");
    assert_nowhere(&road.path("connect"), &key_of(&samba));

    let password = RENEWED;
    let new_password = format!("--newpassword={password}");
    road.samba_tool(&["user", "setpassword", ACCOUNT, &new_password]).unwrap().success().unwrap();
    let outcome = road.connect_run().unwrap();
    assert_refused(&outcome, "KDC_ERR_PREAUTH_FAILED");
    let hint = outcome.failure().1.unwrap_or_default().to_owned();
    assert!(hint.contains("the keytab holds kvno "), "{hint}");

    mit_keytab(&world, &samba, password);
    road.credential_set(("--keytab", &samba)).unwrap().success().unwrap();
    road.connect_run().unwrap().success().unwrap();

    export(&road, &samba);
    road.credential_set(("--keytab", &samba)).unwrap().success().unwrap();
    let key = key_of(&samba);
    std::fs::remove_file(&samba).unwrap();
    road.connect_run().unwrap().success().unwrap();
    assert_nowhere(&road.path("connect"), &key);
    assert_eq!(world.lab.capture().unwrap().off_chart.len(), 0);
}

/// The AES-256 key in a keytab: behind its type, 18, and its length.
fn key_of(keytab: &Path) -> Vec<u8> {
    let octets = std::fs::read(keytab).unwrap();
    let at = octets.windows(4).position(|window| window == [0, 18, 0, 32]).unwrap();
    octets[at + 4..at + 36].to_vec()
}

/// A krb5.conf and variables that would lead other clients to another realm and another KDC.
fn nothing_of_the_host_changes_the_realm_or_the_kdc(world: &World, road: &Road<'_>) {
    let hostile = road.path("hostile-krb5.conf");
    let text = "[libdefaults]\n default_realm = EVIL.EXAMPLE\n[domain_realm]\n \
                corp.example = EVIL.EXAMPLE\n .corp.example = EVIL.EXAMPLE\n[realms]\n \
                CORP.EXAMPLE = {\n  kdc = 192.0.2.1\n }\n";
    std::fs::write(&hostile, text).unwrap();
    let mut command = world.lab.command("connect", &world.tools.portolan).unwrap();
    command.args(["connect", "run", "--once", "--state"]).arg(road.path("connect"));
    command.env("KRB5_CONFIG", &hostile).env("SSPI_KDC_URL", "tcp://192.0.2.1");
    command.env("SSPI_KDC_URL_CORP_EXAMPLE", "tcp://192.0.2.1");
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn assert_refused(outcome: &Outcome, said: &str) {
    assert!(!outcome.status.success(), "{}", outcome.stderr);
    let (error, hint) = outcome.failure();
    let error = error.unwrap_or_else(|| panic!("no error line in {}", outcome.stderr));
    assert!(error.contains(said), "{error}");
    assert!(hint.is_some(), "{error} without a hint");
}

/// How often the account was named on the row of Kerberos: in each AS-REQ, AS-REP and TGS-REP.
fn named_to_the_kdc(world: &World) -> usize {
    let capture = world.lab.capture().unwrap();
    capture.search(&[ACCOUNT.as_bytes().to_vec()], &[flow::CONNECT_AD_KERBEROS]).len()
}

/// Runs the daemon until it has synchronised often enough.
fn synchronise_many_times(world: &World, road: &Road<'_>) {
    let mut command = world.lab.command("connect", &world.tools.portolan).unwrap();
    command.args(["connect", "run", "--interval", "1", "--state"]).arg(road.path("connect"));
    let mut daemon =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    let mut done = 0;
    for line in BufReader::new(daemon.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        writeln!(said, "{line}").unwrap();
        done += usize::from(line.contains(" exported "));
        if done == SYNCHRONISATIONS {
            break;
        }
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(done, SYNCHRONISATIONS, "{said}");
}

fn bad_passwords(road: &Road<'_>) -> String {
    let show = ["user", "show", ACCOUNT, "--attributes=badPwdCount"];
    let shown = road.samba_tool(&show).unwrap().success().unwrap().stdout;
    let count = shown.lines().find_map(|line| line.strip_prefix("badPwdCount: "));
    count.unwrap_or_else(|| panic!("no badPwdCount in {shown}")).to_owned()
}

/// Samba's own export, into a new file.
fn export(road: &Road<'_>, file: &Path) {
    let _ = std::fs::remove_file(file);
    let principal = format!("--principal={ACCOUNT}@CORP.EXAMPLE");
    let file_word = file.to_str().unwrap();
    let exported = road.samba_tool(&["domain", "exportkeytab", file_word, &principal]);
    exported.unwrap().success().unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(file, private).unwrap();
}

/// A keytab of MIT's ktutil, from the password, under a version that the directory does not have: it
/// is the key that counts.
fn mit_keytab(world: &World, file: &Path, password: &str) {
    std::fs::remove_file(file).unwrap();
    let mut ktutil = world.lab.command("connect", "ktutil").unwrap();
    let mut ktutil = ktutil.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let add = format!(
        "addent -password -p {ACCOUNT}@CORP.EXAMPLE -k 77 -e aes256-cts -s CORP.EXAMPLE{ACCOUNT}"
    );
    let script = format!("{add}\n{password}\nwkt {}\nq\n", file.display());
    ktutil.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(ktutil.wait().unwrap().success());
}
