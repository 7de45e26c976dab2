//! Links between objects of forests and the metaverse: how they come about, and when they end.

use super::decision::{JoinCandidate, JoinCondition, JoinLookup, LinkDecision};
use super::error::Fault;
use super::model::{LinkKind, Staged};
use super::systems::Engine;
use crate::forest::ObjectKind;
use crate::record::{Record, ValueRef};
use crate::rules::{JoinGroup, Linking, MetaverseKind, Rule};
use crate::source::Source;

/// A staging object with the rules whose scope holds it, those that win first, and their places.
#[derive(Clone)]
pub(super) struct Scoped<'e> {
    pub(super) staged: &'e Staged,
    pub(super) attributes: &'e dyn Source,
    pub(super) rules: Vec<(usize, &'e Rule)>,
}

impl<'r> Engine<'r> {
    /// The rules whose scope holds an object, those that win first.
    pub(super) fn in_scope<'e>(
        &'e self,
        staged: &'e Staged,
    ) -> impl Iterator<Item = &'r Rule> + 'e {
        let rules = self.inbound(staged.connector, staged.kind).iter().copied();
        rules.filter(|rule| rule.scope.holds(&staged.record))
    }

    /// An object with all of these.
    pub(super) fn scoped<'e>(
        &'e self,
        staged: &'e Staged,
        attributes: &'e dyn Source,
    ) -> Scoped<'e> {
        let rules = self.inbound(staged.connector, staged.kind).iter().copied().enumerate();
        let rules = rules.filter(|(_, rule)| rule.scope.holds(attributes)).collect();
        Scoped { staged, attributes, rules }
    }

    /// What the state is to be asked about an object without a link, in order. Once an answer has
    /// exactly one candidate, further ones need not be asked.
    #[must_use]
    pub fn lookups(&self, staged: &Staged) -> Vec<JoinLookup> {
        let of_rule = |rule: &'r Rule| {
            let groups = rule.joins.iter();
            groups.filter_map(|group| lookup(rule, group, &staged.record)).collect::<Vec<_>>()
        };
        self.in_scope(staged).flat_map(of_rule).collect()
    }

    /// What becomes of an object without a link, given the answers to its [`lookups`](Self::lookups);
    /// those that were not asked are left out at the end.
    #[must_use]
    pub fn link(&self, staged: &Staged, answers: &[Vec<JoinCandidate>]) -> LinkDecision {
        let mut ambiguous = None;
        for (lookup, candidates) in self.lookups(staged).iter().zip(answers) {
            let rule = lookup.rule;
            match candidates.as_slice() {
                [] => {}
                [JoinCandidate { metaverse, occupied: Some(by) }] if !is_foreign(staged) => {
                    let (metaverse, by) = (*metaverse, *by);
                    return LinkDecision::Refused(Fault::Occupied { rule, metaverse, by });
                }
                [JoinCandidate { metaverse, .. }] => {
                    let kind = link_kind(self.in_scope(staged), lookup.kind, None)
                        .unwrap_or(LinkKind::Joined);
                    return LinkDecision::Join { metaverse: *metaverse, kind, rule };
                }
                several => {
                    let candidates = several.iter().map(|candidate| candidate.metaverse).collect();
                    ambiguous.get_or_insert(Fault::AmbiguousJoin { rule, candidates });
                }
            }
        }
        if let Some(fault) = ambiguous {
            return LinkDecision::Refused(fault);
        }
        let mut rules = self.in_scope(staged);
        match rules.find(|rule| rule.linking == Linking::Provision) {
            Some(rule) => LinkDecision::Project { kind: rule.metaverse, rule: rule.id },
            None => LinkDecision::Stay,
        }
    }
}

/// Whether an object stands for somebody of another forest: it takes nobody's place, and nobody takes its own.
pub(super) fn is_foreign(staged: &Staged) -> bool {
    staged.kind == ObjectKind::ForeignSecurityPrincipal
}

/// Whether what an object is joined by is still there, by one of the rules whose scope holds it.
pub(super) fn still_matches(scoped: &Scoped<'_>, metaverse: &dyn Source) -> bool {
    let Scoped { attributes, rules, .. } = scoped;
    let same = |one: ValueRef<'_>, other: ValueRef<'_>, case_sensitive: bool| match (one, other) {
        (ValueRef::Text(one), ValueRef::Text(other)) if !case_sensitive => {
            one.to_lowercase() == other.to_lowercase()
        }
        (one, other) => one == other,
    };
    let holds = |clause: &crate::rules::JoinClause| {
        let mut values = attributes.values(clause.source);
        values.any(|value| {
            let mut there = metaverse.values(clause.target);
            there.any(|one| same(value, one, clause.case_sensitive))
        })
    };
    let mut groups = rules.iter().flat_map(|(_, rule)| &rule.joins);
    groups.any(|group| group.clauses.iter().all(holds))
}

/// The sort of link that an object has to a metaverse object of this kind, by the rules whose scope holds
/// it; `None` when none is justified: by a rule that provisions, or one that has joins. A rule that has
/// none gives attributes alone. A sticky link stays one, whatever becomes of scopes.
pub(super) fn link_kind<'r>(
    in_scope: impl Iterator<Item = &'r Rule>,
    kind: MetaverseKind,
    former: Option<LinkKind>,
) -> Option<LinkKind> {
    let rules = in_scope.filter(|rule| rule.metaverse == kind);
    let kinds = rules.filter_map(|rule| match rule.linking {
        Linking::Provision => Some(LinkKind::Provisioned),
        _ if rule.joins.is_empty() => None,
        Linking::StickyJoin => Some(LinkKind::StickyJoined),
        Linking::Join => Some(LinkKind::Joined),
    });
    let sticky = former.filter(|kind| *kind == LinkKind::StickyJoined);
    kinds.chain(sticky).max_by_key(|kind| strength(*kind))
}

/// A sticky link keeps the metaverse object as a provisioned one does, and stays out of scope too.
const fn strength(kind: LinkKind) -> u8 {
    match kind {
        LinkKind::Joined => 0,
        LinkKind::Provisioned => 1,
        LinkKind::StickyJoined => 2,
    }
}

/// The question of a group; `None` when an attribute that it joins by is absent.
fn lookup(rule: &Rule, group: &JoinGroup, record: &Record) -> Option<JoinLookup> {
    let condition = |clause: &crate::rules::JoinClause| {
        let values: Vec<_> = record.values(clause.source).map(ValueRef::to_value).collect();
        let (attribute, case_sensitive) = (clause.target, clause.case_sensitive);
        (!values.is_empty()).then_some(JoinCondition { attribute, values, case_sensitive })
    };
    let conditions: Vec<_> = group.clauses.iter().map(condition).collect::<Option<_>>()?;
    // A group without a clause would find every object.
    (!conditions.is_empty()).then_some(JoinLookup {
        rule: rule.id,
        kind: rule.metaverse,
        conditions,
    })
}
