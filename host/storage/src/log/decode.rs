//! From lines to records, on several processors when there is much to do.
//!
//! The lines of all batches are cut into pieces at the ends of lines; threads take piece after piece, and
//! the results are put together in the order of the pieces. Threads are borrowed for one call and end with
//! it; the caller is on a thread that may block already.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{LogContents, format::Batches};

/// Bytes of a piece: enough for a thread to be busy for about a millisecond.
const PIECE_BYTES: usize = 256 << 10;
/// Most threads; a log is not all that a host has to do.
const MAX_THREADS: usize = 8;

/// Lines that follow each other, not all of one batch.
type Piece<'a> = Vec<&'a [u8]>;

/// The records of all batches, in order.
pub(super) fn decode<R: Send>(
    batches: &Batches,
    read: &(impl Fn(&[u8]) -> Option<R> + Sync),
) -> LogContents<R> {
    let mut whole = LogContents {
        records: Vec::new(),
        malformed: 0,
    };
    for part in decode_pieces(&pieces(batches), read) {
        whole.records.extend(part.records);
        whole.malformed += part.malformed;
    }
    whole
}

fn decode_pieces<R: Send>(
    pieces: &[Piece<'_>],
    read: &(impl Fn(&[u8]) -> Option<R> + Sync),
) -> Vec<LogContents<R>> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = processors.min(MAX_THREADS).min(pieces.len());
    if threads < 2 {
        return pieces
            .iter()
            .map(|piece| decode_piece(piece, read))
            .collect();
    }
    let next = AtomicUsize::new(0);
    let take_pieces = || {
        let mut taken = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else {
                return taken;
            };
            taken.push((at, decode_piece(piece, read)));
        }
    };
    let mut decoded = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take_pieces)).collect();
        let mut decoded = take_pieces();
        for other in others {
            match other.join() {
                Ok(taken) => decoded.extend(taken),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        decoded
    });
    decoded.sort_unstable_by_key(|(at, _)| *at);
    decoded.into_iter().map(|(_, part)| part).collect()
}

fn decode_piece<R>(piece: &Piece<'_>, read: &impl Fn(&[u8]) -> Option<R>) -> LogContents<R> {
    let mut records = Vec::new();
    let mut malformed = 0;
    for lines in piece {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines).chain([lines.len()]) {
            let line = &lines[start..end];
            start = end + 1;
            match read(line) {
                Some(record) => records.push(record),
                None if line.trim_ascii().is_empty() => {}
                None => malformed += 1,
            }
        }
    }
    LogContents { records, malformed }
}

/// Cuts the lines of all batches into pieces of about [`PIECE_BYTES`]; a single line is never cut.
fn pieces(batches: &Batches) -> Vec<Piece<'_>> {
    let mut pieces = vec![Piece::new()];
    let mut bytes = 0;
    for lines in batches.values() {
        let mut rest: &[u8] = lines;
        while !rest.is_empty() {
            let (now, later) = split(rest, PIECE_BYTES.saturating_sub(bytes));
            rest = later;
            bytes += now.len();
            if let Some(piece) = pieces.last_mut() {
                piece.push(now);
            }
            if bytes >= PIECE_BYTES {
                pieces.push(Piece::new());
                bytes = 0;
            }
        }
    }
    pieces
}

/// Cuts after the first end of a line at or after `least` bytes.
fn split(lines: &[u8], least: usize) -> (&[u8], &[u8]) {
    let end = lines
        .get(least..)
        .and_then(|rest| memchr::memchr(b'\n', rest));
    match end {
        Some(end) => lines.split_at(least + end + 1),
        None => (lines, &[]),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::log::format::BatchName;

    fn batches(texts: &[String]) -> Batches {
        let named = |(at, text): (usize, &String)| {
            (
                BatchName::new(&format!("{at:06}")),
                Bytes::copy_from_slice(text.as_bytes()),
            )
        };
        texts.iter().enumerate().map(named).collect()
    }

    fn check(texts: &[String]) {
        let lines: Vec<_> = texts.iter().flat_map(|text| text.lines()).collect();
        let expected: Vec<u64> = lines
            .iter()
            .filter_map(|line| line.trim().parse().ok())
            .collect();
        let blank = lines.iter().filter(|line| line.trim().is_empty()).count();
        let read = |line: &[u8]| serde_json::from_slice::<u64>(line).ok();
        let found = decode(&batches(texts), &read);
        assert!(found.records == expected);
        assert_eq!(
            found.malformed as usize,
            lines.len() - blank - expected.len()
        );
    }

    #[test]
    fn order_and_counts_are_kept_however_lines_are_cut() {
        check(&[]);
        check(&["1\n2\n".into(), "3\nx\n\n4".into(), "\r\n5\r\n".into()]);
        // Many small batches, one large one, and lines longer than a piece.
        let small: Vec<_> = (0..60_000)
            .map(|n| format!("{n}\n{}", if n % 97 == 0 { "bad\n" } else { "" }))
            .collect();
        assert!(pieces(&batches(&small)).len() > 1);
        check(&small);
        let large: String = (0..200_000).map(|n| format!("{n}\n")).collect();
        check(&[large.clone(), "7".into(), large]);
        let long = format!("{}8", " ".repeat(3 * PIECE_BYTES));
        check(&[format!("1\n{long}\n2\n{long}"), long]);
    }
}
