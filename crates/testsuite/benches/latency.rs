//! A password changed in the forest, until it signs in at the tenant, with the daemon running.
#![expect(clippy::unwrap_used, reason = "a measurement that fails ends by a panic")]

use std::path::Path;

use portolan_lab::{Lab, LabName, Options};
use portolan_testsuite::{Road, Stopwatch, Tools};

/// How many passwords are changed, each of another person.
const CHANGES: u32 = 20;
/// What half of them, and all but one, may take, in seconds.
const MEDIAN_BAR: f64 = 5.0;
const PERCENTILE_BAR: f64 = 8.0;

fn main() {
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("labs");
    let name: LabName = "bench-latency".parse().unwrap();
    let _ = Lab::remove(&name, &state, None);
    let options = Options { name, state, extra_users: CHANGES, ..Options::default() };
    let (lab, _) = Lab::up(&options, &mut |_| {}).unwrap();
    let lab = lab.guard();
    let work = tempfile::tempdir().unwrap();
    let mut road = Road::begin(&lab, Tools::of_bench(), work.path()).unwrap();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    let mut daemon = road.connect_daemon(&[]).unwrap();
    daemon.wait_for("with a password in scope", 1).unwrap();
    let mut stopwatch = Stopwatch::begin(&road).unwrap();
    let mut seconds: Vec<_> = (0..CHANGES)
        .map(|number| {
            let (old, new) = (format!("Pw-{number:06}!x"), format!("New-Pass-{number:06}!y"));
            let changed = stopwatch.change(&format!("u{number:06}"), &old, &new).unwrap();
            assert!(!changed.old_admitted, "the old password of u{number:06} signs in");
            changed.seconds.unwrap_or(f64::INFINITY)
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    // Of 20 sorted figures, the 10th is the median and the 19th the 95th percentile.
    figure("a changed password signs in, median, s", &seconds, seconds[9], MEDIAN_BAR);
    figure(
        "a changed password signs in, 95th percentile, s",
        &seconds,
        seconds[18],
        PERCENTILE_BAR,
    );
    daemon.stop().unwrap();
    drop(road);
    lab.down().unwrap();
}

/// The ratio is to the limit: above 1 is within it.
fn figure(name: &str, seconds: &[f64], ours: f64, limit: f64) {
    let figure = serde_json::json!({
        "figure": name,
        "ours": ours,
        "peer": "the limit",
        "theirs": limit,
        "ratio": limit / ours,
        "lowest": limit / seconds[seconds.len() - 1],
        "highest": limit / seconds[0],
        "bar": 1.0,
    });
    println!("{figure}");
}
