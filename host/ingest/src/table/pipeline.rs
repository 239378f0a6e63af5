//! From the parts of a snapshot to local files of rows, side by side and within bounds.
//!
//! A worker is two threads that may block: one reads and decodes parts, one after the other, the other writes
//! its rows to a spool of the worker's own, so that there are no more files than workers. Between them are
//! batches whose bytes come from one budget for all workers; what a part sends waits while it is spent, and so
//! does its server. Row groups of all workers share one bound too (`spool.rs`), but a single long row goes beyond it, in
//! the encoder several times over; so batches of long rows count that often. So memory depends on neither rows nor parts.
//!
//! The first worker that fails stops all others, and so does a cancellation: a read is dropped wherever it
//! waits. Nothing here knows a database or a bucket.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use super::{Connector, PartSink, fit::Fit};
use crate::{
    IngestError, IngestProgress,
    spool::{Spool, SpooledTable},
    watch::Watch,
};

/// Bytes of all batches between readers and writers, in [`UNIT`]s. A larger batch passes alone.
const BUDGET: u32 = 16 << 10;
/// What the budget is counted in, in bytes.
const UNIT: usize = 1 << 10;
/// Bytes of a row, on average, from which those of a batch count [`COPIES`] times.
const LONG_ROW: usize = 1 << 20;
/// How often an encoder holds a long value: as it came, in a dictionary, in a page, and compressed.
const COPIES: usize = 4;
/// Batches between a reader and its writer; what really bounds them is the budget.
const QUEUE: usize = 4;

/// How a snapshot is to be read.
pub(super) struct Plan {
    /// The snapshot.
    pub(super) connector: Arc<dyn Connector>,
    /// How its columns become those of the dataset.
    pub(super) fit: Fit,
    /// Most parts that are read side by side.
    pub(super) parallel: usize,
    /// Folder for nameless temporary files; none: the system's.
    pub(super) folder: Option<PathBuf>,
    /// What the table is called in its sample.
    pub(super) name: String,
}

/// What the workers of a run share.
struct Crew {
    plan: Plan,
    workers: usize,
    next: AtomicUsize,
    budget: Arc<Semaphore>,
    progress: Arc<IngestProgress>,
    /// Set when the run is no longer wanted or has failed.
    stop: CancellationToken,
}

/// A batch on its way, and its part of the budget.
struct Parcel {
    batch: RecordBatch,
    _spent: OwnedSemaphorePermit,
}

/// Where a reader puts its rows.
struct Sender {
    crew: Arc<Crew>,
    writer: mpsc::Sender<Parcel>,
}

/// Reads all parts. Gives the files that hold rows, or one without any.
pub(super) async fn spool(plan: Plan, watch: &Watch) -> Result<Vec<SpooledTable>, IngestError> {
    let stop = watch.cancel.child_token();
    // Threads cannot be dropped with this future; they stop by this.
    let _stopped_when_dropped = stop.clone().drop_guard();
    let crew = Arc::new(Crew {
        workers: plan.parallel.min(plan.connector.parts()).max(1),
        plan,
        next: AtomicUsize::new(0),
        budget: Arc::new(Semaphore::new(BUDGET as usize)),
        progress: Arc::clone(&watch.progress),
        stop,
    });
    let mut workers: FuturesUnordered<_> =
        (0..crew.workers).map(|_| work(Arc::clone(&crew))).collect();
    let mut tables = Vec::with_capacity(crew.workers);
    let mut failed = None;
    while let Some(ended) = workers.next().await {
        match ended {
            Ok(table) => tables.push(table),
            Err(error) => failed = Some(graver(failed, error)),
        }
    }
    // A read that was cut off may look like one that has ended.
    watch.check()?;
    match failed {
        Some(error) => Err(error),
        None => Ok(with_rows(tables)),
    }
}

/// The error to report: a worker that was stopped only says that another one had failed.
fn graver(known: Option<IngestError>, error: IngestError) -> IngestError {
    match known {
        None | Some(IngestError::Cancelled) => error,
        Some(known) => known,
    }
}

fn with_rows(mut tables: Vec<SpooledTable>) -> Vec<SpooledTable> {
    match tables.iter().any(|table| table.rows > 0) {
        true => tables.retain(|table| table.rows > 0),
        false => tables.truncate(1),
    }
    tables
}

/// One worker from its first part to its finished file.
async fn work(crew: Arc<Crew>) -> Result<SpooledTable, IngestError> {
    let (writer, rows) = mpsc::channel(QUEUE);
    let (reading, writing, runtime) = (Arc::clone(&crew), Arc::clone(&crew), Handle::current());
    let reader = tokio::task::spawn_blocking(move || {
        let crew = Arc::clone(&reading);
        let sender = Sender {
            crew: reading,
            writer,
        };
        crew.stopping_all(runtime.block_on(read_parts(sender)))
    });
    let writer =
        tokio::task::spawn_blocking(move || writing.stopping_all(write_rows(&writing, rows)));
    let (read, written) = tokio::join!(reader, writer);
    match (crew.ended(read), crew.ended(written)) {
        (Ok(()), written) => written,
        (Err(error), Ok(_)) => Err(error),
        (Err(read), Err(written)) => Err(graver(Some(read), written)),
    }
}

async fn read_parts(mut sender: Sender) -> Result<(), IngestError> {
    let crew = Arc::clone(&sender.crew);
    let all = async {
        loop {
            let part = crew.next.fetch_add(1, Ordering::Relaxed);
            if part >= crew.plan.connector.parts() {
                return Ok(());
            }
            crew.plan.connector.read(part, &mut sender).await?;
            crew.progress.end_part();
        }
    };
    tokio::select! {
        biased;
        () = crew.stop.cancelled() => Err(IngestError::Cancelled),
        ended = all => ended,
    }
}

fn write_rows(crew: &Crew, mut rows: mpsc::Receiver<Parcel>) -> Result<SpooledTable, IngestError> {
    let plan = &crew.plan;
    let mut spool = Spool::one_of(crew.workers, plan.folder.as_deref(), plan.fit.schema())?;
    while let Some(parcel) = rows.blocking_recv() {
        crew.check()?;
        let count = parcel.batch.num_rows() as u64;
        let is_long = has_long_rows(
            parcel.batch.get_array_memory_size(),
            parcel.batch.num_rows(),
        );
        spool.write(&plan.fit.apply(parcel.batch)?)?;
        if is_long {
            // An open row group keeps its least and greatest values, whole, for as many spools as there are.
            spool.end_group()?;
        }
        crew.progress.add_rows(count);
    }
    // The reader has ended, or it was stopped before it could.
    crew.check()?;
    spool.finish(&plan.name)
}

impl Crew {
    fn check(&self) -> Result<(), IngestError> {
        match self.stop.is_cancelled() {
            true => Err(IngestError::Cancelled),
            false => Ok(()),
        }
    }

    /// Passes an outcome on; a failure stops all workers before anybody can take the rows for complete.
    fn stopping_all<T>(&self, outcome: Result<T, IngestError>) -> Result<T, IngestError> {
        if outcome.is_err() {
            self.stop.cancel();
        }
        outcome
    }

    /// The outcome of a thread, also when it panicked.
    fn ended<T>(
        &self,
        thread: Result<Result<T, IngestError>, tokio::task::JoinError>,
    ) -> Result<T, IngestError> {
        thread.unwrap_or_else(|error| {
            self.stop.cancel();
            Err(IngestError::Worker(error.to_string()))
        })
    }
}

/// What a batch of so many bytes and rows takes of the budget.
fn cost(bytes: usize, rows: usize) -> u32 {
    let copies = match has_long_rows(bytes, rows) {
        true => COPIES,
        false => 1,
    };
    let units = bytes.div_ceil(UNIT).saturating_mul(copies);
    u32::try_from(units).unwrap_or(BUDGET).clamp(1, BUDGET)
}

/// Whether rows of so many bytes are long ones, on average.
fn has_long_rows(bytes: usize, rows: usize) -> bool {
    bytes / rows.max(1) >= LONG_ROW
}

#[async_trait]
impl PartSink for Sender {
    async fn write(&mut self, batch: RecordBatch) -> Result<(), IngestError> {
        if batch.num_rows() == 0 {
            return self.crew.check();
        }
        let units = cost(batch.get_array_memory_size(), batch.num_rows());
        let spent = Arc::clone(&self.crew.budget).acquire_many_owned(units);
        // Only a run that is given up closes what these wait for.
        let spent = spent.await.map_err(|_| IngestError::Cancelled)?;
        let parcel = Parcel {
            batch,
            _spent: spent,
        };
        let sent = self.writer.send(parcel).await;
        sent.map_err(|_| IngestError::Cancelled)
    }

    fn received(&self, bytes: u64) {
        self.crew.progress.add_bytes(bytes);
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! A sink whose writer is the test itself.

    use super::*;

    pub(in crate::table) fn sender(
        connector: Arc<dyn Connector>,
        progress: Arc<IngestProgress>,
    ) -> (impl PartSink, mpsc::Receiver<impl Send>) {
        let schema = connector.schema();
        let dataset = crate::testing::dataset();
        let crew = Arc::new(Crew {
            workers: 1,
            plan: Plan {
                connector,
                fit: Fit::of(&schema, None, &dataset).unwrap(),
                parallel: 1,
                folder: None,
                name: dataset.to_string(),
            },
            next: AtomicUsize::new(0),
            budget: Arc::new(Semaphore::new(BUDGET as usize)),
            progress,
            stop: CancellationToken::new(),
        });
        let (writer, rows) = mpsc::channel::<Parcel>(QUEUE);
        (Sender { crew, writer }, rows)
    }
}
