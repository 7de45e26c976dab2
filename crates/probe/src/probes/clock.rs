//! Clocks: what a peer's differs from this host's, and what Kerberos makes of that.

use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use crate::{Defect, DefectKind, Figures};

/// What Kerberos lets clocks differ (RFC 4120 section 1.6, and every domain's default policy).
pub(super) const SKEW_MAX: Duration = Duration::minutes(5);

/// What is wrong with a clock that shows `theirs` while this host's shows `ours`; nothing within
/// [`SKEW_MAX`].
pub(super) fn judge(theirs: OffsetDateTime, ours: OffsetDateTime) -> Option<Defect> {
    let skew = theirs - ours;
    (skew.abs() > SKEW_MAX).then(|| Defect {
        kind: DefectKind::ClockSkew,
        text: format!(
            "its clock shows {} and this host's {}: {:+} s, and Kerberos allows {} s",
            text(theirs),
            text(ours),
            skew.whole_seconds(),
            SKEW_MAX.whole_seconds()
        ),
        hint: "set the clocks of both machines by the same source".to_owned(),
    })
}

/// As reports note it.
pub(super) fn note(theirs: OffsetDateTime, ours: OffsetDateTime) -> String {
    format!("its clock is {:+} s from here", (theirs - ours).whole_seconds())
}

/// As programs read it.
pub(super) fn figures(theirs: OffsetDateTime, ours: OffsetDateTime) -> Figures {
    let clock_skew_seconds = Some((theirs - ours).whole_seconds());
    Figures { clock_skew_seconds, ..Figures::default() }
}

fn text(moment: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    moment.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_names_both_clocks() {
        let ours = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        assert_eq!(judge(ours + SKEW_MAX, ours), None);
        assert_eq!(judge(ours - SKEW_MAX, ours), None);
        assert_eq!(figures(ours - SKEW_MAX, ours).clock_skew_seconds, Some(-300));
        let defect = judge(ours - Duration::seconds(301), ours).unwrap();
        assert_eq!(defect.kind, DefectKind::ClockSkew);
        assert_eq!(
            defect.text,
            "its clock shows 2027-01-15 07:54:59 UTC and this host's 2027-01-15 08:00:00 UTC: -301 s, \
             and Kerberos allows 300 s"
        );
    }
}
