//! The configuration of `connect`: `connect.toml` in its state directory.
//!
//! What stands in the file is a [`RawConfig`]; only the checked [`Config`] leaves this module.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use portolan_model::{DnsName, Guid};
use portolan_sync::guard::{self, Allowance};
use portolan_sync::target::TargetSystem;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::account;
use super::forest_config::{ForestConfig, RawForests};
use super::key;
use super::metrics::RawMetrics;
use super::profile::{Profile, RawProfile, RawSchedule, Scheduled};
use super::reach::{RawReach, Reach};
use super::secrets::{Secrets, client_key};
use super::target_config::{self, RawGraph, RawTenant, SystemConfig, TargetConfig};
use crate::report::Failure;

/// The file, in the state directory.
pub(super) const FILE: &str = "connect.toml";

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// The edition of the chart in force.
    pub(super) edition: String,
    /// The forests: `[forest]` once, or `[[forest]]` for each of several.
    pub(super) forest: RawForests,
    /// The target: a tenant of ours, or else a Graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<RawTenant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) graph: Option<RawGraph>,
    /// Whether this server imports and synchronises only, and writes nothing to the tenant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) staging: bool,
    /// How much may be lost in the tenant without anyone's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) guard: Option<RawGuard>,
    /// For how many seconds the lease of the group of sync servers is taken: the longest time until another
    /// one takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease_seconds: Option<u32>,
    /// Ports in place of the chart's, by flow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ports: BTreeMap<String, u16>,
    /// Where a daemon's figures are served; nowhere without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metrics: Option<RawMetrics>,
    /// Steps that run together, by a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) profile: Vec<RawProfile>,
    /// When they run, besides the cycles of a daemon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) schedule: Vec<RawSchedule>,
}

/// How much may be lost in the tenant in a window of time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGuard {
    /// Objects of a kind that may be deleted in a window.
    #[serde(default = "deletions_max")]
    deletions_max: u64,
    /// The share of them that may be deleted, in percent; whichever is less counts.
    #[serde(default = "deletions_percent_max")]
    deletions_percent_max: u64,
    /// How long the window is, in hours: at most 31 days.
    #[serde(default = "window_hours")]
    window_hours: u16,
}

const fn deletions_max() -> u64 {
    guard::DELETIONS_MAX
}

const fn deletions_percent_max() -> u64 {
    guard::DELETIONS_PERCENT_MAX
}

const fn window_hours() -> u16 {
    guard::WINDOW_HOURS
}

/// For how many seconds the lease is taken, and for how many it is given.
const LEASE_SECONDS: u32 = 60;
const LEASE_SECONDS_LEGAL: std::ops::RangeInclusive<u32> = 5..=600;

/// The longest window of the guard.
const WINDOW_HOURS_MAX: u16 = 31 * 24;

impl RawGuard {
    fn check(raw: Option<&Self>, problems: &mut Vec<String>) -> Allowance {
        let Some(raw) = raw else { return Allowance::default() };
        if !(1..=WINDOW_HOURS_MAX).contains(&raw.window_hours) {
            problems.push(format!("guard.window_hours: not from 1 to {WINDOW_HOURS_MAX}"));
        }
        if raw.deletions_percent_max > 100 {
            problems.push("guard.deletions_percent_max: more than 100".to_owned());
        }
        Allowance {
            count: raw.deletions_max,
            percent: raw.deletions_percent_max,
            window: time::Duration::hours(raw.window_hours.into()),
        }
    }
}

/// The configuration, checked.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) edition: String,
    pub(super) reach: Reach,
    /// The forests, of which there is one at least.
    pub(super) forests: Vec<ForestConfig>,
    pub(super) tenant_id: Guid,
    pub(super) tenant_domain: DnsName,
    pub(super) client_id: Guid,
    /// Whether nothing is written to the tenant.
    pub(super) staging: bool,
    /// How much may be lost in the tenant without anyone's word.
    pub(super) guard: Allowance,
    /// For how many seconds the lease is taken.
    pub(super) lease_seconds: u32,
    /// How the target is reached, by what it is.
    pub(super) system: SystemConfig,
    /// Where figures are served.
    pub(super) metrics: Option<SocketAddr>,
    profiles: Vec<Profile>,
    /// What runs when, besides the cycles of a daemon.
    pub(super) schedule: Vec<Scheduled>,
}

impl RawConfig {
    /// What an earlier `init` wrote; `None` in a new state directory.
    pub(super) fn existing(state: &Path) -> Result<Option<Self>, Failure> {
        let path = state.join(FILE);
        let text =
            match crate::files::read_text_at_most(&path, crate::files::CONFIGURATION_OCTETS_MAX) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                read => read.map_err(|error| {
                    Failure::because(&format!("cannot read {}", path.display()), &error)
                })?,
            };
        let parsed = toml::from_str(&text);
        parsed.map(Some).map_err(|error| {
            Failure::because(&format!("{} is not right", path.display()), &error)
                .with_hint("correct the file, or name a new --state directory")
        })
    }

    /// What of it says how every peer is reached.
    pub(super) fn reach(&self) -> RawReach<'_> {
        RawReach {
            edition: &self.edition,
            proxy: self.proxy().0,
            proxy_credentials_file: self.proxy().1,
            ports: self.ports.clone(),
        }
    }

    /// The web proxy by which the target is reached, and the file with its credentials.
    fn proxy(&self) -> (Option<&str>, Option<&Path>) {
        let of_tenant = self.tenant.as_ref();
        let of_tenant = of_tenant.map(|to| (&to.proxy, &to.proxy_credentials_file));
        let of_graph = self.graph.as_ref();
        let of_graph = of_graph.map(|to| (&to.proxy, &to.proxy_credentials_file));
        let found = of_tenant.or(of_graph);
        found.map_or((None, None), |(proxy, file)| (proxy.as_deref(), file.as_deref()))
    }

    /// The id of the application that this server is in its target.
    pub(super) fn client_id(&self) -> Option<&str> {
        let of_tenant = self.tenant.as_ref().map(|tenant| tenant.client_id.as_str());
        of_tenant.or(self.graph.as_ref().map(|graph| graph.client_id.as_str()))
    }

    /// What the target is, and the id of its tenant.
    pub(super) fn target(&self) -> Option<(TargetSystem, &str)> {
        let of_tenant = self.tenant.as_ref().map(|to| (TargetSystem::Tenant, to.id.as_str()));
        of_tenant.or(self.graph.as_ref().map(|to| (TargetSystem::Graph, to.id.as_str())))
    }

    /// Seals the secrets that earlier releases kept in files: this server's private key, whose file is
    /// taken away, and the secrets of the forests' accounts, whose files are their owner's to remove.
    pub(super) fn adopt(state: &Path, now: OffsetDateTime) -> Result<(), Failure> {
        let Some(mut raw) = Self::existing(state)? else { return Ok(()) };
        raw.adopt_key(state, now)?;
        raw.adopt_accounts(state, now)
    }

    fn adopt_key(&mut self, state: &Path, now: OffsetDateTime) -> Result<(), Failure> {
        // What is wrong with the file is said when it is checked.
        let Some(tenant) = &mut self.tenant else { return Ok(()) };
        let (Some(path), Ok(client_id)) =
            (tenant.key_file.clone(), tenant.client_id.parse::<Guid>())
        else {
            return Ok(());
        };
        let mut secrets = Secrets::open(state)?;
        let private = key::read_file(&path)?;
        secrets.change(&[(&client_key(client_id), &private)], &[], now)?;
        tenant.key_file = None;
        self.write(state)?;
        let _ = std::fs::remove_file(path);
        Ok(())
    }

    fn adopt_accounts(&mut self, state: &Path, now: OffsetDateTime) -> Result<(), Failure> {
        account::adopt_marks(state)?;
        let mut is_changed = false;
        let is_one = self.forest.0.len() == 1;
        for forest in &mut self.forest.0 {
            // What is wrong with the file is said when it is checked.
            let Ok(domain) = forest.domain.parse::<DnsName>() else { continue };
            // Earlier releases had one forest, and did not name it where they sealed its secret.
            if is_one {
                account::adopt_records(&mut Secrets::open(state)?, &forest.account, &domain, now)?;
            }
            is_changed |= forest.adopt_file(&domain, state, now)?;
        }
        if is_changed { self.write(state) } else { Ok(()) }
    }

    /// Writes the file anew, whole or not at all.
    pub(super) fn write(&self, state: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self)
            .map_err(|error| Failure::because("cannot write the configuration", &error))?;
        let path = state.join(FILE);
        crate::files::write_private(&path, text.as_bytes())
            .map_err(|error| Failure::because(&format!("cannot write {}", path.display()), &error))
    }
}

impl Config {
    /// Reads and checks the configuration of a state directory. All that is wrong is said at once.
    pub(super) fn read(state: &Path) -> Result<Self, Failure> {
        let path = state.join(FILE);
        let limit = crate::files::CONFIGURATION_OCTETS_MAX;
        let text = crate::files::read_text_at_most(&path, limit).map_err(|error| {
            Failure::because(&format!("cannot read {}", path.display()), &error)
                .with_hint("run `portolan connect init` first, or name its --state directory")
        })?;
        let raw: RawConfig = toml::from_str(&text).map_err(|error| {
            Failure::because(&format!("{} is not right", path.display()), &error)
        })?;
        Self::check(raw).map_err(|problems| {
            Failure::new(format!("{} is not right: {}", path.display(), problems.join("; ")))
                .with_hint("correct the file, or run `portolan connect init` again")
        })
    }

    /// The domains of all forests, in their order.
    pub(super) fn forest_domains(&self) -> Vec<DnsName> {
        self.forests.iter().map(|forest| forest.domain.clone()).collect()
    }

    /// The forest of this domain; without one, the only forest.
    ///
    /// # Errors
    /// When there is none of it, or when there are several and none is named.
    pub(super) fn forest(&self, domain: Option<&DnsName>) -> Result<&ForestConfig, Failure> {
        let named = |forest: &&ForestConfig| domain.is_none_or(|domain| forest.domain == *domain);
        let mut found = self.forests.iter().filter(named);
        match (found.next(), found.next(), domain) {
            (Some(forest), None, _) => Ok(forest),
            (None, _, Some(domain)) => Err(Failure::new(format!("{domain} is no forest of ours"))
                .with_hint("`portolan connect forest list` names them")),
            _ => {
                let names: Vec<_> = self.forests.iter().map(|f| f.domain.to_string()).collect();
                Err(Failure::new("there are several forests")
                    .with_hint(format!("name one with --forest: {}", names.join(", "))))
            }
        }
    }

    /// The profile of this name; without one, the built-in cycle.
    ///
    /// # Errors
    /// When there is none of it.
    pub(super) fn profile(&self, name: Option<&str>) -> Result<Profile, Failure> {
        let Some(name) = name else { return Ok(Profile::cycle()) };
        let found = self.profiles.iter().find(|profile| profile.name == name);
        found.cloned().ok_or_else(|| {
            let names: Vec<_> = self.profiles.iter().map(|of| of.name.as_str()).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Failure::new(format!("there is no profile {name:?}"))
                .with_hint(format!("connect.toml has {known}"))
        })
    }

    pub(super) fn check(raw: RawConfig) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let guard = RawGuard::check(raw.guard.as_ref(), &mut problems);
        let lease_seconds = raw.lease_seconds.unwrap_or(LEASE_SECONDS);
        if !LEASE_SECONDS_LEGAL.contains(&lease_seconds) {
            problems.push("lease_seconds: not from 5 to 600".to_owned());
        }
        let reach = Reach::check(raw.reach(), &mut problems);
        let forests = raw.forest.check(&mut problems);
        let target = target_config::check(raw.tenant.as_ref(), raw.graph.as_ref(), &mut problems);
        let metrics = raw.metrics.map_or(Ok(None), |metrics| metrics.check().map(Some));
        let metrics = keep(&mut problems, "metrics.listen", metrics).flatten();
        let domains: Vec<_> = forests.iter().map(|forest| forest.domain.clone()).collect();
        let profiles = Profile::check(raw.profile, &domains, &mut problems);
        let schedule = Scheduled::check(raw.schedule, &profiles, &mut problems);
        match (reach, target) {
            (Some(reach), Some(TargetConfig { tenant_id, tenant_domain, client_id, system }))
                if problems.is_empty() =>
            {
                Ok(Self {
                    edition: raw.edition,
                    reach,
                    forests,
                    tenant_id,
                    tenant_domain,
                    client_id,
                    system,
                    staging: raw.staging,
                    guard,
                    lease_seconds,
                    metrics,
                    profiles,
                    schedule,
                })
            }
            _ => Err(problems),
        }
    }
}

/// A value, or nothing and what is wrong with it among the problems.
pub(super) fn keep<T, E: std::fmt::Display>(
    problems: &mut Vec<String>,
    key: &str,
    value: Result<T, E>,
) -> Option<T> {
    value.map_err(|error| problems.push(format!("{key}: {error}"))).ok()
}

/// SHA-256 from 64 hexadecimal digits.
pub(super) fn parse_fingerprint(text: &str) -> Result<[u8; 32], String> {
    let mut out = [0; 32];
    hex::decode_to_slice(text, &mut out)
        .map_err(|_| "a SHA-256 fingerprint is 64 hexadecimal digits".to_owned())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_said_at_once() {
        let raw: RawConfig = toml::from_str(
            r#"
            edition = "2017-02-15"
            [forest]
            domain = "-corp"
            account = "svc"
            password_file = "/nonexistent"
            keytab = "/nonexistent"
            [tenant]
            id = "x"
            domain = "cloud.example"
            ca_sha256 = "00"
            client_id = "12345678-9abc-def0-1122-334455667788"
            key_file = "key.pem"
            "#,
        )
        .unwrap();
        let problems = Config::check(raw).unwrap_err();
        let keys: Vec<_> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(keys, ["forest.domain", "forest.keytab", "tenant.id", "tenant.ca_sha256"]);
    }

    #[test]
    fn the_files_of_earlier_releases_are_sealed_and_the_key_file_is_taken_away() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let password = directory.path().join("password");
        crate::files::write_private(&password, b"Geheim-1\n").unwrap();
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let file = state.join("client-key-00.pem");
        crate::files::write_private(&file, pair.serialize_pem().as_bytes()).unwrap();
        let text = format!(
            "edition = \"2017-02-15\"\n[forest]\ndomain = \"corp.example\"\naccount = \"svc\"\n\
             password_file = \"{3}\"\n[tenant]\nid = \"{0}\"\ndomain = \"cloud.example\"\n\
             ca_sha256 = \"{1}\"\nclient_id = \"{0}\"\nkey_file = \"{2}\"\n",
            "11111111-2222-4333-8444-555555555555",
            "ab".repeat(32),
            file.display(),
            password.display()
        );
        std::fs::write(state.join(FILE), text).unwrap();
        let now = portolan_net::clock::now();
        RawConfig::adopt(&state, now).unwrap();
        assert!(!file.exists());
        let config = Config::read(&state).unwrap();
        let kept = std::fs::read_to_string(state.join(FILE)).unwrap();
        assert!(!kept.contains("key_file") && !kept.contains("password"), "{kept}");
        let secrets = Secrets::open(&state).unwrap();
        assert_eq!(
            secrets.get("password/svc@corp.example").unwrap().unwrap().as_slice(),
            b"Geheim-1"
        );
        assert!(config.forests[0].account(&state).unwrap().credential(&state).is_ok());
        assert!(password.exists(), "its owner removes it");
        let key = key::current(&Secrets::open(&state).unwrap(), config.client_id).unwrap();
        let made = portolan_token::SigningKey::from_pkcs8(&pair.serialize_der()).unwrap();
        assert_eq!(key.kid(), made.kid());
        RawConfig::adopt(&state, now).unwrap();
    }

    #[test]
    fn a_file_that_the_service_manager_hands_over_stays_a_reference() {
        let directory = tempfile::tempdir().unwrap();
        let raw = |path: &str| {
            let forest = format!(
                "edition = \"2017-02-15\"\n[forest]\ndomain = \"corp.example\"\naccount = \"svc\"\n\
                 password_file = \"{path}\"\n[tenant]\nid = \"x\"\ndomain = \"cloud.example\"\n\
                 ca_sha256 = \"00\"\nclient_id = \"x\"\n"
            );
            std::fs::write(directory.path().join(FILE), forest).unwrap();
            RawConfig::adopt(directory.path(), portolan_net::clock::now()).unwrap();
            let raw = RawConfig::existing(directory.path()).unwrap().unwrap();
            raw.forest.0[0].password_file.clone()
        };
        let handed = "/run/credentials/portolan-connect.service/password";
        assert_eq!(raw(handed), Some(handed.into()));
        assert_eq!(raw("/nonexistent"), Some("/nonexistent".into()), "said when it is used");
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<RawConfig>("edition = \"x\"\nport = 1").is_err());
    }
}
