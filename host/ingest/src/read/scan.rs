//! Files one after another, row group by row group: fetched asynchronously, decoded on blocking threads.

use std::{collections::VecDeque, ops::Range};

use arrow::array::RecordBatch;
use futures::{Stream, stream};
use parquet::arrow::{
    ParquetRecordBatchStreamBuilder, ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, RowSelection},
    async_reader::ParquetRecordBatchStream,
};

use super::{Dataset, data::DataFile};
use crate::{DatasetFile, IngestError, dataset::with_columns, decoded};

/// What to read of one file.
pub(super) struct FileRead {
    file: DatasetFile,
    /// Numbers of rows within the file, ascending; none: all.
    rows: Option<Vec<u64>>,
}

impl FileRead {
    /// All rows.
    pub(super) fn whole(file: DatasetFile) -> Self {
        Self { file, rows: None }
    }

    /// Some rows, by ascending numbers.
    pub(super) fn some(file: DatasetFile, rows: Vec<u64>) -> Self {
        Self {
            file,
            rows: Some(rows),
        }
    }
}

/// A read in progress.
pub(super) struct Scan {
    dataset: Dataset,
    columns: Vec<String>,
    reads: VecDeque<FileRead>,
    path: String,
    groups: Option<ParquetRecordBatchStream<DataFile>>,
    group: Option<ParquetRecordBatchReader>,
}

impl Scan {
    /// Reads columns, which exist, of files.
    pub(super) fn new(dataset: Dataset, columns: Vec<String>, reads: Vec<FileRead>) -> Self {
        Self {
            dataset,
            columns,
            reads: reads.into(),
            path: String::new(),
            groups: None,
            group: None,
        }
    }

    /// The batches as a stream, which ends after an error.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<RecordBatch, IngestError>> + Send {
        stream::try_unfold(self, |mut scan| async move {
            Ok(scan.next().await?.map(|batch| (batch, scan)))
        })
    }

    /// The next batch; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, IngestError> {
        loop {
            if let Some(group) = self.group.take() {
                if let Some(batch) = self.decode(group).await? {
                    return self.in_order(&batch).map(Some);
                }
            } else if let Some(groups) = &mut self.groups {
                let next = groups.next_row_group().await;
                let bucket = self.dataset.bucket().name();
                self.group =
                    next.map_err(|error| IngestError::unreadable(bucket, &self.path, &error))?;
                if self.group.is_none() {
                    self.groups = None;
                }
            } else if let Some(read) = self.reads.pop_front() {
                self.groups = Some(self.open(&read).await?);
                self.path = read.file.path;
            } else {
                return Ok(None);
            }
        }
    }

    /// Decodes one batch of a row group, whose bytes are here already.
    async fn decode(
        &mut self,
        mut group: ParquetRecordBatchReader,
    ) -> Result<Option<RecordBatch>, IngestError> {
        let decoded = tokio::task::spawn_blocking(move || (group.next(), group)).await;
        // What a panic says may quote the data.
        let (batch, group) =
            decoded.map_err(|_| IngestError::damaged(&self.path, "its reader gave up on it"))?;
        let batch = batch
            .transpose()
            .map_err(|error| IngestError::damaged(&self.path, error))?;
        self.group = batch.is_some().then_some(group);
        Ok(batch)
    }

    // Takes `&mut self`, as readers can be sent but not shared.
    async fn open(
        &mut self,
        read: &FileRead,
    ) -> Result<ParquetRecordBatchStream<DataFile>, IngestError> {
        let inner = &self.dataset.0;
        let footer = inner.footers.load(&inner.bucket, &read.file).await?;
        let metadata = footer.metadata;
        let mask = self.mask(&metadata);
        let groups = metadata.metadata().row_groups().iter();
        let rows_at_once = decoded::stated_rows(groups, |leaf| mask.leaf_included(leaf));
        let selection = read.rows.as_ref().map(|rows| select(&metadata, rows));
        let data = DataFile::new(&inner.bucket, &read.file, footer.sums);
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(data, metadata)
            .with_projection(mask)
            .with_batch_size(rows_at_once);
        if let Some((groups, rows)) = selection {
            builder = builder.with_row_groups(groups).with_row_selection(rows);
        }
        builder
            .build()
            .map_err(|error| IngestError::damaged(&read.file.path, error))
    }

    fn mask(&self, footer: &ArrowReaderMetadata) -> ProjectionMask {
        let wanted = footer
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| self.columns.contains(field.name()))
            .map(|(at, _)| at);
        ProjectionMask::roots(footer.parquet_schema(), wanted)
    }

    /// The batch with the columns in the order asked for, in the dataset's schema.
    fn in_order(&self, batch: &RecordBatch) -> Result<RecordBatch, IngestError> {
        let damaged = |error| IngestError::damaged(&self.path, error);
        let order: Vec<usize> = self
            .columns
            .iter()
            .map(|name| batch.schema_ref().index_of(name))
            .collect::<Result<_, _>>()
            .map_err(damaged)?;
        let batch = batch.project(&order).map_err(damaged)?;
        let schema = with_columns(batch.schema_ref(), &self.dataset.0.version.columns);
        batch.with_schema(schema).map_err(damaged)
    }
}

/// The row groups that hold rows, by ascending numbers, and which rows of those groups they are.
fn select(footer: &ArrowReaderMetadata, rows: &[u64]) -> (Vec<usize>, RowSelection) {
    let mut groups = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let (mut start, mut selected, mut rest) = (0, 0, rows);
    for (at, group) in footer.metadata().row_groups().iter().enumerate() {
        let count = u64::try_from(group.num_rows()).unwrap_or(0);
        let end = start + count;
        let (here, after) = rest.split_at(rest.partition_point(|row| *row < end));
        if !here.is_empty() {
            groups.push(at);
            ranges.extend(here.iter().map(|row| {
                let row = (row - start + selected) as usize;
                row..row + 1
            }));
            selected += count;
        }
        (start, rest) = (end, after);
    }
    let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), selected as usize);
    (groups, selection)
}
