//! The subcommand `portolan tenant`.

pub mod ca;

use crate::report::Failure;

/// What `portolan tenant` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {}

/// Runs a command to its end.
///
/// # Errors
/// A [`Failure`] to print.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {}
}
