//! CRC-32 as [MS-DRSR] 4.1.10.2.20 uses it (ISO 3309, the polynomial of PKZIP).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

/// The checksum of `octets`. The inputs are a few dozen octets long: no table is kept.
pub(crate) fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(u32::MAX, |state, octet| {
        (0..8).fold(state ^ u32::from(*octet), |state, _| {
            (state >> 1) ^ (POLYNOMIAL & (state & 1).wrapping_neg())
        })
    })
}

/// The generator polynomial, bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_algorithm_is_met() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
