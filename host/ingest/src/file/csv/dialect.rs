//! Finds out how a CSV text is written, from its start.
//!
//! The delimiter is the one under which the first record has several fields and most others as many; quotes are
//! `"` unless only `'` makes sense, and doubled inside unless a backslash stands before one that cannot close.
//! The first record names the columns, unless a column below is all numbers, dates, times or truth values and
//! the first record's field is one too. Numbers in the first record that read like a row of years, or count
//! from 0, are names nevertheless. What the caller says is taken as it is.

use super::{
    super::{
        options::{CsvOptions, Mark},
        profile::{Profile, Shape, classify},
    },
    records::{Dialect, Fields, Found, passed_over},
};

/// Delimiters in order of preference; those from the fifth on only where all records agree.
const DELIMITERS: [u8; 7] = [b',', b';', b'\t', b'|', b'^', b'~', 0x1F];
const USUAL: usize = 4;

/// Records that the dialect is judged by.
const RECORDS: usize = 200;

/// The start of a text.
pub(super) struct Start<'a> {
    /// The text, without lines that are to be skipped.
    pub(super) text: &'a str,
    /// Whether the file ends with it.
    pub(super) is_all: bool,
}

impl Start<'_> {
    /// How the text is written.
    pub(super) fn dialect(&self, said: &CsvOptions) -> Dialect {
        let plain = |delimiter| Dialect {
            delimiter,
            quote: said.quote.map_or(Some(b'"'), Mark::byte),
            escape: said.escape.and_then(Mark::byte),
            comment: said.comment,
        };
        let mut dialect = plain(said.delimiter.unwrap_or_else(|| self.delimiter(plain)));
        if said.quote.is_none() && self.is_single_quoted(&dialect) {
            dialect.quote = Some(b'\'');
        }
        if said.escape.is_none() && dialect.quote.is_some_and(|quote| self.is_escaped(quote)) {
            dialect.escape = Some(b'\\');
        }
        dialect
    }

    /// Whether the first record names the columns.
    pub(super) fn has_header(&self, dialect: Dialect) -> bool {
        let records = self.records(dialect, RECORDS);
        let Some((first, body)) = records.split_first() else {
            return true;
        };
        let mut looks = vec![Profile::default(); first.len()];
        for record in body {
            for (look, text) in looks
                .iter_mut()
                .zip(record)
                .filter(|(_, text)| !text.is_empty())
            {
                look.observe(text, 0);
            }
        }
        let typed: Vec<_> = first
            .iter()
            .zip(&looks)
            .filter(|(_, look)| !look.is_empty() && !look.is_text())
            .collect();
        let is_value = |(text, look): &(&String, &Profile)| {
            text.is_empty() || {
                let mut with = Profile::default();
                with.observe(text, 0);
                with.is_alike(look)
            }
        };
        let are_values = !typed.is_empty()
            && typed.iter().all(is_value)
            && typed.iter().any(|(text, _)| !text.is_empty());
        let texts: Vec<_> = typed.iter().map(|(text, _)| text.as_str()).collect();
        !are_values || are_names(&texts)
    }

    /// Records from the start on, at most so many, without one that is cut off.
    pub(super) fn records(&self, dialect: Dialect, most: usize) -> Vec<Vec<String>> {
        let mut records = Vec::new();
        let mut fields = Fields::new(dialect);
        let mut rest = self.text;
        while records.len() < most {
            let (blank, _) = passed_over(rest, &dialect, self.is_all);
            rest = &rest[blank..];
            let found = fields.find(rest, self.is_all);
            let Found::Record { length, .. } = found else {
                break;
            };
            if rest.is_empty() {
                break;
            }
            records.push(
                (0..fields.len())
                    .map(|at| fields.get(rest, at).to_owned())
                    .collect(),
            );
            rest = &rest[length..];
        }
        records
    }

    fn delimiter(&self, dialect: impl Fn(u8) -> Dialect) -> u8 {
        let score = |at: usize, delimiter: u8| {
            let lengths = self.records(dialect(delimiter), RECORDS);
            let mut lengths = lengths.iter().map(Vec::len);
            let fields = lengths.next().unwrap_or(0);
            let (same, all) = lengths.fold((1, 1), |(same, all), length| {
                (same + usize::from(length == fields), all + 1)
            });
            let is_possible = fields > 1 && (at < USUAL || (same == all && all > 1));
            is_possible.then_some((same * 1_000 / all, fields))
        };
        let mut best = (None, DELIMITERS[0]);
        for (at, delimiter) in DELIMITERS.into_iter().enumerate() {
            let found = score(at, delimiter);
            if found > best.0 {
                best = (found, delimiter);
            }
        }
        best.1
    }

    /// Whether `'` stands around fields: at both ends of several, never inside one, and `"` around none.
    fn is_single_quoted(&self, dialect: &Dialect) -> bool {
        let records = |quote| self.records(Dialect { quote, ..*dialect }, RECORDS);
        let plain = records(None);
        let fields = || plain.iter().flatten();
        if fields().any(|field| field.starts_with('"')) {
            return false;
        }
        let open = fields().filter(|field| field.starts_with('\'')).count();
        let shut = fields().filter(|field| field.ends_with('\'')).count();
        if open < 2 || open != shut {
            return false;
        }
        let quoted = records(Some(b'\''));
        let length = quoted.first().map_or(0, Vec::len);
        let is_even = quoted.iter().all(|record| record.len() == length);
        is_even
            && quoted
                .iter()
                .flatten()
                .all(|field| !field.starts_with('\''))
    }

    /// Whether a backslash stands before a quote that could not close its field.
    fn is_escaped(&self, quote: u8) -> bool {
        let bytes = self.text.as_bytes();
        memchr::memchr_iter(b'\\', bytes).any(|at| {
            let next = bytes.get(at + 1).copied();
            let after = bytes.get(at + 2).copied();
            next == Some(quote)
                && after.is_some_and(|after| {
                    after != quote && (after.is_ascii_alphanumeric() || after == b' ')
                })
        })
    }
}

/// Whether integers are names: years, or a count from 0.
fn are_names(texts: &[&str]) -> bool {
    let numbers: Option<Vec<i64>> = texts
        .iter()
        .map(|text| match classify(text) {
            Shape::Number(number) => number.integer(),
            _ => None,
        })
        .collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() > 1) else {
        return false;
    };
    let is_run = numbers
        .windows(2)
        .all(|pair| pair[0].checked_add(1) == Some(pair[1]));
    let are_years = numbers
        .iter()
        .all(|number| (1_800..=2_200).contains(number));
    is_run && (are_years || numbers[0] == 0)
}
