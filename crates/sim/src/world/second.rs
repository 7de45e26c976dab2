//! The server that waits to take over, and the one that stands still while it does.

use super::cycles::told_of;
use super::{Judged, World};
use crate::chance::Chance;
use crate::fault::{BATCH, Cut, Faults, Fuse};
use crate::tenant::Trouble;

impl World<'_> {
    /// A cycle of the server that waits.
    pub(super) async fn of_second(&mut self, chance: &mut Chance) -> Judged {
        let Some((second, held)) = self.second.take() else { return Ok(Ok(())) };
        let held = self.renewed(1, held).await?;
        let (fuse, faults) = (Fuse::new(0, None), (Faults::default(), [false; 2]));
        let (trouble, number) = (Trouble::default(), chance.number());
        let outcome = self.run((1, &second, held), &fuse, trouble, faults, number).await;
        self.second = Some((second, held));
        self.tell();
        self.say(format!("the second server: {}", told_of(&outcome)));
        self.check().await
    }

    /// The server stands still somewhere in a cycle; the second one takes over, and the first goes on late.
    pub(super) async fn pause(&mut self, chance: &mut Chance) -> Judged {
        let Some((second, held)) = self.second.take() else { return Ok(Ok(())) };
        self.lease = self.renewed(0, self.lease).await?;
        let late = if chance.once_in(2) {
            Fuse::new(chance.below(60) as u32, Some(Cut::Pause))
        } else {
            Fuse::new(chance.below(2) as u32, Some(Cut::Pause)).only(BATCH)
        };
        let (trouble, faults) = (Trouble::default(), (Faults::default(), [false; 2]));
        let (numbers, fuse) = ([chance.number(), chance.number()], Fuse::new(0, None));
        let minutes = 1 + chance.below(3) as i64;
        let (held, between, ended) = {
            let first = self.run((0, &self.server, self.lease), &late, trouble, faults, numbers[0]);
            tokio::pin!(first);
            let ended = tokio::select! {
                biased;
                () = late.burnt() => None,
                ended = &mut first => Some(ended),
            };
            self.clock.pass(time::Duration::minutes(minutes));
            let held = self.renewed(1, held).await?;
            let between = self.run((1, &second, held), &fuse, trouble, faults, numbers[1]).await;
            late.resume();
            let ended = match ended {
                Some(ended) => ended,
                None => first.await,
            };
            (held, between, ended)
        };
        self.second = Some((second, held));
        self.tell();
        self.say(format!("while the server stands still: {}", told_of(&between)));
        self.say(format!("the server goes on at {}: {}", late.at(), told_of(&ended)));
        self.check().await
    }
}
