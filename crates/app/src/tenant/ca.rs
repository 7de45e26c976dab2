//! The tenant's own certification authority: one root, the server certificates below it, and the
//! revocation list that both point to (RFC 5280).
//!
//! Nothing here touches a file: the caller keeps the root's certificate and, sealed, its key.

use aws_lc_rs::digest::{SHA256, digest};
use portolan_model::{DnsName, Entropy, Guid};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// The revocation list's path below the `crl` host.
pub const CRL_PATH: &str = "/portolan-ca.crl";

/// How long the root is valid.
const ROOT_VALIDITY: Duration = Duration::days(20 * 365);
/// How long a server certificate is valid; it is renewed when a third of that is left.
const SERVER_VALIDITY: Duration = Duration::days(90);
/// How long a revocation list is valid; it is renewed when half of that is left.
const CRL_VALIDITY: Duration = Duration::days(2);
/// How far a peer's clock may be behind ours.
const CLOCK_SKEW: Duration = Duration::minutes(5);

/// The authority could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The stored certificate or key is not what this release writes, or a name is no DNS name.
    #[error("the certification authority cannot sign")]
    Certificate(#[from] rcgen::Error),
}

impl portolan_model::Hint for AuthorityError {
    fn hint(&self) -> Option<String> {
        Some("restore the tenant's data directory and its master key together".to_owned())
    }
}

/// The root and its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    domain: DnsName,
}

/// A certificate that a server shows, with its key.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The certificate, and the root that signed it.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
    /// When it is to be replaced.
    pub renew_at: OffsetDateTime,
}

/// A signed revocation list.
#[derive(Debug, Clone)]
pub struct RevocationList {
    /// The list in DER.
    pub der: Vec<u8>,
    /// When it ceases to be valid.
    pub next_update: OffsetDateTime,
    /// When it is to be replaced.
    pub renew_at: OffsetDateTime,
}

/// A certificate that is no longer good.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// Its serial number, big-endian.
    pub serial: Vec<u8>,
    /// Since when.
    pub at: OffsetDateTime,
}

impl Authority {
    /// Makes a new root for a tenant.
    ///
    /// # Errors
    /// When the key cannot be made or the certificate not be signed.
    pub fn create(
        domain: &DnsName,
        tenant: Guid,
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut root = params(&format!("Portolan tenant {tenant}"), now, ROOT_VALIDITY, rng);
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = root.self_signed(&key)?.der().clone();
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { issuer, certificate, domain: domain.clone() })
    }

    /// The root as it was stored: its certificate in DER and its key in PKCS #8 DER.
    ///
    /// # Errors
    /// When they are not what [`Authority::certificate`] and [`Authority::key_der`] gave.
    pub fn restore(
        domain: &DnsName,
        certificate: Vec<u8>,
        key: &Zeroizing<Vec<u8>>,
    ) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(key.as_slice()),
            &PKCS_ECDSA_P256_SHA256,
        )?;
        let certificate = CertificateDer::from(certificate);
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { issuer, certificate, domain: domain.clone() })
    }

    /// The root's certificate.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The root's key in PKCS #8 DER, to be sealed and stored.
    #[must_use]
    pub fn key_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.issuer.key().serialize_der())
    }

    /// SHA-256 of the root's certificate: what an enrolment file pins.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &self.certificate).as_ref());
        out
    }

    /// A new certificate and key for a server of these names.
    ///
    /// # Errors
    /// When the key cannot be made or the certificate not be signed.
    pub fn issue_server(
        &self,
        names: &[DnsName],
        now: OffsetDateTime,
        rng: &mut dyn Entropy,
    ) -> Result<ServerCertificate, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let common = names.first().map_or_else(String::new, ToString::to_string);
        let mut leaf = params(&common, now, SERVER_VALIDITY, rng);
        leaf.subject_alt_names = names
            .iter()
            .map(|name| Ok(rcgen::SanType::DnsName(name.as_str().try_into()?)))
            .collect::<Result<_, rcgen::Error>>()?;
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![self.crl_url()] }];
        let certificate = leaf.signed_by(&key, &self.issuer)?;
        Ok(ServerCertificate {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            renew_at: now + SERVER_VALIDITY * 2 / 3,
        })
    }

    /// Where the revocation list is found.
    #[must_use]
    pub fn crl_url(&self) -> String {
        format!("http://crl.{}{CRL_PATH}", self.domain)
    }

    /// Signs a revocation list. Its number is the time of signing, so that it only grows.
    ///
    /// # Errors
    /// When the list cannot be signed.
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        now: OffsetDateTime,
    ) -> Result<RevocationList, AuthorityError> {
        let next_update = now + CRL_VALIDITY;
        let list = CertificateRevocationListParams {
            this_update: now - CLOCK_SKEW,
            next_update,
            crl_number: SerialNumber::from_slice(&now.unix_timestamp().to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(|revoked| rcgen::RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&revoked.serial),
                    revocation_time: revoked.at,
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let der = list.signed_by(&self.issuer)?.der().to_vec();
        Ok(RevocationList { der, next_update, renew_at: now + CRL_VALIDITY / 2 })
    }
}

fn params(
    common_name: &str,
    now: OffsetDateTime,
    validity: Duration,
    rng: &mut dyn Entropy,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + validity;
    params.serial_number = Some(serial(rng));
    params
}

/// A positive serial number of 127 random bits (RFC 5280 section 4.1.2.2).
fn serial(rng: &mut dyn Entropy) -> SerialNumber {
    let mut octets = [0; 16];
    rng.fill(&mut octets);
    octets[0] = (octets[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    use x509_parser::revocation_list::CertificateRevocationList;

    struct Counter(u8);

    impl Entropy for Counter {
        fn fill(&mut self, out: &mut [u8]) {
            for octet in out {
                self.0 = self.0.wrapping_add(1);
                *octet = self.0;
            }
        }
    }

    fn authority() -> Authority {
        let domain = "cloud.example".parse().unwrap();
        Authority::create(&domain, Guid::NIL, OffsetDateTime::UNIX_EPOCH, &mut Counter(0)).unwrap()
    }

    #[test]
    fn a_server_certificate_verifies_under_the_root_and_points_to_the_list() {
        let authority = authority();
        let names =
            ["login.cloud.example", "graph.cloud.example"].map(|name| name.parse().unwrap());
        let issued =
            authority.issue_server(&names, OffsetDateTime::UNIX_EPOCH, &mut Counter(9)).unwrap();
        let (_, root) = X509Certificate::from_der(authority.certificate()).unwrap();
        let (_, leaf) = X509Certificate::from_der(&issued.chain[0]).unwrap();
        leaf.verify_signature(Some(root.public_key())).unwrap();
        assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
        let text = String::from_utf8_lossy(&issued.chain[0]).into_owned();
        assert!(text.contains("http://crl.cloud.example/portolan-ca.crl"));
        assert!(root.is_ca() && !leaf.is_ca());
    }

    #[test]
    fn a_revocation_list_is_signed_by_the_root_and_names_the_revoked() {
        let authority = authority();
        let at = OffsetDateTime::UNIX_EPOCH;
        let list = authority.revocation_list(&[Revoked { serial: vec![0x41, 2], at }], at).unwrap();
        let (_, parsed) = CertificateRevocationList::from_der(&list.der).unwrap();
        let (_, root) = X509Certificate::from_der(authority.certificate()).unwrap();
        parsed.verify_signature(root.public_key()).unwrap();
        let serials: Vec<_> = parsed
            .iter_revoked_certificates()
            .map(|revoked| revoked.raw_serial().to_vec())
            .collect();
        assert_eq!(serials, [vec![0x41, 2]]);
        assert!(list.renew_at < list.next_update);
    }

    #[test]
    fn a_restored_root_signs_like_the_one_that_was_stored() {
        let first = authority();
        let domain = "cloud.example".parse().unwrap();
        let again =
            Authority::restore(&domain, first.certificate().to_vec(), &first.key_der()).unwrap();
        assert_eq!(again.fingerprint(), first.fingerprint());
        let list = again.revocation_list(&[], OffsetDateTime::UNIX_EPOCH).unwrap();
        let (_, parsed) = CertificateRevocationList::from_der(&list.der).unwrap();
        let (_, root) = X509Certificate::from_der(first.certificate()).unwrap();
        parsed.verify_signature(root.public_key()).unwrap();
    }
}
