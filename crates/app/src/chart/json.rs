//! The chart as JSON. The names here are an interface: programs read them.

use portolan_chart::{
    Chart, Cloud, DEFAULT_EDITION, Diff, Edition, Endpoint, EndpointName, PortRange, PortsRelation,
    Row, TableId, Transport,
};
use serde_json::{Value, json};

use super::explain::Use;

/// One document: the edition and its rows.
pub(super) fn rows(edition: &str, rows: &[&Row]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| self::row(row)).collect();
    document(&json!({ "edition": edition, "rows": rows }))
}

/// One document: the editions, and which is the default.
pub(super) fn editions(editions: &[Edition]) -> String {
    let list: Vec<_> = editions
        .iter()
        .map(|edition| {
            json!({ "id": edition.id, "label": edition.label, "row_count": edition.row_count() })
        })
        .collect();
    document(&json!({ "default": DEFAULT_EDITION, "editions": list }))
}

/// One document: the rows that were asked for, each with its place in every edition.
pub(super) fn shown(chart: &Chart, rows: &[&Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|shown| {
            let editions: Vec<_> = super::show::everywhere(shown.flow)
                .iter()
                .map(|(edition, row)| json!({ "edition": edition, "row": self::row(row) }))
                .collect();
            json!({ "row": row(shown), "editions": editions })
        })
        .collect();
    document(&json!({ "edition": chart.in_force().id, "rows": rows }))
}

/// One document: what differs between two editions.
pub(super) fn diff(before: &Chart, after: &Chart, diff: &Diff) -> String {
    let rows = |rows: &[Row]| rows.iter().map(row).collect::<Vec<_>>();
    let changed: Vec<_> = diff
        .changed
        .iter()
        .map(|changed| {
            let changes: Vec<_> = changed
                .changes
                .iter()
                .map(|change| {
                    json!({ "what": change.what, "before": change.before, "after": change.after })
                })
                .collect();
            json!({
                "flow": changed.flow.name(),
                "on_the_wire": changed.is_on_the_wire(),
                "in_print_only": changed.is_in_print_only(),
                "changes": changes,
            })
        })
        .collect();
    document(&json!({
        "before": before.in_force().id,
        "after": after.in_force().id,
        "added": rows(&diff.added),
        "gone": rows(&diff.gone),
        "changed": changed,
    }))
}

/// One document: the rows that use a port.
pub(super) fn explained(port: u16, transport: Option<Transport>, uses: &[Use]) -> String {
    let uses: Vec<_> = uses
        .iter()
        .map(|found| json!({ "row": row(&found.row), "editions": found.editions }))
        .collect();
    let transport = transport.map(Transport::name);
    document(&json!({ "port": port, "transport": transport, "uses": uses }))
}

/// One document: the vendor's hosts of a role.
pub(super) fn endpoints(edition: &str, cloud: Cloud, endpoints: &[(&Row, Endpoint)]) -> String {
    let list: Vec<_> = endpoints
        .iter()
        .map(|(row, endpoint)| {
            json!({
                "flow": endpoint.flow.name(),
                "name": endpoint.name.to_string(),
                "is_host": matches!(endpoint.name, EndpointName::Host(_)),
                "ports": row.ports.iter().map(range).collect::<Vec<_>>(),
                "requirement": endpoint.requirement.name(),
                "purpose": endpoint.purpose,
                "list": endpoint.list,
            })
        })
        .collect();
    document(&json!({ "edition": edition, "cloud": cloud.name(), "endpoints": list }))
}

fn row(row: &Row) -> Value {
    let facts = row.flow.facts();
    let names = |transports: &[Transport]| -> Vec<_> {
        transports.iter().map(|transport| transport.name()).collect()
    };
    json!({
        "flow": row.flow.name(),
        "table": match &row.table {
            TableId::Page(id) => id,
            TableId::Errata => "errata",
        },
        "number": row.number,
        "from": row.from.name(),
        "to": row.to.name(),
        "protocol": row.protocol,
        "speaks": row.speaks.name(),
        "purpose": row.purpose,
        "ports": row.ports.iter().map(range).collect::<Vec<_>>(),
        "ports_relation": match row.ports_relation {
            PortsRelation::All => "all",
            PortsRelation::Any => "any",
        },
        "transports": names(&row.transports),
        "printed": row.printed.as_ref().map(|printed| json!({
            "ports": printed.ports,
            "transports": names(&printed.transports),
        })),
        "corrected": row.corrected,
        "requirement": row.requirement.name(),
        "notes": row.notes,
        "reason": row.reason,
        "without": facts.without,
        "specification": facts.specification,
        "tshark": facts.tshark,
    })
}

fn range(range: &PortRange) -> Value {
    json!({ "start": range.start(), "end": range.end() })
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}
