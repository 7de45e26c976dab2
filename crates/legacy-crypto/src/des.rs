//! Single DES as [MS-SAMR] 2.2.11.1 uses it: one block, a key of seven octets, and the layer that
//! ties an encrypted hash to the relative identifier of its account.
//!
//! [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr

use cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::Des;
use des::cipher;
use portolan_model::Secret;
use zeroize::Zeroizing;

use crate::NtHash;

/// A hash under the layer of its account's relative identifier ([MS-SAMR] 2.2.11.1.3, the
/// `ENCRYPTED_NT_OWF_PASSWORD` of an attribute such as unicodePwd), as the directory replicates it.
///
/// [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr
#[derive(Debug, Clone)]
pub struct RidEncryptedHash(Secret<16>);

impl RidEncryptedHash {
    /// Takes the sixteen octets in.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(Secret::new(octets))
    }

    /// The sixteen octets.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }

    /// Lays the layer of `rid` on a hash.
    #[must_use]
    pub fn encrypt(hash: &NtHash, rid: u32) -> Self {
        Self(Secret::new(both_blocks(hash.expose(), rid, encrypt_block)))
    }

    /// Takes the layer of `rid` off. There is no check value: a wrong `rid` gives another hash.
    #[must_use]
    pub fn decrypt(&self, rid: u32) -> NtHash {
        NtHash::from_octets(both_blocks(self.0.expose(), rid, decrypt_block))
    }
}

/// Encrypts one block under a key of seven octets ([MS-SAMR] 2.2.11.1.2).
///
/// [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr
#[must_use]
pub fn encrypt_block(key: [u8; 7], block: [u8; 8]) -> [u8; 8] {
    let key = Zeroizing::new(expand_key(key));
    let mut block = Array(block);
    Des::new(&Array(*key)).encrypt_block(&mut block);
    block.0
}

/// Decrypts one block under a key of seven octets ([MS-SAMR] 2.2.11.1.2).
///
/// [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr
#[must_use]
pub fn decrypt_block(key: [u8; 7], block: [u8; 8]) -> [u8; 8] {
    let key = Zeroizing::new(expand_key(key));
    let mut block = Array(block);
    Des::new(&Array(*key)).decrypt_block(&mut block);
    block.0
}

/// Spreads a key of 56 bits over eight octets, each with odd parity in its lowest bit
/// ([MS-SAMR] 2.2.11.1.2).
///
/// [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr
#[must_use]
pub fn expand_key(key: [u8; 7]) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = key;
    let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
    let mut expanded = [0; 8];
    for (index, octet) in expanded.iter_mut().enumerate() {
        let [.., low] = (bits >> (49 - 7 * index)).to_be_bytes();
        let seven = (low & 0x7f) << 1;
        *octet = seven | u8::from(seven.count_ones() % 2 == 0);
    }
    expanded
}

/// The two keys of seven octets that a relative identifier gives ([MS-SAMR] 2.2.11.1.3).
///
/// [MS-SAMR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-samr
#[must_use]
pub const fn keys_of_rid(rid: u32) -> [[u8; 7]; 2] {
    let [a, b, c, d] = rid.to_le_bytes();
    [[a, b, c, d, a, b, c], [d, a, b, c, d, a, b]]
}

fn both_blocks(
    input: &[u8; 16],
    rid: u32,
    apply: impl Fn([u8; 7], [u8; 8]) -> [u8; 8],
) -> [u8; 16] {
    let mut output = [0; 16];
    let blocks = input.as_chunks::<8>().0.iter().zip(output.as_chunks_mut::<8>().0);
    for ((block, out), key) in blocks.zip(keys_of_rid(rid)) {
        *out = apply(key, *block);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expanded_octet_has_odd_parity_and_seven_bits_of_the_key() {
        assert_eq!(expand_key([0xff; 7]), [0xfe; 8]);
        assert_eq!(expand_key([0; 7]), [1; 8]);
    }
}
