//! Ports and transports.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The protocol below a row's own: what a firewall calls its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP, [RFC 9293](https://www.rfc-editor.org/rfc/rfc9293).
    Tcp,
    /// UDP, [RFC 768](https://www.rfc-editor.org/rfc/rfc768).
    Udp,
}

impl Transport {
    /// As rows and firewalls write it: `tcp` or `udp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One port or an unbroken range of ports, both ends included. Port 0 is in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// INVARIANT: 1 <= start <= end.
    start: u16,
    end: u16,
}

impl PortRange {
    /// From `start` to `end`; `None` unless `1 <= start <= end`.
    #[must_use]
    pub fn new(start: u16, end: u16) -> Option<Self> {
        (1 <= start && start <= end).then_some(Self { start, end })
    }

    /// The lowest port.
    #[must_use]
    pub fn start(self) -> u16 {
        self.start
    }

    /// The highest port.
    #[must_use]
    pub fn end(self) -> u16 {
        self.end
    }

    /// Whether `port` is one of these.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        self.ports().contains(&port)
    }

    /// The only port, unless there are several.
    #[must_use]
    pub fn single(self) -> Option<u16> {
        (self.start == self.end).then_some(self.start)
    }

    /// Every port, lowest first.
    #[must_use]
    pub fn ports(self) -> RangeInclusive<u16> {
        self.start..=self.end
    }
}

impl From<std::num::NonZeroU16> for PortRange {
    fn from(port: std::num::NonZeroU16) -> Self {
        Self { start: port.get(), end: port.get() }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(port) => write!(f, "{port}"),
            None => write!(f, "{}-{}", self.start, self.end),
        }
    }
}

/// A text that is neither a port nor `low-high`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a port from 1 to 65535 nor a range of them")]
pub struct InvalidPortRange(String);

impl FromStr for PortRange {
    type Err = InvalidPortRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (start, end) = text.split_once('-').unwrap_or((text, text));
        start
            .parse()
            .ok()
            .zip(end.parse().ok())
            .and_then(|(start, end)| Self::new(start, end))
            .ok_or_else(|| InvalidPortRange(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u16, u16)>) {
        let parsed = text.parse::<PortRange>().ok().map(|range| (range.start(), range.end()));
        assert_eq!(parsed, expected, "{text:?}");
    }

    #[test]
    fn ports_and_ranges_parse_only_when_legal() {
        check("88", Some((88, 88)));
        check("49152-65535", Some((49152, 65535)));
        check("0", None);
        check("65536", None);
        check("20-10", None);
        check("80,443", None);
        check("10–20", None);
        check("", None);
    }

    proptest::proptest! {
        #[test]
        fn a_range_parses_back_from_its_text(start in 1..=u16::MAX, length in 0..=u16::MAX) {
            let range = PortRange::new(start, start.saturating_add(length)).unwrap();
            proptest::prop_assert_eq!(range.to_string().parse(), Ok(range));
        }

        #[test]
        fn no_text_makes_an_illegal_range(text in "\\PC{0,12}") {
            if let Ok(range) = text.parse::<PortRange>() {
                proptest::prop_assert!(1 <= range.start() && range.start() <= range.end());
            }
        }
    }
}
