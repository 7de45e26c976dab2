//! What is asked on a row: the opening exchange of its protocol, and what the answer says.

pub mod adws;
mod clock;
mod dns;
mod hearing;
mod kerberos;
pub(crate) mod ldap;
mod ntp;
mod rpc;
pub mod smb;

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
        (Speaks::Smb, Transport::Tcp) => smb::probe(asker).await,
        (Speaks::Adws, Transport::Tcp) => adws::probe(asker).await,
        (speaks, transport) => unjudged(speaks, transport),
    }
}

/// For a protocol that no probe speaks.
fn unjudged(speaks: Speaks, transport: Transport) -> Outcome {
    Verdict::Unjudged { why: format!("no probe speaks {speaks} over {transport}") }.into()
}
