//! Keys, and what is derived from them for one usage.

use std::num::NonZeroU32;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use aws_lc_rs::pbkdf2;
use hmac::{Hmac, Mac};
use portolan_model::Secret;
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{AesCts, n_fold};

/// Octets of a message authentication code: HMAC-SHA1 cut to 96 bits ([RFC 3962 section 6]).
///
/// [RFC 3962 section 6]: https://www.rfc-editor.org/rfc/rfc3962#section-6
pub const MAC_LENGTH: usize = 12;

/// The encryption types that this project speaks ([RFC 3962 section 7]).
///
/// [RFC 3962 section 7]: https://www.rfc-editor.org/rfc/rfc3962#section-7
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionType {
    /// aes128-cts-hmac-sha1-96.
    Aes128CtsHmacSha1_96,
    /// aes256-cts-hmac-sha1-96.
    Aes256CtsHmacSha1_96,
}

impl EncryptionType {
    /// The type with a number of the IANA registry; `None` for those that are not spoken here.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            17 => Some(Self::Aes128CtsHmacSha1_96),
            18 => Some(Self::Aes256CtsHmacSha1_96),
            _ => None,
        }
    }

    /// The number in the IANA registry.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Aes128CtsHmacSha1_96 => 17,
            Self::Aes256CtsHmacSha1_96 => 18,
        }
    }

    /// Octets of a key.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::Aes128CtsHmacSha1_96 => 16,
            Self::Aes256CtsHmacSha1_96 => 32,
        }
    }
}

/// A key whose length is not that of its encryption type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key of encryption type {} has {} octets, not {found}", .encryption_type.number(), .encryption_type.key_length())]
pub struct KeyLengthMismatch {
    /// The encryption type.
    pub encryption_type: EncryptionType,
    /// Octets of the key.
    pub found: usize,
}

/// A protocol key ([RFC 3961 section 3]): a ticket's session key or a subkey. Wiped when dropped.
///
/// [RFC 3961 section 3]: https://www.rfc-editor.org/rfc/rfc3961#section-3
#[derive(Debug, Clone)]
pub struct ProtocolKey(Octets);

#[derive(Debug, Clone)]
enum Octets {
    Aes128(Secret<16>),
    Aes256(Secret<32>),
}

impl ProtocolKey {
    /// Takes the octets of a key in.
    ///
    /// # Errors
    /// [`KeyLengthMismatch`].
    pub fn new(encryption_type: EncryptionType, octets: &[u8]) -> Result<Self, KeyLengthMismatch> {
        let key = match encryption_type {
            EncryptionType::Aes128CtsHmacSha1_96 => {
                octets.try_into().ok().map(|octets| Octets::Aes128(Secret::new(octets)))
            }
            EncryptionType::Aes256CtsHmacSha1_96 => {
                octets.try_into().ok().map(|octets| Octets::Aes256(Secret::new(octets)))
            }
        };
        key.map(Self).ok_or(KeyLengthMismatch { encryption_type, found: octets.len() })
    }

    /// The key of a password ([RFC 3962 section 4]): PBKDF2 with HMAC-SHA1, then DK.
    ///
    /// [RFC 3962 section 4]: https://www.rfc-editor.org/rfc/rfc3962#section-4
    #[must_use]
    pub fn from_password(
        encryption_type: EncryptionType,
        password: &str,
        salt: &[u8],
        iterations: NonZeroU32,
    ) -> Self {
        let derive = |out: &mut [u8]| {
            let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
            pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), out);
        };
        let base = match encryption_type {
            EncryptionType::Aes128CtsHmacSha1_96 => {
                let mut octets = Zeroizing::new([0; 16]);
                derive(octets.as_mut_slice());
                Octets::Aes128(Secret::new(*octets))
            }
            EncryptionType::Aes256CtsHmacSha1_96 => {
                let mut octets = Zeroizing::new([0; 32]);
                derive(octets.as_mut_slice());
                Octets::Aes256(Secret::new(*octets))
            }
        };
        Self(base).derive_key(b"kerberos")
    }

    /// The key's encryption type.
    #[must_use]
    pub const fn encryption_type(&self) -> EncryptionType {
        match self.0 {
            Octets::Aes128(_) => EncryptionType::Aes128CtsHmacSha1_96,
            Octets::Aes256(_) => EncryptionType::Aes256CtsHmacSha1_96,
        }
    }

    /// The octets, for the algorithm that needs them.
    #[must_use]
    pub const fn expose(&self) -> &[u8] {
        match &self.0 {
            Octets::Aes128(key) => key.expose(),
            Octets::Aes256(key) => key.expose(),
        }
    }

    /// DK ([RFC 3961 section 5.1]) with a constant of any length.
    ///
    /// [RFC 3961 section 5.1]: https://www.rfc-editor.org/rfc/rfc3961#section-5.1
    #[must_use]
    pub fn derive_key(&self, constant: &[u8]) -> Self {
        match &self.0 {
            Octets::Aes128(key) => {
                let [block, _] = derive_blocks(&Aes128::new(key.expose().into()), constant);
                Self(Octets::Aes128(Secret::new(*block)))
            }
            Octets::Aes256(key) => {
                let blocks = derive_blocks(&Aes256::new(key.expose().into()), constant);
                let mut octets = Zeroizing::new([0; 32]);
                for (to, from) in octets.as_chunks_mut::<16>().0.iter_mut().zip(&blocks) {
                    *to = **from;
                }
                Self(Octets::Aes256(Secret::new(*octets)))
            }
        }
    }

    /// The keys Ke, Ki and Kc of a key usage ([RFC 3961 section 5.3]).
    ///
    /// [RFC 3961 section 5.3]: https://www.rfc-editor.org/rfc/rfc3961#section-5.3
    #[must_use]
    pub fn derive(&self, usage: u32) -> UsageKeys {
        let [a, b, c, d] = usage.to_be_bytes();
        let of = |purpose| self.derive_key(&[a, b, c, d, purpose]);
        UsageKeys {
            encryption: match of(0xaa).0 {
                Octets::Aes128(key) => AesCts::aes128(key.expose()),
                Octets::Aes256(key) => AesCts::aes256(key.expose()),
            },
            integrity: hmac(&of(0x55)),
            checksum: hmac(&of(0x99)),
        }
    }
}

/// The first two blocks that DR gives ([RFC 3961 section 5.1]).
///
/// [RFC 3961 section 5.1]: https://www.rfc-editor.org/rfc/rfc3961#section-5.1
fn derive_blocks<C>(cipher: &C, constant: &[u8]) -> [Zeroizing<[u8; 16]>; 2]
where
    C: BlockCipherEncrypt + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
{
    let mut block = aes::cipher::Array(n_fold(constant));
    [(); 2].map(|()| {
        cipher.encrypt_block(&mut block);
        Zeroizing::new(block.0)
    })
}

/// The keys of one usage, with their schedules computed. Wiped when dropped.
pub struct UsageKeys {
    encryption: AesCts,
    integrity: Hmac<Sha1>,
    checksum: Hmac<Sha1>,
}

impl UsageKeys {
    /// The cipher under Ke.
    #[must_use]
    pub const fn encryption(&self) -> &AesCts {
        &self.encryption
    }

    /// The code under Ki over the concatenated parts: of a message that is encrypted.
    #[must_use]
    pub fn integrity(&self, parts: &[&[u8]]) -> [u8; MAC_LENGTH] {
        code(&self.integrity, parts)
    }

    /// Whether `found` is the code under Ki; takes the same time either way.
    #[must_use]
    pub fn has_integrity(&self, parts: &[&[u8]], found: &[u8]) -> bool {
        code(&self.integrity, parts).ct_eq(found).into()
    }

    /// The code under Kc over the concatenated parts: of a message that is only protected.
    #[must_use]
    pub fn checksum(&self, parts: &[&[u8]]) -> [u8; MAC_LENGTH] {
        code(&self.checksum, parts)
    }

    /// Whether `found` is the code under Kc; takes the same time either way.
    #[must_use]
    pub fn has_checksum(&self, parts: &[&[u8]], found: &[u8]) -> bool {
        code(&self.checksum, parts).ct_eq(found).into()
    }
}

impl std::fmt::Debug for UsageKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UsageKeys([hidden])")
    }
}

fn hmac(key: &ProtocolKey) -> Hmac<Sha1> {
    match &key.0 {
        Octets::Aes128(key) => Hmac::new(&padded(key.expose())),
        Octets::Aes256(key) => Hmac::new(&padded(key.expose())),
    }
}

/// HMAC fills a short key up with zeros to a block of its hash (RFC 2104 section 2).
fn padded(key: &[u8]) -> hmac::digest::Key<Hmac<Sha1>> {
    let mut block = hmac::digest::Key::<Hmac<Sha1>>::default();
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    block
}

fn code(keyed: &Hmac<Sha1>, parts: &[&[u8]]) -> [u8; MAC_LENGTH] {
    let mut mac = keyed.clone();
    for part in parts {
        mac.update(part);
    }
    let full: [u8; 20] = mac.finalize().into_bytes().into();
    let mut cut = [0; MAC_LENGTH];
    cut.copy_from_slice(&full[..MAC_LENGTH]);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ProtocolKey {
        let octets = hex::decode(text).unwrap();
        let encryption_type = if octets.len() == 16 { 17 } else { 18 };
        ProtocolKey::new(EncryptionType::from_number(encryption_type).unwrap(), &octets).unwrap()
    }

    fn check_derived(base: &str, constant: &[u8], expected: &str) {
        let derived = key(base).derive_key(constant);
        assert_eq!(hex::encode(derived.expose()), expected, "{constant:02x?}");
    }

    /// The known answers of MIT krb5's t_derive, and [MS-KILE] section 4.4.
    #[test]
    fn derived_keys_are_those_of_other_implementations() {
        let aes128 = "42263c6e89f4fc28b8df68ee09799f15";
        check_derived(aes128, &[0, 0, 0, 2, 0x99], "34280a382bc92769b2da2f9ef066854b");
        check_derived(aes128, &[0, 0, 0, 2, 0xaa], "5b14fc4e250e14ddf9dccf1af6674f53");
        check_derived(aes128, &[0, 0, 0, 2, 0x55], "4ed31063621684f09ae8d89991af3e8f");
        let aes256 = "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161";
        check_derived(
            aes256,
            &[0, 0, 0, 2, 0x99],
            "bfab388bdcb238e9f9c98d6a878304f04d30c82556375ac507a7a852790f4674",
        );
        check_derived(
            aes256,
            &[0, 0, 0, 2, 0xaa],
            "c7cfd9cd75fe793a586a542d87e0d1396f1134a104bb1a9190b8c90ada3ddf37",
        );
        check_derived(
            aes256,
            &[0, 0, 0, 2, 0x55],
            "97151b4c76945063e2eb0529dc067d97d7bba90776d8126d91f34f3101aea8ba",
        );
        check_derived(
            "c7730daa23521bc16ab83cbee3b37f41",
            b"kerberos",
            "b82ee122531c2d94821ac755bccb5879",
        );
    }

    /// RFC 3962 appendix B.
    #[test]
    fn keys_of_passwords_are_those_of_rfc_3962() {
        let check = |iterations, password, salt: &[u8], aes128: &str, aes256: &str| {
            for (number, expected) in [(17, aes128), (18, aes256)] {
                let encryption_type = EncryptionType::from_number(number).unwrap();
                let iterations = NonZeroU32::new(iterations).unwrap();
                let key = ProtocolKey::from_password(encryption_type, password, salt, iterations);
                assert_eq!(hex::encode(key.expose()), expected);
            }
        };
        check(
            1,
            "password",
            b"ATHENA.MIT.EDUraeburn",
            "42263c6e89f4fc28b8df68ee09799f15",
            "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161",
        );
        check(
            1200,
            "password",
            b"ATHENA.MIT.EDUraeburn",
            "4c01cd46d632d01e6dbe230a01ed642a",
            "55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a",
        );
    }

    fn check_sealed(base: &str, usage: u32, plain: &str, sealed: &str) {
        let keys = key(base).derive(usage);
        let sealed = hex::decode(sealed).unwrap();
        let (cipher, mac) = sealed.split_at(sealed.len() - MAC_LENGTH);
        let mut message = cipher.to_vec();
        keys.encryption().decrypt(&mut message).unwrap();
        assert_eq!(&message[16..], plain.as_bytes());
        assert!(keys.has_integrity(&[&message[..16], &message[16..]], mac));
        assert!(!keys.has_checksum(&[&message], mac));
        keys.encryption().encrypt(&mut message).unwrap();
        assert_eq!(message, cipher);
    }

    /// The known answers of MIT krb5's t_decrypt: confounder and text, encrypted, and their code.
    #[test]
    fn messages_sealed_by_mit_krb5_open() {
        check_sealed(
            "5a5c0f0ba54f3828b2195e66ca24a289",
            0,
            "",
            "49ff8e11c173d9583a3254fbe7b1f1df36c538e8416784a1672e6676",
        );
        check_sealed(
            "98450e3f3baa13f5c99beb936981b06f",
            1,
            "1",
            "f86742f537b35dc2174a4dbaa920faf9042090b065e1ebb1cad9a65394",
        );
        check_sealed(
            "9062430c8cda3388922e6d6a509f5b7a",
            2,
            "9 bytesss",
            "68fb9679601f45c78857b2bf820fd6e53eca8d42fd4b1d7024a09205abb7cd2ec26c355d2f",
        );
        check_sealed(
            "033ee6502c54fd23e27791e987983827",
            3,
            "13 bytes byte",
            "ec366d0327a933bf49330e650e49bc6b974637fe80bf532fe51795b4809718e6194724db948d1fd637",
        );
        check_sealed(
            "f1c795e9248a09338d82c3f8d5b567040b0110736845041347235b1404231398",
            4,
            "30 bytes bytes bytes bytes byt",
            "d1137a4d634cfece924dbc3bf6790648bd5cff7de0e7b99460211d0daef3d79a\
             295c688858f3b34b9cbd6eebae81daf6b734d4d498b6714f1c1d",
        );
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        let error = ProtocolKey::new(EncryptionType::Aes256CtsHmacSha1_96, &[0; 16]).unwrap_err();
        assert_eq!(error.to_string(), "a key of encryption type 18 has 32 octets, not 16");
    }
}
