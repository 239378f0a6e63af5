//! Cuts a CSV text into records and fields, counting lines.
//!
//! As RFC 4180 and more lenient: lines end with a line feed, a carriage return or both; blank lines are passed
//! over; a quote is one only at the start of a field; what follows the closing quote up to the delimiter belongs
//! to the field. Memory is one record and a block. Fields without escapes are slices of the text.

use super::super::{
    bytes::Stops,
    text::{More, Window},
};
use crate::{IngestError, error::Place};

/// How a CSV text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Stands between fields.
    pub(super) delimiter: u8,
    /// Stands around fields.
    pub(super) quote: Option<u8>,
    /// Stands before a character inside quotes that is meant as such. A doubled quote is always one.
    pub(super) escape: Option<u8>,
    /// Begins lines that are passed over.
    pub(super) comment: Option<u8>,
}

/// Where a field's text is.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
    /// In the scratch rather than in the text.
    is_copy: bool,
}

/// The fields of one record.
#[derive(Debug)]
pub(super) struct Fields {
    dialect: Dialect,
    /// Bytes that end a field without quotes.
    ends: Stops<3>,
    spans: Vec<Span>,
    /// Texts of fields with escapes, one behind the other.
    scratch: String,
}

/// What a look for a record found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// One of so many bytes, its end included, that goes over so many ends of lines.
    Record {
        /// Bytes.
        length: usize,
        /// Ends of lines.
        lines: u64,
    },
    /// Its end is not in this text.
    NoEnd {
        /// Where the quote stands that is open, if one is.
        quote: Option<usize>,
    },
}

impl Fields {
    /// No fields yet.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            ends: Stops::new([dialect.delimiter, b'\r', b'\n'], 0),
            dialect,
            spans: Vec::new(),
            scratch: String::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// A field's text, out of the text that was looked at.
    pub(super) fn get<'a>(&'a self, text: &'a str, at: usize) -> &'a str {
        match self.spans.get(at) {
            Some(span) if span.is_copy => &self.scratch[span.from..span.to],
            Some(span) => &text[span.from..span.to],
            None => "",
        }
    }

    /// Looks for the record at the start of `text`, which is not blank. `is_all`: the file ends with the text.
    pub(super) fn find(&mut self, text: &str, is_all: bool) -> Found {
        let bytes = text.as_bytes();
        let quote = self.dialect.quote;
        self.spans.clear();
        self.scratch.clear();
        let mut lines = 0;
        let mut at = 0;
        loop {
            let is_quoted = quote.is_some() && bytes.get(at).copied() == quote;
            let end = match is_quoted {
                true => match self.quoted(text, at, is_all) {
                    Some(end) => {
                        lines += memchr::memchr_iter(b'\n', &bytes[at..end]).count() as u64;
                        end
                    }
                    None => return Found::NoEnd { quote: Some(at) },
                },
                false => {
                    let end = at + self.ends.before(&bytes[at..]);
                    self.push(at, end, false);
                    end
                }
            };
            let is_cut = match (bytes.get(end), bytes.get(end + 1)) {
                (None, _) => !is_all,
                // A line feed may follow.
                (Some(b'\r'), None) => !is_all,
                _ => false,
            };
            if is_cut {
                return Found::NoEnd { quote: None };
            }
            let length = match (bytes.get(end), bytes.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => end + 2,
                (Some(b'\r' | b'\n'), _) => end + 1,
                (None, _) => end,
                (Some(_), _) => {
                    at = end + 1;
                    continue;
                }
            };
            return Found::Record {
                length,
                lines: lines + 1,
            };
        }
    }

    /// Takes the field whose quote stands at `open`; gives where it ends, none when that is not here.
    fn quoted(&mut self, text: &str, open: usize, is_all: bool) -> Option<usize> {
        let bytes = text.as_bytes();
        let quote = self.dialect.quote?;
        let copy = self.scratch.len();
        // Up to where the text was copied, and looked at.
        let (mut copied, mut at) = (open + 1, open + 1);
        loop {
            at += match self.dialect.escape {
                Some(escape) => memchr::memchr2(quote, escape, &bytes[at..])?,
                None => memchr::memchr(quote, &bytes[at..])?,
            };
            if bytes[at] == quote && bytes.get(at + 1) != Some(&quote) {
                break;
            }
            // A doubled quote or an escape: what follows stands for itself.
            self.scratch.push_str(&text[copied..at]);
            copied = at + 1;
            at = copied + text[copied..].chars().next()?.len_utf8();
        }
        if at + 1 == bytes.len() && !is_all {
            return None;
        }
        let end = at + 1 + self.ends.before(&bytes[at + 1..]);
        if end == bytes.len() && !is_all {
            return None;
        }
        if copied == open + 1 && end == at + 1 {
            self.push(copied, at, false);
            return Some(end);
        }
        self.scratch.push_str(&text[copied..at]);
        self.scratch.push_str(&text[at + 1..end]);
        self.push(copy, self.scratch.len(), true);
        Some(end)
    }

    fn push(&mut self, from: usize, to: usize, is_copy: bool) {
        self.spans.push(Span { from, to, is_copy });
    }
}

/// How many bytes of blank lines and comments stand at the start of a text, and their ends of lines.
pub(super) fn passed_over(text: &str, dialect: &Dialect, is_all: bool) -> (usize, u64) {
    let bytes = text.as_bytes();
    let (mut at, mut lines) = (0, 0);
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\n'), _) => lines += 1,
            (Some(b'\r'), Some(b'\n')) => {}
            (Some(b'\r'), None) if !is_all => return (at, lines),
            (Some(b'\r'), _) => lines += 1,
            (Some(byte), _) if Some(*byte) == dialect.comment => {
                match memchr::memchr2(b'\r', b'\n', &bytes[at..]) {
                    // Its end is taken as a blank line's in the next round.
                    Some(length) => at += length - 1,
                    None if is_all => return (bytes.len(), lines),
                    None => return (at, lines),
                }
            }
            _ => return (at, lines),
        }
        at += 1;
    }
}

/// The records of a text, one after another.
pub(super) struct Records {
    window: Window,
    dialect: Dialect,
    fields: Fields,
    /// The line on which the record begins, from 1.
    line: u64,
    /// What is passed over before the next record.
    length: usize,
    lines: u64,
    is_all: bool,
}

impl Records {
    /// Begins behind so many lines of a text.
    pub(super) fn new(window: Window, dialect: Dialect, skip: u64) -> Result<Self, IngestError> {
        let mut records = Self {
            window,
            dialect,
            fields: Fields::new(dialect),
            line: 1,
            length: 0,
            lines: 0,
            is_all: false,
        };
        for _ in 0..skip {
            records.skip_line()?;
        }
        Ok(records)
    }

    /// Moves to the next record; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, IngestError> {
        self.pass(self.length, self.lines);
        (self.length, self.lines) = (0, 0);
        loop {
            let rest = self.window.rest();
            let (bytes, lines) = passed_over(rest, &self.dialect, self.is_all);
            self.pass(bytes, lines);
            let rest = self.window.rest();
            if !rest.is_empty() {
                let found = self.fields.find(rest, self.is_all);
                match found {
                    Found::Record { length, lines } => {
                        (self.length, self.lines) = (length, lines);
                        return Ok(true);
                    }
                    Found::NoEnd { quote } if self.is_all => return Err(self.open_quote(quote)),
                    Found::NoEnd { .. } => {}
                }
            } else if self.is_all {
                return Ok(false);
            }
            self.widen()?;
        }
    }

    /// How many fields the record has.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field of the record.
    pub(super) fn field(&self, at: usize) -> &str {
        self.fields.get(self.window.rest(), at)
    }

    /// The line on which the record begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    fn skip_line(&mut self) -> Result<(), IngestError> {
        loop {
            let rest = self.window.rest().as_bytes();
            match memchr::memchr(b'\n', rest) {
                Some(at) => {
                    self.pass(at + 1, 1);
                    return Ok(());
                }
                None if self.is_all => {
                    let all = rest.len();
                    self.pass(all, 0);
                    return Ok(());
                }
                None => self.widen()?,
            }
        }
    }

    fn pass(&mut self, bytes: usize, lines: u64) {
        self.window.take(bytes);
        self.line += lines;
    }

    fn widen(&mut self) -> Result<(), IngestError> {
        match self.window.more(self.line)? {
            More::Text => Ok(()),
            More::End => {
                self.is_all = true;
                Ok(())
            }
            More::NotText => {
                // The fields up to the first bad byte tell its column.
                let found = self.fields.find(self.window.rest(), true);
                let is_open = matches!(found, Found::NoEnd { .. });
                let column = self.fields.len() as u64 + u64::from(is_open);
                Err(self.window.not_text(self.line, Some(column)))
            }
        }
    }

    fn open_quote(&self, quote: Option<usize>) -> IngestError {
        let before = &self.window.rest().as_bytes()[..quote.unwrap_or(0)];
        let lines = memchr::memchr_iter(b'\n', before).count() as u64;
        IngestError::bad(
            Place::line(self.line + lines),
            "a quote is opened here and never closed",
            "close the quote, or double it if it belongs to the text",
        )
    }
}
