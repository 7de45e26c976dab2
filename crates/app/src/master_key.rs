//! The master key's file: outside the state that it opens and outside its backups.
//!
//! It is a file of its owner's alone, or a credential that the service manager hands over
//! (`LoadCredential=` or `LoadCredentialEncrypted=` in the unit, see systemd.exec(5)). Each line names a
//! key; the first one seals, and more than one stands there only while a rotation is under way.

use std::path::{Path, PathBuf};

use portolan_model::{Entropy as _, Secret};
use portolan_net::entropy::SystemEntropy;
use portolan_store::vault::{Keyring, MASTER_KEY_OCTETS, MasterKeys};
use zeroize::Zeroizing;

use crate::files;
use crate::report::Failure;

/// Where systemd puts a service's credentials.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Octets that a master key file may have.
const FILE_OCTETS_MAX: u64 = 64 * 1024;

/// What the file begins with.
const HEAD: &str = "# portolan master keys: <name> <64 hexadecimal digits>; the first one seals\n";

/// Where a state's master key is.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
    state: PathBuf,
    is_credential: bool,
}

/// A key as its line has it.
type Line = (String, Zeroizing<String>);

impl KeyFile {
    /// The file that was named; else the service manager's credential of this name, if there is one;
    /// else the file beside the state, with `.master-key` behind its name.
    pub(crate) fn of(named: Option<&Path>, state: &Path, credential: &str) -> Self {
        let directory = std::env::var_os(CREDENTIALS_DIRECTORY);
        Self::choose(named, state, credential, directory.as_deref().map(Path::new))
    }

    fn choose(
        named: Option<&Path>,
        state: &Path,
        credential: &str,
        directory: Option<&Path>,
    ) -> Self {
        let handed = directory.map(|directory| directory.join(credential));
        let handed = handed.filter(|path| named.is_none() && path.exists());
        let is_credential = handed.is_some();
        let path = named.map(Path::to_owned).or(handed).unwrap_or_else(|| {
            let mut path = state.components().as_path().as_os_str().to_owned();
            path.push(".master-key");
            PathBuf::from(path)
        });
        Self { path, state: state.to_owned(), is_credential }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file with one key; it must not exist. A credential that was handed over is taken.
    pub(crate) fn create(&self) -> Result<MasterKeys, Failure> {
        if self.is_credential {
            return self.read();
        }
        if self.path.exists() {
            let text = format!("the master key file {} exists already", self.path.display());
            return Err(Failure::new(text).with_hint("give another one with --master-key"));
        }
        self.refuse_inside()?;
        self.write(&[draw()])?;
        self.read()
    }

    /// Reads the keys.
    pub(crate) fn read(&self) -> Result<MasterKeys, Failure> {
        let lines = self.lines()?;
        let key = |(name, digits): &Line| {
            let mut octets = Zeroizing::new([0; MASTER_KEY_OCTETS]);
            hex::decode_to_slice(digits.as_bytes(), octets.as_mut()).ok()?;
            Some((name.clone(), Secret::new(*octets)))
        };
        let keys: Option<Vec<_>> = lines.iter().map(key).collect();
        Ok(MasterKeys::new(keys.ok_or_else(|| self.unreadable("it is no master key file"))?)?)
    }

    /// The keys of a process that goes on while another one may rotate them.
    pub(crate) fn keyring(&self) -> Result<Keyring, Failure> {
        let file = self.clone();
        Ok(Keyring::new(self.read()?, move || file.read().ok()))
    }

    /// Puts a new key in front of the others; its name.
    pub(crate) fn add(&self) -> Result<String, Failure> {
        self.refuse_credential()?;
        let mut lines = self.lines()?;
        let fresh = draw();
        let name = fresh.0.clone();
        lines.insert(0, fresh);
        self.write(&lines)?;
        Ok(name)
    }

    /// Forgets all keys but one.
    pub(crate) fn keep_only(&self, name: &str) -> Result<(), Failure> {
        self.refuse_credential()?;
        let mut lines = self.lines()?;
        lines.retain(|(kept, _)| kept == name);
        if lines.is_empty() {
            return Err(self.unreadable("the key that seals is not in it"));
        }
        self.write(&lines)
    }

    /// Takes the file away.
    pub(crate) fn discard(&self) {
        if !self.is_credential {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn refuse_credential(&self) -> Result<(), Failure> {
        if !self.is_credential {
            return Ok(());
        }
        let text =
            "the master key is a credential of the service manager, which is not to be written";
        Err(Failure::new(text).with_hint(
            "rotate with the key in a file (--master-key), then hand that file over as the credential",
        ))
    }

    /// A key inside the state would be in every copy of it.
    fn refuse_inside(&self) -> Result<(), Failure> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let (Ok(parent), Ok(state)) = (parent.canonicalize(), self.state.canonicalize()) else {
            return Ok(());
        };
        if !parent.starts_with(&state) {
            return Ok(());
        }
        let (path, state) = (self.path.display(), self.state.display());
        let text = format!("the master key file {path} is inside {state}, which it is to protect");
        Err(Failure::new(text).with_hint("name a file elsewhere with --master-key"))
    }

    fn write(&self, lines: &[Line]) -> Result<(), Failure> {
        let mut text = Zeroizing::new(String::with_capacity(
            HEAD.len()
                + lines.iter().map(|(name, digits)| name.len() + digits.len() + 2).sum::<usize>(),
        ));
        text.push_str(HEAD);
        for (name, digits) in lines {
            for part in [name.as_str(), " ", digits, "\n"] {
                text.push_str(part);
            }
        }
        files::write_private(&self.path, text.as_bytes()).map_err(|error| {
            Failure::because(&format!("cannot write {}", self.path.display()), &error)
        })
    }

    fn lines(&self) -> Result<Vec<Line>, Failure> {
        // A credential's permissions are the service manager's.
        if !self.is_credential {
            self.refuse_inside()?;
            files::refuse_if_shared(&self.path).map_err(|text| {
                Failure::new(text).with_hint(
                    "the file was made by `init`, and is not part of the state or its backups: name it \
                     with --master-key",
                )
            })?;
        }
        let read = || -> std::io::Result<Option<Zeroizing<String>>> {
            match files::read_text_at_most(&self.path, FILE_OCTETS_MAX) {
                Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Ok(None),
                read => read.map(|text| Some(Zeroizing::new(text))),
            }
        };
        let text = read().map_err(|error| {
            Failure::because(&format!("cannot read {}", self.path.display()), &error)
        })?;
        text.as_ref()
            .and_then(|text| parse(text))
            .filter(|lines| !lines.is_empty())
            .ok_or_else(|| self.unreadable("it is no master key file"))
    }

    fn unreadable(&self, why: &str) -> Failure {
        Failure::new(format!("cannot use {}: {why}", self.path.display()))
    }
}

fn draw() -> Line {
    let octets = Zeroizing::new(SystemEntropy.array::<MASTER_KEY_OCTETS>());
    (hex::encode(SystemEntropy.array::<4>()), Zeroizing::new(hex::encode(octets.as_slice())))
}

fn parse(text: &str) -> Option<Vec<Line>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, digits) = line.split_once(' ')?;
            let digits = digits.trim();
            let good = digits.len() == 2 * MASTER_KEY_OCTETS
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            good.then(|| (name.to_owned(), Zeroizing::new(digits.to_owned())))
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
        let keys = parse(&text).unwrap();
        assert_eq!(keys.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["new", "old"]);
        for bad in [
            "new abc".to_owned(),
            "new".to_owned(),
            format!("new {digits}0"),
            format!("new {}", "xy".repeat(32)),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_the_file_named_then_the_credential_then_the_file_beside_the_state() {
        let directory = tempfile::tempdir().unwrap();
        let (state, handed) = (directory.path().join("state"), directory.path().join("handed"));
        std::fs::create_dir_all(&handed).unwrap();
        let choose = |named: Option<&Path>| {
            KeyFile::choose(named, &state, "portolan-x-master-key", Some(&handed))
        };
        assert_eq!(choose(None).path(), directory.path().join("state.master-key"));
        let made = choose(None);
        made.create().unwrap();
        assert!(made.create().is_err(), "it is not written over");
        std::fs::copy(made.path(), handed.join("portolan-x-master-key")).unwrap();
        let credential = choose(None);
        assert_eq!(credential.path(), handed.join("portolan-x-master-key"));
        assert!(credential.create().is_ok(), "what was handed over is taken");
        assert!(credential.add().unwrap_err().text().contains("credential of the service manager"));
        assert_eq!(choose(Some(Path::new("/k"))).path(), Path::new("/k"));
    }

    #[test]
    fn a_key_inside_the_state_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("key");
        let file = KeyFile::choose(Some(&inside), directory.path(), "x", None);
        assert!(file.create().unwrap_err().text().contains("which it is to protect"));
        assert!(!inside.exists());
    }
}
