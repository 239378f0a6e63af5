//! Which format a file has: said by the caller, by its first bytes, by its name, in this order of trust.
//!
//! A file that is called Parquet or Arrow and begins otherwise is refused unless its format is said: it is more
//! likely damaged, or not what it is taken for, than a text. Any other difference between name and content is told.

use std::fmt;

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use super::{arrow_ipc, compress::Compression};
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
    /// Arrow IPC, a file or a stream.
    #[serde(alias = "ipc", alias = "feather", alias = "arrows")]
    Arrow,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::JsonLines => "JSON lines",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
        })
    }
}

impl FileFormat {
    /// Whether it is text.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Json | Self::JsonLines)
    }
}

/// Settles the format of a file by its contents' first bytes, what is said, and its names.
pub(super) fn settle(
    head: &[u8],
    names: &[&str],
    said: Option<FileFormat>,
) -> Result<FileFormat, IngestError> {
    refuse_containers(head)?;
    if head.is_empty() {
        return Err(IngestError::bad(
            Place::default(),
            "the file is empty",
            "a file needs column names and at least one row",
        ));
    }
    let is_parquet = head.starts_with(b"PAR1");
    let is_arrow = arrow_ipc::is_arrow(head);
    let missing = match said {
        Some(FileFormat::Parquet) if !is_parquet => {
            Some("Parquet file: it does not begin with `PAR1`")
        }
        Some(FileFormat::Arrow) if !is_arrow => Some("Arrow file or stream: it begins otherwise"),
        _ => None,
    };
    if let Some(missing) = missing {
        return Err(IngestError::bad(
            Place::default(),
            format!("the file is no {missing}"),
            "name its real format",
        ));
    }
    if said.is_none()
        && let Some(named @ (FileFormat::Parquet | FileFormat::Arrow)) = by_names(names)
        && !is_parquet
        && !is_arrow
    {
        return Err(IngestError::bad(
            Place::default(),
            format!("the file is called {named} by its name and begins otherwise"),
            "send the file that was meant, or say its format if it is right",
        ));
    }
    Ok(match said.or_else(|| by_names(names)) {
        _ if is_parquet => FileFormat::Parquet,
        _ if is_arrow => FileFormat::Arrow,
        Some(FileFormat::Json) => json_layout(head),
        Some(format) => format,
        None => by_content(head),
    })
}

/// How the name of a file misleads about its format, if it does.
pub(super) fn difference(names: &[&str], format: FileFormat) -> Option<String> {
    let named = by_names(names)?;
    let is_json = |format| matches!(format, FileFormat::Json | FileFormat::JsonLines);
    let agrees = named == format || (is_json(named) && is_json(format));
    (!agrees).then(|| format!("the file is called {named} by its name and was read as {format}"))
}

/// A format by the first of a file's names that tells one.
fn by_names(names: &[&str]) -> Option<FileFormat> {
    let names = names.iter().map(|name| Compression::strip(name));
    names.into_iter().find_map(by_name)
}

/// A format by the end of a file's name.
fn by_name(name: &str) -> Option<FileFormat> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" | "tab" | "psv" => Some(FileFormat::Csv),
        "json" => Some(FileFormat::Json),
        "jsonl" | "ndjson" => Some(FileFormat::JsonLines),
        "parquet" | "pq" => Some(FileFormat::Parquet),
        "arrow" | "arrows" | "feather" | "ipc" => Some(FileFormat::Arrow),
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
    let text = match Encoding::for_bom(head) {
        Some((encoding, length)) => encoding.decode_without_bom_handling(&head[length..]).0,
        None => String::from_utf8_lossy(head),
    };
    text.trim_ascii_start().bytes().next()
}

/// Names archives, spreadsheets and what else is often taken for a table, for what they are.
fn refuse_containers(head: &[u8]) -> Result<(), IngestError> {
    let unpack = "unpack it";
    let (what, cure) = match head {
        [b'P', b'K', 3, 4, ..] => (
            "a zip archive or a spreadsheet",
            "unpack it, or export the sheet as CSV",
        ),
        [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => ("compressed with xz", "decompress it first"),
        [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => ("a 7z archive", unpack),
        [b'O', b'b', b'j', 1, ..] => ("an Avro file", "export it as Parquet or JSON lines"),
        _ if head.get(257..262) == Some(&b"ustar"[..]) => ("a tar archive", unpack),
        _ => match Compression::of(head) {
            Compression::None => return Ok(()),
            _ => ("compressed twice", "decompress it once"),
        },
    };
    Err(IngestError::bad(
        Place::default(),
        format!("the file is {what}"),
        cure,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(name: &str, bytes: &[u8], said: Option<FileFormat>) -> Result<FileFormat, String> {
        settle(bytes, &[name], said).map_err(|error| error.to_string())
    }

    #[test]
    fn formats_are_told_apart() {
        use FileFormat::{Arrow, Csv, Json, JsonLines, Parquet};
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
            ("x.csv", "ARROW1..", None, Arrow),
            ("x.json.gz", "{}", None, JsonLines),
            ("x.tsv.ZST", "{,", None, Csv),
            ("x.arrow", "PAR1...", None, Parquet),
            ("x.parquet", "a,b\n", Some(Csv), Csv),
        ] {
            assert_eq!(
                detect(name, bytes.as_bytes(), said),
                Ok(expected),
                "{name} {bytes:?}"
            );
        }
    }

    #[test]
    fn a_text_that_is_called_parquet_is_no_csv_in_silence() {
        for (name, words) in [("x.parquet", "Parquet"), ("x.feather.gz", "Arrow")] {
            let message = detect(name, b"id,n\n1,2\n", None).unwrap_err();
            assert!(
                message.contains(words) && message.contains("say its format"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_name_that_misleads_is_told() {
        use FileFormat::{Csv, Json, JsonLines, Parquet};
        let told = difference(&["upload", "x.csv.gz"], Parquet);
        assert_eq!(
            told.as_deref(),
            Some("the file is called CSV by its name and was read as Parquet")
        );
        for (name, format) in [
            ("x.csv", Csv),
            ("x.jsonl", Json),
            ("x.json", JsonLines),
            ("x", Csv),
        ] {
            assert_eq!(difference(&[name], format), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_table_is_named() {
        for (bytes, said, expected) in [
            (
                &b"\x1F\x8B\x08\0"[..],
                None,
                "the file is compressed twice; decompress",
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
    }
}
