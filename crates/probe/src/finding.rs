//! What a probe found.

use std::net::IpAddr;
use std::time::Duration;

use portolan_chart::{Row, Transport};
use portolan_net::Peer;

/// One question of a check: a port of a row at one address of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The row.
    pub row: Row,
    /// The host; none when no host of the row's other end is known.
    pub peer: Option<Peer>,
    /// The address that was asked; none when a web proxy stood between, or the name did not resolve.
    pub address: Option<IpAddr>,
    /// The port; none for a row whose ports the peer's endpoint mapper names.
    pub port: Option<u16>,
    /// The transport.
    pub transport: Transport,
}

/// How a row stands at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The row's own protocol was spoken, and nothing was wrong with it.
    Open,
    /// The host, or somebody in its name, answered that nothing listens there.
    Refused,
    /// A firewall answered that it does not let this pass.
    Rejected,
    /// Nobody answered.
    Filtered,
    /// The connection came about and was then broken off: by a middlebox, most of the time.
    Reset,
    /// Somebody answers, in another protocol or not at all.
    WrongProtocol {
        /// What was heard, in a few printable words.
        heard: String,
    },
    /// The right protocol, and something is wrong with it.
    Faulty(Vec<Defect>),
    /// This machine has no route to such an address: it lacks IPv6, or IPv4.
    NoRoute,
    /// It could not be found out; this never counts as open.
    Unjudged {
        /// Why.
        why: String,
    },
}

/// What is wrong where the right protocol is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// Of which kind.
    pub kind: DefectKind,
    /// What exactly, with the figures: a sentence without its full stop.
    pub text: String,
    /// The next step.
    pub hint: String,
}

/// The kinds of defects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DefectKind {
    /// The peer's clock is too far from this one.
    ClockSkew,
    /// The certificate's chain, name or dates.
    Certificate,
    /// The certificate is issued by somebody between the ends.
    Interception,
    /// A revocation list or status is missing, stale or not authentic.
    Revocation,
    /// A port lies outside the row's range.
    Range,
    /// Records are missing or differ.
    Records,
    /// The peer is of the right protocol and another kind: an LDAP server that is no domain controller.
    WrongKind,
    /// What is offered is weaker than what the row needs: TLS versions, encryption types, no sealing.
    Weak,
    /// A web proxy on the way does not pass it on.
    Proxy,
    /// The peer says that it cannot serve now.
    Unavailable,
    /// Somebody on the way cuts connections that are idle.
    Idle,
}

impl DefectKind {
    /// As reports write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClockSkew => "clock-skew",
            Self::Certificate => "certificate",
            Self::Interception => "interception",
            Self::Revocation => "revocation",
            Self::Range => "range",
            Self::Records => "records",
            Self::WrongKind => "wrong-kind",
            Self::Weak => "weak",
            Self::Proxy => "proxy",
            Self::Unavailable => "unavailable",
            Self::Idle => "idle",
        }
    }
}

impl Verdict {
    /// As reports write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Filtered => "filtered",
            Self::Reset => "reset",
            Self::WrongProtocol { .. } => "wrong-protocol",
            Self::Faulty(_) => "faulty",
            Self::NoRoute => "no-route",
            Self::Unjudged { .. } => "unjudged",
        }
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// One defect.
    #[must_use]
    pub fn faulty(kind: DefectKind, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Faulty(vec![Defect { kind, text: text.into(), hint: hint.into() }])
    }

    /// Another protocol, by its first octets; nothing printable is left out of them.
    #[must_use]
    pub fn wrong_protocol(octets: &[u8]) -> Self {
        let shown = octets.iter().take(HEARD_OCTETS_MAX).flat_map(|octet| octet.escape_ascii());
        let text: String = shown.map(char::from).collect();
        let heard = if text.is_empty() { "nothing".to_owned() } else { format!("\"{text}\"") };
        Self::WrongProtocol { heard }
    }
}

/// Octets of a wrong answer that a report shows.
const HEARD_OCTETS_MAX: usize = 48;

/// What one probe learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the row stands.
    pub verdict: Verdict,
    /// What else was learnt on the way, for people: "site Default-First-Site-Name", "TLS 1.3".
    pub notes: Vec<String>,
    /// Whether the peer is `portolan chart respond`, which stands in for a server that does not exist yet.
    pub stand_in: bool,
    /// What was measured on the way, for programs.
    pub figures: Figures,
}

/// What a probe measured beside its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Whole seconds by which the peer's clock is ahead of this host's; negative when it is behind. None
    /// where the peer does not tell its time.
    pub clock_skew_seconds: Option<i64>,
    /// Whole days until the peer's certificate expires; negative from the moment on at which it expired. None
    /// without a certificate that can be read.
    pub certificate_days_left: Option<i64>,
}

impl Figures {
    /// What both measured; what this one lacks is taken from the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            clock_skew_seconds: self.clock_skew_seconds.or(other.clock_skew_seconds),
            certificate_days_left: self.certificate_days_left.or(other.certificate_days_left),
        }
    }
}

impl Outcome {
    /// What was learnt, without figures.
    #[must_use]
    pub fn new(verdict: Verdict, notes: Vec<String>, stand_in: bool) -> Self {
        Self { verdict, notes, stand_in, figures: Figures::default() }
    }

    /// The same, with these figures.
    #[must_use]
    pub fn with_figures(self, figures: Figures) -> Self {
        Self { figures, ..self }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self::new(verdict, Vec::new(), false)
    }
}

/// A question and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The question.
    pub question: Question,
    /// What was learnt.
    pub outcome: Outcome,
    /// From the first packet to the verdict.
    pub latency: Duration,
}

impl Finding {
    /// Whether this machine has no route there.
    #[must_use]
    pub const fn has_no_route(&self) -> bool {
        matches!(self.outcome.verdict, Verdict::NoRoute)
    }
}
