//! Labs as their users see them. Needs root and the packages that `cargo xtask setup` installs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod authority;
mod controllers;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use portolan_chart::flow;
use portolan_lab::{Controllers, Guard, How, Lab, LabError, LabName, Options, Started, plan};

const SERVICE_PASSWORD: &str = "Svc-C0nnect!";

/// A directory of this build's own, so that another checkout's tests do not meet these.
fn state() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("labs")
}

fn name(name: &str) -> LabName {
    name.parse().unwrap()
}

/// A new lab; one of the same name that an earlier, killed run left behind is taken away first.
fn up(lab: &str) -> Guard {
    up_with(lab, Controllers::One)
}

fn up_with(lab: &str, controllers: Controllers) -> Guard {
    match Lab::remove(&name(lab), &state(), None) {
        Ok(()) | Err(LabError::NotRunning { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let (lab, started) = again_with(lab, controllers);
    assert_eq!(started, Started::Anew);
    lab.guard()
}

fn again(lab: &str) -> (Lab, Started) {
    again_with(lab, Controllers::One)
}

fn again_with(lab: &str, controllers: Controllers) -> (Lab, Started) {
    let options = Options { name: name(lab), state: state(), controllers, ..Options::default() };
    Lab::up(&options, &mut |_| {}).unwrap()
}

fn run(lab: &Lab, host: &str, command: &[&str], input: &str) -> Output {
    let (program, arguments) = command.split_first().unwrap();
    let mut child = lab
        .command(host, program)
        .unwrap()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a command says, if it succeeds.
fn says(lab: &Lab, host: &str, command: &[&str], input: &str) -> String {
    let output = run(lab, host, command, input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{host}: {command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asks the forest, sealed, with the tickets of `kinit`.
fn search(lab: &Lab, arguments: &[&str]) -> String {
    let server = ["ldapsearch", "-LLL", "-Q", "-Y", "GSSAPI", "-o", "ldif-wrap=no"];
    let place = ["-H", "ldap://dc1.corp.example", "-b", "DC=corp,DC=example"];
    says(lab, "connect", &[&server[..], &place[..], arguments].concat(), "")
}

/// How long an answer may take, in seconds: this machine may have other things to do.
const PATIENCE: u64 = 10;

/// Whether a host reaches the forest's LDAP port.
fn reaches_ldap(lab: &Lab, host: &str, address: &str) -> bool {
    reaches_ldap_within(PATIENCE, lab, host, address)
}

fn reaches_ldap_within(seconds: u64, lab: &Lab, host: &str, address: &str) -> bool {
    let url = format!("ldap://{address}");
    let patience = format!("nettimeout={seconds}");
    let ask = ["ldapsearch", "-x", "-LLL", "-o", &patience, "-H", &url, "-s", "base", "-b", ""];
    run(lab, host, &ask, "").status.success()
}

#[test]
fn the_sync_server_s_account_reads_deletions_and_nothing_goes_off_the_chart() {
    let lab = up("reads");
    assert_eq!(again("reads").1, Started::Already);

    says(&lab, "connect", &["kinit", "svc_connect@CORP.EXAMPLE"], SERVICE_PASSWORD);
    let dirsync = ["-E", "!dirSync=0/0", "(sAMAccountName=gustav)", "isDeleted", "lastKnownParent"];
    let tombstone = search(&lab, &dirsync);
    assert!(tombstone.contains("isDeleted: TRUE"), "{tombstone}");
    assert!(tombstone.contains("DEL:"), "{tombstone}");
    // The account's keys open the same door as its password.
    says(&lab, "connect", &["kinit", "-k", "-t", plan::SERVICE_KEYTAB, "svc_connect"], "");
    assert!(search(&lab, &["(sAMAccountName=bob)", "cn"]).contains("cn: Bob Baker"));
    // Both families, and names of the tenant by way of the forest.
    assert!(reaches_ldap(&lab, "connect", "10.77.0.10"));
    assert!(reaches_ldap(&lab, "connect", "[fd77::10]"));
    let sites = says(&lab, "ws1", &["getent", "ahosts", "login.cloud.example"], "");
    assert!(sites.contains("192.0.2.10") && sites.contains("2001:db8:77::10"), "{sites}");
    // A program's exit status is its own.
    assert_eq!(run(&lab, "tenant", &["sh", "-c", "exit 7"], "").status.code(), Some(7));

    let capture = lab.capture().unwrap();
    assert_eq!(capture.off_chart, []);
    for flow in [flow::CONNECT_AD_LDAP, flow::CONNECT_AD_KERBEROS, flow::WORKSTATION_FOREST_DNS] {
        assert!(capture.packets(flow) > 0, "{flow}");
    }
    // The wire was sealed, and the search for leaks finds what is there.
    assert_eq!(capture.search(&[b"gustav".to_vec()], &[]), []);
    assert_ne!(capture.search(&[b"\x05login\x05cloud".to_vec()], &[flow::FOREST_RESOLVER_DNS]), []);
    lab.down().unwrap();
}

#[test]
fn a_person_s_account_has_neither_right_of_the_sync_server() {
    let lab = up("rights");
    says(&lab, "connect", &["kinit", "bob@CORP.EXAMPLE"], "B0b-Pass!word");
    let dirsync = "ldapsearch -LLL -Q -Y GSSAPI -H ldap://dc1.corp.example -b DC=corp,DC=example \
        -E !dirSync=0/0 (cn=alice) dn";
    let refused = run(&lab, "connect", &dirsync.split_whitespace().collect::<Vec<_>>(), "");
    assert_eq!(refused.status.code(), Some(50), "insufficientAccessRights");
    // The sync server's account is in no group and was given two extended rights on the domain.
    let account = search(&lab, &["(sAMAccountName=svc_connect)", "memberOf"]);
    assert!(!account.contains("memberOf"), "{account}");
    let sid = "S-1-5-21-1111111111-2222222222-3333333333";
    let list = ["samba-tool", "dsacl", "get", "--configfile=/run/samba/forest/etc/smb.conf"];
    let domain = "--objectdn=DC=corp,DC=example";
    let url = ["-H", "/run/samba/forest/private/sam.ldb", domain];
    let entries = says(&lab, "dc1", &[&list[..], &url[..]].concat(), "");
    let given: Vec<_> = entries
        .split(['(', ')'])
        .filter(|entry| entry.contains(sid) && entry.starts_with("OA;;CR;1131f6a"))
        .collect();
    assert_eq!(given.len(), 2, "{given:?}");
    lab.down().unwrap();
}

#[test]
fn a_closed_row_stops_its_packets_alone_and_opens_again() {
    let lab = up("rows");
    let domain_controller = "dc1.corp.example";
    lab.close(flow::CONNECT_AD_LDAP, How::Reject).unwrap();
    let start = Instant::now();
    assert!(!reaches_ldap(&lab, "connect", domain_controller));
    assert!(start.elapsed() < Duration::from_secs(PATIENCE), "a rejection is not waited out");
    says(&lab, "connect", &["kinit", "alice@CORP.EXAMPLE"], "Al1ce-Pass!");
    let status = lab.status().unwrap();
    assert_eq!(status.hosts[0].closed, [flow::CONNECT_AD_LDAP.name()]);

    lab.close(flow::CONNECT_AD_LDAP, How::Drop).unwrap();
    let start = Instant::now();
    assert!(!reaches_ldap_within(1, &lab, "connect", "10.77.0.10"));
    assert!(start.elapsed() >= Duration::from_secs(1), "a dropped packet is never answered");

    assert!(lab.open(flow::CONNECT_AD_LDAP).unwrap());
    assert!(!lab.open(flow::CONNECT_AD_LDAP).unwrap());
    assert!(reaches_ldap(&lab, "connect", domain_controller));
    let unused = lab.close(flow::HEALTH_TENANT_BUS, How::Reject).unwrap_err();
    assert!(matches!(unused, LabError::UnknownFlow { .. }), "{unused}");

    // What has no row is stopped where it starts, and counted.
    assert!(!reaches_ldap(&lab, "ws1", "10.77.0.10"));
    let status = lab.status().unwrap();
    let workstation = status.hosts.iter().find(|host| host.name == "ws1").unwrap();
    let stopped = workstation.stopped.iter().find(|stopped| stopped.way == "out").unwrap();
    assert!(stopped.packets > 0);
    assert_eq!(lab.capture().unwrap().off_chart, []);

    // Without its firewall a host's packets are on the wire, and the capture lists them.
    says(&lab, "ws1", &["nft", "flush", "ruleset"], "");
    assert!(!reaches_ldap_within(1, &lab, "ws1", "10.77.0.10"));
    let off_chart = lab.capture().unwrap().off_chart;
    assert!(off_chart.iter().any(|it| it.packet.contains("tcp 10.77.0.30:")), "{off_chart:?}");
    lab.down().unwrap();
}

#[test]
fn two_labs_run_side_by_side_and_each_goes_alone() {
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| up_with("first", Controllers::Two));
        let second = up_with("second", Controllers::Two);
        (first.join().unwrap(), second)
    });
    for controller in ["dc1.corp.example", "dc2.corp.example"] {
        assert!(reaches_ldap(&first, "connect", controller));
        assert!(reaches_ldap(&second, "connect", controller));
    }
    let processes: Vec<_> = first.status().unwrap().hosts.iter().map(|host| host.pid).collect();
    first.down().unwrap();
    for process in processes {
        assert!(!Path::new(&format!("/proc/{process}")).exists());
    }
    assert!(!state().join("first").exists());
    assert!(reaches_ldap(&second, "connect", "dc1.corp.example"));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(state().to_str().unwrap()), "{mounts}");

    // A lab that lost a host is named as broken, and the next `up` makes it anew.
    let controller = second.status().unwrap().hosts[0].pid;
    let kill = std::process::Command::new("kill").args(["-KILL", &controller.to_string()]).status();
    assert!(kill.is_ok());
    while Path::new(&format!("/proc/{controller}")).exists() {
        std::thread::yield_now();
    }
    let broken = Lab::attach(&name("second"), &state()).unwrap_err();
    assert_eq!(broken.to_string(), "the lab second is broken: dc1 is gone");
    let (second_again, started) = again_with("second", Controllers::Two);
    assert_eq!(started, Started::Anew);
    assert!(reaches_ldap(&second_again, "connect", "dc1.corp.example"));
    second_again.guard().down().unwrap();
    assert!(!state().join("second").exists());
    drop(second);
}
