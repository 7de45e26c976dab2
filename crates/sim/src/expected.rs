//! What a tenant is to have of a forest, worked out from the forest alone: without rules, without a state,
//! and without anything of what is tested.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_model::Guid;

use crate::forest::{Class, Database, Forest, MARK, MASTER, Object, is_user};

/// The tenant's own domain.
pub const INITIAL: &str = "cloud.example";
/// The domain that it verified, which is the forest's.
pub const VERIFIED: &str = "corp.example";
/// Another one, of another forest.
pub const BRANCH: &str = "branch.example";

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
        Class::User | Class::InetOrgPerson => has("sAMAccountName") && !has(MASTER),
        Class::Group => has("sAMAccountName"),
        Class::Contact => {
            let main = object.attributes.get("proxyAddresses").into_iter().flatten();
            let has_main = main.into_iter().any(|address| address.starts_with(b"SMTP:"));
            has("mail") && (has_main || has("proxyAddresses"))
        }
        Class::Foreign
        | Class::Computer
        | Class::OrganizationalUnit
        | Class::Container
        | Class::Domain => false,
    }
}

/// The number by which checkers know an object, in its display name.
#[must_use]
pub fn number(display: &str) -> Option<String> {
    let (start, serial) = display.rsplit_once('#')?;
    let (_, domain) = start.rsplit_once(' ')?;
    Some(format!("{domain}#{serial}"))
}

/// The number by which checkers know an object.
pub(crate) fn number_of(forest: &Forest, object: &Object) -> String {
    format!("{}#{}", forest.domain, object.serial)
}

/// Everything that a tenant is to have of forests, by number.
#[must_use]
pub fn of(forests: &[&Forest]) -> BTreeMap<String, Shown> {
    let of_one = |forest: &&Forest| {
        let database = &forest.truth;
        let in_scope = database.all_living().filter(|object| is_in_scope(database, object));
        in_scope
            .map(|object| (number_of(forest, object), shown(forests, forest, object, &Some)))
            .collect::<Vec<_>>()
    };
    forests.iter().flat_map(of_one).collect()
}

/// The numbers of those for whom an object stands: itself, or whoever has its security identifier elsewhere.
fn stands_for(forests: &[&Forest], forest: &Forest, object: &Object) -> Vec<String> {
    if object.class != Class::Foreign {
        // A mailbox stands for whoever's it is.
        let is_mailbox = object.attributes.contains_key(MASTER);
        let is_there = is_in_scope(&forest.truth, object) || is_mailbox;
        return is_there.then(|| number_of(forest, object)).into_iter().collect();
    }
    let Some(sid) = object.attributes.get("objectSid").and_then(|values| values.first()) else {
        return Vec::new();
    };
    let elsewhere = forests.iter().filter(|other| other.domain != forest.domain);
    let of = |other: &&Forest| {
        let found = other.truth.with_sid(sid).filter(|one| is_in_scope(&other.truth, one));
        found.map(|one| number_of(other, one)).collect::<Vec<_>>()
    };
    elsewhere.flat_map(of).collect()
}

/// What a tenant shows of an object, if nothing else is shown with it. `as_whom` gives the number under which
/// the tenant shows the object with a number, if it does.
pub(crate) fn shown(
    forests: &[&Forest],
    forest: &Forest,
    object: &Object,
    as_whom: &dyn Fn(String) -> Option<String>,
) -> Shown {
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
        there.flat_map(|other| stands_for(forests, forest, other)).filter_map(as_whom)
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
            put("businessPhones", texts(MARK));
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
    let is_verified = [VERIFIED, BRANCH].contains(&domain.as_str());
    let domain = if is_verified { domain } else { INITIAL.to_owned() };
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
