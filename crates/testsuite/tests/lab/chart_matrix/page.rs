//! The page with the matrix: written when the lab is recorded, and otherwise held against what was seen.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::cells::{Seen, Sight, consequences};
use super::checker::TIMEOUT_SECONDS;
use super::fault::{Fault, Target};
use super::peers::{Noticed, PEERS, Peers};

/// Whether what is seen is written down in place of being compared.
pub(super) fn is_recorded() -> bool {
    std::env::var_os("PORTOLAN_RECORD").is_some_and(|value| value == "1")
}

/// Holds what was seen against the page, or writes it.
pub(super) fn compare(targets: &[Target], seen: &Seen, peers: Option<&Peers<'_>>) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/chart-matrix.md"));
    let matrix = matrix(targets, seen);
    if peers.is_some() {
        std::fs::write(&path, matrix + &beside(seen)).unwrap();
        return;
    }
    let page = std::fs::read_to_string(&path).unwrap();
    let (compared, _) = page.split_once(BESIDE).unwrap();
    assert_eq!(compared, matrix, "the page is written anew with PORTOLAN_RECORD=1");
}

const HEAD: &str = "\
# What `portolan chart check` says of injected faults

<!-- Written by crates/testsuite/tests/lab/chart_matrix with PORTOLAN_RECORD=1; every run of it compares. -->

In the lab, each row of Tables 1 and 2 of the edition 2017-02-15 gets each fault that it can have, one at a
time, at the host at its other end. `portolan chart check --role connect` then runs at connect's host, as a
user without any right. A cell is what it says of that row at every address, IPv4 and IPv6; of every other row
it has to say that it is open, but for those of the notes below the table. The same check of the lab without a
fault, before and after, finds none.

- **closed**: TCP is reset, UDP answered by \"port unreachable\". **dropped**: nobody answers. **reset**: the
  connection comes about, and the first data on it is answered by a reset.
- **wrong service**: a mail server by TCP, a few words in every datagram by UDP.
- **certificate**: a TLS server of the right name, with the certificate of an authority that nobody believes, or
  with one of a believed authority that expired an hour ago. **clock**: the KDC is ten minutes fast, or slow
  (libfaketime).

";

/// Where the part begins that is not compared: its figures are of one machine and one day.
const BESIDE: &str = "## Beside nmap and a TCP-connect script\n";

/// The part that is compared.
fn matrix(targets: &[Target], seen: &Seen) -> String {
    let mut text = HEAD.to_owned();
    let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    put(&mut text, &format!("| row | {} |", names.join(" | ")));
    put(&mut text, &format!("|---|{}", "---|".repeat(names.len())));
    let mut notes = Vec::new();
    for target in targets {
        let mut line = format!("| {} |", target.name);
        for fault in Fault::ALL {
            let sight = seen.cells.iter().find(|it| {
                let is_it = |other: &Target| {
                    (other.flow, other.transport) == (target.flow, target.transport)
                };
                it.cell.fault == fault && it.cell.injected.iter().any(is_it)
            });
            let said = match sight {
                Some(sight) => said(target, sight, &mut notes),
                None => String::new(),
            };
            let _ = write!(line, " {said} |");
        }
        put(&mut text, &line);
    }
    put(&mut text, &format!("\n{} faults, {} named.", seen.cells.len(), seen.cells.len()));
    for (at, note) in notes.iter().enumerate() {
        put(&mut text, &format!("\n[{}] {note}", at + 1));
    }
    text.push('\n');
    text
}

/// What was said of a row, with the numbers of the notes on what shows beside it.
fn said(target: &Target, sight: &Sight, notes: &mut Vec<String>) -> String {
    let way = (target.flow.to_string(), target.transport.to_string());
    let mut said = sight.faults.get(&way).cloned().unwrap_or_else(|| "open".to_owned());
    for consequence in consequences(&sight.cell) {
        let note = consequence.note();
        let at = notes.iter().position(|it| *it == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        let _ = write!(said, " [{}]", at + 1);
    }
    said
}

/// The part with the figures of the day.
fn beside(seen: &Seen) -> String {
    let mut text = format!(
        "{BESIDE}\n\
         Each looked at the same faults, one after the other, from connect's host. All three wait {TIMEOUT_SECONDS} s for \
         an answer at most, but nmap by its own\nrules for UDP (`-n -Pn -sT -sU --max-retries=1 \
         --host-timeout=30s`). nmap, as root, and the script (bash's `/dev/tcp`,\none port at a time) look at the \
         same ports over IPv4 alone and were told which dynamic ports are in use; `chart\ncheck` asks the \
         endpoint mapper and looks over both families. *Named* is the right row with the right fault, \
         *unreached*\nthe right row without saying what is wrong, *nothing* the same as on a healthy day. Times are \
         medians of one run\nof this machine, whole processes.\n\n"
    );
    put(&mut text, "| fault | who | named | unreached | nothing | median |");
    put(&mut text, "|---|---|---|---|---|---|");
    for fault in Fault::ALL {
        let cells: Vec<_> = seen.cells.iter().filter(|it| it.cell.fault == fault).collect();
        let ours: Vec<_> = cells.iter().map(|it| (Noticed::Fault, it.took)).collect();
        line(&mut text, fault.name(), "`portolan chart check`", &ours);
        for (at, who) in PEERS.iter().enumerate() {
            let theirs = cells.iter().filter_map(|it| it.peers.get(at));
            let theirs: Vec<_> = theirs.map(|it| (it.noticed, it.took)).collect();
            line(&mut text, "", who, &theirs);
        }
    }
    text
}

fn line(text: &mut String, fault: &str, who: &str, answers: &[(Noticed, Duration)]) {
    let count = |noticed| answers.iter().filter(|it| it.0 == noticed).count();
    let mut times: Vec<_> = answers.iter().map(|it| it.1).collect();
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let (named, unreached) = (count(Noticed::Fault), count(Noticed::Unreached));
    let nothing = count(Noticed::Nothing);
    let seconds = median.as_secs_f64();
    put(text, &format!("| {fault} | {who} | {named} | {unreached} | {nothing} | {seconds:.1} s |"));
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
