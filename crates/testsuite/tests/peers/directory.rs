//! OpenLDAP's slapd with Cyrus SASL, and a KDC, MIT's or Heimdal's: a directory on 636 that checks channel
//! bindings.

use std::path::Path;
use std::process::Command;

use portolan_model::{DnsName, Realm, SecretString};
use portolan_net::dc::DomainController;
use portolan_net::kerberos::{AccountSecret, Credential};

use crate::authority::Authority;
use crate::heimdal;
use crate::process::{LOOPBACK, Server, free_port, program, run};

/// The directory's host.
pub(crate) const HOST: &str = "dc1.corp.example";
const REALM: &str = "CORP.EXAMPLE";
const ACCOUNT: &str = "svc_connect";
const PASSWORD: &str = "Svc-C0nnect!";

/// Whether the directory looks at what a client's authentication is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    Checked,
    NotChecked,
}

/// Whose KDC gives the tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kdc {
    Mit,
    Heimdal,
}

/// The two servers, and where they listen.
pub(crate) struct Directory {
    pub(crate) ldap_port: u16,
    pub(crate) ldaps_port: u16,
    pub(crate) kdc_port: u16,
    _kdc: Server,
    _slapd: Server,
    _folder: tempfile::TempDir,
}

impl Directory {
    pub(crate) async fn up(authority: &Authority, binding: Binding) -> Self {
        Self::with(Kdc::Mit, authority, binding).await
    }

    pub(crate) async fn with(kdc: Kdc, authority: &Authority, binding: Binding) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kdc_port = free_port().await;
        let (ldap_port, ldaps_port) = (free_port().await, free_port().await);
        configure(folder.path(), kdc_port);
        let kdc = match kdc {
            Kdc::Mit => mit(folder.path(), kdc_port).await,
            Kdc::Heimdal => heimdal(folder.path(), kdc_port).await,
        };
        let slapd = slapd(folder.path(), authority, binding, [ldap_port, ldaps_port]).await;
        Self { ldap_port, ldaps_port, kdc_port, _kdc: kdc, _slapd: slapd, _folder: folder }
    }

    /// The directory as a domain controller.
    pub(crate) fn controller(&self) -> DomainController {
        let domain: DnsName = "corp.example".parse().unwrap();
        DomainController { host: HOST.parse().unwrap(), domain }
    }

    /// The account that may read it.
    pub(crate) fn credential(&self) -> Credential {
        let password = AccountSecret::Password(SecretString::new(PASSWORD.to_owned()));
        let realm = Realm::from(&self.controller().domain);
        Credential::new(ACCOUNT.to_owned(), realm, password)
    }
}

/// What the directory itself knows of Kerberos: its libraries are MIT's, whoever's the KDC is.
fn configure(folder: &Path, port: u16) {
    let config = format!(
        "[libdefaults]\n default_realm = {REALM}\n dns_canonicalize_hostname = false\n \
         rdns = false\n ignore_acceptor_hostname = true\n\
         [realms]\n {REALM} = {{\n  kdc = {LOOPBACK}:{port}\n }}\n"
    );
    std::fs::write(folder.join("krb5.conf"), config).unwrap();
}

async fn heimdal(folder: &Path, port: u16) -> Server {
    heimdal::make(folder, REALM, port);
    let add = ["add", "--use-defaults", "--attributes=requires-pre-auth"];
    let password = format!("--password={PASSWORD}");
    heimdal::administer(folder, &[&add[..], &[&password, ACCOUNT]].concat());
    let service = format!("ldap/{HOST}");
    let names = [service.clone(), format!("{service}/corp.example")];
    for name in &names {
        heimdal::administer(folder, &["add", "--random-key", "--use-defaults", name]);
    }
    let keytab = format!("--keytab={}", folder.join("keytab").display());
    heimdal::administer(folder, &["ext_keytab", &keytab, &service]);
    heimdal::kdc(folder, port, None).await
}

async fn mit(folder: &Path, port: u16) -> Server {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let at = folder.display();
    write(
        "kdc.conf",
        format!(
            "[realms]\n {REALM} = {{\n  database_name = {at}/principal\n  key_stash_file = {at}/stash\n  \
             acl_file = {at}/acl\n  kdc_listen = {LOOPBACK}:{port}\n  kdc_tcp_listen = {LOOPBACK}:{port}\n  \
             supported_enctypes = aes256-cts-hmac-sha1-96:normal\n  master_key_type = aes256-cts-hmac-sha1-96\n }}\n\
             [logging]\n kdc = FILE:{at}/kdc.log\n"
        ),
    );
    let kerberos = |name: &str| with_kerberos(program(name), folder);
    run(kerberos("kdb5_util").args(["create", "-s", "-W", "-r", REALM, "-P", "master"]));
    let service = format!("ldap/{HOST}");
    for query in [
        format!("addprinc +requires_preauth -pw {PASSWORD} {ACCOUNT}"),
        format!("addprinc -randkey {service}"),
        // What a forest's KDC knows of its controllers.
        format!("addprinc -randkey {service}/corp.example"),
        format!("ktadd -k {at}/keytab {service}"),
    ] {
        run(kerberos("kadmin.local").args(["-r", REALM, "-q", &query]));
    }
    let mut command = kerberos("krb5kdc");
    command.args(["-n", "-r", REALM]);
    Server::start(command, port).await
}

async fn slapd(
    folder: &Path,
    authority: &Authority,
    binding: Binding,
    [clear, tls]: [u16; 2],
) -> Server {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let issued = authority.issue(HOST);
    write("ca.pem", &authority.pem());
    write("cert.pem", &issued.certificate);
    write("key.pem", &issued.key);
    std::fs::create_dir(folder.join("db")).unwrap();
    let at = folder.display();
    let binding = match binding {
        Binding::Checked => "tls-endpoint",
        Binding::NotChecked => "none",
    };
    let config = format!(
        "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         TLSCACertificateFile {at}/ca.pem\nTLSCertificateFile {at}/cert.pem\n\
         TLSCertificateKeyFile {at}/key.pem\n\
         sasl-host {HOST}\nsasl-realm {REALM}\nsasl-secprops noanonymous,maxssf=0\n\
         sasl-cbinding {binding}\n\
         database mdb\nmaxsize 10485760\nsuffix dc=corp,dc=example\ndirectory {at}/db\n\
         access to * by dn.regex=\"^uid={ACCOUNT},.*cn=auth$\" read by * auth\n"
    );
    write("slapd.conf", &config);
    let entry = "dn: dc=corp,dc=example\nobjectClass: dcObject\nobjectClass: organization\no: Corp\ndc: corp\n";
    write("base.ldif", entry);
    let config = folder.join("slapd.conf");
    run(program("slapadd").arg("-f").arg(&config).arg("-l").arg(folder.join("base.ldif")));
    let mut command = with_kerberos(program("slapd"), folder);
    command.env("KRB5_KTNAME", folder.join("keytab"));
    let places = format!("ldap://{LOOPBACK}:{clear}/ ldaps://{LOOPBACK}:{tls}/");
    command.args(["-d", "0", "-h", &places]).arg("-f").arg(&config);
    Server::start(command, tls).await
}

fn with_kerberos(mut command: Command, folder: &Path) -> Command {
    command.env("KRB5_CONFIG", folder.join("krb5.conf"));
    command.env("KRB5_KDC_PROFILE", folder.join("kdc.conf"));
    command
}
