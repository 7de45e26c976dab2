//! The objects of the connector space as the rules see them: the one place where the lint reads the
//! store, a batch at a time, twice.

use std::collections::BTreeSet;

use portolan_model::Entropy as _;
use portolan_net::entropy::SystemEntropy;
use portolan_store::connector_space::{ConnectorSpace, Objects};
use portolan_sync::ObjectKind;
use portolan_sync::flow::Domains;
use portolan_sync::lint::{Finding, Linter, Rule, Subject, Survey, Surveyed};

use crate::report::Failure;

/// The first pass: what objects have in common.
pub(super) async fn survey(space: &ConnectorSpace) -> Result<Surveyed, Failure> {
    let mut survey = Survey::new(u64::from_le_bytes(SystemEntropy.array()));
    let mut objects = space.objects(&ObjectKind::ALL);
    loop {
        let batch = objects.next().await?;
        if batch.is_empty() {
            return Ok(survey.finish());
        }
        batch.iter().for_each(|object| survey.add(&Subject::from(object)));
    }
}

/// The second pass, under way.
pub(super) struct Findings<'s> {
    linter: Linter<'s>,
    objects: Objects,
    /// Objects that were looked at.
    pub(super) seen: u64,
}

impl<'s> Findings<'s> {
    /// Begins it.
    pub(super) fn begin(
        space: &ConnectorSpace,
        survey: &'s Surveyed,
        domains: Option<&'s Domains>,
        rules: &'s BTreeSet<Rule>,
    ) -> Self {
        let linter = Linter::new(survey, domains, rules);
        Self { linter, objects: space.objects(&ObjectKind::ALL), seen: 0 }
    }

    /// The findings of the next objects, of each its own; nothing when all were looked at.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Vec<Finding>>>, Failure> {
        let batch = self.objects.next().await?;
        if batch.is_empty() {
            return Ok(None);
        }
        self.seen += batch.len() as u64;
        let look = |object| self.linter.look(&Subject::from(object));
        Ok(Some(batch.iter().map(look).filter(|findings| !findings.is_empty()).collect()))
    }
}
