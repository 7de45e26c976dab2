//! Each row that connect uses, closed by each of its transports in the configuration that uses it:
//! what can be done without it is done, and otherwise the error names it. Where a whole row is closed, what
//! still works is written down for `portolan chart impact`.

use std::collections::BTreeSet;

use portolan_chart::impact::Reading;
use portolan_chart::{Flow, Role, TableId, Transport, flow};
use portolan_lab::How;
use portolan_testsuite::{ACCOUNT, Road};

use crate::impact::Impact;
use crate::world::World;

const TCP: Transport = Transport::Tcp;
const UDP: Transport = Transport::Udp;

/// What becomes of a synchronisation when something is closed.
#[derive(Clone, Copy)]
enum Outcome {
    /// It succeeds, and says nothing of it.
    Survives,
    /// It succeeds by the row's other transport, and says nothing of it.
    SurvivesBy(Transport),
    /// It succeeds, and says this once.
    SurvivesAndSays(&'static str),
    /// It fails, and the error names the row so.
    Named(&'static str),
}

use Outcome::{Named, Survives, SurvivesAndSays, SurvivesBy};

/// A closure, and what becomes of a synchronisation. Without a transport the whole row is closed.
type Case = (Flow, Option<Transport>, Outcome);

/// Over 389, sealed by Kerberos.
const SEALED: [Case; 17] = [
    (flow::CONNECT_AD_DNS, Some(UDP), SurvivesBy(TCP)),
    (flow::CONNECT_AD_DNS, Some(TCP), SurvivesBy(UDP)),
    (flow::CONNECT_AD_DNS, None, Named("Table 1, DNS 53/")),
    (flow::CONNECT_AD_KERBEROS, Some(UDP), SurvivesBy(TCP)),
    (flow::CONNECT_AD_KERBEROS, Some(TCP), Named("Table 1, Kerberos 88/tcp is refused")),
    (flow::CONNECT_AD_KERBEROS, None, Named("Table 1, Kerberos 88/tcp is refused")),
    (flow::CONNECT_AD_LDAP, Some(UDP), SurvivesAndSays("going on without a site")),
    (flow::CONNECT_AD_LDAP, Some(TCP), Named("Table 1, LDAP 389/tcp is refused")),
    (flow::CONNECT_AD_LDAP, None, Named("Table 1, LDAP 389/")),
    (flow::CONNECT_AD_EPM, Some(TCP), Named("Table 1, MS-RPC 135/tcp is refused")),
    (flow::CONNECT_AD_RPC, Some(TCP), Named("Table 1, RPC ")),
    (flow::CONNECT_TENANT_CRL, Some(TCP), Named("Table 2, HTTP 80/tcp is refused")),
    (flow::CONNECT_TENANT_SYNC, Some(TCP), Named("Table 2, HTTPS 443/tcp is refused")),
    // Over 389 nothing asks for 636, nor for the list of the authority behind its certificates.
    (flow::CONNECT_AD_LDAPS, Some(TCP), Survives),
    (flow::CONNECT_FOREST_CRL, Some(TCP), Survives),
    (flow::CONNECT_AD_KPASSWD, None, Survives),
    (flow::CONNECT_FOREST_TIME, Some(UDP), Survives),
];

/// Over 636, inside TLS.
const INSIDE_TLS: [Case; 3] = [
    (flow::CONNECT_AD_LDAPS, Some(TCP), Named("Table 1, LDAP/SSL 636/tcp is refused")),
    (flow::CONNECT_FOREST_CRL, Some(TCP), Named("Errata, HTTP 80/tcp is refused")),
    (flow::CONNECT_AD_LDAP, Some(TCP), Survives),
];

/// What nothing that was built so far uses, of the rows that connect opens. Whoever uses one takes it
/// out of here and says above what happens when it is closed.
const UNUSED: [(Flow, Transport, &str); 13] = [
    (flow::CONNECT_AD_KERBEROS, UDP, "the KDC is asked by TCP alone: anybody forges a datagram"),
    (flow::CONNECT_FEDERATION_CRL, TCP, "no role uses it yet: there is no federation role"),
    (flow::CONNECT_FEDERATION_HTTPS, TCP, "no role uses it yet: there is no federation role"),
    (flow::CONNECT_FEDERATION_WINRM, TCP, "no role uses it yet: there is no federation role"),
    (flow::CONNECT_TENANT_SSO_REGISTRATION, TCP, "no role uses it yet: no seamless sign-in"),
    (flow::CONNECT_AD_KPASSWD, TCP, "no role uses it yet: connect writes no password back"),
    (flow::CONNECT_AD_KPASSWD, UDP, "no role uses it yet: connect writes no password back"),
    (flow::CONNECT_FOREST_TIME, UDP, "no role uses it yet: the host's own daemon sets the clock"),
    (flow::CONNECT_WEB_PROXY, TCP, "the tenant is reached directly here"),
    (flow::CONNECT_AD_GC_TLS, TCP, "no role uses it yet: no seamless sign-in"),
    (flow::CONNECT_DATABASE_TDS, TCP, "connect keeps its state in a file of its own"),
    (
        flow::CONNECT_TENANT_OCSP,
        TCP,
        "certificates are held against lists, in the tenant's other row",
    ),
    (flow::CONNECT_TENANT_WRITEBACK, TCP, "no role uses it yet: connect writes no password back"),
];

#[test]
fn a_closed_row_is_done_without_or_named_and_all_is_well_when_it_is_open_again() {
    let world = World::up("rows");
    // The lab itself looks from connect's host whether the forest answers.
    let before = used(&world);
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    road.connect_run().unwrap().success().unwrap();
    every_transport_of_tables_1_and_2_is_a_case(&world);
    let mut impact = Impact::begin(&road);
    for case in SEALED {
        check(&world, &road, case, (&mut impact, Reading::Sealed));
    }
    road.connect_run().unwrap().success().unwrap();
    // Over 389, what only a directory inside TLS takes is not used either.
    let of_tls = [(flow::CONNECT_AD_LDAPS, TCP), (flow::CONNECT_FOREST_CRL, TCP)];
    assert_eq!(unused(&world, &before), expected_unused().chain(of_tls).collect());

    people_sign_in_without(&world, &road, &mut impact);

    road.read_inside_tls().unwrap();
    let whole = road.connect_run().unwrap().success().unwrap();
    assert!(whole.stderr.contains("inside TLS"), "{}", whole.stderr);
    for case in INSIDE_TLS {
        check(&world, &road, case, (&mut impact, Reading::InsideTls));
    }
    road.connect_run().unwrap().success().unwrap();
    impact.compare();
    assert_eq!(unused(&world, &before), expected_unused().collect());
}

/// Closes it, synchronises, and opens it again.
fn check(
    world: &World,
    road: &Road<'_>,
    (flow, transport, outcome): Case,
    (impact, reading): (&mut Impact, Reading),
) {
    let row = world.lab.chart().row(flow).unwrap();
    let is_whole = transport.is_none() || row.transports.len() == 1;
    if is_whole {
        impact.prepare(road);
    }
    let by = |transport| world.lab.capture().unwrap().packets_over(flow, transport);
    let before = [by(TCP), by(UDP)];
    match transport {
        Some(transport) => world.lab.close_over(flow, transport, How::Reject).unwrap(),
        None => world.lab.close(flow, How::Reject).unwrap(),
    }
    let run = road.connect_run().unwrap();
    if is_whole {
        impact.look(road, (flow, reading), &run);
    }
    world.lab.open(flow).unwrap();
    let what = format!("{flow} {transport:?}: {}", run.stderr);
    if let Named(named) = outcome {
        assert!(!run.status.success(), "it is closed and the run succeeds: {what}");
        let (error, hint) = run.failure();
        let error = error.unwrap_or_else(|| panic!("no error line: {what}"));
        assert!(error.contains(named), "{what}");
        let hint = hint.unwrap_or_else(|| panic!("no hint: {what}"));
        let closed = transport.map_or("whole", Transport::name);
        let name = format!("{flow} {closed} {reading:?}").to_lowercase().replace([' ', '.'], "_");
        insta::assert_snapshot!(name, without_port(&format!("error: {error}\n  hint: {hint}")));
        return;
    }
    assert!(run.status.success(), "{what}");
    assert_eq!(run.failure(), (None, None), "{what}");
    let mentions = |words: &str| run.stderr.matches(words).count();
    match outcome {
        SurvivesAndSays(words) => assert_eq!(mentions(words), 1, "{what}"),
        _ => assert_eq!(mentions("going on without"), 0, "{what}"),
    }
    if let SurvivesBy(other) = outcome {
        let grown = [by(TCP) > before[0], by(UDP) > before[1]];
        assert!(grown[usize::from(other == UDP)], "nothing went by {other}: {what}");
    }
}

/// What was said, without the port that the endpoint mapper happened to name.
fn without_port(said: &str) -> String {
    let mut parts = said.split("RPC ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("RPC ");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// People sign in while all that connect opens is closed, and while each of these is.
fn people_sign_in_without(world: &World, road: &Road<'_>, impact: &mut Impact) {
    let of_connect: Vec<_> =
        SEALED.iter().map(|(flow, ..)| *flow).collect::<BTreeSet<_>>().into_iter().collect();
    for flow in &of_connect {
        world.lab.close(*flow, How::Reject).unwrap();
    }
    assert!(impact.sign_in(road, &of_connect), "nobody signs in while connect is cut off");
    for flow in of_connect {
        world.lab.open(flow).unwrap();
    }
    for flow in [
        flow::WORKSTATION_TENANT_HTTPS,
        flow::WORKSTATION_TENANT_CRL,
        flow::WORKSTATION_FOREST_DNS,
        flow::FOREST_RESOLVER_DNS,
    ] {
        impact.prepare(road);
        world.lab.close(flow, How::Reject).unwrap();
        let run = road.connect_run().unwrap();
        impact.look(road, (flow, Reading::Sealed), &run);
        impact.sign_in(road, &[flow]);
        world.lab.open(flow).unwrap();
    }
}

/// No row of the two tables is forgotten above, by none of its transports.
fn every_transport_of_tables_1_and_2_is_a_case(world: &World) {
    let cases: Vec<_> = SEALED.iter().chain(&INSIDE_TLS).collect();
    for row in world.lab.chart().all() {
        if !["1", "2"].map(|table| TableId::Page(table.to_owned())).contains(&row.table) {
            continue;
        }
        for transport in &row.transports {
            let is_case = cases.iter().any(|(flow, closed, outcome)| {
                *flow == row.flow && *closed == Some(*transport) && !matches!(outcome, Survives)
            });
            assert!(is_case, "{} by {transport} is closed in no case", row.flow);
        }
    }
}

/// Packets of each row that connect opens, by each of its transports.
fn used(world: &World) -> Vec<((Flow, Transport), usize)> {
    let capture = world.lab.capture().unwrap();
    assert!(capture.off_chart.is_empty(), "{:#?}", capture.off_chart);
    let rows = world.lab.chart().all().filter(|row| row.from == Role::Connect);
    let ways = rows.flat_map(|row| row.transports.iter().map(|way| (row.flow, *way)));
    ways.map(|way| (way, capture.packets_over(way.0, way.1))).collect()
}

/// The ways of these rows that were not used since then.
fn unused(world: &World, before: &[((Flow, Transport), usize)]) -> BTreeSet<(Flow, Transport)> {
    let now = used(world);
    now.iter().zip(before).filter(|(now, then)| now == then).map(|((way, _), _)| *way).collect()
}

fn expected_unused() -> impl Iterator<Item = (Flow, Transport)> {
    UNUSED.iter().map(|(flow, transport, _)| (*flow, *transport))
}

#[test]
fn a_wrong_password_and_a_missing_right_are_each_named_with_what_mends_them() {
    let world = World::up("password");
    let road = world.road();
    // Without a threshold the directory does not count.
    let count = ["domain", "passwordsettings", "set", "--account-lockout-threshold=10"];
    road.samba_tool(&count).unwrap().success().unwrap();
    let enrolment = road.path("none.json");
    let text = serde_json::json!({
        "tenant_id": "12345678-9abc-def0-1122-334455667788", "host": "sync.cloud.example",
        "ca_sha256": "0".repeat(64), "secret": "x", "expires": "2026-01-01T00:00:00Z"
    });
    std::fs::write(&enrolment, text.to_string()).unwrap();
    let outcome = road.connect_init(&enrolment, (ACCOUNT, "not-the-password")).unwrap();
    let (error, hint) = outcome.failure();
    let error = error.unwrap_or_else(|| panic!("{}", outcome.stderr));
    assert!(error.contains("KDC_ERR_PREAUTH_FAILED"), "{error}");
    assert!(hint.unwrap_or_default().contains("password"), "{hint:?}");
    assert!(!road.path("connect").join("connect.toml").exists(), "nothing is configured");
    let shown = ["user", "show", ACCOUNT, "--attributes=badPwdCount"];
    let shown = road.samba_tool(&shown).unwrap().success().unwrap().stdout;
    assert!(shown.contains("badPwdCount: 1\n"), "one attempt and no other: {shown}");

    // An account that may sign in but not replicate is refused before anything is enrolled.
    let outcome = road.connect_init(&enrolment, ("bob", "B0b-Pass!word")).unwrap();
    let (error, hint) = outcome.failure();
    let error = error.unwrap_or_else(|| panic!("{}", outcome.stderr));
    assert!(error.contains("lacks the right \"Replicating Directory Changes\""), "{error}");
    assert!(hint.unwrap_or_default().contains("samba-tool dsacl set"), "{hint:?}");
}
