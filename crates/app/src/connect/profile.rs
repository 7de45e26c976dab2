//! Run profiles, which name steps in an order, and the schedule, which says when a profile runs.
//!
//! What stands in `connect.toml` is a [`RawProfile`] and a [`RawSchedule`]; only what was checked leaves
//! this module. Nothing here looks at a clock.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use portolan_model::DnsName;
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, Time, UtcOffset, Weekday};

use super::wall_clock::WallClock;

/// Profiles, and entries of a schedule.
const ENTRIES_MAX: usize = 100;
/// Steps of a profile.
const STEPS_MAX: usize = 32;
/// Characters of a profile's name.
const NAME_CHARS_MAX: usize = 64;
/// The longest time between two runs of an entry that comes again and again.
const EVERY_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A profile as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    /// What it is called by.
    pub(super) name: String,
    /// Its steps in their order: `import`, `sync`, `export`, `confirm`, `passwords`; an import or a
    /// synchronisation with `delta` or `full` behind it.
    pub(super) steps: Vec<String>,
    /// The domain of the one forest that its imports read; all of them without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) forest: Option<String>,
}

/// An entry of the schedule as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchedule {
    /// The profile that runs.
    pub(super) profile: String,
    /// How long after its last run it runs again: `90s`, `30m`, `6h`, `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) every: Option<String>,
    /// The time of day at which it runs: `02:30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    /// The days of the week on which it does, such as `sunday`; every day without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) on: Vec<String>,
    /// How far the time of day is ahead of UTC, such as `+02:00`, all the year; it is UTC without it and
    /// without a time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<String>,
    /// The zone whose clocks show the time of day, by its name in the IANA database, such as
    /// `Europe/Berlin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time_zone: Option<String>,
}

/// How much a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What changed.
    Delta,
    /// Everything.
    Full,
}

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// From the forests to the connector space.
    Import(Extent),
    /// From the connector spaces by the rules to what is to be exported.
    Synchronise(Extent),
    /// To the target.
    Export,
    /// From the target: whether it has what it acknowledged.
    Confirm,
    /// Password hashes.
    Passwords,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    /// What it is called by.
    pub(super) name: String,
    /// Its steps in their order.
    pub(super) steps: Vec<Step>,
    /// The one forest that its imports read.
    pub(super) forest: Option<DnsName>,
    /// Whether it ends when its import found nothing and nothing waits to be decided.
    pub(super) ends_early: bool,
}

/// When a profile runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum When {
    /// So long after its last run.
    Every(Duration),
    /// At a time of day, on some days of the week.
    At {
        /// The time of day.
        time: Time,
        /// The days; every day when there are none.
        days: Vec<Weekday>,
        /// The clock that shows it.
        clock: WallClock,
    },
}

/// An entry of the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scheduled {
    /// The name of the profile.
    pub(super) profile: String,
    /// When it runs.
    pub(super) when: When,
}

/// The schedule with the next time of each entry.
#[derive(Debug, Default)]
pub(super) struct Agenda(Vec<(Scheduled, OffsetDateTime)>);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import(_) => "import",
            Self::Synchronise(_) => "sync",
            Self::Export => "export",
            Self::Confirm => "confirm",
            Self::Passwords => "passwords",
        })
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["import"] | ["import", "delta"] => Self::Import(Extent::Delta),
            ["import", "full"] => Self::Import(Extent::Full),
            ["sync"] | ["sync", "delta"] => Self::Synchronise(Extent::Delta),
            ["sync", "full"] => Self::Synchronise(Extent::Full),
            ["export"] => Self::Export,
            ["confirm"] => Self::Confirm,
            ["passwords"] => Self::Passwords,
            _ => {
                return Err(format!(
                    "{text:?} is no step; write import, sync (each with delta or full), export, \
                     confirm or passwords"
                ));
            }
        })
    }
}

impl Profile {
    /// What runs when no profile is named: what changed, from the forests to the target.
    pub(super) fn cycle() -> Self {
        let (import, sync) = (Step::Import(Extent::Delta), Step::Synchronise(Extent::Delta));
        Self {
            name: "cycle".to_owned(),
            steps: vec![import, sync, Step::Export],
            forest: None,
            ends_early: false,
        }
    }

    /// The same about what changed alone: what runs when a forest was noticed to have changed.
    pub(super) fn of_changes(&self) -> Self {
        let of_change = |step: &Step| match step {
            Step::Import(_) => Some(Step::Import(Extent::Delta)),
            Step::Synchronise(_) => Some(Step::Synchronise(Extent::Delta)),
            Step::Export => Some(Step::Export),
            Step::Confirm | Step::Passwords => None,
        };
        let steps = self.steps.iter().filter_map(of_change).collect();
        Self { name: "change".to_owned(), steps, forest: self.forest.clone(), ends_early: true }
    }

    /// Checks the profiles of a configuration with these forests. What is wrong is put among the
    /// problems.
    pub(super) fn check(
        raw: Vec<RawProfile>,
        forests: &[DnsName],
        problems: &mut Vec<String>,
    ) -> Vec<Self> {
        if raw.len() > ENTRIES_MAX {
            problems.push(format!("profile: at most {ENTRIES_MAX} profiles"));
            return Vec::new();
        }
        let mut names = BTreeSet::new();
        let mut profiles = Vec::new();
        for RawProfile { name, steps, forest } in raw {
            let mut wrong = |what: String| problems.push(format!("profile {name:?}: {what}"));
            let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty()
                || name.chars().count() > NAME_CHARS_MAX
                || !name.chars().all(is_name)
            {
                wrong(format!("a name is up to {NAME_CHARS_MAX} letters, digits, - _ ."));
            }
            if !names.insert(name.clone()) {
                wrong("the name is given twice".to_owned());
            }
            if steps.is_empty() || steps.len() > STEPS_MAX {
                wrong(format!("it has between 1 and {STEPS_MAX} steps"));
            }
            let mut parsed = Vec::new();
            for step in &steps {
                match step.parse() {
                    Ok(step) => parsed.push(step),
                    Err(error) => wrong(error),
                }
            }
            let known = |domain: &DnsName| forests.contains(domain);
            let forest = forest.and_then(|domain| match domain.parse::<DnsName>() {
                Ok(domain) if known(&domain) => Some(domain),
                Ok(domain) => {
                    wrong(format!("the forest {domain} is not configured"));
                    None
                }
                Err(error) => {
                    wrong(format!("forest: {error}"));
                    None
                }
            });
            profiles.push(Self { name, steps: parsed, forest, ends_early: false });
        }
        profiles
    }
}

impl Scheduled {
    /// Checks the schedule of a configuration with these profiles. What is wrong is put among the
    /// problems.
    pub(super) fn check(
        raw: Vec<RawSchedule>,
        profiles: &[Profile],
        problems: &mut Vec<String>,
    ) -> Vec<Self> {
        if raw.len() > ENTRIES_MAX {
            problems.push(format!("schedule: at most {ENTRIES_MAX} entries"));
            return Vec::new();
        }
        let mut entries = Vec::new();
        for entry in raw {
            let profile = entry.profile.clone();
            if !profiles.iter().any(|known| known.name == profile) {
                problems.push(format!("schedule: there is no profile {profile:?}"));
            }
            match when(&entry) {
                Ok(when) => entries.push(Self { profile, when }),
                Err(error) => problems.push(format!("schedule of {profile:?}: {error}")),
            }
        }
        entries
    }
}

fn when(raw: &RawSchedule) -> Result<When, String> {
    match (&raw.every, &raw.at) {
        (Some(every), None)
            if raw.on.is_empty() && raw.offset.is_none() && raw.time_zone.is_none() =>
        {
            Ok(When::Every(duration(every)?))
        }
        (Some(_), None) => {
            Err("on, offset and time_zone go with at, and not with every".to_owned())
        }
        (None, Some(at)) => {
            let format = time::macros::format_description!("[hour]:[minute]");
            let time = Time::parse(at, format)
                .map_err(|_| format!("at: {at:?} is no time of day such as 02:30"))?;
            let days = raw.on.iter().map(|day| weekday(day)).collect::<Result<_, _>>()?;
            Ok(When::At { time, days, clock: clock(raw)? })
        }
        _ => Err("give every or at, one of the two".to_owned()),
    }
}

fn clock(raw: &RawSchedule) -> Result<WallClock, String> {
    match (&raw.offset, &raw.time_zone) {
        (Some(_), Some(_)) => Err("give offset or time_zone, one of the two".to_owned()),
        (None, Some(zone)) => {
            WallClock::of_zone(zone).map_err(|error| format!("time_zone: {error}"))
        }
        (ahead, None) => Ok(WallClock::Ahead(ahead.as_deref().map_or(Ok(UtcOffset::UTC), offset)?)),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("every: {text:?} is no time between 1s and 7d such as 90s, 30m, 6h, 1d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let count: u32 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    let duration = Duration::from_secs(u64::from(count) * seconds);
    let fits = !duration.is_zero() && duration <= EVERY_MAX;
    fits.then_some(duration).ok_or_else(wrong)
}

fn weekday(text: &str) -> Result<Weekday, String> {
    let all = std::iter::successors(Some(Weekday::Monday), |day| Some(day.next())).take(7);
    let mut named = all.filter(|day| day.to_string().eq_ignore_ascii_case(text));
    named.next().ok_or_else(|| format!("on: {text:?} is no day of the week such as sunday"))
}

fn offset(text: &str) -> Result<UtcOffset, String> {
    let format = time::macros::format_description!("[offset_hour sign:mandatory]:[offset_minute]");
    UtcOffset::parse(text, format)
        .map_err(|_| format!("offset: {text:?} is no distance from UTC such as +02:00"))
}

impl When {
    /// The next time behind a moment.
    fn next(&self, after: OffsetDateTime) -> OffsetDateTime {
        let (time, days, clock) = match self {
            Self::Every(duration) => return after + *duration,
            Self::At { time, days, clock } => (time, days, clock),
        };
        // A zone that leaves a whole day out shows its times on the next.
        let today = clock.date(after);
        let first = today.previous_day().unwrap_or(today);
        let dates = std::iter::successors(Some(first), |date| date.next_day());
        let dates = dates.filter(|date| days.is_empty() || days.contains(&date.weekday()));
        // Nine days from yesterday on have every day of the week behind today's time.
        let last = today.saturating_add(time::Duration::days(8));
        let times = dates.take_while(|date| *date <= last).filter_map(|date| clock.at(date, *time));
        let mut behind = times.filter(|at| *at > after);
        behind.next().unwrap_or(after + EVERY_MAX)
    }
}

impl Agenda {
    /// A schedule from a moment on. What comes again and again is due at once.
    pub(super) fn from(schedule: &[Scheduled], now: OffsetDateTime) -> Self {
        let first = |entry: &Scheduled| match entry.when {
            When::Every(_) => now,
            When::At { .. } => entry.when.next(now),
        };
        Self(schedule.iter().map(|entry| (entry.clone(), first(entry))).collect())
    }

    /// When the next one is due; `None` when nothing is scheduled.
    pub(super) fn next(&self) -> Option<OffsetDateTime> {
        self.0.iter().map(|(_, next)| *next).min()
    }

    /// The profile that has been due for longest. It is due again the next time behind now: what was
    /// missed is run once, however often it was.
    pub(super) fn take(&mut self, now: OffsetDateTime) -> Option<String> {
        let due = self.0.iter_mut().filter(|(_, next)| *next <= now).min_by_key(|(_, next)| *next);
        let (entry, next) = due?;
        *next = entry.when.next(now);
        Some(entry.profile.clone())
    }

    /// A profile ran until now: what comes so long after its last run is counted from here.
    pub(super) fn ran(&mut self, profile: &str, now: OffsetDateTime) {
        for (entry, next) in &mut self.0 {
            if entry.profile == profile
                && let When::Every(duration) = entry.when
            {
                *next = now + duration;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[derive(Deserialize)]
    struct Written {
        #[serde(default)]
        profile: Vec<RawProfile>,
        #[serde(default)]
        schedule: Vec<RawSchedule>,
    }

    fn check(text: &str) -> Result<(Vec<Profile>, Vec<Scheduled>), Vec<String>> {
        let Written { profile, schedule } = toml::from_str(text).unwrap();
        let mut problems = Vec::new();
        let forests = ["corp.example".parse().unwrap()];
        let profiles = Profile::check(profile, &forests, &mut problems);
        let schedule = Scheduled::check(schedule, &profiles, &mut problems);
        if problems.is_empty() { Ok((profiles, schedule)) } else { Err(problems) }
    }

    const NIGHTLY: &str = r#"
        [[profile]]
        name = "nightly"
        steps = ["import full", "sync full", "export", "confirm", "passwords"]
        forest = "corp.example"
    "#;

    #[test]
    fn a_profile_names_its_steps_and_a_schedule_its_times() {
        let text = format!(
            "{NIGHTLY}
            [[schedule]]
            profile = \"nightly\"
            at = \"02:30\"
            on = [\"Sunday\", \"wednesday\"]
            offset = \"+02:00\"
            [[schedule]]
            profile = \"nightly\"
            every = \"6h\""
        );
        let (profiles, schedule) = check(&text).unwrap();
        let expected = [
            Step::Import(Extent::Full),
            Step::Synchronise(Extent::Full),
            Step::Export,
            Step::Confirm,
            Step::Passwords,
        ];
        assert_eq!(profiles[0].steps, expected);
        let at = &schedule[0].when;
        // A Friday; half past two in the morning is half past midnight in UTC.
        let next = at.next(datetime!(2026-11-20 12:00 UTC));
        assert_eq!(next, datetime!(2026-11-22 00:30 UTC));
        assert_eq!(at.next(next), datetime!(2026-11-25 00:30 UTC));
        let soon = datetime!(2026-11-22 00:29:59 UTC);
        assert_eq!(at.next(soon), datetime!(2026-11-22 00:30 UTC));
        assert_eq!(schedule[1].when, When::Every(Duration::from_secs(6 * 60 * 60)));
    }

    #[test]
    fn a_time_of_a_zone_comes_once_each_day_also_when_its_clocks_are_changed() {
        let next = |on: &str, from: OffsetDateTime, count: usize| -> Vec<_> {
            let text = format!(
                "{NIGHTLY}
                [[schedule]]
                profile = \"nightly\"
                at = \"02:30\"
                on = [{on}]
                time_zone = \"Europe/Berlin\""
            );
            let (_, schedule) = check(&text).unwrap();
            let times = std::iter::successors(Some(from), |at| Some(schedule[0].when.next(*at)));
            times.skip(1).take(count).collect()
        };
        // The night of the 29th has no half past two: it comes an hour later, once.
        let expected = [
            datetime!(2026-03-28 01:30 UTC),
            datetime!(2026-03-29 01:30 UTC),
            datetime!(2026-03-30 00:30 UTC),
        ];
        assert_eq!(next("", datetime!(2026-03-27 12:00 UTC), 3), expected);
        // The night of the 25th has it twice: the first counts.
        let expected = [
            datetime!(2026-10-24 00:30 UTC),
            datetime!(2026-10-25 00:30 UTC),
            datetime!(2026-10-26 01:30 UTC),
        ];
        assert_eq!(next("", datetime!(2026-10-23 12:00 UTC), 3), expected);
        // Days are those of the zone: half past two of a Sunday, which is its Sunday.
        let expected = [datetime!(2026-03-29 01:30 UTC), datetime!(2026-04-05 00:30 UTC)];
        assert_eq!(next("\"sunday\"", datetime!(2026-03-27 12:00 UTC), 2), expected);
    }

    #[test]
    fn what_is_wrong_is_said_all_at_once() {
        let problems = check(
            r#"
            [[profile]]
            name = "a b"
            steps = ["import fully", "export"]
            forest = "other.example"
            [[profile]]
            name = "empty"
            steps = []
            [[schedule]]
            profile = "none"
            every = "8d"
            [[schedule]]
            profile = "empty"
            at = "24:00"
            [[schedule]]
            profile = "empty"
            at = "02:30"
            on = ["sontag"]
            [[schedule]]
            profile = "empty"
            every = "1h"
            offset = "+01:00"
            [[schedule]]
            profile = "empty"
            at = "02:30"
            time_zone = "Europe/Berln"
            [[schedule]]
            profile = "empty"
            at = "02:30"
            offset = "+01:00"
            time_zone = "Europe/Berlin"
            [[schedule]]
            profile = "empty"
            "#,
        );
        insta::assert_snapshot!(problems.unwrap_err().join("\n"), @r#"
        profile "a b": a name is up to 64 letters, digits, - _ .
        profile "a b": "import fully" is no step; write import, sync (each with delta or full), export, confirm or passwords
        profile "a b": the forest other.example is not configured
        profile "empty": it has between 1 and 32 steps
        schedule: there is no profile "none"
        schedule of "none": every: "8d" is no time between 1s and 7d such as 90s, 30m, 6h, 1d
        schedule of "empty": at: "24:00" is no time of day such as 02:30
        schedule of "empty": on: "sontag" is no day of the week such as sunday
        schedule of "empty": on, offset and time_zone go with at, and not with every
        schedule of "empty": time_zone: "Europe/Berln" is no name of the IANA database of time zones; near it are Europe/Berlin, Europe/Dublin, Europe/Belgrade
        schedule of "empty": give offset or time_zone, one of the two
        schedule of "empty": give every or at, one of the two
        "#);
    }

    #[test]
    fn what_was_missed_runs_once_and_what_comes_again_and_again_counts_from_its_end() {
        let text = format!(
            "{NIGHTLY}
            [[profile]]
            name = \"often\"
            steps = [\"export\"]
            [[schedule]]
            profile = \"nightly\"
            at = \"02:30\"
            [[schedule]]
            profile = \"often\"
            every = \"90s\""
        );
        let (_, schedule) = check(&text).unwrap();
        let begun = datetime!(2026-11-20 12:00 UTC);
        let mut agenda = Agenda::from(&schedule, begun);
        assert_eq!(agenda.take(begun).as_deref(), Some("often"));
        assert_eq!(agenda.take(begun), None);
        agenda.ran("often", datetime!(2026-11-20 12:00:30 UTC));
        assert_eq!(agenda.next(), Some(datetime!(2026-11-20 12:02 UTC)));
        let days_later = datetime!(2026-11-23 01:00 UTC);
        assert_eq!(agenda.take(days_later).as_deref(), Some("often"));
        assert_eq!(agenda.take(days_later).as_deref(), Some("nightly"));
        assert_eq!(agenda.take(days_later), None);
        agenda.ran("often", days_later + Duration::from_secs(100_000));
        assert_eq!(agenda.next(), Some(datetime!(2026-11-23 02:30 UTC)));
        assert_eq!(Agenda::default().next(), None);
    }
}
