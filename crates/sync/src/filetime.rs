//! Active Directory's time stamps.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds from 1601-01-01, where FILETIME begins, to the Unix epoch.
const EPOCH_DIFFERENCE_SECONDS: i64 = 11_644_473_600;

/// A FILETIME ([MS-DTYP] 2.3.3: intervals of 100 ns since 1601) as a point in time; `None` when it
/// lies outside the years that can be written.
///
/// [MS-DTYP]: https://learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
#[must_use]
pub fn from_filetime(intervals: i64) -> Option<OffsetDateTime> {
    let nanoseconds =
        i128::from(intervals) * 100 - i128::from(EPOCH_DIFFERENCE_SECONDS) * 1_000_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
}

/// A point in time as a FILETIME; `None` before 1601, and of what is too late for its 63 bits.
pub(crate) fn to_filetime(at: OffsetDateTime) -> Option<i64> {
    let nanoseconds =
        at.unix_timestamp_nanos() + i128::from(EPOCH_DIFFERENCE_SECONDS) * 1_000_000_000;
    i64::try_from(nanoseconds / 100).ok().filter(|intervals| *intervals >= 0)
}

/// A point in time as the tenant takes it (RFC 3339, UTC).
pub(crate) fn rfc3339(at: OffsetDateTime) -> Option<String> {
    at.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unix_epoch_and_the_end_of_time() {
        let epoch = from_filetime(116_444_736_000_000_000).unwrap();
        assert_eq!(epoch, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(rfc3339(epoch).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(from_filetime(i64::MAX), None);
        assert_eq!(to_filetime(epoch), Some(116_444_736_000_000_000));
    }
}
