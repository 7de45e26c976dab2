//! What the endpoint mapper's answers, and those of the ports that it names, mean for their rows.

use portolan_chart::{Row, Transport};
use portolan_rpc::pdu::SyntaxId;

use super::ByPort;
use crate::{Defect, DefectKind, Outcome, Verdict};

/// What the endpoint mapper said.
#[derive(Debug)]
pub(super) struct Mapped {
    is_stand_in: bool,
    interfaces: Vec<(&'static str, SyntaxId, Option<u16>)>,
    refusal: Option<String>,
}

impl Mapped {
    pub(super) const fn new(is_stand_in: bool) -> Self {
        Self { is_stand_in, interfaces: Vec::new(), refusal: None }
    }

    /// An interface listens at this port, or is not there.
    pub(super) fn add(&mut self, name: &'static str, interface: SyntaxId, port: Option<u16>) {
        // No server listens at port 0.
        self.interfaces.push((name, interface, port.filter(|port| *port != 0)));
    }

    /// The mapper speaks the protocol and answers nothing.
    pub(super) fn refuse(&mut self, why: String) {
        self.refusal = Some(why);
    }

    /// The ports that it names, with the interfaces behind each.
    pub(super) fn ports(&self) -> ByPort {
        let mut ports = ByPort::new();
        for (name, interface, port) in &self.interfaces {
            if let Some(port) = port {
                ports.entry(*port).or_default().push((*name, *interface));
            }
        }
        ports
    }

    /// What it says, one word an interface.
    fn notes(&self) -> Vec<String> {
        let said =
            |(name, _, port): &(_, _, Option<u16>)| port.map(|port| format!("{name} on {port}"));
        self.interfaces.iter().filter_map(said).collect()
    }

    fn defects(&self) -> Vec<Defect> {
        let defect = |text| {
            Defect {
            kind: DefectKind::Unavailable,
            text,
            hint: "look whether this host is a domain controller, and whether its directory service runs"
                .to_owned(),
        }
        };
        if let Some(refusal) = &self.refusal {
            return vec![defect(format!("the endpoint mapper does not answer: {refusal}"))];
        }
        let absent = self.interfaces.iter().filter(|(.., port)| port.is_none());
        let absent: Vec<_> = absent.map(|(name, ..)| *name).collect();
        match absent.is_empty() {
            true => Vec::new(),
            false => vec![defect(format!(
                "the endpoint mapper names no TCP port of {}",
                absent.join(", ")
            ))],
        }
    }

    /// What it means for the endpoint mapper's own row.
    pub(super) fn judge(&self) -> Outcome {
        let defects = self.defects();
        let verdict = if defects.is_empty() { Verdict::Open } else { Verdict::Faulty(defects) };
        Outcome::new(verdict, self.notes(), self.is_stand_in)
    }
}

/// A port that the endpoint mapper named, and what was found there.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) port: u16,
    pub(super) names: Vec<&'static str>,
    pub(super) verdict: Verdict,
    pub(super) is_stand_in: bool,
}

/// What it means that nobody names the ports.
pub(super) fn without_mapper(mapper: &Row, verdict: &Verdict) -> Outcome {
    let row = mapper.describe(mapper.first_port(), Transport::Tcp);
    let why = match verdict {
        Verdict::Unjudged { why } => why.clone(),
        verdict => verdict.name().to_owned(),
    };
    let why = format!("its ports are named by the endpoint mapper, and {row} is {why}");
    Verdict::Unjudged { why }.into()
}

/// What the ports mean for the row with the range: one outside it is a fault of its own, whatever comes of
/// it; otherwise the row is as its worst port.
pub(super) fn ports(row: &Row, mapped: &Mapped, listening: Vec<Listening>) -> Outcome {
    let stand_in = mapped.is_stand_in || listening.iter().any(|listening| listening.is_stand_in);
    let said = |listening: &Listening| {
        format!(
            "{} on {}: {}",
            listening.names.join(", "),
            listening.port,
            listening.verdict.name()
        )
    };
    let notes = listening.iter().map(said).collect();
    if listening.is_empty() {
        let why = "the endpoint mapper named no port to be asked".to_owned();
        return Outcome::new(Verdict::Unjudged { why }, notes, stand_in);
    }
    let outside = listening.iter().filter(|listening| !row.contains(listening.port));
    let defects: Vec<_> = outside.map(|listening| defect_of_range(row, listening)).collect();
    let verdict = match defects.is_empty() {
        false => Verdict::Faulty(defects),
        true => {
            let worst = listening.into_iter().map(|listening| listening.verdict);
            worst.max_by_key(gravity).unwrap_or(Verdict::Open)
        }
    };
    Outcome::new(verdict, notes, stand_in)
}

fn defect_of_range(row: &Row, listening: &Listening) -> Defect {
    let names = listening.names.join(", ");
    let Listening { port, verdict, .. } = listening;
    let ports = row.ports_text();
    Defect {
        kind: DefectKind::Range,
        text: format!(
            "{names} listens on {port}, outside the row's {ports} (found there: {})",
            verdict.name()
        ),
        hint: format!("open {port}/tcp as well, or pin the service to a port of {ports}"),
    }
}

/// Which verdict tells most about why the row does not work.
const fn gravity(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Open => 0,
        Verdict::Unjudged { .. } => 1,
        Verdict::NoRoute => 2,
        Verdict::WrongProtocol { .. } => 3,
        Verdict::Faulty(_) => 4,
        Verdict::Refused => 5,
        Verdict::Reset => 6,
        Verdict::Rejected => 7,
        Verdict::Filtered => 8,
    }
}

#[cfg(test)]
mod tests {
    use portolan_chart::{Chart, flow};
    use portolan_rpc::interface::OF_CONTROLLER;

    use super::*;

    const LOW: u16 = 1024;
    const HIGH: u16 = u16::MAX;

    fn mapped(ports: [Option<u16>; 4]) -> Mapped {
        let mut mapped = Mapped::new(false);
        for ((name, interface), port) in OF_CONTROLLER.into_iter().zip(ports) {
            mapped.add(name, interface, port);
        }
        mapped
    }

    fn check(found: &[(u16, Verdict)], expected: &str) {
        let mapped = mapped([Some(found[0].0); 4]);
        let listening = found.iter().map(|(port, verdict)| Listening {
            port: *port,
            names: vec!["DRSUAPI"],
            verdict: verdict.clone(),
            is_stand_in: false,
        });
        let chart = Chart::default_edition();
        let row = chart.row(flow::CONNECT_AD_RPC).unwrap();
        let outcome = ports(row, &mapped, listening.collect());
        assert_eq!(outcome.verdict.name(), expected, "{outcome:?}");
    }

    #[test]
    fn the_row_with_the_range_is_as_its_worst_port() {
        check(&[(HIGH, Verdict::Open)], "open");
        check(&[(HIGH, Verdict::Open), (HIGH - 1, Verdict::Refused)], "refused");
        check(&[(HIGH, Verdict::Filtered), (HIGH - 1, Verdict::Refused)], "filtered");
        check(&[(LOW, Verdict::Open)], "faulty");
        check(&[(LOW, Verdict::Filtered), (HIGH, Verdict::Open)], "faulty");
    }

    #[test]
    fn an_interface_without_a_port_is_a_defect_of_the_endpoint_mapper() {
        assert!(mapped([Some(HIGH); 4]).judge().verdict.is_open());
        let outcome = mapped([Some(HIGH), None, Some(0), Some(HIGH)]).judge();
        let Verdict::Faulty(defects) = outcome.verdict else { panic!("{:?}", outcome.verdict) };
        assert_eq!(defects[0].text, "the endpoint mapper names no TCP port of LSARPC, SAMR");
    }

    #[test]
    fn without_the_endpoint_mapper_the_row_is_not_judged() {
        let chart = Chart::default_edition();
        let mapper = chart.row(flow::CONNECT_AD_EPM).unwrap();
        let outcome = without_mapper(mapper, &Verdict::Filtered);
        let Verdict::Unjudged { why } = outcome.verdict else { panic!("{:?}", outcome.verdict) };
        assert_eq!(
            why,
            "its ports are named by the endpoint mapper, and Table 1, MS-RPC 135/tcp is filtered"
        );
    }
}
