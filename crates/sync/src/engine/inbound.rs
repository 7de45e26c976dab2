//! From the objects of forests to the metaverse.

use super::contribution::{Circumstances, Contributor, Offer, Settled};
use super::decision::MetaverseChange;
use super::error::{Fault, ObjectError, Subject};
use super::join::Scoped;
use super::model::{MetaverseKey, MetaverseObject, ObjectKey, ValueOrigin};
use super::systems::{Engine, Moment};
use crate::dictionary::AttributeId;
use crate::record::{Record, RecordWriter};
use crate::rules::{MetaverseKind, RuleId};
use crate::source::Source;

impl Engine<'_> {
    /// The rules of a metaverse object's staging objects, those that win first. Of one rule that several
    /// objects are in scope of, that of the earlier forest wins, and in it that of the earlier object.
    pub(super) fn contributors<'a>(
        &'a self,
        kind: MetaverseKind,
        scoped: &[Scoped<'a>],
    ) -> Vec<Contributor<'a>> {
        let mut contributors = Vec::new();
        for Scoped { staged, attributes, rules } in scoped {
            let parameters = self.parameters_of(staged);
            let object = Some((staged.connector, staged.key));
            let holds = rules.iter().filter(|(_, rule)| rule.metaverse == kind);
            let record = *attributes;
            contributors.extend(holds.map(|&(place, rule)| Contributor {
                rule,
                place,
                record,
                object,
                parameters,
            }));
        }
        if scoped.len() > 1 {
            contributors.sort_by_key(|from| (from.rule.precedence, from.object));
        }
        contributors
    }

    /// The metaverse object that its contributors make, by what they offer, and how it differs from what
    /// it was and `had`.
    pub(super) fn inbound_flows(
        &self,
        (key, kind): (MetaverseKey, MetaverseKind),
        (contributors, offers): (&[Contributor<'_>], &[Offer<'_>]),
        (former, had): (Option<&MetaverseObject>, &dyn Source),
        moment: &Moment<'_>,
        errors: &mut Vec<ObjectError>,
    ) -> MetaverseChange {
        let circumstances =
            Circumstances { contributors, imported: None, born: former.is_none(), moment };
        let mut failures = Vec::new();
        let octets = former.map_or(512, |former| former.record.as_octets().len() + 32);
        let mut writer = RecordWriter::with_capacity(octets);
        let mut lineage = Vec::with_capacity(former.map_or(32, |former| former.lineage.len() + 4));
        for offers in offers.chunk_by(|one, other| one.flow.target == other.flow.target) {
            let attribute = offers[0].flow.target;
            let of = |rank: usize| -> Option<(ObjectKey, RuleId)> {
                let contributor = &contributors[rank];
                Some((contributor.object?.1, contributor.rule.id))
            };
            let origin = former.and_then(|former| former.origin(attribute));
            let owns =
                |rank| origin.is_some_and(|origin| of(rank) == Some((origin.object, origin.rule)));
            let present = had.values(attribute);
            let settled = circumstances.settle(offers, present, owns, &mut failures);
            for (rank, text) in failures.drain(..) {
                if let Some((object, rule)) = of(rank) {
                    let fault = Fault::Flow { rule, attribute, target: None, text };
                    errors.push(ObjectError { subject: Subject::Staged(object), fault });
                }
            }
            match settled {
                Settled::Absent => {}
                Settled::Given(rank, contribution) => {
                    contribution.put(attribute, &mut writer);
                    let since = moment.seconds();
                    lineage.extend(of(rank).map(|(object, rule)| ValueOrigin {
                        attribute,
                        object,
                        rule,
                        since,
                    }));
                }
                Settled::Former => {
                    writer.put_values(attribute, present);
                    lineage.extend(origin);
                }
            }
        }
        let record = writer.finish();
        let Some(former) = former else {
            return MetaverseChange::Put(MetaverseObject { key, kind, record, lineage });
        };
        keep_since(former, &record, &mut lineage);
        if former.record == record && former.lineage == lineage {
            return MetaverseChange::Same;
        }
        MetaverseChange::Put(MetaverseObject { key, kind, record, lineage })
    }
}

impl MetaverseObject {
    /// Where the values of an attribute come from; `None` when it is absent.
    #[must_use]
    pub fn origin(&self, attribute: AttributeId) -> Option<ValueOrigin> {
        let found = self.lineage.binary_search_by_key(&attribute, |origin| origin.attribute);
        found.ok().and_then(|at| self.lineage.get(at)).copied()
    }
}

/// Values that are the same, and come from the same object by the same rule, are so since they were.
fn keep_since(former: &MetaverseObject, record: &Record, lineage: &mut [ValueOrigin]) {
    let same_record = former.record == *record;
    let mut before = former.lineage.iter().peekable();
    for origin in lineage {
        while before.next_if(|before| before.attribute < origin.attribute).is_some() {}
        let Some(before) = before.next_if(|before| before.attribute == origin.attribute) else {
            continue;
        };
        let same_origin = (before.object, before.rule) == (origin.object, origin.rule);
        let attribute = origin.attribute;
        if same_origin
            && (same_record || former.record.values(attribute).eq(record.values(attribute)))
        {
            origin.since = before.since;
        }
    }
}
