//! The data directory: the store, the public CA certificate, and the master key beside it.
//!
//! The master key lies outside the directory, so that neither a copy of the directory nor a backup
//! of it opens what is sealed in there. Both are for the owner alone.

use std::fs::{File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use portolan_store::tenant::SqliteStore;

use super::Place;
use crate::master_key::KeyFile;
use crate::report::Failure;

/// The store's file.
const STORE_FILE: &str = "tenant.sqlite";

/// The CA certificate's file, for browsers and clients.
const CA_FILE: &str = "ca.pem";

/// The name of the master key among the service manager's credentials.
const CREDENTIAL: &str = "portolan-tenant-master-key";

impl Place {
    /// Where the master key is.
    pub(super) fn key_file(&self) -> KeyFile {
        KeyFile::of(self.master_key.as_deref(), &self.data, CREDENTIAL)
    }

    /// The CA certificate's file.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.data.join(CA_FILE)
    }

    /// Opens the store of a tenant that was made.
    pub(super) async fn open(&self) -> Result<SqliteStore, Failure> {
        let keys = self.key_file().keyring()?;
        Ok(SqliteStore::open(&self.data.join(STORE_FILE), keys).await?)
    }

    /// Makes directory, master key and store; none of them may exist.
    pub(super) async fn create(&self) -> Result<SqliteStore, Failure> {
        std::fs::DirBuilder::new().mode(0o700).create(&self.data).map_err(|error| {
            let doing = format!("cannot make the data directory {}", self.data.display());
            Failure::because(&doing, &error)
                .with_hint("a tenant is made once; give a directory that does not exist")
        })?;
        let keys = self.key_file().create().inspect_err(|_| {
            // A key file that was there stays: it may be another tenant's.
            let _ = std::fs::remove_dir(&self.data);
        })?;
        let made = SqliteStore::create(&self.data.join(STORE_FILE), keys).await;
        if made.is_err() {
            self.discard();
        }
        Ok(made?)
    }

    /// Nobody else rotates keys while this is held; the system lets go of it when the process ends,
    /// however it ends.
    pub(super) fn lock(&self) -> Result<File, Failure> {
        let doing = format!("cannot lock {}", self.data.display());
        let directory = File::open(&self.data).map_err(|error| Failure::because(&doing, &error))?;
        match directory.try_lock() {
            Ok(()) => Ok(directory),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::new("another rotation of the master key is under way"))
            }
            Err(TryLockError::Error(error)) => Err(Failure::because(&doing, &error)),
        }
    }

    /// Takes away what [`Self::create`] made a moment ago: in part it is of no use, and it would be
    /// in the way of the next attempt.
    pub(super) fn discard(&self) {
        let _ = std::fs::remove_dir_all(&self.data);
        self.key_file().discard();
    }
}
