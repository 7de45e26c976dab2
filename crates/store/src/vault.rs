//! Secrets at rest: AES-256-GCM under a master key that lies outside the data.
//!
//! Each record carries the name of its key, so that keys can be replaced one record at a time. The
//! record's own name, its table and its row, is authenticated with it: a sealed record moved to another
//! row does not open. Where the keys come from is the caller's business: a [`Keyring`] asks it again
//! when it meets a name that it does not know, so that a running process follows a rotation.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use portolan_model::{Hint, Secret};
use zeroize::Zeroizing;

/// Octets of a master key.
pub const MASTER_KEY_OCTETS: usize = 32;

/// The master keys: the first seals, all of them open.
pub struct MasterKeys(Vec<(String, RandomizedNonceKey)>);

/// Why a record does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// There is no master key at all.
    #[error("there is no master key")]
    NoKey,
    /// The record's key is not among them.
    #[error("the master key {0:?} is missing")]
    MissingKey(String),
    /// The record was changed, or is another's.
    #[error("a sealed record does not open")]
    Forged,
}

impl Hint for VaultError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoKey | Self::MissingKey(_) => {
                Some("give the master key file that belongs to this state".into())
            }
            Self::Forged => None,
        }
    }
}

impl MasterKeys {
    /// From named keys; the first one seals.
    ///
    /// # Errors
    /// [`VaultError::NoKey`] when there is none.
    pub fn new(
        keys: impl IntoIterator<Item = (String, Secret<MASTER_KEY_OCTETS>)>,
    ) -> Result<Self, VaultError> {
        let keys = keys
            .into_iter()
            .map(|(id, key)| Ok((id, RandomizedNonceKey::new(&AES_256_GCM, key.expose())?)))
            .collect::<Result<Vec<_>, Unspecified>>()
            .map_err(|_| VaultError::NoKey)?;
        if keys.is_empty() { Err(VaultError::NoKey) } else { Ok(Self(keys)) }
    }

    /// Seals a record with the first key: the key's name, and nonce, ciphertext and tag.
    ///
    /// # Errors
    /// When the cipher fails, which it does for records of impossible length only.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<(String, Vec<u8>), VaultError> {
        let (name, _) = self.0.first().ok_or(VaultError::NoKey)?;
        Ok((name.clone(), self.seal_with(name, context, plain)?))
    }

    /// Seals a record with the key of a name: nonce, ciphertext and tag.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn seal_with(
        &self,
        name: &str,
        context: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let key = self.named(name)?;
        // The room for all is taken at once, so that growth leaves no copy of the plaintext.
        let mut body = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        body.extend_from_slice(plain);
        let nonce = key
            .seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut body)
            .map_err(|_| VaultError::Forged)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// The names of the keys; the first one's seals.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    fn named(&self, name: &str) -> Result<&RandomizedNonceKey, VaultError> {
        let found = self.0.iter().find(|(id, _)| id == name);
        found.map(|(_, key)| key).ok_or_else(|| VaultError::MissingKey(name.to_owned()))
    }

    /// Opens a record.
    ///
    /// # Errors
    /// When its key is missing or it is not what was sealed under this context.
    pub fn open(
        &self,
        key_id: &str,
        context: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = self.named(key_id)?;
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(VaultError::Forged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Forged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = key
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut body)
            .map_err(|_| VaultError::Forged)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

/// Where a [`Keyring`] reads its keys anew; `None` when they cannot be read.
type Source = Box<dyn Fn() -> Option<MasterKeys> + Send + Sync>;

/// The master keys of a running process, which reads them again when another one has changed them.
pub struct Keyring {
    keys: RwLock<Arc<MasterKeys>>,
    source: Option<Source>,
}

impl Keyring {
    /// From keys, and the way to read them again.
    pub fn new(
        keys: MasterKeys,
        source: impl Fn() -> Option<MasterKeys> + Send + Sync + 'static,
    ) -> Self {
        Self { keys: RwLock::new(Arc::new(keys)), source: Some(Box::new(source)) }
    }

    /// Does something with the keys; when one is missing, once more with the keys read anew.
    ///
    /// # Errors
    /// What it says itself.
    pub fn with<T>(
        &self,
        attempt: impl Fn(&MasterKeys) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        match (attempt(&keys), &self.source) {
            (Err(missing @ VaultError::MissingKey(_)), Some(source)) => {
                let keys = Arc::new(source().ok_or(missing)?);
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
                attempt(&keys)
            }
            (done, _) => done,
        }
    }
}

impl From<MasterKeys> for Keyring {
    fn from(keys: MasterKeys) -> Self {
        Self { keys: RwLock::new(Arc::new(keys)), source: None }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> MasterKeys {
        let key = |name: &str| Secret::new([name.len() as u8; MASTER_KEY_OCTETS]);
        MasterKeys::new(names.iter().map(|&name| (name.to_owned(), key(name)))).unwrap()
    }

    #[test]
    fn a_record_opens_with_its_key_under_its_name_only() {
        let (id, sealed) = keys(&["k1", "old"]).seal("credential a", b"secret").unwrap();
        assert_eq!(id, "k1");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        let check = |keys: &MasterKeys, context: &str, sealed: &[u8], expected| {
            assert_eq!(keys.open("k1", context, sealed).map(|plain| plain.to_vec()), expected);
        };
        check(&keys(&["k22", "k1"]), "credential a", &sealed, Ok(b"secret".to_vec()));
        check(&keys(&["k1"]), "credential b", &sealed, Err(VaultError::Forged));
        let missing = Err(VaultError::MissingKey("k1".to_owned()));
        check(&keys(&["k2"]), "credential a", &sealed, missing);
        let mut changed = sealed.clone();
        changed[14] ^= 1;
        check(&keys(&["k1"]), "credential a", &changed, Err(VaultError::Forged));
        check(&keys(&["k1"]), "credential a", &sealed[..5], Err(VaultError::Forged));
        assert!(MasterKeys::new([]).is_err());
    }
}
