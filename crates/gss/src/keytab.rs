//! A keytab: the file in which MIT krb5, Heimdal and `ktpass` keep an account's long-term keys
//! ([keytab format 0x0502]).
//!
//! The decoder takes a whole file as octets and gives the entries that can be used here: AES keys of
//! the right length. Others are counted, so that an error can say what there was. It finds no file and
//! decides nothing about permissions.
//!
//! [keytab format 0x0502]: https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html

use std::fmt;

use portolan_codec::{DecodeError, Fault, Reader};
use portolan_legacy_crypto::kerberos::{EncryptionType, ProtocolKey};

/// Octets of a file.
pub const FILE_OCTETS_MAX: usize = 1024 * 1024;
/// Entries of a file, deleted ones included.
pub const ENTRIES_MAX: usize = 4096;
/// Components of a principal's name.
pub const COMPONENTS_MAX: usize = 8;

/// The only version that is read; 0x0501 has the octet order of the machine that wrote it.
const VERSION: u16 = 0x0502;

/// A keytab's keys. They are wiped with it and never printed.
#[derive(Debug, Clone)]
pub struct Keytab {
    entries: Vec<Entry>,
    /// Principals and encryption types of the entries that cannot be used.
    others: Vec<(String, i32)>,
}

/// A key that can be used.
#[derive(Debug, Clone)]
struct Entry {
    components: Vec<String>,
    realm: String,
    version: u32,
    key: ProtocolKey,
}

/// The keys of one account under its newest key version.
#[derive(Debug, Clone)]
pub struct AccountKeys {
    /// The key version number (kvno).
    pub version: u32,
    /// The keys, the strongest first; there is at least one.
    keys: Vec<ProtocolKey>,
}

impl AccountKeys {
    /// The key of an encryption type.
    #[must_use]
    pub fn key(&self, encryption_type: EncryptionType) -> Option<&ProtocolKey> {
        self.keys.iter().find(|key| key.encryption_type() == encryption_type)
    }

    /// The encryption types there are keys of, the strongest first.
    pub fn encryption_types(&self) -> impl Iterator<Item = EncryptionType> + '_ {
        self.keys.iter().map(ProtocolKey::encryption_type)
    }
}

/// Why a keytab has no key for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoKey {
    /// There is no entry for the account.
    NotThere {
        /// The principals that there are.
        principals: Vec<String>,
    },
    /// There are only entries of encryption types that are not spoken.
    NoAes {
        /// The account.
        principal: String,
        /// The types that there are.
        encryption_types: Vec<i32>,
    },
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere { principals } if principals.is_empty() => {
                f.write_str("the keytab is empty")
            }
            Self::NotThere { principals } => {
                write!(f, "the keytab has keys of {} alone", principals.join(", "))
            }
            Self::NoAes { principal, encryption_types } => {
                write!(f, "the keytab has no AES key of {principal}, but one of type ")?;
                let types: Vec<_> = encryption_types.iter().map(ToString::to_string).collect();
                f.write_str(&types.join(", "))
            }
        }
    }
}

impl std::error::Error for NoKey {}

impl Keytab {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`DecodeError`] when it is no keytab, or breaks a limit.
    pub fn decode(file: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(file);
        if file.len() > FILE_OCTETS_MAX {
            return Err(reader.fault("keytab", Fault::Malformed("at most 1 MiB")));
        }
        reader.u16_be("file version")?.exactly(VERSION, "keytab format 0x0502")?;
        let mut keytab = Self { entries: Vec::new(), others: Vec::new() };
        let mut count = 0;
        while !reader.is_empty() {
            count += 1;
            if count > ENTRIES_MAX {
                return Err(reader.fault("entry", Fault::Malformed("at most 4,096 entries")));
            }
            let size = reader.u32_be("entry size")?.unchecked("`take` holds it against the file");
            // A negative size is a hole, left by an entry that was removed.
            let size = size.cast_signed();
            let length = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
            let mut entry = reader.sub(length, "entry")?;
            match size {
                0 => return Err(reader.fault("entry size", Fault::Malformed("not zero"))),
                1.. => keytab.add(&mut entry)?,
                _ => {}
            }
        }
        Ok(keytab)
    }

    fn add(&mut self, entry: &mut Reader<'_>) -> Result<(), DecodeError> {
        let components = entry.u16_be("components")?.at_most(COMPONENTS_MAX)?;
        let realm = text(entry, "realm")?;
        let names = (0..components).map(|_| text(entry, "component"));
        let components = names.collect::<Result<Vec<_>, _>>()?;
        entry.u32_be("name type")?.unchecked("a name means the same whatever its type");
        entry.u32_be("timestamp")?.unchecked("an entry is chosen by its version, not its age");
        let short = entry.u8("key version")?.unchecked("any version is legal");
        let number = entry.u16_be("encryption type")?.unchecked("unknown types are passed over");
        let length = entry.u16_be("key length")?.unchecked("`take` holds it against the entry");
        let octets = entry.take(usize::from(length), "key")?;
        // The long version stands where there is room for it; zero means that it is not there.
        let mut version = u32::from(short);
        if entry.remaining() >= 4 {
            let long = entry.u32_be("long key version")?.unchecked("any version is legal");
            version = if long == 0 { version } else { long };
        }
        let number = i32::from(number);
        let key = EncryptionType::from_number(number)
            .and_then(|encryption_type| ProtocolKey::new(encryption_type, octets).ok());
        match key {
            Some(key) => self.entries.push(Entry { components, realm, version, key }),
            None => self.others.push((principal(&components, &realm), number)),
        }
        Ok(())
    }

    /// The keys of an account under its highest version. Names are compared without regard to case,
    /// as Active Directory does.
    ///
    /// # Errors
    /// [`NoKey`] with what there is instead.
    pub fn keys(&self, account: &str, realm: &str) -> Result<AccountKeys, NoKey> {
        let mine = |entry: &&Entry| {
            entry.realm.eq_ignore_ascii_case(realm)
                && matches!(entry.components.as_slice(), [name] if name.eq_ignore_ascii_case(account))
        };
        let Some(version) = self.entries.iter().filter(mine).map(|entry| entry.version).max()
        else {
            return Err(self.nothing_for(account, realm));
        };
        let newest = self.entries.iter().filter(mine).filter(|entry| entry.version == version);
        let mut keys: Vec<_> = newest.map(|entry| entry.key.clone()).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.encryption_type().number()));
        Ok(AccountKeys { version, keys })
    }

    fn nothing_for(&self, account: &str, realm: &str) -> NoKey {
        let wanted = format!("{account}@{realm}");
        let others = self.others.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&wanted));
        let encryption_types: Vec<_> = others.map(|(_, number)| *number).collect();
        if !encryption_types.is_empty() {
            return NoKey::NoAes { principal: wanted, encryption_types };
        }
        let usable = self.entries.iter().map(|entry| principal(&entry.components, &entry.realm));
        let mut principals: Vec<_> =
            usable.chain(self.others.iter().map(|(name, _)| name.clone())).collect();
        principals.sort();
        principals.dedup();
        principals.truncate(PRINCIPALS_SHOWN_MAX);
        NoKey::NotThere { principals }
    }
}

/// A counted string. It is shown to people, so it is text.
fn text(entry: &mut Reader<'_>, field: &'static str) -> Result<String, DecodeError> {
    let length = entry.u16_be(field)?.unchecked("`take` holds it against the entry");
    let fault = entry.fault(field, Fault::Malformed("UTF-8"));
    let octets = entry.take(usize::from(length), field)?;
    std::str::from_utf8(octets).map(str::to_owned).map_err(|_| fault)
}

fn principal(components: &[String], realm: &str) -> String {
    format!("{}@{realm}", components.join("/"))
}

/// Principals that an error names.
const PRINCIPALS_SHOWN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What MIT's ktutil wrote of a password, AES-256 and AES-128 under version 3 and an older AES-256
    /// under 2, and an RC4 key of another account under version 300.
    const MIT: &str = "05020000004e0001000c434f52502e4558414d504c45000b7376635f636f6e6e656374000000016b\
         0268db030012002011ee7d99e793ef03a3473895ff3529da341d0685b58a053f7476c931700ab099\
         000000030000003e0001000c434f52502e4558414d504c45000b7376635f636f6e6e656374000000\
         016b0268db03001100101bb3f24e65e57f154699b93b377438a3000000030000004e0001000c434f\
         52502e4558414d504c45000b7376635f636f6e6e656374000000016b0268db020012002088821078\
         f1a45e0817407741d7d4854f27f08035c9f86e3348b24fe25c746a1800000002000000380001000c\
         434f52502e4558414d504c4500056f74686572000000016b0268db2c00170010a9f0dd57e1edab5b\
         b55a9ac0a99c15ec0000012c";
    const REALM: &str = "CORP.EXAMPLE";

    fn mit() -> Vec<u8> {
        hex::decode(MIT).unwrap()
    }

    #[test]
    fn the_newest_keys_of_the_account_are_those_that_mit_derived() {
        let keytab = Keytab::decode(&mit()).unwrap();
        let keys = keytab.keys("SVC_Connect", "corp.example").unwrap();
        assert_eq!(keys.version, 3);
        let types: Vec<_> = keys.encryption_types().map(EncryptionType::number).collect();
        assert_eq!(types, [18, 17]);
        let salt = b"CORP.EXAMPLEsvc_connect";
        let rounds = std::num::NonZeroU32::new(4096).unwrap();
        for encryption_type in keys.encryption_types() {
            let key = keys.key(encryption_type).unwrap();
            let derived = ProtocolKey::from_password(encryption_type, "Svc-C0nnect!", salt, rounds);
            assert_eq!(key.expose(), derived.expose());
        }
    }

    #[test]
    fn what_the_keytab_has_instead_is_said() {
        let keytab = Keytab::decode(&mit()).unwrap();
        let said = |account: &str| keytab.keys(account, REALM).unwrap_err().to_string();
        assert_eq!(
            said("nobody"),
            "the keytab has keys of other@CORP.EXAMPLE, svc_connect@CORP.EXAMPLE alone"
        );
        assert_eq!(
            said("other"),
            "the keytab has no AES key of other@CORP.EXAMPLE, but one of type 23"
        );
        let empty = Keytab::decode(&[5, 2]).unwrap();
        assert_eq!(empty.keys("x", REALM).unwrap_err().to_string(), "the keytab is empty");
    }

    #[test]
    fn a_removed_entry_is_passed_over_and_the_long_version_counts() {
        let whole = mit();
        // The first entry becomes a hole, as ktutil's `delent` leaves it.
        let mut holed = whole.clone();
        let size = i32::from_be_bytes(holed[2..6].try_into().unwrap());
        holed[2..6].copy_from_slice(&(-size).to_be_bytes());
        let keys = Keytab::decode(&holed).unwrap().keys("svc_connect", REALM).unwrap();
        assert_eq!(keys.encryption_types().count(), 1);
        // The long version at the first entry's end.
        let mut long = whole;
        let end = 6 + usize::try_from(size).unwrap();
        long[end - 4..end].copy_from_slice(&300u32.to_be_bytes());
        let keys = Keytab::decode(&long).unwrap().keys("svc_connect", REALM).unwrap();
        assert_eq!((keys.version, keys.encryption_types().count()), (300, 1));
    }

    #[test]
    fn what_is_no_keytab_is_refused() {
        let whole = mit();
        assert!(Keytab::decode(b"").is_err());
        assert!(Keytab::decode(&[5, 1]).is_err(), "another version");
        assert!(Keytab::decode(&[5, 2, 0, 0, 0, 0]).is_err(), "an entry without octets");
        assert!(Keytab::decode(&[5, 2, 0x80, 0, 0, 0]).is_err(), "a hole beyond the end");
        assert!(Keytab::decode(&vec![0; FILE_OCTETS_MAX + 1]).is_err());
        for end in 3..84 {
            assert!(Keytab::decode(&whole[..end]).is_err() == (end != 84), "{end}");
        }
    }

    #[test]
    fn keys_do_not_print() {
        let keytab = Keytab::decode(&mit()).unwrap();
        let shown = format!("{keytab:?} {:?}", keytab.keys("svc_connect", REALM));
        assert!(!shown.contains("17, 238") && shown.contains("Secret([32 octets])"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_file_makes_the_decoder_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Keytab::decode(&octets);
            let mut near = mit();
            let length = near.len();
            for (index, octet) in octets.iter().enumerate() {
                near[(index * 31 + usize::from(*octet)) % length] = *octet;
            }
            if let Ok(keytab) = Keytab::decode(&near) {
                let _ = keytab.keys("svc_connect", REALM);
            }
        }
    }
}
