//! The bind: Kerberos by SASL GSSAPI, then a layer that seals ([RFC 4752 section 3.1]); or inside
//! TLS, which seals already, Kerberos bound to the TLS connection, or the password itself.
//!
//! [RFC 4752 section 3.1]: https://www.rfc-editor.org/rfc/rfc4752#section-3.1

use portolan_gss::{Protection, Rfc4121, SecurityContext as _, sasl};
use portolan_ldap::message::BindResponse;
use portolan_ldap::{
    BindRequest, LayerFault, LdapResult, Refusal, ResultCode, SaslFraming, SecurityLayer,
};
use portolan_model::{SecretString, Spn};

use super::{LdapConnection, LdapError};
use crate::dc::DomainController;
use crate::entropy::SystemEntropy;
use crate::kerberos::{Credential, Handshake, KerberosError, Style, prove_controller};
use crate::network::Network;
use crate::tls::ChannelBinding;

const MECHANISM: &str = "GSSAPI";
/// Octets of a sealed buffer that are taken: what the negotiation can say at most. Samba seals at
/// most 64 KiB at once, whatever is said.
const RECEIVE_OCTETS_MAX: usize = sasl::RECEIVE_OCTETS_MAX;

pub(super) async fn sealed(
    connection: &mut LdapConnection,
    network: &Network,
    controller: &DomainController,
    credential: &Credential,
) -> Result<(), LdapError> {
    let (mut context, mut offer) =
        authenticate(connection, network, controller, credential, Style::Sasl).await?;
    let link = connection.link.clone();
    let (choice, layer) =
        sasl::negotiate(&mut context, &mut offer, RECEIVE_OCTETS_MAX, &mut SystemEntropy)
            .map_err(|error| LdapError::NotSealed { link, error })?;
    let (receive, send) = (layer.receive_octets_max, layer.send_octets_max);
    accepted(connection, BindRequest::sasl(MECHANISM, Some(choice))).await?;
    let framing = SaslFraming::new(Box::new(Sealed(context)), receive, send);
    let framing = framing.map_err(|error| connection.session_error(error.into()))?;
    connection.session.seal(framing).map_err(|error| connection.session_error(error))
}

/// Kerberos inside TLS: the context is good for this TLS connection only, and protects nothing.
pub(super) async fn bound(
    connection: &mut LdapConnection,
    network: &Network,
    controller: &DomainController,
    credential: &Credential,
    binding: ChannelBinding,
) -> Result<(), LdapError> {
    let style = Style::SaslBound(binding);
    let (mut context, mut offer) =
        authenticate(connection, network, controller, credential, style).await?;
    let link = connection.link.clone();
    let choice = sasl::negotiate_no_layer(&mut context, &mut offer, &mut SystemEntropy)
        .map_err(|error| LdapError::NotSealed { link, error })?;
    accepted(connection, BindRequest::sasl(MECHANISM, Some(choice))).await
}

/// The password inside TLS, under a name that a forest takes: `account@domain`.
pub(super) async fn simple(
    connection: &mut LdapConnection,
    name: &str,
    password: SecretString,
) -> Result<(), LdapError> {
    accepted(connection, BindRequest::simple(name, password)).await
}

/// Who is who, by Kerberos: gives the context and the server's offer of layers.
async fn authenticate(
    connection: &mut LdapConnection,
    network: &Network,
    controller: &DomainController,
    credential: &Credential,
    style: Style,
) -> Result<(Rfc4121, Vec<u8>), LdapError> {
    let link = connection.link.clone();
    let unauthenticated = |error: KerberosError| match error {
        KerberosError::Unreachable(error) => LdapError::Dial(error),
        error => LdapError::Kerberos { link: link.clone(), error: Box::new(error) },
    };
    prove_controller(network, controller, credential).await.map_err(unauthenticated)?;
    // The name of two parts, which every directory bears.
    let service = Spn::new("ldap", controller.host.clone());
    let begun = Handshake::begin(network, controller, credential, service, style).await;
    let (handshake, token) = begun.map_err(unauthenticated)?;

    let reply = connection.bind(BindRequest::sasl(MECHANISM, Some(token))).await?;
    let reply = going_on(connection, reply)?;
    let context = handshake.finish(reply).await.map_err(unauthenticated)?.context;

    // Nothing is left to be said about who is who: the empty token asks for the server's layers.
    let offer = connection.bind(BindRequest::sasl(MECHANISM, Some(Vec::new()))).await?;
    Ok((context, going_on(connection, offer)?))
}

/// The last step of a bind, which the server has to accept.
async fn accepted(connection: &mut LdapConnection, step: BindRequest) -> Result<(), LdapError> {
    let last = connection.bind(step).await?;
    last.result.success().map(drop).map_err(|refusal| refused(connection, refusal))
}

/// The token of an answer after which the bind goes on.
fn going_on(connection: &LdapConnection, response: BindResponse) -> Result<Vec<u8>, LdapError> {
    if response.result.code != ResultCode::SaslBindInProgress {
        return Err(match response.result.success() {
            Err(refusal) => refused(connection, refusal),
            Ok(LdapResult { .. }) => LdapError::NoToken { link: connection.link.clone() },
        });
    }
    response
        .server_sasl_credentials
        .ok_or_else(|| LdapError::NoToken { link: connection.link.clone() })
}

fn refused(connection: &LdapConnection, refusal: Refusal) -> LdapError {
    LdapError::Refused {
        link: connection.link.clone(),
        operation: "the bind".to_owned(),
        refusal: Box::new(refusal),
    }
}

/// A context as LDAP's framing uses it: everything is sealed, and has to be.
struct Sealed(Rfc4121);

/// A token that is only signed, where everything is to be sealed.
#[derive(Debug, thiserror::Error)]
#[error("the token is signed, but not sealed")]
struct OnlySigned;

impl SecurityLayer for Sealed {
    fn overhead(&self) -> usize {
        self.0.overhead(Protection::Confidentiality)
    }

    fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, LayerFault> {
        let mut token = Vec::with_capacity(plain.len() + self.overhead());
        self.0.wrap(Protection::Confidentiality, plain, &mut SystemEntropy, &mut token)?;
        Ok(token)
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<Vec<u8>, LayerFault> {
        let mut token = token.to_vec();
        let unwrapped = self.0.unwrap(&mut token)?;
        if unwrapped.protection != Protection::Confidentiality {
            return Err(Box::new(OnlySigned));
        }
        Ok(unwrapped.message.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use portolan_gss::{EncryptionType, Established, ProtocolKey, Role};

    use super::*;

    fn context(role: Role) -> Rfc4121 {
        let key = ProtocolKey::new(EncryptionType::Aes256CtsHmacSha1_96, &[3; 32]).unwrap();
        let (first_send, first_receive) = (7, Some(7));
        Rfc4121::new(Established { key, role, acceptor_subkey: true, first_send, first_receive })
    }

    #[test]
    fn a_frame_that_is_signed_and_not_sealed_is_refused() {
        let (mut client, mut server) = (Sealed(context(Role::Initiator)), context(Role::Acceptor));
        let mut opened = |protection| {
            let mut token = Vec::new();
            server.wrap(protection, b"legible", &mut SystemEntropy, &mut token).unwrap();
            client.unwrap(&token).map_err(|fault| fault.to_string())
        };
        assert_eq!(opened(Protection::Confidentiality), Ok(b"legible".to_vec()));
        let signed = opened(Protection::Integrity);
        assert_eq!(signed, Err("the token is signed, but not sealed".to_owned()));
    }
}
