//! The subcommand `portolan lab`: a whole company in network namespaces.
//!
//! What a lab is and does is in `portolan_lab`; here it meets the command line and the terminal.

mod scenario;
mod show;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use portolan_chart::{Flow, Transport};
use portolan_lab::{Controllers, How, Lab, LabName, Options, Started};

use crate::report::Failure;

/// What `portolan lab` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Bring a lab up: hosts, firewalls, a forest with people in it.
    Up {
        /// Which lab.
        #[command(flatten)]
        place: Place,
        /// Where archives of provisioned forests are kept.
        #[arg(long, value_name = "DIR", default_value = "/var/cache/portolan/lab")]
        cache: PathBuf,
        /// People in the forest beyond the usual ones, for measurements.
        #[arg(long, value_name = "N", default_value_t = 0)]
        users: u32,
        /// Leave the second domain controller out.
        #[arg(long)]
        one_controller: bool,
        /// Print what there is as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the hosts, the recordings and what the firewalls stopped.
    Status {
        /// Which lab.
        #[command(flatten)]
        place: Place,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run a program on a host.
    Exec {
        /// Which lab.
        #[command(flatten)]
        place: Place,
        /// The host: dc1, dc2, connect, ws1, tenant or edge.
        host: String,
        /// The program and its arguments, after `--`.
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Close a row of the chart on every firewall.
    Close {
        /// Which lab.
        #[command(flatten)]
        place: Place,
        /// The row's flow, such as connect.ad.ldap.
        flow: Flow,
        /// Close it by this transport alone: tcp or udp [default: by all that the row has].
        #[arg(long, value_parser = transport)]
        transport: Option<Transport>,
        /// What a packet meets: `reject` answers it, `drop` says nothing.
        #[arg(long, default_value = "reject")]
        how: How,
    },
    /// Open a closed row again, by every transport.
    Open {
        /// Which lab.
        #[command(flatten)]
        place: Place,
        /// The row's flow, such as connect.ad.ldap.
        flow: Flow,
    },
    /// Count what crossed the networks by row; fails if a packet is off the chart.
    Capture {
        /// Which lab.
        #[command(flatten)]
        place: Place,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run a scenario: a whole story in the lab, step by step, with an expectation.
    Run(scenario::Run),
    /// A person's program on a workstation, for scenarios.
    #[command(hide = true)]
    Person,
    /// Take a lab away, with all that belongs to it.
    Down {
        /// Which lab.
        #[command(flatten)]
        place: Place,
        /// Copy the recordings here first.
        #[arg(long, value_name = "DIR")]
        keep_captures: Option<PathBuf>,
    },
}

/// Which lab.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The lab's name; labs of different names run side by side.
    #[arg(long, default_value = "main")]
    name: LabName,
    /// Where labs keep their state.
    #[arg(long, value_name = "DIR", default_value = "/run/portolan/lab")]
    state: PathBuf,
}

/// Runs a command to its end.
///
/// # Errors
/// A [`Failure`] to print.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up { place, cache, users, one_controller, json } => {
            let controllers = if one_controller { Controllers::One } else { Controllers::Two };
            let options = Options {
                name: place.name.clone(),
                state: place.state.clone(),
                cache,
                extra_users: users,
                controllers,
            };
            up(&place, &options, json)
        }
        Command::Status { place, json } => {
            let status = place.attach()?.status()?;
            print(&if json { show::status_json(&status) } else { show::status(&status) })
        }
        Command::Exec { place, host, command } => Err(exec(&place, &host, &command)),
        Command::Close { place, flow, transport, how } => {
            let lab = place.attach()?;
            match transport {
                Some(transport) => lab.close_over(flow, transport, how)?,
                None => lab.close(flow, how)?,
            }
            let by = transport.map(|transport| format!(" by {transport}")).unwrap_or_default();
            print(&format!("{flow} is closed{by} on every host\n"))
        }
        Command::Open { place, flow } => {
            let was_closed = place.attach()?.open(flow)?;
            let what = if was_closed { "is open again" } else { "was not closed" };
            print(&format!("{flow} {what}\n"))
        }
        Command::Capture { place, json } => capture(&place, json),
        Command::Run(arguments) => scenario::run(&arguments),
        Command::Person => scenario::person::run().await,
        Command::Down { place, keep_captures } => {
            Lab::remove(&place.name, &place.state, keep_captures.as_deref())?;
            print(&format!("the lab {} is gone\n", place.name))
        }
    }
}

/// A transport by its name.
fn transport(word: &str) -> Result<Transport, String> {
    let known = [Transport::Tcp, Transport::Udp];
    let found = known.into_iter().find(|transport| transport.name() == word);
    found.ok_or_else(|| format!("{word:?} is neither tcp nor udp"))
}

impl Place {
    fn attach(&self) -> Result<Lab, Failure> {
        Ok(Lab::attach(&self.name, &self.state)?)
    }

    /// The options that lead another command to the same lab.
    fn options(&self) -> String {
        let mut options = String::new();
        if self.name != LabName::default() {
            options.push_str(&format!(" --name {}", self.name));
        }
        if self.state != Options::default().state {
            options.push_str(&format!(" --state {}", self.state.display()));
        }
        options
    }
}

fn up(place: &Place, options: &Options, json: bool) -> Result<(), Failure> {
    let (lab, started) = Lab::up(options, &mut |step| {
        if !json {
            let seconds = step.took.as_secs_f64();
            // Progress that cannot be printed does not stop the work.
            let _ = print(&format!("{seconds:6.2} s  {:<9} {}\n", step.what, step.detail));
        }
    })?;
    let status = lab.status()?;
    if json {
        return print(&show::status_json(&status));
    }
    if started == Started::Already {
        print(&format!("the lab {} is running already\n", place.name))?;
    }
    print(&show::how_to_go_on(&place.options()))
}

/// Puts the program in this one's place, so that its inputs, outputs, signals and exit status are
/// its own. Comes back only with a failure.
fn exec(place: &Place, host: &str, command: &[OsString]) -> Failure {
    let prepared = place.attach().and_then(|lab| {
        let (program, arguments) =
            command.split_first().ok_or_else(|| Failure::new("there is no program to run"))?;
        let mut prepared = lab.command(host, program)?;
        prepared.args(arguments);
        Ok(prepared)
    });
    match prepared {
        Ok(mut prepared) => Failure::because("cannot run nsenter", &prepared.exec()),
        Err(failure) => failure,
    }
}

fn capture(place: &Place, json: bool) -> Result<(), Failure> {
    let lab = place.attach()?;
    let capture = lab.capture()?;
    print(&if json { show::capture_json(&capture) } else { show::capture(&capture) })?;
    match capture.off_chart.len() {
        0 => Ok(()),
        count => {
            let recordings: Vec<_> = lab.status()?.recordings;
            let paths = recordings.iter().map(|path| Path::display(path).to_string());
            let paths = paths.collect::<Vec<_>>().join(" ");
            Err(Failure::new(format!("{count} packets are off the chart"))
                .with_hint(format!("the recordings are {paths}")))
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::because("cannot write to standard output", &error))
}
