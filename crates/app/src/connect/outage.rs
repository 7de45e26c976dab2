//! A forest that does not answer, of several: it is not asked again in each cycle, because the wait for it
//! would hold the others up, but after pauses that grow.
//!
//! Only what took long rests: a forest that refuses at once costs nothing. Of the only forest there are no
//! others to hold up.

use std::time::{Duration, Instant};

use portolan_store::state::{Partition, State};
use portolan_sync::engine::ConnectorId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::report::Failure;

/// Remembered of a forest while it does not answer.
const DOWN: &str = "down";
/// How long an attempt takes at least of which another one waits.
const LONG: Duration = Duration::from_secs(1);
/// The pause behind the first attempt; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(30);
const PAUSE_LONGEST: Duration = Duration::from_secs(300);

/// Whether a forest answers, as one process knows it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    attempts: u32,
    until: Instant,
    down: Down,
}

/// Since when a forest does not answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Down {
    /// In seconds since 1970.
    pub(super) since: i64,
    /// What was said last.
    pub(super) why: String,
    /// When it is asked again at the earliest, likewise.
    pub(super) again: i64,
}

impl Outage {
    /// Whether it is to be asked now.
    ///
    /// # Errors
    /// While it rests: why it did not answer.
    pub(super) fn check(&self, now: Instant) -> Result<(), Failure> {
        let Some(failed) = self.failed.as_ref().filter(|failed| failed.until > now) else {
            return Ok(());
        };
        let seconds = failed.until.duration_since(now).as_secs() + 1;
        let why = &failed.down.why;
        Err(Failure::new(format!("it did not answer, and is asked again in {seconds} s: {why}")))
    }

    /// Takes what came of an attempt that began at a moment.
    pub(super) fn took<T>(
        &mut self,
        outcome: &Result<T, Failure>,
        (began, ended): (Instant, Instant),
        now: OffsetDateTime,
    ) {
        let failure = match outcome {
            Ok(_) => return self.failed = None,
            Err(failure) if failure.is_lasting() => return,
            Err(_) if ended.duration_since(began) < LONG => return,
            Err(failure) => failure,
        };
        let attempts = self.failed.as_ref().map_or(0, |failed| failed.attempts).saturating_add(1);
        let since = self.failed.as_ref().map_or(now.unix_timestamp(), |failed| failed.down.since);
        let factor = 1 << (attempts - 1).min(16);
        let pause = (PAUSE_FIRST * factor).min(PAUSE_LONGEST);
        let again = (now + pause).unix_timestamp();
        let down = Down { since, why: failure.text().to_owned(), again };
        self.failed = Some(Failed { attempts, until: ended + pause, down });
    }

    /// Keeps it in the state, for `connect status`.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub(super) async fn keep(
        &self,
        state: &State,
        of: impl Into<Partition>,
    ) -> Result<(), Failure> {
        let (forest, name) = place(of.into());
        let known = state.remembered(forest, &name).await?;
        match &self.failed {
            None if known.is_some() => Ok(state.forget(forest, &name).await?),
            None => Ok(()),
            Some(Failed { down, .. }) => {
                let octets = serde_json::to_vec(down)
                    .map_err(|error| Failure::because("cannot write what is down", &error))?;
                match known {
                    Some(known) if known == octets => Ok(()),
                    _ => Ok(state.remember(forest, &name, &octets).await?),
                }
            }
        }
    }
}

impl Down {
    /// What is remembered of a forest that does not answer.
    ///
    /// # Errors
    /// When the state does not read.
    pub(super) async fn of(
        state: &State,
        of: impl Into<Partition>,
    ) -> Result<Option<Self>, Failure> {
        let (forest, name) = place(of.into());
        let known = state.remembered(forest, &name).await?;
        Ok(known.and_then(|octets| serde_json::from_slice(&octets).ok()))
    }
}

/// Where it is remembered of a domain of a forest.
fn place(of: Partition) -> (ConnectorId, String) {
    match of.number {
        0 => (of.forest, DOWN.to_owned()),
        number => (of.forest, format!("{DOWN}:{number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_answer_rests_longer_each_time_up_to_a_limit() {
        let (began, now) = (portolan_net::clock::monotonic(), portolan_net::clock::now());
        let silent: Result<(), _> = Err(Failure::new("no answer"));
        let (mut outage, mut at) = (Outage::default(), began);
        for expected in [30, 60, 120, 240, 300, 300] {
            outage.took(&silent, (at, at + Duration::from_secs(10)), now);
            at += Duration::from_secs(10);
            let last = at + Duration::from_secs(expected - 1);
            let told = outage.check(last).unwrap_err();
            assert!(told.text().contains("asked again in 2 s: no answer"), "{}", told.text());
            at += Duration::from_secs(expected);
            assert!(outage.check(at).is_ok(), "after {expected} s");
        }
        outage.took(&Ok(()), (at, at), now);
        outage.took(&silent, (at, at + LONG), now);
        assert!(outage.check(at + Duration::from_secs(40)).is_ok(), "it began anew");
    }

    #[test]
    fn what_fails_at_once_or_lasts_does_not_rest() {
        let (began, now) = (portolan_net::clock::monotonic(), portolan_net::clock::now());
        let mut outage = Outage::default();
        let refused: Result<(), _> = Err(Failure::new("refused"));
        outage.took(&refused, (began, began), now);
        let lasting: Result<(), _> = Err(Failure::new("another password").lasting());
        outage.took(&lasting, (began, began + LONG * 9), now);
        assert!(outage.check(began).is_ok());
    }

    #[tokio::test]
    async fn it_is_remembered_until_the_forest_answers() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join("x.db")).await.unwrap();
        let side = portolan_sync::engine::Side::Forest;
        let forest = state.connector("corp.example", side).await.unwrap();
        let (began, now) = (portolan_net::clock::monotonic(), portolan_net::clock::now());
        let mut outage = Outage::default();
        outage.took(&Err::<(), _>(Failure::new("no answer")), (began, began + LONG), now);
        outage.keep(&state, forest).await.unwrap();
        let down = Down::of(&state, forest).await.unwrap().unwrap();
        assert_eq!((down.since, down.why.as_str()), (now.unix_timestamp(), "no answer"));
        outage.took(&Ok(()), (began, began), now);
        outage.keep(&state, forest).await.unwrap();
        assert_eq!(Down::of(&state, forest).await.unwrap(), None);
    }
}
