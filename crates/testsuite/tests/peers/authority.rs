//! A certification authority with a revocation list on the web, made for one test.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use portolan_chart::{Chart, Role, flow};
use portolan_net::http::{ServerLimits, serve};
use portolan_net::{Network, NetworkConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::process::LOOPBACK;

/// The host of the revocation list.
pub(crate) const CRL_HOST: &str = "pki.corp.example";

/// The authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The port at which its list is served.
    pub(crate) port: u16,
}

/// When a list was made and is due, in hours from now, and whom it revokes, by their serial numbers.
pub(crate) struct ListOf<'a> {
    pub(crate) hours: [i64; 2],
    pub(crate) revoked: &'a [u8],
}

/// A certificate and its key, as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// Makes it, and serves its list until the test's runtime ends.
    pub(crate) async fn up() -> Self {
        Self::named("Forest CA").await
    }

    /// The same by another name.
    pub(crate) async fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let list = Bytes::from(signed_list(&issuer, &ListOf { hours: [-1, 1], revoked: &[] }));
        let network = Network::new(NetworkConfig {
            listen_address: Some(LOOPBACK),
            ephemeral_ports: true,
            name_servers: Some(Vec::new()),
            ..NetworkConfig::new(Chart::default_edition(), Role::Tenant)
        });
        let listener = network.unwrap().listen(&[flow::CONNECT_FOREST_CRL]).unwrap().remove(0);
        let port = listener.local_address().unwrap().port();
        let lists = tower::service_fn(move |_: Request<Incoming>| {
            let list = list.clone();
            async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(list))) }
        });
        tokio::spawn(serve(listener, None, lists, ServerLimits::default(), std::future::pending()));
        Self { issuer, port }
    }

    /// Its own certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its own certificate and its key.
    pub(crate) fn itself(&self) -> Issued {
        Issued { certificate: self.pem(), key: self.issuer.key().serialize_pem() }
    }

    /// A revocation list of its own, in DER.
    pub(crate) fn list(&self, of: &ListOf<'_>) -> Vec<u8> {
        signed_list(&self.issuer, of)
    }

    /// Its own certificate, in DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// A server's certificate that is not as it should be.
    pub(crate) fn issue_edited(
        &self,
        name: &str,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = self.params(name, &format!("http://{CRL_HOST}/ca.crl"));
        edit(&mut params);
        self.sign(&params)
    }

    /// A server's certificate.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_at(name, &format!("http://{CRL_HOST}/ca.crl"))
    }

    /// The same, with the list under an address: for who cannot resolve its name.
    pub(crate) fn issue_for_address(&self, address: &str) -> Issued {
        self.issue_at(address, &format!("http://{LOOPBACK}:{}/ca.crl", self.port))
    }

    fn issue_at(&self, name: &str, place: &str) -> Issued {
        self.sign(&self.params(name, place))
    }

    fn params(&self, name: &str, place: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec![place.to_owned()] }];
        params
    }

    fn sign(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

fn signed_list(issuer: &CertifiedIssuer<'_, KeyPair>, of: &ListOf<'_>) -> Vec<u8> {
    let now = OffsetDateTime::now_utc();
    let [since, due] = of.hours.map(|hours| now + Duration::hours(hours));
    let revoked = |serial: &u8| RevokedCertParams {
        serial_number: SerialNumber::from(vec![*serial]),
        revocation_time: since,
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: since,
        next_update: due,
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: of.revoked.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).unwrap().der().to_vec()
}
