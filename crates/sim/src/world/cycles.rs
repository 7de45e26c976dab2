//! Cycles of a server: with everything that may go wrong in one, and what is told of it.

use std::sync::Arc;

use portolan_app::connect::simulated::{Allowance, Cycle, Origin as _, Server, Turn};
use portolan_app::report::Failure;
use portolan_tenant::lease;

use super::{FORESTS, Judged, World};
use crate::chance::Chance;
use crate::fault::{Bug, Cut, Faults, Fuse};
use crate::forest::Connection;
use crate::setting::Setting;
use crate::tenant::{Held, Line, Trouble};

/// For how long a lease is given.
const LEASE: time::Duration = time::Duration::seconds(60);

impl World<'_> {
    /// A cycle of which anything may go wrong.
    pub(super) async fn cycle_with_faults(&mut self, chance: &mut Chance) -> Judged {
        let rarely = |chance: &mut Chance| if chance.once_in(3) { 2 + chance.below(4) } else { 0 };
        let trouble = Trouble {
            throttled: rarely(chance),
            request_lost: rarely(chance),
            answer_lost: rarely(chance),
            twice: rarely(chance),
            late: rarely(chance),
        };
        let faults = Faults {
            meanwhile: chance.once_in(2),
            cookie_refused: chance.once_in(12),
            repeats: chance.once_in(4),
            reorders: chance.once_in(3),
            down: false,
            is_taken_for_empty: self.bug == Some(Bug::TakesUnreadForEmpty),
        };
        for controller in &mut self.controllers {
            if chance.once_in(4) {
                *controller = chance.below(2);
            }
        }
        let cut = match chance.below(4) {
            0 => Some(Cut::Lost),
            1 => Some(Cut::Crash),
            _ => None,
        };
        let fuse = Fuse::new(chance.below(60) as u32, cut);
        let power = chance.once_in(4).then(|| chance.below(25) as u32);
        if let Some(commits) = power {
            self.server.state().lose_power_after(commits).await?;
        }
        let number = chance.number();
        let several = self.forests.len() > 1;
        let down = FORESTS.map(|_| several && chance.once_in(6));
        let outcome = self.cycle(&fuse, trouble, (faults, down), number).await?;
        let what = match &outcome {
            None => format!("the server dies at {}", fuse.at()),
            Some(Err(failure)) => format!("a cycle fails: {}", failure.text()),
            Some(Ok(cycle)) => told(cycle),
        };
        let what = match power {
            Some(commits) => format!("{what} (its power lasts for {commits} transactions)"),
            None => what,
        };
        let controllers: Vec<_> = self.controllers.iter().map(ToString::to_string).collect();
        self.say(format!("by controller {}: {what}", controllers.join(" and ")));
        if outcome.is_none() || power.is_some() {
            self.server.state().close().await;
            self.start().await?;
        }
        self.check().await
    }

    /// One cycle; nothing when the server died in it.
    pub(super) async fn cycle(
        &mut self,
        fuse: &Fuse,
        trouble: Trouble,
        faults: (Faults, [bool; 2]),
        seed: u64,
    ) -> Result<Option<Result<Cycle, Failure>>, Failure> {
        self.lease = self.renewed(0, self.lease).await?;
        let outcome = self.run((0, &self.server, self.lease), fuse, trouble, faults, seed);
        let outcome = tokio::select! {
            biased;
            () = fuse.burnt() => None,
            cycle = outcome => Some(cycle),
        };
        if let Some(Ok(cycle)) = &outcome {
            self.cloud.refused = cycle.refused.iter().map(|(anchor, _)| anchor.clone()).collect();
        }
        self.tell();
        Ok(outcome)
    }

    /// A cycle of one of the servers.
    pub(super) async fn run(
        &self,
        (number, server, lease): (usize, &Server, Option<Held>),
        fuse: &Fuse,
        trouble: Trouble,
        (faults, down): (Faults, [bool; 2]),
        seed: u64,
    ) -> Result<Cycle, Failure> {
        let connection = |at: usize, forest| {
            let chance = Chance::new(seed, if at == 0 { 6 } else { 10 });
            let faults = Faults { down: down[at], ..faults };
            Connection::new(forest, self.controllers[at], chance, fuse, faults)
        };
        let directories = self.forests.iter().enumerate();
        let mut directories: Vec<_> =
            directories.map(|(at, forest)| connection(at, forest)).collect();
        let (chance, clock) = (Chance::new(seed, 7), Arc::clone(&self.clock));
        if self.setting.graph.is_some() {
            let line = (fuse, trouble);
            return Box::pin(self.run_to_graph(server, &mut directories, line, chance)).await;
        }
        let mut line =
            Line { tenant: &self.tenant, server: number, lease, clock, fuse, trouble, chance };
        let (allowance, allowed) = self.allowance();
        let is_staging = number == 0 && self.is_staging && self.bug != Some(Bug::IgnoresStaging);
        let turn = match (self.setting.has_second, lease) {
            _ if is_staging => Turn::Warm,
            (false, _) => Turn::Alone,
            (true, None) => Turn::Warm,
            (true, Some(lease)) => Turn::Active(lease.tenure),
        };
        Box::pin(server.synchronise(&mut directories, &mut line, (&allowance, allowed), turn)).await
    }

    /// What goes without a word in the next cycle, and how many above that.
    pub(super) fn allowance(&self) -> (Allowance, usize) {
        let (allowance, allowed) = self.setting.allowance();
        let all = self.is_all_allowed || self.bug == Some(Bug::IgnoresGuard);
        (allowance, if all { Setting::allowed() } else { allowed })
    }

    /// The lease of a server before a cycle: more of the one that it has, or a new one, if it gets one.
    pub(super) async fn renewed(
        &self,
        server: usize,
        held: Option<Held>,
    ) -> Result<Option<Held>, Failure> {
        // In staging mode a server takes no lease.
        let is_staging = server == 0 && self.is_staging && self.bug != Some(Bug::IgnoresStaging);
        if !self.setting.has_second || is_staging {
            return Ok(None);
        }
        let mut tenant = self.tenant.lock().await;
        let until = self.clock.now() + LEASE * 9 / 10;
        if let Some(held) = held {
            let request = lease::Request::Renew { claim: held.tenure.claim(), duration: LEASE };
            if tenant.lease(server, &request).await?.is_some() {
                return Ok(Some(Held { until, ..held }));
            }
        }
        let tenure = tenant.lease(server, &lease::Request::Acquire { duration: LEASE }).await?;
        Ok(tenure.map(|tenure| Held { tenure, until }))
    }

    /// What is told of a cycle.
    pub(super) fn tell(&mut self) {
        self.ran.cycles += 1;
        if std::mem::take(&mut self.is_all_allowed) {
            self.tenant.get_mut().log.books.begin_anew();
        }
        let mut meanwhile = Vec::new();
        self.each_forest(|forest| meanwhile.append(&mut forest.meanwhile));
        for line in meanwhile.iter().filter(|line| !line.is_empty()) {
            self.say(format!("  meanwhile {line}"));
        }
        for line in std::mem::take(&mut self.tenant.get_mut().log.said) {
            self.say(format!("  the tenant {line}"));
        }
    }
}

pub(super) fn told_of(outcome: &Result<Cycle, Failure>) -> String {
    match outcome {
        Ok(cycle) => told(cycle),
        Err(failure) => format!("a cycle fails: {}", failure.text()),
    }
}

pub(super) fn told(cycle: &Cycle) -> String {
    let Cycle { full, decided, exported, refused, notes, held, unread, behind, .. } = cycle;
    let notes: Vec<_> = [notes, held, unread, behind].into_iter().flatten().cloned().collect();
    let how = if *full { "a full cycle" } else { "a cycle" };
    let how = if cycle.is_warm { format!("warm, {how}") } else { how.to_owned() };
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    let refused: Vec<_> = refused.iter().map(|(anchor, why)| format!("{anchor}: {why}")).collect();
    let refused = if refused.is_empty() {
        String::new()
    } else {
        format!("; refused {}", refused.join(", "))
    };
    format!("{how} decides {decided} and sends {exported}{refused}{notes}")
}
