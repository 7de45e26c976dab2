//! A scripted KDC: what it refuses ends the handshake, with its own code, and is never asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portolan_chart::{Role, flow};
use portolan_model::{DnsName, Hint, Realm, SecretString, Spn};
use portolan_net::dc::{self, DomainController, PassedOver};
use portolan_net::kerberos::{
    AccountSecret, Credential, ErrorCode, Handshake, KerberosError, Style,
};
use portolan_net::{Network, NetworkConfig};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use crate::{LOOPBACK, chart, config, dialling};

const DC: &str = "dc1.corp.example";

/// A KDC that gives one answer by TCP and refuses the account by UDP, where anybody could; counts what
/// it was asked by each.
async fn outcome(answer: Vec<u8>) -> (KerberosError, usize, usize) {
    // One port for both, which another process may hold by UDP.
    let (stream, datagram, port) = loop {
        let stream = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = stream.local_addr().unwrap().port();
        if let Ok(datagram) = UdpSocket::bind((LOOPBACK, port)).await {
            break (stream, datagram, port);
        }
    };
    let asked = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = Arc::clone(&asked);
    let by_datagram = tokio::spawn(async move {
        let mut question = [0; 4096];
        loop {
            let (_, from) = datagram.recv_from(&mut question).await.unwrap();
            counted[0].fetch_add(1, Ordering::Relaxed);
            datagram.send_to(&krb_error(18, now()), from).await.unwrap();
        }
    });
    let counted = Arc::clone(&asked);
    let by_stream = tokio::spawn(async move {
        loop {
            let (mut peer, _) = stream.accept().await.unwrap();
            let length = peer.read_u32().await.unwrap();
            let mut question = vec![0; length as usize];
            peer.read_exact(&mut question).await.unwrap();
            counted[1].fetch_add(1, Ordering::Relaxed);
            peer.write_all(&answer).await.unwrap();
        }
    });
    let network = dialling(&[(flow::CONNECT_AD_KERBEROS, port)], &[DC]);
    let host: DnsName = DC.parse().unwrap();
    let domain: DnsName = "corp.example".parse().unwrap();
    let password = AccountSecret::Password(SecretString::new("secret".to_owned()));
    let credential = Credential::new("svc_connect".to_owned(), Realm::from(&domain), password);
    let service = Spn::new("ldap", host.clone());
    let controller = DomainController { host, domain };
    let begin =
        || Handshake::begin(&network, &controller, &credential, service.clone(), Style::Sasl);
    let begun = begin().await;
    if let Err(error) = &begun
        && error.is_authentication_failure()
    {
        // Another connection of the same account does not ask at all.
        let again = begin().await.err().unwrap();
        assert!(matches!(again, KerberosError::NotTriedAgain { .. }), "{again}");
        assert!(again.to_string().ends_with(&error.to_string()), "{again}");
    }
    by_datagram.abort();
    by_stream.abort();
    let Err(error) = begun else { unreachable!("the script gives no ticket") };
    (error, asked[0].load(Ordering::Relaxed), asked[1].load(Ordering::Relaxed))
}

/// KRB-ERROR (RFC 4120 section 5.9.1) with the fields that must be there.
fn krb_error(code: u8, clock: OffsetDateTime) -> Vec<u8> {
    krb_error_about(code, clock, None)
}

/// KDC_ERR_WRONG_REALM, with the realm that the account is said to be in (RFC 6806 section 7).
pub(crate) fn wrong_realm(client_realm: &str) -> Vec<u8> {
    krb_error_about(68, now(), Some(client_realm))
}

fn krb_error_about(code: u8, clock: OffsetDateTime, client_realm: Option<&str>) -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let mut element = vec![tag, u8::try_from(content.len()).unwrap()];
        element.extend(content);
        element
    };
    let integer = |value: u8| element(0x02, &[value]);
    let (hour, minute, second) = clock.to_hms();
    let (year, month, day) = clock.to_calendar_date();
    let month = u8::from(month);
    let time = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    let realm = element(0x1b, b"CORP.EXAMPLE");
    let names = element(0x30, &element(0x1b, b"krbtgt"));
    let sname = element(0x30, &[element(0xa0, &integer(2)), element(0xa1, &names)].concat());
    let fields = [
        element(0xa0, &integer(5)),
        element(0xa1, &integer(30)),
        element(0xa4, &element(0x18, time.as_bytes())),
        element(0xa5, &integer(0)),
        element(0xa6, &integer(code)),
        client_realm.map_or_else(Vec::new, |realm| element(0xa7, &element(0x1b, realm.as_bytes()))),
        element(0xa9, &realm),
        element(0xaa, &sname),
    ];
    element(0x7e, &element(0x30, &fields.concat()))
}

/// KDC_ERR_PREAUTH_REQUIRED with the account's salt (RFC 4120 section 5.2.7.5).
fn proof_wanted() -> Vec<u8> {
    let element = |tag: u8, content: &[u8]| {
        let mut element = vec![tag, u8::try_from(content.len()).unwrap()];
        element.extend(content);
        element
    };
    let salt = element(0xa1, &element(0x1b, b"CORP.EXAMPLEsvc_connect"));
    let entry = element(0x30, &[element(0xa0, &element(0x02, &[18])), salt].concat());
    let info = element(0xa2, &element(0x04, &element(0x30, &entry)));
    let data = element(0x30, &[element(0xa1, &element(0x02, &[19])), info].concat());
    let data = element(0xac, &element(0x04, &element(0x30, &data)));
    // The error's other fields, and this one behind them.
    let error = krb_error(25, now());
    let fields = [&error[4..], &data].concat();
    let long = |tag: u8, content: &[u8]| {
        [&[tag, 0x81, u8::try_from(content.len()).unwrap()], content].concat()
    };
    long(0x7e, &long(0x30, &fields))
}

/// Refuses the account's proof when it comes, after a while; counts the proofs.
async fn refusing(listener: TcpListener, proofs: Arc<AtomicUsize>, after: std::time::Duration) {
    loop {
        let (mut peer, _) = listener.accept().await.unwrap();
        let proofs = Arc::clone(&proofs);
        tokio::spawn(async move {
            let length = peer.read_u32().await.unwrap();
            let mut question = vec![0; length as usize];
            peer.read_exact(&mut question).await.unwrap();
            // PA-ENC-TIMESTAMP is type 2.
            let is_proof = question.windows(5).any(|octets| octets == [0xa1, 3, 2, 1, 2]);
            let answer = if is_proof {
                proofs.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(after).await;
                krb_error(24, now())
            } else {
                proof_wanted()
            };
            // Whoever is in haste may be gone.
            let _ = peer.write_all(&by_stream(&answer)).await;
        });
    }
}

/// The second controller is asked while the first one still judges the proof: it gets none.
#[tokio::test]
async fn a_controller_that_is_left_in_haste_while_it_judges_the_password_is_the_only_one_to_get_it()
{
    let first = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = first.local_addr().unwrap().port();
    let second = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    let proofs = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    // Longer than a controller is waited for while there is another.
    let after = std::time::Duration::from_millis(1800);
    let running = [
        tokio::spawn(refusing(first, Arc::clone(&proofs[0]), after)),
        tokio::spawn(refusing(second, Arc::clone(&proofs[1]), after)),
    ];
    let names = [DC, "dc2.corp.example"].map(|name| name.parse::<DnsName>().unwrap());
    let hosts = names.iter().cloned().zip([vec![LOOPBACK], vec!["127.0.0.2".parse().unwrap()]]);
    let chart = chart(&[(flow::CONNECT_AD_KERBEROS, port)]);
    let config = NetworkConfig { hosts: hosts.collect(), ..config(chart, Role::Connect) };
    let network = Network::new(config).unwrap();
    let domain: DnsName = "corp.example".parse().unwrap();
    let controllers =
        names.map(|host| DomainController { host, domain: "corp.example".parse().unwrap() });
    let password = AccountSecret::Password(SecretString::new("wrong".to_owned()));
    let credential = Credential::new("svc_connect".to_owned(), Realm::from(&domain), password);
    let connect = |controller: DomainController| {
        let (network, credential) = (&network, &credential);
        async move {
            let service = Spn::new("ldap", controller.host.clone());
            Handshake::begin(network, &controller, credential, service, Style::Sasl).await
        }
    };
    let mut left = Vec::new();
    let elsewhere = |error: &KerberosError| matches!(error, KerberosError::Unreachable(_));
    let passed = |over: PassedOver<'_, KerberosError>| left.push(over.to_string());
    let outcome = dc::first(&controllers, connect, elsewhere, passed).await;
    let Err(Some(error)) = outcome else { unreachable!("nobody gives a ticket") };
    assert!(matches!(error, KerberosError::NotTriedAgain { .. }), "{error}");
    assert!(error.to_string().contains("dc1.corp.example gives"), "{error}");
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(credential.refusal().is_some());
    let sent = proofs.map(|proofs| proofs.load(Ordering::SeqCst));
    assert_eq!(sent, [1, 0], "proofs that each controller got");
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

fn by_stream(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn code_of(error: &KerberosError) -> ErrorCode {
    match error {
        KerberosError::Refused { code, .. } => *code,
        other => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code_and_not_asked_again_nor_by_datagrams() {
    for (code, expected, failure) in [
        (6, ErrorCode::ClientUnknown, true),
        (18, ErrorCode::ClientRevoked, true),
        (23, ErrorCode::KeyExpired, true),
        (24, ErrorCode::PreauthFailed, true),
        (7, ErrorCode::ServerUnknown, false),
        (99, ErrorCode::Unlisted(99), false),
    ] {
        let (error, datagrams, streams) = outcome(by_stream(&krb_error(code, now()))).await;
        assert_eq!(code_of(&error), expected);
        assert_eq!(error.is_authentication_failure(), failure, "{error}");
        assert_eq!((datagrams, streams), (0, 1));
    }
}

#[tokio::test]
async fn a_wrong_password_reads_as_an_operator_wants_it() {
    let (error, ..) = outcome(by_stream(&krb_error(24, now()))).await;
    assert_eq!(
        error.to_string(),
        "dc1.corp.example gives svc_connect@CORP.EXAMPLE no ticket for ldap/dc1.corp.example: \
         KDC_ERR_PREAUTH_FAILED, the password or key is wrong"
    );
    assert!(error.hint().unwrap().contains("the old one is not tried again"));
}

#[tokio::test]
async fn clocks_too_far_apart_are_both_named() {
    for skew in [Duration::minutes(6), Duration::minutes(-6)] {
        let (error, _, streams) = outcome(by_stream(&krb_error(25, now() + skew))).await;
        assert!(matches!(error, KerberosError::ClockSkew { .. }), "{error}");
        let digit = |letter: char| if letter.is_ascii_digit() { '0' } else { letter };
        let text: String = error.to_string().chars().map(digit).collect();
        let moment = "0000-00-00 00:00:00 UTC";
        assert_eq!(
            text,
            format!(
                "the clock of dc0.corp.example says {moment} and this host's {moment}: \
                 000 s apart, 000 s are allowed"
            )
        );
        assert_eq!(error.hint().unwrap(), "set this host's clock by dc1.corp.example");
        assert_eq!(streams, 1);
    }
}

#[tokio::test]
async fn what_is_no_reply_is_refused() {
    let (error, ..) = outcome(by_stream(b"hello")).await;
    assert!(matches!(error, KerberosError::NoReply { tag: b'h', .. }), "{error}");
    let (error, ..) = outcome(by_stream(&[0x7e, 0x7f, 0x30])).await;
    assert!(matches!(error, KerberosError::Malformed { .. }), "{error}");
    let (error, ..) = outcome(by_stream(&[0x6b, 0x03, 0x30, 0x01, 0x00])).await;
    assert!(matches!(error, KerberosError::Handshake { .. }), "{error}");
    let (error, ..) = outcome(u32::MAX.to_be_bytes().to_vec()).await;
    assert!(matches!(error, KerberosError::Unreachable(_)), "{error}");
}
