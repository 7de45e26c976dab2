//! What a tenant is to have of a forest, worked out from the forest alone: without rules, without a state,
//! and without anything of what is tested.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_model::Guid;

use crate::forest::{Class, Database, Forest, Object, is_user};

/// The tenant's own domain.
pub const INITIAL: &str = "cloud.example";
/// The domain that it verified, which is the forest's.
pub const VERIFIED: &str = "corp.example";

/// An object of a tenant, as far as the checkers look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `user`, `contact` or `group`.
    pub kind: &'static str,
    /// Its attributes: a list is joined in its order.
    pub attributes: BTreeMap<&'static str, String>,
    /// The numbers of its members.
    pub members: BTreeSet<String>,
    /// The number of its manager.
    pub manager: Option<String>,
}

/// Whether an object is one that a tenant is to have.
#[must_use]
pub fn is_in_scope(database: &Database, object: &Object) -> bool {
    let has = |name: &str| object.attributes.contains_key(name);
    let is_living = database.living(object.guid).is_some();
    if !is_living || has("isCriticalSystemObject") {
        return false;
    }
    match object.class {
        Class::User | Class::InetOrgPerson | Class::Group => has("sAMAccountName"),
        Class::Contact => {
            let main = object.attributes.get("proxyAddresses").into_iter().flatten();
            let has_main = main.into_iter().any(|address| address.starts_with(b"SMTP:"));
            has("mail") && (has_main || has("proxyAddresses"))
        }
        Class::Computer | Class::OrganizationalUnit | Class::Container | Class::Domain => false,
    }
}

/// The number by which checkers know an object, in its display name.
#[must_use]
pub fn number(display: &str) -> Option<String> {
    let (start, serial) = display.rsplit_once('#')?;
    let (_, domain) = start.rsplit_once(' ')?;
    Some(format!("{domain}#{serial}"))
}

fn number_of(forest: &Forest, object: &Object) -> String {
    format!("{}#{}", forest.domain, object.serial)
}

/// Everything that a tenant is to have of a forest, by number.
#[must_use]
pub fn of(forest: &Forest) -> BTreeMap<String, Shown> {
    let database = &forest.truth;
    let in_scope = database.all_living().filter(|object| is_in_scope(database, object));
    in_scope.map(|object| (number_of(forest, object), shown(forest, object))).collect()
}

fn shown(forest: &Forest, object: &Object) -> Shown {
    let database = &forest.truth;
    let mut attributes = BTreeMap::new();
    let mut put = |name: &'static str, values: Option<String>| {
        if let Some(value) = values {
            attributes.insert(name, value);
        }
    };
    let texts = |name: &str| {
        let values = object.attributes.get(name)?;
        let texts: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
        Some(texts.join("|"))
    };
    put("displayName", texts("displayName"));
    put("mail", texts("mail"));
    put("onPremisesDomainName", Some(forest.domain.to_string()));
    let addresses = object.attributes.get("proxyAddresses").map(|values| {
        let texts = values.iter().map(|value| String::from_utf8_lossy(value).into_owned());
        texts.collect::<BTreeSet<_>>()
    });
    put("proxyAddresses", addresses.map(|all| all.into_iter().collect::<Vec<_>>().join("|")));
    let of = |attribute: &'static str| {
        let there = database.referred(object, attribute);
        there.filter(|other| is_in_scope(database, other)).map(|other| number_of(forest, other))
    };
    let (kind, members, manager) = match object.class {
        Class::Group => {
            put("onPremisesSamAccountName", texts("sAMAccountName"));
            put("mailEnabled", Some(texts("mail").is_some().to_string()));
            put("securityEnabled", Some("true".to_owned()));
            ("group", of("member").collect(), None)
        }
        class if is_user(class) => {
            let control = texts("userAccountControl").and_then(|text| text.parse::<i64>().ok());
            put("accountEnabled", Some((control.unwrap_or(2) & 2 == 0).to_string()));
            put("department", texts("department"));
            put("onPremisesSamAccountName", texts("sAMAccountName"));
            put("onPremisesDistinguishedName", Some(database.name_of(object.guid)));
            put("onPremisesUserPrincipalName", texts("userPrincipalName"));
            put("userPrincipalName", Some(principal(forest, object)));
            ("user", BTreeSet::new(), of("manager").next())
        }
        _ => {
            put("department", texts("department"));
            ("contact", BTreeSet::new(), None)
        }
    };
    Shown { kind, attributes, members, manager }
}

/// The name to sign in with.
fn principal(forest: &Forest, object: &Object) -> String {
    let text = |name: &str| {
        let value = object.attributes.get(name)?.first()?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let name = text("userPrincipalName").unwrap_or_else(|| {
        format!("{}@{}", text("sAMAccountName").unwrap_or_default(), forest.domain)
    });
    let (local, domain) = name.split_once('@').unwrap_or((&name, ""));
    let domain = domain.to_lowercase();
    let domain = if domain == VERIFIED { domain } else { INITIAL.to_owned() };
    format!("{local}@{domain}")
}

/// The anchors that an object may have: of its objectGUID, or of what its attribute was at some time.
#[must_use]
pub fn anchor(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// The anchor of an objectGUID.
#[must_use]
pub fn own_anchor(guid: Guid) -> String {
    anchor(&guid.to_bytes_le())
}
