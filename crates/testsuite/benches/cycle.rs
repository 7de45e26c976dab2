//! Whole cycles, from a Samba forest to a tenant: the first one of a large forest, a thousand changes in a
//! large state, and how soon one change shows in Graph.
//!
//! The first cycle is held against `ldapsearch`'s fastest raw dump of the same objects and a minute for each
//! 100,000 users. A state gets large by people that no controller has ([`crowd`]).

mod crowd;

use std::error::Error;
use std::path::Path;

use portolan_testsuite::measure::{Better, BulkForest, Comparison, Manner, Peer, median, rounds};
use portolan_testsuite::{Freshness, Road};

/// What a first cycle may take beyond the dump, in seconds for each user.
const BEYOND_DUMP: f64 = 60.0 / 100_000.0;
/// Users of the forest whose changes are measured, all changed at once.
const CHANGED: u32 = 1_000;
/// A thousand changes: how often, and the most seconds that a cycle of them may take.
const CYCLES: usize = 7;
const CYCLE_SECONDS_MAX: f64 = 1.0;
/// How much longer that may take in ten times the state.
const GROWTH_MAX: f64 = 1.3;
/// Single changes, and the most seconds until half of them show in Graph.
const CHANGES: usize = 20;
const SHOWS_SECONDS_MAX: f64 = 5.0;
/// The most memory of connect, in MiB.
const MEMORY_MAX: f64 = 2_048.0;

fn main() -> Result<(), Box<dyn Error>> {
    let long = std::env::args().any(|argument| argument == "--long");
    let (users, small, large) =
        if long { (100_000, 100_000, 1_000_000) } else { (10_000, 5_000, 50_000) };
    first(users)?;
    let of_small = changes(small, false)?;
    let of_large = changes(large, true)?;
    let name = format!("a cycle of {CHANGED} changes, {large} objects beside {small}, s");
    let within: Vec<_> = of_small.iter().map(|seconds| seconds * GROWTH_MAX).collect();
    let peer = [Peer::measured(format!("{GROWTH_MAX} × that of {small}"), within)];
    less(name, &of_large, &peer);
    Ok(())
}

/// A figure of which less is better, and no more than the peer's is to be reached.
fn less(figure: String, ours: &[f64], peers: &[Peer]) {
    Comparison { figure, better: Better::Lower, bar: 1.0 }.figure(ours, peers).print();
}

fn first(users: u32) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let forest = BulkForest::up("bench-cycle", users, folder)?;
    let road = forest.road()?;
    forest.ticket()?;
    // What the domain controller reads from disk, it reads for all: once unmeasured.
    forest.ldapsearch_took(Manner::Whole)?;
    let dump = |manner| Ok::<_, Box<dyn Error>>(forest.ldapsearch_took(manner)?.as_secs_f64());
    let mut manners = [Manner::Whole, Manner::Paged].map(|manner| move || dump(manner));
    let [whole, paged] = &mut manners;
    let dumps = rounds(3, &mut [whole, paged])?;
    let fastest = dumps.iter().map(|values| median(values)).fold(f64::INFINITY, f64::min);
    let cycle = forest.cycle(&road)?;
    if cycle.exported < u64::from(users) {
        return Err(format!("{} objects were exported", cycle.exported).into());
    }
    let limit = fastest + BEYOND_DUMP * f64::from(users);
    let name = format!("first cycle of {users} users, forest to tenant, s");
    let peer = format!("raw dump by ldapsearch ({fastest:.1} s) and a minute for 100000");
    less(name, &[cycle.took.as_secs_f64()], &[Peer::measured(peer, vec![limit])]);
    let memory = cycle.peak_kib as f64 / 1024.0;
    let name = format!("peak memory of that cycle, {users} users, MiB");
    less(name, &[memory], &[Peer::limit(MEMORY_MAX, 1)]);
    Ok(())
}

/// How long cycles of a thousand changes take in a state of so many objects, in seconds.
fn changes(crowd: u64, tells: bool) -> Result<Vec<f64>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let forest = BulkForest::up("bench-cycle", CHANGED, folder)?;
    let road = forest.road()?;
    forest.cycle(&road)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(crowd::join(&road.path("connect"), crowd))?;
    let filled = forest.cycle(&road)?;
    if filled.exported < crowd {
        return Err(format!("{} of {crowd} people were exported", filled.exported).into());
    }
    let rate = filled.exported as f64 / filled.took.as_secs_f64();
    eprintln!("{crowd} objects: projected and exported in one cycle, {rate:.0}/s");
    let users: Vec<_> = (0..CHANGED).map(|number| format!("u{number:06}")).collect();
    let mut freshness = Freshness::begin(&road)?;
    let mut seconds = Vec::new();
    for round in 0..CYCLES {
        freshness.change(&users, "title", &format!("Title {round}"))?;
        let cycle = forest.cycle(&road)?;
        if cycle.exported != u64::from(CHANGED) {
            return Err(format!("{} changes were exported", cycle.exported).into());
        }
        seconds.push(cycle.took.as_secs_f64());
    }
    if tells {
        let name = format!("a cycle of {CHANGED} changes among {crowd} objects, s");
        less(name, &seconds, &[Peer::limit(CYCLE_SECONDS_MAX, CYCLES)]);
        shows(&road, &mut freshness, crowd)?;
    }
    Ok(seconds)
}

/// How soon a change shows in Graph while the daemon runs.
fn shows(road: &Road<'_>, freshness: &mut Freshness, crowd: u64) -> Result<(), Box<dyn Error>> {
    let mut daemon = road.connect_daemon(&[])?;
    daemon.wait_for("exported", 1)?;
    let mut seconds = Vec::new();
    for number in 0..CHANGES {
        let user = format!("u{number:06}");
        let value = format!("Shown {number}");
        seconds.push(freshness.shows_after(&user, ("title", "jobTitle"), &value)?);
    }
    daemon.stop()?;
    let name = format!("a change shows in Graph, {crowd} objects, median of {CHANGES}, s");
    // The rounds' own spread; the bar is about their median.
    less(name, &seconds, &[Peer::limit(SHOWS_SECONDS_MAX, CHANGES)]);
    Ok(())
}
