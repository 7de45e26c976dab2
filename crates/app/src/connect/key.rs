//! This server's private key: made here, kept in a file of its owner's alone, never sent.

use std::path::{Path, PathBuf};

use portolan_model::Entropy as _;
use portolan_net::entropy::SystemEntropy;
use portolan_token::SigningKey;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::report::Failure;

/// Makes a new P-256 key and writes it to a file of its own in a directory, so that a key in use stays
/// until the configuration names the new one.
pub(super) fn create(directory: &Path) -> Result<(SigningKey, PathBuf), Failure> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|error| Failure::because("cannot make a private key", &error))?;
    let name = hex::encode(SystemEntropy.array::<4>());
    let path = directory.join(format!("client-key-{name}.pem"));
    let pem = Zeroizing::new(pair.serialize_pem());
    crate::files::write_private(&path, pem.as_bytes())
        .map_err(|error| Failure::because(&format!("cannot write {}", path.display()), &error))?;
    Ok((read(&path)?, path))
}

/// Reads the key from its file, which nobody but its owner may read.
pub(super) fn read(path: &Path) -> Result<SigningKey, Failure> {
    crate::files::refuse_if_shared(path).map_err(Failure::new)?;
    let unusable = |error: &(dyn std::error::Error + 'static)| {
        Failure::because(&format!("{} holds no private key", path.display()), error)
            .with_hint("run `portolan connect init` with a new enrolment file")
    };
    let text = std::fs::read(path).map(Zeroizing::new).map_err(|error| unusable(&error))?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|error| unusable(&error))?;
    SigningKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| unusable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_was_made_and_a_shared_file_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let (made, path) = create(directory.path()).unwrap();
        assert_eq!(read(&path).unwrap().kid(), made.kid());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().text().contains("chmod 600"));
    }
}
