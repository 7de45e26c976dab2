//! LDAP_SERVER_DIRSYNC_OID ([MS-ADTS] section 3.1.1.3.4.1.3): all changes since a cookie.
//!
//! [MS-ADTS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-adts

use portolan_codec::DecodeError;

use super::{Control, ResponseControl, cookie};
use crate::ber::{Decoder, Encoder, Tag};

/// The control's type, the same in both directions.
const OID: &str = "1.2.840.113556.1.4.841";

/// Flags of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirSyncFlags(u32);

impl DirSyncFlags {
    /// LDAP_DIRSYNC_OBJECT_SECURITY: only what the account may read; needs no replication right.
    pub const OBJECT_SECURITY: Self = Self(0x0000_0001);
    /// LDAP_DIRSYNC_ANCESTORS_FIRST_ORDER: parents before their children.
    pub const ANCESTORS_FIRST: Self = Self(0x0000_0800);
    /// LDAP_DIRSYNC_PUBLIC_DATA_ONLY: no secret attributes.
    pub const PUBLIC_DATA_ONLY: Self = Self(0x0000_2000);
    /// LDAP_DIRSYNC_INCREMENTAL_VALUES: of a linked attribute only the values that changed, as
    /// `member;range=1-1` (added) and `member;range=0-0` (removed).
    pub const INCREMENTAL_VALUES: Self = Self(0x8000_0000);

    /// These flags and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// DirSyncRequestValue. The search's base is the root of a naming context, its scope the subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirSync {
    /// How to answer.
    pub flags: DirSyncFlags,
    /// Octets of attributes a response may have; Windows takes at least 1 MiB, Samba ignores it.
    pub octets_max: u32,
    /// The last response's cookie; empty for everything.
    pub cookie: Vec<u8>,
}

impl DirSync {
    /// The request's control.
    #[must_use]
    pub fn control(&self) -> Control {
        let mut encoder = Encoder::new();
        encoder.constructed(Tag::SEQUENCE, |inner| {
            // Windows reads a signed number of 32 bits, so the highest flag makes it negative.
            inner.integer(Tag::INTEGER, self.flags.0.cast_signed().into());
            inner.integer(Tag::INTEGER, self.octets_max.min(i32::MAX.cast_unsigned()).into());
            inner.octets(&self.cookie);
        });
        Control::critical(OID, Some(encoder.into_vec()))
    }
}

/// DirSyncResponseValue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirSyncReply {
    /// Whether another request with the new cookie returns more at once.
    pub more: bool,
    /// The cookie of all that was returned so far; opaque.
    pub cookie: Vec<u8>,
}

impl DirSyncReply {
    /// The response's control, as a scripted server sends it.
    #[must_use]
    pub fn control(&self) -> Control {
        let mut encoder = Encoder::new();
        encoder.constructed(Tag::SEQUENCE, |inner| {
            inner.integer(Tag::INTEGER, self.more.into());
            inner.integer(Tag::INTEGER, 0);
            inner.octets(&self.cookie);
        });
        Control { critical: false, ..Control::critical(OID, Some(encoder.into_vec())) }
    }
}

impl ResponseControl for DirSyncReply {
    const OID: &'static str = OID;

    fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let numbers = i64::from(i32::MIN)..=u32::MAX.into();
        let mut inner = Decoder::new(value).constructed(Tag::SEQUENCE, "DirSyncResponseValue")?;
        let more = inner.integer(numbers.clone(), "MoreResults")? != 0;
        inner.integer(numbers, "unused")?;
        let cookie = cookie(&mut inner, "CookieServer")?;
        inner.skip_extensions("DirSyncResponseValue")?;
        Ok(Self { more, cookie })
    }
}
