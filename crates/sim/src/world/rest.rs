//! How a run comes to rest: cycles without faults until nothing is left to do; and what is judged on the way.

use portolan_app::connect::simulated::Origin as _;

use super::cycles::told;
use super::{Judged, World};
use crate::chance::Chance;
use crate::check::{self, Law, Violation};
use crate::expected;
use crate::fault::{Bug, Faults, Fuse};
use crate::forest::Forest;
use crate::people::People;
use crate::tenant::Trouble;

/// Cycles in which a run comes to rest: an administrator is asked in some of them.
const CALM_MAX: usize = 8;
const CALM_GUARDED_MAX: usize = 16;
/// What is said of a full read that lacks too much.
const NOT_BELIEVED: &str = "the directory no longer shows";

impl World<'_> {
    /// Cycles without faults, until one has nothing to do.
    pub(super) async fn rest(&mut self) -> Judged {
        let rounds = if self.setting.is_guarded { CALM_GUARDED_MAX } else { CALM_MAX };
        for round in 0..rounds {
            self.clock.pass(time::Duration::minutes(3));
            if self.bug == Some(Bug::NeverQuiet) {
                let mut forest = self.forests[0].borrow_mut();
                for step in 0..9 {
                    forest.anything(&mut Chance::new(round as u64, step));
                }
                forest.replicate_all();
            }
            let (fuse, number) = (Fuse::new(0, None), self.ran.cycles as u64);
            let faults = (Faults::default(), [false; 2]);
            let cycle = self.cycle(&fuse, Trouble::default(), faults, number).await?;
            let cycle = match cycle {
                Some(Ok(cycle)) => cycle,
                // A full read lacks so much that somebody has to say that it is right.
                Some(Err(failure))
                    if self.setting.is_guarded && failure.text().contains(NOT_BELIEVED) =>
                {
                    self.say(format!("{}; the administrator lets all of it go", failure.text()));
                    self.is_all_allowed = true;
                    continue;
                }
                Some(Err(failure)) => {
                    return Ok(Err(Violation::of(Law::Succeeds, failure.text())));
                }
                None => return Ok(Err(Violation::of(Law::Succeeds, "the server died by itself"))),
            };
            self.say(told(&cycle));
            if let Err(violation) = self.check().await? {
                return Ok(Err(violation));
            }
            if !cycle.held.is_empty() {
                self.release().await?;
            }
            self.is_all_allowed = cycle.unread.iter().any(|why| why.contains(NOT_BELIEVED));
            // The second server may hold the lease for a while.
            let is_behind = !cycle.behind.is_empty();
            if !cycle.held.is_empty() || !cycle.unread.is_empty() || cycle.is_warm || is_behind {
                continue;
            }
            // What is wrong with single objects is decided about in each cycle.
            if cycle.exported == 0 && (cycle.full || cycle.nothing_read) {
                return Ok(Ok(()));
            }
        }
        let how = format!("there is something to do in each of {rounds} cycles");
        Ok(Err(Violation::of(Law::ComesToRest, how)))
    }

    /// What holds now that nothing is left to do.
    pub(super) async fn judge_at_rest(&self) -> Judged {
        let mut found = self.tenant.lock().await.shown().await?;
        let forests: Vec<_> = self.forests.iter().map(|forest| forest.borrow()).collect();
        let forests: Vec<&Forest> = forests.iter().map(|forest| &**forest).collect();
        if self.setting.has_joins {
            let expected = People::of(&forests).expected(&found);
            return Ok(expected.and_then(|expected| check::at_rest(&expected, &found)));
        }
        let mut expected = expected::of(&forests);
        if self.setting.graph.is_some() {
            self.as_graph_has_it(&mut expected, &mut found).await?;
        }
        Ok(check::at_rest(&expected, &found))
    }

    pub(super) async fn check(&self) -> Judged {
        let found = self.tenant.lock().await.shown().await?;
        let forests: Vec<_> = self.forests.iter().map(|forest| forest.borrow()).collect();
        let forests: Vec<&Forest> = forests.iter().map(|forest| &**forest).collect();
        let people = self.setting.has_joins.then(|| People::of(&forests));
        let guarded_at = self.setting.is_guarded.then(|| self.clock.now());
        let tenant = self.tenant.lock().await;
        if let Some(violation) = tenant.manners.broken.clone() {
            return Ok(Err(violation));
        }
        Ok(check::always(&forests, &tenant.log, &found, people.as_ref(), guarded_at))
    }
}
