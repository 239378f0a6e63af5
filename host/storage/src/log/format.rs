//! The bytes of a log's files.
//!
//! A file is `{batch}.jsonl`, where the batch is a UUID of version 7:
//!
//! ```text
//! {"format":"boathouse/log","format_version":1}      header, always the first line
//! {"id":"t1",...}                                    one record a line
//! ```
//!
//! A compacted file, `{uuid}.compact.jsonl`, is several batches, each after a line that names it:
//!
//! ```text
//! {"format":"boathouse/log","format_version":1}
//! {"boathouse/batch":"0199..."}
//! {"id":"t1",...}
//! {"boathouse/batch":"019a..."}
//! {"id":"t2",...}
//! ```
//!
//! Lines before any such line belong to the batch named by the file itself. So every record belongs to
//! one named batch, wherever a copy of it lies, and a reader takes each batch once. Files of older
//! journals have no header and any name; they sort before the others, by name. Lines are kept as they
//! are, readable or not: what one release cannot read another may.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, fmt::Hyphenated};

use crate::StorageError;

const FORMAT: &str = "boathouse/log";
const FORMAT_VERSION: u64 = 1;
const HEADER_START: &[u8] = br#"{"format":"boathouse/log","#;
const SECTION_START: &[u8] = br#"{"boathouse/batch":"#;
const LINE_AND_SECTION_START: &[u8] = b"\n{\"boathouse/batch\":";
const EXTENSION: &str = ".jsonl";
const COMPACTED: &str = ".compact.jsonl";

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    format_version: u64,
}

#[derive(Serialize, Deserialize)]
struct Section {
    #[serde(rename = "boathouse/batch")]
    batch: String,
}

/// The name of a batch; sorts by time, and names that are no UUID first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BatchName {
    /// Of an older journal: any text.
    Older(String),
    /// A UUID of version 7, whose order as a number is that of its text.
    Timed(Uuid),
}

impl BatchName {
    pub(super) fn new(text: &str) -> Self {
        // In its usual form only, so that the text can be told from the number.
        let is_usual =
            text.len() == Hyphenated::LENGTH && !text.contains(|c: char| c.is_uppercase());
        match Uuid::try_parse(text) {
            Ok(uuid) if is_usual => Self::Timed(uuid),
            _ => Self::Older(text.to_owned()),
        }
    }

    pub(super) fn file_name(&self) -> String {
        format!("{self}{EXTENSION}")
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Older(text) => f.write_str(text),
            Self::Timed(uuid) => uuid.hyphenated().fmt(f),
        }
    }
}

/// Batches by name, each as its lines.
pub(super) type Batches = BTreeMap<BatchName, Bytes>;

/// Whether a file name is that of a log's file.
pub(crate) fn is_log_file(name: &str) -> bool {
    name.ends_with(EXTENSION)
}

/// Whether a file name is that of a compacted file.
pub(super) fn is_compacted(name: &str) -> bool {
    name.ends_with(COMPACTED)
}

/// The name of a new compacted file.
pub(super) fn compacted_name(id: &str) -> String {
    format!("{id}{COMPACTED}")
}

/// The first line of a file.
pub(super) fn header_line() -> Vec<u8> {
    line(&Header {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
    })
}

/// The bytes of a compacted file.
pub(super) fn compacted_file(batches: &Batches) -> Bytes {
    let mut bytes = header_line();
    for (name, lines) in batches {
        bytes.extend(line(&Section {
            batch: name.to_string(),
        }));
        bytes.extend_from_slice(lines);
        if !lines.ends_with(b"\n") {
            bytes.push(b'\n');
        }
    }
    bytes.into()
}

/// Adds the batches of a file; a batch that is there already is another copy and is left out.
pub(super) fn read_file(path: &str, bytes: &Bytes, into: &mut Batches) -> Result<(), StorageError> {
    let start = match first_line(bytes) {
        first if first.starts_with(HEADER_START) => {
            check_header(path, first)?;
            first.len() + 1
        }
        _ => 0,
    };
    let file_name = path.rsplit('/').next().unwrap_or(path);
    let mut batch = BatchName::new(file_name.strip_suffix(EXTENSION).unwrap_or(file_name));
    let mut batch_start = start;
    for at in section_starts(bytes, start) {
        let line = first_line(&bytes[at..]);
        if let Some(next) = parse_section(line) {
            add(into, batch, bytes.slice(batch_start..at));
            batch = next;
            batch_start = (at + line.len() + 1).min(bytes.len());
        }
    }
    add(into, batch, bytes.slice(batch_start.min(bytes.len())..));
    Ok(())
}

/// The lines of a file, without its header and without blank ones. A first line that looks like a header counts as one,
/// whatever it says.
pub(super) fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let is_header = |line: &[u8]| {
        line.starts_with(HEADER_START) || serde_json::from_slice::<Header>(line).is_ok()
    };
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(at, line)| *at > 0 || !is_header(line));
    lines
        .map(|(_, line)| line)
        .filter(|line| !line.trim_ascii().is_empty())
        .collect()
}

/// Whether a file holds nothing, or nothing but a header. None is written so.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    let body = match first_line(bytes) {
        first if first.starts_with(HEADER_START) => bytes.get(first.len()..).unwrap_or_default(),
        _ => bytes,
    };
    body.trim_ascii().is_empty()
}

/// Where lines begin that look like one that names a batch.
fn section_starts(bytes: &[u8], start: usize) -> impl Iterator<Item = usize> {
    let text = bytes.get(start..).unwrap_or_default();
    let first = text.starts_with(SECTION_START).then_some(start);
    let others = memchr::memmem::find_iter(text, LINE_AND_SECTION_START);
    first
        .into_iter()
        .chain(others.map(move |at| start + at + 1))
}

fn first_line(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())]
}

fn add(batches: &mut Batches, name: BatchName, lines: Bytes) {
    if !lines.is_empty() {
        batches.entry(name).or_insert(lines);
    }
}

fn parse_section(line: &[u8]) -> Option<BatchName> {
    let written = line.strip_prefix(SECTION_START)?;
    // As this program writes it, and else as JSON allows.
    let plain = written
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\"}"));
    if let Some(name) = plain.and_then(|name| std::str::from_utf8(name).ok())
        && name.len() == Hyphenated::LENGTH
        && let timed @ BatchName::Timed(_) = BatchName::new(name)
    {
        return Some(timed);
    }
    let section: Section = serde_json::from_slice(line).ok()?;
    Some(BatchName::new(&section.batch))
}

fn check_header(path: &str, line: &[u8]) -> Result<(), StorageError> {
    let header: Header = serde_json::from_slice(line).map_err(|e| StorageError::Damaged {
        path: path.to_owned(),
        reason: format!("its header does not read: {e}"),
    })?;
    if header.format_version > FORMAT_VERSION {
        return Err(StorageError::NewerFormat {
            path: path.to_owned(),
            format: FORMAT,
            found: header.format_version,
            supported: FORMAT_VERSION,
        });
    }
    Ok(())
}

fn line(value: &impl Serialize) -> Vec<u8> {
    // A struct of a string and a number always has a JSON form.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<(String, String)>, StorageError> {
        let mut batches = Batches::new();
        read_file(name, &Bytes::copy_from_slice(text.as_bytes()), &mut batches)?;
        Ok(batches
            .into_iter()
            .map(|(name, lines)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(&lines).into_owned(),
                )
            })
            .collect())
    }

    fn pair(name: &str, lines: &str) -> (String, String) {
        (name.to_owned(), lines.to_owned())
    }

    #[test]
    fn the_constants_are_what_is_written() {
        assert!(header_line().starts_with(HEADER_START));
        assert_eq!(&LINE_AND_SECTION_START[1..], SECTION_START);
        let batches = Batches::from([(BatchName::new("a"), Bytes::from_static(b"1"))]);
        let file = compacted_file(&batches);
        assert!(file[header_line().len()..].starts_with(SECTION_START));
    }

    #[test]
    fn plain_compacted_and_older_files_read() {
        let head = r#"{"format":"boathouse/log","format_version":1}"#;
        let check = |text: &str, expected: &[(String, String)]| {
            assert_eq!(read("p/x.jsonl", text).unwrap(), expected, "{text:?}");
        };
        check("", &[]);
        check(head, &[]);
        check(&format!("{head}\n"), &[]);
        check(&format!("{head}\n1\n2\n"), &[pair("x", "1\n2\n")]);
        check("1\n2", &[pair("x", "1\n2")]);
        check(
            &format!(
                "{head}\n{{\"boathouse/batch\":\"a\"}}\n1\n2\n{{\"boathouse/batch\":\"b\"}}\n3"
            ),
            &[pair("a", "1\n2\n"), pair("b", "3")],
        );
        check(&format!("{head}\n{{\"boathouse/batch\":\"a\"}}"), &[]);
    }

    #[test]
    fn compaction_keeps_every_line_and_name() {
        let batches = Batches::from([
            (BatchName::new("old"), Bytes::from_static(b"1\ntorn")),
            (
                BatchName::new(&Uuid::nil().to_string()),
                Bytes::from_static(b"2\n"),
            ),
        ]);
        let mut again = Batches::new();
        read_file("c.compact.jsonl", &compacted_file(&batches), &mut again).unwrap();
        let names: Vec<_> = again.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["old", &Uuid::nil().to_string()]);
        assert_eq!(again[&BatchName::new("old")], "1\ntorn\n");
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let error = read(
            "x.jsonl",
            "{\"format\":\"boathouse/log\",\"format_version\":2}\n1\n",
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("boathouse/log") && error.contains('2'),
            "{error}"
        );
        assert!(read("x.jsonl", "{\"format\":\"boathouse/log\",\"for").is_err());
    }
}
