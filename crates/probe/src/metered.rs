//! A stream that says what was heard on it first, and ends after so many octets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets of what was heard first that are kept.
const FIRST_OCTETS_MAX: usize = 64;

/// A peer's stream under a limit of octets. Beyond it the stream is at its end.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    inner: S,
    left: usize,
    first: Vec<u8>,
}

impl<S> Metered<S> {
    pub(crate) const fn new(inner: S, octets_max: usize) -> Self {
        Self { inner, left: octets_max, first: Vec::new() }
    }

    /// What was heard first.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut part = buffer.take(this.left);
        ready!(Pin::new(&mut this.inner).poll_read(context, &mut part))?;
        let count = part.filled().len();
        let wanted = FIRST_OCTETS_MAX.saturating_sub(this.first.len());
        this.first.extend(part.filled().iter().take(wanted));
        this.left = this.left.saturating_sub(count);
        // What `take` hands out is the same memory: the octets are there, and only counted here.
        let octets = part.filled().to_vec();
        buffer.put_slice(&octets);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_ends_at_its_limit_and_says_what_came_first() {
        let said = vec![b'a'; 1000];
        let mut stream = Metered::new(said.as_slice(), 300);
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, [b'a'; 300]);
        assert_eq!(stream.first(), [b'a'; FIRST_OCTETS_MAX]);
    }
}
