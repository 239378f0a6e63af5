//! The stamp in a file of vectors: what it is, and in which version.
//!
//! Two entries of the Parquet footer, `boathouse.format` and `boathouse.format_version`. A file without them
//! is of version 1: the first files had none, and other programs write none. Version 2 has several vectors for a
//! document, which a program that does not know of it would take for as many documents.

use parquet::file::metadata::{FileMetaData, KeyValue};

use super::broken;
use crate::error::VectorError;

const FORMAT_KEY: &str = "boathouse.format";
const VERSION_KEY: &str = "boathouse.format_version";
const FORMAT: &str = "boathouse/vectors";
/// One vector for each document.
const WHOLE: u64 = 1;
/// Vectors of pieces.
const PIECES: u64 = 2;

/// What is written into the footer of vectors that are of pieces, or not.
pub(super) fn stamp(of_pieces: bool) -> Vec<KeyValue> {
    let version = if of_pieces { PIECES } else { WHOLE };
    vec![
        KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_owned()),
        KeyValue::new(VERSION_KEY.to_owned(), version.to_string()),
    ]
}

/// Whether the vectors are of pieces. Refuses what is something else or newer than this program.
pub(super) fn are_of_pieces(footer: &FileMetaData) -> Result<bool, VectorError> {
    let value = |key: &str| {
        let entries = footer.key_value_metadata().into_iter().flatten();
        let mut found = entries.filter(|entry| entry.key == key);
        found.next().and_then(|entry| entry.value.as_deref())
    };
    if let Some(other) = value(FORMAT_KEY).filter(|format| *format != FORMAT) {
        let shown: String = other.escape_debug().take(80).collect();
        return Err(broken(format!("it is a `{shown}`, not a `{FORMAT}`")));
    }
    match value(VERSION_KEY).map(str::parse) {
        None | Some(Ok(WHOLE)) => Ok(false),
        Some(Ok(PIECES)) => Ok(true),
        Some(Ok(0)) => Err(broken("its format version is 0")),
        Some(Ok(found)) => Err(VectorError::NewerFormat {
            what: "vectors",
            found,
            supported: PIECES,
        }),
        Some(Err(_)) => Err(broken("its format version is no number")),
    }
}
