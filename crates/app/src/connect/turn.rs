//! Whose turn it is: one process at a time works with a state. The daemon takes its turn for each cycle,
//! and a command for all that it does, so that neither sends what the other has just sent. The system
//! gives the turn back when a process ends, however it ends.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::steps::Steps;
use crate::report::Failure;

/// The file that is locked, in the state directory.
const FILE: &str = "turn.lock";
/// How often it is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long it is waited for: a first synchronisation of a large forest takes long.
const WAIT_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// The turn, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _locked: File,
}

impl Turn {
    /// Takes the turn, after whoever has it.
    ///
    /// # Errors
    /// When the file cannot be locked, or the other does not end.
    pub(super) async fn take(state: &Path, steps: &Steps) -> Result<Self, Failure> {
        let begun = portolan_net::clock::monotonic();
        let mut told = false;
        loop {
            if let Some(turn) = Self::if_free(state)? {
                return Ok(turn);
            }
            if !std::mem::replace(&mut told, true) {
                steps.say(None, "waiting for a run that is under way");
            }
            if portolan_net::clock::monotonic().duration_since(begun) > WAIT_TIME_MAX {
                return Err(Failure::new("another run does not come to its end")
                    .with_hint("`portolan connect history` shows what it does"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes the turn if nobody has it.
    ///
    /// # Errors
    /// When the file cannot be locked.
    pub(super) fn if_free(state: &Path) -> Result<Option<Self>, Failure> {
        let path: PathBuf = state.join(FILE);
        let wrong = |error: &std::io::Error| {
            Failure::because(&format!("cannot lock {}", path.display()), error)
        };
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| wrong(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _locked: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(wrong(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_is_one_s_until_it_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let first = Turn::take(folder.path(), &Steps::quiet()).await.unwrap();
        assert!(Turn::if_free(folder.path()).unwrap().is_none());
        let path = folder.path().to_owned();
        let waiting = tokio::spawn(async move { Turn::take(&path, &Steps::quiet()).await.is_ok() });
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(Turn::if_free(folder.path()).unwrap().is_some());
    }
}
