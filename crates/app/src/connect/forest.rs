//! The forest as connect reaches it: which controller, as whom.

use portolan_chart::{Chart, Role, flow};
use portolan_model::{DnsName, Realm, SecretString};
use portolan_net::dc::{self, DomainController};
use portolan_net::drs::{DrsConnection, DrsError, DrsLimits};
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
    pub(super) async fn find(
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
    pub(super) async fn ldap(&self, steps: &Steps) -> Result<LdapConnection, Failure> {
        let limits = LdapLimits::default();
        let mut last = None;
        for controller in &self.controllers {
            let connected =
                LdapConnection::connect_sealed(&self.network, controller, &self.credential, limits);
            match connected.await {
                Ok(connection) => {
                    self.say_ticket(controller, steps);
                    let bound = format!("bound to {}, all that follows is sealed", controller.host);
                    steps.over(self.network.chart(), flow::CONNECT_AD_LDAP, &bound);
                    return Ok(connection);
                }
                Err(error) if is_unreachable(&error) => last = Some(error),
                Err(error) => return Err(failure(error)),
            }
        }
        Err(last.map_or_else(|| Failure::new("the domain names no controller"), Failure::from))
    }

    /// Puts a controller that failed behind the others.
    pub(super) fn avoid(&mut self, host: &str) {
        self.controllers.sort_by_key(|controller| controller.host.as_str() == host);
    }

    /// A replication connection to the first controller that is reached.
    pub(super) async fn replica(&self, steps: &Steps) -> Result<DrsConnection, Failure> {
        let limits = DrsLimits::default();
        let mut last = None;
        for controller in &self.controllers {
            let connected =
                DrsConnection::connect(&self.network, controller, &self.credential, limits);
            match connected.await {
                Ok(connection) => {
                    let chart = self.network.chart();
                    steps.over(
                        chart,
                        flow::CONNECT_AD_EPM,
                        "the endpoint mapper named DRSUAPI's port",
                    );
                    self.say_ticket(controller, steps);
                    let row = connection.link().row().to_owned();
                    steps.say(Some(&row), "bound to DRSUAPI with packet privacy");
                    return Ok(connection);
                }
                Err(error @ DrsError::Dial(_)) => last = Some(error),
                Err(error) => return Err(refused(error)),
            }
        }
        Err(last.map_or_else(|| Failure::new("the domain names no controller"), Failure::from))
    }

    fn say_ticket(&self, controller: &DomainController, steps: &Steps) {
        let principal = self.credential.principal();
        let ticket = format!("{principal} has a ticket for ldap/{}", controller.host);
        steps.over(self.network.chart(), flow::CONNECT_AD_KERBEROS, &ticket);
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
    let lasting = matches!(&error, LdapError::Kerberos { error, .. } if is_refused(error));
    let failure = Failure::from(error);
    if lasting { failure.lasting() } else { failure }
}

/// The same for replication.
fn refused(error: DrsError) -> Failure {
    let lasting = matches!(&error, DrsError::Kerberos { error, .. } if is_refused(error));
    let failure = Failure::from(error);
    if lasting { failure.lasting() } else { failure }
}

fn is_refused(error: &KerberosError) -> bool {
    matches!(error, KerberosError::Refused { .. })
}
