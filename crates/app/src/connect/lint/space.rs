//! The objects of the connector space as the rules see them: the one place where the lint reads the
//! state, a batch at a time, twice.

use std::collections::BTreeSet;

use portolan_model::Entropy as _;
use portolan_net::entropy::SystemEntropy;
use portolan_store::state::State;
use portolan_sync::engine::{ObjectKey, Staged};
use portolan_sync::lint::{Domains, Finding, Linter, Reading, Rule, Survey, Surveyed};

use crate::report::Failure;

/// Objects that are read at once.
const OBJECTS_AT_ONCE: u32 = 1_000;

/// All staged objects, and how they are seen.
pub(super) struct Space<'s> {
    state: &'s State,
    reading: Reading<'s>,
}

impl<'s> Space<'s> {
    pub(super) const fn new(state: &'s State, reading: Reading<'s>) -> Self {
        Self { state, reading }
    }

    /// The first pass: what objects have in common.
    pub(super) async fn survey(&self) -> Result<Surveyed, Failure> {
        let mut survey = Survey::new(u64::from_le_bytes(SystemEntropy.array()));
        let mut after = ObjectKey(0);
        loop {
            let batch = self.next(&mut after).await?;
            if batch.is_empty() {
                return Ok(survey.finish());
            }
            batch.iter().for_each(|object| survey.add(&self.reading.subject(object)));
        }
    }

    async fn next(&self, after: &mut ObjectKey) -> Result<Vec<Staged>, Failure> {
        let batch = self.state.staged_objects(*after, OBJECTS_AT_ONCE).await?;
        *after = batch.last().map_or(*after, |last| last.key);
        Ok(batch)
    }
}

/// The second pass, under way.
pub(super) struct Findings<'s> {
    linter: Linter<'s>,
    space: &'s Space<'s>,
    after: ObjectKey,
    /// Objects that were looked at.
    pub(super) seen: u64,
}

impl<'s> Findings<'s> {
    /// Begins it.
    pub(super) fn begin(
        space: &'s Space<'s>,
        survey: &'s Surveyed,
        domains: Option<&'s Domains>,
        rules: &'s BTreeSet<Rule>,
    ) -> Self {
        let linter = Linter::new(survey, domains, rules);
        Self { linter, space, after: ObjectKey(0), seen: 0 }
    }

    /// The findings of the next objects, of each its own; nothing when all were looked at.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Vec<Finding>>>, Failure> {
        let batch = self.space.next(&mut self.after).await?;
        if batch.is_empty() {
            return Ok(None);
        }
        self.seen += batch.len() as u64;
        let look = |object| self.linter.look(&self.space.reading.subject(object));
        Ok(Some(batch.iter().map(look).filter(|findings| !findings.is_empty()).collect()))
    }
}
