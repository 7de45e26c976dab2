//! Opaque secrets: codes, refresh tokens, session cookies, enrolment secrets.
//!
//! They are 256 random bits. The tenant keeps only their digest, so that its database holds nothing
//! that signs anybody in; a lookup by digest leaks nothing of the secret by its time.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portolan_model::{Entropy, SecretString};

/// Characters that an opaque secret of ours has.
const OPAQUE_CHARS: usize = 43;

/// A secret to hand out.
#[derive(Debug, Clone)]
pub struct Opaque(SecretString);

/// The SHA-256 of a secret: what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Opaque {
    /// Draws a new one.
    pub fn draw(rng: &mut dyn Entropy) -> Self {
        let mut octets = [0; 32];
        rng.fill(&mut octets);
        Self(SecretString::new(URL_SAFE_NO_PAD.encode(octets)))
    }

    /// Takes in what a caller sent; `None` when it cannot be one of ours.
    #[must_use]
    pub fn from_caller(text: &str) -> Option<Self> {
        let well_formed = text.len() == OPAQUE_CHARS
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        well_formed.then(|| Self(SecretString::new(text.to_owned())))
    }

    /// The text, to hand out.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.expose().as_bytes())
    }
}

impl Digest {
    /// The digest of octets.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
        Self(out)
    }

    /// From the store.
    #[must_use]
    pub const fn from_octets(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// For the store.
    #[must_use]
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// In base64url, as a proof key is written.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}
