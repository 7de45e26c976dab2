//! The subcommand `portolan tenant`: the cloud directory.
//!
//! Decisions are in `portolan_tenant`; here are its data directory ([`data`]), its certificate
//! authority ([`authority`]), its commands, and the routes ([`http`]). There is no first
//! administrator yet: nothing in the tenant is administered over the network, and whoever may run
//! these commands on its data directory is its administrator.

mod authority;
mod commands;
mod data;
mod http;
mod rotate;
mod serve;
mod signing;

use std::path::PathBuf;

use portolan_model::DnsName;
use portolan_tenant::redirect::RedirectUri;

use crate::report::Failure;

/// What `portolan tenant` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a new tenant with its own certificate authority.
    Init(Init),
    /// Serve sign-in, Graph, ingest and the revocation list.
    Serve(Serve),
    /// Write a one-use file by which a sync server enrols; valid for one hour.
    Enrol(Enrol),
    /// The keys of the tenant.
    #[command(subcommand)]
    Key(Key),
    /// The applications that people sign in to.
    #[command(subcommand)]
    App(App),
    /// Show the tenant: addresses, domains, counts, applications.
    Status(Listing),
    /// List the users, and whether their password is here.
    Users(Listing),
}

/// Where a tenant is kept.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// The tenant's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The file with the master key, outside the data directory and its backups [default: the systemd
    /// credential `portolan-tenant-master-key`, else the data directory's name with `.master-key` behind
    /// it].
    #[arg(long, value_name = "FILE", env = "PORTOLAN_TENANT_MASTER_KEY")]
    master_key: Option<PathBuf>,
}

/// The arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct Init {
    #[command(flatten)]
    place: Place,
    /// The initial domain; the tenant's hosts are login, graph, sync and crl below it.
    #[arg(long)]
    domain: DnsName,
    /// A further domain whose names sign in here; can be given again.
    #[arg(long, value_name = "DOMAIN")]
    verified_domain: Vec<DnsName>,
}

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    place: Place,
    /// The edition of the chart [default: the one in force].
    #[arg(long)]
    edition: Option<String>,
    /// The address to listen on [default: every address, IPv4 and IPv6].
    #[arg(long)]
    listen: Option<std::net::IpAddr>,
    /// Danger: let applications take people's passwords themselves (the password grant).
    #[arg(long)]
    danger_password_grant: bool,
    /// Days after which a synchronised password is too old to sign in with [default: no end, as in
    /// Entra ID]. Users whose password never expires in the forest are exempt.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    password_age_max: Option<u16>,
}

/// The arguments of `enrol`.
#[derive(Debug, clap::Args)]
pub struct Enrol {
    #[command(flatten)]
    place: Place,
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What `portolan tenant key` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// Make a new master key, seal everything with it, and forget the old one.
    ///
    /// It works while the tenant serves, and can be run again when it was broken off: it goes on where
    /// it was, and the old key stays in the file until nothing needs it. A backup from before needs the
    /// old key: make a new backup afterwards, or keep a copy of the old key file beside the old backup.
    Rotate(Listing),
}

/// What `portolan tenant app` can do.
#[derive(Debug, clap::Subcommand)]
pub enum App {
    /// Register a public client.
    Add(AppAdd),
}

/// The arguments of `app add`.
#[derive(Debug, clap::Args)]
pub struct AppAdd {
    #[command(flatten)]
    place: Place,
    /// What people call it.
    #[arg(long)]
    name: String,
    /// Where people are sent back to; can be given again.
    #[arg(long, value_name = "URI", required = true)]
    redirect_uri: Vec<RedirectUri>,
    /// What it may do for everybody who signs in to it; can be given again.
    #[arg(long, value_name = "PERMISSION", default_value = "User.Read")]
    scope: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The arguments of the commands that list.
#[derive(Debug, clap::Args)]
pub struct Listing {
    #[command(flatten)]
    place: Place,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a command to its end.
///
/// # Errors
/// A [`Failure`] to print.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => commands::init(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Enrol(arguments) => commands::enrol(arguments).await,
        Command::Key(Key::Rotate(arguments)) => rotate::run(arguments).await,
        Command::App(App::Add(arguments)) => commands::app_add(arguments).await,
        Command::Status(arguments) => commands::status(arguments).await,
        Command::Users(arguments) => commands::users(arguments).await,
    }
}
