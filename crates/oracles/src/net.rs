//! What a server presents before it is believed: certificates, revocation lists, a proxy's answer.

use portolan_net::connect_status;
use portolan_net::tls::ChannelBinding;
use portolan_net::tls::revocation::{PLACES_MAX, places, read_list};
use rustls_pki_types::CertificateDer;

/// A certificate: where its revocation list is, and what is bound to it.
pub(crate) fn certificate(octets: &[u8]) {
    let certificate = CertificateDer::from(octets);
    match places(&certificate) {
        Ok(places) => assert!(places.unwrap_or_default().len() <= PLACES_MAX, "too many places"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(binding) = ChannelBinding::of(&certificate) {
        assert!(binding.as_bytes().starts_with(b"tls-server-end-point:"));
        assert_eq!(ChannelBinding::of(&certificate), Ok(binding));
    }
}

/// A revocation list.
pub(crate) fn revocation(octets: &[u8]) {
    let due = read_list(octets).map(|(_, due)| due);
    assert_eq!(read_list(octets).map(|(_, due)| due), due);
}

/// A proxy's answer to CONNECT: nothing that came behind a success is taken for the peer's.
pub(crate) fn tunnel(octets: &[u8]) {
    let Ok(Some(200..300)) = connect_status(octets) else { return };
    let more = [octets, b"x"].concat();
    assert!(connect_status(&more).is_err(), "what follows the head is passed over");
    for end in 0..octets.len() {
        let cut = octets.get(..end).unwrap_or_default();
        assert!(!matches!(connect_status(cut), Ok(Some(_))), "a head that is cut off is taken");
    }
}
