//! One run: about what changed, or about everything when the rules or what they depend on did.

use portolan_store::state::State;

use super::{Connected, Domains, Origin, Ruleset, Synchronisation, Synchronised};
use crate::report::Failure;

/// What the last full synchronisation was made of, as it is remembered of the target.
const SYNCHRONISED_BY: &str = "synchronised-by";

/// Decides about what changed; about everything, when it is told to, or when the rules or what they depend
/// on did.
pub(in super::super) async fn run(
    state: &State,
    rules: &Ruleset,
    connected: &Connected,
    domains: &Domains,
    full: bool,
    origin: &dyn Origin,
) -> Result<Synchronised, Failure> {
    connected.check_read(state).await?;
    let target = connected.target;
    let made_of = rules.made_of(domains);
    let before = state.remembered(target, SYNCHRONISED_BY).await?;
    let is_other = before.as_deref() != Some(made_of.as_bytes());
    let run = state.begin_run("synchronise", origin.now()).await?;
    let synchronisation = Synchronisation::begin(state, rules, connected, domains, run).await?;
    let synchronisation = synchronisation.with(origin);
    let outcome = if full || is_other {
        let done = synchronisation.everything().await;
        if done.is_ok() {
            state.delete_unclaimed(target).await?;
            state.remember(target, SYNCHRONISED_BY, made_of.as_bytes()).await?;
        }
        done
    } else {
        synchronisation.changes().await
    };
    let word = if outcome.is_ok() { "done" } else { "failed" };
    let counts = outcome.as_ref().ok().and_then(|done| serde_json::to_string(done).ok());
    state.end_run(run, word, counts.as_deref().unwrap_or("{}"), origin.now()).await?;
    outcome
}

/// Lets the next run be about everything.
pub(in super::super) async fn run_in_full_next(
    state: &State,
    connected: &Connected,
) -> Result<(), Failure> {
    Ok(state.forget(connected.target, SYNCHRONISED_BY).await?)
}
