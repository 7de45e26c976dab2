//! `portolan connect plan`: what a run would change, shown and not done.

use portolan_store::state::{Export, Place, State};
use portolan_sync::engine::PendingExport;
use portolan_sync::record::{Record, ValueRef};
use serde::Serialize;

use super::Look;
use super::cycle::{FILE, Server};
use super::steps::Steps;
use super::synchronise::Ruleset;
use crate::report::Failure;
use crate::terminal::plain;

/// Exports that are read from the state at once.
const EXPORTS_AT_ONCE: u32 = 2_000;

/// One change, as `connect plan` shows it.
#[derive(Serialize)]
struct Shown {
    change: &'static str,
    kind: &'static str,
    anchor: String,
    name: Option<String>,
}

/// Runs `connect plan`: reads the forest into a copy of the state, decides there, and shows what would be
/// exported; the tenant is only asked for its domains.
pub(super) async fn run(look: Look) -> Result<(), Failure> {
    let mut server = Server::open(&look.state).await?;
    let steps = Steps::begin();
    let copy = tempfile::tempdir_in(&look.state)
        .map_err(|error| Failure::because("cannot make room for a copy of the state", &error))?;
    let path = copy.path().join(FILE);
    server.state.copy_to(&path).await?;
    server.state = State::open(&path).await?;
    let (imported, _) = server.import(0, &steps).await?;
    let domains = server.prepare(&steps).await?;
    let rules = Ruleset::read(&look.state, &server.state).await?;
    server.decide(&rules, &domains, imported.full, &steps).await?;
    let shown = show_all(&server, &rules, look.json).await;
    server.state.close().await;
    shown
}

async fn show_all(server: &Server, rules: &Ruleset, json: bool) -> Result<(), Failure> {
    let mut between = "[";
    let mut after = Place::default();
    let (mut added, mut changed, mut deleted) = (0, 0, 0);
    loop {
        let target = server.connected.target;
        let pending = server.state.pending_exports(target, after, EXPORTS_AT_ONCE).await?;
        let Some(last) = pending.last() else { break };
        after = last.place;
        for export in &pending {
            match export.pending {
                PendingExport::Add(_) => added += 1,
                PendingExport::Update(_) => changed += 1,
                PendingExport::Delete => deleted += 1,
            }
            let shown = show(export, rules);
            if json {
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
    if json {
        println!("{}", if between == "[" { "[]" } else { "]" });
        return Ok(());
    }
    println!("{added} to add, {changed} to change, {deleted} to delete");
    Ok(())
}

fn show(export: &Export, rules: &Ruleset) -> Shown {
    let (word, record) = match &export.pending {
        PendingExport::Add(record) => ("add", Some(record)),
        PendingExport::Update(record) => ("change", Some(record)),
        PendingExport::Delete => ("delete", export.confirmed.as_ref()),
    };
    let name = |record: &Record| {
        let id = rules.names.id("displayName")?;
        record.first(id).and_then(ValueRef::as_text).map(str::to_owned)
    };
    Shown {
        change: word,
        kind: export.kind.as_str(),
        anchor: export.anchor.to_string(),
        name: record.and_then(name),
    }
}
