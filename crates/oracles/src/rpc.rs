//! RPC: fragments, binds, calls, the endpoint mapper, and replication.

use portolan_legacy_crypto::NtHash;
use portolan_model::Guid;
use portolan_rpc::binding::{Acknowledged, Binding, Fragments, Opening};
use portolan_rpc::drsr::secret::nt_hash;
use portolan_rpc::drsr::{
    AttributeType, Oid, PrefixTable, Reply, decode_bind_response, decode_unbind_response,
};
use portolan_rpc::epm::{self, ENDPOINTS_MAX, Tower, decode_map_response};
use portolan_rpc::pdu::{FRAGMENT_OCTETS_MAX, Header, NDR20};

use crate::bytes;
use crate::names::parse;
use crate::peers::{AUTH_VALUE_LENGTH, Counting, Transparent};

/// The session key that opens the secrets of the corpus.
const SESSION_KEY: &[u8] = include_bytes!("../../rpc/tests/golden/get_nc_changes-session-key.bin");

/// However octets arrive, the same fragments come out, and nothing gets stuck.
pub(crate) fn fragments(octets: &[u8]) {
    let (seed, stream) = bytes::choice(octets);
    let whole = cut([stream].into_iter());
    assert_eq!(whole, cut(bytes::pieces(stream, seed)), "fragments depend on how octets arrive");
    for fragment in &whole {
        assert!(fragment.len() <= usize::from(FRAGMENT_OCTETS_MAX));
        if let Ok((header, input)) = Header::of(fragment) {
            assert_eq!(usize::from(header.fragment_length), fragment.len());
            assert_eq!(input.position(), Header::LENGTH);
        }
    }
}

/// The fragments of a stream, up to what is none.
fn cut<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut fragments = Fragments::default();
    let mut found = Vec::new();
    for piece in pieces {
        let mut waiting = piece;
        loop {
            let before = waiting.len();
            waiting = fragments.receive(waiting);
            let mut taken = false;
            loop {
                match fragments.take() {
                    Ok(Some(fragment)) => {
                        assert!(!fragment.is_empty(), "a fragment of no octets");
                        found.push(fragment.to_vec());
                        taken = true;
                    }
                    Ok(None) => break,
                    Err(_) => return found,
                }
            }
            if waiting.is_empty() {
                break;
            }
            assert!(taken || waiting.len() < before, "octets are neither taken nor used");
        }
    }
    found
}

/// The answer to a bind, with and without security.
pub(crate) fn bind(octets: &[u8]) {
    let (choice, fragment) = bytes::choice(octets);
    let opening = if choice & 1 == 0 {
        Some(Opening::plain(epm::INTERFACE).1)
    } else {
        Opening::secured(epm::INTERFACE, b"token").ok().map(|(_, opening)| opening)
    };
    match opening.map(|opening| opening.accept(fragment)) {
        Some(Ok(Acknowledged::Authenticating(authenticating))) => {
            assert!(choice & 1 == 1, "security where none was asked for");
            assert!(!authenticating.token().is_empty());
            let finished = authenticating.finish(b"third leg", Box::new(Transparent));
            assert!(finished.is_ok_and(|(_, mut binding)| call_of(&mut binding)));
        }
        Some(Ok(Acknowledged::Bound(mut binding))) => {
            assert!(choice & 1 == 0, "a bind without the security that was asked for");
            assert!(call_of(&mut binding));
        }
        Some(Err(error)) => assert!(!error.to_string().is_empty()),
        None => {}
    }
}

fn call_of(binding: &mut Binding) -> bool {
    let sent = binding.call(0, &[0; 8000], &mut Counting(0));
    sent.is_ok_and(|sent| {
        cut([sent.as_slice()].into_iter()).iter().map(Vec::len).sum::<usize>() == sent.len()
    })
}

/// The reply to a call: all its fragments, sealed by a context that protects nothing or not at all.
pub(crate) fn call(octets: &[u8]) {
    let (choice, stream) = bytes::choice(octets);
    let secured = choice & 1 == 1;
    let binding = bound(secured);
    assert!(binding.is_some(), "a good bind is refused");
    let Some(mut binding) = binding else { return };
    let mut asked = 0;
    let mut answered = 0;
    for mut fragment in cut([stream].into_iter()) {
        if asked == answered {
            let sent = binding.call(3, b"question", &mut Counting(0));
            assert!(sent.is_ok(), "no call is under way");
            asked += 1;
        }
        match binding.receive(&mut fragment) {
            Ok(Some(stub)) => {
                assert!(stub.len() <= stream.len(), "a stub longer than its fragments");
                answered += 1;
            }
            Ok(None) => {}
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        }
    }
}

/// A binding as a good server opens it.
fn bound(secured: bool) -> Option<Binding> {
    let mut ack = vec![5, 0, 12, 0x07, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    ack.extend([0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    ack.extend(NDR20.uuid.to_bytes_le());
    ack.extend([2, 0, 0, 0]);
    if secured {
        ack.extend([0x10, 6, 0, 0, 1, 0, 0, 0, b't', b'o', b'k', b'e']);
        ack[10] = 4;
    }
    ack[8] = u8::try_from(ack.len()).ok()?;
    let opening = match secured {
        true => Opening::secured(epm::INTERFACE, b"token").ok()?.1,
        false => Opening::plain(epm::INTERFACE).1,
    };
    match opening.accept(&ack).ok()? {
        Acknowledged::Bound(binding) => Some(binding),
        Acknowledged::Authenticating(next) => next
            .finish(&[0; AUTH_VALUE_LENGTH], Box::new(Transparent))
            .ok()
            .map(|(_, binding)| binding),
    }
}

/// What the endpoint mapper answers, and towers by themselves.
pub(crate) fn endpoints(octets: &[u8]) {
    if let Ok(Ok(endpoints)) = decode_map_response(octets, portolan_rpc::drsr::INTERFACE) {
        assert!(endpoints.len() <= ENDPOINTS_MAX);
    }
    if let Ok(Some(tower)) = Tower::decode(octets) {
        let again = Tower::decode(&tower.encode());
        assert_eq!(again.as_ref().map(Option::as_ref), Ok(Some(&tower)));
    }
}

/// The answers to the bind and the unbind of replication.
pub(crate) fn drs_bind(octets: &[u8]) {
    if let Ok(Ok(bound)) = decode_bind_response(octets) {
        let _ = bound.server.suffices();
    }
    if let Ok(status) = decode_unbind_response(octets) {
        let _ = status.to_string();
    }
}

/// A page of changes, read as replication reads it.
pub(crate) fn changes(octets: &[u8]) {
    let Ok(Ok(reply)) = Reply::decode(octets) else { return };
    let _ = format!("{reply:?}");
    let password = reply.table.attribute_type(&Oid::UNICODE_PWD);
    let mut values = 0;
    for object in reply.objects() {
        let rid = object.name().and_then(|name| {
            let _ = name.name();
            name.sid().ok().flatten()
        });
        let rid = rid.map_or(0, |sid| sid.rid());
        for attribute in object.attributes() {
            values += attribute.values.iter().map(|value| value.len()).sum::<usize>();
            if let Some(oid) = reply.table.oid(attribute.attribute_type) {
                let _ = oid.to_string();
            }
        }
        let hashes = password.and_then(|password| object.attribute(password));
        for value in hashes.iter().flat_map(|attribute| attribute.values) {
            let _: Result<NtHash, _> = nt_hash(SESSION_KEY, value, rid);
        }
        let _ = object.parent() == Some(Guid::NIL);
    }
    assert!(values <= octets.len(), "values lie over each other");
    let cursors = reply.up_to_date.as_ref().map_or(0, |vector| vector.0.len());
    assert!(cursors * 32 <= octets.len(), "more cursors than octets");
}

/// Object identifiers, and their numbers in a table.
pub(crate) fn words(octets: &[u8]) {
    let Some(oid) = parse::<Oid>(bytes::text(octets)) else { return };
    let (table, types) = PrefixTable::of(&[Oid::UNICODE_PWD, oid.clone()]);
    if let Some(number) = table.attribute_type(&oid) {
        assert_eq!(table.oid(number), Some(oid), "the number of an attribute is another's");
        assert_eq!(types.last(), Some(&number));
    }
    let _ = table.oid(AttributeType(u32::MAX));
}
