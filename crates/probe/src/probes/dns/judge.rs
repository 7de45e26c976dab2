//! What the answers of a name server mean for the row.

use std::collections::BTreeSet;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use portolan_model::DnsName;

use super::SERVICES;
use super::answer::Answer;
use crate::{Defect, DefectKind, Outcome, Verdict};

/// Hosts whose addresses are asked for.
const TARGETS_MAX: usize = 16;

/// What it means that an answer was truncated by datagram and did not come by TCP.
pub(super) fn only_truncated(name: &Name, by_stream: &Verdict) -> Verdict {
    Verdict::faulty(
        DefectKind::Records,
        format!(
            "the records of {} do not fit a datagram, and by TCP the row is {}",
            shown(name),
            by_stream.name()
        ),
        "open the row by TCP as well",
    )
}

/// A resolver, by its answer for the root of all names.
pub(super) fn resolver(answer: &Answer) -> Outcome {
    let notes = vec![match answer.recurses {
        true => "it asks others for what it does not know".to_owned(),
        false => "it asks nobody for what it does not know".to_owned(),
    }];
    let verdict = match answer.code {
        ResponseCode::Refused => Verdict::faulty(
            DefectKind::WrongKind,
            "a name server that refuses to answer this host",
            "allow this host to ask it, or name another resolver",
        ),
        ResponseCode::NoError | ResponseCode::NXDomain => Verdict::Open,
        code => Verdict::faulty(
            DefectKind::Unavailable,
            format!("the name server answers {code}"),
            "look at the log of the name server",
        ),
    };
    Outcome::new(verdict, notes, answer.is_stand_in)
}

/// What a name server knows of a forest.
#[derive(Debug, Default)]
pub(super) struct Records {
    known: Vec<Name>,
    missing: Vec<Name>,
    /// With the reason.
    failed: Vec<(Name, String)>,
    targets: BTreeSet<Name>,
    resolved: BTreeSet<Name>,
    /// The targets whose addresses were asked for.
    asked: BTreeSet<Name>,
    was_truncated: bool,
    is_stand_in: bool,
}

impl Records {
    pub(super) fn add(&mut self, answer: Answer) {
        self.was_truncated |= answer.was_truncated;
        self.is_stand_in |= answer.is_stand_in;
        self.resolved.extend(answer.addressed);
        match answer.code {
            ResponseCode::NoError | ResponseCode::NXDomain if answer.targets.is_empty() => {
                self.missing.push(answer.name);
            }
            ResponseCode::NoError => {
                self.known.push(answer.name);
                self.targets.extend(answer.targets);
            }
            code => self.failed.push((answer.name, code.to_string())),
        }
    }

    /// No answer came, or another protocol's.
    pub(super) fn unanswered(&mut self, name: &Name, verdict: &Verdict) {
        let why = match verdict {
            Verdict::Faulty(defects) => defects.iter().map(|defect| defect.text.clone()).collect(),
            verdict => verdict.name().to_owned(),
        };
        self.failed.push((name.clone(), why));
    }

    /// The hosts of which no address was told, and which are to be asked for.
    pub(super) fn take_unresolved(&mut self) -> Vec<Name> {
        let unresolved = self.targets.difference(&self.resolved);
        let names: Vec<_> = unresolved.take(TARGETS_MAX).cloned().collect();
        self.asked.extend(names.iter().cloned());
        names
    }

    pub(super) fn resolved(&mut self, target: &Name) {
        self.resolved.insert(target.clone());
    }

    pub(super) fn judge(&self, forest: &DnsName) -> Outcome {
        let mut notes = vec![format!(
            "{} of {} service records, naming {} hosts",
            self.known.len(),
            SERVICES.len(),
            self.targets.len()
        )];
        if self.was_truncated {
            notes.push("what does not fit a datagram came by TCP".to_owned());
        }
        let defects = self.defects(forest);
        let verdict = if defects.is_empty() { Verdict::Open } else { Verdict::Faulty(defects) };
        Outcome::new(verdict, notes, self.is_stand_in)
    }

    fn defects(&self, forest: &DnsName) -> Vec<Defect> {
        let mut defects = Vec::new();
        let mut add = |kind, text: String, hint: &str| {
            defects.push(Defect { kind, text, hint: hint.to_owned() });
        };
        if let Some((name, why)) = self.failed.first() {
            add(
                DefectKind::Unavailable,
                format!(
                    "of {} questions {} were not answered, the first about {} ({why})",
                    SERVICES.len(),
                    self.failed.len(),
                    shown(name)
                ),
                "look at the log of the name server, and whether it may answer this host",
            );
        }
        if self.known.is_empty() && !self.missing.is_empty() {
            add(
                DefectKind::Records,
                format!("a name server that knows no service record of {forest}"),
                "ask the forest's domain controllers, or a name server that forwards to them",
            );
        } else if !self.missing.is_empty() {
            let missing: Vec<_> = self.missing.iter().map(shown).collect();
            add(
                DefectKind::Records,
                format!(
                    "{} of {} service records are missing: {}",
                    missing.len(),
                    SERVICES.len(),
                    missing.join(", ")
                ),
                "let the domain controllers register their records again (`nltest /dsregdns`, \
                 `samba_dnsupdate`), and look whether their zone takes updates",
            );
        }
        let unresolved: Vec<_> = self.asked.difference(&self.resolved).map(shown).collect();
        if !unresolved.is_empty() {
            add(
                DefectKind::Records,
                format!(
                    "the service records name hosts without an address: {}",
                    unresolved.join(", ")
                ),
                "add their addresses, or remove the records of hosts that are gone",
            );
        }
        defects
    }
}

/// A name as reports write it: without its final dot.
fn shown(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query};
    use hickory_resolver::proto::rr::rdata::SRV;
    use hickory_resolver::proto::rr::{RData, Record, RecordType};

    use super::*;

    const FOREST: &str = "corp.example";

    fn answer(service: &str, code: ResponseCode, target: Option<&str>) -> Answer {
        let name = Name::from_ascii(format!("{service}.{FOREST}.")).unwrap();
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.metadata.response_code = code;
        message.add_query(Query::query(name.clone(), RecordType::SRV));
        if let Some(target) = target {
            let service = SRV::new(0, 100, 1, Name::from_ascii(target).unwrap());
            message.add_answer(Record::from_rdata(name.clone(), 900, RData::SRV(service)));
        }
        Answer::decode(7, &name, RecordType::SRV, &message.to_vec().unwrap()).unwrap()
    }

    /// The defects of a set of which one service is answered otherwise.
    fn check(other: impl Fn(usize) -> Option<Answer>, resolves: bool, expected: &[DefectKind]) {
        let mut records = Records::default();
        for (index, service) in SERVICES.iter().enumerate() {
            let usual = || answer(service, ResponseCode::NoError, Some("dc1.corp.example."));
            records.add(other(index).unwrap_or_else(usual));
        }
        for target in records.take_unresolved().iter().filter(|_| resolves) {
            records.resolved(target);
        }
        let defects = records.defects(&FOREST.parse().unwrap());
        let kinds: Vec<_> = defects.iter().map(|defect| defect.kind).collect();
        assert_eq!(kinds, expected, "{defects:?}");
    }

    #[test]
    fn the_set_is_whole_or_it_is_said_what_is_missing() {
        use ResponseCode::{NXDomain, NoError, ServFail};
        check(|_| None, true, &[]);
        check(|_| None, false, &[DefectKind::Records]);
        let pdc =
            |code, target| move |index| (index == 2).then(|| answer(SERVICES[2], code, target));
        check(pdc(NXDomain, None), true, &[DefectKind::Records]);
        check(pdc(NoError, None), true, &[DefectKind::Records]);
        check(pdc(NoError, Some(".")), true, &[DefectKind::Records]);
        check(pdc(ServFail, None), true, &[DefectKind::Unavailable]);
        let none = |index: usize| Some(answer(SERVICES[index], NXDomain, None));
        check(none, true, &[DefectKind::Records]);
    }
}
