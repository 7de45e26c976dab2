//! Entries of a controller, and which of them a filter matches.

use portolan_ldap::{Filter, SearchResultEntry};

use super::database::{Class, Database, Object, Values};

/// Attributes by which an object refers to others.
pub(super) const LINKED: [&str; 2] = ["member", "manager"];

/// An entry before it is encoded.
pub(super) type Lines = Vec<(String, Values)>;

/// What an object's class is made of.
pub(super) fn classes(class: Class) -> Values {
    let names: &[&str] = match class {
        Class::User => &["top", "person", "organizationalPerson", "user"],
        Class::InetOrgPerson => &["top", "person", "organizationalPerson", "user", "inetOrgPerson"],
        Class::Group => &["top", "group"],
        Class::Contact => &["top", "person", "organizationalPerson", "contact"],
        Class::Foreign => &["top", "foreignSecurityPrincipal"],
        Class::Computer => &["top", "person", "organizationalPerson", "user", "computer"],
        Class::OrganizationalUnit => &["top", "organizationalUnit"],
        Class::Container => &["top", "container"],
        Class::Domain => &["top", "domain", "domainDNS"],
    };
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// The category that filters ask for.
const fn category(class: Class) -> &'static str {
    match class {
        Class::User | Class::InetOrgPerson | Class::Contact => "person",
        Class::Group => "group",
        Class::Foreign => "foreignSecurityPrincipal",
        Class::Computer => "computer",
        Class::OrganizationalUnit => "organizationalUnit",
        Class::Container => "container",
        Class::Domain => "domainDNS",
    }
}

/// The name of an object with its objectGUID in front, as the control for extended names has it.
pub(super) fn extended(database: &Database, object: &Object) -> String {
    let guid = object.guid;
    if object.is_deleted {
        return format!("<GUID={guid}>;CN=o{}\\0ADEL:{guid},CN=Deleted Objects", object.serial);
    }
    format!("<GUID={guid}>;{}", database.name_of(guid))
}

/// What filters and entries see of an object, besides references.
pub(super) fn values(object: &Object, attribute: &str) -> Values {
    let is = |name: &str| attribute.eq_ignore_ascii_case(name);
    if is("objectGUID") {
        return vec![object.guid.to_bytes_le().to_vec()];
    }
    if is("isDeleted") {
        return if object.is_deleted { vec![b"TRUE".to_vec()] } else { Vec::new() };
    }
    if is("uSNChanged") {
        return vec![object.usn.to_string().into_bytes()];
    }
    if object.is_deleted {
        return Vec::new();
    }
    if is("objectClass") {
        classes(object.class)
    } else if is("objectCategory") {
        vec![category(object.class).as_bytes().to_vec()]
    } else if is("parentGUID") {
        // Nothing stands above the root.
        let has = object.class != Class::Domain;
        has.then(|| object.parent.to_bytes_le().to_vec()).into_iter().collect()
    } else if is("name") {
        vec![object.name.clone().into_bytes()]
    } else {
        let own = object.attributes.iter().find(|(name, _)| is(name));
        own.map(|(_, values)| values.clone()).unwrap_or_default()
    }
}

/// Whether a filter matches an object; `None` of a filter that no import asks with.
pub(super) fn matches(filter: &Filter, object: &Object) -> Option<bool> {
    Some(match filter {
        Filter::And(all) => {
            let parts: Option<Vec<bool>> = all.iter().map(|part| matches(part, object)).collect();
            parts?.into_iter().all(|is| is)
        }
        Filter::Or(any) => {
            let parts: Option<Vec<bool>> = any.iter().map(|part| matches(part, object)).collect();
            parts?.into_iter().any(|is| is)
        }
        Filter::Not(part) => !matches(part, object)?,
        Filter::Present(attribute) => {
            let name = attribute.as_str();
            name.eq_ignore_ascii_case("objectClass") || !values(object, name).is_empty()
        }
        Filter::Equality(attribute, value) => {
            let found = values(object, attribute.as_str());
            found.iter().any(|one| one.eq_ignore_ascii_case(value))
        }
        Filter::GreaterOrEqual(attribute, value) => {
            let number = |octets: &[u8]| std::str::from_utf8(octets).ok()?.parse::<i64>().ok();
            let least = number(value)?;
            let found = values(object, attribute.as_str());
            found.iter().filter_map(|one| number(one)).any(|one| one >= least)
        }
        _ => return None,
    })
}

/// An entry with those lines that were asked for.
pub(super) fn entry(name: &str, lines: &Lines, wanted: &[String]) -> Option<SearchResultEntry> {
    let asked = |line: &&(String, Values)| {
        let attribute = line.0.split(';').next().unwrap_or_default();
        let same = |name: &String| {
            name.split(';').next().is_some_and(|name| name.eq_ignore_ascii_case(attribute))
        };
        wanted.is_empty() || wanted.iter().any(same) || attribute == "objectGUID"
    };
    let lines: Vec<_> = lines.iter().filter(asked).collect();
    let values: Vec<Vec<&[u8]>> =
        lines.iter().map(|(_, values)| values.iter().map(Vec::as_slice).collect()).collect();
    let attributes: Vec<(&str, &[&[u8]])> = lines
        .iter()
        .zip(&values)
        .map(|((attribute, _), values)| (attribute.as_str(), values.as_slice()))
        .collect();
    SearchResultEntry::new(name, &attributes).ok()
}

/// A linked attribute with values from `low` on, in a range when they are more than an entry has.
pub(super) fn ranged(attribute: &str, all: &[Vec<u8>], low: usize, max: usize) -> (String, Values) {
    let rest = all.get(low..).unwrap_or_default();
    if low == 0 && rest.len() <= max {
        return (attribute.to_owned(), rest.to_vec());
    }
    if rest.len() <= max {
        return (format!("{attribute};range={low}-*"), rest.to_vec());
    }
    let high = low + max - 1;
    (format!("{attribute};range={low}-{high}"), rest.iter().take(max).cloned().collect())
}
