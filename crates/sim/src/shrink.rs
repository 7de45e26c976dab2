//! A failing run made shorter: steps are left out as long as the same law is broken.

use portolan_app::report::Failure;

use crate::check::Law;
use crate::fault::Bug;
use crate::step::Step;
use crate::world::{Ran, Template};

/// Runs that are tried.
const RUNS_MAX: usize = 300;

/// The shortest list of steps that was found to break the law, and its run.
///
/// # Errors
/// When the simulation itself fails.
pub async fn shrink(
    template: &Template,
    seed: u64,
    steps: Vec<Step>,
    bug: Option<Bug>,
    law: Law,
) -> Result<(Vec<Step>, Ran), Failure> {
    let mut shortest = steps;
    let mut ran = template.run(seed, &shortest, bug).await?;
    let mut piece = shortest.len().div_ceil(2).max(1);
    let mut runs = 0;
    loop {
        let mut at = 0;
        let mut is_shorter = false;
        while at < shortest.len() && runs < RUNS_MAX {
            let without = shortest.iter().enumerate();
            let without = without.filter(|(place, _)| !(at..at + piece).contains(place));
            let without: Vec<_> = without.map(|(_, step)| *step).collect();
            runs += 1;
            let other = template.run(seed, &without, bug).await?;
            if other.violation.as_ref().is_some_and(|violation| violation.law == law) {
                (shortest, ran, is_shorter) = (without, other, true);
            } else {
                at += piece;
            }
        }
        if runs >= RUNS_MAX || (piece == 1 && !is_shorter) {
            return Ok((shortest, ran));
        }
        piece = if piece == 1 { 1 } else { piece / 2 };
    }
}
