//! `portolan connect rules filters`: which units and groups filters name, by which objectGUID each is held,
//! and what has that now. From the state alone.

use portolan_model::Guid;
use portolan_store::state::State;
use portolan_sync::rules::Criterion;
use serde::Serialize;

use super::config::Config;
use super::cycle::FILE;
use super::synchronise::{Connected, Ruleset, pins};
use super::{Look, print_json};
use crate::report::Failure;
use crate::terminal::plain;

/// A filter, as it is shown.
#[derive(Serialize)]
struct Shown {
    filter: String,
    reason: String,
    /// The unit or group that it names, if it names one.
    held: Option<Held>,
}

/// A unit or group that a filter names.
#[derive(Serialize)]
struct Held {
    name: String,
    guid: Option<String>,
    /// The name of the object that has the objectGUID now.
    now: Option<String>,
    /// What is to be known of it besides.
    note: Option<String>,
}

/// Runs `connect rules filters`.
pub(super) async fn run(look: Look) -> Result<(), Failure> {
    let config = Config::read(&look.state)?;
    let state = State::open(&look.state.join(FILE)).await?;
    let rules = Ruleset::read(&look.state, &state).await?;
    let connected = Connected::of(&state, &config).await?;
    let mut all = Vec::new();
    for filter in rules.rules.filters().all() {
        let held = match filter.named() {
            Some(named) => Some(held(&state, &connected, &named.name, named.guid).await?),
            None => None,
        };
        all.push(Shown {
            filter: criterion(&filter.criterion),
            reason: filter.reason.clone(),
            held,
        });
    }
    if look.json {
        return print_json(&all);
    }
    for Shown { filter, reason, held } in &all {
        println!("{}: {}", plain(filter), plain(reason));
        let Some(Held { guid, now, note, .. }) = held else { continue };
        if let Some(guid) = guid {
            println!("  held by {guid}, now {}", plain(now.as_deref().unwrap_or("no object")));
        }
        if let Some(note) = note {
            println!("  note: {}", plain(note));
        }
    }
    println!("{} filters", all.len());
    Ok(())
}

/// Which objects a filter is about.
fn criterion(criterion: &Criterion) -> String {
    let word = |include: &bool| if *include { "only" } else { "not" };
    match criterion {
        Criterion::Domain { name, include } => format!("{} the domain {name}", word(include)),
        Criterion::Unit { unit, include } => format!("{} below {}", word(include), unit.name),
        Criterion::Group(group) => format!("only members of {}", group.name),
        Criterion::Where(clauses) => format!("not those for which {} clauses hold", clauses.len()),
    }
}

/// What a filter names, in whichever forest it is.
async fn held(
    state: &State,
    connected: &Connected,
    name: &str,
    written: Option<Guid>,
) -> Result<Held, Failure> {
    let (mut guid, mut now, mut named) = (written, None, None);
    for forest in &connected.forests {
        let forest = forest.connector;
        let pinned = pins(state, forest).await?.remove(name);
        let pinned = guid.or_else(|| pinned.and_then(|guid| guid.parse().ok()));
        if let Some(pinned) = pinned {
            guid = Some(pinned);
            now = state.name_of_guid(forest, &pinned).await?.or(now);
        }
        named = state.guid_of_name(forest, name).await?.or(named);
    }
    let note = match (&guid, &now, &named) {
        (None, _, None) => {
            Some(format!("no object has the name {name:?}: nothing is synchronised"))
        }
        (None, _, Some(_)) => Some("the next run holds it by its objectGUID".to_owned()),
        (Some(_), None, _) => Some("what it was held by is gone from the forest".to_owned()),
        (Some(held), _, Some(other)) if held != other => {
            Some(format!("another object has the name {name:?} by now, and is not meant"))
        }
        (Some(_), Some(now), None) if written.is_none() && !now.eq_ignore_ascii_case(name) => {
            Some(format!(
                "no object has the name {name:?} any more, so a state that is made anew would not \
                 find it: give its new name, or its objectGUID"
            ))
        }
        (Some(_), Some(_), _) => None,
    };
    Ok(Held { name: name.to_owned(), guid: guid.map(|guid| guid.to_string()), now, note })
}
