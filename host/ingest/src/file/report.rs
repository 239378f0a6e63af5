//! What was found out about a file while it was read, for the person who sent it.
//!
//! It names columns, lines and what the caller said; no value of the data is in it.

use serde::{Deserialize, Serialize};

use super::{compress::Compression, format::FileFormat};

/// How a file was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FileReport {
    /// The format that was read.
    pub format: FileFormat,
    /// How its name misleads about the format, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The delimiter that was found, for CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// How it was compressed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The encoding of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// How a CSV file is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<DialectReport>,
    /// The columns of a text, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnReport>,
    /// Files that were read as one table, when there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
}

impl FileReport {
    /// A report that says only a format.
    pub(super) fn new(format: FileFormat) -> Self {
        Self {
            format,
            note: None,
            delimiter: None,
            compression: None,
            encoding: None,
            dialect: None,
            columns: Vec::new(),
            files: None,
        }
    }
}

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DialectReport {
    /// What stands between fields.
    pub delimiter: char,
    /// What stands around fields that hold a delimiter or a line break; none: nothing does.
    pub quote: Option<char>,
    /// What stands before a quote inside quotes; none: the quote is doubled.
    pub escape: Option<char>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// What lines begin with that are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<char>,
    /// Whether a byte order mark stands at the start.
    pub byte_order_mark: bool,
}

/// A column of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// The Arrow type that it got.
    pub data_type: String,
    /// Whether the type was said, or had by the dataset that the file continues, rather than found.
    pub said: bool,
    /// How nulls are spelled, as far as there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nulls: Vec<NullSpelling>,
    /// Why it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_because: Option<TextReason>,
}

/// A spelling of null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NullSpelling {
    /// How it is spelled; in JSON `null`, or empty for a key that is missing.
    pub spelling: String,
    /// How often.
    pub values: u64,
}

/// The first value because of which a column is text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TextReason {
    /// The line on which its record begins.
    pub line: u64,
    /// What all values before it were; none: it is the first, or it is of their kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// Set when it is how other programs spell null; the option `null` makes it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_like: Option<String>,
    /// The value is a whole number that 64 bits do not hold; with `decimal(38, 0)` said, it stays a number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beyond_64_bits: bool,
}
