//! A comparison for people: what is wrong first, then how much is right.

use std::fmt::Write as _;

use portolan_chart::firewall::Direction;
use portolan_chart::firewall::compare::{Comparison, Opening, Part, RowFinding, State};

use super::plain;

/// Ranges of a list that are shown; the JSON document has all.
const SHOWN_MAX: usize = 8;

pub(super) fn comparison(comparison: &Comparison<'_>) -> String {
    let mut out = String::new();
    for state in [State::Closed, State::NotJudged] {
        for found in comparison.rows.iter().filter(|found| found.state == state) {
            row(&mut out, found);
        }
    }
    for state in [State::Open, State::NotJudged] {
        for it in comparison.openings.iter().filter(|opening| opening.state == state) {
            opening(&mut out, it);
        }
    }
    for missing in &comparison.missing {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(out, "not judged   {}", missing.comment());
    }
    for note in &comparison.notes {
        let _ = writeln!(out, "note         {}", plain(note));
    }
    let count = |state| comparison.rows.iter().filter(|found| found.state == state).count();
    let openings = |state| comparison.openings.iter().filter(|it| it.state == state).count();
    let _ = writeln!(
        out,
        "{} rows open, {} closed, {} not judged; {} openings that no row needs, {} not judged",
        count(State::Open),
        count(State::Closed),
        count(State::NotJudged) + comparison.missing.len(),
        openings(State::Open),
        openings(State::NotJudged),
    );
    out
}

fn row(out: &mut String, found: &RowFinding<'_>) {
    let word = word(found.state);
    let row = found.row;
    let _ = writeln!(
        out,
        "{word:12} {}, {} {}/{}, {} ({}, {})",
        row.table,
        row.protocol,
        row.ports_text(),
        row.transports_text(),
        row.flow,
        found.direction,
        row.requirement,
    );
    for Part { state, transport, ports, peers, why } in &found.parts {
        let (ports, why) = (list(ports), plain(why));
        let state = self::word(*state);
        let toward = toward(found.direction);
        let _ = writeln!(
            out,
            "             {state}: {transport} {ports} {toward} {}: {why}",
            list(peers)
        );
    }
}

fn opening(out: &mut String, opening: &Opening) {
    let Opening { direction, protocol, ports, peers, state, perhaps, why } = opening;
    let word = match state {
        State::Open => "superfluous",
        State::Closed | State::NotJudged => "not judged",
    };
    let perhaps = perhaps.map(|flow| format!("; perhaps for {flow}")).unwrap_or_default();
    let (ports, peers, why) = (list(ports), list(peers), plain(why));
    let toward = toward(*direction);
    let _ =
        writeln!(out, "{word:12} {direction} {protocol} {ports} {toward} {peers}: {why}{perhaps}");
}

fn toward(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "from",
        Direction::Out | Direction::Through => "to",
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Closed => "closed",
        State::NotJudged => "not judged",
    }
}

fn list(texts: &[String]) -> String {
    let shown = texts.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match texts.len().checked_sub(SHOWN_MAX) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
