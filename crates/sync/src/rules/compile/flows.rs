//! Joins and flows: names made numbers, expressions compiled, types checked.

use std::collections::BTreeMap;

use super::Compiler;
use crate::dictionary::AttributeId;
use crate::expression::Expression;
use crate::rules::model::{
    ConnectedKind, Direction, Flow, Given, JoinClause, JoinGroup, ReferenceFlow,
};
use crate::rules::raw::{At, RawFlow, RawGiven, RawJoin, RawReference};
use crate::rules::types::{self, Side};
use crate::syntax::Form;

impl Compiler<'_> {
    pub(super) fn joins(&mut self, raw: &[Vec<RawJoin>]) -> Vec<JoinGroup> {
        let mut groups = Vec::new();
        for group in raw {
            let clauses = group.iter().filter_map(|join| {
                let (source, target) = (self.intern(&join.source)?, self.intern(&join.target)?);
                Some(JoinClause { source, target, case_sensitive: join.case })
            });
            groups.push(JoinGroup { clauses: clauses.collect() });
        }
        groups
    }

    pub(super) fn flows(
        &mut self,
        direction: Direction,
        objects: &[ConnectedKind],
        raw: &[RawFlow],
    ) -> Vec<Flow> {
        let mut flows: BTreeMap<AttributeId, Flow> = BTreeMap::new();
        for flow in raw {
            let target = self.intern(&flow.target);
            let given = self.flow_given(direction, objects, flow);
            let (Some(target), Some(given)) = (target, given) else { continue };
            let (once, merge) = (flow.once, flow.merge);
            if flows.insert(target, Flow { target, given, once, merge }).is_some() {
                let text = format!("this rule gives {} twice", flow.target.value);
                self.error(&flow.target.place, text);
            }
        }
        flows.into_values().collect()
    }

    fn flow_given(
        &mut self,
        direction: Direction,
        objects: &[ConnectedKind],
        flow: &RawFlow,
    ) -> Option<Given> {
        let (given, form, place) = match &flow.given {
            RawGiven::Source(source) => {
                let side = Side::of_source(direction);
                let known = types::of_source(side, &source.value, &self.syntaxes);
                let form = known.map(|known| known.syntax.form());
                if form == Some(Form::Reference) {
                    let text = format!("{} refers to other objects", source.value);
                    self.hinted(&source.place, text, "pass it on under `references`");
                    return None;
                }
                (Given::Direct(self.intern(source)?), form, &source.place)
            }
            RawGiven::Constant(At { value, place }) => {
                let value = types::constant(value);
                let form = Form::of(&value);
                (Given::Constant(value), Some(form), place)
            }
            RawGiven::Expression(text) => {
                let wanted =
                    types::of_target(direction, objects, &flow.target.value, &self.syntaxes);
                (self.expression(text, &flow.target.value, wanted)?, None, &text.place)
            }
        };
        let wanted = types::of_target(direction, objects, &flow.target.value, &self.syntaxes);
        if let (Some(form), Some(wanted)) = (form, wanted)
            && form != wanted
        {
            let text =
                format!("{} takes {}, not {}", flow.target.value, wanted.as_str(), form.as_str());
            self.hinted(place, text, "convert it in an expression");
        }
        Some(given)
    }

    fn expression(
        &mut self,
        text: &At<String>,
        target: &str,
        wanted: Option<Form>,
    ) -> Option<Given> {
        let expression = match Expression::compile(&text.value, self.names) {
            Ok(expression) => expression,
            Err(error) => {
                self.error(&text.place, error.show(&text.value).to_string());
                return None;
            }
        };
        let (kinds, wanted) = (expression.kinds(), wanted.map(|form| (form, types::kinds(form))));
        if let Some((form, takes)) = wanted
            && !kinds.is_none()
            && !kinds.meets(takes)
        {
            let text_of = format!("{target} takes {}, and this comes to {kinds}", form.as_str());
            self.error(&text.place, text_of);
        }
        Some(Given::Expression(expression))
    }

    pub(super) fn references(
        &mut self,
        direction: Direction,
        objects: &[ConnectedKind],
        raw: &[RawReference],
    ) -> Vec<ReferenceFlow> {
        let mut flows: Vec<ReferenceFlow> = Vec::new();
        for flow in raw {
            let side = Side::of_source(direction);
            let known = types::of_source(side, &flow.source.value, &self.syntaxes);
            let source = known.map(|known| known.syntax.form());
            let target = types::of_target(direction, objects, &flow.target.value, &self.syntaxes);
            for (form, name) in [(source, &flow.source), (target, &flow.target)] {
                if form.is_some_and(|form| form != Form::Reference) {
                    let text = format!("{} does not refer to other objects", name.value);
                    self.hinted(&name.place, text, "let it flow under `flows`");
                }
            }
            let (source, target) = (self.intern(&flow.source), self.intern(&flow.target));
            let (Some(source), Some(target)) = (source, target) else { continue };
            if flows.iter().any(|other| other.target == target) {
                let text = format!("this rule gives {} twice", flow.target.value);
                self.error(&flow.target.place, text);
            }
            flows.push(ReferenceFlow { target, source });
        }
        flows.sort_unstable_by_key(|flow| flow.target);
        flows
    }
}
