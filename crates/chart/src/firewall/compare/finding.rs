//! What a comparison finds.

use std::collections::BTreeMap;

use super::cells::{Tile, addresses_text, numbers_text, pieces, tiles};
use super::condition::{Borders, Connection, Packet, Place, protocol};
use super::ruleset::Ruleset;
use super::run::{Decision, Fate, Runner, bases};
use super::{TooLarge, unlisted};
use crate::firewall::{Direction, Family, Missing, Policy, Rule};
use crate::{Flow, PortsRelation, Requirement, Row, Transport};

/// A policy beside a ruleset.
#[derive(Debug, Clone)]
pub struct Comparison<'chart> {
    /// Every row with a rule, each way once.
    pub rows: Vec<RowFinding<'chart>>,
    /// What is open, or may be, that no row needs.
    pub openings: Vec<Opening>,
    /// The rows that were not asked for: no address of their other end is known.
    pub missing: Vec<Missing<'chart>>,
    /// What could not be taken into account.
    pub notes: Vec<String>,
}

impl Comparison<'_> {
    /// The rows that must be open and are in this state.
    #[must_use]
    pub fn required(&self, state: State) -> usize {
        let required = |it: &&RowFinding<'_>| it.row.requirement == Requirement::Required;
        self.rows.iter().filter(required).filter(|it| it.state == state).count()
    }
}

/// Whether packets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They do.
    Open,
    /// They, or some of them, do not.
    Closed,
    /// It cannot be known from a listing.
    NotJudged,
}

impl State {
    /// As data writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::NotJudged => "not-judged",
        }
    }
}

/// A row, one way.
#[derive(Debug, Clone)]
pub struct RowFinding<'chart> {
    /// The row.
    pub row: &'chart Row,
    /// The way of its opening packet.
    pub direction: Direction,
    /// Closed when a part is that is needed; open when all are, or enough of them.
    pub state: State,
    /// What is not open of it.
    pub parts: Vec<Part>,
}

/// A part of a row that is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Closed or not judged.
    pub state: State,
    /// The transport.
    pub transport: Transport,
    /// Ports, as ranges.
    pub ports: Vec<String>,
    /// The other ends: addresses, prefixes, ranges.
    pub peers: Vec<String>,
    /// The packet that is stopped, and by what; or what cannot be known.
    pub why: String,
}

/// Something that is open, or may be, and that no row needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The way of the opening packet.
    pub direction: Direction,
    /// `tcp`, `udp`, or `protocol`, whose numbers then stand in place of ports.
    pub protocol: &'static str,
    /// Ports, or numbers of protocols, as ranges.
    pub ports: Vec<String>,
    /// The other ends: addresses, prefixes, ranges.
    pub peers: Vec<String>,
    /// Open, or not judged.
    pub state: State,
    /// A row whose other end is not known, and that this may be for.
    pub perhaps: Option<Flow>,
    /// The rule that lets it pass, or on what that depends.
    pub why: String,
}

pub(super) fn compare<'chart>(
    policy: &Policy<'chart>,
    ruleset: &Ruleset,
) -> Result<Comparison<'chart>, TooLarge> {
    let mut borders = ruleset.borders();
    for rule in &policy.rules {
        for range in &rule.row.ports {
            borders.ports.insert(range.start().into());
            borders.ports.insert(u128::from(range.end()) + 1);
        }
        for prefix in rule.peer().prefixes(rule.family) {
            let (first, last) = prefix.span();
            borders.addresses(rule.family).insert(first);
            borders.addresses(rule.family).extend(last.checked_add(1));
        }
    }
    for missing in &policy.missing {
        for range in &missing.row.ports {
            borders.ports.insert(range.start().into());
            borders.ports.insert(u128::from(range.end()) + 1);
        }
    }
    let mut judge = Judge { policy, ruleset, borders, runner: Runner::new(ruleset, &policy.own) };
    let rows = judge.rows()?;
    let openings = judge.openings()?;
    let mut notes = ruleset.notes.clone();
    notes.extend(unlisted(ruleset).iter().map(|family| {
        format!("no listing holds rules of {}: nothing of it is judged", family.name())
    }));
    Ok(Comparison { rows, openings, missing: policy.missing.clone(), notes })
}

struct Judge<'a, 'chart> {
    policy: &'a Policy<'chart>,
    ruleset: &'a Ruleset,
    borders: Borders,
    runner: Runner<'a>,
}

/// The packets that a row needs, of which each has to pass.
const CONVERSATION: [(Step, &str); 3] = [
    (Step::Opening, "its first packet"),
    (Step::Following, "what follows it"),
    (Step::Answer, "the answer"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Opening,
    Following,
    Answer,
}

impl<'chart> Judge<'_, 'chart> {
    fn rows(&mut self) -> Result<Vec<RowFinding<'chart>>, TooLarge> {
        let mut found: Vec<RowFinding<'chart>> = Vec::new();
        for rule in &self.policy.rules {
            let (state, parts) = self.rule(rule)?;
            let known = found
                .iter_mut()
                .find(|it| it.row.flow == rule.row.flow && it.direction == rule.direction);
            match known {
                Some(known) => {
                    known.state = worse(known.state, state);
                    known.parts.extend(parts);
                }
                None => found.push(RowFinding {
                    row: rule.row,
                    direction: rule.direction,
                    state,
                    parts,
                }),
            }
        }
        Ok(found)
    }

    fn rule(&mut self, rule: &Rule<'chart>) -> Result<(State, Vec<Part>), TooLarge> {
        let unjudged = |why: &str| {
            let peers = rule.peer().prefixes(rule.family);
            let part = Part {
                state: State::NotJudged,
                transport: rule.transport,
                ports: rule.row.ports.iter().map(ToString::to_string).collect(),
                peers: peers.iter().map(ToString::to_string).collect(),
                why: why.to_owned(),
            };
            Ok((State::NotJudged, vec![part]))
        };
        if rule.direction == Direction::Through {
            return unjudged("what a router passes on is not read from a listing");
        }
        if !self.ruleset.lists(rule.family) {
            return unjudged("no listing holds rules of this family");
        }
        let mut parts = Vec::new();
        let mut states = Vec::new();
        for range in &rule.row.ports {
            let span = (u128::from(range.start()), u128::from(range.end()));
            let found = self.range(rule, span)?;
            let state = found.iter().fold(State::Open, |state, part| worse(state, part.state));
            states.push(state);
            parts.extend(found);
        }
        let state = match rule.row.ports_relation {
            PortsRelation::Any if states.contains(&State::Open) => State::Open,
            PortsRelation::Any if states.contains(&State::NotJudged) => State::NotJudged,
            _ => states.into_iter().fold(State::Open, worse),
        };
        Ok((state, parts))
    }

    /// What is not open of one range of a rule's ports.
    fn range(&mut self, rule: &Rule<'_>, span: (u128, u128)) -> Result<Vec<Part>, TooLarge> {
        let mut spans = Vec::new();
        for prefix in rule.peer().prefixes(rule.family) {
            spans.extend(pieces(self.borders.addresses(rule.family), prefix.span()));
        }
        let number = match rule.transport {
            Transport::Tcp => protocol::TCP,
            Transport::Udp => protocol::UDP,
        };
        let mut strips = Vec::new();
        for ports in pieces(&self.borders.ports, span) {
            let port = u16::try_from(ports.0).ok();
            let mut cells: Vec<_> = spans.iter().map(|span| (*span, (None, 0))).collect();
            for (at, (step, _)) in CONVERSATION.iter().enumerate() {
                let way = (rule.direction, rule.family, number);
                let (direction, kind) = packet(way, *step, Place::Anywhere, port);
                self.runner.narrow(&kind)?;
                let bases = bases(self.ruleset, direction, &kind);
                for (span, known) in &mut cells {
                    let (_, packet) = packet(way, *step, Place::At(span.0), port);
                    let fate = self.runner.fate(&packet, &bases)?;
                    if is_worse(fate, known.0) {
                        *known = (Some(fate), at);
                    }
                }
            }
            strips.push((ports, cells));
        }
        let parts = tiles(strips).into_iter().filter_map(|tile| self.part(rule, number, tile));
        Ok(parts.collect())
    }

    fn part(&self, rule: &Rule<'_>, number: u8, tile: Tile<(Option<Fate>, usize)>) -> Option<Part> {
        let (step, name) = CONVERSATION[tile.fate.1];
        let (state, why) = match tile.fate.0? {
            Fate::Accepted(_) => return None,
            Fate::Stopped(by) => {
                (State::Closed, format!("{name} is stopped by {}", self.runner.words(by)))
            }
            Fate::Unknown(by) => {
                let port = tile.ports.first().and_then(|span| u16::try_from(span.0).ok());
                let place = tile.addresses.first().map_or(Place::Anywhere, |it| Place::At(it.0));
                let (_, packet) = packet((rule.direction, rule.family, number), step, place, port);
                (State::NotJudged, format!("{name}: {}", self.runner.doubt(by, &packet)))
            }
        };
        let peers = tile.addresses.iter().map(|span| addresses_text(rule.family, *span));
        Some(Part {
            state,
            transport: rule.transport,
            ports: tile.ports.into_iter().map(numbers_text).collect(),
            peers: peers.collect(),
            why,
        })
    }

    /// What passes, or may, and is no row's.
    fn openings(&mut self) -> Result<Vec<Opening>, TooLarge> {
        let mut openings = Vec::new();
        for direction in [Direction::Out, Direction::In] {
            if !self.policy.side.includes(direction) {
                continue;
            }
            for family in Family::BOTH.into_iter().filter(|family| self.ruleset.lists(*family)) {
                for transport in [Transport::Tcp, Transport::Udp] {
                    openings.extend(self.of_transport(direction, family, transport)?);
                }
                openings.extend(self.of_others(direction, family)?);
            }
        }
        Ok(openings)
    }

    fn of_transport(
        &mut self,
        direction: Direction,
        family: Family,
        transport: Transport,
    ) -> Result<Vec<Opening>, TooLarge> {
        let number = match transport {
            Transport::Tcp => protocol::TCP,
            Transport::Udp => protocol::UDP,
        };
        let of_way = |rule: &&Rule<'_>| {
            (rule.direction, rule.family, rule.transport) == (direction, family, transport)
        };
        let needs: Vec<_> = self
            .policy
            .rules
            .iter()
            .filter(of_way)
            .map(|rule| (rule.row, rule.peer().prefixes(family)))
            .collect();
        let whole = (0, family.last());
        let spans = pieces(self.borders.addresses(family), whole);
        let mut strips = Vec::new();
        for ports in pieces(&self.borders.ports, (1, u128::from(u16::MAX))) {
            let Ok(port) = u16::try_from(ports.0) else { continue };
            let needed: Vec<_> = needs.iter().filter(|(row, _)| row.contains(port)).collect();
            let perhaps = self.policy.missing.iter().find(|missing| {
                let Missing { row, direction: way, .. } = missing;
                *way == direction && row.uses(transport) && row.contains(port)
            });
            let perhaps = perhaps.map(|missing| missing.row.flow);
            let cells = self.strip((direction, family, number), Some(port), &spans)?;
            let cells = cells.into_iter().filter_map(|(span, fate)| {
                let mut prefixes = needed.iter().flat_map(|(_, prefixes)| prefixes);
                let is_needed = prefixes.any(|prefix| {
                    let (first, last) = prefix.span();
                    first <= span.0 && span.0 <= last
                });
                (!is_needed).then_some((span, (fate, perhaps)))
            });
            strips.push((ports, cells.collect()));
        }
        Ok(self.described((direction, family, number), transport.name(), strips))
    }

    /// Protocols other than TCP, UDP and ICMP: no row needs one.
    fn of_others(
        &mut self,
        direction: Direction,
        family: Family,
    ) -> Result<Vec<Opening>, TooLarge> {
        let judged = [protocol::ICMP, protocol::TCP, protocol::UDP, protocol::ICMPV6];
        let mut borders = self.borders.protocols.clone();
        for number in judged.map(u128::from) {
            borders.extend([number, number + 1]);
        }
        let spans = pieces(self.borders.addresses(family), (0, family.last()));
        let mut strips = Vec::new();
        for numbers in pieces(&borders, (0, u128::from(u8::MAX))) {
            let Ok(number) = u8::try_from(numbers.0) else { continue };
            if judged.contains(&number) {
                continue;
            }
            let cells = self.strip((direction, family, number), None, &spans)?;
            strips.push((
                numbers,
                cells.into_iter().map(|(span, fate)| (span, (fate, None))).collect(),
            ));
        }
        Ok(self.described((direction, family, 0), "protocol", strips))
    }

    /// The fates of opening packets of one port with every address.
    fn strip(
        &mut self,
        way: (Direction, Family, u8),
        port: Option<u16>,
        spans: &[(u128, u128)],
    ) -> Result<Vec<((u128, u128), Fate)>, TooLarge> {
        let (direction, kind) = packet(way, Step::Opening, Place::Anywhere, port);
        self.runner.narrow(&kind)?;
        let bases = bases(self.ruleset, direction, &kind);
        let fate = |span: &(u128, u128)| {
            let (_, packet) = packet(way, Step::Opening, Place::At(span.0), port);
            Ok((*span, self.runner.fate(&packet, &bases)?))
        };
        spans.iter().map(fate).collect()
    }

    fn described(
        &self,
        way: (Direction, Family, u8),
        name: &'static str,
        strips: Vec<super::cells::Strip<(Fate, Option<Flow>)>>,
    ) -> Vec<Opening> {
        let (direction, family, _) = way;
        // By what decides, so that what one rule opens stands together.
        let mut by_decision: BTreeMap<Decision, Vec<Opening>> = BTreeMap::new();
        for tile in tiles(strips) {
            let (fate, perhaps) = tile.fate;
            let (state, by, why) = match fate {
                Fate::Stopped(_) => continue,
                Fate::Accepted(by) => (State::Open, by, self.runner.words(by)),
                Fate::Unknown(by) => {
                    let first = tile.ports.first().map_or(0, |span| span.0);
                    let (number, port) = match way.2 {
                        0 => (u8::try_from(first).unwrap_or(u8::MAX), None),
                        number => (number, u16::try_from(first).ok()),
                    };
                    let place =
                        tile.addresses.first().map_or(Place::Anywhere, |it| Place::At(it.0));
                    let way = (direction, family, number);
                    let (_, packet) = packet(way, Step::Opening, place, port);
                    (State::NotJudged, by, self.runner.doubt(by, &packet))
                }
            };
            let peers = tile.addresses.iter().map(|span| addresses_text(family, *span)).collect();
            let ports = tile.ports.into_iter().map(numbers_text).collect();
            let opening = Opening { direction, protocol: name, ports, peers, state, perhaps, why };
            by_decision.entry(by).or_default().push(opening);
        }
        by_decision.into_values().flatten().collect()
    }
}

/// A packet of a row's conversation, and the way it goes.
fn packet(
    (direction, family, protocol): (Direction, Family, u8),
    step: Step,
    peer: Place,
    port: Option<u16>,
) -> (Direction, Packet) {
    let (own, peer) = match direction {
        Direction::Out | Direction::Through => ((Place::Own, None), (peer, port)),
        Direction::In => ((Place::Own, port), (peer, None)),
    };
    let goes_out = (direction == Direction::In) == (step == Step::Answer);
    let (way, source, destination) =
        if goes_out { (Direction::Out, own, peer) } else { (Direction::In, peer, own) };
    let connection = match step {
        Step::Opening => Connection::New,
        Step::Following | Step::Answer => Connection::Established,
    };
    let opens = step == Step::Opening;
    (way, Packet { family, protocol, connection, opens, source, destination })
}

fn rank(fate: Fate) -> u8 {
    match fate {
        Fate::Accepted(_) => 0,
        Fate::Unknown(_) => 1,
        Fate::Stopped(_) => 2,
    }
}

fn is_worse(fate: Fate, known: Option<Fate>) -> bool {
    known.is_none_or(|known| rank(fate) > rank(known))
}

/// The state of two together.
fn worse(one: State, other: State) -> State {
    match (one, other) {
        (State::Closed, _) | (_, State::Closed) => State::Closed,
        (State::NotJudged, _) | (_, State::NotJudged) => State::NotJudged,
        _ => State::Open,
    }
}
