//! Who changes the forest: the account that reads it, unless another one is named.

use std::path::PathBuf;

use portolan_model::DnsName;
use portolan_net::kerberos::Credential;
use portolan_net::ldap::LdapConnection;
use portolan_net::{Network, clock};

use super::account::{Account, SecretFile};
use super::config::{Config, RawConfig};
use super::forest::Forest;
use super::forest_config::ForestConfig;
use super::steps::Steps;
use crate::report::Failure;

/// What a command that changes the forest is told of it.
#[derive(Debug, clap::Args)]
pub(super) struct WriterArguments {
    /// The state directory that `connect init` wrote
    #[arg(long, default_value = super::STATE)]
    pub(super) state: PathBuf,
    /// The account that changes the forest, in place of the one that reads it
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// A file whose first line is its password; its owner alone may read it
    #[arg(long, value_name = "FILE", requires = "account", conflicts_with = "keytab")]
    password_file: Option<PathBuf>,
    /// A keytab with its AES keys; its owner alone may read it
    #[arg(long, value_name = "FILE", requires = "account")]
    keytab: Option<PathBuf>,
    /// The forest that is changed, where there are several
    #[arg(long, value_name = "DOMAIN")]
    forest: Option<DnsName>,
}

/// An account that changes the forest.
pub(super) struct Writer {
    /// The forest that it changes.
    pub(super) forest: ForestConfig,
    /// Its name, as configured or given.
    pub(super) account: String,
    network: Network,
    credential: Credential,
}

impl Writer {
    /// Reads the configuration and the account's secret.
    pub(super) fn open(arguments: WriterArguments) -> Result<Self, Failure> {
        let WriterArguments { state, account, password_file, keytab, forest } = arguments;
        RawConfig::adopt(&state, clock::now())?;
        let config = Config::read(&state)?;
        let forest = config.forest(forest.as_ref())?.clone();
        let network = forest.network(&config.reach)?;
        let credential = match &account {
            None => forest.account(&state)?.credential(&state)?,
            Some(name) => {
                let file = SecretFile::of(password_file, keytab)
                    .map_err(|_| Failure::new("--account needs --password-file or --keytab"))?;
                let read = Account::read(name, &forest.domain, &file.absolute()?);
                read.map_err(Failure::new)?.0.offered(&state)?
            }
        };
        let account = account.unwrap_or_else(|| forest.account.clone());
        Ok(Self { forest, account, network, credential })
    }

    /// A protected connection to a controller of the domain that names the forest.
    pub(super) async fn connect(&self, steps: &Steps) -> Result<LdapConnection, Failure> {
        self.connect_to(&self.forest.domain, steps).await
    }

    /// A protected connection to a controller of a domain of the forest that takes changes.
    pub(super) async fn connect_to(
        &self,
        domain: &DnsName,
        steps: &Steps,
    ) -> Result<LdapConnection, Failure> {
        let forest = Forest::find(&self.network, domain, self.credential.clone(), steps).await?;
        forest.over(self.forest.channel(&self.network)).ldap(steps).await
    }
}
