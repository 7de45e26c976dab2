//! BIND with the zone of a forest: whole, with gaps, too long for a datagram, and another's.

use std::fmt::Write as _;
use std::path::Path;

use portolan_chart::{Transport, flow};
use portolan_probe::DefectKind;

use super::{defect, defects, look};
use crate::process::{LOOPBACK, Server, free_port, program};

const SERVICES: [&str; 10] = [
    "_ldap._tcp",
    "_ldap._tcp.dc._msdcs",
    "_ldap._tcp.pdc._msdcs",
    "_ldap._tcp.gc._msdcs",
    "_gc._tcp",
    "_kerberos._tcp",
    "_kerberos._udp",
    "_kerberos._tcp.dc._msdcs",
    "_kpasswd._tcp",
    "_kpasswd._udp",
];

struct NameServer {
    port: u16,
    _server: Server,
    _folder: tempfile::TempDir,
}

/// BIND with one zone.
async fn bind(zone: &str, records: &str) -> NameServer {
    let folder = tempfile::tempdir().unwrap();
    let (port, at) = (free_port().await, folder.path().display());
    let head = "$TTL 900\n@ SOA dc1 hostmaster 1 900 600 86400 900\n@ NS dc1\ndc1 A 127.0.0.1\n";
    std::fs::write(folder.path().join("zone"), format!("{head}{records}")).unwrap();
    let config = format!(
        "options {{ directory \"{at}\"; pid-file none; session-keyfile none; recursion no;\n\
         listen-on port {port} {{ {LOOPBACK}; }}; listen-on-v6 {{ none; }};\n\
         dnssec-validation no; minimal-responses no; check-names primary ignore; }};\n\
         controls {{ }};\n\
         zone \"{zone}\" {{ type primary; file \"{at}/zone\"; check-integrity no; }};\n"
    );
    let path = folder.path().join("named.conf");
    std::fs::write(&path, config).unwrap();
    readable(folder.path());
    let mut command = program("named");
    // In the foreground, with nothing of the machine's own configuration.
    command.args(["-g", "-n", "1", "-c"]).arg(&path);
    NameServer { port, _server: Server::start(command, port).await, _folder: folder }
}

/// For a server that gives root's rights away.
fn readable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The records of all services but those that are left out.
fn services(without: &[&str], target: &str) -> String {
    let kept = SERVICES.iter().filter(|service| !without.contains(service));
    kept.fold(String::new(), |mut text, service| {
        writeln!(text, "{service} SRV 0 100 389 {target}").unwrap();
        text
    })
}

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_set_is_open_and_a_gap_is_named_by_either_transport() {
    let whole = bind("corp.example", &services(&[], "dc1")).await;
    let gaps = ["_ldap._tcp.pdc._msdcs", "_kpasswd._udp"];
    let gaps = bind("corp.example", &services(&gaps, "dc1")).await;
    let lost = bind("corp.example", &services(&[], "dc9")).await;
    let other = bind("other.example", &services(&[], "dc1")).await;
    for transport in BOTH {
        let outcome = look(flow::CONNECT_AD_DNS, transport, whole.port).await;
        assert_eq!(defects(&outcome), [], "{transport}");
        assert_eq!(outcome.notes, ["10 of 10 service records, naming 1 hosts"]);

        let outcome = look(flow::CONNECT_AD_DNS, transport, gaps.port).await;
        let text = "2 of 10 service records are missing: _ldap._tcp.pdc._msdcs.corp.example, \
                    _kpasswd._udp.corp.example";
        assert_eq!(defect(&outcome), (DefectKind::Records, text), "{transport}");

        let outcome = look(flow::CONNECT_AD_DNS, transport, lost.port).await;
        let text = "the service records name hosts without an address: dc9.corp.example";
        assert_eq!(defect(&outcome), (DefectKind::Records, text), "{transport}");

        // One that is not the forest's refuses to speak of it.
        let outcome = look(flow::CONNECT_AD_DNS, transport, other.port).await;
        let (kind, text) = defect(&outcome);
        assert_eq!(kind, DefectKind::Unavailable, "{transport}");
        assert!(text.contains("10 were not answered"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_a_datagram_comes_by_tcp() {
    let mut records = services(&[], "dc1");
    for number in 2..40 {
        let host = format!("a-domain-controller-with-a-long-name-{number}");
        writeln!(records, "{host} A 127.0.0.1").unwrap();
        writeln!(records, "_ldap._tcp SRV 0 100 389 {host}").unwrap();
    }
    let server = bind("corp.example", &records).await;
    let outcome = look(flow::CONNECT_AD_DNS, Transport::Udp, server.port).await;
    assert_eq!(defects(&outcome), []);
    let note = "what does not fit a datagram came by TCP";
    assert!(outcome.notes.iter().any(|said| said == note), "{:?}", outcome.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_in_a_circle_are_missing_records() {
    let circle = "_ldap._tcp CNAME a\na CNAME b\nb CNAME a\n";
    let records = services(&["_ldap._tcp"], "dc1") + circle;
    let server = bind("corp.example", &records).await;
    for transport in BOTH {
        let outcome = look(flow::CONNECT_AD_DNS, transport, server.port).await;
        let (kind, text) = defect(&outcome);
        assert!(text.contains("_ldap._tcp.corp.example"), "{kind:?} {text}");
    }
}
