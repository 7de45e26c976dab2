//! A throw-away certification authority: its certificate, the host's, and an empty revocation list.
//!
//! The key of the authority is gone when the certificates are made; what it signed is good for as long as a
//! rehearsal lasts. The organisation of every subject is the mark.

use portolan_net::tls;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::mark;

/// How long what is made here is good.
const VALID: Duration = Duration::days(30);
/// Clocks may differ: before this much of the past nothing is valid.
const BACKDATED: Duration = Duration::hours(1);

/// What was made.
pub(super) struct Authority {
    /// Its certificate.
    pub(super) certificate: CertificateDer<'static>,
    /// The same as PEM text.
    pub(super) pem: String,
    /// The host's chain and key.
    pub(super) identity: tls::Identity,
    /// Its revocation list, in DER.
    pub(super) revocation_list: Vec<u8>,
}

/// A certificate that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The certificate or the list.
    #[error("cannot make the throw-away certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// What was made does not serve TLS.
    #[error("cannot serve the throw-away certificate: {0}")]
    Identity(#[from] tls::InvalidIdentity),
}

impl Authority {
    /// Makes all of it. `names` are the host's, addresses among them; the certificate says that the list is
    /// at `list`.
    pub(super) fn make(
        names: &[String],
        list: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("throw-away authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (now - BACKDATED, now + VALID);
        let certificate = params.self_signed(&key)?;
        let pem = certificate.pem();
        let issuer = Issuer::new(params, key);

        let host_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(names.first().map_or("", String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points = list
            .map(|url| CrlDistributionPoint { uris: vec![url.to_owned()] })
            .into_iter()
            .collect();
        (params.not_before, params.not_after) = (now - BACKDATED, now + VALID);
        let host = params.signed_by(&host_key, &issuer)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(host_key.serialize_der()));
        let chain = vec![host.der().clone(), certificate.der().clone()];
        let identity = tls::Identity::from_der(chain, private)?;

        let list = CertificateRevocationListParams {
            this_update: now - BACKDATED,
            next_update: now + VALID,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let revocation_list = list.signed_by(&issuer)?.der().to_vec();
        Ok(Self { certificate: certificate.der().clone(), pem, identity, revocation_list })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::OrganizationName, mark::TEXT);
    named.push(DnType::CommonName, name);
    named
}
