//! The data directory: the store, the public CA certificate, and the master key beside it.
//!
//! The master key lies outside the directory, so that neither a copy of the directory nor a backup
//! of it opens what is sealed in there. Both are for the owner alone.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use portolan_model::{Entropy, Secret};
use portolan_net::entropy::SystemEntropy;
use portolan_store::tenant::SqliteStore;
use portolan_store::tenant::vault::{MASTER_KEY_OCTETS, MasterKeys};
use zeroize::Zeroizing;

use super::Place;
use crate::files;
use crate::report::Failure;

/// The store's file.
const STORE_FILE: &str = "tenant.sqlite";

/// The CA certificate's file, for browsers and clients.
const CA_FILE: &str = "ca.pem";

/// Octets that a master key file may have.
const KEY_FILE_OCTETS_MAX: u64 = 64 * 1024;

/// What the master key file begins with.
const KEY_FILE_HEAD: &str =
    "# portolan tenant master keys: <name> <64 hexadecimal digits>; the first one seals\n";

impl Place {
    /// The master key's file.
    pub(super) fn master_key_file(&self) -> PathBuf {
        self.master_key.clone().unwrap_or_else(|| {
            let mut path = self.data.as_os_str().to_owned();
            path.push(".master-key");
            PathBuf::from(path)
        })
    }

    /// The CA certificate's file.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.data.join(CA_FILE)
    }

    /// Opens the store of a tenant that was made.
    pub(super) async fn open(&self) -> Result<SqliteStore, Failure> {
        let keys = read_master_keys(&self.master_key_file())?;
        Ok(SqliteStore::open(&self.data.join(STORE_FILE), keys).await?)
    }

    /// Makes directory, master key and store; none of them may exist.
    pub(super) async fn create(&self) -> Result<SqliteStore, Failure> {
        let key_file = self.master_key_file();
        if key_file.exists() {
            let text = format!("the master key file {} exists already", key_file.display());
            return Err(Failure::new(text).with_hint("give another one with --master-key"));
        }
        std::fs::DirBuilder::new().mode(0o700).create(&self.data).map_err(|error| {
            let doing = format!("cannot make the data directory {}", self.data.display());
            Failure::because(&doing, &error)
                .with_hint("a tenant is made once; give a directory that does not exist")
        })?;
        let key = Secret::new(SystemEntropy.array::<MASTER_KEY_OCTETS>());
        let name = hex::encode(SystemEntropy.array::<4>());
        let digits = Zeroizing::new(hex::encode(key.expose()));
        let text = Zeroizing::new(format!("{KEY_FILE_HEAD}{name} {}\n", digits.as_str()));
        files::write_private(&key_file, text.as_bytes()).map_err(|error| {
            self.discard();
            Failure::because(&format!("cannot write {}", key_file.display()), &error)
        })?;
        let keys = MasterKeys::new([(name, key)])?;
        let made = SqliteStore::create(&self.data.join(STORE_FILE), keys).await;
        if made.is_err() {
            self.discard();
        }
        Ok(made?)
    }

    /// Takes away what [`Self::create`] made a moment ago: in part it is of no use, and it would be
    /// in the way of the next attempt.
    pub(super) fn discard(&self) {
        let _ = std::fs::remove_dir_all(&self.data);
        let _ = std::fs::remove_file(self.master_key_file());
    }
}

fn read_master_keys(path: &Path) -> Result<MasterKeys, Failure> {
    files::refuse_if_shared(path).map_err(|text| {
        Failure::new(text).with_hint("the master key was made by `portolan tenant init`")
    })?;
    let doing = format!("cannot read {}", path.display());
    let read = || -> std::io::Result<Option<Zeroizing<String>>> {
        if std::fs::metadata(path)?.len() > KEY_FILE_OCTETS_MAX {
            return Ok(None);
        }
        std::fs::read_to_string(path).map(|text| Some(Zeroizing::new(text)))
    };
    let text = read().map_err(|error| Failure::because(&doing, &error))?;
    let keys = text.as_ref().and_then(|text| parse_master_keys(text));
    let keys = keys.ok_or_else(|| Failure::new(format!("{doing}: it is no master key file")))?;
    Ok(MasterKeys::new(keys)?)
}

fn parse_master_keys(text: &str) -> Option<Vec<(String, Secret<MASTER_KEY_OCTETS>)>> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, digits) = line.split_once(' ')?;
            let mut octets = Zeroizing::new([0; MASTER_KEY_OCTETS]);
            hex::decode_to_slice(digits.trim(), octets.as_mut()).ok()?;
            Some((name.to_owned(), Secret::new(*octets)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_file_reads_or_is_refused_whole() {
        let digits = "ab".repeat(32);
        let text = format!("# comment\n\nnew {digits}\nold {digits}\n");
        let keys = parse_master_keys(&text).unwrap();
        assert_eq!(keys.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["new", "old"]);
        assert!(parse_master_keys("new abc").is_none());
        assert!(parse_master_keys("new").is_none());
    }
}
