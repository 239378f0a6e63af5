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

use std::{cmp::Ordering, collections::BTreeMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StorageError;

const FORMAT: &str = "boathouse/log";
const FORMAT_VERSION: u64 = 1;
const HEADER_START: &[u8] = br#"{"format":"boathouse/log","#;
const SECTION_START: &[u8] = br#"{"boathouse/batch":"#;
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchName {
    text: String,
    is_timed: bool,
}

impl BatchName {
    pub(super) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            is_timed: Uuid::try_parse(&text).is_ok(),
            text,
        }
    }

    pub(super) fn file_name(&self) -> String {
        format!("{}{EXTENSION}", self.text)
    }
}

impl Ord for BatchName {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.is_timed, &self.text).cmp(&(other.is_timed, &other.text))
    }
}

impl PartialOrd for BatchName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Batches by name, each as its lines.
pub(super) type Batches = BTreeMap<BatchName, Bytes>;

/// Whether a file name is that of a log's file.
pub(super) fn is_log_file(name: &str) -> bool {
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
            batch: name.text.clone(),
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
    for (at, line) in lines_from(bytes, start) {
        if let Some(section) = parse_section(line) {
            add(into, batch, bytes.slice(batch_start..at));
            batch = BatchName::new(section.batch);
            batch_start = (at + line.len() + 1).min(bytes.len());
        }
    }
    add(into, batch, bytes.slice(batch_start.min(bytes.len())..));
    Ok(())
}

/// The lines of a text, each with where it starts.
pub(super) fn lines_from(bytes: &[u8], start: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = start;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let line = first_line(rest);
        let found = (at, line);
        at += line.len() + 1;
        Some(found)
    })
}

fn first_line(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())]
}

fn add(batches: &mut Batches, name: BatchName, lines: Bytes) {
    if !lines.is_empty() {
        batches.entry(name).or_insert(lines);
    }
}

fn parse_section(line: &[u8]) -> Option<Section> {
    line.starts_with(SECTION_START)
        .then(|| serde_json::from_slice(line).ok())
        .flatten()
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
            .map(|(name, lines)| (name.text, String::from_utf8_lossy(&lines).into_owned()))
            .collect())
    }

    fn pair(name: &str, lines: &str) -> (String, String) {
        (name.to_owned(), lines.to_owned())
    }

    #[test]
    fn the_constants_are_what_is_written() {
        assert!(header_line().starts_with(HEADER_START));
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
                BatchName::new(Uuid::nil().to_string()),
                Bytes::from_static(b"2\n"),
            ),
        ]);
        let mut again = Batches::new();
        read_file("c.compact.jsonl", &compacted_file(&batches), &mut again).unwrap();
        let names: Vec<_> = again.keys().map(|name| name.text.as_str()).collect();
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
