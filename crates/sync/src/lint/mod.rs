//! What of a forest will not synchronise, and why: what the retired IdFix found, and more.
//!
//! A [`Survey`] goes over all objects and keeps digests of what must be each one's own. A [`Linter`]
//! goes over them again and says of each [`Subject`] which [`Rule`]s it breaks, with a proposal where
//! the value can be mended by itself. Neither holds the objects. A [`Reading`] makes subjects of staged
//! objects, and says by the synchronisation rules which are left out. Each family of rules is a file:
//! [`characters`], [`formats`], [`lengths`], [`blanks`], [`suffixes`], [`matches`], [`left_out`],
//! [`others`]; [`repair`] makes the proposals. Nothing here changes anything.
//!
//! The limits of attributes are those that Microsoft documents for its directory synchronisation
//! ("Errors supported by the IdFix tool").

pub mod address;
mod blanks;
mod characters;
mod domains;
pub mod fold;
mod formats;
mod left_out;
mod lengths;
mod matches;
mod others;
mod reading;
mod repair;
mod report;
mod rule;
mod subject;
mod suffixes;
mod survey;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use domains::Domains;
pub use left_out::LeftOut;
pub use reading::Reading;
pub use report::Finding;
pub use rule::{Rule, Severity, UnknownRule};
pub use subject::{Attribute, Subject};
pub use survey::{Survey, Surveyed};

use self::others::Holders;
use self::report::Report;

/// Proposals that are remembered, so that no two objects are offered the same value.
const PROPOSED_MAX: usize = 2_000_000;

/// The second pass.
#[derive(Debug)]
pub struct Linter<'s> {
    survey: &'s Surveyed,
    domains: Option<&'s Domains>,
    rules: &'s BTreeSet<Rule>,
    holders: Holders,
    proposed: BTreeSet<u64>,
}

impl<'s> Linter<'s> {
    /// Begins the second pass, with the rules that are asked for. Without the tenant's domains nothing
    /// is said of suffixes that it has not verified.
    #[must_use]
    pub fn new(
        survey: &'s Surveyed,
        domains: Option<&'s Domains>,
        rules: &'s BTreeSet<Rule>,
    ) -> Self {
        Self { survey, domains, rules, holders: Holders::default(), proposed: BTreeSet::new() }
    }

    /// What is wrong with an object, by rule.
    pub fn look(&mut self, subject: &Subject<'_>) -> Vec<Finding> {
        let (domains, rules) = (self.domains, self.rules);
        let mut report = Report { subject, domains, rules, findings: Vec::new() };
        if subject.left_out.is_some() {
            left_out::look(&mut report);
            return report.findings;
        }
        characters::look(&mut report);
        formats::look(&mut report);
        lengths::look(&mut report);
        blanks::look(&mut report);
        suffixes::look(&mut report);
        matches::look(&mut report);
        others::look(&mut report, self.survey, &mut self.holders);
        let mut findings = report.findings;
        self.propose(subject, &mut findings);
        findings.sort_by_key(|finding| finding.rule);
        findings
    }

    /// Mends what can be mended, one proposal for a value however many rules it breaks: what a rule
    /// knows to be right, or else the value itself, without what is wrong in it.
    fn propose(&mut self, subject: &Subject<'_>, findings: &mut [Finding]) {
        let mut offers: BTreeMap<(Attribute, String), Option<String>> = BTreeMap::new();
        for finding in findings.iter_mut().filter(|finding| is_mended(finding.rule)) {
            let Some(attribute) = finding.attribute else { continue };
            let offer = offers.entry((attribute, finding.value.clone())).or_default();
            *offer = offer.take().or_else(|| finding.proposal.take());
        }
        for ((attribute, old), offer) in &mut offers {
            let right = offer.take();
            let from = right.as_deref().unwrap_or(old);
            let mended = repair::repair(subject, *attribute, from, self.domains).or(right);
            let other = mended.filter(|mended| mended != old);
            *offer = other.filter(|mended| self.is_free(subject, *attribute, old, mended));
        }
        for finding in findings.iter_mut().filter(|finding| is_mended(finding.rule)) {
            let Some(attribute) = finding.attribute else { continue };
            let offer = offers.get(&(attribute, finding.value.clone()));
            finding.proposal = offer.cloned().flatten();
        }
    }

    /// Whether a value may take the place of an old one: no other object has it or was offered it, and
    /// it does not stand beside the old one already.
    fn is_free(
        &mut self,
        subject: &Subject<'_>,
        attribute: Attribute,
        old: &str,
        value: &str,
    ) -> bool {
        let folded = fold::directory(value);
        if subject.texts(attribute).any(|held| held != old && fold::directory(held) == folded) {
            return false;
        }
        let Some((space, bare)) = survey::space_of(attribute, value) else { return true };
        let digest = self.survey.digests.of(space, fold::directory(bare).as_bytes());
        let own = survey::compared(subject).iter().any(|compared| {
            compared.space == space && fold::directory(compared.bare) == fold::directory(bare)
        });
        if self.survey.holders(digest) > usize::from(own) {
            return false;
        }
        own || (self.proposed.len() < PROPOSED_MAX && self.proposed.insert(digest))
    }
}

/// Whether another value would mend it: what is shared is for people to decide.
const fn is_mended(rule: Rule) -> bool {
    !matches!(
        rule,
        Rule::LeftOut
            | Rule::NotText
            | Rule::Duplicate
            | Rule::CaseCollision
            | Rule::LookAlike
            | Rule::SharedAnchor
            | Rule::MalformedAnchor
    )
}
