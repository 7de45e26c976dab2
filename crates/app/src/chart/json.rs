//! The chart as JSON. The names here are an interface: programs read them.

use portolan_chart::{Edition, PortRange, PortsRelation, Row, TableId};
use serde_json::{Value, json};

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
    let default = portolan_chart::DEFAULT_EDITION;
    document(&json!({ "default": default, "editions": list }))
}

fn row(row: &Row) -> Value {
    let range = |range: &PortRange| json!({ "start": range.start(), "end": range.end() });
    let names = |transports: &[portolan_chart::Transport]| -> Vec<_> {
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
    })
}

fn document(value: &Value) -> String {
    format!("{value:#}\n")
}
