//! Objects that are in their domain no more, and may be in another one of their forest.
//!
//! An object that moves keeps its objectGUID. Where it was, a deleted object stands for it that names it
//! (infrastructureUpdate, [MS-ADTS] 3.1.1.5.4.2.3), and it is no tombstone of its own; where it is now, it
//! is told as a new object. Whichever is read first, it stays staged in between: it departs from the one,
//! and is taken by the other, which is also asked for it by its objectGUID. What one domain lacks when it
//! is read whole departs likewise.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_ldap::{Scope, SearchRequest, control};
use portolan_model::{DistinguishedName, DnsName, Guid};
use portolan_store::state::Changes;
use portolan_sync::engine::is_in;

use super::directory::Directory;
use super::piece::Piece;
use super::search::{self, Pace};
use super::{Staging, alone, domain_base, entries};
use crate::report::Failure;

/// Objects that are looked for at once. More departed than this only after a guard let them.
const DEPARTED_MAX: u32 = 1_000_000;

/// Takes note that an object moved to where it has this name.
pub(super) async fn left(
    staging: &Staging<'_>,
    guid: &Guid,
    dn: &str,
    changes: &mut Changes,
) -> Result<(), Failure> {
    let mut read = [staging.domain].into_iter().chain(staging.others);
    if read.any(|domain| stands_in(dn, domain)) {
        let now = portolan_net::clock::now().unix_timestamp();
        changes.depart(guid, now).await?;
    } else {
        changes.lose_sight(guid).await?;
    }
    Ok(())
}

/// Whether a name is that of an object of a domain, and of none below it.
pub(in super::super) fn stands_in(dn: &str, domain: &DnsName) -> bool {
    let name = DistinguishedName::of_domain(domain);
    if !is_in(dn, name.as_str()) {
        return false;
    }
    let inner = dn.len().checked_sub(name.as_str().len() + 1).and_then(|end| dn.get(..end));
    let inner = inner.and_then(|inner| inner.parse::<DistinguishedName>().ok());
    let last = inner.as_ref().and_then(|inner| inner.rdns().last());
    !last.and_then(|last| last.get(..3)).is_some_and(|kind| kind.eq_ignore_ascii_case("DC="))
}

/// Whether an object is staged from another domain of the forest.
pub(super) async fn is_elsewhere(
    staging: &Staging<'_>,
    guid: &Guid,
    changes: &mut Changes,
) -> Result<bool, Failure> {
    Ok(!staging.others.is_empty() && changes.is_elsewhere(guid).await?)
}

/// The objects that moved away since a number of a change, with the number of that, and their names now.
pub(super) async fn moved(
    directory: &mut impl Directory,
    pace: Pace,
    staging: &Staging<'_>,
    since: &str,
) -> Result<Vec<(i64, Guid, String)>, Failure> {
    let mut moved = Vec::new();
    if staging.others.is_empty() {
        return Ok(moved);
    }
    let filter = format!("(&({}=*){since})", entries::PROXIED);
    let request =
        SearchRequest::new(domain_base(staging.domain), Scope::Subtree, search::filter(&filter)?)
            .select([entries::PROXIED, entries::CHANGE]);
    let controls = [control::show_deleted(), control::extended_dn()];
    search::all(directory, pace, &request, &controls, async |entry| {
        if let Some((guid, dn)) = entries::moved(&entry)? {
            moved.push((entries::change(&entry)?, guid, dn));
        }
        Ok(())
    })
    .await?;
    Ok(moved)
}

/// Asks a domain for the objects of its forest that departed, and takes those that it has. The cursor stays
/// where it is.
///
/// # Errors
/// When the directory or the state fails.
pub(in super::super) async fn look_for(
    directory: &mut impl Directory,
    staging: &Staging<'_>,
) -> Result<(), Failure> {
    let Staging { state, partition, .. } = *staging;
    let departed = state.departed(partition.forest, DEPARTED_MAX).await?;
    let Some(cursor) = state.forest_cursor(partition).await? else { return Ok(()) };
    for few in departed.chunks(alone::OBJECTS_MAX) {
        let mut piece = Piece::default();
        piece.add(directory, staging, few).await?;
        piece.read_above(directory, staging).await?;
        let _ = piece.write(directory, staging, &cursor, true).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_a_domain_below_is_not_in_the_one_above() {
        let check = |dn: &str, expected: bool| {
            assert_eq!(stands_in(dn, &"corp.example".parse().unwrap()), expected, "{dn}");
        };
        check("CN=a,OU=b,DC=corp,DC=example", true);
        check("CN=a,DC=child,DC=corp,DC=example", false);
        check("CN=a,dc=child,DC=corp,DC=example", false);
        check("DC=corp,DC=example", true);
    }
}
