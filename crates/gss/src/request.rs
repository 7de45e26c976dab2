//! What is asked of a KDC and of a password server without any key: requests that only their refusals
//! are wanted of.
//!
//! [`as_req`] has no proof of a password, so that it counts as no attempt on one ([RFC 4120 section 5.4.1]);
//! [`kpasswd`] has a ticket that nobody issued, which no server opens ([RFC 3244 section 2]).
//!
//! [RFC 4120 section 5.4.1]: https://www.rfc-editor.org/rfc/rfc4120#section-5.4.1
//! [RFC 3244 section 2]: https://www.rfc-editor.org/rfc/rfc3244#section-2

use portolan_codec::{DecodeError, Fault, Reader};

use crate::der::{
    BIT_STRING, GENERAL_STRING, GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, put,
};

/// The AS-REQ of a name for the ticket-granting ticket of its realm, with no pre-authentication.
///
/// `client` has one part for an account and two for a service.
#[must_use]
pub fn as_req(client: &[&str], realm: &str, encryption_types: &[i32], nonce: u32) -> Vec<u8> {
    let kind = if client.len() == 1 { NT_PRINCIPAL } else { NT_SRV_INST };
    let types: Vec<u8> = encryption_types.iter().flat_map(|number| integer(*number)).collect();
    let body = put(
        SEQUENCE,
        &[
            &put(0xa0, &[&bits()]),
            &put(0xa1, &[&name(kind, client)]),
            &put(0xa2, &[&string(realm)]),
            &put(0xa3, &[&name(NT_SRV_INST, &[GRANTING, realm])]),
            &put(0xa5, &[&put(GENERALIZED_TIME, &[TILL])]),
            // A nonce above 2^31 is read as negative by some KDCs.
            &put(0xa7, &[&integer((nonce >> 1).cast_signed())]),
            &put(0xa8, &[&put(SEQUENCE, &[&types])]),
        ],
    );
    let fields =
        [put(0xa1, &[&integer(VERSION)]), put(0xa2, &[&integer(AS_REQ)]), put(0xa4, &[&body])];
    put(0x60 | AS_REQ_TAG, &[&put(SEQUENCE, &[&fields.concat()])])
}

/// A request to change a password, with a ticket that was never issued: 64 octets of noise stand for all
/// that a key would seal.
#[must_use]
pub fn kpasswd(realm: &str, noise: &[u8; 64]) -> Vec<u8> {
    let sealed = put(
        SEQUENCE,
        &[&put(0xa0, &[&integer(AES256)]), &put(0xa2, &[&put(OCTET_STRING, &[noise])])],
    );
    let ticket = [
        put(0xa0, &[&integer(VERSION)]),
        put(0xa1, &[&string(realm)]),
        put(0xa2, &[&name(NT_SRV_INST, &["kadmin", "changepw"])]),
        put(0xa3, &[&sealed]),
    ];
    let ticket = put(0x61, &[&put(SEQUENCE, &[&ticket.concat()])]);
    let proof = [
        put(0xa0, &[&integer(VERSION)]),
        put(0xa1, &[&integer(14)]),
        put(0xa2, &[&bits()]),
        put(0xa3, &[&ticket]),
        put(0xa4, &[&sealed]),
    ];
    let proof = put(0x6e, &[&put(SEQUENCE, &[&proof.concat()])]);
    let private =
        [put(0xa0, &[&integer(VERSION)]), put(0xa1, &[&integer(21)]), put(0xa3, &[&sealed])];
    let private = put(0x75, &[&put(SEQUENCE, &[&private.concat()])]);
    let length =
        2 /* length */ + 2 /* version */ + 2 /* AP-REQ length */ + proof.len() + private.len();
    let mut request = Vec::with_capacity(length);
    for number in [length, usize::from(CHANGE_VERSION), proof.len()] {
        request.extend(u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
    }
    [request, proof, private].concat()
}

/// The KRB-ERROR in the answer to [`kpasswd`]: behind the header of an answer without an AP-REP, or bare,
/// as some servers send it.
///
/// # Errors
/// [`DecodeError`] when it is no such answer.
pub fn kpasswd_error(answer: &[u8]) -> Result<&[u8], DecodeError> {
    if crate::krb_error::is_error(answer) {
        return Ok(answer);
    }
    let mut reader = Reader::new(answer);
    let length = usize::from(reader.u16_be("message length")?.unchecked("compared below"));
    if length != answer.len() {
        return Err(reader.fault("message length", Fault::Malformed("the length of the answer")));
    }
    reader.u16_be("protocol version")?.one_of("version 1 or 0xff80", |version| {
        [1, CHANGE_VERSION].contains(&version).then_some(())
    })?;
    reader.u16_be("AP-REP length")?.exactly(0, "no AP-REP")?;
    let error = reader.rest();
    match crate::krb_error::is_error(error) {
        true => Ok(error),
        false => Err(reader.fault("KRB-ERROR", Fault::Malformed("a KRB-ERROR"))),
    }
}

fn name(kind: i32, parts: &[&str]) -> Vec<u8> {
    let parts: Vec<u8> = parts.iter().flat_map(|part| string(part)).collect();
    let parts = put(SEQUENCE, &[&parts]);
    put(SEQUENCE, &[&put(0xa0, &[&integer(kind)]), &put(0xa1, &[&parts])])
}

fn string(text: &str) -> Vec<u8> {
    put(GENERAL_STRING, &[text.as_bytes()])
}

/// Flags of which none is set.
fn bits() -> Vec<u8> {
    put(BIT_STRING, &[&[0; 5]])
}

fn integer(number: i32) -> Vec<u8> {
    let octets = number.to_be_bytes();
    // The first octet goes as long as the next one has the same sign.
    let skipped = octets
        .windows(2)
        .take_while(|pair| matches!(pair, [0, 0..=0x7f] | [0xff, 0x80..=0xff]))
        .count();
    put(INTEGER, &[octets.get(skipped..).unwrap_or_default()])
}

const VERSION: i32 = 5;
const AS_REQ: i32 = 10;
const AS_REQ_TAG: u8 = 10;
const NT_PRINCIPAL: i32 = 1;
const NT_SRV_INST: i32 = 2;
/// AES256-CTS-HMAC-SHA1-96.
const AES256: i32 = 18;
const GRANTING: &str = "krbtgt";
/// As long as the KDC likes.
const TILL: &[u8] = b"20370913024805Z";
/// The version of a request of RFC 3244.
const CHANGE_VERSION: u16 = 0xff80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        for (number, octets) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (-128, &[2, 1, 0x80]),
            (-129, &[2, 2, 0xff, 0x7f]),
            (0x7fff_ffff, &[2, 4, 0x7f, 0xff, 0xff, 0xff]),
        ] {
            assert_eq!(integer(number), octets);
        }
    }

    #[test]
    fn only_an_error_is_taken_from_a_password_server() {
        let error = [0x7e, 2, 0x30, 0];
        let framed = [&[0, 10, 0, 1, 0, 0][..], &error].concat();
        assert_eq!(kpasswd_error(&error), Ok(&error[..]));
        assert_eq!(kpasswd_error(&framed), Ok(&error[..]));
        for end in 0..framed.len() {
            assert!(kpasswd_error(&framed[..end]).is_err(), "{end}");
        }
        assert!(kpasswd_error(b"\0\x0a\0\x01\0\x02\x7e\x02\x30\0").is_err(), "an AP-REP");
        assert!(kpasswd_error(b"HTTP/1.1 400 Bad Request\r\n").is_err());
    }
}
