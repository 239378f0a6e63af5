//! Lines of JSON out of bytes that are cut anywhere.
//!
//! A connection cuts an answer where it likes, in the middle of a line and of a letter, and puts several lines into
//! one piece; so bytes are gathered until a line is whole. The last line needs no line break.

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream, stream::BoxStream};

use super::transport::TransportError;
use crate::ServerError;

/// Longest line that is taken, in bytes.
const MAX_LINE: usize = 1 << 20;

struct Reader {
    body: BoxStream<'static, Result<Bytes, TransportError>>,
    /// What has come and is no whole line yet.
    held: BytesMut,
    ended: bool,
}

/// The lines of a body without their ends; empty ones are left out.
pub(super) fn lines(
    body: BoxStream<'static, Result<Bytes, TransportError>>,
) -> impl Stream<Item = Result<Bytes, ServerError>> + Send {
    let reader = Reader {
        body,
        held: BytesMut::new(),
        ended: false,
    };
    stream::try_unfold(reader, |mut reader| async move {
        let line = reader.next().await?;
        Ok(line.map(|line| (line, reader)))
    })
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, ServerError> {
        loop {
            while let Some(line) = self.held_line() {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.ended {
                return Ok(None);
            }
            if self.held.len() > MAX_LINE {
                return Err(ServerError::Garbled {
                    reason: "a line without end".to_owned(),
                });
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.held.extend_from_slice(&bytes),
                Some(Err(_)) => return Err(ServerError::Cut),
                None => self.ended = true,
            }
        }
    }

    /// The next line of what has come; at the end, the rest.
    fn held_line(&mut self) -> Option<Bytes> {
        if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
            let line = self.held.split_to(end).freeze();
            self.held.advance(1);
            return Some(line);
        }
        let rest = self.ended && !self.held.is_empty();
        rest.then(|| self.held.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn read(pieces: &[&str]) -> Result<Vec<String>, ServerError> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes())))
            .collect();
        let lines = lines(stream::iter(pieces).boxed());
        let lines = lines.map_ok(|line| String::from_utf8_lossy(&line).into_owned());
        futures::executor::block_on(lines.try_collect())
    }

    fn check(pieces: &[&str], expected: &[&str]) {
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(read(pieces), Ok(expected), "{pieces:?}");
    }

    #[test]
    fn lines_do_not_depend_on_where_bytes_are_cut() {
        check(&["a\nb\n"], &["a", "b"]);
        check(&["a", "\n", "b\nc"], &["a", "b", "c"]);
        check(&["a\n\n \n", "b"], &["a", "b"]);
        check(&[], &[]);
        let whole = "{\"response\":\"grüß dich\"}\n{\"done\":true}\n";
        for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let (first, second) = whole.split_at(at);
            check(
                &[first, second],
                &["{\"response\":\"grüß dich\"}", "{\"done\":true}"],
            );
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let long = "x".repeat(MAX_LINE);
        assert!(matches!(
            read(&[&long, "x", "x"]),
            Err(ServerError::Garbled { .. })
        ));
    }

    #[test]
    fn a_connection_that_breaks_is_told_from_an_end() {
        let pieces = [
            Ok(Bytes::from("a\nb")),
            Err(TransportError("reset".to_owned())),
        ];
        let read = lines(stream::iter(pieces).boxed()).collect::<Vec<_>>();
        let read = futures::executor::block_on(read);
        assert_eq!(read, [Ok(Bytes::from("a")), Err(ServerError::Cut)]);
    }
}
