//! The opening exchange of one connection, without IO: octets heard come in, an answer goes out.

use std::net::IpAddr;

use time::OffsetDateTime;

use super::stand_in::StandIn;

/// Where and when an exchange takes place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// Who is stood in for.
    pub(super) stand_in: &'a StandIn,
    /// This host's address, as the peer knows it.
    pub(super) here: IpAddr,
    /// The port here.
    pub(super) port: u16,
    /// Whether this is inside TLS.
    pub(super) is_private: bool,
    /// The time of day.
    pub(super) now: OffsetDateTime,
}

/// One side of a conversation: what is said to what was heard.
pub(super) trait Opening: Send {
    /// Looks at what was heard and not taken yet.
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step;
}

/// What follows from what was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the beginning of something: more is to come.
    More,
    /// It is answered.
    Answer(Answer),
    /// It is not this protocol: the connection ends without a word.
    Foreign,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Octets of what was heard that it answers.
    pub(super) taken: usize,
    /// What is sent; nothing, when the protocol has no answer to this.
    pub(super) octets: Vec<u8>,
    /// What was asked, in a few words. Parts of it are the peer's to choose.
    pub(super) asked: String,
    /// Whether the connection ends with it.
    pub(super) ends: bool,
}

impl Answer {
    /// An answer after which the peer may go on.
    pub(super) fn new(taken: usize, octets: Vec<u8>, asked: impl Into<String>) -> Self {
        Self { taken, octets, asked: asked.into(), ends: false }
    }

    /// The last answer of a connection.
    pub(super) fn last(taken: usize, octets: Vec<u8>, asked: impl Into<String>) -> Self {
        Self { ends: true, ..Self::new(taken, octets, asked) }
    }
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A frame behind a length of two or four octets, big-endian, and all octets of both; `None` until it is
/// whole, an error when it is longer than any question of its protocol.
pub(super) fn framed<const N: usize>(
    heard: &[u8],
    octets_max: usize,
) -> Result<Option<(&[u8], usize)>, TooLong> {
    let Some((length, rest)) = heard.split_first_chunk::<N>() else { return Ok(None) };
    let length = length.iter().fold(0, |value, octet| value << 8 | usize::from(*octet));
    if length > octets_max {
        return Err(TooLong);
    }
    Ok(rest.get(..length).map(|frame| (frame, N + length)))
}

/// A frame that no question has.
#[derive(Debug)]
pub(super) struct TooLong;
