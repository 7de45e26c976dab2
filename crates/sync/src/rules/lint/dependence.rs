//! Attributes that depend on themselves: what goes out to a system and comes in from it again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Linter, Severity};
use crate::dictionary::AttributeId;
use crate::rules::model::{Direction, MetaverseKind, Rule};

/// An attribute somewhere: of the metaverse's kind, or of a system that is both a forest and a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node<'l> {
    Metaverse(MetaverseKind, AttributeId),
    System(&'l str, AttributeId),
}

impl<'l> Linter<'l> {
    /// Ways from an attribute of the metaverse through a system back to it.
    pub(super) fn cycles(&mut self) {
        let is_target =
            |name: &&String| self.systems.targets.iter().any(|t| t.eq_ignore_ascii_case(name));
        let both: Vec<&str> =
            self.systems.forests.iter().filter(is_target).map(String::as_str).collect();
        let mut edges: BTreeMap<Node<'_>, Vec<(Node<'_>, &'l Rule)>> = BTreeMap::new();
        for rule in self.all() {
            for system in both.iter().filter(|name| rule.connected.is(name)) {
                for (source, target) in pairs(rule) {
                    let inner = |attribute| Node::Metaverse(rule.metaverse, attribute);
                    let outer = |attribute| Node::System(system, attribute);
                    let (from, to) = match rule.direction {
                        Direction::Inbound => (outer(source), inner(target)),
                        Direction::Outbound => (inner(source), outer(target)),
                    };
                    edges.entry(from).or_default().push((to, rule));
                }
            }
        }
        let mut told = BTreeSet::new();
        for start in edges.keys().filter(|node| matches!(node, Node::Metaverse(..))) {
            let Some(rule) = returns(*start, &edges) else { continue };
            if let Node::Metaverse(_, attribute) = start
                && told.insert((rule.id, *attribute))
            {
                let name = self.names.show(*attribute);
                let text = format!("{name} goes out to the system that it comes from");
                let hint = "read another attribute there, or give it from one forest alone";
                self.find(Severity::Warning, rule, text, hint);
            }
        }
    }
}

/// Each attribute that a rule reads for one that it gives.
fn pairs(rule: &Rule) -> impl Iterator<Item = (AttributeId, AttributeId)> {
    let flows = rule
        .flows
        .iter()
        .flat_map(|flow| flow.given.reads().iter().map(move |source| (*source, flow.target)));
    flows.chain(rule.references.iter().map(|flow| (flow.source, flow.target)))
}

/// The rule by which a way from an attribute comes back to it.
fn returns<'l>(
    start: Node<'l>,
    edges: &BTreeMap<Node<'l>, Vec<(Node<'l>, &'l Rule)>>,
) -> Option<&'l Rule> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(node) = waiting.pop() {
        for (to, rule) in edges.get(&node).into_iter().flatten() {
            if *to == start {
                return Some(rule);
            }
            if seen.insert(*to) {
                waiting.push(*to);
            }
        }
    }
    None
}
