//! `portolan connect import`: reads the forest, and does nothing else.

use serde::Serialize;

use super::cycle::Server;
use super::import::Imported;
use super::steps::Steps;
use super::{Look, print_json};
use crate::report::Failure;

/// What `connect import` is told.
#[derive(Debug, clap::Args)]
pub struct Import {
    #[command(flatten)]
    look: Look,
    /// Read everything anew, and not only what changed
    #[arg(long)]
    full: bool,
    /// Believe that this many objects of a kind are gone, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
}

/// What was read, and how long it took.
#[derive(Serialize)]
struct Read {
    imported: Imported,
    /// From the end of the bind to the commit.
    seconds: f64,
}

/// Runs `connect import`.
pub(super) async fn run(import: Import) -> Result<(), Failure> {
    let mut server = Server::open(&import.look.state).await?;
    let steps = Steps::begin();
    if import.full {
        for forest in &server.connected.forests {
            server.state.forget_forest_cursor(forest.connector).await?;
        }
    }
    let (imported, took) = server.import(import.allow_deletions, &steps).await?;
    if import.look.json {
        return print_json(&Read { imported, seconds: took.as_secs_f64() });
    }
    println!("{} in {:.3} s", imported.summary(), took.as_secs_f64());
    Ok(())
}
