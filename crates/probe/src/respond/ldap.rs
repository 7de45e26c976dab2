//! LDAP ([RFC 4511], [MS-ADTS]): the root DSE of a domain controller, and its ping by UDP.
//!
//! Nobody is let in: a bind with a name is refused as a controller that demands signing does, before its
//! password is looked at. By UDP nothing but the ping is answered: whole root DSEs for a short question
//! from a forged address are what such servers are misused for. The ping's answer cannot be cut; it has some
//! 200 octets and at most [`PING_OCTETS_MAX`].
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_chart::Speaks;
use portolan_ldap::ber::{Tag, element_octets};
use portolan_ldap::message::{
    Authentication, BindRequest, BindResponse, ExtendedResponse, Message, MessageId,
    NOTICE_OF_DISCONNECTION, Operation,
};
use portolan_ldap::netlogon::{ControllerFlags, SamLogonResponse};
use portolan_ldap::{Filter, LdapResult, ResultCode, Scope, SearchRequest, SearchResultEntry};

use super::opening::{Answer, Opening, Scene, Step};
use crate::mark;

/// Octets of a request.
const REQUEST_OCTETS_MAX: usize = 16 * 1024;
/// Octets of the answer to a ping.
const PING_OCTETS_MAX: usize = 1024;
/// The attribute of a ping ([MS-ADTS] 6.3.3).
const PING: &str = "netlogon";
/// What a controller says to a search before a bind.
const BIND_FIRST: &str = "a successful bind must be completed, and a stand-in lets nobody in";

/// By TCP, inside TLS or not.
#[derive(Debug)]
pub(super) struct Ldap;

impl Opening for Ldap {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        let length = element_octets(heard, Tag::SEQUENCE, REQUEST_OCTETS_MAX, "LDAPMessage");
        let message = match length {
            Ok(Some(length)) => heard.get(..length),
            Ok(None) => None,
            Err(_) => return Step::Foreign,
        };
        let Some(message) = message else { return Step::More };
        let taken = message.len();
        let lacking = || {
            let octets = encoded([(MessageId::UNSOLICITED, disconnection())]);
            Answer::last(taken, octets, "an operation that a stand-in lacks").into()
        };
        let Ok(Message { id, operation, .. }) = Message::decode(message) else { return lacking() };
        match operation {
            Operation::BindRequest(request) => {
                let (result, asked) = bind(&request, scene.is_private);
                let response = BindResponse { result, server_sasl_credentials: None };
                let octets = encoded([(id, Operation::BindResponse(response))]);
                Answer::new(taken, octets, asked).into()
            }
            Operation::SearchRequest(request) => {
                let is_root = request.base.is_empty() && request.scope == Scope::Base;
                let (entry, asked) = match is_root {
                    true => (root(&request, scene), "the root DSE".to_owned()),
                    false => (None, format!("a search below {:?}", request.base)),
                };
                let result = match is_root {
                    true => LdapResult::SUCCESS,
                    false => refusal(ResultCode::OperationsError, BIND_FIRST),
                };
                let entry = entry.map(Operation::SearchResultEntry);
                let said = entry.into_iter().chain([Operation::SearchResultDone(result)]);
                Answer::new(taken, encoded(said.map(|operation| (id, operation))), asked).into()
            }
            Operation::UnbindRequest => Answer::last(taken, Vec::new(), "an unbind").into(),
            Operation::AbandonRequest(_) => Answer::new(taken, Vec::new(), "an abandon").into(),
            Operation::ModifyRequest(_)
            | Operation::AddRequest(_)
            | Operation::DelRequest(_)
            | Operation::ModifyDnRequest(_) => lacking(),
            _ => Step::Foreign,
        }
    }
}

/// By UDP: the ping alone.
pub(super) fn datagram(message: &[u8], scene: &Scene<'_>) -> Option<Answer> {
    let Message { id, operation, .. } = Message::decode(message).ok()?;
    let Operation::SearchRequest(request) = operation else { return None };
    let is_ping = request.attributes.len() == 1
        && request.attributes.iter().all(|name| name.eq_ignore_ascii_case(PING));
    if !request.base.is_empty() || request.scope != Scope::Base || !is_ping {
        return None;
    }
    let domain = asked_domain(&request.filter);
    let holds = domain.as_ref().is_none_or(|domain| {
        domain.trim_end_matches('.').eq_ignore_ascii_case(scene.stand_in.forest())
    });
    let entry = if holds { pong(scene) } else { None };
    let entry = entry.map(|entry| (id, Operation::SearchResultEntry(entry)));
    let done = (id, Operation::SearchResultDone(LdapResult::SUCCESS));
    let octets = encoded(entry.into_iter().chain([done]));
    let asked = format!("a ping for {}", domain.as_deref().unwrap_or("any domain"));
    (octets.len() <= PING_OCTETS_MAX).then(|| Answer::new(message.len(), octets, asked))
}

fn bind(request: &BindRequest, is_private: bool) -> (LdapResult, String) {
    match &request.authentication {
        Authentication::Simple(password)
            if request.name.is_empty() && password.expose().is_empty() =>
        {
            (LdapResult::SUCCESS, "an anonymous bind".to_owned())
        }
        Authentication::Simple(_) if !is_private => (
            refusal(ResultCode::StrongerAuthRequired, mark::TEXT),
            format!("a simple bind as {:?}", request.name),
        ),
        Authentication::Simple(_) => (
            refusal(ResultCode::UnwillingToPerform, mark::TEXT),
            format!("a simple bind as {:?}", request.name),
        ),
        Authentication::Sasl { mechanism, .. } => (
            refusal(ResultCode::UnwillingToPerform, mark::TEXT),
            format!("a bind by {mechanism:?}"),
        ),
    }
}

fn refusal(code: ResultCode, diagnostic: &str) -> LdapResult {
    LdapResult { code, diagnostic: diagnostic.to_owned(), ..LdapResult::SUCCESS }
}

/// The Notice of Disconnection (RFC 4511 section 4.4.1).
fn disconnection() -> Operation {
    Operation::ExtendedResponse(ExtendedResponse {
        result: refusal(ResultCode::ProtocolError, mark::TEXT),
        name: Some(NOTICE_OF_DISCONNECTION.to_owned()),
        value: None,
    })
}

/// The root DSE as a domain controller has it ([MS-ADTS] 3.1.1.3.2), those attributes that were asked for.
fn root(request: &SearchRequest, scene: &Scene<'_>) -> Option<SearchResultEntry> {
    let stand_in = scene.stand_in;
    let (root, host) = (stand_in.root(), stand_in.host());
    let configuration = format!("CN=Configuration,{root}");
    let schema = format!("CN=Schema,{configuration}");
    let server = format!(
        "CN={},CN=Servers,CN={},CN=Sites,{configuration}",
        stand_in.computer().to_ascii_uppercase(),
        mark::SITE,
    );
    let service = format!("{}:{}$@{}", stand_in.forest(), stand_in.computer(), stand_in.realm());
    let is_catalogue = stand_in.port_of(Speaks::GlobalCatalog).is_some();
    let (year, month, day) = scene.now.to_calendar_date();
    let (hour, minute, second) = scene.now.to_hms();
    let month = u8::from(month);
    let now = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}.0Z");
    let all: [(&str, Vec<String>); 21] = [
        ("currentTime", vec![now]),
        ("subschemaSubentry", vec![format!("CN=Aggregate,{schema}")]),
        ("dsServiceName", vec![format!("CN=NTDS Settings,{server}")]),
        ("namingContexts", vec![root.clone(), configuration.clone(), schema.clone()]),
        ("defaultNamingContext", vec![root.clone()]),
        ("schemaNamingContext", vec![schema]),
        ("configurationNamingContext", vec![configuration]),
        ("rootDomainNamingContext", vec![root]),
        ("supportedLDAPVersion", words(&["3", "2"])),
        // As a controller offers them; a stand-in performs neither.
        ("supportedSASLMechanisms", words(&["GSSAPI", "GSS-SPNEGO"])),
        // LDAP_CAP_ACTIVE_DIRECTORY_OID, its V51 and its LDAP_INTEG ([MS-ADTS] 3.1.1.3.4.3).
        (
            "supportedCapabilities",
            words(&[
                "1.2.840.113556.1.4.800",
                "1.2.840.113556.1.4.1670",
                "1.2.840.113556.1.4.1791",
            ]),
        ),
        ("highestCommittedUSN", words(&["1"])),
        ("dnsHostName", words(&[host])),
        ("ldapServiceName", vec![service]),
        ("serverName", vec![server]),
        ("isSynchronized", words(&["TRUE"])),
        ("isGlobalCatalogReady", words(&[if is_catalogue { "TRUE" } else { "FALSE" }])),
        // DS_BEHAVIOR_WIN2016 ([MS-ADTS] 6.1.4.2).
        ("domainFunctionality", words(&["7"])),
        ("forestFunctionality", words(&["7"])),
        ("domainControllerFunctionality", words(&["7"])),
        ("vendorName", words(&[mark::TEXT])),
    ];
    let selected = |name: &str| {
        request.attributes.is_empty()
            || request
                .attributes
                .iter()
                .any(|it| it == "*" || it == "+" || it.eq_ignore_ascii_case(name))
    };
    let values: Vec<(&str, Vec<&[u8]>)> = all
        .iter()
        .filter(|(name, _)| selected(name))
        .map(|(name, values)| (*name, values.iter().map(String::as_bytes).collect()))
        .collect();
    let attributes: Vec<_> =
        values.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    SearchResultEntry::new("", &attributes).ok()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What a controller of the forest is ([MS-ADTS] 6.3.1.9).
fn pong(scene: &Scene<'_>) -> Option<SearchResultEntry> {
    let flags = ControllerFlags::LDAP
        | ControllerFlags::DIRECTORY
        | ControllerFlags::KDC
        | ControllerFlags::CLOSEST
        | ControllerFlags::WRITABLE;
    let forest = scene.stand_in.forest().to_owned();
    let response = SamLogonResponse {
        flags: ControllerFlags(flags),
        domain_guid: scene.stand_in.domain_guid,
        domain: forest.clone(),
        forest,
        host: scene.stand_in.host().to_owned(),
        site: mark::SITE.to_owned(),
        client_site: String::new(),
    };
    SearchResultEntry::new("", &[("NetLogon", &[&response.encode()])]).ok()
}

/// The domain that a ping asks for.
fn asked_domain(filter: &Filter) -> Option<String> {
    match filter {
        Filter::And(parts) => parts.iter().find_map(asked_domain),
        Filter::Equality(name, value) if name.to_string().eq_ignore_ascii_case("DnsDomain") => {
            String::from_utf8(value.clone()).ok()
        }
        _ => None,
    }
}

fn encoded(messages: impl IntoIterator<Item = (MessageId, Operation)>) -> Vec<u8> {
    let mut octets = Vec::new();
    for (id, operation) in messages {
        octets.extend_from_slice(&Message::new(id, operation).encode());
    }
    octets
}

#[cfg(test)]
mod tests {
    use portolan_ldap::netlogon;
    use portolan_model::SecretString;
    use time::OffsetDateTime;

    use super::super::stand_in::tests::stand_in;
    use super::*;

    fn with_scene<T>(is_private: bool, act: impl FnOnce(&Scene<'_>) -> T) -> T {
        let (stand_in, now) = (stand_in(), OffsetDateTime::UNIX_EPOCH);
        let here = [192, 0, 2, 1].into();
        act(&Scene { stand_in: &stand_in, here, port: 1, is_private, now })
    }

    /// The messages that answer an operation.
    fn said(operation: Operation, is_private: bool) -> Vec<Message> {
        let question = Message::new(MessageId::of(4), operation).encode();
        let step = with_scene(is_private, |scene| Ldap.hear(&question, scene));
        let Step::Answer(answer) = step else { panic!("{step:?}") };
        assert_eq!(answer.taken, question.len());
        let mut rest = answer.octets.as_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let length = element_octets(rest, Tag::SEQUENCE, 65_536, "test").unwrap().unwrap();
            messages.push(Message::decode(&rest[..length]).unwrap());
            rest = &rest[length..];
        }
        messages
    }

    #[test]
    fn the_root_dse_is_a_controller_s_and_has_the_mark() {
        let filter: Filter = "(objectClass=*)".parse().unwrap();
        let request = SearchRequest::new("", Scope::Base, filter.clone());
        let messages = said(Operation::SearchRequest(request.clone()), false);
        let Operation::SearchResultEntry(entry) = &messages[0].operation else { panic!() };
        assert_eq!(entry.text("defaultNamingContext"), Some("DC=corp,DC=example"));
        assert_eq!(entry.text("vendorName"), Some(mark::TEXT));
        assert_eq!(entry.text("isGlobalCatalogReady"), Some("FALSE"));
        // Only what was asked for.
        let request = request.select(["DNSHOSTNAME"]);
        let messages = said(Operation::SearchRequest(request), false);
        let Operation::SearchResultEntry(entry) = &messages[0].operation else { panic!() };
        assert_eq!(
            (entry.attributes().len(), entry.text("dnsHostName")),
            (1, Some("dc1.corp.example"))
        );
        // And nothing below the root.
        let request = SearchRequest::new("DC=corp,DC=example", Scope::Subtree, filter);
        let messages = said(Operation::SearchRequest(request), false);
        let Operation::SearchResultDone(result) = &messages[0].operation else { panic!() };
        assert_eq!(result.code, ResultCode::OperationsError);
    }

    #[test]
    fn nobody_is_let_in_with_a_name() {
        let bind = |request, is_private| {
            let messages = said(Operation::BindRequest(request), is_private);
            let Operation::BindResponse(response) = &messages[0].operation else { panic!() };
            response.result.code
        };
        let simple = |name, password: &str| {
            BindRequest::simple(name, SecretString::new(password.to_owned()))
        };
        assert_eq!(bind(simple("", ""), false), ResultCode::Success);
        assert_eq!(bind(simple("anna", "x"), false), ResultCode::StrongerAuthRequired);
        assert_eq!(bind(simple("anna", "x"), true), ResultCode::UnwillingToPerform);
        assert_eq!(bind(simple("", "x"), true), ResultCode::UnwillingToPerform);
        let sasl = BindRequest::sasl("GSS-SPNEGO", Some(b"token".to_vec()));
        assert_eq!(bind(sasl, false), ResultCode::UnwillingToPerform);
    }

    #[test]
    fn a_ping_is_answered_for_the_forest_alone_and_nothing_else_is() {
        let id = MessageId::of(9);
        let ping = |domain: &str| {
            let question = netlogon::question(id, &domain.parse().unwrap());
            let answer = with_scene(false, |scene| datagram(&question, scene)).unwrap();
            netlogon::answer(id, &answer.octets).unwrap()
        };
        let response = ping("corp.example").unwrap();
        assert!(mark::is_site(&response.site));
        assert_eq!(response.host, "dc1.corp.example");
        assert_eq!(ping("other.example"), None);

        let filter = "(objectClass=*)".parse().unwrap();
        let request = SearchRequest::new("", Scope::Base, filter);
        let question = Message::new(id, Operation::SearchRequest(request)).encode();
        assert!(with_scene(false, |scene| datagram(&question, scene)).is_none());
    }

    #[test]
    fn what_is_cut_waits_and_what_is_foreign_ends() {
        let filter = "(objectClass=*)".parse().unwrap();
        let request = SearchRequest::new("", Scope::Base, filter);
        let whole = Message::new(MessageId::of(4), Operation::SearchRequest(request)).encode();
        for end in 0..whole.len() {
            let step = with_scene(false, |scene| Ldap.hear(&whole[..end], scene));
            assert_eq!(step, Step::More, "{end}");
        }
        assert_eq!(with_scene(false, |scene| Ldap.hear(b"GET /", scene)), Step::Foreign);
        let endless = [0x30, 0x84, 0x7f, 0xff, 0xff, 0xff];
        assert_eq!(with_scene(false, |scene| Ldap.hear(&endless, scene)), Step::Foreign);
    }
}
