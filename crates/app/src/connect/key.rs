//! This server's private key: made here, sealed with the other secrets, never sent; and replaced by
//! itself.
//!
//! A replacement survives being broken off anywhere, here and at the tenant: the next key is sealed
//! first, then the tenant keeps both, and it forgets the old one when the new one was used. Whoever
//! comes back later tries the next key; the tenant takes it, or it has never heard of it.

use std::path::Path;

use portolan_model::Guid;
use portolan_token::{Jwk, SigningKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::secrets::{Secrets, client_key, next_client_key};
use crate::report::Failure;

/// How long a key is used.
pub(crate) const USED_FOR: Duration = Duration::days(30);

/// A private key in PKCS#8.
pub(crate) type Private = Zeroizing<Vec<u8>>;

/// Where this server is an application: the tenant.
pub(crate) trait Registrar {
    /// Registers the public half of the next key, which the current one vouches for.
    async fn register(&mut self, current: &SigningKey, next: &Jwk) -> Result<(), Failure>;

    /// Whether the tenant signs this server in by a key.
    async fn accepts(&mut self, key: &SigningKey) -> Result<bool, Failure>;
}

/// Makes a new P-256 key.
pub(crate) fn make() -> Result<(SigningKey, Private), Failure> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|error| Failure::because("cannot make a private key", &error))?;
    let private = Zeroizing::new(pair.serialize_der());
    Ok((parse(&private)?, private))
}

/// The key in use.
pub(crate) fn current(secrets: &Secrets, client_id: Guid) -> Result<SigningKey, Failure> {
    match secrets.get(&client_key(client_id))? {
        Some(private) => parse(&private),
        None => Err(Failure::new("this server has no private key")
            .with_hint("run `portolan connect init` with a new enrolment file")),
    }
}

/// Whether the key is to be replaced: it is old, or a replacement was broken off.
pub(crate) fn is_due(secrets: &Secrets, client_id: Guid, now: OffsetDateTime) -> bool {
    let made_at = secrets.made_at(&client_key(client_id));
    secrets.made_at(&next_client_key(client_id)).is_some()
        || made_at.is_none_or(|made_at| now - made_at >= USED_FOR)
}

/// Replaces the key; the new one is in use from here on.
pub(crate) async fn replace(
    secrets: &mut Secrets,
    client_id: Guid,
    tenant: &mut impl Registrar,
    now: OffsetDateTime,
) -> Result<SigningKey, Failure> {
    let (name, next_name) = (client_key(client_id), next_client_key(client_id));
    let begun = secrets.get(&next_name)?;
    let is_fresh = begun.is_none();
    let private = match begun {
        Some(private) => private,
        None => {
            let (_, private) = make()?;
            secrets.change(&[(&next_name, &private)], &[], now)?;
            private
        }
    };
    let next = parse(&private)?;
    if is_fresh || !tenant.accepts(&next).await? {
        tenant.register(&current(secrets, client_id)?, next.public()).await?;
        if !tenant.accepts(&next).await? {
            return Err(Failure::new("the tenant does not accept this server's new key"));
        }
    }
    secrets.change(&[(&name, &private)], &[&next_name], now)?;
    Ok(next)
}

/// Reads a key from the file in which the first release kept it, which nobody but its owner may read.
pub(crate) fn read_file(path: &Path) -> Result<Private, Failure> {
    crate::files::refuse_if_shared(path).map_err(Failure::new)?;
    let doing = format!("cannot read {}", path.display());
    let text = crate::files::read_at_most(path, crate::files::SECRET_OCTETS_MAX)
        .map(Zeroizing::new)
        .map_err(|error| Failure::because(&doing, &error))?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(&text)
        .map_err(|error| Failure::because(&doing, &error))?;
    Ok(Zeroizing::new(der.secret_pkcs8_der().to_vec()))
}

pub(super) fn parse(private: &[u8]) -> Result<SigningKey, Failure> {
    SigningKey::from_pkcs8(private).map_err(|error| {
        Failure::because("this server's private key does not read", &error)
            .with_hint("run `portolan connect init` with a new enrolment file")
    })
}
