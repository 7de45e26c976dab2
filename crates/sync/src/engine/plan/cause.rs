//! What a change of an attribute comes from: which attribute of which object of a forest, or which rule.

use std::collections::BTreeSet;

use super::Seen;
use crate::dictionary::AttributeId;
use crate::engine::explain::{AttributeTrace, FlowTrace};
use crate::engine::model::{ObjectKey, Staged, TargetObject, ValueOrigin};
use crate::rules::RuleId;

/// What a change of an attribute comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Attributes of an object of a forest are other than before, and a rule reads them.
    Source {
        /// The object.
        object: ObjectKey,
        /// Those of its attributes that the rule reads and that changed.
        attributes: Vec<AttributeId>,
        /// The inbound rule.
        rule: RuleId,
    },
    /// An object of a forest contributes that did not before: it is new, or was linked.
    Linked {
        /// The object.
        object: ObjectKey,
        /// The inbound rule by which it does.
        rule: RuleId,
    },
    /// An object of a forest contributes no more: it is gone, or its link ended.
    Unlinked {
        /// The object.
        object: ObjectKey,
    },
    /// An inbound rule gives it that did not before, or gives something else of the same attributes.
    Rule {
        /// The object that it reads.
        object: ObjectKey,
        /// The rule.
        rule: RuleId,
    },
    /// An inbound rule that gave it does so no more.
    RuleEnded {
        /// The rule.
        rule: RuleId,
    },
    /// It was to be exported before, and was not yet.
    Waiting,
    /// What the metaverse has is as before: an outbound rule, or what it depends on, is another, or the
    /// target has something else.
    Outbound,
}

impl Seen<'_> {
    /// What a change of an attribute of a target's object comes from.
    pub(super) fn causes(
        &self,
        object: &TargetObject,
        trace: Option<&AttributeTrace>,
        attribute: AttributeId,
    ) -> Vec<Cause> {
        let flows = trace.into_iter().flat_map(|trace| &trace.flows);
        let read: BTreeSet<_> = flows.flat_map(|flow| &flow.reads).copied().collect();
        let mut causes: Vec<_> = read.into_iter().filter_map(|read| self.cause(read)).collect();
        if causes.is_empty() {
            let mut former = self.before.iter().flat_map(|before| &before.targets);
            let former = former.find(|one| one.anchor == object.anchor && one.pending.is_some());
            let wished = former.and_then(TargetObject::desired).zip(object.desired());
            let waits = wished
                .is_some_and(|(before, now)| before.values(attribute).eq(now.values(attribute)));
            causes.push(if waits { Cause::Waiting } else { Cause::Outbound });
        }
        causes
    }

    /// What a change of an attribute of the metaverse object comes from; `None` when it did not change.
    fn cause(&self, attribute: AttributeId) -> Option<Cause> {
        let now = self.neighbourhood.metaverse.as_ref()?;
        let mut before = self.before.iter().filter_map(|before| before.metaverse.as_ref());
        let before = before.find(|before| before.key == now.key);
        let former = before.map(|before| before.record.values(attribute)).unwrap_or_default();
        if former.eq(now.record.values(attribute)) {
            return None;
        }
        let origin = now.origin(attribute);
        let ended = before.and_then(|before| before.origin(attribute));
        let either = origin.into_iter().chain(ended);
        if let Some(cause) = either.clone().find_map(|origin| self.source(attribute, origin)) {
            return Some(cause);
        }
        match (origin, ended) {
            (Some(ValueOrigin { object, rule, .. }), _) => Some(Cause::Rule { object, rule }),
            (None, Some(ValueOrigin { rule, .. })) => Some(Cause::RuleEnded { rule }),
            (None, None) => None,
        }
    }

    /// What changed of the object that an attribute comes from, or came from before.
    fn source(&self, attribute: AttributeId, origin: ValueOrigin) -> Option<Cause> {
        let ValueOrigin { object, rule, .. } = origin;
        let of = |staged: &&Staged| staged.key == object;
        let mut before = self.before.iter().flat_map(|before| &before.staged);
        let Some(now) = self.neighbourhood.staged.iter().find(of) else {
            return Some(Cause::Unlinked { object });
        };
        let Some(before) = before.find(of).filter(|before| before.link.is_some()) else {
            return Some(Cause::Linked { object, rule });
        };
        let mut traces = self.explanation.attributes.iter();
        let trace = traces.find(|trace| trace.attribute == attribute)?;
        let own = |flow: &&FlowTrace| flow.rule == rule && flow.object == Some(object);
        let reads = &trace.flows.iter().find(own)?.reads;
        let differs = |id: &AttributeId| !before.record.values(*id).eq(now.record.values(*id));
        let attributes: Vec<_> = reads.iter().copied().filter(differs).collect();
        (!attributes.is_empty()).then_some(Cause::Source { object, attributes, rule })
    }
}
