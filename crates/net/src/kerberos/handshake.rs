//! The handshake, driven message by message.

use std::panic::{AssertUnwindSafe, catch_unwind};

use portolan_gss::{EncryptionType, Established as Keys, ProtocolKey, Rfc4121, Role};
use portolan_model::Spn;
use sspi::generator::{GeneratorState, NetworkRequest};
use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, CredentialUse, Credentials, CredentialsBuffers,
    DataRepresentation, EncryptionFlags, Kerberos, KerberosConfig, SecurityBuffer,
    SecurityBufferRef, SecurityStatus, Sspi as _, SspiImpl as _, Username,
};
use time::OffsetDateTime;

use super::error::{CLOCK_SKEW_MAX, KerberosError};
use super::kdc::Kdc;
use super::{Credential, bound};
use crate::clock;
use crate::dc::DomainController;
use crate::network::Network;
use crate::tls::ChannelBinding;
use portolan_gss::krb_error::{ErrorCode, KrbError, is_error};

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

/// A handshake that waits for the service's AP-REP.
pub struct Handshake {
    sspi: Kerberos,
    credentials: Option<CredentialsBuffers>,
    kdc: Kdc,
    account: String,
    service: Spn,
    style: Style,
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
    /// Gets a ticket for a service from a domain controller's KDC, and gives the first token for
    /// that service.
    ///
    /// # Errors
    /// [`KerberosError`]; nothing is tried twice with the password.
    pub async fn begin(
        network: &Network,
        controller: &DomainController,
        credential: &Credential,
        service: Spn,
        style: Style,
    ) -> Result<(Self, Vec<u8>), KerberosError> {
        let kdc = Kdc::new(network.clone(), controller.host.clone());
        let (sspi, credentials) = prepare(&kdc, credential)?;
        let account = credential.principal();
        let mut handshake = Self { sspi, credentials, kdc, account, service, style };
        let (status, token) = handshake.step(Vec::new()).await?;
        match status {
            SecurityStatus::ContinueNeeded => {
                let token = handshake.bound(token)?;
                Ok((handshake, token))
            }
            _ => Err(handshake.fails("making the AP-REQ", "the library stopped early")),
        }
    }

    /// The first token, in the form in which it is bound to its TLS connection, if it is.
    fn bound(&self, token: Vec<u8>) -> Result<Vec<u8>, KerberosError> {
        if !matches!(self.style, Style::SaslBound(_)) {
            return Ok(token);
        }
        let key = self.sspi.query_context_session_key().map_err(|error| self.because(&error))?;
        bound::repaired(&token, key.session_key.as_ref())
            .ok_or_else(|| self.fails("binding the AP-REQ", "its authenticator cannot be read"))
    }

    /// Takes the service's AP-REP in, which proves that it is the service.
    ///
    /// # Errors
    /// [`KerberosError`] when it proves nothing.
    pub async fn finish(mut self, reply: Vec<u8>) -> Result<Established, KerberosError> {
        let (status, token) = self.step(reply).await?;
        if status != SecurityStatus::Ok {
            return Err(self.fails("reading the AP-REP", "the library wants another token"));
        }
        let key = self.sspi.query_context_session_key().map_err(|error| self.because(&error))?;
        let octets: &[u8] = key.session_key.as_ref();
        let encryption_type = match octets.len() {
            32 => EncryptionType::Aes256CtsHmacSha1_96,
            _ => EncryptionType::Aes128CtsHmacSha1_96,
        };
        let key = ProtocolKey::new(encryption_type, octets)
            .map_err(|error| self.fails("taking the key", &error.to_string()))?;
        let first_send = self.first_sequence_number()?;
        let context = Rfc4121::new(Keys {
            key,
            role: Role::Initiator,
            // The library goes on only with the subkey of the AP-REP.
            acceptor_subkey: true,
            first_send,
            // The library keeps the number of the AP-REP to itself.
            first_receive: None,
        });
        Ok(Established { context, token })
    }

    /// One step of the library, whose questions to the KDC are asked on the way.
    async fn step(&mut self, input: Vec<u8>) -> Result<(SecurityStatus, Vec<u8>), KerberosError> {
        let target = self.service.to_string();
        let mut input = vec![SecurityBuffer::new(input, BufferType::Token)];
        if let Style::SaslBound(binding) = &self.style {
            let binding = channel_bindings(binding);
            input.push(SecurityBuffer::new(binding, BufferType::ChannelBindings));
        }
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let (kdc, account, service) = (&mut self.kdc, &self.account, &self.service);
        let mut builder = self
            .sspi
            .initialize_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(requirements(self.style))
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name(&target)
            .with_input(&mut input)
            .with_output(&mut output);
        let failed = |kdc: &Kdc, error: &sspi::Error| fails(kdc, "working", &error.description);
        let outcome = {
            let mut generator = self
                .sspi
                .initialize_security_context_impl(&mut builder)
                .map_err(|error| failed(kdc, &error))?;
            let mut state = guarded(kdc, || generator.start())?;
            let mut questions = 0;
            loop {
                match state {
                    GeneratorState::Completed(outcome) => break outcome,
                    GeneratorState::Suspended(_) if questions == QUESTIONS_MAX => {
                        return Err(fails(kdc, "asking the KDC", "there is no end to its answers"));
                    }
                    GeneratorState::Suspended(request) => {
                        questions += 1;
                        let reply = answer(kdc, account, service, &request).await?;
                        state = guarded(kdc, || generator.resume(Ok(reply)))?;
                    }
                }
            }
        };
        let status = outcome.map_err(|error| failed(kdc, &error))?.status;
        let [output] = output;
        Ok((status, output.buffer))
    }

    /// The sequence number of our first token. The library tells it only by making that token, which
    /// is thrown away: the context makes its own with the same number.
    fn first_sequence_number(&mut self) -> Result<u64, KerberosError> {
        let sizes = self.sspi.query_context_sizes().map_err(|error| self.because(&error))?;
        let length = usize::try_from(sizes.security_trailer).unwrap_or_default();
        let mut token = vec![0; length];
        let mut message =
            [SecurityBufferRef::token_buf(&mut token), SecurityBufferRef::data_buf(&mut [])];
        let made = self.sspi.encrypt_message(EncryptionFlags::empty(), &mut message);
        made.map_err(|error| self.because(&error))?;
        // RFC 4121 section 4.2.6.2: SND_SEQ.
        let number = token.get(8..16).and_then(|octets| octets.try_into().ok());
        number
            .map(u64::from_be_bytes)
            .ok_or_else(|| self.fails("reading the sequence number", "the token is too short"))
    }

    fn because(&self, error: &sspi::Error) -> KerberosError {
        self.fails("taking the context", &error.description)
    }

    fn fails(&self, step: &'static str, reason: &str) -> KerberosError {
        fails(&self.kdc, step, reason)
    }
}

fn fails(kdc: &Kdc, step: &'static str, reason: &str) -> KerberosError {
    KerberosError::Handshake { kdc: kdc.host().clone(), step, reason: reason.to_owned() }
}

/// Runs the library on what a peer sent. It is known to panic on hostile input, which must not take
/// more down than this handshake; the handshake is not used again after that.
fn guarded<T>(kdc: &Kdc, run: impl FnOnce() -> T) -> Result<T, KerberosError> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| fails(kdc, "reading a message", "the library panicked"))
}

type Prepared = (Kerberos, Option<CredentialsBuffers>);

fn prepare(kdc: &Kdc, credential: &Credential) -> Result<Prepared, KerberosError> {
    let because = |error: &sspi::Error| fails(kdc, "preparing it", &error.description);
    // The library only looks at the scheme: what it wants to send is sent here.
    let url = format!("tcp://{}", kdc.host());
    let config = KerberosConfig::new_with_kdc_url(&url, String::new());
    let mut sspi = Kerberos::new_client_from_config(config).map_err(|error| because(&error))?;
    let username =
        Username::new_down_level_logon_name(&credential.account, credential.realm.as_str())
            .map_err(|error| fails(kdc, "naming the account", &error.to_string()))?;
    let password = credential.password.expose().to_owned().into();
    let identity = Credentials::AuthIdentity(AuthIdentity { username, password });
    let acquired = sspi
        .acquire_credentials_handle()
        .with_credential_use(CredentialUse::Outbound)
        .with_auth_data(&identity)
        .execute(&mut sspi)
        .map_err(|error| because(&error))?;
    Ok((sspi, acquired.credentials_handle))
}

fn requirements(style: Style) -> ClientRequestFlags {
    let common = ClientRequestFlags::MUTUAL_AUTH
        | ClientRequestFlags::REPLAY_DETECT
        | ClientRequestFlags::SEQUENCE_DETECT
        | ClientRequestFlags::CONFIDENTIALITY
        | ClientRequestFlags::INTEGRITY;
    match style {
        Style::Sasl => common,
        // A directory refuses to sign or seal inside TLS, and the flags say what is asked for.
        Style::SaslBound(_) => ClientRequestFlags::MUTUAL_AUTH,
        Style::Dce => common | ClientRequestFlags::USE_DCE_STYLE,
    }
}

/// The SEC_CHANNEL_BINDINGS structure: eight numbers (kinds, lengths and offsets of both addresses,
/// which are not given, then length and offset of the application's data), and that data.
fn channel_bindings(binding: &ChannelBinding) -> Vec<u8> {
    const HEADER_OCTETS: u32 = 8 * 4 /* the numbers */;
    let data = binding.as_bytes();
    let length = u32::try_from(data.len()).unwrap_or_default();
    let numbers = [0, 0, 0, 0, 0, 0, length, HEADER_OCTETS];
    numbers.into_iter().flat_map(u32::to_le_bytes).chain(data.iter().copied()).collect()
}

/// Questions to the KDC in one step of a handshake; three are usual (AS without and with the proof
/// of the password, TGS).
const QUESTIONS_MAX: u32 = 8;
/// Octets of the length that the library puts before what it sends, and wants before a reply.
const LENGTH_OCTETS: usize = 4;
/// The tags of AS-REP and TGS-REP.
const REPLIES: [u8; 2] = [0x6b, 0x6d];

/// Asks the KDC what the library wants to know. Only the demand for a proof of the password goes
/// back to it as an error: any other one ends the handshake.
async fn answer(
    kdc: &mut Kdc,
    account: &str,
    service: &Spn,
    request: &NetworkRequest,
) -> Result<Vec<u8>, KerberosError> {
    if request.url.host_str() != Some(kdc.host().as_str()) {
        return Err(fails(kdc, "following a referral", "another realm is not asked"));
    }
    let question = request.data.get(LENGTH_OCTETS..).unwrap_or_default();
    let reply = kdc.ask(question).await?;
    if is_error(&reply) {
        let error = KrbError::decode(&reply)
            .map_err(|error| KerberosError::Malformed { kdc: kdc.host().clone(), error })?;
        judge(kdc, &error, clock::now())?;
        if error.code != ErrorCode::PreauthRequired {
            return Err(KerberosError::Refused {
                kdc: kdc.host().clone(),
                account: account.to_owned(),
                service: service.clone(),
                code: error.code,
                text: error.text,
            });
        }
    } else {
        let tag = reply.first().copied().unwrap_or_default();
        if !REPLIES.contains(&tag) {
            return Err(KerberosError::NoReply { kdc: kdc.host().clone(), tag });
        }
    }
    let length = u32::try_from(reply.len()).unwrap_or(u32::MAX);
    Ok([&length.to_be_bytes(), reply.as_slice()].concat())
}

/// Refuses a clock that differs too much, which the library would silently make up for.
fn judge(kdc: &Kdc, error: &KrbError, here: OffsetDateTime) -> Result<(), KerberosError> {
    let there = error.server_time;
    if (there - here).abs() <= CLOCK_SKEW_MAX {
        return Ok(());
    }
    Err(KerberosError::ClockSkew { kdc: kdc.host().clone(), there, here })
}
