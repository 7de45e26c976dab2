//! The synchronisation policy: the file that Entra Connect's wizard exports
//! (`Exported-SynchronizationPolicy-*.json`, and `Applied-SynchronizationPolicy-*.json` after each change).
//!
//! Microsoft documents that there is such a file, and not what is in it. The names here are those that public
//! scripts read from it. So nothing is guessed in silence: what has another name is told.

mod filters;
mod rule;

use std::collections::BTreeMap;

use portolan_model::DnsName;
use serde_json::{Map, Value as Json};

use super::names::TENANT_CONNECTOR;
use super::read::{Fields, bare};
use super::{Fate, Note};
use crate::rules::raw::RawFilter;

/// What tells of the export as a whole is told under this name.
const EXPORT: &str = "the export";

/// A rule in the form of the cmdlets.
pub(super) struct PolicyRule {
    /// The fields that `Get-ADSyncRule` gives a rule.
    pub(super) fields: Map<String, Json>,
    /// What of the policy's rule is not in them.
    pub(super) remarks: Vec<String>,
}

/// A policy.
#[derive(Default)]
pub(super) struct Policy {
    pub(super) rules: Vec<PolicyRule>,
    /// The names of forests by the identifiers of their connectors.
    pub(super) connectors: BTreeMap<String, String>,
    pub(super) filters: Vec<RawFilter>,
    pub(super) notes: Vec<Note>,
}

impl Policy {
    fn note(&mut self, fate: Fate, text: String) {
        self.notes.push(Note { rule: EXPORT.to_owned(), fate, text });
    }

    fn rules_of(&mut self, directory: &Fields<'_>, connector: &str) {
        for list in ["standardSynchronizationRules", "customSynchronizationRules"] {
            let rules = directory.objects(list);
            self.rules.extend(rules.map(|fields| rule::canonical(&fields, connector)));
        }
    }

    fn unread(&mut self, of: &str, fields: &Fields<'_>, read: &[&str]) {
        let unread = fields.beside(read);
        if !unread.is_empty() {
            let text = format!("of {of} this is not read: {}", unread.join(", "));
            self.note(Fate::LeftOut, text);
        }
    }
}

/// The policy that a document is; none where it is another one.
pub(super) fn read(json: &Json) -> Option<Policy> {
    let document = Fields(json.as_object()?);
    let mut policy = Policy::default();
    let mut is_policy = false;
    for (number, forest) in document.objects("onpremisesDirectoryPolicy").enumerate() {
        is_policy = true;
        // An identifier is made where there is none: it only ties a forest to its own rules.
        let connector = forest.text("uniqueIdentifier").map_or_else(|| number.to_string(), bare);
        let names = ["fullyQualifiedDomainName", "friendlyName"];
        let mut names =
            names.iter().filter_map(|field| forest.text(field)?.parse::<DnsName>().ok());
        let name = names.next();
        if let Some(name) = &name {
            policy.connectors.insert(connector.clone(), name.as_str().to_owned());
        }
        policy.rules_of(&forest, &connector);
        let (made, told) = filters::of(&forest, name.as_ref());
        policy.filters.extend(made);
        told.into_iter().for_each(|(fate, text)| policy.note(fate, text));
        let name = name.as_ref().map_or("a forest without a name", DnsName::as_str);
        policy.unread(name, &forest, FOREST);
    }
    if let Some(tenant) = document.objects("azureDirectoryPolicy").next() {
        is_policy = true;
        policy.rules_of(&tenant, TENANT_CONNECTOR);
        policy.unread("the tenant", &tenant, TENANT);
    }
    if is_policy {
        policy.unread("the policy", &document, DOCUMENT);
    }
    is_policy.then_some(policy)
}

/// Whether a document only says where the files of a migration were written, as Microsoft's
/// `MigrateSettings.ps1` does beside them.
pub(super) fn is_migration(json: &Json) -> bool {
    json.as_object().map(Fields).is_some_and(|document| {
        document.objects("policyMetadata").any(|metadata| {
            metadata.text("type").is_some_and(|kind| kind.eq_ignore_ascii_case("migration"))
        })
    })
}

/// What is read of the whole, or says only who exported it and when.
const DOCUMENT: &[&str] =
    &["policyMetadata", "deploymentMetadata", "onpremisesDirectoryPolicy", "azureDirectoryPolicy"];
/// What is read of a forest.
const FOREST: &[&str] = &[
    "uniqueIdentifier",
    "friendlyName",
    "fullyQualifiedDomainName",
    "partitionFilters",
    "standardSynchronizationRules",
    "customSynchronizationRules",
];
/// What is read of the tenant.
const TENANT: &[&str] = &[
    "uniqueIdentifier",
    "friendlyName",
    "standardSynchronizationRules",
    "customSynchronizationRules",
];
