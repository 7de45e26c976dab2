//! The rules in force, and the systems that they connect.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::digest;
use portolan_model::{DistinguishedName, DnsName};
use portolan_store::state::{Partition, State};
use portolan_sync::engine::{ConnectorId, DomainParameters, Engine, Side, System};
use portolan_sync::expression::Parameters;
use portolan_sync::rules::{FILE_OCTETS_MAX, RuleError, RuleFile, RuleNumbers, Rules};
use portolan_sync::target::TargetSystem;
use portolan_sync::{AttributeId, Dictionary};

use crate::connect::config::{Config, RawConfig};
use crate::report::Failure;

/// Where the administrator's rules stand in the state directory.
const OVERLAY: &str = "rules";
/// Files of rules.
const FILES_MAX: usize = 1_000;

/// The domains that flows depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Domains {
    /// The forests', for users without a UPN.
    pub(in super::super) forests: Vec<DnsName>,
    /// The tenant's own, for users whose suffix it has not verified.
    pub(in super::super) initial: DnsName,
    /// Those that the tenant has verified, its own among them.
    pub(in super::super) verified: Vec<DnsName>,
    /// The NetBIOS names of the forests' domains, as far as the forests named them.
    pub(in super::super) netbios: BTreeMap<DnsName, String>,
}

/// The numbers of the connected systems.
#[derive(Debug, Clone)]
pub(in super::super) struct Connected {
    /// The forests, in the order of the configuration.
    pub(in super::super) forests: Vec<ConnectedForest>,
    /// The target.
    pub(in super::super) target: ConnectorId,
}

/// A forest and its number.
#[derive(Debug, Clone)]
pub(in super::super) struct ConnectedForest {
    /// Its domain, which is its name.
    pub(in super::super) domain: DnsName,
    /// Its number.
    pub(in super::super) connector: ConnectorId,
    /// The domains of it that are read, each with its naming context.
    pub(in super::super) domains: Vec<(DnsName, Partition)>,
}

impl Connected {
    /// The systems of a configuration.
    pub(in super::super) async fn of(state: &State, config: &Config) -> Result<Self, Failure> {
        let mut all = Self::by(state, &config.forest_domains(), &config.tenant_domain).await?;
        for (connected, forest) in all.forests.iter_mut().zip(&config.forests) {
            connected.domains.clear();
            for domain in &forest.domains {
                let partition = if *domain == forest.domain {
                    connected.connector.into()
                } else {
                    state.partition(connected.connector, domain.as_str()).await?
                };
                connected.domains.push((domain.clone(), partition));
            }
        }
        Ok(all)
    }

    /// The systems by their names, which get numbers if they have none.
    pub(in super::super) async fn by(
        state: &State,
        domains: &[DnsName],
        target: &DnsName,
    ) -> Result<Self, Failure> {
        let mut forests = Vec::with_capacity(domains.len());
        for domain in domains {
            let connector = state.connector(&domain.to_string(), Side::Forest).await?;
            let domains = vec![(domain.clone(), connector.into())];
            forests.push(ConnectedForest { domain: domain.clone(), connector, domains });
        }
        let target = state.connector(&target.to_string(), Side::Target).await?;
        Ok(Self { forests, target })
    }

    /// Whether every domain of every forest was read whole once. Before that nothing is decided: a person who is
    /// in a forest that was never read would be taken for one who is in the others alone, and be given an
    /// anchor for life by them.
    pub(super) async fn check_read(&self, state: &State) -> Result<(), Failure> {
        for forest in &self.forests {
            for (domain, partition) in &forest.domains {
                if state.forest_cursor(*partition).await?.is_some() {
                    continue;
                }
                let own = &forest.domain;
                let (what, command) = if forest.domains.len() > 1 {
                    (
                        format!("domain {domain} of forest {own}"),
                        format!("domains {own} --leave {domain}"),
                    )
                } else {
                    (format!("forest {domain}"), format!("remove {own}"))
                };
                let text =
                    format!("{what} was not read whole yet, and nothing is decided without it");
                return Err(Failure::new(text).with_hint(format!(
                    "see why it cannot be read, or take it out with `portolan connect forest {command}`"
                )));
            }
        }
        Ok(())
    }

    /// Whether every forest that has objects in the state is one of these. One that is only gone from the
    /// configuration would be taken for empty.
    pub(in super::super) async fn check_known(&self, state: &State) -> Result<(), Failure> {
        for system in state.connectors().await? {
            let is_ours = self.forests.iter().any(|forest| forest.connector == system.id);
            if system.side != Side::Forest || is_ours {
                continue;
            }
            let objects: u64 =
                state.object_counts(system.id).await?.iter().map(|(_, count)| count).sum();
            if objects > 0 {
                let name = &system.name;
                return Err(Failure::new(format!(
                    "the state has {objects} objects of forest {name}, which the configuration does not name"
                ))
                .with_hint(format!(
                    "put it into connect.toml again, or take it out with `portolan connect forest remove {name}`"
                )));
            }
        }
        Ok(())
    }

    /// The forest with a number.
    pub(in super::super) fn forest(&self, connector: ConnectorId) -> Option<&ConnectedForest> {
        self.forests.iter().find(|forest| forest.connector == connector)
    }
}

/// The administrator's files of rules, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Overlay {
    files: Vec<(String, String)>,
    /// What the default set is for.
    target: TargetSystem,
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
    /// Reads the overlay of a state directory and compiles it with the default set.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub(in super::super) async fn read(directory: &Path, state: &State) -> Result<Self, Failure> {
        Self::of(&Overlay::read(directory)?, state).await
    }

    /// Compiles an overlay with the default set.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(in super::super) async fn of(overlay: &Overlay, state: &State) -> Result<Self, Failure> {
        let own = overlay.files.iter().map(|(name, text)| RuleFile::overlay(name, text));
        let files: Vec<_> =
            [RuleFile::built_in_for(overlay.target)].into_iter().chain(own).collect();
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
        Ok(Self { rules, names, source_anchor, digest: overlay.digest() })
    }

    /// What the rules and what they depend on are, as a text that differs when they do.
    pub(in super::super) fn made_of(&self, domains: &Domains) -> String {
        format!("{} {domains:?}", self.digest)
    }

    /// The engine by these rules.
    pub(in super::super) fn engine(&self, connected: &Connected, domains: &Domains) -> Engine<'_> {
        let of_forest = |forest| of_forest(forest, domains);
        let mut systems: Vec<_> = connected.forests.iter().map(of_forest).collect();
        systems.push(System {
            id: connected.target,
            name: domains.initial.to_string(),
            side: Side::Target,
            parameters: of_target(domains),
        });
        let several = connected.forests.iter().filter(|forest| forest.domains.len() > 1);
        Engine::new(self.rules.all(), &systems, self.source_anchor)
            .with_domains(several.flat_map(|forest| of_domains(forest, domains)).collect())
    }
}

/// What is known of objects of each domain of a forest.
fn of_domains(forest: &ConnectedForest, known: &Domains) -> impl Iterator<Item = DomainParameters> {
    forest.domains.iter().map(|(domain, _)| {
        let dn = DistinguishedName::of_domain(domain).to_string();
        let parameters = of_domain(&forest.domain, domain, known);
        DomainParameters { forest: forest.connector, dn, parameters }
    })
}

fn of_forest(forest: &ConnectedForest, known: &Domains) -> System {
    let parameters = of_domain(&forest.domain, &forest.domain, known);
    System { id: forest.connector, name: forest.domain.to_string(), side: Side::Forest, parameters }
}

/// What is known of objects in a domain. A NetBIOS name that the forest did not tell yet is not set.
fn of_domain(forest: &DnsName, domain: &DnsName, known: &Domains) -> Parameters {
    let mut parameters = Parameters::default();
    parameters.set("Forest.FQDN", forest.to_string());
    parameters.set("Forest.LDAP", DistinguishedName::of_domain(forest).to_string());
    parameters.set("Domain.FQDN", domain.to_string());
    for (name, of) in [("Forest.Netbios", forest), ("Domain.Netbios", domain)] {
        if let Some(netbios) = known.netbios.get(of) {
            parameters.set(name, netbios.clone());
        }
    }
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

impl Overlay {
    /// The files of rules of a state directory, in the order of their names.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(in super::super) fn read(directory: &Path) -> Result<Self, Failure> {
        let target = RawConfig::existing(directory)?.and_then(|raw| Some(raw.target()?.0));
        Self::read_for(directory, target.unwrap_or(TargetSystem::Tenant))
    }

    /// The same, whatever the configuration says of the target.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(in super::super) fn read_for(
        directory: &Path,
        target: TargetSystem,
    ) -> Result<Self, Failure> {
        Ok(Self { files: overlay(directory)?, target })
    }

    /// What the files say and which release reads them, as a text that differs when they do.
    pub(in super::super) fn digest(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for (name, text) in &self.files {
            context.update(name.as_bytes());
            context.update(&(text.len() as u64).to_le_bytes());
            context.update(text.as_bytes());
        }
        format!("{} {}", env!("CARGO_PKG_VERSION"), hex::encode(context.finish()))
    }
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
        let text = crate::files::read_text_at_most(&path, FILE_OCTETS_MAX as u64)
            .map_err(|error| wrong(&error))?;
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
