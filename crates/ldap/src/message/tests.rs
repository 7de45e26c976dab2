//! Octets written out by hand after the notation of RFC 4511 appendix B; what a foreign client
//! sends and reads is in `openldap`.

use portolan_model::SecretString;
use proptest::prelude::*;

use super::*;

mod openldap;

fn id(number: u32) -> MessageId {
    MessageId(number)
}

/// Header octets in hexadecimal and texts, one behind the other.
fn octets(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (hex, text) in parts {
        for pair in hex.split_whitespace() {
            out.push(u8::from_str_radix(pair, 16).unwrap());
        }
        out.extend(text.bytes());
    }
    out
}

/// The message encodes to these octets, and they decode to a message that does the same.
fn check(message: &Message, expected: &[u8]) {
    assert_eq!(message.encode().as_slice(), expected);
    let decoded = Message::decode(expected).unwrap();
    assert_eq!(decoded.encode().as_slice(), expected);
    assert_eq!(decoded.id, message.id);
}

#[test]
fn bind_requests_have_the_octets_of_the_notation() {
    let anonymous = BindRequest::simple("", SecretString::default());
    check(
        &Message::new(id(1), Operation::BindRequest(anonymous)),
        &octets(&[("30 0c 02 01 01 60 07 02 01 03 04 00 80 00", "")]),
    );
    let password = SecretString::new("secret123".to_owned());
    let simple = BindRequest::simple("uid=jdoe,ou=People,dc=example,dc=com", password);
    check(
        &Message::new(id(1), Operation::BindRequest(simple)),
        &octets(&[
            ("30 39 02 01 01 60 34 02 01 03 04 24", "uid=jdoe,ou=People,dc=example,dc=com"),
            ("80 09", "secret123"),
        ]),
    );
    let sasl = BindRequest::sasl("CRAM-MD5", None);
    check(
        &Message::new(id(1), Operation::BindRequest(sasl)),
        &octets(&[("30 16 02 01 01 60 11 02 01 03 04 00 a3 0a 04 08", "CRAM-MD5")]),
    );
}

#[test]
fn small_messages_have_the_octets_of_the_notation() {
    let check = |number, operation, hex| {
        check(&Message::new(id(number), operation), &octets(&[(hex, "")]));
    };
    check(3, Operation::UnbindRequest, "30 05 02 01 03 42 00");
    check(6, Operation::AbandonRequest(id(5)), "30 06 02 01 06 50 01 05");
    let done = Operation::SearchResultDone(LdapResult::SUCCESS);
    check(2, done, "30 0c 02 01 02 65 07 0a 01 00 04 00 04 00");
}

#[test]
fn a_search_request_has_the_octets_of_the_notation() {
    let filter = "(&(objectClass=person)(uid=jdoe))".parse().unwrap();
    let mut request = SearchRequest::new("dc=example,dc=com", Scope::Subtree, filter);
    request.size_limit = 1000;
    request.time_limit_seconds = 30;
    let request = request.select(["*", "+"]);
    let expected = octets(&[
        ("30 56 02 01 02 63 51 04 11", "dc=example,dc=com"),
        ("0a 01 02 0a 01 00 02 02 03 e8 02 01 1e 01 01 00 a0 24 a3 15 04 0b", "objectClass"),
        ("04 06", "person"),
        ("a3 0b 04 03", "uid"),
        ("04 04", "jdoe"),
        ("30 06 04 01 2a 04 01 2b", ""),
    ]);
    check(&Message::new(id(2), Operation::SearchRequest(request)), &expected);
}

#[test]
fn an_entry_has_the_octets_of_the_notation() {
    let attributes: &[(&str, &[&[u8]])] =
        &[("objectClass", &[b"top", b"domain"]), ("dc", &[b"example"])];
    let entry = SearchResultEntry::new("dc=example,dc=com", attributes).unwrap();
    let expected = octets(&[
        ("30 49 02 01 02 64 44 04 11", "dc=example,dc=com"),
        ("30 2f 30 1c 04 0b", "objectClass"),
        ("31 0d 04 03", "top"),
        ("04 06", "domain"),
        ("30 0f 04 02", "dc"),
        ("31 09 04 07", "example"),
    ]);
    check(&Message::new(id(2), Operation::SearchResultEntry(entry)), &expected);
}

#[test]
fn a_notice_of_disconnection_has_the_octets_of_the_notation() {
    let result = LdapResult {
        code: ResultCode::Unavailable,
        diagnostic: "The Directory Server is shutting down".to_owned(),
        ..LdapResult::SUCCESS
    };
    let name = Some(NOTICE_OF_DISCONNECTION.to_owned());
    let response = ExtendedResponse { result, name, value: None };
    let expected = octets(&[
        ("30 49 02 01 00 78 44 0a 01 34 04 00 04 25", "The Directory Server is shutting down"),
        ("8a 16", "1.3.6.1.4.1.1466.20036"),
    ]);
    check(&Message::new(MessageId::UNSOLICITED, Operation::ExtendedResponse(response)), &expected);
}

#[test]
fn an_entry_gives_its_values_by_name_without_case() {
    let attributes: &[(&str, &[&[u8]])] = &[
        ("member", &[]),
        ("member;range=0-1499", &[b"CN=a", b"CN=b"]),
        ("objectGUID", &[&[0xff; 16]]),
        ("displayName", &["Zoë".as_bytes()]),
    ];
    let entry = SearchResultEntry::new("CN=Staff", attributes).unwrap();
    assert_eq!(entry.text("DISPLAYNAME"), Some("Zoë"));
    assert_eq!(entry.text("objectGUID"), None, "no text");
    assert_eq!(entry.octets("objectguid"), Some([0xff; 16].as_slice()));
    assert_eq!(entry.octets("member"), None);
    assert_eq!(entry.all("absent").count(), 0);
    assert_eq!(entry.all("Member;Range=0-1499").collect::<Vec<_>>(), [b"CN=a", b"CN=b"]);
    let ranges: Vec<_> = entry.named("Member").map(Attribute::range).collect();
    let part = crate::ValueRange { low: 0, high: Some(1499) };
    assert_eq!(ranges, [None, Some(part)]);
    assert_eq!(entry.attributes().len(), 4);
    let printed = format!("{entry:?}");
    assert!(!printed.contains("CN=a") && printed.contains("member;range=0-1499 (2 values)"));
}

/// Windows writes every length in five octets; later versions may add elements at each end.
#[test]
fn long_lengths_and_later_additions_are_read() {
    let result = "0a 01 00 04 84 00 00 00 00 04 00 9f 01 01";
    let done =
        octets(&[(&format!("30 84 00 00 00 19 02 01 02 65 84 00 00 00 0e {result} 9e 00"), "")]);
    let message = Message::decode(&done).unwrap();
    let Operation::SearchResultDone(result) = message.operation else { panic!("no end") };
    assert_eq!(result, LdapResult::SUCCESS);
}

#[test]
fn octets_that_are_no_message_are_refused_with_field_and_place() {
    let check = |hex: &str, text: &str| {
        let error = Message::decode(&octets(&[(hex, "")])).unwrap_err();
        assert_eq!(error.to_string(), text, "{hex}");
    };
    check("", "LDAPMessage at offset 0: needs 1 octets, 0 are left");
    check("30 05 02 01 03 42 00 00", "LDAPMessage at offset 7: 1 octets follow the end");
    check("30 03 02 01 03", "protocolOp at offset 5: needs 1 octets, 0 are left");
    check(
        "30 05 02 01 ff 42 00",
        "messageID at offset 2: expected an integer within its bounds, found 0xffffffffffffffff",
    );
    check(
        "30 05 02 01 03 6f 00",
        "protocolOp at offset 7: expected an operation that Portolan knows, found 0x6f",
    );
    check(
        "30 0c 02 01 02 64 07 04 01 ff 30 00 04 00",
        "objectName at offset 7: text must be UTF-8",
    );
    check(
        "30 0c 02 01 02 60 07 02 01 02 04 00 80 00",
        "version at offset 7: expected an integer within its bounds, found 0x2",
    );
}

#[test]
fn more_attributes_than_the_limit_are_refused() {
    let attributes: Vec<(&str, &[&[u8]])> = vec![("a", &[]); ATTRIBUTES_MAX + 1];
    let error = SearchResultEntry::new("CN=x", &attributes).unwrap_err();
    let limit = ATTRIBUTES_MAX as u64;
    assert_eq!(error.fault, Fault::AboveLimit { found: limit + 1, limit });
}

#[test]
fn more_attributes_in_a_request_than_the_limit_are_refused() {
    let attributes = vec![PartialAttribute::new("a", [""]); ATTRIBUTES_MAX + 1];
    let request = AddRequest { entry: String::new(), attributes };
    let octets = Message::new(id(1), Operation::AddRequest(request)).encode();
    let fault = Message::decode(&octets).unwrap_err().fault;
    let limit = ATTRIBUTES_MAX as u64;
    assert_eq!(fault, Fault::AboveLimit { found: limit + 1, limit });
}

#[test]
fn a_refused_update_names_the_code_what_is_known_of_the_name_and_the_directory_s_words() {
    let result = LdapResult {
        code: ResultCode::NoSuchObject,
        matched_dn: "DC=corp,DC=example".to_owned(),
        diagnostic: "0000208D: NameErr".to_owned(),
        referrals: Vec::new(),
    };
    assert_eq!(
        result.success().unwrap_err().to_string(),
        "the directory answered noSuchObject (32), known as far as DC=corp,DC=example: \
         0000208D: NameErr"
    );
}

#[test]
fn a_password_is_never_printed() {
    let value = "\"N3w-Pass!\"";
    let request = ModifyRequest::new("CN=a").with(ChangeOperation::Add, "unicodePwd", [value]);
    let printed = format!("{:?}", Message::new(id(1), Operation::ModifyRequest(request)));
    assert!(!printed.contains("N3w") && printed.contains("unicodePwd (1 values)"), "{printed}");
    let password = SecretString::new("Al1ce-Pass!".to_owned());
    let request = Operation::BindRequest(BindRequest::simple("alice", password));
    assert!(!format!("{:?}", Message::new(id(1), request)).contains("Al1ce"));
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #[test]
    fn every_entry_returns(
        dn in "\\PC{0,40}",
        attributes in proptest::collection::vec(
            ("[A-Za-z;=-]{1,12}", proptest::collection::vec(value(), 0..4)), 0..6),
        number in 1u32..0x7fff_ffff,
    ) {
        let values: Vec<Vec<&[u8]>> =
            attributes.iter().map(|(_, v)| v.iter().map(Vec::as_slice).collect()).collect();
        let given: Vec<(&str, &[&[u8]])> =
            attributes.iter().zip(&values).map(|((n, _), v)| (n.as_str(), v.as_slice())).collect();
        let entry = SearchResultEntry::new(&dn, &given).unwrap();
        let message = Message::new(id(number), Operation::SearchResultEntry(entry.clone()));
        let decoded = Message::decode(&message.encode()).unwrap();
        prop_assert_eq!(decoded.id, message.id);
        let Operation::SearchResultEntry(returned) = decoded.operation else {
            return Err(TestCaseError::fail("another operation"));
        };
        prop_assert_eq!(&returned, &entry);
        prop_assert_eq!(returned.dn(), &dn);
        for (attribute, (name, values)) in returned.attributes().zip(&attributes) {
            prop_assert_eq!(attribute.description(), name);
            prop_assert!(attribute.values().eq(values.iter().map(Vec::as_slice)));
        }
    }

    #[test]
    fn every_result_returns(
        code in 0u32..5000,
        texts in ("\\PC{0,20}", "\\PC{0,200}"),
        referrals in proptest::collection::vec("ldap://[a-z]{1,9}/", 0..4),
        credentials in proptest::option::of(value()),
    ) {
        let (matched_dn, diagnostic) = texts;
        let code = ResultCode::from_number(code);
        let result = LdapResult { code, matched_dn, diagnostic, referrals };
        let response = BindResponse { result, server_sasl_credentials: credentials };
        let message = Message::new(id(1), Operation::BindResponse(response.clone()));
        let decoded = Message::decode(&message.encode()).unwrap().operation;
        let Operation::BindResponse(returned) = decoded else {
            return Err(TestCaseError::fail("another operation"));
        };
        prop_assert_eq!(returned, response);
    }

    #[test]
    fn every_update_returns(
        names in ("\\PC{0,40}", "\\PC{0,20}", proptest::option::of("\\PC{0,20}")),
        attributes in proptest::collection::vec(
            ("[A-Za-z;=-]{1,12}", proptest::collection::vec(value(), 0..4), 0usize..3), 0..6),
        flag in any::<bool>(),
    ) {
        let (name, new_rdn, new_superior) = names;
        let operations = [ChangeOperation::Add, ChangeOperation::Delete, ChangeOperation::Replace];
        let mut modify = ModifyRequest::new(name.as_str());
        let mut add = AddRequest { entry: name.clone(), attributes: Vec::new() };
        for (attribute, values, operation) in &attributes {
            modify = modify.with(operations[*operation], attribute, values);
            add.attributes.push(PartialAttribute::new(attribute.as_str(), values));
        }
        let rename = ModifyDnRequest {
            entry: name.clone(), new_rdn, delete_old_rdn: flag, new_superior };
        let returned = |operation| {
            let encoded = Message::new(id(1), operation).encode();
            Message::decode(&encoded).unwrap().operation
        };
        let Operation::ModifyRequest(again) = returned(Operation::ModifyRequest(modify.clone()))
            else { return Err(TestCaseError::fail("another operation")) };
        prop_assert_eq!(again, modify);
        let Operation::AddRequest(again) = returned(Operation::AddRequest(add.clone()))
            else { return Err(TestCaseError::fail("another operation")) };
        prop_assert_eq!(again, add);
        let Operation::ModifyDnRequest(again) = returned(Operation::ModifyDnRequest(rename.clone()))
            else { return Err(TestCaseError::fail("another operation")) };
        prop_assert_eq!(again, rename);
        let delete = DelRequest { entry: name };
        let Operation::DelRequest(again) = returned(Operation::DelRequest(delete.clone()))
            else { return Err(TestCaseError::fail("another operation")) };
        prop_assert_eq!(again, delete);
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = Message::decode(&octets);
    }
}
