//! OpenLDAP's clients (package ldap-utils) against a listener here: their requests are decoded and
//! encoded again octet for octet, and they read what is answered.

use std::io::{Read, Write};
#[expect(clippy::disallowed_types, reason = "a foreign client needs a socket to talk to")]
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use super::*;
use crate::ber::element_octets;
use crate::control::{DirSync, DirSyncFlags, PagedResults, find, show_deleted};

const FILTER: &str = "(&(objectClass=user)(|(cn=A*b*c)(cn=\\2a)(!(mail=*)))(uSNChanged>=5)\
                      (userAccountControl:1.2.840.113556.1.4.803:=2)(ou:dn:=Staff))";
const ATTRIBUTES: [&str; 3] = ["cn", "objectGUID", "member;range=0-*"];

/// What a client printed, and what it sent, message by message. `input` is what it reads.
fn conversation(program: &str, arguments: &[&str], input: &str) -> (String, Vec<Vec<u8>>) {
    #[expect(clippy::disallowed_types, reason = "a foreign client needs a socket to talk to")]
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let mut client = Command::new(program)
        .args(["-x", "-o", "ldif-wrap=no", "-H", &url, "-D", "cn=a", "-w", "Al1ce-Pass!"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client is installed by cargo xtask setup (package ldap-utils)");
    client.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    let output = client.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let requests = server.join().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    if output.status.success() { (printed, requests) } else { (error.into_owned(), requests) }
}

/// Answers a bind with success and a search with one entry, until the unbind.
#[expect(clippy::disallowed_types, reason = "a foreign client needs a socket to talk to")]
fn serve(mut stream: TcpStream) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    let mut pending = Vec::new();
    loop {
        while let Some(count) = element_octets(&pending, Tag::SEQUENCE, 9000, "request")
            .unwrap()
            .filter(|count| *count <= pending.len())
        {
            let request: Vec<u8> = pending.drain(..count).collect();
            let message = Message::decode(&request).unwrap();
            requests.push(request);
            match message.operation {
                Operation::UnbindRequest => return requests,
                operation => answer(&mut stream, message.id, &operation),
            }
        }
        let mut segment = [0; 4096];
        let count = stream.read(&mut segment).unwrap();
        assert!(count > 0, "the client left without an unbind");
        pending.extend_from_slice(&segment[..count]);
    }
}

fn answer(stream: &mut impl Write, id: MessageId, request: &Operation) {
    let mut send = |operation| stream.write_all(&Message::new(id, operation).encode()).unwrap();
    match request {
        Operation::BindRequest(_) => send(Operation::BindResponse(BindResponse {
            result: LdapResult::SUCCESS,
            server_sasl_credentials: None,
        })),
        Operation::SearchRequest(_) => {
            let attributes: &[(&str, &[&[u8]])] =
                &[("cn", &[b"Alice"]), ("objectGUID", &[&[0xff, 0, 1]])];
            let entry = SearchResultEntry::new("CN=Alice,DC=corp,DC=example", attributes);
            send(Operation::SearchResultEntry(entry.unwrap()));
            send(Operation::SearchResultDone(LdapResult::SUCCESS));
        }
        Operation::ModifyRequest(_) => send(Operation::ModifyResponse(LdapResult::SUCCESS)),
        Operation::AddRequest(_) => send(Operation::AddResponse(LdapResult::SUCCESS)),
        Operation::ModifyDnRequest(_) => send(Operation::ModifyDnResponse(LdapResult::SUCCESS)),
        Operation::DelRequest(_) => send(Operation::DelResponse(LdapResult {
            code: ResultCode::NoSuchObject,
            matched_dn: "DC=corp,DC=example".to_owned(),
            diagnostic: "0000208D: NameErr".to_owned(),
            referrals: Vec::new(),
        })),
        other => panic!("the client sent {other:?}"),
    }
}

/// What was sent decodes, and our own encoding of the same is octet for octet the client's.
fn check_same(requests: &[Vec<u8>], asked: &Message) {
    let [bind, sent, unbind] = requests else { panic!("{} requests", requests.len()) };
    let password = SecretString::new("Al1ce-Pass!".to_owned());
    let own = Operation::BindRequest(BindRequest::simple("cn=a", password));
    check(&Message::new(id(1), own), bind);
    check(asked, sent);
    check(&Message::new(id(3), Operation::UnbindRequest), unbind);
}

fn search() -> SearchRequest {
    let filter = FILTER.parse().unwrap();
    let mut request = SearchRequest::new("DC=corp,DC=example", Scope::Subtree, filter);
    request.size_limit = 1000;
    request.time_limit_seconds = 30;
    request.select(ATTRIBUTES)
}

const OPTIONS: [&str; 8] = ["-b", "DC=corp,DC=example", "-s", "sub", "-z", "1000", "-l", "30"];

#[test]
fn a_plain_search_is_what_openldap_sends_and_its_answer_what_openldap_reads() {
    let arguments = [&OPTIONS[..], &[FILTER], &ATTRIBUTES].concat();
    let (printed, requests) = conversation("ldapsearch", &[&["-LLL"], &arguments[..]].concat(), "");
    check_same(&requests, &Message::new(id(2), Operation::SearchRequest(search())));
    let expected = "dn: CN=Alice,DC=corp,DC=example\ncn: Alice\nobjectGUID:: /wAB\n\n";
    assert_eq!(printed, expected);
}

#[test]
fn the_controls_are_what_openldap_sends() {
    let controls = ["-E", "!dirSync=2049/1048576", "-E", "!showDeleted"];
    let arguments = [&OPTIONS[..], &controls, &[FILTER], &ATTRIBUTES].concat();
    let (_, requests) = conversation("ldapsearch", &[&["-LLL"], &arguments[..]].concat(), "");
    let mut message = Message::new(id(2), Operation::SearchRequest(search()));
    let flags = DirSyncFlags::OBJECT_SECURITY.and(DirSyncFlags::ANCESTORS_FIRST);
    let sync = DirSync { flags, octets_max: 0x0010_0000, cookie: Vec::new() };
    message.controls = vec![sync.control(), show_deleted()];
    check_same(&requests, &message);

    let arguments = [&OPTIONS[..], &["-E", "!pr=500/noprompt"], &[FILTER]].concat();
    let (_, requests) = conversation("ldapsearch", &[&["-LLL"], &arguments[..]].concat(), "");
    let sent = Message::decode(&requests[1]).unwrap();
    let paged = PagedResults::first(500);
    assert_eq!(find::<PagedResults>(&sent.controls).unwrap(), Some(paged.clone()));
    assert_eq!(sent.controls, [paged.control()]);
}

const PERSON: &str = "CN=Żółć,OU=Staff,DC=corp,DC=example";

/// What a client sends for one piece of LDIF is the request as it is encoded here.
fn check_update(program: &str, arguments: &[&str], input: &str, operation: Operation) -> String {
    let (printed, requests) = conversation(program, arguments, input);
    check_same(&requests, &Message::new(id(2), operation));
    printed
}

#[test]
fn a_modification_is_what_openldap_sends_and_its_answer_what_openldap_reads() {
    let ldif = "dn: CN=Żółć,OU=Staff,DC=corp,DC=example\nchangetype: modify\n\
                delete: mail\nmail: old@corp.example\n-\nadd: mail\nmail: new@corp.example\n-\n\
                replace: description\ndescription:: /wAB\ndescription: two\n-\ndelete: title\n-\n";
    let request = ModifyRequest::new(PERSON)
        .with(ChangeOperation::Delete, "mail", ["old@corp.example"])
        .with(ChangeOperation::Add, "mail", ["new@corp.example"])
        .with(ChangeOperation::Replace, "description", [&b"\xff\0\x01"[..], b"two"])
        .with(ChangeOperation::Delete, "title", Vec::<&str>::new());
    let printed = check_update("ldapmodify", &[], ldif, Operation::ModifyRequest(request));
    assert_eq!(printed.trim(), format!("modifying entry \"{PERSON}\""));
}

#[test]
fn an_addition_is_what_openldap_sends_and_its_answer_what_openldap_reads() {
    let ldif = "dn: CN=Żółć,OU=Staff,DC=corp,DC=example\nobjectClass: top\nobjectClass: contact\n\
                cn: Żółć\n";
    let request = AddRequest {
        entry: PERSON.to_owned(),
        attributes: vec![
            PartialAttribute::new("objectClass", ["top", "contact"]),
            PartialAttribute::new("cn", ["Żółć"]),
        ],
    };
    let printed = check_update("ldapadd", &[], ldif, Operation::AddRequest(request));
    assert_eq!(printed.trim(), format!("adding new entry \"{PERSON}\""));
}

#[test]
fn a_deletion_is_what_openldap_sends_and_its_refusal_what_openldap_reads() {
    let request = DelRequest { entry: PERSON.to_owned() };
    let printed = check_update("ldapdelete", &[PERSON], "", Operation::DelRequest(request));
    for part in ["No such object (32)", "DC=corp,DC=example", "0000208D: NameErr"] {
        assert!(printed.contains(part), "{printed}");
    }
}

#[test]
fn a_rename_and_a_move_are_what_openldap_sends() {
    let request = |delete_old_rdn, new_superior: Option<&str>| {
        Operation::ModifyDnRequest(ModifyDnRequest {
            entry: PERSON.to_owned(),
            new_rdn: "CN=Bile".to_owned(),
            delete_old_rdn,
            new_superior: new_superior.map(str::to_owned),
        })
    };
    let above = "OU=Finance,DC=corp,DC=example";
    check_update("ldapmodrdn", &["-r", PERSON, "CN=Bile"], "", request(true, None));
    let moved = ["-s", above, PERSON, "CN=Bile"];
    check_update("ldapmodrdn", &moved, "", request(false, Some(above)));
}
