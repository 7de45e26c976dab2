//! `portolan connect staging`: whether this server writes anything.

use super::Look;
use super::config::{Config, RawConfig};
use super::steps::Steps;
use crate::report::Failure;

/// What `connect staging` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Staging {
    /// Import and synchronise, and export nothing from now on, nor replicate passwords
    On(Look),
    /// Export again, after what the tenant has was confirmed
    Off(Look),
}

/// Runs `connect staging`.
pub(super) fn run(staging: &Staging) -> Result<(), Failure> {
    let (look, is_on) = match staging {
        Staging::On(look) => (look, true),
        Staging::Off(look) => (look, false),
    };
    Config::read(&look.state)?;
    let raw = RawConfig::existing(&look.state)?;
    let mut raw = raw.ok_or_else(|| Failure::new("this server is not configured yet"))?;
    raw.staging = is_on;
    raw.write(&look.state)?;
    let said = match is_on {
        true => "staging mode is on: from the next cycle on, nothing is exported",
        false => "staging mode is off: the next cycle confirms what the tenant has, and exports",
    };
    Steps::begin().say(None, said);
    Ok(())
}
