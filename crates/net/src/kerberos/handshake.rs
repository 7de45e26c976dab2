//! The handshake with a service: its ticket, and a token each way.

use std::sync::Arc;

use portolan_gss::Rfc4121;
use portolan_gss::krb_error::{KrbError, is_error};
use portolan_model::Spn;

use super::Credential;
use super::ap::{self, Said};
use super::error::{CLOCK_SKEW_MAX, KerberosError};
use super::messages::{Fault, Ticket};
use super::tickets;
use crate::clock;
use crate::dc::DomainController;
use crate::network::Network;
use crate::tls::ChannelBinding;

/// For what the context is to be used; the tokens differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The mechanism `GSSAPI` of SASL: framed tokens, two legs.
    Sasl,
    /// The same inside TLS: it protects no message, and is good for this one connection only
    /// ([RFC 4121 section 4.1.1.2]).
    ///
    /// [RFC 4121 section 4.1.1.2]: https://www.rfc-editor.org/rfc/rfc4121#section-4.1.1.2
    SaslBound(ChannelBinding),
    /// DCE style, for RPC ([MS-KILE] 3.4.5.1): bare tokens, three legs.
    ///
    /// [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile
    Dce,
}

/// Has the KDC confirm that a host is a domain controller of its domain: by a ticket for
/// [`Spn::of_controller`], a name that the directory lets controllers alone bear ([MS-ADTS]
/// 3.1.1.5.3.1.1.4). Any other account may name itself a service on its own host, so that a ticket
/// for `ldap` on a host that DNS named proves nothing of the kind.
///
/// # Errors
/// [`KerberosError`]: with `KDC_ERR_S_PRINCIPAL_UNKNOWN` it is none.
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub async fn prove_controller(
    network: &Network,
    controller: &DomainController,
    credential: &Credential,
) -> Result<(), KerberosError> {
    tickets::ticket(credential, network, controller, &controller.service()).await.map(drop)
}

/// A handshake that waits for the service's AP-REP. A ticket that leads to none is not used again.
pub struct Handshake {
    controller: DomainController,
    credential: Credential,
    service: Spn,
    style: Style,
    ticket: Arc<Ticket>,
    said: Option<Said>,
}

/// What a finished handshake gives.
#[derive(Debug)]
pub struct Established {
    /// The context.
    pub context: Rfc4121,
    /// The last token for the service; with [`Style::Dce`] only.
    pub token: Vec<u8>,
}

impl Handshake {
    /// Takes the ticket for a service that the credential holds, or gets one from a domain controller's
    /// KDC, and gives the first token for that service.
    ///
    /// # Errors
    /// [`KerberosError`]; nothing is tried twice with the password or key.
    pub async fn begin(
        network: &Network,
        controller: &DomainController,
        credential: &Credential,
        service: Spn,
        style: Style,
    ) -> Result<(Self, Vec<u8>), KerberosError> {
        let ticket = tickets::ticket(credential, network, controller, &service).await?;
        let made = ap::request(&ticket, style);
        let (said, token) = made.map_err(|fault| KerberosError::failed(&controller.host, fault))?;
        let handshake = Self {
            controller: controller.clone(),
            credential: credential.clone(),
            service,
            style,
            ticket,
            said: Some(said),
        };
        Ok((handshake, token))
    }

    /// Takes the service's AP-REP in, which proves that it is the service.
    ///
    /// # Errors
    /// [`KerberosError`] when it proves nothing.
    #[expect(
        clippy::unused_async,
        reason = "callers await it, as they do a mechanism with more legs"
    )]
    pub async fn finish(mut self, reply: Vec<u8>) -> Result<Established, KerberosError> {
        let failed = |fault| KerberosError::failed(&self.controller.host, fault);
        let message = ap::message(self.style, &reply).map_err(failed)?;
        if is_error(message) {
            return Err(self.refused(message));
        }
        let twice = || Fault::new("reading the AP-REP", "the handshake is over");
        let said = self.said.take().ok_or_else(twice).map_err(failed)?;
        let finished = ap::finish(said, message);
        let (established, token) = finished.map_err(|fault| {
            self.credential.shared.tickets.forget(&self.service, &self.ticket);
            KerberosError::failed(&self.controller.host, fault)
        })?;
        Ok(Established { context: Rfc4121::new(established), token })
    }

    /// What a service's KRB-ERROR says, with its clock.
    fn refused(&self, message: &[u8]) -> KerberosError {
        let host = self.controller.host.clone();
        let error = match KrbError::decode(message) {
            Ok(error) => error,
            Err(error) => return KerberosError::Malformed { kdc: host, error },
        };
        let (there, here) = (error.server_time, clock::now());
        if (there - here).abs() > CLOCK_SKEW_MAX {
            return KerberosError::ClockSkew { kdc: host, there, here };
        }
        KerberosError::RefusedByService {
            account: self.credential.principal(),
            service: self.service.clone(),
            code: error.code,
            text: error.text.map(String::into_boxed_str),
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        // Still waiting: the service did not take the ticket, or was lost.
        if self.said.is_some() {
            self.credential.shared.tickets.forget(&self.service, &self.ticket);
        }
    }
}
