//! A lab from its beginning to its end.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portolan_chart::{Chart, Flow, Role, Transport};

use crate::authority::{Authority, Certificate};
use crate::capture::Capture;
use crate::controller::{Controller, End};
use crate::error::LabError;
use crate::firewall::{self, How};
use crate::forest::{Forest, ForestRight};
use crate::guard::Guard;
use crate::keeper::Draft;
use crate::network::{self, ENVIRONMENT, switch_name};
use crate::plan::{self, Controllers, Host, LabName, Network};
use crate::process::{self, Program};
use crate::recording;
use crate::requirements;
use crate::state::{Directory, Namespace, State};
use crate::status::{HostStatus, Status};

/// The edition of the chart that every lab's firewalls are made from.
const EDITION: &str = "2017-02-15";

/// What a lab is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name.
    pub name: LabName,
    /// Where labs keep their state. Short: sockets live below it.
    pub state: PathBuf,
    /// Where archives of the forest are kept.
    pub cache: PathBuf,
    /// People in the forest beyond the usual ones, for measurements.
    pub extra_users: u32,
    /// How many domain controllers the forest has.
    pub controllers: Controllers,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: LabName::default(),
            state: PathBuf::from("/run/portolan/lab"),
            cache: PathBuf::from("/var/cache/portolan/lab"),
            extra_users: 0,
            controllers: Controllers::One,
        }
    }
}

/// One step of the way up.
#[derive(Debug, Clone)]
pub struct Step {
    /// What was done.
    pub what: &'static str,
    /// With what, or where it is.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
}

/// What `up` found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// A new lab.
    Anew,
    /// It was running already, whole.
    Already,
}

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    name: LabName,
    directory: Directory,
    state: State,
    chart: Chart,
    hosts: Vec<Host>,
}

impl Lab {
    /// Brings a lab up, or finds it running. What a crash left of an earlier one is taken away
    /// first; what fails half-way is taken away again.
    ///
    /// # Errors
    /// [`LabError`] with the step that failed.
    pub fn up(
        options: &Options,
        report: &mut dyn FnMut(Step),
    ) -> Result<(Self, Started), LabError> {
        requirements::check()?;
        let chart = Chart::edition(EDITION).map_err(|error| LabError::Chart(error.to_string()))?;
        let root = absolute(&options.state)?;
        let directory = Directory::new(&root, &options.name);
        let held = directory.lock()?;
        let name = options.name.clone();
        if let Some(state) = State::read(&directory)? {
            if state.complete && state.missing().is_none() {
                if state.controllers != options.controllers {
                    return Err(LabError::OtherControllers { name: name.to_string() });
                }
                let hosts = plan::hosts(state.controllers);
                return Ok((Self { name, directory, state, chart, hosts }, Started::Already));
            }
            end_all(&state)?;
        }
        directory.empty()?;
        let state = State::begin(options.controllers)?;
        let hosts = plan::hosts(options.controllers);
        let mut lab = Self { name, directory, state, chart, hosts };
        match lab.build(options, report) {
            Ok(()) => Ok((lab, Started::Anew)),
            Err(error) => {
                // The first error is the one to tell; what is left is found by the next `up`.
                let _ = lab.demolish(&held, None);
                Err(error)
            }
        }
    }

    /// A lab that is running.
    ///
    /// # Errors
    /// [`LabError::NotRunning`] and [`LabError::Broken`] when it is not, or not whole.
    pub fn attach(name: &LabName, state: &Path) -> Result<Self, LabError> {
        if !process::is_root() {
            return Err(LabError::NotRoot);
        }
        let directory = Directory::new(&absolute(state)?, name);
        let not_running = || LabError::NotRunning { name: name.to_string() };
        let state = State::read(&directory)?.ok_or_else(not_running)?;
        let broken = |what: String| LabError::Broken { name: name.to_string(), what };
        if let Some(missing) = state.missing() {
            return Err(broken(format!("{} is gone", missing.name)));
        }
        if !state.complete {
            return Err(broken("it was never brought up whole".to_owned()));
        }
        let chart = Chart::edition(EDITION).map_err(|error| LabError::Chart(error.to_string()))?;
        let hosts = plan::hosts(state.controllers);
        Ok(Self { name: name.clone(), directory, state, chart, hosts })
    }

    /// Takes a lab away: its processes, namespaces, mounts and files. The recordings are moved to
    /// `keep` first, if that is given. Also takes away half a lab.
    ///
    /// # Errors
    /// [`LabError::NotRunning`] when there is nothing of it.
    pub fn remove(name: &LabName, state: &Path, keep: Option<&Path>) -> Result<(), LabError> {
        if !process::is_root() {
            return Err(LabError::NotRoot);
        }
        let directory = Directory::new(&absolute(state)?, name);
        if !directory.path().exists() {
            return Err(LabError::NotRunning { name: name.to_string() });
        }
        let held = directory.lock()?;
        if let Some(state) = State::read(&directory)? {
            end_all(&state)?;
        }
        clear(&directory, keep, &held)
    }

    /// Takes this lab away, as [`Lab::remove`] does.
    ///
    /// # Errors
    /// [`LabError`] when a process does not end or a file cannot be removed.
    pub fn down(self) -> Result<(), LabError> {
        self.take_away()
    }

    /// This lab, taken away when the guard is dropped.
    #[must_use]
    pub fn guard(self) -> Guard {
        Guard::new(self)
    }

    /// A program to be run on a host, in the caller's working directory, as root, with the caller's
    /// standard input and outputs. Arguments are added to what is returned.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`].
    pub fn command(&self, host: &str, program: impl AsRef<OsStr>) -> Result<Command, LabError> {
        let mut command = self.namespace(host)?.enter();
        command.arg("env");
        if let Ok(directory) = std::env::current_dir() {
            let mut option = std::ffi::OsString::from("--chdir=");
            option.push(directory);
            command.arg(option);
        }
        command.arg(program);
        // Tickets of the machine's user are not the lab's.
        command.envs(ENVIRONMENT).env_remove("KRB5CCNAME");
        Ok(command)
    }

    /// Closes a row of the chart on every host.
    ///
    /// # Errors
    /// [`LabError::UnknownFlow`] when no firewall of the lab has a rule for it.
    pub fn close(&self, flow: Flow, how: How) -> Result<(), LabError> {
        self.close_rules(flow, None, how)
    }

    /// Closes one transport of a row on every host, beside what is closed of it already.
    ///
    /// # Errors
    /// [`LabError::UnknownFlow`] when no firewall of the lab has a rule for it by this transport.
    pub fn close_over(&self, flow: Flow, transport: Transport, how: How) -> Result<(), LabError> {
        self.close_rules(flow, Some(transport), how)
    }

    fn close_rules(
        &self,
        flow: Flow,
        transport: Option<Transport>,
        how: How,
    ) -> Result<(), LabError> {
        let mut closed = 0;
        for host in &self.hosts {
            let rules = (flow.name(), transport);
            closed += firewall::close(self.namespace(host.name)?, rules, how)?;
        }
        if closed == 0 {
            let by = transport.map(|transport| format!(" by {transport}")).unwrap_or_default();
            return Err(LabError::UnknownFlow { flow: format!("{flow}{by}") });
        }
        Ok(())
    }

    /// Opens a row of the chart again, by every transport. Gives whether it was closed.
    ///
    /// # Errors
    /// [`LabError::Program`] when a firewall does not take the change.
    pub fn open(&self, flow: Flow) -> Result<bool, LabError> {
        let mut opened = 0;
        for host in &self.hosts {
            opened += firewall::open(self.namespace(host.name)?, flow.name())?;
        }
        Ok(opened > 0)
    }

    /// Ends a domain controller, as an administrator or as a failure does. Its host stays, and
    /// answers connections by refusing them.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`] when there is no such controller.
    pub fn stop_controller(&self, host: &str, end: End) -> Result<(), LabError> {
        self.controller(host)?.end(end)
    }

    /// Starts a domain controller that was stopped, and waits until it answers.
    ///
    /// # Errors
    /// [`LabError::NotReady`] when it does not.
    pub fn start_controller(&self, host: &str) -> Result<(), LabError> {
        let controller = self.controller(host)?;
        if !controller.runs()? {
            controller.start()?;
        }
        self.wait_for(&controller)
    }

    /// Starts a domain controller anew with a clock that is this many seconds fast, or slow when it
    /// is negative; with 0 it has the machine's clock again. Its Kerberos goes by that clock; the
    /// `currentTime` of its LDAP does not.
    ///
    /// # Errors
    /// [`LabError::MissingPackages`] without the library that shifts a program's clock.
    pub fn set_clock(&self, host: &str, seconds: i64) -> Result<(), LabError> {
        let controller = self.controller(host)?;
        controller.end(End::Hard)?;
        controller.start_with_clock(seconds)?;
        self.wait_for(&controller)
    }

    /// Cuts a host off, silently: what it sends and what is sent to it vanishes, and nobody is told.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`].
    pub fn silence(&self, host: &str) -> Result<(), LabError> {
        firewall::silence(self.namespace(host)?)
    }

    /// Ends a silence. Gives whether there was one.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`].
    pub fn unsilence(&self, host: &str) -> Result<bool, LabError> {
        firewall::unsilence(self.namespace(host)?)
    }

    /// Revokes the certificate that a domain controller has now; the list that says so is served at
    /// once.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`] when there is no such controller.
    pub fn revoke_certificate(&self, host: &str) -> Result<(), LabError> {
        Authority::of(&self.directory).revoke(self.controller(host)?.host)
    }

    /// Gives a domain controller another certificate and starts it with that.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`] when there is no such controller.
    pub fn reissue_certificate(&self, host: &str, kind: Certificate) -> Result<(), LabError> {
        let controller = self.controller(host)?;
        Authority::of(&self.directory).certify(&controller, kind)?;
        controller.end(End::Hard)?;
        self.start_controller(host)
    }

    /// Serves the forest's revocation list no more, on any host.
    ///
    /// # Errors
    /// [`LabError::Program`] when a server cannot be ended.
    pub fn stop_revocation_lists(&self) -> Result<(), LabError> {
        let authority = Authority::of(&self.directory);
        self.forest(0)?.controllers().try_for_each(|controller| authority.stop_serving(controller))
    }

    /// Serves the forest's revocation list again.
    ///
    /// # Errors
    /// [`LabError::NotReady`] when a server does not start.
    pub fn start_revocation_lists(&self) -> Result<(), LabError> {
        let authority = Authority::of(&self.directory);
        let forest = self.forest(0)?;
        forest.controllers().try_for_each(|controller| authority.serve(controller, &self.chart))
    }

    /// Takes a right from the sync server's account at `dc1`.
    ///
    /// # Errors
    /// [`LabError::Program`] when it does not have it.
    pub fn take_right(&self, right: ForestRight) -> Result<(), LabError> {
        self.forest(0)?.change_right("take", right)
    }

    /// Gives a right back to the sync server's account at `dc1`.
    ///
    /// # Errors
    /// [`LabError::Program`] when it has it already.
    pub fn give_right(&self, right: ForestRight) -> Result<(), LabError> {
        self.forest(0)?.change_right("give", right)
    }

    /// Everything that crossed both networks up to now.
    ///
    /// # Errors
    /// [`LabError::Capture`] when a recording does not parse.
    pub fn capture(&self) -> Result<Capture, LabError> {
        let hosts = &self.hosts;
        let mut recordings = Vec::new();
        for router in hosts.iter().filter(|host| host.forwards()) {
            let router = (router, self.namespace(router.name)?);
            recordings.extend(recording::read(router, &self.directory)?);
        }
        let hosts: Vec<_> = hosts.iter().map(Host::firewall).collect();
        Ok(Capture::new(recordings, &self.chart, &hosts))
    }

    /// Its hosts, recordings and what its firewalls stopped.
    ///
    /// # Errors
    /// [`LabError::Program`] when a firewall cannot be read.
    pub fn status(&self) -> Result<Status, LabError> {
        let mut hosts = Vec::new();
        for host in &self.hosts {
            let namespace = self.namespace(host.name)?;
            let (stopped, closed) = firewall::inspect(namespace)?;
            hosts.push(HostStatus {
                name: host.name,
                roles: host.roles.iter().map(|role| role.name()).collect(),
                addresses: host.addresses(),
                pid: namespace.init.pid,
                stopped,
                closed,
            });
        }
        Ok(Status {
            name: self.name.clone(),
            directory: self.directory.path().to_owned(),
            archive: self.state.archive.clone(),
            authority: self.directory.authority_certificate(),
            recordings: Network::ALL.map(|network| self.directory.recording(network)).to_vec(),
            hosts,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// The chart that its firewalls were made from.
    #[must_use]
    pub fn chart(&self) -> &Chart {
        &self.chart
    }

    fn build(&mut self, options: &Options, report: &mut dyn FnMut(Step)) -> Result<(), LabError> {
        let mut start = Instant::now();
        let mut step = |what, detail: String| {
            let took = start.elapsed();
            start = Instant::now();
            report(Step { what, detail, took });
        };
        let hosts = self.hosts.clone();
        self.keep_namespaces(&hosts)?;
        for network in Network::ALL {
            let switch = self.namespace(switch_name(network))?;
            network::build_switch(switch)?;
        }
        for host in &hosts {
            let namespace = self.namespace(host.name)?;
            network::build_host(namespace, (host, &hosts), &self.chart, &self.directory)?;
            for link in &host.links {
                let switch = self.namespace(switch_name(link.network))?;
                network::draw_cable((host, namespace), link, switch)?;
            }
            network::put_up(namespace, host)?;
        }
        let names: Vec<_> = hosts.iter().map(|host| host.name).collect();
        step("hosts", format!("{}; default-deny from edition {EDITION}", names.join(" ")));
        self.start_resolver(&hosts)?;
        let archive = self.start_forest(options, &mut step)?;
        for host in &hosts {
            firewall::reset_counters(self.namespace(host.name)?)?;
        }
        self.state.archive = Some(archive);
        self.state.complete = true;
        self.state.write(&self.directory)
    }

    fn controller(&self, name: &str) -> Result<Controller<'_>, LabError> {
        let forest = self.forest(0)?;
        let found = forest.controllers().find(|controller| controller.host.name == name).copied();
        found.ok_or_else(|| LabError::UnknownHost {
            host: name.to_owned(),
            known: forest.controllers().map(|it| it.host.name).collect::<Vec<_>>().join(", "),
        })
    }

    fn wait_for(&self, controller: &Controller<'_>) -> Result<(), LabError> {
        let asking = plan::host_of(&self.hosts, Role::Connect)?;
        controller.wait(self.namespace(asking.name)?, &self.chart)
    }

    /// Makes the namespaces, each written down before it may stay.
    fn keep_namespaces(&mut self, hosts: &[Host]) -> Result<(), LabError> {
        let switches = Network::ALL.map(switch_name);
        for name in switches.into_iter().chain(hosts.iter().map(|host| host.name)) {
            let draft = Draft::new(name)?;
            self.state.namespaces.push(draft.namespace.clone());
            self.state.write(&self.directory)?;
            draft.stay()?;
        }
        Ok(())
    }

    fn start_resolver(&self, hosts: &[Host]) -> Result<(), LabError> {
        for host in hosts.iter().filter(|host| host.forwards()) {
            let log = self.directory.log("dnsmasq");
            let mut dnsmasq = self.namespace(host.name)?.daemon("dnsmasq", &log)?;
            dnsmasq.args(plan::name_server_arguments());
            Program::from(dnsmasq).start()?;
        }
        Ok(())
    }

    fn start_forest(
        &self,
        options: &Options,
        step: &mut dyn FnMut(&'static str, String),
    ) -> Result<PathBuf, LabError> {
        let forest = self.forest(options.extra_users)?;
        forest.controllers().try_for_each(Controller::mount)?;
        let archive = forest.archive(&absolute(&options.cache)?, &mut |detail| {
            step("forest", detail.to_owned());
        })?;
        forest.restore(&archive)?;
        let authority = self.directory.authority_certificate();
        for host in &self.hosts {
            let copy = self.directory.etc(host.name).join("ca.pem");
            std::fs::copy(&authority, &copy).map_err(LabError::io("write", &copy))?;
        }
        let asking = plan::host_of(&self.hosts, Role::Connect)?;
        let copy = self.directory.etc(asking.name).join(plan::SERVICE_KEYTAB_FILE);
        process::write_private(&copy, process::read(&self.directory.service_keytab())?)?;
        step("forest", format!("{} from {}", plan::FOREST_DOMAIN, archive.display()));
        // From here on: how an archive came to be is nobody's traffic.
        for network in Network::ALL {
            recording::start(self.namespace(switch_name(network))?, network, &self.directory)?;
        }
        step("captures", self.directory.path().join("{lan,wan}.pcap").display().to_string());
        forest.start()?;
        let names: Vec<_> = forest.controllers().map(|it| it.host.fqdn()).collect();
        step("ready", names.join(" "));
        Ok(archive)
    }

    fn forest(&self, extra_users: u32) -> Result<Forest<'_>, LabError> {
        let mut controllers = Vec::new();
        for host in self.hosts.iter().filter(|host| host.roles.contains(&Role::Forest)) {
            let namespace = self.namespace(host.name)?;
            controllers.push(Controller { namespace, host, directory: &self.directory });
        }
        let mut controllers = controllers.into_iter();
        let none = || LabError::Chart("no host plays the forest".to_owned());
        let asking = plan::host_of(&self.hosts, Role::Connect)?;
        Ok(Forest {
            directory: &self.directory,
            chart: &self.chart,
            first: controllers.next().ok_or_else(none)?,
            second: controllers.next(),
            asking: self.namespace(asking.name)?,
            extra_users,
        })
    }

    fn namespace(&self, host: &str) -> Result<&Namespace, LabError> {
        let known = || self.hosts.iter().map(|host| host.name).collect::<Vec<_>>().join(", ");
        self.state
            .namespace(host)
            .ok_or_else(|| LabError::UnknownHost { host: host.to_owned(), known: known() })
    }

    pub(crate) fn take_away(&self) -> Result<(), LabError> {
        let held = self.directory.lock()?;
        self.demolish(&held, None)
    }

    fn demolish(&self, held: &File, keep: Option<&Path>) -> Result<(), LabError> {
        end_all(&self.state)?;
        clear(&self.directory, keep, held)
    }
}

fn end_all(state: &State) -> Result<(), LabError> {
    state.namespaces.iter().try_for_each(Namespace::end)
}

/// Removes a lab's files while its directory is held.
fn clear(directory: &Directory, keep: Option<&Path>, _held: &File) -> Result<(), LabError> {
    if let Some(keep) = keep {
        process::create_directory(keep)?;
        for network in Network::ALL {
            let recording = directory.recording(network);
            if recording.exists() {
                let copy = keep.join(network.name()).with_extension("pcap");
                std::fs::copy(&recording, &copy).map_err(LabError::io("write", &copy))?;
            }
        }
    }
    directory.remove()
}

fn absolute(path: &Path) -> Result<PathBuf, LabError> {
    std::path::absolute(path).map_err(LabError::io("find", path))
}
