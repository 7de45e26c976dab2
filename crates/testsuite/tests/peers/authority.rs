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
    KeyUsagePurpose,
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

/// A certificate and its key, as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// Makes it, and serves its list until the test's runtime ends.
    pub(crate) async fn up() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Forest CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let now = OffsetDateTime::now_utc();
        let list = CertificateRevocationListParams {
            this_update: now - Duration::hours(1),
            next_update: now + Duration::hours(1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = Bytes::from(list.signed_by(&issuer).unwrap().der().to_vec());
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

    /// A server's certificate.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.issue_at(name, &format!("http://{CRL_HOST}/ca.crl"))
    }

    /// The same, with the list under an address: for who cannot resolve its name.
    pub(crate) fn issue_for_address(&self, address: &str) -> Issued {
        self.issue_at(address, &format!("http://{LOOPBACK}:{}/ca.crl", self.port))
    }

    fn issue_at(&self, name: &str, place: &str) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.crl_distribution_points =
            vec![CrlDistributionPoint { uris: vec![place.to_owned()] }];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}
