//! `portolan chart check` as each role, against `portolan chart respond` as each role that it opens rows to,
//! on the real ports of the chart.

use std::collections::{BTreeMap, BTreeSet};

use portolan_chart::{Chart, Role, Row, Speaks};
use serde_json::Value;

use super::stage::{Stage, THERE, said};

const EDITIONS: [&str; 2] = ["2017-02-15", "2025-04-09"];
const FOREST: [&str; 2] = ["--forest", "corp.example"];

/// Pairs that the page's own tables have; what the chart has beside them is checked as well.
const PAIRS_OF_THE_PAGE: [(Role, Role); 8] = [
    (Role::Connect, Role::Forest),
    (Role::Connect, Role::Tenant),
    (Role::Connect, Role::Federation),
    (Role::Connect, Role::Proxy),
    (Role::Proxy, Role::Federation),
    (Role::User, Role::Proxy),
    (Role::Agent, Role::Tenant),
    (Role::Health, Role::Tenant),
];

/// What is found on a row that a stand-in cannot be open on.
struct Exception {
    speaks: Speaks,
    /// Who has to answer; any role where there is none.
    there: Option<Role>,
    verdict: &'static str,
    /// Words of the reason.
    because: &'static str,
    is_recognised: bool,
}

const EXCEPTIONS: [Exception; 3] = [
    // The throw-away authority has no responder that could sign a status, and its certificates name none.
    Exception {
        speaks: Speaks::Ocsp,
        there: None,
        verdict: "unjudged",
        because: "names nobody on this port",
        is_recognised: true,
    },
    // A stand-in looks nothing up for anybody.
    Exception {
        speaks: Speaks::Dns,
        there: Some(Role::Resolver),
        verdict: "faulty",
        because: "a name server that refuses to answer this host",
        is_recognised: true,
    },
    Exception {
        speaks: Speaks::Tds,
        there: None,
        verdict: "unjudged",
        because: "no probe speaks tds",
        is_recognised: false,
    },
];

fn exception(row: &Row) -> Option<&'static Exception> {
    let is_of =
        |it: &&Exception| it.speaks == row.speaks && it.there.is_none_or(|there| there == row.to);
    EXCEPTIONS.iter().find(is_of)
}

/// The roles that ask one that answers, each with its rows.
fn askers(chart: &Chart, there: Role) -> BTreeMap<Role, Vec<&Row>> {
    let mut askers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for here in hosts() {
        for row in chart.all().filter(|row| here.plays(row.from) && there.plays(row.to)) {
            askers.entry(here).or_default().push(row);
        }
    }
    askers
}

/// What a host can be: both halves of a farm are looked at, each for itself.
fn hosts() -> impl Iterator<Item = Role> {
    Role::all().filter(|role| *role != Role::FederationAndProxy)
}

/// What a check as a role says of a stand-in for another one, to programs and to people.
fn check(stage: &Stage, edition: &str, here: Role, there: Role) -> (Value, String) {
    let binary = std::env::var("PORTOLAN_BINARY").unwrap();
    let authority = stage.file("ca.pem").display().to_string();
    let text = stage.file(&format!("{here}.txt"));
    let copy = format!("text={}", text.display());
    let host = format!("{there}={}={}", name(there), THERE.join(","));
    let check = [&binary, "chart", "check", "--json", "--report", &copy, "--edition", edition];
    let whom = ["--role", here.name(), "--host", &host, "--ca", &authority];
    let forest: &[_] = if there == Role::Forest { &FOREST } else { &[] };
    let output = stage.peer(&[&check[..], &whom, forest].concat());
    let document = serde_json::from_slice(&output.stdout);
    let document = document.unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    (document, std::fs::read_to_string(text).unwrap())
}

fn name(there: Role) -> String {
    format!("{there}.corp.example")
}

/// What is not as it should be in the findings of a row.
fn faults(row: &Row, document: &Value) -> Vec<String> {
    let rows = document["rows"].as_array().unwrap().iter();
    let found = rows.filter(|it| it["flow"] == row.flow.name());
    let found: Vec<_> = found.flat_map(|it| it["findings"].as_array().unwrap()).collect();
    // Each port and transport was asked about at each address; the endpoint mapper names its own.
    let place = |it: &Value| {
        (it["address"].to_string(), it["port"].to_string(), it["transport"].to_string())
    };
    let places: BTreeSet<_> = found.iter().map(|it| place(it)).collect();
    let ports = match row.speaks {
        Speaks::Rpc => 1,
        _ => row.ports.iter().flat_map(|range| range.ports()).count(),
    };
    let mut faults = Vec::new();
    if places.len() != ports * row.transports.len() * THERE.len() {
        faults.push(format!("asked at {places:?} only"));
    }
    let exception = exception(row);
    let (verdict, because) = exception.map_or(("open", ""), |it| (it.verdict, it.because));
    let is_recognised = exception.is_none_or(|it| it.is_recognised);
    let is_wrong = |it: &&&Value| {
        let because = it.to_string().contains(because);
        it["verdict"] != verdict || it["stand_in"] != is_recognised || !because
    };
    faults.extend(found.iter().filter(is_wrong).map(ToString::to_string));
    faults
}

/// Lines for people that do not say of a stand-in that it is one.
fn unsaid(text: &str, there: Role) -> impl Iterator<Item = &str> {
    let unrecognised = EXCEPTIONS.iter().filter(|it| !it.is_recognised).map(|it| it.because);
    let unrecognised: Vec<_> = unrecognised.collect();
    let lines = text.lines().filter(move |it| it.contains(&format!("{} (", name(there))));
    let lines = lines.filter(|it| !it.trim_start().starts_with("hint:"));
    lines.filter(move |line| {
        !line.contains("a stand-in answers") && !unrecognised.iter().any(|it| line.contains(it))
    })
}

#[test]
fn a_check_as_every_role_finds_each_row_of_a_stand_in_open() {
    let mut wrong = Vec::new();
    for edition in EDITIONS {
        let chart = Chart::edition(edition).unwrap();
        let mut pairs = BTreeSet::new();
        for there in hosts() {
            let askers = askers(&chart, there);
            if askers.is_empty() {
                continue;
            }
            let more = [&["--edition", edition], &FOREST[..]].concat();
            let mut stage = Stage::of(there.name(), &[&name(there)], &more);
            for (here, rows) in askers {
                pairs.insert((here, there));
                let (document, text) = check(&stage, edition, here, there);
                let faults = rows.iter().flat_map(|row| {
                    faults(row, &document).into_iter().map(move |it| format!("{}: {it}", row.flow))
                });
                let unsaid =
                    unsaid(&text, there).map(|line| format!("does not say who answers: {line}"));
                let pair = |it| format!("{edition}, {here} -> {there}, {it}");
                wrong.extend(faults.chain(unsaid).map(pair));
            }
            let (status, lines) = stage.end();
            assert_eq!(status, Some(0), "{lines}");
        }
        for pair in PAIRS_OF_THE_PAGE {
            assert!(pairs.contains(&pair), "{pair:?} of {edition} was not checked");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
