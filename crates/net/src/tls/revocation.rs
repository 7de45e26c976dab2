//! Revocation lists: fetched over their own flow, verified, kept until they are due.
//!
//! The lists that the presented certificates name ([RFC 5280 section 4.2.1.13]) are fetched by plain
//! HTTP on the configured flow. Each must be signed by the certificate's issuer and not be due yet.
//! What cannot be proven counts as revoked.
//!
//! [RFC 5280 section 4.2.1.13]: https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.13

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{Request, StatusCode, Uri};
use hyper::body::Bytes;
use portolan_chart::Flow;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::chain::Chain;
use super::error::{ChainFault, RevocationFault};
use super::{Presented, Trust};
use crate::clock;
use crate::http::{Client, ClientLimits};
use crate::network::{Network, Peer};

/// Octets of one revocation list.
const LIST_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// How long fetching one list may take.
const FETCH_TIME_MAX: Duration = Duration::from_secs(10);
/// Places that are looked at for one certificate.
pub const PLACES_MAX: usize = 4;
/// Lists that are kept.
const KEPT_MAX: usize = 64;

/// How certificates are looked up among the revoked. A copy shares the lists with the original.
#[derive(Clone)]
pub struct Revocation {
    http: Client,
    flow: Flow,
    /// The port a distribution point may name: the flow's own.
    port: Option<u16>,
    kept: Arc<Mutex<HashMap<String, Kept>>>,
}

#[derive(Clone)]
struct Kept {
    list: Arc<CertRevocationList<'static>>,
    /// The list's nextUpdate, in seconds since 1970.
    due: i64,
}

impl Revocation {
    /// Fetches lists over the network by a flow, such as `connect.tenant.crl`.
    #[must_use]
    pub fn by_crl(network: Network, flow: Flow) -> Self {
        let limits =
            ClientLimits { exchange_time_max: FETCH_TIME_MAX, body_octets_max: LIST_OCTETS_MAX };
        let port = network.chart().row(flow).ok().map(portolan_chart::Row::first_port);
        Self { http: Client::plain(network, limits), flow, port, kept: Arc::default() }
    }

    /// Proves of what an examined server presented that no certificate between the leaf and what is
    /// trusted is revoked.
    ///
    /// # Errors
    /// [`RevocationFault`], of the lists or of the chain.
    pub async fn check_presented(
        &self,
        presented: &Presented,
        trust: &Trust,
    ) -> Result<(), RevocationFault> {
        let chain = presented.as_chain().map_err(|fault| judge(fault, None))?;
        self.check(&chain, trust).await
    }

    /// Proves that no certificate between the leaf and what is trusted is revoked.
    pub(super) async fn check(&self, chain: &Chain, trust: &Trust) -> Result<(), RevocationFault> {
        let mut lists = Vec::new();
        let mut missing = None;
        let path = chain.verify(trust, now(), None).map_err(|fault| judge(fault, None))?;
        for certificate in path {
            match self.list_of(&certificate).await {
                Ok(found) => lists.extend(found),
                Err(fault) => missing = missing.or(Some(fault)),
            }
        }
        let borrowed: Vec<_> = lists.iter().map(|(_, kept)| kept.list.as_ref()).collect();
        let Ok(options) = RevocationOptionsBuilder::new(&borrowed) else {
            return Err(missing.unwrap_or(RevocationFault::NoDistributionPoint));
        };
        let options = options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build();
        match chain.verify(trust, now(), Some(options)) {
            Ok(_) => {
                self.keep(lists);
                Ok(())
            }
            Err(fault) => Err(judge(fault, missing)),
        }
    }

    /// The list that speaks of a certificate; none is needed for a self-issued one, which is either
    /// the anchor or leads nowhere.
    async fn list_of(
        &self,
        certificate: &CertificateDer<'_>,
    ) -> Result<Option<(String, Kept)>, RevocationFault> {
        let places = places(certificate)?;
        let Some(places) = places else { return Ok(None) };
        let mut last = RevocationFault::NoDistributionPoint;
        for url in places {
            if let Some(kept) = self.kept(&url) {
                return Ok(Some((url, kept)));
            }
            match self.fetch(&url).await {
                Ok(list) => return Ok(Some((url, list))),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn fetch(&self, url: &str) -> Result<Kept, RevocationFault> {
        let malformed = || RevocationFault::Malformed { url: url.to_owned() };
        let (peer, path) = self.place(url).ok_or(RevocationFault::NoDistributionPoint)?;
        let request = Request::get(path)
            .body(Bytes::new())
            .map_err(|_| RevocationFault::NoDistributionPoint)?;
        // A client over TLS fetches by one without: the two futures would contain each other.
        let response = Box::pin(self.http.send(self.flow, peer, request)).await;
        let response = response.map_err(|error| RevocationFault::Unreachable {
            url: url.to_owned(),
            error: Box::new(error),
        })?;
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            return Err(RevocationFault::Status { url: url.to_owned(), status });
        }
        let (list, due) = read_list(&response.into_body()).ok_or_else(malformed)?;
        Ok(Kept { list: Arc::new(list), due })
    }

    /// The host and path of a URL, if it is plain HTTP on the flow's port.
    fn place(&self, url: &str) -> Option<(Peer, String)> {
        let uri: Uri = url.parse().ok()?;
        let on_the_row = uri.port_u16().is_none() || uri.port_u16() == self.port;
        if uri.scheme_str() != Some("http") || !on_the_row {
            return None;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Some((uri.host()?.parse().ok()?, path.to_owned()))
    }

    fn kept(&self, url: &str) -> Option<Kept> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now().unix_timestamp();
        kept.retain(|_, list| now < list.due);
        kept.get(url).cloned()
    }

    /// Keeps lists that were proven: anybody on the path could have sent another.
    fn keep(&self, lists: Vec<(String, Kept)>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (url, list) in lists {
            if kept.len() < KEPT_MAX || kept.contains_key(&url) {
                kept.insert(url, list);
            }
        }
    }
}

impl fmt::Debug for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation").field("flow", &self.flow).finish_non_exhaustive()
    }
}

/// The time of the one clock, as certificates have it.
fn now() -> UnixTime {
    let seconds = u64::try_from(clock::now().unix_timestamp()).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// A revocation list, whose signature is still to be proven, and its nextUpdate, in seconds since 1970;
/// `None` of what is none.
#[must_use]
pub fn read_list(octets: &[u8]) -> Option<(CertRevocationList<'static>, i64)> {
    let list = OwnedCertRevocationList::from_der(octets).ok()?;
    let (_, parsed) = CertificateRevocationList::from_der(octets).ok()?;
    let due = parsed.next_update()?.timestamp();
    Some((list.into(), due))
}

/// The URLs of a certificate's distribution points, four at most; `None` for a self-issued certificate.
///
/// # Errors
/// [`RevocationFault::NoDistributionPoint`] of what is no certificate.
pub fn places(certificate: &CertificateDer<'_>) -> Result<Option<Vec<String>>, RevocationFault> {
    let none = |_| RevocationFault::NoDistributionPoint;
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(none)?;
    if parsed.subject().as_raw() == parsed.issuer().as_raw() {
        return Ok(None);
    }
    let mut urls = Vec::new();
    for extension in parsed.extensions() {
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else {
            continue;
        };
        for point in points.points.iter().filter_map(|point| point.distribution_point.as_ref()) {
            let DistributionPointName::FullName(names) = point else { continue };
            let found = names.iter().filter_map(|name| match name {
                GeneralName::URI(url) => Some((*url).to_owned()),
                _ => None,
            });
            urls.extend(found);
        }
    }
    urls.truncate(PLACES_MAX);
    Ok(Some(urls))
}

/// What the verification with lists says; what was missing explains a status that is unknown.
fn judge(fault: ChainFault, missing: Option<RevocationFault>) -> RevocationFault {
    match fault {
        ChainFault::Chain(webpki::Error::CertRevoked) => RevocationFault::Revoked,
        ChainFault::Chain(webpki::Error::CrlExpired { .. }) => RevocationFault::Expired,
        ChainFault::Chain(
            webpki::Error::InvalidCrlSignatureForPublicKey
            | webpki::Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | webpki::Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_)
            | webpki::Error::IssuerNotCrlSigner,
        ) => RevocationFault::BadSignature,
        ChainFault::Chain(webpki::Error::UnknownRevocationStatus) => {
            missing.unwrap_or(RevocationFault::NotCovered)
        }
        ChainFault::Chain(error) => RevocationFault::Chain(error),
        _ => missing.unwrap_or(RevocationFault::NotCovered),
    }
}
