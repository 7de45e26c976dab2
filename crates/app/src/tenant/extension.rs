//! `portolan tenant extension`: attributes that are added to the schema.

use portolan_model::Guid;
use portolan_net::clock;
use portolan_tenant::directory::{DataType, Definition, Kind};
use portolan_tenant::storage::{Access, Store as _, Transaction as _};
use serde_json::{Value as Json, json};

use super::commands::{audit, broken};
use super::{Listing, Place};
use crate::report::Failure;

/// What `portolan tenant extension` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add one: sync servers may write it from then on, under the name that is printed.
    Add(Add),
    /// List them.
    List(Listing),
    /// Remove one, with all its values.
    Remove(Remove),
}

/// The arguments of `extension add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    #[command(flatten)]
    place: Place,
    /// The name, letters, digits and underscores.
    name: String,
    /// What the values are: String, Integer, Boolean, DateTime, Binary.
    #[arg(long = "type", value_name = "TYPE", default_value = "String")]
    data_type: String,
    /// There are several values.
    #[arg(long)]
    list: bool,
    /// The kinds of objects that have it; can be given again.
    #[arg(long = "on", value_name = "KIND", default_value = "user")]
    kinds: Vec<String>,
    /// The application whose id stands in the whole name [default: the tenant itself].
    #[arg(long, value_name = "CLIENT_ID")]
    app: Option<Guid>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The arguments of `extension remove`.
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    place: Place,
    /// The whole name.
    name: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(arguments) => add(arguments).await,
        Command::List(arguments) => list(&arguments.place, arguments.json).await,
        Command::Remove(arguments) => remove(arguments).await,
    }
}

fn described(definition: &Definition) -> Json {
    let kinds: Vec<_> = definition.kinds.iter().map(|kind| kind.as_str()).collect();
    json!({"name": definition.name, "dataType": definition.data_type.as_str(),
        "isMultiValued": definition.is_list, "targetObjects": kinds})
}

async fn add(arguments: Add) -> Result<(), Failure> {
    let Add { place, name, data_type, list, kinds, app, json } = arguments;
    let data_type = DataType::from_word(&data_type).ok_or_else(|| {
        let known = DataType::ALL.map(DataType::as_str).join(", ");
        Failure::new(format!("{data_type:?} is no type")).with_hint(format!("give one of {known}"))
    })?;
    let kind = |word: &String| {
        let hint = "give user, contact, group or device";
        Kind::from_word(word)
            .ok_or_else(|| Failure::new(format!("{word:?} is no kind of object")).with_hint(hint))
    };
    let kinds = kinds.iter().map(kind).collect::<Result<_, _>>()?;
    let store = place.open().await?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    let application = match app {
        Some(app) => app,
        None => tx.tenant().await.map_err(broken)?.id,
    };
    let whole = Definition::whole_name(application, &name).ok_or_else(|| {
        Failure::new(format!("{name:?} is no name of an extension"))
            .with_hint("give a letter, then letters, digits and underscores, at most 64")
    })?;
    let definition = Definition { name: whole, data_type, is_list: list, kinds };
    if !tx.add_extension(&definition).await.map_err(broken)? {
        return Err(Failure::new(format!("there is an extension {}", definition.name))
            .with_hint("remove it first, with its values, or choose another name"));
    }
    audit(&mut tx, "extension.add", definition.name.clone(), clock::now()).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    if json {
        println!("{}", described(&definition));
    } else {
        println!("{}", definition.name);
    }
    Ok(())
}

async fn list(place: &Place, json: bool) -> Result<(), Failure> {
    let store = place.open().await?;
    let mut tx = store.begin(Access::Read).await.map_err(broken)?;
    let all = tx.extensions().await.map_err(broken)?;
    drop(tx);
    store.close().await;
    if json {
        println!("{}", all.iter().map(described).collect::<Json>());
        return Ok(());
    }
    for one in &all {
        let kinds: Vec<_> = one.kinds.iter().map(|kind| kind.as_str()).collect();
        let list = if one.is_list { "list of " } else { "" };
        println!("{}: {list}{}, of {}", one.name, one.data_type.as_str(), kinds.join(", "));
    }
    Ok(())
}

async fn remove(arguments: Remove) -> Result<(), Failure> {
    let Remove { place, name, json } = arguments;
    let is_name = Definition::is_name(&name);
    let store = place.open().await?;
    let mut tx = store.begin(Access::Write).await.map_err(broken)?;
    if !is_name || !tx.remove_extension(&name).await.map_err(broken)? {
        return Err(Failure::new(format!("there is no extension {name:?}"))
            .with_hint("see `portolan tenant extension list`"));
    }
    audit(&mut tx, "extension.remove", name.clone(), clock::now()).await?;
    tx.commit().await.map_err(broken)?;
    store.close().await;
    if json {
        println!("{}", json!({"removed": name}));
    } else {
        println!("{name} is removed, with all its values");
    }
    Ok(())
}
