//! Text files as text: decompressed, decoded, checked to be UTF-8, seen through a window that moves on.
//!
//! A byte order mark decides the encoding and is no part of the text; without one, text is UTF-8 unless the
//! caller says otherwise. Memory is one record and a block. Text that is no text ends the window: what stands
//! before it can still be read, so that the error has the line and column of the first bad byte.

use std::io::Read;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

use super::compress::{Contents, Stored, explain};
use crate::{IngestError, error::Place};

/// Longest record of a text file, in bytes. It bounds the memory that one record may take; nearly always
/// a longer one is a quote or bracket that was never closed.
pub(super) const MAX_RECORD: usize = 64 << 20;

/// Most columns of a text file.
pub(super) const MAX_COLUMNS: usize = 4_096;

/// Bytes that are taken from the file at a time.
const BLOCK: usize = 256 << 10;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A text file that can be read from its start again and again.
pub(super) struct Text {
    stored: Stored,
    encoding: &'static Encoding,
    has_bom: bool,
}

impl Text {
    /// A text in the encoding that its byte order mark, or else the caller, names.
    pub(super) fn new(
        stored: Stored,
        said: Option<&'static Encoding>,
    ) -> Result<Self, IngestError> {
        let head = stored.head(BOM.len())?;
        let told = Encoding::for_bom(&head);
        Ok(Self {
            encoding: told.map_or(said.unwrap_or(UTF_8), |(encoding, _)| encoding),
            has_bom: told.is_some(),
            stored,
        })
    }

    /// The name of its encoding.
    pub(super) fn encoding(&self) -> &'static str {
        self.encoding.name()
    }

    /// Whether it begins with a byte order mark.
    pub(super) fn has_bom(&self) -> bool {
        self.has_bom
    }

    /// The text of about the first `bytes` bytes as far as it is sound, and whether that is all of it.
    pub(super) fn head(&self, bytes: usize) -> Result<(String, bool), IngestError> {
        let head = self.stored.head(bytes)?;
        let is_all = head.len() < bytes;
        let (text, _) = self.encoding.decode_with_bom_removal(&head);
        let mut text = text.into_owned();
        // A character that was cut in two.
        if !is_all && text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.pop();
        }
        Ok((text, is_all))
    }

    /// A window at the start of the text; its bytes count for the progress.
    pub(super) fn open(&self) -> Result<Window, IngestError> {
        Ok(self.window(self.stored.open()?))
    }

    /// The same for a look that is no part of the work.
    pub(super) fn peek(&self) -> Result<Window, IngestError> {
        Ok(self.window(self.stored.peek()?))
    }

    fn window(&self, contents: Contents) -> Window {
        let is_utf8 = self.encoding == UTF_8;
        Window {
            contents,
            encoding: self.encoding.name(),
            decoder: (!is_utf8).then(|| self.encoding.new_decoder_with_bom_removal()),
            skip: if is_utf8 && self.has_bom {
                BOM.len()
            } else {
                0
            },
            raw: Vec::new(),
            text: String::new(),
            start: 0,
            decoded: 0,
            state: State::Open,
        }
    }
}

/// A stretch of text that grows at its end and is taken from its start.
pub(super) struct Window {
    contents: Contents,
    encoding: &'static str,
    /// None: the bytes are UTF-8 already.
    decoder: Option<Decoder>,
    /// Bytes of a byte order mark to pass over.
    skip: usize,
    /// Bytes that are not text yet: an unfinished character.
    raw: Vec<u8>,
    text: String,
    start: usize,
    /// Bytes of the file's contents that became text.
    decoded: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    NotText,
}

/// What came of the wish for more text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// There is more.
    Text,
    /// There is none: the file ends here.
    End,
    /// What follows is not text; see [`Window::not_text`].
    NotText,
}

impl Window {
    /// The text that is there.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.start..]
    }

    /// Passes over the first bytes of it.
    pub(super) fn take(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Makes the window wider; `line` is where the record begins that needs it.
    pub(super) fn more(&mut self, line: u64) -> Result<More, IngestError> {
        match self.state {
            State::Open => {}
            State::Ended => return Ok(More::End),
            State::NotText => return Ok(More::NotText),
        }
        self.text.drain(..self.start);
        self.start = 0;
        if self.text.len() > MAX_RECORD {
            return Err(too_long(line));
        }
        // In steps that grow, as the record is scanned anew after each.
        let room = MAX_RECORD + BLOCK - self.text.len();
        let wanted = BLOCK.max(self.text.len()).min(room);
        let kept = self.raw.len();
        let mut limited = (&mut self.contents).take(wanted as u64);
        let count = limited.read_to_end(&mut self.raw).map_err(explain)?;
        debug_assert_eq!(self.raw.len(), kept + count);
        let skip = std::mem::take(&mut self.skip).min(self.raw.len());
        self.raw.drain(..skip);
        self.decoded += skip as u64;
        let is_last = count < wanted;
        let sound = match &mut self.decoder {
            None => self.append(is_last),
            Some(_) => self.decode(is_last),
        };
        self.state = match (sound, is_last) {
            (false, _) => State::NotText,
            (true, true) => State::Ended,
            (true, false) => State::Open,
        };
        Ok(match self.state {
            State::NotText if self.text.is_empty() => More::NotText,
            State::Ended if self.text.is_empty() => More::End,
            _ => More::Text,
        })
    }

    /// The error for bytes that are not text, behind all text that is there. The caller knows the line at
    /// which that text begins, and in which field it ends.
    pub(super) fn not_text(&self, line: u64, column: Option<u64>) -> IngestError {
        let breaks = memchr::memchr_iter(b'\n', self.rest().as_bytes()).count();
        let place = Place {
            line: Some(line + breaks as u64),
            column,
            byte: Some(self.decoded),
        };
        match self.encoding {
            "UTF-8" => IngestError::bad(
                place,
                "the text is not valid UTF-8",
                "convert the file to UTF-8, or name its encoding, for example `encoding=windows-1252`",
            ),
            other => IngestError::bad(
                place,
                format!("the text is not valid {other}"),
                "name its real encoding, or convert the file to UTF-8",
            ),
        }
    }

    /// Takes bytes as they are; false when they are not UTF-8.
    fn append(&mut self, is_last: bool) -> bool {
        let (valid, sound) = match std::str::from_utf8(&self.raw) {
            Ok(text) => {
                self.text.push_str(text);
                (text.len(), true)
            }
            Err(error) => {
                let valid = error.valid_up_to();
                let text = self.raw.get(..valid).map(std::str::from_utf8);
                if let Some(Ok(text)) = text {
                    self.text.push_str(text);
                }
                (valid, error.error_len().is_none() && !is_last)
            }
        };
        self.raw.drain(..valid);
        self.decoded += valid as u64;
        sound
    }

    /// Decodes bytes; false when they are not text of the encoding.
    fn decode(&mut self, is_last: bool) -> bool {
        let Some(decoder) = &mut self.decoder else {
            return true;
        };
        let mut read = 0;
        let outcome = loop {
            self.text.reserve(BLOCK);
            let (outcome, used) = decoder.decode_to_string_without_replacement(
                &self.raw[read..],
                &mut self.text,
                is_last,
            );
            read += used;
            if outcome != DecoderResult::OutputFull {
                break outcome;
            }
        };
        let bad = match outcome {
            DecoderResult::Malformed(bad, after) => usize::from(bad) + usize::from(after),
            _ => 0,
        };
        self.raw.drain(..read);
        self.decoded += (read - bad.min(read)) as u64;
        outcome == DecoderResult::InputEmpty
    }
}

fn too_long(line: u64) -> IngestError {
    IngestError::bad(
        Place::line(line),
        format!(
            "the record that begins here is longer than {} MiB",
            MAX_RECORD >> 20
        ),
        "close the quote or bracket that was left open, or split the record",
    )
}

#[cfg(test)]
mod tests;
