//! When the keys that sign tokens change.
//!
//! A key is published before it signs, for as long as clients may keep the published keys without
//! looking again; it signs for a while; and it stays published until nothing that it signed is good any
//! more. All of it follows from the moments at which the keys were made.

use time::{Duration, OffsetDateTime};

/// How long a key is published before it signs. Libraries look again after a day.
pub const PUBLISHED_AHEAD: Duration = Duration::days(2);

/// How long a key signs.
pub const SIGNS_FOR: Duration = Duration::days(30);

/// How long a key stays published after it signed last: longer than any token or browser session lasts.
pub const KEPT_AFTER: Duration = Duration::days(7);

/// What is to be done with the keys at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The key that signs, counted from the oldest.
    pub signer: usize,
    /// Whether the next key is to be made.
    pub make_next: bool,
    /// How many of the oldest keys are over.
    pub over: usize,
    /// When the next key signs, if it is there already.
    pub next_signs_at: Option<OffsetDateTime>,
    /// When the next key is to be made, if it is not there yet.
    pub next_made_at: Option<OffsetDateTime>,
}

/// Decides, from the moments at which the keys were made, oldest first; `None` without a key.
#[must_use]
pub fn decide(made_at: &[OffsetDateTime], now: OffsetDateTime) -> Option<Decision> {
    // The oldest key had none before it that could have signed in the meantime.
    let signs_from =
        |at: usize| made_at[at] + if at == 0 { Duration::ZERO } else { PUBLISHED_AHEAD };
    let signer = (0..made_at.len()).rev().find(|&at| signs_from(at) <= now);
    let signer = signer.or((!made_at.is_empty()).then_some(0))?;
    let next = (signer + 1 < made_at.len()).then(|| signs_from(signer + 1));
    let due = signs_from(signer) + SIGNS_FOR - PUBLISHED_AHEAD;
    Some(Decision {
        signer,
        make_next: next.is_none() && due <= now,
        over: (0..signer).take_while(|&at| signs_from(at + 1) + KEPT_AFTER <= now).count(),
        next_signs_at: next,
        next_made_at: next.is_none().then_some(due),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::now;
    use crate::issue::TOKEN_LIFETIME;

    #[test]
    fn a_key_is_published_before_it_signs_and_after() {
        let check = |days: &[i64], expected: Option<(usize, bool, usize)>| {
            let made: Vec<_> = days.iter().map(|&days| now() - Duration::days(days)).collect();
            let found = decide(&made, now()).map(|it| (it.signer, it.make_next, it.over));
            assert_eq!(found, expected, "{days:?}");
        };
        check(&[], None);
        check(&[0], Some((0, false, 0)));
        check(&[27], Some((0, false, 0)));
        check(&[28], Some((0, true, 0)));
        check(&[29, 1], Some((0, false, 0)));
        check(&[30, 2], Some((1, false, 0)));
        check(&[36, 8], Some((1, false, 0)));
        check(&[37, 9], Some((1, false, 1)));
        // A tenant that was off for a year signs on with the old key until the new one was published.
        check(&[365], Some((0, true, 0)));
        check(&[365, 0], Some((0, false, 0)));
        // A clock that was set back.
        check(&[-5], Some((0, false, 0)));
        check(&[-5, -6], Some((0, false, 0)));
    }

    #[test]
    fn every_token_outlives_its_keys_last_signature_while_time_passes() {
        let mut made = vec![now()];
        let mut signers = Vec::new();
        for hours in 0..24 * 400 {
            let at = now() + Duration::hours(hours);
            let decision = decide(&made, at).unwrap();
            let signer = made[decision.signer];
            if signers.last().is_none_or(|&(last, _)| last != signer) {
                signers.push((signer, at));
            }
            assert!(decision.signer == 0 || signer + PUBLISHED_AHEAD <= at, "published before");
            for &(key, _) in signers.iter().rev().skip(1).take(1) {
                let (_, until) = signers[signers.len() - 1];
                let needed = at < until + TOKEN_LIFETIME;
                assert!(!needed || made[decision.over..].contains(&key), "kept while needed");
            }
            made.drain(..decision.over);
            if decision.make_next {
                made.push(at);
            }
            assert!(made.len() <= 3);
        }
        assert!((12..=15).contains(&signers.len()), "{}", signers.len());
    }
}
