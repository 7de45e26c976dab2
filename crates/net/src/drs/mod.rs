//! The directory replication client on the network ([MS-DRSR]).
//!
//! Three rows of the chart take part: the endpoint mapper (`connect.ad.epm`) names the port, the
//! replication goes over that port (`connect.ad.rpc`), and Kerberos (`connect.ad.kerberos`) seals it:
//! DCE style, packet privacy, signed headers. What a reply means, and whether a secret of it is
//! opened, is the caller's: here pages are fetched, one when it is asked for.
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

mod error;
mod rpc;

use std::time::Duration;

use portolan_chart::flow;
use portolan_rpc::drsr::{
    self, DrsBindStep, DrsBinding, DrsBound, DrsExtensions, DrsHandle, GetNcChanges, Reply,
};
use portolan_rpc::epm;
use zeroize::Zeroizing;

pub use error::DrsError;

use crate::dc::DomainController;
use crate::kerberos::{Credential, Handshake, KerberosError, Style};
use crate::network::{Link, Network};
use rpc::{Association, Wire};

/// How long a connection waits.
#[derive(Debug, Clone, Copy)]
pub struct DrsLimits {
    /// For the next octet of a reply. A domain controller may work long on a page.
    pub silence_time_max: Duration,
    /// For a whole reply, however steadily octets come.
    pub reply_time_max: Duration,
    /// For a request to be taken by the peer.
    pub send_time_max: Duration,
}

impl Default for DrsLimits {
    fn default() -> Self {
        Self {
            silence_time_max: Duration::from_secs(120),
            reply_time_max: Duration::from_secs(600),
            send_time_max: Duration::from_secs(30),
        }
    }
}

/// A sealed replication connection to a domain controller, after IDL_DRSBind.
pub struct DrsConnection {
    association: Association,
    handle: DrsHandle,
    server: DrsExtensions,
}

/// A page of changes as it arrived, unsealed. It is wiped when dropped.
pub struct Changes {
    stub: Zeroizing<Vec<u8>>,
    link: Link,
}

impl DrsConnection {
    /// Asks the endpoint mapper for the port, connects to it, binds with Kerberos, and opens a
    /// replication handle; a second one with the server's epoch if that is not 0 ([MS-DRSR] 4.1.3).
    ///
    /// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
    ///
    /// # Errors
    /// [`DrsError`] with the row on which it failed.
    pub async fn connect(
        network: &Network,
        controller: &DomainController,
        credential: &Credential,
        limits: DrsLimits,
    ) -> Result<Self, DrsError> {
        let port = endpoint(network, controller, limits).await?;
        let connection = network.dial_dynamic(flow::CONNECT_AD_RPC, &controller.host, port).await?;
        let wire = Wire::new(connection, limits);
        let mut association = secured(wire, network, controller, credential).await?;
        let bound = drs_bind(&mut association).await?;
        if !bound.server.suffices() {
            return Err(DrsError::TooOld {
                link: association.link().clone(),
                flags: bound.server.flags,
            });
        }
        Ok(Self { association, handle: bound.handle, server: bound.server })
    }

    /// The handle that a request names.
    #[must_use]
    pub const fn handle(&self) -> DrsHandle {
        self.handle
    }

    /// What the server can do.
    #[must_use]
    pub const fn server(&self) -> DrsExtensions {
        self.server
    }

    /// The connection's row, with which errors about it begin.
    #[must_use]
    pub const fn link(&self) -> &Link {
        self.association.link()
    }

    /// The key under which secret values are encrypted: all of it ([MS-DRSR] 4.1.10.3.11).
    ///
    /// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
    #[must_use]
    pub fn session_key(&self) -> &[u8] {
        self.association.session_key()
    }

    /// Fetches a page of changes ([MS-DRSR] 4.1.10).
    ///
    /// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
    ///
    /// # Errors
    /// [`DrsError`]; the connection is over then.
    pub async fn get_nc_changes(
        &mut self,
        request: &GetNcChanges<'_>,
    ) -> Result<Changes, DrsError> {
        let stub = self.association.call(drsr::OPNUM_GET_NC_CHANGES, &request.encode()).await?;
        Ok(Changes { stub, link: self.link().clone() })
    }

    /// Gives the handle back (IDL_DRSUnbind) and closes the connection.
    ///
    /// # Errors
    /// [`DrsError`] when the server does not answer, which loses nothing.
    pub async fn close(mut self) -> Result<(), DrsError> {
        let request = drsr::encode_unbind_request(self.handle);
        let stub = self.association.call(drsr::OPNUM_DRS_UNBIND, &request).await?;
        let link = self.link().clone();
        let status = drsr::decode_unbind_response(&stub)
            .map_err(|error| DrsError::Malformed { link: link.clone(), error })?;
        self.association.shut().await;
        status.success().map_err(|status| DrsError::Refused {
            link,
            operation: "IDL_DRSUnbind",
            status,
        })
    }
}

impl Changes {
    /// The page, read in place.
    ///
    /// # Errors
    /// [`DrsError::Refused`] when the server refused the request, and [`DrsError::Malformed`].
    pub fn reply(&self) -> Result<Reply<'_>, DrsError> {
        let link = || self.link.clone();
        Reply::decode(&self.stub)
            .map_err(|error| DrsError::Malformed { link: link(), error })?
            .map_err(|status| DrsError::Refused {
                link: link(),
                operation: "IDL_DRSGetNCChanges",
                status,
            })
    }

    /// Octets of the page.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.stub.len()
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes({} octets from {})", self.stub.len(), self.link.peer())
    }
}

impl std::fmt::Debug for DrsConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DrsConnection")
            .field("link", self.link())
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The port of the replication interface, by the endpoint mapper.
async fn endpoint(
    network: &Network,
    controller: &DomainController,
    limits: DrsLimits,
) -> Result<u16, DrsError> {
    let connection = network.dial(flow::CONNECT_AD_EPM, &controller.host).await?;
    let link = connection.link.clone();
    let mut mapper = Wire::new(connection, limits).bind(epm::INTERFACE).await?;
    let request = epm::encode_map_request(drsr::INTERFACE);
    let stub = mapper.call(epm::OPNUM_EPT_MAP, &request).await?;
    mapper.shut().await;
    let endpoints = epm::decode_map_response(&stub, drsr::INTERFACE)
        .map_err(|error| DrsError::Malformed { link: link.clone(), error })?
        .map_err(|status| DrsError::Refused { link: link.clone(), operation: "ept_map", status })?;
    endpoints.first().map(|endpoint| endpoint.port).ok_or(DrsError::NoEndpoint { link })
}

/// Binds to the replication interface with Kerberos: three legs, the last in auth3.
async fn secured(
    mut wire: Wire,
    network: &Network,
    controller: &DomainController,
    credential: &Credential,
) -> Result<Association, DrsError> {
    let link = wire.link.clone();
    let unauthenticated = |error: KerberosError| match error {
        KerberosError::Unreachable(error) => DrsError::Dial(error),
        error => DrsError::Kerberos { link: link.clone(), error: Box::new(error) },
    };
    let service = controller.service();
    let begun = Handshake::begin(network, controller, credential, service, Style::Dce).await;
    let (handshake, token) = begun.map_err(unauthenticated)?;
    let authenticating = wire.bind_secured(drsr::INTERFACE, &token).await?;
    let finished = handshake.finish(authenticating.token().to_vec()).await;
    let established = finished.map_err(unauthenticated)?;
    let (last, binding) = authenticating
        .finish(&established.token, Box::new(established.context))
        .map_err(|error| DrsError::Binding { link: link.clone(), error })?;
    wire.authenticated(&last, binding).await
}

async fn drs_bind(association: &mut Association) -> Result<DrsBound, DrsError> {
    let (mut request, mut binding) = DrsBinding::begin();
    loop {
        let stub = association.call(drsr::OPNUM_DRS_BIND, &request).await?;
        let link = || association.link().clone();
        let answer = binding.receive(&stub);
        let step = answer.map_err(|error| DrsError::Malformed { link: link(), error })?;
        match step {
            Ok(DrsBindStep::Bound(bound)) => return Ok(bound),
            Ok(DrsBindStep::Again(next, then)) => (request, binding) = (next, then),
            Err(status) => {
                return Err(DrsError::Refused { link: link(), operation: "IDL_DRSBind", status });
            }
        }
    }
}
