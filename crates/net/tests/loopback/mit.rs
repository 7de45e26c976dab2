//! MIT krb5 as the other side: its KDC gives the tickets, its library accepts the contexts.
//!
//! All of it runs on loopback, from a folder of the test's own; `cargo xtask setup` installs it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portolan_chart::flow;
use portolan_gss::keytab::Keytab;
use portolan_gss::{Protection, SecurityContext as _};
use portolan_model::{DnsName, Hint as _, Realm, SecretString, Spn};
use portolan_net::dc::DomainController;
use portolan_net::entropy::SystemEntropy;
use portolan_net::kerberos::{
    AccountSecret, Credential, ErrorCode, Established, Exchange, Handshake, KerberosError, Style,
    prove_controller,
};

use crate::{LOOPBACK, closed_port, dialling};

const DC: &str = "dc1.corp.example";
const REALM: &str = "CORP.EXAMPLE";
pub(crate) const PASSWORD: &str = "Svc-C0nnect!";
/// Sizes of messages: around blocks, and as large as LDAP's frames.
const SIZES: [usize; 12] = [0, 1, 4, 15, 16, 17, 31, 32, 33, 1000, 65_535, 200_000];

/// A realm with its KDC.
struct Realms {
    folder: tempfile::TempDir,
    kdc: Child,
    port: u16,
}

impl Realms {
    /// A KDC with these administrator's commands done, its clock ahead by some minutes.
    async fn up(commands: &[&str], ahead: i32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = closed_port().await;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "[libdefaults]\n default_realm = {REALM}\n allow_weak_crypto = true\n dns_lookup_kdc = false\n\
             [realms]\n {REALM} = {{\n  database_name = {}\n  key_stash_file = {}\n  acl_file = {}\n  \
             kdc_listen = {LOOPBACK}:{port}\n  kdc_tcp_listen = {LOOPBACK}:{port}\n  \
             max_life = 10h\n }}\n[logging]\n kdc = FILE:{}\n kdc = STDERR\n",
            path("db"),
            path("stash"),
            path("acl"),
            path("kdc.log"),
        );
        std::fs::write(folder.path().join("krb5.conf"), config).unwrap();
        let tool = |program: &str| command(folder.path(), program);
        let made = tool("kdb5_util").args(["create", "-s", "-P", "master"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let service = format!("addprinc -randkey ldap/{DC}");
        let keytab = format!("ktadd -k {} ldap/{DC}", path("service.keytab"));
        for words in [service.as_str(), &keytab].iter().chain(commands) {
            let words = words.replace("KEYTAB", &path("account.keytab"));
            let done = tool("kadmin.local").args(["-q", &words]).output().unwrap();
            assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let mut kdc = tool("krb5kdc");
        if ahead != 0 {
            // The loader puts the architecture's folder in; the `faketime` command would be a process
            // between this one and the KDC.
            kdc.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
            kdc.env("FAKETIME", format!("{ahead:+}m"));
        }
        let mut kdc = kdc.arg("-n").stderr(Stdio::piped()).spawn().unwrap();
        let stderr = kdc.stderr.take().unwrap();
        let realms = Self { folder, kdc, port };
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let ready = lines.any(|line| line.contains("commencing operation"));
        assert!(ready, "the KDC did not start: {}", realms.log());
        realms
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("kdc.log")).unwrap()
    }

    /// Tickets that the KDC issued: by AS and by TGS exchanges.
    fn issued(&self) -> (usize, usize) {
        let log = self.log();
        let count = |kind: &str| {
            log.lines().filter(|line| line.contains(kind) && line.contains(": ISSUE:")).count()
        };
        (count("AS_REQ ("), count("TGS_REQ ("))
    }

    async fn begin(
        &self,
        credential: &Credential,
        style: Style,
    ) -> Result<(Handshake, Vec<u8>), KerberosError> {
        self.begin_for(credential, style, "ldap").await
    }

    async fn begin_for(
        &self,
        credential: &Credential,
        style: Style,
        class: &'static str,
    ) -> Result<(Handshake, Vec<u8>), KerberosError> {
        let network = dialling(&[(flow::CONNECT_AD_KERBEROS, self.port)], &[DC]);
        let host: DnsName = DC.parse().unwrap();
        let service = Spn::new(class, host.clone());
        let controller = DomainController { host, domain: "corp.example".parse().unwrap() };
        Handshake::begin(&network, &controller, credential, service, style).await
    }

    /// What an operator is told when a handshake fails.
    async fn refusal(&self, credential: &Credential, class: &'static str) -> String {
        let begun = self.begin_for(credential, Style::Sasl, class).await;
        let Err(error) = begun else { unreachable!("{} got a ticket", credential.principal()) };
        let hint = error.hint().unwrap_or_else(|| "none".to_owned());
        let text = format!("error: {error}\n  hint: {hint}\n");
        text.replace(&self.port.to_string(), "PORT")
    }
}

impl Drop for Realms {
    fn drop(&mut self) {
        self.kdc.kill().unwrap();
        self.kdc.wait().unwrap();
    }
}

/// A program of MIT krb5 in its own world, which is not the machine's.
pub(crate) fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("KRB5_CONFIG", folder.join("krb5.conf"));
    // Read beside the other one: the same file would log each line twice.
    command.env("KRB5_KDC_PROFILE", "/dev/null");
    command.env("KRB5_KTNAME", folder.join("service.keytab"));
    command.env("KRB5RCACHETYPE", "none").env("KRB5RCACHENAME", "none:");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A service of MIT krb5's library.
pub(crate) struct Acceptor {
    process: Child,
}

impl Acceptor {
    /// One with the keys in a folder.
    pub(crate) fn up(folder: &Path, legs: usize) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/mit_acceptor.py");
        let mut command = command(folder, "/usr/bin/python3");
        command.arg(script).arg(legs.to_string()).stdin(Stdio::piped()).stderr(Stdio::inherit());
        Self { process: command.spawn().unwrap() }
    }

    pub(crate) fn say(&mut self, octets: &[u8]) {
        let stdin = self.process.stdin.as_mut().unwrap();
        let length = u32::try_from(octets.len()).unwrap().to_be_bytes();
        stdin.write_all(&[&length, octets].concat()).unwrap();
        stdin.flush().unwrap();
    }

    pub(crate) fn hear(&mut self) -> Vec<u8> {
        let stdout = self.process.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        stdout.read_exact(&mut length).unwrap();
        let mut octets = vec![0; u32::from_be_bytes(length) as usize];
        stdout.read_exact(&mut octets).unwrap();
        octets
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

fn account(name: &str, secret: AccountSecret) -> Credential {
    let domain: DnsName = "corp.example".parse().unwrap();
    Credential::new(name.to_owned(), Realm::from(&domain), secret)
}

fn with_password(name: &str, password: &str) -> Credential {
    account(name, AccountSecret::Password(SecretString::new(password.to_owned())))
}

fn with_keytab(name: &str, path: &Path) -> Credential {
    let keytab = Keytab::decode(&std::fs::read(path).unwrap()).unwrap();
    account(name, AccountSecret::Keys(keytab.keys(name, REALM).unwrap()))
}

/// Both sides send messages of all sizes, signed and sealed, after each proved itself to the other.
async fn converse(realms: &Realms, credential: &Credential, style: Style) {
    let legs = if style == Style::Dce { 2 } else { 1 };
    let mut acceptor = Acceptor::up(realms.folder.path(), legs);
    let (handshake, token) = realms.begin(credential, style).await.unwrap();
    acceptor.say(&token);
    let finished = handshake.finish(acceptor.hear()).await.unwrap();
    let Established { mut context, token } = finished;
    assert_eq!(token.is_empty(), style == Style::Sasl);
    if style == Style::Dce {
        acceptor.say(&token);
    }
    let established = String::from_utf8(acceptor.hear()).unwrap();
    let dce = if style == Style::Dce { "True" } else { "False" };
    assert_eq!(established, format!("{} mutual=True dce={dce}", credential.principal()));
    for protection in [Protection::Integrity, Protection::Confidentiality] {
        for size in SIZES {
            let message: Vec<_> = (0..size).map(|index| index.to_le_bytes()[0]).collect();
            let mut token = Vec::new();
            context.wrap(protection, &message, &mut SystemEntropy, &mut token).unwrap();
            acceptor.say(&token);
            let mut answer = acceptor.hear();
            let (sealed, token) = answer.split_first_mut().unwrap();
            assert_eq!(*sealed == 1, protection == Protection::Confidentiality);
            let opened = context.unwrap(token).unwrap();
            assert_eq!((opened.message, opened.protection), (message.as_slice(), protection));
        }
    }
}

/// A service on a host of its own is what any account may name itself (by the validated write of
/// servicePrincipalName), and a lying DNS then leads there.
#[tokio::test]
async fn a_host_is_a_controller_when_the_kdc_knows_it_by_its_domain() {
    let account = format!("addprinc +requires_preauth -pw {PASSWORD} svc_connect");
    let controller = format!("addprinc -randkey ldap/{DC}/corp.example");
    let other = "addprinc -randkey ldap/workstation.corp.example";
    let realms = Realms::up(&[&account, &controller, other], 0).await;
    let domain: DnsName = "corp.example".parse().unwrap();
    let password = AccountSecret::Password(SecretString::new(PASSWORD.to_owned()));
    let credential = Credential::new("svc_connect".to_owned(), Realm::from(&domain), password);
    let hosts = [DC, "workstation.corp.example"];
    let network = dialling(&[(flow::CONNECT_AD_KERBEROS, realms.port)], &hosts);
    let [proven, other] =
        hosts.map(|host| DomainController { host: host.parse().unwrap(), domain: domain.clone() });
    prove_controller(&network, &proven, &credential).await.unwrap();
    let service = Spn::new("ldap", other.host.clone());
    assert!(Handshake::begin(&network, &other, &credential, service, Style::Sasl).await.is_ok());
    let refused = prove_controller(&network, &other, &credential).await.unwrap_err();
    let (code, exchange) = (ErrorCode::ServerUnknown, Exchange::Service);
    assert!(
        matches!(refused, KerberosError::Refused { code: c, exchange: e, .. } if c == code && e == exchange),
        "{refused}"
    );
    assert!(!refused.is_authentication_failure() && credential.refusal().is_none());
}

#[tokio::test]
async fn mit_accepts_the_context_and_messages_of_all_sizes_go_both_ways() {
    let add = format!("addprinc -pw {PASSWORD} +requires_preauth svc_connect");
    let small = format!("addprinc -pw {PASSWORD} -e aes128-cts:normal +requires_preauth small");
    let export = "ktadd -norandkey -k KEYTAB svc_connect small";
    let realms = Realms::up(&[&add, &small, export], 0).await;
    let keytab = realms.path("account.keytab");
    for style in [Style::Sasl, Style::Dce] {
        converse(&realms, &with_password("svc_connect", PASSWORD), style).await;
        converse(&realms, &with_password("small", PASSWORD), style).await;
        converse(&realms, &with_keytab("svc_connect", &keytab), style).await;
        converse(&realms, &with_keytab("small", &keytab), style).await;
    }
}

#[tokio::test]
async fn one_proof_and_one_ticket_serve_all_connections_of_all_copies() {
    let add = format!("addprinc -pw {PASSWORD} +requires_preauth svc_connect");
    let gc = format!("addprinc -randkey gc/{DC}");
    let realms = Realms::up(&[&add, &gc], 0).await;
    let credential = with_password("svc_connect", PASSWORD);
    let copy = credential.clone();
    let both =
        tokio::join!(realms.begin(&credential, Style::Sasl), realms.begin(&copy, Style::Dce));
    let (one, other) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!(realms.issued(), (1, 1), "two connections at once");
    let third = realms.begin(&credential, Style::Dce).await.unwrap();
    assert_eq!(realms.issued(), (1, 1), "and a third");
    realms.begin_for(&credential, Style::Sasl, "gc").await.unwrap();
    assert_eq!(realms.issued(), (1, 2), "another service");

    // A ticket that led to nothing is not used again; what granted it is.
    drop((one, other, third));
    realms.begin(&credential, Style::Sasl).await.unwrap();
    assert_eq!(realms.issued(), (1, 3));
}

#[tokio::test]
async fn each_refusal_reads_as_an_operator_wants_it() {
    let add = |options: &str| format!("addprinc -pw {PASSWORD} +requires_preauth {options}");
    let commands = [
        add("svc_connect"),
        add("-allow_tix disabled"),
        add("-expire yesterday expired"),
        add("-pwexpire yesterday stale"),
        add("-e arcfour-hmac:normal rc4"),
        format!("addprinc -pw {PASSWORD} -requires_preauth trusting"),
        "ktadd -norandkey -k KEYTAB svc_connect trusting".to_owned(),
        "cpw -randkey svc_connect".to_owned(),
        "cpw -randkey trusting".to_owned(),
        add("good"),
    ];
    let commands: Vec<_> = commands.iter().map(String::as_str).collect();
    let mut realms = Realms::up(&commands, 0).await;
    let keytab = realms.path("account.keytab");
    let mut said = String::new();
    for (what, credential, class) in [
        ("wrong password", with_password("good", "wrong"), "ldap"),
        ("old keytab", with_keytab("svc_connect", &keytab), "ldap"),
        ("old keytab, no proof demanded", with_keytab("trusting", &keytab), "ldap"),
        ("wrong password, no proof demanded", with_password("trusting", "wrong"), "ldap"),
        ("disabled account", with_password("disabled", PASSWORD), "ldap"),
        ("expired account", with_password("expired", PASSWORD), "ldap"),
        ("expired password", with_password("stale", PASSWORD), "ldap"),
        ("unknown account", with_password("nobody", PASSWORD), "ldap"),
        ("no AES key", with_password("rc4", PASSWORD), "ldap"),
        ("unknown service", with_password("good", PASSWORD), "nosuch"),
    ] {
        let text = realms.refusal(&credential, class).await;
        let locks = !matches!(what, "no AES key" | "unknown service");
        assert_eq!(credential.refusal().is_some(), locks, "{what}: {text}");
        writeln!(said, "{what}\n{text}").unwrap();
    }
    realms.port = closed_port().await;
    let text = realms.refusal(&with_password("good", PASSWORD), "ldap").await;
    writeln!(said, "closed 88\n{text}").unwrap();
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_kdc_whose_clock_is_ahead_is_refused_with_both_clocks_even_when_it_is_content() {
    for (demand, minutes, refused) in [
        ("+requires_preauth", 10, true),
        ("-requires_preauth", 10, true),
        ("+requires_preauth", 2, false),
    ] {
        let add = format!("addprinc -pw {PASSWORD} {demand} svc_connect");
        let realms = Realms::up(&[&add], minutes).await;
        let credential = with_password("svc_connect", PASSWORD);
        let begun = realms.begin(&credential, Style::Sasl).await;
        match begun {
            Err(KerberosError::ClockSkew { there, here, .. }) if refused => {
                let apart = (there - here).whole_minutes();
                assert!(
                    (minutes - 1..=minutes).contains(&i32::try_from(apart).unwrap()),
                    "{apart}"
                );
                assert!(credential.refusal().is_none(), "the account was not refused");
            }
            Ok(_) if !refused => {}
            Err(error) => unreachable!("{demand}, {minutes}: {error}"),
            Ok(_) => unreachable!("{demand}, {minutes}: accepted"),
        }
    }
}
