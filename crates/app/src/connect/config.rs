//! The configuration of `connect`: `connect.toml` in its state directory.
//!
//! What stands in the file is a [`RawConfig`]; only the checked [`Config`] leaves this module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portolan_model::{DnsName, Guid};
use portolan_net::kerberos::Credential;
use serde::{Deserialize, Serialize};

use super::account::{Account, SecretFile};
use super::reach::{RawBind, RawLdap, RawReach, Reach};
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
    /// The file with the account's password, readable by its owner alone; or else a keytab.
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
    /// The file with this server's private key.
    pub(super) key_file: PathBuf,
    /// The web proxy by which the tenant is reached: `http://host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<String>,
    /// The file with name:password for the proxy, readable by its owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) proxy_credentials_file: Option<PathBuf>,
}

/// The configuration, checked.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) edition: String,
    pub(super) reach: Reach,
    pub(super) forest_domain: DnsName,
    pub(super) account: String,
    pub(super) secret_file: SecretFile,
    pub(super) tenant_id: Guid,
    pub(super) tenant_domain: DnsName,
    pub(super) ca_sha256: [u8; 32],
    pub(super) client_id: Guid,
    pub(super) key_file: PathBuf,
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

    /// The forest's account with its secret, which is read now, unless it was refused before.
    pub(super) fn credential(&self, state: &Path) -> Result<Credential, Failure> {
        let account = Account::read(&self.account, &self.forest_domain, &self.secret_file);
        let account = account.map_err(|problem| {
            Failure::new(format!("the forest's account cannot be used: {problem}"))
                .with_hint("correct the file, or run `portolan connect init` again")
        })?;
        account.credential(state)
    }

    pub(super) fn check(raw: RawConfig) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let reach = Reach::check(raw.reach(), &mut problems);
        let forest_domain = keep(&mut problems, "forest.domain", raw.forest.domain.parse());
        let tenant_id = keep(&mut problems, "tenant.id", raw.tenant.id.parse());
        let tenant_domain = keep(&mut problems, "tenant.domain", raw.tenant.domain.parse());
        let client_id = keep(&mut problems, "tenant.client_id", raw.tenant.client_id.parse());
        let ca_sha256 =
            keep(&mut problems, "tenant.ca_sha256", parse_fingerprint(&raw.tenant.ca_sha256));
        let secret_file = SecretFile::of(raw.forest.password_file, raw.forest.keytab);
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
            ) => Ok(Self {
                edition: raw.edition,
                reach,
                forest_domain,
                account: raw.forest.account,
                secret_file,
                tenant_id,
                tenant_domain,
                ca_sha256,
                client_id,
                key_file: raw.tenant.key_file,
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
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<RawConfig>("edition = \"x\"\nport = 1").is_err());
    }
}
