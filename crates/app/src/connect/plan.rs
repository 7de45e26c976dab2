//! `portolan connect plan`: what a run would change, shown and not done.

use portolan_sync::flow::Value;
use portolan_sync::plan::Change;
use serde::Serialize;

use super::Look;
use super::cycle::Server;
use super::steps::Steps;
use super::walk::Walk;
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
    server.import(0, &steps).await?;
    let prepared = server.prepare(&steps).await?;
    let mut walk = Walk::begin(&server.space, prepared.planner()).await?;
    let mut between = "[";
    loop {
        let changes = walk.next().await?;
        if changes.is_empty() {
            break;
        }
        for shown in changes.iter().map(show) {
            if look.json {
                let line = serde_json::to_string(&shown)
                    .map_err(|error| Failure::because("cannot write the plan", &error))?;
                println!("{between}{line}");
                between = ",";
            } else {
                let Shown { change, kind, anchor, name } = &shown;
                let name = plain(name.as_deref().unwrap_or("-"));
                println!("{change:<7} {kind:<7} {anchor}  {name}");
            }
        }
    }
    if look.json {
        println!("{}", if between == "[" { "[]" } else { "]" });
        return Ok(());
    }
    let counts = walk.counts;
    println!("{} to add, {} to change, {} to delete", counts.added, counts.updated, counts.deleted);
    for (rule, count) in prepared.selection.left_out() {
        println!("{count} left out: {rule}");
    }
    Ok(())
}

fn show(change: &Change) -> Shown {
    let word = match change {
        Change::Add(_) => "add",
        Change::Update(_) => "change",
        Change::Delete(_) => "delete",
    };
    let object = change.object();
    let name = match object.attributes.get("displayName") {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    Shown { change: word, kind: object.kind.as_str(), anchor: object.anchor.to_string(), name }
}
