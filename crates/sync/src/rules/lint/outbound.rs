//! Scopes of outbound rules, held against what inbound rules give and against the rules that make objects:
//! what can never be in one.

use std::collections::BTreeMap;

use super::reach::contradiction;
use super::{Linter, Severity};
use crate::dictionary::AttributeId;
use crate::record::Value;
use crate::rules::model::{
    Clause, Connected, Direction, Given, Linking, MetaverseKind, Operator, Origin, Rule, Scope,
};

/// What inbound rules give to an attribute: constants alone, or anything else.
#[derive(Debug, Default)]
struct Filled<'l> {
    constants: Vec<&'l Value>,
    is_open: bool,
}

impl<'l> Linter<'l> {
    /// Outbound scopes that nothing in the metaverse is ever in, and those of which no object is made.
    pub(super) fn outbound_scopes(&mut self) {
        let filled = self.given();
        for rule in self.rules.of(Direction::Outbound) {
            // What keeps a person out of the tenant by default is there for an overlay to fill.
            if rule.origin == Origin::BuiltIn {
                continue;
            }
            let mut dead = 0;
            for (number, group) in rule.scope.groups.iter().enumerate() {
                let never = group.iter().find_map(|clause| {
                    never(clause, filled.get(&(rule.metaverse, clause.attribute)))
                        .map(|why| (clause, why))
                });
                let Some((clause, why)) = never else { continue };
                dead += 1;
                let text = format!(
                    "group {} of its scope holds for no object: {}, and {why}",
                    number + 1,
                    self.show(clause)
                );
                let hint = "let an inbound rule give it, or take the clause away";
                self.find(Severity::Warning, rule, text, hint);
            }
            if dead > 0 && dead == rule.scope.groups.len() {
                let hint = "mend the groups of its scope, or turn the rule off";
                self.find(Severity::Error, rule, "no object is ever in its scope", hint);
            }
            self.unmade(rule);
        }
    }

    /// A rule that makes no objects, where those that do have others in their scopes.
    fn unmade(&mut self, rule: &Rule) {
        if rule.linking == Linking::Provision {
            return;
        }
        let makes = |other: &&Rule| {
            other.linking == Linking::Provision
                && other.metaverse == rule.metaverse
                && meet(&other.connected, &rule.connected)
                && other.objects.iter().any(|kind| rule.objects.contains(kind))
        };
        let all: Vec<_> = self.rules.of(Direction::Outbound).filter(makes).collect();
        if all.is_empty() || all.iter().any(|other| self.overlap(&other.scope, &rule.scope)) {
            return;
        }
        let keys: Vec<_> = all.iter().map(|other| other.key.as_str()).collect();
        let text = format!("no object of its scope is made: {} make others", keys.join(", "));
        let hint = "bring its scope to theirs, or let a rule of this scope make objects";
        self.find(Severity::Warning, rule, text, hint);
    }

    /// Whether something could be in both scopes, as far as their clauses tell.
    fn overlap(&self, one: &Scope, two: &Scope) -> bool {
        let excepts = |group: &[Clause]| {
            let within = |clause: &Clause| group.contains(clause);
            one.exceptions.iter().any(|exception| exception.clauses.iter().all(within))
        };
        let groups = |scope: &Scope| match scope.groups.as_slice() {
            [] => vec![Vec::new()],
            groups => groups.to_vec(),
        };
        let others = groups(two);
        groups(one).iter().any(|own| {
            others.iter().any(|other| {
                let both = [own.as_slice(), other].concat();
                !excepts(other) && contradiction(&both, self).is_none()
            })
        })
    }

    /// What inbound rules give to the metaverse.
    fn given(&self) -> BTreeMap<(MetaverseKind, AttributeId), Filled<'l>> {
        let mut filled: BTreeMap<_, Filled<'_>> = BTreeMap::new();
        for rule in self.rules.of(Direction::Inbound) {
            for flow in &rule.flows {
                let place = filled.entry((rule.metaverse, flow.target)).or_default();
                match &flow.given {
                    Given::Constant(value) => place.constants.push(value),
                    Given::Direct(_) | Given::Expression(_) => place.is_open = true,
                }
            }
            for flow in &rule.references {
                filled.entry((rule.metaverse, flow.target)).or_default().is_open = true;
            }
        }
        filled
    }
}

/// Why a clause never holds; `None` when it may.
fn never(clause: &Clause, filled: Option<&Filled<'_>>) -> Option<String> {
    let is_null = clause.operator == Operator::IsNull;
    if clause.negated != is_null {
        return None;
    }
    let Some(filled) = filled else {
        return Some("no rule gives that to the metaverse".to_owned());
    };
    let compares = matches!(clause.operator, Operator::Equal | Operator::IsIn);
    if filled.is_open || !compares || clause.negated {
        return None;
    }
    let fold = |value: &Value| {
        let text = value.borrow().to_text();
        if clause.case_sensitive { text.into_owned() } else { text.to_lowercase() }
    };
    let wanted: Vec<_> = clause.values.iter().map(fold).collect();
    if filled.constants.iter().any(|value| wanted.contains(&fold(value))) {
        return None;
    }
    let mut given: Vec<_> =
        filled.constants.iter().map(|value| value.borrow().to_text().into_owned()).collect();
    given.sort_unstable();
    given.dedup();
    Some(format!("rules give {} alone", given.join(", ")))
}

/// Whether two rules may be for one system.
fn meet(one: &Connected, two: &Connected) -> bool {
    *one == Connected::Every || *two == Connected::Every || one == two
}
