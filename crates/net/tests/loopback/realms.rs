//! Realms of MIT krb5 that trust each other, as the domains of a forest do: an account of the root domain
//! gets to services of the domains below it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portolan_chart::{Role, flow};
use portolan_gss::{Protection, SecurityContext as _};
use portolan_model::{DnsName, Hint as _, Realm, SecretString, Spn};
use portolan_net::Network;
use portolan_net::dc::DomainController;
use portolan_net::entropy::SystemEntropy;
use portolan_net::kerberos::{
    AccountSecret, Credential, Handshake, KerberosError, Style, prove_controller,
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::mit::{Acceptor, PASSWORD, command};
use crate::name_server::Zone;
use crate::{LOOPBACK, chart, closed_port, config};

/// Each below the one before; the last is of nobody's forest.
const DOMAINS: [&str; 4] =
    ["corp.example", "child.corp.example", "grand.child.corp.example", "other.example"];

/// An account of the second domain.
const BELOW: &str = "svc_below";
/// The tag of an AS-REQ.
const AS_REQ: u8 = 0x6a;

/// A KDC of all these realms.
struct Forest {
    folder: tempfile::TempDir,
    kdc: Child,
    kdc_port: u16,
    name_server: u16,
    network: Network,
}

impl Forest {
    /// With trusts between realms, by their places, from the one to the other.
    async fn up(trusts: &[(usize, usize)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = closed_port().await;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut text = format!(
            "[libdefaults]\n default_realm = CORP.EXAMPLE\n dns_lookup_kdc = false\n\
             [logging]\n kdc = FILE:{}\n kdc = STDERR\n[realms]\n",
            path("kdc.log")
        );
        for domain in DOMAINS {
            let realm = domain.to_uppercase();
            text += &format!(
                " {realm} = {{\n  database_name = {}\n  key_stash_file = {}\n  max_life = 10h\n  \
                 kdc_listen = {LOOPBACK}:{port}\n  kdc_tcp_listen = {LOOPBACK}:{port}\n }}\n",
                path(domain),
                path(&format!("{domain}.stash")),
            );
        }
        std::fs::write(folder.path().join("krb5.conf"), text).unwrap();
        let done = |program: &str, words: &[&str]| {
            let done = command(folder.path(), program).args(words).output().unwrap();
            assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        for domain in DOMAINS {
            let realm = domain.to_uppercase();
            done("kdb5_util", &["-r", &realm, "create", "-s", "-P", "master"]);
            let own = format!("ldap/dc1.{domain}");
            let query = |words: &str| done("kadmin.local", &["-r", &realm, "-q", words]);
            query(&format!("addprinc -randkey {own}@{realm}"));
            query(&format!("addprinc -randkey {own}/{domain}@{realm}"));
            query(&format!("ktadd -k {} {own}@{realm}", path("service.keytab")));
            for (from, to) in trusts {
                let [from, to] = [from, to].map(|at| DOMAINS[*at].to_uppercase());
                if realm == from || realm == to {
                    // Both sides of a trust have the same key.
                    query(&format!("addprinc -pw Trust-{from}-{to} krbtgt/{to}@{from}"));
                }
            }
        }
        let account = format!("addprinc -pw {PASSWORD} +requires_preauth svc_connect@CORP.EXAMPLE");
        done("kadmin.local", &["-r", "CORP.EXAMPLE", "-q", &account]);
        let account =
            format!("addprinc -pw {PASSWORD} +requires_preauth {BELOW}@CHILD.CORP.EXAMPLE");
        done("kadmin.local", &["-r", "CHILD.CORP.EXAMPLE", "-q", &account]);
        let mut kdc = command(folder.path(), "krb5kdc");
        for domain in DOMAINS {
            kdc.args(["-r", &domain.to_uppercase()]);
        }
        let mut kdc = kdc.arg("-n").stderr(Stdio::piped()).spawn().unwrap();
        let stderr = kdc.stderr.take().unwrap();
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("commencing operation")), "the KDC did not start");
        let mut zone = Zone::default();
        for domain in DOMAINS {
            let host = format!("dc1.{domain}");
            zone = zone.srv(&format!("_ldap._tcp.dc._msdcs.{domain}"), 0, 0, &host);
            zone = zone.address(&host, LOOPBACK);
        }
        let name_server = zone.serve().await;
        let network = network(name_server, port).await;
        Self { folder, kdc, kdc_port: port, name_server, network }
    }

    /// The forest behind KDCs of which those of some realms say that the account is in another one; how
    /// often they said so.
    async fn referring(&mut self, referrals: &[(&'static str, &'static str)]) -> Arc<AtomicUsize> {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.network = network(self.name_server, port).await;
        let said = Arc::new(AtomicUsize::new(0));
        let (counted, kdc_port) = (Arc::clone(&said), self.kdc_port);
        let referrals = referrals.to_vec();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let length = client.read_u32().await.unwrap();
                let mut asked = vec![0; length as usize];
                client.read_exact(&mut asked).await.unwrap();
                let is_of = |realm: &str| {
                    let length = u8::try_from(realm.len()).unwrap();
                    let name = [&[0x1b, length], realm.as_bytes()].concat();
                    asked.first() == Some(&AS_REQ)
                        && asked.windows(name.len()).any(|part| part == name)
                };
                let answer = match referrals.iter().find(|(realm, _)| is_of(realm)) {
                    Some((_, other)) => {
                        counted.fetch_add(1, Ordering::Relaxed);
                        crate::kerberos::wrong_realm(other)
                    }
                    None => {
                        let mut kdc = TcpStream::connect((LOOPBACK, kdc_port)).await.unwrap();
                        kdc.write_u32(length).await.unwrap();
                        kdc.write_all(&asked).await.unwrap();
                        let length = kdc.read_u32().await.unwrap();
                        let mut answer = vec![0; length as usize];
                        kdc.read_exact(&mut answer).await.unwrap();
                        answer
                    }
                };
                client.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
                client.write_all(&answer).await.unwrap();
            }
        });
        said
    }

    /// What the KDC issued by TGS exchanges to the account, in its order.
    fn issued(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("kdc.log")).unwrap();
        let issued =
            log.lines().filter(|line| line.contains("TGS_REQ (") && line.contains("ISSUE"));
        let named = issued.filter_map(|line| line.split_once("svc_connect@CORP.EXAMPLE for "));
        named.map(|(_, service)| service.to_owned()).collect()
    }

    /// How often the account was proven.
    fn proven(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("kdc.log")).unwrap();
        log.lines().filter(|line| line.contains("AS_REQ (") && line.contains("ISSUE")).count()
    }
}

/// A network in which these are the KDC and the name server.
async fn network(name_server: u16, kdc: u16) -> Network {
    let ports = [
        (flow::CONNECT_AD_DNS, name_server),
        (flow::CONNECT_AD_KERBEROS, kdc),
        (flow::CONNECT_AD_LDAP, closed_port().await),
    ];
    Network::new(config(chart(&ports), Role::Connect)).unwrap()
}

impl Drop for Forest {
    fn drop(&mut self) {
        self.kdc.kill().unwrap();
        self.kdc.wait().unwrap();
    }
}

fn account() -> Credential {
    named("svc_connect")
}

/// An account that is configured as one of the root domain.
fn named(account: &str) -> Credential {
    let domain: DnsName = "corp.example".parse().unwrap();
    let secret = AccountSecret::Password(SecretString::new(PASSWORD.to_owned()));
    Credential::new(account.to_owned(), Realm::from(&domain), secret)
}

/// The controller of a domain.
fn controller(domain: &str) -> DomainController {
    let host = format!("dc1.{domain}").parse().unwrap();
    DomainController { host, domain: domain.parse().unwrap() }
}

async fn begin(
    forest: &Forest,
    credential: &Credential,
    domain: &str,
) -> Result<(Handshake, Vec<u8>), KerberosError> {
    let controller = controller(domain);
    let service = Spn::new("ldap", controller.host.clone());
    Handshake::begin(&forest.network, &controller, credential, service, Style::Sasl).await
}

#[tokio::test]
async fn an_account_of_the_root_gets_to_domains_below_it_by_the_realms_in_between() {
    let forest = Forest::up(&[(0, 1), (1, 2)]).await;
    let credential = account();
    let mut acceptor = Acceptor::up(forest.folder.path(), 1);
    let (handshake, token) = begin(&forest, &credential, DOMAINS[2]).await.unwrap();
    acceptor.say(&token);
    let mut context = handshake.finish(acceptor.hear()).await.unwrap().context;
    let established = String::from_utf8(acceptor.hear()).unwrap();
    assert_eq!(established, "svc_connect@CORP.EXAMPLE mutual=True dce=False");
    let mut token = Vec::new();
    let sealed = Protection::Confidentiality;
    context.wrap(sealed, b"search", &mut SystemEntropy, &mut token).unwrap();
    acceptor.say(&token);
    assert!(acceptor.hear().len() > 1);
    let on_the_way = [
        "krbtgt/CHILD.CORP.EXAMPLE@CORP.EXAMPLE",
        "krbtgt/GRAND.CHILD.CORP.EXAMPLE@CHILD.CORP.EXAMPLE",
        "ldap/dc1.grand.child.corp.example@GRAND.CHILD.CORP.EXAMPLE",
    ];
    let issued = forest.issued();
    assert_eq!(issued.len(), 3, "{issued:?}");
    for (one, expected) in issued.iter().zip(on_the_way) {
        assert!(one.ends_with(expected) || one.contains(expected), "{issued:?}");
    }
    assert_eq!(forest.proven(), 1);

    // Another service there is asked for there, and the root's are asked for at home.
    prove_controller(&forest.network, &controller(DOMAINS[2]), &credential).await.unwrap();
    assert_eq!((forest.issued().len(), forest.proven()), (4, 1));
    begin(&forest, &credential, DOMAINS[0]).await.unwrap();
    assert_eq!((forest.issued().len(), forest.proven()), (5, 1));
}

#[tokio::test]
async fn a_realm_that_nobody_trusts_is_a_refusal_which_names_it_and_leaves_the_account_alone() {
    let forest = Forest::up(&[(0, 1)]).await;
    let credential = account();
    let Err(error) = begin(&forest, &credential, DOMAINS[3]).await else { panic!("it got there") };
    let said = "dc1.corp.example gives svc_connect@CORP.EXAMPLE no ticket for the realm OTHER.EXAMPLE: \
                KDC_ERR_S_PRINCIPAL_UNKNOWN";
    assert!(error.to_string().starts_with(said), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("trusts")), "{:?}", error.hint());
    assert!(!error.is_authentication_failure() && credential.refusal().is_none());
    begin(&forest, &credential, DOMAINS[1]).await.unwrap();
}

/// MIT's KDC refers nobody to another realm: one in front of it does, in the octets of RFC 6806 section 7, and
/// MIT's proves the account and gives the tickets.
#[tokio::test]
async fn an_account_that_is_in_another_realm_is_proven_there_and_gets_to_both() {
    let mut forest = Forest::up(&[(1, 0), (1, 2)]).await;
    let said = forest.referring(&[("CORP.EXAMPLE", "CHILD.CORP.EXAMPLE")]).await;
    let credential = named(BELOW);
    let said = || said.load(Ordering::Relaxed);
    // To where it is, up to where it was said to be, and down from there.
    for domain in [DOMAINS[1], DOMAINS[0], DOMAINS[2]] {
        begin(&forest, &credential, domain).await.unwrap_or_else(|e| panic!("{domain}: {e}"));
        assert_eq!((said(), forest.proven()), (1, 1), "{domain}: once is enough");
    }
    assert!(credential.refusal().is_none());
}

#[tokio::test]
async fn realms_that_refer_to_each_other_come_to_an_end_and_prove_nothing() {
    let mut forest = Forest::up(&[(1, 0)]).await;
    let (root, child) = ("CORP.EXAMPLE", "CHILD.CORP.EXAMPLE");
    let credential = named(BELOW);
    let said = forest.referring(&[(root, child), (child, root)]).await;
    let Err(error) = begin(&forest, &credential, DOMAINS[0]).await else { panic!("it got there") };
    let expected = "dc1.child.corp.example says that svc_below@CORP.EXAMPLE is in the realm \
                    CORP.EXAMPLE, which is asked no more";
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().is_some() && !error.is_authentication_failure());
    assert_eq!((said.load(Ordering::Relaxed), forest.proven()), (2, 0));
    // A realm that nobody finds is none to be led to for good.
    forest.referring(&[(root, "NOWHERE.EXAMPLE")]).await;
    let Err(error) = begin(&forest, &credential, DOMAINS[0]).await else { panic!("it got there") };
    assert!(matches!(error, KerberosError::NoKdc { .. }), "{error}");
    assert!(credential.refusal().is_none());
    forest.referring(&[(root, child)]).await;
    begin(&forest, &credential, DOMAINS[0]).await.unwrap();
    // One that is no name of a realm is no referral.
    let credential = named(BELOW);
    forest.referring(&[(root, "..")]).await;
    let Err(error) = begin(&forest, &credential, DOMAINS[0]).await else { panic!("it got there") };
    assert!(error.to_string().contains("KDC_ERR_WRONG_REALM"), "{error}");
}
