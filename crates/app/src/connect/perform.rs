//! A run from step to step: what `connect run` does again and again, and each single step does once.

use std::sync::Arc;

use portolan_store::state::{ErrorPlace, StoredError};
use portolan_sync::ObjectKind;
use serde::Serialize;

use super::confirm::Confirmation;
use super::cycle::{self, Server};
use super::export::{Exported, Refused};
use super::gate::Closed;
use super::import::Imported;
use super::metrics::Metrics;
use super::profile::{Extent, Profile, Step};
use super::running::{Counted, Counts, Running};
use super::steps::Steps;
use super::synchronise::{Domains, Scope, Synchronised};
use crate::report::Failure;

/// Errors of objects that are shown of a run.
const ERRORS_MAX: u32 = 1_000;

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) imported: Option<Imported>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) synchronised: Option<Synchronised>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confirmed: Option<Confirmation>,
    added: usize,
    updated: usize,
    deleted: usize,
    /// References that were added or removed.
    references: usize,
    left_out: u64,
    /// Objects that the target has no kind for.
    unable: usize,
    pub(super) refused: Vec<Refused>,
    /// What was not exported because it would take too much away.
    pub(super) held: Vec<String>,
    /// Why nothing was exported.
    pub(super) closed: Option<Closed>,
    pub(super) warnings: Vec<String>,
    pub(super) errors: Vec<String>,
}

impl Summary {
    /// Whether there was nothing to do and nothing to tell.
    pub(super) fn is_quiet(&self) -> bool {
        self.imported.as_ref().is_none_or(Imported::is_quiet)
            && self.added + self.updated + self.deleted + self.references == 0
            && self.refused.is_empty()
            && self.held.is_empty()
    }

    /// Whether every forest was read.
    ///
    /// # Errors
    /// When one was not: what the others brought was synchronised all the same.
    pub(super) fn check_read(&self) -> Result<(), Failure> {
        let unread = self.imported.iter().flat_map(|imported| &imported.unread);
        let unread: Vec<_> = unread.map(|one| format!("{}: {}", one.forest, one.why)).collect();
        if unread.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("not every forest was read: {}", unread.join("; ")))
            .with_hint("the others were synchronised; what these have stays as it was"))
    }

    /// Whether the target took everything.
    ///
    /// # Errors
    /// When it refused something.
    pub(super) fn check_taken(&self) -> Result<(), Failure> {
        let Some(first) = self.refused.first() else { return Ok(()) };
        let (count, Refused { anchor, why }) = (self.refused.len(), first);
        Err(Failure::new(format!("{count} changes were refused, the first of {anchor}: {why}"))
            .with_hint(
                "everything else was taken; what was refused is tried again by the next export",
            ))
    }

    /// One line for the operator.
    pub(super) fn line(&self) -> String {
        let Self { imported, added, updated, deleted, references, refused, .. } = self;
        let imported =
            imported.as_ref().map(|of| format!("{}; ", of.summary())).unwrap_or_default();
        let refused = refused.len();
        format!(
            "{imported}exported {added} new, {updated} changed, {deleted} deleted, {references} references; {refused} refused"
        )
    }

    fn take(&mut self, exported: Exported) {
        let Exported {
            added,
            updated,
            deleted,
            references,
            refused,
            held,
            closed,
            unable,
            warnings,
        } = exported;
        self.added += added;
        self.updated += updated;
        self.deleted += deleted;
        self.references += references;
        self.unable += unable;
        self.refused.extend(refused);
        self.held = held;
        self.closed = closed;
        self.warnings.extend(warnings);
    }
}

impl Counted for Summary {
    fn counts(&self) -> Counts {
        let imported = self.imported.as_ref();
        Counts {
            full: imported.map(|imported| imported.full),
            changed: imported.map(|imported| imported.changed),
            removed: imported.map(|imported| imported.removed),
            objects: self.synchronised.map(|synchronised| synchronised.objects),
            added: Some(self.added as u64),
            updated: Some(self.updated as u64),
            deleted: Some(self.deleted as u64),
            references: Some(self.references as u64),
            refused: Some(self.refused.len() as u64),
            ..Counts::default()
        }
    }
}

impl Counted for Imported {
    fn counts(&self) -> Counts {
        let objects = self.users + self.contacts + self.groups + self.organizational_units;
        Counts {
            full: Some(self.full),
            objects: self.full.then_some(objects),
            changed: Some(self.changed),
            removed: Some(self.removed),
            ..Counts::default()
        }
    }
}

impl Counted for Synchronised {
    fn counts(&self) -> Counts {
        Counts {
            objects: Some(self.objects),
            changed: Some(self.changed),
            references: Some(self.references),
            ..Counts::default()
        }
    }
}

impl Counted for Exported {
    fn counts(&self) -> Counts {
        Counts {
            added: Some(self.added as u64),
            updated: Some(self.updated as u64),
            deleted: Some(self.deleted as u64),
            references: Some(self.references as u64),
            refused: Some(self.refused.len() as u64),
            ..Counts::default()
        }
    }
}

impl Counted for Confirmation {
    fn counts(&self) -> Counts {
        Counts {
            objects: Some(self.objects),
            changed: Some(self.other + self.unknown),
            removed: Some(self.missing),
            references: Some(self.references),
            ..Counts::default()
        }
    }
}

impl Counted for Domains {
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

impl Server {
    /// A run of a profile.
    ///
    /// # Errors
    /// That of the step that failed.
    pub(super) async fn run(
        &mut self,
        metrics: Option<Arc<Metrics>>,
        profile: &Profile,
        allowed: usize,
        steps: &Steps,
    ) -> Result<Summary, Failure> {
        let run = Running::begin(&self.state, metrics.clone(), &profile.name).await?;
        let outcome = Box::pin(self.perform(&run, profile, allowed, steps)).await;
        if let (Some(metrics), Ok(summary)) = (&metrics, &outcome) {
            metrics.held(summary.held.len());
        }
        let counts = outcome.as_ref().map(Counted::counts).unwrap_or_default();
        run.end(&outcome, counts).await?;
        outcome
    }

    /// The same because a forest was noticed to have changed: if there was nothing to do, it leaves no trace
    /// in the history.
    ///
    /// # Errors
    /// That of the step that failed.
    pub(super) async fn run_noticed(
        &mut self,
        metrics: Arc<Metrics>,
        profile: &Profile,
        allowed: usize,
        steps: &Steps,
    ) -> Result<Summary, Failure> {
        let run = Running::begin(&self.state, Some(metrics), &profile.name).await?;
        let outcome = Box::pin(self.perform(&run, profile, allowed, steps)).await;
        let counts = outcome.as_ref().map(Counted::counts).unwrap_or_default();
        if outcome.as_ref().is_ok_and(Summary::is_quiet) {
            run.forget().await?;
        } else {
            run.end(&outcome, counts).await?;
        }
        outcome
    }

    /// Does the steps of a profile, in its order, as one run. The first that fails ends it. Password hashes
    /// are not this run's.
    ///
    /// # Errors
    /// That of the step that failed.
    pub(super) async fn perform(
        &mut self,
        run: &Running,
        profile: &Profile,
        allowed: usize,
        steps: &Steps,
    ) -> Result<Summary, Failure> {
        let mut summary = Summary::default();
        let mut domains = None;
        for step in &profile.steps {
            match step {
                Step::Import(extent) => {
                    let read = (profile.forest.as_ref(), *extent);
                    let imported = self.import(run, read, allowed, steps).await?;
                    let is_quiet = imported.is_quiet();
                    summary.imported = Some(imported);
                    if profile.ends_early && is_quiet && self.state.pending().await? == 0 {
                        return Ok(summary);
                    }
                }
                Step::Synchronise(extent) => {
                    let domains = self.known(&mut domains, run, profile, steps).await?;
                    let read_anew = summary.imported.as_ref().is_some_and(|read| read.full);
                    let scope = match extent {
                        Extent::Delta if !read_anew => Scope::Changes,
                        _ => Scope::Everything,
                    };
                    let rules = self.rules().await?;
                    let decided = self.decide(run.id(), (&rules, domains), scope, steps);
                    let decided = Box::pin(run.step("sync", None, decided)).await?;
                    summary.synchronised = Some(decided);
                }
                Step::Export => {
                    self.met(&mut domains, run, steps).await?;
                    let rules = self.rules().await?;
                    let exported = self.export(&rules, allowed, None, steps);
                    summary.take(Box::pin(run.step("export", None, exported)).await?);
                }
                Step::Confirm => {
                    self.met(&mut domains, run, steps).await?;
                    let confirmed = run.step("confirm", None, self.confirm(steps));
                    summary.confirmed = Some(Box::pin(confirmed).await?);
                }
                Step::Passwords => {}
            }
        }
        self.look_at(&mut summary).await?;
        Ok(summary)
    }

    /// The domains, from the tenant when this run goes there in any case, and as it named them last otherwise.
    async fn known<'d>(
        &mut self,
        domains: &'d mut Option<Domains>,
        run: &Running,
        profile: &Profile,
        steps: &Steps,
    ) -> Result<&'d Domains, Failure> {
        let goes_there = |step: &Step| matches!(step, Step::Export | Step::Confirm);
        let last = cycle::domains_of(&self.state, &self.connected, &self.config).await;
        match last {
            Ok(last) if domains.is_none() && !profile.steps.iter().any(goes_there) => {
                Ok(domains.insert(last))
            }
            _ => self.met(domains, run, steps).await,
        }
    }

    /// The domains as the tenant names them, which is asked once in a run.
    async fn met<'d>(
        &mut self,
        domains: &'d mut Option<Domains>,
        run: &Running,
        steps: &Steps,
    ) -> Result<&'d Domains, Failure> {
        if domains.is_none() {
            *domains = Some(Box::pin(run.step("tenant", None, self.prepare(steps))).await?);
        }
        domains.as_ref().ok_or_else(|| Failure::new("the tenant named no domains"))
    }

    /// What is wrong with objects, and how many are left out.
    async fn look_at(&self, summary: &mut Summary) -> Result<(), Failure> {
        let errors = self.state.errors(ErrorPlace::default(), ERRORS_MAX).await?;
        let named = |error: StoredError| {
            let who = error.dn.unwrap_or_else(|| "an object that is gone".to_owned());
            format!("{who}: {}", error.text)
        };
        summary.errors = errors.into_iter().map(named).collect();
        let is_sent = |kind: ObjectKind| {
            kind.is_person() || matches!(kind, ObjectKind::Group | ObjectKind::Contact)
        };
        let mut staged = 0;
        for forest in &self.connected.forests {
            let counts = self.state.object_counts(forest.connector).await?;
            staged += counts.iter().filter(|(kind, _)| is_sent(*kind)).map(|(_, n)| n).sum::<u64>();
        }
        let there = self.state.exported_count(self.connected.target).await?;
        summary.left_out = staged.saturating_sub(there);
        Ok(())
    }
}
