//! What a clock on a wall shows: a fixed distance from UTC, or a zone with the changes of its clocks.
//!
//! Zones are those of the IANA database: the system's, or where it has none, the one that is built in.

use jiff::civil;
use jiff::tz::{self, TimeZone};
use time::{Date, OffsetDateTime, Time, UtcOffset};

/// Octets of a zone's name.
const NAME_OCTETS_MAX: usize = 64;
/// How like a name has to be to be named beside one that is unknown, from 0 to 1.
const LIKENESS_MIN: f64 = 0.75;
/// Names that are named.
const NEAREST_MAX: usize = 3;

/// A clock on a wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WallClock {
    /// So far ahead of UTC, all the year.
    Ahead(UtcOffset),
    /// As the clocks of a zone go.
    Zone(TimeZone),
}

impl WallClock {
    /// The clock of a zone by its name, such as `Europe/Berlin`, whose case does not matter.
    ///
    /// # Errors
    /// When no zone has that name; names that are like it are named.
    pub(super) fn of_zone(name: &str) -> Result<Self, String> {
        // A name is looked for among files: nothing but a name is.
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
        let is_name = !name.is_empty() && name.len() <= NAME_OCTETS_MAX;
        if is_name
            && name.chars().all(is_letter)
            && let Ok(zone) = TimeZone::get(name)
            && !zone.is_unknown()
            && zone.iana_name().is_some_and(|found| found.eq_ignore_ascii_case(name))
        {
            return Ok(Self::Zone(zone));
        }
        if name.ends_with(" Standard Time") {
            let text = "is the name of a time zone on Windows; write the one of the IANA database, such as Europe/Berlin";
            return Err(format!("{name:?} {text}"));
        }
        let known: Vec<_> = tz::db().available().map(|name| name.as_str().to_owned()).collect();
        let nearest = nearest(name, &known);
        let what = "is no name of the IANA database of time zones";
        Err(if nearest.is_empty() {
            format!("{name:?} {what}, such as Europe/Berlin")
        } else {
            format!("{name:?} {what}; near it are {}", nearest.join(", "))
        })
    }

    /// The date that it shows at a moment.
    pub(super) fn date(&self, at: OffsetDateTime) -> Date {
        at.to_offset(self.ahead(at)).date()
    }

    /// The moment at which it shows a time of a day. Of a time that it shows twice, because it was put back,
    /// the first; one that it leaves out, because it was put forward, comes as long after the change as it
    /// is behind what the clock showed then: half past two, at half past three.
    pub(super) fn at(&self, date: Date, time: Time) -> Option<OffsetDateTime> {
        let zone = match self {
            Self::Ahead(offset) => return Some(date.with_time(time).assume_offset(*offset)),
            Self::Zone(zone) => zone,
        };
        let (year, month) = (i16::try_from(date.year()).ok()?, u8::from(date.month()));
        let (day, hour, minute) = (date.day(), time.hour(), time.minute());
        let [month, day, hour, minute] =
            [month, day, hour, minute].map(|number| i8::try_from(number).ok());
        let shown = civil::DateTime::new(year, month?, day?, hour?, minute?, 0, 0).ok()?;
        let moment = zone.to_ambiguous_zoned(shown).compatible().ok()?.timestamp();
        let moment = OffsetDateTime::from_unix_timestamp(moment.as_second()).ok()?;
        Some(moment.to_offset(self.ahead(moment)))
    }

    /// How far it is ahead of UTC at a moment.
    fn ahead(&self, at: OffsetDateTime) -> UtcOffset {
        match self {
            Self::Ahead(offset) => *offset,
            Self::Zone(zone) => {
                let at = jiff::Timestamp::from_second(at.unix_timestamp()).ok();
                let ahead = at.map(|at| zone.to_offset(at).seconds());
                ahead
                    .and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok())
                    .unwrap_or(UtcOffset::UTC)
            }
        }
    }
}

/// The names that are most like one: the whole of them, or the city behind the last stroke.
fn nearest<'a>(name: &str, known: &'a [String]) -> Vec<&'a str> {
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let (wanted, wanted_city) = (name.to_ascii_lowercase(), city(&name.replace(' ', "_")));
    let likeness = |known: &str| {
        let whole = strsim::jaro_winkler(&wanted, &known.to_ascii_lowercase());
        let by_city = strsim::jaro_winkler(&wanted_city, &city(known));
        // Of two that are alike by the one, the other decides.
        whole.max(by_city) + whole.min(by_city) / 1_000.0
    };
    let mut alike: Vec<_> = known.iter().map(|name| (likeness(name), name.as_str())).collect();
    alike.retain(|(likeness, _)| *likeness >= LIKENESS_MIN);
    alike.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    alike.into_iter().take(NEAREST_MAX).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime, time};

    use super::*;

    fn zone(name: &str) -> WallClock {
        WallClock::of_zone(name).unwrap()
    }

    #[test]
    fn a_time_is_that_of_the_zone_in_summer_and_winter() {
        let check = |name, date, time, expected| {
            assert_eq!(zone(name).at(date, time), Some(expected), "{name} {date} {time}");
        };
        let at = time!(02:30);
        check("Europe/Berlin", date!(2026 - 01 - 15), at, datetime!(2026-01-15 01:30 UTC));
        check("Europe/Berlin", date!(2026 - 07 - 15), at, datetime!(2026-07-15 00:30 UTC));
        check("america/new_york", date!(2026 - 07 - 15), at, datetime!(2026-07-15 06:30 UTC));
        // Where summer is in January, and an hour is not the unit.
        check("Australia/Lord_Howe", date!(2026 - 01 - 15), at, datetime!(2026-01-14 15:30 UTC));
        check("Australia/Lord_Howe", date!(2026 - 07 - 15), at, datetime!(2026-07-14 16:00 UTC));
        check("UTC", date!(2026 - 07 - 15), at, datetime!(2026-07-15 02:30 UTC));
    }

    #[test]
    fn a_time_that_is_left_out_comes_later_and_one_that_comes_twice_counts_the_first_time() {
        let check = |name, date, time, expected| {
            assert_eq!(zone(name).at(date, time), Some(expected), "{name} {date} {time}");
        };
        // Put forward from two to three.
        let gap = date!(2026 - 03 - 29);
        check("Europe/Berlin", gap, time!(01:59), datetime!(2026-03-29 00:59 UTC));
        check("Europe/Berlin", gap, time!(02:00), datetime!(2026-03-29 01:00 UTC));
        check("Europe/Berlin", gap, time!(02:30), datetime!(2026-03-29 01:30 UTC));
        check("Europe/Berlin", gap, time!(03:00), datetime!(2026-03-29 01:00 UTC));
        // Put back from three to two.
        let overlap = date!(2026 - 10 - 25);
        check("Europe/Berlin", overlap, time!(02:30), datetime!(2026-10-25 00:30 UTC));
        check("Europe/Berlin", overlap, time!(03:00), datetime!(2026-10-25 02:00 UTC));
        // A day that an island left out.
        let none = date!(2011 - 12 - 30);
        check("Pacific/Apia", none, time!(02:30), datetime!(2011-12-30 12:30 UTC));
    }

    #[test]
    fn an_unknown_name_is_told_with_names_that_are_like_it() {
        let names = [
            "Europe/Berln",
            "Berlin",
            "New York",
            "../../etc/passwd",
            "W. Europe Standard Time",
            "Etc/Unknown",
            "",
        ];
        let said = names.map(|name| WallClock::of_zone(name).unwrap_err());
        insta::assert_snapshot!(said.join("\n"), @r#"
        "Europe/Berln" is no name of the IANA database of time zones; near it are Europe/Berlin, Europe/Dublin, Europe/Belgrade
        "Berlin" is no name of the IANA database of time zones; near it are Europe/Berlin, America/Belize, Europe/Dublin
        "New York" is no name of the IANA database of time zones; near it are America/New_York
        "../../etc/passwd" is no name of the IANA database of time zones; near it are Europe/Paris
        "W. Europe Standard Time" is the name of a time zone on Windows; write the one of the IANA database, such as Europe/Berlin
        "Etc/Unknown" is no name of the IANA database of time zones; near it are Etc/UCT, Etc/UTC
        "" is no name of the IANA database of time zones, such as Europe/Berlin
        "#);
    }
}
