//! The NT hash of a password.

use std::fmt;

use md4::{Digest, Md4};
use portolan_model::Secret;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The NT hash of a password: MD4 of its UTF-16LE form ([MS-NLMP] 3.3.1, `NTOWFv1`).
///
/// It is as good as the password itself: it is wiped when dropped, never printed, and compared in
/// constant time.
///
/// [MS-NLMP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-nlmp
#[derive(Clone)]
pub struct NtHash(Secret<16>);

impl NtHash {
    /// The hash of a password.
    #[must_use]
    pub fn from_password(password: &str) -> Self {
        // The room is taken at once, so that growth leaves no copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(2 * password.len()));
        text.extend(password.encode_utf16().flat_map(u16::to_le_bytes));
        Self::from_octets(Md4::digest(text.as_slice()).into())
    }

    /// From the sixteen octets of a hash.
    #[must_use]
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        Self(Secret::new(octets))
    }

    /// The sixteen octets, for the algorithm that needs them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }
}

impl PartialEq for NtHash {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_slice().ct_eq(other.expose().as_slice()).into()
    }
}

impl Eq for NtHash {}

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtHash([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_never_prints_its_value() {
        let hash = NtHash::from_password("Al1ce-Pass!");
        assert_eq!(format!("{hash:?}"), "NtHash([hidden])");
        let octets = hex::decode("ca0fe125324eac33b55c2e60b5509492").unwrap();
        assert_eq!(hash, NtHash::from_octets(octets.try_into().unwrap()));
    }
}
