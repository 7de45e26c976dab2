//! Who asked what, and what became of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use portolan_chart::{Flow, Transport};
use time::OffsetDateTime;

/// A port that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The address and port.
    pub address: SocketAddr,
    /// The transport.
    pub transport: Transport,
    /// The first row that wants it, as the chart describes it.
    pub row: String,
    /// Every row that wants it.
    pub flows: Vec<Flow>,
}

/// A question that somebody put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub at: OffsetDateTime,
    /// Who.
    pub peer: SocketAddr,
    /// The port here.
    pub port: u16,
    /// The transport.
    pub transport: Transport,
    /// The row, as the chart describes it.
    pub row: String,
    /// What, in a few words; parts of it are the peer's to choose.
    pub question: String,
    /// What became of it.
    pub reaction: Reaction,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// It was answered in the row's protocol.
    Answered,
    /// It was in another protocol, and not answered.
    Foreign,
    /// Somebody connected and asked nothing.
    Silent,
    /// TLS did not come about.
    Broken,
    /// There were too many at once.
    Crowded,
}

impl Reaction {
    /// As lines and documents write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Foreign => "wrong-protocol",
            Self::Silent => "silent",
            Self::Broken => "tls-failed",
            Self::Crowded => "crowded",
        }
    }
}

/// What was asked in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Each port, with the questions that were answered there, and those that were not.
    pub places: Vec<(Place, u64, u64)>,
    /// How many peers asked; counted no further than [`PEERS_MAX`].
    pub peers: BTreeSet<IpAddr>,
    /// Questions that were not told of one by one, because nobody took them up in time.
    pub untold: u64,
}

/// Peers that a summary counts.
pub const PEERS_MAX: usize = 4096;
/// Characters of a question that are told.
const QUESTION_CHARACTERS_MAX: usize = 160;

impl Summary {
    /// Counts a question at a place.
    pub(super) fn count(&mut self, place: usize, peer: IpAddr, reaction: Reaction) {
        if let Some((_, answered, other)) = self.places.get_mut(place) {
            match reaction {
                Reaction::Answered => *answered += 1,
                _ => *other += 1,
            }
        }
        if self.peers.len() < PEERS_MAX {
            self.peers.insert(peer);
        }
    }
}

/// A question no longer than a line has room for.
pub(super) fn shortened(question: &str) -> String {
    match question.char_indices().nth(QUESTION_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", question.get(..end).unwrap_or_default()),
        None => question.to_owned(),
    }
}
