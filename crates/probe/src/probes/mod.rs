//! What is asked on a row: the opening exchange of its protocol, and what the answer says.

pub mod adws;
pub mod amqp;
mod clock;
mod dns;
mod hearing;
pub mod http;
mod https;
pub(crate) mod idle;
mod kerberos;
pub(crate) mod ldap;
mod ldaps;
mod ntp;
mod relay;
mod rpc;
pub mod smb;
pub mod status;
pub mod tls;
mod web_proxy;
mod winrm;

use portolan_chart::{Speaks, Transport};

use crate::{Asker, Outcome, Verdict};

/// Asks one question in the row's own protocol.
pub async fn probe(asker: &Asker<'_>) -> Outcome {
    match (asker.row().speaks, asker.transport()) {
        (Speaks::Ntp, Transport::Udp) => ntp::probe(asker).await,
        (Speaks::Dns, _) => dns::probe(asker).await,
        (Speaks::Kerberos, _) => kerberos::probe(asker).await,
        (Speaks::Kpasswd, _) => kerberos::kpasswd(asker).await,
        (Speaks::EndpointMapper, Transport::Tcp) => rpc::endpoint_mapper(asker).await,
        (Speaks::Rpc, Transport::Tcp) => rpc::probe(asker).await,
        (Speaks::Ldap, Transport::Tcp) => ldap::probe(asker, ldap::Port::Directory).await,
        (Speaks::Ldap, Transport::Udp) => ldap::ping(asker).await,
        (Speaks::GlobalCatalog, Transport::Tcp) => ldap::probe(asker, ldap::Port::Catalogue).await,
        (Speaks::Ldaps, Transport::Tcp) => ldaps::probe(asker, ldap::Port::DirectoryTls).await,
        (Speaks::GlobalCatalogTls, Transport::Tcp) => {
            ldaps::probe(asker, ldap::Port::CatalogueTls).await
        }
        (Speaks::Crl, Transport::Tcp) => status::crl(asker).await,
        (Speaks::Ocsp, Transport::Tcp) => status::ocsp(asker).await,
        (Speaks::Http, Transport::Tcp) => http::probe(asker).await,
        (Speaks::Https, Transport::Tcp) => https::probe(asker).await,
        (Speaks::HttpsClientCertificate, Transport::Tcp) => https::client_certificate(asker).await,
        (Speaks::Adfspip, Transport::Tcp) => https::adfspip(asker).await,
        (Speaks::Winrm, Transport::Tcp) => winrm::probe(asker).await,
        (Speaks::Amqp, Transport::Tcp) => amqp::probe(asker).await,
        (Speaks::Relay, Transport::Tcp) => relay::probe(asker).await,
        (Speaks::WebProxy, Transport::Tcp) => web_proxy::probe(asker).await,
        (Speaks::Smb, Transport::Tcp) => smb::probe(asker).await,
        (Speaks::Adws, Transport::Tcp) => adws::probe(asker).await,
        (speaks, transport) => unjudged(speaks, transport),
    }
}

/// For a protocol that no probe speaks.
fn unjudged(speaks: Speaks, transport: Transport) -> Outcome {
    Verdict::Unjudged { why: format!("no probe speaks {speaks} over {transport}") }.into()
}
