//! One object, read now and alone. The cursor of the forest stays where it is: what is read here is told
//! again by the next import, which then finds nothing new.

use std::str::FromStr;

use portolan_ldap::{Filter, ResultCode, Scope, SearchRequest, control};
use portolan_model::{DistinguishedName, Guid};
use portolan_store::state::Found;

use super::cursor::{Controller, Cursor};
use super::directory::{Directory, Entries as _, SearchError};
use super::entries::Told;
use super::piece::Piece;
use super::vector::Vector;
use super::{Staging, domain_base, entries, lagging, search};
use crate::report::Failure;

/// How an administrator names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Sought {
    /// By its objectGUID.
    Guid(Guid),
    /// By its distinguished name.
    Name(DistinguishedName),
    /// By its userPrincipalName.
    Principal(String),
}

/// What an object was and is in the connector space; `None` where it is not.
#[derive(Debug)]
pub(in super::super) struct One {
    /// As it was imported before.
    pub(in super::super) before: Option<Found>,
    /// As it is now.
    pub(in super::super) after: Option<Found>,
}

impl FromStr for Sought {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(guid) = text.trim_start_matches('{').trim_end_matches('}').parse() {
            return Ok(Self::Guid(guid));
        }
        if text.contains('=') {
            let name = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
            return Ok(Self::Name(name));
        }
        let is_principal = text
            .split_once('@')
            .is_some_and(|(user, suffix)| !user.is_empty() && !suffix.is_empty());
        if is_principal {
            return Ok(Self::Principal(text.to_owned()));
        }
        Err(format!("{text:?} is no distinguished name, no userPrincipalName and no objectGUID"))
    }
}

/// The objectGUID of an object that a domain has now.
///
/// # Errors
/// When several objects have that name, or the directory fails.
pub(in super::super) async fn find(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    sought: &Sought,
) -> Result<Option<Guid>, Failure> {
    let everything = domain_base(staging.domain);
    let octets = |value: &[u8]| value.to_vec();
    let (base, scope, filter) = match sought {
        Sought::Guid(guid) => {
            (everything, Scope::Subtree, equals("objectGUID", octets(&guid.to_bytes_le()))?)
        }
        Sought::Name(name) => (name.to_string(), Scope::Base, search::filter("(objectClass=*)")?),
        Sought::Principal(name) => {
            (everything, Scope::Subtree, equals("userPrincipalName", octets(name.as_bytes()))?)
        }
    };
    let request = SearchRequest::new(base, scope, filter).select(["objectGUID"]);
    let mut found = match directory.search(request, vec![control::extended_dn()]).await {
        Err(SearchError::Refused(ResultCode::NoSuchObject, _)) => return Ok(None),
        found => found?,
    };
    let mut guid = None;
    loop {
        let entry = match found.next().await {
            Err(SearchError::Refused(ResultCode::NoSuchObject, _)) => return Ok(None),
            entry => entry?,
        };
        let Some(entry) = entry else { return Ok(guid) };
        if guid.replace(entries::guid(&entry)?).is_some() {
            return Err(Failure::new("several objects have this name")
                .with_hint("name the one that is meant by its distinguished name"));
        }
    }
}

/// Reads an object into the connector space; what the directory does not have any more leaves it.
///
/// # Errors
/// When the forest was never imported, or the controller lags behind what was; when the directory or the
/// state fails.
pub(in super::super) async fn read(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
    guid: Guid,
) -> Result<One, Failure> {
    let Some(cursor) = staging.state.forest_cursor(staging.partition).await? else {
        return Err(Failure::new("the forest was never imported")
            .with_hint("run `portolan connect import` first"));
    };
    let mut known = Cursor::read(&cursor);
    if let Some(known) = &known {
        lagging::check_one(directory, staging, known).await?;
    }
    let is_there = find(directory, staging, &Sought::Guid(guid)).await?.is_some();
    let (forest, state) = (staging.partition.forest, staging.state);
    let before = state.staged_one(forest, &guid).await?;
    let mut piece = Piece::default();
    if is_there {
        piece.add(directory, staging, &[guid]).await?;
        piece.read_above(directory, staging).await?;
    } else if before.is_some() {
        piece.tell(Told::Deleted(guid), 0);
    }
    // What is read in full behind this is to have it, too.
    let cursor = match &mut known {
        Some(known) => {
            let controller = Controller::ask(directory, staging.domain).await?;
            known.learn(Vector::of(directory, staging.domain, &controller).await?.vector);
            known.write()?
        }
        None => cursor,
    };
    let _ = piece.write(directory, staging, &cursor, is_there).await?;
    Ok(One { before, after: state.staged_one(forest, &guid).await? })
}

fn equals(attribute: &str, value: Vec<u8>) -> Result<Filter, Failure> {
    let attribute = attribute.parse().map_err(|error| Failure::because("a filter", &error))?;
    Ok(Filter::Equality(attribute, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_in_one_of_three_ways() {
        let check = |text: &str, expected: &str| {
            let said = match text.parse::<Sought>() {
                Ok(Sought::Guid(guid)) => format!("guid {guid}"),
                Ok(Sought::Name(name)) => format!("name {name}"),
                Ok(Sought::Principal(name)) => format!("principal {name}"),
                Err(error) => error,
            };
            assert_eq!(said, expected);
        };
        let guid = "6a20fa50-ff39-499c-a70a-5975c0e93995";
        check(guid, &format!("guid {guid}"));
        check(&format!("{{{guid}}}"), &format!("guid {guid}"));
        check(" alice@corp.example ", "principal alice@corp.example");
        // A name may have an @ in it.
        check("CN=a@b,DC=corp,DC=example", "name CN=a@b,DC=corp,DC=example");
        let neither = "is no distinguished name, no userPrincipalName and no objectGUID";
        check("alice", &format!("\"alice\" {neither}"));
        check("@corp.example", &format!("\"@corp.example\" {neither}"));
    }
}
