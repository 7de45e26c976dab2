//! `portolan connect rules`: the rules in force, what is wrong with them, and those of Entra Connect.

use std::path::PathBuf;

use portolan_model::Hint as _;
use portolan_store::state::State;
use portolan_sync::rules::entra::{self, Fate};
use portolan_sync::rules::{Severity, SystemNames, lint};
use serde::Serialize;

use super::config::Config;
use super::cycle::FILE;
use super::print_json;
use super::synchronise::Ruleset;
use crate::report::Failure;
use crate::terminal::plain;

/// What `connect rules` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Rules {
    /// Find what is wrong with the rules: what can never happen, what nothing fills, what clashes
    Lint(Lint),
    /// Write the rules in force, the default set's among them
    Show(Show),
    /// Show the filters in force, and by which objectGUID each unit or group of theirs is held
    Filters(super::Look),
    /// Make an overlay of the rules in an exported configuration of Entra Connect (experimental)
    Import(Import),
}

/// What `connect rules lint` is told.
#[derive(Debug, clap::Args)]
pub struct Lint {
    /// The state directory that `connect init` wrote; the overlay is in its `rules`
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What `connect rules show` is told.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Print as JSON, not as a rule file
    #[arg(long)]
    json: bool,
}

/// What `connect rules import` is told.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The policy that the wizard exports, or the rules as Get-ADSyncRule gives them; JSON
    export: PathBuf,
    /// The overlay to write; it must not be there yet. Without it, it goes to standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// A finding, as JSON has it.
#[derive(Serialize)]
struct Told {
    severity: &'static str,
    rule: Option<String>,
    text: String,
    hint: Option<String>,
}

/// Runs `connect rules`.
pub(super) async fn run(command: Rules) -> Result<(), Failure> {
    match command {
        Rules::Lint(told) => check(told).await,
        Rules::Show(told) => show(told).await,
        Rules::Filters(told) => super::filters::run(told).await,
        Rules::Import(told) => import(&told),
    }
}

async fn check(told: Lint) -> Result<(), Failure> {
    let config = Config::read(&told.state)?;
    let state = State::open(&told.state.join(FILE)).await?;
    let rules = Ruleset::read(&told.state, &state).await?;
    let forests: Vec<_> = config.forests.iter().map(|f| f.domain.to_string()).collect();
    let targets = [config.tenant_domain.to_string()];
    let systems = SystemNames { forests: &forests, targets: &targets };
    let findings = lint(&rules.rules, &rules.names, &systems);
    let errors = findings.iter().filter(|found| found.severity == Severity::Error).count();
    if told.json {
        let all: Vec<_> = findings
            .iter()
            .map(|found| Told {
                severity: severity(found.severity),
                rule: found.key.clone(),
                text: found.to_string(),
                hint: found.hint(),
            })
            .collect();
        print_json(&all)?;
    } else {
        for found in &findings {
            println!("{}: {}", severity(found.severity), plain(&found.to_string()));
            if let Some(hint) = found.hint() {
                println!("  hint: {}", plain(&hint));
            }
        }
        let all = rules.rules.all().len();
        println!("{all} rules in force: {errors} errors, {} warnings", findings.len() - errors);
    }
    if errors > 0 {
        return Err(Failure::new(format!("{errors} rules cannot work as they are written")));
    }
    Ok(())
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

async fn show(told: Show) -> Result<(), Failure> {
    let state = State::open(&told.state.join(FILE)).await?;
    let rules = Ruleset::read(&told.state, &state).await?;
    if told.json {
        println!("{}", rules.rules.to_json());
    } else {
        print!("{}", rules.rules.to_toml());
    }
    Ok(())
}

fn import(told: &Import) -> Result<(), Failure> {
    let text = crate::files::read_text_at_most(&told.export, entra::EXPORT_OCTETS_MAX as u64)
        .map_err(|error| {
            Failure::because(&format!("cannot read {}", told.export.display()), &error)
        })?;
    let imported = entra::import(&text)
        .map_err(|error| Failure::because("the export cannot be imported", &error))?;
    for note in &imported.report {
        let fate = match note.fate {
            Fate::Default => "default",
            Fate::Carried => "carried",
            Fate::Partly => "partly",
            Fate::LeftOut => "left out",
        };
        eprintln!("{fate:<8}  {}", plain(&note.to_string()));
    }
    let Some(path) = &told.to else {
        print!("{}", imported.overlay);
        return Ok(());
    };
    let wrong =
        |error| Failure::because(&format!("cannot write the overlay {}", path.display()), &error);
    let mut file = std::fs::File::create_new(path).map_err(wrong)?;
    std::io::Write::write_all(&mut file, imported.overlay.as_bytes()).map_err(wrong)?;
    eprintln!(
        "wrote {}; look at it with `portolan connect rules lint` before a run",
        path.display()
    );
    Ok(())
}
