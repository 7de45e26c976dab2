//! Which message may come when, from either side.

use portolan_model::SecretString;

use super::peer::{bound, done, entry, everything, feed, framing, searching, summary};
use crate::message::{
    AddRequest, BindRequest, DelRequest, ExtendedResponse, LdapResult, Message, MessageId,
    ModifyDnRequest, ModifyRequest, NOTICE_OF_DISCONNECTION, Operation, ResultCode,
};
use crate::session::{Limits, Session, SessionError, Update};

/// A session with an open search answers these octets with this error, and is over.
fn check_refused(octets: impl FnOnce(MessageId) -> Vec<u8>, text: &str) {
    let (mut session, id) = searching(Limits::default(), false);
    session.receive(&octets(id)).unwrap();
    assert_eq!(session.next().unwrap_err().to_string(), text);
    assert!(matches!(session.next(), Err(SessionError::Closed)), "an error ends the session");
}

fn password(text: &str) -> SecretString {
    SecretString::new(text.to_owned())
}

#[test]
fn responses_that_nothing_asked_for_are_protocol_errors() {
    let unknown = "the directory answered request 3, which is not open";
    check_refused(|id| entry(id.following(), "CN=x", 0), unknown);
    let other_kind = "the directory answered request 2 with a message of another kind";
    check_refused(bound, other_kind);
    check_refused(|id| Message::new(id, Operation::UnbindRequest).encode().to_vec(), other_kind);
    let unsolicited = "the directory answered request 0, which is not open";
    check_refused(|_| done(MessageId::UNSOLICITED), unsolicited);
    let no_ldap = "the directory sent what is no LDAP message";
    check_refused(|_| b"\x16\x03\x01\x02\x00".to_vec(), no_ldap);
}

#[test]
fn a_response_behind_the_end_of_its_search_is_a_protocol_error() {
    let (mut session, id) = searching(Limits::default(), false);
    feed(&mut session, [done(id).as_slice()]);
    session.receive(&entry(id, "CN=late", 0)).unwrap();
    assert!(matches!(session.next(), Err(SessionError::UnknownMessageId(late)) if late == id));
}

#[test]
fn an_update_is_answered_by_its_own_response_and_cannot_be_given_up() {
    let name = || "CN=a,DC=corp,DC=example".to_owned();
    let update = |which| match which {
        0 => Update::Modify(ModifyRequest::new(name())),
        1 => Update::Add(AddRequest { entry: name(), attributes: Vec::new() }),
        2 => Update::Delete(DelRequest { entry: name() }),
        _ => Update::ModifyDn(ModifyDnRequest {
            entry: name(),
            new_rdn: "CN=b".to_owned(),
            delete_old_rdn: true,
            new_superior: None,
        }),
    };
    let answer = |which, result| match which {
        0 => Operation::ModifyResponse(result),
        1 => Operation::AddResponse(result),
        2 => Operation::DelResponse(result),
        _ => Operation::ModifyDnResponse(result),
    };
    for asked in 0..4 {
        for answered in 0..4 {
            let mut session = Session::new(Limits::default());
            let (id, _) = session.update(update(asked), Vec::new()).unwrap();
            assert!(matches!(session.abandon(id), Err(SessionError::UnknownMessageId(_))));
            let result = LdapResult { code: ResultCode::Busy, ..LdapResult::SUCCESS };
            let octets = Message::new(id, answer(answered, result)).encode();
            session.receive(&octets).unwrap();
            match session.next() {
                Ok(Some(event)) if asked == answered => {
                    assert_eq!(summary(&event), "1 updated busy (51)");
                }
                Err(SessionError::UnexpectedResponse { .. }) if asked != answered => {}
                other => panic!("{asked} answered by {answered}: {other:?}"),
            }
        }
    }
}

#[test]
fn several_searches_run_at_once() {
    let (mut session, a) = searching(Limits::default(), false);
    let (b, _) = session.search(everything(), Vec::new()).unwrap();
    let stream = [entry(b, "CN=b", 0), entry(a, "CN=a", 0), done(b), done(a)].concat();
    let events = feed(&mut session, [stream.as_slice()]);
    assert_eq!(events, ["3 CN=b 0", "2 CN=a 0", "3 success (0)", "2 success (0)"]);
}

#[test]
fn references_are_kept_and_not_followed() {
    let (mut session, id) = searching(Limits::default(), false);
    let url = "ldap://forest.corp.example/CN=Configuration,DC=corp,DC=example";
    let reference = Operation::SearchResultReference(vec![url.to_owned()]);
    let events = feed(&mut session, [Message::new(id, reference).encode().as_slice()]);
    assert_eq!(events, [format!("2 see {url}")]);
}

#[test]
fn an_abandoned_search_is_silent_whether_or_not_it_ends() {
    let (mut session, id) = searching(Limits::default(), false);
    let message = Message::decode(&session.abandon(id).unwrap()).unwrap();
    assert!(matches!(message.operation, Operation::AbandonRequest(given_up) if given_up == id));
    assert_ne!(message.id, id);
    assert!(matches!(session.abandon(id), Err(SessionError::UnknownMessageId(_))));
    let stream = [entry(id, "CN=late", 0), done(id)].concat();
    assert!(feed(&mut session, [stream.as_slice()]).is_empty());
}

#[test]
fn a_notice_of_disconnection_ends_the_session() {
    let (mut session, _) = searching(Limits::default(), false);
    let notice = |name: &str| {
        let diagnostic = "shutting down".to_owned();
        let result =
            LdapResult { code: ResultCode::Unavailable, diagnostic, ..LdapResult::SUCCESS };
        let response = ExtendedResponse { result, name: Some(name.to_owned()), value: None };
        let operation = Operation::ExtendedResponse(response);
        Message::new(MessageId::UNSOLICITED, operation).encode().to_vec()
    };
    assert!(feed(&mut session, [notice("1.2.3.4").as_slice()]).is_empty(), "others are ignored");
    session.receive(&notice(NOTICE_OF_DISCONNECTION)).unwrap();
    let event = session.next().unwrap().unwrap();
    assert_eq!(summary(&event), "disconnected unavailable (52): shutting down");
    assert!(matches!(session.next(), Err(SessionError::Closed)));
    assert!(matches!(session.search(everything(), Vec::new()), Err(SessionError::Closed)));
}

#[test]
fn nothing_is_sent_while_a_bind_is_under_way() {
    let mut session = Session::new(Limits::default());
    let step = || BindRequest::sasl("GSSAPI", Some(b"token".to_vec()));
    let (id, _) = session.bind(step()).unwrap();
    let search = session.search(everything(), Vec::new());
    assert!(matches!(search, Err(SessionError::BindInProgress)));
    assert!(matches!(session.bind(step()), Err(SessionError::RequestsOpen(1))));
    feed(&mut session, [bound(id).as_slice()]);
    assert!(session.bind(step()).is_ok(), "the next step");
}

#[test]
fn a_name_without_a_password_is_not_sent() {
    let mut session = Session::new(Limits::default());
    let bind = session.bind(BindRequest::simple("cn=a", password("")));
    assert!(matches!(bind, Err(SessionError::EmptyPassword)));
    assert!(session.bind(BindRequest::simple("", password(""))).is_ok(), "anonymous is honest");
}

#[test]
fn octets_in_clear_behind_the_bind_response_forbid_the_layer() {
    let mut session = Session::new(Limits::default());
    let (id, _) = session.bind(BindRequest::sasl("GSSAPI", None)).unwrap();
    let injected = entry(id.following(), "CN=evil", 0);
    session.receive(&[bound(id), injected].concat()).unwrap();
    session.next().unwrap();
    let error = session.seal(framing(1024)).unwrap_err();
    assert!(matches!(error, SessionError::OctetsBeforeLayer(_)));
    assert!(matches!(session.next(), Err(SessionError::Closed)));
}

#[test]
fn a_layer_is_put_in_place_once_and_only_between_requests() {
    let (mut session, id) = searching(Limits::default(), false);
    assert!(matches!(session.seal(framing(1024)), Err(SessionError::RequestsOpen(1))));
    feed(&mut session, [done(id).as_slice()]);
    session.seal(framing(1024)).unwrap();
    assert!(session.is_sealed());
    assert!(matches!(session.seal(framing(1024)), Err(SessionError::AlreadySealed)));
    let bind = session.bind(BindRequest::simple("cn=a", password("x")));
    assert!(matches!(bind, Err(SessionError::AlreadySealed)));
}

#[test]
fn a_sealed_request_is_nowhere_in_clear() {
    let (mut session, _) = searching(Limits::default(), true);
    let (_, octets) = session.search(everything(), Vec::new()).unwrap();
    assert!(!octets.windows(10).any(|part| part == b"DC=example"));
}

#[test]
fn every_limit_holds() {
    let limits = Limits { message_octets_max: 100, pending_octets_max: 150, operations_max: 2 };
    let (mut session, _) = searching(limits, false);
    session.search(everything(), Vec::new()).unwrap();
    let third = session.search(everything(), Vec::new());
    assert!(matches!(third, Err(SessionError::TooManyRequests(2))));
    let large = session.receive(&[0; 151]).unwrap_err();
    assert_eq!(large.to_string(), "151 octets are pending, above the limit of 150");

    let (mut session, id) = searching(limits, false);
    // The header alone is enough to refuse a message.
    session.receive(&entry(id, "CN=x", 120)[..4]).unwrap();
    assert!(matches!(session.next(), Err(SessionError::Malformed(_))));
}

#[test]
fn numbers_skip_what_is_open() {
    let (mut session, open) = searching(Limits::default(), false);
    session.next_id = open;
    let (next, _) = session.search(everything(), Vec::new()).unwrap();
    assert_eq!((open.number(), next.number()), (2, 3));
}
