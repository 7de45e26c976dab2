//! The fields of an export's objects: names in whatever case, lists that PowerShell made single.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// An object.
#[derive(Clone, Copy)]
pub(super) struct Fields<'j>(pub(super) &'j Map<String, Json>);

impl<'j> Fields<'j> {
    /// A field, whatever the case of its name; none of one that is null.
    pub(super) fn get(&self, name: &str) -> Option<&'j Json> {
        let found = self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&'j str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            value.as_bool() == Some(true)
                || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
        })
    }

    /// The items of a list; one that is no list is its only item.
    pub(super) fn items(&self, name: &str) -> &'j [Json] {
        match self.get(name) {
            Some(Json::Array(items)) => items,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        }
    }

    /// The names of the fields beside those named, but for those that are null or empty.
    pub(super) fn beside(&self, names: &[&str]) -> Vec<&'j str> {
        let is_empty = |value: &Json| match value {
            Json::Null => true,
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(fields) => fields.is_empty(),
            Json::Bool(_) | Json::Number(_) => false,
        };
        let others = self.0.iter().filter(|(own, value)| {
            !is_empty(value) && !names.iter().any(|name| name.eq_ignore_ascii_case(own))
        });
        others.map(|(own, _)| own.as_str()).collect()
    }

    /// The items of a list that are objects.
    pub(super) fn objects(&self, name: &str) -> impl Iterator<Item = Fields<'j>> {
        self.items(name).iter().filter_map(|item| item.as_object().map(Fields))
    }
}

/// The names of connectors by their identifiers, where the export lists them.
pub(super) fn connectors(json: &Json) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let Some(object) = json.as_object() else { return names };
    for connector in Fields(object).objects("Connectors") {
        if let (Some(id), Some(name)) = (connector.text("Identifier"), connector.text("Name")) {
            names.insert(bare(id), name.to_owned());
        }
    }
    names
}

/// An identifier in lower case, without braces.
pub(super) fn bare(identifier: &str) -> String {
    identifier.trim_matches(|c| c == '{' || c == '}').to_ascii_lowercase()
}
