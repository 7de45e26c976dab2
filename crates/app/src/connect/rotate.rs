//! `portolan connect key rotate` and `portolan connect credential set`: new secrets in place of old ones.

use std::path::PathBuf;

use portolan_net::clock;

use super::config::{Config, RawConfig, read_password};
use super::cycle::Server;
use super::secrets::{self, Secrets};
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
    /// Seal a new password of the account that reads the forest, in place of the old one.
    ///
    /// Change it in the forest first, then here. A `connect run` that was refused takes it up when it is
    /// started again.
    Set(Set),
}

/// Where this server's state is.
#[derive(Debug, clap::Args)]
pub struct State {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
}

/// What `connect credential set` is told.
#[derive(Debug, clap::Args)]
pub struct Set {
    #[command(flatten)]
    place: State,
    /// A file whose first line is the password; its owner alone may read it, and it may go afterwards
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

/// Runs `connect key`.
pub(super) async fn key(command: Key) -> Result<(), Failure> {
    match command {
        Key::Rotate(place) => {
            Server::open(&place.state).await?.renew_key(true).await?;
            println!("the tenant has this server's new key, and the old one is over");
        }
        Key::RotateMaster(place) => {
            RawConfig::adopt(&place.state, clock::now())?;
            let key = Secrets::open(&place.state)?.rotate_master_key()?;
            println!("master key {key}: the secrets are sealed with it, the old key is forgotten");
        }
    }
    Ok(())
}

/// Runs `connect credential set`.
pub(super) fn credential(command: Credential) -> Result<(), Failure> {
    let Credential::Set(Set { place, password_file }) = command;
    let now = clock::now();
    let password = read_password(&password_file).map_err(Failure::new)?;
    let missing = || Failure::new("this server is not configured");
    RawConfig::adopt(&place.state, now)?;
    let raw = RawConfig::existing(&place.state)?
        .ok_or_else(|| missing().with_hint("run `portolan connect init` first"))?;
    let name = secrets::password(&raw.forest.account);
    let mut secrets = Secrets::open(&place.state)?;
    secrets.change(&[(&name, password.expose().as_bytes())], &[], now)?;
    let config = Config::read(&place.state)?;
    println!("the password of {} is sealed; {} may go", config.account, password_file.display());
    Ok(())
}
