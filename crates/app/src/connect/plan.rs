//! `portolan connect plan`: what a run would change, shown and not done; and `portolan connect apply`: a
//! plan that was kept, done as it is.
//!
//! A plan is made on a copy of the state by the code that a run uses. What of it is kept names each change
//! with a digest of what is there and what is to be. It is applied only if the rules are the same and each
//! of its changes still comes of them, to the octet; what came besides stays pending.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use portolan_model::SourceAnchor;
use portolan_store::state::{Export, Place, ReferenceExport, ReferencePlace, State};
use portolan_sync::Dictionary;
use portolan_sync::TenantKind;
use portolan_sync::engine::{ConnectorId, PendingExport};
use portolan_sync::record::{Record, ValueRef};
use serde::{Deserialize, Serialize};

use super::cycle::Server;
use super::export::Exported;
use super::gate;
use super::print_json;
use super::profile::Extent;
use super::running::{Counted, Running};
use super::scratch::Scratch;
use super::steps::Steps;
use super::synchronise::{Ruleset, Scope};
use super::turn::Turn;
use crate::report::Failure;
use crate::terminal::plain;

/// Changes that are read from the state at once.
const EXPORTS_AT_ONCE: u32 = 2_000;
const REFERENCES_AT_ONCE: u32 = 20_000;
/// Changes that are named when a plan does not hold any more.
const NAMED_MAX: usize = 5;
/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 120;
/// The form of a kept plan.
const VERSION: u32 = 1;

/// What `connect plan` is told.
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Keep the plan in this file, for `connect apply`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Evaluate every rule for every object, also where nothing changed
    #[arg(long)]
    full: bool,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What `connect apply` is told.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// The plan that `connect plan --save` kept
    plan: PathBuf,
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Let this many deletions of a kind through, above what goes without a word
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    allow_deletions: usize,
    /// Print as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// A kept plan.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    /// The rules and what they depend on.
    made_of: String,
    /// Each change by what it is about, with its digest.
    changes: BTreeMap<String, String>,
}

/// The changes of a kept plan: what an export is held to.
#[derive(Debug)]
pub(super) enum Chosen {
    /// Those of a kept plan.
    Kept(BTreeMap<String, String>),
    /// All of these objects, and references of them and to them.
    Of(BTreeSet<SourceAnchor>),
}

impl Chosen {
    /// Whether a change of an object is among them.
    pub(super) fn has(&self, export: &Export) -> bool {
        match self {
            Self::Kept(changes) => changes.contains_key(&name_of(export)),
            Self::Of(anchors) => anchors.contains(&export.anchor),
        }
    }

    /// Whether a change of references is, or comes with an object that is added.
    pub(super) fn has_reference(&self, export: &ReferenceExport, names: &Dictionary) -> bool {
        let changes = match self {
            Self::Kept(changes) => changes,
            Self::Of(anchors) => {
                return anchors.contains(&export.anchor) || anchors.contains(&export.target);
            }
        };
        let adds = |kind: TenantKind, anchor: &SourceAnchor| {
            changes.contains_key(&format!("add {} {anchor}", kind.as_str()))
        };
        changes.contains_key(&name_of_reference(export, names))
            || adds(export.kind, &export.anchor)
            || adds(export.target_kind, &export.target)
    }
}

/// One change, as `connect plan` shows it.
#[derive(Serialize)]
struct Shown {
    change: &'static str,
    kind: &'static str,
    anchor: String,
    name: Option<String>,
    attributes: Vec<Attribute>,
}

/// What changes of an attribute.
#[derive(Serialize)]
struct Attribute {
    name: String,
    before: Vec<String>,
    after: Vec<String>,
}

/// Runs `connect plan`: reads the forest into a copy of the state, decides there, and shows what would be
/// exported; the tenant is only asked for its domains.
pub(super) async fn run(plan: Plan) -> Result<(), Failure> {
    let mut server = Server::open(&plan.state).await?;
    let steps = Steps::begin();
    let copy = Scratch::copy(&server.state, &plan.state).await?;
    server.state = copy.open().await?;
    let run = Running::begin(&server.state, None, "plan").await?;
    let imported = server.import(&run, (None, Extent::Delta), 0, &steps).await?;
    let domains = server.prepare(&steps).await?;
    let rules = server.rules().await?;
    let is_full = plan.full || imported.full;
    let scope = if is_full { Scope::Everything } else { Scope::Changes };
    server.decide(run.id(), (&rules, &domains), scope, &steps).await?;
    let shown = show_all(&server, &rules, plan.json).await;
    if shown.is_ok()
        && let Some(file) = &plan.save
    {
        let changes = changes(&server.state, server.connected.target, &rules.names).await?;
        let kept = Kept { version: VERSION, made_of: rules.made_of(&domains), changes };
        keep(file, &kept)?;
    }
    server.state.close().await;
    shown
}

/// Runs `connect apply`: the changes of a kept plan and no others, if all of them still hold.
pub(super) async fn apply(apply: Apply) -> Result<(), Failure> {
    let kept = read(&apply.plan)?;
    let mut server = Server::open(&apply.state).await?;
    let steps = Steps::begin();
    let _turn = Turn::take(&apply.state, &steps).await?;
    let run = Running::begin(&server.state, None, "apply").await?;
    let outcome = Box::pin(applied(&mut server, kept, &apply, &run, &steps)).await;
    let counts = outcome.as_ref().map(Counted::counts).unwrap_or_default();
    run.end(&outcome, counts).await?;
    let exported = outcome?;
    if let Some(closed) = &exported.closed {
        return Err(Failure::new(closed.line()));
    }
    if apply.json {
        print_json(&exported)?;
        return gate::check_held(&exported.held);
    }
    for refused in &exported.refused {
        println!("refused: {}: {}", refused.anchor, plain(&refused.why));
    }
    println!(
        "{} added, {} changed, {} deleted, {} references; {} refused",
        exported.added,
        exported.updated,
        exported.deleted,
        exported.references,
        exported.refused.len()
    );
    gate::check_held(&exported.held)
}

/// Makes the changes of a kept plan as a run.
async fn applied(
    server: &mut Server,
    kept: Kept,
    apply: &Apply,
    run: &Running,
    steps: &Steps,
) -> Result<Exported, Failure> {
    let imported = server.import(run, (None, Extent::Delta), 0, steps).await?;
    let domains = Box::pin(run.step("tenant", None, server.prepare(steps))).await?;
    let rules = server.rules().await?;
    let again = || "make a new plan with `portolan connect plan --save`";
    if rules.made_of(&domains) != kept.made_of {
        return Err(Failure::new(
            "the rules, the release or the tenant's domains changed since the plan",
        )
        .with_hint(again()));
    }
    let scope = if imported.full { Scope::Everything } else { Scope::Changes };
    let decided = server.decide(run.id(), (&rules, &domains), scope, steps);
    Box::pin(run.step("sync", None, decided)).await?;
    let now = changes(&server.state, server.connected.target, &rules.names).await?;
    let other: Vec<_> =
        kept.changes.iter().filter(|(what, digest)| now.get(*what) != Some(digest)).collect();
    if !other.is_empty() {
        let named: Vec<_> = other.iter().take(NAMED_MAX).map(|(what, _)| what.as_str()).collect();
        return Err(Failure::new(format!(
            "{} changes of the plan are other ones by now, or none: {}",
            other.len(),
            named.join("; ")
        ))
        .with_hint(again()));
    }
    let besides = now.len() - kept.changes.len();
    let chosen = Chosen::Kept(kept.changes);
    let exported = server.export(&rules, apply.allow_deletions, Some(&chosen), steps);
    let exported = Box::pin(run.step("export", None, exported)).await?;
    if besides > 0 {
        steps.say(None, &format!("{besides} changes came besides the plan's and stay pending"));
    }
    Ok(exported)
}

/// Every pending change by what it is about, with a digest of what is there and what is to be.
async fn changes(
    state: &State,
    target: ConnectorId,
    names: &Dictionary,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    let mut after = Place::default();
    loop {
        let pending = state.pending_exports(target, after, EXPORTS_AT_ONCE).await?;
        let Some(last) = pending.last() else { break };
        after = last.place;
        for export in &pending {
            all.insert(name_of(export), digest_of(export));
        }
    }
    let mut after = ReferencePlace::default();
    let mut references: HashMap<String, digest::Context> = HashMap::new();
    loop {
        let pending = state.pending_references(target, after, REFERENCES_AT_ONCE).await?;
        let Some(last) = pending.last() else { break };
        after = last.place;
        for export in &pending {
            let context = references.entry(name_of_reference(export, names));
            let context = context.or_insert_with(|| digest::Context::new(&digest::SHA256));
            context.update(if export.is_added { b"+" } else { b"-" });
            context.update(export.target.as_str().as_bytes());
            context.update(b"\0");
        }
    }
    let finished = references.into_iter().map(|(what, context)| (what, text(context)));
    all.extend(finished);
    Ok(all)
}

fn name_of(export: &Export) -> String {
    format!("{} {} {}", word(&export.pending), export.kind.as_str(), export.anchor)
}

fn name_of_reference(export: &ReferenceExport, names: &Dictionary) -> String {
    let attribute = names.show(export.attribute);
    format!("{attribute} of {} {}", export.kind.as_str(), export.anchor)
}

fn digest_of(export: &Export) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let none = Record::default();
    let after = match &export.pending {
        PendingExport::Add(record) | PendingExport::Update(record) => record,
        PendingExport::Delete => &none,
    };
    context.update(if export.confirmed.is_some() { b"there" } else { b"absent" });
    for record in [export.confirmed.as_ref().unwrap_or(&none), after] {
        context.update(&(record.as_octets().len() as u64).to_le_bytes());
        context.update(record.as_octets());
    }
    text(context)
}

fn text(context: digest::Context) -> String {
    hex::encode(context.finish())
}

const fn word(pending: &PendingExport) -> &'static str {
    match pending {
        PendingExport::Add(_) => "add",
        PendingExport::Update(_) => "change",
        PendingExport::Delete => "delete",
    }
}

fn keep(file: &Path, kept: &Kept) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::new(format!("cannot keep the plan in {}: {error}", file.display()))
    };
    let octets = serde_json::to_vec_pretty(kept).map_err(|error| wrong(&error))?;
    crate::files::write_private(file, &octets).map_err(|error| wrong(&error))?;
    let count = kept.changes.len();
    eprintln!("kept {count} changes; `portolan connect apply {}` makes them", file.display());
    Ok(())
}

fn read(file: &Path) -> Result<Kept, Failure> {
    let octets = std::fs::read(file)
        .map_err(|error| Failure::because(&format!("cannot read {}", file.display()), &error))?;
    let kept: Kept = serde_json::from_slice(&octets)
        .map_err(|error| Failure::because(&format!("{} is no plan", file.display()), &error))?;
    if kept.version != VERSION {
        let text = format!("{} is a plan of version {}", file.display(), kept.version);
        return Err(Failure::new(text).with_hint("make it anew with this release"));
    }
    Ok(kept)
}

async fn show_all(server: &Server, rules: &Ruleset, json: bool) -> Result<(), Failure> {
    let mut between = "[";
    let mut after = Place::default();
    let mut groups: BTreeMap<(&'static str, &'static str, Vec<String>), usize> = BTreeMap::new();
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
            let shown = show(export, &rules.names);
            if json {
                let line = serde_json::to_string(&shown)
                    .map_err(|error| Failure::because("cannot write the plan", &error))?;
                println!("{between}{line}");
                between = ",";
            } else {
                print(&shown);
                let is_update = matches!(export.pending, PendingExport::Update(_));
                let named = shown.attributes.iter().filter(|_| is_update);
                let names = named.map(|attribute| attribute.name.clone()).collect();
                *groups.entry((shown.change, shown.kind, names)).or_default() += 1;
            }
        }
    }
    if json {
        println!("{}", if between == "[" { "[]" } else { "]" });
        return Ok(());
    }
    for ((change, kind, names), count) in groups {
        let of = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        println!("{count:>8}  {change} {kind}{of}");
    }
    println!("{added} to add, {changed} to change, {deleted} to delete");
    Ok(())
}

fn print(shown: &Shown) {
    let Shown { change, kind, anchor, name, attributes } = shown;
    println!("{change:<7} {kind:<7} {anchor}  {}", plain(name.as_deref().unwrap_or("-")));
    if *change != "change" {
        return;
    }
    for Attribute { name, before, after } in attributes {
        println!("          {name}: {} -> {}", listed(before), listed(after));
    }
}

fn listed(values: &[String]) -> String {
    if values.is_empty() { "nothing".to_owned() } else { plain(&values.join(", ")).to_string() }
}

fn show(export: &Export, names: &Dictionary) -> Shown {
    let none = Record::default();
    let before = export.confirmed.as_ref().unwrap_or(&none);
    let after = match &export.pending {
        PendingExport::Add(record) | PendingExport::Update(record) => record,
        PendingExport::Delete => &none,
    };
    let mut ids: Vec<_> = before.iter().chain(after).map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    let differing = ids.into_iter().filter(|id| !before.values(*id).eq(after.values(*id)));
    let attributes = differing.map(|id| Attribute {
        name: names.show(id).to_string(),
        before: before.values(id).map(short).collect(),
        after: after.values(id).map(short).collect(),
    });
    let name = names.id("displayName").and_then(|id| {
        let record = if after.is_empty() { before } else { after };
        record.first(id).and_then(ValueRef::as_text).map(str::to_owned)
    });
    Shown {
        change: word(&export.pending),
        kind: export.kind.as_str(),
        anchor: export.anchor.to_string(),
        name,
        attributes: attributes.collect(),
    }
}

fn short(value: ValueRef<'_>) -> String {
    let text = value.to_text();
    let short: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
