//! The messages for the service (AP exchange, [RFC 4120 section 3.2]), in the forms of GSS
//! ([RFC 4121 section 4.1]) and of RPC ([MS-KILE] 3.4.5.1).
//!
//! [RFC 4120 section 3.2]: https://www.rfc-editor.org/rfc/rfc4120#section-3.2
//! [RFC 4121 section 4.1]: https://www.rfc-editor.org/rfc/rfc4121#section-4.1
//! [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile

use picky_asn1::wrapper::{
    ExplicitContextTag0, ExplicitContextTag1, ExplicitContextTag2, ExplicitContextTag3,
    IntegerAsn1, OctetStringAsn1, Optional,
};
use picky_krb::constants::gss_api::AUTHENTICATOR_CHECKSUM_TYPE;
use picky_krb::constants::types::AP_REP_MSG_TYPE;
use picky_krb::data_types::{
    Authenticator, EncApRepPart, EncApRepPartInner, EncryptedData, KerberosTime,
};
use picky_krb::messages::{ApRep, ApRepInner};
use portolan_gss::encrypted::{self, usage};
use portolan_gss::{Established, ProtocolKey, Role, token};
use portolan_model::Entropy as _;
use sspi::kerberos::client::generators::{
    ChecksumOptions, EncKey, GenerateAuthenticatorOptions, generate_ap_req, generate_authenticator,
};
use sspi::kerberos::flags::ApOptions;
use sspi::{KERBEROS_VERSION, Secret};
use zeroize::Zeroize as _;

use super::messages::{
    Fault, Ticket, decode, encode, number, parameters, sealed, session_key, suite,
};
use super::{Style, bound};
use crate::entropy::SystemEntropy;

/// What was said to a service, for its answer to be held against.
pub(super) struct Said {
    style: Style,
    key: ProtocolKey,
    subkey: ProtocolKey,
    sequence: u32,
    time: KerberosTime,
    microseconds: IntegerAsn1,
}

/// Makes the first token for a service.
pub(super) fn request(ticket: &Ticket, style: Style) -> Result<(Said, Vec<u8>), Fault> {
    let step = "making the AP-REQ";
    let fault = |error: sspi::Error| Fault::new(step, error.description);
    let subkey = subkey(&ticket.key).map_err(|error| Fault::new(step, error))?;
    // Some acceptors read the number as signed.
    let sequence = u32::from_be_bytes(SystemEntropy.array()) >> 2;
    let bindings = bound::channel_bindings(style);
    let mut authenticator = generate_authenticator(GenerateAuthenticatorOptions {
        kdc_rep: &ticket.reply,
        seq_num: Some(sequence),
        sub_key: Some(EncKey { key_type: suite(&subkey), key_value: subkey.expose().to_vec() }),
        checksum: Some(ChecksumOptions {
            checksum_type: AUTHENTICATOR_CHECKSUM_TYPE.to_vec(),
            checksum_value: checksum(style).into(),
        }),
        channel_bindings: bindings.as_ref(),
        extensions: Vec::new(),
    })
    .map_err(fault)?;
    if bindings.is_some() {
        bound::state(step, &mut authenticator)?;
    }
    let key = Secret::new(ticket.key.expose().to_vec());
    let made = generate_ap_req(
        ticket.reply.ticket.0.clone(),
        &key,
        &authenticator,
        &parameters(&ticket.key),
        ApOptions::MUTUAL_REQUIRED,
    );
    wipe(&mut authenticator);
    let message = encode(step, &made.map_err(fault)?)?;
    let said = Said {
        style,
        key: ticket.key.clone(),
        subkey,
        sequence,
        time: authenticator.0.ctime.0,
        microseconds: authenticator.0.cusec.0,
    };
    let token = match style {
        Style::Sasl | Style::SaslBound(_) => token::frame_ap_req(&message),
        Style::Dce => message,
    };
    Ok((said, token))
}

/// The Kerberos message in a token of the service.
pub(super) fn message(style: Style, token: &[u8]) -> Result<&[u8], Fault> {
    match style {
        Style::Sasl | Style::SaslBound(_) => {
            token::unframe(token).map_err(|error| Fault::new("reading the AP-REP", error))
        }
        Style::Dce => Ok(token),
    }
}

/// Takes the service's AP-REP in, which proves that it holds the service's key. Gives the context and
/// the third token, which is empty but for RPC.
pub(super) fn finish(said: Said, message: &[u8]) -> Result<(Established, Vec<u8>), Fault> {
    let step = "reading the AP-REP";
    let reply: ApRep = decode(step, message)?;
    let plain = encrypted::open(&said.key, usage::AP_REP, sealed(&reply.0.enc_part))
        .map_err(|error| Fault::new(step, error))?;
    let mut part = decode::<EncApRepPart>(step, &plain)?.0;
    let theirs = part.subkey.0.as_mut().map(|key| session_key(step, &mut key.0)).transpose()?;
    if part.ctime.0 != said.time || number(&part.cusec.0) != number(&said.microseconds) {
        return Err(Fault::new(step, "it answers another AP-REQ"));
    }
    let first_receive = part.seq_number.0.as_ref().and_then(|sequence| number(&sequence.0));
    let first_receive = first_receive
        .ok_or_else(|| Fault::new(step, "it does not say what it counts its messages from"))?;
    let token = match said.style {
        Style::Sasl | Style::SaslBound(_) => Vec::new(),
        Style::Dce => third_leg(&said, first_receive)?,
    };
    let acceptor_subkey = theirs.is_some();
    let established = Established {
        key: theirs.unwrap_or(said.subkey),
        role: Role::Initiator,
        acceptor_subkey,
        first_send: said.sequence.into(),
        first_receive: Some(first_receive.into()),
    };
    Ok((established, token))
}

/// The client's AP-REP, which says that it got the service's number ([MS-KILE] 3.4.5.1).
///
/// [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile
fn third_leg(said: &Said, sequence: u32) -> Result<Vec<u8>, Fault> {
    let step = "making the AP-REP";
    let sequence = IntegerAsn1::from_bytes_be_unsigned(sequence.to_be_bytes().to_vec());
    let part = EncApRepPart::from(EncApRepPartInner {
        ctime: ExplicitContextTag0::from(said.time.clone()),
        cusec: ExplicitContextTag1::from(said.microseconds.clone()),
        subkey: Optional::from(None),
        seq_number: Optional::from(Some(ExplicitContextTag3::from(sequence))),
    });
    let plain = encode(step, &part)?;
    let cipher = encrypted::seal(&said.key, usage::AP_REP, &plain, &mut SystemEntropy)
        .map_err(|error| Fault::new(step, error))?;
    let kind = said.key.encryption_type().number().to_be_bytes();
    encode(
        step,
        &ApRep::from(ApRepInner {
            pvno: ExplicitContextTag0::from(IntegerAsn1::from(vec![KERBEROS_VERSION])),
            msg_type: ExplicitContextTag1::from(IntegerAsn1::from(vec![AP_REP_MSG_TYPE])),
            enc_part: ExplicitContextTag2::from(EncryptedData {
                etype: ExplicitContextTag0::from(IntegerAsn1::from_bytes_be_unsigned(
                    kind.to_vec(),
                )),
                kvno: Optional::from(None),
                cipher: ExplicitContextTag2::from(OctetStringAsn1::from(cipher)),
            }),
        }),
    )
}

/// The authenticator's checksum, which carries what is asked of the context
/// ([RFC 4121 section 4.1.1]); the library puts channel bindings in.
///
/// [RFC 4121 section 4.1.1]: https://www.rfc-editor.org/rfc/rfc4121#section-4.1.1
fn checksum(style: Style) -> [u8; 24] {
    let mut checksum = [0; 4 /* Lgth */ + 16 /* Bnd */ + 4 /* Flags */];
    checksum[0] = 16;
    checksum[20..].copy_from_slice(&flags(style).to_le_bytes());
    checksum
}

/// What is asked of the context ([RFC 4121 section 4.1.1.1]; [MS-KILE] 3.2.5.2).
///
/// [RFC 4121 section 4.1.1.1]: https://www.rfc-editor.org/rfc/rfc4121#section-4.1.1.1
/// [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile
const fn flags(style: Style) -> u32 {
    const MUTUAL: u32 = 2;
    const REPLAY: u32 = 4;
    const SEQUENCE: u32 = 8;
    const CONFIDENTIALITY: u32 = 16;
    const INTEGRITY: u32 = 32;
    const DCE_STYLE: u32 = 0x1000;
    let common = MUTUAL | REPLAY | SEQUENCE | CONFIDENTIALITY | INTEGRITY;
    match style {
        Style::Sasl => common,
        // A directory refuses to sign or seal inside TLS, and the flags say what is asked for.
        Style::SaslBound(_) => MUTUAL,
        Style::Dce => common | DCE_STYLE,
    }
}

fn subkey(like: &ProtocolKey) -> Result<ProtocolKey, portolan_gss::KeyLengthMismatch> {
    let mut octets: [u8; 32] = SystemEntropy.array();
    let kind = like.encryption_type();
    let key = ProtocolKey::new(kind, &octets[..kind.key_length()]);
    octets.zeroize();
    key
}

fn wipe(authenticator: &mut Authenticator) {
    if let Some(subkey) = authenticator.0.subkey.0.as_mut() {
        subkey.0.key_value.0.0.zeroize();
    }
}
