//! The forest's service account: its password or keytab, sealed or in a file, and the mark of a refusal.
//!
//! A refused password that is tried again and again locks the account. So at the moment of a refusal a
//! mark is written to the state directory, and no later command asks the directory again until the
//! account or its secret is another. The mark names a sealed secret by its record and when that was
//! made, and a file by its inode and its time of change: neither says anything about the secret.
//! A service manager makes its copy of a credential anew at each start, and a copy of what was refused
//! is no other secret, so the digest of the secret is kept too: among the sealed secrets, whose master key
//! lies elsewhere. In the open it would let a thief of the state try passwords at leisure.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use portolan_gss::keytab::{FILE_OCTETS_MAX, Keytab};
use portolan_model::{DnsName, Realm, SecretString};
use portolan_net::kerberos::{AccountSecret, Credential};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::secrets::{self, Secrets};
use crate::report::Failure;

/// The mark of what is configured, in the state directory.
const MARK: Place = Place { mark: "account-refused", digest: "refused" };

/// The mark of a file that `connect init` or `connect credential set` was given.
const MARK_OF_OFFER: Place = Place { mark: "account-offer-refused", digest: "refused-offer" };

/// Where a refusal is remembered: what the names of the mark's file and of the digest begin with. Each
/// forest has marks of its own.
#[derive(Debug, Clone, Copy)]
struct Place {
    mark: &'static str,
    digest: &'static str,
}

impl Place {
    fn mark(self, state: &Path, domain: &str) -> PathBuf {
        state.join(format!("{}-{domain}.toml", self.mark))
    }

    /// The file of the releases that had one forest.
    fn former(self, state: &Path) -> PathBuf {
        state.join(format!("{}.toml", self.mark))
    }

    /// Puts down that a secret of an account was refused, with what the directory said.
    fn remember(self, state: &Path, refused: &Tried, said: &str) -> Result<(), Failure> {
        let path = self.mark(state, &refused.identity.domain());
        write(&path, &refused.identity, said).map_err(|error| {
            Failure::because(&format!("cannot write {}", path.display()), &error)
        })?;
        let name = secrets::refused(self.digest, &refused.identity.account);
        let now = portolan_net::clock::now();
        Secrets::open(state)?.change(&[(&name, &refused.digest)], &[], now)
    }

    /// The mark, if this account was refused with this very secret.
    fn refusal(self, state: &Path, tried: &Tried) -> Result<Option<Mark>, Failure> {
        let Some(mark) = read_mark(&self.mark(state, &tried.identity.domain()))? else {
            return Ok(None);
        };
        if mark.identity == tried.identity {
            return Ok(Some(mark));
        }
        if mark.identity.account != tried.identity.account {
            return Ok(None);
        }
        let name = secrets::refused(self.digest, &mark.identity.account);
        let refused = Secrets::open(state)?.get(&name)?;
        let is_same = refused.is_some_and(|refused| refused.as_slice() == tried.digest.as_slice());
        Ok(is_same.then_some(mark))
    }
}

/// Where systemd puts the credentials of its services (systemd.exec(5)).
const SYSTEMD_CREDENTIALS: &str = "/run/credentials";

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

    /// Whether the service manager hands the file over anew at each start. Such a file is protected
    /// and changed there: it stays where it is, and nothing of it is sealed here.
    pub(super) fn is_handed_over(&self) -> bool {
        let directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        self.path().starts_with(SYSTEMD_CREDENTIALS)
            || directory.is_some_and(|directory| self.path().starts_with(directory))
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

/// A secret of the account as its file has it, and as it is sealed.
pub(super) enum Held {
    Password(Zeroizing<Vec<u8>>),
    Keytab(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password([hidden])",
            Self::Keytab(_) => "Keytab([hidden])",
        })
    }
}

impl Held {
    /// Reads a file, which nobody but its owner may read.
    ///
    /// # Errors
    /// A clause that says what is wrong with the file.
    pub(super) fn read(file: &SecretFile) -> Result<Self, String> {
        Ok(match file {
            SecretFile::Password(path) => {
                let password = read_password(path)?;
                Self::Password(Zeroizing::new(password.expose().as_bytes().to_vec()))
            }
            SecretFile::Keytab(path) => Self::Keytab(read_keytab(path)?),
        })
    }

    /// What is sealed for an account, and the name of its record.
    fn sealed(
        account: &str,
        domain: &DnsName,
        secrets: &Secrets,
    ) -> Result<Option<(Self, String)>, String> {
        let named = principal(account, domain);
        let (password, keytab) = (secrets::password(&named), secrets::keytab(&named));
        let opened = |name: &str| secrets.get(name).map_err(|failure| failure.text().to_owned());
        if let Some(octets) = opened(&password)? {
            return Ok(Some((Self::Password(octets), password)));
        }
        Ok(opened(&keytab)?.map(|octets| (Self::Keytab(octets), keytab)))
    }

    pub(super) fn octets(&self) -> &[u8] {
        match self {
            Self::Password(octets) | Self::Keytab(octets) => octets,
        }
    }

    /// The name of its record, and that of the other kind, which is forgotten with it.
    pub(super) fn records(&self, account: &str, domain: &DnsName) -> (String, String) {
        let named = principal(account, domain);
        let (password, keytab) = (secrets::password(&named), secrets::keytab(&named));
        match self {
            Self::Password(_) => (password, keytab),
            Self::Keytab(_) => (keytab, password),
        }
    }

    /// SHA-256 of it.
    fn digest(&self) -> Zeroizing<Vec<u8>> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.octets());
        Zeroizing::new(digest.as_ref().to_vec())
    }

    fn usable(&self, name: &str, realm: &Realm) -> Result<AccountSecret, String> {
        match self {
            Self::Password(octets) => {
                let text = std::str::from_utf8(octets).map_err(|error| error.to_string())?;
                Ok(AccountSecret::Password(SecretString::new(text.to_owned())))
            }
            Self::Keytab(octets) => {
                let keytab = Keytab::decode(octets).map_err(|error| error.to_string())?;
                let keys = keytab.keys(name, realm.as_str()).map_err(|error| error.to_string())?;
                Ok(AccountSecret::Keys(keys))
            }
        }
    }
}

/// The service account with its secret, read.
#[derive(Debug)]
pub(super) struct Account {
    name: String,
    realm: Realm,
    secret: AccountSecret,
    tried: Tried,
}

/// Which account with which secret is tried.
#[derive(Clone)]
struct Tried {
    identity: Identity,
    digest: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tried").field(&self.identity).finish()
    }
}

/// The mark: which account with which secret was refused, and what the directory said.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    #[serde(flatten)]
    identity: Identity,
    said: String,
}

/// What changes when the account has another secret: another record, or another file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    account: String,
    #[serde(flatten)]
    source: Source,
}

impl Identity {
    /// The forest's domain, which marks are named by.
    fn domain(&self) -> String {
        let realm = self.account.rsplit_once('@').map_or("", |(_, realm)| realm);
        realm.to_ascii_lowercase()
    }
}

/// Which secret it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Source {
    File { file: PathBuf, inode: u64, changed: String },
    Sealed { record: String, made_at: i64 },
}

impl Account {
    /// Reads the secret of an account, given as `name` or `name@domain`, from a file.
    ///
    /// # Errors
    /// A clause that says what is wrong with the file.
    pub(super) fn read(
        account: &str,
        domain: &DnsName,
        file: &SecretFile,
    ) -> Result<(Self, Held), String> {
        let path = file.path();
        // Before the content: a file that is replaced meanwhile is then tried once too often, not never.
        let metadata = std::fs::metadata(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let held = Held::read(file)?;
        let source = Source::File {
            file: path.to_owned(),
            inode: metadata.ino(),
            changed: format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()),
        };
        let read = Self::with(account, domain, &held, source);
        Ok((read.map_err(|error| format!("{} is of no use: {error}", path.display()))?, held))
    }

    /// The account with the secret that is sealed.
    ///
    /// # Errors
    /// A clause that says what is wrong with it.
    pub(super) fn sealed(
        account: &str,
        domain: &DnsName,
        secrets: &Secrets,
    ) -> Result<Self, String> {
        let Some((held, record)) = Held::sealed(account, domain, secrets)? else {
            return Err(
                "it has neither password nor keytab; run `portolan connect credential set`"
                    .to_owned(),
            );
        };
        let made_at = secrets.made_at(&record).map_or(0, time::OffsetDateTime::unix_timestamp);
        Self::with(account, domain, &held, Source::Sealed { record, made_at })
    }

    fn with(account: &str, domain: &DnsName, held: &Held, source: Source) -> Result<Self, String> {
        let name = account.split_once('@').map_or(account, |(name, _)| name).to_owned();
        let realm = Realm::from(domain);
        let secret = held.usable(&name, &realm)?;
        let identity = Identity { account: format!("{name}@{realm}"), source };
        Ok(Self { name, realm, secret, tried: Tried { identity, digest: held.digest() } })
    }

    /// Which secret this is.
    pub(super) const fn identity(&self) -> &Identity {
        &self.tried.identity
    }

    /// The credential of what is configured, unless it was refused before. A refusal is written to the
    /// state directory when it happens.
    pub(super) fn credential(self, state: &Path) -> Result<Credential, Failure> {
        self.remembered(MARK, state)
    }

    /// The credential of what is offered in place of what is configured, unless that same secret was
    /// refused before.
    pub(super) fn offered(self, state: &Path) -> Result<Credential, Failure> {
        if let Some(mark) = MARK.refusal(state, &self.tried)? {
            return Err(not_again(&MARK.mark(state, &self.tried.identity.domain()), &mark));
        }
        self.remembered(MARK_OF_OFFER, state)
    }

    fn remembered(self, place: Place, state: &Path) -> Result<Credential, Failure> {
        let mark = place.mark(state, &self.tried.identity.domain());
        match place.refusal(state, &self.tried)? {
            Some(refused) => return Err(not_again(&mark, &refused)),
            None => remove(&mark).map_err(|error| unreadable(&mark, &error))?,
        }
        let (tried, state) = (self.tried, state.to_owned());
        let credential = Credential::new(self.name, self.realm, self.secret);
        Ok(credential.remembering(Box::new(move |said| {
            if let Err(failure) = place.remember(&state, &tried, said) {
                tracing::error!(error = failure.text(), "Could not remember the refusal");
            }
        })))
    }
}

/// Whether what is configured of a forest was refused, by whatever secret.
pub(super) fn is_marked(state: &Path, domain: &DnsName) -> bool {
    MARK.mark(state, &of_domain(domain)).exists()
}

/// Takes a forest's marks away: it has taken the account.
pub(super) fn forget_marks(state: &Path, domain: &DnsName) -> Result<(), Failure> {
    for place in [MARK, MARK_OF_OFFER] {
        let path = place.mark(state, &of_domain(domain));
        remove(&path).map_err(|error| unreadable(&path, &error))?;
    }
    Ok(())
}

/// Gives marks of the releases that had one forest the name of theirs.
pub(super) fn adopt_marks(state: &Path) -> Result<(), Failure> {
    for place in [MARK, MARK_OF_OFFER] {
        let former = place.former(state);
        let Some(mark) = read_mark(&former)? else { continue };
        let named = place.mark(state, &mark.identity.domain());
        std::fs::rename(&former, &named).map_err(|error| unreadable(&former, &error))?;
    }
    Ok(())
}

/// Gives the sealed secret of an account, which the releases that had one forest kept by the account's
/// name alone, the name of its forest too.
pub(super) fn adopt_records(
    secrets: &mut Secrets,
    account: &str,
    domain: &DnsName,
    now: time::OffsetDateTime,
) -> Result<(), Failure> {
    let named = principal(account, domain);
    for name in [secrets::password, secrets::keytab] {
        let (former, record) = (name(account), name(&named));
        if former == record {
            continue;
        }
        let Some(octets) = secrets.get(&former)? else { continue };
        secrets.change(&[(&record, &octets)], &[&former], now)?;
    }
    Ok(())
}

/// An account, configured as `name` or `name@domain`, as its secrets are named: that of one forest is not
/// that of another one's account of the same name.
pub(super) fn principal(account: &str, domain: &DnsName) -> String {
    let name = account.split_once('@').map_or(account, |(name, _)| name);
    format!("{name}@{}", of_domain(domain))
}

/// A domain as marks and records are named by it.
fn of_domain(domain: &DnsName) -> String {
    domain.to_string().to_ascii_lowercase()
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn unreadable(path: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    let doing = format!("cannot tell from {} whether the account was refused", path.display());
    Failure::because(&doing, error).with_hint("correct the secret, then remove it").lasting()
}

fn read_mark(path: &Path) -> Result<Option<Mark>, Failure> {
    let text = match crate::files::read_text_at_most(path, crate::files::CONFIGURATION_OCTETS_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| unreadable(path, &error))?,
    };
    toml::from_str(&text).map(Some).map_err(|error| unreadable(path, &error))
}

fn not_again(path: &Path, Mark { identity, said }: &Mark) -> Failure {
    let correct = match &identity.source {
        Source::File { file, .. } => format!("correct {}", file.display()),
        Source::Sealed { .. } => {
            "give the right one to `portolan connect credential set`".to_owned()
        }
    };
    let hint = format!(
        "{correct}; if it is right, and the account was mended in the forest, remove {}",
        path.display()
    );
    let account = &identity.account;
    let text = format!("{account} is not tried again, so that it is not locked: {said}");
    Failure::new(text).with_hint(hint).lasting()
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
    crate::files::read_secret_line(path)
}

/// The octets of a keytab, which nobody but its owner may read.
fn read_keytab(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    use std::io::Read as _;
    crate::files::refuse_if_shared(path)?;
    let mut octets = Zeroizing::new(Vec::new());
    let limit = u64::try_from(FILE_OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut octets))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Keytab::decode(&octets).map_err(|error| format!("{} is no keytab: {error}", path.display()))?;
    Ok(octets)
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
            let (account, _) = Account::read(account, &domain, &file).unwrap();
            account.credential(&self.state())
        }

        fn state(&self) -> PathBuf {
            self.directory.path().join("state")
        }

        fn mark(&self) -> PathBuf {
            MARK.mark(&self.state(), "corp.example")
        }
    }

    #[test]
    fn a_refused_password_is_not_tried_again_until_its_file_is_another() {
        let server = Server::new();
        server.credential("svc").unwrap().refuse(REFUSED);
        for _ in 0..3 {
            let failure = server.credential("svc@corp.example").unwrap_err();
            assert!(failure.is_lasting());
            assert_eq!(
                failure
                    .render()
                    .replace(&server.password().display().to_string(), "FILE")
                    .replace(&server.mark().display().to_string(), "MARK"),
                "error: svc@CORP.EXAMPLE is not tried again, so that it is not locked: \
                 dc1.corp.example gives svc@CORP.EXAMPLE no ticket\n  \
                 hint: correct FILE; if it is right, and the account was mended in the forest, \
                 remove MARK\n"
            );
        }
        server.write("right");
        assert!(server.credential("svc").is_ok());
        assert!(server.credential("svc").unwrap().refusal().is_none());
    }

    #[test]
    fn a_refused_sealed_secret_is_not_tried_again_nor_offered_again_until_another_is_sealed() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let domain: DnsName = "corp.example".parse().unwrap();
        let file = SecretFile::Password(directory.path().join("password"));
        let offer = |password: &str| {
            crate::files::write_private(file.path(), password.as_bytes()).unwrap();
            let (account, held) = Account::read("svc", &domain, &file).unwrap();
            (account.offered(&state), held)
        };
        let seal = |held: &Held, at: i64| {
            let (record, other) = held.records("svc", &domain);
            let now = time::OffsetDateTime::from_unix_timestamp(at).unwrap();
            let mut secrets = Secrets::open(&state).unwrap();
            secrets.change(&[(&record, held.octets())], &[&other], now).unwrap();
        };
        let sealed = || {
            let account = Account::sealed("svc", &domain, &Secrets::open(&state).unwrap()).unwrap();
            account.credential(&state)
        };
        let (credential, wrong) = offer("wrong");
        seal(&wrong, 1);
        drop(credential.unwrap());
        sealed().unwrap().refuse(REFUSED);
        let failure = sealed().unwrap_err();
        assert!(failure.is_lasting());
        let said = failure.render().replace(&state.display().to_string(), "STATE");
        assert!(
            said.ends_with(
                "hint: give the right one to `portolan connect credential set`; if it is right, \
                 and the account was mended in the forest, remove STATE/account-refused-corp.example.toml\n"
            ),
            "{said}"
        );
        assert!(offer("wrong").0.unwrap_err().text().contains("is not tried again"));
        // Another one may be offered, once; its refusal does not free the one that is sealed.
        offer("wrong too").0.unwrap().refuse(REFUSED);
        assert!(sealed().is_err());
        let (credential, right) = offer("right");
        credential.unwrap();
        seal(&right, 2);
        assert!(sealed().is_ok());
        forget_marks(&state, &domain).unwrap();
        assert!(!is_marked(&state, &domain));
        assert!(!format!("{right:?}").contains("right"));
    }

    #[test]
    fn another_account_may_try_and_a_copy_of_what_was_refused_may_not() {
        let server = Server::new();
        server.credential("svc").unwrap().refuse(REFUSED);
        assert!(server.credential("other").is_ok());

        server.credential("svc").unwrap().refuse(REFUSED);
        // As a service manager makes it, at each of its many starts.
        for start in 1..=3 {
            std::fs::remove_file(server.password()).unwrap();
            server.write("wrong");
            let file = std::fs::File::options().append(true).open(server.password()).unwrap();
            let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(start);
            file.set_modified(later).unwrap();
            let failure = server.credential("svc").unwrap_err();
            assert!(failure.is_lasting() && failure.text().contains("is not tried again"));
        }
        // A new master key changes nothing about it.
        Secrets::open(&server.state()).unwrap().rotate_master_key().unwrap();
        assert!(server.credential("svc").is_err());
        std::fs::remove_file(server.mark()).unwrap();
        assert!(server.credential("svc").is_ok(), "the account was mended in the forest");

        server.credential("svc").unwrap().refuse(REFUSED);
        server.write("right");
        assert!(server.credential("svc").is_ok());
    }

    #[test]
    fn the_mark_is_private_and_nothing_in_the_state_says_anything_of_the_password() {
        use std::os::unix::fs::PermissionsExt as _;
        let server = Server::new();
        server.credential("svc").unwrap().refuse(REFUSED);
        let (state, mark) = (server.state(), server.mark());
        assert_eq!(mark.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(state.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let digest = Held::Password(Zeroizing::new(b"wrong".to_vec())).digest();
        let mut files = 0;
        for entry in std::fs::read_dir(&state).unwrap() {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            files += 1;
            for word in [b"wrong".as_slice(), &digest, hex::encode(&digest).as_bytes()] {
                assert!(!octets.windows(word.len()).any(|window| window == word));
            }
        }
        assert_eq!(files, 2, "the mark and the sealed secrets");
        std::fs::write(&mark, "half a mar").unwrap();
        assert!(server.credential("svc").unwrap_err().is_lasting(), "in doubt it is not tried");
    }

    #[test]
    fn what_a_release_with_one_forest_kept_is_that_forest_s_and_no_other_s() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let (corp, other): (DnsName, DnsName) =
            ("corp.example".parse().unwrap(), "other.example".parse().unwrap());
        let mut secrets = Secrets::open(&state).unwrap();
        let now = time::OffsetDateTime::UNIX_EPOCH;
        secrets.change(&[("password/svc", b"Geheim-1")], &[], now).unwrap();
        adopt_records(&mut secrets, "svc", &corp, now).unwrap();
        assert!(secrets.get("password/svc").unwrap().is_none());
        let account = Account::sealed("svc", &corp, &secrets).unwrap();
        assert!(Account::sealed("svc", &other, &secrets).unwrap_err().contains("neither password"));
        // As such a release would have written it.
        let (mark, former) = (MARK.mark(&state, "corp.example"), MARK.former(&state));
        write(&former, &account.tried.identity, REFUSED).unwrap();
        adopt_marks(&state).unwrap();
        assert!(mark.exists() && !former.exists() && is_marked(&state, &corp));
        assert!(account.credential(&state).unwrap_err().is_lasting());
        // A namesake in another forest has another password, and may try it.
        let held = Held::Password(Zeroizing::new(b"Geheim-2".to_vec()));
        let (record, _) = held.records("svc", &other);
        secrets.change(&[(&record, held.octets())], &[], now).unwrap();
        let namesake = Account::sealed("svc", &other, &secrets).unwrap();
        assert!(namesake.credential(&state).is_ok() && is_marked(&state, &corp));
        assert!(!is_marked(&state, &other));
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
