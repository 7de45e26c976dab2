//! The forest's authority, as foreign clients judge its certificates and its list.

use std::path::Path;

use portolan_chart::flow;
use portolan_lab::{Certificate, Lab, plan};

use super::{run, says, up};

/// Whether OpenLDAP's client believes the controller inside TLS.
fn believes(lab: &Lab) -> bool {
    let ask = ["ldapsearch", "-x", "-LLL", "-H", "ldaps://dc1.corp.example", "-s", "base"];
    run(lab, "connect", &[&ask[..], &["-b", ""]].concat(), "").status.success()
}

/// Fetches the list from where the certificate says, and lets OpenSSL judge the certificate by it.
fn judged(lab: &Lab, work: &Path) -> String {
    let (list, pem) = (work.join("corp.crl"), work.join("corp.pem"));
    let fetch = "import sys, urllib.request as r; \
                 open(sys.argv[2], 'wb').write(r.urlopen(sys.argv[1], timeout=5).read())";
    let url = "http://dc1.corp.example/corp.crl";
    says(lab, "connect", &["/usr/bin/python3", "-c", fetch, url, list.to_str().unwrap()], "");
    let (list, pem) = (list.to_str().unwrap(), pem.to_str().unwrap());
    says(lab, "connect", &["openssl", "crl", "-inform", "DER", "-in", list, "-out", pem], "");
    let certificate = "/run/samba/forest/private/tls/cert.pem";
    let verify = ["openssl", "verify", "-crl_check", "-CAfile", plan::FOREST_CA, "-CRLfile", pem];
    let output = run(lab, "dc1", &[&verify[..], &[certificate]].concat(), "");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).unwrap()
}

#[test]
fn a_certificate_is_believed_until_it_is_revoked_expired_or_another_s() {
    let lab = up("authority");
    let work = tempfile::tempdir().unwrap();
    assert!(believes(&lab));
    assert!(judged(&lab, work.path()).contains("cert.pem: OK"));

    lab.revoke_certificate("dc1").unwrap();
    let said = judged(&lab, work.path());
    assert!(said.contains("certificate revoked"), "{said}");
    for (kind, believed) in
        [(Certificate::Expired, false), (Certificate::OtherName, false), (Certificate::Good, true)]
    {
        lab.reissue_certificate("dc1", kind).unwrap();
        assert_eq!(believes(&lab), believed, "{kind:?}");
    }
    assert!(judged(&lab, work.path()).contains("cert.pem: OK"), "the new one is not revoked");

    let reach =
        ["/usr/bin/python3", "-c", "import urllib.request as r, sys; r.urlopen(sys.argv[1])"];
    let reach = [&reach[..], &["http://[fd77::10]/corp.crl"]].concat();
    says(&lab, "connect", &reach, "");
    lab.stop_revocation_lists().unwrap();
    assert!(!run(&lab, "connect", &reach, "").status.success());
    lab.start_revocation_lists().unwrap();
    says(&lab, "connect", &reach, "");

    let capture = lab.capture().unwrap();
    assert_eq!(capture.off_chart, []);
    assert!(capture.packets(flow::CONNECT_FOREST_CRL) > 0);
    lab.down().unwrap();
}
