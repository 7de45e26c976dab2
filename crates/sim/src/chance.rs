//! Chance by a seed: the same seed draws the same numbers on every host.

use std::sync::{Mutex, PoisonError};

use portolan_app::connect::simulated::Origin;
use portolan_model::{Entropy, Guid};
use time::OffsetDateTime;

/// A stream of numbers that a seed begins (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed. Streams of one seed for different purposes are different ones.
    #[must_use]
    pub const fn new(seed: u64, purpose: u64) -> Self {
        Self(mixed(seed ^ mixed(purpose)))
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below a limit; 0 when the limit is 0.
    pub const fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.number() % limit as u64) as usize }
    }

    /// Whether something happens that happens once in so many times.
    pub const fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several; none of none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// Brings things into another order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }

    /// A GUID.
    pub fn guid(&mut self) -> Guid {
        Guid::from_random(self.array())
    }
}

impl Entropy for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.number().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The clock and the randomness of a sync server: virtual time, and a stream.
#[derive(Debug)]
pub struct Virtual(Mutex<(OffsetDateTime, Chance)>);

impl Virtual {
    /// Begins at a moment.
    #[must_use]
    pub const fn new(now: OffsetDateTime, chance: Chance) -> Self {
        Self(Mutex::new((now, chance)))
    }

    /// Lets time pass.
    pub fn pass(&self, duration: time::Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 += duration;
    }
}

impl Origin for Virtual {
    fn now(&self) -> OffsetDateTime {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn random(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.number()
    }
}

/// The finalizer of SplitMix64.
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_another_purpose_something_else() {
        let draw = |seed, purpose| {
            let mut chance = Chance::new(seed, purpose);
            [chance.number(), chance.number(), chance.number()]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
        let mut things = [1, 2, 3, 4, 5, 6, 7, 8];
        Chance::new(7, 1).shuffle(&mut things);
        assert_ne!(things, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
