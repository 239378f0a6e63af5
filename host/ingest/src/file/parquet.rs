//! Parquet files: the footer is checked, the types kept (`plain.rs`), the rows copied batch by batch.
//!
//! A copy of the bytes would be faster, but the row groups, statistics and indexes of the datasets are
//! ours, a page that cannot be decoded is found now rather than at the first search, and the sample needs the
//! values.

use std::{fs::File, sync::Arc};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    },
    errors::ParquetError,
};

use super::{
    plain,
    source::{Read, Sink, Source, no_rows},
};
use crate::{IngestError, error::Place, watch::Watch};

/// Uncompressed bytes that a batch should have, by the file's average.
const BATCH_BYTES: u64 = 8 << 20;

/// A Parquet file with a sound footer.
pub(super) struct ParquetFile {
    file: File,
    watch: Watch,
    metadata: ArrowReaderMetadata,
    schema: SchemaRef,
    rows: u64,
}

impl ParquetFile {
    /// Reads and checks the footer.
    pub(super) fn open(file: File, watch: &Watch) -> Result<Self, IngestError> {
        watch.check()?;
        let metadata =
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(damaged)?;
        let schema = plain::schema(&Schema::new(metadata.schema().fields().clone()))?;
        let rows = metadata.metadata().file_metadata().num_rows();
        let rows = u64::try_from(rows).unwrap_or(0);
        if rows == 0 || schema.fields().is_empty() {
            return Err(no_rows("the file has"));
        }
        Ok(Self {
            file,
            watch: watch.clone(),
            metadata,
            schema,
            rows,
        })
    }

    /// Rows a batch, by the average size of a row.
    fn batch_rows(&self) -> usize {
        let bytes: i64 = self
            .metadata
            .metadata()
            .row_groups()
            .iter()
            .map(|g| g.total_byte_size())
            .sum();
        let row = u64::try_from(bytes).unwrap_or(0) / self.rows;
        usize::try_from((BATCH_BYTES / row.max(1)).clamp(16, 8_192)).unwrap_or(16)
    }
}

impl Source for ParquetFile {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn is_known(&self) -> bool {
        true
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn fits(&self, column: usize, data_type: &DataType) -> bool {
        self.schema.field(column).data_type() == data_type
    }

    fn absent_is_null(&self) -> bool {
        false
    }

    fn read(
        &mut self,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError> {
        let file = self.file.try_clone().map_err(IngestError::Spool)?;
        let total = file.metadata().map_err(IngestError::Spool)?.len();
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_batch_size(self.batch_rows())
                .build()
                .map_err(damaged)?;
        let (mut rows, mut reported) = (0, 0);
        for batch in reader {
            self.watch.check()?;
            let batch = batch.map_err(|error| damaged(ParquetError::from(error)))?;
            rows += batch.num_rows() as u64;
            if let Some(schema) = schema {
                sink(plain::batch(&batch, schema)?)?;
            }
            let read = u64::try_from(u128::from(total) * u128::from(rows) / u128::from(self.rows));
            let read = read.unwrap_or(total).min(total);
            self.watch.progress.add_bytes(read.saturating_sub(reported));
            reported = read;
        }
        if rows != self.rows {
            return Err(IngestError::bad(
                Place::default(),
                format!(
                    "the footer promises {} rows, the file has {rows}",
                    self.rows
                ),
                "write the file again",
            ));
        }
        Ok(Read::All)
    }
}

fn damaged(error: ParquetError) -> IngestError {
    IngestError::bad(
        Place::default(),
        format!("the file is no sound Parquet file: {error}"),
        "write or copy the file again",
    )
}
