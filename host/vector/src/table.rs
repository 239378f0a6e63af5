//! Vectors at rest: a Parquet file with one row a vector.
//!
//! ```text
//! doc_id  Utf8                             name of the document
//! row     UInt64                           row of the dataset that the text came from
//! vector  FixedSizeBinary(4 * dimension)   little-endian f32, as the embedder gave them
//! ```
//! Vectors are not normalised here, so that the file serves any metric, and not compressed, as the
//! mantissas of embeddings do not compress; the other columns are. Other columns in a file are passed
//! over. Whether components are finite is checked where they enter a [`VectorSet`]. The footer says which
//! format this is; a newer one is refused by number.

mod stamp;

use std::{panic::AssertUnwindSafe, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, StringArray, UInt64Array,
    },
    buffer::Buffer,
    datatypes::{DataType, Field, Schema, UInt64Type},
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
    documents::DocIds,
    error::{Place, VectorError},
    set::VectorSet,
};

const DOC_ID: &str = "doc_id";
const ROW: &str = "row";
const VECTOR: &str = "vector";

/// Bytes of vectors in one batch; offsets within a batch are 32-bit.
const BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Embedded documents of one dimension, in the order in which they became rows of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorTable {
    dimension: Dimension,
    doc_ids: DocIds,
    rows: Vec<u64>,
    values: Vec<f32>,
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
        }
    }

    /// Adds a document: its name, its row in the dataset, its vector.
    ///
    /// # Errors
    /// When the vector has another dimension.
    pub fn push(
        &mut self,
        doc_id: impl AsRef<str>,
        row: u64,
        vector: &[f32],
    ) -> Result<(), VectorError> {
        if vector.len() != self.dimension.get() {
            return Err(VectorError::WrongDimension {
                at: Place::Row(self.rows.len() as u64),
                expected: self.dimension.get(),
                found: vector.len(),
            });
        }
        self.doc_ids.push(doc_id.as_ref());
        self.rows.push(row);
        self.values.extend_from_slice(vector);
        Ok(())
    }

    /// Number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
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

    /// Names of the documents.
    #[must_use]
    pub fn doc_ids(&self) -> &DocIds {
        &self.doc_ids
    }

    /// Rows of the dataset that the documents came from.
    #[must_use]
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// The vectors, as the embedder gave them.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension.get())
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
    stamp::check(builder.metadata().file_metadata())?;
    let dimension = dimension_of(builder.schema())?;
    let columns = [DOC_ID, ROW, VECTOR];
    let projection = ProjectionMask::columns(builder.parquet_schema(), columns);
    let batches = builder
        .with_projection(projection)
        .with_batch_size(batch_rows(dimension))
        .build()
        .map_err(|e| unreadable(&e))?;
    let mut table = VectorTable::new(dimension);
    for batch in batches {
        append(&mut table, &batch.map_err(|e| unreadable(&e))?)?;
    }
    Ok(table)
}

fn write_parquet(table: &VectorTable) -> Result<Vec<u8>, ParquetError> {
    let width = (4 * table.dimension.get()) as i32;
    let schema = Arc::new(Schema::new(vec![
        Field::new(DOC_ID, DataType::Utf8, false),
        Field::new(ROW, DataType::UInt64, false),
        Field::new(VECTOR, DataType::FixedSizeBinary(width), false),
    ]));
    let vector = ColumnPath::from(VECTOR);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_column_compression(vector.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(vector.clone(), false)
        .set_column_statistics_enabled(vector, EnabledStatistics::None)
        .set_key_value_metadata(Some(stamp::stamp()))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
    let step = batch_rows(table.dimension);
    for start in (0..table.len()).step_by(step) {
        let end = table.len().min(start + step);
        let values = &table.values[start * table.dimension.get()..end * table.dimension.get()];
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let columns: [ArrayRef; 3] = [
            Arc::new(StringArray::from_iter_values(
                (start..end).map(|row| table.doc_ids.get(row)),
            )),
            Arc::new(UInt64Array::from_iter_values(
                table.rows[start..end].iter().copied(),
            )),
            Arc::new(FixedSizeBinaryArray::try_new(
                width,
                Buffer::from(bytes),
                None,
            )?),
        ];
        writer.write(&RecordBatch::try_new(schema.clone(), columns.into())?)?;
    }
    writer.into_inner()
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
                    supported: 1,
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
