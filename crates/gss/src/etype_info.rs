//! What a KDC says about the keys of an account: ETYPE-INFO2 ([RFC 4120 section 5.2.7.5]).
//!
//! It comes in the clear, so it is advice: a wrong salt makes a wrong key, which opens nothing. The
//! number of rounds is not taken as advice, see [`KeyInfo::iterations`].
//!
//! [RFC 4120 section 5.2.7.5]: https://www.rfc-editor.org/rfc/rfc4120#section-5.2.7.5

use portolan_codec::{DecodeError, Fault, Reader};

use crate::der::{GENERAL_STRING, OCTET_STRING, SEQUENCE, element, int32};

/// PA-ETYPE-INFO2 ([RFC 4120 section 7.5.2]).
///
/// [RFC 4120 section 7.5.2]: https://www.rfc-editor.org/rfc/rfc4120#section-7.5.2
pub const PA_ETYPE_INFO2: i32 = 19;

/// Entries that are read; a KDC names one an encryption type of the request.
pub const ENTRIES_MAX: usize = 16;

/// Elements of a METHOD-DATA that are looked at.
const METHODS_MAX: usize = 64;

/// One ETYPE-INFO2-ENTRY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The encryption type's number; it need not be one that is spoken here.
    pub encryption_type: i32,
    /// The salt of the password; without one it is realm and name.
    pub salt: Option<Vec<u8>>,
    /// Rounds of PBKDF2 that the KDC asks for. Fewer than the default weaken the proof of the password
    /// that everyone on the path sees, so only the default is to be accepted.
    pub iterations: Option<u32>,
}

/// Reads an ETYPE-INFO2.
///
/// # Errors
/// [`DecodeError`] when it is none, or has more than [`ENTRIES_MAX`] entries.
pub fn decode(octets: &[u8]) -> Result<Vec<KeyInfo>, DecodeError> {
    let mut outer = Reader::new(octets);
    let mut list = element(&mut outer, SEQUENCE, "ETYPE-INFO2")?;
    let mut entries = Vec::new();
    while !list.is_empty() {
        if entries.len() == ENTRIES_MAX {
            return Err(list.fault("ETYPE-INFO2", Fault::Malformed("at most 16 entries")));
        }
        entries.push(entry(&mut element(&mut list, SEQUENCE, "ETYPE-INFO2-ENTRY")?)?);
    }
    Ok(entries)
}

/// Reads the ETYPE-INFO2 in a METHOD-DATA, the e-data of a KDC that demands a proof of the password
/// ([RFC 4120 section 5.9.1]); nothing where there is none.
///
/// # Errors
/// [`DecodeError`].
///
/// [RFC 4120 section 5.9.1]: https://www.rfc-editor.org/rfc/rfc4120#section-5.9.1
pub fn in_method_data(octets: &[u8]) -> Result<Vec<KeyInfo>, DecodeError> {
    let mut outer = Reader::new(octets);
    let mut list = element(&mut outer, SEQUENCE, "METHOD-DATA")?;
    for _ in 0..METHODS_MAX {
        if list.is_empty() {
            break;
        }
        let mut method = element(&mut list, SEQUENCE, "PA-DATA")?;
        let mut kind = element(&mut method, 0xa1, "padata-type")?;
        if int32(&mut kind, "padata-type")? == PA_ETYPE_INFO2 {
            let mut value = element(&mut method, 0xa2, "padata-value")?;
            return decode(element(&mut value, OCTET_STRING, "padata-value")?.rest());
        }
    }
    Ok(Vec::new())
}

fn entry(fields: &mut Reader<'_>) -> Result<KeyInfo, DecodeError> {
    let encryption_type = int32(&mut element(fields, 0xa0, "etype")?, "etype")?;
    let (mut salt, mut iterations) = (None, None);
    if fields.peek() == Some(0xa1) {
        let mut field = element(fields, 0xa1, "salt")?;
        salt = Some(element(&mut field, GENERAL_STRING, "salt")?.rest().to_vec());
    }
    if fields.peek() == Some(0xa2) {
        let mut field = element(fields, 0xa2, "s2kparams")?;
        let mut parameters = element(&mut field, OCTET_STRING, "s2kparams")?;
        // RFC 3962 section 4; other encryption types have other parameters.
        if parameters.remaining() == 4 {
            let count = parameters.u32_be("s2kparams")?;
            iterations = Some(count.unchecked("the caller accepts one value alone"));
        }
    }
    Ok(KeyInfo { encryption_type, salt, iterations })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Samba's KDC says of an account, and MIT's of one with other rounds.
    const SAMBA: &str = "301e301ca003020112a1151b13434f52502e4558414d504c45737663636f6e6e";
    const ROUNDS: &str = "3013a003020111a10c1b0a5245414c4d616c696365";

    #[test]
    fn an_entry_has_its_type_salt_and_rounds() {
        let entries = decode(&hex::decode(SAMBA).unwrap()).unwrap();
        let salt = Some(b"CORP.EXAMPLEsvcconn".to_vec());
        assert_eq!(entries, [KeyInfo { encryption_type: 18, salt, iterations: None }]);

        let with_rounds = [&[0x30, 0x1d][..], &[0x30, 0x1b], &hex::decode(ROUNDS).unwrap()[2..]];
        let mut octets = with_rounds.concat();
        octets.extend([0xa2, 6, 4, 4, 0, 0, 0, 1]);
        let entries = decode(&octets).unwrap();
        assert_eq!(entries[0].iterations, Some(1));
    }

    #[test]
    fn the_entry_is_found_among_other_methods() {
        let info = hex::decode(SAMBA).unwrap();
        let mut value = vec![0x30, 0x81, 0];
        // PA-ENC-TIMESTAMP, which is empty here, and then ETYPE-INFO2.
        value.extend([0x30, 9, 0xa1, 3, 2, 1, 2, 0xa2, 2, 4, 0]);
        let length = u8::try_from(info.len()).unwrap();
        value.extend([0x30, length + 9, 0xa1, 3, 2, 1, 19, 0xa2, length + 2, 4, length]);
        value.extend(&info);
        value[2] = u8::try_from(value.len() - 3).unwrap();
        assert_eq!(in_method_data(&value).unwrap(), decode(&info).unwrap());
        assert_eq!(in_method_data(&[0x30, 0]).unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_octets_make_the_decoder_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&octets);
            let _ = in_method_data(&octets);
            let mut near = hex::decode(SAMBA).unwrap();
            let length = near.len();
            for (index, octet) in octets.iter().enumerate() {
                near[(index * 7 + usize::from(*octet)) % length] = *octet;
            }
            let _ = decode(&near);
        }
    }
}
