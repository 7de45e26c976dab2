//! What Graph shows of an object, held against what it acknowledged of it.
//!
//! An attribute counts when it was acknowledged: what Graph has besides is others'. It is as it should be
//! when Graph shows what the exporter would send; lists have no order.

use portolan_model::{Guid, SourceAnchor};
use serde_json::Value as Json;

use super::capability::{self, PROPERTIES};
use super::request::{by_unique_name, encoded, json_of, set};
use super::wish;
use crate::dictionary::Dictionary;
use crate::record::{Record, Value, Values};
use crate::{AttributeId, TenantKind};

/// Objects on a page: the most that Graph gives.
const PAGE: &str = "$top=999";

/// What holds the fifteen extension attributes.
const EXTENSIONS: &str = "onPremisesExtensionAttributes";

/// An object that carries an anchor, as Graph shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: Guid,
    /// What identifies it.
    pub anchor: SourceAnchor,
    /// What it is.
    pub kind: TenantKind,
    /// Whether another agent synchronises it.
    pub is_of_another: bool,
    shown: Json,
}

/// The address of the first page of all objects of a kind, with everything that is exported of them; `None`
/// of what Graph does not make.
#[must_use]
pub fn first_page(kind: TenantKind) -> Option<String> {
    is_made(kind).then(|| format!("/{}?{}&{PAGE}", set(kind), select(kind)))
}

/// The address of an object by its id.
#[must_use]
pub fn by_id(kind: TenantKind, id: Guid) -> String {
    format!("/{}/{id}?{}", set(kind), select(kind))
}

/// The address of an object by its anchor: a list of one user or none, or a group.
#[must_use]
pub fn by_anchor(kind: TenantKind, anchor: &SourceAnchor) -> String {
    if kind == TenantKind::Group {
        return format!("{}?{}", by_unique_name(anchor), select(kind));
    }
    let quoted = encoded(&anchor.as_str().replace('\'', "''"));
    format!("/{}?$filter=onPremisesImmutableId%20eq%20'{quoted}'&{}", set(kind), select(kind))
}

/// The address of the first page of a group's members.
#[must_use]
pub fn members(group: Guid) -> String {
    format!("/groups/{group}/members?$select=id&{PAGE}")
}

/// The address of a user's manager.
#[must_use]
pub fn manager(user: Guid) -> String {
    format!("/users/{user}/manager?$select=id")
}

impl Seen {
    /// Reads an object of a kind, alone or as the first of a list; `None` of one without an anchor.
    #[must_use]
    pub fn read(kind: TenantKind, json: &Json) -> Option<Self> {
        let shown = match json.get("value").and_then(Json::as_array) {
            Some(list) => list.first()?,
            None => json,
        };
        let text = |name: &str| shown.get(name).and_then(Json::as_str);
        let anchor = match kind {
            TenantKind::Group => text("uniqueName"),
            _ => text("onPremisesImmutableId"),
        };
        Some(Self {
            id: text("id")?.parse().ok()?,
            anchor: anchor?.parse().ok()?,
            kind,
            is_of_another: shown.get("onPremisesSyncEnabled") == Some(&Json::Bool(true)),
            shown: shown.clone(),
        })
    }

    /// Whether Graph shows what it was sent of a record.
    #[must_use]
    pub fn shows(&self, record: &Record, names: &Dictionary) -> bool {
        record.iter().all(|(id, values)| self.other(id, values, names).is_none())
    }

    /// A record as Graph has it: what it shows otherwise is as it shows it, and what it does not take is as
    /// it was.
    #[must_use]
    pub fn record(&self, known: &Record, names: &Dictionary) -> Record {
        let each = known.iter().map(|(id, values)| {
            let other = self.other(id, values, names);
            (id, other.unwrap_or_else(|| values.map(crate::record::ValueRef::to_value).collect()))
        });
        each.filter(|(_, values)| !values.is_empty()).collect()
    }

    /// The values of an attribute that Graph shows, if they are others than those that it was sent.
    fn other(&self, id: AttributeId, values: Values<'_>, names: &Dictionary) -> Option<Vec<Value>> {
        let name = capability::spelled(names.name(id)?);
        // Once a group is made, nobody writes this.
        if self.kind == TenantKind::Group && name == "securityEnabled" {
            return None;
        }
        let sent = json_of(name, wish::value(name, values).as_ref(), self.kind).ok()?;
        let shown = if capability::is_extension(name) {
            self.shown.get(EXTENSIONS).and_then(|all| all.get(name))
        } else {
            self.shown.get(name)
        };
        let shown = shown.unwrap_or(&Json::Null);
        (ordered(&sent) != ordered(shown)).then(|| match shown {
            Json::Array(all) => all.iter().filter_map(value).collect(),
            one => value(one).into_iter().collect(),
        })
    }
}

/// Whether Graph makes objects of a kind.
const fn is_made(kind: TenantKind) -> bool {
    matches!(kind, TenantKind::User | TenantKind::Group)
}

/// Everything that is exported of a kind, and what identifies an object.
fn select(kind: TenantKind) -> String {
    let own = PROPERTIES.iter().filter(|row| row.kinds.contains(&kind)).map(|row| row.name);
    let identity = match kind {
        TenantKind::Group => &["id", "uniqueName", "onPremisesSyncEnabled"][..],
        _ => &["id", "onPremisesImmutableId", "onPremisesSyncEnabled", EXTENSIONS][..],
    };
    let names: Vec<_> = identity.iter().copied().chain(own).collect();
    format!("$select={}", names.join(","))
}

/// A list in the order of its texts.
fn ordered(json: &Json) -> Vec<&Json> {
    let Json::Array(all) = json else { return vec![json] };
    let mut all: Vec<_> = all.iter().collect();
    all.sort_unstable_by_key(|json| json.as_str());
    all
}

fn value(json: &Json) -> Option<Value> {
    match json {
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Bool(is) => Some(Value::Boolean(*is)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";

    fn record(names: &mut Dictionary, values: &[(&str, &[Value])]) -> Record {
        let mut each: Vec<_> = values
            .iter()
            .map(|(name, values)| (names.intern(name).unwrap(), values.to_vec()))
            .collect();
        each.sort_by_key(|(id, _)| *id);
        each.into_iter().collect()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn user(more: Json) -> Seen {
        let mut shown = json!({"id": ID, "onPremisesImmutableId": "a==", "jobTitle": "Chief",
            "otherMails": ["b@x.example", "a@x.example"], "accountEnabled": true,
            "onPremisesExtensionAttributes": {"extensionAttribute2": "two"}, "city": "Ulm"});
        for (name, value) in more.as_object().unwrap() {
            shown[name] = value.clone();
        }
        Seen::read(TenantKind::User, &shown).unwrap()
    }

    #[test]
    fn what_was_acknowledged_counts_and_what_others_wrote_does_not() {
        let names = &mut Dictionary::default();
        let acknowledged = record(
            names,
            &[
                ("jobTitle", &[text("Chief")]),
                ("otherMails", &[text("a@x.example"), text("b@x.example")]),
                ("extensionAttribute2", &[text("two")]),
                ("accountEnabled", &[Value::Boolean(true)]),
                ("onPremisesDistinguishedName", &[text("CN=Ann")]),
                ("employeeID", &[text(&"7".repeat(17))]),
            ],
        );
        assert!(user(json!({})).shows(&acknowledged, names), "a city is somebody else's");
        for (more, name, expected) in [
            (json!({"jobTitle": "Baker"}), "jobTitle", vec![text("Baker")]),
            (json!({"jobTitle": null}), "jobTitle", vec![]),
            (json!({"otherMails": ["a@x.example"]}), "otherMails", vec![text("a@x.example")]),
            (json!({"onPremisesExtensionAttributes": {}}), "extensionAttribute2", vec![]),
            (json!({"accountEnabled": false}), "accountEnabled", vec![Value::Boolean(false)]),
        ] {
            let seen = user(more.clone());
            assert!(!seen.shows(&acknowledged, names), "{more}");
            let held = seen.record(&acknowledged, names);
            for (id, values) in &acknowledged {
                let found: Vec<_> = held.values(id).map(|value| value.to_value()).collect();
                let own: Vec<_> = values.map(|value| value.to_value()).collect();
                let is_other = names.name(id) == Some(name);
                assert_eq!(found, if is_other { expected.clone() } else { own }, "{more}");
            }
        }
    }

    #[test]
    fn an_object_is_read_alone_and_of_a_list_if_it_has_an_anchor() {
        let group = json!({"id": ID, "uniqueName": "g==", "onPremisesSyncEnabled": true});
        let seen = Seen::read(TenantKind::Group, &group).unwrap();
        assert_eq!((seen.anchor.as_str(), seen.is_of_another), ("g==", true));
        let list = json!({"value": [{"id": ID, "onPremisesImmutableId": "a=="}]});
        assert_eq!(Seen::read(TenantKind::User, &list).unwrap().anchor.as_str(), "a==");
        for none in [json!({"value": []}), json!({"id": ID}), json!({"id": 5}), json!([])] {
            assert_eq!(Seen::read(TenantKind::User, &none), None, "{none}");
        }
    }

    #[test]
    fn addresses_name_all_that_is_exported() {
        let page = first_page(TenantKind::Group).unwrap();
        assert_eq!(
            page,
            "/groups?$select=id,uniqueName,onPremisesSyncEnabled,description,displayName,\
             mailNickname,securityEnabled&$top=999"
        );
        assert_eq!(first_page(TenantKind::Contact), None);
        let anchor = "a+b==".parse().unwrap();
        assert!(by_anchor(TenantKind::User, &anchor).contains("eq%20'a%2Bb%3D%3D'&$select=id,"));
        assert!(by_anchor(TenantKind::Group, &anchor).starts_with("/groups(uniqueName='a%2Bb"));
    }
}
