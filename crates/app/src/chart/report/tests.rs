//! One report in every format: what people and programs read.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portolan_chart::{Chart, Role, Transport, flow};
use portolan_net::{Network, NetworkConfig};
use portolan_probe::{
    Defect, DefectKind, Deployment, Figures, Finding, Limits, Outcome, Question, Report, RowReport,
    Verdict,
};

use super::{Format, render};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 10));

/// What was found on a row, at the one host that is known.
fn finding(row: &portolan_chart::Row, transport: Transport, outcome: Outcome) -> Finding {
    let known = !matches!(&outcome.verdict, Verdict::Unjudged { .. });
    let question = Question {
        row: row.clone(),
        peer: known.then(|| "dc1.corp.example".parse().unwrap()),
        address: known.then_some(ADDRESS),
        port: Some(row.first_port()),
        transport,
    };
    Finding { question, outcome, latency: Duration::from_millis(12) }
}

/// A report with every kind of verdict, and with a peer that tries to break out of each format.
pub(in crate::chart) fn report() -> Report {
    let chart = Chart::default_edition();
    let config = NetworkConfig::new(chart.clone(), Role::Connect);
    let network = Network::new(NetworkConfig { name_servers: Some(vec![ADDRESS]), ..config });
    let row = |flow, verdicts: Vec<(Transport, Outcome)>| {
        let row = chart.row(flow).unwrap().clone();
        let findings =
            verdicts.into_iter().map(|(transport, outcome)| finding(&row, transport, outcome));
        RowReport { findings: findings.collect(), row: row.clone() }
    };
    let (tcp, udp) = (Transport::Tcp, Transport::Udp);
    let noted = |note: &str| Outcome::new(Verdict::Open, vec![note.to_owned()], false);
    let clock = |seconds| Figures { clock_skew_seconds: Some(seconds), ..Figures::default() };
    let expiry = |days| Figures { certificate_days_left: Some(days), ..Figures::default() };
    let hostile = "\"</script><img src=x onerror=1>]]>&\u{1b}[2J\u{0}\"".to_owned();
    let expired = Defect {
        kind: DefectKind::Certificate,
        text: "its certificate expired 3 days ago, on 2026-01-01".to_owned(),
        hint: "renew the certificate".to_owned(),
    };
    let skewed = Verdict::faulty(
        DefectKind::ClockSkew,
        "its clock shows 10:00 and this host's 10:06: -360 s, and Kerberos allows 300 s",
        "set the clocks of both machines by the same source",
    );
    let nobody = Verdict::Unjudged { why: "required, and no host is known".to_owned() };
    let rows = vec![
        row(flow::CONNECT_AD_DNS, vec![(tcp, Verdict::Open.into()), (udp, Verdict::Open.into())]),
        row(
            flow::CONNECT_AD_KERBEROS,
            vec![(tcp, Verdict::Open.into()), (udp, Verdict::Filtered.into())],
        ),
        row(flow::CONNECT_AD_EPM, vec![(tcp, Verdict::Refused.into())]),
        row(
            flow::CONNECT_AD_LDAP,
            vec![
                (tcp, Verdict::WrongProtocol { heard: hostile }.into()),
                (udp, Verdict::Reset.into()),
            ],
        ),
        row(
            flow::CONNECT_AD_LDAPS,
            vec![(tcp, Outcome::from(Verdict::Faulty(vec![expired])).with_figures(expiry(-4)))],
        ),
        row(
            flow::CONNECT_FOREST_TIME,
            vec![
                (udp, noted("stratum 2, its clock is +3 s from here").with_figures(clock(3))),
                (udp, Outcome::from(skewed).with_figures(clock(-360))),
            ],
        ),
        row(
            flow::CONNECT_TENANT_SYNC,
            vec![(tcp, noted("its certificate expires in 30 days").with_figures(expiry(30)))],
        ),
        row(flow::CONNECT_FEDERATION_HTTPS, vec![(tcp, nobody.into())]),
    ];
    let deployment = Deployment {
        role: Role::Connect,
        chart,
        forest: None,
        hosts: Vec::new(),
        network: network.unwrap(),
        trusted: Vec::new(),
        idle: false,
        limits: Limits::default(),
    };
    Report { deployment: Arc::new(deployment), rows, elapsed: Duration::from_millis(1234) }
}

/// For the readers of others, which a test of the suite hands it to: written where the variable says.
fn kept(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("PORTOLAN_KEEP_REPORTS") {
        std::fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
    }
}

#[test]
fn a_report_reads_well_as_text() {
    insta::assert_snapshot!(render(&report(), Format::Text).unwrap());
}

#[test]
fn a_report_is_json_with_all_that_is_known() {
    let text = render(&report(), Format::Json).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = document["rows"].as_array().unwrap().iter();
    let findings = || rows.clone().flat_map(|row| row["findings"].as_array().unwrap());
    let figures =
        |name: &str| -> Vec<_> { findings().filter_map(|it| it[name].as_i64()).collect() };
    assert_eq!(figures("clock_skew_seconds"), [3, -360]);
    assert_eq!(figures("certificate_days_left"), [-4, 30]);
    assert_eq!(document["open"], 2);
    assert_eq!(document["closed"], 5);
    assert_eq!(document["not_judged"], 1);
    insta::assert_snapshot!(format!("{:#}", document["rows"][1]));
}

#[test]
fn a_report_is_junit_in_which_nothing_unjudged_passes() {
    let text = render(&report(), Format::Junit).unwrap();
    kept("report.xml", &text);
    assert_eq!(text.matches("<skipped ").count(), 1);
    assert_eq!(text.matches("<failure ").count(), 6);
    insta::assert_snapshot!(text);
}

#[test]
fn a_report_is_sarif_with_a_rule_a_row() {
    let text = render(&report(), Format::Sarif).unwrap();
    kept("report.sarif", &text);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let run = &document["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 8);
    let kind = |kind: &str| {
        let results = run["results"].as_array().unwrap();
        results.iter().filter(|result| result["kind"] == kind).count()
    };
    assert_eq!((kind("pass"), kind("fail"), kind("open")), (5, 6, 1));
    insta::assert_snapshot!(format!("{:#}", run["results"][3]));
}

#[test]
fn a_page_holds_the_picture_and_nothing_that_a_peer_made_of_it() {
    let text = render(&report(), Format::Html).unwrap();
    kept("report.html", &text);
    assert!(!text.contains("<img"), "a peer's words are escaped");
    assert!(!text.contains("<script"));
    assert!(text.contains("class=\"link closed\""), "the picture is red where it fails");
    assert!(text.contains("prefers-color-scheme:dark"));
    for outside in ["src=", "href=", "@import", "url(http"] {
        assert!(!text.replace("src=x onerror", "").contains(outside), "{outside}");
    }
}
