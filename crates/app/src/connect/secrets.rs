//! This server's secrets at rest: its private keys and the forest account's password or keytab.
//!
//! They are one file in the state directory, readable by its owner alone, each record sealed with
//! AES-256-GCM under a master key that lies outside the directory ([`crate::master_key`]): a copy of the
//! directory opens nothing. A record is bound to its name, and a change of several records is one write.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portolan_model::Guid;
use portolan_store::vault::MasterKeys;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::master_key::KeyFile;
use crate::report::Failure;

/// The file in the state directory.
const FILE: &str = "secrets.json";

/// The name of the master key among the service manager's credentials.
const CREDENTIAL: &str = "portolan-connect-master-key";

/// The variable that names the master key's file.
const MASTER_KEY_VARIABLE: &str = "PORTOLAN_CONNECT_MASTER_KEY";

/// Octets that the file may have.
const FILE_OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// The name of the private key by which this server is an application of the tenant.
pub(crate) fn client_key(client_id: Guid) -> String {
    format!("client-key/{client_id}")
}

/// The name of the private key that is to take its place.
pub(crate) fn next_client_key(client_id: Guid) -> String {
    format!("next-client-key/{client_id}")
}

/// The name of the password of an account of the forest.
pub(crate) fn password(account: &str) -> String {
    format!("password/{account}")
}

/// The name of the keytab of an account of the forest.
pub(crate) fn keytab(account: &str) -> String {
    format!("keytab/{account}")
}

/// The name of the digest of a secret with which an account of the forest was refused.
pub(crate) fn refused(kind: &str, account: &str) -> String {
    format!("{kind}/{account}")
}

/// The opened secrets of a state directory.
#[derive(Debug)]
pub(crate) struct Secrets {
    path: PathBuf,
    file: KeyFile,
    keys: MasterKeys,
    records: BTreeMap<String, Record>,
}

/// A sealed record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// The name of the master key.
    key_id: String,
    /// Nonce, ciphertext and tag, in base64.
    sealed: String,
    /// When the secret was made, in seconds since 1970.
    made_at: i64,
}

impl Secrets {
    /// Opens the secrets of a state directory. Where there are none yet, and no master key, a master key
    /// is made.
    ///
    /// # Errors
    /// When there are secrets and their master key is not to be had.
    pub(crate) fn open(state: &Path) -> Result<Self, Failure> {
        let named = std::env::var_os(MASTER_KEY_VARIABLE).map(PathBuf::from);
        Self::with(state, KeyFile::of(named.as_deref(), state, CREDENTIAL))
    }

    fn with(state: &Path, file: KeyFile) -> Result<Self, Failure> {
        let path = state.join(FILE);
        let records = read(&path)?;
        let keys = if records.is_empty() && !file.path().exists() {
            file.create()
        } else {
            file.read().map_err(|failure| {
                failure.with_hint(format!(
                    "the master key of {} was made beside it and lies outside it: name its file in \
                     {MASTER_KEY_VARIABLE}, or hand it over as the systemd credential {CREDENTIAL}",
                    state.display()
                ))
            })
        }?;
        Ok(Self { path, file, keys, records })
    }

    /// Where the master key is.
    pub(crate) fn key_file(&self) -> &Path {
        self.file.path()
    }

    /// A secret.
    ///
    /// # Errors
    /// When it is there and does not open.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let Some(record) = self.records.get(name) else { return Ok(None) };
        let sealed = STANDARD.decode(&record.sealed).map_err(|error| {
            Failure::because(&format!("a record of {} does not read", self.path.display()), &error)
        })?;
        let opened = self.keys.open(&record.key_id, &context(name), &sealed);
        Ok(Some(opened.map_err(Failure::from)?))
    }

    /// When a secret was made.
    pub(crate) fn made_at(&self, name: &str) -> Option<OffsetDateTime> {
        let record = self.records.get(name)?;
        OffsetDateTime::from_unix_timestamp(record.made_at).ok()
    }

    /// Seals secrets and forgets others, all or nothing.
    ///
    /// # Errors
    /// When the file cannot be written: nothing has changed then.
    pub(crate) fn change(
        &mut self,
        put: &[(&str, &[u8])],
        forget: &[&str],
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let _lock = self.lock()?;
        // Another process may have changed others of them since.
        self.keys = self.file.read()?;
        let mut records = read(&self.path)?;
        for (name, plain) in put {
            records.insert((*name).to_owned(), self.seal(name, plain, now.unix_timestamp())?);
        }
        for name in forget {
            records.remove(*name);
        }
        self.write(records)
    }

    /// Puts a new master key in the place of the old one. Broken off anywhere, nothing is lost, and the
    /// next time it is finished.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn rotate_master_key(&mut self) -> Result<String, Failure> {
        let _lock = self.lock()?;
        self.records = read(&self.path)?;
        self.keys = self.file.read()?;
        let unfinished = self.keys.names().count() > 1;
        if !unfinished {
            self.file.add()?;
        }
        self.keys = self.file.read()?;
        let names: Vec<_> = self.records.keys().cloned().collect();
        let mut records = BTreeMap::new();
        for name in names {
            let made_at = self.records.get(&name).map_or(0, |record| record.made_at);
            if let Some(plain) = self.get(&name)? {
                let record = self.seal(&name, &plain, made_at)?;
                records.insert(name, record);
            }
        }
        self.write(records)?;
        let key = self.keys.names().next().unwrap_or_default().to_owned();
        self.file.keep_only(&key)?;
        self.keys = self.file.read()?;
        Ok(key)
    }

    /// Nobody else changes the secrets while this is held. The system lets go of it with the process.
    fn lock(&self) -> Result<File, Failure> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let doing = format!("cannot lock {}", directory.display());
        let directory = File::open(directory).map_err(|error| Failure::because(&doing, &error))?;
        directory.lock().map_err(|error| Failure::because(&doing, &error))?;
        Ok(directory)
    }

    fn seal(&self, name: &str, plain: &[u8], made_at: i64) -> Result<Record, Failure> {
        let (key_id, sealed) = self.keys.seal(&context(name), plain)?;
        Ok(Record { key_id, sealed: STANDARD.encode(sealed), made_at })
    }

    fn write(&mut self, records: BTreeMap<String, Record>) -> Result<(), Failure> {
        let doing = format!("cannot write {}", self.path.display());
        let octets = serde_json::to_vec_pretty(&records)
            .map_err(|error| Failure::because(&doing, &error))?;
        crate::files::write_private(&self.path, &octets)
            .map_err(|error| Failure::because(&doing, &error))?;
        self.records = records;
        Ok(())
    }
}

/// The records as they are on disk; none when there is no file.
fn read(path: &Path) -> Result<BTreeMap<String, Record>, Failure> {
    let doing = format!("cannot read {}", path.display());
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Failure::because(&doing, &error)),
        Ok(_) => {}
    }
    let octets = crate::files::read_at_most(path, FILE_OCTETS_MAX)
        .map_err(|error| Failure::because(&doing, &error))?;
    serde_json::from_slice(&octets).map_err(|error| Failure::because(&doing, &error))
}

/// What a record is bound to.
fn context(name: &str) -> String {
    format!("connect {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path) -> Result<Secrets, Failure> {
        let state = directory.join("state");
        std::fs::create_dir_all(&state).unwrap();
        let key = directory.join("key");
        Secrets::with(&state, KeyFile::of(Some(&key), &state, "none"))
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_000_000).unwrap()
    }

    #[test]
    fn a_copy_of_the_state_without_the_key_opens_nothing_and_shows_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut secrets = open(directory.path()).unwrap();
        secrets
            .change(&[("password/svc", b"Geheim-1"), ("client-key/a", b"key")], &[], now())
            .unwrap();
        let text = std::fs::read_to_string(directory.path().join("state").join(FILE)).unwrap();
        for word in ["Geheim-1", &STANDARD.encode("Geheim-1")] {
            assert!(!text.contains(word), "{text}");
        }
        let again = open(directory.path()).unwrap();
        assert_eq!(again.get("password/svc").unwrap().unwrap().as_slice(), b"Geheim-1");
        assert_eq!(again.made_at("password/svc"), Some(now()));
        std::fs::remove_file(directory.path().join("key")).unwrap();
        assert!(open(directory.path()).is_err(), "no new key is made where there are secrets");
        let other = tempfile::tempdir().unwrap();
        open(other.path()).unwrap();
        std::fs::copy(other.path().join("key"), directory.path().join("key")).unwrap();
        assert!(open(directory.path()).unwrap().get("password/svc").is_err());
    }

    #[test]
    fn a_record_under_another_name_does_not_open() {
        let directory = tempfile::tempdir().unwrap();
        let mut secrets = open(directory.path()).unwrap();
        secrets.change(&[("password/svc", b"x")], &[], now()).unwrap();
        let record = secrets.records["password/svc"].clone();
        secrets.records.insert("password/other".to_owned(), record);
        assert!(secrets.get("password/other").is_err());
        assert!(secrets.get("password/nobody").unwrap().is_none());
    }

    #[test]
    fn a_master_key_is_rotated_and_a_rotation_that_was_broken_off_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let mut secrets = open(directory.path()).unwrap();
        secrets.change(&[("a", b"1"), ("b", b"2")], &[], now()).unwrap();
        let sealed = std::fs::read(directory.path().join("state").join(FILE)).unwrap();
        let before = std::fs::read(directory.path().join("key")).unwrap();
        let all_opens = || {
            let secrets = open(directory.path()).unwrap();
            assert_eq!(secrets.get("a").unwrap().unwrap().as_slice(), b"1");
            assert_eq!(secrets.get("b").unwrap().unwrap().as_slice(), b"2");
            secrets
        };
        secrets.rotate_master_key().unwrap();
        let after = std::fs::read(directory.path().join("key")).unwrap();
        assert_eq!(all_opens().keys.names().count(), 1);
        // Killed behind the first step: two keys, everything under the old one.
        std::fs::write(directory.path().join("key"), &before).unwrap();
        std::fs::write(directory.path().join("state").join(FILE), &sealed).unwrap();
        let added = all_opens().file.add().unwrap();
        assert_eq!(all_opens().rotate_master_key().unwrap(), added);
        assert_eq!(all_opens().keys.names().collect::<Vec<_>>(), [added.as_str()]);
        // Killed behind the second: two keys, everything under the new one.
        let newest = all_opens().file.add().unwrap();
        let mut halfway = all_opens();
        halfway.change(&[("a", b"1"), ("b", b"2")], &[], now()).unwrap();
        assert_eq!(all_opens().rotate_master_key().unwrap(), newest);
        assert_eq!(all_opens().keys.names().count(), 1);
        assert_ne!(after, before);
    }
}
