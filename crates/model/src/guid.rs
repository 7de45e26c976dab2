//! Globally unique identifiers.

use std::fmt;
use std::str::FromStr;

use crate::InvalidName;

/// A GUID ([MS-DTYP] 2.3.4), kept in the order in which Active Directory stores and sends it: the
/// first three fields little-endian ([MS-DTYP] 2.3.4.2, the packet representation).
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID of sixteen zeros.
    pub const NIL: Self = Self([0; 16]);

    /// From the packet representation.
    #[must_use]
    pub const fn from_bytes_le(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The packet representation.
    #[must_use]
    pub const fn to_bytes_le(self) -> [u8; 16] {
        self.0
    }

    /// From its four parts, as a specification prints them.
    #[must_use]
    pub const fn from_fields(a: u32, b: u16, c: u16, d: [u8; 8]) -> Self {
        let ([a0, a1, a2, a3], [b0, b1], [c0, c1]) =
            (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
        let [d0, d1, d2, d3, d4, d5, d6, d7] = d;
        Self([a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7])
    }

    /// A random GUID (version 4, RFC 9562 section 5.4) from sixteen random octets.
    #[must_use]
    pub fn from_random(octets: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(octets).into_uuid().to_bytes_le())
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&uuid::Uuid::from_bytes_le(self.0), f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        uuid::Uuid::try_parse(text).map(|uuid| Self(uuid.to_bytes_le())).map_err(|_| InvalidName {
            noun: "GUID",
            text: text.to_owned(),
            rule: "32 hexadecimal digits in groups of 8, 4, 4, 4 and 12",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_packet_representation_follow_the_vector() {
        let guid: Guid = "12345678-9abc-def0-1122-334455667788".parse().unwrap();
        let octets = [
            0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
            0x77, 0x88,
        ];
        assert_eq!(guid.to_bytes_le(), octets);
        assert_eq!(guid.to_string(), "12345678-9abc-def0-1122-334455667788");
        let fields = Guid::from_fields(
            0x1234_5678,
            0x9abc,
            0xdef0,
            [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88],
        );
        assert_eq!(fields, guid);
    }

    #[test]
    fn text_that_is_no_guid_is_refused() {
        assert!("12345678".parse::<Guid>().is_err());
    }
}
