//! `portolan connect init`: checks every connection, enrols this server, writes the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portolan_model::DnsName;
use portolan_net::kerberos::Credential;
use portolan_sync::target::TargetSystem;

use super::account::{Account, Held, SecretFile, forget_marks, principal};
use super::config::RawConfig;
use super::forest::Forest;
use super::forest_config::{RawForest, RawForests};
use super::joining::{Joined, TargetArguments};
use super::reach::{LdapArguments, RawReach, Reach, ReachArguments};
use super::rights;
use super::secrets::{self, Secrets, client_key, next_client_key};
use super::steps::Steps;
use crate::report::Failure;
use crate::terminal::plain;

/// What `connect init` is told.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Where this server keeps its configuration, key and connector space
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    #[command(flatten)]
    target: TargetArguments,
    /// The domain of the forest, such as corp.example
    #[arg(long, value_name = "DOMAIN")]
    forest: DnsName,
    /// The service account that reads the forest, by its sAMAccountName
    #[arg(long)]
    account: String,
    #[command(flatten)]
    secret: SecretArguments,
    #[command(flatten)]
    reach: ReachArguments,
    /// The edition of the chart whose ports are used
    #[arg(long, default_value = portolan_chart::DEFAULT_EDITION)]
    edition: String,
}

/// What the service account proves itself with: exactly one of two.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct SecretArguments {
    /// A file whose first line is the account's password; its owner alone may read it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A keytab with the account's AES keys, instead of a password; its owner alone may read it
    #[arg(long, value_name = "FILE")]
    keytab: Option<PathBuf>,
}

impl SecretArguments {
    /// The file, under a path that holds wherever a later command starts.
    pub(super) fn file(self) -> Result<SecretFile, Failure> {
        SecretFile::of(self.password_file, self.keytab).map_err(Failure::new)?.absolute()
    }
}

/// Runs `connect init`. The configuration is written last, when everything else has worked.
pub(super) async fn run(init: Init) -> Result<(), Failure> {
    let steps = Steps::begin();
    let joining = init.target.read()?;
    let secret_file = init.secret.clone().file()?;
    let read = Account::read(&init.account, &init.forest, &secret_file);
    let (account, held) = read.map_err(Failure::new)?;
    let earlier = RawConfig::existing(&init.state)?;
    if let Some(earlier) = &earlier {
        check_same(earlier, &init, joining.target())?;
    }
    let ports = earlier.as_ref().map(|earlier| earlier.ports.clone()).unwrap_or_default();
    let reach = reach(&init, ports.clone())?;
    let network = reach.network()?;
    let earlier_forests = earlier.as_ref().map(|earlier| earlier.forest.0.clone());
    let kept = secret_file.is_handed_over().then(|| secret_file.clone());
    let mut forest = raw_forest(&init.forest, &init.account, &init.reach.ldap, kept)?;
    // A name server is only ever told to `connect forest add`.
    if let Some(before) = earlier_forests.iter().flatten().find(|one| one.is_of(&init.forest)) {
        forest.name_servers.clone_from(&before.name_servers);
        forest.domains.clone_from(&before.domains);
    }

    let credential = account.offered(&absolute(&init.state)?)?;
    prove(&forest, &reach, credential, &steps).await?;

    crate::files::private_directory(&init.state).map_err(|error| {
        Failure::because(&format!("cannot make {}", init.state.display()), &error)
    })?;
    let mut secrets = Secrets::open(&init.state)?;
    let joined = joining.join(&network, &secrets, earlier.as_ref(), &steps).await?;
    let (client_id, succeeds) = (joined.client_id, joined.succeeds);
    let key = [(client_key(client_id), &joined.private)];
    let key = key.each_ref().map(|(name, private)| (name.as_str(), private.as_slice()));
    secrets.change(&key, &[], portolan_net::clock::now())?;
    seal(&mut secrets, &init.account, &init.forest, &held, secret_file.is_handed_over())?;
    let mut forests = RawForests(earlier_forests.unwrap_or_default());
    match forests.of_mut(&init.forest) {
        Some(before) => *before = forest,
        None => forests.0.push(forest),
    }
    let told = Told { forests, ports };
    let config = configuration(&init, joined, told, earlier.as_ref())?;
    config.write(&init.state)?;
    forget_marks(&init.state, &init.forest)?;
    if let Some(earlier) = earlier {
        forget(&mut secrets, &earlier, &config)?;
        let id = plain(earlier.client_id().unwrap_or_default());
        if succeeds {
            steps.say(None, &format!("it succeeds application {id}: what that wrote is its own"));
        } else if earlier.tenant.is_some() {
            let text = format!(
                "it was application {id}: if that is listed, `portolan tenant sync-server remove {id}`"
            );
            steps.say(None, &text);
        }
    }
    say_done(&steps, &init.state, &secrets, &secret_file);
    Ok(())
}

/// What is where now, and what comes next.
fn say_done(steps: &Steps, state: &Path, secrets: &Secrets, secret_file: &SecretFile) {
    let master = secrets.key_file().display();
    let sealed = if secret_file.is_handed_over() {
        "its key is".to_owned()
    } else {
        let file = secret_file.path().display();
        format!("its key and the account's secret are ({file} may go)")
    };
    let sealed = format!("{sealed} sealed under {master}, which no backup of it should have");
    steps.say(None, &sealed);
    steps.say(None, &format!("the configuration is in {}", state.display()));
    steps.say(None, "next: `portolan connect run --once`, or `connect plan` to look first");
}

/// What the file says besides what the command was told.
struct Told {
    /// The forests that an earlier file names, and the one that this command was told.
    forests: RawForests,
    ports: BTreeMap<String, u16>,
}

fn configuration(
    init: &Init,
    joined: Joined,
    Told { forests, ports }: Told,
    earlier: Option<&RawConfig>,
) -> Result<RawConfig, Failure> {
    let reach = &init.reach;
    let (mut tenant, mut graph) = (joined.tenant, joined.graph);
    let file = optional(reach.proxy_credentials_file.as_deref())?;
    if let Some(tenant) = &mut tenant {
        (tenant.proxy, tenant.proxy_credentials_file) = (reach.proxy.clone(), file.clone());
    }
    if let Some(graph) = &mut graph {
        (graph.proxy, graph.proxy_credentials_file) = (reach.proxy.clone(), file);
    }
    Ok(RawConfig {
        edition: init.edition.clone(),
        forest: forests,
        tenant,
        graph,
        ports,
        // How this server runs is not what it is enrolled as.
        staging: earlier.is_some_and(|earlier| earlier.staging),
        guard: earlier.and_then(|earlier| earlier.guard.clone()),
        lease_seconds: earlier.and_then(|earlier| earlier.lease_seconds),
        metrics: earlier.and_then(|earlier| earlier.metrics.clone()),
        profile: earlier.map(|earlier| earlier.profile.clone()).unwrap_or_default(),
        schedule: earlier.map(|earlier| earlier.schedule.clone()).unwrap_or_default(),
    })
}

/// A forest as the file is to have it. `kept` is the file of the account's secret, if that is not sealed.
pub(super) fn raw_forest(
    domain: &DnsName,
    account: &str,
    ldap: &LdapArguments,
    kept: Option<SecretFile>,
) -> Result<RawForest, Failure> {
    let (password_file, keytab) = match kept {
        Some(SecretFile::Password(path)) => (Some(path), None),
        Some(SecretFile::Keytab(path)) => (None, Some(path)),
        None => (None, None),
    };
    Ok(RawForest {
        domain: domain.to_string(),
        domains: Vec::new(),
        account: account.to_owned(),
        password_file,
        keytab,
        ldap: ldap.ldap(),
        bind: ldap.bind(),
        ca_file: optional(ldap.ca.as_deref())?,
        name_servers: Vec::new(),
    })
}

/// Finds the controllers of a forest's domains, and proves every right that the account needs in each.
pub(super) async fn prove(
    forest: &RawForest,
    reach: &Reach,
    credential: Credential,
    steps: &Steps,
) -> Result<(), Failure> {
    let checked = forest.clone().checked().map_err(|problems| Failure::new(problems.join("; ")))?;
    let network = checked.network(reach)?;
    let find = async |domain| {
        let found = Forest::find(&network, domain, credential.clone(), steps).await?;
        Ok::<_, Failure>(found.over(checked.channel(&network)))
    };
    // The account's own domain knows it, whichever are read.
    let home = find(&checked.domain).await?;
    let account = rights::look_up(&home, &checked.domain, &checked.account, steps).await?;
    for domain in &checked.domains {
        if *domain == checked.domain {
            rights::prove(&home, domain, &account, steps).await?;
        } else {
            rights::prove(&find(domain).await?, domain, &account, steps).await?;
        }
    }
    Ok(())
}

/// Seals an account's secret, which its forest has taken, unless the service manager keeps it.
pub(super) fn seal(
    secrets: &mut Secrets,
    account: &str,
    domain: &DnsName,
    held: &Held,
    is_handed_over: bool,
) -> Result<(), Failure> {
    let now = portolan_net::clock::now();
    let (record, other) = held.records(account, domain);
    if is_handed_over {
        return secrets.change(&[], &[&record, &other], now);
    }
    secrets.change(&[(&record, held.octets())], &[&other], now)
}

/// Forgets the key of the application that this server was, and the secret of an account that it no
/// longer is: they have no use here any more.
fn forget(secrets: &mut Secrets, earlier: &RawConfig, config: &RawConfig) -> Result<(), Failure> {
    if let Some(path) = earlier.tenant.as_ref().and_then(|tenant| tenant.key_file.as_ref()) {
        let _ = std::fs::remove_file(path);
    }
    let mut over = Vec::new();
    if let Some(id) = earlier.client_id().filter(|id| config.client_id() != Some(*id))
        && let Ok(id) = id.parse()
    {
        over.extend([client_key(id), next_client_key(id)]);
    }
    let names = |config: &RawConfig| {
        let of = |forest: &RawForest| {
            forest.domain.parse().ok().map(|domain| principal(&forest.account, &domain))
        };
        config.forest.0.iter().filter_map(of).collect::<BTreeSet<_>>()
    };
    for account in names(earlier).difference(&names(config)) {
        over.extend([secrets::password(account), secrets::keytab(account)]);
    }
    let over: Vec<_> = over.iter().map(String::as_str).collect();
    secrets.change(&[], &over, portolan_net::clock::now())
}

/// A connector space belongs to its forests and one tenant: with another it would take for done what
/// never was.
fn check_same(
    earlier: &RawConfig,
    init: &Init,
    target: (TargetSystem, &str),
) -> Result<(), Failure> {
    let is_same_tenant = earlier.target().is_none_or(|before| before == target);
    if is_same_tenant && earlier.forest.of(&init.forest).is_some() {
        return Ok(());
    }
    let forests: Vec<_> = earlier.forest.0.iter().map(|forest| forest.domain.as_str()).collect();
    let text = format!(
        "{} synchronises {} to tenant {}, and not {} to tenant {}",
        init.state.display(),
        forests.join(", "),
        earlier.target().map_or("-", |(_, id)| id),
        init.forest,
        target.1
    );
    Err(Failure::new(text).with_hint(if is_same_tenant {
        "add a forest with `portolan connect forest add`, or name a new --state directory"
    } else {
        "name a new --state directory"
    }))
}

/// How everything is reached, by what this command was told and, for ports, by what an earlier file
/// says.
fn reach(init: &Init, ports: BTreeMap<String, u16>) -> Result<Reach, Failure> {
    let raw = RawReach {
        edition: &init.edition,
        proxy: init.reach.proxy.as_deref(),
        proxy_credentials_file: init.reach.proxy_credentials_file.as_deref(),
        ports,
    };
    let mut problems = Vec::new();
    Reach::check(raw, &mut problems).ok_or_else(|| Failure::new(problems.join("; ")))
}

fn optional(path: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    path.map(absolute).transpose()
}

/// A path that holds wherever a later run starts.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::because(&format!("cannot use {}", path.display()), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_not_turned_to_another_tenant_or_forest() {
        let earlier: RawConfig = toml::from_str(
            r#"
            edition = "2017-02-15"
            [forest]
            domain = "corp.example"
            account = "svc"
            password_file = "p"
            [tenant]
            id = "one"
            domain = "cloud.example"
            ca_sha256 = "00"
            client_id = "c"
            key_file = "k"
            "#,
        )
        .unwrap();
        let check = |forest: &str, tenant: &str| {
            let init = Init {
                state: "s".into(),
                target: TargetArguments::enrolment("e"),
                forest: forest.parse().unwrap(),
                account: "svc".to_owned(),
                secret: SecretArguments { password_file: Some("p".into()), keytab: None },
                reach: ReachArguments::default(),
                edition: "2017-02-15".to_owned(),
            };
            check_same(&earlier, &init, (TargetSystem::Tenant, tenant))
        };
        assert!(check("corp.example", "one").is_ok());
        let error = check("corp.example", "two").unwrap_err();
        assert_eq!(
            error.text(),
            "s synchronises corp.example to tenant one, and not corp.example to tenant two"
        );
        assert!(check("other.example", "one").is_err());
    }
}
