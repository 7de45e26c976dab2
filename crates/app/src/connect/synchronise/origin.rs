//! Where a synchronisation has the time and its randomness from: the host, or the seed of a simulation.

use portolan_model::Entropy as _;
use portolan_net::entropy::SystemEntropy;
use time::OffsetDateTime;

/// A clock and a random source.
pub trait Origin: Sync {
    /// The time of day in UTC.
    fn now(&self) -> OffsetDateTime;

    /// A random number.
    fn random(&self) -> u64;
}

/// This host's.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Host;

impl Origin for Host {
    fn now(&self) -> OffsetDateTime {
        portolan_net::clock::now()
    }

    fn random(&self) -> u64 {
        u64::from_le_bytes(SystemEntropy.array())
    }
}
