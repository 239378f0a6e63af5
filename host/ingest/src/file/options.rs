//! What a caller says about a file; what is left out is found out.

use arrow::datatypes::Schema;
use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use super::{compress::Compression, schema::FileSchema};
use crate::IngestError;

/// What is said about how a file is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// How it is compressed; none: told by its first bytes.
    pub(super) compression: Option<Compression>,
    /// The encoding of a text without a byte order mark; none: UTF-8.
    pub(super) encoding: Option<&'static Encoding>,
    /// How a CSV file is written.
    pub(super) csv: CsvOptions,
    /// How nulls are spelled in CSV; none: an empty field.
    pub(super) nulls: Option<Vec<String>>,
    /// Types of columns of a text.
    pub(super) schema: Option<FileSchema>,
}

/// What is said about how a CSV file is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CsvOptions {
    pub(super) delimiter: Option<u8>,
    pub(super) quote: Option<Mark>,
    /// Stands before a quote inside quotes.
    pub(super) escape: Option<Mark>,
    pub(super) header: Option<bool>,
    pub(super) comment: Option<u8>,
    /// Lines before the table.
    pub(super) skip_lines: u64,
}

/// A character with a meaning, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Nothing,
    Byte(u8),
}

/// What a caller says, word by word, as it stands in a query string or a configuration. `auto` is as good as
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptionWords {
    /// `none`, `gzip`, `zstd`, `bzip2` or `lz4`.
    pub compression: Option<String>,
    /// A name of the WHATWG Encoding Standard, for example `windows-1252`.
    pub encoding: Option<String>,
    /// One character, or `tab`, `comma`, `semicolon`, `pipe`, `space`.
    pub delimiter: Option<String>,
    /// One character, or `none`.
    pub quote: Option<String>,
    /// One character; `none`: quotes are doubled.
    pub escape: Option<String>,
    /// `yes` or `no`.
    pub header: Option<String>,
    /// One character with which lines begin that are passed over.
    pub comment: Option<String>,
    /// Lines before the table.
    pub skip_lines: Option<u64>,
    /// Spellings of null, separated by commas; an empty one stands for empty fields.
    pub null: Option<String>,
    /// See [`FileSchema::parse`].
    pub schema: Option<String>,
}

impl FileOptions {
    /// Reads the words.
    ///
    /// # Errors
    /// [`IngestError::BadOption`] with the word that cannot be meant.
    pub fn parse(words: &OptionWords) -> Result<Self, IngestError> {
        let said = |word: &Option<String>| word.clone().filter(|word| word != "auto");
        let character = |option, word: &Option<String>| match said(word) {
            Some(word) => character(option, &word).map(Some),
            None => Ok(None),
        };
        let mark = |option, word: &Option<String>| match said(word).as_deref() {
            Some("none") => Ok(Some(Mark::Nothing)),
            _ => Ok::<_, IngestError>(character(option, word)?.map(Mark::Byte)),
        };
        let options = Self {
            compression: said(&words.compression)
                .map(|w| compression(&w))
                .transpose()?,
            encoding: said(&words.encoding).map(|w| encoding(&w)).transpose()?,
            csv: CsvOptions {
                delimiter: character("delimiter", &words.delimiter)?,
                quote: mark("quote", &words.quote)?,
                escape: mark("escape", &words.escape)?,
                header: said(&words.header)
                    .map(|w| truth("header", &w))
                    .transpose()?,
                comment: mark("comment", &words.comment)?.and_then(Mark::byte),
                skip_lines: words.skip_lines.unwrap_or(0),
            },
            nulls: words.null.as_deref().map(spellings),
            schema: words.schema.as_deref().map(FileSchema::parse).transpose()?,
        };
        options.csv.check()?;
        Ok(options)
    }

    /// The same for a text that continues a dataset.
    pub(super) fn continuing(&self, existing: Option<&Schema>) -> Self {
        let said = self.schema.as_ref();
        Self {
            schema: existing.map_or_else(
                || said.cloned(),
                |existing| FileSchema::continuing(said, existing),
            ),
            ..self.clone()
        }
    }

    /// An error when something is said that the format has no use for.
    pub(super) fn check_for(&self, is_csv: bool, is_text: bool) -> Result<(), IngestError> {
        let csv = &self.csv;
        let csv_only = [
            ("delimiter", csv.delimiter.is_some()),
            ("quote", csv.quote.is_some()),
            ("escape", csv.escape.is_some()),
            ("header", csv.header.is_some()),
            ("comment", csv.comment.is_some()),
            ("skip_lines", csv.skip_lines > 0),
            ("null", self.nulls.is_some()),
        ];
        let text_only = [
            ("schema", self.schema.is_some()),
            ("encoding", self.encoding.is_some()),
        ];
        let useless = csv_only
            .into_iter()
            .filter(|_| !is_csv)
            .chain(text_only.into_iter().filter(|_| !is_text))
            .find(|(_, is_said)| *is_said);
        match useless {
            None => Ok(()),
            Some((option, _)) if is_text => Err(bad(
                option,
                "it is about CSV, and the file is JSON",
                "leave it out",
            )),
            Some((option, _)) => Err(bad(
                option,
                "it is about texts, and the file brings types of its own",
                "leave it out",
            )),
        }
    }
}

impl Mark {
    /// The character, if there is one.
    pub(super) fn byte(self) -> Option<u8> {
        match self {
            Self::Nothing => None,
            Self::Byte(byte) => Some(byte),
        }
    }
}

impl CsvOptions {
    /// No character can have two meanings.
    fn check(&self) -> Result<(), IngestError> {
        let quote = self.quote.and_then(Mark::byte);
        let escape = self.escape.and_then(Mark::byte);
        let pairs = [
            ("quote", self.delimiter, quote),
            ("escape", self.delimiter, escape),
            ("comment", self.delimiter, self.comment),
            ("comment", quote, self.comment),
        ];
        match pairs.iter().find(|(_, a, b)| a.is_some() && a == b) {
            None => Ok(()),
            Some((option, ..)) => Err(bad(
                option,
                "the character has another meaning already",
                "choose another one",
            )),
        }
    }
}

fn bad(option: &'static str, problem: &str, cure: &str) -> IngestError {
    IngestError::BadOption {
        option,
        problem: problem.to_owned(),
        cure: cure.to_owned(),
    }
}

fn compression(word: &str) -> Result<Compression, IngestError> {
    let value = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(word);
    serde::Deserialize::deserialize(value).map_err(|_| {
        bad(
            "compression",
            "there is no such compression",
            "say none, gzip, zstd, bzip2 or lz4, or leave it out",
        )
    })
}

fn encoding(word: &str) -> Result<&'static Encoding, IngestError> {
    Encoding::for_label_no_replacement(word.as_bytes()).ok_or_else(|| {
        bad(
            "encoding",
            "there is no such encoding",
            "use a name of the WHATWG Encoding Standard, for example windows-1252 or utf-16le",
        )
    })
}

fn character(option: &'static str, word: &str) -> Result<u8, IngestError> {
    let byte = match (word, word.as_bytes()) {
        ("tab" | "\\t", _) => b'\t',
        ("comma", _) => b',',
        ("semicolon", _) => b';',
        ("pipe", _) => b'|',
        ("space", _) => b' ',
        (_, [byte]) => *byte,
        _ => 0x80,
    };
    match byte {
        b'\r' | b'\n' | 0 | 0x80.. => Err(bad(
            option,
            "it is not one ASCII character",
            "say one, or tab, comma, semicolon, pipe or space",
        )),
        byte => Ok(byte),
    }
}

fn truth(option: &'static str, word: &str) -> Result<bool, IngestError> {
    match word {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(bad(
            option,
            "it is neither yes nor no",
            "say yes, no or auto",
        )),
    }
}

fn spellings(word: &str) -> Vec<String> {
    word.split(',').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(change: impl FnOnce(&mut OptionWords)) -> Result<FileOptions, String> {
        let mut words = OptionWords::default();
        change(&mut words);
        FileOptions::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_read() {
        let options = words(|w| {
            w.compression = Some("gz".to_owned());
            w.encoding = Some("latin1".to_owned());
            w.delimiter = Some("tab".to_owned());
            w.quote = Some("none".to_owned());
            w.escape = Some("\\".to_owned());
            w.header = Some("no".to_owned());
            w.null = Some("NA,,\\N".to_owned());
        })
        .unwrap();
        assert_eq!(options.compression, Some(Compression::Gzip));
        assert_eq!(options.encoding.map(Encoding::name), Some("windows-1252"));
        assert_eq!(options.csv.delimiter, Some(b'\t'));
        assert_eq!(options.csv.quote, Some(Mark::Nothing));
        assert_eq!(
            (options.csv.escape, options.csv.header),
            (Some(Mark::Byte(b'\\')), Some(false))
        );
        assert_eq!(options.nulls.unwrap(), ["NA", "", "\\N"]);
        let auto = words(|w| w.delimiter = Some("auto".to_owned())).unwrap();
        assert_eq!(auto, FileOptions::default());
    }

    #[test]
    fn what_cannot_be_meant_names_the_option() {
        let bad = |change: fn(&mut OptionWords)| words(change).unwrap_err();
        for (message, option) in [
            (
                bad(|w| w.compression = Some("rar".to_owned())),
                "compression",
            ),
            (bad(|w| w.encoding = Some("utf-9".to_owned())), "encoding"),
            (bad(|w| w.delimiter = Some("§".to_owned())), "delimiter"),
            (bad(|w| w.delimiter = Some("ab".to_owned())), "delimiter"),
            (bad(|w| w.header = Some("maybe".to_owned())), "header"),
            (bad(|w| w.schema = Some("a:b".to_owned())), "schema"),
            (
                bad(|w| (w.delimiter, w.quote) = (Some("'".to_owned()), Some("'".to_owned()))),
                "quote",
            ),
        ] {
            assert!(message.contains(&format!("`{option}`")), "{message}");
        }
    }

    #[test]
    fn options_that_a_format_has_no_use_for_are_refused() {
        let options = words(|w| w.delimiter = Some(";".to_owned())).unwrap();
        assert!(options.check_for(true, true).is_ok());
        let message = options.check_for(false, true).unwrap_err().to_string();
        assert!(
            message.contains("`delimiter`") && message.contains("JSON"),
            "{message}"
        );
        let options = words(|w| w.schema = Some("a:int8".to_owned())).unwrap();
        assert!(options.check_for(false, true).is_ok());
        assert!(options.check_for(false, false).is_err());
    }
}
