//! Names that mean nothing: systems, attributes, parameters; and types that do not meet.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Linter, PARAMETERS, Severity};
use crate::dictionary::AttributeId;
use crate::kind::TenantKind;
use crate::rules::error::nearest;
use crate::rules::model::{
    Connected, ConnectedKind, Direction, Given, MetaverseKind, Origin, Rule,
};
use crate::rules::types;
use crate::syntax::{Form, is_of_tenant, of_metaverse, tenant_names, tenant_spelling};

impl<'l> Linter<'l> {
    /// Rules and filters for systems that are not connected.
    pub(super) fn systems(&mut self) {
        for rule in self.all() {
            let known = match rule.direction {
                Direction::Inbound => self.systems.forests,
                Direction::Outbound => self.systems.targets,
            };
            if let Some((name, hint)) = unknown(&rule.connected, known) {
                let text = format!("no system with the name {name:?} is connected");
                self.find(Severity::Error, rule, text, hint);
            }
        }
        for filter in self.rules.filters().all() {
            if let Some((name, hint)) = unknown(&filter.connected, self.systems.forests) {
                let text = format!("{filter}: no forest with the name {name:?} is connected");
                let severity = Severity::Error;
                self.findings.push(Finding { severity, key: None, place: None, text, hint });
            }
        }
    }

    /// Attributes that nothing fills or no system has, and parameters that no run gives.
    pub(super) fn attributes(&mut self) {
        let filled = self.filled();
        for rule in self.all() {
            let reads: BTreeSet<_> = rule.reads().collect();
            for attribute in reads {
                match rule.direction {
                    Direction::Inbound => self.unknown_to_forests(rule, attribute),
                    Direction::Outbound => self.unfilled(rule, attribute, &filled),
                }
            }
            if rule.direction == Direction::Inbound {
                let joins = rule.joins.iter().flat_map(|group| &group.clauses);
                for target in joins.map(|clause| clause.target).collect::<BTreeSet<_>>() {
                    if !filled.contains_key(&(rule.metaverse, target)) {
                        let target = self.names.show(target);
                        let text = format!("it joins by {target}, which no rule fills");
                        let hint = format!("let a rule give {target} to the metaverse");
                        self.find(Severity::Warning, rule, text, hint);
                    }
                }
            } else {
                self.unknown_to_targets(rule);
            }
            self.parameters(rule);
        }
    }

    /// What inbound rules give, by kind.
    fn filled(&self) -> BTreeMap<(MetaverseKind, AttributeId), Vec<&'l Rule>> {
        let mut filled: BTreeMap<_, Vec<&Rule>> = BTreeMap::new();
        for rule in self.rules.of(Direction::Inbound) {
            for target in rule.gives() {
                filled.entry((rule.metaverse, target)).or_default().push(rule);
            }
        }
        filled
    }

    fn unknown_to_forests(&mut self, rule: &Rule, attribute: AttributeId) {
        let Some(name) = self.names.name(attribute) else { return };
        if rule.origin == Origin::BuiltIn || self.rules.syntaxes().of(name).is_some() {
            return;
        }
        let text = format!("{name} is no attribute of the schema's table, and is taken for text");
        let hint = format!("declare it: [[attribute]] name = {name:?}, syntax = ..");
        self.find(Severity::Warning, rule, text, hint);
    }

    fn unfilled(
        &mut self,
        rule: &Rule,
        attribute: AttributeId,
        filled: &BTreeMap<(MetaverseKind, AttributeId), Vec<&'l Rule>>,
    ) {
        // What filters a person out of the tenant is there for an overlay to fill.
        let is_optional = rule.origin == Origin::BuiltIn;
        if is_optional || filled.contains_key(&(rule.metaverse, attribute)) {
            return;
        }
        let name = self.names.show(attribute).to_string();
        let others = filled.keys().filter(|(kind, _)| *kind == rule.metaverse);
        let others = others.filter_map(|(_, id)| self.names.name(*id));
        let hint = nearest(&name, others).map_or_else(
            || format!("let an inbound rule give {name}"),
            |meant| format!("did you mean {meant:?}?"),
        );
        let text = format!("no rule gives {name} to the metaverse");
        self.find(Severity::Warning, rule, text, hint);
    }

    fn unknown_to_targets(&mut self, rule: &Rule) {
        let kinds: Vec<TenantKind> = rule.objects.iter().filter_map(target_kind).collect();
        for target in rule.gives() {
            let Some(name) = self.names.name(target) else { continue };
            for kind in &kinds {
                if is_of_tenant(name, *kind) {
                    continue;
                }
                let text = format!("a {kind} of a tenant has no attribute {name}");
                let hint = nearest(name, tenant_names(*kind)).map_or_else(
                    || "the attributes are those of docs/reference/attributes.md".to_owned(),
                    |meant| format!("did you mean {meant:?}?"),
                );
                self.find(Severity::Error, rule, text, hint);
            }
        }
    }

    fn parameters(&mut self, rule: &Rule) {
        for flow in &rule.flows {
            let Given::Expression(expression) = &flow.given else { continue };
            for name in expression.parameters() {
                let known = PARAMETERS.iter().map(|(known, _)| *known);
                if known.clone().any(|known| known.eq_ignore_ascii_case(name)) {
                    continue;
                }
                let hint = nearest(name, known.clone()).map_or_else(
                    || format!("they are {}", known.collect::<Vec<_>>().join(", ")),
                    |meant| format!("did you mean %{meant}%?"),
                );
                let text = format!("no run gives the parameter %{name}%");
                self.find(Severity::Error, rule, text, hint);
            }
        }
    }

    /// Attributes of the metaverse to which rules give values of different types, or that go where
    /// another type is taken. What the tables know was checked when the rules were compiled.
    pub(super) fn types(&mut self) {
        let mut forms: BTreeMap<(MetaverseKind, AttributeId), (Form, &Rule)> = BTreeMap::new();
        for rule in self.rules.of(Direction::Inbound) {
            for flow in &rule.flows {
                let Some(form) = self.form(&flow.given) else { continue };
                let (first, other) =
                    *forms.entry((rule.metaverse, flow.target)).or_insert((form, rule));
                if first != form {
                    let (name, first) = (self.names.show(flow.target), first.as_str());
                    let text = format!(
                        "it gives {name} {}, and {} gives {first}",
                        form.as_str(),
                        other.key
                    );
                    self.find(Severity::Error, rule, text, "convert one of them in an expression");
                }
            }
        }
        for rule in self.rules.of(Direction::Outbound) {
            for flow in &rule.flows {
                let Given::Direct(source) = flow.given else { continue };
                let (Some(name), Some(target)) =
                    (self.names.name(source), self.names.name(flow.target))
                else {
                    continue;
                };
                let known = of_metaverse(name, self.rules.syntaxes()).is_some();
                let Some((form, _)) = forms.get(&(rule.metaverse, source)).filter(|_| !known)
                else {
                    continue;
                };
                let syntaxes = self.rules.syntaxes();
                let takes = types::of_target(rule.direction, &rule.objects, target, syntaxes);
                let target = tenant_spelling(target);
                if let Some(takes) = takes.filter(|takes| takes != form) {
                    let text = format!(
                        "{target} takes {}, and {name} is {}",
                        takes.as_str(),
                        form.as_str()
                    );
                    self.find(Severity::Error, rule, text, "convert it in an expression");
                }
            }
        }
    }

    /// What an inbound flow gives, if that is known.
    fn form(&self, given: &Given) -> Option<Form> {
        match given {
            Given::Direct(source) => {
                let name = self.names.name(*source)?;
                self.rules.syntaxes().of(name).map(|known| known.syntax.form())
            }
            Given::Constant(value) => Some(Form::of(value)),
            Given::Expression(expression) => {
                let all = [Form::Text, Form::Integer, Form::Boolean, Form::Octets];
                let kinds = expression.kinds();
                let mut can = all.into_iter().filter(|form| kinds.meets(types::kinds(*form)));
                can.next().filter(|_| can.next().is_none())
            }
        }
    }
}

const fn target_kind(kind: &ConnectedKind) -> Option<TenantKind> {
    match kind {
        ConnectedKind::Target(kind) => Some(*kind),
        ConnectedKind::Forest(_) => None,
    }
}

/// The name of a system that is not among those known, and what to do.
fn unknown<'c>(connected: &'c Connected, known: &[String]) -> Option<(&'c str, String)> {
    let Connected::Named(name) = connected else { return None };
    if known.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        return None;
    }
    let hint = nearest(name, known.iter().map(String::as_str)).map_or_else(
        || format!("connected are {}", known.join(", ")),
        |meant| format!("did you mean {meant:?}?"),
    );
    Some((name, hint))
}
