//! The names of the links: one constant for each flow of any edition.
//!
//! A flow is the same link in every edition, whatever its row says there. A test holds these names
//! against the data in both directions.

use std::fmt;
use std::str::FromStr;

use portolan_model::Hint;

/// The name of one link, such as `connect.ad.ldap`: who opens it, who answers, what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(&'static str);

impl Flow {
    /// The name, as data files, commands and firewall comments write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// A text that names no flow of any edition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no flow of the chart")]
pub struct UnknownFlow(String);

impl Hint for UnknownFlow {
    fn hint(&self) -> Option<String> {
        let stem = self.0.rsplit_once('.').map_or(self.0.as_str(), |(stem, _)| stem);
        let near: Vec<_> =
            ALL.iter().map(|flow| flow.name()).filter(|name| name.starts_with(stem)).collect();
        Some(match near.is_empty() {
            true => "`portolan chart list` shows every flow".to_owned(),
            false => format!("did you mean {}", near.join(", ")),
        })
    }
}

impl FromStr for Flow {
    type Err = UnknownFlow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ALL.iter().find(|flow| flow.0 == text).copied().ok_or_else(|| UnknownFlow(text.to_owned()))
    }
}

macro_rules! flows {
    ($($constant:ident = $name:literal: $doc:literal;)*) => {
        $(#[doc = concat!("`", $name, "`: ", $doc)] pub const $constant: Flow = Flow($name);)*

        /// Every flow, in the order of the chart.
        pub const ALL: &[Flow] = &[$($constant),*];
    };
}

flows! {
    CONNECT_AD_DNS = "connect.ad.dns": "connect asks a domain controller for names.";
    CONNECT_AD_KERBEROS = "connect.ad.kerberos": "connect gets tickets.";
    CONNECT_AD_EPM = "connect.ad.epm": "connect asks the endpoint mapper.";
    CONNECT_AD_LDAP = "connect.ad.ldap": "connect reads the forest; LDAP ping over UDP.";
    CONNECT_AD_SMB = "connect.ad.smb": "connect reaches named pipes.";
    CONNECT_AD_LDAPS = "connect.ad.ldaps": "connect reads the forest inside TLS.";
    CONNECT_AD_RPC = "connect.ad.rpc": "connect replicates secrets, on a dynamic port.";
    CONNECT_AD_WINRM = "connect.ad.winrm": "connect prepares Windows servers.";
    CONNECT_AD_ADWS = "connect.ad.adws": "connect uses AD DS Web Services.";
    CONNECT_AD_GC = "connect.ad.gc": "connect searches the global catalogue.";
    CONNECT_TENANT_CRL = "connect.tenant.crl": "connect fetches the tenant's revocation lists.";
    CONNECT_TENANT_SYNC = "connect.tenant.sync": "connect writes to the tenant.";
    CONNECT_FEDERATION_CRL = "connect.federation.crl": "connect fetches revocation lists.";
    CONNECT_FEDERATION_HTTPS = "connect.federation.https": "connect looks whether the farm answers.";
    CONNECT_FEDERATION_WINRM = "connect.federation.winrm": "connect configures the farm.";
    PROXY_FEDERATION_ADFSPIP = "proxy.federation.adfspip": "a proxy talks to its federation server.";
    USER_PROXY_DEVICE = "user.proxy.device": "a person signs in from outside.";
    USER_PROXY_CERTIFICATE = "user.proxy.certificate": "a person signs in by certificate.";
    AGENT_TENANT_CRL = "agent.tenant.crl": "an agent fetches the tenant's revocation lists.";
    AGENT_TENANT_HTTPS = "agent.tenant.https": "an agent talks to the tenant.";
    AGENT_TENANT_RESPONSE = "agent.tenant.response": "an agent returns its verdicts.";
    AGENT_TENANT_BUS = "agent.tenant.bus": "an agent waits on the tenant's bus.";
    AGENT_TENANT_RELAY = "agent.tenant.relay": "an agent listens on the one-way relay.";
    AGENT_TENANT_BOOTSTRAP = "agent.tenant.bootstrap": "an agent fetches settings and updates.";
    AGENT_TENANT_REGISTRATION = "agent.tenant.registration": "an agent registers itself.";
    AGENT_TENANT_RENEWAL = "agent.tenant.renewal": "an agent renews its certificate.";
    CONNECT_TENANT_SSO_REGISTRATION = "connect.tenant.sso-registration": "connect registers seamless sign-in.";
    CONNECT_TENANT_SSO_CRL = "connect.tenant.sso-crl": "connect fetches lists to register seamless sign-in.";
    HEALTH_TENANT_CRL = "health.tenant.crl": "a health agent fetches revocation lists.";
    HEALTH_TENANT_HTTPS = "health.tenant.https": "a health agent uploads.";
    HEALTH_TENANT_BUS = "health.tenant.bus": "a health agent streams to the bus.";
    WORKSTATION_TENANT_HTTPS = "workstation.tenant.https": "a person signs in at a desk.";
    WORKSTATION_TENANT_CRL = "workstation.tenant.crl": "a workstation fetches revocation lists.";
    WORKSTATION_FOREST_DNS = "workstation.forest.dns": "a workstation asks for names.";
    FOREST_RESOLVER_DNS = "forest.resolver.dns": "a domain controller forwards foreign names.";
    TENANT_RESOLVER_DNS = "tenant.resolver.dns": "the tenant asks for names.";
    CONNECT_AD_KPASSWD = "connect.ad.kpasswd": "connect sets passwords.";
    CONNECT_WEB_PROXY = "connect.web-proxy.http": "connect reaches the tenant by a web proxy.";
    CONNECT_FOREST_CRL = "connect.forest.crl": "connect fetches the forest's revocation list.";
    CONNECT_FOREST_TIME = "connect.forest.time": "connect sets its clock.";
    WORKSTATION_FOREST_TIME = "workstation.forest.time": "a workstation sets its clock.";
    FOREST_TIME_SOURCE_TIME = "forest.time-source.time": "the forest sets its clock.";
    FOREST_FOREST_DNS = "forest.forest.dns": "a domain controller asks another for names.";
    FOREST_FOREST_KERBEROS = "forest.forest.kerberos": "a domain controller gets tickets from another.";
    FOREST_FOREST_EPM = "forest.forest.epm": "a domain controller asks another's endpoint mapper.";
    FOREST_FOREST_LDAP = "forest.forest.ldap": "a domain controller finds and reads another.";
    FOREST_FOREST_RPC = "forest.forest.rpc": "domain controllers replicate each other.";
    CONNECT_AD_GC_TLS = "connect.ad.gc-tls": "connect searches the global catalogue inside TLS.";
    CONNECT_DATABASE_TDS = "connect.database.tds": "connect keeps its state in a database server.";
    CONNECT_TENANT_OCSP = "connect.tenant.ocsp": "connect asks about one certificate of the tenant's.";
    CONNECT_TENANT_WRITEBACK = "connect.tenant.writeback": "connect takes passwords to write back.";
    AGENT_FOREST_DNS = "agent.forest.dns": "an agent finds domain controllers.";
    AGENT_FOREST_KERBEROS = "agent.forest.kerberos": "an agent's host gets tickets.";
    AGENT_FOREST_EPM = "agent.forest.epm": "an agent asks the endpoint mapper.";
    AGENT_FOREST_LDAP = "agent.forest.ldap": "an agent locates a domain controller.";
    AGENT_FOREST_RPC = "agent.forest.rpc": "an agent has a password checked.";
    AGENT_FOREST_TIME = "agent.forest.time": "an agent sets its clock.";
    AGENT_TENANT_OCSP = "agent.tenant.ocsp": "an agent asks about one certificate of the tenant's.";
    AGENT_TENANT_STATUS = "agent.tenant.status": "an agent reports while 443 is closed.";
    AGENT_WEB_PROXY_HTTP = "agent.web-proxy.http": "an agent reaches the tenant by a web proxy.";
    HEALTH_TENANT_OCSP = "health.tenant.ocsp": "a health agent asks about one certificate of the tenant's.";
    HEALTH_WEB_PROXY_HTTP = "health.web-proxy.http": "a health agent reaches the tenant by a web proxy.";
    FEDERATION_FEDERATION_HTTP = "federation.federation.http": "servers of a farm copy its configuration.";
    FEDERATION_DATABASE_TDS = "federation.database.tds": "a farm keeps its configuration in a database server.";
    FEDERATION_FOREST_DNS = "federation.forest.dns": "a federation server finds domain controllers.";
    FEDERATION_FOREST_KERBEROS = "federation.forest.kerberos": "a federation server gets tickets.";
    FEDERATION_FOREST_EPM = "federation.forest.epm": "a federation server asks the endpoint mapper.";
    FEDERATION_FOREST_LDAP = "federation.forest.ldap": "a federation server reads claims.";
    FEDERATION_FOREST_RPC = "federation.forest.rpc": "a federation server has a logon checked.";
    FEDERATION_FOREST_GC = "federation.forest.gc": "a federation server looks people up in the whole forest.";
    FEDERATION_FOREST_TIME = "federation.forest.time": "a federation server sets its clock.";
    PROXY_FOREST_KERBEROS = "proxy.forest.kerberos": "a proxy gets tickets in people's names.";
    BALANCER_FEDERATION_PROBE = "balancer.federation.probe": "a load balancer asks whether a server lives.";
    USER_PROXY_CERTAUTH = "user.proxy.certauth": "a person signs in by certificate on the HTTPS port.";
    USER_TENANT_HTTPS = "user.tenant.https": "a person outside signs in at the tenant.";
    WORKSTATION_FEDERATION_HTTPS = "workstation.federation.https": "a person at a desk signs in at the farm.";
    WORKSTATION_FEDERATION_CERTIFICATE = "workstation.federation.certificate": "a person at a desk signs in by certificate.";
    WORKSTATION_FOREST_KERBEROS = "workstation.forest.kerberos": "a workstation gets tickets for seamless sign-in.";
    TENANT_PROXY_METADATA = "tenant.proxy.metadata": "the tenant reads the farm's metadata.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_parse_from_their_names_only() {
        assert_eq!("connect.ad.ldap".parse(), Ok(CONNECT_AD_LDAP));
        let error = "connect.ad.ladp".parse::<Flow>().unwrap_err();
        assert_eq!(error.to_string(), "\"connect.ad.ladp\" is no flow of the chart");
        assert!(error.hint().unwrap().contains("connect.ad.ldap"));
    }
}
