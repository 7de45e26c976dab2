//! `portolan connect plan`: what a run would change, shown and not done.

use portolan_sync::flow::Value;
use portolan_sync::plan::Change;
use serde::Serialize;

use super::cycle::{Exported, Planned, Server};
use super::steps::Steps;
use super::{Look, print_json};
use crate::report::Failure;
use crate::terminal::plain;

/// One change, as `connect plan` shows it.
#[derive(Serialize)]
struct Shown {
    change: &'static str,
    kind: &'static str,
    anchor: String,
    name: Option<String>,
}

/// Runs `connect plan`: reads the forest and shows what would be exported; the tenant is only asked
/// for its domains.
pub(super) async fn run(look: Look) -> Result<(), Failure> {
    let mut server = Server::open(&look.state).await?;
    let steps = Steps::begin();
    let (_, Planned { plan, exported }) = server.prepare(&steps).await?;
    let shown: Vec<_> = plan.changes.iter().map(|change| show(change, &exported)).collect();
    if look.json {
        return print_json(&shown);
    }
    for line in &shown {
        println!(
            "{:<7} {:<6} {}  {}",
            line.change,
            line.kind,
            line.anchor,
            plain(line.name.as_deref().unwrap_or("-"))
        );
    }
    let (added, updated, deleted) = plan.counts();
    println!("{added} to add, {updated} to change, {deleted} to delete");
    for (rule, count) in &plan.left_out {
        println!("{count} left out: {rule}");
    }
    Ok(())
}

fn show(change: &Change, exported: &Exported) -> Shown {
    let (word, anchor, kind, object) = match change {
        Change::Add(object) => ("add", &object.anchor, object.kind, Some(object)),
        Change::Update(object) => ("change", &object.anchor, object.kind, Some(object)),
        Change::Delete { anchor, kind } => ("delete", anchor, *kind, exported.get(anchor)),
    };
    let name = match object.and_then(|object| object.attributes.get("displayName")) {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    Shown { change: word, kind: kind.as_str(), anchor: anchor.to_string(), name }
}
