//! The names of attributes: object identifiers, and the numbers that stand for them in replication
//! ([MS-DRSR] 5.14, `ATTRTYP`).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use portolan_model::InvalidName;

/// An attribute in replication: the index of a prefix in a [`super::PrefixTable`], and the rest of its
/// object identifier. Two tables give the same attribute two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(pub u32);

/// An object identifier (X.690 8.19), in the encoding of its content.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Oid(Cow<'static, [u8]>);

impl Oid {
    /// unicodePwd.
    pub const UNICODE_PWD: Self = Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 1, 4, 90]);
    /// pwdLastSet.
    pub const PWD_LAST_SET: Self = Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 1, 4, 96]);
    /// userAccountControl.
    pub const USER_ACCOUNT_CONTROL: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 1, 4, 8]);
    /// objectSid.
    pub const OBJECT_SID: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 1, 4, 0x81, 0x12]);
    /// sAMAccountType.
    pub const SAM_ACCOUNT_TYPE: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 1, 4, 0x82, 0x2e]);
    /// sAMAccountName.
    pub const SAM_ACCOUNT_NAME: Self =
        Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 1, 4, 0x81, 0x5d]);
    /// isDeleted.
    pub const IS_DELETED: Self = Self::known(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 1, 2, 48]);
    /// objectClass.
    pub const OBJECT_CLASS: Self = Self::known(&[0x55, 4, 0]);

    const fn known(content: &'static [u8]) -> Self {
        Self(Cow::Borrowed(content))
    }

    /// The octets of the content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.0
    }

    /// The prefix and the lower half of the number ([MS-DRSR] 5.16.4, `MakeAttid`): the last one or two
    /// octets of the content are taken off. When they are only the end of the last component, which is
    /// then above 16,383, the top bit says so.
    ///
    /// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
    pub(super) fn split(&self) -> Option<(&[u8], u16)> {
        match *self.content() {
            [ref prefix @ .., high, low] if high >= 0x80 && low < 0x80 => {
                let partial = prefix.last().is_some_and(|last| *last >= 0x80);
                let top = if partial { PARTIAL } else { 0 };
                Some((prefix, top | u16::from(high & 0x7f) << 7 | u16::from(low)))
            }
            [ref prefix @ .., last] if last < 0x80 => Some((prefix, u16::from(last))),
            _ => None,
        }
    }

    /// The inverse of [`Oid::split`] (`OidFromAttid` of the same section).
    pub(super) fn join(prefix: &[u8], lower: u16) -> Self {
        let mut content = prefix.to_vec();
        let [high, low] = [lower >> 7, lower].map(|part| part.to_le_bytes()[0] & 0x7f);
        if high > 0 || lower & PARTIAL != 0 {
            content.push(high | 0x80);
        }
        content.push(low);
        Self(Cow::Owned(content))
    }
}

/// The bit of a number whose prefix holds the beginning of its last component.
const PARTIAL: u16 = 0x8000;

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut component = 0u64;
        let mut first = true;
        for octet in self.content() {
            component = component.wrapping_shl(7) | u64::from(octet & 0x7f);
            if octet & 0x80 != 0 {
                continue;
            }
            if first {
                let root = (component / 40).min(2);
                write!(f, "{root}.{}", component - 40 * root)?;
                first = false;
            } else {
                write!(f, ".{component}")?;
            }
            component = 0;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

impl FromStr for Oid {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = |rule| InvalidName { noun: "object identifier", text: text.to_owned(), rule };
        let components: Vec<u32> = text
            .split('.')
            .map(|part| part.parse().map_err(|_| invalid("numbers with dots between them")))
            .collect::<Result<_, _>>()?;
        let [root, second, rest @ ..] = components.as_slice() else {
            return Err(invalid("at least two numbers"));
        };
        if *root > 2 || (*root < 2 && *second > 39) || *second > u32::MAX - 80 {
            return Err(invalid("the first two numbers are within the bounds of X.660"));
        }
        let mut content = Vec::new();
        for component in [&(40 * root + second)].into_iter().chain(rest) {
            let octets: [u32; 5] = [28, 21, 14, 7, 0].map(|shift| component >> shift & 0x7f);
            let start = octets.iter().position(|part| *part > 0).unwrap_or(4);
            for (index, part) in octets.iter().enumerate().skip(start) {
                let more = if index < 4 { 0x80 } else { 0 };
                content.push(part.to_le_bytes()[0] | more);
            }
        }
        Ok(Self(Cow::Owned(content)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(oid: &Oid, text: &str) {
        assert_eq!(oid.to_string(), text);
        assert_eq!(&text.parse::<Oid>().unwrap(), oid);
    }

    #[test]
    fn the_known_attributes_are_the_schemas() {
        check(&Oid::UNICODE_PWD, "1.2.840.113556.1.4.90");
        check(&Oid::PWD_LAST_SET, "1.2.840.113556.1.4.96");
        check(&Oid::USER_ACCOUNT_CONTROL, "1.2.840.113556.1.4.8");
        check(&Oid::OBJECT_SID, "1.2.840.113556.1.4.146");
        check(&Oid::SAM_ACCOUNT_TYPE, "1.2.840.113556.1.4.302");
        check(&Oid::SAM_ACCOUNT_NAME, "1.2.840.113556.1.4.221");
        check(&Oid::IS_DELETED, "1.2.840.113556.1.2.48");
        check(&Oid::OBJECT_CLASS, "2.5.4.0");
        check(&"2.16.840.1.113730.3.1.140".parse().unwrap(), "2.16.840.1.113730.3.1.140");
        check(&"2.999.3".parse().unwrap(), "2.999.3");
    }

    #[test]
    fn an_identifier_splits_before_its_last_component() {
        for text in [
            "1.2.840.113556.1.4.90",
            "1.2.840.113556.1.4.302",
            "2.5.4.0",
            "1.2.16383",
            "1.2.16384",
            "1.2.99999",
            "1.2.4294967295",
        ] {
            let oid: Oid = text.parse().unwrap();
            let (prefix, last) = oid.split().unwrap();
            assert_eq!(Oid::join(prefix, last), oid, "{text}");
        }
        let (prefix, lower) = "1.2.16389"
            .parse::<Oid>()
            .map(|oid| oid.split().map(|(prefix, lower)| (prefix.to_vec(), lower)).unwrap())
            .unwrap();
        assert_eq!((prefix, lower), (vec![0x2a, 0x81], 0x8005));
    }

    #[test]
    fn text_that_is_no_identifier_is_refused() {
        for text in ["", "1", "3.1", "1.40", "1.2.x", "1..2", "1.2.4294967296", "2.4294967295"] {
            assert!(text.parse::<Oid>().is_err(), "{text}");
        }
    }
}
