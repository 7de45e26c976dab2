//! The domains of a forest: which there are, which are read, and what goes from one to another.
//!
//! A forest's domains are named by its configuration; which of them are read is the administrator's to say.
//! One that is new in the forest is told of, and not read before somebody says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portolan_model::DnsName;
use portolan_net::ldap::LdapConnection;
use portolan_store::state::{Partition, State};
use portolan_sync::engine::ConnectorId;
use serde::{Deserialize, Serialize};

use super::config::{Config, RawConfig};
use super::cycle::FILE;
use super::forest::Forest;
use super::forest_config::{ForestConfig, RawForest};
use super::import::{self, Imported, Named, Reading};
use super::source::Source;
use super::steps::Steps;
use super::synchronise::Connected;
use super::{init, print_json};
use crate::report::Failure;

/// What is remembered of a forest: its domains, as it named them last.
const DOMAINS: &str = "domains";
/// How long that is believed, in seconds.
const BELIEVED_SECONDS: i64 = 3_600;
/// How long an object that moved to another domain is waited for, in seconds: its new domain's controllers
/// may hear of it late.
const MOVING_SECONDS: i64 = 24 * 3_600;

/// What `connect forest domains` is told.
#[derive(Debug, clap::Args)]
pub struct Domains {
    /// The domain that names the forest
    #[arg(value_name = "FOREST")]
    forest: DnsName,
    /// Read this domain of it too, from the next run on; the account's rights there are proven first
    #[arg(long, value_name = "DOMAIN", conflicts_with = "leave")]
    read: Option<DnsName>,
    /// Read this domain no more. What came of it alone is deleted in the tenant by the next run, which the
    /// limit of deletions may hold back
    #[arg(long, value_name = "DOMAIN")]
    leave: Option<DnsName>,
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A forest's domains as they are remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    /// When the forest named them (Unix time).
    at: i64,
    domains: Vec<Named>,
}

/// A domain of a forest, and what this server does with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Standing {
    pub(super) domain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) netbios: Option<String>,
    /// Whether it is read.
    pub(super) read: bool,
    /// Whether the forest has it, where that was ever asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exists: Option<bool>,
    /// Whether it was read whole once.
    pub(super) imported: bool,
    /// How many objects of it are imported.
    pub(super) objects: u64,
}

impl Standing {
    /// One line for the operator.
    pub(super) fn line(&self) -> String {
        let Self { domain, read, exists, imported, objects, .. } = self;
        match (read, exists) {
            (true, Some(false)) => {
                format!("{domain}: {objects} objects imported; the forest does not have it")
            }
            (true, _) if !imported => format!("{domain}: not read whole yet"),
            (true, _) => format!("{domain}: {objects} objects imported"),
            (false, _) => format!("{domain}: not read"),
        }
    }
}

/// Asks a controller for the domains of its forest, when everything is read or it was not asked for long, and
/// tells of those that are news. What fails is told, and changes nothing of what is read.
pub(super) async fn look(
    connection: &mut LdapConnection,
    source: &Source,
    state: &State,
    in_any_case: bool,
) -> Vec<String> {
    let found = async {
        let forest = source.partition.forest;
        let (seen, now) = (remembered(state, forest).await?, portolan_net::clock::now());
        let now = now.unix_timestamp();
        if !in_any_case && (seen.at..seen.at + BELIEVED_SECONDS).contains(&now) {
            return Ok(Vec::new());
        }
        let domains = import::domains(connection).await?;
        let notes = news(&source.config, &seen.domains, &domains);
        remember(state, forest, &Seen { at: now, domains }).await?;
        Ok::<_, Failure>(notes)
    };
    found.await.unwrap_or_else(|failure| {
        vec![format!("which domains the forest has is not known: {}", failure.text())]
    })
}

/// The NetBIOS names of the domains of forests, as each forest named them last.
pub(super) async fn netbios_names(
    state: &State,
    connected: &Connected,
) -> Result<BTreeMap<DnsName, String>, Failure> {
    let mut names = BTreeMap::new();
    for forest in &connected.forests {
        let named = remembered(state, forest.connector).await?.domains;
        let parsed =
            named.into_iter().filter_map(|one| Some((one.domain.parse().ok()?, one.netbios?)));
        names.extend(parsed);
    }
    Ok(names)
}

/// What is new about a forest's domains.
fn news(forest: &ForestConfig, before: &[Named], now: &[Named]) -> Vec<String> {
    let own = &forest.domain;
    let is_in = |domains: &[Named], name: &str| domains.iter().any(|one| one.domain == name);
    let is_read = |name: &str| forest.domains.iter().any(|domain| domain.as_str() == name);
    let mut notes = Vec::new();
    for Named { domain, .. } in now {
        if !is_read(domain) && !is_in(before, domain) {
            notes.push(format!(
                "{domain} is a domain of forest {own} and is not read; \
                 `portolan connect forest domains {own} --read {domain}` reads it"
            ));
        }
    }
    for domain in &forest.domains {
        let name = domain.as_str();
        if !is_in(now, name) && (before.is_empty() || is_in(before, name)) {
            notes.push(format!("forest {own} has no domain {domain}, which is to be read"));
        }
    }
    notes
}

/// Lets objects of domains leave that are read no more, and says how many.
pub(super) async fn leave(
    state: &State,
    connected: &Connected,
    steps: &Steps,
) -> Result<(), Failure> {
    for forest in &connected.forests {
        let own = (Partition::from(forest.connector), forest.domain.to_string());
        for (partition, domain) in
            [own].into_iter().chain(state.partitions(forest.connector).await?)
        {
            let is_read = forest.domains.iter().any(|(_, of)| *of == partition);
            if is_read || !is_known(state, partition).await? {
                continue;
            }
            let left = state.leave_partition(partition).await?;
            let forest = &forest.domain;
            let said = format!("domain {domain} of {forest} is read no more: {left} objects left");
            steps.say(None, &said);
        }
    }
    Ok(())
}

async fn is_known(state: &State, of: Partition) -> Result<bool, Failure> {
    Ok(state.forest_cursor(of).await?.is_some() || state.partition_count(of).await? > 0)
}

/// Looks in the domains that were read for what departed from others of their forest. Where all of a forest
/// were read, what is in none of them is gone.
pub(super) async fn settle(
    sources: &mut [&mut Source],
    unread: &[DnsName],
    (directory, state): (&Path, &State),
    reading: &Reading,
    steps: &Steps,
) -> Result<Imported, Failure> {
    let mut settled = Imported::default();
    let forests: BTreeSet<_> = sources.iter().map(|source| source.partition.forest).collect();
    for forest in forests {
        if state.departed(forest, 1).await?.is_empty() {
            continue;
        }
        let mut is_whole = true;
        let of = sources.iter_mut().filter(|source| source.partition.forest == forest);
        for source in of {
            // Why it was not read is told already.
            if unread.contains(&source.domain) {
                is_whole = false;
                continue;
            }
            if let Err(failure) = look_in(source, directory, state, reading, steps).await {
                is_whole = false;
                steps.of(&source.domain).say(None, &format!("not searched: {}", failure.text()));
            }
        }
        if is_whole {
            let now = portolan_net::clock::now().unix_timestamp();
            settled.removed += state.remove_departed(forest, now - MOVING_SECONDS).await?;
        }
    }
    Ok(settled)
}

async fn look_in(
    source: &mut Source,
    directory: &Path,
    state: &State,
    reading: &Reading,
    steps: &Steps,
) -> Result<(), Failure> {
    let mut connection = source.find(directory, &Steps::quiet()).await?.ldap(steps).await?;
    let looked = import::look_for_departed(&mut connection, &source.staging(state, reading)).await;
    // How the controller takes the goodbye changes nothing.
    let _ = connection.close().await;
    looked
}

/// What is known of the domains of a forest, without the network.
pub(super) async fn standing(
    state: &State,
    forest: &ForestConfig,
    connector: ConnectorId,
) -> Result<Vec<Standing>, Failure> {
    let (seen, known) = (remembered(state, connector).await?, state.partitions(connector).await?);
    let names = forest.domains.iter().map(ToString::to_string);
    let names: BTreeSet<_> =
        names.chain(seen.domains.iter().map(|named| named.domain.clone())).collect();
    let mut all = Vec::new();
    for domain in names {
        let partition = if domain == forest.domain.as_str() {
            Some(connector.into())
        } else {
            known.iter().find(|(_, name)| *name == domain).map(|(partition, _)| *partition)
        };
        let named = seen.domains.iter().find(|named| named.domain == domain);
        let (imported, objects) = match partition {
            Some(of) => {
                (state.forest_cursor(of).await?.is_some(), state.partition_count(of).await?)
            }
            None => (false, 0),
        };
        all.push(Standing {
            read: forest.domains.iter().any(|read| read.as_str() == domain),
            netbios: named.and_then(|named| named.netbios.clone()),
            exists: (seen.at > 0).then_some(named.is_some()),
            domain,
            imported,
            objects,
        });
    }
    Ok(all)
}

/// Runs `connect forest domains`.
pub(super) async fn run(told: Domains) -> Result<(), Failure> {
    let Domains { forest, read, leave, state: directory, json } = told;
    RawConfig::adopt(&directory, portolan_net::clock::now())?;
    let config = Config::read(&directory)?;
    let own = config.forest(Some(&forest))?;
    let state = State::open(&directory.join(FILE)).await?;
    let connected = Connected::of(&state, &config).await?;
    let of = connected.forests.iter().find(|known| known.domain == forest);
    let connector = of
        .map(|known| known.connector)
        .ok_or_else(|| Failure::new(format!("{forest} is no forest of ours")))?;
    let steps = Steps::begin();
    let before = remembered(&state, connector).await?.domains;
    let domains = ask(&config, own, &directory, &steps).await?;
    let at = portolan_net::clock::now().unix_timestamp();
    remember(&state, connector, &Seen { at, domains: domains.clone() }).await?;
    if let Some(domain) = read {
        begin_to_read(&config, own, &domain, &domains, &directory, &steps).await?;
    } else if let Some(domain) = leave {
        cease_to_read(own, &domain, &directory)?;
    } else {
        for note in news(own, &before, &domains) {
            steps.say(None, &format!("note: {note}"));
        }
    }
    let config = Config::read(&directory)?;
    let all = standing(&state, config.forest(Some(&forest))?, connector).await?;
    if json {
        return print_json(&all);
    }
    for one in &all {
        println!("{}", one.line());
    }
    Ok(())
}

/// Asks the forest for its domains: a controller of the domain that names it, or else of one that is read.
async fn ask(
    config: &Config,
    forest: &ForestConfig,
    directory: &Path,
    steps: &Steps,
) -> Result<Vec<Named>, Failure> {
    let network = forest.network(&config.reach)?;
    let credential = forest.account(directory)?.credential(directory)?;
    let found = Forest::find(&network, &forest.domain, credential, steps).await?;
    let mut connection = found.over(forest.channel(&network)).ldap(steps).await?;
    let domains = import::domains(&mut connection).await?;
    let _ = connection.close().await;
    Ok(domains)
}

async fn begin_to_read(
    config: &Config,
    forest: &ForestConfig,
    domain: &DnsName,
    there: &[Named],
    directory: &Path,
    steps: &Steps,
) -> Result<(), Failure> {
    let own = &forest.domain;
    if forest.domains.contains(domain) {
        return Err(Failure::new(format!("domain {domain} is read already")));
    }
    if !there.iter().any(|named| named.domain == domain.as_str()) {
        return Err(Failure::new(format!("forest {own} has no domain {domain}")).with_hint(format!(
            "`portolan connect forest domains {own}` shows those that it has; another forest is \
             added by `portolan connect forest add`"
        )));
    }
    let mut domains = forest.domains.clone();
    domains.push(domain.clone());
    let (raw, before) = with(directory, own, &domains)?;
    let alone = RawForest { domains: vec![domain.to_string()], ..before };
    let credential = forest.account(directory)?.credential(directory)?;
    init::prove(&alone, &config.reach, credential, steps).await?;
    raw.write(directory)?;
    steps.say(None, &format!("domain {domain} is read from the next run on"));
    steps.say(None, "next: `portolan connect plan`, which shows what comes of it");
    Ok(())
}

fn cease_to_read(forest: &ForestConfig, domain: &DnsName, directory: &Path) -> Result<(), Failure> {
    let own = &forest.domain;
    let domains = forest.besides(domain);
    if domains.len() == forest.domains.len() {
        return Err(Failure::new(format!("domain {domain} of {own} is not read")));
    }
    if domains.is_empty() {
        return Err(Failure::new(format!("{domain} is the only domain of {own} that is read"))
            .with_hint(format!(
                "`portolan connect forest remove {own}` reads the forest no more"
            )));
    }
    with(directory, own, &domains)?.0.write(directory)?;
    println!("domain {domain} is read no more from the next run on");
    println!("next: `portolan connect plan`, which shows what comes of that in the tenant");
    Ok(())
}

/// The configuration with other domains of a forest, and that forest before.
fn with(
    directory: &Path,
    forest: &DnsName,
    domains: &[DnsName],
) -> Result<(RawConfig, RawForest), Failure> {
    let none = || Failure::new(format!("{forest} is no forest of ours"));
    let mut raw = RawConfig::existing(directory)?.ok_or_else(none)?;
    let own = raw.forest.of_mut(forest).ok_or_else(none)?;
    let before = own.clone();
    // Alone it need not be named.
    let is_usual = matches!(domains, [only] if only == forest);
    own.domains =
        if is_usual { Vec::new() } else { domains.iter().map(ToString::to_string).collect() };
    Ok((raw, before))
}

async fn remembered(state: &State, forest: ConnectorId) -> Result<Seen, Failure> {
    let seen = state.remembered(forest, DOMAINS).await?;
    Ok(seen.and_then(|octets| serde_json::from_slice(&octets).ok()).unwrap_or_default())
}

async fn remember(state: &State, forest: ConnectorId, seen: &Seen) -> Result<(), Failure> {
    let octets = serde_json::to_vec(seen)
        .map_err(|error| Failure::because("cannot keep the forest's domains", &error))?;
    Ok(state.remember(forest, DOMAINS, &octets).await?)
}

#[cfg(test)]
mod tests {
    use portolan_store::state::ImportedObject;
    use portolan_sync::ObjectKind;
    use portolan_sync::record::Record;

    use super::*;
    use crate::connect::forest_config::RawForest;

    const CHILD: &str = "child.corp.example";

    /// A forest of which these domains are read.
    fn forest(domains: &[&str]) -> ForestConfig {
        let text = format!("domain = \"corp.example\"\naccount = \"svc\"\ndomains = {domains:?}\n");
        toml::from_str::<RawForest>(&text).unwrap().checked().unwrap()
    }

    fn named(domains: &[&str]) -> Vec<Named> {
        let named = |domain: &&str| Named { domain: (*domain).to_owned(), netbios: None };
        domains.iter().map(named).collect()
    }

    #[test]
    fn a_domain_that_is_new_is_told_of_once_and_one_that_is_read_and_is_gone_too() {
        let check = |read: &[&str], before: &[&str], now: &[&str], expected: &[&str]| {
            let notes = news(&forest(read), &named(before), &named(now));
            assert_eq!(notes, expected);
        };
        let new = "child.corp.example is a domain of forest corp.example and is not read; \
                   `portolan connect forest domains corp.example --read child.corp.example` reads it";
        let (both, root) = (["corp.example", CHILD], ["corp.example"]);
        check(&root, &[], &both, &[new]);
        check(&root, &root, &both, &[new]);
        check(&root, &both, &both, &[]);
        check(&both, &root, &both, &[]);
        let gone = "forest corp.example has no domain child.corp.example, which is to be read";
        check(&both, &both, &root, &[gone]);
        check(&both, &root, &root, &[]);
    }

    #[tokio::test]
    async fn a_domain_that_is_taken_out_leaves_and_the_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join(FILE)).await.unwrap();
        let [root, target]: [DnsName; 2] =
            ["corp.example", "cloud.example"].map(|name| name.parse().unwrap());
        let mut connected = Connected::by(&state, &[root], &target).await.unwrap();
        let connector = connected.forests[0].connector;
        let child = state.partition(connector, CHILD).await.unwrap();
        connected.forests[0].domains.push((CHILD.parse().unwrap(), child));
        for (number, of) in [(1, connector.into()), (2, child)] {
            let mut import = state.begin_full_import(of).await.unwrap();
            let object = ImportedObject {
                guid: portolan_model::Guid::from_random([number; 16]),
                kind: ObjectKind::User,
                parent: None,
                dn: format!("CN=o{number},DC=x").parse().unwrap(),
                record: Record::default(),
                references: Vec::new(),
            };
            import.put(object).await.unwrap();
            import.finish(b"cursor").await.unwrap();
        }
        let seen = Seen { at: 1, domains: named(&["corp.example", CHILD, "new.corp.example"]) };
        remember(&state, connector, &seen).await.unwrap();
        let lines = async |read: &[&str]| {
            let all = standing(&state, &forest(read), connector).await.unwrap();
            all.iter().map(Standing::line).collect::<Vec<_>>()
        };
        let both = ["corp.example", CHILD];
        leave(&state, &connected, &Steps::quiet()).await.unwrap();
        let kept = ["child.corp.example: 1 objects imported", "corp.example: 1 objects imported"];
        assert_eq!(lines(&both).await[..2], kept);
        assert_eq!(lines(&both).await[2], "new.corp.example: not read");
        connected.forests[0].domains.pop();
        leave(&state, &connected, &Steps::quiet()).await.unwrap();
        let left = ["child.corp.example: not read", "corp.example: 1 objects imported"];
        assert_eq!(lines(&["corp.example"]).await[..2], left);
        assert_eq!(lines(&both).await[0], "child.corp.example: not read whole yet");
    }

    #[tokio::test]
    async fn netbios_names_are_those_that_the_forest_named_last() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(&directory.path().join(FILE)).await.unwrap();
        let [root, target]: [DnsName; 2] =
            ["corp.example", "cloud.example"].map(|name| name.parse().unwrap());
        let connected = Connected::by(&state, std::slice::from_ref(&root), &target).await.unwrap();
        assert_eq!(netbios_names(&state, &connected).await.unwrap(), [].into());
        let mut domains = named(&["corp.example", CHILD]);
        domains[0].netbios = Some("CONTOSO".to_owned());
        let connector = connected.forests[0].connector;
        remember(&state, connector, &Seen { at: 1, domains }).await.unwrap();
        let known = netbios_names(&state, &connected).await.unwrap();
        assert_eq!(known, [(root, "CONTOSO".to_owned())].into());
    }
}
