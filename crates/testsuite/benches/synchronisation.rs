//! The synchronisation at its size: a full one in which nothing changes, on two cores, held against one of
//! two processes and against a bare scan; the first projection, held against the store alone; and what a
//! small change costs in a large directory.
//!
//! The real driver runs over a real state. What is measured runs in processes of their own, so that the
//! memory is that of the synchronisation, and so that two can be compared with one.
//!
//! `--long`: 1,000,000 users and 50,000 groups, which takes half an hour and 12 GB below `TMPDIR`.
//! `--at FOLDER` keeps the states there, and measures those that are there already: all but the first
//! projection, which happens once.

#[path = "synchronisation/child.rs"]
mod child;
#[path = "synchronisation/directory.rs"]
mod directory;
#[path = "synchronisation/projection.rs"]
mod projection;

use std::error::Error;
use std::path::Path;

use portolan_app::report::Failure;
use portolan_testsuite::measure::{Better, Comparison, Peer, rounds};

use self::child::{Told, What};
use self::directory::{Directory, Size};

/// Rounds of each comparison.
const ROUNDS: usize = 3;
/// Rounds of the full synchronisation, of which the first reads from the disk.
const FULL_ROUNDS: usize = 5;
/// Users that a delta is about.
const DELTA: u64 = 1_000;

type Failed = Box<dyn Error>;

fn failed(failure: Failure) -> Failed {
    failure.render().into()
}

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(task) = child::task(&arguments)? {
        return task.run();
    }
    let long = arguments.iter().any(|argument| argument == "--long");
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse::<u64>().ok());
    let users = numbers.next().unwrap_or(if long { 1_000_000 } else { 40_000 });
    // A tenth of them has to have as many as change.
    let users = users.max(10 * DELTA);
    let size = Size { users, groups: users / 20 };
    let kept = arguments.iter().skip_while(|argument| *argument != "--at").nth(1);
    let temporary = tempfile::tempdir()?;
    let folder = kept.map_or(temporary.path(), Path::new);

    let place = |name: &str| folder.join(name);
    if !place("whole").exists() {
        make(folder, size)?;
    }
    on_disk(&place("whole"), size)?;
    full(&place("whole"), &place("half"), &place("other-half"), size)?;
    delta(&place("whole"), &place("tenth"), size)?;
    one_member(&place("whole"), size)
}

/// The whole directory, its halves and a tenth of it, each with nothing left to do.
fn make(folder: &Path, size: Size) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let place = |name: &str| folder.join(name);
    let whole = runtime.block_on(Directory::import(&place("whole"), size))?;
    runtime.block_on(whole.close());
    first_projection(&runtime, &place("whole"), &place("copy"), size)?;
    std::fs::remove_dir_all(place("copy"))?;
    for (name, users) in
        [("half", size.users / 2), ("other-half", size.users / 2), ("tenth", size.users / 10)]
    {
        let size = Size { users, groups: users / 20 };
        let part = runtime.block_on(Directory::import(&place(name), size))?;
        runtime.block_on(part.close());
        child::measure(What::Synchronise, &place(name), None)?;
    }
    for name in ["whole", "half", "other-half", "tenth"] {
        child::measure(What::Confirm, &place(name), None)?;
    }
    Ok(())
}

fn print(figure: &str, better: Better, bar: f64, ours: &[f64], peer: Peer) {
    let comparison = Comparison { figure: figure.to_owned(), better, bar };
    comparison.figure(ours, &[peer]).print();
}

/// All users and groups made in the metaverse and for the target, each batch durable.
fn first_projection(
    runtime: &tokio::runtime::Runtime,
    whole: &Path,
    copy: &Path,
    size: Size,
) -> Result<(), Failed> {
    std::fs::create_dir(copy)?;
    std::fs::copy(whole.join(directory::FILE), copy.join(directory::FILE))?;
    let told = child::measure(What::Synchronise, whole, None)?;
    let alone = runtime.block_on(projection::store_alone(whole, copy))?;
    let ours = size.objects() / told.seconds;
    println!("first projection: {:.0} CPU µs an object", told.cpu_of(size.objects()));
    let peer = Peer::measured("the store alone", vec![size.objects() / alone]);
    let name = format!("first projection of {} objects, durable, objects/s", size.objects());
    print(&name, Better::Higher, 0.6, &[ours], peer);
    Ok(())
}

fn on_disk(whole: &Path, size: Size) -> Result<(), Failed> {
    let octets = std::fs::metadata(whole.join(directory::FILE))?.len() as f64 / size.objects();
    let peer = Peer::limit(3_072.0, 1);
    let name = format!("state of {} objects", size.objects());
    print(&format!("{name} on disk, octets an object"), Better::Lower, 1.0, &[octets], peer);
    let opened: Vec<f64> = (0..ROUNDS)
        .map(|_| Ok(child::measure(What::Open, whole, None)?.seconds * 1e3))
        .collect::<Result<_, Failed>>()?;
    let limit = Peer::limit(2_000.0, ROUNDS);
    print(&format!("{name} opened, ms"), Better::Lower, 1.0, &opened, limit);
    Ok(())
}

/// Every rule for every object, and nothing changes.
fn full(whole: &Path, half: &Path, other: &Path, size: Size) -> Result<(), Failed> {
    let (mut cpu, mut peak) = (Vec::new(), Vec::new());
    let mut ours = || {
        let told = child::measure(What::Synchronise, whole, None)?;
        cpu.push(told.cpu_of(told.objects));
        peak.push(told.peak_mib);
        Ok::<_, Failed>(told.objects / told.seconds)
    };
    let mut apart = || {
        let told = child::both(What::Synchronise, [half, other])?;
        Ok(told.iter().map(|told| told.objects / told.seconds).sum())
    };
    let mut bare = || {
        let told = child::measure(What::Scan, whole, None)?;
        println!("bare scan: {:.1} CPU µs an object", told.cpu_of(told.objects));
        Ok(told.objects / told.seconds)
    };
    let values = rounds(FULL_ROUNDS, &mut [&mut ours, &mut apart, &mut bare])?;
    let [rate, apart, bare] = values.as_slice() else { return Ok(()) };
    let limit = |value| Peer::limit(value, FULL_ROUNDS);
    let name = format!("full synchronisation of {} objects, nothing changes", size.objects());
    print(&format!("{name}, objects/s on all cores"), Better::Higher, 1.0, rate, limit(50_000.0));
    // What two cores have for each of as many objects.
    print(&format!("{name}, CPU µs an object"), Better::Lower, 1.0, &cpu, limit(40.0));
    print(&format!("{name}, MiB at the peak"), Better::Lower, 1.0, &peak, limit(2_048.0));
    let peer = Peer::measured("two processes of a core and half the state each", apart.clone());
    print(&format!("{name}, objects/s beside two processes"), Better::Higher, 0.85, rate, peer);
    let peer = Peer::measured("a bare scan of the state", bare.clone());
    print(&format!("{name}, objects/s beside a scan"), Better::Higher, 0.3, rate, peer);
    Ok(())
}

/// A change of as many users costs the same, however many others there are.
fn delta(whole: &Path, tenth: &Path, size: Size) -> Result<(), Failed> {
    let change = |told: Told| Ok::<_, Failed>(told.seconds * 1e3);
    let mut ours = || change(child::measure(What::Delta, whole, None)?);
    let mut theirs = || change(child::measure(What::Delta, tenth, None)?);
    let values = rounds(ROUNDS, &mut [&mut ours, &mut theirs])?;
    let [ours, theirs] = values.as_slice() else { return Ok(()) };
    let figure = format!("a delta of {DELTA} users among {}, ms", size.users);
    let peer = Peer::measured(format!("among {}", size.users / 10), theirs.clone());
    print(&figure, Better::Lower, 1.0 / 1.3, ours, peer);
    Ok(())
}

/// One member more in the group that has nearly all users.
fn one_member(whole: &Path, size: Size) -> Result<(), Failed> {
    let took: Vec<f64> = (0..ROUNDS)
        .map(|_| Ok(child::measure(What::Member, whole, None)?.seconds * 1e3))
        .collect::<Result<_, Failed>>()?;
    let figure = format!("one member more in the largest group of {} objects, ms", size.objects());
    print(&figure, Better::Lower, 1.0, &took, Peer::limit(50.0, ROUNDS));
    Ok(())
}
