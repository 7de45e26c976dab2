//! How far a group of sync servers had read its forests when it last wrote: for each naming context the
//! up-to-dateness vector ([MS-DRSR] 5.166) of what its objects here rest on.
//!
//! A server that takes over may read from a domain controller that has not heard yet of what the one before it had
//! read. What such a controller lacks is not gone: so the new server asks for this first, and writes nothing until it
//! has read as far. Who vouches for it is who may write ([`crate::lease`]), in the transaction of the batch that rests
//! on it. A number never goes back: what was read once was read.
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use std::collections::BTreeMap;

use portolan_model::{DnsName, Guid};

use crate::wire;

/// Databases that are named of all naming contexts together: those of domain controllers, past ones too.
pub const DATABASES_MAX: usize = 2_000;

/// The number of the last change that was read of each database, by its invocationId, in each domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadUpTo(BTreeMap<DnsName, BTreeMap<Guid, u64>>);

/// Which rule what a sync server says breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// A naming context is no domain.
    #[error("a naming context is no domain")]
    Domain,
    /// A database is no GUID.
    #[error("an invocationId is no GUID")]
    Database,
    /// A number is none of a change: those have 63 bits.
    #[error("the number of a change is out of its range")]
    Number,
    /// There are too many databases.
    #[error("more than {DATABASES_MAX} databases are named")]
    TooMany,
}

impl ReadUpTo {
    /// From what a peer says.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn checked(told: &wire::ReadUpTo) -> Result<Self, Illegal> {
        if told.len().max(told.values().map(BTreeMap::len).sum()) > DATABASES_MAX {
            return Err(Illegal::TooMany);
        }
        let mut checked = Self::default();
        for (domain, databases) in told {
            let domain: DnsName = domain.parse().map_err(|_| Illegal::Domain)?;
            for (database, usn) in databases {
                let database = database.parse().map_err(|_| Illegal::Database)?;
                if i64::try_from(*usn).is_err() {
                    return Err(Illegal::Number);
                }
                checked.note(domain.clone(), database, *usn);
            }
        }
        Ok(checked)
    }

    /// Takes note of the number of a change of a database, unless a later one is known.
    pub fn note(&mut self, domain: DnsName, database: Guid, usn: u64) {
        let known = self.0.entry(domain).or_default().entry(database).or_insert(usn);
        *known = usn.max(*known);
    }

    /// Takes what another one has above this one. If that comes to more databases than are kept, those go that the
    /// other one does not name. Says whether anything is other than before.
    pub fn learn(&mut self, other: &Self) -> bool {
        let before = self.clone();
        for (domain, database, usn) in other.all() {
            self.note(domain.clone(), database, usn);
        }
        if self.all().count() > DATABASES_MAX {
            let names = |domain, database: &Guid| {
                other.0.get(domain).is_some_and(|databases| databases.contains_key(database))
            };
            for (domain, databases) in &mut self.0 {
                databases.retain(|database, _| names(domain, database));
            }
            self.0.retain(|_, databases| !databases.is_empty());
        }
        *self != before
    }

    /// Each domain, each database of it, and the number.
    pub fn all(&self) -> impl Iterator<Item = (&DnsName, Guid, u64)> {
        self.0.iter().flat_map(|(domain, databases)| {
            databases.iter().map(move |(database, usn)| (domain, *database, *usn))
        })
    }

    /// As it is told.
    #[must_use]
    pub fn told(&self) -> wire::ReadUpTo {
        let mut told = wire::ReadUpTo::new();
        for (domain, database, usn) in self.all() {
            told.entry(domain.to_string()).or_default().insert(database.to_string(), usn);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guid(number: usize) -> Guid {
        Guid::from_random((number as u128 + 1).to_be_bytes())
    }

    fn told(domain: &str, all: &[(usize, u64)]) -> wire::ReadUpTo {
        let databases = all.iter().map(|(database, usn)| (guid(*database).to_string(), *usn));
        [(domain.to_owned(), databases.collect())].into()
    }

    fn read(domain: &str, all: &[(usize, u64)]) -> ReadUpTo {
        ReadUpTo::checked(&told(domain, all)).unwrap()
    }

    #[test]
    fn a_number_only_grows_and_what_is_not_named_stays() {
        let mut known = read("corp.example", &[(1, 10), (2, 20)]);
        assert!(known.learn(&read("corp.example", &[(1, 9), (2, 21)])));
        assert!(known.learn(&read("branch.example", &[(1, 5)])));
        assert!(!known.learn(&read("CORP.example", &[(1, 10)])), "there is nothing new in it");
        let mut expected = told("corp.example", &[(1, 10), (2, 21)]);
        expected.extend(told("branch.example", &[(1, 5)]));
        assert_eq!(known.told(), expected);
        assert_eq!(ReadUpTo::checked(&expected), Ok(known));
    }

    #[test]
    fn when_there_are_too_many_those_go_that_nobody_names_any_more() {
        let many: Vec<_> = (0..DATABASES_MAX).map(|database| (database, 1)).collect();
        let mut known = read("corp.example", &many);
        let now = read("corp.example", &[(3, 0), (DATABASES_MAX + 7, 2)]);
        assert!(known.learn(&now));
        assert_eq!(known, read("corp.example", &[(3, 1), (DATABASES_MAX + 7, 2)]));
    }

    #[test]
    fn what_is_not_legal_is_refused_by_its_rule() {
        let check = |told: wire::ReadUpTo, expected| {
            assert_eq!(ReadUpTo::checked(&told), Err(expected), "{told:?}");
        };
        check(told("not a domain", &[(1, 1)]), Illegal::Domain);
        let database = [("x".to_owned(), 1)].into();
        check([("corp.example".to_owned(), database)].into(), Illegal::Database);
        check(told("corp.example", &[(1, 1 << 63)]), Illegal::Number);
        let many: Vec<_> = (0..=DATABASES_MAX).map(|database| (database, 1)).collect();
        check(told("corp.example", &many), Illegal::TooMany);
        let empty = |number| (format!("d{number}.example"), BTreeMap::new());
        check((0..=DATABASES_MAX).map(empty).collect(), Illegal::TooMany);
    }
}
