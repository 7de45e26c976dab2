//! What happens in a run: steps that a seed draws before it begins, so that a failing run can be made
//! shorter by leaving steps out.

use crate::chance::Chance;

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
}

/// The steps of a seed.
#[must_use]
pub fn steps(seed: u64) -> Vec<Step> {
    let mut chance = Chance::new(seed, 1);
    let count = STEPS_MAX / 3 + chance.below(STEPS_MAX * 2 / 3);
    let step = |_| {
        let kind = match chance.below(40) {
            0..=19 => StepKind::Change,
            20..=24 => StepKind::Replicate,
            25 => StepKind::Controller,
            26 | 27 => StepKind::Wait,
            28..=36 => StepKind::Cycle,
            37 | 38 => StepKind::Tenant,
            _ => StepKind::Server,
        };
        Step { kind, seed: chance.number() }
    };
    (0..count).map(step).collect()
}
