//! The forest's service account: the file with its password or keys, and the mark of a refusal.
//!
//! A refused password that is tried again and again locks the account. So at the moment of a refusal a
//! mark is written to the state directory, and no later command asks the directory again until the
//! account or the file is another. The mark names the file by its inode and its time of change, which
//! say nothing about what is in it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use portolan_gss::keytab::{FILE_OCTETS_MAX, Keytab};
use portolan_model::{DnsName, Realm, SecretString};
use portolan_net::kerberos::{AccountSecret, Credential};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::report::Failure;

/// The mark, in the state directory.
const MARK: &str = "account-refused.toml";

/// What the account proves itself with: one of two kinds of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretFile {
    /// The first line is its password.
    Password(PathBuf),
    /// A keytab.
    Keytab(PathBuf),
}

impl SecretFile {
    /// Exactly one of two paths.
    pub(super) fn of(password: Option<PathBuf>, keytab: Option<PathBuf>) -> Result<Self, String> {
        match (password, keytab) {
            (Some(path), None) => Ok(Self::Password(path)),
            (None, Some(path)) => Ok(Self::Keytab(path)),
            (Some(_), Some(_)) => Err("contradicts forest.password_file; give one of them".into()),
            (None, None) => Err("neither it nor forest.password_file is given".into()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Password(path) | Self::Keytab(path) => path,
        }
    }

    /// The same file under a path that holds wherever a later command starts.
    pub(super) fn absolute(self) -> Result<Self, Failure> {
        let absolute = |path: PathBuf| {
            std::path::absolute(&path).map_err(|error| {
                Failure::because(&format!("cannot use {}", path.display()), &error)
            })
        };
        Ok(match self {
            Self::Password(path) => Self::Password(absolute(path)?),
            Self::Keytab(path) => Self::Keytab(absolute(path)?),
        })
    }
}

/// The service account with its secret, read.
#[derive(Debug)]
pub(super) struct Account {
    name: String,
    realm: Realm,
    secret: AccountSecret,
    identity: Identity,
}

/// The mark: which account with which file was refused, and what the directory said.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    #[serde(flatten)]
    identity: Identity,
    said: String,
}

/// What has to change before the directory is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    account: String,
    file: PathBuf,
    inode: u64,
    changed: String,
}

impl Account {
    /// Reads the secret of an account, given as `name` or `name@domain`.
    ///
    /// # Errors
    /// A clause that says what is wrong with the file.
    pub(super) fn read(account: &str, domain: &DnsName, file: &SecretFile) -> Result<Self, String> {
        let name = account.split_once('@').map_or(account, |(name, _)| name).to_owned();
        let realm = Realm::from(domain);
        let path = file.path();
        // Before the content: a file that is replaced meanwhile is then tried once too often, not never.
        let metadata = std::fs::metadata(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let secret = match file {
            SecretFile::Password(path) => AccountSecret::Password(read_password(path)?),
            SecretFile::Keytab(path) => AccountSecret::Keys(
                read_keytab(path)?
                    .keys(&name, realm.as_str())
                    .map_err(|error| format!("{} is of no use: {error}", path.display()))?,
            ),
        };
        let identity = Identity {
            account: format!("{name}@{realm}"),
            file: path.to_owned(),
            inode: metadata.ino(),
            changed: format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()),
        };
        Ok(Self { name, realm, secret, identity })
    }

    /// The credential, unless it was refused before. A refusal is written to the state directory when
    /// it happens.
    pub(super) fn credential(self, state: &Path) -> Result<Credential, Failure> {
        let mark = state.join(MARK);
        refuse_if_marked(&mark, &self.identity)?;
        let identity = self.identity;
        let credential = Credential::new(self.name, self.realm, self.secret);
        Ok(credential.remembering(Box::new(move |said| {
            if let Err(error) = write(&mark, &identity, said) {
                tracing::error!(%error, path = %mark.display(), "Could not mark the refusal");
            }
        })))
    }
}

/// Refuses an account whose mark is there, and takes away the mark of another one.
fn refuse_if_marked(path: &Path, identity: &Identity) -> Result<(), Failure> {
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        let doing = format!("cannot tell from {} whether the account was refused", path.display());
        Failure::because(&doing, error).with_hint("correct the password or keytab, then remove it")
    };
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|error| unreadable(&error).lasting())?,
    };
    let mark: Mark = toml::from_str(&text).map_err(|error| unreadable(&error).lasting())?;
    if mark.identity != *identity {
        return std::fs::remove_file(path).map_err(|error| unreadable(&error).lasting());
    }
    let file = identity.file.display();
    Err(Failure::new(format!(
        "{} is not tried again, so that it is not locked: {}",
        identity.account, mark.said
    ))
    .with_hint(format!(
        "correct {file}; if it is right, and the account was mended in the forest, `touch {file}`"
    ))
    .lasting())
}

fn write(path: &Path, identity: &Identity, said: &str) -> std::io::Result<()> {
    let mark = Mark { identity: identity.clone(), said: said.to_owned() };
    let text = toml::to_string(&mark).map_err(std::io::Error::other)?;
    if let Some(state) = path.parent() {
        crate::files::private_directory(state)?;
    }
    crate::files::write_private(path, text.as_bytes())
}

/// The first line of a password file, which nobody but its owner may read.
pub(super) fn read_password(path: &Path) -> Result<SecretString, String> {
    crate::files::refuse_if_shared(path)?;
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(format!("{} has no first line", path.display()));
    }
    Ok(SecretString::new(line.to_owned()))
}

/// A keytab, which nobody but its owner may read.
fn read_keytab(path: &Path) -> Result<Keytab, String> {
    use std::io::Read as _;
    crate::files::refuse_if_shared(path)?;
    let mut octets = Zeroizing::new(Vec::new());
    let limit = u64::try_from(FILE_OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut octets))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Keytab::decode(&octets).map_err(|error| format!("{} is no keytab: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "dc1.corp.example gives svc@CORP.EXAMPLE no ticket";

    /// A state directory, a password file, and how the account is asked for.
    struct Server {
        directory: tempfile::TempDir,
    }

    impl Server {
        fn new() -> Self {
            let server = Self { directory: tempfile::tempdir().unwrap() };
            server.write("wrong");
            server
        }

        fn password(&self) -> PathBuf {
            self.directory.path().join("password")
        }

        fn write(&self, password: &str) {
            crate::files::write_private(&self.password(), password.as_bytes()).unwrap();
        }

        fn credential(&self, account: &str) -> Result<Credential, Failure> {
            let file = SecretFile::Password(self.password());
            let domain = "corp.example".parse().unwrap();
            let account = Account::read(account, &domain, &file).unwrap();
            account.credential(&self.directory.path().join("state"))
        }
    }

    #[test]
    fn a_refused_password_is_not_tried_again_until_its_file_is_another() {
        let server = Server::new();
        server.credential("svc").unwrap().refuse(REFUSED);
        for _ in 0..3 {
            let failure = server.credential("svc@corp.example").unwrap_err();
            assert!(failure.is_lasting());
            insta::assert_snapshot!(
                failure.render().replace(&server.password().display().to_string(), "FILE"), @""
            );
        }
        server.write("right");
        assert!(server.credential("svc").is_ok());
        assert!(server.credential("svc").unwrap().refusal().is_none());
    }

    #[test]
    fn another_account_may_try_and_a_touched_file_too() {
        let server = Server::new();
        server.credential("svc").unwrap().refuse(REFUSED);
        assert!(server.credential("other").is_ok());

        server.credential("svc").unwrap().refuse(REFUSED);
        assert!(server.credential("svc").is_err());
        let file = std::fs::File::options().append(true).open(server.password()).unwrap();
        let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        file.set_modified(later).unwrap();
        assert!(server.credential("svc").is_ok());
    }

    #[test]
    fn the_mark_is_private_and_says_nothing_of_the_password() {
        use std::os::unix::fs::PermissionsExt as _;
        let server = Server::new();
        server.credential("svc").unwrap().refuse(REFUSED);
        let mark = server.directory.path().join("state").join(MARK);
        assert_eq!(mark.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let state = mark.parent().unwrap().metadata().unwrap();
        assert_eq!(state.permissions().mode() & 0o777, 0o700);
        assert!(!std::fs::read_to_string(&mark).unwrap().contains("wrong"));
        std::fs::write(&mark, "half a mar").unwrap();
        assert!(server.credential("svc").unwrap_err().is_lasting(), "in doubt it is not tried");
    }

    #[test]
    fn files_that_are_of_no_use_say_why() {
        let server = Server::new();
        let keytab = server.directory.path().join("keytab");
        let domain: DnsName = "corp.example".parse().unwrap();
        let read = |octets: &[u8]| {
            crate::files::write_private(&keytab, octets).unwrap();
            let file = SecretFile::Keytab(keytab.clone());
            let error = Account::read("svc", &domain, &file).unwrap_err();
            error.replace(&keytab.display().to_string(), "FILE")
        };
        assert_eq!(read(&[5, 2]), "FILE is of no use: the keytab is empty");
        assert!(read(b"password").starts_with("FILE is no keytab: "));
        std::fs::set_permissions(&keytab, std::os::unix::fs::PermissionsExt::from_mode(0o640))
            .unwrap();
        let file = SecretFile::Keytab(keytab.clone());
        assert!(Account::read("svc", &domain, &file).unwrap_err().contains("chmod 600"));
    }
}
