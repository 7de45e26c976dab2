//! Which of several sync servers of a group may write: a lease, and the epoch that fences off who had it.
//!
//! A lease only says who should write. That nobody else does is the work of the epoch, which grows with every
//! acquisition, and of the id, which no other acquisition ever has: each batch carries those that its sender was
//! given, and in the transaction that would write, any other than the newest are refused. So a server that was
//! paused in the middle of a run, and goes on late, changes nothing. No clock but the tenant's counts, and no
//! decision here rests on two clocks agreeing. A lease that ran out is still its holder's until somebody else
//! takes it: nobody else has written since.
//!
//! Epochs begin again where a backup of the tenant left off, ids do not: who knows the id under which it learnt
//! what the tenant has, and finds neither it nor one that came right behind it, has to learn it anew. The argument
//! is in `docs/safety.md`.

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
    /// The last acquisition.
    pub tenure: Tenure,
    /// What became of it.
    pub state: State,
}

/// One acquisition of a lease: from then on until the next one, nobody writes but who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// Its number, which grows. A tenant that is restored from a backup gives the same one again.
    pub epoch: u64,
    /// Drawn for it: no other acquisition has the same, of this tenant or of one that was restored.
    pub id: Guid,
    /// The id of the acquisition before it, of whichever server; none of the first.
    pub previous: Option<Guid>,
}

/// By which acquisition a server says that it writes. It is no secret: whose it is, the token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// [`Tenure::epoch`].
    pub epoch: u64,
    /// [`Tenure::id`].
    pub id: Guid,
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
        /// What it was given.
        claim: Claim,
        /// For how long from now on.
        duration: Duration,
    },
    /// To let another one become it at once.
    Release {
        /// What it was given.
        claim: Claim,
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
    /// The acquisition is not the newest, or not of this server: another one has taken over since, or the tenant
    /// was restored from a backup of before it.
    #[error("the lease is another's, or a newer one: acquire it anew and confirm before writing")]
    Lost,
    /// The group uses leases, and the batch does not carry epoch and id of one.
    #[error(
        "this group of sync servers uses a lease, and the batch carries no epoch and id of one"
    )]
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
/// of its earlier life must not write. `fresh` is the id of the acquisition, should there be one: drawn for this
/// call alone.
///
/// # Errors
/// Why it gets nothing; the lease stays as it is then.
pub fn decide(
    lease: Option<&Lease>,
    by: Guid,
    name: &str,
    request: &Request,
    now: OffsetDateTime,
    fresh: Guid,
) -> Result<Decision, Refusal> {
    let held = |tenure, duration: Duration| {
        if !(DURATION_MIN..=DURATION_MAX).contains(&duration) {
            return Err(Refusal::Duration);
        }
        let expires_at = now + duration;
        let holder = Holder { client_id: by, name: name.to_owned(), expires_at };
        Ok(Lease { tenure, state: State::Held(holder) })
    };
    match *request {
        Request::Acquire { duration } => {
            let before = lease.and_then(Lease::holder);
            let other = before.filter(|holder| holder.client_id != by);
            if let Some(remaining) = other.and_then(|holder| holder.remaining(now)) {
                let name = other.map(|holder| holder.name.clone()).unwrap_or_default();
                return Err(Refusal::Held { name, remaining });
            }
            let tenure = Tenure::behind(lease.map(|lease| lease.tenure), fresh);
            let taken_from = other.map(|holder| holder.client_id);
            Ok(Decision { lease: held(tenure, duration)?, taken_from })
        }
        Request::Renew { claim, duration } => {
            let tenure = claimed(lease, by, claim)?;
            Ok(Decision { lease: held(tenure, duration)?, taken_from: None })
        }
        Request::Release { claim } => {
            let tenure = claimed(lease, by, claim)?;
            Ok(Decision { lease: Lease { tenure, state: State::Released }, taken_from: None })
        }
    }
}

/// The newest acquisition, if it is the one that a server claims and its own.
fn claimed(lease: Option<&Lease>, by: Guid, claim: Claim) -> Result<Tenure, Refusal> {
    let is_its = |lease: &&Lease| {
        lease.tenure.claim() == claim && lease.holder().is_some_and(|holder| holder.client_id == by)
    };
    lease.filter(is_its).map(|lease| lease.tenure).ok_or(Refusal::Lost)
}

/// Whether a batch of a server may be written: by the newest acquisition, which is its own; or by none, where no
/// lease is used.
///
/// # Errors
/// Why it may not.
pub fn fence(lease: Option<&Lease>, by: Guid, sent: Option<Claim>) -> Result<(), Refusal> {
    match sent {
        Some(claim) => claimed(lease, by, claim).map(|_| ()),
        None if lease.is_some_and(Lease::is_used) => Err(Refusal::Required),
        None => Ok(()),
    }
}

impl Tenure {
    /// The acquisition behind another one, or the first.
    #[must_use]
    pub fn behind(before: Option<Self>, id: Guid) -> Self {
        let epoch = before.map_or(0, |before| before.epoch).saturating_add(1);
        Self { epoch, id, previous: before.map(|before| before.id) }
    }

    /// What whoever made it claims.
    #[must_use]
    pub const fn claim(&self) -> Claim {
        Claim { epoch: self.epoch, id: self.id }
    }

    /// Whether nobody else can have written between an acquisition, of which somebody remembers the id, and this
    /// one: it is the same, or the very next.
    #[must_use]
    pub fn continues(&self, known: Guid) -> bool {
        self.id == known || self.previous == Some(known)
    }
}

impl Lease {
    /// The lease of which an administrator ended the use. What is written until somebody acquires it again is
    /// written under no lease: `fresh` stands for that time, so that nobody takes it for their own.
    #[must_use]
    pub fn waived(&self, fresh: Guid) -> Self {
        let Tenure { epoch, id, .. } = self.tenure;
        let tenure = Tenure { epoch, id: fresh, previous: Some(id) };
        Self { tenure, state: State::Waived }
    }

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

    /// The id that is drawn for the acquisition with a number.
    fn drawn(number: u64) -> Guid {
        Guid::from_random([100 + number as u8; 16])
    }

    fn claim(epoch: u64) -> Claim {
        Claim { epoch, id: drawn(epoch) }
    }

    fn sent(epoch: u64) -> Option<Claim> {
        Some(claim(epoch))
    }

    fn ask(
        lease: &mut Option<Lease>,
        by: u8,
        request: &Request,
        at: OffsetDateTime,
    ) -> Result<u64, Refusal> {
        let fresh = drawn(lease.as_ref().map_or(0, |lease| lease.tenure.epoch) + 1);
        let decision = decide(lease.as_ref(), server(by), "a server", request, at, fresh)?;
        let tenure = decision.lease.tenure;
        assert_eq!(tenure.id, drawn(tenure.epoch), "it is drawn once for each acquisition");
        *lease = Some(decision.lease);
        Ok(tenure.epoch)
    }

    const ACQUIRE: Request = Request::Acquire { duration: MINUTE };

    fn renew(epoch: u64) -> Request {
        Request::Renew { claim: claim(epoch), duration: MINUTE }
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
        let decision = decide(lease.as_ref(), server(2), "b", &ACQUIRE, late, drawn(2)).unwrap();
        let tenure = Tenure { epoch: 2, id: drawn(2), previous: Some(drawn(1)) };
        assert_eq!((decision.lease.tenure, decision.taken_from), (tenure, Some(server(1))));
    }

    #[test]
    fn who_was_paused_and_comes_late_changes_nothing() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        let late = now() + MINUTE * 5;
        assert_eq!(fence(lease.as_ref(), server(1), sent(1)), Ok(()), "nobody took it");
        assert_eq!(ask(&mut lease, 1, &renew(1), late), Ok(1), "and so it can be renewed");
        let later = late + MINUTE;
        assert_eq!(ask(&mut lease, 2, &ACQUIRE, later), Ok(2));
        for sent in [sent(1), sent(2), sent(3)] {
            assert_eq!(fence(lease.as_ref(), server(1), sent), Err(Refusal::Lost), "{sent:?}");
        }
        assert_eq!(fence(lease.as_ref(), server(1), None), Err(Refusal::Required));
        assert_eq!(fence(lease.as_ref(), server(2), sent(1)), Err(Refusal::Lost));
        assert_eq!(fence(lease.as_ref(), server(2), sent(2)), Ok(()));
        for request in [renew(1), Request::Release { claim: claim(1) }] {
            assert_eq!(ask(&mut lease, 1, &request, later), Err(Refusal::Lost));
        }
    }

    #[test]
    fn a_server_that_was_started_again_fences_its_earlier_life_off() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        assert_eq!(ask(&mut lease, 1, &ACQUIRE, now()), Ok(2));
        assert_eq!(fence(lease.as_ref(), server(1), sent(1)), Err(Refusal::Lost));
    }

    #[test]
    fn what_is_released_is_free_at_once_and_its_epoch_worth_nothing() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        ask(&mut lease, 1, &Request::Release { claim: claim(1) }, now()).unwrap();
        assert_eq!(fence(lease.as_ref(), server(1), sent(1)), Err(Refusal::Lost));
        assert_eq!(fence(lease.as_ref(), server(1), None), Err(Refusal::Required));
        assert_eq!(ask(&mut lease, 2, &ACQUIRE, now()), Ok(2));
    }

    #[test]
    fn without_a_lease_no_epoch_is_asked_for_and_none_is_believed() {
        assert_eq!(fence(None, server(1), None), Ok(()));
        assert_eq!(fence(None, server(1), sent(1)), Err(Refusal::Lost));
        let tenure = Tenure { epoch: 7, id: drawn(7), previous: None };
        let waived = Lease { tenure, state: State::Released }.waived(server(99));
        assert_eq!(fence(Some(&waived), server(1), None), Ok(()));
        assert_eq!(fence(Some(&waived), server(1), sent(7)), Err(Refusal::Lost));
        let mut lease = Some(waived);
        assert_eq!(ask(&mut lease, 1, &ACQUIRE, now()), Ok(8), "an epoch never comes again");
        let tenure = lease.unwrap().tenure;
        assert!(!tenure.continues(drawn(7)), "anybody may have written without a lease meanwhile");
    }

    #[test]
    fn an_epoch_that_comes_again_in_a_restored_tenant_is_another_acquisition() {
        let mut lease = None;
        ask(&mut lease, 1, &ACQUIRE, now()).unwrap();
        let backup = lease.clone();
        let late = now() + MINUTE * 2;
        // The second server takes over, and learns what the first one wrote.
        ask(&mut lease, 2, &ACQUIRE, late).unwrap();
        let learnt = lease.as_ref().unwrap().tenure;
        // The tenant is restored: the second server gets the same epoch again, and by another id.
        let mut lease = backup;
        let fresh = server(88);
        let held = Request::Renew { claim: learnt.claim(), duration: MINUTE };
        assert_eq!(ask(&mut lease, 2, &held, late), Err(Refusal::Lost));
        let again = decide(lease.as_ref(), server(2), "b", &ACQUIRE, late, fresh).unwrap().lease;
        assert_eq!(again.tenure.epoch, learnt.epoch);
        assert_eq!(fence(Some(&again), server(2), Some(learnt.claim())), Err(Refusal::Lost));
        assert!(!again.tenure.continues(learnt.id));
        // Who wrote last in front of the backup has nothing to learn: nobody else did.
        ask(&mut lease, 1, &ACQUIRE, late).unwrap();
        assert!(lease.unwrap().tenure.continues(drawn(1)));
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
