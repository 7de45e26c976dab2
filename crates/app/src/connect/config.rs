//! The configuration of `connect`: `connect.toml` in its state directory.
//!
//! What stands in the file is a [`RawConfig`]; only the checked [`Config`] leaves this module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portolan_model::{DnsName, Guid};
use portolan_sync::guard::{self, Allowance};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::account::{self, Account, Held, SecretFile};
use super::key;
use super::reach::{RawBind, RawLdap, RawReach, Reach};
use super::secrets::{Secrets, client_key};
use super::steps::Steps;
use crate::report::Failure;

const FILE: &str = "connect.toml";

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    /// The edition of the chart in force.
    pub(super) edition: String,
    pub(super) forest: RawForest,
    pub(super) tenant: RawTenant,
    /// Whether this server imports and synchronises only, and writes nothing to the tenant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) staging: bool,
    /// How much may be lost in the tenant without anyone's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) guard: Option<RawGuard>,
    /// Ports in place of the chart's, by flow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ports: BTreeMap<String, u16>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForest {
    /// The forest root domain.
    pub(super) domain: String,
    /// The service account, `name` or `name@domain`.
    pub(super) account: String,
    /// The file with the account's password, readable by its owner alone; or else a keytab. Without
    /// either, the secret is sealed in the state directory. Only a credential of the service manager
    /// stays in a file: any other one is sealed by the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password_file: Option<PathBuf>,
    /// The keytab with the account's AES keys, readable by its owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keytab: Option<PathBuf>,
    /// How the directory is read: `sealed` (389) or `ldaps` (636).
    #[serde(default)]
    pub(super) ldap: RawLdap,
    /// How the account is proven inside TLS: `kerberos` or `simple`.
    #[serde(default)]
    pub(super) bind: RawBind,
    /// The authorities of the domain controllers' certificates, as PEM; for `ldaps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTenant {
    /// The tenant's id.
    pub(super) id: String,
    /// The tenant's initial domain: its hosts are login, graph and sync below it.
    pub(super) domain: String,
    /// SHA-256 of the tenant's CA certificate, in hexadecimal.
    pub ca_sha256: String,
    /// This server's application id in the tenant.
    pub(super) client_id: String,
    /// Where this server's private key was in the first release. It is sealed now, and this is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<PathBuf>,
    /// The web proxy by which the tenant is reached: `http://host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
    /// The file with name:password for the proxy, readable by its owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy_credentials_file: Option<PathBuf>,
}

/// How much may be lost in the tenant in a window of time.
#[derive(Debug, Serialize, Deserialize)]
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
    pub(super) forest_domain: DnsName,
    pub(super) account: String,
    /// Where the account's secret is; sealed in the state directory when it is nowhere else.
    secret_file: Option<SecretFile>,
    pub(super) tenant_id: Guid,
    pub(super) tenant_domain: DnsName,
    pub(super) ca_sha256: [u8; 32],
    pub(super) client_id: Guid,
    /// Whether nothing is written to the tenant.
    pub(super) staging: bool,
    /// How much may be lost in the tenant without anyone's word.
    pub(super) guard: Allowance,
}

impl RawConfig {
    /// What an earlier `init` wrote; `None` in a new state directory.
    pub(super) fn existing(state: &Path) -> Result<Option<Self>, Failure> {
        let path = state.join(FILE);
        let text = match std::fs::read_to_string(&path) {
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

    /// What of it says how the forest and the tenant are reached.
    pub(super) fn reach(&self) -> RawReach<'_> {
        RawReach {
            edition: &self.edition,
            ldap: self.forest.ldap,
            bind: self.forest.bind,
            ca_file: self.forest.ca_file.as_deref(),
            proxy: self.tenant.proxy.as_deref(),
            proxy_credentials_file: self.tenant.proxy_credentials_file.as_deref(),
            ports: self.ports.clone(),
        }
    }

    /// Seals the secrets that earlier releases kept in files: this server's private key, whose file is
    /// taken away, and the secret of the forest's account, whose file is its owner's to remove.
    pub(super) fn adopt(state: &Path, now: OffsetDateTime) -> Result<(), Failure> {
        let Some(mut raw) = Self::existing(state)? else { return Ok(()) };
        raw.adopt_key(state, now)?;
        raw.adopt_account(state, now)
    }

    fn adopt_key(&mut self, state: &Path, now: OffsetDateTime) -> Result<(), Failure> {
        // What is wrong with the file is said when it is checked.
        let (Some(path), Ok(client_id)) =
            (self.tenant.key_file.clone(), self.tenant.client_id.parse::<Guid>())
        else {
            return Ok(());
        };
        let mut secrets = Secrets::open(state)?;
        let private = key::read_file(&path)?;
        secrets.change(&[(&client_key(client_id), &private)], &[], now)?;
        self.tenant.key_file = None;
        self.write(state)?;
        let _ = std::fs::remove_file(path);
        Ok(())
    }

    fn adopt_account(&mut self, state: &Path, now: OffsetDateTime) -> Result<(), Failure> {
        let (password, keytab) = (self.forest.password_file.clone(), self.forest.keytab.clone());
        let Ok(file) = SecretFile::of(password, keytab) else { return Ok(()) };
        // A refused file is to be corrected first, and one that does not read says so when it is used.
        if file.is_handed_over() || account::is_marked(state) {
            return Ok(());
        }
        let Ok(held) = Held::read(&file) else { return Ok(()) };
        let (record, other) = held.records(&self.forest.account);
        Secrets::open(state)?.change(&[(&record, held.octets())], &[&other], now)?;
        (self.forest.password_file, self.forest.keytab) = (None, None);
        self.write(state)?;
        let sealed =
            format!("the account's secret is sealed now; {} may go", file.path().display());
        Steps::begin().say(None, &sealed);
        Ok(())
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
        let text = std::fs::read_to_string(&path).map_err(|error| {
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

    /// The forest's account with its secret, which is read now.
    pub(super) fn account(&self, state: &Path) -> Result<Account, Failure> {
        let account = match &self.secret_file {
            Some(file) => {
                Account::read(&self.account, &self.forest_domain, file).map(|(account, _)| account)
            }
            None => Account::sealed(&self.account, &self.forest_domain, &Secrets::open(state)?),
        };
        account.map_err(|problem| {
            Failure::new(format!("the forest's account cannot be used: {problem}"))
                .with_hint("give its secret to `portolan connect credential set`")
        })
    }

    pub(super) fn check(raw: RawConfig) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let guard = RawGuard::check(raw.guard.as_ref(), &mut problems);
        let reach = Reach::check(raw.reach(), &mut problems);
        let forest_domain = keep(&mut problems, "forest.domain", raw.forest.domain.parse());
        let tenant_id = keep(&mut problems, "tenant.id", raw.tenant.id.parse());
        let tenant_domain = keep(&mut problems, "tenant.domain", raw.tenant.domain.parse());
        let client_id = keep(&mut problems, "tenant.client_id", raw.tenant.client_id.parse());
        let ca_sha256 =
            keep(&mut problems, "tenant.ca_sha256", parse_fingerprint(&raw.tenant.ca_sha256));
        let secret_file = match (raw.forest.password_file, raw.forest.keytab) {
            (None, None) => Ok(None),
            (password, keytab) => SecretFile::of(password, keytab).map(Some),
        };
        let secret_file = keep(&mut problems, "forest.keytab", secret_file);
        match (reach, forest_domain, tenant_id, tenant_domain, client_id, ca_sha256, secret_file) {
            (
                Some(reach),
                Some(forest_domain),
                Some(tenant_id),
                Some(tenant_domain),
                Some(client_id),
                Some(ca_sha256),
                Some(secret_file),
            ) if problems.is_empty() => Ok(Self {
                edition: raw.edition,
                reach,
                forest_domain,
                account: raw.forest.account,
                secret_file,
                tenant_id,
                tenant_domain,
                ca_sha256,
                client_id,
                staging: raw.staging,
                guard,
            }),
            _ => Err(problems),
        }
    }
}

fn keep<T, E: std::fmt::Display>(
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
        assert_eq!(keys, ["forest.domain", "tenant.id", "tenant.ca_sha256", "forest.keytab"]);
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
        assert_eq!(secrets.get("password/svc").unwrap().unwrap().as_slice(), b"Geheim-1");
        assert!(config.account(&state).unwrap().credential(&state).is_ok());
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
            RawConfig::existing(directory.path()).unwrap().unwrap().forest.password_file
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
