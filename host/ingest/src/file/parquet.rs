//! Parquet files: the footer is checked, the types kept (`plain.rs`), the rows copied batch by batch.
//!
//! A copy of the bytes would be faster, but the row groups, statistics and indexes of the datasets are
//! ours, a page that cannot be decoded is found now rather than at the first search, and the sample needs the
//! values.

use std::{fs::File, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
        ParquetRecordBatchReaderBuilder,
    },
    errors::ParquetError,
};

use super::{
    plain,
    source::{Read, Sink, Source, no_rows},
};
use crate::{IngestError, decoded, error::Place, watch::Watch};

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

    /// The rows of one row group.
    fn group(&self, group: usize) -> Result<ParquetRecordBatchReader, IngestError> {
        let rows = decoded::batch_rows(&self.file, self.metadata.metadata().row_group(group));
        let file = self.file.try_clone().map_err(IngestError::Spool)?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(rows)
            .build()
            .map_err(damaged)
    }
}

impl Source for ParquetFile {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn read(
        &mut self,
        schema: Option<&SchemaRef>,
        sink: &mut Sink<'_>,
    ) -> Result<Read, IngestError> {
        let total = self.file.metadata().map_err(IngestError::Spool)?.len();
        let (mut rows, mut reported) = (0, 0);
        for group in 0..self.metadata.metadata().num_row_groups() {
            for batch in self.group(group)? {
                self.watch.check()?;
                let batch = batch.map_err(|error| damaged(ParquetError::from(error)))?;
                rows += batch.num_rows() as u64;
                if let Some(schema) = schema {
                    sink(plain::batch(&batch, schema)?)?;
                }
                let read =
                    u64::try_from(u128::from(total) * u128::from(rows) / u128::from(self.rows));
                let read = read.unwrap_or(total).min(total);
                self.watch.progress.add_bytes(read.saturating_sub(reported));
                reported = read;
            }
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

#[cfg(test)]
mod tests {
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::decoded::tests::{MOST_BYTES, repeated};

    #[test]
    fn a_long_text_that_repeats_comes_in_small_batches() {
        // Several row groups.
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(700))
            .build();
        let file = repeated(&"x".repeat(300_000), 2_000, properties);
        let mut parquet = ParquetFile::open(file, &Watch::default()).unwrap();
        let (mut rows, mut most) = (0, 0);
        let schema = parquet.schema();
        let read = parquet.read(Some(&schema), &mut |batch| {
            rows += batch.num_rows();
            most = most.max(batch.get_array_memory_size());
            Ok(())
        });
        assert_eq!((read.unwrap(), rows), (Read::All, 2_000));
        assert!(most < MOST_BYTES, "{most}");
    }
}
