//! Repairs how a first token says that it is bound to a TLS connection.
//!
//! `sspi` puts the bindings' hash into the authenticator, as [RFC 4121 section 4.1.1.2] has it, and
//! says beside it that it did so ([MS-KILE] 3.2.5.8, KERB_AP_OPTIONS_CBT), but as two octets in the
//! wrong order where four are due, and outside AD-IF-RELEVANT: MIT's acceptor refuses the token for
//! that. Here the authenticator is opened with the ticket's session key and closed again.
//!
//! [RFC 4121 section 4.1.1.2]: https://www.rfc-editor.org/rfc/rfc4121#section-4.1.1.2
//! [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile

use picky_asn1::wrapper::{
    Asn1SequenceOf, ExplicitContextTag0, ExplicitContextTag1, ExplicitContextTag2,
    ExplicitContextTag8, IntegerAsn1, OctetStringAsn1, Optional,
};
use picky_krb::constants::key_usages::AP_REQ_AUTHENTICATOR;
use picky_krb::crypto::CipherSuite;
use picky_krb::data_types::{Authenticator, AuthorizationData, AuthorizationDataInner};
use picky_krb::gss_api::{ApplicationTag0, KrbMessage};
use picky_krb::messages::ApReq;
use zeroize::Zeroizing;

/// AD-IF-RELEVANT ([RFC 4120 section 5.2.6.1]).
///
/// [RFC 4120 section 5.2.6.1]: https://www.rfc-editor.org/rfc/rfc4120#section-5.2.6.1
const IF_RELEVANT: [u8; 1] = [1];
/// AD-AUTH-DATA-AP-OPTIONS, 143, as a positive integer.
const AP_OPTIONS: [u8; 2] = [0, 143];
/// The client gives channel bindings.
const CBT: u32 = 0x4000;

/// The token with its statement in the right form; nothing when it is none that `sspi` makes.
///
/// `key` is the session key of the ticket.
pub(super) fn repaired(token: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut message = KrbMessage::<ApReq>::decode_application_krb_message(token).ok()?.0;
    let sealed = &mut message.krb_msg.0.authenticator.0;
    let number = sealed.etype.0.0.iter().fold(0, |number, octet| number << 8 | usize::from(*octet));
    let cipher = CipherSuite::try_from(number).ok()?.cipher();
    // It holds the subkey.
    let plain = Zeroizing::new(cipher.decrypt(key, AP_REQ_AUTHENTICATOR, &sealed.cipher.0.0).ok()?);
    let mut authenticator: Authenticator = picky_asn1_der::from_bytes(&plain).ok()?;
    let statement = list(&AP_OPTIONS, CBT.to_le_bytes().to_vec());
    let relevant = list(&IF_RELEVANT, picky_asn1_der::to_vec(&statement).ok()?);
    authenticator.0.authorization_data = Optional::from(Some(ExplicitContextTag8::from(relevant)));
    let plain = Zeroizing::new(picky_asn1_der::to_vec(&authenticator).ok()?);
    let octets = cipher.encrypt(key, AP_REQ_AUTHENTICATOR, &plain).ok()?;
    sealed.cipher = ExplicitContextTag2::from(OctetStringAsn1::from(octets));
    picky_asn1_der::to_vec(&ApplicationTag0(message)).ok()
}

/// Authorization data with one element.
fn list(kind: &[u8], data: Vec<u8>) -> AuthorizationData {
    Asn1SequenceOf::from(vec![AuthorizationDataInner {
        ad_type: ExplicitContextTag0::from(IntegerAsn1::from(kind.to_vec())),
        ad_data: ExplicitContextTag1::from(OctetStringAsn1::from(data)),
    }])
}
