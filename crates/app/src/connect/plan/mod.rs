//! `portolan connect plan`: what a run would change, shown and not done; and `portolan connect apply`: a
//! plan that was kept, done as it is.
//!
//! A plan is made on a copy of the state by the code that a run uses. What of it is kept names each change
//! with a digest of what is there and what is to be. It is applied only if the rules are the same and each
//! of its changes still comes of them, to the octet; what came besides stays pending.

mod entries;
mod kept;
mod show;

use std::path::PathBuf;

use aws_lc_rs::digest;
use portolan_store::state::State;
use portolan_sync::engine::Engine;
use portolan_sync::engine::plan::Digest;

use self::entries::Planning;
use self::kept::Kept;
use self::show::Show;
use super::cycle::Server;
use super::export::Exported;
use super::gate;
use super::print_json;
use super::profile::Extent;
use super::running::{Counted, Running};
use super::scratch::Scratch;
use super::steps::Steps;
use super::synchronise::{Domains, Ruleset, Scope, Surroundings};
use super::turn::Turn;
use crate::report::Failure;
use crate::terminal::plain;

pub(super) use self::kept::Chosen;

/// Changes that are named when a plan does not hold any more.
const NAMED_MAX: usize = 5;

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

/// Runs `connect plan`: reads the forest into a copy of the state, decides there, and shows what would be
/// exported; the tenant is only asked for its domains.
pub(super) async fn run(plan: Plan) -> Result<(), Failure> {
    let mut server = Server::open(&plan.state).await?;
    let steps = Steps::begin();
    let copy = Scratch::copy(&server.state, &plan.state).await?;
    let before = server.state.clone();
    server.state = copy.open().await?;
    let run = Running::begin(&server.state, None, "plan").await?;
    let imported = server.import(&run, (None, Extent::Delta), 0, &steps).await?;
    let domains = server.prepare(&steps).await?;
    let rules = server.rules().await?;
    let is_full = plan.full || imported.full;
    let scope = if is_full { Scope::Everything } else { Scope::Changes };
    server.decide(run.id(), (&rules, &domains), scope, &steps).await?;
    let shown = shown(&plan, &server, &rules, &domains, &before).await;
    server.state.close().await;
    shown
}

/// Shows what was decided in a copy of the state, and keeps it if it is to be.
async fn shown(
    plan: &Plan,
    server: &Server,
    rules: &Ruleset,
    domains: &Domains,
    before: &State,
) -> Result<(), Failure> {
    let engine = rules.engine(&server.connected, domains);
    let surroundings = surroundings(server, rules).await?;
    let planning = planning(server, rules, domains, &engine, &surroundings);
    Show::new(&planning, before, plan.json).await?.all().await?;
    if let Some(file) = &plan.save {
        Kept::new(rules.made_of(domains), planning.changes().await?).write(file)?;
    }
    Ok(())
}

async fn surroundings(server: &Server, rules: &Ruleset) -> Result<Surroundings, Failure> {
    Surroundings::by(&server.state, rules, &server.connected).await
}

fn planning<'a>(
    server: &'a Server,
    rules: &'a Ruleset,
    domains: &Domains,
    engine: &'a Engine<'a>,
    surroundings: &'a Surroundings,
) -> Planning<'a> {
    let digest = digest::digest(&digest::SHA256, rules.made_of(domains).as_bytes());
    let digest: Digest = digest.as_ref().try_into().unwrap_or_default();
    let (state, target) = (&server.state, server.connected.target);
    let system = server.config.system.kind();
    Planning { state, engine, rules, surroundings, target, system, digest }
}

/// Runs `connect apply`: the changes of a kept plan and no others, if all of them still hold.
pub(super) async fn apply(apply: Apply) -> Result<(), Failure> {
    let kept = Kept::read(&apply.plan)?;
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
    let engine = rules.engine(&server.connected, &domains);
    let surroundings = surroundings(server, &rules).await?;
    let now = planning(server, &rules, &domains, &engine, &surroundings).changes().await?;
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
