//! A table on its way whose columns are encoded by several threads: for sources that give rows faster than one
//! thread compresses them.
//!
//! Each thread has its share of the columns for the length of a row group and takes batches from a short queue,
//! so the source runs ahead by a few batches at most. The file is the one that a [`super::Spool`] writes.

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, SchemaRef},
};
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_writer::{
            ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
        },
    },
    errors::{ParquetError, Result},
    file::writer::SerializedFileWriter,
};

use super::{
    GROUP_BYTES, GROUP_DECODED_BYTES, GROUP_ROWS, SAMPLE_SEED, SpooledTable, nameless, properties,
};
use crate::{
    IngestError, decoded,
    sample::Sampler,
    seal::{self, Sealing},
};

/// Batches that wait for each thread.
const BATCHES_AHEAD: usize = 4;

/// Most threads: the source needs a core, too.
const MOST_THREADS: usize = 4;

/// A Parquet file in the making.
pub(crate) struct WideSpool {
    writer: SerializedFileWriter<Sealing>,
    factory: ArrowRowGroupWriterFactory,
    file: File,
    schema: SchemaRef,
    sampler: Sampler,
    rows: u64,
    groups: usize,
    group: Option<Group>,
}

impl WideSpool {
    /// An empty file in `folder`, or in the system's folder for temporary files.
    pub(crate) fn create(
        folder: Option<&Path>,
        schema: &SchemaRef,
    ) -> std::result::Result<Self, IngestError> {
        let file = nameless(folder)?;
        let target = Sealing::new(file.try_clone().map_err(IngestError::Spool)?);
        let properties = properties(GROUP_BYTES);
        let writer = ArrowWriter::try_new(target, Arc::clone(schema), Some(properties))
            .and_then(ArrowWriter::into_serialized_writer);
        let (writer, factory) = writer.map_err(IngestError::spool)?;
        Ok(Self {
            writer,
            factory,
            file,
            schema: Arc::clone(schema),
            sampler: Sampler::new(schema, SAMPLE_SEED),
            rows: 0,
            groups: 0,
            group: None,
        })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> std::result::Result<(), IngestError> {
        self.sampler
            .observe(batch)
            .map_err(|error| IngestError::arrow(&error))?;
        self.rows += batch.num_rows() as u64;
        self.encode(batch).map_err(IngestError::spool)
    }

    /// Ends the file.
    pub(crate) fn finish(mut self, name: &str) -> std::result::Result<SpooledTable, IngestError> {
        self.end_group().map_err(IngestError::spool)?;
        Ok(SpooledTable {
            seal: seal::finish(self.writer)?,
            file: self.file,
            schema: self.schema,
            rows: self.rows,
            sample: self.sampler.finish(name),
        })
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let group = match &mut self.group {
                Some(group) => group,
                none => none.insert(Group::begin(&self.factory, self.groups, &self.schema)?),
            };
            let length = (batch.num_rows() - start).min(GROUP_ROWS - group.rows);
            let is_open = group.send(&batch.slice(start, length));
            start += length;
            // A thread that has stopped tells why when the group ends.
            if !is_open || group.is_full() {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        self.groups += 1;
        let mut target = self.writer.next_row_group()?;
        for chunk in group.end()? {
            chunk.append_to_row_group(&mut target)?;
        }
        target.close()?;
        Ok(())
    }
}

/// A row group in the making.
struct Group {
    lanes: Vec<Lane>,
    rows: usize,
    decoded_bytes: u64,
}

/// A thread with its share of the columns.
struct Lane {
    batches: SyncSender<RecordBatch>,
    /// About how many bytes its columns have.
    bytes: Arc<AtomicUsize>,
    thread: JoinHandle<Result<Vec<(usize, ArrowColumnChunk)>>>,
}

/// A column of the table, and the writers of the Parquet columns that it becomes.
struct Column {
    /// Its position.
    at: usize,
    /// The position of its first Parquet column.
    leaf: usize,
    writers: Vec<ArrowColumnWriter>,
}

impl Group {
    fn begin(
        factory: &ArrowRowGroupWriterFactory,
        number: usize,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores
            .clamp(1, MOST_THREADS)
            .min(schema.fields().len().max(1));
        let mut shares: Vec<Vec<Column>> = (0..threads).map(|_| Vec::new()).collect();
        let mut writers = factory.create_column_writers(number)?.into_iter();
        let mut leaf = 0;
        for (at, field) in schema.fields().iter().enumerate() {
            let leaves = leaves(field.data_type());
            shares[at % threads].push(Column {
                at,
                leaf,
                writers: writers.by_ref().take(leaves).collect(),
            });
            leaf += leaves;
        }
        let lanes = shares.into_iter().map(|share| Lane::begin(share, schema));
        Ok(Self {
            lanes: lanes.collect(),
            rows: 0,
            decoded_bytes: 0,
        })
    }

    /// Hands a batch to all threads; false when one of them has stopped.
    fn send(&mut self, batch: &RecordBatch) -> bool {
        self.rows += batch.num_rows();
        self.decoded_bytes += decoded::bytes_of(batch);
        self.lanes
            .iter()
            .all(|lane| lane.batches.send(batch.clone()).is_ok())
    }

    fn is_full(&self) -> bool {
        self.rows == GROUP_ROWS
            || self.bytes() >= GROUP_BYTES
            || self.decoded_bytes >= GROUP_DECODED_BYTES
    }

    fn bytes(&self) -> usize {
        let bytes = |lane: &Lane| lane.bytes.load(Ordering::Relaxed);
        self.lanes.iter().map(bytes).sum()
    }

    /// The encoded columns, in order.
    fn end(self) -> Result<Vec<ArrowColumnChunk>> {
        let threads: Vec<_> = self.lanes.into_iter().map(|lane| lane.thread).collect();
        let mut chunks = Vec::new();
        for thread in threads {
            let panicked = |_| ParquetError::General("an encoder panicked".to_owned());
            chunks.extend(thread.join().map_err(panicked)??);
        }
        chunks.sort_by_key(|(leaf, _)| *leaf);
        Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
    }
}

impl Lane {
    fn begin(mut columns: Vec<Column>, schema: &SchemaRef) -> Self {
        let (batches, queue) = sync_channel::<RecordBatch>(BATCHES_AHEAD);
        let (schema, bytes) = (Arc::clone(schema), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            for batch in queue {
                let mut sum = 0;
                for column in &mut columns {
                    let leaves = compute_leaves(schema.field(column.at), batch.column(column.at))?;
                    for (writer, leaf) in column.writers.iter_mut().zip(&leaves) {
                        writer.write(leaf)?;
                        sum += writer.get_estimated_total_bytes();
                    }
                }
                counted.store(sum, Ordering::Relaxed);
            }
            let ended = columns.into_iter().flat_map(|column| {
                let leaves = column.leaf..;
                leaves
                    .zip(column.writers)
                    .map(|(leaf, writer)| Ok((leaf, writer.close()?)))
            });
            ended.collect()
        });
        Self {
            batches,
            bytes,
            thread,
        }
    }
}

/// How many Parquet columns a type becomes.
fn leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => leaves(field.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, ArrayRef, Int64Array, ListArray, StringArray, StructArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::{spool::Spool, testing::shown};

    /// Numbers, lists of structs of two columns, and texts.
    fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
        let numbers = || Int64Array::from_iter(rows.clone().map(|n| (n % 7 > 0).then_some(n)));
        let texts = || StringArray::from_iter_values(rows.clone().map(|n| format!("text {n}")));
        let pairs: [(&str, ArrayRef); 2] = [("n", Arc::new(numbers())), ("t", Arc::new(texts()))];
        let pairs = StructArray::try_from(pairs.to_vec()).unwrap();
        let field = arrow::datatypes::Field::new_list_field(pairs.data_type().clone(), true);
        let offsets = arrow::buffer::OffsetBuffer::from_lengths(rows.clone().map(|_| 1));
        let lists = ListArray::new(Arc::new(field), offsets, Arc::new(pairs), None);
        let columns: [(&str, ArrayRef); 3] = [
            ("n", Arc::new(numbers())),
            ("l", Arc::new(lists)),
            ("t", Arc::new(texts())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .unwrap()
    }

    #[test]
    fn the_file_holds_what_was_written_in_groups_of_a_million_rows() {
        let schema = batch(0..1).schema();
        let mut spool = WideSpool::create(None, &schema).unwrap();
        for start in (0..1_050_000).step_by(30_000) {
            spool.write(&batch(start..start + 30_000)).unwrap();
        }
        let table = spool.finish("t").unwrap();
        assert_eq!(table.rows, 1_050_000);
        assert_eq!(table.sample.columns[2].rows, 1_050_000);
        let reader = ParquetRecordBatchReaderBuilder::try_new(table.file).unwrap();
        let groups = reader.metadata().row_groups().iter();
        let rows: Vec<_> = groups.map(|group| group.num_rows()).collect();
        assert_eq!(rows, [1_000_000, 50_000]);
        let mut at = 0;
        for found in reader.with_batch_size(10_000).build().unwrap() {
            let found = found.unwrap();
            let expected = batch(at..at + found.num_rows() as i64);
            assert_eq!(shown(&[found]), shown(&[expected]), "from row {at}");
            at += 10_000;
        }
        assert_eq!(at, 1_050_000);
    }

    #[test]
    fn a_text_that_repeats_makes_no_group_that_is_large_once_decoded() {
        const ROWS: usize = 80;
        const LENGTH: usize = 100_000;
        let text = "x".repeat(LENGTH);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); ROWS]));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let mut wide = WideSpool::create(None, &batch.schema()).unwrap();
        let mut plain = Spool::one_of(1, None, &batch.schema()).unwrap();
        for _ in 0..40 {
            wide.write(&batch).unwrap();
            plain.write(&batch).unwrap();
        }
        for table in [wide.finish("t"), plain.finish("t")] {
            let reader = ParquetRecordBatchReaderBuilder::try_new(table.unwrap().file).unwrap();
            let groups = reader.metadata().row_groups().iter();
            let stated = groups.map(|group| group.column(0).unencoded_byte_array_data_bytes());
            let stated: Vec<u64> = stated.map(|bytes| bytes.unwrap().cast_unsigned()).collect();
            assert_eq!(stated.iter().sum::<u64>(), (40 * ROWS * LENGTH) as u64);
            let most = GROUP_DECODED_BYTES + (ROWS * LENGTH) as u64;
            assert!(stated.iter().all(|bytes| *bytes <= most), "{stated:?}");
            assert_eq!(stated.len(), 3, "no smaller ones than needed: {stated:?}");
        }
    }

    #[test]
    fn one_that_is_given_up_leaves_no_thread_waiting() {
        let schema = batch(0..1).schema();
        let mut spool = WideSpool::create(None, &schema).unwrap();
        spool.write(&batch(0..10)).unwrap();
        let group = spool.group.take().unwrap();
        drop(spool);
        let threads: Vec<_> = group.lanes.into_iter().map(|lane| lane.thread).collect();
        assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
    }
}
