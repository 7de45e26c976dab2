//! How the first token says that it is bound to a TLS connection.
//!
//! `sspi` puts the bindings' hash into the authenticator, as [RFC 4121 section 4.1.1.2] has it, and
//! says beside it that it did so ([MS-KILE] 3.2.5.8, KERB_AP_OPTIONS_CBT), but as two octets in the
//! wrong order where four are due, and outside AD-IF-RELEVANT: MIT's acceptor refuses the token for
//! that. The statement is made here.
//!
//! [RFC 4121 section 4.1.1.2]: https://www.rfc-editor.org/rfc/rfc4121#section-4.1.1.2
//! [MS-KILE]: https://learn.microsoft.com/openspecs/windows_protocols/ms-kile

use picky_asn1::wrapper::{
    Asn1SequenceOf, ExplicitContextTag0, ExplicitContextTag1, ExplicitContextTag8, IntegerAsn1,
    OctetStringAsn1, Optional,
};
use picky_krb::data_types::{Authenticator, AuthorizationData, AuthorizationDataInner};
use sspi::channel_bindings::ChannelBindings;

use super::Style;
use super::messages::{Fault, encode};
use crate::tls::ChannelBinding;

/// AD-IF-RELEVANT ([RFC 4120 section 5.2.6.1]).
///
/// [RFC 4120 section 5.2.6.1]: https://www.rfc-editor.org/rfc/rfc4120#section-5.2.6.1
const IF_RELEVANT: [u8; 1] = [1];
/// AD-AUTH-DATA-AP-OPTIONS, 143, as a positive integer.
const AP_OPTIONS: [u8; 2] = [0, 143];
/// The client gives channel bindings.
const CBT: u32 = 0x4000;

/// The connection that a context is to be good for alone; no addresses are part of it.
pub(super) fn channel_bindings(style: Style) -> Option<ChannelBindings> {
    let Style::SaslBound(binding) = style else { return None };
    Some(ChannelBindings {
        initiator_addr_type: 0,
        initiator: Vec::new(),
        acceptor_addr_type: 0,
        acceptor: Vec::new(),
        application_data: ChannelBinding::as_bytes(&binding).to_vec(),
    })
}

/// Puts the statement into an authenticator, in place of the library's.
pub(super) fn state(step: &'static str, authenticator: &mut Authenticator) -> Result<(), Fault> {
    let statement = encode(step, &list(&AP_OPTIONS, CBT.to_le_bytes().to_vec()))?;
    let relevant = list(&IF_RELEVANT, statement);
    authenticator.0.authorization_data = Optional::from(Some(ExplicitContextTag8::from(relevant)));
    Ok(())
}

/// Authorization data with one element.
fn list(kind: &[u8], data: Vec<u8>) -> AuthorizationData {
    Asn1SequenceOf::from(vec![AuthorizationDataInner {
        ad_type: ExplicitContextTag0::from(IntegerAsn1::from(kind.to_vec())),
        ad_data: ExplicitContextTag1::from(OctetStringAsn1::from(data)),
    }])
}
