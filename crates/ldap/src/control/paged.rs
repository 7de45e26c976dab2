//! Simple paged results ([RFC 2696]).
//!
//! [RFC 2696]: https://www.rfc-editor.org/rfc/rfc2696

use portolan_codec::DecodeError;

use super::{Control, ResponseControl, cookie};
use crate::ber::{Decoder, Encoder, Tag};

/// maxInt of RFC 4511 section 4.1.1.
const INTEGER_MAX: i64 = 0x7fff_ffff;

/// realSearchControlValue, the same in a request and in the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagedResults {
    /// Asked: entries a page at most. Answered: entries in all, or 0 where the server does not say.
    pub size: u32,
    /// Where the next page begins; empty in the first request and in the last response.
    pub cookie: Vec<u8>,
}

impl PagedResults {
    /// The first page's request.
    #[must_use]
    pub const fn first(size: u32) -> Self {
        Self { size, cookie: Vec::new() }
    }

    /// The request's control.
    #[must_use]
    pub fn control(&self) -> Control {
        let mut encoder = Encoder::new();
        encoder.constructed(Tag::SEQUENCE, |inner| {
            inner.integer(Tag::INTEGER, i64::from(self.size).min(INTEGER_MAX));
            inner.octets(&self.cookie);
        });
        Control::critical(Self::OID, Some(encoder.into_vec()))
    }
}

impl ResponseControl for PagedResults {
    const OID: &'static str = "1.2.840.113556.1.4.319";

    fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut inner = Decoder::new(value).constructed(Tag::SEQUENCE, "realSearchControlValue")?;
        // The bounds make the number fit.
        let size = inner.integer(0..=INTEGER_MAX, "size")? as u32;
        let cookie = cookie(&mut inner, "cookie")?;
        inner.skip_extensions("realSearchControlValue")?;
        Ok(Self { size, cookie })
    }
}
