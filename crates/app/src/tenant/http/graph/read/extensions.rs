//! Extensions that `$select` names: they are in no table of the schema, and shown when they are asked for.

use portolan_tenant::Parameters;
use portolan_tenant::directory::{Definition, Extension, Kind, Object};
use portolan_tenant::graph::InvalidQuery;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Map, Value as JsonValue, json};
use time::format_description::well_known::Rfc3339;

use super::Refused;
use crate::tenant::http::Service;

/// Takes the extensions out of what is selected, in all spellings of the option.
pub(super) fn split(parameters: Parameters) -> Result<(Parameters, Vec<String>), Refused> {
    let is_select =
        |name: &str| name.strip_prefix('$').unwrap_or(name).eq_ignore_ascii_case("select");
    let mut found = Vec::new();
    let mut pairs = Vec::new();
    for name in parameters.names() {
        let value = parameters.optional(name).unwrap_or_default();
        if !is_select(name) {
            pairs.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let words = value.split(',').map(str::trim);
        let (extensions, others): (Vec<_>, Vec<_>) = words.partition(|w| Definition::is_name(w));
        found.extend(extensions.into_iter().map(str::to_owned));
        pairs.push((name.to_owned(), others.join(",")));
    }
    if found.is_empty() {
        return Ok((parameters, found));
    }
    let unclear = |_| Refused::Query(InvalidQuery::UnknownOption("(repeated)".to_owned()));
    Ok((Parameters::from_pairs(pairs).map_err(unclear)?, found))
}

/// Refuses extensions that objects of a kind do not have.
pub(super) async fn check(service: &Service, names: &[String], kind: Kind) -> Result<(), Refused> {
    if names.is_empty() {
        return Ok(());
    }
    let known = service.store().begin(Access::Read).await?.extensions().await?;
    let is_known =
        |name: &&String| known.iter().any(|one| one.name == **name && one.kinds.contains(&kind));
    match names.iter().find(|name| !is_known(name)) {
        Some(name) => {
            let unknown = InvalidQuery::UnknownProperty(name.clone(), kind.as_str());
            Err(Refused::Query(unknown))
        }
        None => Ok(()),
    }
}

/// Puts the values of extensions into an object as it is shown.
pub(super) fn fill(shown: &mut Map<String, JsonValue>, object: &Object, names: &[String]) {
    for name in names {
        let value = object.attributes.extension(name).map_or(JsonValue::Null, value);
        shown.insert(name.clone(), value);
    }
}

fn value(value: &Extension) -> JsonValue {
    use base64::Engine as _;
    match value {
        Extension::Text(text) => json!(text),
        Extension::Integer(number) => json!(number),
        Extension::Flag(flag) => json!(flag),
        Extension::Time(at) => json!(at.format(&Rfc3339).ok()),
        Extension::Octets(octets) => {
            json!(base64::engine::general_purpose::STANDARD.encode(octets))
        }
        Extension::List(values) => values.iter().map(self::value).collect(),
    }
}
