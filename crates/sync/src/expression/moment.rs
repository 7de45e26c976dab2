//! Times as texts: what CDate reads and FormatDateTime writes, and calendar arithmetic.

use std::fmt::Write as _;

use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// A time of the years that a text can hold.
pub(super) fn in_range(at: OffsetDateTime) -> Option<OffsetDateTime> {
    let at = at.checked_to_offset(UtcOffset::UTC)?;
    (1..=9999).contains(&at.year()).then_some(at)
}

/// So many times so many months later.
pub(super) fn add_months(at: OffsetDateTime, count: i64, months: i64) -> Option<OffsetDateTime> {
    let from = i64::from(at.year()) * 12 + i64::from(u8::from(at.month())) - 1;
    let to = count.checked_mul(months)?.checked_add(from)?;
    let year = i32::try_from(to.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
    let month = Month::try_from(u8::try_from(to.rem_euclid(12)).ok()? + 1).ok()?;
    let date = Date::from_calendar_date(year, month, at.day().min(month.length(year))).ok()?;
    Some(at.replace_date(date))
}

/// So many times so many seconds later.
pub(super) fn add_seconds(at: OffsetDateTime, count: i64, seconds: i64) -> Option<OffsetDateTime> {
    in_range(at.checked_add(Duration::seconds(count.checked_mul(seconds)?))?)
}

/// The time that a text says, in UTC.
pub(super) fn parse(text: &str) -> Option<OffsetDateTime> {
    /// No form of a time is longer.
    const OCTETS_MAX: usize = 64;
    let mut reader = Reader { rest: text.trim() };
    if reader.rest.len() > OCTETS_MAX {
        return None;
    }
    let (date, time) = match reader.compact() {
        Some(found) => found,
        None => (reader.date()?, reader.time()?),
    };
    let offset = reader.offset()?;
    if !reader.rest.is_empty() {
        return None;
    }
    in_range(PrimitiveDateTime::new(date, time).assume_offset(offset))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Passes one of these characters.
    fn pass(&mut self, characters: &[char]) -> Option<char> {
        let first = self.rest.chars().next().filter(|c| characters.contains(c))?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn pass_blanks(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start();
        self.rest.len() < before
    }

    /// A number of so many digits, and how many it has.
    fn digits(&mut self, most: usize) -> Option<(u32, usize)> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let number = self.rest[..end].parse().ok().filter(|_| end <= most)?;
        self.rest = &self.rest[end..];
        Some((number, end))
    }

    fn number(&mut self) -> Option<u8> {
        u8::try_from(self.digits(2)?.0).ok()
    }

    fn letters(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        let (letters, rest) = self.rest.split_at(end);
        self.rest = rest;
        letters
    }

    /// `yyyyMMdd`, then `HHmmss` and a fraction if they are there.
    fn compact(&mut self) -> Option<(Date, Time)> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let part = |from: usize, to: usize| self.rest.get(from..to)?.parse::<u8>().ok();
        if end != 8 && end != 14 {
            return None;
        }
        let year = self.rest.get(..4)?.parse().ok()?;
        let date = date(year, part(4, 6)?, part(6, 8)?)?;
        let time = match end {
            8 => Time::MIDNIGHT,
            _ => Time::from_hms(part(8, 10)?, part(10, 12)?, part(12, 14)?).ok()?,
        };
        self.rest = &self.rest[end..];
        let time = if end == 14 { self.fraction(time)? } else { time };
        Some((date, time))
    }

    /// The fraction of a second, if there is one.
    fn fraction(&mut self, time: Time) -> Option<Time> {
        if self.pass(&['.']).is_none() {
            return Some(time);
        }
        let (number, digits) = self.digits(9)?;
        let scale = 10_u32.checked_pow(u32::try_from(9 - digits).ok()?)?;
        time.replace_nanosecond(number.checked_mul(scale)?).ok()
    }

    fn date(&mut self) -> Option<Date> {
        let is_word = self.rest.starts_with(|c: char| c.is_ascii_alphabetic());
        let mut word = if is_word { self.letters() } else { "" };
        if is_word && WEEKDAYS.iter().any(|name| names(word, name)) {
            self.pass(&[',']);
            self.pass_blanks();
            word = self.letters();
        }
        if !word.is_empty() {
            // January 10, 2013
            let month = month(word)?;
            self.pass_blanks();
            let day = self.number()?;
            self.pass(&[',']);
            self.pass_blanks();
            return date(self.year()?, month, day);
        }
        let (first, digits) = self.digits(4)?;
        let Some(separator) = self.pass(&['-', '/']) else {
            // 10 January 2013
            self.pass_blanks();
            let month = month(self.letters())?;
            self.pass_blanks();
            return date(self.year()?, month, u8::try_from(first).ok()?);
        };
        let second = self.number()?;
        self.pass(&[separator])?;
        if digits == 4 {
            return date(i32::try_from(first).ok()?, second, self.number()?);
        }
        date(self.year()?, u8::try_from(first).ok()?, second)
    }

    fn year(&mut self) -> Option<i32> {
        let (year, digits) = self.digits(4)?;
        i32::try_from(year).ok().filter(|_| digits == 4)
    }

    /// A time of day, or midnight when there is none.
    fn time(&mut self) -> Option<Time> {
        let apart = self.pass_blanks() || self.pass(&['T', 't']).is_some();
        if !apart || !self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(Time::MIDNIGHT);
        }
        let hour = self.number()?;
        let (mut minute, mut second) = (0, 0);
        let has_minutes = self.pass(&[':']).is_some();
        let mut fraction = Time::MIDNIGHT;
        if has_minutes {
            minute = self.number()?;
            if self.pass(&[':']).is_some() {
                second = self.number()?;
                fraction = self.fraction(fraction)?;
            }
        }
        let before = self.rest;
        self.pass_blanks();
        let hour = match self.letters() {
            half if half.eq_ignore_ascii_case("am") && (1..=12).contains(&hour) => hour % 12,
            half if half.eq_ignore_ascii_case("pm") && (1..=12).contains(&hour) => hour % 12 + 12,
            _ if has_minutes => {
                self.rest = before;
                hour
            }
            _ => return None,
        };
        let time = Time::from_hms(hour, minute, second).ok()?;
        time.replace_nanosecond(fraction.nanosecond()).ok()
    }

    /// The offset from UTC, which is none when nothing is said.
    fn offset(&mut self) -> Option<UtcOffset> {
        self.pass_blanks();
        let Some(sign) = self.pass(&['+', '-']) else {
            return match self.letters() {
                "" | "Z" | "z" | "UTC" | "GMT" => Some(UtcOffset::UTC),
                _ => None,
            };
        };
        let (number, digits) = self.digits(4)?;
        let (hours, minutes) = match digits {
            1 | 2 if self.pass(&[':']).is_some() => (number, u32::from(self.number()?)),
            1 | 2 => (number, 0),
            4 => (number / 100, number % 100),
            _ => return None,
        };
        let (hours, minutes) = (i8::try_from(hours).ok()?, i8::try_from(minutes).ok()?);
        let sign = if sign == '-' { -1 } else { 1 };
        (hours <= 14 && minutes < 60)
            .then(|| UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok())
            .flatten()
    }
}

fn date(year: i32, month: u8, day: u8) -> Option<Date> {
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
}

/// Whether a word is a name or its first three letters.
fn names(word: &str, name: &str) -> bool {
    word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(&name[..3])
}

fn month(word: &str) -> Option<u8> {
    let at = MONTHS.iter().position(|name| names(word, name))?;
    u8::try_from(at + 1).ok()
}

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The standard formats of .NET as custom ones, of its invariant culture.
const STANDARD: &[(&str, &str)] = &[
    ("d", "MM/dd/yyyy"),
    ("D", "dddd, dd MMMM yyyy"),
    ("f", "dddd, dd MMMM yyyy HH:mm"),
    ("F", "dddd, dd MMMM yyyy HH:mm:ss"),
    ("g", "MM/dd/yyyy HH:mm"),
    ("G", "MM/dd/yyyy HH:mm:ss"),
    ("m", "MMMM dd"),
    ("M", "MMMM dd"),
    ("o", "yyyy-MM-ddTHH:mm:ss.fffffffK"),
    ("O", "yyyy-MM-ddTHH:mm:ss.fffffffK"),
    ("r", "ddd, dd MMM yyyy HH:mm:ss 'GMT'"),
    ("R", "ddd, dd MMM yyyy HH:mm:ss 'GMT'"),
    ("s", "yyyy-MM-ddTHH:mm:ss"),
    ("t", "HH:mm"),
    ("T", "HH:mm:ss"),
    ("u", "yyyy-MM-dd HH:mm:ssZ"),
    ("U", "dddd, dd MMMM yyyy HH:mm:ss"),
    ("y", "yyyy MMMM"),
    ("Y", "yyyy MMMM"),
];

/// The time in a format of .NET; `None` when it is none.
pub(super) fn format(at: OffsetDateTime, format: &str) -> Option<String> {
    let standard = STANDARD.iter().find(|(name, _)| *name == format);
    let mut rest = match standard {
        Some((_, custom)) => custom,
        None if format.chars().count() < 2 => return None,
        None => format,
    };
    let mut text = String::with_capacity(rest.len());
    while let Some(first) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches(first).len();
        match first {
            '\'' | '"' => {
                let quoted = rest[1..].find(first)?;
                text.push_str(&rest[1..=quoted]);
                rest = &rest[quoted + 2..];
                continue;
            }
            '\\' => {
                let escaped = rest[1..].chars().next()?;
                text.push(escaped);
                rest = &rest[1 + escaped.len_utf8()..];
                continue;
            }
            // Before a single letter, so that it is no standard format.
            '%' => {
                rest = &rest[1..];
                continue;
            }
            _ => field(at, first, run / first.len_utf8(), &mut text)?,
        }
        rest = &rest[run..];
    }
    Some(text)
}

/// Writes what a letter that stands so many times means; any other character stands for itself.
fn field(at: OffsetDateTime, letter: char, times: usize, text: &mut String) -> Option<()> {
    let mut number = |number: i64, width: usize| write!(text, "{number:0width$}").ok();
    let width = times.min(2);
    let hour = at.hour();
    match letter {
        'd' if times <= 2 => return number(i64::from(at.day()), width),
        'M' if times <= 2 => return number(i64::from(u8::from(at.month())), width),
        'y' if times <= 2 => return number(i64::from(at.year() % 100), width),
        'y' => return number(i64::from(at.year()), times.min(9)),
        'H' => return number(i64::from(hour), width),
        'h' => return number(i64::from((hour + 11) % 12 + 1), width),
        'm' => return number(i64::from(at.minute()), width),
        's' => return number(i64::from(at.second()), width),
        _ => {}
    }
    match letter {
        'd' | 'M' => {
            let name = match letter {
                'd' => WEEKDAYS[usize::from(at.weekday().number_days_from_monday())],
                _ => MONTHS[usize::from(u8::from(at.month())) - 1],
            };
            text.push_str(if times == 3 { &name[..3] } else { name });
        }
        'f' | 'F' if times > 7 => return None,
        'f' | 'F' => {
            let digits = format!("{:09}", at.nanosecond());
            let digits = &digits[..times];
            let shown = if letter == 'F' { digits.trim_end_matches('0') } else { digits };
            if letter == 'F' && shown.is_empty() && text.ends_with('.') {
                text.pop();
            }
            text.push_str(shown);
        }
        't' => text.push_str(&(if hour < 12 { "AM" } else { "PM" })[..width]),
        'g' => text.push_str("A.D."),
        'K' => text.extend(std::iter::repeat_n('Z', times)),
        'z' => text.push_str(["+0", "+00", "+00:00"][times.min(3) - 1]),
        _ => text.extend(std::iter::repeat_n(letter, times)),
    }
    Some(())
}
