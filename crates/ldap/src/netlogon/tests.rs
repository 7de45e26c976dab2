//! A response written out by hand, and pointers that lead nowhere.

use proptest::prelude::*;

use super::*;
use crate::message::LdapResult;

fn response() -> SamLogonResponse {
    SamLogonResponse {
        flags: ControllerFlags(0x3fd),
        domain_guid: Guid::from_fields(1, 2, 3, [4; 8]),
        forest: "corp.example".to_owned(),
        domain: "corp.example".to_owned(),
        host: "dc1.corp.example".to_owned(),
        site: "Default-First-Site-Name".to_owned(),
        client_site: String::new(),
    }
}

fn datagram(id: MessageId, value: Option<&[u8]>) -> Vec<u8> {
    let entry = value.map(|value| {
        let entry = SearchResultEntry::new("", &[("netlogon", &[value])]).unwrap();
        Message::new(id, Operation::SearchResultEntry(entry)).encode().to_vec()
    });
    let done = Operation::SearchResultDone(LdapResult::SUCCESS);
    [entry.unwrap_or_default(), Message::new(id, done).encode().to_vec()].concat()
}

#[test]
fn a_controller_says_what_it_is() {
    let id = MessageId::FIRST;
    let octets = datagram(id, Some(&response().encode()));
    let found = answer(id, &octets).unwrap().unwrap();
    assert_eq!(found, response());
    assert!(found.flags.has(ControllerFlags::WRITABLE | ControllerFlags::CLOSEST));
    assert!(!ControllerFlags(0x8).has(ControllerFlags::WRITABLE));
}

#[test]
fn a_controller_of_another_domain_says_nothing() {
    assert_eq!(answer(MessageId::FIRST, &datagram(MessageId::FIRST, None)), Ok(None));
}

#[test]
fn an_answer_to_another_question_or_without_an_end_is_refused() {
    let octets = datagram(MessageId::FIRST, Some(&response().encode()));
    answer(MessageId::FIRST.following(), &octets).unwrap_err();
    answer(MessageId::FIRST, &[]).unwrap_err();
    for end in 1..octets.len() {
        answer(MessageId::FIRST, &octets[..end]).unwrap_err();
    }
}

/// The head of a response, then names as given.
fn with_names(names: &[u8]) -> Vec<u8> {
    let mut value = response().encode();
    value.truncate(24);
    value.extend_from_slice(names);
    value
}

#[test]
fn compressed_names_are_read_and_pointers_only_lead_back() {
    // The forest's name stands at 24; the others point into it, as controllers write them.
    let names = b"\x04corp\x07example\0\xc0\x18\x03dc1\xc0\x18\0\0\0\x04Site\0\xc0\x1d";
    let found = SamLogonResponse::decode(&with_names(names)).unwrap();
    assert_eq!((found.domain.as_str(), found.host.as_str()), ("corp.example", "dc1.corp.example"));
    assert_eq!((found.site.as_str(), found.client_site.as_str()), ("Site", "example"));
    for names in [&b"\xc0\x18"[..], b"\xc0\xff", b"\x01a\xc0\x1a", b"\x3fa", b"\x01\xff\0"] {
        SamLogonResponse::decode(&with_names(names)).unwrap_err();
    }
    let long = [&[60u8][..], &[b'a'; 60]].concat().repeat(5);
    SamLogonResponse::decode(&with_names(&long)).unwrap_err();
}

#[test]
fn the_question_names_the_domain_and_the_form_of_the_answer() {
    let octets = question(MessageId::FIRST, &"corp.example".parse().unwrap());
    let Operation::SearchRequest(request) = Message::decode(&octets).unwrap().operation else {
        unreachable!()
    };
    let filter = r"(&(DnsDomain=corp.example)(NtVer=\06\00\00\01))";
    assert_eq!(request.filter, filter.parse().unwrap());
    assert_eq!((request.base.as_str(), request.attributes), ("", vec!["NetLogon".to_owned()]));
}

proptest! {
    #[test]
    fn arbitrary_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = answer(MessageId::FIRST, &octets);
        if let Ok(found) = SamLogonResponse::decode(&octets) {
            // What was read says the same again, unless a label had a dot in it.
            let again = SamLogonResponse::decode(&found.encode()).unwrap();
            prop_assert_eq!(again.flags, found.flags);
            prop_assert_eq!(again.encode(), SamLogonResponse::decode(&again.encode()).unwrap().encode());
        }
    }
}
