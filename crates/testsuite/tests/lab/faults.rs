//! What breaks in the forest while connect works, and that nothing is lost or doubled by it.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_chart::{Chart, Flow, flow};
use portolan_lab::End;
use portolan_testsuite::{FOREST_DOMAIN, Outcome, Road};

use crate::holdings::{Forest, Tenant, connector_space_equals};
use crate::world::World;

/// People beyond the forest's own, so that a read has a middle.
const PEOPLE: usize = 300;
/// Octets that a controller sends before it stalls: a bind has come to its end, a read has not.
const STALL_AFTER_OCTETS: u32 = 48 * 1024;
const CONTROLLERS: [&str; 2] = ["dc1", "dc2"];
/// How long is waited for what has to happen.
const WAIT_TIME_MAX: Duration = Duration::from_secs(60);
/// How long connect may take to leave a controller that fell silent while it was read.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(25);

#[test]
fn with_either_controller_gone_the_other_is_read_and_the_tenant_is_the_same() {
    let world = World::with_two_controllers("either");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    for (gone, added) in [("dc2", true), ("dc1", false)] {
        world.lab.stop_controller(gone, End::Hard).unwrap();
        let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
        assert_eq!(summary["added"] != 0, added, "without {gone}: {summary:#}");
        for count in ["updated", "deleted"] {
            assert_eq!(summary[count], 0, "without {gone}, {count}: {summary:#}");
        }
        world.lab.start_controller(gone).unwrap();
    }
    both_ends_are_equal(&road);
    let capture = world.lab.capture().unwrap();
    assert!(capture.off_chart.is_empty(), "{:#?}", capture.off_chart);
}

#[test]
fn a_controller_that_ends_or_falls_silent_in_mid_read_is_followed_by_the_other_in_the_same_run() {
    let world = World::with_two_controllers("mid-read");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    change_everybody(&world, &road, "add");
    let run = ["connect", "run", "--once", "--json"];
    let import = ["connect", "import", "--full", "--json"];

    // In mid-replication, of a first run.
    let (ended, outcome) = end_in_the_middle(&world, &road, flow::CONNECT_AD_RPC, &run);
    let note = format!("connect -> {ended}.{FOREST_DOMAIN}: Table 1, RPC");
    let said = outcome.stderr.lines().find(|line| line.contains(&note));
    assert!(said.is_some_and(|line| line.contains("once more")), "{note}: {}", outcome.stderr);
    let summary = outcome.success().unwrap().json().unwrap();
    assert_eq!(summary["credentials"]["refused"], serde_json::json!([]), "{summary:#}");
    comes_back(&world, ended);
    both_ends_are_equal(&road);

    // In mid-import.
    let (ended, outcome) = end_in_the_middle(&world, &road, flow::CONNECT_AD_LDAP, &import);
    assert_went_on(&outcome, ended, "was broken off by the peer");
    comes_back(&world, ended);
    nothing_is_left_to_do(&road);

    // Silent in mid-import: nobody says that it is over.
    let (silent, outcome, took) = silence_in_the_middle(&world, &road, &import);
    assert_went_on(&outcome, silent, "is filtered (no answer in ");
    assert!(took < SILENCE_TIME_MAX, "{took:?}: {}", outcome.stderr);
    assert!(world.lab.unsilence(silent).unwrap());
    nothing_is_left_to_do(&road);

    the_daemon_leaves_a_controller_that_falls_silent_in_mid_replication(&world, &road);
}

/// Starts a controller that ended, and brings it what was changed at the other one: as long as it lacks that, it is not
/// read in full.
fn comes_back(world: &World, ended: &str) {
    world.lab.start_controller(ended).unwrap();
    let other = if ended == "dc1" { "dc2" } else { "dc1" };
    world.replicate(ended, other);
}

fn the_daemon_leaves_a_controller_that_falls_silent_in_mid_replication(
    world: &World,
    road: &Road<'_>,
) {
    change_everybody(world, road, "modify");
    let stall = Stall::begin(world, flow::CONNECT_AD_RPC);
    let mut daemon = road.connect_daemon(&[]).unwrap();
    let silent = stall.wait();
    world.lab.silence(silent).unwrap();
    let began = Instant::now();
    drop(stall);
    let other = if silent == "dc1" { "dc2" } else { "dc1" };
    let again = format!("password hashes are replicated again, from {other}");
    let said = daemon.wait_for(&again, 1).unwrap();
    assert!(began.elapsed() < SILENCE_TIME_MAX, "{:?}: {said}", began.elapsed());
    let named = format!("error: connect -> {silent}.{FOREST_DOMAIN}: Table 1, RPC");
    assert!(said.contains(&named), "{named}: {said}");
    assert!(world.lab.unsilence(silent).unwrap());
    let (status, said) = daemon.stop().unwrap();
    assert!(status.success(), "{status}: {said}");
    nothing_is_left_to_do(road);
}

/// Starts connect, ends the controller that it reads as soon as it stalls in the middle, and gives that
/// controller with what connect came to.
fn end_in_the_middle(
    world: &World,
    road: &Road<'_>,
    of: Flow,
    words: &[&str],
) -> (&'static str, Outcome) {
    let stall = Stall::begin(world, of);
    let run = start(world, road, words);
    let stalled = stall.wait();
    world.lab.stop_controller(stalled, End::Hard).unwrap();
    drop(stall);
    (stalled, finish(run, words))
}

/// The same with a controller that falls silent; and how long connect took from then on.
fn silence_in_the_middle(
    world: &World,
    road: &Road<'_>,
    words: &[&str],
) -> (&'static str, Outcome, Duration) {
    let stall = Stall::begin(world, flow::CONNECT_AD_LDAP);
    let run = start(world, road, words);
    let stalled = stall.wait();
    world.lab.silence(stalled).unwrap();
    let began = Instant::now();
    drop(stall);
    let outcome = finish(run, words);
    (stalled, outcome, began.elapsed())
}

fn start(world: &World, road: &Road<'_>, words: &[&str]) -> std::process::Child {
    let mut command = world.lab.command("connect", &world.tools.portolan).unwrap();
    command.args(words).arg("--state").arg(road.path("connect")).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(run: std::process::Child, words: &[&str]) -> Outcome {
    let output = run.wait_with_output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Outcome { what: words.join(" "), status: output.status, stdout, stderr }
}

/// The full read was begun anew, and the note names the controller, the row and the fault.
fn assert_went_on(outcome: &Outcome, left: &str, fault: &str) {
    let note = format!("note: connect -> {left}.{FOREST_DOMAIN}: Table 1, LDAP");
    let said = outcome.stderr.lines().find(|line| line.contains(&note));
    let went_on = |line: &str| line.contains(fault) && line.contains("going on elsewhere");
    assert!(said.is_some_and(went_on), "{note}: {}", outcome.stderr);
    let summary = outcome.clone().success().unwrap().json().unwrap();
    assert_eq!(summary["imported"]["full"], true, "{summary:#}");
    assert_eq!(summary["imported"]["removed"], 0, "{summary:#}");
}

/// What a run without the fault would have left is there already.
fn nothing_is_left_to_do(road: &Road<'_>) {
    let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
    for count in ["added", "updated", "deleted"] {
        assert_eq!(summary[count], 0, "{count}: {summary:#}");
    }
    assert_eq!(summary["credentials"]["sent"], 0, "{summary:#}");
    both_ends_are_equal(road);
}

fn both_ends_are_equal(road: &Road<'_>) {
    let forest = Forest::read(road);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(connector_space_equals(road, &forest));
    let tenant = runtime.block_on(Tenant::read(road));
    tenant.equals(&forest);
    tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
}

/// Adds everybody at `dc1`, or gives everybody another password there, and brings
/// that to `dc2`.
fn change_everybody(world: &World, road: &Road<'_>, verb: &str) {
    let octets: Vec<u8> =
        format!("\"{verb}-Pass!word1\"").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let password = STANDARD.encode(octets);
    let mut changes = String::new();
    for n in 0..PEOPLE {
        writeln!(changes, "dn: CN=crowd{n},CN=Users,DC=corp,DC=example\nchangetype: {verb}")
            .unwrap();
        if verb == "add" {
            let words = format!("objectClass: user\nsAMAccountName: crowd{n}");
            writeln!(changes, "{words}\nuserAccountControl: 512\nunicodePwd:: {password}\n")
                .unwrap();
        } else {
            writeln!(changes, "replace: unicodePwd\nunicodePwd:: {password}\n").unwrap();
        }
    }
    road.ldapmodify(&changes).unwrap();
    world.replicate("dc2", "dc1");
}

/// Both controllers stall: what they send by a flow's row beyond some octets is dropped, until this is.
struct Stall<'w> {
    world: &'w World,
}

impl<'w> Stall<'w> {
    fn begin(world: &'w World, of: Flow) -> Self {
        let chart = Chart::default_edition();
        let ports = chart.row(of).unwrap().ports_text();
        let rules = format!(
            "table netdev stall {{\nchain egress {{\ntype filter hook egress device \"eth0\" priority 1\n\
             tcp sport {{ {ports} }} quota over {STALL_AFTER_OCTETS} bytes counter drop\n}}\n}}\n"
        );
        for controller in CONTROLLERS {
            nft(world, controller, &[&rules]);
        }
        Self { world }
    }

    /// Waits until one of them has stalled.
    fn wait(&self) -> &'static str {
        let until = Instant::now() + WAIT_TIME_MAX;
        loop {
            for controller in CONTROLLERS {
                let listed = nft(self.world, controller, &["list", "table", "netdev", "stall"]);
                if !listed.contains("counter packets 0 ") {
                    return controller;
                }
            }
            assert!(Instant::now() < until, "neither controller sends so much");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        for controller in CONTROLLERS {
            nft(self.world, controller, &["delete", "table", "netdev", "stall"]);
        }
    }
}

fn nft(world: &World, host: &str, words: &[&str]) -> String {
    let done = world.lab.command(host, "nft").unwrap().args(words).output().unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}
