//! The subcommand `portolan tenant`: the cloud directory.
//!
//! Decisions are in `portolan_tenant`; here are its data directory ([`data`]), its certificate
//! authority ([`authority`]), its commands, and the routes ([`http`]) with what they write ([`ingest`]). Nothing in the tenant is
//! administered over the network yet: whoever may run these commands on its data directory administers
//! it ([`administration`]). The first administrator is a person who signs in; the role is recorded, gives
//! no right yet, and is shown to no client.

mod administration;
mod authority;
mod commands;
mod data;
mod extension;
mod feature;
pub mod hosts;
mod http;
pub mod ingest;
mod log;
mod public_key;
mod rotate;
mod serve;
mod signing;
mod status;

use std::num::NonZeroU32;
use std::path::PathBuf;

use administration::Which;
use portolan_model::{DnsName, Guid};
use portolan_tenant::graph::throttle::Limits;
use portolan_tenant::redirect::RedirectUri;

use crate::report::Failure;

/// The role of who may do everything in the directory.
const GLOBAL_ADMINISTRATOR: &str = "Global Administrator";

/// What `portolan tenant` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a new tenant with its own certificate authority.
    Init(Init),
    /// Serve sign-in, Graph, ingest and the revocation list.
    Serve(Serve),
    /// Write a one-use file by which a sync server enrols; valid for one hour. Or list what was written
    /// and not used yet, or take it back.
    Enrol(Enrol),
    /// The keys of the tenant.
    #[command(subcommand)]
    Key(Key),
    /// The applications that people sign in to.
    #[command(subcommand)]
    App(App),
    /// The sync servers that enrolled.
    #[command(subcommand)]
    SyncServer(SyncServer),
    /// The domains whose names sign in.
    #[command(subcommand)]
    Domain(Domain),
    /// The attributes that were added to the schema.
    #[command(subcommand)]
    Extension(extension::Command),
    /// The switches of synchronisation: matching, and what becomes of names that are taken.
    #[command(subcommand)]
    Feature(feature::Command),
    /// Show the tenant: addresses, domains, counts, applications, sync servers with their last batch,
    /// and how old keys, certificate and revocation list are.
    Status(Listing),
    /// Show who signed in or did not, and what was done to the directory.
    #[command(subcommand)]
    Log(log::Log),
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
    /// The first administrator, a person of the cloud alone: NAME, or NAME@DOMAIN with a domain of the
    /// tenant. A password is drawn and printed once, and must be changed at the first sign-in. The role
    /// is recorded and gives no right over the network yet: these commands administer the tenant.
    #[arg(long, value_name = "NAME")]
    admin: Option<String>,
    /// A file whose first line is the first administrator's password, instead of one that is drawn.
    #[arg(long, value_name = "FILE", requires = "admin")]
    admin_password_file: Option<PathBuf>,
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
    /// Keep the limits that Microsoft publishes for Graph, to try an application under them: `graph`, or
    /// `graph/N` for an N-th part of them [default: no such limits].
    #[arg(long, value_name = "LIMITS", value_parser = throttle_limits)]
    throttle: Option<Limits>,
}

/// Reads `graph` or `graph/N`.
fn throttle_limits(text: &str) -> Result<Limits, String> {
    let parts = match text.strip_prefix("graph") {
        Some("") => Some(NonZeroU32::MIN),
        Some(rest) => rest.strip_prefix('/').and_then(|parts| parts.parse().ok()),
        None => None,
    };
    let parts = parts.ok_or_else(|| "give graph, or graph/N for an N-th part".to_owned())?;
    Ok(Limits::GRAPH.divided_by(parts))
}

/// The arguments of `enrol`.
#[derive(Debug, clap::Args)]
pub struct Enrol {
    #[command(flatten)]
    place: Place,
    /// The file to write; it must not exist.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "revoke"])]
    out: Option<PathBuf>,
    /// Whoever enrols with the file succeeds this sync server: its objects pass on, and it is removed.
    /// Only for one whose key is lost; `connect init` on its own state directory proves the key itself.
    #[arg(long, value_name = "CLIENT_ID", requires = "out")]
    replace: Option<Guid>,
    /// Whoever enrols with the file shares everything with this sync server, or with this group of them:
    /// one of them writes at a time, by a lease.
    #[arg(long, value_name = "CLIENT_ID|GROUP", requires = "out", conflicts_with = "replace")]
    joins: Option<Guid>,
    /// List the files that were written and not used yet.
    #[arg(long, conflicts_with_all = ["out", "revoke"])]
    list: bool,
    /// Take one back by its name in the list.
    #[arg(long, value_name = "ID", conflicts_with = "out")]
    revoke: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
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
    /// Register an application: a public client that people sign in to, or one that acts by itself and
    /// proves itself by a key.
    Add(AppAdd),
    /// List them.
    List(Listing),
    /// Remove one, with every token that it can renew.
    Remove(Removal),
}

/// What `portolan tenant sync-server` can do.
#[derive(Debug, clap::Subcommand)]
pub enum SyncServer {
    /// List them, with the keys that they prove themselves by and how many objects are theirs.
    List(Listing),
    /// Remove one: its tokens stop at once. The objects that it wrote stay as they are, and the next
    /// sync server that writes them has them.
    Remove(Removal),
    /// End the use of a lease by the group of this sync server: whoever holds it writes no more, and
    /// servers that ask for none write again, until one acquires it anew. For going back to a single
    /// server that knows no leases.
    EndLease(Removal),
}

/// What `portolan tenant domain` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Domain {
    /// Let names of a further domain sign in. "Verified" means that you say so here: that the domain is
    /// yours is taken from you, no DNS record is looked up, and there is no command that does.
    Add(Domains),
    /// List them, with how many users have a name of each.
    List(Listing),
    /// Let names of a domain sign in no longer; refused while a user has one.
    Remove(Domains),
}

/// The arguments of the commands about one domain.
#[derive(Debug, clap::Args)]
pub struct Domains {
    #[command(flatten)]
    place: Place,
    /// The domain.
    name: DnsName,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The arguments of the commands that remove.
#[derive(Debug, clap::Args)]
pub struct Removal {
    #[command(flatten)]
    place: Place,
    /// The client id of what is to be removed.
    client_id: Guid,
    /// Print JSON.
    #[arg(long)]
    json: bool,
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
    #[arg(long, value_name = "URI", required_unless_present = "permission")]
    redirect_uri: Vec<RedirectUri>,
    /// What it may do for everybody who signs in to it; can be given again.
    #[arg(long, value_name = "PERMISSION", default_value = "User.Read")]
    scope: Vec<String>,
    /// What it may do by itself, as Graph names it: User.ReadWrite.All; can be given again.
    #[arg(long, value_name = "PERMISSION", requires = "key")]
    permission: Vec<String>,
    /// The file with the public key by which it proves itself: a JSON Web Key, or a certificate or public
    /// key as PEM (RSA or P-256).
    #[arg(long, value_name = "FILE", requires = "permission")]
    key: Option<PathBuf>,
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
        Command::App(App::List(arguments)) => administration::list(arguments, Which::Clients).await,
        Command::App(App::Remove(arguments)) => {
            administration::remove(arguments, Which::Clients).await
        }
        Command::SyncServer(SyncServer::List(arguments)) => {
            administration::list(arguments, Which::SyncServers).await
        }
        Command::SyncServer(SyncServer::Remove(arguments)) => {
            administration::remove(arguments, Which::SyncServers).await
        }
        Command::SyncServer(SyncServer::EndLease(arguments)) => {
            administration::end_lease(arguments).await
        }
        Command::Domain(command) => administration::domain(command).await,
        Command::Extension(command) => extension::run(command).await,
        Command::Feature(command) => feature::run(command).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Users(arguments) => commands::users(arguments).await,
        Command::Log(command) => log::run(command).await,
    }
}
