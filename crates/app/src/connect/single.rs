//! The steps of a cycle, each alone: `portolan connect import`, `sync`, `export` and `confirm`.

use std::path::Path;

use portolan_model::DnsName;
use serde::Serialize;

use super::cycle::Server;
use super::gate;
use super::import::{Imported, Sought};
use super::perform::Summary;
use super::print_json;
use super::profile::{Extent, Profile, Step};
use super::running::{Counted as _, Counts, Running};
use super::steps::Steps;
use super::turn::Turn;
use super::{Look, cycle};
use crate::report::Failure;
use crate::signal::Stop;
use crate::terminal::plain;

/// What `connect import` is told.
#[derive(Debug, clap::Args)]
pub struct Import {
    #[command(flatten)]
    look: Look,
    /// Read everything anew, and not only what changed
    #[arg(long)]
    full: bool,
    /// Read this forest alone, of several
    #[arg(long, value_name = "DOMAIN")]
    forest: Option<DnsName>,
    /// Believe that this many objects of a kind are gone, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
}

/// What `connect sync` is told.
#[derive(Debug, clap::Args)]
pub struct Sync {
    /// One object, by its distinguished name, its userPrincipalName or its objectGUID: it is read from the
    /// forest, decided about and exported now, alone, and shown before and after
    #[arg(value_name = "OBJECT", conflicts_with = "full", value_parser = sought)]
    object: Option<Sought>,
    /// Evaluate every rule for every object, and not only for what changed
    #[arg(long)]
    full: bool,
    /// Look for the object in this forest, of several
    #[arg(long, value_name = "DOMAIN", requires = "object")]
    forest: Option<DnsName>,
    #[command(flatten)]
    look: Look,
}

/// What `connect export` is told.
#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    look: Look,
    /// Let this many deletions of a kind through, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
}

fn sought(text: &str) -> Result<Sought, String> {
    text.parse()
}

/// What was read, and how long it took.
#[derive(Serialize)]
struct Read {
    imported: Imported,
    /// From the end of the bind to the commit.
    seconds: f64,
}

/// Runs `connect import`.
pub(super) async fn import(told: Import) -> Result<(), Failure> {
    let Import { look, full, forest, allow_deletions } = told;
    let step = Step::Import(if full { Extent::Full } else { Extent::Delta });
    let summary = perform(&look.state, "import", step, forest, allow_deletions).await?;
    let unread = summary.check_read();
    if let Some(imported) = summary.imported {
        let seconds = imported.took.as_secs_f64();
        if look.json {
            print_json(&Read { imported, seconds })?;
        } else {
            println!("{} in {seconds:.3} s", imported.summary());
        }
    }
    unread
}

/// Runs `connect sync`.
pub(super) async fn sync(told: Sync) -> Result<(), Failure> {
    let Sync { object, full, forest, look } = told;
    if let Some(object) = object {
        return one(&look, &object, forest.as_ref()).await;
    }
    let step = Step::Synchronise(if full { Extent::Full } else { Extent::Delta });
    let summary = perform(&look.state, "sync", step, None, 0).await?;
    if look.json {
        return print_json(&summary);
    }
    for error in &summary.errors {
        println!("{}", plain(error));
    }
    let waiting = waiting(&look.state).await?;
    println!("{} objects with errors; {waiting} changes wait for an export", summary.errors.len());
    Ok(())
}

/// Runs `connect export`.
pub(super) async fn export(told: Export) -> Result<(), Failure> {
    let Export { look, allow_deletions } = told;
    let summary = perform(&look.state, "export", Step::Export, None, allow_deletions).await?;
    if look.json {
        print_json(&summary)?;
    } else {
        for warning in &summary.warnings {
            println!("note: {}", plain(warning));
        }
        println!("{}", summary.line());
    }
    summary.check_taken()?;
    gate::check_held(&summary.held)
}

/// Runs `connect confirm`.
pub(super) async fn confirm(look: Look) -> Result<(), Failure> {
    let summary = perform(&look.state, "confirm", Step::Confirm, None, 0).await?;
    if look.json { print_json(&summary.confirmed) } else { Ok(()) }
}

/// One step as a run of its own.
async fn perform(
    state: &Path,
    kind: &str,
    step: Step,
    forest: Option<DnsName>,
    allowed: usize,
) -> Result<Summary, Failure> {
    let mut server = Server::open(state).await?;
    if let Some(forest) = &forest {
        server.config.forest(Some(forest))?;
    }
    let steps = Steps::begin();
    let _turn = Turn::take(state, &steps).await?;
    let profile = Profile { name: kind.to_owned(), steps: vec![step], forest, ends_early: false };
    let outcome = server.run(None, &profile, allowed, &steps).await;
    server.give_lease_back().await;
    outcome
}

/// One object, all the way.
async fn one(look: &Look, object: &Sought, forest: Option<&DnsName>) -> Result<(), Failure> {
    let mut server = Server::open(&look.state).await?;
    let steps = Steps::begin();
    let _turn = Turn::take(&look.state, &steps).await?;
    let run = Running::begin(&server.state, None, "sync object").await?;
    let stop = Stop::listen()?;
    let outcome = server.synchronise_one(&run, object, forest, (&stop, &steps));
    let outcome = Box::pin(outcome).await;
    let counts = outcome.as_ref().map_or_else(|_| Counts::default(), |shown| shown.counts());
    run.end(&outcome, counts).await?;
    let shown = outcome?;
    if look.json {
        print_json(&shown)?;
    } else {
        shown.print();
    }
    shown.check_taken()
}

/// How many changes of objects wait for an export.
async fn waiting(directory: &Path) -> Result<u64, Failure> {
    let state = portolan_store::state::State::open(&directory.join(cycle::FILE)).await?;
    let mut count = 0;
    for system in state.connectors().await? {
        if system.side == portolan_sync::engine::Side::Target {
            let figures = state.figures(system.id).await?;
            count += figures.pending.iter().map(|(.., count)| count).sum::<u64>();
            count += figures.references;
        }
    }
    Ok(count)
}
