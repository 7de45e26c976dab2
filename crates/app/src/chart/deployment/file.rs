//! The file of a deployment: TOML, read strictly. What is not right is named by line and column, and what
//! would be right beside it. docs/deployment.toml shows every key; a test reads it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use portolan_chart::{Chart, Flow, Role};
use portolan_model::{DnsName, Guid};
use portolan_net::{Peer, Proxy};
use portolan_probe::Host;
use serde::{Deserialize, Deserializer, de};

use super::{TIMEOUT_SECONDS_MAX, with_hint};
use crate::report::Failure;

/// The one schema this build reads.
const SCHEMA: u32 = 1;
/// Octets that a file may have.
const FILE_OCTETS_MAX: u64 = 1024 * 1024;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::chart) struct File {
    #[serde(deserialize_with = "schema")]
    #[expect(dead_code, reason = "it is looked at while it is read")]
    schema: u32,
    #[serde(default, deserialize_with = "role")]
    pub(super) role: Option<Role>,
    #[serde(default, deserialize_with = "edition")]
    pub(super) edition: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) forest: Option<DnsName>,
    #[serde(default)]
    pub(super) tenant: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub(super) tenant_id: Option<Guid>,
    #[serde(default)]
    pub(super) name_servers: Vec<IpAddr>,
    #[serde(default)]
    pub(super) ca_files: Vec<PathBuf>,
    #[serde(default)]
    pub(super) without: Vec<String>,
    #[serde(default, deserialize_with = "timeout")]
    pub(super) timeout_seconds: Option<u64>,
    #[serde(default)]
    pub(super) idle: bool,
    #[serde(default)]
    pub(super) proxy: Option<ProxySection>,
    #[serde(default, rename = "host")]
    hosts: Vec<HostSection>,
}

/// The web proxy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxySection {
    #[serde(deserialize_with = "parsed")]
    pub(super) url: Proxy,
    #[serde(default)]
    pub(super) credentials_file: Option<PathBuf>,
}

/// A host at the end of a role's rows, or of one flow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostSection {
    #[serde(deserialize_with = "needed_role")]
    role: Role,
    #[serde(default, deserialize_with = "flow")]
    flow: Option<Flow>,
    #[serde(deserialize_with = "parsed")]
    name: Peer,
    #[serde(default)]
    addresses: Vec<IpAddr>,
}

impl HostSection {
    fn host(&self) -> Host {
        let Self { role, name, addresses, .. } = self;
        Host { role: *role, peer: name.clone(), addresses: addresses.clone() }
    }
}

impl File {
    /// The hosts at the ends of roles.
    pub(super) fn hosts(&self) -> Vec<Host> {
        self.hosts.iter().filter(|host| host.flow.is_none()).map(HostSection::host).collect()
    }

    /// The hosts at the ends of single flows.
    pub(super) fn hosts_of_flows(&self) -> BTreeMap<Flow, Vec<Host>> {
        let mut hosts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for section in &self.hosts {
            if let Some(flow) = section.flow {
                hosts.entry(flow).or_default().push(section.host());
            }
        }
        hosts
    }
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, or something in it is not right: where, and what is.
pub(super) fn read(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let cannot = |error: &std::io::Error| Failure::because(&format!("cannot read {shown}"), error);
    let text = crate::files::read_text_at_most(path, FILE_OCTETS_MAX);
    let text = text.map_err(|error| cannot(&error))?;
    let mut file = parse(&text).map_err(|error| Failure::new(format!("{shown}, {error}")))?;
    // Paths are seen from the file's own folder.
    let folder = path.parent().unwrap_or(Path::new(""));
    let proxy = file.proxy.iter_mut().filter_map(|proxy| proxy.credentials_file.as_mut());
    for path in file.ca_files.iter_mut().chain(proxy) {
        *path = folder.join(&*path);
    }
    Ok(file)
}

/// Reads the text of a file; an error begins with its place.
fn parse(text: &str) -> Result<File, String> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |begun| begun.chars().count()) + 1;
        format!("line {line}, column {column}: {}", error.message().replace('\n', " "))
    })
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

fn optional<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    parsed(from).map(Some)
}

fn needed_role<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
    let parsed = String::deserialize(from)?.parse::<Role>();
    parsed.map_err(|error| de::Error::custom(with_hint(&error)))
}

fn role<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Role>, D::Error> {
    needed_role(from).map(Some)
}

fn flow<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Flow>, D::Error> {
    let parsed = String::deserialize(from)?.parse::<Flow>();
    parsed.map(Some).map_err(|error| de::Error::custom(with_hint(&error)))
}

fn edition<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let id = String::deserialize(from)?;
    match Chart::edition(&id) {
        Ok(_) => Ok(Some(id)),
        Err(error) => Err(de::Error::custom(with_hint(&error))),
    }
}

fn schema<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        SCHEMA => Ok(SCHEMA),
        other => Err(de::Error::custom(format!(
            "schema {other} is not {SCHEMA}, which this build reads"
        ))),
    }
}

fn timeout<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match u64::deserialize(from)? {
        seconds @ 1..=TIMEOUT_SECONDS_MAX => Ok(Some(seconds)),
        other => Err(de::Error::custom(format!("{other} is not from 1 to {TIMEOUT_SECONDS_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_right() {
        let file = parse(include_str!("../../../../../docs/deployment.toml")).unwrap();
        assert_eq!(file.role, Some(Role::Connect));
        assert_eq!(file.hosts().len() + file.hosts_of_flows().len(), 3);
        assert!(file.proxy.is_some());
    }

    #[test]
    fn what_is_not_right_is_named_by_line_and_column() {
        let check = |text: &str, expected: &str| {
            let error = parse(&format!("schema = 1\n{text}")).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            "role = \"clout\"",
            "line 2, column 8: \"clout\" is no role of the chart: the roles are connect",
        );
        check(
            "edition = \"1999\"",
            "line 2, column 11: \"1999\" is no edition of the chart: the known",
        );
        check("\n  rolle = \"connect\"", "line 3, column 3: unknown field `rolle`");
        check("name_servers = [\"10.0.0\"]", "line 2, column 17: ");
        check("timeout_seconds = 0", "line 2, column 19: 0 is not from 1 to 120");
        check("[proxy]\nurl = \"proxy\"", "line 3, column 7: \"proxy\" is no proxy");
        check("[[host]]\nrole = \"forest\"\nname = \"a b\"", "line 4, column 8: ");
        check("[[host]]\nrole = \"forest\"", "line 2, column 1: missing field `name`");
        check("role = ", "line 2, column 8: ");
        assert!(parse("schema = 2").unwrap_err().contains("schema 2 is not 1"));
        assert!(parse("").unwrap_err().contains("missing field `schema`"));
    }
}
