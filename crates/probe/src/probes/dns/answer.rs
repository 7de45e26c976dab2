//! One question and its answer.

use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::{Verdict, mark};

/// Octets of the number that ties an answer to its question.
pub(super) const ID_OCTETS: usize = 2;
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 256;

/// What a name server answered to one question.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) name: Name,
    pub(super) code: ResponseCode,
    /// Whether the host asks others for what it does not know.
    pub(super) recurses: bool,
    pub(super) is_truncated: bool,
    /// Whether it was truncated first, and is the whole.
    pub(super) was_truncated: bool,
    pub(super) is_stand_in: bool,
    /// The hosts of the service records.
    pub(super) targets: Vec<Name>,
    /// The names whose addresses are anywhere in the answer.
    pub(super) addressed: Vec<Name>,
    has_address: bool,
}

/// A question without extensions, that wants recursion.
///
/// # Errors
/// When the library cannot write it.
pub(super) fn question(id: u16, name: &Name, kind: RecordType) -> Result<Vec<u8>, Verdict> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    message.to_vec().map_err(|error| Verdict::Unjudged { why: error.to_string() })
}

impl Answer {
    /// Reads the answer to [`question`].
    ///
    /// # Errors
    /// When it is none: another protocol's, or to another question.
    pub(super) fn decode(
        id: u16,
        name: &Name,
        kind: RecordType,
        octets: &[u8],
    ) -> Result<Self, Verdict> {
        let wrong = || Verdict::wrong_protocol(octets);
        let message = Message::from_vec(octets).map_err(|_| wrong())?;
        let metadata = &message.metadata;
        let is_answer = metadata.id == id
            && metadata.message_type == MessageType::Response
            && metadata.op_code == OpCode::Query;
        let asked = |query: &Query| query.name == *name && query.query_type == kind;
        // Who does not understand a question need not repeat it.
        let repeats = message.queries.iter().all(asked)
            && (!message.queries.is_empty() || metadata.response_code != ResponseCode::NoError);
        if !is_answer || !repeats {
            return Err(wrong());
        }
        let answers = message.answers.iter().take(RECORDS_MAX);
        let targets = answers.clone().filter_map(|record| match &record.data {
            RData::SRV(service) if !service.target.is_root() => Some(service.target.clone()),
            _ => None,
        });
        let is_address = |data: &RData| matches!(data, RData::A(_) | RData::AAAA(_));
        let all = answers.clone().chain(message.additionals.iter().take(RECORDS_MAX));
        let addressed = all.filter(|record| is_address(&record.data));
        Ok(Self {
            name: name.clone(),
            code: metadata.response_code,
            recurses: metadata.recursion_available,
            is_truncated: metadata.truncation,
            was_truncated: false,
            is_stand_in: mark::is_in(octets),
            targets: targets.collect(),
            addressed: addressed.map(|record| record.name.clone()).collect(),
            has_address: answers.clone().any(|record| is_address(&record.data)),
        })
    }

    /// The whole of an answer that was truncated by datagram.
    pub(super) fn after_truncation(self) -> Self {
        Self { was_truncated: true, ..self }
    }

    /// Whether it gives an address of the name that was asked for, or of what that is an alias of.
    pub(super) const fn has_address(&self) -> bool {
        self.has_address
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> Name {
        Name::from_ascii("_ldap._tcp.corp.example.").unwrap()
    }

    fn answer(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(name(), RecordType::SRV));
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn check(octets: &[u8], is_answer: bool) {
        let decoded = Answer::decode(7, &name(), RecordType::SRV, octets);
        assert_eq!(decoded.is_ok(), is_answer, "{decoded:?}");
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        check(&answer(|_| {}), true);
        check(&answer(|message| message.metadata.id = 8), false);
        check(&answer(|message| message.metadata.message_type = MessageType::Query), false);
        check(&answer(|message| message.queries.clear()), false);
        check(&answer(|message| message.queries[0].name = Name::root()), false);
        check(b"HTTP/1.1 400 Bad Request\r\n\r\n", false);
        check(b"", false);
    }

    #[test]
    fn a_name_that_points_to_itself_ends() {
        // A question whose name is a pointer to itself, at octet 12.
        let mut octets = vec![0, 7, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        octets.extend([0xc0, 12, 0, 33, 0, 1]);
        check(&octets, false);
    }

    proptest! {
        #[test]
        fn no_octets_make_the_decoder_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::decode(7, &name(), RecordType::SRV, &octets);
            let mut near = answer(|_| {});
            let length = near.len();
            for (index, octet) in octets.iter().enumerate() {
                near[(index * 31 + usize::from(*octet)) % length] = *octet;
            }
            let _ = Answer::decode(7, &name(), RecordType::SRV, &near);
        }
    }
}
