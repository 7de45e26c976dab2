//! The forest as connect reaches it: which controller, as whom.

use portolan_chart::flow;
use portolan_ldap::ResultCode;
use portolan_model::DnsName;
use portolan_net::Network;
use portolan_net::dc::{self, DomainController, PassedOver};
use portolan_net::drs::{DrsConnection, DrsError, DrsLimits};
use portolan_net::entropy::SystemEntropy;
use portolan_net::kerberos::{Credential, ErrorCode, Exchange, KerberosError, prove_controller};
use portolan_net::ldap::{Channel, LdapConnection, LdapError, LdapLimits, TlsBind};

use super::steps::Steps;
use crate::report::Failure;

/// A forest, with the account that reads it.
pub(super) struct Forest {
    network: Network,
    controllers: Vec<DomainController>,
    credential: Credential,
    channel: Channel,
    /// Whether controllers have said that they are writable. Where no ping was answered, each is
    /// asked once it is bound.
    pinged: bool,
}

/// What a read-only domain controller says of itself ([MS-ADTS] 3.1.1.3.4.3.7,
/// LDAP_CAP_ACTIVE_DIRECTORY_PARTIAL_SECRETS_OID).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
const PARTIAL_SECRETS: &[u8] = b"1.2.840.113556.1.4.1920";

/// Why one controller is not the one that is read.
enum NotThis {
    Ldap(LdapError),
    /// It is not known to be one.
    NotProven(Box<KerberosError>),
    /// It is a read-only one.
    ReadOnly(DnsName),
}

impl Forest {
    /// Finds the controllers of a domain.
    pub(super) async fn find(
        network: &Network,
        domain: &DnsName,
        credential: Credential,
        steps: &Steps,
    ) -> Result<Self, Failure> {
        let located = dc::locate(network, domain, &mut SystemEntropy).await?;
        let hosts: Vec<_> = located.controllers.iter().map(|dc| dc.host.as_str()).collect();
        let found = format!("found {}", hosts.join(", "));
        steps.over(network.chart(), flow::CONNECT_AD_DNS, &found);
        if let Some(error) = &located.silence {
            let text = format!("going on without a site: {error}");
            steps.note_over(network.chart(), flow::CONNECT_AD_LDAP, &text);
        }
        Ok(Self {
            network: network.clone(),
            controllers: located.controllers,
            credential,
            channel: Channel::Sealed,
            pinged: located.silence.is_none(),
        })
    }

    /// The same forest, read by another channel.
    pub(super) fn over(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }

    /// A protected connection to the first controller that is reached. What is tried next is only
    /// another host: an account that was refused once is not tried again.
    pub(super) async fn ldap(&self, steps: &Steps) -> Result<LdapConnection, Failure> {
        self.ldap_except(&[], steps).await
    }

    /// The same, without the controllers that failed before: where to go on when one breaks off. A
    /// connection's [`LdapConnection::link`] names its controller.
    pub(super) async fn ldap_except(
        &self,
        failed: &[String],
        steps: &Steps,
    ) -> Result<LdapConnection, Failure> {
        let limits = LdapLimits::default();
        let connect = |controller: DomainController| async move {
            let (network, credential) = (&self.network, &self.credential);
            if matches!(self.channel, Channel::Tls { bind: TlsBind::Password, .. }) {
                // Many hosts have a certificate of the forest's authority; the password is for none
                // of them but its controllers.
                let proven = prove_controller(network, &controller, credential).await;
                proven.map_err(|error| NotThis::NotProven(Box::new(error)))?;
            }
            let connected =
                LdapConnection::connect(network, &controller, credential, &self.channel, limits);
            let mut connection = connected.await.map_err(NotThis::Ldap)?;
            if !self.pinged && is_read_only(&mut connection).await.map_err(NotThis::Ldap)? {
                return Err(NotThis::ReadOnly(controller.host));
            }
            Ok((connection, controller))
        };
        let elsewhere = |error: &NotThis| match error {
            NotThis::Ldap(error) => is_elsewhere(error),
            NotThis::NotProven(error) => is_other(error),
            NotThis::ReadOnly(_) => true,
        };
        let controllers = self.without(failed);
        let passed = |over: PassedOver<'_, NotThis>| steps.say(None, &over.to_string());
        match dc::first(&controllers, connect, elsewhere, passed).await {
            Ok((connection, controller)) => {
                self.say_bound(&controller, steps);
                Ok(connection)
            }
            Err(Some(NotThis::Ldap(error))) => Err(self.failure(error)),
            Err(Some(NotThis::NotProven(error))) => {
                let lasting = is_refused(&error);
                let failure = Failure::from(*error);
                Err(if lasting { failure.lasting() } else { failure })
            }
            Err(Some(error @ NotThis::ReadOnly(_))) => Err(Failure::new(error.to_string())
                .with_hint("let this host reach a writable domain controller")),
            Err(None) => Err(no_controller(failed)),
        }
    }

    /// A replication connection to the first controller that is reached.
    pub(super) async fn replica(&self, steps: &Steps) -> Result<DrsConnection, Failure> {
        let limits = DrsLimits::default();
        let connect = |controller: DomainController| async move {
            let (network, credential) = (&self.network, &self.credential);
            let connection =
                DrsConnection::connect(network, &controller, credential, limits).await?;
            Ok((connection, controller))
        };
        // One that is ending or starting may be reached and not know the interface yet.
        let elsewhere = |error: &DrsError| match error {
            DrsError::Dial(_) | DrsError::Broken { .. } | DrsError::NoEndpoint { .. } => true,
            DrsError::Kerberos { error, .. } => is_other(error),
            _ => false,
        };
        let passed = |over: PassedOver<'_, DrsError>| steps.say(None, &over.to_string());
        match dc::first(&self.controllers, connect, elsewhere, passed).await {
            Ok((connection, controller)) => {
                let chart = self.network.chart();
                let named = "the endpoint mapper named DRSUAPI's port";
                steps.over(chart, flow::CONNECT_AD_EPM, named);
                self.say_ticket(&controller, steps);
                let row = connection.link().row().to_owned();
                steps.say(Some(&row), "bound to DRSUAPI with packet privacy");
                Ok(connection)
            }
            Err(Some(error)) => Err(refused(error)),
            Err(None) => Err(no_controller(&[])),
        }
    }

    /// An account that was refused is locked by trying on.
    fn failure(&self, error: LdapError) -> Failure {
        let by_password = matches!(self.channel, Channel::Tls { bind: TlsBind::Password, .. });
        let lasting = match &error {
            LdapError::Kerberos { error, .. } => is_refused(error),
            error => by_password && error.is_refused_password(),
        };
        let failure = Failure::from(error);
        if lasting { failure.lasting() } else { failure }
    }

    /// Puts a controller that failed behind the others.
    pub(super) fn avoid(&mut self, host: &str) {
        self.controllers.sort_by_key(|controller| controller.host.as_str() == host);
    }

    /// Whether there is another controller than those that failed.
    pub(super) fn has_besides(&self, failed: &[String]) -> bool {
        !self.without(failed).is_empty()
    }

    fn without(&self, failed: &[String]) -> Vec<DomainController> {
        let left = self
            .controllers
            .iter()
            .filter(|dc| !failed.iter().any(|host| host == dc.host.as_str()));
        left.cloned().collect()
    }

    fn say_bound(&self, controller: &DomainController, steps: &Steps) {
        let chart = self.network.chart();
        let host = &controller.host;
        match &self.channel {
            Channel::Sealed => {
                self.say_ticket(controller, steps);
                let bound = format!("bound to {host}, all that follows is sealed");
                steps.over(chart, flow::CONNECT_AD_LDAP, &bound);
            }
            Channel::Tls { .. } => {
                let valid = format!("the certificate of {host} is not revoked");
                steps.over(chart, flow::CONNECT_FOREST_CRL, &valid);
                let bound = format!("bound to {host} inside TLS");
                steps.over(chart, flow::CONNECT_AD_LDAPS, &bound);
            }
        }
    }

    fn say_ticket(&self, controller: &DomainController, steps: &Steps) {
        let principal = self.credential.principal();
        let ticket = format!("{principal} has a ticket for ldap/{}", controller.host);
        steps.over(self.network.chart(), flow::CONNECT_AD_KERBEROS, &ticket);
    }
}

impl std::fmt::Display for NotThis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ldap(error) => error.fmt(f),
            Self::NotProven(error) => error.fmt(f),
            Self::ReadOnly(host) => write!(f, "{host} is a read-only domain controller"),
        }
    }
}

fn no_controller(failed: &[String]) -> Failure {
    match failed {
        [] => Failure::new("the domain names no controller"),
        failed => Failure::new(format!("there is no controller besides {}", failed.join(", ")))
            .with_hint("look why they failed, then try again"),
    }
}

async fn is_read_only(connection: &mut LdapConnection) -> Result<bool, LdapError> {
    let entry = connection.root_dse(&["supportedCapabilities"]).await?;
    Ok(entry.all("supportedCapabilities").any(|value| value == PARTIAL_SECRETS))
}

/// Whether another controller may do better: this one was not reached, is not fit, or broke off. It
/// refused nobody.
pub(super) fn is_elsewhere(error: &LdapError) -> bool {
    match error {
        LdapError::Dial(_)
        | LdapError::Tls(_)
        | LdapError::Broken { .. }
        | LdapError::Disconnected { .. } => true,
        LdapError::Kerberos { error, .. } => is_other(error),
        LdapError::Refused { refusal, .. } => {
            matches!(refusal.0.code, ResultCode::Busy | ResultCode::Unavailable)
        }
        _ => false,
    }
}

/// Whether it is this host alone: not reached, or no controller, whatever DNS says.
const fn is_other(error: &KerberosError) -> bool {
    matches!(
        error,
        KerberosError::Unreachable(_)
            | KerberosError::Refused {
                exchange: Exchange::Service,
                code: ErrorCode::ServerUnknown,
                ..
            }
    )
}

/// An account that was refused is locked by trying on.
fn refused(error: DrsError) -> Failure {
    let lasting = matches!(&error, DrsError::Kerberos { error, .. } if is_refused(error));
    let failure = Failure::from(error);
    if lasting { failure.lasting() } else { failure }
}

fn is_refused(error: &KerberosError) -> bool {
    error.is_authentication_failure()
}
