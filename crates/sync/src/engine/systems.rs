//! What the engine works with: the connected systems, and for each of them its rules in order.

use std::cell::Cell;
use std::collections::HashMap;

use time::OffsetDateTime;

use super::model::{ConnectorId, Staged};
use crate::dictionary::AttributeId;
use crate::expression::Parameters;
use crate::forest::ObjectKind;
use crate::rules::{ConnectedKind, Direction, Flow, Given, MetaverseKind, Rule, RuleId};

/// On which side of the metaverse a system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Objects come from it.
    Forest,
    /// Objects go to it.
    Target,
}

/// A connected system, as rules name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its number in the state.
    pub id: ConnectorId,
    /// Its name, by which a rule may be for it alone.
    pub name: String,
    /// Its side.
    pub side: Side,
    /// What expressions may know of it.
    pub parameters: Parameters,
}

/// What expressions may know of objects in one domain of a forest that has several.
#[derive(Debug, Clone)]
pub struct DomainParameters {
    /// The forest.
    pub forest: ConnectorId,
    /// The distinguished name of the domain, with which those of its objects end.
    pub dn: String,
    /// What may be known.
    pub parameters: Parameters,
}

/// When a decision is made, and what its expressions draw random numbers from.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The time.
    pub now: OffsetDateTime,
    /// The state of the random numbers.
    pub random: &'a Cell<u64>,
}

impl Moment<'_> {
    /// The time in seconds since 1970, as lineage has it.
    pub(super) fn seconds(&self) -> u32 {
        u32::try_from(self.now.unix_timestamp()).unwrap_or_default()
    }
}

/// The engine: pure decisions by a set of rules. It is made once a run, and shared by its threads.
#[derive(Debug, Clone)]
pub struct Engine<'r> {
    /// Rules of a forest's objects.
    inbound: HashMap<(ConnectorId, ObjectKind), Precedence<'r>>,
    /// Rules of the metaverse's objects for a target.
    outbound: HashMap<(ConnectorId, MetaverseKind), Precedence<'r>>,
    targets: Vec<ConnectorId>,
    by_id: HashMap<RuleId, &'r Rule>,
    parameters: Vec<(ConnectorId, Parameters)>,
    /// Of forests with several domains.
    domains: Vec<DomainParameters>,
    source_anchor: AttributeId,
}

/// Rules in ascending order of precedence, and what they give in the order in which it is settled: so
/// nothing is sorted for each object.
#[derive(Debug, Clone, Default)]
struct Precedence<'r> {
    rules: Vec<&'r Rule>,
    flows: Vec<PlacedFlow<'r>>,
}

/// A flow with the place of its rule among those of its precedence.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlacedFlow<'r> {
    pub(super) place: usize,
    pub(super) flow: &'r Flow,
}

impl Precedence<'_> {
    fn settle(&mut self) {
        for (place, rule) in self.rules.iter().enumerate() {
            self.flows.extend(rule.flows.iter().map(|flow| PlacedFlow { place, flow }));
        }
        self.flows.sort_by_key(|placed| (placed.flow.target, placed.place));
    }
}

impl<'r> Engine<'r> {
    /// An engine of these rules, in any order. `source_anchor` is the metaverse's attribute whose text
    /// identifies an object in targets.
    #[must_use]
    pub fn new(
        rules: impl IntoIterator<Item = &'r Rule>,
        systems: &[System],
        source_anchor: AttributeId,
    ) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|rule| rule.precedence);
        let mut inbound = HashMap::<_, Precedence<'r>>::new();
        let mut outbound = HashMap::<_, Precedence<'r>>::new();
        for rule in &rules {
            let side = match rule.direction {
                Direction::Inbound => Side::Forest,
                Direction::Outbound => Side::Target,
            };
            for system in systems.iter().filter(|s| s.side == side && rule.connected.is(&s.name)) {
                if side == Side::Target {
                    let place = (system.id, rule.metaverse);
                    outbound.entry(place).or_default().rules.push(*rule);
                    continue;
                }
                for object in &rule.objects {
                    if let ConnectedKind::Forest(kind) = object {
                        inbound.entry((system.id, *kind)).or_default().rules.push(*rule);
                    }
                }
            }
        }
        inbound.values_mut().chain(outbound.values_mut()).for_each(Precedence::settle);
        let mut targets: Vec<_> =
            systems.iter().filter(|system| system.side == Side::Target).map(|s| s.id).collect();
        targets.sort_unstable();
        let by_id = rules.iter().map(|rule| (rule.id, *rule)).collect();
        let parameters = systems.iter().map(|s| (s.id, s.parameters.clone())).collect();
        let domains = Vec::new();
        Self { inbound, outbound, targets, by_id, parameters, domains, source_anchor }
    }

    /// The same, where forests have several domains: of an object, what is known of the domain with whose name
    /// its own ends, the longest of them.
    #[must_use]
    pub fn with_domains(self, domains: Vec<DomainParameters>) -> Self {
        Self { domains, ..self }
    }

    /// The rules for objects of a forest, those that win first.
    #[must_use]
    pub fn inbound(&self, connector: ConnectorId, kind: ObjectKind) -> &[&'r Rule] {
        self.inbound.get(&(connector, kind)).map_or(&[], |all| &all.rules)
    }

    /// The rules for objects of the metaverse in a target, those that win first.
    #[must_use]
    pub fn outbound(&self, connector: ConnectorId, kind: MetaverseKind) -> &[&'r Rule] {
        self.outbound.get(&(connector, kind)).map_or(&[], |all| &all.rules)
    }

    /// What the rules for objects of a forest give.
    pub(super) fn inbound_order(
        &self,
        connector: ConnectorId,
        kind: ObjectKind,
    ) -> &[PlacedFlow<'r>] {
        self.inbound.get(&(connector, kind)).map_or(&[], |all| &all.flows)
    }

    /// What the rules for objects of the metaverse give in a target.
    pub(super) fn outbound_order(
        &self,
        connector: ConnectorId,
        kind: MetaverseKind,
    ) -> &[PlacedFlow<'r>] {
        self.outbound.get(&(connector, kind)).map_or(&[], |all| &all.flows)
    }

    /// The targets, in ascending order.
    #[must_use]
    pub fn targets(&self) -> &[ConnectorId] {
        &self.targets
    }

    /// What expressions may know of an object's forest and domain.
    pub(super) fn parameters_of(&self, staged: &Staged) -> &Parameters {
        let of = self
            .domains
            .iter()
            .filter(|domain| domain.forest == staged.connector && is_in(&staged.dn, &domain.dn));
        of.max_by_key(|domain| domain.dn.len())
            .map_or_else(|| self.parameters(staged.connector), |domain| &domain.parameters)
    }

    /// What expressions may know of a system.
    pub(super) fn parameters(&self, connector: ConnectorId) -> &Parameters {
        static NONE: Parameters = Parameters::new();
        self.parameters.iter().find(|(id, _)| *id == connector).map_or(&NONE, |(_, found)| found)
    }

    /// The rule with a number; `None` of one that is no rule any more.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&'r Rule> {
        self.by_id.get(&id).copied()
    }

    /// Whether what a target confirms may change what it is to have: an outbound expression reads
    /// ImportedValue. Then a metaverse object is decided about again when its export was confirmed.
    #[must_use]
    pub fn reads_confirmed(&self) -> bool {
        let mut flows = self.outbound.values().flat_map(|all| &all.flows);
        flows.any(|placed| match &placed.flow.given {
            Given::Expression(expression) => !expression.imported_attributes().is_empty(),
            Given::Direct(_) | Given::Constant(_) => false,
        })
    }

    /// The metaverse's attribute whose text identifies an object in targets.
    #[must_use]
    pub const fn source_anchor(&self) -> AttributeId {
        self.source_anchor
    }
}

/// Whether a distinguished name is that of a domain, or of an object in it or in a domain below it.
#[must_use]
pub fn is_in(dn: &str, domain: &str) -> bool {
    let (dn, domain) = (dn.as_bytes(), domain.as_bytes());
    let Some((rest, end)) = dn.len().checked_sub(domain.len()).map(|at| dn.split_at(at)) else {
        return false;
    };
    end.eq_ignore_ascii_case(domain) && matches!(rest.last(), None | Some(b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_in_the_domain_with_whose_name_its_own_ends() {
        let check = |dn: &str, expected: bool| {
            assert_eq!(is_in(dn, "DC=corp,DC=example"), expected, "{dn}");
        };
        check("CN=a,OU=b,dc=CORP,dc=example", true);
        check("CN=a,DC=child,DC=corp,DC=example", true);
        check("DC=corp,DC=example", true);
        check("CN=a,ADC=corp,DC=example", false);
        check("DC=example", false);
    }
}
