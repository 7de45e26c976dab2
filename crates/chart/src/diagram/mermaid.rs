//! The picture as a flowchart of [Mermaid], for pages that draw such text themselves.
//!
//! [Mermaid]: https://mermaid.js.org/syntax/flowchart.html

use std::fmt::Write as _;

use super::{Link, Zone, label, links, title};
use crate::{Chart, Role};

/// A chart as text: hosts in three zones, one arrow for the rows of a table between two of them.
#[must_use]
pub fn mermaid(chart: &Chart) -> String {
    let links = links(chart);
    let mut out = format!(
        "---\ntitle: Ports and protocols of hybrid identity, edition {}\n---\nflowchart LR\n",
        chart.in_force().id
    );
    for zone in Zone::ALL {
        let hosts: Vec<_> =
            hosts(&links).into_iter().filter(|role| Zone::of(*role) == zone).collect();
        if hosts.is_empty() {
            continue;
        }
        // Writing to a String does not fail.
        let _ = writeln!(out, "  subgraph {}[\"{}\"]", id(zone.title()), zone.title());
        for role in hosts {
            let (name, remark) = title(role);
            let _ = writeln!(out, "    {}[\"{name}<br/>{remark}\"]", id(name));
        }
        out.push_str("  end\n");
    }
    for link in &links {
        let arrow = if link.is_erratum() { "-.->" } else { "-->" };
        let (from, to) = (id(title(link.from).0), id(title(link.to).0));
        let _ = writeln!(out, "  {from} {arrow}|\"{}\"| {to}", text(link));
    }
    out
}

/// Every host once, in the order of the chart.
fn hosts(links: &[Link<'_>]) -> Vec<Role> {
    let mut hosts: Vec<Role> = Vec::new();
    for role in links.iter().flat_map(|link| [link.from, link.to]) {
        if !hosts.iter().any(|host| title(*host) == title(role)) {
            hosts.push(role);
        }
    }
    hosts
}

fn text(link: &Link<'_>) -> String {
    let rows = link.rows.iter().map(|row| quote(&label(row)));
    std::iter::once(link.title()).chain(rows).collect::<Vec<_>>().join("<br/>")
}

/// What a quoted label may not have, as the entities that Mermaid knows.
fn quote(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

fn id(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}
