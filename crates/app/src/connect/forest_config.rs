//! The forests of the configuration: of each its domain, its account and how it is read.
//!
//! One forest stands as `[forest]`, several stand as `[[forest]]`, and either reads back as it was written.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use portolan_model::DnsName;
use portolan_net::Network;
use portolan_net::ldap::Channel;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use super::account::{self, Account, Held, SecretFile};
use super::reach::{ForestReach, RawBind, RawLdap, Reach};
use super::secrets::Secrets;
use super::steps::Steps;
use crate::report::Failure;

/// Forests of one server.
const FORESTS_MAX: usize = 100;
/// Domains of one forest.
const DOMAINS_MAX: usize = 100;

/// The forests as the file has them.
#[derive(Debug, Default)]
pub(super) struct RawForests(pub(super) Vec<RawForest>);

/// A forest as the file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawForest {
    /// The forest root domain.
    pub(super) domain: String,
    /// The domains of it that are read, each with the account of the forest; without any named, the one above
    /// alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) domains: Vec<String>,
    /// The service account of the domain above, `name` or `name@domain`.
    pub(super) account: String,
    /// The file with the account's password, readable by its owner alone; or else a keytab. Without
    /// either, the secret is sealed in the state directory. Only a credential of the service manager
    /// stays in a file: any other one is sealed by the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) password_file: Option<PathBuf>,
    /// The keytab with the account's AES keys, readable by its owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keytab: Option<PathBuf>,
    /// How the directory is read: `sealed` (389) or `ldaps` (636).
    #[serde(default)]
    pub(super) ldap: RawLdap,
    /// How the account is proven inside TLS: `kerberos` or `simple`.
    #[serde(default)]
    pub(super) bind: RawBind,
    /// The authorities of the domain controllers' certificates, as PEM; for `ldaps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<PathBuf>,
    /// The name servers that know this forest, where those of the host do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) name_servers: Vec<IpAddr>,
}

/// A forest, checked.
#[derive(Debug, Clone)]
pub(super) struct ForestConfig {
    /// The forest root domain, which names the forest.
    pub(super) domain: DnsName,
    /// The domains of it that are read, of which there is one at least.
    pub(super) domains: Vec<DnsName>,
    /// The account that reads it, as configured.
    pub(super) account: String,
    /// Where the account's secret is; sealed in the state directory when it is nowhere else.
    secret_file: Option<SecretFile>,
    reach: ForestReach,
    name_servers: Vec<IpAddr>,
}

impl RawForests {
    /// The forest of a domain.
    pub(super) fn of(&self, domain: &DnsName) -> Option<&RawForest> {
        self.0.iter().find(|forest| forest.is_of(domain))
    }

    /// The same, to be changed.
    pub(super) fn of_mut(&mut self, domain: &DnsName) -> Option<&mut RawForest> {
        self.0.iter_mut().find(|forest| forest.is_of(domain))
    }

    /// Checks all of them, and puts what is wrong beside the other problems of the file.
    pub(super) fn check(self, problems: &mut Vec<String>) -> Vec<ForestConfig> {
        if self.0.is_empty() {
            problems.push("forest: none is named".to_owned());
        }
        if self.0.len() > FORESTS_MAX {
            problems.push(format!("forest: more than {FORESTS_MAX} are named"));
        }
        let is_one = self.0.len() == 1;
        let mut forests: Vec<ForestConfig> = Vec::new();
        for raw in self.0 {
            let key = if is_one { "forest".to_owned() } else { format!("forest[{}]", raw.domain) };
            let Some(forest) = raw.check(&key, problems) else { continue };
            if forests.iter().any(|other| other.domain == forest.domain) {
                problems.push(format!("{key}.domain: it is named twice"));
                continue;
            }
            let others = forests.iter().flat_map(|other| &other.domains);
            let is_elsewhere = |domain: &&DnsName| others.clone().any(|other| other == *domain);
            if let Some(domain) = forest.domains.iter().find(is_elsewhere) {
                problems.push(format!("{key}.domains: {domain} is read as one of another forest"));
            }
            forests.push(forest);
        }
        forests
    }
}

impl RawForest {
    /// Whether it is the forest of a domain.
    pub(super) fn is_of(&self, domain: &DnsName) -> bool {
        self.domain.parse::<DnsName>().is_ok_and(|own| own == *domain)
    }

    /// Seals the secret that stands in a file, unless the service manager hands that over. True when the
    /// file is not named any more.
    pub(super) fn adopt_file(
        &mut self,
        domain: &DnsName,
        state: &Path,
        now: OffsetDateTime,
    ) -> Result<bool, Failure> {
        let (password, keytab) = (self.password_file.clone(), self.keytab.clone());
        let Ok(file) = SecretFile::of(password, keytab) else { return Ok(false) };
        // A refused file is to be corrected first, and one that does not read says so when it is used.
        if file.is_handed_over() || account::is_marked(state, domain) {
            return Ok(false);
        }
        let Ok(held) = Held::read(&file) else { return Ok(false) };
        let (record, other) = held.records(&self.account, domain);
        Secrets::open(state)?.change(&[(&record, held.octets())], &[&other], now)?;
        (self.password_file, self.keytab) = (None, None);
        let sealed =
            format!("the account's secret is sealed now; {} may go", file.path().display());
        Steps::begin().say(None, &sealed);
        Ok(true)
    }

    /// Checks it alone.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn checked(self) -> Result<ForestConfig, Vec<String>> {
        let mut problems = Vec::new();
        self.check("forest", &mut problems).ok_or(problems)
    }

    fn check(self, key: &str, problems: &mut Vec<String>) -> Option<ForestConfig> {
        let reach =
            ForestReach::check(self.ldap, self.bind, self.ca_file.as_deref(), key, problems);
        let domain = self.domain.parse();
        let domain = domain.map_err(|error| problems.push(format!("{key}.domain: {error}"))).ok();
        let domains = domains(&self.domains, domain.as_ref(), key, problems);
        let secret_file = match (self.password_file, self.keytab) {
            (None, None) => Ok(None),
            (password, keytab) => SecretFile::of(password, keytab).map(Some),
        };
        let secret_file =
            secret_file.map_err(|error| problems.push(format!("{key}.keytab: {error}"))).ok();
        Some(ForestConfig {
            domain: domain?,
            domains: domains?,
            account: self.account,
            secret_file: secret_file?,
            reach: reach?,
            name_servers: self.name_servers,
        })
    }
}

/// The domains that are read, each of them once.
fn domains(
    named: &[String],
    forest: Option<&DnsName>,
    key: &str,
    problems: &mut Vec<String>,
) -> Option<Vec<DnsName>> {
    if named.is_empty() {
        return forest.map(|forest| vec![forest.clone()]);
    }
    if named.len() > DOMAINS_MAX {
        problems.push(format!("{key}.domains: more than {DOMAINS_MAX} are named"));
    }
    let mut domains = Vec::<DnsName>::new();
    for name in named {
        match name.parse() {
            Ok(domain) if domains.contains(&domain) => {
                problems.push(format!("{key}.domains: {domain} is named twice"));
            }
            Ok(domain) => domains.push(domain),
            Err(error) => problems.push(format!("{key}.domains: {error}")),
        }
    }
    Some(domains)
}

impl ForestConfig {
    /// The domains that are read beside one of them.
    pub(super) fn besides(&self, domain: &DnsName) -> Vec<DnsName> {
        self.domains.iter().filter(|other| *other != domain).cloned().collect()
    }

    /// The account with its secret, which is read now.
    pub(super) fn account(&self, state: &Path) -> Result<Account, Failure> {
        let account = match &self.secret_file {
            Some(file) => {
                Account::read(&self.account, &self.domain, file).map(|(account, _)| account)
            }
            None => Account::sealed(&self.account, &self.domain, &Secrets::open(state)?),
        };
        account.map_err(|problem| {
            Failure::new(format!("the account of forest {} cannot be used: {problem}", self.domain))
                .with_hint("give its secret to `portolan connect credential set`")
        })
    }

    /// The network by which the forest is reached: connect's, with the forest's own name servers.
    pub(super) fn network(&self, reach: &Reach) -> Result<Network, Failure> {
        reach.network_with((!self.name_servers.is_empty()).then(|| self.name_servers.clone()))
    }

    /// How LDAP connections to it are protected.
    pub(super) fn channel(&self, network: &Network) -> Channel {
        self.reach.channel(network)
    }

    /// Whether LDAP runs inside TLS.
    pub(super) const fn is_ldaps(&self) -> bool {
        self.reach.is_ldaps()
    }
}

impl Serialize for RawForests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RawForests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// Reads a table, or an array of tables, and says of either what is wrong inside.
struct OneOrSeveral;

impl<'de> Visitor<'de> for OneOrSeveral {
    type Value = RawForests;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[forest] once, or [[forest]] for each of several")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawForests, A::Error> {
        RawForest::deserialize(MapAccessDeserializer::new(map)).map(|one| RawForests(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawForests, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(RawForests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct File {
        forest: RawForests,
    }

    const ONE: &str = "[forest]\ndomain = \"corp.example\"\naccount = \"svc\"\nldap = \"sealed\"\nbind = \"kerberos\"\n";

    #[test]
    fn one_forest_is_a_table_and_several_are_an_array_and_either_reads_back() {
        let check = |text: &str, domains: &[&str]| {
            let file: File = toml::from_str(text).unwrap();
            let found: Vec<_> = file.forest.0.iter().map(|one| one.domain.as_str()).collect();
            assert_eq!(found, domains);
            assert_eq!(toml::to_string(&file).unwrap(), text);
        };
        check(ONE, &["corp.example"]);
        let other = ONE.replace("corp", "other");
        let several = format!("{ONE}\n{other}name_servers = [\"192.0.2.53\"]\n");
        check(&several.replace("[forest]", "[[forest]]"), &["corp.example", "other.example"]);
    }

    #[test]
    fn what_is_wrong_inside_is_said_of_either_form() {
        let wrong = ONE.replace("account", "acount");
        for text in [wrong.clone(), wrong.replace("[forest]", "[[forest]]")] {
            let error = toml::from_str::<File>(&text).unwrap_err().to_string();
            assert!(error.contains("unknown field `acount`"), "{error}");
        }
        let none = toml::from_str::<File>("forest = 1").unwrap_err().to_string();
        assert!(none.contains("[[forest]] for each of several"), "{none}");
    }

    #[test]
    fn each_forest_is_named_in_what_is_wrong_with_it_and_none_stands_twice() {
        let problems = |forests: &str| {
            let file: File = toml::from_str(forests).unwrap();
            let mut problems = Vec::new();
            file.forest.check(&mut problems);
            problems
        };
        let array = ONE.replace("[forest]", "[[forest]]");
        let tls = array.replace("corp", "other").replace("sealed", "ldaps");
        assert_eq!(
            problems(&format!("{array}{tls}{}", array.replace("corp", "CORP"))),
            [
                "forest[other.example].ca_file: forest[other.example].ldap = \"ldaps\" needs it",
                "forest[CORP.example].domain: it is named twice",
            ]
        );
        assert_eq!(problems("forest = []"), ["forest: none is named"]);
        let domains = "domains = [\"child.corp.example\", \"CHILD.corp.example\", \"a b\"]\n";
        let child = array.replace("corp", "child.corp");
        assert_eq!(
            problems(&format!("{array}{domains}{child}")),
            [
                "forest[corp.example].domains: child.corp.example is named twice",
                "forest[corp.example].domains: \"a b\" is no DNS name: labels of 1 to 63 letters, digits and hyphens",
                "forest[child.corp.example].domains: child.corp.example is read as one of another forest",
            ]
        );
    }

    #[test]
    fn the_domain_that_names_a_forest_is_read_unless_others_are_named() {
        let read = |more: &str| {
            let file: File = toml::from_str(&format!("{ONE}{more}")).unwrap();
            let forests = file.forest.check(&mut Vec::new());
            forests[0].domains.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(read(""), ["corp.example"]);
        assert_eq!(read("domains = [\"child.corp.example\"]"), ["child.corp.example"]);
    }
}
