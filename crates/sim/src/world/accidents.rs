//! What administrators do to controllers, to the tenant and to the server: backups, what is restored from them,
//! a state that is lost, and what they let through.

use portolan_app::connect::simulated::Origin as _;
use portolan_app::report::Failure;

use super::{STATE, STATE_BACKUP, World, copy};
use crate::chance::Chance;
use crate::forest::Forest;
use crate::tenant::{Found, sender};

impl World<'_> {
    pub(super) fn of_controller(&mut self, chance: &mut Chance) {
        let at = self.some_forest(chance);
        let controller = chance.below(2);
        if chance.once_in(2) {
            self.forests[at].borrow_mut().back_up(controller);
            self.say(format!("controller {controller} is backed up"));
            return;
        }
        let invocation = (!chance.once_in(4)).then(|| chance.guid());
        if self.forests[at].borrow_mut().restore(controller, invocation) {
            self.say(format!("controller {controller} is restored from its backup"));
        }
    }

    pub(super) async fn of_tenant(&mut self, chance: &mut Chance) -> Result<(), Failure> {
        if self.setting.graph.is_some() {
            // Nobody restores a whole tenant of a Graph.
            return Ok(());
        }
        if chance.once_in(2) {
            self.tenant.get_mut().back_up().await?;
            self.say("the tenant is backed up");
        } else if self.tenant.get_mut().restore().await? {
            self.say("the tenant is restored from its backup");
        }
        Ok(())
    }

    pub(super) async fn of_server(&mut self, chance: &mut Chance) -> Result<(), Failure> {
        self.server.state().close().await;
        let at = |name: &str| self.directory.path().join(name);
        if chance.once_in(2) {
            copy(at(STATE), at(STATE_BACKUP))?;
            self.has_backup = true;
            self.say("the server's state is backed up");
        } else if self.has_backup {
            copy(at(STATE_BACKUP), at(STATE))?;
            self.forget().await?;
            self.say("the server's state is restored from its backup");
        }
        self.start().await?;
        self.confirm_next().await
    }

    /// The server does not know any more what it did.
    async fn forget(&mut self) -> Result<(), Failure> {
        self.tenant.get_mut().log.books.begin_anew();
        self.each_forest(Forest::forget);
        if self.setting.graph.is_some() {
            let there = self.tenant.get_mut().shown().await?;
            let manager =
                |found: &Found| Some((found.number.clone(), found.shown.manager.clone()?));
            self.cloud.managed.extend(there.iter().filter_map(manager));
            self.cloud.may_stay.extend(there.into_iter().map(|found| found.number));
        }
        Ok(())
    }

    pub(super) async fn lose_state(&mut self) -> Result<(), Failure> {
        self.server.state().close().await;
        copy(self.template.directory.path().join(STATE), self.directory.path().join(STATE))?;
        self.forget().await?;
        self.say("the server's state is lost");
        self.start().await
    }

    /// The server goes into staging mode, or out of it.
    pub(super) fn stage(&mut self, is_staging: bool) {
        self.is_staging = is_staging;
        self.tenant.get_mut().staging = is_staging.then(|| sender(0));
        self.say(if is_staging { "staging mode begins" } else { "staging mode ends" });
    }

    /// An administrator lets through what waits.
    pub(super) async fn release(&mut self) -> Result<(), Failure> {
        let (allowance, _) = self.setting.allowance();
        for (kind, count) in self.server.release(&allowance).await? {
            self.tenant.get_mut().log.books.released(kind, count, self.clock.now());
            self.say(format!("the administrator lets {count} more {kind} go"));
        }
        Ok(())
    }
}
