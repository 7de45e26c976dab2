//! What `portolan lab` prints.

use std::fmt::Write as _;

use portolan_lab::capture::Capture;
use portolan_lab::{HostStatus, Status, Stopped};
use serde_json::{Value, json};

/// A lab, for people.
pub(super) fn status(status: &Status) -> String {
    let mut text = format!("lab {} in {}\n\n", status.name, status.directory.display());
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "{:<9} {:<16} {:>7}  {:<24} addresses",
        "host", "roles", "pid", "stopped in/out/through"
    );
    for host in &status.hosts {
        let HostStatus { name, roles, addresses, pid, stopped, .. } = host;
        let roles = roles.join("+");
        let of = |way: &str| stopped.iter().find(|it| it.way == way).map_or(0, |it| it.packets);
        let stopped = format!("{}/{}/{}", of("in"), of("out"), of("through"));
        let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "{name:<9} {roles:<16} {pid:>7}  {stopped:<24} {addresses}");
    }
    let closed = closed(status);
    text.push('\n');
    if !closed.is_empty() {
        let _ = writeln!(text, "closed     {}", closed.join(" "));
    }
    for recording in &status.recordings {
        let _ = writeln!(text, "capture    {}", recording.display());
    }
    let _ = writeln!(text, "authority  {}", status.authority.display());
    if let Some(archive) = &status.archive {
        let _ = writeln!(text, "archive    {}", archive.display());
    }
    text
}

/// A lab, for programs.
pub(super) fn status_json(status: &Status) -> String {
    let hosts: Vec<_> = status.hosts.iter().map(host_json).collect();
    lines(&json!({
        "name": status.name.as_str(),
        "state": status.directory,
        "archive": status.archive,
        "authority": status.authority,
        "captures": status.recordings,
        "closed": closed(status),
        "hosts": hosts,
    }))
}

/// How to go on with a new lab. `options` lead a command to it.
pub(super) fn how_to_go_on(options: &str) -> String {
    let mut text = "\ngo on with\n".to_owned();
    for (command, rest, what) in [
        ("exec", " connect -- kinit alice@CORP.EXAMPLE", "her password is Al1ce-Pass!"),
        ("status", "", "hosts, addresses, what the firewalls stopped"),
        ("close", " connect.ad.ldap", "shut one row of the chart"),
        ("capture", "", "every packet by its row"),
        ("down", "", "take it all away"),
    ] {
        let command = format!("portolan lab {command}{options}{rest}");
        let _ = writeln!(text, "  {command:<55} {what}");
    }
    text
}

/// What crossed the networks, for people.
pub(super) fn capture(capture: &Capture) -> String {
    let mut text =
        format!("{:<3}  {:>8}  {:>10}  {:<28} row\n", "net", "packets", "octets", "flow");
    for count in &capture.rows {
        let _ = writeln!(
            text,
            "{:<3}  {:>8}  {:>10}  {:<28} {}",
            count.network.name(),
            count.packets,
            count.octets,
            count.flow,
            count.row
        );
    }
    for count in &capture.excepted {
        let (network, packets) = (count.network.name(), count.packets);
        let exception = count.exception.name();
        let _ = writeln!(text, "{network:<3}  {packets:>8}  {:>10}  {exception}", "");
    }
    let _ = writeln!(text, "\noff the chart: {}", capture.off_chart.len());
    for packet in &capture.off_chart {
        let _ = writeln!(text, "  {packet}");
    }
    text
}

/// What crossed the networks, for programs.
pub(super) fn capture_json(capture: &Capture) -> String {
    let rows: Vec<_> = capture
        .rows
        .iter()
        .map(|count| {
            json!({
                "network": count.network.name(),
                "flow": count.flow.name(),
                "row": count.row,
                "packets": count.packets,
                "octets": count.octets,
            })
        })
        .collect();
    let excepted: Vec<_> = capture
        .excepted
        .iter()
        .map(|count| {
            json!({
                "network": count.network.name(),
                "exception": count.exception.name(),
                "packets": count.packets,
            })
        })
        .collect();
    let off_chart: Vec<_> = capture
        .off_chart
        .iter()
        .map(|it| {
            json!({
                "network": it.network.name(),
                "nanoseconds": it.nanoseconds,
                "packet": it.packet,
                "octets": it.octets,
            })
        })
        .collect();
    lines(&json!({ "rows": rows, "excepted": excepted, "off_chart": off_chart }))
}

fn host_json(host: &HostStatus) -> Value {
    let stopped: serde_json::Map<_, _> = host
        .stopped
        .iter()
        .map(|Stopped { way, packets, octets }| {
            (way.clone(), json!({ "packets": packets, "octets": octets }))
        })
        .collect();
    json!({
        "name": host.name,
        "roles": host.roles,
        "addresses": host.addresses,
        "pid": host.pid,
        "stopped": stopped,
        "closed": host.closed,
    })
}

fn closed(status: &Status) -> Vec<&str> {
    let mut flows: Vec<_> =
        status.hosts.iter().flat_map(|host| &host.closed).map(String::as_str).collect();
    flows.sort_unstable();
    flows.dedup();
    flows
}

fn lines(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_commands_lead_to_the_same_lab() {
        let text = how_to_go_on(" --name two");
        assert!(text.contains("portolan lab exec --name two connect -- kinit"), "{text}");
        assert!(text.contains("portolan lab down --name two "), "{text}");
    }
}
