//! One rule of an export becoming one of ours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::names::{self, DEFAULT_RULES, TENANT_CONNECTOR};
use super::read::{Fields, bare};
use super::{Fate, Note};
use crate::dictionary::Dictionary;
use crate::expression::Expression;
use crate::forest::ObjectKind;
use crate::kind::TenantKind;
use crate::rules::error::Place;
use crate::rules::model::{ConnectedKind, Direction, Linking, Merge};
use crate::rules::operators::{Arity, operator};
use crate::rules::raw::{At, RawClause, RawFlow, RawGiven, RawJoin, RawReference, RawRule, Scalar};
use crate::rules::types::{self, Side};
use crate::syntax::{Form, Syntax, Syntaxes, is_of_tenant, tenant_spelling};

/// What a rule became.
pub(super) enum Outcome {
    Rule(Box<RawRule>),
    /// A default rule was off, for which this one of ours stands.
    Disabled(&'static str),
    Nothing,
}

pub(super) struct Importer<'c> {
    connectors: &'c BTreeMap<String, String>,
    keys: BTreeSet<String>,
    pub(super) report: Vec<Note>,
}

/// Why a rule is left out.
struct LeftOut(String);

impl<'c> Importer<'c> {
    pub(super) const fn new(connectors: &'c BTreeMap<String, String>) -> Self {
        Self { connectors, keys: BTreeSet::new(), report: Vec::new() }
    }

    /// What becomes of a rule; the remarks are told of it if it is carried over.
    pub(super) fn rule(&mut self, fields: &Fields<'_>, remarks: &[String]) -> Outcome {
        let name = fields.text("Name").unwrap_or("a rule without a name").to_owned();
        if let Some(stem) = fields.text("ImmutableTag").and_then(names::stem) {
            return self.default_rule(&name, stem, fields.is_true("Disabled"));
        }
        let before = self.report.len();
        for remark in remarks {
            self.note(&name, Fate::Partly, remark);
        }
        match self.own_rule(&name, fields) {
            Ok(raw) => {
                let partly = self.report.len() > before;
                let text = if partly { "carried over, but for the above" } else { "carried over" };
                let fate = if partly { Fate::Partly } else { Fate::Carried };
                self.note(&name, fate, text);
                Outcome::Rule(Box::new(raw))
            }
            Err(LeftOut(why)) => {
                self.report.truncate(before);
                self.note(&name, Fate::LeftOut, why);
                Outcome::Nothing
            }
        }
    }

    fn note(&mut self, rule: &str, fate: Fate, text: impl Into<String>) {
        self.report.push(Note { rule: rule.to_owned(), fate, text: text.into() });
    }

    fn default_rule(&mut self, name: &str, stem: &str, is_off: bool) -> Outcome {
        let row = DEFAULT_RULES.iter().find(|(own, _)| own.eq_ignore_ascii_case(stem));
        match (row, is_off) {
            (Some((_, key)), true) if !key.is_empty() => {
                self.note(name, Fate::Default, format!("of the default set and off: {key} is off"));
                return Outcome::Disabled(key);
            }
            (_, true) => {
                let text = "of the default set and off: no one rule of ours stands for it";
                self.note(name, Fate::LeftOut, text);
            }
            (Some(_), false) => self.note(name, Fate::Default, "of the default set: ours stands"),
            (None, false) => {
                let text = "of a default set that is not known here: see whether ours does it";
                self.note(name, Fate::Default, text);
            }
        }
        Outcome::Nothing
    }

    fn own_rule(&mut self, name: &str, fields: &Fields<'_>) -> Result<RawRule, LeftOut> {
        let direction = direction(fields)?;
        let connector = fields.text("Connector").map(bare).unwrap_or_default();
        match (direction, connector == TENANT_CONNECTOR) {
            (Direction::Inbound, true) => return Err(left_out("nothing comes in from a tenant")),
            (Direction::Outbound, false) => {
                return Err(left_out("it writes to a forest, which rules do not"));
            }
            _ => {}
        }
        let (connected, metaverse) = match direction {
            Direction::Inbound => ("SourceObjectType", "TargetObjectType"),
            Direction::Outbound => ("TargetObjectType", "SourceObjectType"),
        };
        let object = fields.text(connected).unwrap_or_default();
        let known = match direction {
            Direction::Inbound => ObjectKind::ALL.map(ObjectKind::as_str).to_vec(),
            Direction::Outbound => TenantKind::ALL.map(TenantKind::as_str).to_vec(),
        };
        let object = known.into_iter().find(|kind| kind.eq_ignore_ascii_case(object));
        let object = object.ok_or_else(|| left_out("its kind of object is not synchronised"))?;
        let metaverse = fields.text(metaverse).and_then(names::metaverse);
        let metaverse = metaverse.ok_or_else(|| left_out("its metaverse kind is not known"))?;
        let precedence = precedence(fields)?;
        if fields
            .text("SoftDeleteExpiryInterval")
            .is_some_and(|text| text.contains(['1', '2', '3', '4', '5', '6', '7', '8', '9']))
        {
            self.note(name, Fate::Partly, "SoftDeleteExpiryInterval is not carried over");
        }
        let (flows, references) = self.flows(name, fields, direction, object);
        let target = self.connectors.get(&connector).filter(|_| direction == Direction::Inbound);
        if target.is_none() && direction == Direction::Inbound {
            let text =
                "it is for one forest whose name the export does not tell: here for every one";
            self.note(name, Fate::Partly, text);
        }
        let scope = self.scope(name, fields)?;
        Ok(RawRule {
            place: place(),
            key: Some(at(self.key(name))),
            name: Some(at(name.to_owned())),
            clone: None,
            direction: Some(at(direction)),
            connected: target.map(|name| at(name.clone())),
            objects: Some(vec![at(object.to_owned())]),
            metaverse: Some(at(metaverse)),
            linking: Some(at(linking(fields)?)),
            precedence: Some(at(precedence)),
            scope: Some(scope),
            except: None,
            joins: Some(self.joins(name, fields, direction)),
            flows: Some(flows),
            references: Some(references),
            password: Some(at(fields.is_true("EnablePasswordSync"))),
            disabled: Some(at(fields.is_true("Disabled"))),
        })
    }

    /// A key made of a name, that no other rule has.
    fn key(&mut self, name: &str) -> String {
        let letters = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' });
        let words = letters.collect::<String>();
        let mut stem = words.split_whitespace().collect::<Vec<_>>().join("-");
        stem.truncate(80);
        let base = format!("entra.{stem}");
        let mut key = base.clone();
        let mut number = 1_u32;
        while !self.keys.insert(key.clone()) {
            number += 1;
            key = format!("{base}-{number}");
        }
        key
    }

    fn scope(&mut self, name: &str, fields: &Fields<'_>) -> Result<Vec<Vec<RawClause>>, LeftOut> {
        let mut groups = Vec::new();
        for group in fields.objects("ScopeFilter") {
            let clauses: Result<Vec<_>, _> = group
                .objects("ScopeConditionList")
                .map(|clause| self.clause(name, &clause))
                .collect();
            // A rule whose scope is not carried over whole would be for other objects than it was.
            let clauses = clauses?;
            if !clauses.is_empty() {
                groups.push(clauses);
            }
        }
        Ok(groups)
    }

    fn clause(&mut self, rule: &str, fields: &Fields<'_>) -> Result<RawClause, LeftOut> {
        let attribute =
            fields.text("Attribute").ok_or_else(|| left_out("a scope without attribute"))?;
        let named = fields.text("ComparisonOperator").and_then(operator).ok_or_else(|| {
            left_out("an operator of its scope is not known by name: export with -EnumsAsStrings")
        })?;
        let value = fields.text("ComparisonValue").unwrap_or_default();
        let mut values = vec![value];
        if matches!(named.name, "ISIN" | "ISNOTIN") {
            values =
                value.split([';', ',']).map(str::trim).filter(|text| !text.is_empty()).collect();
            let text = format!("{} {attribute}: check how its values were divided", named.name);
            self.note(rule, Fate::Partly, text);
        }
        if named.values == Arity::None {
            values.clear();
        }
        let values = values.into_iter().map(|text| at(Scalar::Text(text.to_owned()))).collect();
        let attribute = at(names::attribute(attribute).to_owned());
        Ok(RawClause { attribute, operator: at(named), values, case: false })
    }

    fn joins(
        &mut self,
        name: &str,
        fields: &Fields<'_>,
        direction: Direction,
    ) -> Vec<Vec<RawJoin>> {
        let mut groups = Vec::new();
        for group in fields.objects("JoinFilter") {
            let joins = group.objects("JoinConditionList").map(|join| {
                let attribute =
                    |key| join.text(key).map(|name| at(names::attribute(name).to_owned()));
                let (source, target) = (attribute("CSAttribute")?, attribute("MVAttribute")?);
                Some(RawJoin { source, target, case: join.is_true("CaseSensitive") })
            });
            // A group without one of its conditions would join more than it did.
            match joins.collect::<Option<Vec<_>>>() {
                Some(joins) if joins.is_empty() => {}
                Some(joins) => groups.push(joins),
                None => {
                    let text = "a join is left out: it does not name both of its attributes";
                    self.note(name, Fate::Partly, text);
                }
            }
        }
        if direction == Direction::Outbound && !groups.is_empty() {
            let text =
                "its joins are not carried over: a tenant's objects are found by their anchors";
            self.note(name, Fate::Partly, text);
            groups.clear();
        }
        groups
    }

    fn flows(
        &mut self,
        name: &str,
        fields: &Fields<'_>,
        direction: Direction,
        object: &str,
    ) -> (Vec<RawFlow>, Vec<RawReference>) {
        let (mut flows, mut references) = (Vec::new(), Vec::new());
        for mapping in fields.objects("AttributeFlowMappings") {
            let Some(destination) = mapping.text("Destination") else { continue };
            match flow(&mapping, destination, direction, object) {
                Ok(Mapped::Flow(flow)) => flows.push(flow),
                Ok(Mapped::Reference(flow)) => references.push(flow),
                Err(LeftOut(why)) => {
                    self.note(
                        name,
                        Fate::Partly,
                        format!("the flow to {destination} is left out: {why}"),
                    );
                }
            }
        }
        (flows, references)
    }
}

enum Mapped {
    Flow(RawFlow),
    Reference(RawReference),
}

fn flow(
    mapping: &Fields<'_>,
    destination: &str,
    direction: Direction,
    object: &str,
) -> Result<Mapped, LeftOut> {
    let target = match direction {
        Direction::Inbound => names::attribute(destination),
        Direction::Outbound => {
            let name = tenant_spelling(names::tenant_attribute(destination));
            let kind = TenantKind::from_name(object);
            if kind.is_none_or(|kind| !is_of_tenant(name, kind)) {
                return Err(left_out("a tenant's object has no such attribute"));
            }
            name
        }
    };
    let wanted = wanted(direction, object, target);
    let target = at(target.to_owned());
    let sources: Vec<_> = mapping.items("Source").iter().filter_map(Json::as_str).collect();
    let kind = mapping.text("FlowType").map(str::to_ascii_lowercase);
    let given = match (kind.as_deref(), mapping.text("Expression"), sources.as_slice()) {
        (Some("expression") | None, Some(text), _) => expression(text, wanted)?,
        (Some("constant"), _, [text]) => RawGiven::Constant(at(constant(text, wanted)?)),
        (Some("direct") | None, _, [source]) => {
            let source = names::attribute(source);
            let syntaxes = Syntaxes::default();
            let known = types::of_source(Side::of_source(direction), source, &syntaxes);
            let form = known.map(|known| known.syntax.form());
            if form == Some(Form::Reference) {
                let source = at(source.to_owned());
                return Ok(Mapped::Reference(RawReference { target, source }));
            }
            match (known.map(|known| known.syntax), wanted) {
                // Entra ID's connector takes the octets, Graph shows the text.
                (Some(Syntax::Sid), Some(Form::Text)) => {
                    let text = format!("IIF(IsPresent([{source}]),StringFromSid([{source}]),NULL)");
                    RawGiven::Expression(at(text))
                }
                (_, Some(wanted)) if form.is_some_and(|form| form != wanted) => {
                    return Err(LeftOut(format!("it takes {} here", wanted.as_str())));
                }
                _ => RawGiven::Source(at(source.to_owned())),
            }
        }
        _ => return Err(left_out("it is neither direct nor constant nor an expression")),
    };
    let merge = match mapping.text("ValueMergeType").unwrap_or("Update") {
        "Merge" => Merge::Merge,
        "MergeCaseInsensitive" => Merge::MergeCaseInsensitive,
        _ => Merge::Update,
    };
    Ok(Mapped::Flow(RawFlow { target, given, once: mapping.is_true("ExecuteOnce"), merge }))
}

/// What the attribute that a flow gives holds here.
fn wanted(direction: Direction, object: &str, target: &str) -> Option<Form> {
    let kind = match direction {
        Direction::Inbound => ObjectKind::from_name(object).map(ConnectedKind::Forest),
        Direction::Outbound => TenantKind::from_name(object).map(ConnectedKind::Target),
    };
    types::of_target(direction, &[kind?], target, &Syntaxes::default())
}

fn expression(text: &str, wanted: Option<Form>) -> Result<RawGiven, LeftOut> {
    let compiled = Expression::compile(text, &mut Dictionary::default())
        .map_err(|error| LeftOut(format!("its expression does not compile: {error}")))?;
    let kinds = compiled.kinds();
    match wanted {
        Some(form) if !kinds.is_none() && !kinds.meets(types::kinds(form)) => {
            Err(LeftOut(format!("it takes {} here, and comes to {kinds}", form.as_str())))
        }
        _ => Ok(RawGiven::Expression(at(text.to_owned()))),
    }
}

fn constant(text: &str, wanted: Option<Form>) -> Result<Scalar, LeftOut> {
    let wrong = |form: Form| LeftOut(format!("it takes {} here, not {text:?}", form.as_str()));
    match wanted {
        None | Some(Form::Text) => Ok(Scalar::Text(text.to_owned())),
        Some(form @ Form::Boolean) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Scalar::Boolean(true)),
            "false" => Ok(Scalar::Boolean(false)),
            _ => Err(wrong(form)),
        },
        Some(form @ Form::Integer) => text.parse().map(Scalar::Integer).map_err(|_| wrong(form)),
        Some(form @ (Form::Octets | Form::Reference)) => Err(wrong(form)),
    }
}

fn direction(fields: &Fields<'_>) -> Result<Direction, LeftOut> {
    match fields.text("Direction").map(str::to_ascii_lowercase).as_deref() {
        Some("inbound") => Ok(Direction::Inbound),
        Some("outbound") => Ok(Direction::Outbound),
        _ => Err(left_out("its direction is not known by name: export with -EnumsAsStrings")),
    }
}

fn linking(fields: &Fields<'_>) -> Result<Linking, LeftOut> {
    match fields.text("LinkType").map(str::to_ascii_lowercase).as_deref() {
        Some("provision") => Ok(Linking::Provision),
        Some("join") => Ok(Linking::Join),
        Some("stickyjoin") => Ok(Linking::StickyJoin),
        _ => Err(left_out("its link type is not known by name: export with -EnumsAsStrings")),
    }
}

/// Rules before the default set stay before it, those behind it stay behind.
fn precedence(fields: &Fields<'_>) -> Result<i64, LeftOut> {
    match fields.number("Precedence") {
        Some(number @ 1..=99) => Ok(number),
        Some(number @ 100..=800_000) => Ok(number + 100_000),
        _ => Err(left_out("it has no precedence")),
    }
}

fn left_out(why: &str) -> LeftOut {
    LeftOut(why.to_owned())
}

pub(super) fn place() -> Place {
    Place { file: "export".into(), line: 1, column: 1 }
}

pub(super) fn at<T>(value: T) -> At<T> {
    At { value, place: place() }
}
