//! Cutting the stream of a connection into fragments.

use std::fmt;

use portolan_codec::DecodeError;
use zeroize::Zeroizing;

use crate::pdu::{FRAGMENT_OCTETS_MAX, Header};

/// What came over a connection and was not used yet. Wiped when dropped, since fragments are opened in
/// its memory.
pub struct Fragments {
    received: Zeroizing<Vec<u8>>,
    consumed: usize,
}

impl Default for Fragments {
    fn default() -> Self {
        Self { received: Zeroizing::new(Vec::with_capacity(CAPACITY)), consumed: 0 }
    }
}

impl fmt::Debug for Fragments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fragments({} octets received and not used)", self.received.len() - self.consumed)
    }
}

impl Fragments {
    /// Takes octets in as they came, in pieces of any size, and gives back those for which there is
    /// no room yet: take fragments out before they are offered again.
    #[must_use]
    pub fn receive<'o>(&mut self, octets: &'o [u8]) -> &'o [u8] {
        if self.consumed > 0 {
            self.received.drain(..self.consumed);
            self.consumed = 0;
        }
        let room = CAPACITY - self.received.len();
        let (taken, rest) = octets.split_at(room.min(octets.len()));
        self.received.extend_from_slice(taken);
        rest
    }

    /// The next fragment that is there in full; `None` when more octets are needed.
    ///
    /// # Errors
    /// [`DecodeError`] when what comes next is no fragment or longer than this side offered to take.
    pub fn take(&mut self) -> Result<Option<&mut [u8]>, DecodeError> {
        let waiting = &mut self.received[self.consumed..];
        let Some(length) = Header::length_of_first(waiting)? else {
            return Ok(None);
        };
        let Some(fragment) = waiting.get_mut(..length) else {
            return Ok(None);
        };
        self.consumed += length;
        Ok(Some(fragment))
    }
}

/// Room for a few fragments; more than one, so that there is always room for what completes one.
const CAPACITY: usize = 8 * FRAGMENT_OCTETS_MAX as usize;
