//! Vectors at rest: a Parquet file with one row a vector.
//!
//! ```text
//! doc_id  Utf8                             name of the document
//! row     UInt64                           row of the dataset that the text came from
//! vector  FixedSizeBinary(4 * dimension)   little-endian f32, as the embedder gave them
//! start   UInt32                           first character of the piece of the text; none: vectors are of whole texts
//! end     UInt32                           the character behind its last one
//! text_digest  FixedSizeBinary(16)         beginning of the SHA-256 of what was embedded; null where nobody knows
//! ```
//! `start` and `end` are there where documents have a vector for each piece of their text, and so is version 2 of the
//! format; the pieces of a document follow one another. `text_digest` is there when a vector has one: it tells whoever
//! embeds the same text again that there is a vector already.
//!
//! Vectors are not normalised here, so that the file serves any metric, and not compressed, as the
//! mantissas of embeddings do not compress; the other columns are. Other columns in a file are passed
//! over. Whether components are finite is checked where they enter a [`VectorSet`]. The footer says which
//! format this is; a newer one is refused by number.

mod stamp;

use std::{ops::Range, panic::AssertUnwindSafe, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, StringArray, UInt32Array,
        UInt64Array,
    },
    buffer::Buffer,
    datatypes::{DataType, Field, Schema, UInt32Type, UInt64Type},
    error::ArrowError,
};
use boathouse_types::{Dimension, Metric};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};

use crate::{
    documents::{self, DocIds, Span},
    error::{Place, VectorError},
    set::VectorSet,
};

const DOC_ID: &str = "doc_id";
const ROW: &str = "row";
const VECTOR: &str = "vector";
const START: &str = "start";
const END: &str = "end";
const TEXT_DIGEST: &str = "text_digest";

/// The first bytes of the SHA-256 of a text.
pub type TextDigest = [u8; 16];

/// Where a vector came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Name of the document.
    pub doc_id: &'a str,
    /// Row of the dataset.
    pub row: u64,
    /// The piece of the text; none for all of it.
    pub span: Option<Span>,
    /// Digest of what was embedded, if it is known.
    pub text_digest: Option<TextDigest>,
}

/// Bytes of vectors in one batch; offsets within a batch are 32-bit.
const BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Embedded documents of one dimension, in the order in which they became rows of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorTable {
    dimension: Dimension,
    doc_ids: DocIds,
    rows: Vec<u64>,
    values: Vec<f32>,
    /// One for each vector, or none at all.
    spans: Vec<Span>,
    /// One for each vector.
    text_digests: Vec<Option<TextDigest>>,
}

impl VectorTable {
    /// A table without rows.
    #[must_use]
    pub fn new(dimension: Dimension) -> Self {
        Self {
            dimension,
            doc_ids: DocIds::default(),
            rows: Vec::new(),
            values: Vec::new(),
            spans: Vec::new(),
            text_digests: Vec::new(),
        }
    }

    /// Adds a document that has one vector: its name, its row in the dataset, its vector.
    ///
    /// # Errors
    /// As [`Self::push_from`].
    pub fn push(
        &mut self,
        doc_id: impl AsRef<str>,
        row: u64,
        vector: &[f32],
    ) -> Result<(), VectorError> {
        let origin = Origin {
            doc_id: doc_id.as_ref(),
            row,
            span: None,
            text_digest: None,
        };
        self.push_from(&origin, vector)
    }

    /// Adds a vector. Those of one document are added one after the other.
    ///
    /// # Errors
    /// When it has another dimension, or is of a piece of a text where others are of whole texts.
    pub fn push_from(&mut self, origin: &Origin<'_>, vector: &[f32]) -> Result<(), VectorError> {
        if vector.len() != self.dimension.get() {
            return Err(VectorError::WrongDimension {
                at: Place::Row(self.rows.len() as u64),
                expected: self.dimension.get(),
                found: vector.len(),
            });
        }
        let is_alike = self.is_empty() || self.spans.is_empty() == origin.span.is_none();
        if !is_alike {
            return Err(VectorError::MixedPieces {
                row: self.rows.len() as u64,
            });
        }
        self.doc_ids.push(origin.doc_id);
        self.rows.push(origin.row);
        self.values.extend_from_slice(vector);
        self.spans.extend(origin.span);
        self.text_digests.push(origin.text_digest);
        Ok(())
    }

    /// Number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Number of documents.
    #[must_use]
    pub fn documents(&self) -> usize {
        match self.spans.is_empty() {
            true => self.len(),
            false => documents::documents(&self.rows),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Components of each vector.
    #[must_use]
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Names of the documents, by vector.
    #[must_use]
    pub fn doc_ids(&self) -> &DocIds {
        &self.doc_ids
    }

    /// Rows of the dataset that the vectors came from.
    #[must_use]
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// The pieces of texts that the vectors stand for; empty when they are of whole texts.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Where each vector came from.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = Origin<'_>> {
        (0..self.len()).map(|row| Origin {
            doc_id: self.doc_ids.get(row),
            row: self.rows[row],
            span: self.spans.get(row).copied(),
            text_digest: self.text_digests[row],
        })
    }

    /// A vector, as the embedder gave it.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn vector(&self, row: usize) -> &[f32] {
        let components = self.dimension.get();
        &self.values[row * components..(row + 1) * components]
    }

    /// Bytes of the vectors.
    #[must_use]
    pub fn vector_bytes(&self) -> usize {
        size_of_val::<[f32]>(&self.values)
    }

    /// The vectors, as the embedder gave them.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension.get())
    }

    /// Whether the digest of any text is known.
    fn knows_texts(&self) -> bool {
        self.text_digests.iter().any(Option::is_some)
    }

    /// Bytes of a vector.
    fn width(&self) -> i32 {
        (4 * self.dimension.get()) as i32
    }

    /// The vectors as a set to search.
    ///
    /// # Errors
    /// As [`crate::VectorSetBuilder::push`].
    pub fn to_set(&self, metric: Metric) -> Result<VectorSet, VectorError> {
        let mut builder = VectorSet::builder(self.dimension, metric).with_capacity(self.len());
        for vector in self.vectors() {
            builder.push(vector)?;
        }
        Ok(builder.finish())
    }
}

/// The table as the bytes of a Parquet file.
///
/// # Errors
/// When Parquet refuses, which it has no reason to.
pub fn write(table: &VectorTable) -> Result<Vec<u8>, VectorError> {
    write_parquet(table).map_err(VectorError::TableWrite)
}

/// Reads a table that [`write`] or another Parquet writer made.
///
/// # Errors
/// When the bytes are no Parquet file, cut short or altered, a column is missing or of another type,
/// or a value is null; [`VectorError::NewerFormat`].
pub fn read(bytes: Bytes) -> Result<VectorTable, VectorError> {
    // The decoder asserts on some altered pages. What it was filling is dropped with the panic, and
    // the bytes are not written to, so nothing half-done can be seen.
    std::panic::catch_unwind(AssertUnwindSafe(|| read_parquet(bytes)))
        .unwrap_or_else(|_| Err(broken("its pages make the parquet decoder panic")))
}

fn read_parquet(bytes: Bytes) -> Result<VectorTable, VectorError> {
    let unreadable = |error: &dyn std::fmt::Display| broken(error.to_string());
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| unreadable(&e))?;
    let of_pieces = stamp::are_of_pieces(builder.metadata().file_metadata())?;
    let dimension = dimension_of(builder.schema())?;
    let mut columns = vec![DOC_ID, ROW, VECTOR];
    if of_pieces {
        columns.extend([START, END]);
    }
    columns.extend(has_digests(builder.schema()).then_some(TEXT_DIGEST));
    let projection = ProjectionMask::columns(builder.parquet_schema(), columns);
    let batches = builder
        .with_projection(projection)
        .with_batch_size(batch_rows(dimension))
        .build()
        .map_err(|e| unreadable(&e))?;
    let mut table = VectorTable::new(dimension);
    for batch in batches {
        let batch = batch.map_err(|e| unreadable(&e))?;
        append(&mut table, &batch)?;
        append_spans(&mut table, &batch, of_pieces)?;
        append_digests(&mut table, &batch);
    }
    Ok(table)
}

/// Whether there is a column of digests. One of that name that is something else is passed over like any other.
fn has_digests(schema: &Schema) -> bool {
    let field = schema.field_with_name(TEXT_DIGEST);
    let expected = DataType::FixedSizeBinary(size_of::<TextDigest>() as i32);
    field.is_ok_and(|field| *field.data_type() == expected)
}

fn write_parquet(table: &VectorTable) -> Result<Vec<u8>, ParquetError> {
    let schema = schema_of(table);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_key_value_metadata(Some(stamp::stamp(!table.spans.is_empty())));
    // Neither gets smaller.
    for column in [VECTOR, TEXT_DIGEST].map(ColumnPath::from) {
        properties = properties
            .set_column_compression(column.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    let properties = properties.build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
    let step = batch_rows(table.dimension);
    for start in (0..table.len()).step_by(step) {
        let end = table.len().min(start + step);
        let columns = columns_of(table, start..end)?;
        writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
    }
    writer.into_inner()
}

fn schema_of(table: &VectorTable) -> Arc<Schema> {
    let mut fields = vec![
        Field::new(DOC_ID, DataType::Utf8, false),
        Field::new(ROW, DataType::UInt64, false),
        Field::new(VECTOR, DataType::FixedSizeBinary(table.width()), false),
    ];
    if !table.spans.is_empty() {
        let bounds = [START, END];
        fields.extend(bounds.map(|name| Field::new(name, DataType::UInt32, false)));
    }
    if table.knows_texts() {
        let digest = DataType::FixedSizeBinary(size_of::<TextDigest>() as i32);
        fields.push(Field::new(TEXT_DIGEST, digest, true));
    }
    Arc::new(Schema::new(fields))
}

/// The columns of some rows, as [`schema_of`] has them.
fn columns_of(table: &VectorTable, rows: Range<usize>) -> Result<Vec<ArrayRef>, ParquetError> {
    let components = table.dimension.get();
    let values = &table.values[rows.start * components..rows.end * components];
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let names = rows.clone().map(|row| table.doc_ids.get(row));
    let numbers = table.rows[rows.clone()].iter().copied();
    let vectors = FixedSizeBinaryArray::try_new(table.width(), Buffer::from(bytes), None)?;
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(UInt64Array::from_iter_values(numbers)),
        Arc::new(vectors),
    ];
    if !table.spans.is_empty() {
        let spans = &table.spans[rows.clone()];
        let (starts, ends) = (
            spans.iter().map(|span| span.start),
            spans.iter().map(|span| span.end),
        );
        columns.push(Arc::new(UInt32Array::from_iter_values(starts)));
        columns.push(Arc::new(UInt32Array::from_iter_values(ends)));
    }
    if table.knows_texts() {
        let digests = table.text_digests[rows].iter().copied();
        let width = size_of::<TextDigest>() as i32;
        let digests = FixedSizeBinaryArray::try_from_sparse_iter_with_size(digests, width)?;
        columns.push(Arc::new(digests));
    }
    Ok(columns)
}

/// Checks the columns and tells the dimension from the width of the vectors.
fn dimension_of(schema: &Schema) -> Result<Dimension, VectorError> {
    let data_type = |name: &str| {
        let field = schema.field_with_name(name).ok();
        field
            .map(Field::data_type)
            .ok_or_else(|| broken(format!("column {name} is missing")))
    };
    for (name, expected) in [(DOC_ID, DataType::Utf8), (ROW, DataType::UInt64)] {
        let found = data_type(name)?;
        if *found != expected {
            return Err(broken(format!("column {name} is {found}, not {expected}")));
        }
    }
    match data_type(VECTOR)? {
        &DataType::FixedSizeBinary(width) if width > 0 && width % 4 == 0 => {
            Dimension::new(width as u32 / 4).map_err(|error| broken(error.to_string()))
        }
        other => Err(broken(format!(
            "column {VECTOR} is {other}, not fixed-size f32 values"
        ))),
    }
}

fn append(table: &mut VectorTable, batch: &RecordBatch) -> Result<(), VectorError> {
    let column = |name: &str| {
        let column = batch.column_by_name(name);
        let column = column.ok_or_else(|| broken(format!("column {name} is missing")))?;
        if column.null_count() > 0 {
            return Err(broken(format!("column {name} has nulls")));
        }
        Ok(column)
    };
    let mistyped = |name: &str| {
        let error = ArrowError::CastError(format!("column {name} changed its type"));
        broken(error.to_string())
    };
    let doc_ids = column(DOC_ID)?
        .as_string_opt::<i32>()
        .ok_or_else(|| mistyped(DOC_ID))?;
    let rows = column(ROW)?
        .as_primitive_opt::<UInt64Type>()
        .ok_or_else(|| mistyped(ROW))?;
    let vectors = column(VECTOR)?
        .as_fixed_size_binary_opt()
        .ok_or_else(|| mistyped(VECTOR))?;
    table.doc_ids.extend(doc_ids.iter().flatten());
    table.rows.extend(rows.values());
    for vector in vectors.iter().flatten() {
        let (words, _) = vector.as_chunks::<4>();
        table
            .values
            .extend(words.iter().map(|&word| f32::from_le_bytes(word)));
    }
    Ok(())
}

/// Adds the pieces that the vectors of a batch stand for.
fn append_spans(
    table: &mut VectorTable,
    batch: &RecordBatch,
    of_pieces: bool,
) -> Result<(), VectorError> {
    if !of_pieces {
        return Ok(());
    }
    let bounds = |name: &str| {
        let column = batch.column_by_name(name);
        let column = column.and_then(|column| column.as_primitive_opt::<UInt32Type>());
        column
            .filter(|column| column.null_count() == 0)
            .ok_or_else(|| broken(format!("column {name} is missing, mistyped or has nulls")))
    };
    let (starts, ends) = (bounds(START)?.values(), bounds(END)?.values());
    let spans = starts.iter().zip(ends);
    let spans = spans.map(|(&start, &end)| Span { start, end });
    table.spans.extend(spans);
    Ok(())
}

/// Adds the digests of the texts of a batch, as far as they are known.
fn append_digests(table: &mut VectorTable, batch: &RecordBatch) {
    let column = batch.column_by_name(TEXT_DIGEST);
    let column = column.and_then(|column| column.as_fixed_size_binary_opt());
    if let Some(column) = column {
        let known = column.iter();
        let known = known.map(|digest| digest.and_then(|digest| digest.try_into().ok()));
        table.text_digests.extend(known);
    }
    table.text_digests.resize(table.rows.len(), None);
}

/// Rows whose vectors fill a batch.
fn batch_rows(dimension: Dimension) -> usize {
    (BATCH_BYTES / (4 * dimension.get())).max(1)
}

fn broken(reason: impl Into<String>) -> VectorError {
    VectorError::BrokenTable {
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::dimension;

    fn sample(components: u32, rows: u32) -> VectorTable {
        let mut table = VectorTable::new(dimension(components));
        for row in 0..rows {
            let vector: Vec<_> = (0..components)
                .map(|i| row as f32 + i as f32 / 7.0 - 3.5)
                .collect();
            table
                .push(format!("doc-{row}"), u64::from(row) * 3, &vector)
                .expect("good row");
        }
        table
    }

    #[test]
    fn what_is_written_is_read() {
        for (components, rows) in [(1, 0), (1, 1), (3, 10), (384, 50), (65_536, 150)] {
            let table = sample(components, rows);
            let bytes = write(&table).expect("writes");
            assert_eq!(read(bytes.into()).expect("reads"), table);
        }
    }

    fn digest(number: u8) -> Option<TextDigest> {
        (!number.is_multiple_of(3)).then_some([number; 16])
    }

    #[test]
    fn pieces_and_digests_come_back_and_say_so_in_the_version() {
        for (of_pieces, with_digests) in [(false, true), (true, false), (true, true)] {
            let mut table = VectorTable::new(dimension(2));
            for number in 0..20_u8 {
                let origin = Origin {
                    doc_id: &format!("doc-{}", number / 4),
                    row: u64::from(number / 4),
                    span: of_pieces.then_some(Span {
                        start: u32::from(number % 4) * 40,
                        end: u32::from(number % 4) * 40 + 50,
                    }),
                    text_digest: digest(number).filter(|_| with_digests),
                };
                let vector = [f32::from(number), 1.0];
                table.push_from(&origin, &vector).expect("good row");
            }
            let bytes = write(&table).expect("writes");
            assert_eq!(read(bytes.clone().into()).expect("reads"), table);
            assert_eq!(table.vector(7), [7.0, 1.0]);
            assert_eq!(table.documents(), if of_pieces { 5 } else { 20 });
            let version = "boathouse.format_version\u{18}\u{1}2".as_bytes();
            let is_newer = bytes.windows(version.len()).any(|window| window == version);
            assert_eq!(is_newer, of_pieces, "older programs refuse pieces");
            let mut again = VectorTable::new(dimension(2));
            for (origin, vector) in table.origins().zip(table.vectors()) {
                again.push_from(&origin, vector).expect("good row");
            }
            assert_eq!(again, table);
        }
    }

    #[test]
    fn vectors_of_pieces_and_of_whole_texts_do_not_mix() {
        let piece = Origin {
            doc_id: "a",
            row: 0,
            span: Some(Span { start: 0, end: 9 }),
            text_digest: None,
        };
        let mut whole = sample(1, 2);
        let refused = whole.push_from(&piece, &[1.0]).expect_err("a piece");
        assert!(matches!(refused, VectorError::MixedPieces { row: 2 }));
        let mut pieces = VectorTable::new(dimension(1));
        pieces.push_from(&piece, &[1.0]).expect("the first");
        let refused = pieces.push("b", 1, &[1.0]).expect_err("a whole text");
        assert!(matches!(refused, VectorError::MixedPieces { row: 1 }));
        assert_eq!((pieces.len(), pieces.documents()), (1, 1));
    }

    #[test]
    fn odd_floats_and_names_survive() {
        let mut table = VectorTable::new(dimension(4));
        let vector = [f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, f32::NEG_INFINITY];
        table.push("", u64::MAX, &vector).expect("any floats rest");
        table.push("\u{1f6f6} \0\n", 0, &vector).expect("any name");
        let back = read(write(&table).expect("writes").into()).expect("reads");
        assert_eq!(back.doc_ids(), table.doc_ids());
        assert_eq!(back.rows(), [u64::MAX, 0]);
        let bits = |table: &VectorTable| -> Vec<u32> {
            table.values.iter().map(|value| value.to_bits()).collect()
        };
        assert_eq!(bits(&back), bits(&table));
        let refused = back.to_set(Metric::L2).expect_err("NaN").to_string();
        assert_eq!(refused, "component 0 of row 0 is not a finite number");
    }

    #[test]
    fn other_dimensions_and_files_are_refused() {
        let mut table = sample(3, 2);
        let refused = table
            .push("x", 1, &[1.0])
            .expect_err("one component")
            .to_string();
        assert_eq!(refused, "row 2 has 1 components where 3 are expected");
        for bytes in [&b""[..], b"PAR1", b"not parquet at all"] {
            assert!(read(Bytes::from_static(bytes)).is_err());
        }
        let schema = Schema::new(vec![Field::new(DOC_ID, DataType::Utf8, false)]);
        let message = dimension_of(&schema).expect_err("no rows").to_string();
        assert!(message.contains("column row is missing"), "{message}");
    }

    #[test]
    fn altered_files_are_refused_or_read_but_never_panic() {
        let bytes = write(&sample(8, 20)).expect("writes");
        for position in 0..bytes.len() {
            for pattern in [0x01, 0x80, 0xff] {
                let mut altered = bytes.clone();
                altered[position] ^= pattern;
                let _ = read(altered.into());
            }
        }
    }

    #[test]
    fn newer_and_foreign_formats_are_refused_and_unstamped_files_read() {
        let bytes = write(&sample(2, 3)).expect("writes");
        let with = |from: &str, to: &str| {
            assert_eq!(from.len(), to.len(), "nothing may move");
            let mut changed = bytes.clone();
            let at = changed
                .windows(from.len())
                .rposition(|w| w == from.as_bytes());
            let at = at.expect("the stamp stands in the footer");
            changed[at..at + from.len()].copy_from_slice(to.as_bytes());
            read(changed.into())
        };
        let version = "boathouse.format_version\u{18}\u{1}1";
        let newer = with(version, "boathouse.format_version\u{18}\u{1}7");
        let newer = newer.expect_err("newer");
        assert!(
            matches!(
                newer,
                VectorError::NewerFormat {
                    found: 7,
                    supported: 2,
                    ..
                }
            ),
            "{newer}"
        );
        assert!(newer.to_string().contains("vectors") && newer.to_string().contains('7'));
        let odd = with(version, "boathouse.format_version\u{18}\u{1}x");
        assert!(
            matches!(odd, Err(VectorError::BrokenTable { .. })),
            "{odd:?}"
        );
        let foreign = with("boathouse/vectors", "boathouse/rowrows").expect_err("foreign");
        assert!(foreign.to_string().contains("rowrows"), "{foreign}");
        let unstamped = with(version, "boathouse.format_versiox\u{18}\u{1}9");
        assert_eq!(unstamped.expect("reads"), sample(2, 3));
    }

    #[test]
    fn truncated_files_are_refused() {
        let bytes = Bytes::from(write(&sample(8, 20)).expect("writes"));
        for end in 0..bytes.len() {
            assert!(read(bytes.slice(..end)).is_err(), "{end} bytes");
        }
    }
}
