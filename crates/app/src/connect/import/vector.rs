//! How far a controller is with a naming context, by the database in which each change was made: its
//! up-to-dateness vector ([MS-DRSR] 5.166).
//!
//! Active Directory gives it in pieces of a form of its own (DS_REPL_CURSOR_BLOB, [MS-ADTS] 2.2.6); Samba has
//! the attribute itself (the octets of UPTODATE_VECTOR_V2_EXT, [MS-DRSR] 5.206). The controller's own changes
//! need not be in it: they are those up to its last one.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use std::collections::BTreeMap;

use portolan_ldap::SearchResultEntry;
use portolan_model::{DnsName, Guid};
use serde::{Deserialize, Serialize};

use super::cursor::{Controller, base, last_change};
use super::directory::Directory;
use super::domain_base;
use crate::report::Failure;

/// The constructed attribute, as octets ([MS-ADTS] 3.1.1.4.5.20).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const CURSORS: &str = "msDS-NCReplCursors;binary";
/// What a replica keeps.
const KEPT: &str = "replUpToDateVector";
/// Databases of a vector: past controllers stay in it.
const DATABASES_MAX: usize = 10_000;
/// Octets of a GUID and of a number of a change, which every form begins an element with.
const ELEMENT: usize = 16 + 8;
/// Octets before the elements of [`KEPT`]: dwVersion, dwReserved1, cNumCursors, dwReserved2.
const HEAD: usize = 4 + 4 + 4 + 4;

/// Up to which number all changes of each database are there, by its invocationId.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Vector(BTreeMap<String, i64>);

/// What a controller says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// What it has.
    pub(super) vector: Vector,
    /// Whether it said what it has of others; or else it may have all of it.
    pub(super) of_others: bool,
}

impl Vector {
    /// What a controller has of a domain now: nothing that was read of it is beyond.
    ///
    /// # Errors
    /// When the directory fails, or says what is not legal.
    pub(super) async fn of(
        directory: &mut impl Directory,
        domain: &DnsName,
        controller: &Controller,
    ) -> Result<Told, Failure> {
        let mut told = Self::of_others(directory, domain).await?;
        // Behind the others: what it took from them meanwhile is not missed.
        let own = last_change(directory).await?;
        if let Some(invocation) = controller.invocation {
            told.vector.put(invocation, own);
        }
        Ok(told)
    }

    /// What a controller has of others' changes.
    ///
    /// # Errors
    /// When the directory fails, or says what is not legal.
    pub(super) async fn of_others(
        directory: &mut impl Directory,
        domain: &DnsName,
    ) -> Result<Told, Failure> {
        let head = base(directory, &domain_base(domain), &[CURSORS, KEPT], false).await?;
        let others = head.as_ref().map(Self::read).transpose()?.flatten();
        let of_others = others.is_some();
        Ok(Told { vector: others.unwrap_or_default(), of_others })
    }

    /// From what the tenant tells of a domain.
    ///
    /// # Errors
    /// When it is not legal, or too much.
    pub(super) fn told(databases: &BTreeMap<String, u64>) -> Result<Self, Failure> {
        let wrong = || Failure::new("how far was read, as the tenant tells it, is not legal");
        if databases.len() > DATABASES_MAX {
            return Err(wrong());
        }
        let mut vector = Self::default();
        for (database, usn) in databases {
            let database = database.parse().map_err(|_| wrong())?;
            vector.put(database, i64::try_from(*usn).map_err(|_| wrong())?);
        }
        Ok(vector)
    }

    /// As the tenant is told of it.
    pub(super) fn tell(&self) -> BTreeMap<String, u64> {
        let known = self.0.iter();
        known
            .filter_map(|(database, usn)| Some((database.clone(), (*usn).try_into().ok()?)))
            .collect()
    }

    /// What of this one another one does not have.
    pub(super) fn without(&self, other: &Self) -> Self {
        let beyond = self.beyond(other).filter_map(|database| self.0.get_key_value(database));
        Self(beyond.map(|(database, usn)| (database.clone(), *usn)).collect())
    }

    /// The databases that it names.
    pub(super) fn databases(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// From the head of a naming context; `None` when it does not say.
    fn read(head: &SearchResultEntry) -> Result<Option<Self>, Failure> {
        let wrong = || Failure::new("the directory's up-to-dateness vector is not legal");
        let mut vector = Self::default();
        let pieces: Vec<_> = head.all(CURSORS).take(DATABASES_MAX + 1).collect();
        if pieces.len() > DATABASES_MAX {
            return Err(wrong());
        }
        for piece in &pieces {
            vector.take(piece).ok_or_else(wrong)?;
        }
        if !pieces.is_empty() {
            return Ok(Some(vector));
        }
        let Some(kept) = head.octets(KEPT) else { return Ok(None) };
        vector.take_kept(kept).ok_or_else(wrong)?;
        Ok(Some(vector))
    }

    /// All elements in the form in which a replica keeps them.
    fn take_kept(&mut self, octets: &[u8]) -> Option<()> {
        let number = |at: usize| Some(u32::from_le_bytes(octets.get(at..at + 4)?.try_into().ok()?));
        // The second form has the time of the last replication behind each element.
        let size = match number(0)? {
            1 => ELEMENT,
            2 => ELEMENT + 8,
            _ => return None,
        };
        let count = usize::try_from(number(8)?).ok().filter(|count| *count <= DATABASES_MAX)?;
        let elements = octets.get(HEAD..)?;
        if elements.len() < count.checked_mul(size)? {
            return None;
        }
        elements.chunks_exact(size).take(count).try_for_each(|element| self.take(element))
    }

    /// One element: a GUID, a number, and what is not needed.
    fn take(&mut self, octets: &[u8]) -> Option<()> {
        let database: [u8; 16] = octets.get(..16)?.try_into().ok()?;
        let usn = u64::from_le_bytes(octets.get(16..ELEMENT)?.try_into().ok()?);
        self.put(Guid::from_bytes_le(database), i64::try_from(usn).ok()?);
        Some(())
    }

    /// Takes note of the number of a database's change.
    pub(super) fn put(&mut self, database: Guid, usn: i64) {
        let known = self.0.entry(database.to_string()).or_insert(usn);
        *known = usn.max(*known);
    }

    /// Takes what another vector has above this one.
    pub(super) fn learn(&mut self, other: Self) {
        for (database, usn) in other.0 {
            let known = self.0.entry(database).or_insert(usn);
            *known = usn.max(*known);
        }
    }

    /// The databases of whose changes the other vector does not have all that this one has.
    pub(super) fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let lacks =
            |database: &String, usn: i64| other.0.get(database).is_none_or(|has| *has < usn);
        let beyond = self.0.iter().filter(move |(database, usn)| lacks(database, **usn));
        beyond.map(|(database, _)| database.as_str())
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01010101-0101-0101-0101-010101010101";
    const B: &str = "02020202-0202-0202-0202-020202020202";

    fn vector(all: &[(&str, i64)]) -> Vector {
        Vector(all.iter().map(|(database, usn)| ((*database).to_owned(), *usn)).collect())
    }

    fn element(database: u8, usn: u64) -> Vec<u8> {
        [&[database; 16][..], &usn.to_le_bytes()].concat()
    }

    fn read(attribute: &str, values: &[&[u8]]) -> Result<Option<Vector>, Failure> {
        Vector::read(&SearchResultEntry::new("DC=x", &[(attribute, values)]).unwrap())
    }

    #[test]
    fn both_forms_of_a_vector_are_read_and_anything_else_is_refused() {
        let both = vector(&[(A, 7), (B, 300)]);
        // DS_REPL_CURSOR_BLOB: the time, the offset of a name, the name.
        let blob =
            |database, usn| [element(database, usn), vec![0; 8], vec![36, 0, 0, 0, 0, 0]].concat();
        assert_eq!(read(CURSORS, &[&blob(1, 7), &blob(2, 300)]).unwrap(), Some(both.clone()));
        let head = |version: u8, count: u8| {
            [[version, 0, 0, 0], [0; 4], [count, 0, 0, 0], [0; 4]].concat()
        };
        let kept = |version, count, time: usize| {
            let (one, other) = (element(1, 7), element(2, 300));
            [head(version, count), one, vec![9; time], other, vec![9; time]].concat()
        };
        assert_eq!(read(KEPT, &[&kept(1, 2, 0)]).unwrap(), Some(both.clone()));
        assert_eq!(read(KEPT, &[&kept(2, 2, 8)]).unwrap(), Some(both));
        assert_eq!(read(KEPT, &[&head(2, 0)]).unwrap(), Some(Vector::default()));
        assert_eq!(read("objectGUID", &[&[0; 16]]).unwrap(), None);
        for wrong in [kept(3, 2, 8), kept(2, 3, 8), head(2, 255), Vec::new(), kept(2, 2, 0)] {
            assert!(read(KEPT, &[&wrong]).is_err(), "{wrong:?}");
        }
        assert!(read(CURSORS, &[&element(1, u64::MAX)]).is_err());
        assert!(read(CURSORS, &[&[0; 23]]).is_err());
    }

    #[test]
    fn what_the_tenant_tells_is_what_it_was_told_and_anything_else_is_refused() {
        let known = vector(&[(A, 7), (B, 300)]);
        assert_eq!(Vector::told(&known.tell()).unwrap(), known);
        for (database, usn) in [("x", 1), (A, 1 << 63)] {
            assert!(
                Vector::told(&[(database.to_owned(), usn)].into()).is_err(),
                "{database} {usn}"
            );
        }
        let number = |number: u128| (Guid::from_random(number.to_be_bytes()).to_string(), 1);
        assert!(Vector::told(&(0..=DATABASES_MAX as u128).map(number).collect()).is_err());
    }

    #[test]
    fn a_vector_is_beyond_another_one_by_what_that_one_does_not_have() {
        let check = |one: &[(&str, i64)], other: &[(&str, i64)], expected: &[&str]| {
            let (one, other) = (vector(one), vector(other));
            assert_eq!(one.beyond(&other).collect::<Vec<_>>(), expected, "{one:?} {other:?}");
        };
        check(&[], &[(A, 1)], &[]);
        check(&[(A, 1)], &[(A, 1), (B, 1)], &[]);
        check(&[(A, 2), (B, 1)], &[(A, 1), (B, 1)], &[A]);
        check(&[(A, 2), (B, 1)], &[(A, 3)], &[B]);
        let left = vector(&[(A, 2), (B, 1)]).without(&vector(&[(A, 1), (B, 1)]));
        assert_eq!(left, vector(&[(A, 2)]));
        let mut learnt = vector(&[(A, 2)]);
        learnt.learn(vector(&[(A, 1), (B, 4)]));
        assert_eq!(learnt, vector(&[(A, 2), (B, 4)]));
    }
}
