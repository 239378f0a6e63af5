//! Which format a file has: said by the caller, by its first bytes, by its name, in this order of trust.

use std::fs::File;

use serde::{Deserialize, Serialize};

use super::{
    input::FileInput,
    meter::{BOM, read_range},
};
use crate::{IngestError, error::Place};

/// A format that can be ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Text with a header and a delimiter.
    Csv,
    /// One array of objects, or objects one a line.
    Json,
    /// One object a line.
    #[serde(alias = "jsonl", alias = "ndjson", alias = "json-lines")]
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// Opens a file and settles its format.
pub(super) fn open(
    input: &FileInput,
    label: &str,
    said: Option<FileFormat>,
) -> Result<(File, FileFormat), IngestError> {
    let file = input.open(label)?;
    let head = read_range(&file, 0, 4_096).map_err(IngestError::Spool)?;
    refuse_containers(&head)?;
    if head.is_empty() {
        return Err(IngestError::bad(
            Place::default(),
            "the file is empty",
            "a file needs column names and at least one row",
        ));
    }
    let is_parquet = head.starts_with(b"PAR1");
    if said == Some(FileFormat::Parquet) && !is_parquet {
        return Err(IngestError::bad(
            Place::default(),
            "the file is no Parquet file: it does not begin with `PAR1`",
            "name its real format",
        ));
    }
    let format = match said {
        _ if is_parquet => FileFormat::Parquet,
        Some(FileFormat::Json) => json_layout(&head),
        Some(format) => format,
        None => by_name(label)
            .or(input.name().as_deref().and_then(by_name))
            .map_or_else(
                || by_content(&head),
                |format| match format {
                    FileFormat::Json => json_layout(&head),
                    other => other,
                },
            ),
    };
    Ok((file, format))
}

/// A format by the end of a file's name.
fn by_name(name: &str) -> Option<FileFormat> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "tab" => Some(FileFormat::Csv),
        "json" => Some(FileFormat::Json),
        "jsonl" | "ndjson" => Some(FileFormat::JsonLines),
        _ => None,
    }
}

fn by_content(head: &[u8]) -> FileFormat {
    match first_mark(head) {
        Some(b'{' | b'[') => json_layout(head),
        _ => FileFormat::Csv,
    }
}

/// An array when it begins with a bracket, otherwise lines.
fn json_layout(head: &[u8]) -> FileFormat {
    match first_mark(head) {
        Some(b'{') => FileFormat::JsonLines,
        _ => FileFormat::Json,
    }
}

fn first_mark(head: &[u8]) -> Option<u8> {
    let text = head.strip_prefix(BOM).unwrap_or(head);
    text.iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace())
}

/// Names compressed files and spreadsheets for what they are.
fn refuse_containers(head: &[u8]) -> Result<(), IngestError> {
    let (what, cure) = match head {
        [0x1F, 0x8B, ..] => ("compressed with gzip", "decompress it first"),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => ("compressed with zstd", "decompress it first"),
        [b'B', b'Z', b'h', ..] => ("compressed with bzip2", "decompress it first"),
        [b'P', b'K', 3, 4, ..] => (
            "a zip archive or a spreadsheet",
            "unpack it, or export the sheet as CSV",
        ),
        _ => return Ok(()),
    };
    Err(IngestError::bad(
        Place::default(),
        format!("the file is {what}"),
        cure,
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn detect(name: &str, bytes: &[u8], said: Option<FileFormat>) -> Result<FileFormat, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        open(&FileInput::Path(file.path().to_owned()), name, said)
            .map(|(_, format)| format)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn formats_are_told_apart() {
        use FileFormat::{Csv, Json, JsonLines, Parquet};
        for (name, bytes, said, expected) in [
            ("x.csv", "{a,b\n", None, Csv),
            ("x.tsv", "a\tb\n", None, Csv),
            ("x.json", " [{}]", None, Json),
            ("x.json", "{}\n{}", None, JsonLines),
            ("x.json", "{}\n{}", Some(Json), JsonLines),
            ("x.ndjson", "{}", None, JsonLines),
            ("upload", "\u{feff}[{}]", None, Json),
            ("upload", "{}", None, JsonLines),
            ("upload", "a;b\n1;2\n", None, Csv),
            ("x.csv", "PAR1...", None, Parquet),
        ] {
            assert_eq!(
                detect(name, bytes.as_bytes(), said),
                Ok(expected),
                "{name} {bytes:?}"
            );
        }
    }

    #[test]
    fn what_is_no_table_is_named() {
        for (bytes, said, expected) in [
            (
                &b"\x1F\x8B\x08"[..],
                None,
                "the file is compressed with gzip; decompress",
            ),
            (
                b"PK\x03\x04",
                None,
                "the file is a zip archive or a spreadsheet; unpack",
            ),
            (b"", None, "the file is empty"),
            (
                b"a,b",
                Some(FileFormat::Parquet),
                "the file is no Parquet file",
            ),
        ] {
            let message = detect("x", bytes, said).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
        let nowhere = FileInput::Path("/nonexistent/x.csv".into());
        let missing = open(&nowhere, "x.csv", None).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "there is no file `x.csv`: check the path"
        );
    }
}
