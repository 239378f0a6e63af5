//! CSV files: dialect, header, types, and errors that name line and field.
//!
//! The delimiter is found among comma, semicolon, tab and bar; quotes are `"`, doubled inside. A header is
//! required. An empty field is null, quoted or not; blank lines are skipped (so a table of one column
//! cannot hold nulls). Header names lose blanks at their ends, values do not. Text is UTF-8, with or
//! without a byte order mark.

use std::{collections::HashMap, fs::File, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::{
    columns::Columns,
    meter::{BOM, MAX_COLUMNS, MAX_RECORD, Metered, UTF8_CURE, not_utf8, read_range},
    profile::Profile,
    source::{Sink, Source, no_rows},
};
use crate::{IngestError, error::Place, watch::Watch};

/// Delimiters in order of preference.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Bytes and records that the dialect is judged by.
const SNIFF_BYTES: u64 = 64 << 10;
const SNIFF_RECORDS: usize = 200;

const READ_BUFFER: usize = 256 << 10;

/// A CSV file that was looked through.
pub(super) struct CsvFile {
    file: File,
    watch: Watch,
    start: u64,
    delimiter: u8,
    header: Vec<String>,
    profiles: Vec<Profile>,
    rows: u64,
}

impl CsvFile {
    /// Looks through the whole file.
    pub(super) fn open(file: File, watch: &Watch) -> Result<Self, IngestError> {
        let head = read_range(&file, 0, SNIFF_BYTES).map_err(IngestError::Spool)?;
        check_encoding(&head)?;
        let start = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let text = &head[start..];
        if text.iter().all(u8::is_ascii_whitespace) && (head.len() as u64) < SNIFF_BYTES {
            return Err(IngestError::bad(
                Place::default(),
                "the file is empty",
                "a CSV file begins with a line of column names",
            ));
        }
        let mut csv = Self {
            file,
            watch: watch.clone(),
            start: start as u64,
            delimiter: sniff(text),
            header: Vec::new(),
            profiles: Vec::new(),
            rows: 0,
        };
        csv.survey()?;
        Ok(csv)
    }

    /// The delimiter that was found.
    pub(super) fn delimiter(&self) -> char {
        char::from(self.delimiter)
    }

    fn survey(&mut self) -> Result<(), IngestError> {
        let mut records = self.records()?;
        if !records.advance()? {
            return Err(no_rows("the file has"));
        }
        self.header = header(&records)?;
        self.profiles = vec![Profile::default(); self.header.len()];
        let mut last = 0;
        while records.advance()? {
            last = records.start();
            records.check_length(self.header.len())?;
            for (at, profile) in self.profiles.iter_mut().enumerate() {
                let text = records.field(at)?;
                if !text.is_empty() {
                    profile.observe(text);
                }
            }
            self.rows += 1;
        }
        if self.rows == 0 {
            return Err(no_rows("the file has a header but"));
        }
        self.check_last_quote(last)
    }

    fn records(&self) -> Result<Records, IngestError> {
        let file = self.file.try_clone().map_err(IngestError::Spool)?;
        let metered = Metered::new(file, self.start, &self.watch).map_err(IngestError::Spool)?;
        let reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(READ_BUFFER)
            .from_reader(metered);
        Ok(Records {
            reader,
            record: ByteRecord::new(),
            file: self.file.try_clone().map_err(IngestError::Spool)?,
            offset: self.start,
        })
    }

    /// The reader takes the end of the file for the end of a quote; this does not.
    fn check_last_quote(&self, start: u64) -> Result<(), IngestError> {
        let raw = read_range(&self.file, start, MAX_RECORD * 2).map_err(IngestError::Spool)?;
        let Some(quote) = open_quote(&raw, self.delimiter) else {
            return Ok(());
        };
        let line = line_of(&self.file, self.start, start + quote as u64)?;
        Err(IngestError::bad(
            Place::line(line),
            "a quote is opened here and never closed",
            "close the quote, or double it if it belongs to the text",
        ))
    }
}

impl Source for CsvFile {
    fn schema(&self) -> SchemaRef {
        let fields: Vec<_> = self
            .header
            .iter()
            .zip(&self.profiles)
            .map(|(name, profile)| Field::new(name, profile.data_type(true), true))
            .collect();
        Arc::new(Schema::new(fields))
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn fits(&self, column: usize, data_type: &DataType) -> bool {
        self.profiles[column].fits(data_type)
    }

    fn absent_is_null(&self) -> bool {
        false
    }

    fn read(&mut self, schema: &SchemaRef, sink: &mut Sink<'_>) -> Result<(), IngestError> {
        let sources: Vec<usize> = schema
            .fields()
            .iter()
            .filter_map(|field| self.header.iter().position(|name| name == field.name()))
            .collect();
        let mut columns = Columns::new(schema)?;
        let mut records = self.records()?;
        records.advance()?;
        while records.advance()? {
            records.check_length(self.header.len())?;
            for (column, at) in sources.iter().enumerate() {
                let text = Some(records.field(*at)?).filter(|text| !text.is_empty());
                if !columns.push(column, text) {
                    return Err(records.misfit(*at, &self.header, schema.field(column)));
                }
            }
            if let Some(batch) = columns.end_row()? {
                sink(batch)?;
            }
        }
        columns.finish()?.map_or(Ok(()), sink)
    }
}

/// Records one after another, with what errors need to know.
struct Records {
    reader: Reader<Metered>,
    record: ByteRecord,
    file: File,
    /// Byte of the file at which the reader began.
    offset: u64,
}

impl Records {
    /// Moves to the next record; false at the end.
    fn advance(&mut self) -> Result<bool, IngestError> {
        self.reader.get_mut().begin_record();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(more) => Ok(more),
            Err(error) => {
                let line = line_of(&self.file, self.offset, self.start()).unwrap_or(1);
                let error = match error.into_kind() {
                    csv::ErrorKind::Io(error) => error,
                    other => std::io::Error::other(format!("{other:?}")),
                };
                Err(self.reader.get_ref().explain(error, line))
            }
        }
    }

    /// Byte of the file at which the record begins, or blank lines before it.
    fn start(&self) -> u64 {
        self.offset + self.record.position().map_or(0, csv::Position::byte)
    }

    fn line(&self) -> u64 {
        line_of(&self.file, self.offset, self.start()).unwrap_or(1)
    }

    fn check_length(&self, expected: usize) -> Result<(), IngestError> {
        let found = self.record.len();
        if found == expected {
            return Ok(());
        }
        Err(IngestError::bad(
            Place::at(self.line(), found.min(expected) as u64 + 1),
            format!("the record has {found} fields, the header has {expected}"),
            "quote fields that hold a delimiter or line break, close open quotes, or add the missing fields",
        ))
    }

    fn field(&self, at: usize) -> Result<&str, IngestError> {
        let bytes = self.record.get(at).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| self.not_utf8(at))
    }

    fn not_utf8(&self, at: usize) -> IngestError {
        let start = self.start();
        let end = self.offset + self.reader.position().byte();
        match read_range(&self.file, start, end - start) {
            Ok(raw) => {
                let blank = raw
                    .iter()
                    .take_while(|b| matches!(b, b'\r' | b'\n'))
                    .count();
                not_utf8(
                    &raw[blank..],
                    start + blank as u64,
                    self.line(),
                    Some(at as u64 + 1),
                )
            }
            Err(error) => IngestError::Spool(error),
        }
    }

    fn misfit(&self, at: usize, header: &[String], field: &Field) -> IngestError {
        IngestError::bad(
            Place::at(self.line(), at as u64 + 1),
            format!("the value of `{}` is no {}", header[at], field.data_type()),
            "do not change the file while it is read",
        )
    }
}

/// The line of the record that begins at `byte`, or after blank lines there. Only errors need it, so it is
/// counted when one occurs.
fn line_of(file: &File, start: u64, byte: u64) -> Result<u64, IngestError> {
    const STEP: u64 = 1 << 20;
    let mut line = 1;
    let mut at = start;
    loop {
        let bytes = read_range(file, at, STEP).map_err(IngestError::Spool)?;
        for value in &bytes {
            if at >= byte && !matches!(value, b'\r' | b'\n') {
                return Ok(line);
            }
            line += u64::from(*value == b'\n');
            at += 1;
        }
        if bytes.is_empty() {
            return Ok(line);
        }
    }
}

fn check_encoding(head: &[u8]) -> Result<(), IngestError> {
    let utf16 = head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF");
    if !utf16 && !head.contains(&0) {
        return Ok(());
    }
    let problem = match utf16 {
        true => "the text is UTF-16, not UTF-8",
        false => "the file holds zero bytes: it is binary, or UTF-16 text",
    };
    Err(IngestError::bad(Place::default(), problem, UTF8_CURE))
}

/// The delimiter under which the header has several fields and most records as many.
fn sniff(text: &[u8]) -> u8 {
    let score = |delimiter: u8| {
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(text);
        let mut lengths = reader
            .byte_records()
            .take(SNIFF_RECORDS)
            .flatten()
            .map(|r| r.len());
        let fields = lengths.next().unwrap_or(0);
        let (same, all) = lengths.fold((1, 1), |(same, all), length| {
            (same + usize::from(length == fields), all + 1)
        });
        (fields > 1).then_some((same * 1_000 / all, fields))
    };
    let mut best = (None, DELIMITERS[0]);
    for delimiter in DELIMITERS {
        let found = score(delimiter);
        if found > best.0 {
            best = (found, delimiter);
        }
    }
    best.1
}

/// The names in the first record.
fn header(records: &Records) -> Result<Vec<String>, IngestError> {
    let line = records.line();
    let count = records.record.len();
    if count > MAX_COLUMNS {
        return Err(IngestError::bad(
            Place::line(line),
            format!("the header has {count} columns, more than {MAX_COLUMNS}"),
            "split the table, or store it as Parquet",
        ));
    }
    let mut seen = HashMap::new();
    let mut names = Vec::with_capacity(count);
    for at in 0..count {
        let name = records.field(at)?.trim();
        let place = Place::at(line, at as u64 + 1);
        if name.is_empty() {
            return Err(IngestError::bad(
                place,
                "this column has no name",
                "name every column in the first line",
            ));
        }
        if let Some(first) = seen.insert(name.to_owned(), at + 1) {
            return Err(IngestError::bad(
                place,
                format!("column `{name}` appears twice in the header, first as field {first}"),
                "rename one of the two",
            ));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Where the quote begins that is still open at the end of `raw`, which begins with a record.
fn open_quote(raw: &[u8], delimiter: u8) -> Option<usize> {
    let mut open = None;
    let mut field_starts = true;
    let mut bytes = raw.iter().copied().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let next_is_quote = bytes.peek().is_some_and(|(_, next)| *next == b'"');
        match (open, byte) {
            (None, b'"') if field_starts => open = Some(at),
            (Some(_), b'"') if next_is_quote => {
                bytes.next();
            }
            (Some(_), b'"') => open = None,
            _ => {}
        }
        field_starts = open.is_none() && (byte == delimiter || matches!(byte, b'\r' | b'\n'));
    }
    open
}

#[cfg(test)]
mod tests;
