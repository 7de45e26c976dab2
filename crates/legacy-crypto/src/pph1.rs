//! `PPH1_MD4`, the form in which a password hash is synchronised to the cloud.
//!
//! The NT hash is written as 32 upper-case hexadecimal digits in UTF-16LE, stretched with PBKDF2
//! (HMAC-SHA-256) under a salt of ten octets, and sent as `v1;PPH1_MD4,<salt>,<iterations>,<key>;`
//! ([how password hash synchronization works]). The NT hash itself never leaves the agent.
//!
//! [how password hash synchronization works]: https://learn.microsoft.com/entra/identity/hybrid/connect/how-to-connect-password-hash-synchronization

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use portolan_model::{Secret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::NtHash;

/// Octets of the salt, which is drawn anew for every user and change.
pub const SALT_LENGTH: usize = 10;
/// Octets of the derived key.
pub const KEY_LENGTH: usize = 32;
/// Iterations that a new value gets.
pub const ITERATIONS: u32 = 1_000;
/// Fewest iterations that a received value may name.
pub const ITERATIONS_MIN: u32 = 1_000;
/// Most iterations that a received value may name, so that a sign-in cannot be made to last.
pub const ITERATIONS_MAX: u32 = 100_000;

/// A synchronised password: salt, iterations and derived key. It is wiped when dropped and never
/// printed; [`CredentialData::to_text`] gives the form that is sent and stored.
#[derive(Clone)]
pub struct CredentialData {
    salt: [u8; SALT_LENGTH],
    iterations: NonZeroU32,
    key: Secret<KEY_LENGTH>,
}

/// Why a text is no credential data. The text itself is a secret and not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentialData {
    /// The text does not have the form `v1;PPH1_MD4,<salt>,<iterations>,<key>;`.
    #[error("the credential data does not have the form v1;PPH1_MD4,<salt>,<iterations>,<key>;")]
    Form,
    /// The salt is not ten octets in hexadecimal.
    #[error("the salt of the credential data is not {SALT_LENGTH} octets in hexadecimal")]
    Salt,
    /// The iterations are no number within the bounds.
    #[error(
        "the iterations of the credential data are not between {ITERATIONS_MIN} and {ITERATIONS_MAX}"
    )]
    Iterations,
    /// The key is not 32 octets in hexadecimal.
    #[error("the key of the credential data is not {KEY_LENGTH} octets in hexadecimal")]
    Key,
}

impl CredentialData {
    /// Derives the credential data of a hash under a fresh random salt, with [`ITERATIONS`].
    #[must_use]
    pub fn derive(hash: &NtHash, salt: [u8; SALT_LENGTH]) -> Self {
        const { assert!(ITERATIONS >= ITERATIONS_MIN && ITERATIONS <= ITERATIONS_MAX) }
        let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MAX);
        Self { salt, iterations, key: stretch(hash, &salt, iterations) }
    }

    /// Parses the text form; hexadecimal digits may be of either case.
    ///
    /// # Errors
    /// [`InvalidCredentialData`] with the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidCredentialData> {
        let fields = text.strip_prefix("v1;PPH1_MD4,").and_then(|rest| rest.strip_suffix(';'));
        let mut fields = fields.ok_or(InvalidCredentialData::Form)?.split(',');
        let (Some(salt), Some(iterations), Some(key), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(InvalidCredentialData::Form);
        };
        let mut data = Self {
            salt: [0; SALT_LENGTH],
            iterations: parse_iterations(iterations).ok_or(InvalidCredentialData::Iterations)?,
            key: Secret::new([0; KEY_LENGTH]),
        };
        hex::decode_to_slice(salt, &mut data.salt).map_err(|_| InvalidCredentialData::Salt)?;
        let mut octets = Zeroizing::new([0; KEY_LENGTH]);
        hex::decode_to_slice(key, octets.as_mut()).map_err(|_| InvalidCredentialData::Key)?;
        data.key = Secret::new(*octets);
        Ok(data)
    }

    /// The text form, in lower-case hexadecimal, with its trailing semicolon.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        // The room is taken at once, so that growth leaves no copy of the key behind.
        let mut text = String::with_capacity(TEXT_LENGTH_MAX);
        text.push_str("v1;PPH1_MD4,");
        push_hex(&mut text, &self.salt);
        text.push_str(&format!(",{},", self.iterations));
        push_hex(&mut text, self.key.expose());
        text.push(';');
        SecretString::new(text)
    }

    /// Whether this is the credential data of `password`; takes the same time either way.
    #[must_use]
    pub fn verify(&self, password: &SecretString) -> bool {
        let hash = NtHash::from_password(password.expose());
        let key = stretch(&hash, &self.salt, self.iterations);
        self.key.expose().as_slice().ct_eq(key.expose().as_slice()).into()
    }
}

impl fmt::Debug for CredentialData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialData([hidden])")
    }
}

fn push_hex(text: &mut String, octets: &[u8]) {
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    text.extend(digits.map(|digit| char::from(LOWER_HEX[usize::from(digit)])));
}

fn parse_iterations(text: &str) -> Option<NonZeroU32> {
    // `str::parse` takes a leading sign and zeros, the format does not: a number has one text.
    let is_plain = text.bytes().all(|octet| octet.is_ascii_digit()) && !text.starts_with('0');
    is_plain.then_some(())?;
    let bounds = ITERATIONS_MIN..=ITERATIONS_MAX;
    text.parse().ok().filter(|number: &NonZeroU32| bounds.contains(&number.get()))
}

fn stretch(hash: &NtHash, salt: &[u8], iterations: NonZeroU32) -> Secret<KEY_LENGTH> {
    let mut password = Zeroizing::new([0; 64]);
    for (octet, units) in hash.expose().iter().zip(password.as_chunks_mut::<4>().0) {
        *units = [UPPER_HEX[usize::from(octet >> 4)], 0, UPPER_HEX[usize::from(octet & 15)], 0];
    }
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        password.as_slice(),
        key.as_mut_slice(),
    );
    Secret::new(*key)
}

const TEXT_LENGTH_MAX: usize = 12 /* v1;PPH1_MD4, */ + 2 * SALT_LENGTH + 12 /* ,iterations, */
    + 2 * KEY_LENGTH + 1 /* ; */;
const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";
const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";
