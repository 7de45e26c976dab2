//! Filters: which objects of a forest are taken at all, before any rule is asked.
//!
//! Of the domain and the units above an object the nearest that a filter names decides. A unit is held
//! by its objectGUID: renamed or moved, it is the same.

use std::fmt;

use portolan_model::Guid;

use super::model::{Clause, Connected};
use crate::dictionary::AttributeId;
use crate::forest::ObjectKind;
use crate::source::Source;

/// A filter as it is written: units and groups may be known by name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// For which forests.
    pub connected: Connected,
    /// Which objects.
    pub criterion: Criterion,
    /// Why it leaves objects out, for people.
    pub reason: String,
}

/// Which objects a filter is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Criterion {
    /// Those of a domain, by its DNS name in lower case.
    Domain {
        /// The name.
        name: String,
        /// Whether they are taken, and not left out.
        include: bool,
    },
    /// Those below an organizational unit or container.
    Unit {
        /// The unit.
        unit: Named,
        /// Whether they are taken, and not left out.
        include: bool,
    },
    /// Those that are no direct members of a group are left out. For pilots.
    Group(Named),
    /// Those for which every clause holds are left out.
    Where(Vec<Clause>),
}

/// An object that a filter names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its distinguished name when the filter was written; its objectGUID where that alone was given.
    pub name: String,
    /// Its objectGUID, once it is known.
    pub guid: Option<Guid>,
}

/// A name that no object of the forest has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no object has the name {name:?} that a filter gives")]
pub struct NoSuchObject {
    /// The name.
    pub name: String,
}

/// The filters as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    pub(super) filters: Vec<Filter>,
}

/// Filters in which every unit and group is known by its objectGUID: only these decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PinnedFilters {
    filters: Vec<Filter>,
}

/// What filters look at of an object.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    /// The name of its forest.
    pub connector: &'a str,
    /// What it is.
    pub kind: ObjectKind,
    /// The DNS name of its domain, in lower case.
    pub domain: &'a str,
    /// The objectGUIDs of what stands above it, the nearest first.
    pub above: &'a [Guid],
    /// The objectGUIDs of the groups that it is a direct member of.
    pub groups: &'a [Guid],
    /// Its attributes.
    pub attributes: &'a dyn Source,
}

impl Filters {
    /// All of them, in the order of the files.
    #[must_use]
    pub fn all(&self) -> &[Filter] {
        &self.filters
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// The names of units and groups whose objectGUID is not written beside them.
    pub fn unpinned(&self) -> impl Iterator<Item = &str> {
        let named = self.filters.iter().filter_map(Filter::named);
        named.filter(|named| named.guid.is_none()).map(|named| named.name.as_str())
    }

    /// Attributes that filters read.
    pub fn reads(&self) -> impl Iterator<Item = AttributeId> {
        let clauses = self.filters.iter().flat_map(|filter| match &filter.criterion {
            Criterion::Where(clauses) => clauses.as_slice(),
            _ => &[],
        });
        clauses.map(|clause| clause.attribute)
    }

    /// Filters that decide. `guid` finds the objectGUID of a name that has none yet, among what an
    /// earlier run found or in the forest.
    ///
    /// # Errors
    /// Every name that it does not find. A filter that is not known to be right leaves nothing out and
    /// lets nothing in: there is no run without it.
    pub fn pin(
        &self,
        guid: impl Fn(&str) -> Option<Guid>,
    ) -> Result<PinnedFilters, Vec<NoSuchObject>> {
        let mut filters = self.filters.clone();
        let mut missing = Vec::new();
        for named in filters.iter_mut().filter_map(Filter::named_mut) {
            if named.guid.is_none() {
                named.guid = guid(&named.name);
            }
            if named.guid.is_none() {
                missing.push(NoSuchObject { name: named.name.clone() });
            }
        }
        if missing.is_empty() { Ok(PinnedFilters { filters }) } else { Err(missing) }
    }
}

impl PinnedFilters {
    /// Whether an object is taken.
    ///
    /// # Errors
    /// The filter that leaves it out.
    pub fn admits(&self, object: &Standing<'_>) -> Result<(), &Filter> {
        let is_place =
            matches!(object.kind, ObjectKind::OrganizationalUnit | ObjectKind::Container);
        let filters = || self.filters.iter().filter(|one| one.connected.is(object.connector));
        if let Some(filter) = self.place(object).filter(|filter| !filter.includes()) {
            return Err(filter);
        }
        // Places are in the names of what is below them; a foreign principal is in a group and in none.
        if is_place || object.kind == ObjectKind::ForeignSecurityPrincipal {
            return Ok(());
        }
        let left_out = |filter: &&Filter| match &filter.criterion {
            Criterion::Where(clauses) => {
                clauses.iter().all(|clause| clause.holds(object.attributes))
            }
            _ => false,
        };
        if let Some(filter) = filters().find(left_out) {
            return Err(filter);
        }
        let group = |filter: &Filter| match &filter.criterion {
            Criterion::Group(group) => group.guid,
            _ => None,
        };
        let is_member = |filter: &Filter| group(filter).is_some_and(|g| object.groups.contains(&g));
        let mut pilots = filters().filter(|filter| group(filter).is_some());
        match pilots.next() {
            Some(first) if !is_member(first) && !pilots.any(is_member) => Err(first),
            _ => Ok(()),
        }
    }

    /// The filter about the nearest place above an object; of two about one place the later.
    fn place(&self, object: &Standing<'_>) -> Option<&Filter> {
        let filters = || self.filters.iter().rev().filter(|one| one.connected.is(object.connector));
        let of_unit = |guid: &Guid| {
            filters().find(|filter| match &filter.criterion {
                Criterion::Unit { unit, .. } => unit.guid == Some(*guid),
                _ => false,
            })
        };
        let of_domain = || {
            filters().find(|filter| match &filter.criterion {
                Criterion::Domain { name, .. } => name == object.domain,
                _ => false,
            })
        };
        object.above.iter().find_map(of_unit).or_else(of_domain)
    }
}

impl Filter {
    /// The unit or group that it names, if it names one.
    #[must_use]
    pub fn named(&self) -> Option<&Named> {
        match &self.criterion {
            Criterion::Unit { unit: named, .. } | Criterion::Group(named) => Some(named),
            Criterion::Domain { .. } | Criterion::Where(_) => None,
        }
    }

    const fn named_mut(&mut self) -> Option<&mut Named> {
        match &mut self.criterion {
            Criterion::Unit { unit: named, .. } | Criterion::Group(named) => Some(named),
            Criterion::Domain { .. } | Criterion::Where(_) => None,
        }
    }

    const fn includes(&self) -> bool {
        matches!(
            self.criterion,
            Criterion::Domain { include: true, .. } | Criterion::Unit { include: true, .. }
        )
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
