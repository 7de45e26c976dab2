//! `portolan connect guard`: what waits because it would take too much away, and letting it through.

use portolan_model::SourceAnchor;
use portolan_store::state::{Release, State};
use portolan_sync::TenantKind;
use portolan_sync::engine::ConnectorId;
use portolan_sync::guard::{Allowance, Loss, Quarantine, Quarantined, Toll};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::config::Config;
use super::cycle::FILE;
use super::running::{Counted, Counts, Running};
use super::synchronise::Connected;
use super::{Look, print_json};
use crate::report::Failure;

/// Hours for which what is released may be lost, unless the administrator says otherwise.
const RELEASED_HOURS: u32 = 24;

/// What `connect guard` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Guard {
    /// Show what waits in quarantine, and how much was lost lately
    Status(Look),
    /// Let through what waits now, and nothing else: if more is to be lost by then, all of it waits again
    Release(Releasing),
}

/// What is released.
#[derive(Debug, clap::Args)]
pub struct Releasing {
    #[command(flatten)]
    look: Look,
    /// Only this: user, contact, group, device, references, or members (of groups)
    #[arg(long)]
    kind: Option<String>,
    /// Only the members of the group with this sourceAnchor
    #[arg(long, value_name = "ANCHOR")]
    group: Option<String>,
    /// For so many hours
    #[arg(long, value_name = "HOURS", default_value_t = RELEASED_HOURS,
        value_parser = clap::value_parser!(u32).range(1..=24 * 31))]
    until: u32,
}

/// What waits, or may be lost, of a sort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Waiting {
    /// `user`, `contact`, `group`, `device`, `references` or `members`.
    pub(super) kind: &'static str,
    /// The group, of members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    there: u64,
    lost: u64,
    wanted: u64,
    limit: u64,
    released: u64,
    held: bool,
    /// In a sentence.
    pub(super) what: String,
}

/// What was let through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Released {
    /// Objects that may be deleted.
    objects: u64,
    /// References that may be removed: those of single groups are among all of them.
    references: u64,
}

impl Counted for Released {
    fn counts(&self) -> Counts {
        Counts {
            deleted: Some(self.objects),
            references: Some(self.references),
            ..Counts::default()
        }
    }
}

/// Runs `connect guard`.
pub(super) async fn run(guard: Guard) -> Result<(), Failure> {
    let look = match &guard {
        Guard::Status(look) => look,
        Guard::Release(releasing) => &releasing.look,
    };
    let config = Config::read(&look.state)?;
    let state = State::open(&look.state.join(FILE)).await?;
    let connected = Connected::of(&state, &config).await?;
    let now = portolan_net::clock::now();
    let target = connected.target;
    let tolls = tolls(&state, target, &config.guard, now).await?;
    let quarantine = config.guard.judge(tolls.clone());
    if let Guard::Release(releasing) = &guard {
        // Who let what through, and when, is asked later: it stands in the history as a run does.
        let run = Running::begin(&state, None, "guard release").await?;
        let released = release(&state, target, releasing, &quarantine, now);
        let released = run.step("release", None, released).await;
        let counts = released.as_ref().map(Counted::counts).unwrap_or_default();
        run.end(&released, counts).await?;
        return released.map(|_| ());
    }
    let waiting: Vec<_> = tolls.iter().map(|toll| waiting(toll, &config.guard)).collect();
    if look.json {
        return print_json(&waiting);
    }
    for one in &waiting {
        println!("{}  {}", if one.held { "held   " } else { "through" }, one.what);
    }
    if waiting.is_empty() {
        println!("nothing is to be deleted or removed");
    }
    Ok(())
}

async fn release(
    state: &State,
    target: ConnectorId,
    releasing: &Releasing,
    quarantine: &Quarantine,
    now: OffsetDateTime,
) -> Result<Released, Failure> {
    let group = releasing.group.as_deref().map(str::parse::<SourceAnchor>).transpose();
    let group = group.map_err(|error| Failure::because("this is no sourceAnchor", &error))?;
    let words =
        TenantKind::ALL.map(TenantKind::as_str).into_iter().chain(["references", "members"]);
    if let Some(kind) = &releasing.kind
        && !words.clone().any(|word| word == kind)
    {
        let words: Vec<_> = words.collect();
        return Err(Failure::new(format!("{kind:?} is none of {}", words.join(", "))).unjudged());
    }
    let is_meant = |loss: &Loss| {
        let of_kind = releasing.kind.as_deref().is_none_or(|kind| kind == loss.as_str());
        let of_group = group.as_ref().is_none_or(|group| *loss == Loss::Members(group.clone()));
        of_kind && of_group
    };
    let mut done = Released::default();
    for held in quarantine.iter().filter(|held| is_meant(&held.toll.loss)) {
        let count = let_through(state, target, held, releasing.until, now).await?;
        println!("released: {held}");
        let (sort, hours) = (held.toll.loss.as_str(), releasing.until);
        let group = match &held.toll.loss {
            Loss::Members(group) => group.as_str(),
            Loss::Objects(_) | Loss::References => "",
        };
        tracing::info!(target: "portolan::run", sort, group, count, hours, "Quarantine released");
        match held.toll.loss {
            Loss::Objects(_) => done.objects += held.toll.wanted,
            Loss::References | Loss::Members(_) => done.references += held.toll.wanted,
        }
    }
    if done == Released::default() {
        return Err(Failure::new("nothing of that waits in quarantine")
            .with_hint("look at `portolan connect guard status`"));
    }
    Ok(done)
}

/// Lets one of those that wait through, for so many hours. Gives how many that are, above what goes without a
/// word and what was let through before.
pub(super) async fn let_through(
    state: &State,
    target: ConnectorId,
    held: &Quarantined,
    hours: u32,
    now: OffsetDateTime,
) -> Result<u64, Failure> {
    let count = held.to_release().saturating_sub(held.toll.released);
    let until = now + Duration::hours(hours.into());
    let release = Release { loss: held.toll.loss.clone(), count, at: now, until };
    state.release(target, &release).await?;
    Ok(count)
}

/// What is to be lost in a target, and what was.
pub(super) async fn tolls(
    state: &State,
    target: ConnectorId,
    allowance: &Allowance,
    now: OffsetDateTime,
) -> Result<Vec<Toll>, Failure> {
    let name = state.dictionary().await?.id("displayName");
    let since = now.checked_sub(allowance.window).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(state.tolls(target, since, now, name).await?)
}

/// What is not exported now because it would take too much away. `allowed` deletions of a kind go through
/// above what goes without a word.
pub(super) async fn quarantine(
    state: &State,
    target: ConnectorId,
    allowance: &Allowance,
    allowed: usize,
    now: OffsetDateTime,
) -> Result<Quarantine, Failure> {
    let mut tolls = tolls(state, target, allowance, now).await?;
    for toll in &mut tolls {
        if let Loss::Objects(_) = toll.loss {
            toll.released = toll.released.saturating_add(allowed as u64);
        }
    }
    Ok(allowance.judge(tolls))
}

/// What the administrator reads of something that waits.
pub(super) fn waiting(toll: &Toll, allowance: &Allowance) -> Waiting {
    let held = allowance.judge([toll.clone()]);
    let limit = allowance.limit(&toll.loss, toll.there.saturating_add(toll.lost));
    let what = Quarantined { toll: toll.clone(), limit, window: allowance.window };
    Waiting {
        kind: toll.loss.as_str(),
        group: match &toll.loss {
            Loss::Members(group) => Some(group.to_string()),
            Loss::Objects(_) | Loss::References => None,
        },
        there: toll.there,
        lost: toll.lost,
        wanted: toll.wanted,
        limit,
        released: toll.released,
        held: !held.is_empty(),
        what: what.to_string(),
    }
}
