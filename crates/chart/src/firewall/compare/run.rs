//! A packet's way through a ruleset.

use super::condition::{Connection, Packet, Truth};
use super::ruleset::{Action, Ruleset};
use super::{STEPS_MAX, TooLarge};
use crate::firewall::{Direction, Prefix};

/// Chains that lead into one another: more than a kernel allows (its limit is 16).
const JUMPS_MAX: usize = 32;

/// What is known of a packet's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It passes, by this decision of the last chain.
    Accepted(Decision),
    /// It is stopped there.
    Stopped(Decision),
    /// It passes or is stopped: this rule may match or not.
    Unknown(Decision),
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Decision {
    /// A rule, by its chain and its place there.
    Rule(usize, usize),
    /// The policy of a base chain.
    Policy(usize),
    /// No chain stands in the way.
    NoChain,
}

/// Runs packets through a ruleset, and counts the work.
pub(super) struct Runner<'a> {
    ruleset: &'a Ruleset,
    own: &'a [Prefix],
    /// The rules of each chain that a packet of the kind at hand may match.
    live: Vec<Vec<usize>>,
    /// What was found of each chain for the packet at hand.
    known: Vec<Option<Outcome>>,
    steps: u64,
}

/// The ends that a packet may come to in a chain.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    accepted: Option<Decision>,
    stopped: Option<Decision>,
    /// It may fall out at the end, or be returned.
    proceeds: bool,
    doubt: Option<Decision>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, own: &'a [Prefix]) -> Self {
        let chains = ruleset.chains.len();
        Self { ruleset, own, live: vec![Vec::new(); chains], known: vec![None; chains], steps: 0 }
    }

    /// Leaves out the rules that no packet of this kind matches, whatever its addresses are.
    pub(super) fn narrow(&mut self, kind: &Packet) -> Result<(), TooLarge> {
        for (chain, live) in self.ruleset.chains.iter().zip(&mut self.live) {
            live.clear();
            self.steps += chain.rules.len() as u64;
            live.extend(
                (0..chain.rules.len())
                    .filter(|at| chain.rules[*at].when.truth(kind, self.own) != Truth::No),
            );
        }
        self.check()
    }

    /// The fate of a packet of the kind that was narrowed to.
    pub(super) fn fate(&mut self, packet: &Packet, bases: &[usize]) -> Result<Fate, TooLarge> {
        self.known.iter_mut().for_each(|known| *known = None);
        self.steps += 1 + self.known.len() as u64 / 16;
        let mut by = Decision::NoChain;
        let mut doubt = None;
        for at in bases {
            let base = &self.ruleset.bases[*at];
            if base.is_nat && packet.connection == Connection::Established {
                continue;
            }
            let mut outcome = self.chain(base.chain, packet, 0)?;
            if outcome.proceeds {
                let policy = Some(Decision::Policy(*at));
                match base.accepts {
                    true => outcome.accepted = outcome.accepted.or(policy),
                    false => outcome.stopped = outcome.stopped.or(policy),
                }
            }
            match (outcome.accepted, outcome.stopped) {
                (None, Some(stopped)) if !base.may_be_missed => return Ok(Fate::Stopped(stopped)),
                (Some(accepted), None) => by = accepted,
                // A rule that may match or not, or a link that the packet may not pass.
                (_, stopped) => doubt = doubt.or(outcome.doubt).or(stopped),
            }
        }
        Ok(doubt.map_or(Fate::Accepted(by), Fate::Unknown))
    }

    fn chain(&mut self, chain: usize, packet: &Packet, depth: usize) -> Result<Outcome, TooLarge> {
        if let Some(known) = self.known[chain] {
            return Ok(known);
        }
        if depth > JUMPS_MAX {
            return Err(TooLarge::Cycle);
        }
        let ruleset = self.ruleset;
        let mut total = Outcome { proceeds: true, ..Outcome::default() };
        let mut left = false;
        for at in 0..self.live[chain].len() {
            self.steps += 1;
            self.check()?;
            let number = self.live[chain][at];
            let rule = &ruleset.chains[chain].rules[number];
            let truth = rule.when.truth(packet, self.own);
            if truth == Truth::No {
                continue;
            }
            let here = Decision::Rule(chain, number);
            let done = self.act(&rule.action, here, packet, depth)?;
            total.accepted = total.accepted.or(done.outcome.accepted);
            total.stopped = total.stopped.or(done.outcome.stopped);
            left |= done.leaves;
            let decides =
                done.leaves || done.outcome.accepted.is_some() || done.outcome.stopped.is_some();
            if truth == Truth::Unknown && decides {
                total.doubt = total.doubt.or(Some(here));
            }
            total.doubt = total.doubt.or(done.outcome.doubt);
            if truth == Truth::Yes && !done.outcome.proceeds {
                total.proceeds = false;
                break;
            }
        }
        total.proceeds |= left;
        self.known[chain] = Some(total);
        Ok(total)
    }

    fn act(
        &mut self,
        action: &Action,
        here: Decision,
        packet: &Packet,
        depth: usize,
    ) -> Result<Done, TooLarge> {
        let mut done = Done::default();
        match action {
            Action::Accept => done.outcome.accepted = Some(here),
            Action::Deny => done.outcome.stopped = Some(here),
            Action::Pass => done.outcome.proceeds = true,
            Action::Return => done.leaves = true,
            Action::Jump(target) => done.outcome = self.chain(*target, packet, depth + 1)?,
            Action::Goto(target) => {
                done.outcome = self.chain(*target, packet, depth + 1)?;
                done.leaves = std::mem::take(&mut done.outcome.proceeds);
            }
            Action::Choose(choices) => {
                done.outcome.proceeds = true;
                for (when, action) in choices {
                    self.steps += 1;
                    let truth = when.truth(packet, self.own);
                    if truth == Truth::No {
                        continue;
                    }
                    let chosen = self.act(action, here, packet, depth)?;
                    let proceeds = truth == Truth::Unknown || chosen.outcome.proceeds;
                    done.outcome.accepted = done.outcome.accepted.or(chosen.outcome.accepted);
                    done.outcome.stopped = done.outcome.stopped.or(chosen.outcome.stopped);
                    done.outcome.doubt = done.outcome.doubt.or(chosen.outcome.doubt);
                    done.leaves |= chosen.leaves;
                    if truth == Truth::Yes {
                        done.outcome.proceeds = proceeds;
                        break;
                    }
                    done.outcome.doubt = done.outcome.doubt.or(Some(here));
                }
            }
            Action::Unknown(_) => {
                done.outcome = Outcome {
                    accepted: Some(here),
                    stopped: Some(here),
                    proceeds: true,
                    doubt: Some(here),
                };
            }
        }
        Ok(done)
    }

    /// A decision in words.
    pub(super) fn words(&self, decision: Decision) -> String {
        match decision {
            Decision::Rule(chain, rule) => self.ruleset.chains[chain].rules[rule].place.clone(),
            Decision::Policy(base) => {
                let chain = &self.ruleset.chains[self.ruleset.bases[base].chain];
                format!("the policy of {}", chain.name)
            }
            Decision::NoChain => "no chain stands in the way".to_owned(),
        }
    }

    /// Why a packet is not judged, in words.
    pub(super) fn doubt(&self, decision: Decision, packet: &Packet) -> String {
        let Decision::Rule(chain, rule) = decision else { return self.words(decision) };
        let rule = &self.ruleset.chains[chain].rules[rule];
        let unknown = rule.when.doubt(packet, self.own).or_else(|| match &rule.action {
            Action::Unknown(what) => Some(what.clone()),
            Action::Choose(choices) => {
                choices.iter().find_map(|(when, _)| when.doubt(packet, self.own))
            }
            _ => None,
        });
        match unknown {
            Some(unknown) => format!("{}: depends on {unknown}", rule.place),
            None => rule.place.clone(),
        }
    }

    fn check(&self) -> Result<(), TooLarge> {
        if self.steps > STEPS_MAX { Err(TooLarge::Steps) } else { Ok(()) }
    }
}

/// What an action leads to in its own chain.
#[derive(Default)]
struct Done {
    outcome: Outcome,
    /// The packet may leave the chain, to go on where it came from.
    leaves: bool,
}

/// The hooks' order is the same for every packet of a direction and a family.
pub(super) fn bases(ruleset: &Ruleset, direction: Direction, packet: &Packet) -> Vec<usize> {
    ruleset.passed(direction, packet.family)
}
