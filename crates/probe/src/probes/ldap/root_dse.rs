//! The entry of the server itself, and whether it is a domain controller of the forest
//! ([RFC 4512 section 5.1], [MS-ADTS] section 3.1.1.3.2).
//!
//! [RFC 4512 section 5.1]: https://www.rfc-editor.org/rfc/rfc4512#section-5.1
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_ldap::{
    AttributeDescription, Filter, LdapResult, ResultCode, Scope, SearchRequest, SearchResultEntry,
};
use portolan_model::DnsName;

use super::Port;
use crate::{Defect, DefectKind, Verdict, mark};

const ATTRIBUTES: [&str; 10] = [
    "namingContexts",
    "defaultNamingContext",
    "configurationNamingContext",
    "rootDomainNamingContext",
    "dnsHostName",
    "supportedSASLMechanisms",
    "supportedCapabilities",
    "isGlobalCatalogReady",
    "isSynchronized",
    "vendorName",
];
/// LDAP_CAP_ACTIVE_DIRECTORY_OID ([MS-ADTS] section 3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
/// The mechanisms that seal ([MS-ADTS] section 5.1.1.1.2).
const SEALING: [&str; 2] = ["GSSAPI", "GSS-SPNEGO"];
/// Values of one attribute that are looked at.
const VALUES_MAX: usize = 64;

/// What a root DSE says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RootDse {
    naming_contexts: Vec<String>,
    default_context: String,
    configuration_context: String,
    root_domain_context: String,
    host: String,
    mechanisms: Vec<String>,
    capabilities: Vec<String>,
    catalogue_is_ready: bool,
    is_not_synchronized: bool,
    vendor: String,
}

/// The question for it.
pub(super) fn question() -> SearchRequest {
    SearchRequest::new("", Scope::Base, any_object()).select(ATTRIBUTES)
}

/// The question for one object of the whole forest, whichever.
pub(super) fn any_of_forest() -> SearchRequest {
    let request = SearchRequest::new("", Scope::Subtree, any_object()).select(["1.1"]);
    SearchRequest { size_limit: 1, ..request }
}

fn any_object() -> Filter {
    let class: Option<AttributeDescription> = "objectClass".parse().ok();
    class.map_or(Filter::And(Vec::new()), Filter::Present)
}

/// What it means that there is no root DSE: every domain controller shows it to strangers.
pub(super) fn hidden(result: &LdapResult) -> Verdict {
    match result.code {
        ResultCode::Busy | ResultCode::Unavailable => Verdict::faulty(
            DefectKind::Unavailable,
            format!("the directory says that it cannot serve now ({})", said(result)),
            "look whether the directory service has started, and try again",
        ),
        _ => Verdict::faulty(
            DefectKind::WrongKind,
            format!(
                "an LDAP server that shows strangers no root DSE ({}), as every domain controller does",
                said(result)
            ),
            "look which server has this address",
        ),
    }
}

/// What it means that the whole forest was searched with this end: a stranger may be told to bind first,
/// and only what is no global catalogue knows no empty base.
pub(super) fn catalogue_defect(result: &LdapResult) -> Option<Defect> {
    let defect =
        |kind, text: String, hint: &str| Some(Defect { kind, text, hint: hint.to_owned() });
    match result.code {
        ResultCode::NoSuchObject | ResultCode::UnwillingToPerform => defect(
            DefectKind::WrongKind,
            format!("the whole forest cannot be searched there ({})", said(result)),
            "look whether this domain controller is a global catalogue",
        ),
        ResultCode::Busy | ResultCode::Unavailable => defect(
            DefectKind::Unavailable,
            format!("the global catalogue says that it cannot serve now ({})", said(result)),
            "look whether the global catalogue has finished its first replication",
        ),
        _ => None,
    }
}

/// A result as reports show it: its code, and the beginning of the server's own words.
pub(super) fn said(result: &LdapResult) -> String {
    let words: String =
        result.diagnostic.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    match words.is_empty() {
        true => result.code.to_string(),
        false => format!("{}: {words}", result.code),
    }
}

/// Characters of a server's own words that a report shows.
const WORDS_MAX: usize = 96;

impl RootDse {
    pub(super) fn of(entry: &SearchResultEntry) -> Self {
        let one = |name| printable(entry.text(name).unwrap_or_default());
        let all = |name| {
            let values = entry.all(name).take(VALUES_MAX);
            values.map(|value| printable(&String::from_utf8_lossy(value))).collect()
        };
        let says = |name, value: &str| {
            entry.text(name).is_some_and(|text| text.eq_ignore_ascii_case(value))
        };
        Self {
            naming_contexts: all("namingContexts"),
            default_context: one("defaultNamingContext"),
            configuration_context: one("configurationNamingContext"),
            root_domain_context: one("rootDomainNamingContext"),
            host: one("dnsHostName"),
            mechanisms: all("supportedSASLMechanisms"),
            capabilities: all("supportedCapabilities"),
            catalogue_is_ready: says("isGlobalCatalogReady", "TRUE"),
            is_not_synchronized: says("isSynchronized", "FALSE"),
            vendor: one("vendorName"),
        }
    }

    /// Whether it is a domain controller's.
    pub(crate) fn is_active_directory(&self) -> bool {
        self.capabilities.iter().any(|capability| capability == ACTIVE_DIRECTORY)
            && !self.root_domain_context.is_empty()
    }

    /// Whether somebody stands in for the server.
    pub(crate) fn is_stand_in(&self) -> bool {
        mark::is_in(self.vendor.as_bytes())
    }

    /// What people like to know of it.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.host.is_empty() {
            notes.push(format!("it calls itself {}", self.host));
        }
        if !self.default_context.is_empty() {
            notes.push(format!("naming context {}", self.default_context));
        }
        if !self.mechanisms.is_empty() {
            notes.push(format!("SASL {}", self.mechanisms.join(", ")));
        }
        notes
    }

    /// What is wrong with it, at a port of this kind.
    pub(crate) fn defects(&self, forest: Option<&DnsName>, port: Port) -> Vec<Defect> {
        if !self.is_active_directory() {
            let contexts = match self.naming_contexts.is_empty() {
                true => "no naming context".to_owned(),
                false => self.naming_contexts.join(", "),
            };
            let text = format!(
                "an LDAP server that is no Active Directory domain controller ({contexts})"
            );
            let hint = "look which server has this address".to_owned();
            return vec![Defect { kind: DefectKind::WrongKind, text, hint }];
        }
        let mut defects = Vec::new();
        let mut add = |kind, text: String, hint: &str| {
            defects.push(Defect { kind, text, hint: hint.to_owned() });
        };
        let theirs = domain_of(&self.root_domain_context);
        if let Some(forest) = forest.filter(|forest| !theirs.eq_ignore_ascii_case(forest.as_str()))
        {
            add(
                DefectKind::WrongKind,
                format!("it belongs to the forest {theirs} and not to {forest}"),
                "look whether the forest's name and this host's are the right ones",
            );
        }
        let holds = |context: &String| {
            self.naming_contexts.iter().any(|held| held.eq_ignore_ascii_case(context))
        };
        for context in [&self.default_context, &self.configuration_context] {
            if !holds(context) {
                add(
                    DefectKind::WrongKind,
                    format!("it does not hold the naming context {context:?} that it names"),
                    "look whether the domain controller has finished its first replication",
                );
            }
        }
        let seals = |mechanism: &String| SEALING.contains(&mechanism.as_str());
        if port.is_clear() && !self.mechanisms.iter().any(seals) {
            add(
                DefectKind::Weak,
                format!("it offers neither {} to seal the connection", SEALING.join(" nor ")),
                "look at the SASL mechanisms of the directory, or use LDAP inside TLS",
            );
        }
        if port.is_catalogue() && !self.catalogue_is_ready {
            add(
                DefectKind::Unavailable,
                "the global catalogue is not ready".to_owned(),
                "wait until the domain controller has replicated every domain, or ask another one",
            );
        }
        if self.is_not_synchronized {
            add(
                DefectKind::Unavailable,
                "the domain controller has not finished its first replication".to_owned(),
                "wait until it has, or ask another one",
            );
        }
        defects
    }
}

/// The DNS name that a naming context of domain components stands for.
fn domain_of(context: &str) -> String {
    let labels = context.split(',').filter_map(|part| {
        let (name, label) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("dc").then_some(label.trim())
    });
    labels.collect::<Vec<_>>().join(".")
}

/// A peer's text as it may reach a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

/// Characters of one value that are kept.
const TEXT_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const FOREST: &str = "corp.example";

    /// What a domain controller shows, with one attribute changed, or taken away.
    fn root(change: Option<(&str, &[&[u8]])>) -> RootDse {
        let usual: [(&str, &[&[u8]]); 8] = [
            ("namingContexts", &[b"DC=corp,DC=example", b"CN=Configuration,DC=corp,DC=example"]),
            ("defaultNamingContext", &[b"DC=corp,DC=example"]),
            ("configurationNamingContext", &[b"CN=Configuration,DC=corp,DC=example"]),
            ("rootDomainNamingContext", &[b"DC=corp,DC=example"]),
            ("supportedSASLMechanisms", &[b"GSS-SPNEGO", b"GSSAPI", b"NTLM"]),
            ("supportedCapabilities", &[b"1.2.840.113556.1.4.800"]),
            ("isGlobalCatalogReady", &[b"TRUE"]),
            ("isSynchronized", &[b"TRUE"]),
        ];
        let attributes = usual.map(|(name, values)| match change {
            Some((changed, values)) if changed == name => (name, values),
            _ => (name, values),
        });
        RootDse::of(&SearchResultEntry::new("", &attributes).unwrap())
    }

    fn check(change: Option<(&str, &[&[u8]])>, port: Port, expected: &[DefectKind]) {
        let forest = FOREST.parse().unwrap();
        let defects = root(change).defects(Some(&forest), port);
        let kinds: Vec<_> = defects.iter().map(|defect| defect.kind).collect();
        assert_eq!(kinds, expected, "{defects:?}");
    }

    #[test]
    fn a_root_dse_is_judged_by_kind_forest_and_port() {
        check(None, Port::Directory, &[]);
        check(None, Port::CatalogueTls, &[]);
        let other: &[&[u8]] = &[b"DC=other,DC=example"];
        check(Some(("rootDomainNamingContext", other)), Port::Directory, &[DefectKind::WrongKind]);
        check(Some(("supportedCapabilities", &[])), Port::Directory, &[DefectKind::WrongKind]);
        check(Some(("namingContexts", &[])), Port::Directory, &[DefectKind::WrongKind; 2]);
        let weak: &[&[u8]] = &[b"EXTERNAL", b"DIGEST-MD5"];
        check(Some(("supportedSASLMechanisms", weak)), Port::Directory, &[DefectKind::Weak]);
        check(Some(("supportedSASLMechanisms", weak)), Port::DirectoryTls, &[]);
        let no: &[&[u8]] = &[b"FALSE"];
        check(Some(("isGlobalCatalogReady", no)), Port::Catalogue, &[DefectKind::Unavailable]);
        check(Some(("isGlobalCatalogReady", no)), Port::Directory, &[]);
        check(Some(("isSynchronized", no)), Port::Directory, &[DefectKind::Unavailable]);
    }

    #[test]
    fn a_naming_context_stands_for_a_domain() {
        assert_eq!(domain_of("DC=corp,DC=example"), FOREST);
        assert_eq!(domain_of("CN=Configuration, dc=corp , dc=example"), FOREST);
        assert_eq!(domain_of("o=Corp"), "");
    }
}
