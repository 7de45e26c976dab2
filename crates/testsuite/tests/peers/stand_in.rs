//! `portolan chart respond` in a network namespace of its own, and peers that nobody here wrote in another, a
//! wire between them. The real ports of the chart are used; user namespaces make root needless.

use std::process::Output;

use portolan_chart::{Chart, Flow, flow};

use super::stage::{Stage, THERE, said};

const MARK: &str = "portolan chart respond";

/// A host and the port of a row.
fn at(flow: Flow, host: &str) -> String {
    format!("{host}:{}", Chart::default_edition().row(flow).unwrap().first_port())
}

#[track_caller]
fn hears(output: &Output, expected: &[&str]) {
    let said = said(output);
    for words in expected {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
}

/// The peers' scripts, by the system's interpreter: their packages are the system's.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/stand_in.py");

#[test]
fn a_stand_in_for_a_domain_controller_is_understood_by_its_clients() {
    let edition = ["--edition", "2025-04-09", "--forest", "corp.example"];
    let mut stage = Stage::of("forest", &["dc1.corp.example"], &edition);
    let [four, six] = THERE;

    let service = "_ldap._tcp.dc._msdcs.corp.example";
    for (server, transport) in [(four, "+notcp"), (four, "+tcp"), (six, "+notcp"), (six, "+tcp")] {
        let at = format!("@{server}");
        let answer = stage.peer(&["dig", &at, transport, "SRV", service]);
        hears(&answer, &["status: NOERROR", "dc1.corp.example.", MARK]);
        assert!(!said(&answer).contains("malformed"), "{}", said(&answer));
    }
    hears(&stage.peer(&["dig", "+short", "AAAA", "dc1.corp.example"]), &[six]);
    hears(&stage.peer(&["dig", "example.com"]), &["status: REFUSED"]);

    for limit in [1, 1465] {
        let config = format!(
            "[libdefaults]\ndefault_realm = CORP.EXAMPLE\nudp_preference_limit = {limit}\n\
             [realms]\nCORP.EXAMPLE = {{\nkdc = {four}\n}}\n"
        );
        std::fs::write(stage.file("krb5.conf"), config).unwrap();
        let config = stage.file("krb5.conf");
        let answer =
            stage.peer_with(&["kinit", "anna@CORP.EXAMPLE"], &[("KRB5_CONFIG", config.as_path())]);
        hears(&answer, &["Client 'anna@CORP.EXAMPLE' not found in Kerberos database"]);
    }

    let url = |scheme: &str| format!("{scheme}://dc1.corp.example");
    let root = ["-x", "-LLL", "-s", "base", "-b", "", "*"];
    let search = |url: &str, more: &[&str]| {
        let authority = stage.file("ca.pem");
        let words = [&["ldapsearch", "-H", url][..], more].concat();
        stage.peer_with(&words, &[("LDAPTLS_CACERT", authority.as_path())])
    };
    for url in [url("ldap"), url("ldaps")] {
        hears(&search(&url, &root), &["defaultNamingContext: DC=corp,DC=example", MARK]);
    }
    let bind = ["-x", "-D", "CN=anna", "-w", "secret", "-s", "base", "-b", ""];
    hears(&search(&url("ldap"), &bind), &["Strong(er) authentication required"]);
    hears(&search(&url("ldaps"), &bind), &["unwilling to perform"]);

    hears(&stage.peer(&[PYTHON, SCRIPT, "mapper", four]), &["ncacn_ip_tcp:192.0.2.1[", "bound"]);
    hears(&stage.peer(&[PYTHON, SCRIPT, "smb", four]), &["0x300"]);
    hears(&stage.peer(&["smbclient", "--no-pass", "--list", four]), &["NT_STATUS_ACCESS_DENIED"]);
    hears(
        &stage.peer(&["rpcclient", "-U%", &format!("ncacn_ip_tcp:{four}"), "-c", "srvinfo"]),
        &["NT_STATUS_NOT_FOUND"],
    );
    hears(&stage.peer(&["ntpdate", "-q", four]), &["s15"]);

    let list = stage.file("list.crl").display().to_string();
    let url = "http://dc1.corp.example/respond.crl";
    hears(&stage.peer(&["curl", "-sS", "-D", "-", "-o", &list, url]), &[MARK]);
    let authority = stage.file("ca.pem").display().to_string();
    let verify =
        ["openssl", "crl", "-inform", "DER", "-in", &list, "-noout", "-CAfile", &authority];
    hears(&stage.peer(&verify), &["verify OK"]);

    let (status, lines) = stage.end();
    assert_eq!(status, Some(0), "{lines}");
    assert!(lines.contains("192.0.2.2 Table 1, DNS 53/udp: SRV _ldap._tcp.dc._msdcs"), "{lines}");
    assert!(lines.contains("never asked: "), "{lines}");
}

#[test]
fn a_stand_in_for_a_tenant_is_understood_by_its_clients() {
    let mut stage = Stage::of("tenant", &["tenant.example"], &[]);
    let authority = stage.file("ca.pem").display().to_string();
    let curl = |url: &str| stage.peer(&["curl", "-sS", "-i", "--cacert", &authority, url]);
    hears(&curl("https://tenant.example/"), &["200 OK", MARK]);
    hears(&stage.peer(&["curl", "-sS", "https://tenant.example/"]), &["certificate"]);
    let verified = [
        "openssl",
        "s_client",
        "-connect",
        &at(flow::CONNECT_TENANT_SYNC, "tenant.example"),
        "-verify_hostname",
        "tenant.example",
        "-CAfile",
        &authority,
        "-brief",
    ];
    hears(&stage.peer(&verified), &["Verification: OK", MARK]);
    hears(
        &stage.peer(&[PYTHON, SCRIPT, "websocket", "tenant.example", &authority]),
        &["amqp\n", "b'AMQP\\x03\\x01\\x00\\x00"],
    );
    hears(
        &stage.peer(&[PYTHON, SCRIPT, "amqp", "tenant.example", &authority]),
        &["amqp:unauthorized-access"],
    );
    let (status, lines) = stage.end();
    assert_eq!(status, Some(0), "{lines}");
}

#[test]
fn a_stand_in_for_a_proxy_asks_for_certificates_and_one_for_a_web_proxy_passes_nothing_on() {
    let stage = Stage::of("proxy", &["sts.example"], &[]);
    let authority = stage.file("ca.pem").display().to_string();
    let asked = [
        "openssl",
        "s_client",
        "-connect",
        &at(flow::USER_PROXY_CERTIFICATE, "sts.example"),
        "-CAfile",
        &authority,
        "-tls1_2",
    ];
    hears(
        &stage.peer(&asked),
        &["Acceptable client certificate CA names", "Verify return code: 0"],
    );

    let mut stage = Stage::of("web-proxy", &["proxy.example"], &[]);
    let proxy = format!("http://{}", at(flow::CONNECT_WEB_PROXY, "proxy.example"));
    let through = ["curl", "-sSv", "--proxy", &proxy];
    let tunnel = stage.peer(&[&through[..], &["https://tenant.example/"]].concat());
    hears(&tunnel, &["200 Connection established"]);
    assert!(!tunnel.status.success());
    let tenant = at(flow::CONNECT_TENANT_SYNC, "tenant.example");
    let plain = stage.peer(&[&through[..], &["http://elsewhere.example/"]].concat());
    hears(&plain, &["502 Bad Gateway"]);
    let (status, lines) = stage.end();
    assert_eq!(status, Some(0), "{lines}");
    assert!(lines.contains(&format!("CONNECT {tenant} (answered)")), "{lines}");
}

#[test]
fn a_check_finds_every_row_of_a_stand_in_open_and_says_what_answers() {
    let edition = ["--forest", "corp.example"];
    let stage = Stage::of("forest", &["dc1.corp.example"], &edition);
    let binary = std::env::var("PORTOLAN_BINARY").unwrap();
    let authority = stage.file("ca.pem").display().to_string();
    let check = [&binary, "chart", "check", "--role", "connect", "--ca", &authority];
    let forest = ["--forest", "corp.example", "--dns", THERE[0]];
    let output = stage.peer(&[&check[..], &forest].concat());
    let lines = said(&output);
    // The rows of other roles have no host here, and are not judged. Ten rows have one, and what is alike
    // at its addresses is said once.
    let found: Vec<_> = lines.lines().filter(|it| it.contains("dc1.corp.example (")).collect();
    assert!(found.len() >= 10, "{lines}");
    for line in found {
        assert!(line.contains(" open (") && line.contains("a stand-in answers"), "{lines}");
    }
}
