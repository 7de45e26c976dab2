//! What a fault has to look like, in its own row and in those that depend on it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portolan_chart::{Flow, Transport, flow};

use super::checker::{Checker, Way};
use super::fault::{Fault, Target};
use super::peers::{Answer, Peers};

const TCP: Transport = Transport::Tcp;
const UDP: Transport = Transport::Udp;

/// A fault that honestly shows in another row too.
pub(super) struct Consequence {
    /// Whose fault.
    of: (Flow, Transport),
    /// Which faults of it.
    faults: &'static [Fault],
    /// Where it shows.
    shows: (Flow, Transport),
    /// As what; as the same where nothing is said.
    verdict: Option<&'static str>,
    /// Why.
    why: &'static str,
}

impl Consequence {
    /// As the page says it.
    pub(super) fn note(&self) -> String {
        let (flow, transport) = self.shows;
        let verdict = self.verdict.unwrap_or("the same");
        format!("`{flow}` by {transport} is {verdict} then: {}.", self.why)
    }
}

const EVERY: &[Fault] = &Fault::ALL;

/// All of them. What is not in here shows in the row that it was injected into, and nowhere else.
pub(super) const CONSEQUENCES: [Consequence; 6] = [
    Consequence {
        of: (flow::CONNECT_AD_EPM, TCP),
        faults: EVERY,
        shows: (flow::CONNECT_AD_RPC, TCP),
        verdict: Some("unjudged"),
        why: "nobody else knows the dynamic ports, so that they cannot be asked",
    },
    Consequence {
        of: (flow::CONNECT_AD_LDAPS, TCP),
        faults: EVERY,
        shows: (flow::CONNECT_FOREST_CRL, TCP),
        verdict: Some("unjudged"),
        why: "the server's own certificate, which names the revocation list, is not seen",
    },
    Consequence {
        of: (flow::CONNECT_TENANT_SYNC, TCP),
        faults: EVERY,
        shows: (flow::CONNECT_TENANT_CRL, TCP),
        verdict: Some("unjudged"),
        why: "the server's own certificate, which names the revocation list, is not seen",
    },
    Consequence {
        of: (flow::CONNECT_TENANT_SYNC, TCP),
        faults: EVERY,
        shows: (flow::CONNECT_TENANT_WRITEBACK, TCP),
        verdict: None,
        why: "it is the same port of the same host",
    },
    Consequence {
        of: (flow::CONNECT_AD_KERBEROS, TCP),
        faults: Fault::OF_CLOCKS,
        shows: (flow::CONNECT_AD_KPASSWD, TCP),
        verdict: None,
        why: "the password server has the KDC's clock",
    },
    Consequence {
        of: (flow::CONNECT_AD_KERBEROS, UDP),
        faults: Fault::OF_CLOCKS,
        shows: (flow::CONNECT_AD_KPASSWD, UDP),
        verdict: None,
        why: "the password server has the KDC's clock",
    },
];

/// A fault where it was injected.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) injected: Vec<Target>,
    pub(super) fault: Fault,
}

impl Cell {
    /// What has to be said, and of which rows; nothing of any other.
    fn expected(&self) -> BTreeMap<Way, String> {
        let way = |flow: Flow, transport: Transport| (flow.to_string(), transport.to_string());
        let own = self
            .injected
            .iter()
            .map(|target| (way(target.flow, target.transport), self.fault.verdict().to_owned()));
        let others = consequences(self)
            .map(|it| (it.shows, it.verdict.unwrap_or(self.fault.verdict()).to_owned()))
            .map(|((flow, transport), verdict)| (way(flow, transport), verdict));
        own.chain(others).collect()
    }

    fn name(&self) -> String {
        let names: Vec<_> = self.injected.iter().map(|target| target.name.as_str()).collect();
        format!("{} {}", names.join(" and "), self.fault.name())
    }
}

/// The consequences of a cell's fault.
pub(super) fn consequences(cell: &Cell) -> impl Iterator<Item = &'static Consequence> {
    CONSEQUENCES.iter().filter(|it| {
        it.faults.contains(&cell.fault)
            && cell.injected.iter().any(|target| it.of == (target.flow, target.transport))
    })
}

/// What was seen in one cell.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) cell: Cell,
    /// What the check said of the rows that are not open.
    pub(super) faults: BTreeMap<Way, String>,
    /// How long the check's process took.
    pub(super) took: Duration,
    /// What others said of it.
    pub(super) peers: Vec<Answer>,
    details: String,
}

/// What was seen in all cells so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) cells: Vec<Sight>,
}

impl Seen {
    /// Looks at a fault that is there.
    pub(super) fn add(&mut self, cell: Cell, checker: &Checker<'_>, peers: Option<&Peers<'_>>) {
        let begun = Instant::now();
        let report = checker.check();
        let took = begun.elapsed();
        let faults = report.faults();
        let expected = cell.expected();
        let differ = |way: &&Way| faults.get(*way) != expected.get(*way);
        let details = faults.keys().chain(expected.keys()).filter(differ);
        let details = details.map(|(flow, _)| report.details(flow)).collect();
        eprintln!("{}: {faults:?} in {took:?}", cell.name());
        let peers = peers.map(|peers| peers.look(&cell)).unwrap_or_default();
        self.cells.push(Sight { cell, faults, took, peers, details });
    }

    /// Every cell is as it has to be. All that are not are told of at once.
    pub(super) fn is_as_expected(&self) {
        let wrong = self.cells.iter().filter(|it| it.faults != it.cell.expected()).map(|it| {
            let (name, expected) = (it.cell.name(), it.cell.expected());
            format!("{name}\n  expected {expected:?}\n  seen     {:?}\n{}", it.faults, it.details)
        });
        let wrong: Vec<_> = wrong.collect();
        assert!(
            wrong.is_empty(),
            "{} of {} cells\n{}",
            wrong.len(),
            self.cells.len(),
            wrong.join("\n")
        );
    }
}
