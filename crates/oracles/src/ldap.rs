//! LDAP: elements, messages, controls, filters, and the session.

use std::fmt::Write as _;

use portolan_ldap::ber::{Decoder, Encoder, Tag, element_octets};
use portolan_ldap::control::{Control, DirSyncReply, ExtendedDn, PagedResults, find};
use portolan_ldap::filter::FILTER_TEXT_OCTETS_MAX;
use portolan_ldap::message::{Authentication, Message, MessageId, Operation};
use portolan_ldap::netlogon::{self, SamLogonResponse};
use portolan_ldap::sasl::{LayerFault, SecurityLayer};
use portolan_ldap::session::Session;
use portolan_ldap::{
    AttributeDescription, BindRequest, Event, Filter, Limits, ModifyRequest, SaslFraming, Scope,
    SearchRequest, SearchResultEntry, Update, ValueRange,
};

use crate::bytes;
use crate::names::parse;

/// What a session of an oracle takes.
const LIMITS: Limits =
    Limits { message_octets_max: 4096, pending_octets_max: 1 << 20, operations_max: 8 };

/// Octets of the shortest message: its own head, its number and an empty operation.
const EVENT_OCTETS_MIN: usize = 2 + 3 + 2;

/// The tree of elements: walking it ends, and each element lies within the one around it.
pub(crate) fn ber(octets: &[u8]) {
    let _ = element_octets(octets, Tag::SEQUENCE, 4096, "stream");
    walk(Decoder::new(octets), 0, octets.len());
}

fn walk(mut decoder: Decoder<'_>, depth: usize, limit: usize) {
    let mut taken = 0;
    while !decoder.is_empty() {
        let at = decoder.offset();
        let mut inner = decoder;
        let Ok((tag, content)) = decoder.element("element") else { return };
        assert!(decoder.offset() > at, "an element of no octets");
        taken += content.len() + 2;
        assert!(taken <= limit, "elements of more octets than there are");
        if let Ok(content) = inner.constructed(tag, "constructed")
            && depth < 64
        {
            walk(content, depth + 1, limit);
        }
        let mut leaf = Decoder::new(content);
        let _ = (leaf.text("text"), leaf.peek());
        let _ = Decoder::new(content).integer(i64::MIN..=i64::MAX, "integer");
        let _ = Decoder::new(content).boolean(Tag::BOOLEAN, "boolean");
    }
}

/// A message that is accepted is encoded to one that is accepted, and that to itself.
pub(crate) fn message(octets: &[u8]) {
    let Ok(message) = Message::decode(octets) else { return };
    look(&message);
    let encoded = message.encode();
    match Message::decode(&encoded) {
        Ok(again) => assert_eq!(again.encode(), encoded, "encoding is not stable"),
        Err(error) => assert!(encoded.is_empty(), "what was encoded is refused: {error}"),
    }
}

/// Uses every part of a message.
fn look(message: &Message) {
    let _ = format!("{message:?}");
    if let Operation::SearchResultEntry(entry) = &message.operation {
        look_at_entry(entry);
    }
    let _ = find::<PagedResults>(&message.controls);
    let _ = find::<DirSyncReply>(&message.controls);
}

fn look_at_entry(entry: &SearchResultEntry) {
    let mut octets = entry.dn().len();
    for attribute in entry.attributes() {
        octets += attribute.values().map(<[u8]>::len).sum::<usize>();
        let options = attribute.options().count();
        assert!(options <= entry.octets_held());
        if let Some(next) = attribute.range().and_then(ValueRange::next) {
            assert!(next.high.is_none());
        }
    }
    assert!(octets <= entry.octets_held(), "values lie over each other");
}

/// Values of controls: read and written back.
pub(crate) fn controls(octets: &[u8]) {
    let (which, value) = bytes::choice(octets);
    let mut control = Control::critical(
        match which & 1 {
            0 => "1.2.840.113556.1.4.319",
            _ => "1.2.840.113556.1.4.841",
        },
        Some(value.to_vec()),
    );
    control.critical = false;
    let once = std::slice::from_ref(&control);
    if let Ok(Some(paged)) = find::<PagedResults>(once) {
        assert_eq!(find(&[paged.control()]), Ok(Some(paged)));
    }
    if let Ok(Some(reply)) = find::<DirSyncReply>(once) {
        assert_eq!(find(&[reply.control()]), Ok(Some(reply)));
    }
    let twice = [control.clone(), control];
    assert!(!matches!(find::<PagedResults>(&twice), Ok(Some(_))), "a control stands twice");
}

/// Filters in their encoding, and from there through their text.
pub(crate) fn filter(octets: &[u8]) {
    let Ok(filter) = Filter::decode(&mut Decoder::new(octets)) else { return };
    let mut encoder = Encoder::new();
    filter.encode(&mut encoder);
    let encoded = encoder.into_vec();
    assert_eq!(Filter::decode(&mut Decoder::new(&encoded)).as_ref(), Ok(&filter));
    let text = filter.to_string();
    if text.len() <= FILTER_TEXT_OCTETS_MAX {
        assert_eq!(text.parse::<Filter>().as_ref(), Ok(&filter), "{text}");
    }
}

/// Filters in their text, and from there through their encoding.
pub(crate) fn filter_text(octets: &[u8]) {
    let Some(filter) = parse::<Filter>(bytes::text(octets)) else { return };
    let mut encoder = Encoder::new();
    filter.encode(&mut encoder);
    let encoded = encoder.into_vec();
    let again = Filter::decode(&mut Decoder::new(&encoded));
    assert_eq!(again.as_ref(), Ok(&filter), "the encoding of a filter is refused");
}

/// Attribute descriptions, ranges, extended names.
pub(crate) fn words(octets: &[u8]) {
    let text = bytes::text(octets);
    parse::<AttributeDescription>(text);
    if let Some(range) = ValueRange::of_option(text) {
        assert_eq!(ValueRange::of_option(&range.to_string()), Some(range));
        assert!(range.high.is_none_or(|high| range.low <= high));
        let _ = range.next();
    }
    if let Ok(extended) = ExtendedDn::parse(text) {
        let sid = extended.sid.map(|sid| format!("<SID={sid}>;")).unwrap_or_default();
        let printed = format!("<GUID={}>;{sid}{}", extended.guid, extended.dn);
        assert_eq!(ExtendedDn::parse(&printed).as_ref(), Ok(&extended));
    }
}

/// What a domain controller answers to the question who it is.
pub(crate) fn netlogon(octets: &[u8]) {
    if let Err(error) = netlogon::answer(MessageId::of(0), octets) {
        assert!(!error.to_string().is_empty());
    }
    let Ok(response) = SamLogonResponse::decode(octets) else { return };
    let names = [&response.forest, &response.domain, &response.host, &response.site];
    // A name on the wire has at most 255 octets (RFC 1035 section 2.3.4).
    assert!(names.iter().all(|name| name.len() <= 255), "a name longer than any name");
}

/// The session says the same however the octets arrive, and gives no more than arrived.
pub(crate) fn session(octets: &[u8]) {
    let (choice, stream) = bytes::choice(octets);
    let whole = converse(choice, [stream].into_iter());
    let pieces = converse(choice, bytes::pieces(stream, choice));
    assert_eq!(whole, pieces, "the session depends on how octets arrive");
}

/// What a session says to a stream, in words.
fn converse<'a>(choice: u8, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut session = Session::new(LIMITS);
    let sealed = choice & 1 != 0;
    if sealed {
        let framing = SaslFraming::new(Box::new(Transparent), 4096, 4096);
        assert!(framing.is_ok_and(|framing| session.seal(framing).is_ok()));
    }
    let asked = if choice & 4 != 0 {
        let request = ModifyRequest::new("CN=a,DC=corp,DC=example");
        session.update(Update::Modify(request), Vec::new()).is_ok()
    } else if choice & 2 != 0 || sealed {
        let filter = Filter::And(Vec::new());
        let request = SearchRequest::new("DC=corp,DC=example", Scope::Subtree, filter);
        session.search(request, Vec::new()).is_ok()
    } else {
        let authentication =
            Authentication::Sasl { mechanism: "GSSAPI".to_owned(), credentials: None };
        session.bind(BindRequest { name: String::new(), authentication }).is_ok()
    };
    assert!(asked, "a fresh session takes a request");
    let mut said = String::new();
    let mut arrived = 0;
    let mut events = 0;
    for piece in pieces {
        arrived += piece.len();
        if let Err(error) = session.receive(piece) {
            let _ = write!(said, "{error:?};");
            return said;
        }
        loop {
            match session.next() {
                Ok(Some(event)) => {
                    events += 1;
                    if let Event::Entry { entry, .. } = &event {
                        look_at_entry(entry);
                    }
                    let _ = write!(said, "{event:?};");
                    if matches!(event, Event::Disconnected(_)) {
                        return said;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let _ = write!(said, "{error:?};");
                    return said;
                }
            }
            assert!(events * EVENT_OCTETS_MIN <= arrived, "events out of nothing");
        }
    }
    said
}

/// A layer that protects nothing: what is inside the frames is then the input's own.
struct Transparent;

impl SecurityLayer for Transparent {
    fn overhead(&self) -> usize {
        0
    }

    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, LayerFault> {
        Ok(plain.to_vec())
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<Vec<u8>, LayerFault> {
        Ok(token.to_vec())
    }
}
