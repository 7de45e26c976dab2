//! A plan as it is shown: each change with what it comes from, then groups of those that do the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use portolan_model::SourceAnchor;
use portolan_store::state::{Place, PlannedReference, ReferencePlace, State};
use portolan_sync::engine::explain::RuleTrace;
use portolan_sync::engine::plan::{
    AttributeChange, Cause, Operation, PlanEntry, PlanGroup, PlanGroups, Reason,
};
use portolan_sync::engine::{Neighbourhood, ObjectKey};
use portolan_sync::record::{Value, ValueRef};
use portolan_sync::rules::{RuleId, operator_name};
use serde::Serialize;

use super::entries::{Pending, Planning};
use crate::report::Failure;
use crate::terminal::plain;

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 120;
/// Objects that a change of references names; of the others their number.
const NAMED_MAX: usize = 10;
/// Groups that are shown.
const GROUPS_MAX: usize = 200;

/// One change, as `connect plan` shows it.
#[derive(Serialize)]
struct Shown {
    change: &'static str,
    kind: &'static str,
    anchor: String,
    name: Option<String>,
    reason: String,
    /// What keeps the object out of each rule that could have it.
    kept_out: Vec<String>,
    attributes: Vec<Attribute>,
}

/// What changes of an attribute.
#[derive(Serialize)]
struct Attribute {
    name: String,
    before: Vec<String>,
    after: Vec<String>,
    /// The outbound rules that give it.
    rules: Vec<String>,
    because: Vec<String>,
}

/// What changes of the references of one attribute of one object.
#[derive(Serialize)]
struct References {
    change: &'static str,
    kind: &'static str,
    anchor: String,
    name: Option<String>,
    attribute: String,
    added: usize,
    removed: usize,
    /// The first of them, added ones with a plus and removed ones with a minus.
    named: Vec<String>,
}

/// Objects of a kind that the target cannot have: nothing is to become of them.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Unable {
    change: &'static str,
    kind: &'static str,
    count: usize,
    why: String,
}

/// Everything that the target cannot have.
#[derive(Debug, Default)]
struct Impossible {
    anchors: BTreeSet<SourceAnchor>,
    counts: BTreeMap<(&'static str, String), usize>,
}

impl Impossible {
    /// Counts what is impossible. Gives the rest.
    fn divide(&mut self, pending: Vec<Pending>) -> Vec<Pending> {
        let mut possible = Vec::with_capacity(pending.len());
        for one in pending {
            let Some(why) = &one.inability else {
                possible.push(one);
                continue;
            };
            *self.counts.entry((one.export.kind.as_str(), why.clone())).or_default() += 1;
            self.anchors.insert(one.export.anchor);
        }
        possible
    }

    fn has(&self, anchor: &SourceAnchor) -> bool {
        self.anchors.contains(anchor)
    }

    fn shown(&self) -> impl Iterator<Item = Unable> {
        let one = |((kind, why), count): (&(&'static str, String), &usize)| Unable {
            change: "unable",
            kind,
            count: *count,
            why: why.clone(),
        };
        self.counts.iter().map(one)
    }
}

/// Shows plans.
pub(super) struct Show<'a> {
    planning: &'a Planning<'a>,
    before: &'a State,
    json: bool,
    /// Every rule that the state has ever known.
    keys: HashMap<RuleId, String>,
    is_first: bool,
}

impl<'a> Show<'a> {
    pub(super) async fn new(
        planning: &'a Planning<'a>,
        before: &'a State,
        json: bool,
    ) -> Result<Self, Failure> {
        // In the order in which they got their numbers, as the rules are compiled with them.
        let known = planning.state.rule_keys().await?;
        let numbers = (0..).map(RuleId);
        let keys = numbers.zip(known.into_iter().map(|(_, key)| key)).collect();
        Ok(Self { planning, before, json, keys, is_first: true })
    }

    /// Shows all of a plan.
    pub(super) async fn all(mut self) -> Result<(), Failure> {
        let mut groups = PlanGroups::default();
        let mut counts = BTreeMap::<Operation, usize>::new();
        let mut impossible = Impossible::default();
        let mut after = Place::default();
        loop {
            let pending = self.planning.next(&mut after).await?;
            if pending.is_empty() {
                break;
            }
            let pending = impossible.divide(pending);
            let entries = self.planning.entries(&pending, self.before).await?;
            let mut pending = pending.iter();
            for entry in &entries {
                let own = |one: &&Pending| {
                    one.export.anchor == entry.anchor && one.export.kind == entry.kind
                };
                let Some(of) = pending.find(own) else { continue };
                groups.add(entry);
                *counts.entry(entry.operation).or_default() += 1;
                let shown = self.shown(entry, of);
                if self.json { self.line(&shown)? } else { print(&shown) }
            }
        }
        let references = self.references(&impossible).await?;
        if self.json {
            for one in impossible.shown() {
                self.line(&one)?;
            }
            println!("{}", if self.is_first { "[]" } else { "]" });
            return Ok(());
        }
        self.groups(groups);
        for ((kind, attribute), [added, removed]) in references {
            println!(
                "{:>8}  {attribute} of {kind}: {added} added, {removed} removed",
                added + removed
            );
        }
        let count = |operation| counts.get(&operation).copied().unwrap_or_default();
        let (added, changed) = (count(Operation::Add), count(Operation::Update));
        println!("{added} to add, {changed} to change, {} to delete", count(Operation::Delete));
        for Unable { kind, count, why, .. } in impossible.shown() {
            println!("{count} of kind {kind} are not exported: {why}");
        }
        Ok(())
    }

    fn line(&mut self, shown: &impl Serialize) -> Result<(), Failure> {
        let line = serde_json::to_string(shown)
            .map_err(|error| Failure::because("cannot write the plan", &error))?;
        println!("{}{line}", if self.is_first { "[" } else { "," });
        self.is_first = false;
        Ok(())
    }

    fn groups(&self, groups: PlanGroups) {
        let groups = groups.finish();
        let further = groups.len().saturating_sub(GROUPS_MAX);
        for PlanGroup { operation, kind, reason, attributes, count, .. } in
            groups.into_iter().take(GROUPS_MAX)
        {
            let named: Vec<_> = attributes
                .iter()
                .map(|(id, rules)| {
                    let name = self.planning.rules.names.show(*id);
                    let keys: Vec<_> = rules.iter().map(|rule| self.key(*rule)).collect();
                    if keys.is_empty() {
                        name.to_string()
                    } else {
                        format!("{name} by {}", keys.join(" and "))
                    }
                })
                .collect();
            let what = if named.is_empty() { text(&reason) } else { named.join(", ") };
            println!("{count:>8}  {} {kind}: {}", word(operation), plain(&what));
        }
        if further > 0 {
            println!("          and {further} further groups of changes");
        }
    }

    /// Shows what changes of references. Gives how many are added and removed, by kind and attribute.
    async fn references(
        &mut self,
        impossible: &Impossible,
    ) -> Result<BTreeMap<(&'static str, String), [usize; 2]>, Failure> {
        let mut counts = BTreeMap::<_, [usize; 2]>::new();
        let mut shown: Option<References> = None;
        let mut after = ReferencePlace::default();
        loop {
            let references = self.planning.references(&mut after).await?;
            if references.is_empty() {
                break;
            }
            for planned in references {
                let PlannedReference { reference, source_name, target_name } = planned;
                if impossible.has(&reference.anchor) || impossible.has(&reference.target) {
                    continue;
                }
                let attribute = self.planning.rules.names.show(reference.attribute).to_string();
                let (kind, anchor) = (reference.kind.as_str(), reference.anchor.to_string());
                let count = counts.entry((kind, attribute.clone())).or_default();
                count[usize::from(!reference.is_added)] += 1;
                let same =
                    |shown: &References| (&shown.anchor, &shown.attribute) == (&anchor, &attribute);
                if !shown.as_ref().is_some_and(same) {
                    self.reference(shown.take())?;
                }
                let set = shown.get_or_insert_with(|| References {
                    change: "references",
                    kind,
                    anchor,
                    name: source_name,
                    attribute,
                    added: 0,
                    removed: 0,
                    named: Vec::new(),
                });
                *(if reference.is_added { &mut set.added } else { &mut set.removed }) += 1;
                if set.named.len() < NAMED_MAX {
                    let sign = if reference.is_added { '+' } else { '-' };
                    let who = target_name.unwrap_or_else(|| reference.target.to_string());
                    set.named.push(format!("{sign}{who}"));
                }
            }
        }
        self.reference(shown)?;
        Ok(counts)
    }

    fn reference(&mut self, shown: Option<References>) -> Result<(), Failure> {
        let Some(shown) = shown else { return Ok(()) };
        if self.json {
            return self.line(&shown);
        }
        let References { kind, anchor, name, attribute, added, removed, named, .. } = &shown;
        let name = plain(name.as_deref().unwrap_or("-"));
        println!("{attribute:<7} {kind:<7} {anchor}  {name}: {added} added, {removed} removed");
        for who in named {
            println!("          {}", plain(who));
        }
        let further = (added + removed).saturating_sub(named.len());
        if further > 0 {
            println!("          and {further} more");
        }
        Ok(())
    }

    fn shown(&self, entry: &PlanEntry, pending: &Pending) -> Shown {
        let attribute = |change: &AttributeChange| Attribute {
            name: self.planning.rules.names.show(change.attribute).to_string(),
            before: change.before.iter().map(short).collect(),
            after: change.after.iter().map(short).collect(),
            rules: change.rules.iter().map(|rule| self.key(*rule).to_owned()).collect(),
            because: change.causes.iter().map(|c| self.cause(c, &pending.neighbourhood)).collect(),
        };
        Shown {
            change: word(entry.operation),
            kind: entry.kind.as_str(),
            anchor: entry.anchor.to_string(),
            name: pending.name(&self.planning.rules.names),
            reason: text(&entry.reason),
            kept_out: entry.kept_out.iter().map(|trace| self.kept_out(trace)).collect(),
            attributes: entry.changes.iter().map(attribute).collect(),
        }
    }

    fn key(&self, rule: RuleId) -> &str {
        self.keys.get(&rule).map_or("a rule that is gone", String::as_str)
    }

    fn cause(&self, cause: &Cause, neighbourhood: &Neighbourhood) -> String {
        let name = |object: &ObjectKey| {
            let found = neighbourhood.staged.iter().find(|staged| staged.key == *object);
            found.map_or("an object that is gone", |staged| staged.dn.as_str())
        };
        match cause {
            Cause::Source { object, attributes, rule } => {
                let names = attributes.iter().map(|id| self.planning.rules.names.show(*id));
                let names: Vec<_> = names.map(|name| name.to_string()).collect();
                format!("{} of {} changed, by {}", names.join(", "), name(object), self.key(*rule))
            }
            Cause::Linked { object, rule } => {
                format!("{} is new to it, by {}", name(object), self.key(*rule))
            }
            Cause::Unlinked { object } => format!("{} gives it no more", name(object)),
            Cause::Rule { object, rule } => {
                format!("{} gives it otherwise than before, of {}", self.key(*rule), name(object))
            }
            Cause::RuleEnded { rule } => format!("{} gives it no more", self.key(*rule)),
            Cause::Waiting => "it was to be exported before".to_owned(),
            Cause::Outbound => {
                "an outbound rule or the tenant's domains are others, or the tenant has something else"
                    .to_owned()
            }
        }
    }

    fn kept_out(&self, trace: &RuleTrace) -> String {
        let why = trace.exception.as_deref().unwrap_or("out of scope");
        let clauses: Vec<_> = trace
            .clauses
            .iter()
            .map(|met| {
                let clause = &met.clause;
                let values: Vec<_> = clause.values.iter().map(short).collect();
                let has: Vec<_> = met.met.iter().map(short).collect();
                format!(
                    "{} {} {}; it has {}",
                    self.planning.rules.names.show(clause.attribute),
                    operator_name(clause.operator, clause.negated),
                    values.join(" "),
                    listed(&has)
                )
            })
            .collect();
        format!("{}: {why}: {}", self.key(trace.rule), clauses.join("; or "))
    }
}

fn print(shown: &Shown) {
    let Shown { change, kind, anchor, name, reason, kept_out, attributes } = shown;
    let name = plain(name.as_deref().unwrap_or("-"));
    println!("{change:<7} {kind:<7} {anchor}  {name}: {}", plain(reason));
    for kept_out in kept_out {
        println!("          {}", plain(kept_out));
    }
    if *change != "change" {
        return;
    }
    for Attribute { name, before, after, because, .. } in attributes {
        println!("          {name}: {} -> {}", listed(before), listed(after));
        for because in because {
            println!("            {}", plain(because));
        }
    }
}

const fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Add => "add",
        Operation::Update => "change",
        Operation::Delete => "delete",
    }
}

fn text(reason: &Reason) -> String {
    match reason {
        Reason::Flows => "rules give it other values".to_owned(),
        Reason::New => "it is new in the forest".to_owned(),
        Reason::EnteredScope => "rules take it now, and did not before".to_owned(),
        Reason::Waiting => "it was to be added before".to_owned(),
        Reason::Gone => "it is gone from the forest".to_owned(),
        Reason::Unclaimed => "the tenant has it, and no object of the forest is it".to_owned(),
        Reason::Filtered(why) => format!("a filter leaves it out: {why}"),
        Reason::LeftScope => "no inbound rule takes it any more".to_owned(),
        Reason::LeftOutboundScope => "no outbound rule takes it any more".to_owned(),
        Reason::KindChanged => "it is to be of another kind, and is made again".to_owned(),
    }
}

fn listed(values: &[String]) -> String {
    if values.is_empty() { "nothing".to_owned() } else { plain(&values.join(", ")).to_string() }
}

fn short(value: &Value) -> String {
    let text = ValueRef::to_shown(value.borrow());
    let short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
