//! Who changes the forest: the account that reads it, unless another one is named.

use std::path::PathBuf;

use portolan_net::kerberos::Credential;
use portolan_net::ldap::LdapConnection;
use portolan_net::{Network, clock};

use super::account::{Account, SecretFile};
use super::config::{Config, RawConfig};
use super::forest::Forest;
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
}

/// An account that changes the forest.
pub(super) struct Writer {
    pub(super) config: Config,
    /// Its name, as configured or given.
    pub(super) account: String,
    network: Network,
    credential: Credential,
}

impl Writer {
    /// Reads the configuration and the account's secret.
    pub(super) fn open(arguments: WriterArguments) -> Result<Self, Failure> {
        let WriterArguments { state, account, password_file, keytab } = arguments;
        RawConfig::adopt(&state, clock::now())?;
        let config = Config::read(&state)?;
        let network = config.reach.network()?;
        let credential = match &account {
            None => config.account(&state)?.credential(&state)?,
            Some(name) => {
                let file = SecretFile::of(password_file, keytab)
                    .map_err(|_| Failure::new("--account needs --password-file or --keytab"))?;
                let read = Account::read(name, &config.forest_domain, &file.absolute()?);
                read.map_err(Failure::new)?.0.offered(&state)?
            }
        };
        let account = account.unwrap_or_else(|| config.account.clone());
        Ok(Self { config, account, network, credential })
    }

    /// A protected connection to a controller that takes changes.
    pub(super) async fn connect(&self, steps: &Steps) -> Result<LdapConnection, Failure> {
        let domain = &self.config.forest_domain;
        let forest = Forest::find(&self.network, domain, self.credential.clone(), steps).await?;
        forest.over(self.config.reach.channel(&self.network)).ldap(steps).await
    }
}
