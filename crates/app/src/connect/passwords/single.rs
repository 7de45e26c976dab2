//! The password of one user, as `connect sync OBJECT` brings it: the user is read alone, and what was derived
//! is sent now. Where a cycle begins does not change.

use portolan_model::Guid;

use super::scope::Scope;
use super::{Cycle, Replicated, Trouble};
use crate::connect::cycle::Server;
use crate::connect::steps::Steps;
use crate::connect::target::Target;
use crate::report::Failure;
use crate::signal::Stop;

/// Brings the password of an object of a forest, by the forest's place in the configuration, to the tenant.
/// `None` when the target takes none, or this was told to stop.
///
/// # Errors
/// When the forest or the tenant fails; the next cycle brings it then.
pub(in super::super) async fn one(
    server: &mut Server,
    (forest, guid): (usize, Guid),
    stop: &Stop,
    steps: &Steps,
) -> Result<Option<Replicated>, Failure> {
    let gone = || Failure::new("a forest is gone from the configuration");
    let of = server.forests.get(forest).ok_or_else(gone)?.partition;
    let target = server.connected.target;
    let mut replica = server.forest(forest, steps).await?.replica(steps).await?;
    let domain = &server.forests.get(forest).ok_or_else(gone)?.domain;
    let Target::Tenant(tenant) = &mut server.target else { return Ok(None) };
    let scope = Scope { state: &server.state, of, target };
    let done = Cycle { domain, scope, tenant, stop }.one(&mut replica, guid).await;
    // How the controller takes the goodbye changes nothing.
    let _ = tokio::time::timeout(super::GOODBYE_TIME_MAX, replica.close()).await;
    match done {
        Ok(replicated) => Ok(Some(replicated)),
        Err(Trouble::Stopped) => Ok(None),
        Err(Trouble::Forest(failure) | Trouble::Tenant(failure)) => Err(failure),
    }
}
