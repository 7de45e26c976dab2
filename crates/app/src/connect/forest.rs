//! The forest as connect reaches it: which controller, as whom.

use portolan_chart::{Chart, Role, flow};
use portolan_model::{DnsName, Realm, SecretString};
use portolan_net::dc::{self, DomainController};
use portolan_net::entropy::SystemEntropy;
use portolan_net::kerberos::{Credential, KerberosError};
use portolan_net::ldap::{LdapConnection, LdapError, LdapLimits};
use portolan_net::{Network, NetworkConfig};

use super::steps::Steps;
use crate::report::Failure;

/// A forest, with the account that reads it.
pub(super) struct Forest {
    network: Network,
    controllers: Vec<DomainController>,
    credential: Credential,
}

/// connect's network under an edition of the chart.
pub(super) fn network(edition: &str) -> Result<Network, Failure> {
    let chart = Chart::edition(edition)?;
    Ok(Network::new(NetworkConfig::new(chart, Role::Connect))?)
}

impl Forest {
    /// Finds the controllers of a domain.
    pub async fn find(
        network: &Network,
        domain: &DnsName,
        account: &str,
        password: SecretString,
        steps: &Steps,
    ) -> Result<Self, Failure> {
        let controllers = dc::locate(network, domain, &mut SystemEntropy).await?;
        let hosts: Vec<_> = controllers.iter().map(|dc| dc.host.as_str()).collect();
        let found = format!("found {}", hosts.join(", "));
        steps.over(network.chart(), flow::CONNECT_AD_DNS, &found);
        let account = account.split_once('@').map_or(account, |(name, _)| name).to_owned();
        let credential = Credential { account, realm: Realm::from(domain), password };
        Ok(Self { network: network.clone(), controllers, credential })
    }

    /// A sealed connection to the first controller that is reached. What is tried next is only
    /// another host: an account that was refused once is not tried again.
    pub async fn ldap(&self, steps: &Steps) -> Result<LdapConnection, Failure> {
        let limits = LdapLimits::default();
        let mut last = None;
        for controller in &self.controllers {
            let connected =
                LdapConnection::connect_sealed(&self.network, controller, &self.credential, limits);
            match connected.await {
                Ok(connection) => {
                    let chart = self.network.chart();
                    let ticket = format!(
                        "{} has a ticket for ldap/{}",
                        self.credential.principal(),
                        controller.host
                    );
                    steps.over(chart, flow::CONNECT_AD_KERBEROS, &ticket);
                    let bound = format!("bound to {} and sealed (AES, RFC 4121)", controller.host);
                    steps.over(chart, flow::CONNECT_AD_LDAP, &bound);
                    return Ok(connection);
                }
                Err(error) if is_unreachable(&error) => last = Some(error),
                Err(error) => return Err(failure(error)),
            }
        }
        Err(last.map_or_else(|| Failure::new("the domain names no controller"), Failure::from))
    }
}

/// Whether another controller may do better: this one was not reached, so it refused nothing.
fn is_unreachable(error: &LdapError) -> bool {
    match error {
        LdapError::Dial(_) => true,
        LdapError::Kerberos { error, .. } => matches!(**error, KerberosError::Unreachable(_)),
        _ => false,
    }
}

/// An account that was refused is locked by trying on.
fn failure(error: LdapError) -> Failure {
    let refused = matches!(&error, LdapError::Kerberos { error, .. }
        if matches!(**error, KerberosError::Refused { .. }));
    let failure = Failure::from(error);
    if refused { failure.lasting() } else { failure }
}
