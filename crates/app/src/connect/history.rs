//! `portolan connect history`: the runs of this server, each with its steps, and what is wrong with single
//! objects.

use std::path::PathBuf;

use portolan_store::state::{
    ErrorPlace, RefusedObject, Run, RunId, RunStep, State, StoredError, StoredRemark,
};
use portolan_sync::target::graph::Fault;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

use super::config::Config;
use super::cycle::FILE;
use super::export::UNABLE;
use super::suffixes::{Renamed, Suffixes};
use super::synchronise::Connected;
use super::target::photo;
use super::{Look, print_json};
use crate::report::Failure;
use crate::terminal::plain;

/// Runs and errors that are shown.
const RUNS_MAX: u32 = 100;
const ERRORS_MAX: u32 = 10_000;
/// Users with another name in the tenant that are named; of the others their number.
const RENAMED_MAX: usize = 1_000;

/// What `connect history` is told.
#[derive(Debug, clap::Args)]
pub struct History {
    /// Show this run alone, with its steps and what it found to be wrong
    #[arg(value_name = "RUN")]
    run: Option<i64>,
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

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
struct ShownStep {
    step: String,
    forest: Option<String>,
    begun: String,
    seconds: Option<f64>,
    outcome: Option<String>,
    counts: Option<serde_json::Value>,
    error: Option<String>,
}

#[derive(Serialize)]
struct ShownError {
    object: Option<String>,
    code: String,
    text: String,
    hint: Option<String>,
}

/// A run with all that is known of it.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    run: ShownRun,
    steps: Vec<ShownStep>,
    errors: Vec<ShownError>,
}

impl From<Run> for ShownRun {
    fn from(run: Run) -> Self {
        Self {
            id: run.id.0,
            kind: run.kind,
            begun: run.begun.format(&Rfc3339).unwrap_or_default(),
            ended: run.ended.and_then(|ended| ended.format(&Rfc3339).ok()),
            outcome: run.outcome,
            counts: run.counts.and_then(|counts| serde_json::from_str(&counts).ok()),
        }
    }
}

impl From<RunStep> for ShownStep {
    fn from(step: RunStep) -> Self {
        Self {
            step: step.step,
            forest: step.forest,
            begun: step.begun.format(&Rfc3339).unwrap_or_default(),
            seconds: step.took.map(|took| took.as_secs_f64()),
            outcome: step.outcome,
            counts: step.counts.and_then(|counts| serde_json::from_str(&counts).ok()),
            error: step.error,
        }
    }
}

impl From<StoredError> for ShownError {
    fn from(error: StoredError) -> Self {
        Self { object: error.dn, code: error.code, text: error.text, hint: error.hint }
    }
}

impl From<StoredRemark> for ShownError {
    fn from(remark: StoredRemark) -> Self {
        let StoredRemark { object, attribute, code, text } = remark;
        let hint = if photo::is_named(&attribute) {
            "the user is there without it: give a JPEG, PNG or GIF of at most 100 KiB in the forest"
        } else {
            "the object is there without it: give another value in the forest"
        };
        let text = format!("the target has it without {attribute}: {text}");
        Self { object: Some(object), code, text, hint: Some(hint.to_owned()) }
    }
}

/// Runs `connect history`.
pub(super) async fn runs(told: History) -> Result<(), Failure> {
    let History { run, state, json } = told;
    let state = State::open(&state.join(FILE)).await?;
    if let Some(run) = run {
        return one(&state, RunId(run), json).await;
    }
    let shown: Vec<_> = state.runs(RUNS_MAX).await?.into_iter().map(ShownRun::from).collect();
    if json {
        return print_json(&shown);
    }
    shown.iter().for_each(print_run);
    Ok(())
}

async fn one(state: &State, id: RunId, json: bool) -> Result<(), Failure> {
    let Some(run) = state.run(id).await? else {
        return Err(Failure::new(format!("there is no run {}", id.0))
            .with_hint("`portolan connect history` lists those that are remembered"));
    };
    let errors = state.errors_of_run(id, ErrorPlace::default(), ERRORS_MAX).await?;
    let whole = Whole {
        run: run.into(),
        steps: state.run_steps(id).await?.into_iter().map(ShownStep::from).collect(),
        errors: errors.into_iter().map(ShownError::from).collect(),
    };
    if json {
        return print_json(&whole);
    }
    print_run(&whole.run);
    for step in &whole.steps {
        let seconds = step.seconds.map_or_else(|| "-".to_owned(), |took| format!("{took:.3} s"));
        let outcome = step.outcome.as_deref().unwrap_or("under way, or broken off");
        let forest = step.forest.as_deref().map(|forest| format!(" {forest}")).unwrap_or_default();
        let counts = words(step.counts.as_ref());
        println!("        {:<10}{forest} {seconds:>12}  {outcome}  {counts}", step.step);
        if let Some(error) = &step.error {
            println!("          {}", plain(error));
        }
    }
    print_errors(&whole.errors);
    Ok(())
}

/// Runs `connect object errors`.
pub(super) async fn errors(look: Look) -> Result<(), Failure> {
    let state = State::open(&look.state.join(FILE)).await?;
    let found = state.errors(ErrorPlace::default(), ERRORS_MAX).await?;
    let mut shown: Vec<_> = found.into_iter().map(ShownError::from).collect();
    let config = Config::read(&look.state)?;
    let connected = Connected::of(&state, &config).await?;
    let remarks = state.remarks(connected.target, ERRORS_MAX).await?;
    shown.extend(remarks.into_iter().map(ShownError::from));
    let suffixes = Suffixes::of(&state, connected.target, RENAMED_MAX).await?;
    let refused = state.refused_objects(connected.target, UNABLE, ERRORS_MAX).await?;
    shown.extend(refused.into_iter().map(refusal));
    let count = shown.len();
    shown.extend(suffixes.first.iter().map(renamed));
    if look.json {
        return print_json(&shown);
    }
    print_errors(&shown);
    println!("{count} objects with errors");
    for (kind, code, count) in state.refused_counts(connected.target).await? {
        if code == UNABLE {
            println!("{count} of kind {kind} are not exported: Graph has no such objects");
        }
    }
    if suffixes.count > 0 {
        println!("{} users whose suffix the tenant has not verified:", suffixes.count);
        for (suffix, count) in &suffixes.by_suffix {
            println!("{count:>8}  {}", plain(suffix));
        }
    }
    Ok(())
}

/// An object that the target refused, and what to do.
fn refusal(refused: RefusedObject) -> ShownError {
    let RefusedObject { kind, anchor, dn, code, text } = refused;
    let hint = Fault::remedy(&code).unwrap_or("it is sent again by the next export");
    ShownError {
        object: Some(dn.unwrap_or_else(|| format!("{kind} {anchor}"))),
        text: format!("the target refused it: {text}"),
        hint: Some(hint.to_owned()),
        code,
    }
}

fn renamed(renamed: &Renamed) -> ShownError {
    let Renamed { who, found, used } = renamed;
    ShownError {
        object: Some(who.clone()),
        code: "suffix-not-verified".to_owned(),
        text: format!("{found} is no name in the tenant; {used} is used"),
        hint: Some(
            "verify the suffix in the tenant, or give a verified one in the forest".to_owned(),
        ),
    }
}

fn print_run(run: &ShownRun) {
    let outcome = run.outcome.as_deref().unwrap_or("under way, or broken off");
    let counts = words(run.counts.as_ref());
    println!("{:>6}  {}  {:<12} {outcome}  {counts}", run.id, run.begun, plain(&run.kind));
}

fn print_errors(errors: &[ShownError]) {
    for error in errors {
        println!("{}: {}", plain(error.object.as_deref().unwrap_or("-")), plain(&error.text));
        if let Some(hint) = &error.hint {
            println!("  hint: {}", plain(hint));
        }
    }
}

/// Counts as a person reads them: `2 added, 1 refused`; those of nothing are left out.
fn words(counts: Option<&serde_json::Value>) -> String {
    let Some(counts) = counts.and_then(serde_json::Value::as_object) else { return String::new() };
    let word = |(name, value): (&String, &serde_json::Value)| match value {
        serde_json::Value::Bool(is_full) => is_full.then(|| name.clone()),
        value => value.as_u64().filter(|n| *n > 0).map(|n| format!("{n} {name}")),
    };
    counts.iter().filter_map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_nothing_are_left_out() {
        let counts = serde_json::json!({ "added": 2, "full": true, "refused": 0, "removed": 1 });
        assert_eq!(words(Some(&counts)), "2 added, full, 1 removed");
        assert_eq!(words(None), "");
    }
}
