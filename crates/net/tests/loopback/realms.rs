//! Realms of MIT krb5 that trust each other, as the domains of a forest do: an account of the root domain
//! gets to services of the domains below it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use portolan_chart::{Role, flow};
use portolan_gss::{Protection, SecurityContext as _};
use portolan_model::{DnsName, Hint as _, Realm, SecretString, Spn};
use portolan_net::Network;
use portolan_net::dc::DomainController;
use portolan_net::entropy::SystemEntropy;
use portolan_net::kerberos::{
    AccountSecret, Credential, Handshake, KerberosError, Style, prove_controller,
};

use crate::mit::{Acceptor, PASSWORD, command};
use crate::name_server::Zone;
use crate::{LOOPBACK, chart, closed_port, config};

/// Each below the one before; the last is of nobody's forest.
const DOMAINS: [&str; 4] =
    ["corp.example", "child.corp.example", "grand.child.corp.example", "other.example"];

/// A KDC of all these realms.
struct Forest {
    folder: tempfile::TempDir,
    kdc: Child,
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
        let ports = [
            (flow::CONNECT_AD_DNS, zone.serve().await),
            (flow::CONNECT_AD_KERBEROS, port),
            (flow::CONNECT_AD_LDAP, closed_port().await),
        ];
        let network = Network::new(config(chart(&ports), Role::Connect)).unwrap();
        Self { folder, kdc, network }
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

impl Drop for Forest {
    fn drop(&mut self) {
        self.kdc.kill().unwrap();
        self.kdc.wait().unwrap();
    }
}

fn account() -> Credential {
    let domain: DnsName = "corp.example".parse().unwrap();
    let secret = AccountSecret::Password(SecretString::new(PASSWORD.to_owned()));
    Credential::new("svc_connect".to_owned(), Realm::from(&domain), secret)
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
