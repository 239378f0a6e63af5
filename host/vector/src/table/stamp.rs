//! The stamp in a file of vectors: what it is, and in which version.
//!
//! Two entries of the Parquet footer, `boathouse.format` and `boathouse.format_version`. A file without them
//! is of version 1: the first files had none, and other programs write none.

use parquet::file::metadata::{FileMetaData, KeyValue};

use super::broken;
use crate::error::VectorError;

const FORMAT_KEY: &str = "boathouse.format";
const VERSION_KEY: &str = "boathouse.format_version";
const FORMAT: &str = "boathouse/vectors";
const VERSION: u64 = 1;

/// What is written into the footer.
pub(super) fn stamp() -> Vec<KeyValue> {
    vec![
        KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_owned()),
        KeyValue::new(VERSION_KEY.to_owned(), VERSION.to_string()),
    ]
}

/// Refuses what is something else or newer than this program.
pub(super) fn check(footer: &FileMetaData) -> Result<(), VectorError> {
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
        None | Some(Ok(1..=VERSION)) => Ok(()),
        Some(Ok(found)) => Err(VectorError::NewerFormat {
            what: "vectors",
            found,
            supported: VERSION,
        }),
        Some(Err(_)) => Err(broken("its format version is no number")),
    }
}
