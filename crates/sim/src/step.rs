//! What happens in a run: steps that a seed draws before it begins, so that a failing run can be made
//! shorter by leaving steps out.

use crate::chance::Chance;
use crate::setting::{JOINS, LATER, WIDE};

/// Steps of a run at most.
const STEPS_MAX: usize = 60;

/// A step, and what it draws by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// The seed of what is drawn in it.
    pub seed: u64,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Somebody changes the forest.
    Change,
    /// A controller learns of changes.
    Replicate,
    /// A controller's administrator makes a backup, or restores it.
    Controller,
    /// Time passes.
    Wait,
    /// The server synchronises, whatever goes wrong.
    Cycle,
    /// The tenant's administrator makes a backup, or restores it.
    Tenant,
    /// The server's administrator makes a backup of its state, or restores it.
    Server,
    /// The server's state is lost, and it begins with a new one.
    Lost,
    /// An account of one forest comes into or out of a group of another.
    Foreign,
    /// Many objects go at once, or that is undone.
    Mass,
    /// An administrator lets through what waits.
    Release,
    /// The second server synchronises: it takes over if it can.
    Second,
    /// The server stands still in a cycle, and goes on when the second one has taken over.
    Pause,
    /// The server goes into staging mode, or out of it.
    Staging,
    /// Somebody who has an object in another forest gets one in this, or what they are joined by changes.
    Person,
    /// A controller is asked for everything that did not hear yet of what was read of another one.
    Behind,
}

/// The steps of a seed.
#[must_use]
pub fn steps(seed: u64) -> Vec<Step> {
    let mut chance = Chance::new(seed, 1);
    let count = STEPS_MAX / 3 + chance.below(STEPS_MAX * 2 / 3);
    let kinds = match seed {
        JOINS.. => 66,
        LATER.. => 56,
        WIDE.. => 52,
        _ => 40,
    };
    let step = |_| {
        let kind = match chance.below(kinds) {
            0..=19 => StepKind::Change,
            20..=24 => StepKind::Replicate,
            25 => StepKind::Controller,
            26 | 27 => StepKind::Wait,
            28..=36 => StepKind::Cycle,
            37 | 38 => StepKind::Tenant,
            39 => StepKind::Server,
            40 => StepKind::Lost,
            41..=44 => StepKind::Foreign,
            45 | 46 => StepKind::Mass,
            47 => StepKind::Release,
            48 | 49 => StepKind::Second,
            50 | 51 => StepKind::Pause,
            52..54 => StepKind::Staging,
            54 | 55 => StepKind::Behind,
            _ => StepKind::Person,
        };
        Step { kind, seed: chance.number() }
    };
    (0..count).map(step).collect()
}
