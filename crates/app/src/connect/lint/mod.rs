//! `portolan connect lint`: what of the forest will not synchronise and why, a sheet of proposals, and
//! the sheet applied to the forest and undone again.
//!
//! The rules are `portolan_sync`'s. [`space`] is the one place that reads the state; [`sheet`] writes
//! and reads proposals, [`change`] says whether one may still be made, [`journal`] writes down what was
//! changed and [`mod@apply`] asks the directory.

mod apply;
mod change;
mod journal;
mod sheet;
mod show;
mod space;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portolan_store::state::State;
use portolan_sync::lint::{Domains, Finding, Reading, Rule};

use self::sheet::Writing;
use self::show::Summary;
use self::space::{Findings, Space};
use super::Look;
use super::config::Config;
use super::cycle::{FILE, Server};
use super::profile::Extent;
use super::running::{Counted, Running};
use super::steps::Steps;
use super::synchronise::{Connected, Ruleset, Surroundings};
use super::turn::Turn;
use crate::report::Failure;

/// What `connect lint` is told.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Lint {
    #[command(subcommand)]
    mend: Option<Mend>,
    #[command(flatten)]
    find: Find,
}

/// What is done with a sheet.
#[derive(Debug, clap::Subcommand)]
enum Mend {
    /// Change the forest as an edited sheet says, where the old values are still there.
    ///
    /// What is changed is written down first, so that it can be undone.
    Apply(apply::Apply),
    /// Put the old values back, where the new ones are still there
    Undo(apply::Undo),
}

/// How it is looked for.
#[derive(Debug, clap::Args)]
struct Find {
    #[command(flatten)]
    look: Look,
    /// Look at what was imported last, and ask neither the forest nor the tenant
    #[arg(long)]
    from_space: bool,
    /// Write a sheet of proposals, to be edited and applied
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Look for this rule alone; it may be given several times
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<Rule>,
}

/// Runs `connect lint`: ends with 0 without a finding, with 1 with one, and with 2 when it failed.
pub(super) async fn run(lint: Lint) -> Result<(), Failure> {
    let outcome = match lint.mend {
        Some(Mend::Apply(apply)) => return apply::apply(apply).await,
        Some(Mend::Undo(undo)) => return apply::undo(undo).await,
        None => find(&lint.find).await.map_err(Failure::unjudged)?,
    };
    if outcome.count() == 0 {
        return Ok(());
    }
    let failure =
        Failure::new(format!("{} findings in {} objects", outcome.count(), outcome.objects));
    Err(failure.with_hint(match &lint.find.csv {
        Some(path) => format!(
            "write replace or remove into the column action of {0}, then run `portolan connect lint \
             apply {0}`",
            path.display()
        ),
        None => "write a sheet of proposals with --csv FILE".to_owned(),
    }))
}

async fn find(find: &Find) -> Result<Summary, Failure> {
    let directory = &find.look.state;
    let (state, config, domains) = if find.from_space {
        (State::open(&directory.join(FILE)).await?, Config::read(directory)?, None)
    } else {
        imported(directory).await?
    };
    let ruleset = Ruleset::read(directory, &state).await?;
    let connected = Connected::of(&state, &config).await?;
    let forests: Vec<_> =
        connected.forests.iter().map(|f| (f.connector, f.domain.to_string())).collect();
    let reading = Reading::new(&ruleset.rules, &ruleset.names, &forests);
    let surroundings = Surroundings::by(&state, &ruleset, &connected).await?;
    let space = Space::new(&state, surroundings, reading);
    let rules: BTreeSet<Rule> = match find.rules.as_slice() {
        [] => Rule::ALL.iter().copied().collect(),
        some => some.iter().copied().collect(),
    };
    if domains.is_none() && rules.contains(&Rule::UnverifiedSuffix) {
        eprintln!("note: the tenant was not asked: {} is not judged", Rule::UnverifiedSuffix);
    }
    let survey = space.survey().await?;
    let mut findings = Findings::begin(&space, &survey, domains.as_ref(), &rules);
    let mut sheet = find.csv.as_deref().map(Writing::begin).transpose()?;
    let mut summary = Summary::default();
    let mut between = "{\"findings\":[\n";
    while let Some(objects) = findings.next().await? {
        for found in &objects {
            summary.add(found);
            if let Some(sheet) = &mut sheet {
                sheet.put(found)?;
            }
            if find.look.json {
                print_lines(found, &mut between)?;
            }
        }
    }
    if let Some(sheet) = sheet {
        sheet.finish()?;
    }
    if find.look.json {
        let begin = if summary.count() == 0 { between } else { "\n" };
        println!("{begin}],\"summary\":{}}}", summary.counts(findings.seen));
    } else {
        print!("{}", summary.text(findings.seen));
    }
    Ok(summary)
}

fn print_lines(found: &[Finding], between: &mut &str) -> Result<(), Failure> {
    for finding in found {
        print!("{between}{}", show::json(finding)?);
        *between = ",\n";
    }
    Ok(())
}

/// What the forest holds now, and the tenant's domains if it says them.
async fn imported(directory: &Path) -> Result<(State, Config, Option<Domains>), Failure> {
    let mut server = Server::open(directory).await?;
    let steps = Steps::begin();
    let _turn = Turn::take(directory, &steps).await?;
    let run = Running::begin(&server.state, None, "lint").await?;
    let outcome = server.import(&run, (None, Extent::Delta), 0, &steps).await;
    let counts = outcome.as_ref().map(Counted::counts).unwrap_or_default();
    run.end(&outcome, counts).await?;
    outcome?;
    let domains = match server.tenant_domains().await {
        Ok(domains) => Some(Domains { initial: domains.initial, verified: domains.verified }),
        Err(failure) => {
            steps.say(None, &format!("note: {}", failure.text()));
            None
        }
    };
    Ok((server.state, server.config, domains))
}
