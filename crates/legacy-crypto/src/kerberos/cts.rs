//! AES in CBC mode with ciphertext stealing, as [RFC 3962 section 5] defines it: the last two blocks
//! are always swapped, and the initial vector is zero.
//!
//! [RFC 3962 section 5]: https://www.rfc-editor.org/rfc/rfc3962#section-5

use aes::cipher::{
    Array, Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt,
    BlockSizeUser, InnerIvInit, KeyInit, consts::U16,
};
use aes::{Aes128, Aes256};

/// Octets of a cipher block.
pub const BLOCK_LENGTH: usize = 16;

/// A message is shorter than one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ciphertext stealing needs at least {BLOCK_LENGTH} octets")]
pub struct TooShort;

/// A key schedule, wiped when dropped.
pub struct AesCts(Schedule);

enum Schedule {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
}

impl AesCts {
    /// With a key of 128 bits.
    #[must_use]
    pub fn aes128(key: &[u8; 16]) -> Self {
        Self(Schedule::Aes128(Box::new(Aes128::new(key.into()))))
    }

    /// With a key of 256 bits.
    #[must_use]
    pub fn aes256(key: &[u8; 32]) -> Self {
        Self(Schedule::Aes256(Box::new(Aes256::new(key.into()))))
    }

    /// Encrypts `message` in place.
    ///
    /// # Errors
    /// [`TooShort`] when it is shorter than one block.
    pub fn encrypt(&self, message: &mut [u8]) -> Result<(), TooShort> {
        match &self.0 {
            Schedule::Aes128(cipher) => encrypt(cipher.as_ref(), message),
            Schedule::Aes256(cipher) => encrypt(cipher.as_ref(), message),
        }
    }

    /// Decrypts `message` in place.
    ///
    /// # Errors
    /// [`TooShort`] when it is shorter than one block.
    pub fn decrypt(&self, message: &mut [u8]) -> Result<(), TooShort> {
        match &self.0 {
            Schedule::Aes128(cipher) => decrypt(cipher.as_ref(), message),
            Schedule::Aes256(cipher) => decrypt(cipher.as_ref(), message),
        }
    }
}

impl std::fmt::Debug for AesCts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AesCts([hidden])")
    }
}

fn encrypt<C>(cipher: &C, message: &mut [u8]) -> Result<(), TooShort>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let Some((full, partial)) = split(message) else {
        return Err(TooShort);
    };
    cbc::Encryptor::inner_iv_init(cipher, &Array::default())
        .encrypt_blocks(Array::cast_slice_from_core_mut(full));
    let Some(penultimate) = full.last_mut().filter(|_| !partial.is_empty()) else {
        return Ok(());
    };
    // The last, partial block is padded with zeros and encrypted into the place of the block before
    // it, which moves behind and loses its tail.
    let mut last: Block<C> = Array(*penultimate);
    let (head, _) = last.0.split_at_mut(partial.len());
    for (octet, plain) in head.iter_mut().zip(partial.iter()) {
        *octet ^= plain;
    }
    cipher.encrypt_block(&mut last);
    partial.copy_from_slice(&penultimate[..partial.len()]);
    *penultimate = last.0;
    Ok(())
}

fn decrypt<C>(cipher: &C, message: &mut [u8]) -> Result<(), TooShort>
where
    C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    let Some((full, partial)) = split(message) else {
        return Err(TooShort);
    };
    let mut chain: Block<C> = Array::default();
    let split_last = if partial.is_empty() { None } else { full.split_last_mut() };
    let Some((penultimate, before)) = split_last else {
        cbc::Decryptor::inner_iv_init(cipher, &chain)
            .decrypt_blocks(Array::cast_slice_from_core_mut(full));
        return Ok(());
    };
    let first = chain;
    if let Some(previous) = before.last() {
        chain = Array(*previous);
    }
    cbc::Decryptor::inner_iv_init(cipher, &first)
        .decrypt_blocks(Array::cast_slice_from_core_mut(before));
    // What was stolen from the block before the last one is still in the padding of the last.
    let mut last: Block<C> = Array(*penultimate);
    cipher.decrypt_block(&mut last);
    let mut stolen = last;
    stolen.0[..partial.len()].copy_from_slice(partial);
    for (octet, cut) in partial.iter_mut().zip(last.0) {
        *octet ^= cut;
    }
    cipher.decrypt_block(&mut stolen);
    for ((out, octet), previous) in penultimate.iter_mut().zip(stolen.0).zip(chain.0) {
        *out = octet ^ previous;
    }
    Ok(())
}

/// The full blocks and the rest, which is the last block (full or not) unless the message is one
/// block long.
fn split(message: &mut [u8]) -> Option<(&mut [[u8; BLOCK_LENGTH]], &mut [u8])> {
    let blocks = match message.len() {
        0..BLOCK_LENGTH => return None,
        BLOCK_LENGTH => 1,
        longer => (longer - 1) / BLOCK_LENGTH,
    };
    let (full, last) = message.split_at_mut(blocks * BLOCK_LENGTH);
    Some((full.as_chunks_mut().0, last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(length: usize, expected: &str) {
        let plain = b"I would like the General Gau's Chicken, please, and wonton soup.";
        let cipher = AesCts::aes128(b"chicken teriyaki");
        let mut message = plain[..length].to_vec();
        cipher.encrypt(&mut message).unwrap();
        assert_eq!(hex::encode(&message), expected, "{length} octets");
        cipher.decrypt(&mut message).unwrap();
        assert_eq!(message, &plain[..length], "{length} octets");
    }

    #[test]
    fn the_vectors_of_rfc_3962_appendix_b_are_met() {
        check(17, "c6353568f2bf8cb4d8a580362da7ff7f97");
        check(31, "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5");
        check(32, "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584");
        check(
            47,
            "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e\
             39312523a78662d5be7fcbcc98ebf5",
        );
        check(
            48,
            "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd8\
             39312523a78662d5be7fcbcc98ebf5a8",
        );
        check(
            64,
            "97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a8\
             4807efe836ee89a526730dbc2f7bc8409dad8bbb96c4cdc03bc103e1a194bbd8",
        );
    }

    #[test]
    fn a_message_shorter_than_a_block_is_refused() {
        let cipher = AesCts::aes256(&[7; 32]);
        assert_eq!(cipher.encrypt(&mut [0; 15]), Err(TooShort));
        assert_eq!(cipher.decrypt(&mut []), Err(TooShort));
    }

    proptest! {
        #[test]
        fn decryption_undoes_encryption(plain in proptest::collection::vec(any::<u8>(), 16..200)) {
            let cipher = AesCts::aes256(&[7; 32]);
            let mut message = plain.clone();
            cipher.encrypt(&mut message).unwrap();
            prop_assert_ne!(&message, &plain);
            cipher.decrypt(&mut message).unwrap();
            prop_assert_eq!(message, plain);
        }
    }
}
