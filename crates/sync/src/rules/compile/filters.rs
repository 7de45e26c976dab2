//! Filters: which criterion each one has.

use portolan_model::{DistinguishedName, DnsName, Guid};

use super::{Compiler, connected};
use crate::rules::filter::{Criterion, Filter, Filters, Named};
use crate::rules::raw::{At, RawFilter, RuleFile};
use crate::rules::types::Side;

impl Compiler<'_> {
    pub(super) fn filters(&mut self, files: &[RuleFile]) -> Filters {
        let raw = files.iter().flat_map(|file| &file.filters);
        Filters { filters: raw.filter_map(|filter| self.filter(filter)).collect() }
    }

    fn filter(&mut self, raw: &RawFilter) -> Option<Filter> {
        let (criterion, says) = self.criterion(raw)?;
        let reason = raw.reason.clone().unwrap_or(says);
        Some(Filter { connected: connected(raw.connected.as_ref()), criterion, reason })
    }

    /// What a filter is about, and what it says of itself.
    fn criterion(&mut self, raw: &RawFilter) -> Option<(Criterion, String)> {
        let include = raw.include;
        let place = &raw.place;
        if raw.guid.is_some() && raw.unit.is_none() && raw.group.is_none() {
            self.error(place, "guid goes with unit or group");
        }
        if include && raw.domain.is_none() && raw.unit.is_none() {
            self.error(place, "include goes with domain or unit");
        }
        match (&raw.domain, &raw.unit, &raw.group, &raw.clauses) {
            (Some(domain), None, None, None) => {
                let Ok(name) = domain.value.parse::<DnsName>() else {
                    self.error(&domain.place, format!("{:?} is no domain", domain.value));
                    return None;
                };
                let says = format!("a filter on the domain {name}");
                Some((Criterion::Domain { name: name.to_string(), include }, says))
            }
            (None, Some(unit), None, None) => {
                let says = format!("a filter on the unit {}", unit.value);
                Some((Criterion::Unit { unit: self.named(unit, raw)?, include }, says))
            }
            (None, None, Some(group), None) => {
                let says = format!("no direct member of {}", group.value);
                Some((Criterion::Group(self.named(group, raw)?), says))
            }
            (None, None, None, Some(clauses)) if !clauses.is_empty() => {
                let clauses = self.clauses(Side::Forest, clauses);
                Some((Criterion::Where(clauses), "a filter on its attributes".to_owned()))
            }
            _ => {
                self.error(place, "a filter has one of domain, unit, group and where");
                None
            }
        }
    }

    fn named(&mut self, name: &At<String>, raw: &RawFilter) -> Option<Named> {
        let mut guid = name.value.parse::<Guid>().ok();
        if guid.is_none() && name.value.parse::<DistinguishedName>().is_err() {
            let text =
                format!("{:?} is neither a distinguished name nor an objectGUID", name.value);
            self.error(&name.place, text);
            return None;
        }
        if let Some(written) = &raw.guid {
            guid = written.value.parse().ok();
            if guid.is_none() {
                self.error(&written.place, format!("{:?} is no objectGUID", written.value));
            }
        }
        Some(Named { name: name.value.clone(), guid })
    }
}
