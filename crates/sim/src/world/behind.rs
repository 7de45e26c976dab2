//! A controller that is asked for everything before it heard of what was read of the other one.

use super::cycles::told_of;
use super::{Judged, World};
use crate::chance::Chance;
use crate::fault::{Faults, Fuse};
use crate::tenant::Trouble;

impl World<'_> {
    /// Somebody is made and read of one controller; then the other one is asked, for everything.
    pub(super) async fn behind(&mut self, chance: &mut Chance) -> Judged {
        let (at, up) = (self.some_forest(chance), chance.below(2));
        let done = self.forests[at].borrow_mut().newcomer(chance);
        self.forests[at].borrow_mut().replicate(up, usize::MAX);
        self.say(format!("{done}, of which controller {up} learns"));
        for (controller, cookie_refused) in [(up, false), (1 - up, true)] {
            self.controllers[at] = controller;
            let faults = (Faults { cookie_refused, ..Faults::default() }, [false; 2]);
            let (fuse, number) = (Fuse::new(0, None), chance.number());
            let outcome = self.cycle(&fuse, Trouble::default(), faults, number).await?;
            let said = outcome.as_ref().map(told_of).unwrap_or_default();
            self.say(format!("by controller {controller}: {said}"));
            if let Err(violation) = self.check().await? {
                return Ok(Err(violation));
            }
        }
        Ok(Ok(()))
    }
}
