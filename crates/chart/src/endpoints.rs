//! The vendor's own hosts at the tenant's end of rows, by role and tenant.
//!
//! A name is either a host that can be asked, or a pattern (`*.example.net`) that a firewall or a proxy can
//! be told to allow and nobody can ask. Which port belongs to a name is said by the row of its flow in the
//! edition in force; a flow that an edition does not have adds nothing there.

use std::fmt;
use std::sync::LazyLock;

use portolan_model::{DnsName, Guid};
use serde::Deserialize;
use toml::Spanned;

use crate::data::{self, InvalidFile, RawRequirement, parse, texts_are_printable};
use crate::{Flow, Requirement, Role};

const ENDPOINTS: &str = include_str!("../editions/endpoints.toml");

/// Where in a host's name the tenant's id stands.
const TENANT: &str = "{tenant}";

/// The cloud in which a tenant lives. Its names differ from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Cloud {
    /// The one for everybody.
    #[default]
    Public,
    /// The one of the government of the United States.
    UsGovernment,
}

impl Cloud {
    /// As data files and commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::UsGovernment => "us-government",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name at the tenant's end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointName {
    /// A host that can be resolved and asked.
    Host(DnsName),
    /// All hosts below this suffix, written `*.suffix`: to be allowed, not to be asked.
    Below(DnsName),
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "{name}"),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// One name in one row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The row in which it stands.
    pub flow: Flow,
    /// The host, or the pattern.
    pub name: EndpointName,
    /// When it must be reached.
    pub requirement: Requirement,
    /// What it is for, in one sentence.
    pub purpose: &'static str,
    /// The vendor's list that names it.
    pub list: &'static str,
}

/// The names that a role reaches in the cloud for everybody. Without the tenant's id, a host that bears it
/// is given as the pattern that covers it.
#[must_use]
pub fn endpoints(role: Role, tenant: Option<Guid>) -> Vec<Endpoint> {
    endpoints_in(Cloud::Public, role, tenant)
}

/// The names that a role reaches in a cloud.
#[must_use]
pub fn endpoints_in(cloud: Cloud, role: Role, tenant: Option<Guid>) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> = Vec::new();
    for group in groups().iter().filter(|group| group.cloud == cloud) {
        for &flow in group.flows.iter().filter(|flow| opens(role, **flow)) {
            for name in &group.names {
                let endpoint = Endpoint {
                    flow,
                    name: name.with(tenant),
                    requirement: group.requirement,
                    purpose: &group.purpose,
                    list: &group.list,
                };
                // A pattern may cover hosts of several groups; the first says what for.
                if all.iter().all(|known| (known.flow, &known.name) != (flow, &endpoint.name)) {
                    all.push(endpoint);
                }
            }
        }
    }
    all
}

/// Whether the flow's name begins with a role that this one plays.
fn opens(role: Role, flow: Flow) -> bool {
    let from = flow.name().split('.').next().and_then(|from| from.parse::<Role>().ok());
    from.is_some_and(|from| role.plays(from))
}

/// A group of names as the file has it.
#[derive(Debug)]
struct Group {
    cloud: Cloud,
    flows: Vec<Flow>,
    names: Vec<Name>,
    requirement: Requirement,
    purpose: String,
    list: String,
}

#[derive(Debug)]
enum Name {
    Fixed(EndpointName),
    /// A host that begins with the tenant's id, before this suffix.
    OfTenant(DnsName),
}

impl Name {
    fn with(&self, tenant: Option<Guid>) -> EndpointName {
        match (self, tenant) {
            (Self::Fixed(name), _) => name.clone(),
            (Self::OfTenant(suffix), Some(tenant)) => format!("{tenant}.{suffix}")
                .parse()
                .map_or_else(|_| EndpointName::Below(suffix.clone()), EndpointName::Host),
            (Self::OfTenant(suffix), None) => EndpointName::Below(suffix.clone()),
        }
    }
}

/// The embedded groups, parsed at the first call.
#[expect(clippy::expect_used, reason = "the data is embedded, and a test parses all of it")]
fn groups() -> &'static [Group] {
    static GROUPS: LazyLock<Vec<Group>> =
        LazyLock::new(|| read(ENDPOINTS).expect("INVARIANT: the endpoints keep the schema"));
    &GROUPS
}

fn read(source: &str) -> Result<Vec<Group>, InvalidFile> {
    let file: File = toml::from_str(source).map_err(|error| InvalidFile::unread(source, &error))?;
    let broken = |place, rule: &str| Err(InvalidFile::at(source, place, rule));
    if *file.schema.get_ref() != data::SCHEMA {
        return broken(file.schema.span(), "the schema is not the one that this build reads");
    }
    let mut groups = Vec::new();
    for raw in file.group {
        texts_are_printable(source, [&raw.purpose, &raw.list])?;
        let mut flows = Vec::new();
        for flow in raw.flows.get_ref() {
            flows.push(parse::<Flow>(source, flow)?);
            if flow.get_ref().split('.').nth(1) != Some(Role::Tenant.name()) {
                return broken(flow.span(), "the vendor's hosts are the tenant's end of a row");
            }
        }
        let mut names = Vec::new();
        for host in &raw.hosts {
            names.push(
                match host.get_ref().strip_prefix(TENANT).and_then(|s| s.strip_prefix('.')) {
                    Some(suffix) => Name::OfTenant(dns_name(source, host, suffix)?),
                    None => {
                        Name::Fixed(EndpointName::Host(dns_name(source, host, host.get_ref())?))
                    }
                },
            );
        }
        for pattern in &raw.patterns {
            let Some(suffix) = pattern.get_ref().strip_prefix("*.") else {
                return broken(pattern.span(), "a pattern begins with `*.`");
            };
            names.push(Name::Fixed(EndpointName::Below(dns_name(source, pattern, suffix)?)));
        }
        if flows.is_empty() || names.is_empty() {
            return broken(raw.flows.span(), "a group has flows and names");
        }
        if !raw.purpose.get_ref().ends_with('.') {
            return broken(raw.purpose.span(), "a purpose is a sentence");
        }
        groups.push(Group {
            cloud: match raw.cloud {
                RawCloud::Public => Cloud::Public,
                RawCloud::UsGovernment => Cloud::UsGovernment,
            },
            flows,
            names,
            requirement: raw.requirement.into(),
            purpose: raw.purpose.into_inner(),
            list: raw.list.into_inner(),
        });
    }
    Ok(groups)
}

fn dns_name(source: &str, at: &Spanned<String>, text: &str) -> Result<DnsName, InvalidFile> {
    let parsed = text.parse::<DnsName>();
    parsed.map_err(|error| InvalidFile::at(source, at.span(), error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u32>,
    group: Vec<RawGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    cloud: RawCloud,
    flows: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    hosts: Vec<Spanned<String>>,
    #[serde(default)]
    patterns: Vec<Spanned<String>>,
    requirement: RawRequirement,
    purpose: Spanned<String>,
    list: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawCloud {
    Public,
    UsGovernment,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chart, flow};

    fn names(role: Role, of: Flow, tenant: Option<Guid>) -> Vec<String> {
        let all = endpoints(role, tenant).into_iter();
        all.filter(|endpoint| endpoint.flow == of).map(|found| found.name.to_string()).collect()
    }

    #[test]
    fn a_tenant_s_id_makes_a_host_of_what_is_a_pattern_without_it() {
        let tenant = "12345678-9abc-def0-1122-334455667788".parse().unwrap();
        assert_eq!(
            names(Role::Connect, flow::CONNECT_TENANT_SSO_REGISTRATION, Some(tenant)),
            [
                "12345678-9abc-def0-1122-334455667788.registration.msappproxy.net",
                "*.msappproxy.net"
            ]
        );
        assert_eq!(
            names(Role::Connect, flow::CONNECT_TENANT_SSO_REGISTRATION, None),
            ["*.registration.msappproxy.net", "*.msappproxy.net"]
        );
    }

    #[test]
    fn the_agent_s_own_lists_and_responders_are_known() {
        let responders = names(Role::Agent, flow::AGENT_TENANT_OCSP, None);
        assert_eq!(responders.len(), 4, "{responders:?}");
        assert!(
            names(Role::Agent, flow::AGENT_TENANT_BUS, None)
                .contains(&"*.servicebus.windows.net".into())
        );
        assert!(endpoints(Role::Forest, None).is_empty());
    }

    #[test]
    fn every_row_at_the_public_tenant_that_people_and_servers_open_has_names() {
        for edition in Chart::editions() {
            let chart = Chart::edition(&edition.id).unwrap();
            for row in chart.all().filter(|row| row.to == Role::Tenant) {
                let found = names(row.from, row.flow, None);
                assert!(!found.is_empty(), "{} has no name at the tenant", row.flow);
            }
        }
    }

    #[test]
    fn no_row_has_a_name_twice_in_either_cloud() {
        for cloud in [Cloud::Public, Cloud::UsGovernment] {
            for role in Role::all() {
                let all = endpoints_in(cloud, role, None);
                let distinct: std::collections::BTreeSet<_> =
                    all.iter().map(|endpoint| (endpoint.flow, &endpoint.name)).collect();
                assert_eq!(distinct.len(), all.len(), "{cloud} {role}");
            }
        }
    }

    #[test]
    fn endpoints_that_break_a_rule_are_refused() {
        let check = |change: (&str, &str), expected: &str| {
            let broken = ENDPOINTS.replacen(change.0, change.1, 1);
            assert_ne!(broken, ENDPOINTS, "the case {change:?} changes nothing");
            let error = read(&broken).unwrap_err();
            assert!(error.to_string().contains(expected), "{change:?}: {error}");
            assert!(error.line > 1, "{error}");
        };
        check(("schema = 1", "schema = 2"), "schema is not the one");
        check(("\"connect.tenant.sync\"", "\"connect.ad.ldap\""), "the tenant's end");
        check(("\"connect.tenant.sync\"", "\"connect.tenant.sink\""), "is no flow");
        check(("\"*.microsoftonline.com\"", "\"microsoftonline.*\""), "begins with `*.`");
        check(("\"login.windows.net\"", "\"login windows\""), "login windows");
        check(("cloud = \"public\"", "cloud = \"cirrus\""), "unknown variant `cirrus`");
        check(("by region.\"", "by region\""), "is a sentence");
    }
}
