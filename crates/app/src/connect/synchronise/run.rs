//! One run: about what changed, or about everything when the rules or what they depend on did.

use portolan_store::state::{RunId, State};
use portolan_sync::engine::ObjectKey;

use super::{Connected, Domains, Origin, Ruleset, Synchronisation, Synchronised};
use crate::report::Failure;

/// What the last full synchronisation was made of, as it is remembered of the target.
const SYNCHRONISED_BY: &str = "synchronised-by";

/// What a run is about.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Scope<'a> {
    /// What changed.
    Changes,
    /// Everything.
    Everything,
    /// These objects, and what is joined to them.
    Only(&'a [ObjectKey]),
}

/// Decides about what changed; about everything, when it is told to, or when the rules or what they depend
/// on did. What it decides about single objects is by the rules in force, and leaves all others to the next
/// run.
pub(in super::super) async fn run(
    state: &State,
    rules: &Ruleset,
    connected: &Connected,
    domains: &Domains,
    (run, scope): (RunId, Scope<'_>),
    origin: &dyn Origin,
) -> Result<Synchronised, Failure> {
    connected.check_read(state).await?;
    let target = connected.target;
    let made_of = rules.made_of(domains);
    let before = state.remembered(target, SYNCHRONISED_BY).await?;
    let is_other = before.as_deref() != Some(made_of.as_bytes());
    let synchronisation = Synchronisation::begin(state, rules, connected, domains, run).await?;
    let synchronisation = synchronisation.with(origin);
    match scope {
        Scope::Only(objects) => synchronisation.only(objects).await,
        Scope::Changes if !is_other => synchronisation.changes().await,
        Scope::Changes | Scope::Everything => {
            let done = synchronisation.everything().await?;
            state.delete_unclaimed(target).await?;
            state.remember(target, SYNCHRONISED_BY, made_of.as_bytes()).await?;
            Ok(done)
        }
    }
}

/// Lets the next run be about everything.
pub(in super::super) async fn run_in_full_next(
    state: &State,
    connected: &Connected,
) -> Result<(), Failure> {
    Ok(state.forget(connected.target, SYNCHRONISED_BY).await?)
}
