//! A table on its way: batches become a Parquet file on the local disk, sampled as they pass.
//!
//! The file has no name, so the system takes it back however the process ends. Nothing reaches a bucket
//! from here. Row groups end at a million rows or about 16 MiB, whichever is first; together with the
//! batch in hand that bounds the memory. Spools that are written side by side share those 16 MiB, down to 4 MiB each.
//! A text that repeats is written once, so they also end at 128 MiB of decoded values: whoever reads a row group at
//! once, or batches of rows that are long in one place only, takes no more.

mod wide;

use std::{fs::File, path::Path, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use boathouse_types::TableSample;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties},
};

pub(crate) use self::wide::WideSpool;
use crate::{
    FileSeal, IngestError, decoded,
    sample::{self, Sampler},
    seal::{self, Sealing},
    stamp::stamp,
};

const GROUP_ROWS: usize = 1_000_000;
/// Bytes of a row group, about.
pub(crate) const GROUP_BYTES: usize = 16 << 20;
/// Bytes of a row group once its values are written out, about.
pub(crate) const GROUP_DECODED_BYTES: u64 = 128 << 20;
/// Spools that share the bytes of a row group; with more, row groups would become too small to read well.
const MOST_SPOOLS: usize = 4;

/// Bytes of distinct values above which a column of a row group is written plainly: a dictionary that does not
/// stay small costs time and memory and saves nothing.
const DICTIONARY_BYTES: usize = 256 << 10;

/// Rows a page: what reading a single row has to decode.
const PAGE_ROWS: usize = 4_096;

/// Seed of the sample; fixed, so that a table always gives the same one.
pub(crate) const SAMPLE_SEED: u64 = 0x5eed_b0a7;

/// A Parquet file in the making.
pub(crate) struct Spool {
    writer: ArrowWriter<Sealing>,
    file: File,
    schema: SchemaRef,
    sampler: Sampler,
    rows: u64,
    /// Of the row group in the making, at most.
    decoded_bytes: u64,
}

/// A finished Parquet file, not yet in any bucket.
pub(crate) struct SpooledTable {
    /// Its bytes.
    pub(crate) file: File,
    /// What they are.
    pub(crate) seal: FileSeal,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    /// Its rows.
    pub(crate) rows: u64,
    /// A sample of its values.
    pub(crate) sample: TableSample,
}

impl Spool {
    /// One of `spools` files that are written side by side, empty, in `folder` or in the system's folder for
    /// temporary files.
    pub(crate) fn one_of(
        spools: usize,
        folder: Option<&Path>,
        schema: &SchemaRef,
    ) -> Result<Self, IngestError> {
        let file = nameless(folder)?;
        let writer = ArrowWriter::try_new(
            Sealing::new(file.try_clone().map_err(IngestError::Spool)?),
            Arc::clone(schema),
            Some(properties(GROUP_BYTES / spools.clamp(1, MOST_SPOOLS))),
        );
        Ok(Self {
            writer: writer.map_err(IngestError::spool)?,
            file,
            schema: Arc::clone(schema),
            sampler: Sampler::new(schema, SAMPLE_SEED),
            rows: 0,
            decoded_bytes: 0,
        })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        self.sampler
            .observe(batch)
            .map_err(|error| IngestError::arrow(&error))?;
        self.rows += batch.num_rows() as u64;
        self.encode(batch).map_err(IngestError::spool)
    }

    fn encode(&mut self, batch: &RecordBatch) -> parquet::errors::Result<()> {
        self.writer.write(batch)?;
        // A group that the writer has ended meanwhile has no rows from before the batch.
        if self.writer.in_progress_rows() <= batch.num_rows() {
            self.decoded_bytes = 0;
        }
        self.decoded_bytes += decoded::bytes_of(batch);
        if self.decoded_bytes >= GROUP_DECODED_BYTES {
            self.writer.flush()?;
            self.decoded_bytes = 0;
        }
        Ok(())
    }

    /// Ends the row group that is open, if one is.
    pub(crate) fn end_group(&mut self) -> Result<(), IngestError> {
        self.decoded_bytes = 0;
        self.writer.flush().map_err(IngestError::spool)
    }

    /// Ends the file.
    pub(crate) fn finish(self, name: &str) -> Result<SpooledTable, IngestError> {
        let (writer, _) = self
            .writer
            .into_serialized_writer()
            .map_err(IngestError::spool)?;
        Ok(SpooledTable {
            seal: seal::finish(writer)?,
            file: self.file,
            schema: self.schema,
            rows: self.rows,
            sample: self.sampler.finish(name),
        })
    }
}

/// An empty file without a name in `folder`, or in the system's folder for temporary files.
pub(crate) fn nameless(folder: Option<&Path>) -> Result<File, IngestError> {
    let file = match folder {
        Some(folder) => tempfile::tempfile_in(folder),
        None => tempfile::tempfile(),
    };
    file.map_err(IngestError::Spool)
}

impl SpooledTable {
    /// One sample of all tables, which have the same columns.
    pub(crate) fn samples(tables: &[Self]) -> TableSample {
        let samples: Vec<_> = tables.iter().map(|table| &table.sample).collect();
        sample::merged(&samples, SAMPLE_SEED)
    }
}

/// How files of rows are written.
pub(crate) fn properties(group_bytes: usize) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(group_bytes))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(stamp()))
        .set_created_by(concat!("boathouse ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}
