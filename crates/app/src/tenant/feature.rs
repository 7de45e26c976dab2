//! `portolan tenant feature`: the switches of synchronisation.

use portolan_net::clock;
use portolan_tenant::feature::Feature;
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Value as Json, json};

use super::commands::{audit, broken};
use super::{Listing, Place};
use crate::report::Failure;

/// What `portolan tenant feature` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the switches.
    List(Listing),
    /// Turn one on or off.
    Set(Set),
}

/// The arguments of `feature set`.
#[derive(Debug, clap::Args)]
pub struct Set {
    #[command(flatten)]
    place: Place,
    /// The switch, by Graph's name for it.
    name: String,
    /// On or off.
    #[arg(value_parser = ["on", "off"])]
    state: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(&arguments.place, arguments.json).await,
        Command::Set(arguments) => set(arguments).await,
    }
}

async fn list(place: &Place, json: bool) -> Result<(), Failure> {
    let store = place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let features = tx.features().await.map_err(broken)?;
    drop(tx);
    store.close().await;
    if json {
        let line = |feature: Feature| {
            json!({"name": feature.as_str(), "enabled": features.has(feature),
                "meaning": feature.meaning()})
        };
        println!("{}", Feature::ALL.into_iter().map(line).collect::<Json>());
        return Ok(());
    }
    for feature in Feature::ALL {
        let state = if features.has(feature) { "on" } else { "off" };
        println!("{} {state}: {}", feature.as_str(), feature.meaning());
    }
    Ok(())
}

async fn set(arguments: Set) -> Result<(), Failure> {
    let Set { place, name, state, json } = arguments;
    let feature = Feature::from_word(&name).ok_or_else(|| {
        let known = Feature::ALL.map(Feature::as_str).join(", ");
        Failure::new(format!("{name:?} is no switch")).with_hint(format!("give one of {known}"))
    })?;
    let enabled = state == "on";
    let store = place.open().await?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    tx.put_feature(feature, enabled).await.map_err(broken)?;
    let target = format!("{} {state}", feature.as_str());
    audit(&mut tx, "feature.set", target, clock::now()).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    if json {
        println!("{}", json!({"name": feature.as_str(), "enabled": enabled}));
    } else {
        println!("{} is {state}", feature.as_str());
    }
    Ok(())
}
