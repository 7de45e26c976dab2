//! Security identifiers.

use std::fmt;

use portolan_codec::{DecodeError, Fault, Reader};

/// Sub-authorities that a SID may have ([MS-DTYP] 2.4.2).
const SUB_AUTHORITIES_MAX: usize = 15;

/// A security identifier ([MS-DTYP] 2.4.2).
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    authority: [u8; 6],
    sub_authorities: Vec<u32>,
}

impl Sid {
    /// From the packet representation ([MS-DTYP] 2.4.2.2), which must fill `octets` exactly.
    ///
    /// # Errors
    /// When the revision is not 1, there are no or more than 15 sub-authorities, or octets are
    /// missing or left over.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets);
        reader.u8("Revision")?.exactly(1, "revision 1")?;
        let count = reader.u8("SubAuthorityCount")?.at_most(SUB_AUTHORITIES_MAX)?;
        let authority = reader.array("IdentifierAuthority")?;
        if count == 0 {
            return Err(
                reader.fault("SubAuthorityCount", Fault::Malformed("a SID has a sub-authority"))
            );
        }
        let sub_authorities = (0..count)
            .map(|_| Ok(reader.u32_le("SubAuthority")?.unchecked("any sub-authority is legal")))
            .collect::<Result<_, DecodeError>>()?;
        reader.finish("SID")?;
        Ok(Self { authority, sub_authorities })
    }

    /// The packet representation.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = u8::try_from(self.sub_authorities.len()).unwrap_or(u8::MAX);
        let mut out = vec![1, count];
        out.extend(self.authority);
        out.extend(self.sub_authorities.iter().flat_map(|part| part.to_le_bytes()));
        out
    }

    /// An account of this domain, by its relative identifier; nothing when it has no place left for one.
    #[must_use]
    pub fn with_rid(mut self, rid: u32) -> Option<Self> {
        self.sub_authorities.push(rid);
        (self.sub_authorities.len() <= SUB_AUTHORITIES_MAX).then_some(self)
    }

    /// The relative identifier: the last sub-authority.
    #[must_use]
    pub fn rid(&self) -> u32 {
        self.sub_authorities.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.authority;
        write!(f, "S-1-{}", u64::from_be_bytes([0, 0, a, b, c, d, e, g]))?;
        self.sub_authorities.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_sid_reads_prints_and_writes() {
        let octets = [
            1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 199, 53, 58, 66, 142, 107, 116, 132, 85, 161, 174,
            198, 79, 4, 0, 0,
        ];
        let sid = Sid::decode(&octets).unwrap();
        assert_eq!(sid.to_string(), "S-1-5-21-1111111111-2222222222-3333333333-1103");
        assert_eq!((sid.rid(), sid.encode()), (1103, octets.to_vec()));
    }

    #[test]
    fn a_sid_with_wrong_counts_is_refused() {
        for octets in [&[1u8, 0, 0, 0, 0, 0, 0, 5][..], &[1, 200, 0, 0, 0, 0, 0, 5], &[2], &[]] {
            assert!(Sid::decode(octets).is_err(), "{octets:?}");
        }
    }
}
