//! How far whoever wrote to the tenant before this server had read the forests, and whether this server has read as
//! far.
//!
//! A server that takes over, or whose state was lost or restored, would delete what it never read, if it reads of a
//! domain controller that lags behind the one that was read before. So it asks the tenant first
//! ([`portolan_tenant::read_up_to`]), and writes nothing before that is staged here, too: what the import does for it
//! is in [`import`]. Each batch that it sends then says how far it has read itself.

use portolan_store::state::State;
use portolan_sync::engine::ConnectorId;
use portolan_tenant::read_up_to::DATABASES_MAX;
use portolan_tenant::wire::ReadUpTo;

use super::confirm::Holding;
use super::import::{self, Behind};
use super::synchronise::Connected;
use crate::report::Failure;

/// Remembered of the target while what was read before this state is to be asked for.
const UNLEARNT: &str = "unlearnt";

/// Asks before the next export how far whoever wrote before had read: this state is not the one that wrote last.
///
/// # Errors
/// When the state fails.
pub(super) async fn ask_next(state: &State, target: ConnectorId) -> Result<(), Failure> {
    Ok(state.remember(target, UNLEARNT, b"").await?)
}

/// Asks how far whoever wrote before had read, if somebody else may have written (`must`), or that was not learnt yet.
/// What is missing then is awaited from here on.
///
/// # Errors
/// When the tenant does not say, or says what is not legal; when the state fails.
pub(super) async fn learn(
    tenant: &mut impl Holding,
    (state, connected): (&State, &Connected),
    must: bool,
) -> Result<(), Failure> {
    let target = connected.target;
    let is_unlearnt = state.remembered(target, UNLEARNT).await?.is_some();
    if !must && !is_unlearnt {
        return Ok(());
    }
    let told = tenant.read_up_to().await?;
    for (domain, partition) in connected.forests.iter().flat_map(|forest| &forest.domains) {
        import::expect(state, (domain, *partition), told.get(domain.as_str())).await?;
    }
    if is_unlearnt {
        state.forget(target, UNLEARNT).await?;
    }
    Ok(())
}

/// The domains that were read further when the tenant was written last than they are here.
///
/// # Errors
/// When the state fails.
pub(super) async fn behind(state: &State, connected: &Connected) -> Result<Vec<Behind>, Failure> {
    let mut all = Vec::new();
    for (domain, partition) in connected.forests.iter().flat_map(|forest| &forest.domains) {
        all.extend(import::behind(state, (domain, *partition)).await?);
    }
    Ok(all)
}

/// Awaits nothing any more: this server has read as far, and whatever it gives up later is its own affair.
///
/// # Errors
/// When the state fails.
pub(super) async fn settle(state: &State, connected: &Connected) -> Result<(), Failure> {
    for (domain, partition) in connected.forests.iter().flat_map(|forest| &forest.domains) {
        import::expect(state, (domain, *partition), None).await?;
    }
    Ok(())
}

/// How far this server has read, for the tenant to keep with what rests on it; nothing of more databases than it keeps.
///
/// # Errors
/// When the state fails.
pub(super) async fn read_up_to(
    state: &State,
    connected: &Connected,
) -> Result<Option<ReadUpTo>, Failure> {
    let mut read = ReadUpTo::new();
    for (domain, partition) in connected.forests.iter().flat_map(|forest| &forest.domains) {
        let databases = import::read_up_to(state, *partition).await?;
        if !databases.is_empty() {
            read.insert(domain.to_string(), databases);
        }
    }
    let count: usize = read.values().map(std::collections::BTreeMap::len).sum();
    Ok(Some(read).filter(|_| (1..=DATABASES_MAX).contains(&count)))
}
