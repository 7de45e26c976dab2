//! Two pieces of work side by side: interleaved pairs, so that a busy machine slows both, and the median.

use std::time::{Duration, Instant};

/// How many pairs are run.
const PAIRS: usize = 7;

/// Ours against a peer's, in time.
#[derive(Debug)]
pub struct Comparison {
    /// What is measured, with its unit.
    pub figure: &'static str,
    /// Who the peer is.
    pub peer: &'static str,
    /// What the peer's time divided by ours is to reach.
    pub bar: f64,
    /// How often the work is done in one measurement.
    pub repetitions: u32,
}

impl Comparison {
    /// Runs both and prints the figure, in microseconds, as `cargo xtask bench` reads it.
    pub fn run(&self, mut ours: impl FnMut(), mut theirs: impl FnMut()) {
        self.times(|| self.time(&mut ours), || self.time(&mut theirs));
    }

    /// The same of work that tells its own time: the less, the better.
    pub fn times(&self, mut ours: impl FnMut() -> f64, mut theirs: impl FnMut() -> f64) {
        // Once unmeasured: caches, clock speed, the providers' choice of code for this processor.
        ours();
        theirs();
        let pairs: Vec<_> = (0..PAIRS)
            .map(|at| {
                // Neither is always the first.
                if at % 2 == 0 {
                    let first = ours();
                    (first, theirs())
                } else {
                    let first = theirs();
                    (ours(), first)
                }
            })
            .collect();
        let ratios = sorted(pairs.iter().map(|(ours, theirs)| theirs / ours));
        let figure = serde_json::json!({
            "figure": self.figure,
            "ours": median(&sorted(pairs.iter().map(|pair| pair.0))),
            "peer": self.peer,
            "theirs": median(&sorted(pairs.iter().map(|pair| pair.1))),
            "ratio": median(&ratios),
            "lowest": ratios.first(),
            "highest": ratios.last(),
            "bar": self.bar,
        });
        println!("{figure}");
    }

    /// The time of one repetition, in microseconds.
    fn time(&self, work: &mut impl FnMut()) -> f64 {
        let start = Instant::now();
        for _ in 0..self.repetitions {
            work();
        }
        let took: Duration = start.elapsed() / self.repetitions;
        took.as_secs_f64() * 1e6
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
