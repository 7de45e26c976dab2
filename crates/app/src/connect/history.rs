//! `portolan connect history`: the runs of this server, and what is wrong with single objects.

use portolan_store::state::{ErrorPlace, State};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::config::Config;
use super::cycle::FILE;
use super::suffixes::{Renamed, Suffixes};
use super::synchronise::Connected;
use super::{Look, print_json};
use crate::report::Failure;
use crate::terminal::plain;

/// Runs and errors that are shown.
const RUNS_MAX: u32 = 100;
const ERRORS_MAX: u32 = 10_000;
/// Users with another name in the tenant that are named; of the others their number.
const RENAMED_MAX: usize = 1_000;

#[derive(Serialize)]
struct ShownRun {
    id: i64,
    kind: String,
    begun: String,
    ended: Option<String>,
    outcome: Option<String>,
    counts: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct ShownError {
    object: Option<String>,
    code: String,
    text: String,
    hint: Option<String>,
}

/// Runs `connect history`.
pub(super) async fn runs(look: Look) -> Result<(), Failure> {
    let state = State::open(&look.state.join(FILE)).await?;
    let shown = state.runs(RUNS_MAX).await?.into_iter().map(|run| ShownRun {
        id: run.id.0,
        kind: run.kind,
        begun: run.begun.format(&Rfc3339).unwrap_or_default(),
        ended: run.ended.and_then(|ended| ended.format(&Rfc3339).ok()),
        outcome: run.outcome,
        counts: run.counts.and_then(|counts| serde_json::from_str(&counts).ok()),
    });
    let shown: Vec<_> = shown.collect();
    if look.json {
        return print_json(&shown);
    }
    for run in &shown {
        let outcome = run.outcome.as_deref().unwrap_or("broken off, or under way");
        let counts = run.counts.as_ref().map(ToString::to_string).unwrap_or_default();
        println!("{:>6}  {}  {:<12} {outcome}  {counts}", run.id, run.begun, run.kind);
    }
    Ok(())
}

/// Runs `connect object errors`.
pub(super) async fn errors(look: Look) -> Result<(), Failure> {
    let state = State::open(&look.state.join(FILE)).await?;
    let found = state.errors(ErrorPlace::default(), ERRORS_MAX).await?;
    let shown = found.into_iter().map(|error| ShownError {
        object: error.dn,
        code: error.code,
        text: error.text,
        hint: error.hint,
    });
    let mut shown: Vec<_> = shown.collect();
    let config = Config::read(&look.state)?;
    let connected = Connected::of(&state, &config).await?;
    let suffixes = Suffixes::of(&state, connected.target, RENAMED_MAX).await?;
    shown.extend(suffixes.first.iter().map(renamed));
    if look.json {
        return print_json(&shown);
    }
    for error in &shown {
        println!("{}: {}", plain(error.object.as_deref().unwrap_or("-")), plain(&error.text));
        if let Some(hint) = &error.hint {
            println!("  hint: {}", plain(hint));
        }
    }
    println!("{} objects with errors", shown.len() - suffixes.first.len());
    if suffixes.count > 0 {
        println!("{} users whose suffix the tenant has not verified:", suffixes.count);
        for (suffix, count) in &suffixes.by_suffix {
            println!("{count:>8}  {}", plain(suffix));
        }
    }
    Ok(())
}

fn renamed(renamed: &Renamed) -> ShownError {
    let Renamed { who, found, used } = renamed;
    ShownError {
        object: Some(who.clone()),
        code: "suffix-not-verified".to_owned(),
        text: format!("{found} is no name in the tenant; {used} is used"),
        hint: Some("verify the suffix in the tenant, or give a verified one in the forest".to_owned()),
    }
}
