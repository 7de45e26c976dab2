//! The other side: a toy security layer and a server's stream of results.

use portolan_model::SecretString;

use crate::filter::Filter;
use crate::message::{
    BindRequest, BindResponse, LdapResult, Message, MessageId, Operation, Scope, SearchRequest,
    SearchResultEntry,
};
use crate::sasl::{FRAME_OCTETS_MAX, LayerFault, SaslFraming, SecurityLayer};
use crate::session::{Event, Limits, Session};

/// Sequence number, masked content, checksum: enough to notice a lost, doubled or torn frame.
#[derive(Default)]
pub(super) struct ToyLayer {
    sent: u32,
    received: u32,
}

impl SecurityLayer for ToyLayer {
    fn overhead(&self) -> usize {
        4 /* sequence */ + 1 /* checksum */
    }

    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, LayerFault> {
        let mut token = self.sent.to_be_bytes().to_vec();
        token.extend(plain.iter().map(|octet| octet ^ 0x5a));
        token.push(checksum(plain));
        self.sent += 1;
        Ok(token)
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<Vec<u8>, LayerFault> {
        let broken = || LayerFault::from("the toy seal is broken");
        let (sequence, rest) = token.split_first_chunk::<4>().ok_or_else(broken)?;
        let (sum, masked) = rest.split_last().ok_or_else(broken)?;
        let plain: Vec<u8> = masked.iter().map(|octet| octet ^ 0x5a).collect();
        if *sequence != self.received.to_be_bytes() || checksum(&plain) != *sum {
            return Err(broken());
        }
        self.received += 1;
        Ok(plain)
    }
}

fn checksum(plain: &[u8]) -> u8 {
    plain.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet))
}

pub(super) fn framing(send_octets_max: usize) -> SaslFraming {
    SaslFraming::new(Box::<ToyLayer>::default(), FRAME_OCTETS_MAX, send_octets_max).unwrap()
}

pub(super) fn bound(id: MessageId) -> Vec<u8> {
    let response = BindResponse { result: LdapResult::SUCCESS, server_sasl_credentials: None };
    Message::new(id, Operation::BindResponse(response)).encode().to_vec()
}

/// A session with an answered bind and one open search, sealed or not.
pub(super) fn searching(limits: Limits, sealed: bool) -> (Session, MessageId) {
    let mut session = Session::new(limits);
    let password = SecretString::new("Al1ce-Pass!".to_owned());
    let (bind, _) = session.bind(BindRequest::simple("cn=a", password)).unwrap();
    session.receive(&bound(bind)).unwrap();
    assert!(matches!(session.next(), Ok(Some(Event::Bound { id, .. })) if id == bind));
    if sealed {
        session.seal(framing(FRAME_OCTETS_MAX)).unwrap();
    }
    let (search, _) = session.search(everything(), Vec::new()).unwrap();
    (session, search)
}

pub(super) fn everything() -> SearchRequest {
    let filter: Filter = "(objectClass=*)".parse().unwrap();
    SearchRequest::new("DC=corp,DC=example", Scope::Subtree, filter)
}

pub(super) fn entry(id: MessageId, dn: &str, octets: usize) -> Vec<u8> {
    let filler = vec![b'x'; octets];
    let entry = SearchResultEntry::new(dn, &[("description", &[&filler])]).unwrap();
    Message::new(id, Operation::SearchResultEntry(entry)).encode().to_vec()
}

pub(super) fn done(id: MessageId) -> Vec<u8> {
    let done = Operation::SearchResultDone(LdapResult::SUCCESS);
    Message::new(id, done).encode().to_vec()
}

/// What the server said, in short.
pub(super) fn summary(event: &Event) -> String {
    match event {
        Event::Bound { id, response } => format!("{id} bound {}", response.result),
        Event::Entry { id, entry, .. } => {
            let octets = entry.octets("description").map_or(0, <[u8]>::len);
            format!("{id} {} {octets}", entry.dn())
        }
        Event::Reference { id, urls } => format!("{id} see {}", urls.join(" ")),
        Event::Done { id, result, .. } => format!("{id} {result}"),
        Event::Updated { id, result, .. } => format!("{id} updated {result}"),
        Event::Disconnected(result) => format!("disconnected {result}"),
    }
}

/// Feeds the segments, and takes out all events after each.
pub(super) fn feed<'a>(
    session: &mut Session,
    segments: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<String> {
    let mut events = Vec::new();
    for segment in segments {
        session.receive(segment).unwrap();
        while let Some(event) = session.next().unwrap() {
            events.push(summary(&event));
        }
    }
    events
}
