//! A figure: ours against the best of some peers, from interleaved rounds.

use serde::Serialize;

/// How many rounds a figure is measured in.
pub const PAIRS: usize = 7;

/// Which way a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// More is better, as of objects a second.
    Higher,
    /// Less is better, as of seconds.
    Lower,
}

/// What the same rounds gave a peer, or a limit that is the same in each.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Who or what it is.
    pub name: String,
    /// Its value in each round, in our unit.
    pub values: Vec<f64>,
}

impl Peer {
    /// A peer that was measured.
    #[must_use]
    pub fn measured(name: impl Into<String>, values: Vec<f64>) -> Self {
        Self { name: name.into(), values }
    }

    /// A limit, over as many rounds as were measured.
    #[must_use]
    pub fn limit(value: f64, rounds: usize) -> Self {
        Self { name: "limit".to_owned(), values: vec![value; rounds] }
    }
}

/// What is measured, and what is to be reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What, with its unit.
    pub figure: String,
    /// Which way the unit counts.
    pub better: Better,
    /// How good ours is to be, as a multiple of the best peer: 1 is as good.
    pub bar: f64,
}

/// A measured figure, as `cargo xtask bench` reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured, with its unit.
    pub figure: String,
    /// Ours: the median.
    pub ours: f64,
    /// Who or what it is held against.
    pub peer: String,
    /// The peer's median.
    pub theirs: f64,
    /// The median of the rounds' ratios: above 1 ours is better, whichever way the unit counts.
    pub ratio: f64,
    /// The lowest ratio of a round.
    pub lowest: f64,
    /// The highest ratio of a round.
    pub highest: f64,
    /// The ratio that is to be reached.
    pub bar: f64,
}

impl Comparison {
    /// The figure of ours against the best of the peers. The values of a round stand at the same
    /// place in each; without a peer, or without a round, all are no numbers and no bar is met.
    #[must_use]
    pub fn figure(self, ours: &[f64], peers: &[Peer]) -> Figure {
        let Self { figure, better, bar } = self;
        let best = peers.iter().max_by(|a, b| {
            let (a, b) = (median(&a.values), median(&b.values));
            match better {
                Better::Higher => a.total_cmp(&b),
                Better::Lower => b.total_cmp(&a),
            }
        });
        let (peer, values) = best.map_or(("nobody", &[][..]), |best| (&best.name, &best.values));
        let ratios: Vec<_> = ours
            .iter()
            .zip(values)
            .map(|(ours, theirs)| match better {
                Better::Higher => ours / theirs,
                Better::Lower => theirs / ours,
            })
            .collect();
        let bound = |choose: fn(f64, f64) -> f64| ratios.iter().copied().reduce(choose);
        Figure {
            figure,
            ours: median(ours),
            peer: peer.to_owned(),
            theirs: median(values),
            ratio: median(&ratios),
            lowest: bound(f64::min).unwrap_or(f64::NAN),
            highest: bound(f64::max).unwrap_or(f64::NAN),
            bar,
        }
    }
}

impl Figure {
    /// Prints the figure as a line of JSON.
    pub fn print(&self) {
        println!("{}", serde_json::json!(self));
    }
}

/// Measures everybody once a round, each round in the other order, so that a busy machine slows all
/// and nobody is always the first. The values come back by who was measured.
///
/// # Errors
/// The first error of a measurement.
pub fn rounds<E>(
    count: usize,
    everybody: &mut [&mut dyn FnMut() -> Result<f64, E>],
) -> Result<Vec<Vec<f64>>, E> {
    let mut values = vec![Vec::with_capacity(count); everybody.len()];
    for round in 0..count {
        let mut order: Vec<_> = values.iter_mut().zip(everybody.iter_mut()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (values, measure) in order {
            values.push(measure()?);
        }
    }
    Ok(values)
}

/// The middle value, the upper one of two; not a number where there is none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(better: Better, ours: &[f64], expected: (&str, f64, f64, f64)) {
        let peers = [
            Peer::measured("slow", vec![1.0, 1.0, 1.0]),
            Peer::measured("fast", vec![4.0, 5.0, 10.0]),
        ];
        let comparison = Comparison { figure: "x".to_owned(), better, bar: 1.0 };
        let figure = comparison.figure(ours, &peers);
        let found = (figure.peer.as_str(), figure.ratio, figure.lowest, figure.highest);
        assert_eq!(found, expected);
    }

    #[test]
    fn ours_is_held_against_the_best_peer_round_by_round() {
        check(Better::Higher, &[8.0, 5.0, 5.0], ("fast", 1.0, 0.5, 2.0));
        check(Better::Lower, &[2.0, 0.5, 1.0], ("slow", 1.0, 0.5, 2.0));
    }

    #[test]
    fn nothing_measured_meets_no_bar() {
        let comparison = Comparison { figure: String::new(), better: Better::Higher, bar: 0.0 };
        let figure = comparison.figure(&[], &[]);
        assert!(figure.ratio.is_nan() && figure.lowest.is_nan());
    }

    #[test]
    fn each_round_is_in_the_other_order() {
        let log = std::cell::RefCell::new(String::new());
        let note = |who| {
            log.borrow_mut().push(who);
            Ok::<_, ()>(f64::from(u32::from(who)))
        };
        let (mut a, mut b) = (|| note('a'), || note('b'));
        let values = rounds(3, &mut [&mut a, &mut b]).unwrap();
        assert_eq!(log.into_inner(), "abbaab");
        assert_eq!(values, [[97.0; 3], [98.0; 3]]);
    }
}
