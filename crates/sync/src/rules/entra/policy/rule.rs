//! A rule of a policy in the form of the cmdlets.

use serde_json::{Map, Value as Json};

use super::PolicyRule;
use crate::rules::entra::read::Fields;

/// The fields of a rule that mean the same under another name, and what the cmdlets call them.
const FIELDS: &[(&str, &str)] = &[
    ("name", "Name"),
    ("immutableTag", "ImmutableTag"),
    ("direction", "Direction"),
    ("source", "SourceObjectType"),
    ("sourceObjectType", "SourceObjectType"),
    ("target", "TargetObjectType"),
    ("targetObjectType", "TargetObjectType"),
    ("precedence", "Precedence"),
    ("linkType", "LinkType"),
    ("disabled", "Disabled"),
    ("enablePasswordSync", "EnablePasswordSync"),
    ("softDeleteExpiryInterval", "SoftDeleteExpiryInterval"),
];
/// Fields that hold lists, which are read on their own.
const LISTS: &[&str] = &[
    "scopeFilters",
    "scopeFilter",
    "joinFilters",
    "joinFilter",
    "attributeMappings",
    "attributeFlowMappings",
];
/// Fields that say nothing that is needed here: of which installation and version the rule is.
const IDLE: &[&str] = &[
    "description",
    "internalIdentifier",
    "uniqueIdentifier",
    "identifier",
    "connector",
    "connectorName",
    "version",
    "precedenceBefore",
    "precedenceAfter",
    "sourceNamespaceId",
    "targetNamespaceId",
];

/// A condition or a mapping: what the cmdlets call a field, and the names that it may have.
type Names = &'static [(&'static str, &'static [&'static str])];

const CLAUSE: Names = &[
    ("Attribute", &["attribute"]),
    ("ComparisonOperator", &["condition", "comparisonOperator", "operator"]),
    ("ComparisonValue", &["value", "comparisonValue"]),
];
const JOIN: Names = &[
    ("CSAttribute", &["csAttribute", "source"]),
    ("MVAttribute", &["mvAttribute", "target", "destination"]),
    ("CaseSensitive", &["caseSensitive"]),
];
const MAPPING: Names = &[
    ("Destination", &["destination", "target"]),
    ("Source", &["source"]),
    ("FlowType", &["flowType", "mappingType", "type"]),
    ("Expression", &["expression"]),
    ("ExecuteOnce", &["executeOnce", "applyOnce"]),
    ("ValueMergeType", &["valueMergeType", "mergeType"]),
];

/// The rule, which is one of the connector's.
pub(super) fn canonical(rule: &Fields<'_>, connector: &str) -> PolicyRule {
    let mut fields = Map::new();
    let mut remarks = Vec::new();
    for (own, cmdlet) in FIELDS {
        if let Some(value) = rule.get(own) {
            fields.insert((*cmdlet).to_owned(), value.clone());
        }
    }
    fields.insert("Connector".to_owned(), connector.into());
    let known: Vec<_> = FIELDS.iter().map(|(own, _)| *own).chain(LISTS.iter().copied()).collect();
    let unknown = rule.beside(&[known.as_slice(), IDLE].concat());
    remarks.extend(unknown.iter().map(|name| format!("its field {name} is not known here")));

    let scope = groups(rule, &["scopeFilters", "scopeFilter"], CLAUSE, &mut remarks);
    fields.insert("ScopeFilter".to_owned(), wrapped(scope, "ScopeConditionList"));
    let joins = groups(rule, &["joinFilters", "joinFilter"], JOIN, &mut remarks);
    fields.insert("JoinFilter".to_owned(), wrapped(joins, "JoinConditionList"));
    let lists = ["attributeMappings", "attributeFlowMappings"];
    let mappings = lists.iter().flat_map(|list| rule.objects(list));
    let mappings = mappings.map(|mapping| kind_of_flow(renamed(&mapping, MAPPING, &mut remarks)));
    let mappings: Vec<_> = mappings.map(Json::Object).collect();
    fields.insert("AttributeFlowMappings".to_owned(), mappings.into());
    PolicyRule { fields, remarks }
}

/// The groups of conditions of a list: a list in it is a group, so is an object that holds one, and what
/// stands in it without a group is one group together.
fn groups(
    rule: &Fields<'_>,
    lists: &[&str],
    names: Names,
    remarks: &mut Vec<String>,
) -> Vec<Vec<Json>> {
    let (mut groups, mut bare) = (Vec::new(), Vec::new());
    for item in lists.iter().flat_map(|list| rule.items(list)) {
        let inner = match item {
            Json::Array(inner) => inner.as_slice(),
            Json::Object(object) => {
                let named = names
                    .iter()
                    .any(|(_, own)| own.iter().any(|own| Fields(object).get(own).is_some()));
                match object.values().find_map(Json::as_array) {
                    Some(inner) if !named => inner.as_slice(),
                    _ => {
                        bare.push(Json::Object(renamed(&Fields(object), names, remarks)));
                        continue;
                    }
                }
            }
            _ => continue,
        };
        let inner = inner.iter().filter_map(Json::as_object);
        let group = inner.map(|one| Json::Object(renamed(&Fields(one), names, remarks)));
        groups.push(group.collect());
    }
    if bare.len() > 1 {
        remarks.push(format!(
            "the export lists {} of its conditions without groups: here all of them have to hold",
            bare.len()
        ));
    }
    if !bare.is_empty() {
        groups.push(bare);
    }
    groups
}

fn wrapped(groups: Vec<Vec<Json>>, list: &str) -> Json {
    let wrapped = groups.into_iter().map(|group| Json::from_iter([(list, Json::Array(group))]));
    wrapped.collect::<Vec<_>>().into()
}

/// The fields of an object under the names of the cmdlets.
fn renamed(fields: &Fields<'_>, names: Names, remarks: &mut Vec<String>) -> Map<String, Json> {
    let known: Vec<_> = names.iter().flat_map(|(_, own)| own.iter().copied()).collect();
    for name in fields.beside(&known) {
        let text = format!("a condition's or flow's field {name} is not known here");
        if !remarks.contains(&text) {
            remarks.push(text);
        }
    }
    let value = |own: &[&str]| own.iter().find_map(|own| fields.get(own)).cloned();
    let rows = names.iter().filter_map(|(cmdlet, own)| Some(((*cmdlet).to_owned(), value(own)?)));
    rows.collect()
}

/// A flow with its kind, where the export says none: a name is an attribute, and what is more than a name is
/// an expression.
fn kind_of_flow(mut mapping: Map<String, Json>) -> Map<String, Json> {
    if mapping.contains_key("FlowType") || mapping.contains_key("Expression") {
        return mapping;
    }
    let source = match mapping.get("Source") {
        Some(Json::Array(items)) if items.len() == 1 => items.first().and_then(Json::as_str),
        Some(one) => one.as_str(),
        None => None,
    };
    let Some(source) = source.map(str::to_owned) else { return mapping };
    let is_name = source.starts_with(|c: char| c.is_ascii_alphabetic())
        && source.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let is_truth = ["true", "false"].iter().any(|word| source.eq_ignore_ascii_case(word));
    let kind = match (is_truth, is_name) {
        (true, _) => "Constant",
        (false, true) => "Direct",
        (false, false) => "Expression",
    };
    mapping.insert("FlowType".to_owned(), kind.into());
    if kind == "Expression" {
        mapping.insert("Expression".to_owned(), source.into());
    }
    mapping
}
