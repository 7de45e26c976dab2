//! Virtual time for what is under way at once: it passes when nobody has anything to do but to wait, to the moment at
//! which the first one goes on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use portolan_app::connect::simulated::Origin as _;
use time::{Duration, OffsetDateTime};

use crate::chance::Virtual;

/// How often one that waits lets those go on first that wait for an earlier moment. One that nobody looks at just now
/// does not stop the others: it is late then, as an answer that nobody reads.
const COURTESIES_MAX: u32 = 4;

/// Whom time passes for, by the moment for which each waits.
type Waiting = BTreeMap<(OffsetDateTime, u64), Option<Waker>>;

/// The time of a cycle.
#[derive(Debug)]
pub struct Time {
    clock: Arc<Virtual>,
    /// Things that are being done: no time passes in them.
    busy: Cell<usize>,
    waiting: RefCell<Waiting>,
    next: Cell<u64>,
}

/// Something that is being done, until it is dropped.
#[derive(Debug)]
pub struct Busy<'t>(&'t Time);

impl Time {
    /// By a clock.
    #[must_use]
    pub const fn new(clock: Arc<Virtual>) -> Self {
        let waiting = RefCell::new(Waiting::new());
        Self { clock, busy: Cell::new(0), waiting, next: Cell::new(0) }
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// No time passes until what this gives is dropped.
    #[must_use]
    pub fn busy(&self) -> Busy<'_> {
        self.busy.set(self.busy.get() + 1);
        Busy(self)
    }

    /// Waits so long.
    pub async fn sleep(&self, duration: Duration) {
        let number = self.next.get();
        self.next.set(number + 1);
        let key = (self.now() + duration, number);
        self.waiting.borrow_mut().insert(key, None);
        Sleep { time: self, key, polls: 0 }.await;
    }

    fn wake_all(&self) {
        for waker in self.waiting.borrow_mut().values_mut() {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.wake_all();
    }
}

/// One that waits.
struct Sleep<'t> {
    time: &'t Time,
    key: (OffsetDateTime, u64),
    polls: u32,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { time, key, polls } = *self;
        let now = time.now();
        if now >= key.0 {
            return Poll::Ready(());
        }
        let is_first = time.waiting.borrow().keys().next() == Some(&key);
        let had_their_turn = polls > 0 && (is_first || polls > COURTESIES_MAX);
        if time.busy.get() == 0 && had_their_turn {
            time.clock.pass(key.0 - now);
            return Poll::Ready(());
        }
        let is_idle = time.busy.get() == 0;
        self.polls = if is_idle { polls + 1 } else { 0 };
        if is_idle {
            time.wake_all();
            context.waker().wake_by_ref();
        } else {
            time.waiting.borrow_mut().insert(key, Some(context.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.time.waiting.borrow_mut().remove(&self.key);
        self.time.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::world::EPOCH;

    #[tokio::test]
    async fn time_passes_to_who_waits_for_the_first_moment_and_not_while_something_is_done() {
        let time = Time::new(Arc::new(Virtual::new(EPOCH, Chance::new(1, 1))));
        let order = RefCell::new(Vec::new());
        let wait = async |seconds: i64| {
            time.sleep(Duration::seconds(seconds)).await;
            order.borrow_mut().push((seconds, (time.now() - EPOCH).whole_seconds()));
        };
        let work = async {
            let busy = time.busy();
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            order.borrow_mut().push((0, (time.now() - EPOCH).whole_seconds()));
            drop(busy);
        };
        tokio::join!(wait(30), wait(10), work, wait(20));
        assert_eq!(order.into_inner(), [(0, 0), (10, 10), (20, 20), (30, 30)]);
    }

    #[tokio::test]
    async fn one_that_nobody_looks_at_stops_nobody() {
        let time = Time::new(Arc::new(Virtual::new(EPOCH, Chance::new(1, 1))));
        let early = time.sleep(Duration::seconds(1));
        tokio::pin!(early);
        tokio::select! {
            biased;
            () = &mut early => panic!("it waits"),
            () = async {} => {}
        }
        time.sleep(Duration::seconds(5)).await;
        early.await;
        assert_eq!(time.now() - EPOCH, Duration::seconds(5));
    }
}
