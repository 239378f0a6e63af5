//! How many rows of a file are read at once, by what they take once they are decoded: of Parquet here, of batches in
//! memory in `decoded/batch.rs`.
//!
//! A text that repeats is written once and decoded as often as it stands there, so the bytes in the file say
//! little. What counts is the larger of them and of what the writer says of the decoded bytes; a writer that
//! says nothing has its dictionary looked at, whose longest text no row exceeds.

mod batch;

use std::{fs::File, sync::Arc};

use parquet::{
    basic::{Encoding, Type},
    column::page::{Page, PageReader as _},
    file::{
        metadata::{ColumnChunkMetaData, RowGroupMetaData},
        serialized_reader::SerializedPageReader,
    },
};

pub(crate) use self::batch::{bytes_of, pieces};

/// Bytes that a batch should have, by the average of its row group, and most rows.
const BATCH_BYTES: u64 = 8 << 20;
const BATCH_ROWS: usize = 8_192;

/// Most rows of a batch of a scan.
const SCAN_ROWS: usize = 1_024;

/// A column of so many bytes in a group may not fit one batch: offsets have 31 bits.
const LONG_COLUMN: u64 = 1 << 31;

/// So many of the largest values that are taken in, 64 MiB, fit.
const LONG_ROWS: usize = 31;

/// Of a row of which nothing is known: sixteen make a batch.
const UNKNOWN_BYTES: u64 = BATCH_BYTES / 16;

/// Rows of the group that are read at once.
pub(crate) fn batch_rows(file: &File, group: &RowGroupMetaData) -> usize {
    let rows = count(group.num_rows()).max(1);
    let columns = group.columns().iter();
    let decoded = columns
        .map(|column| decoded_bytes(file, column, rows))
        .fold(0, u64::saturating_add);
    let bytes = decoded.max(count(group.total_byte_size()));
    let fit = BATCH_BYTES / (bytes / rows).max(1);
    usize::try_from(fit)
        .unwrap_or(BATCH_ROWS)
        .clamp(1, BATCH_ROWS)
}

/// Rows of some groups that are read at once where the file is not at hand: of those columns that `is_read` is true for,
/// by what their writer says. Rows of one column whose decoded bytes do not fit a batch's 31-bit offsets are so few at once
/// that the largest values fit.
pub(crate) fn stated_rows<'a>(
    groups: impl Iterator<Item = &'a RowGroupMetaData>,
    is_read: impl Fn(usize) -> bool,
) -> usize {
    let fit = groups.map(|group| {
        let rows = count(group.num_rows()).max(1);
        let columns = group.columns().iter().enumerate();
        let stated: Vec<u64> = columns
            .filter(|(at, _)| is_read(*at))
            .map(|(_, column)| stated_bytes(column))
            .collect();
        let all = stated.iter().copied().fold(0, u64::saturating_add);
        let most = match stated.iter().any(|bytes| *bytes >= LONG_COLUMN) {
            true => LONG_ROWS,
            false => SCAN_ROWS,
        };
        let fit = BATCH_BYTES / (all / rows).max(1);
        usize::try_from(fit).unwrap_or(most).clamp(1, most)
    });
    fit.min().unwrap_or(SCAN_ROWS)
}

/// Bytes of a column, decoded, as far as its writer says.
fn stated_bytes(column: &ColumnChunkMetaData) -> u64 {
    let stated = column.unencoded_byte_array_data_bytes().map_or(0, count);
    count(column.uncompressed_size()).max(stated)
}

fn count(stated: i64) -> u64 {
    u64::try_from(stated).unwrap_or(0)
}

/// Bytes of a column of so many rows, decoded.
fn decoded_bytes(file: &File, column: &ColumnChunkMetaData, rows: u64) -> u64 {
    let encoded = count(column.uncompressed_size());
    let values = count(column.num_values());
    let width = match column.column_type() {
        Type::BOOLEAN => 1,
        Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => count(column.column_descr().type_length().into()),
        Type::BYTE_ARRAY => {
            return match column.unencoded_byte_array_data_bytes() {
                Some(stated) => encoded.max(count(stated)),
                None => encoded.saturating_add(repeated_bytes(file, column, rows)),
            };
        }
    };
    encoded.max(values.saturating_mul(width))
}

/// Bytes, at most, that texts have once decoded and not in the file.
fn repeated_bytes(file: &File, column: &ColumnChunkMetaData, rows: u64) -> u64 {
    let (mut has_dictionary, mut has_prefixes) = (column.dictionary_page_offset().is_some(), false);
    for encoding in column.encodings() {
        has_dictionary |= is_dictionary(encoding);
        has_prefixes |= encoding == Encoding::DELTA_BYTE_ARRAY;
    }
    let unknown = rows.saturating_mul(UNKNOWN_BYTES);
    match (has_dictionary, has_prefixes) {
        (false, false) => 0,
        (_, true) => unknown,
        (true, false) => longest(file, column, rows).map_or(unknown, |longest| {
            count(column.num_values()).saturating_mul(longest)
        }),
    }
}

fn is_dictionary(encoding: Encoding) -> bool {
    encoding == Encoding::RLE_DICTIONARY || encoding == Encoding::PLAIN_DICTIONARY
}

/// The length of the longest text of the dictionary; none when there is no sound one.
fn longest(file: &File, column: &ColumnChunkMetaData, rows: u64) -> Option<u64> {
    let file = Arc::new(file.try_clone().ok()?);
    let rows = usize::try_from(rows).ok()?;
    let mut pages = SerializedPageReader::new(file, column, rows, None).ok()?;
    match pages.get_next_page().ok()?? {
        Page::DictionaryPage { buf, .. } => longest_of(&buf),
        _ => None,
    }
}

/// Each text stands behind its length.
fn longest_of(mut texts: &[u8]) -> Option<u64> {
    let mut longest = 0;
    while let Some((length, rest)) = texts.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        longest = longest.max(u64::from(length));
        texts = rest.get(usize::try_from(length).ok()?..)?;
    }
    Some(longest)
}

#[cfg(test)]
pub(crate) mod tests {
    use arrow::{
        array::{ArrayRef, Int64Array, RecordBatch, StringArray},
        datatypes::SchemaRef,
    };
    use parquet::{
        arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
        file::properties::WriterProperties,
    };

    use super::*;

    /// No batch of what it is about may take more: what is aimed at, and what arrays take beyond.
    pub(crate) const MOST_BYTES: usize = 24 << 20;

    /// A file with so many times one text, as a group.
    pub(crate) fn repeated(text: &str, rows: usize, properties: WriterProperties) -> File {
        let batch = |rows: usize| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![text; rows]));
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7; rows]));
            RecordBatch::try_from_iter([("text", texts), ("number", numbers)]).unwrap()
        };
        let file = tempfile::tempfile().unwrap();
        let schema: SchemaRef = batch(1).schema();
        let target = file.try_clone().unwrap();
        let mut writer = ArrowWriter::try_new(target, schema, Some(properties)).unwrap();
        for from in (0..rows).step_by(100) {
            writer.write(&batch((rows - from).min(100))).unwrap();
        }
        writer.close().unwrap();
        file
    }

    fn plain() -> WriterProperties {
        WriterProperties::builder().build()
    }

    fn group(file: &File) -> RowGroupMetaData {
        let file = file.try_clone().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.metadata().row_group(0).clone()
    }

    #[test]
    fn a_scan_reads_few_long_rows_at_once() {
        let rows_of = |text: &str, rows, is_read: fn(usize) -> bool| {
            let group = group(&repeated(text, rows, plain()));
            stated_rows([&group].into_iter(), is_read)
        };
        assert_eq!(rows_of("short", 2_000, |_| true), SCAN_ROWS);
        let long = "x".repeat(1 << 20);
        assert_eq!(rows_of(&long, 20, |_| true), 7);
        assert_eq!(rows_of(&long, 20, |at| at == 1), SCAN_ROWS, "not read");
        // More than fits a batch, in rows that are short on average.
        assert_eq!(rows_of(&"x".repeat(100_000), 22_000, |_| true), LONG_ROWS);
        assert_eq!(stated_rows([].into_iter(), |_| true), SCAN_ROWS);
    }

    /// As a writer leaves it that does not say how many bytes the texts have.
    fn unsaid(group: &RowGroupMetaData) -> RowGroupMetaData {
        let columns = group.columns().iter().cloned().map(|column| {
            let column = column.into_builder();
            let column = column.set_unencoded_byte_array_data_bytes(None);
            column.build().unwrap()
        });
        let columns = columns.collect();
        let group = group.clone().into_builder();
        group.set_column_metadata(columns).build().unwrap()
    }

    #[test]
    fn a_long_text_that_repeats_counts_each_time() {
        let file = repeated(&"x".repeat(300_000), 2_000, plain());
        let group = group(&file);
        assert!(group.total_byte_size() < 2 << 20, "it is written once");
        for group in [unsaid(&group), group] {
            let rows = batch_rows(&file, &group);
            assert!((20..=28).contains(&rows), "{rows}");
            let reader = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().unwrap());
            let batches = reader.unwrap().with_batch_size(rows).build().unwrap();
            let sizes = batches.map(|batch| batch.unwrap().get_array_memory_size());
            let most = sizes.max().unwrap();
            assert!(most < MOST_BYTES, "{most}");
        }
    }

    #[test]
    fn short_texts_are_read_by_the_thousand() {
        let file = repeated("a city", 20_000, plain());
        let group = group(&file);
        assert_eq!(batch_rows(&file, &group), BATCH_ROWS);
        assert_eq!(batch_rows(&file, &unsaid(&group)), BATCH_ROWS);
    }

    #[test]
    fn prefixes_that_repeat_say_nothing_of_a_length() {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY)
            .build();
        let file = repeated(&"x".repeat(300_000), 200, properties);
        let group = group(&file);
        assert!((20..=28).contains(&batch_rows(&file, &group)));
        assert!((14..=16).contains(&batch_rows(&file, &unsaid(&group))));
    }

    #[test]
    fn a_broken_dictionary_has_no_longest_text() {
        assert_eq!(longest_of(b"\x01\0\0\0a\x03\0\0\0abc"), Some(3));
        assert_eq!(longest_of(b""), Some(0));
        assert_eq!(longest_of(b"\xff\xff\xff\xffa"), None);
    }
}
