//! Password hash replication against Samba's own client: the reading alone, and all the way to the
//! tenant. A forest of 10,000 people more than the usual ones.
//!
//! Authentication is outside both sides' time: it runs from the first request to the last hash, and to
//! the last acknowledgement.
#![expect(clippy::unwrap_used, reason = "a measurement that fails ends by a panic")]

mod reader;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portolan_lab::{Guard, Lab, LabName, Options};
use portolan_model::Guid;
use portolan_store::state::State;
use portolan_sync::engine::{ObjectKey, Side};
use portolan_testsuite::measure::{Better, Comparison, PAIRS, Peer, rounds};
use portolan_testsuite::{ACCOUNT, ACCOUNT_PASSWORD, FOREST_DOMAIN, Road, TENANT_DOMAIN, Tools};
use serde_json::Value;

/// What tells this program that it was started in the lab.
const READ: &str = "read-in-the-lab";
/// People beyond the usual ones.
const USERS: u32 = 10_000;

fn main() {
    if std::env::args().any(|argument| argument == READ) {
        return reader::read();
    }
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("labs");
    let name: LabName = "bench-drs".parse().unwrap();
    let _ = Lab::remove(&name, &state, None);
    let options = Options { name, state, extra_users: USERS, ..Options::default() };
    let (lab, _) = Lab::up(&options, &mut |_| {}).unwrap();
    let lab = lab.guard();
    reading(&lab);
    let work = tempfile::tempdir().unwrap();
    delivering(&lab, work.path());
    lab.down().unwrap();
}

/// The time of an object, decrypted.
fn reading(lab: &Guard) {
    compare(
        ("DRSR, µs an object", "Samba's client, same attributes and page size", 0.95),
        || {
            let mut command = lab.command("connect", std::env::current_exe().unwrap()).unwrap();
            command.arg(READ);
            time(&answer(command, ""))
        },
        || time(&samba(lab)),
    );
}

/// Measures both in interleaved pairs, after one of each that does not count, and prints the figure.
fn compare(
    (figure, peer, bar): (&str, &str, f64),
    mut ours: impl FnMut() -> f64,
    mut theirs: impl FnMut() -> f64,
) {
    let mut ours = || Ok::<_, Infallible>(ours());
    let mut theirs = || Ok(theirs());
    let Ok(_) = rounds(1, &mut [&mut ours, &mut theirs]);
    let Ok(values) = rounds(PAIRS, &mut [&mut ours, &mut theirs]);
    let peer = Peer::measured(peer, values[1].clone());
    let comparison = Comparison { figure: figure.to_owned(), better: Better::Lower, bar };
    comparison.figure(&values[0], &[peer]).print();
}

/// Seconds from the first request to the last acknowledgement, against the client alone.
fn delivering(lab: &Guard, work: &Path) {
    let mut road = Road::begin(lab, Tools::of_bench(), work).unwrap();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    // At most 1.3 times as long.
    let bar = 1.0 / 1.3;
    compare(
        ("10,000 hashes from DC to tenant, s", "Samba's client, reading alone", bar),
        || {
            forget(&work.join("connect"));
            let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
            let credentials = &summary["credentials"];
            assert!(credentials["sent"].as_u64().unwrap() > u64::from(USERS), "{credentials}");
            credentials["seconds"].as_f64().unwrap()
        },
        || samba(lab)["seconds"].as_f64().unwrap(),
    );
}

/// Takes connect back to before its first replication cycle; objects stay synchronised.
fn forget(state: &Path) {
    let start = format!(r#"{{"invocation":"{}","from":[0,0,0],"up_to_date":null}}"#, Guid::NIL);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let state = State::open(&state.join("connector-space.db")).await.unwrap();
        let forest = state.connector(FOREST_DOMAIN, Side::Forest).await.unwrap();
        let target = state.connector(TENANT_DOMAIN, Side::Target).await.unwrap();
        let (mut known, mut after) = (BTreeSet::new(), ObjectKey(0));
        loop {
            let page = state.staged(forest, after, 10_000).await.unwrap();
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            known.extend(page.into_iter().map(|(_, guid, _)| guid));
        }
        let start = start.as_bytes();
        state.commit_replication_cursor(forest, target, start, &known).await.unwrap();
        assert_eq!(state.credentialed_count(target).await.unwrap(), 0);
    });
}

/// Samba's client, once.
fn samba(lab: &Guard) -> Value {
    // Debian's interpreter: Samba's bindings are built for it.
    let mut command = lab.command("connect", "/usr/bin/python3").unwrap();
    command.arg(scripts().join("drs_client.py"));
    command.args([&format!("dc1.{FOREST_DOMAIN}"), FOREST_DOMAIN, ACCOUNT]);
    command.arg(reader::PAGE_OBJECTS.to_string());
    answer(command, ACCOUNT_PASSWORD)
}

fn time(answer: &Value) -> f64 {
    assert!(answer["hashes"].as_u64().unwrap() > u64::from(USERS), "{answer}");
    1e6 * answer["seconds"].as_f64().unwrap() / answer["objects"].as_f64().unwrap()
}

fn answer(mut command: Command, input: &str) -> Value {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?} failed", command.get_program());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}
