//! One run: a forest, a server and a tenant on one thread, through the steps of a seed, and then until
//! nothing is left to do.

mod accidents;
mod behind;
mod cycles;
mod graph;
mod joining;
mod rest;
mod second;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use portolan_app::connect::simulated::{Compiled, Origin as _, Server};
use portolan_app::report::Failure;
use portolan_model::DnsName;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::{Mutex, OnceCell};

use self::joining::Joining;
use crate::chance::{Chance, Virtual};
use crate::check::{Law, Violation};
use crate::expected::{BRANCH, INITIAL, VERIFIED};
use crate::fault::Bug;
use crate::forest::{Beginning, Forest};
use crate::graph::wire::Young;
use crate::setting::Setting;
use crate::step::{Step, StepKind};
use crate::tenant::{self, Held, Keys, Tenant};

/// When every run begins.
pub const EPOCH: OffsetDateTime = datetime!(2026-01-05 08:00 UTC);
/// The forests of a run, in their order.
const FORESTS: [&str; 2] = [VERIFIED, BRANCH];
/// The file of the server's state, and of its backup.
const STATE: &str = "connector-space.db";
const STATE_BACKUP: &str = "connector-space.backup";

/// The folder of the second server.
const SECOND: &str = "second";
/// Objects of a forest have numbers below the next one's.
const SERIALS: u32 = 500;

/// What several parts of a run look at.
pub type Shared<T> = Rc<RefCell<T>>;

/// What runs begin with, made once: for those whose target is a tenant, and for those whose target is a Graph
/// when the first of them begins.
pub struct Template {
    tenant: Beginnings,
    graph: OnceCell<Beginnings>,
    joins: [OnceCell<Beginnings>; Joining::COUNT],
}

/// An empty state and an empty tenant.
struct Beginnings {
    directory: tempfile::TempDir,
    compiled: Compiled,
    /// The keys of a Graph and of who exports to it.
    keys: Option<Keys>,
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
    template: &'t Beginnings,
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
    /// Whether the server writes nothing because it is told so.
    is_staging: bool,
    bug: Option<Bug>,
    /// What is known of a Graph besides what it has.
    cloud: Cloud,
    ran: Ran,
}

/// What is known of a Graph besides what it has.
#[derive(Debug, Default)]
struct Cloud {
    /// What was made lately.
    young: Young,
    /// The numbers of what it had when a server forgot what it had written: a Graph does not say whose an object
    /// is, so that nobody takes away what the forest has no more.
    may_stay: BTreeSet<String>,
    /// Whom its users had as manager then, by numbers: of somebody who is given none since, the manager is others' to
    /// say.
    managed: BTreeSet<(String, String)>,
    /// The anchors of what it refused in the last cycle.
    refused: Vec<String>,
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
        let (graph, joins) = (OnceCell::new(), [(); Joining::COUNT].map(|()| OnceCell::new()));
        Ok(Self { tenant: Beginnings::of_tenant(None).await?, graph, joins })
    }

    async fn of(&self, seed: u64, bug: Option<Bug>) -> Result<&Beginnings, Failure> {
        let setting = Setting::of(seed);
        if setting.has_joins {
            let joining = Joining::with(bug);
            let made = || Beginnings::of_tenant(Some(joining));
            return self.joins[joining as usize].get_or_try_init(made).await;
        }
        match setting.graph {
            Some(_) => self.graph.get_or_try_init(Beginnings::of_graph).await,
            None => Ok(&self.tenant),
        }
    }

    /// Runs steps of a seed.
    ///
    /// # Errors
    /// When the simulation itself fails: a law that is broken is what it gives.
    pub async fn run(&self, seed: u64, steps: &[Step], bug: Option<Bug>) -> Result<Ran, Failure> {
        let mut world = World::begin(self.of(seed, bug).await?, seed, bug).await?;
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

impl Beginnings {
    async fn of_tenant(joining: Option<Joining>) -> Result<Self, Failure> {
        let directory = folder()?;
        if let Some(joining) = joining {
            joining.put(directory.path())?;
        }
        let compiled = Compiled::by(directory.path()).await?;
        Tenant::found(directory.path(), None).await?;
        Ok(Self { directory, compiled, keys: None })
    }

    async fn of_graph() -> Result<Self, Failure> {
        let directory = folder()?;
        let compiled = Compiled::for_graph(directory.path()).await?;
        let keys = Keys::make()?;
        Tenant::found(directory.path(), Some(&keys)).await?;
        Ok(Self { directory, compiled, keys: Some(keys) })
    }
}

/// What a step or a run comes to: the simulation's own failure, or what the checkers say.
type Judged = Result<Result<(), Violation>, Failure>;

impl<'t> World<'t> {
    async fn begin(template: &'t Beginnings, seed: u64, bug: Option<Bug>) -> Result<Self, Failure> {
        let directory = folder()?;
        for file in [STATE, tenant::FILE] {
            copy(template.directory.path().join(file), directory.path().join(file))?;
        }
        let clock = Arc::new(Virtual::new(EPOCH, Chance::new(seed, 2)));
        let chance = Chance::new(seed, 3);
        let mut tenant = Tenant::open(directory.path(), Arc::clone(&clock), chance, bug).await?;
        let setting = Setting::of(seed);
        if let (Some(keys), Some(limits)) = (&template.keys, setting.limits()) {
            tenant.open_graph(keys, limits)?;
        }
        let server = Self::open(template, directory.path(), setting, &clock).await?;
        let server = server.believing_who_lags(bug == Some(Bug::IgnoresVector));
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
            let beginning = Beginning {
                users: setting.users(),
                serials: at as u32 * SERIALS,
                has_joins: setting.has_joins,
            };
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
            is_staging: false,
            bug,
            cloud: Cloud::default(),
            ran: Ran { trace: Vec::new(), cycles: 0, violation: None },
        })
    }

    async fn open(
        template: &Beginnings,
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
        let server = Self::open(self.template, place, self.setting, &self.clock).await?;
        self.server = server.believing_who_lags(self.bug == Some(Bug::IgnoresVector));
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
        if self.is_staging {
            self.stage(false);
        }
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
        if let Err(violation) = self.judge_at_rest().await? {
            return Ok(Err(violation));
        }
        if self.setting.has_joins { self.part().await } else { Ok(Ok(())) }
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
            StepKind::Person => {
                let at = self.some_forest(&mut chance);
                let others = self.forests[1 - at].borrow().sids();
                let done = self.forests[at].borrow_mut().person(&others, &mut chance);
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
            StepKind::Behind => return self.behind(&mut chance).await,
            StepKind::Staging => self.stage(!self.is_staging),
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
}
