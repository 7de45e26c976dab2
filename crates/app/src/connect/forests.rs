//! `portolan connect forest`: the forests that this server reads beside one another.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use portolan_model::DnsName;
use portolan_store::state::State;
use portolan_sync::engine::Side;
use serde::Serialize;

use super::account::{Account, forget_marks, principal};
use super::config::{Config, RawConfig};
use super::cycle::FILE;
use super::domains::{self, Domains, Standing};
use super::init::{self, SecretArguments};
use super::reach::LdapArguments;
use super::secrets::{self, Secrets};
use super::steps::Steps;
use super::{Look, print_json};
use crate::report::Failure;

/// What `portolan connect forest` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Forests {
    /// Read another forest beside those that are read: its connections and its account's rights are
    /// checked as `connect init` does, and its secret is sealed
    Add(Add),
    /// Show the forests
    List(Look),
    /// Show the domains of a forest, as it names them now, and say which are read
    Domains(Domains),
    /// Read a forest no more. What came of it alone is deleted in the tenant by the next run, which the
    /// limit of deletions may hold back
    Remove(Remove),
}

/// What `connect forest add` is told.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The domain of the forest, such as other.example
    #[arg(value_name = "DOMAIN")]
    domain: DnsName,
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// The service account that reads the forest, by its sAMAccountName
    #[arg(long)]
    account: String,
    #[command(flatten)]
    secret: SecretArguments,
    #[command(flatten)]
    ldap: LdapArguments,
    /// A name server that knows the forest, where those of this host do not; it may be given several times
    #[arg(long = "name-server", value_name = "ADDRESS")]
    name_servers: Vec<IpAddr>,
}

/// What `connect forest remove` is told.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// The domain of the forest
    #[arg(value_name = "DOMAIN")]
    domain: DnsName,
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
}

/// Runs `connect forest`.
pub(super) async fn run(command: Forests) -> Result<(), Failure> {
    match command {
        Forests::Add(told) => add(told).await,
        Forests::List(look) => list(&look).await,
        Forests::Domains(told) => domains::run(told).await,
        Forests::Remove(told) => remove(&told).await,
    }
}

/// The configuration is written last, when everything else has worked.
async fn add(told: Add) -> Result<(), Failure> {
    let Add { domain, state, account: name, secret, ldap, name_servers } = told;
    let mut raw = configured(&state)?;
    let config = Config::read(&state)?;
    if config.forests.iter().any(|forest| forest.domain == domain) {
        return Err(Failure::new(format!("forest {domain} is read already")).with_hint(
            "`portolan connect credential set --forest` gives its account another secret",
        ));
    }
    let steps = Steps::begin();
    let file = secret.file()?;
    let (account, held) = Account::read(&name, &domain, &file).map_err(Failure::new)?;
    let kept = file.is_handed_over().then(|| file.clone());
    let mut forest = init::raw_forest(&domain, &name, &ldap, kept)?;
    forest.name_servers = name_servers;
    let credential = account.offered(&init::absolute(&state)?)?;
    init::prove(&forest, &config.reach, credential, &steps).await?;
    init::seal(&mut Secrets::open(&state)?, &name, &domain, &held, file.is_handed_over())?;
    raw.forest.0.push(forest);
    raw.write(&state)?;
    forget_marks(&state, &domain)?;
    if !file.is_handed_over() {
        let sealed = format!("the account's secret is sealed; {} may go", file.path().display());
        steps.say(None, &sealed);
    }
    steps.say(None, &format!("forest {domain} is read from the next run on"));
    steps.say(None, "next: `portolan connect plan`, which shows what comes of it");
    Ok(())
}

/// A forest, as JSON has it.
#[derive(Serialize)]
struct Listed {
    forest: String,
    account: String,
    ldap: &'static str,
    objects: u64,
    domains: Vec<Standing>,
}

async fn list(look: &Look) -> Result<(), Failure> {
    let config = Config::read(&look.state)?;
    let state = State::open(&look.state.join(FILE)).await?;
    let mut listed = Vec::new();
    for forest in &config.forests {
        let connector = state.connector(&forest.domain.to_string(), Side::Forest).await?;
        let counts = state.object_counts(connector).await?;
        listed.push(Listed {
            forest: forest.domain.to_string(),
            account: forest.account.clone(),
            ldap: if forest.is_ldaps() { "inside TLS" } else { "sealed by Kerberos" },
            objects: counts.iter().map(|(_, count)| count).sum(),
            domains: domains::standing(&state, forest, connector).await?,
        });
    }
    if look.json {
        return print_json(&listed);
    }
    for forest in &listed {
        let Listed { forest, account, ldap, objects, domains } = forest;
        println!("{forest} as {account}, {ldap}: {objects} objects imported");
        for domain in domains.iter().filter(|_| domains.len() > 1) {
            println!("  {}", domain.line());
        }
    }
    Ok(())
}

/// The objects go first: broken off behind that, the forest is read anew and nothing is lost.
async fn remove(told: &Remove) -> Result<(), Failure> {
    let Remove { domain, state: directory } = told;
    let mut raw = configured(directory)?;
    let state = State::open(&directory.join(FILE)).await?;
    let known = state.connectors().await?.into_iter().find(|system| {
        system.side == Side::Forest
            && system.name.parse::<DnsName>().is_ok_and(|own| own == *domain)
    });
    let forest = raw.forest.of(domain).cloned();
    if known.is_none() && forest.is_none() {
        return Err(Failure::new(format!("{domain} is no forest of ours"))
            .with_hint("`portolan connect forest list` names them"));
    }
    raw.forest.0.retain(|forest| !forest.is_of(domain));
    if raw.forest.0.is_empty() {
        return Err(Failure::new(format!("{domain} is the only forest"))
            .with_hint("add another one first, or remove this server at the tenant"));
    }
    let mut removed = 0;
    if let Some(system) = known {
        removed = state.begin_full_import(system.id).await?.finish(&[]).await?.removed;
        state.forget_forest_cursor(system.id).await?;
        for (partition, _) in state.partitions(system.id).await? {
            removed += state.leave_partition(partition).await?;
        }
    }
    raw.write(directory)?;
    if let Some(forest) = forest {
        let account = principal(&forest.account, domain);
        let over = [secrets::password(&account), secrets::keytab(&account)];
        let over: Vec<_> = over.iter().map(String::as_str).collect();
        Secrets::open(directory)?.change(&[], &over, portolan_net::clock::now())?;
    }
    println!("forest {domain} is read no more: {removed} objects of it are gone from the state");
    println!("next: `portolan connect plan`, which shows what comes of that in the tenant");
    Ok(())
}

fn configured(state: &Path) -> Result<RawConfig, Failure> {
    RawConfig::adopt(state, portolan_net::clock::now())?;
    RawConfig::existing(state)?.ok_or_else(|| {
        Failure::new("this server is not configured").with_hint("run `portolan connect init` first")
    })
}
