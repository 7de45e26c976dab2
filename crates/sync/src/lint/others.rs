//! What an object has in common with others: values, looks, anchors.

use std::collections::BTreeMap;

use portolan_model::Guid;

use super::fold;
use super::report::Report;
use super::rule::Rule;
use super::subject::Attribute;
use super::survey::{Compared, Space, Surveyed, anchor, compared, seen};

/// Names of objects that are kept to say with whom something is shared. Of more, only the number is said.
const HOLDERS_MAX: usize = 50_000;

/// The first object that had something, by digest.
#[derive(Debug, Default)]
pub(super) struct Holders {
    first: BTreeMap<u64, (u64, String)>,
}

impl Holders {
    /// The name of the first object that had this, unless it is the one at hand. `identity` tells
    /// values apart that share a digest.
    fn before(&mut self, digest: u64, identity: u64, dn: &str) -> Option<(u64, &str)> {
        if !self.first.contains_key(&digest) {
            if self.first.len() < HOLDERS_MAX {
                self.first.insert(digest, (identity, dn.to_owned()));
            }
            return None;
        }
        let (identity, first) = self.first.get(&digest)?;
        (first != dn).then_some((*identity, first.as_str()))
    }
}

pub(super) fn look(report: &mut Report<'_, '_>, survey: &Surveyed, holders: &mut Holders) {
    values(report, survey, holders);
    looks(report, survey, holders);
    anchors(report, survey, holders);
}

fn values(report: &mut Report<'_, '_>, survey: &Surveyed, holders: &mut Holders) {
    let subject = report.subject;
    for Compared { attribute, space, value, bare } in compared(subject) {
        let digest = survey.digests.of(space, fold::directory(bare).as_bytes());
        let count = survey.holders(digest);
        if count < 2 {
            continue;
        }
        let same = survey.is_doubled(survey.digests.of(space, bare.as_bytes()));
        let rule = if same { Rule::Duplicate } else { Rule::CaseCollision };
        let why = match holders.before(digest, digest, subject.dn) {
            Some((_, first)) => format!("{count} objects have it, {first} among them"),
            None => format!("{count} objects have it"),
        };
        report.find(rule, attribute, value, why);
    }
}

fn looks(report: &mut Report<'_, '_>, survey: &Surveyed, holders: &mut Holders) {
    let subject = report.subject;
    for Compared { attribute, space, value, bare } in seen(subject) {
        let identity = survey.digests.of(space, fold::directory(bare).as_bytes());
        let alike = fold::looks(bare).map(|look| survey.digests.of(space, look.as_bytes()));
        let Some(look) = alike.into_iter().find(|look| survey.is_alike(*look)) else { continue };
        let why = match holders.before(look, identity, subject.dn) {
            Some((other, first)) if other != identity => format!("it looks like that of {first}"),
            _ => "that of another object looks like it".to_owned(),
        };
        // To change somebody's name because another's looks like it is for people to decide.
        report.find(Rule::LookAlike, attribute, value, why);
    }
}

fn anchors(report: &mut Report<'_, '_>, survey: &Surveyed, holders: &mut Holders) {
    let subject = report.subject;
    let attribute = Attribute::ConsistencyGuid;
    let value = subject.octets(attribute).next();
    if subject.kind.is_person() && value.is_some_and(|octets| octets.len() != 16) {
        let why = "its octets are not sixteen, and objectGUID is used";
        report.find(Rule::MalformedAnchor, attribute, "", why);
    }
    let own = anchor(subject);
    let digest = survey.digests.of(Space::Anchor, &own);
    let count = survey.holders(digest);
    if count > 1 {
        let why = match holders.before(digest, digest, subject.dn) {
            Some((_, first)) => format!("{count} objects have it, {first} among them"),
            None => format!("{count} objects have it"),
        };
        let shown = Guid::from_bytes_le(own).to_string();
        report.find(Rule::SharedAnchor, attribute, &shown, why);
    }
}
