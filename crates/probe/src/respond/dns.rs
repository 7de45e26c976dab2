//! DNS ([RFC 1035], [RFC 2782]): the forest's service records, all of which lead here.
//!
//! A name that is neither the forest's nor this host's is refused: nothing is looked up for anybody. An
//! answer by UDP has at most three times the octets of its question; what does not fit is left to TCP.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782

use std::net::IpAddr;

use portolan_chart::Speaks;
use portolan_codec::{DecodeError, Fault, Reader, Writer};

use super::opening::{Answer, Opening, Scene, Step, framed};
use super::stand_in::StandIn;
use crate::mark;

/// Octets of a question.
const QUESTION_OCTETS_MAX: usize = 512;
/// Octets of an answer by UDP (RFC 1035 section 2.3.4).
const DATAGRAM_OCTETS_MAX: usize = 512;
/// So many times its question an answer by UDP may be.
const FACTOR_MAX: usize = 3;
/// Octets of a name (RFC 1035 section 2.3.4).
const NAME_OCTETS_MAX: usize = 255;
/// Seconds for which a stand-in's records hold: it is gone soon.
const TTL_SECONDS: u32 = 5;

/// Types (RFC 1035 section 3.2.2, RFC 3596, RFC 2782, RFC 6891) and classes.
const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const OPT: u16 = 41;
const INTERNET: u16 = 1;

/// Response codes (RFC 1035 section 4.1.1).
const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;
const REFUSED: u8 = 5;

/// Bits of the header's second line.
const IS_ANSWER: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;

/// Where the question's name stands, as a pointer (RFC 1035 section 4.1.4).
const QUESTION_NAME: u16 = 0xc00c;

/// By TCP, behind a length (RFC 1035 section 4.2.2).
#[derive(Debug)]
pub(super) struct Dns;

impl Opening for Dns {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        let (message, taken) = match framed::<2>(heard, QUESTION_OCTETS_MAX) {
            Ok(Some(framed)) => framed,
            Ok(None) => return Step::More,
            Err(_) => return Step::Foreign,
        };
        let Ok(question) = Question::decode(message) else { return Step::Foreign };
        let answer = question.answer(scene, usize::from(u16::MAX));
        let mut octets = Vec::with_capacity(2 + answer.len());
        octets.extend(u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes());
        octets.extend(answer);
        Answer::new(taken, octets, question.to_string()).into()
    }
}

/// By UDP.
pub(super) fn datagram(message: &[u8], scene: &Scene<'_>) -> Option<Answer> {
    let question = Question::decode(message).ok()?;
    let octets_max = DATAGRAM_OCTETS_MAX.min(message.len() * FACTOR_MAX);
    let octets = question.answer(scene, octets_max);
    Some(Answer::new(message.len(), octets, question.to_string()))
}

/// A message with one question.
#[derive(Debug)]
struct Question {
    id: u16,
    flags: u16,
    /// The labels, small letters.
    name: String,
    /// As it was written, to be repeated.
    octets: Vec<u8>,
    kind: u16,
    class: u16,
    /// Whether it speaks of extensions (RFC 6891).
    is_extended: bool,
}

/// What is said to a question: the code, the records, and those that come along.
#[derive(Debug, Default)]
struct Said {
    code: u8,
    answers: Vec<Vec<u8>>,
    additional: Vec<Vec<u8>>,
}

impl Question {
    fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(message);
        let id = input.u16_be("ID")?.unchecked("only echoed");
        let flags = input
            .u16_be("flags")?
            .one_of("a question", |flags| (flags & IS_ANSWER == 0).then_some(flags))?;
        input.u16_be("QDCOUNT")?.exactly(1, "one question")?;
        input.u16_be("ANCOUNT")?.exactly(0, "no answer")?;
        input.u16_be("NSCOUNT")?.exactly(0, "no authority")?;
        let additional = input.u16_be("ARCOUNT")?.at_most(2)?;
        let start = input.position();
        let name = name(&mut input)?;
        let kind = input.u16_be("QTYPE")?.unchecked("each is answered");
        let class = input.u16_be("QCLASS")?.unchecked("each is answered");
        let octets = message.get(start..input.position()).unwrap_or_default().to_vec();
        let is_extended = additional > 0 && {
            input.u8("OPT name")?.exactly(0, "the root")?;
            input.u16_be("OPT type")?.unchecked("compared") == OPT
        };
        Ok(Self { id, flags, name, octets, kind, class, is_extended })
    }

    fn answer(&self, scene: &Scene<'_>, octets_max: usize) -> Vec<u8> {
        let mut said = match (self.flags & OPCODE, self.class) {
            (0, INTERNET) => self.look(scene),
            (0, _) => Said { code: REFUSED, ..Said::default() },
            _ => Said { code: NOT_IMPLEMENTED, ..Said::default() },
        };
        said.additional.push(marker());
        // What only comes along goes first, the mark last; then all of it.
        loop {
            let octets = self.encode(&said, 0);
            if octets.len() <= octets_max {
                return octets;
            }
            if said.additional.is_empty() {
                return self.encode(&Said { code: said.code, ..Said::default() }, TRUNCATED);
            }
            said.additional.remove(0);
        }
    }

    fn encode(&self, said: &Said, more_flags: u16) -> Vec<u8> {
        let mut out = Writer::new();
        out.u16_be(self.id);
        let kept = self.flags & (OPCODE | RECURSION_DESIRED);
        out.u16_be(IS_ANSWER | AUTHORITATIVE | kept | more_flags | u16::from(said.code));
        out.u16_be(1);
        out.u16_be(u16::try_from(said.answers.len()).unwrap_or(u16::MAX));
        out.u16_be(0);
        let additional = said.additional.len() + usize::from(self.is_extended);
        out.u16_be(u16::try_from(additional).unwrap_or(u16::MAX));
        out.put(&self.octets);
        said.answers.iter().chain(&said.additional).for_each(|record| out.put(record));
        if self.is_extended {
            out.u8(0);
            out.u16_be(OPT);
            out.u16_be(u16::try_from(DATAGRAM_OCTETS_MAX).unwrap_or(u16::MAX));
            out.u32_be(0);
            out.u16_be(0);
        }
        out.into_vec()
    }

    /// The records of the name.
    fn look(&self, scene: &Scene<'_>) -> Said {
        let StandIn { forest, names, .. } = scene.stand_in;
        let forest = forest.as_ref().map(|forest| forest.as_str());
        let is_host = names.iter().any(|name| name.as_str() == self.name);
        if is_host || forest == Some(self.name.as_str()) {
            let host = scene.stand_in.host();
            return match self.kind {
                A | AAAA => Said { answers: self.addresses(scene), ..Said::default() },
                NS => Said { answers: vec![self.record(NS, &encoded(host))], ..Said::default() },
                SOA => {
                    Said { answers: vec![self.record(SOA, &authority(host))], ..Said::default() }
                }
                _ => Said::default(),
            };
        }
        let Some(below) =
            forest.and_then(|forest| self.name.strip_suffix(forest)?.strip_suffix('.'))
        else {
            return Said { code: REFUSED, ..Said::default() };
        };
        match service(below).and_then(|speaks| scene.stand_in.port_of(speaks)) {
            None => Said { code: NO_SUCH_NAME, ..Said::default() },
            Some(port) if self.kind == SRV => {
                let mut value = Writer::new();
                value.u16_be(0); // priority
                value.u16_be(100); // weight
                value.u16_be(port);
                value.put(&encoded(scene.stand_in.host()));
                let additional = vec![address(&encoded(scene.stand_in.host()), scene.here)];
                let answers = vec![self.record(SRV, value.as_slice())];
                Said { code: NO_ERROR, answers, additional }
            }
            Some(_) => Said::default(),
        }
    }

    /// The address that the peer has reached, if it is of the asked family; or those that were given.
    fn addresses(&self, scene: &Scene<'_>) -> Vec<Vec<u8>> {
        let is_asked = |address: &IpAddr| address.is_ipv4() == (self.kind == A);
        let name = QUESTION_NAME.to_be_bytes();
        match is_asked(&scene.here) {
            true => vec![address(&name, scene.here)],
            false => {
                let given = scene.stand_in.addresses.iter().copied().filter(is_asked);
                given.map(|given| address(&name, given)).collect()
            }
        }
    }

    fn record(&self, kind: u16, value: &[u8]) -> Vec<u8> {
        record(&QUESTION_NAME.to_be_bytes(), kind, INTERNET, TTL_SECONDS, value)
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names =
            [(A, "A"), (NS, "NS"), (SOA, "SOA"), (TXT, "TXT"), (AAAA, "AAAA"), (SRV, "SRV")];
        let name = if self.name.is_empty() { "." } else { &self.name };
        match names.iter().find(|(kind, _)| *kind == self.kind) {
            Some((_, kind)) => write!(f, "{kind} {name}"),
            None => write!(f, "type {} {name}", self.kind),
        }
    }
}

/// Which service a name below the forest's is a record of ([MS-ADTS] section 6.3.2.3).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
fn service(below: &str) -> Option<Speaks> {
    let mut labels = below.split('.');
    let (service, transport) = (labels.next()?, labels.next()?);
    let rest: Vec<_> = labels.collect();
    let is_catalogue = rest == ["gc", "_msdcs"];
    let is_of_a_site =
        matches!(rest.as_slice(), [_, "_sites"] | [_, "_sites", "dc" | "gc", "_msdcs"]);
    let is_of_all =
        matches!(rest.as_slice(), [] | ["dc" | "gc" | "pdc", "_msdcs"] | [_, "domains", "_msdcs"]);
    match (service, transport) {
        _ if !is_of_a_site && !is_of_all => None,
        ("_ldap", "_tcp") if is_catalogue => Some(Speaks::GlobalCatalog),
        ("_ldap", "_tcp" | "_udp") => Some(Speaks::Ldap),
        ("_gc", "_tcp") => Some(Speaks::GlobalCatalog),
        ("_kerberos", "_tcp" | "_udp") => Some(Speaks::Kerberos),
        ("_kpasswd", "_tcp" | "_udp") => Some(Speaks::Kpasswd),
        _ => None,
    }
}

/// The mark: a TXT record of the root, which nobody believes from here.
fn marker() -> Vec<u8> {
    let text = mark::TEXT.as_bytes();
    let mut value = vec![u8::try_from(text.len()).unwrap_or(u8::MAX)];
    value.extend(text);
    record(&[0], TXT, INTERNET, 0, &value)
}

fn address(name: &[u8], address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => record(name, A, INTERNET, TTL_SECONDS, &address.octets()),
        IpAddr::V6(address) => record(name, AAAA, INTERNET, TTL_SECONDS, &address.octets()),
    }
}

/// The start of authority (RFC 1035 section 3.3.13).
fn authority(host: &str) -> Vec<u8> {
    let mut out = Writer::new();
    out.put(&encoded(host));
    out.put(&encoded("hostmaster"));
    // Serial number, and the seconds of refresh, retry, expiry and of a name's absence.
    [1, 900, 600, 86_400, TTL_SECONDS].into_iter().for_each(|number| out.u32_be(number));
    out.into_vec()
}

fn record(name: &[u8], kind: u16, class: u16, ttl_seconds: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.put(name);
    out.u16_be(kind);
    out.u16_be(class);
    out.u32_be(ttl_seconds);
    out.u16_be(u16::try_from(value.len()).unwrap_or(u16::MAX));
    out.put(value);
    out.into_vec()
}

/// A name's labels.
fn encoded(name: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).unwrap_or(0));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

/// The name of a question, which is not compressed: nothing stands before it.
fn name(input: &mut Reader<'_>) -> Result<String, DecodeError> {
    let mut name = String::new();
    loop {
        let length = input.u8("label")?.at_most(63)?;
        if length == 0 {
            return Ok(name);
        }
        let fault = input.fault("label", Fault::Malformed("a name of at most 255 octets"));
        let label = input.take(length, "label")?;
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|octet| char::from(octet.to_ascii_lowercase())));
        if name.len() > NAME_OCTETS_MAX {
            return Err(fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut out = Writer::new();
        for number in [7, 0x0100, 1, 0, 0, 0] {
            out.u16_be(number);
        }
        out.put(&encoded(name));
        out.u16_be(kind);
        out.u16_be(INTERNET);
        out.into_vec()
    }

    /// Response code, truncation and answers to a question by UDP.
    fn asked(name: &str, kind: u16) -> (u8, bool, u8, Vec<u8>) {
        let stand_in = stand_in();
        let now = OffsetDateTime::UNIX_EPOCH;
        let here = [192, 0, 2, 1].into();
        let scene = Scene { stand_in: &stand_in, here, port: 1, is_private: false, now };
        let question = question(name, kind);
        let answer = datagram(&question, &scene).unwrap();
        assert!(answer.octets.len() <= question.len() * FACTOR_MAX);
        let octets = answer.octets;
        (octets[3] & 0xf, octets[2] & 2 != 0, octets[7], octets)
    }

    #[test]
    fn service_records_of_the_forest_lead_here() {
        for name in ["_ldap._tcp.dc._msdcs.corp.example", "_kerberos._udp.CORP.example"] {
            let (code, truncated, answers, octets) = asked(name, SRV);
            assert_eq!((code, truncated, answers), (NO_ERROR, false, 1), "{name}");
            assert!(mark::is_in(&octets), "{name}");
        }
        // No row of this edition is the global catalogue's.
        assert_eq!(asked("_gc._tcp.corp.example", SRV).0, NO_SUCH_NAME);
        assert_eq!(asked("nonsense.corp.example", A).0, NO_SUCH_NAME);
    }

    #[test]
    fn the_host_has_its_address_of_the_asked_family() {
        let (code, _, answers, octets) = asked("dc1.corp.example", A);
        assert_eq!((code, answers), (NO_ERROR, 1));
        assert!(octets.windows(4).any(|window| window == [192, 0, 2, 1]));
        // Reached by IPv4, it has the IPv6 address that was given.
        let (_, _, answers, octets) = asked("dc1.corp.example", AAAA);
        assert_eq!(answers, 1);
        assert!(octets.windows(4).any(|window| window == [0x20, 0x01, 0x0d, 0xb8]));
        assert_eq!(asked("corp.example", A).2, 1);
    }

    #[test]
    fn nothing_is_looked_up_for_others() {
        assert_eq!(asked("example.com", A).0, REFUSED);
        assert_eq!(asked("notcorp.example", A).0, REFUSED);
    }

    #[test]
    fn an_answer_and_a_broken_question_are_not_answered() {
        let stand_in = stand_in();
        let now = OffsetDateTime::UNIX_EPOCH;
        let here = [192, 0, 2, 1].into();
        let scene = Scene { stand_in: &stand_in, here, port: 1, is_private: false, now };
        let whole = question("corp.example", A);
        for end in 0..whole.len() {
            assert!(datagram(&whole[..end], &scene).is_none(), "{end}");
        }
        let mut answer = whole.clone();
        answer[2] |= 0x80;
        assert!(datagram(&answer, &scene).is_none());
        // A pointer in place of a label, which would lead to itself.
        let mut looped = whole;
        looped[12..14].copy_from_slice(&[0xc0, 12]);
        assert!(datagram(&looped, &scene).is_none());
    }
}
