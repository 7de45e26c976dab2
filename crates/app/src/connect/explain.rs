//! `portolan connect explain` and `connect object search`: where each value of an object comes from, and
//! why an object is absent. From the state alone, without the network.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;

use portolan_store::state::{Queued, State};
use portolan_sync::Dictionary;
use portolan_sync::engine::explain::{
    AttributeTrace, Explanation, FlowOutcome, FlowTrace, RuleTrace, StagedTrace,
};
use portolan_sync::engine::{Engine, LinkDecision, Moment, ObjectKey, Staged};
use portolan_sync::record::{Value, ValueRef};
use portolan_sync::rules::{Linking, operator_name};

use super::config::Config;
use super::cycle::{FILE, domains_of};
use super::synchronise::{Connected, Ruleset, Surroundings};
use crate::report::Failure;
use crate::terminal::plain;

/// Objects that a search shows.
const FOUND_MAX: u32 = 100;
/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 120;

/// What `connect explain` and `connect object search` are told.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Part of the object's name, or a value of one of its attributes
    text: String,
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
}

/// Runs `connect object search`.
pub(super) async fn search(which: Which) -> Result<(), Failure> {
    let config = Config::read(&which.state)?;
    let state = State::open(&which.state.join(FILE)).await?;
    let connected = Connected::of(&state, &config).await?;
    let found = state.find_objects(&which.text, FOUND_MAX).await?;
    for object in &found {
        let linked = if object.link.is_some() { "linked" } else { "without a link" };
        let forest = of_forest(&connected, object);
        println!("{:<12} {}{forest}  {linked}", object.kind.as_str(), plain(&object.dn));
    }
    let more = if found.len() == FOUND_MAX as usize { " at least" } else { "" };
    println!("{}{more} found", found.len());
    Ok(())
}

/// Runs `connect explain`.
pub(super) async fn run(which: Which) -> Result<(), Failure> {
    let config = Config::read(&which.state)?;
    let state = State::open(&which.state.join(FILE)).await?;
    let mut found = state.find_objects(&which.text, 2).await?;
    // A whole name is one object's, whatever else has it in its own.
    if found.iter().any(|object| object.dn.eq_ignore_ascii_case(&which.text)) {
        found.retain(|object| object.dn.eq_ignore_ascii_case(&which.text));
    }
    let [object] = found.as_slice() else {
        let what = if found.is_empty() { "no object has" } else { "several objects have" };
        return Err(Failure::new(format!("{what} {:?} in their names or values", which.text))
            .with_hint("`portolan connect object search` lists them"));
    };
    let rules = Ruleset::read(&which.state, &state).await?;
    let connected = Connected::of(&state, &config).await?;
    let domains = domains_of(&state, &connected, &config).await?;
    let engine = rules.engine(&connected, &domains);
    let surroundings = Surroundings::by(&state, &rules, &connected).await?;
    let mut telling = Telling { rules: &rules, engine: &engine, others: HashMap::new() };
    println!("{}", told_of(&connected, object));
    if let Some(reason) = surroundings.left_out(&state, object).await? {
        println!("left out by a filter: {}", plain(&reason));
        return Ok(());
    }
    if object.link.is_none() {
        let mut object = object.clone();
        surroundings.complete(&state, &mut [&mut object]).await?;
        telling.unlinked(&state, &object).await?;
        return Ok(());
    }
    let queued = [Queued { key: object.key, ticket: 0 }];
    let random = Cell::new(0);
    let moment = Moment { now: portolan_net::clock::now(), random: &random };
    for mut found in state.neighbourhoods_of(&queued).await? {
        let mut staged: Vec<_> = found.neighbourhood.staged.iter_mut().collect();
        surroundings.complete(&state, &mut staged).await?;
        let staged = &found.neighbourhood.staged;
        telling.others = staged.iter().map(|one| (one.key, told_of(&connected, one))).collect();
        telling.linked(&engine.explain(&found.neighbourhood, &moment), object.key);
    }
    Ok(())
}

/// Which forest an object is of, where there are several.
fn of_forest(connected: &Connected, object: &Staged) -> String {
    let forest = connected.forest(object.connector).filter(|_| connected.forests.len() > 1);
    forest.map(|forest| format!(" of {}", forest.domain)).unwrap_or_default()
}

fn told_of(connected: &Connected, object: &Staged) -> String {
    let forest = of_forest(connected, object);
    format!("{} ({}{forest})", plain(&object.dn), object.kind.as_str())
}

struct Telling<'a> {
    rules: &'a Ruleset,
    engine: &'a Engine<'a>,
    /// What is joined to the same metaverse object, as it is told.
    others: HashMap<ObjectKey, String>,
}

impl Telling<'_> {
    async fn unlinked(&self, state: &State, object: &Staged) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for lookup in self.engine.lookups(object) {
            let asked = [(object.connector, lookup)];
            answers.push(state.find_join(&asked).await?.pop().unwrap_or_default());
        }
        let trace = self.engine.explain_unlinked(object, &answers);
        match &trace.link {
            Some(LinkDecision::Refused(fault)) => println!("not synchronised: {fault}"),
            Some(LinkDecision::Stay) | None => println!("not synchronised: no rule takes it"),
            Some(_) => println!("not synchronised yet: the next run links it"),
        }
        self.scopes(&trace);
        for (lookup, found) in &trace.joins {
            println!("  join of {}: {} found", self.key(lookup.rule), found.len());
        }
        Ok(())
    }

    /// The rules that could have taken an object, and what kept it out of each.
    fn scopes(&self, trace: &StagedTrace) {
        for rule in trace.rules.iter().filter(|rule| rule.linking == Linking::Provision) {
            self.scope(rule);
        }
    }

    fn scope(&self, rule: &RuleTrace) {
        if rule.holds {
            println!("  {}: in scope", self.key(rule.rule));
            return;
        }
        let why = rule.exception.as_deref().unwrap_or("out of scope");
        println!("  {}: {}", self.key(rule.rule), plain(why));
        for clause in &rule.clauses {
            let wanted = &clause.clause;
            let values: Vec<_> = wanted.values.iter().map(shown).collect();
            println!(
                "    {} {} {}; it has {}",
                self.names().show(wanted.attribute),
                operator_name(wanted.operator, wanted.negated),
                values.join(" "),
                listed(&clause.met),
            );
        }
    }

    fn linked(&self, explanation: &Explanation, object: ObjectKey) {
        for trace in explanation.staged.iter().filter(|trace| trace.object == object) {
            let holding = trace.rules.iter().filter(|rule| rule.holds);
            let keys: Vec<_> = holding.map(|rule| self.key(rule.rule)).collect();
            println!("in scope of {}", keys.join(", "));
        }
        for other in explanation.staged.iter().filter(|trace| trace.object != object) {
            println!("joined with {}", self.others.get(&other.object).map_or("-", String::as_str));
        }
        for target in &explanation.targets {
            match &target.object {
                None => {
                    println!("in the tenant: not there");
                    target.rules.iter().for_each(|rule| self.scope(rule));
                }
                Some(object) => {
                    let pending = if object.pending.is_some() { ", to be exported" } else { "" };
                    println!("in the tenant: {} {}{pending}", object.kind, object.anchor);
                }
            }
            for attribute in &target.attributes {
                self.attribute(attribute, &explanation.attributes);
            }
        }
        for error in &explanation.decision.errors {
            println!("error: {}", plain(&error.fault.to_string()));
        }
    }

    /// An attribute of the tenant's, the rule that gives it, and where that has it from.
    fn attribute(&self, trace: &AttributeTrace, metaverse: &[AttributeTrace]) {
        let says = |flow: &FlowTrace| outcome(&flow.outcome).is_some();
        if trace.values.is_empty() && !trace.flows.iter().any(says) {
            return;
        }
        println!("  {} = {}", self.names().show(trace.attribute), listed(&trace.values));
        for flow in &trace.flows {
            if let Some(lost) = outcome(&flow.outcome) {
                println!("    by {}: {lost}", self.key(flow.rule));
            }
            for read in &flow.reads {
                let inner = metaverse.iter().find(|inner| inner.attribute == *read);
                for from in inner.into_iter().flat_map(|inner| &inner.flows) {
                    let Some(outcome) = outcome(&from.outcome) else { continue };
                    let read: Vec<_> =
                        from.reads.iter().map(|id| self.names().show(*id).to_string()).collect();
                    let name = self.names().show(*read_of(inner, trace));
                    println!(
                        "      {name} by {} of [{}]: {outcome}",
                        self.key(from.rule),
                        read.join(", ")
                    );
                }
            }
        }
    }

    const fn names(&self) -> &Dictionary {
        &self.rules.names
    }

    fn key(&self, rule: portolan_sync::rules::RuleId) -> &str {
        self.engine.rule(rule).map_or("a rule that is gone", |rule| rule.key.as_str())
    }
}

/// The metaverse's attribute of a trace, or the one that was asked for.
fn read_of<'a>(
    inner: Option<&'a AttributeTrace>,
    outer: &'a AttributeTrace,
) -> &'a portolan_sync::AttributeId {
    inner.map_or(&outer.attribute, |inner| &inner.attribute)
}

fn outcome(outcome: &FlowOutcome) -> Option<String> {
    Some(match outcome {
        FlowOutcome::Given(_) => "gives it".to_owned(),
        FlowOutcome::Lost(values) => format!("loses, with {}", listed(values)),
        FlowOutcome::Null => return None,
        FlowOutcome::AuthoritativeNull => "says that there is none".to_owned(),
        FlowOutcome::Ignored => "is ignored this time".to_owned(),
        FlowOutcome::Failed(text) => format!("failed: {}", plain(text)),
    })
}

fn listed(values: &[Value]) -> String {
    if values.is_empty() {
        return "nothing".to_owned();
    }
    values.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    let text = match value.borrow() {
        ValueRef::Text(text) => format!("{text:?}"),
        other => other.to_shown().into_owned(),
    };
    let short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
