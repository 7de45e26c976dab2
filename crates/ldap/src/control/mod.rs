//! Controls ([RFC 4511] section 4.1.11): those that reading a forest needs, each in its own type.
//!
//! A request's control is made by a constructor here. A response's is found among those received
//! by [`find`]; what is unknown there is kept and changes nothing, for the criticality of a
//! response control means nothing and is ignored, as the section demands.
//!
//! [RFC 4511]: https://www.rfc-editor.org/rfc/rfc4511#section-4.1.11

mod dir_sync;
mod extended_dn;
mod paged;

use std::borrow::Cow;

use portolan_codec::{DecodeError, Fault};

pub use dir_sync::{DirSync, DirSyncFlags, DirSyncReply};
pub use extended_dn::{ExtendedDn, extended_dn};
pub use paged::PagedResults;

use crate::ber::{Decoder, Encoder, Tag};

/// Controls one message may carry.
pub const CONTROLS_MAX: usize = 32;
/// Octets a cookie may have, of paged results and of DirSync. Active Directory's grow with the
/// number of domain controllers, some 30 octets each.
pub const COOKIE_OCTETS_MAX: usize = 1024 * 1024;

/// LDAP_SERVER_SHOW_DELETED_OID ([MS-ADTS] section 3.1.1.3.4.1.14).
///
/// [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts
pub const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// LDAP_SERVER_SHOW_DEACTIVATED_LINK_OID (MS-ADTS section 3.1.1.3.4.1.25).
pub const SHOW_DEACTIVATED_LINK: &str = "1.2.840.113556.1.4.2065";
/// LDAP_SERVER_SD_FLAGS_OID (MS-ADTS section 3.1.1.3.4.1.11).
pub const SD_FLAGS: &str = "1.2.840.113556.1.4.801";

/// Control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// controlType, an object identifier.
    pub oid: Cow<'static, str>,
    /// Whether a server that does not know it must refuse the request.
    pub critical: bool,
    /// controlValue.
    pub value: Option<Vec<u8>>,
}

impl Control {
    /// A control that a server must know.
    #[must_use]
    pub const fn critical(oid: &'static str, value: Option<Vec<u8>>) -> Self {
        Self { oid: Cow::Borrowed(oid), critical: true, value }
    }
}

/// Also deleted objects: the request control without a value.
#[must_use]
pub const fn show_deleted() -> Control {
    Control::critical(SHOW_DELETED, None)
}

/// Also links of and to deleted objects that the recycle bin keeps.
#[must_use]
pub const fn show_deactivated_link() -> Control {
    Control::critical(SHOW_DEACTIVATED_LINK, None)
}

/// Parts of a security descriptor (SECURITY_INFORMATION, MS-DTYP section 2.4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityInformation(u8);

impl SecurityInformation {
    /// The owner.
    pub const OWNER: Self = Self(1);
    /// The primary group.
    pub const GROUP: Self = Self(2);
    /// The discretionary access control list.
    pub const DACL: Self = Self(4);
    /// The system access control list; reading it takes a privilege.
    pub const SACL: Self = Self(8);

    /// These parts and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Only these parts of nTSecurityDescriptor: the request control with SDFlagsRequestValue.
#[must_use]
pub fn sd_flags(parts: SecurityInformation) -> Control {
    Control::critical(SD_FLAGS, Some(sequence_of_integer(parts.0.into())))
}

/// A response control's type.
pub trait ResponseControl: Sized {
    /// Its controlType.
    const OID: &'static str;

    /// Its controlValue.
    ///
    /// # Errors
    /// [`DecodeError`] when the octets are none.
    fn decode(value: &[u8]) -> Result<Self, DecodeError>;
}

/// The control of type `T` among those of a response.
///
/// # Errors
/// [`DecodeError`] when it is there more than once, without a value, or not well-formed.
pub fn find<T: ResponseControl>(controls: &[Control]) -> Result<Option<T>, DecodeError> {
    let mut found = controls.iter().filter(|control| control.oid == T::OID);
    let Some(control) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        let rule = "the same control stands only once in a response";
        return Err(DecodeError::new(0, "controlType", Fault::Malformed(rule)));
    }
    T::decode(control.value.as_deref().unwrap_or_default()).map(Some)
}

/// SEQUENCE { INTEGER }, the value of several controls.
fn sequence_of_integer(value: i64) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.constructed(Tag::SEQUENCE, |inner| inner.integer(Tag::INTEGER, value));
    encoder.into_vec()
}

/// A cookie within its limit.
fn cookie(decoder: &mut Decoder<'_>, field: &'static str) -> Result<Vec<u8>, DecodeError> {
    let cookie = decoder.octets(field)?;
    if cookie.len() > COOKIE_OCTETS_MAX {
        let (found, limit) = (cookie.len() as u64, COOKIE_OCTETS_MAX as u64);
        return Err(decoder.fault(field, Fault::AboveLimit { found, limit }));
    }
    Ok(cookie.to_vec())
}

pub(crate) fn encode_controls(encoder: &mut Encoder, controls: &[Control]) {
    for control in controls {
        encoder.constructed(Tag::SEQUENCE, |inner| {
            inner.text(&control.oid);
            if control.critical {
                inner.boolean(Tag::BOOLEAN, true);
            }
            if let Some(value) = &control.value {
                inner.octets(value);
            }
        });
    }
}

pub(crate) fn decode_controls(mut list: Decoder<'_>) -> Result<Vec<Control>, DecodeError> {
    let mut controls = Vec::new();
    while !list.is_empty() {
        if controls.len() == CONTROLS_MAX {
            let limit = CONTROLS_MAX as u64;
            return Err(list.fault("controls", Fault::AboveLimit { found: limit + 1, limit }));
        }
        let mut inner = list.constructed(Tag::SEQUENCE, "Control")?;
        let oid = Cow::Owned(inner.text("controlType")?.to_owned());
        let critical =
            inner.peek() == Some(Tag::BOOLEAN) && inner.boolean(Tag::BOOLEAN, "criticality")?;
        let value = inner.optional(Tag::OCTET_STRING, "controlValue")?.map(<[u8]>::to_vec);
        inner.skip_extensions("Control")?;
        controls.push(Control { oid, critical, value });
    }
    Ok(controls)
}

#[cfg(test)]
mod tests;
