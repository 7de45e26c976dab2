//! One run: a forest, a server and a tenant on one thread, through the steps of a seed, and then until
//! nothing is left to do.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use portolan_app::connect::simulated::{Compiled, Cycle, Origin as _, Server, Turn};
use portolan_app::report::Failure;
use portolan_model::DnsName;
use portolan_tenant::lease;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::chance::{Chance, Virtual};
use crate::check::{self, Law, Violation};
use crate::expected::{BRANCH, INITIAL, VERIFIED};
use crate::fault::{BATCH, Bug, Cut, Faults, Fuse};
use crate::forest::{Beginning, Connection, Forest};
use crate::setting::Setting;
use crate::step::{Step, StepKind};
use crate::tenant::{self, Held, Line, Tenant, Trouble};
use tokio::sync::Mutex;

/// When every run begins.
pub const EPOCH: OffsetDateTime = datetime!(2026-01-05 08:00 UTC);
/// Cycles in which a run comes to rest: an administrator is asked in some of them.
const CALM_MAX: usize = 8;
const CALM_GUARDED_MAX: usize = 16;
/// The forests of a run, in their order.
const FORESTS: [&str; 2] = [VERIFIED, BRANCH];
/// The file of the server's state, and of its backup.
const STATE: &str = "connector-space.db";
const STATE_BACKUP: &str = "connector-space.backup";

/// The folder of the second server.
const SECOND: &str = "second";
/// For how long a lease is given.
const LEASE: time::Duration = time::Duration::seconds(60);
/// Objects of a forest have numbers below the next one's.
const SERIALS: u32 = 500;
/// What is said of a full read that lacks too much.
const NOT_BELIEVED: &str = "the directory no longer shows";

/// What several parts of a run look at.
pub type Shared<T> = Rc<RefCell<T>>;

/// What runs begin with: an empty state and an empty tenant, made once.
#[derive(Debug)]
pub struct Template {
    directory: tempfile::TempDir,
    compiled: Compiled,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// What happened, one line each.
    pub trace: Vec<String>,
    /// Cycles of the server, those that were broken off too.
    pub cycles: usize,
    /// The law that was broken.
    pub violation: Option<Violation>,
}

/// A run under way.
struct World<'t> {
    template: &'t Template,
    directory: tempfile::TempDir,
    setting: Setting,
    forests: Vec<Shared<Forest>>,
    /// The controller of each that is asked.
    controllers: Vec<usize>,
    /// Whether an administrator lets everything go in the next cycle.
    is_all_allowed: bool,
    tenant: Mutex<Tenant>,
    server: Server,
    /// The lease as the server holds it.
    lease: Option<Held>,
    /// The one that waits to take over, with its own.
    second: Option<(Server, Option<Held>)>,
    clock: Arc<Virtual>,
    has_backup: bool,
    bug: Option<Bug>,
    ran: Ran,
}

/// A folder in memory, where there is one.
fn folder() -> Result<tempfile::TempDir, Failure> {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.map_err(|error| Failure::because("cannot make a folder for a run", &error))
}

fn copy(from: PathBuf, to: PathBuf) -> Result<(), Failure> {
    let copied = std::fs::copy(from, to);
    copied.map(|_| ()).map_err(|error| Failure::because("cannot copy a database", &error))
}

fn domain(name: &str) -> Result<DnsName, Failure> {
    name.parse().map_err(|error| Failure::because("a name of the simulation", &error))
}

impl Template {
    /// Makes it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn make() -> Result<Self, Failure> {
        let directory = folder()?;
        let compiled = Compiled::by(directory.path()).await?;
        Tenant::found(directory.path()).await?;
        Ok(Self { directory, compiled })
    }

    /// Runs steps of a seed.
    ///
    /// # Errors
    /// When the simulation itself fails: a law that is broken is what it gives.
    pub async fn run(&self, seed: u64, steps: &[Step], bug: Option<Bug>) -> Result<Ran, Failure> {
        let mut world = World::begin(self, seed, bug).await?;
        let outcome = world.live(steps).await;
        world.tenant.lock().await.close().await;
        world.server.state().close().await;
        if let Some((second, _)) = &world.second {
            second.state().close().await;
        }
        match outcome {
            Ok(violation) => Ok(Ran { violation: violation.err(), ..world.ran }),
            Err(failure) => Err(failure),
        }
    }
}

/// What a step or a run comes to: the simulation's own failure, or what the checkers say.
type Judged = Result<Result<(), Violation>, Failure>;

impl<'t> World<'t> {
    async fn begin(template: &'t Template, seed: u64, bug: Option<Bug>) -> Result<Self, Failure> {
        let directory = folder()?;
        for file in [STATE, tenant::FILE] {
            copy(template.directory.path().join(file), directory.path().join(file))?;
        }
        let clock = Arc::new(Virtual::new(EPOCH, Chance::new(seed, 2)));
        let chance = Chance::new(seed, 3);
        let tenant = Tenant::open(directory.path(), Arc::clone(&clock), chance, bug).await?;
        let setting = Setting::of(seed);
        let server = Self::open(template, directory.path(), setting, &clock).await?;
        let mut second = None;
        if setting.has_second {
            let place = directory.path().join(SECOND);
            std::fs::create_dir(&place)
                .map_err(|error| Failure::because("cannot make a folder for a server", &error))?;
            copy(template.directory.path().join(STATE), place.join(STATE))?;
            second = Some((Self::open(template, &place, setting, &clock).await?, None));
        }
        let mut forests = Vec::new();
        for (at, name) in FORESTS.into_iter().take(setting.forests).enumerate() {
            let beginning = Beginning { users: setting.users(), serials: at as u32 * SERIALS };
            let purpose = if at == 0 { 4 } else { 9 };
            let forest = Forest::new(domain(name)?, beginning, &mut Chance::new(seed, purpose));
            forests.push(Rc::new(RefCell::new(forest)));
        }
        Ok(Self {
            template,
            directory,
            setting,
            controllers: vec![0; forests.len()],
            forests,
            is_all_allowed: false,
            tenant: Mutex::new(tenant),
            server,
            lease: None,
            second,
            clock,
            has_backup: false,
            bug,
            ran: Ran { trace: Vec::new(), cycles: 0, violation: None },
        })
    }

    async fn open(
        template: &Template,
        directory: &Path,
        setting: Setting,
        clock: &Arc<Virtual>,
    ) -> Result<Server, Failure> {
        let forests = FORESTS.into_iter().take(setting.forests).map(domain);
        let forests: Vec<_> = forests.collect::<Result<_, _>>()?;
        let (tenant, clock) = (domain(INITIAL)?, Arc::clone(clock));
        Server::open(directory, &template.compiled, &forests, &tenant, clock).await
    }

    /// Starts the server on what is in its folder.
    async fn start(&mut self) -> Result<(), Failure> {
        self.lease = None;
        let place = self.directory.path();
        self.server = Self::open(self.template, place, self.setting, &self.clock).await?;
        Ok(())
    }

    /// A forest by chance: the only one without.
    fn some_forest(&self, chance: &mut Chance) -> usize {
        if self.forests.len() > 1 { chance.below(self.forests.len()) } else { 0 }
    }

    fn each_forest(&self, mut done: impl FnMut(&mut Forest)) {
        for forest in &self.forests {
            done(&mut forest.borrow_mut());
        }
    }

    fn say(&mut self, line: impl Into<String>) {
        let now = self.clock.now() - EPOCH;
        self.ran.trace.push(format!("{:>7} min  {}", now.whole_minutes(), line.into()));
    }

    /// Goes through the steps, and comes to rest.
    async fn live(&mut self, steps: &[Step]) -> Judged {
        for step in steps {
            self.clock.pass(time::Duration::minutes(1));
            if let Err(violation) = self.step(*step).await? {
                return Ok(Err(violation));
            }
        }
        self.each_forest(Forest::replicate_all);
        self.say("all is well from here on");
        if let Err(violation) = self.rest().await? {
            return Ok(Err(violation));
        }
        self.each_forest(Forest::heal);
        self.each_forest(Forest::replicate_all);
        self.say("the forest's administrator mends what nobody can decide");
        if let Err(violation) = self.rest().await? {
            return Ok(Err(violation));
        }
        if let Err(error) = self.server.state().check().await {
            return Ok(Err(Violation::of(Law::StateIsWhole, error.to_string())));
        }
        let found = self.tenant.lock().await.shown().await?;
        let forests: Vec<_> = self.forests.iter().map(|forest| forest.borrow()).collect();
        let forests: Vec<&Forest> = forests.iter().map(|forest| &**forest).collect();
        Ok(check::at_rest(&forests, &found))
    }

    async fn step(&mut self, step: Step) -> Judged {
        let mut chance = Chance::new(step.seed, 5);
        match step.kind {
            StepKind::Change => {
                let at = self.some_forest(&mut chance);
                let done = self.forests[at].borrow_mut().anything(&mut chance);
                self.change(at, done, &mut chance);
            }
            StepKind::Foreign if self.forests.len() > 1 => {
                let at = self.some_forest(&mut chance);
                let others = self.forests[1 - at].borrow().sids();
                let done = self.forests[at].borrow_mut().foreign(&others, &mut chance);
                self.change(at, done, &mut chance);
            }
            StepKind::Mass => {
                let at = self.some_forest(&mut chance);
                let done = self.forests[at].borrow_mut().mass(&mut chance);
                self.change(at, done, &mut chance);
            }
            StepKind::Release if self.setting.is_guarded => self.release().await?,
            StepKind::Foreign | StepKind::Release => {}
            StepKind::Lost => self.lose_state().await?,
            StepKind::Second => return self.of_second(&mut chance).await,
            StepKind::Pause => return self.pause(&mut chance).await,
            StepKind::Replicate => {
                let at = self.some_forest(&mut chance);
                let (controller, changes) = (chance.below(2), chance.below(12));
                self.forests[at].borrow_mut().replicate(controller, changes);
                self.say(format!("controller {controller} learns of {changes} changes"));
            }
            StepKind::Controller => self.of_controller(&mut chance),
            StepKind::Wait => {
                let minutes = 1 << chance.below(15);
                self.clock.pass(time::Duration::minutes(minutes));
                self.say(format!("{minutes} minutes passed"));
            }
            StepKind::Cycle => return self.cycle_with_faults(&mut chance).await,
            StepKind::Tenant => self.of_tenant(&mut chance).await?,
            StepKind::Server => self.of_server(&mut chance).await?,
        }
        Ok(Ok(()))
    }

    /// Says what somebody did to a forest, of which others may learn at once.
    fn change(&mut self, at: usize, done: String, chance: &mut Chance) {
        if !done.is_empty() {
            self.say(done);
        }
        if chance.once_in(2) {
            self.forests[at].borrow_mut().replicate_all();
        }
    }

    fn of_controller(&mut self, chance: &mut Chance) {
        let at = self.some_forest(chance);
        let controller = chance.below(2);
        if chance.once_in(2) {
            self.forests[at].borrow_mut().back_up(controller);
            self.say(format!("controller {controller} is backed up"));
            return;
        }
        let invocation = (!chance.once_in(4)).then(|| chance.guid());
        if self.forests[at].borrow_mut().restore(controller, invocation) {
            self.say(format!("controller {controller} is restored from its backup"));
        }
    }

    async fn of_tenant(&mut self, chance: &mut Chance) -> Result<(), Failure> {
        if chance.once_in(2) {
            self.tenant.get_mut().back_up().await?;
            self.say("the tenant is backed up");
        } else if self.setting.has_second {
            // A known weakness: epochs begin again with a tenant that is restored, and a server that only ever
            // learnt what another one wrote takes its lease for the one that it confirmed under.
        } else if self.tenant.get_mut().restore().await? {
            self.say("the tenant is restored from its backup");
        }
        Ok(())
    }

    async fn of_server(&mut self, chance: &mut Chance) -> Result<(), Failure> {
        self.server.state().close().await;
        let at = |name: &str| self.directory.path().join(name);
        if chance.once_in(2) {
            copy(at(STATE), at(STATE_BACKUP))?;
            self.has_backup = true;
            self.say("the server's state is backed up");
        } else if self.has_backup {
            copy(at(STATE_BACKUP), at(STATE))?;
            self.forget();
            self.say("the server's state is restored from its backup");
        }
        self.start().await
    }

    /// The server does not know any more what it did.
    fn forget(&mut self) {
        self.tenant.get_mut().log.books.begin_anew();
        self.each_forest(Forest::forget);
    }

    async fn lose_state(&mut self) -> Result<(), Failure> {
        self.server.state().close().await;
        copy(self.template.directory.path().join(STATE), self.directory.path().join(STATE))?;
        self.forget();
        self.say("the server's state is lost");
        self.start().await
    }

    /// An administrator lets through what waits.
    async fn release(&mut self) -> Result<(), Failure> {
        let (allowance, _) = self.setting.allowance();
        for (kind, count) in self.server.release(&allowance).await? {
            self.tenant.get_mut().log.books.released(kind, count, self.clock.now());
            self.say(format!("the administrator lets {count} more {kind} go"));
        }
        Ok(())
    }

    /// A cycle of which anything may go wrong.
    async fn cycle_with_faults(&mut self, chance: &mut Chance) -> Judged {
        let rarely = |chance: &mut Chance| if chance.once_in(3) { 2 + chance.below(4) } else { 0 };
        let trouble = Trouble {
            throttled: rarely(chance),
            request_lost: rarely(chance),
            answer_lost: rarely(chance),
            twice: rarely(chance),
            late: rarely(chance),
        };
        let faults = Faults {
            meanwhile: chance.once_in(2),
            cookie_refused: chance.once_in(12),
            repeats: chance.once_in(4),
            reorders: chance.once_in(3),
            down: false,
            is_taken_for_empty: self.bug == Some(Bug::TakesUnreadForEmpty),
        };
        for controller in &mut self.controllers {
            if chance.once_in(4) {
                *controller = chance.below(2);
            }
        }
        let cut = match chance.below(4) {
            0 => Some(Cut::Lost),
            1 => Some(Cut::Crash),
            _ => None,
        };
        let fuse = Fuse::new(chance.below(60) as u32, cut);
        let power = chance.once_in(4).then(|| chance.below(25) as u32);
        if let Some(commits) = power {
            self.server.state().lose_power_after(commits).await?;
        }
        let number = chance.number();
        let several = self.forests.len() > 1;
        let down = FORESTS.map(|_| several && chance.once_in(6));
        let outcome = self.cycle(&fuse, trouble, (faults, down), number).await?;
        let what = match &outcome {
            None => format!("the server dies at {}", fuse.at()),
            Some(Err(failure)) => format!("a cycle fails: {}", failure.text()),
            Some(Ok(cycle)) => told(cycle),
        };
        let what = match power {
            Some(commits) => format!("{what} (its power lasts for {commits} transactions)"),
            None => what,
        };
        let controllers: Vec<_> = self.controllers.iter().map(ToString::to_string).collect();
        self.say(format!("by controller {}: {what}", controllers.join(" and ")));
        if outcome.is_none() || power.is_some() {
            self.server.state().close().await;
            self.start().await?;
        }
        self.check().await
    }

    /// One cycle; nothing when the server died in it.
    async fn cycle(
        &mut self,
        fuse: &Fuse,
        trouble: Trouble,
        faults: (Faults, [bool; 2]),
        seed: u64,
    ) -> Result<Option<Result<Cycle, Failure>>, Failure> {
        self.lease = self.renewed(0, self.lease).await?;
        let outcome = self.run((0, &self.server, self.lease), fuse, trouble, faults, seed);
        let outcome = tokio::select! {
            biased;
            () = fuse.burnt() => None,
            cycle = outcome => Some(cycle),
        };
        self.tell();
        Ok(outcome)
    }

    /// A cycle of one of the servers.
    async fn run(
        &self,
        (number, server, lease): (usize, &Server, Option<Held>),
        fuse: &Fuse,
        trouble: Trouble,
        (faults, down): (Faults, [bool; 2]),
        seed: u64,
    ) -> Result<Cycle, Failure> {
        let connection = |at: usize, forest| {
            let chance = Chance::new(seed, if at == 0 { 6 } else { 10 });
            let faults = Faults { down: down[at], ..faults };
            Connection::new(forest, self.controllers[at], chance, fuse, faults)
        };
        let directories = self.forests.iter().enumerate();
        let mut directories: Vec<_> =
            directories.map(|(at, forest)| connection(at, forest)).collect();
        let (chance, clock) = (Chance::new(seed, 7), Arc::clone(&self.clock));
        let mut line =
            Line { tenant: &self.tenant, server: number, lease, clock, fuse, trouble, chance };
        let (allowance, mut allowed) = self.setting.allowance();
        if self.is_all_allowed || self.bug == Some(Bug::IgnoresGuard) {
            allowed = Setting::allowed();
        }
        let turn = match (self.setting.has_second, lease) {
            (false, _) => Turn::Alone,
            (true, None) => Turn::Warm,
            (true, Some(lease)) => Turn::Active(lease.epoch),
        };
        server.synchronise(&mut directories, &mut line, (&allowance, allowed), turn).await
    }

    /// The lease of a server before a cycle: more of the one that it has, or a new one, if it gets one.
    async fn renewed(&self, server: usize, held: Option<Held>) -> Result<Option<Held>, Failure> {
        if !self.setting.has_second {
            return Ok(None);
        }
        let mut tenant = self.tenant.lock().await;
        let until = self.clock.now() + LEASE * 9 / 10;
        if let Some(held) = held {
            let request = lease::Request::Renew { epoch: held.epoch, duration: LEASE };
            if tenant.lease(server, &request).await?.is_some() {
                return Ok(Some(Held { until, ..held }));
            }
        }
        let epoch = tenant.lease(server, &lease::Request::Acquire { duration: LEASE }).await?;
        Ok(epoch.map(|epoch| Held { epoch, until, grant: tenant.grants }))
    }

    /// What is told of a cycle.
    fn tell(&mut self) {
        self.ran.cycles += 1;
        if std::mem::take(&mut self.is_all_allowed) {
            self.tenant.get_mut().log.books.begin_anew();
        }
        let mut meanwhile = Vec::new();
        self.each_forest(|forest| meanwhile.append(&mut forest.meanwhile));
        for line in meanwhile.iter().filter(|line| !line.is_empty()) {
            self.say(format!("  meanwhile {line}"));
        }
        for line in std::mem::take(&mut self.tenant.get_mut().log.said) {
            self.say(format!("  the tenant {line}"));
        }
    }

    /// A cycle of the server that waits.
    async fn of_second(&mut self, chance: &mut Chance) -> Judged {
        let Some((second, held)) = self.second.take() else { return Ok(Ok(())) };
        let held = self.renewed(1, held).await?;
        let (fuse, faults) = (Fuse::new(0, None), (Faults::default(), [false; 2]));
        let (trouble, number) = (Trouble::default(), chance.number());
        let outcome = self.run((1, &second, held), &fuse, trouble, faults, number).await;
        self.second = Some((second, held));
        self.tell();
        self.say(format!("the second server: {}", told_of(&outcome)));
        self.check().await
    }

    /// The server stands still somewhere in a cycle; the second one takes over, and the first goes on late.
    async fn pause(&mut self, chance: &mut Chance) -> Judged {
        let Some((second, held)) = self.second.take() else { return Ok(Ok(())) };
        self.lease = self.renewed(0, self.lease).await?;
        let late = if chance.once_in(2) {
            Fuse::new(chance.below(60) as u32, Some(Cut::Pause))
        } else {
            Fuse::new(chance.below(2) as u32, Some(Cut::Pause)).only(BATCH)
        };
        let (trouble, faults) = (Trouble::default(), (Faults::default(), [false; 2]));
        let (numbers, fuse) = ([chance.number(), chance.number()], Fuse::new(0, None));
        let minutes = 1 + chance.below(3) as i64;
        let (held, between, ended) = {
            let first = self.run((0, &self.server, self.lease), &late, trouble, faults, numbers[0]);
            tokio::pin!(first);
            let ended = tokio::select! {
                biased;
                () = late.burnt() => None,
                ended = &mut first => Some(ended),
            };
            self.clock.pass(time::Duration::minutes(minutes));
            let held = self.renewed(1, held).await?;
            let between = self.run((1, &second, held), &fuse, trouble, faults, numbers[1]).await;
            late.resume();
            let ended = match ended {
                Some(ended) => ended,
                None => first.await,
            };
            (held, between, ended)
        };
        self.second = Some((second, held));
        self.tell();
        self.say(format!("while the server stands still: {}", told_of(&between)));
        self.say(format!("the server goes on at {}: {}", late.at(), told_of(&ended)));
        self.check().await
    }

    /// Cycles without faults, until one has nothing to do.
    async fn rest(&mut self) -> Judged {
        let rounds = if self.setting.is_guarded { CALM_GUARDED_MAX } else { CALM_MAX };
        for round in 0..rounds {
            self.clock.pass(time::Duration::minutes(3));
            if self.bug == Some(Bug::NeverQuiet) {
                let mut forest = self.forests[0].borrow_mut();
                for step in 0..9 {
                    forest.anything(&mut Chance::new(round as u64, step));
                }
                forest.replicate_all();
            }
            let (fuse, number) = (Fuse::new(0, None), self.ran.cycles as u64);
            let faults = (Faults::default(), [false; 2]);
            let cycle = self.cycle(&fuse, Trouble::default(), faults, number).await?;
            let cycle = match cycle {
                Some(Ok(cycle)) => cycle,
                // A full read lacks so much that somebody has to say that it is right.
                Some(Err(failure))
                    if self.setting.is_guarded && failure.text().contains(NOT_BELIEVED) =>
                {
                    self.say(format!("{}; the administrator lets all of it go", failure.text()));
                    self.is_all_allowed = true;
                    continue;
                }
                Some(Err(failure)) => {
                    return Ok(Err(Violation::of(Law::Succeeds, failure.text())));
                }
                None => return Ok(Err(Violation::of(Law::Succeeds, "the server died by itself"))),
            };
            self.say(told(&cycle));
            if let Err(violation) = self.check().await? {
                return Ok(Err(violation));
            }
            if !cycle.held.is_empty() {
                self.release().await?;
            }
            self.is_all_allowed = cycle.unread.iter().any(|why| why.contains(NOT_BELIEVED));
            // The second server may hold the lease for a while.
            if !cycle.held.is_empty() || !cycle.unread.is_empty() || cycle.is_warm {
                continue;
            }
            // What is wrong with single objects is decided about in each cycle.
            if cycle.exported == 0 && (cycle.full || cycle.nothing_read) {
                return Ok(Ok(()));
            }
        }
        let how = format!("there is something to do in each of {rounds} cycles");
        Ok(Err(Violation::of(Law::ComesToRest, how)))
    }

    async fn check(&self) -> Judged {
        let found = self.tenant.lock().await.shown().await?;
        let forests: Vec<_> = self.forests.iter().map(|forest| forest.borrow()).collect();
        let forests: Vec<&Forest> = forests.iter().map(|forest| &**forest).collect();
        let guarded_at = self.setting.is_guarded.then(|| self.clock.now());
        let tenant = self.tenant.lock().await;
        Ok(check::always(&forests, &tenant.log, &found, guarded_at))
    }
}

fn told_of(outcome: &Result<Cycle, Failure>) -> String {
    match outcome {
        Ok(cycle) => told(cycle),
        Err(failure) => format!("a cycle fails: {}", failure.text()),
    }
}

fn told(cycle: &Cycle) -> String {
    let Cycle { full, decided, exported, refused, notes, held, unread, .. } = cycle;
    let notes: Vec<_> = [notes, held, unread].into_iter().flatten().cloned().collect();
    let how = if *full { "a full cycle" } else { "a cycle" };
    let how = if cycle.is_warm { format!("warm, {how}") } else { how.to_owned() };
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    let refused: Vec<_> = refused.iter().map(|(anchor, why)| format!("{anchor}: {why}")).collect();
    let refused = if refused.is_empty() {
        String::new()
    } else {
        format!("; refused {}", refused.join(", "))
    };
    format!("{how} decides {decided} and sends {exported}{refused}{notes}")
}
