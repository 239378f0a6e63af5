//! A limit on what a server can make this program keep: no message of the protocol may be longer than 64 MiB.
//!
//! The client library waits until it has a whole message, so one cell of a gigabyte would take a gigabyte. The
//! guard follows the framing of the bytes that pass (a letter, then the length) and ends the connection at the
//! head of a message that is too long, before any of it is kept. It reads ahead in large pieces, since a row
//! is one message and most are small. It knows nothing of what messages mean.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf};

/// Longest message, which is also the longest row.
pub(super) const MESSAGE_LIMIT: usize = 64 << 20;

/// What is read from the system at a time.
const READ_AHEAD: usize = 128 << 10;

/// A message was longer than [`MESSAGE_LIMIT`].
#[derive(Debug, thiserror::Error)]
#[error("a message of the server is longer than 64 MiB")]
pub(super) struct TooLong;

/// A connection whose messages have a bounded length.
pub(super) struct Guarded<S> {
    inner: BufReader<S>,
    frames: Frames,
}

/// Follows the framing.
#[derive(Default)]
struct Frames {
    head: [u8; 5],
    /// Bytes of the head that were seen.
    seen: usize,
    /// Bytes of the body that are still to come.
    left: usize,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let step = self.left.min(bytes.len());
                self.left -= step;
                bytes = &bytes[step..];
                continue;
            }
            self.head[self.seen] = bytes[0];
            bytes = &bytes[1..];
            self.seen += 1;
            if self.seen == self.head.len() {
                self.seen = 0;
                let [_, length @ ..] = self.head;
                let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
                if length > MESSAGE_LIMIT {
                    return Err(TooLong);
                }
                // The length counts itself; a smaller one is for the library to refuse.
                self.left = length.saturating_sub(4);
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead> Guarded<S> {
    /// Guards a connection from its first message on.
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner: BufReader::with_capacity(READ_AHEAD, inner),
            frames: Frames::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ready = ready!(Pin::new(&mut this.inner).poll_fill_buf(cx))?;
        let step = ready.len().min(buf.remaining());
        let bytes = &ready[..step];
        this.frames
            .pass(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        buf.put_slice(bytes);
        Pin::new(&mut this.inner).consume(step);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.inner.get_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn message(body: usize) -> Vec<u8> {
        let mut bytes = vec![b'd'];
        bytes.extend(u32::try_from(body + 4).unwrap().to_be_bytes());
        bytes.resize(5 + body, 7);
        bytes
    }

    #[tokio::test]
    async fn what_is_short_enough_passes_unchanged() {
        let mut bytes = [message(0), message(300_000), message(1)].concat();
        bytes.extend(&message(9)[..3]);
        let mut read = Vec::new();
        Guarded::new(&bytes[..])
            .read_to_end(&mut read)
            .await
            .unwrap();
        assert_eq!(read, bytes);
    }

    #[tokio::test]
    async fn the_head_of_a_long_message_ends_it() {
        for length in [u32::try_from(MESSAGE_LIMIT + 1).unwrap(), u32::MAX, 1 << 31] {
            let mut bytes = message(3);
            bytes.push(b'd');
            bytes.extend(length.to_be_bytes());
            let error = Guarded::new(&bytes[..])
                .read_to_end(&mut Vec::new())
                .await
                .unwrap_err();
            assert!(
                error.get_ref().is_some_and(|error| error.is::<TooLong>()),
                "{length}"
            );
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(bodies in prop::collection::vec(0_usize..40, 0..8), cut in 1_usize..20) {
            let mut bytes = bodies.iter().flat_map(|body| message(*body)).collect::<Vec<_>>();
            let mut frames = Frames::default();
            for piece in bytes.chunks(cut) {
                prop_assert!(frames.pass(piece).is_ok());
            }
            prop_assert_eq!((frames.seen, frames.left), (0, 0));
            bytes.clear();
            bytes.extend([b'd', 0x7f, 0, 0, 0]);
            let refused = bytes.chunks(cut).any(|piece| frames.pass(piece).is_err());
            prop_assert!(refused);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frames::default().pass(&bytes);
        }
    }
}
