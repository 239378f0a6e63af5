//! A table on its way: batches become a Parquet file on the local disk, sampled as they pass.
//!
//! The file has no name, so the system takes it back however the process ends. Nothing reaches a bucket
//! from here. Row groups end at a million rows or about 128 MiB, whichever is first; together with the
//! batch in hand that bounds the memory.

use std::{fs::File, path::Path, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use boathouse_types::TableSample;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
};

use crate::{
    IngestError,
    sample::{self, Sampler},
    stamp::stamp,
};

const GROUP_ROWS: usize = 1_000_000;
const GROUP_BYTES: usize = 128 << 20;

/// Rows a page: what reading a single row has to decode.
const PAGE_ROWS: usize = 4_096;

/// Seed of the sample; fixed, so that a table always gives the same one.
pub(crate) const SAMPLE_SEED: u64 = 0x5eed_b0a7;

/// A Parquet file in the making.
pub(crate) struct Spool {
    writer: ArrowWriter<File>,
    file: File,
    schema: SchemaRef,
    sampler: Sampler,
    rows: u64,
}

/// A finished Parquet file, not yet in any bucket.
pub(crate) struct SpooledTable {
    /// Its bytes.
    pub(crate) file: File,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// Its rows.
    pub(crate) rows: u64,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// A sample of its values.
    pub(crate) sample: TableSample,
}

impl Spool {
    /// An empty file in `folder`, or in the system's folder for temporary files.
    pub(crate) fn create(folder: Option<&Path>, schema: &SchemaRef) -> Result<Self, IngestError> {
        let file = match folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        };
        let file = file.map_err(IngestError::Spool)?;
        let writer = ArrowWriter::try_new(
            file.try_clone().map_err(IngestError::Spool)?,
            Arc::clone(schema),
            Some(properties()),
        );
        Ok(Self {
            writer: writer.map_err(IngestError::spool)?,
            file,
            schema: Arc::clone(schema),
            sampler: Sampler::new(schema, SAMPLE_SEED),
            rows: 0,
        })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        self.sampler
            .observe(batch)
            .map_err(|error| IngestError::arrow(&error))?;
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(IngestError::spool)
    }

    /// Ends the file.
    pub(crate) fn finish(self, name: &str) -> Result<SpooledTable, IngestError> {
        self.writer.close().map_err(IngestError::spool)?;
        Ok(SpooledTable {
            bytes: self.file.metadata().map_err(IngestError::Spool)?.len(),
            file: self.file,
            schema: self.schema,
            rows: self.rows,
            sample: self.sampler.finish(name),
        })
    }
}

impl SpooledTable {
    /// One sample of all tables, which have the same columns.
    pub(crate) fn samples(tables: &[Self]) -> TableSample {
        let mut samples = tables.iter().map(|table| &table.sample);
        let mut all = samples.next().cloned().unwrap_or_default();
        for sample in samples {
            for (column, more) in all.columns.iter_mut().zip(&sample.columns) {
                sample::add(column, more);
            }
        }
        all
    }
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(stamp()))
        .set_created_by(concat!("boathouse ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}
