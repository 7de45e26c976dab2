//! The mark of a stand-in: how a probe knows that `portolan chart respond` answers, and no server.
//!
//! Every protocol carries it where its specification leaves a server words or numbers of its own, so that
//! an answer with the mark is as well-formed as one without it. The mark is no secret and proves nothing:
//! it keeps people from taking a rehearsal for the real thing.
//!
//! | protocol | where |
//! |---|---|
//! | DNS | a TXT record among the additional ones, [`TEXT`] |
//! | Kerberos, kpasswd | `e-text` of the KRB-ERROR, [`TEXT`] |
//! | endpoint mapper, RPC | `assoc_group_id` of the bind_ack, [`ASSOCIATION_GROUP`] |
//! | LDAP, global catalogue | `vendorName` of the root DSE, [`TEXT`] |
//! | LDAP ping | the site of the controller, [`SITE`] |
//! | SMB 2 | `ServerGuid` of the NEGOTIATE response, [`SERVER_GUID`] |
//! | ADWS | a fault record behind the acknowledgement, [`TEXT`] |
//! | WinRM | `ProductVendor` of Identify, and `Server`, [`TEXT`] |
//! | HTTP, web proxy | the field `Server`, [`TEXT`] |
//! | inside TLS | the organisation of the certificate's subject and issuer, [`TEXT`] |
//! | revocation list | the organisation of its issuer, [`TEXT`] |
//! | AMQP | a SASL mechanism, [`MECHANISM`] |
//! | NTP | the reference identifier, [`REFERENCE_ID`] |
//! | TDS | the version of the server, [`SERVER_VERSION`] |

use portolan_model::Guid;

/// The mark in words.
pub const TEXT: &str = "portolan chart respond";
/// The mark as the name of a site: no blanks there.
pub const SITE: &str = "portolan-chart-respond";
/// The mark as a SASL mechanism, at most 20 capitals, digits, hyphens and underscores ([RFC 4422 section
/// 3.1]); nobody speaks it.
///
/// [RFC 4422 section 3.1]: https://www.rfc-editor.org/rfc/rfc4422#section-3.1
pub const MECHANISM: &str = "X-PORTOLAN-RESPOND";
/// The mark as a reference identifier; those that begin with X are free for use ([RFC 5905 section 7.3]).
///
/// [RFC 5905 section 7.3]: https://www.rfc-editor.org/rfc/rfc5905#section-7.3
pub const REFERENCE_ID: [u8; 4] = *b"XPRT";
/// The mark as the number of an association group, which the server chooses (C706 12.6.4.4).
pub const ASSOCIATION_GROUP: u32 = 0x706f_7274;
/// The mark as the GUID by which an SMB server knows itself ([MS-SMB2] 2.2.4).
///
/// [MS-SMB2]: https://learn.microsoft.com/openspecs/windows_protocols/ms-smb2
pub const SERVER_GUID: Guid = Guid::from_bytes_le(*b"portolan respond");

/// The mark as the version and sub-build of a database server ([MS-TDS] 2.2.6.5).
///
/// [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds
pub const SERVER_VERSION: [u8; 6] = *b"XPRT\0\0";

/// Whether octets have the mark in words: a DNS answer, a root DSE, a certificate or a revocation list in
/// DER, a head of HTTP, an `e-text`.
#[must_use]
pub fn is_in(octets: &[u8]) -> bool {
    octets.windows(TEXT.len()).any(|window| window == TEXT.as_bytes())
}

/// Whether an NTP packet has the mark as its reference identifier.
#[must_use]
pub fn is_in_time(packet: &[u8]) -> bool {
    packet.get(REFERENCE_ID_AT..).is_some_and(|rest| rest.starts_with(&REFERENCE_ID))
}

/// Whether a site is a stand-in's; names of sites compare without regard to case.
#[must_use]
pub fn is_site(name: &str) -> bool {
    name.eq_ignore_ascii_case(SITE)
}

/// Where the reference identifier stands in a packet (RFC 5905 section 7.3).
const REFERENCE_ID_AT: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_anywhere_and_nowhere_else() {
        assert!(is_in(b"HTTP/1.1 200 OK\r\nServer: portolan chart respond\r\n\r\n"));
        assert!(is_in(TEXT.as_bytes()));
        assert!(!is_in(b"Server: portolan chart respon"));
        assert!(!is_in(b""));
    }

    #[test]
    fn the_mark_of_a_time_server_stands_in_its_place_only() {
        let mut packet = [0; 48];
        assert!(!is_in_time(&packet));
        packet[12..16].copy_from_slice(&REFERENCE_ID);
        assert!(is_in_time(&packet));
        assert!(!is_in_time(&packet[..14]));
    }

    #[test]
    fn the_mark_of_a_site_has_no_case() {
        assert!(is_site("Portolan-Chart-Respond"));
        assert!(!is_site("Default-First-Site-Name"));
    }
}
