//! The configuration of `connect`: `connect.toml` in its state directory.
//!
//! What stands in the file is a [`RawConfig`]; only the checked [`Config`] leaves this module.

use std::path::{Path, PathBuf};

use portolan_model::{DnsName, Guid, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::key;
use super::secrets::{self, Secrets};
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
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForest {
    /// The forest root domain.
    pub(super) domain: String,
    /// The service account, `name` or `name@domain`.
    pub(super) account: String,
    /// Where the account's password was in the first release. It is sealed now, and this is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password_file: Option<PathBuf>,
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
}

/// The configuration, checked.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) edition: String,
    pub(super) forest_domain: DnsName,
    pub(super) account: String,
    pub(super) password: SecretString,
    pub(super) tenant_id: Guid,
    pub(super) tenant_domain: DnsName,
    pub(super) ca_sha256: [u8; 32],
    pub(super) client_id: Guid,
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

    /// Seals what the first release kept in files of their own, and forgets where it was. The key's file
    /// is taken away; the password's is the administrator's.
    pub(super) fn adopt(state: &Path, now: OffsetDateTime) -> Result<(), Failure> {
        let Some(mut raw) = Self::existing(state)? else { return Ok(()) };
        let client_id: Guid = match raw.tenant.client_id.parse() {
            Ok(client_id)
                if raw.tenant.key_file.is_some() || raw.forest.password_file.is_some() =>
            {
                client_id
            }
            // What is wrong with the file is said when it is checked.
            _ => return Ok(()),
        };
        let mut secrets = Secrets::open(state)?;
        if let Some(path) = &raw.forest.password_file {
            let password = read_password(path).map_err(Failure::new)?;
            let name = secrets::password(&raw.forest.account);
            secrets.change(&[(&name, password.expose().as_bytes())], &[], now)?;
        }
        if let Some(path) = &raw.tenant.key_file {
            let private = key::read_file(path)?;
            secrets.change(&[(&secrets::client_key(client_id), &private)], &[], now)?;
        }
        raw.forest.password_file = None;
        let file = raw.tenant.key_file.take();
        raw.write(state)?;
        if let Some(path) = file {
            let _ = std::fs::remove_file(path);
        }
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
        let secrets = Secrets::open(state)?;
        let sealed = secrets.get(&secrets::password(&raw.forest.account))?;
        Self::check(raw, sealed).map_err(|problems| {
            Failure::new(format!("{} is not right: {}", path.display(), problems.join("; ")))
                .with_hint("correct the file, or run `portolan connect init` again")
        })
    }

    fn check(
        raw: RawConfig,
        sealed_password: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let forest_domain = keep(&mut problems, "forest.domain", raw.forest.domain.parse());
        let tenant_id = keep(&mut problems, "tenant.id", raw.tenant.id.parse());
        let tenant_domain = keep(&mut problems, "tenant.domain", raw.tenant.domain.parse());
        let client_id = keep(&mut problems, "tenant.client_id", raw.tenant.client_id.parse());
        let ca_sha256 =
            keep(&mut problems, "tenant.ca_sha256", parse_fingerprint(&raw.tenant.ca_sha256));
        let password = match &raw.forest.password_file {
            Some(path) => keep(&mut problems, "forest.password_file", read_password(path)),
            None => keep(&mut problems, "forest.account", unsealed(sealed_password)),
        };
        match (forest_domain, tenant_id, tenant_domain, client_id, ca_sha256, password) {
            (
                Some(forest_domain),
                Some(tenant_id),
                Some(tenant_domain),
                Some(client_id),
                Some(ca_sha256),
                Some(password),
            ) => Ok(Self {
                edition: raw.edition,
                forest_domain,
                account: raw.forest.account,
                password,
                tenant_id,
                tenant_domain,
                ca_sha256,
                client_id,
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

/// The password that was sealed.
fn unsealed(password: Option<Zeroizing<Vec<u8>>>) -> Result<SecretString, String> {
    let password =
        password.ok_or("its password is not here; run `portolan connect credential set`")?;
    let text = std::str::from_utf8(&password).map_err(|error| error.to_string())?;
    Ok(SecretString::new(text.to_owned()))
}

/// SHA-256 from 64 hexadecimal digits.
pub(super) fn parse_fingerprint(text: &str) -> Result<[u8; 32], String> {
    let mut out = [0; 32];
    hex::decode_to_slice(text, &mut out)
        .map_err(|_| "a SHA-256 fingerprint is 64 hexadecimal digits".to_owned())?;
    Ok(out)
}

/// The first line of a password file, which nobody but its owner may read.
pub(super) fn read_password(path: &Path) -> Result<SecretString, String> {
    crate::files::refuse_if_shared(path)?;
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(format!("{} has no first line", path.display()));
    }
    Ok(SecretString::new(line.to_owned()))
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
            [tenant]
            id = "x"
            domain = "cloud.example"
            ca_sha256 = "00"
            client_id = "12345678-9abc-def0-1122-334455667788"
            key_file = "key.pem"
            "#,
        )
        .unwrap();
        let problems = Config::check(raw, None).unwrap_err();
        let keys: Vec<_> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(
            keys,
            ["forest.domain", "tenant.id", "tenant.ca_sha256", "forest.password_file"]
        );
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<RawConfig>("edition = \"x\"\nport = 1").is_err());
    }
}
