//! A copy of the state to try something on, which is gone when it was tried. What a killed process left of
//! one is taken away by the next that starts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portolan_store::state::State;

use super::cycle::FILE;
use crate::report::Failure;

/// How the folder of a copy begins, in the state directory.
const PREFIX: &str = ".copy-of-state-";
/// What is locked in it for as long as its process lives.
const LOCK: &str = "lock";
/// How such folders began in releases that left them.
const FORMER_PREFIX: &str = ".tmp";
/// How old one of those, or one without a lock, is before it is nobody's.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// A copy of the state. It goes when this is dropped.
pub(super) struct Scratch {
    folder: tempfile::TempDir,
    _lock: File,
}

impl Scratch {
    /// Copies a state into a folder of its own, in the state directory: the file system that has room
    /// for it, and the protection that it has.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(super) async fn copy(state: &State, directory: &Path) -> Result<Self, Failure> {
        let room = |error: std::io::Error| {
            Failure::because("cannot make room for a copy of the state", &error)
        };
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(directory).map_err(room)?;
        let lock = File::create(folder.path().join(LOCK)).map_err(room)?;
        lock.lock().map_err(room)?;
        let scratch = Self { folder, _lock: lock };
        state.copy_to(&scratch.path()).await?;
        Ok(scratch)
    }

    /// The copy.
    ///
    /// # Errors
    /// When it does not open.
    pub(super) async fn open(&self) -> Result<State, Failure> {
        Ok(State::open(&self.path()).await?)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }
}

/// Takes away what killed processes left of copies. What cannot be taken away stays: it is in nobody's
/// way but the disk's.
pub(super) fn sweep(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let is_abandoned = if name.starts_with(PREFIX) {
            is_unlocked(&path).unwrap_or_else(|| is_old(&path))
        } else {
            name.starts_with(FORMER_PREFIX) && is_old(&path) && holds_a_copy_alone(&path)
        };
        if is_abandoned && std::fs::remove_dir_all(&path).is_ok() {
            tracing::info!(folder = %path.display(), "Took away a copy of the state that was left");
        }
    }
}

/// Whether the process that made a copy is gone; `None` when it has no lock.
fn is_unlocked(path: &Path) -> Option<bool> {
    let lock = File::open(path.join(LOCK)).ok()?;
    Some(lock.try_lock().is_ok())
}

fn is_old(path: &Path) -> bool {
    let modified = std::fs::symlink_metadata(path).and_then(|of| of.modified());
    let age = modified.ok().map(|at| portolan_net::clock::now() - time::OffsetDateTime::from(at));
    age.is_some_and(|age| age > ABANDONED_AFTER)
}

/// Whether a folder has a copy of the state in it and nothing else.
fn holds_a_copy_alone(path: &Path) -> bool {
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|of| of.is_dir());
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    is_folder
        && names.iter().any(|name| name == FILE)
        && names.iter().all(|name| name.to_string_lossy().starts_with(FILE))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[tokio::test]
    async fn what_a_killed_process_left_is_taken_away_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join(FILE)).await.unwrap();
        let alive = Scratch::copy(&state, folder.path()).await.unwrap();
        let make = |name: &str, file: &str, is_old: bool| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join(file), "").unwrap();
            if is_old {
                File::open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
        };
        make(".copy-of-state-killed", LOCK, false);
        make(".copy-of-state-early", FILE, true);
        make(".copy-of-state-new", FILE, false);
        make(".tmpAbCdEf", FILE, true);
        make(".tmpYoung1", FILE, false);
        make(".tmpOther1", "letter.txt", true);
        make("rules", "own.toml", true);
        sweep(folder.path());
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        left.sort();
        let own = alive.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected =
            vec![".copy-of-state-new", ".tmpOther1", ".tmpYoung1", own.as_str(), "rules"];
        expected.sort_unstable();
        assert_eq!(left, expected);
        assert!(alive.open().await.is_ok());
    }
}
