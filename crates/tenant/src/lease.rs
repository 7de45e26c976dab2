//! Which of several sync servers of a group may write: a lease, and the epoch that fences off who had it.
//!
//! A lease only says who should write. That nobody else does is the epoch's work: it grows with every
//! acquisition, each batch carries the one that its sender was given, and in the transaction that would
//! write, any other than the newest is refused. So a server that was paused in the middle of a run, and
//! goes on late, changes nothing. No clock but the tenant's counts, and no decision here rests on two
//! clocks agreeing. A lease that ran out is still its holder's until somebody else takes it: nobody else
//! has written since.

use portolan_model::Guid;
use time::{Duration, OffsetDateTime};

/// The shortest time for which a lease is given.
pub const DURATION_MIN: Duration = Duration::seconds(5);

/// The longest time for which a lease is given, and so the longest that the others wait for one that died.
pub const DURATION_MAX: Duration = Duration::minutes(10);

/// Characters that the name of a server may have.
pub const NAME_CHARS_MAX: usize = 64;

/// The lease of a group of sync servers, as it is kept. Its epoch never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The number of the last acquisition.
    pub epoch: u64,
    /// What became of it.
    pub state: State,
}

/// Who may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// One server.
    Held(Holder),
    /// Nobody, until one acquires it.
    Released,
    /// Any server of the group that asks for no lease: an administrator ended the use of leases.
    Waived,
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The server's application.
    pub client_id: Guid,
    /// What it calls itself, for people.
    pub name: String,
    /// From when on another one may take it.
    pub expires_at: OffsetDateTime,
}

/// What a server asks of its group's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To become the one that writes.
    Acquire {
        /// For how long.
        duration: Duration,
    },
    /// To stay it.
    Renew {
        /// The epoch that it was given.
        epoch: u64,
        /// For how long from now on.
        duration: Duration,
    },
    /// To let another one become it at once.
    Release {
        /// The epoch that it was given.
        epoch: u64,
    },
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The lease as it is to be kept.
    pub lease: Lease,
    /// Whose it was, when it passes from another server.
    pub taken_from: Option<Guid>,
}

/// Why a request, or a batch, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another server has it, for this much longer.
    #[error("the lease is held by {name:?} for {} more seconds", remaining.whole_seconds())]
    Held {
        /// What the holder calls itself.
        name: String,
        /// How much longer, by the tenant's clock.
        remaining: Duration,
    },
    /// The epoch is not the newest, or not of this server: another one has taken over since.
    #[error("the lease is another's, or a newer one: acquire it anew and confirm before writing")]
    Lost,
    /// The group uses leases, and the batch carries no epoch.
    #[error("this group of sync servers uses a lease, and the batch carries no epoch of one")]
    Required,
    /// The duration is too short or too long.
    #[error("a lease is given for 5 to 600 seconds")]
    Duration,
}

impl Refusal {
    /// The word that a program acts on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Held { .. } => "leaseHeld",
            Self::Lost => "leaseLost",
            Self::Required => "leaseRequired",
            Self::Duration => "invalidLease",
        }
    }
}

/// Decides what a server gets of its group's lease.
///
/// A server that acquires what it holds already gets a new epoch: it was started again, and what is left
/// of its earlier life must not write.
///
/// # Errors
/// Why it gets nothing; the lease stays as it is then.
pub fn decide(
    lease: Option<&Lease>,
    by: Guid,
    name: &str,
    request: &Request,
    now: OffsetDateTime,
) -> Result<Decision, Refusal> {
    let held = |epoch, duration: Duration| {
        if !(DURATION_MIN..=DURATION_MAX).contains(&duration) {
            return Err(Refusal::Duration);
        }
        let expires_at = now + duration;
        let holder = Holder { client_id: by, name: name.to_owned(), expires_at };
        Ok(Lease { epoch, state: State::Held(holder) })
    };
    match *request {
        Request::Acquire { duration } => {
            let before = lease.and_then(Lease::holder);
            let other = before.filter(|holder| holder.client_id != by);
            if let Some(remaining) = other.and_then(|holder| holder.remaining(now)) {
                let name = other.map(|holder| holder.name.clone()).unwrap_or_default();
                return Err(Refusal::Held { name, remaining });
            }
            let epoch = lease.map_or(0, |lease| lease.epoch).saturating_add(1);
            let taken_from = other.map(|holder| holder.client_id);
            Ok(Decision { lease: held(epoch, duration)?, taken_from })
        }
        Request::Renew { epoch, duration } => {
            fence(lease, by, Some(epoch))?;
            Ok(Decision { lease: held(epoch, duration)?, taken_from: None })
        }
        Request::Release { epoch } => {
            fence(lease, by, Some(epoch))?;
            Ok(Decision { lease: Lease { epoch, state: State::Released }, taken_from: None })
        }
    }
}

/// Whether a batch of a server may be written: with the newest epoch, which is its own; or without one,
/// where no lease is used.
///
/// # Errors
/// Why it may not.
pub fn fence(lease: Option<&Lease>, by: Guid, sent: Option<u64>) -> Result<(), Refusal> {
    let is_used = lease.is_some_and(Lease::is_used);
    let Some(sent) = sent else {
        return if is_used { Err(Refusal::Required) } else { Ok(()) };
    };
    let is_newest = lease.is_some_and(|lease| {
        lease.epoch == sent && lease.holder().is_some_and(|holder| holder.client_id == by)
    });
    if is_newest { Ok(()) } else { Err(Refusal::Lost) }
}

impl Lease {
    /// Whether a batch has to carry its epoch.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.state != State::Waived
    }

    /// Who holds it.
    #[must_use]
    pub const fn holder(&self) -> Option<&Holder> {
        match &self.state {
            State::Held(holder) => Some(holder),
            State::Released | State::Waived => None,
        }
    }
}

impl Holder {
    /// How much longer nobody else gets the lease; `None` when somebody may. An end that is further away
    /// than any lease was set before the clock was put back, and means nothing.
    #[must_use]
    pub fn remaining(&self, now: OffsetDateTime) -> Option<Duration> {
        let remaining = self.expires_at - now;
        (remaining.is_positive() && remaining <= DURATION_MAX).then_some(remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::now;

    const MINUTE: Duration = Duration::MINUTE;

    fn server(number: u8) -> Guid {
        Guid::from_random([number; 16])
    }

    fn ask(
        lease: &mut Option<Lease>,
        by: u8,
        request: &Request,
        at: OffsetDateTime,
    ) -> Result<u64, Refusal> {
        let decision = decide(lease.as_ref(), server(by), "a server", request, at)?;
        let epoch = decision.lease.epoch;
        *lease = Some(decision.lease);
        Ok(epoch)
    }

    const ACQUIRE: Request = Request::Acquire { duration: MINUTE };

    fn renew(epoch: u64) -> Request {
        Request::Renew { epoch, duration: MINUTE }
    }

    #[test]
    fn one_holds_it_and_another_takes_it_over_when_it_runs_out() {
        let mut lease = None;
        assert_eq!(ask(&mut lease, 1, &ACQUIRE, now()), Ok(1));
        let refused = ask(&mut lease, 2, &ACQUIRE, now() + MINUTE / 2);
        let held = Refusal::Held { name: "a server".to_owned(), remaining: MINUTE / 2 };
        assert_eq!(refused, Err(held));
        assert_eq!(ask(&mut lease, 1, &renew(1), now() + MINUTE / 2), Ok(1));
        assert!(ask(&mut lease, 2, &ACQUIRE, now() + MINUTE).is_err(), "it was renewed");
        let late = now() + MINUTE * 3 / 2;
        let decision = decide(lease.as_ref(), server(2), "b", &ACQUIRE, late).unwrap();
        assert_eq!((decision.lease.epoch, decision.taken_from), (2, Some(server(1))));
    }

    #[test]
    fn who_was_paused_and_comes_late_changes_nothing() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        let late = now() + MINUTE * 5;
        assert_eq!(fence(lease.as_ref(), server(1), Some(1)), Ok(()), "nobody took it");
        assert_eq!(ask(&mut lease, 1, &renew(1), late), Ok(1), "and so it can be renewed");
        let later = late + MINUTE;
        assert_eq!(ask(&mut lease, 2, &ACQUIRE, later), Ok(2));
        for sent in [Some(1), Some(2), Some(3)] {
            assert_eq!(fence(lease.as_ref(), server(1), sent), Err(Refusal::Lost), "{sent:?}");
        }
        assert_eq!(fence(lease.as_ref(), server(1), None), Err(Refusal::Required));
        assert_eq!(fence(lease.as_ref(), server(2), Some(1)), Err(Refusal::Lost));
        assert_eq!(fence(lease.as_ref(), server(2), Some(2)), Ok(()));
        for request in [renew(1), Request::Release { epoch: 1 }] {
            assert_eq!(ask(&mut lease, 1, &request, later), Err(Refusal::Lost));
        }
    }

    #[test]
    fn a_server_that_was_started_again_fences_its_earlier_life_off() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        assert_eq!(ask(&mut lease, 1, &ACQUIRE, now()), Ok(2));
        assert_eq!(fence(lease.as_ref(), server(1), Some(1)), Err(Refusal::Lost));
    }

    #[test]
    fn what_is_released_is_free_at_once_and_its_epoch_worth_nothing() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        ask(&mut lease, 1, &Request::Release { epoch: 1 }, now()).unwrap();
        assert_eq!(fence(lease.as_ref(), server(1), Some(1)), Err(Refusal::Lost));
        assert_eq!(fence(lease.as_ref(), server(1), None), Err(Refusal::Required));
        assert_eq!(ask(&mut lease, 2, &ACQUIRE, now()), Ok(2));
    }

    #[test]
    fn without_a_lease_no_epoch_is_asked_for_and_none_is_believed() {
        assert_eq!(fence(None, server(1), None), Ok(()));
        assert_eq!(fence(None, server(1), Some(1)), Err(Refusal::Lost));
        let waived = Lease { epoch: 7, state: State::Waived };
        assert_eq!(fence(Some(&waived), server(1), None), Ok(()));
        assert_eq!(fence(Some(&waived), server(1), Some(7)), Err(Refusal::Lost));
        assert_eq!(ask(&mut Some(waived), 1, &ACQUIRE, now()), Ok(8), "an epoch never comes again");
    }

    #[test]
    fn a_clock_that_was_put_back_holds_nobody_up_and_durations_are_bounded() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        assert_eq!(ask(&mut lease, 2, &ACQUIRE, now() - Duration::DAY), Ok(2));
        for duration in [Duration::ZERO, DURATION_MIN - Duration::SECOND, DURATION_MAX * 2] {
            let refused = ask(&mut None, 1, &Request::Acquire { duration }, now());
            assert_eq!(refused, Err(Refusal::Duration), "{duration}");
        }
    }
}
