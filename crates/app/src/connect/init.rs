//! `portolan connect init`: checks every connection, enrols this server, writes the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portolan_chart::flow;
use portolan_model::{DnsName, Guid};
use portolan_net::kerberos::Credential;
use portolan_net::tls::Fingerprint;
use portolan_tenant::wire::{EnrolResponse, EnrolmentFile};

use super::account::{Account, Held, SecretFile, forget_marks, principal};
use super::config::{RawConfig, RawTenant, parse_fingerprint};
use super::forest::Forest;
use super::forest_config::{RawForest, RawForests};
use super::reach::{LdapArguments, RawReach, Reach, ReachArguments};
use super::secrets::{self, Secrets, client_key, next_client_key};
use super::steps::Steps;
use super::tenant_client::Predecessor;
use super::{key, rights, tenant_client};
use crate::report::Failure;
use crate::terminal::plain;

/// What `connect init` is told.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Where this server keeps its configuration, key and connector space
    #[arg(long, default_value = super::STATE)]
    state: PathBuf,
    /// The file that `portolan tenant enrol` wrote; it works once, within an hour
    #[arg(long, value_name = "FILE")]
    enrol: PathBuf,
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
    let enrolment = read_enrolment(&init.enrol)?;
    let secret_file = init.secret.clone().file()?;
    let read = Account::read(&init.account, &init.forest, &secret_file);
    let (account, held) = read.map_err(Failure::new)?;
    let earlier = RawConfig::existing(&init.state)?;
    if let Some(earlier) = &earlier {
        check_same(earlier, &init, &enrolment)?;
    }
    let ports = earlier.as_ref().map(|earlier| earlier.ports.clone()).unwrap_or_default();
    let reach = reach(&init, ports.clone())?;
    let network = reach.network()?;
    let chart = network.chart().clone();
    let earlier_forests = earlier.as_ref().map(|earlier| earlier.forest.0.clone());
    let kept = secret_file.is_handed_over().then(|| secret_file.clone());
    let mut forest = raw_forest(&init.forest, &init.account, &init.reach.ldap, kept)?;
    // A name server is only ever told to `connect forest add`.
    if let Some(before) = earlier_forests.iter().flatten().find(|one| one.is_of(&init.forest)) {
        forest.name_servers.clone_from(&before.name_servers);
    }

    let credential = account.offered(&absolute(&init.state)?)?;
    prove(&forest, &reach, credential, &steps).await?;

    crate::files::private_directory(&init.state).map_err(|error| {
        Failure::because(&format!("cannot make {}", init.state.display()), &error)
    })?;
    let mut secrets = Secrets::open(&init.state)?;
    let (key, private) = key::make()?;
    let ca = parse_fingerprint(&enrolment.ca_sha256).map_err(Failure::new)?;
    let client = tenant_client::client(&network, Fingerprint::new(ca));
    let was = earlier.as_ref().and_then(|earlier| predecessor(&secrets, earlier));
    let enrolled = tenant_client::enrol(&client, &enrolment, &key, was.as_ref()).await?;
    steps.over(&chart, flow::CONNECT_TENANT_CRL, "the tenant's certificate is not revoked");
    let done = format!(
        "enrolled as application {} of tenant {}",
        enrolled.client_id, enrolled.tenant.tenant_id
    );
    steps.over(&chart, flow::CONNECT_TENANT_SYNC, &done);

    let client_id: Guid = enrolled.client_id.parse().map_err(|error| {
        Failure::because("the tenant names an application that is none", &error)
    })?;
    let replaced = enrolled.replaced.clone();
    secrets.change(&[(&client_key(client_id), &private)], &[], portolan_net::clock::now())?;
    seal(&mut secrets, &init.account, &init.forest, &held, secret_file.is_handed_over())?;
    let mut forests = RawForests(earlier_forests.unwrap_or_default());
    match forests.of_mut(&init.forest) {
        Some(before) => *before = forest,
        None => forests.0.push(forest),
    }
    let told = Told { forests, ports };
    let config = configuration(&init, enrolment.ca_sha256, enrolled, told, earlier.as_ref())?;
    config.write(&init.state)?;
    forget_marks(&init.state, &init.forest)?;
    if let Some(earlier) = earlier {
        forget(&mut secrets, &earlier, &config)?;
        let id = plain(&earlier.tenant.client_id);
        let become_of = match &replaced {
            Some(_) => format!("it succeeds application {id}: what that wrote is its own"),
            None => format!(
                "it was application {id}: if that is listed, `portolan tenant sync-server remove {id}`"
            ),
        };
        steps.say(None, &become_of);
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
    ca_sha256: String,
    enrolled: EnrolResponse,
    Told { forests, ports }: Told,
    earlier: Option<&RawConfig>,
) -> Result<RawConfig, Failure> {
    let reach = &init.reach;
    Ok(RawConfig {
        edition: init.edition.clone(),
        forest: forests,
        tenant: RawTenant {
            id: enrolled.tenant.tenant_id,
            domain: enrolled.tenant.initial_domain,
            ca_sha256,
            client_id: enrolled.client_id,
            key_file: None,
            proxy: reach.proxy.clone(),
            proxy_credentials_file: optional(reach.proxy_credentials_file.as_deref())?,
        },
        ports,
        // How this server runs is not what it is enrolled as.
        metrics: earlier.and_then(|earlier| earlier.metrics.clone()),
        profile: earlier.map(|earlier| earlier.profile.clone()).unwrap_or_default(),
        schedule: earlier.map(|earlier| earlier.schedule.clone()).unwrap_or_default(),
    })
}

/// The application that this server was, with the key in use and the one that was to take its place.
fn predecessor(secrets: &Secrets, earlier: &RawConfig) -> Option<Predecessor> {
    let id: Guid = earlier.tenant.client_id.parse().ok()?;
    let of_file = earlier.tenant.key_file.as_deref().and_then(|path| key::read_file(path).ok());
    let sealed = [client_key(id), next_client_key(id)];
    let sealed = sealed.iter().filter_map(|name| secrets.get(name).ok().flatten());
    let keys = of_file.into_iter().chain(sealed).filter_map(|private| key::parse(&private).ok());
    let keys: Vec<_> = keys.collect();
    (!keys.is_empty()).then_some(Predecessor { client_id: id.to_string(), keys })
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
        account: account.to_owned(),
        password_file,
        keytab,
        ldap: ldap.ldap(),
        bind: ldap.bind(),
        ca_file: optional(ldap.ca.as_deref())?,
        name_servers: Vec::new(),
    })
}

/// Finds a forest's controllers, and proves every right that the account needs there.
pub(super) async fn prove(
    forest: &RawForest,
    reach: &Reach,
    credential: Credential,
    steps: &Steps,
) -> Result<(), Failure> {
    let checked = forest.clone().checked().map_err(|problems| Failure::new(problems.join("; ")))?;
    let (network, domain) = (checked.network(reach)?, &checked.domain);
    let found = Forest::find(&network, domain, credential, steps).await?;
    rights::prove(&found.over(checked.channel(&network)), domain, &checked.account, steps).await
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
    if let Some(path) = &earlier.tenant.key_file {
        let _ = std::fs::remove_file(path);
    }
    let mut over = Vec::new();
    if let Ok(id) = earlier.tenant.client_id.parse() {
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
fn check_same(earlier: &RawConfig, init: &Init, enrolment: &EnrolmentFile) -> Result<(), Failure> {
    let is_same_tenant = earlier.tenant.id == enrolment.tenant_id;
    if is_same_tenant && earlier.forest.of(&init.forest).is_some() {
        return Ok(());
    }
    let forests: Vec<_> = earlier.forest.0.iter().map(|forest| forest.domain.as_str()).collect();
    let text = format!(
        "{} synchronises {} to tenant {}, and not {} to tenant {}",
        init.state.display(),
        forests.join(", "),
        earlier.tenant.id,
        init.forest,
        enrolment.tenant_id
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

fn read_enrolment(path: &Path) -> Result<EnrolmentFile, Failure> {
    let doing = format!("cannot read the enrolment file {}", path.display());
    let hint = "make one with `portolan tenant enrol` on the tenant";
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::because(&doing, &error).with_hint(hint))?;
    serde_json::from_str(&text).map_err(|error| Failure::because(&doing, &error).with_hint(hint))
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
                enrol: "e".into(),
                forest: forest.parse().unwrap(),
                account: "svc".to_owned(),
                secret: SecretArguments { password_file: Some("p".into()), keytab: None },
                reach: ReachArguments::default(),
                edition: "2017-02-15".to_owned(),
            };
            let enrolment = format!(
                r#"{{"tenant_id":"{tenant}","host":"h","ca_sha256":"00","secret":"x","expires":"x"}}"#
            );
            check_same(&earlier, &init, &serde_json::from_str(&enrolment).unwrap())
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
