//! Password hash synchronisation: from a replication cycle to credentials in the tenant.
//!
//! - [`cursor`] says where a cycle begins, and what a page does to it;
//! - [`open`] sorts a page's objects, and derives the credentials of users in scope: the one place
//!   where an NT hash exists;
//! - [`fetch`] reads pages, and single objects, from a domain controller;
//! - [`deliver`] sends credentials to the tenant and records what it acknowledged;
//! - [`cycle`] runs both beside each other, and says when the cursor moves;
//! - [`single`] does all of that for one user;
//! - [`line`] keeps the connection to a forest between cycles, and [`upkeep`] those of all forests, and
//!   decides when to try again.

mod cursor;
mod cycle;
mod deliver;
mod fetch;
mod line;
mod open;
mod scope;
mod single;
mod upkeep;

use std::time::Duration;

use serde::Serialize;

use cycle::{Cycle, Trouble};
pub(super) use fetch::prove_rights;
use open::Faulty;
pub(super) use single::one;
pub(super) use upkeep::{Health, Upkeep};

/// How long a controller may take to take its handle back.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

/// Why no password is replicated where the target takes no hash.
pub(super) const NO_PASSWORDS: &str = "passwords are not replicated: Graph takes no hash";

use super::export::Refused;

/// What a cycle did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Replicated {
    /// Objects that the controller sent.
    pub(super) objects: usize,
    /// In-scope users whose password hash was among them.
    pub(super) hashes: usize,
    /// Objects with a password hash that is none of ours: left unopened.
    pub(super) unopened: usize,
    /// Credentials that the tenant took.
    pub(super) sent: usize,
    /// Credentials that the tenant refused: their objects are read alone by the next run.
    pub(super) refused: Vec<Refused>,
    /// In-scope users of whom what was sent makes no sense: they are read alone by the next run.
    pub(super) faulty: Vec<Faulty>,
    /// Why everything was read from the beginning, if it was although there was a cursor.
    pub(super) restarted: Option<String>,
    /// How old passwords were when the tenant had taken them, of those that changed lately.
    #[serde(skip)]
    pub(super) ages: Vec<Duration>,
    /// From the first request to the last acknowledgement, in seconds.
    pub(super) seconds: f64,
}

impl Replicated {
    /// Whether there is nothing to tell, but perhaps of single objects.
    pub(super) const fn is_quiet(&self) -> bool {
        self.sent == 0 && self.restarted.is_none()
    }

    /// Adds what one forest's cycle did, if it ended, to what those of others did.
    fn add_to(all: &mut Option<Self>, one: Option<Self>) {
        let Some(one) = one else { return };
        let Some(all) = all else {
            *all = Some(one);
            return;
        };
        all.objects += one.objects;
        all.hashes += one.hashes;
        all.unopened += one.unopened;
        all.sent += one.sent;
        all.refused.extend(one.refused);
        all.faulty.extend(one.faulty);
        all.restarted = all.restarted.take().or(one.restarted);
        all.ages.extend(one.ages);
        all.seconds += one.seconds;
    }
}
