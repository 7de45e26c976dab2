//! `portolan connect key rotate` and `portolan connect credential set`: new secrets in place of old ones.

use std::path::PathBuf;

use portolan_net::clock;

use super::account::{read_keytab_octets, read_password};
use super::config::{Config, RawConfig};
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
    /// Seal the password or keytab of the account that reads the forest, in place of the old one.
    ///
    /// The configuration names no file with it any more, so that the file may go. Change a password in
    /// the forest first, then here. A `connect run` that was refused takes it up when it is
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
    let Credential::Set(Set { place, password_file, keytab }) = command;
    let now = clock::now();
    RawConfig::adopt(&place.state, now)?;
    let mut raw = RawConfig::existing(&place.state)?.ok_or_else(|| {
        Failure::new("this server is not configured").with_hint("run `portolan connect init` first")
    })?;
    let account = &raw.forest.account;
    let (password_name, keytab_name) = (secrets::password(account), secrets::keytab(account));
    let mut secrets = Secrets::open(&place.state)?;
    if let Some(path) = &password_file {
        let password = read_password(path).map_err(Failure::new)?;
        let octets = password.expose().as_bytes();
        secrets.change(&[(&password_name, octets)], &[&keytab_name], now)?;
    }
    if let Some(path) = &keytab {
        let octets = read_keytab_octets(path).map_err(Failure::new)?;
        secrets.change(&[(&keytab_name, &octets)], &[&password_name], now)?;
    }
    (raw.forest.password_file, raw.forest.keytab) = (None, None);
    raw.write(&place.state)?;
    let config = Config::read(&place.state)?;
    config.credential(&place.state)?;
    println!("the secret of {} is sealed; its file may go", config.account);
    Ok(())
}
