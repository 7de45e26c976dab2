//! What can never happen: scopes that contradict themselves, flows that never win.

use super::{Linter, Severity};
use crate::record::Value;
use crate::rules::model::{Clause, Connected, Flow, Given, Merge, Operator, Rule, Scope};

impl Linter<'_> {
    /// Groups that hold for no object, and scopes of which no group is left.
    pub(super) fn scopes(&mut self) {
        for rule in self.all() {
            let scope = &rule.scope;
            let mut dead = 0;
            for (number, group) in scope.groups.iter().enumerate() {
                let Some((one, two)) = contradiction(group, self) else { continue };
                dead += 1;
                let (one, two) = (self.show(one), self.show(two));
                let text = format!(
                    "group {} of its scope holds for no object: {one} and {two}",
                    number + 1
                );
                self.find(Severity::Warning, rule, text, "take one of the two away");
            }
            if dead > 0 && dead == scope.groups.len() {
                self.find(
                    Severity::Error,
                    rule,
                    "no object is ever in its scope",
                    "mend the groups of its scope, or turn the rule off",
                );
            }
            self.exceptions(rule);
        }
    }

    /// Exceptions that take every object away, or none.
    fn exceptions(&mut self, rule: &Rule) {
        for exception in &rule.scope.exceptions {
            if let Some((one, two)) = contradiction(&exception.clauses, self) {
                let (one, two) = (self.show(one), self.show(two));
                let text = format!(
                    "the exception {:?} leaves nothing out: {one} and {two}",
                    exception.reason
                );
                self.find(Severity::Warning, rule, text, "take one of the two away");
            }
            let within =
                |group: &Vec<Clause>| exception.clauses.iter().all(|clause| group.contains(clause));
            if !rule.scope.groups.is_empty() && rule.scope.groups.iter().all(within) {
                let text = format!(
                    "the exception {:?} leaves out every object of its scope",
                    exception.reason
                );
                self.find(Severity::Error, rule, text, "mend the exception, or turn the rule off");
            }
        }
    }

    /// Flows that another rule's always wins over.
    pub(super) fn shadows(&mut self) {
        for rule in self.all() {
            for flow in rule.flows.iter().filter(|flow| flow.merge == Merge::Update) {
                let wins = |other: &&Rule| {
                    other.direction == rule.direction
                        && other.metaverse == rule.metaverse
                        && other.precedence < rule.precedence
                        && other.flows.iter().any(|own| always_wins(own, flow))
                        && covers(other, rule)
                };
                let Some(other) = self.all().find(wins) else { continue };
                let text = format!("{} never comes from here", self.names.show(flow.target));
                let hint =
                    format!("{} gives it first to the same objects: take one away", other.key);
                self.find(Severity::Warning, rule, text, hint);
            }
        }
    }

    pub(super) fn show(&self, clause: &Clause) -> String {
        let name = crate::rules::operators::operator_name(clause.operator, clause.negated);
        let values: Vec<_> =
            clause.values.iter().map(|value| value.borrow().to_text().into_owned()).collect();
        let text = format!("{} {name} {}", self.names.show(clause.attribute), values.join(" "));
        text.trim_end().to_owned()
    }

    /// Whether an attribute has one value at most.
    fn is_single(&self, clause: &Clause) -> bool {
        let name = self.names.name(clause.attribute);
        name.and_then(|name| self.rules.syntaxes().of(name)).is_some_and(|known| known.single)
    }
}

/// Whether a flow has a value whenever the other has one, and wins.
fn always_wins(flow: &Flow, other: &Flow) -> bool {
    if flow.target != other.target || flow.merge != Merge::Update || flow.once != other.once {
        return false;
    }
    match (&flow.given, &other.given) {
        (Given::Constant(_), _) => true,
        (Given::Direct(one), Given::Direct(two)) => one == two,
        _ => false,
    }
}

/// Whether a rule applies to every object that another applies to.
pub(super) fn covers(rule: &Rule, other: &Rule) -> bool {
    let systems = rule.connected == Connected::Every || rule.connected == other.connected;
    let objects = other.objects.iter().all(|kind| rule.objects.contains(kind));
    systems && objects && includes(&rule.scope, &other.scope)
}

/// Whether a scope holds for every object that another holds for, as far as their clauses tell.
fn includes(scope: &Scope, other: &Scope) -> bool {
    let every = scope.groups.is_empty();
    let each = |group: &Vec<Clause>| {
        scope.groups.iter().any(|own| own.iter().all(|clause| group.contains(clause)))
    };
    let groups = every || (!other.groups.is_empty() && other.groups.iter().all(each));
    groups && scope.exceptions.iter().all(|exception| other.exceptions.contains(exception))
}

/// Two clauses of a group that never hold together.
pub(super) fn contradiction<'c>(
    group: &'c [Clause],
    linter: &Linter<'_>,
) -> Option<(&'c Clause, &'c Clause)> {
    let pairs = group.iter().enumerate();
    pairs
        .flat_map(|(at, one)| group[at + 1..].iter().map(move |two| (one, two)))
        .find(|(one, two)| one.attribute == two.attribute && contradict(one, two, linter))
}

fn contradict(one: &Clause, two: &Clause, linter: &Linter<'_>) -> bool {
    let same = one.operator == two.operator
        && one.values == two.values
        && one.case_sensitive == two.case_sensitive;
    if same && one.negated != two.negated {
        return true;
    }
    let is_null = |clause: &Clause| clause.operator == Operator::IsNull && !clause.negated;
    let needs_value = |clause: &Clause| clause.operator != Operator::IsNull && !clause.negated;
    if (is_null(one) && needs_value(two)) || (is_null(two) && needs_value(one)) {
        return true;
    }
    let is_one_of = |clause: &Clause| {
        matches!(clause.operator, Operator::Equal | Operator::IsIn) && !clause.negated
    };
    let fold = |value: &Value| value.borrow().to_text().to_lowercase();
    let meet =
        || one.values.iter().any(|own| two.values.iter().any(|other| fold(own) == fold(other)));
    if is_one_of(one) && is_one_of(two) && linter.is_single(one) {
        return !meet();
    }
    false
}
