//! The rules in force, and the systems that they connect.

use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::digest;
use portolan_model::DnsName;
use portolan_store::state::State;
use portolan_sync::engine::{ConnectorId, Engine, Side, System};
use portolan_sync::expression::Parameters;
use portolan_sync::rules::{RuleError, RuleFile, RuleNumbers, Rules};
use portolan_sync::target::TargetSystem;
use portolan_sync::{AttributeId, Dictionary};

use crate::connect::config::RawConfig;
use crate::report::Failure;

/// Where the administrator's rules stand in the state directory.
const OVERLAY: &str = "rules";
/// Files of rules.
const FILES_MAX: usize = 1_000;

/// The domains that flows depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Domains {
    /// The forest's, for users without a UPN.
    pub(in super::super) forest: DnsName,
    /// The tenant's own, for users whose suffix it has not verified.
    pub(in super::super) initial: DnsName,
    /// Those that the tenant has verified, its own among them.
    pub(in super::super) verified: Vec<DnsName>,
}

/// The numbers of the connected systems.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Connected {
    /// The forest.
    pub(in super::super) forest: ConnectorId,
    /// The target.
    pub(in super::super) target: ConnectorId,
}

impl Connected {
    /// The systems by their names, which get numbers if they have none.
    pub(in super::super) async fn by(
        state: &State,
        forest: &DnsName,
        target: &DnsName,
    ) -> Result<Self, Failure> {
        let forest = state.connector(&forest.to_string(), Side::Forest).await?;
        let target = state.connector(&target.to_string(), Side::Target).await?;
        Ok(Self { forest, target })
    }
}

/// The rules in force: the default set and the administrator's overlay.
#[derive(Debug)]
pub(in super::super) struct Ruleset {
    pub(in super::super) rules: Rules,
    pub(in super::super) names: Dictionary,
    source_anchor: AttributeId,
    /// What the files say, as a digest.
    digest: String,
}

impl Ruleset {
    /// Reads the overlay of a state directory and compiles it with the default set for its target.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub(in super::super) async fn read(directory: &Path, state: &State) -> Result<Self, Failure> {
        let graph = RawConfig::existing(directory)?.is_some_and(|raw| raw.graph.is_some());
        let system = if graph { TargetSystem::Graph } else { TargetSystem::Tenant };
        let mut files = vec![RuleFile::built_in_for(system)];
        let mut context = digest::Context::new(&digest::SHA256);
        for (name, text) in overlay(directory)? {
            context.update(name.as_bytes());
            context.update(&(text.len() as u64).to_le_bytes());
            context.update(text.as_bytes());
            files.push(RuleFile::overlay(&name, &text));
        }
        let mut names = state.dictionary().await?;
        let known = state.rule_keys().await?;
        let mut numbers = RuleNumbers::default();
        for (_, key) in &known {
            let _ = numbers.intern(key);
        }
        let rules = Rules::compile(&files, &mut names, &mut numbers).map_err(|e| told(&e))?;
        let source_anchor = names
            .intern("sourceAnchor")
            .map_err(|error| Failure::because("an attribute's name", &error))?;
        state.keep_dictionary(&names).await?;
        state.rules(&numbers.keys().collect::<Vec<_>>()).await?;
        let mut digest = env!("CARGO_PKG_VERSION").to_owned();
        digest.push(' ');
        for octet in context.finish().as_ref() {
            // Writing to a String does not fail.
            let _ = write!(digest, "{octet:02x}");
        }
        Ok(Self { rules, names, source_anchor, digest })
    }

    /// What the rules and what they depend on are, as a text that differs when they do.
    pub(in super::super) fn made_of(&self, domains: &Domains) -> String {
        format!("{} {domains:?}", self.digest)
    }

    /// The engine by these rules.
    pub(in super::super) fn engine(&self, connected: Connected, domains: &Domains) -> Engine<'_> {
        let forest = System {
            id: connected.forest,
            name: domains.forest.to_string(),
            side: Side::Forest,
            parameters: of_forest(domains),
        };
        let target = System {
            id: connected.target,
            name: domains.initial.to_string(),
            side: Side::Target,
            parameters: of_target(domains),
        };
        Engine::new(self.rules.all(), &[forest, target], self.source_anchor)
    }
}

fn of_forest(domains: &Domains) -> Parameters {
    let mut parameters = Parameters::default();
    parameters.set("Forest.FQDN", domains.forest.to_string());
    parameters.set("Domain.FQDN", domains.forest.to_string());
    parameters
}

/// Verified domains stand between semicolons, so that one is found with those around it.
fn of_target(domains: &Domains) -> Parameters {
    let mut parameters = Parameters::default();
    let verified = domains.verified.iter().fold(String::from(";"), |mut all, domain| {
        // Writing to a String does not fail.
        let _ = write!(all, "{domain};");
        all
    });
    parameters.set("Tenant.InitialDomain", domains.initial.to_string());
    parameters.set("Tenant.VerifiedDomains", verified);
    parameters
}

/// The files of the overlay in the order of their names.
fn overlay(directory: &Path) -> Result<Vec<(String, String)>, Failure> {
    let path = directory.join(OVERLAY);
    let wrong = |error: &std::io::Error| {
        Failure::because(&format!("cannot read the rules in {}", path.display()), error)
    };
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| wrong(&error))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| wrong(&error))?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&error))?;
        files.push((path.display().to_string(), text));
        if files.len() > FILES_MAX {
            return Err(Failure::new(format!("more than {FILES_MAX} files of rules")));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// All that is wrong, one a line.
fn told(errors: &[RuleError]) -> Failure {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    Failure::new(format!("the rules are not right:\n{}", lines.join("\n")))
        .with_hint("correct them; nothing was synchronised by the rules as they are")
}
