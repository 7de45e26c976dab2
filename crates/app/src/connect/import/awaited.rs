//! What somebody else had read of a domain on whose word targets have what they have: another sync server of the
//! group, or this one before it lost its state.
//!
//! Until as much is staged here, what the domain seems to lack may be there, and what it seems to be may be older than
//! what a target has: nothing is exported then. A controller that has not heard of all of it is treated as one that
//! lags behind this server's own reading ([`lagging`](super::lagging)): another one is asked, and what none has for
//! four hours, or what somebody says is gone, is given up.

use std::collections::BTreeMap;

use portolan_model::DnsName;
use portolan_store::state::{Partition, State};
use serde::{Deserialize, Serialize};

use super::cursor::{Controller, Cursor};
use super::lagging::{Belief, UNTOLD, WAIT_SECONDS_MAX};
use super::vector::Vector;
use super::{Imported, Staging, lagging};
use crate::report::Failure;

/// What is remembered of a domain, behind this name, with the connector of its forest.
const NAME: &str = "awaited";

/// What is awaited of a domain.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Awaited {
    /// What was read elsewhere.
    vector: Vector,
    /// Since when no controller has it, in seconds since 1970.
    #[serde(default)]
    since: Option<i64>,
    /// What is believed to be gone for good.
    #[serde(default)]
    given_up: Vector,
}

/// A domain of which more was read elsewhere than is staged here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::connect) struct Behind {
    /// The domain.
    pub(in crate::connect) domain: String,
    /// The invocationIds of the domain controllers' databases of which changes are missing.
    pub(in crate::connect) databases: Vec<String>,
    /// Since when the controllers that were asked do not have them, in seconds since 1970; none were asked otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::connect) since: Option<i64>,
}

impl Behind {
    /// One clause for the operator.
    pub(in crate::connect) fn clause(&self) -> String {
        format!("{} is not read as far as it was when the tenant was written last", self.domain)
    }
}

impl Awaited {
    async fn read(state: &State, of: Partition, domain: &DnsName) -> Result<Self, Failure> {
        let Some(octets) = state.remembered(of.forest, &name(domain)).await? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&octets)
            .map_err(|error| Failure::because("what is awaited of a domain does not read", &error))
    }

    async fn write(&self, state: &State, of: Partition, domain: &DnsName) -> Result<(), Failure> {
        let octets = serde_json::to_vec(self).map_err(|error| {
            Failure::because("cannot write what is awaited of a domain", &error)
        })?;
        Ok(state.remember(of.forest, &name(domain), &octets).await?)
    }

    /// What is neither staged nor given up.
    fn lacking(&self, covered: &Vector) -> Vector {
        self.vector.without(covered).without(&self.given_up)
    }
}

/// Awaits of a domain what the tenant says was read of it, and nothing else.
///
/// # Errors
/// When that is not legal, or the state fails.
pub(in crate::connect) async fn expect(
    state: &State,
    (domain, of): (&DnsName, Partition),
    told: Option<&BTreeMap<String, u64>>,
) -> Result<(), Failure> {
    let vector = told.map(Vector::told).transpose()?.unwrap_or_default();
    let before = Awaited::read(state, of, domain).await?;
    if before.vector == vector {
        return Ok(());
    }
    Awaited { vector, since: None, given_up: before.given_up }.write(state, of, domain).await
}

/// What is still awaited of a domain.
///
/// # Errors
/// When the state fails.
pub(in crate::connect) async fn behind(
    state: &State,
    (domain, of): (&DnsName, Partition),
) -> Result<Option<Behind>, Failure> {
    let awaited = Awaited::read(state, of, domain).await?;
    let lacking = awaited.lacking(&covered(state, of).await?);
    let databases: Vec<_> = lacking.databases().map(str::to_owned).collect();
    let behind = Behind { domain: domain.to_string(), databases, since: awaited.since };
    Ok(Some(behind).filter(|behind| !behind.databases.is_empty()))
}

/// Refuses to read of a controller that has not heard of what is awaited. What is believed to be gone is given, to
/// be given up once all else is read.
///
/// # Errors
/// When it is to be asked later, by a failure that another controller may not have; when the state fails.
pub(super) async fn check(
    staging: &Staging<'_>,
    (controller, belief): (&Controller, Belief),
    imported: &mut Imported,
) -> Result<Vector, Failure> {
    let Staging { state, partition, domain, now, .. } = *staging;
    let awaited = Awaited::read(state, partition, domain).await?;
    if awaited.vector.is_empty() {
        return Ok(Vector::default());
    }
    let staged = covered(state, partition).await?;
    let lacking = awaited.lacking(&staged).without(&controller.told.vector);
    let own = controller.invocation.map(|invocation| invocation.to_string());
    let is_lost =
        belief.alone && lacking.databases().all(|database| own.as_deref() == Some(database));
    if lacking.is_empty() || belief.lagging || is_lost {
        return Ok(lacking);
    }
    if !controller.told.of_others {
        imported.notes.push(UNTOLD.to_owned());
        return Ok(lacking);
    }
    let since = awaited.since.unwrap_or(now);
    let failure = lagging::behind(
        controller,
        "that were read by another sync server, or by an earlier state",
    );
    if now.saturating_sub(since) >= WAIT_SECONDS_MAX {
        imported.notes.push(lagging::given_up(&failure));
        return Ok(lacking);
    }
    if awaited.since.is_none() {
        Awaited { since: Some(now), ..awaited }.write(state, partition, domain).await?;
    }
    Err(failure)
}

/// Gives up what was lost: it is awaited no more, whoever had read it.
///
/// # Errors
/// When the state fails.
pub(super) async fn give_up(staging: &Staging<'_>, lost: Vector) -> Result<(), Failure> {
    if lost.is_empty() {
        return Ok(());
    }
    let Staging { state, partition, domain, .. } = *staging;
    let mut awaited = Awaited::read(state, partition, domain).await?;
    awaited.given_up.learn(lost);
    awaited.write(state, partition, domain).await
}

/// What is staged of a domain for sure.
async fn covered(state: &State, of: Partition) -> Result<Vector, Failure> {
    let cursor = state.forest_cursor(of).await?.as_deref().and_then(Cursor::read);
    Ok(cursor.map(|cursor| cursor.covered().clone()).unwrap_or_default())
}

fn name(domain: &DnsName) -> String {
    format!("{NAME} {domain}")
}
