//! Servers that announce lengths beyond every limit: what an operator reads of each.

use std::fmt::Write as _;

use portolan_chart::{Flow, flow};
use portolan_model::{Realm, SecretString, Spn};
use portolan_net::dc::DomainController;
use portolan_net::drs::{DrsConnection, DrsLimits};
use portolan_net::kerberos::{AccountSecret, Credential, Handshake, Style};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::ldaps::told;
use crate::{LOOPBACK, dialling};

const DC: &str = "dc1.corp.example";

/// Answers whatever is asked first with these octets.
async fn answering(octets: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut question = [0; 4096];
            if peer.read(&mut question).await.is_ok() {
                let _ = peer.write_all(octets).await;
                // Whoever is refused hangs up.
                let _ = peer.read(&mut question).await;
            }
        }
    });
    port
}

fn controller() -> DomainController {
    let (host, domain) = (DC.parse().unwrap(), "corp.example".parse().unwrap());
    DomainController { host, domain }
}

fn credential() -> Credential {
    let password = AccountSecret::Password(SecretString::new("secret".to_owned()));
    let realm = Realm::from(&"corp.example".parse().unwrap());
    Credential::new("svc_connect".to_owned(), realm, password)
}

async fn of_epm(octets: &'static [u8]) -> String {
    let ports: Vec<(Flow, u16)> = vec![(flow::CONNECT_AD_EPM, answering(octets).await)];
    let network = dialling(&ports, &[DC]);
    let limits = DrsLimits::default();
    let connected = DrsConnection::connect(&network, &controller(), &credential(), limits).await;
    told(&connected.err().unwrap(), &ports)
}

async fn of_kdc(octets: &'static [u8]) -> String {
    let ports: Vec<(Flow, u16)> = vec![(flow::CONNECT_AD_KERBEROS, answering(octets).await)];
    let network = dialling(&ports, &[DC]);
    let service = Spn::new("ldap", DC.parse().unwrap());
    let (controller, credential) = (controller(), credential());
    let begun = Handshake::begin(&network, &controller, &credential, service, Style::Sasl).await;
    told(&begun.err().unwrap(), &ports)
}

async fn of_ldap(octets: &'static [u8]) -> String {
    crate::ldaps::answered_with(octets).await
}

/// One snapshot of all of them: each is one sentence and a hint.
#[tokio::test]
async fn each_hostile_length_is_refused_in_one_sentence_with_a_hint() {
    let mut said = String::new();
    let mut say = |what: &str, text: String| write!(said, "## {what}\n{text}\n").unwrap();
    // RFC 4120 section 7.2.2: four octets of length.
    say("Kerberos: 4 GiB", of_kdc(b"\xff\xff\xff\xff").await);
    say(
        "Kerberos: a message that is shorter than it says",
        of_kdc(b"\0\0\0\x04\x7e\x82\xff\xff").await,
    );
    // BER lengths (X.690 8.1.3).
    say("LDAP: 2 GiB", of_ldap(b"\x30\x84\x7f\xff\xff\xff").await);
    say("LDAP: no end", of_ldap(b"\x30\x80\x02\x01\x01").await);
    say(
        "LDAP: nine octets of length",
        of_ldap(b"\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01").await,
    );
    // C706 section 12.6.3.1: frag_length at 8, auth_length at 10.
    say(
        "RPC: a fragment shorter than its header",
        of_epm(b"\x05\0\x0c\x03\x10\0\0\0\x04\0\0\0\x01\0\0\0").await,
    );
    say(
        "RPC: a fragment of 64 KiB",
        of_epm(b"\x05\0\x0c\x03\x10\0\0\0\xff\xff\0\0\x01\0\0\0").await,
    );
    say(
        "RPC: a verifier longer than its fragment",
        of_epm(b"\x05\0\x0c\x03\x10\0\0\0\x20\0\xff\xff\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
            .await,
    );
    insta::assert_snapshot!(said);
}
