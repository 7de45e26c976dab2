//! What a run is made of besides its steps.

use std::num::NonZeroU32;

use portolan_app::connect::simulated::Allowance;
use portolan_tenant::graph::throttle::Limits;
use time::Duration;

use crate::books;
use crate::chance::Chance;

/// Seeds from here on draw what they are made of. Those before are of one forest, and of a guard that nobody
/// minds: what they found once stays what they are about.
pub const WIDE: u64 = 10_000;

/// Seeds from here on, as far as [`LATER`], have a Graph as their target.
pub const GRAPH: u64 = 20_000;

/// Seeds from here on have the steps that came later, too.
pub const LATER: u64 = 100_000;

/// Seeds from here on have two forests in which people have an object each, and rules that join those.
pub const JOINS: u64 = 1_000_000;

/// By how much the limits of Graph may be divided, so that few objects meet them.
const PARTS: [u32; 3] = [1, 60, 250];

/// Deletions that nobody is asked about, where the guard is not what is looked at.
const ALLOWED: usize = 1_000;

/// What a run is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Forests.
    pub forests: usize,
    /// Whether the guard keeps what would take too much away, until an administrator lets it through.
    pub is_guarded: bool,
    /// Whether a second server waits to take over.
    pub has_second: bool,
    /// Whether people have objects in both forests, which rules join.
    pub has_joins: bool,
    /// The part of Graph's limits that is kept, where the target is a Graph.
    pub graph: Option<NonZeroU32>,
}

impl Setting {
    /// That of a seed.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        if seed < WIDE {
            let (is_guarded, has_second, has_joins) = (false, false, false);
            return Self { forests: 1, is_guarded, has_second, has_joins, graph: None };
        }
        let mut chance = Chance::new(seed, 8);
        if seed >= JOINS {
            let is_guarded = chance.once_in(3);
            return Self {
                forests: 2,
                is_guarded,
                has_second: false,
                has_joins: true,
                graph: None,
            };
        }
        let (forests, is_guarded) = (1 + chance.below(2), !chance.once_in(3));
        let graph = if seed < GRAPH || seed >= LATER {
            None
        } else {
            NonZeroU32::new(PARTS[chance.below(PARTS.len())])
        };
        // Each server counts what it deletes by itself.
        let has_second = !is_guarded && graph.is_none();
        Self { forests, is_guarded, has_second, has_joins: false, graph }
    }

    /// What may go without a word, and how many above that in a cycle.
    #[must_use]
    pub fn allowance(self) -> (Allowance, usize) {
        if self.is_guarded {
            (Allowance { window: books::WINDOW, ..Allowance::default() }, 0)
        } else {
            (Allowance { window: Duration::ZERO, ..Allowance::default() }, ALLOWED)
        }
    }

    /// Deletions that an administrator allows when asked.
    #[must_use]
    pub const fn allowed() -> usize {
        ALLOWED
    }

    /// The limits that a Graph keeps; `None` where the target is none.
    #[must_use]
    pub fn limits(self) -> Option<Limits> {
        self.graph.map(|parts| Limits::GRAPH.divided_by(parts))
    }

    /// Users that a forest begins with.
    #[must_use]
    pub const fn users(self) -> usize {
        if self.is_guarded { 16 } else { 4 }
    }
}
