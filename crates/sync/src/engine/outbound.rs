//! From the metaverse to targets.

use super::anchoring::Standing;
use super::contribution::{Circumstances, Contributor, Settled, offers_in};
use super::decide::delete;
use super::decision::{ClaimAnswer, Decision, TargetChange};
use super::error::{Fault, Note, ObjectError, Subject};
use super::model::{ConnectorId, Feed, MetaverseObject, PendingExport, Staged, TargetObject};
use super::references;
use super::systems::{Engine, Moment};
use crate::kind::TenantKind;
use crate::record::{Record, RecordWriter};
use crate::rules::{ConnectedKind, Linking, Rule};
use crate::source::Source;

/// A metaverse object on its way to targets.
#[derive(Clone, Copy)]
pub(super) struct Outbound<'a> {
    pub(super) engine: &'a Engine<'a>,
    pub(super) metaverse: &'a MetaverseObject,
    /// Its attributes.
    pub(super) attributes: &'a dyn Source,
    /// The staging objects that are linked to it.
    pub(super) staged: &'a [&'a Staged],
    /// What its attributes come from.
    pub(super) contributors: &'a [Contributor<'a>],
    /// What is known of its claim to an anchor.
    pub(super) answer: ClaimAnswer,
    pub(super) moment: &'a Moment<'a>,
}

impl Engine<'_> {
    /// Decides about the object of each target. Of one in a target that is not connected any more,
    /// nothing is known and nothing is done.
    pub(super) fn outbound_flows(
        &self,
        outbound: &Outbound<'_>,
        former: &[TargetObject],
        decision: &mut Decision,
    ) {
        let mut standing = None;
        for target in self.targets() {
            let rules = self.outbound(*target, outbound.metaverse.kind).iter().copied();
            let holds = |(_, rule): &(usize, &Rule)| rule.scope.holds(outbound.attributes);
            let rules: Vec<_> = rules.enumerate().filter(holds).collect();
            let in_target = || former.iter().filter(|object| object.connector == *target);
            let own = in_target().find(|object| object.metaverse == outbound.metaverse.key);
            let change = match (provisioned(rules.iter().map(|(_, rule)| *rule)), own) {
                (None, own) => own.and_then(delete),
                // What it is in the target cannot change: it goes, and comes again.
                (Some(kind), Some(own)) if own.kind != kind && own.confirmed.is_some() => {
                    delete(own)
                }
                (Some(kind), own) => {
                    let standing =
                        standing.get_or_insert_with(|| self.standing(outbound, former, decision));
                    let adopted = |object: &&TargetObject| standing.is(&object.anchor);
                    let object = own.or_else(|| in_target().find(adopted));
                    outbound.flow((*target, kind), standing, &rules, object, decision)
                }
            };
            decision.targets.extend(change);
        }
    }
}

/// What the object is to be in the target; `None` when it is not to be there.
pub(super) fn provisioned<'r>(mut rules: impl Iterator<Item = &'r Rule>) -> Option<TenantKind> {
    let rule = rules.find(|rule| rule.linking == Linking::Provision)?;
    rule.objects.iter().find_map(|object| match object {
        ConnectedKind::Target(kind) => Some(*kind),
        ConnectedKind::Forest(_) => None,
    })
}

impl Outbound<'_> {
    /// The target's object as it is to be, if that is other than it is.
    fn flow(
        &self,
        (target, kind): (ConnectorId, TenantKind),
        standing: &Standing,
        rules: &[(usize, &Rule)],
        former: Option<&TargetObject>,
        decision: &mut Decision,
    ) -> Option<TargetChange> {
        let of_kind =
            |(_, rule): &&(usize, &Rule)| rule.objects.contains(&ConnectedKind::Target(kind));
        let rules: Vec<_> = rules.iter().filter(of_kind).copied().collect();
        let feeds = references::feeds(rules.iter().map(|(_, rule)| *rule), self.contributors);
        let anchor = match (standing, former) {
            (Standing::Held, _) | (Standing::Unsettled, None) => {
                return former.and_then(|former| hold(former, feeds));
            }
            (_, Some(former)) => &former.anchor,
            (Standing::Settled(anchor), None) => anchor,
        };
        let desired = self.desired(target, &rules, former, &mut decision.errors);
        let confirmed = former.and_then(|former| former.confirmed.as_ref());
        let pending = match confirmed {
            None => Some(PendingExport::Add(desired)),
            Some(confirmed) if *confirmed == desired => None,
            Some(_) => Some(PendingExport::Update(desired)),
        };
        let password = self.password(kind, &rules);
        let Some(former) = former else {
            return Some(TargetChange::Put(TargetObject {
                connector: target,
                metaverse: self.metaverse.key,
                kind,
                anchor: anchor.clone(),
                confirmed: None,
                pending,
                feeds,
                password,
            }));
        };
        let adopted = former.metaverse != self.metaverse.key;
        let same = former.pending == pending && former.feeds == feeds;
        if same && former.password == password && former.kind == kind && !adopted {
            return None;
        }
        if adopted {
            decision.notes.push(Note::Adopted(target));
        }
        if former.pending.is_some() && pending.is_none() {
            decision.notes.push(Note::TakenBack(target));
        }
        let confirmed = former.confirmed.clone();
        let (anchor, metaverse) = (former.anchor.clone(), self.metaverse.key);
        Some(TargetChange::Put(TargetObject {
            connector: target,
            metaverse,
            kind,
            anchor,
            confirmed,
            pending,
            feeds,
            password,
        }))
    }

    /// The attributes that the rules give. What is ignored, fails, or was given once stays as the target
    /// has it, so that no export that was not made yet has a say.
    fn desired(
        &self,
        target: ConnectorId,
        rules: &[(usize, &Rule)],
        former: Option<&TargetObject>,
        errors: &mut Vec<ObjectError>,
    ) -> Record {
        let confirmed = former.and_then(|former| former.confirmed.as_ref()).map(Record::index);
        let (record, parameters) = (self.attributes, self.engine.parameters(target));
        let contributor =
            |&(place, rule)| Contributor { rule, place, record, object: None, parameters };
        let contributors: Vec<_> = rules.iter().map(contributor).collect();
        let order = self.engine.outbound_order(target, self.metaverse.kind);
        let offers = offers_in(order, &contributors);
        let circumstances = Circumstances {
            contributors: &contributors,
            imported: confirmed.as_ref().map(|index| index as &dyn Source),
            born: confirmed.is_none(),
            moment: self.moment,
        };
        let mut failures = Vec::new();
        let mut writer = RecordWriter::with_capacity(self.metaverse.record.as_octets().len());
        for offers in offers.chunk_by(|one, other| one.flow.target == other.flow.target) {
            let attribute = offers[0].flow.target;
            let values =
                confirmed.as_ref().map(|index| index.values(attribute)).unwrap_or_default();
            // Whose the values in the target are is not known: whoever is ignored leaves them.
            let owns = |_| !values.is_empty();
            let settled = circumstances.settle(offers, values, owns, &mut failures);
            for (rank, text) in failures.drain(..) {
                let rule = contributors[rank].rule.id;
                let fault = Fault::Flow { rule, attribute, target: Some(target), text };
                errors.push(ObjectError { subject: Subject::Metaverse(self.metaverse.key), fault });
            }
            match settled {
                Settled::Absent => {}
                Settled::Given(_, contribution) => contribution.put(attribute, &mut writer),
                Settled::Former => writer.put_values(attribute, values),
            }
        }
        writer.finish()
    }

    /// Whether the object's password hash is synchronised: it is a user, and a rule that brought it
    /// into scope, on either side of the metaverse, says so.
    fn password(&self, kind: TenantKind, rules: &[(usize, &Rule)]) -> bool {
        let inbound = || self.contributors.iter().any(|from| from.rule.password);
        kind == TenantKind::User && (rules.iter().any(|(_, rule)| rule.password) || inbound())
    }
}

/// An object whose anchor was tampered with keeps what it has: its attributes are not exported, and its
/// password is not synchronised. Its references are those that they would be: they went when it was to
/// be deleted, and have to come back when it no longer is.
fn hold(former: &TargetObject, feeds: Vec<Feed>) -> Option<TargetChange> {
    if former.confirmed.is_none() {
        return Some(TargetChange::Remove(former.connector));
    }
    let held = TargetObject { pending: None, password: false, feeds, ..former.clone() };
    (held != *former).then_some(TargetChange::Put(held))
}

impl TargetObject {
    /// What it is to have: what is pending, or what it has; `None` when it is not to be there.
    #[must_use]
    pub fn desired(&self) -> Option<&Record> {
        match &self.pending {
            Some(PendingExport::Add(record) | PendingExport::Update(record)) => Some(record),
            Some(PendingExport::Delete) => self.confirmed.as_ref(),
            None => self.confirmed.as_ref(),
        }
    }
}
