//! Files with secrets: written whole, readable by their owner alone, refused when they are not.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use portolan_model::SecretString;
use zeroize::Zeroizing;

/// Permission bits of a file that only its owner reads and writes.
const OWNER_ONLY: u32 = 0o600;
/// The bits that give anyone else a right.
const OTHERS: u32 = 0o077;

/// Octets of a file with one secret: a key, a password, a token.
pub const SECRET_OCTETS_MAX: u64 = 64 * 1024;
/// Octets of a file with certificates of authorities: a whole system's are some hundred thousand.
pub const AUTHORITIES_OCTETS_MAX: u64 = 16 * 1024 * 1024;
/// Octets of a file of configuration.
pub const CONFIGURATION_OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// Writes a file whole or not at all, readable by its owner alone: beside its place first, synced,
/// then moved there.
///
/// # Errors
/// What the file system says.
pub fn write_private(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A new file, so that it has these permissions and no others.
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&beside)?;
    file.write_all(octets)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    // The new name is on disk only when its directory is.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// The octets of a file, which has no more of them than it may. What it says of its size is not believed:
/// no more is read than one octet above.
///
/// # Errors
/// What the file system says, or [`FileTooLarge`](std::io::ErrorKind::FileTooLarge).
pub fn read_at_most(path: &Path, octets_max: u64) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let too_large = || {
        let text = format!("it has more than {octets_max} octets");
        std::io::Error::new(std::io::ErrorKind::FileTooLarge, text)
    };
    let length = file.metadata()?.len();
    if length > octets_max {
        return Err(too_large());
    }
    // Room for all, so that no part of a secret stays where it was read first.
    let mut octets = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    file.take(octets_max.saturating_add(1)).read_to_end(&mut octets)?;
    if octets.len() as u64 > octets_max { Err(too_large()) } else { Ok(octets) }
}

/// The same of a file of text.
///
/// # Errors
/// Likewise, and when it is no UTF-8.
pub fn read_text_at_most(path: &Path, octets_max: u64) -> std::io::Result<String> {
    String::from_utf8(read_at_most(path, octets_max)?)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

/// Makes a directory, and those above it, that its owner alone enters; one that is there stays as it is.
///
/// # Errors
/// What the file system says.
pub fn private_directory(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Nothing, if only its owner may touch the file.
///
/// # Errors
/// A clause that says what is wrong with it.
pub fn refuse_if_shared(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if metadata.mode() & OTHERS != 0 {
        return Err(format!(
            "{0} is open to others than its owner; run chmod 600 {0}",
            path.display()
        ));
    }
    Ok(())
}

/// The first line of a file with a secret, which nobody but its owner may read.
///
/// # Errors
/// A clause that says what is wrong with it.
pub fn read_secret_line(path: &Path) -> Result<SecretString, String> {
    refuse_if_shared(path)?;
    let text = read_text_at_most(path, SECRET_OCTETS_MAX)
        .map(Zeroizing::new)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(format!("{} has no first line", path.display()));
    }
    Ok(SecretString::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_accepted_and_a_shared_one_is_not() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write_private(&path, b"x").unwrap();
        assert!(refuse_if_shared(&path).is_ok());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refuse_if_shared(&path).unwrap_err().contains("chmod 600"));
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_refused_above_it_whatever_it_says_of_its_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_text_at_most(&path, 4).unwrap(), "four");
        let refused = read_at_most(&path, 3).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::FileTooLarge);
        assert_eq!(refused.to_string(), "it has more than 3 octets");
        // One without a size and without an end.
        let endless = read_at_most(Path::new("/dev/zero"), 4096).unwrap_err();
        assert_eq!(endless.kind(), std::io::ErrorKind::FileTooLarge);
        std::fs::write(&path, [0xff]).unwrap();
        let broken = read_text_at_most(&path, 4).unwrap_err();
        assert_eq!(broken.kind(), std::io::ErrorKind::InvalidData);
    }
}
