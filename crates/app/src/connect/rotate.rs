//! `portolan connect key rotate` and `portolan connect credential set`: new secrets in place of old ones.

use std::path::PathBuf;

use portolan_model::DnsName;
use portolan_net::clock;
use serde_json::json;

use super::account::{Account, SecretFile, forget_marks};
use super::config::{Config, RawConfig};
use super::cycle::Server;
use super::forest::Forest;
use super::forest_config::ForestConfig;
use super::print_json;
use super::secrets::Secrets;
use super::steps::Steps;
use crate::report::Failure;

/// What `portolan connect key` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// Replace the key by which this server proves itself to the tenant.
    ///
    /// `connect run` does so by itself every 30 days. A replacement that was broken off is finished by
    /// the next run: the tenant takes the old key until the new one was used.
    Rotate(State),
    /// Make a new master key, seal this server's secrets with it, and forget the old one.
    RotateMaster(State),
}

/// What `portolan connect credential` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Credential {
    /// Seal the password or keytab of the account that reads the forest, in place of the old one.
    ///
    /// The forest is asked once whether it takes it: what it refuses changes nothing here. The file may
    /// go afterwards. Change a password in the forest first, then here. A `connect run` takes it up
    /// when it is started again.
    Set(Set),
}

/// Where this server's state is.
#[derive(Debug, clap::Args)]
pub struct State {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What `connect credential set` is told.
#[derive(Debug, clap::Args)]
pub struct Set {
    #[command(flatten)]
    place: State,
    /// A file whose first line is the password; its owner alone may read it, and it may go afterwards
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "keytab",
        conflicts_with = "keytab"
    )]
    password_file: Option<PathBuf>,
    /// A keytab with the account's AES keys; its owner alone may read it, and it may go afterwards
    #[arg(long, value_name = "FILE")]
    keytab: Option<PathBuf>,
    /// The forest whose account it is, where there are several
    #[arg(long, value_name = "DOMAIN")]
    forest: Option<DnsName>,
}

/// Runs `connect key`.
pub(super) async fn key(command: Key) -> Result<(), Failure> {
    match command {
        Key::Rotate(State { state, json }) => {
            let mut server = Server::open(&state).await?;
            server.renew_key(true).await?;
            let key_id = server.key_id()?;
            tell(json, json!({ "key_id": key_id }), || {
                println!("the tenant has this server's new key {key_id}, and the old one is over");
            })
        }
        Key::RotateMaster(State { state, json }) => {
            RawConfig::adopt(&state, clock::now())?;
            let key = Secrets::open(&state)?.rotate_master_key()?;
            tell(json, json!({ "master_key": key }), || {
                println!(
                    "master key {key}: the secrets are sealed with it, the old key is forgotten"
                );
            })
        }
    }
}

/// Runs `connect credential set`: what the forest refuses takes no one's place.
pub(super) async fn credential(command: Credential) -> Result<(), Failure> {
    let Credential::Set(Set { place: State { state, json }, password_file, keytab, forest }) =
        command;
    let now = clock::now();
    RawConfig::adopt(&state, now)?;
    let mut raw = RawConfig::existing(&state)?.ok_or_else(|| {
        Failure::new("this server is not configured").with_hint("run `portolan connect init` first")
    })?;
    let config = Config::read(&state)?;
    let file = SecretFile::of(password_file, keytab).map_err(Failure::new)?.absolute()?;
    let forest = config.forest(forest.as_ref())?;
    let read = Account::read(&forest.account, &forest.domain, &file);
    let (account, held) = read.map_err(Failure::new)?;
    let credential = account.offered(&state)?;
    prove(&config, forest, credential).await?;
    let (record, other) = held.records(&forest.account, &forest.domain);
    Secrets::open(&state)?.change(&[(&record, held.octets())], &[&other], now)?;
    if let Some(raw) = raw.forest.of_mut(&forest.domain) {
        (raw.password_file, raw.keytab) = (None, None);
    }
    raw.write(&state)?;
    forget_marks(&state, &forest.domain)?;
    let account = &forest.account;
    tell(json, json!({ "account": account, "sealed": record }), || {
        println!("the secret of {account} is sealed; {} may go", file.path().display());
    })
}

/// Asks the forest once whether it takes the account.
async fn prove(
    config: &Config,
    forest: &ForestConfig,
    credential: portolan_net::kerberos::Credential,
) -> Result<(), Failure> {
    let steps = Steps::begin();
    let network = forest.network(&config.reach)?;
    let found = Forest::find(&network, &forest.domain, credential, &steps).await?;
    let connection = found.over(forest.channel(&network)).ldap(&steps).await?;
    // The account was taken: how the controller takes the goodbye changes nothing.
    let _ = connection.close().await;
    Ok(())
}

fn tell(json: bool, value: serde_json::Value, say: impl FnOnce()) -> Result<(), Failure> {
    if json {
        return print_json(&value);
    }
    say();
    Ok(())
}
