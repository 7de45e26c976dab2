//! What a peer says on a stream, kept until it is judged and never more of it than the check's limit.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::{Asker, Verdict};

/// A stream, and what was heard on it and not taken yet.
pub(super) struct Hearing<'a, S> {
    asker: &'a Asker<'a>,
    stream: S,
    octets: Vec<u8>,
    /// Octets that were heard since the beginning.
    heard: usize,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Hearing<'a, S> {
    pub(super) const fn new(asker: &'a Asker<'a>, stream: S) -> Self {
        Self { asker, stream, octets: Vec::new(), heard: 0 }
    }

    /// Octets that are listened to at most.
    pub(super) const fn limit(&self) -> usize {
        self.asker.deployment().limits.octets_max
    }

    /// What was heard and not taken.
    pub(super) fn heard(&self) -> &[u8] {
        &self.octets
    }

    /// Says something.
    ///
    /// # Errors
    /// What it means for the row that the stream broke.
    pub(super) async fn say(&mut self, octets: &[u8]) -> Result<(), Verdict> {
        let said = match self.stream.write_all(octets).await {
            // Inside TLS what was written may wait for more.
            Ok(()) => self.stream.flush().await,
            error => error,
        };
        said.map_err(|error| self.asker.broke(&error))
    }

    /// What was heard and not taken, of at least so many octets: waits for them.
    ///
    /// # Errors
    /// What it means for the row that the stream ended before, broke, or is above the limit.
    pub(super) async fn at_least(&mut self, length: usize) -> Result<&[u8], Verdict> {
        while self.octets.len() < length {
            self.more().await?;
        }
        Ok(&self.octets)
    }

    /// Takes so many octets: waits for them.
    ///
    /// # Errors
    /// As [`Hearing::at_least`].
    pub(super) async fn take(&mut self, length: usize) -> Result<Vec<u8>, Verdict> {
        self.at_least(length).await?;
        let rest = self.octets.split_off(length);
        Ok(std::mem::replace(&mut self.octets, rest))
    }

    /// Waits for more, and gives what was heard and not taken.
    ///
    /// # Errors
    /// As [`Hearing::at_least`].
    pub(super) async fn more(&mut self) -> Result<&[u8], Verdict> {
        let more = self.asker.read(&mut self.stream).await?;
        self.heard = self.heard.saturating_add(more.len());
        self.octets.extend_from_slice(&more);
        match more.is_empty() || self.heard > self.limit() {
            true => Err(Verdict::wrong_protocol(&self.octets)),
            false => Ok(&self.octets),
        }
    }
}
