//! DNS ([RFC 1035], [RFC 7766]): the service records by which a forest is found, from the host itself.
//!
//! What they have to be is [MS-ADTS] section 6.3.2.3. An alias is not followed and nobody else is asked: a
//! host that cannot answer for the forest out of itself, or by whom it forwards to, is told so.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 7766]: https://www.rfc-editor.org/rfc/rfc7766
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

mod answer;
mod judge;

use futures_util::future::join_all;
use hickory_resolver::proto::rr::{Name, RecordType};
use portolan_chart::{Role, Transport};
use portolan_model::{DnsName, Entropy as _};
use portolan_net::entropy::SystemEntropy;
use tokio::net::TcpStream;

use super::hearing::Hearing;
use crate::{Asker, Outcome, Verdict};
use answer::Answer;
use judge::Records;

/// The services of a forest's root domain, below its name.
const SERVICES: [&str; 10] = [
    "_ldap._tcp",
    "_ldap._tcp.dc._msdcs",
    "_ldap._tcp.pdc._msdcs",
    "_ldap._tcp.gc._msdcs",
    "_gc._tcp",
    "_kerberos._tcp",
    "_kerberos._udp",
    "_kerberos._tcp.dc._msdcs",
    "_kpasswd._tcp",
    "_kpasswd._udp",
];
/// Octets of the length before a message by TCP (RFC 1035 section 4.2.2).
const LENGTH_OCTETS: usize = 2;

/// Asks for the forest's records, or a resolver for what everybody knows.
pub(super) async fn probe(asker: &Asker<'_>) -> Outcome {
    let mut way = Way::of(asker);
    let outcome = match (asker.row().to, &asker.deployment().forest) {
        (Role::Forest, Some(forest)) => records(&mut way, forest).await,
        (Role::Forest, None) => {
            Err(Verdict::Unjudged { why: "the forest's name is not given".to_owned() })
        }
        _ => way.ask(&Name::root(), RecordType::NS).await.map(|answer| judge::resolver(&answer)),
    };
    outcome.unwrap_or_else(Outcome::from)
}

/// Asks for the service records, and for the addresses of the hosts that they name.
async fn records(way: &mut Way<'_>, forest: &DnsName) -> Result<Outcome, Verdict> {
    let mut names = Vec::new();
    for service in SERVICES {
        let name = Name::from_ascii(format!("{service}.{forest}.")).map_err(|_| {
            let why = format!("{forest} is too long for the names of its services");
            Verdict::Unjudged { why }
        })?;
        names.push(name);
    }
    let mut records = Records::default();
    // Where nobody answers, one question is enough.
    let (first, rest) = names.split_at(1);
    let firsts = way.ask_all(first, RecordType::SRV).await;
    for answer in firsts {
        records.add(answer?);
    }
    let rests = way.ask_all(rest, RecordType::SRV).await;
    for (name, answer) in rest.iter().zip(rests) {
        match answer {
            Ok(answer) => records.add(answer),
            Err(verdict) => records.unanswered(name, &verdict),
        }
    }
    let mut targets = records.take_unresolved();
    for kind in [RecordType::A, RecordType::AAAA] {
        let answers = way.ask_all(&targets, kind).await;
        let mut left = Vec::new();
        for (target, answer) in targets.into_iter().zip(answers) {
            match answer.is_ok_and(|answer| answer.has_address()) {
                true => records.resolved(&target),
                false => left.push(target),
            }
        }
        targets = left;
    }
    Ok(records.judge(forest))
}

/// How the host is asked.
struct Way<'a> {
    asker: &'a Asker<'a>,
    stream: Option<Hearing<'a, TcpStream>>,
}

impl<'a> Way<'a> {
    const fn of(asker: &'a Asker<'a>) -> Self {
        Self { asker, stream: None }
    }

    async fn ask(&mut self, name: &Name, kind: RecordType) -> Result<Answer, Verdict> {
        let mut answers = self.ask_all(std::slice::from_ref(name), kind).await;
        answers.pop().unwrap_or_else(|| Err(Verdict::wrong_protocol(&[])))
    }

    /// Asks all at once by datagram, or one after another on one stream; what was truncated on one too.
    async fn ask_all(&mut self, names: &[Name], kind: RecordType) -> Vec<Result<Answer, Verdict>> {
        let mut answers = match self.asker.transport() {
            Transport::Tcp => {
                let mut answers = Vec::new();
                for name in names {
                    answers.push(self.by_stream(name, kind).await);
                }
                return answers;
            }
            Transport::Udp => join_all(names.iter().map(|name| self.by_datagram(name, kind))).await,
        };
        for (name, answer) in names.iter().zip(&mut answers) {
            if answer.as_ref().is_ok_and(|answer| answer.is_truncated) {
                let whole = self.by_stream(name, kind).await;
                *answer = whole
                    .map(Answer::after_truncation)
                    .map_err(|verdict| judge::only_truncated(name, &verdict));
            }
        }
        answers
    }

    async fn by_datagram(&self, name: &Name, kind: RecordType) -> Result<Answer, Verdict> {
        let id = u16::from_be_bytes(SystemEntropy.array());
        let answer = self.asker.datagram(&answer::question(id, name, kind)?).await?;
        Answer::decode(id, name, kind, &answer)
    }

    /// On the stream that is open, or on a new one where the host has closed it after an answer.
    async fn by_stream(&mut self, name: &Name, kind: RecordType) -> Result<Answer, Verdict> {
        let id = u16::from_be_bytes(SystemEntropy.array());
        let question = answer::question(id, name, kind)?;
        if let Some(mut hearing) = self.stream.take()
            && let Ok(answer) = exchange(&mut hearing, &question).await
        {
            self.stream = Some(hearing);
            return Answer::decode(id, name, kind, &answer);
        }
        let mut hearing = Hearing::new(self.asker, self.asker.connect().await?.stream);
        let answer = exchange(&mut hearing, &question).await?;
        self.stream = Some(hearing);
        Answer::decode(id, name, kind, &answer)
    }
}

/// One question and its answer, each with its length before it.
async fn exchange(
    hearing: &mut Hearing<'_, TcpStream>,
    question: &[u8],
) -> Result<Vec<u8>, Verdict> {
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    hearing.say(&[&length.to_be_bytes(), question].concat()).await?;
    let heard = hearing.at_least(LENGTH_OCTETS).await?;
    let length = heard.first_chunk().map_or(0, |length| u16::from_be_bytes(*length));
    // Text of another protocol is a length that is waited for in vain: its beginning tells.
    let heard = hearing.at_least(LENGTH_OCTETS + answer::ID_OCTETS).await?;
    if heard.get(LENGTH_OCTETS..LENGTH_OCTETS + answer::ID_OCTETS)
        != question.get(..answer::ID_OCTETS)
    {
        return Err(Verdict::wrong_protocol(heard));
    }
    let mut answer = hearing.take(LENGTH_OCTETS + usize::from(length)).await?;
    Ok(answer.split_off(LENGTH_OCTETS))
}
