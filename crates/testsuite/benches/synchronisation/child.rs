//! What is measured, each in a process of its own: this program again, told what to do.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portolan_app::connect::simulated::{Compiled, Origin, Server};
use portolan_model::Entropy as _;
use portolan_net::entropy::SystemEntropy;
use portolan_store::sqlite::readers_at_once;
use portolan_store::state::{Answer, KeyRange, Place, ReferencePlace, State, StateError};
use portolan_sync::ObjectKind;
use portolan_sync::engine::Side;
use portolan_testsuite::measure::Reading;
use time::OffsetDateTime;

use super::directory::{FILE, FOREST, TENANT, guid, user};
use super::{DELTA, Failed, failed};

/// What tells this program what to measure.
const CHILD: &str = "--child";
/// Under which the state remembers that the first user is in the largest group.
const JOINED: &str = "joined";
/// Exports that are acknowledged at once.
const ACKNOWLEDGED_AT_ONCE: u32 = 1_000;
/// Ranges of a scan, as the synchronisation has them.
const RANGES: u32 = 64;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A synchronisation of what is queued, or else a full one.
    Synchronise,
    /// Nothing: what is pending is acknowledged, so that a full synchronisation finds nothing.
    Confirm,
    /// Every neighbourhood read and decoded.
    Scan,
    /// The state opened.
    Open,
    /// The synchronisation of some users whose title changed.
    Delta,
    /// One member more in the largest group, to the reference that is to be exported.
    Member,
}

const WHATS: [(What, &str); 6] = [
    (What::Synchronise, "synchronise"),
    (What::Confirm, "confirm"),
    (What::Scan, "scan"),
    (What::Open, "open"),
    (What::Delta, "delta"),
    (What::Member, "member"),
];

/// What a child measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Objects that it looked at.
    pub(super) objects: f64,
    /// How long it took.
    pub(super) seconds: f64,
    /// Time on processors meanwhile.
    pub(super) cpu_seconds: f64,
    /// The most memory that was resident at once, in MiB.
    pub(super) peak_mib: f64,
}

impl Told {
    /// Microseconds on processors for each of some objects.
    pub(super) fn cpu_of(&self, objects: f64) -> f64 {
        self.cpu_seconds * 1e6 / objects
    }
}

/// Lets a child measure, on all cores or on one.
pub(super) fn measure(what: What, place: &Path, core: Option<usize>) -> Result<Told, Failed> {
    told(what, spawn(what, place, core)?)
}

/// Two children at the same time, each on a core of its own.
pub(super) fn both(what: What, places: [&Path; 2]) -> Result<[Told; 2], Failed> {
    let [one, other] = [spawn(what, places[0], Some(0))?, spawn(what, places[1], Some(1))?];
    Ok([told(what, one)?, told(what, other)?])
}

fn spawn(what: What, place: &Path, core: Option<usize>) -> Result<Child, Failed> {
    let own = std::env::current_exe()?;
    let mut command = match core {
        None => Command::new(own),
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &core.to_string()]).arg(own);
            command
        }
    };
    let name = WHATS.iter().find(|(other, _)| *other == what).map_or("", |(_, name)| name);
    Ok(command.args([CHILD, name]).arg(place).stdout(Stdio::piped()).spawn()?)
}

fn told(what: What, child: Child) -> Result<Told, Failed> {
    let output = child.wait_with_output()?;
    let said = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
    match numbers.as_slice() {
        &[objects, seconds, cpu_seconds, peak_mib] if output.status.success() => {
            Ok(Told { objects, seconds, cpu_seconds, peak_mib })
        }
        _ => Err(format!("{what:?} failed: {said}").into()),
    }
}

/// What this process is told to measure, and where.
pub(super) struct Task {
    what: What,
    place: PathBuf,
}

/// The task of a child; `None` of the parent.
pub(super) fn task(arguments: &[String]) -> Result<Option<Task>, Failed> {
    let Some(at) = arguments.iter().position(|argument| argument == CHILD) else { return Ok(None) };
    let (name, place) = (arguments.get(at + 1), arguments.get(at + 2));
    let what = WHATS.iter().find(|(_, known)| name.is_some_and(|name| name == known));
    let (Some((what, _)), Some(place)) = (what, place) else {
        return Err("a child is told what to measure, and where".into());
    };
    Ok(Some(Task { what: *what, place: place.into() }))
}

/// This host's time and randomness.
struct Host;

impl Origin for Host {
    fn now(&self) -> OffsetDateTime {
        portolan_net::clock::now()
    }

    fn random(&self) -> u64 {
        u64::from_le_bytes(SystemEntropy.array())
    }
}

impl Task {
    /// Measures, and prints it as the parent reads it.
    pub(super) fn run(self) -> Result<(), Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (objects, took, cpu) = runtime.block_on(self.measure())?;
        let peak = Reading::own().ok_or("the system does not tell what was used")?.peak_kib;
        let (took, cpu) = (took.as_secs_f64(), cpu.as_secs_f64());
        println!("{objects} {took} {cpu} {}", peak as f64 / 1024.0);
        Ok(())
    }

    async fn measure(&self) -> Result<(u64, Duration, Duration), Failed> {
        let path = self.place.join(FILE);
        match self.what {
            What::Synchronise => {
                let server = self.server().await?;
                // What is made for the first time is no full synchronisation.
                let is_first = server.state().pending().await? > 0;
                let begun = Clocks::begin()?;
                let done = server.decide(TENANT, !is_first).await.map_err(failed)?;
                if !is_first && done.changed + done.references > 0 {
                    return Err(format!("something changed: {done:?}").into());
                }
                begun.end(done.objects)
            }
            What::Confirm => {
                let state = State::open(&path).await?;
                let begun = Clocks::begin()?;
                confirm(&state).await?;
                begun.end(0)
            }
            What::Scan => {
                let state = State::open(&path).await?;
                let begun = Clocks::begin()?;
                begun.end(scan(&state).await?)
            }
            What::Open => {
                let begun = Clocks::begin()?;
                State::open(&path).await?.pending().await?;
                begun.end(0)
            }
            What::Delta => self.delta().await,
            What::Member => self.member().await,
        }
    }

    async fn server(&self) -> Result<Server, Failed> {
        let compiled = Compiled::by(&self.place).await.map_err(failed)?;
        let (forest, tenant) = (FOREST.parse()?, TENANT.parse()?);
        let (forests, origin) = ([forest], Arc::new(Host));
        let opened = Server::open(&self.place, &compiled, &forests, &tenant, origin).await;
        opened.map_err(failed)
    }

    /// Gives users another title, and decides about them.
    async fn delta(&self) -> Result<(u64, Duration, Duration), Failed> {
        let server = self.server().await?;
        let state = server.state();
        let forest = state.connector(FOREST, Side::Forest).await?;
        let mut names = state.dictionary().await?;
        let title = format!("{:?}", portolan_net::clock::now());
        let mut changes = state.begin_changes(forest).await?;
        for number in 0..DELTA {
            changes.put(&user(number, Some(&title), &mut names)?, false).await?;
        }
        changes.finish(b"next").await?;
        let begun = Clocks::begin()?;
        let done = server.decide(TENANT, false).await.map_err(failed)?;
        let measured = begun.end(done.objects)?;
        if done.changed != DELTA {
            return Err(format!("another number of users changed: {done:?}").into());
        }
        confirm(state).await?;
        Ok(measured)
    }

    /// The first user joins the largest group, or leaves it.
    async fn member(&self) -> Result<(u64, Duration, Duration), Failed> {
        let server = self.server().await?;
        let state = server.state();
        let forest = state.connector(FOREST, Side::Forest).await?;
        let names = state.dictionary().await?;
        let member = names.id("member").ok_or("no attribute is a member")?;
        let counts = state.object_counts(forest).await?;
        let users = counts.iter().find(|(kind, _)| *kind == ObjectKind::User);
        let group = guid(users.map_or(0, |(_, users)| *users));
        let one = [guid(0)];
        let joined = state.remembered(forest, JOINED).await?.is_some();
        let (added, removed) = if joined { (&[][..], &one[..]) } else { (&one[..], &[][..]) };
        let begun = Clocks::begin()?;
        let mut changes = state.begin_changes(forest).await?;
        changes.change_references(&group, member, added, removed).await?;
        changes.finish(b"next").await?;
        let done = server.decide(TENANT, false).await.map_err(failed)?;
        let measured = begun.end(1)?;
        if done.references != 1 {
            return Err(format!("another number of references changed: {done:?}").into());
        }
        if joined {
            state.forget(forest, JOINED).await?;
        } else {
            state.remember(forest, JOINED, &[]).await?;
        }
        confirm(state).await?;
        Ok(measured)
    }
}

/// The clocks of a measurement.
struct Clocks(Reading);

impl Clocks {
    fn begin() -> Result<Self, Failed> {
        Ok(Self(Reading::own().ok_or("the system does not tell what was used")?))
    }

    /// How long it took, and on processors.
    fn end(&self, objects: u64) -> Result<(u64, Duration, Duration), Failed> {
        let now = Reading::own().ok_or("the system does not tell what was used")?;
        Ok((objects, now.at - self.0.at, now.cpu - self.0.cpu))
    }
}

/// Acknowledges everything that is to be exported.
async fn confirm(state: &State) -> Result<(), Failed> {
    let target = state.connector(TENANT, Side::Target).await?;
    let answer = Answer::at(portolan_net::clock::now());
    let mut after = Place::default();
    loop {
        let exports = state.pending_exports(target, after, ACKNOWLEDGED_AT_ONCE).await?;
        let Some(last) = exports.last() else { break };
        after = last.place;
        state.acknowledge(&exports, &[], answer).await?;
    }
    let mut after = ReferencePlace::default();
    loop {
        let exports = state.pending_references(target, after, 10 * ACKNOWLEDGED_AT_ONCE).await?;
        let Some(last) = exports.last() else { return Ok(()) };
        after = last.place;
        state.acknowledge_references(&exports, answer).await?;
    }
}

/// Reads every neighbourhood, by as many readers as the synchronisation has.
async fn scan(state: &State) -> Result<u64, Failed> {
    let ranges = Arc::new(state.key_ranges(RANGES).await?);
    let next = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..readers_at_once())
        .map(|_| tokio::spawn(read(state.clone(), Arc::clone(&ranges), Arc::clone(&next))))
        .collect();
    let mut found = 0;
    for reader in readers {
        found += reader.await??;
    }
    Ok(found)
}

async fn read(
    state: State,
    ranges: Arc<Vec<KeyRange>>,
    next: Arc<AtomicUsize>,
) -> Result<u64, StateError> {
    let mut found = 0;
    while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut scan = state.scan(*range);
        loop {
            let batch = scan.next().await?;
            if batch.is_empty() {
                break;
            }
            found += batch.len() as u64;
        }
    }
    Ok(found)
}
