//! The bodies of Graph's writes: which properties there are, what fits in them, what is asked.
//!
//! Names, limits and what must be there are those of [create user], [update user] and [create group]; what
//! devices have besides is in [`device`].
//! A property that is not kept here is refused, not passed over: an answer of success would be a lie.
//!
//! [create user]: https://learn.microsoft.com/graph/api/user-post-users
//! [update user]: https://learn.microsoft.com/graph/api/user-update
//! [create group]: https://learn.microsoft.com/graph/api/group-post-groups

use portolan_model::{Guid, SecretString, SourceAnchor};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::device;
use super::fault::Fault;
use super::write::MEMBERS_BOUND_MAX;
use crate::directory::{Attribute, Kind, Shape, Shown, Value};
use crate::wire::SecretText;

/// Characters of a `uniqueName`, of a `mailNickname`.
const UNIQUE_NAME_CHARS_MAX: usize = 128;
const NICKNAME_CHARS_MAX: usize = 64;

/// Characters of a text of which no other limit is known.
const TEXT_CHARS_MAX: usize = 1024;

/// Texts in a list.
const LIST_TEXTS_MAX: usize = 250;

/// Characters that no alias has.
const NOT_IN_NICKNAMES: &str = "@()\\[]\";:<>, ";

/// The properties that Graph writes, and how many characters each text may have.
const WRITABLE: &[(&str, usize)] = &[
    ("accountEnabled", 0),
    (device::SECURITY_IDS, 0),
    ("businessPhones", 64),
    ("city", 128),
    ("companyName", 64),
    ("country", 128),
    ("department", 64),
    ("description", 1024),
    ("deviceId", 36),
    ("deviceVersion", 0),
    ("displayName", 256),
    ("employeeId", 16),
    ("employeeType", TEXT_CHARS_MAX),
    ("faxNumber", 64),
    ("givenName", 64),
    ("groupTypes", 64),
    ("isCompliant", 0),
    ("isManaged", 0),
    ("jobTitle", 128),
    ("mail", 320),
    ("mailEnabled", 0),
    ("mailNickname", NICKNAME_CHARS_MAX),
    ("mobilePhone", 64),
    ("officeLocation", 128),
    ("operatingSystem", 1024),
    ("operatingSystemVersion", 512),
    ("otherMails", 250),
    ("passwordPolicies", 64),
    ("physicalIds", 1024),
    ("postalCode", 40),
    ("preferredLanguage", 64),
    ("securityEnabled", 0),
    ("state", 128),
    ("streetAddress", 1024),
    ("surname", 64),
    ("uniqueName", UNIQUE_NAME_CHARS_MAX),
    ("usageLocation", 2),
    ("userPrincipalName", 113),
    ("userType", 64),
];

/// The name of a kind in Graph's sentences.
pub(super) const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "User",
        Kind::Contact => "OrgContact",
        Kind::Group => "Group",
        Kind::Device => "Device",
    }
}

/// A password as it is asked for.
#[derive(Debug)]
pub struct PasswordProfile {
    /// The password; `None` leaves the one that there is.
    pub password: Option<SecretString>,
    /// Whether it is to be changed before anything else; `None` leaves that as it is.
    pub change_at_next_sign_in: Option<bool>,
}

/// What the body of a write asks.
#[derive(Debug, Default)]
pub struct Asked {
    /// The attributes that it names, each once; `None` takes the value away.
    pub attributes: Vec<(&'static str, Option<Value>)>,
    /// The anchor that it names; the inner `None` takes it away.
    pub anchor: Option<Option<SourceAnchor>>,
    /// The password that it sets.
    pub password: Option<PasswordProfile>,
    /// The objects that it puts into the group.
    pub members: Vec<Guid>,
}

/// The outer shape of a body. What is secret goes from the octets into a wiping type at once.
#[derive(Deserialize)]
struct RawBody {
    #[serde(rename = "passwordProfile", default)]
    password: Option<RawPassword>,
    #[serde(flatten)]
    rest: Map<String, Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPassword {
    #[serde(default)]
    password: Option<SecretText>,
    #[serde(default)]
    force_change_password_next_sign_in: Option<bool>,
    /// There is no second factor here that a change could be bound to.
    #[serde(default)]
    force_change_password_next_sign_in_with_mfa: Option<bool>,
}

impl Asked {
    /// Reads the body of a write of a user or a group.
    ///
    /// # Errors
    /// The rule that it breaks by itself, before the directory is looked at.
    pub fn parse(octets: &[u8], kind: Kind, graph_host: &str) -> Result<Self, Fault> {
        let raw: RawBody = serde_json::from_slice(octets).map_err(|_| Fault::Malformed)?;
        let mut asked = Self::default();
        if let Some(password) = raw.password {
            if kind != Kind::User {
                return Err(unknown("passwordProfile", kind));
            }
            if password.force_change_password_next_sign_in_with_mfa == Some(true) {
                return Err(Fault::InvalidValue("passwordProfile", noun(kind)));
            }
            asked.password = Some(PasswordProfile {
                password: password.password.map(|text| text.0),
                change_at_next_sign_in: password.force_change_password_next_sign_in,
            });
        }
        for (name, json) in &raw.rest {
            asked.take(name, json, kind, graph_host)?;
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, json: &Json, kind: Kind, graph_host: &str) -> Result<(), Fault> {
        match (name, kind) {
            // What type it is is told by the address.
            ("@odata.type", _) => {}
            ("onPremisesImmutableId", Kind::User) => self.anchor = Some(anchor(json)?),
            ("onPremisesExtensionAttributes", Kind::User) => self.take_extensions(json)?,
            ("members@odata.bind", Kind::Group) => self.members = members(json, graph_host)?,
            (device::SECURITY_IDS, Kind::Device) => {
                let keys = device::security_ids(json)?;
                self.attributes.push((device::SECURITY_IDS, Some(keys)));
            }
            ("deviceId", Kind::Device) => {
                self.attributes.push(("deviceId", Some(device::device_id(json)?)));
            }
            _ => {
                let (name, chars_max) = writable(name, kind)?;
                let value = value(name, json, chars_max, kind)?;
                self.attributes.push((name, value));
            }
        }
        Ok(())
    }

    fn take_extensions(&mut self, json: &Json) -> Result<(), Fault> {
        let refused = Fault::InvalidValue("onPremisesExtensionAttributes", "User");
        for (name, json) in json.as_object().ok_or(refused)? {
            let row = Attribute::named(name).filter(|row| row.shown == Shown::AsExtension);
            let name = match row {
                Some(row) => row.name,
                None if name == "@odata.type" => continue,
                None => return Err(unknown(name, Kind::User)),
            };
            self.attributes.push((name, value(name, json, TEXT_CHARS_MAX, Kind::User)?));
        }
        Ok(())
    }

    /// What an attribute is to be; the outer `None` when the body does not name it.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<Option<&Value>> {
        self.attributes.iter().find(|(named, _)| *named == name).map(|(_, value)| value.as_ref())
    }

    /// Whether nothing is asked but that somebody becomes a member.
    #[must_use]
    pub fn is_of_members_alone(&self) -> bool {
        self.attributes.is_empty() && self.anchor.is_none() && self.password.is_none()
    }
}

fn unknown(name: &str, kind: Kind) -> Fault {
    let name = name.chars().filter(|c| !c.is_control()).take(64).collect();
    Fault::UnknownProperty(name, kind.as_str())
}

/// The property of a name, which is spelled as Graph spells it, and its limit.
fn writable(name: &str, kind: Kind) -> Result<(&'static str, usize), Fault> {
    let row = Attribute::named(name)
        .filter(|row| row.belongs_to(kind) && row.shown != Shown::Never)
        .ok_or_else(|| match name {
            "id" => Fault::ReadOnly("id"),
            "createdDateTime" => Fault::ReadOnly("createdDateTime"),
            "onPremisesSyncEnabled" => Fault::ReadOnly("onPremisesSyncEnabled"),
            "onPremisesLastSyncDateTime" => Fault::ReadOnly("onPremisesLastSyncDateTime"),
            _ => unknown(name, kind),
        })?;
    let found = WRITABLE.iter().find(|(name, _)| *name == row.name);
    found.copied().ok_or(Fault::ReadOnly(row.name))
}

fn value(
    name: &'static str,
    json: &Json,
    chars_max: usize,
    kind: Kind,
) -> Result<Option<Value>, Fault> {
    let invalid = || Fault::InvalidValue(name, noun(kind));
    let fits = |text: &str| text.chars().count() <= chars_max && !text.contains('\0');
    let text = |json: &Json| {
        let text = json.as_str().filter(|text| fits(text));
        text.map(str::to_owned).ok_or_else(invalid)
    };
    let shape = Attribute::named(name).map(|row| row.shape).ok_or_else(invalid)?;
    let value = match (shape, json) {
        (_, Json::Null) => return Ok(None),
        (Shape::Text, json) => Value::Text(text(json)?),
        (Shape::Flag, Json::Bool(flag)) => Value::Flag(*flag),
        (Shape::Number, json) => Value::Number(json.as_i64().filter(is_int32).ok_or_else(invalid)?),
        (Shape::Texts, Json::Array(texts)) if texts.len() <= LIST_TEXTS_MAX => {
            Value::Texts(texts.iter().map(text).collect::<Result<_, _>>()?)
        }
        _ => return Err(invalid()),
    };
    let holds = match (name, &value) {
        ("mailNickname", Value::Text(text)) => is_nickname(text),
        ("displayName" | "uniqueName", Value::Text(text)) => !text.trim().is_empty(),
        ("usageLocation", Value::Text(text)) => {
            text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase())
        }
        // One number, in a list, as Graph has it.
        ("businessPhones", Value::Texts(numbers)) => numbers.len() <= 1,
        // Nothing here is shared by mail or filled by a rule.
        ("groupTypes", Value::Texts(types)) => types.is_empty(),
        ("passwordPolicies", Value::Text(text)) => text.split(',').map(str::trim).all(|word| {
            matches!(word, "None" | "DisablePasswordExpiration" | "DisableStrongPassword")
        }),
        _ => true,
    };
    if holds { Ok(Some(value)) } else { Err(invalid()) }
}

/// Whether a number fits where Graph has 32 bits for it.
fn is_int32(number: &i64) -> bool {
    i32::try_from(*number).is_ok()
}

fn is_nickname(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii() && !c.is_control() && !NOT_IN_NICKNAMES.contains(c))
}

fn anchor(json: &Json) -> Result<Option<SourceAnchor>, Fault> {
    let invalid = || Fault::InvalidValue("onPremisesImmutableId", "User");
    match json {
        Json::Null => Ok(None),
        // Graph takes neither of these two in an immutable id.
        Json::String(text) if !text.contains(['$', '_']) => {
            text.parse().map(Some).map_err(|_| invalid())
        }
        _ => Err(invalid()),
    }
}

fn members(json: &Json, graph_host: &str) -> Result<Vec<Guid>, Fault> {
    let addresses = json.as_array().ok_or(Fault::Malformed)?;
    if addresses.len() > MEMBERS_BOUND_MAX {
        return Err(Fault::TooManyBound);
    }
    let mut members = Vec::with_capacity(addresses.len());
    for address in addresses {
        let member = reference(address.as_str().unwrap_or_default(), graph_host)?;
        // Twice in one request is once too often, as for one who is in the group already.
        if members.contains(&member) {
            return Err(Fault::AlreadyReferred("members"));
        }
        members.push(member);
    }
    Ok(members)
}

/// Reads the body of a request that sets or adds one reference: `{"@odata.id": "…"}`.
///
/// # Errors
/// When it is none, or no address at this Graph.
pub fn single_reference(octets: &[u8], graph_host: &str) -> Result<Guid, Fault> {
    #[derive(Deserialize)]
    struct Reference {
        #[serde(rename = "@odata.id")]
        id: String,
    }
    let body: Reference = serde_json::from_slice(octets).map_err(|_| Fault::Malformed)?;
    reference(&body.id, graph_host)
}

/// The object that an address of this Graph names: `https://graph…/v1.0/directoryObjects/{id}`, or the
/// same below `users` or `groups`.
fn reference(address: &str, graph_host: &str) -> Result<Guid, Fault> {
    let named = || {
        let path = address.strip_prefix("https://")?.strip_prefix(graph_host)?;
        let path = path.strip_prefix("/v1.0/")?;
        let (set, id) = path.split_once('/')?;
        let known = ["directoryObjects", "users", "groups", "contacts"];
        known.contains(&set).then(|| id.parse().ok()).flatten()
    };
    let shown = || address.chars().filter(|c| !c.is_control()).take(200).collect();
    named().ok_or_else(|| Fault::InvalidReference(shown()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HOST: &str = "graph.cloud.example";

    fn check(kind: Kind, body: Json, expected: Result<(), Fault>) {
        let found = Asked::parse(body.to_string().as_bytes(), kind, HOST);
        assert_eq!(found.map(|_| ()), expected, "{body}");
    }

    #[test]
    fn bodies_are_judged_by_themselves() {
        let user = |body: Json, expected| check(Kind::User, body, expected);
        let group = |body: Json, expected| check(Kind::Group, body, expected);
        user(json!({"displayName": "Ann", "businessPhones": ["1"], "city": null}), Ok(()));
        user(json!({"onPremisesExtensionAttributes": {"extensionAttribute7": "x"}}), Ok(()));
        user(
            json!({"usageLocation": "DE", "passwordPolicies": "DisableStrongPassword, None"}),
            Ok(()),
        );
        group(json!({"displayName": "All", "groupTypes": [], "uniqueName": "a/b=="}), Ok(()));
        let invalid = |name, kind| Err(Fault::InvalidValue(name, noun(kind)));
        user(json!({"displayName": " "}), invalid("displayName", Kind::User));
        user(json!({"displayName": "x".repeat(257)}), invalid("displayName", Kind::User));
        user(json!({"accountEnabled": "true"}), invalid("accountEnabled", Kind::User));
        user(json!({"businessPhones": ["1", "2"]}), invalid("businessPhones", Kind::User));
        user(json!({"mailNickname": "a@b"}), invalid("mailNickname", Kind::User));
        user(json!({"usageLocation": "Germany"}), invalid("usageLocation", Kind::User));
        user(json!({"onPremisesImmutableId": "a_b"}), invalid("onPremisesImmutableId", Kind::User));
        group(json!({"groupTypes": ["Unified"]}), invalid("groupTypes", Kind::Group));
        let unknown = |name: &str, kind| Err(Fault::UnknownProperty(name.to_owned(), kind));
        user(json!({"shoeSize": 44}), unknown("shoeSize", "user"));
        user(json!({"onPremisesLockedOut": true}), unknown("onPremisesLockedOut", "user"));
        group(json!({"jobTitle": "x"}), unknown("jobTitle", "group"));
        group(json!({"passwordProfile": {"password": "x"}}), unknown("passwordProfile", "group"));
        user(json!({"id": "x"}), Err(Fault::ReadOnly("id")));
        user(json!({"proxyAddresses": []}), Err(Fault::ReadOnly("proxyAddresses")));
        user(json!([]), Err(Fault::Malformed));
    }

    #[test]
    fn members_are_named_by_their_address_at_this_graph() {
        let group = |bound: Json, expected| {
            check(Kind::Group, json!({"members@odata.bind": bound}), expected);
        };
        let id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
        let good = format!("https://{HOST}/v1.0/directoryObjects/{id}");
        group(json!([good]), Ok(()));
        group(json!([format!("https://{HOST}/v1.0/users/{id}")]), Ok(()));
        group(json!([good, good]), Err(Fault::AlreadyReferred("members")));
        group(json!(vec![good.clone(); 21]), Err(Fault::TooManyBound));
        for address in [
            format!("https://graph.other.example/v1.0/users/{id}"),
            format!("http://{HOST}/v1.0/users/{id}"),
            format!("https://{HOST}.other.example/v1.0/users/{id}"),
            format!("https://{HOST}/v1.0/sites/{id}"),
            format!("https://{HOST}/v1.0/users/{id}/manager"),
            String::new(),
        ] {
            group(json!([address]), Err(Fault::InvalidReference(address.clone())));
        }
    }

    #[test]
    fn a_password_in_a_body_does_not_print() {
        let body = json!({"passwordProfile": {"password": "Gehe1m!geheim"}});
        let asked = Asked::parse(body.to_string().as_bytes(), Kind::User, HOST).unwrap();
        assert!(asked.password.is_some());
        assert!(!format!("{asked:?}").contains("Gehe1m"));
    }
}
