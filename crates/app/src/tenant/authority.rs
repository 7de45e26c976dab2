//! The tenant's certificate authority: its root, the server's certificate, the revocation list.
//!
//! The root may sign for names below the tenant's domain only, and for no address: a constraint on
//! names alone would leave addresses free (RFC 5280 section 4.2.1.10). The server's key lives in memory: each start, and
//! each renewal, makes a new one. The revocation list is signed anew every day, long before it ends
//! ([RFC 5280] section 5).
//!
//! [RFC 5280]: https://www.rfc-editor.org/rfc/rfc5280#section-5

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest;
use portolan_model::Entropy;
use portolan_net::entropy::SystemEntropy;
use portolan_net::tls::Identity;
use portolan_tenant::Tenant;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CidrSubnet,
    CrlDistributionPoint, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::report::Failure;

/// The path of the revocation list.
pub(super) const CRL_PATH: &str = "/portolan-ca.crl";

/// How long the root is good.
const ROOT_LIFETIME: Duration = Duration::days(3650);

/// How long a server certificate is good; it is renewed after two thirds.
pub(super) const SERVER_LIFETIME: Duration = Duration::days(90);

/// How long a revocation list is good; it is signed anew every day.
pub(super) const CRL_LIFETIME: Duration = Duration::days(7);

/// How far back a certificate begins, for peers whose clocks are behind.
const BACKDATED: Duration = Duration::HOUR;

/// The certificate authority.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes the authority of a new tenant: it, and its private key in PKCS#8.
    pub(super) fn create(
        tenant: &Tenant,
        now: OffsetDateTime,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), Failure> {
        let key = KeyPair::generate().map_err(refused)?;
        let private = Zeroizing::new(key.serialize_der());
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&format!("Portolan CA of {}", tenant.domain));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(tenant.domain.to_string())],
            excluded_subtrees: vec![
                every_address(Ipv4Addr::UNSPECIFIED),
                every_address(Ipv6Addr::UNSPECIFIED),
            ],
        });
        params.serial_number = Some(serial());
        (params.not_before, params.not_after) = (now - BACKDATED, now + ROOT_LIFETIME);
        let certificate = params.self_signed(&key).map_err(refused)?.der().clone();
        Ok((Self::load(certificate, key)?, private))
    }

    /// From what was kept: the certificate (DER) and the private key (PKCS#8).
    pub(super) fn open(certificate: Vec<u8>, key: &[u8]) -> Result<Self, Failure> {
        let key = KeyPair::try_from(key).map_err(refused)?;
        Self::load(CertificateDer::from(certificate), key)
    }

    fn load(certificate: CertificateDer<'static>, key: KeyPair) -> Result<Self, Failure> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(refused)?;
        Ok(Self { certificate, issuer })
    }

    /// The root certificate, DER.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// From when to when the root is good; nothing when it does not read.
    pub(super) fn validity(&self) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let (_, certificate) = x509_parser::parse_x509_certificate(&self.certificate).ok()?;
        let validity = certificate.validity();
        Some((validity.not_before.to_datetime(), validity.not_after.to_datetime()))
    }

    /// The root certificate, PEM.
    pub(super) fn certificate_pem(&self) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// The SHA-256 of the root certificate, in hexadecimal.
    pub(super) fn fingerprint(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.certificate))
    }

    /// A new key and certificate for the tenant's hosts, with the root behind it.
    pub(super) fn server_identity(
        &self,
        tenant: &Tenant,
        now: OffsetDateTime,
    ) -> Result<Identity, Failure> {
        let (chain, key) = self.issue(tenant, &tenant.hosts(), now)?;
        Ok(Identity::from_der(chain, key)?)
    }

    fn issue(
        &self,
        tenant: &Tenant,
        hosts: &[String],
        now: OffsetDateTime,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
        let key = KeyPair::generate().map_err(refused)?;
        let mut params = CertificateParams::new(hosts).map_err(refused)?;
        params.distinguished_name = name(&tenant.login_host());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec![crl_address(tenant)] }];
        params.serial_number = Some(serial());
        (params.not_before, params.not_after) = (now - BACKDATED, now + SERVER_LIFETIME);
        let certificate = params.signed_by(&key, &self.issuer).map_err(refused)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((chain, private))
    }

    /// A revocation list of now. Nothing has been revoked: a server certificate lives in one
    /// process, and a tenant whose root key is lost needs a new root.
    pub(super) fn revocation_list(&self, now: OffsetDateTime) -> Result<Vec<u8>, Failure> {
        let number = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let params = CertificateRevocationListParams {
            this_update: now - BACKDATED,
            next_update: now + CRL_LIFETIME,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer).map_err(refused)?.der().to_vec())
    }
}

/// Every address of a family.
fn every_address(any: impl Into<IpAddr>) -> GeneralSubtree {
    GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(any.into(), 0))
}

/// Where the revocation list is.
fn crl_address(tenant: &Tenant) -> String {
    format!("http://{}{CRL_PATH}", tenant.crl_host())
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Portolan");
    name.push(DnType::CommonName, common);
    name
}

/// A random serial number: positive, 127 bits (RFC 5280 section 4.1.2.2).
fn serial() -> SerialNumber {
    let mut octets = SystemEntropy.array::<16>();
    octets[0] &= 0x7f;
    octets[0] |= 0x40;
    SerialNumber::from_slice(&octets)
}

fn refused(error: rcgen::Error) -> Failure {
    Failure::because("the certificate authority cannot sign", &error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls_pki_types::{ServerName, UnixTime};
    use x509_parser::prelude::*;

    use super::*;

    fn tenant() -> Tenant {
        Tenant {
            id: "11111111-2222-4333-8444-555555555555".parse().unwrap(),
            domain: "cloud.example".parse().unwrap(),
            verified_domains: vec![],
        }
    }

    #[test]
    fn the_root_comes_back_from_its_key_and_signs_the_list() {
        let now = portolan_net::clock::now();
        let (made, key) = Authority::create(&tenant(), now).unwrap();
        let opened = Authority::open(made.certificate().to_vec(), &key).unwrap();
        assert_eq!(opened.fingerprint(), made.fingerprint());
        let (_, root) = X509Certificate::from_der(opened.certificate()).unwrap();
        assert!(root.is_ca() && root.verify_signature(None).is_ok());
        let limits = root.name_constraints().unwrap().unwrap();
        assert!(limits.critical);
        let permitted: Vec<_> =
            limits.value.permitted_subtrees.iter().flatten().map(|tree| &tree.base).collect();
        assert_eq!(permitted, [&GeneralName::DNSName("cloud.example")]);
        let excluded: Vec<_> =
            limits.value.excluded_subtrees.iter().flatten().map(|tree| &tree.base).collect();
        assert_eq!(excluded, [&GeneralName::IPAddress(&[0; 8]), &GeneralName::IPAddress(&[0; 32])]);
        let list = opened.revocation_list(now).unwrap();
        let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
        list.verify_signature(root.public_key()).unwrap();
        let ends = list.next_update().unwrap().timestamp();
        assert_eq!(ends, (now + CRL_LIFETIME).unix_timestamp());
        assert!(opened.server_identity(&tenant(), now).is_ok());
    }

    #[test]
    fn a_client_that_trusts_the_root_believes_it_below_the_domain_only() {
        let now = portolan_net::clock::now();
        let (authority, _) = Authority::create(&tenant(), now).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let list = authority.revocation_list(now).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .with_crls([list.into()])
            .build()
            .unwrap();
        let believes = |host: &str| {
            let (chain, _) = authority.issue(&tenant(), &[host.to_owned()], now).unwrap();
            let name = ServerName::try_from(host.to_owned()).unwrap();
            verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], UnixTime::now()).is_ok()
        };
        assert!(believes("login.cloud.example"));
        for host in ["login.corp.example", "evilcloud.example", "192.0.2.1", "2001:db8::1"] {
            assert!(!believes(host), "{host}");
        }
    }
}
