//! An append log: records as JSON lines in write-once batch files under a prefix.
//!
//! **Durable by default.** [`AppendLog::append`] returns once the record is in the bucket. Appends that
//! arrive while a file is being written wait for each other and share the next one (group commit), so
//! many writers cost few files. The writer is whichever append holds the slot: no task is spawned, and
//! when that append is cancelled half-way, the next one takes its batch over, under the same name.
//!
//! **Buffered on request.** After [`AppendLog::with_flush_threshold`] appends return at once and are
//! written `n` at a time or by [`AppendLog::flush`]; a crash loses what was not flushed.
//!
//! **Many writers.** Batch names are unique and sort by time, so any number of logs, processes and hosts
//! may append under one prefix. Reading and compaction are in `log/read.rs`, the bytes of a file in
//! `log/format.rs`; there it is also told why no record is ever lost or doubled.

mod aside;
mod covered;
mod decode;
mod format;
mod read;
mod sound;

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use boathouse_types::Clock;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use self::format::{BatchName, header_line};
pub use self::{
    aside::{KeptFile, Salvage},
    covered::CoveredFile,
};
pub(crate) use self::{format::is_log_file, sound::is_sounder};
use crate::{Bucket, StorageError, path::trimmed, time_ordered_id};

/// A log of `T` under a prefix of a bucket; clones share their group commit and their buffer.
///
/// ```
/// use std::sync::Arc;
///
/// use boathouse_storage::{AppendLog, Bucket};
/// use boathouse_types::{BucketName, ManualClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = Bucket::memory(BucketName::primary());
/// let clock = Arc::new(ManualClock::at(1_800_000_000_000));
/// let journal = AppendLog::<String>::new(bucket, "_journal/boats", clock);
///
/// // In the bucket when this returns; appends at the same time share a file.
/// journal.append("launched".to_owned()).await?;
/// futures::try_join!(
///     journal.append("rowed".to_owned()),
///     journal.append("moored".to_owned()),
/// )?;
///
/// // Any number of files become one; nothing is lost or doubled, whoever writes meanwhile.
/// journal.compact().await?;
/// let contents = journal.read_all().await?;
/// assert_eq!(contents.records, ["launched", "rowed", "moored"]);
/// assert_eq!(contents.malformed, 0);
///
/// // Up to three records in memory before they are written, for who accepts to lose them.
/// let notes = journal.with_flush_threshold(3);
/// notes.append("maybe".to_owned()).await?;
/// notes.flush().await?;
/// # Ok(())
/// # }
/// ```
pub struct AppendLog<T> {
    shared: Arc<Shared>,
    record: PhantomData<fn(T) -> T>,
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogContents<T> {
    /// The records in the order of their appends.
    pub records: Vec<T>,
    /// Lines that are not a `T` and were skipped.
    pub malformed: u64,
}

impl<T: Serialize + DeserializeOwned + Send + 'static> AppendLog<T> {
    /// The log under `prefix`; touches nothing. The clock gives batch files their order.
    #[must_use]
    pub fn new(bucket: Bucket, prefix: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self::with(bucket, trimmed(&prefix.into()), clock, 1)
    }

    /// A log that keeps up to `records` in memory before it writes them; 0 and 1 mean none.
    ///
    /// It shares nothing with the log that it was made from but the prefix.
    #[must_use]
    pub fn with_flush_threshold(self, records: usize) -> Self {
        let Shared {
            bucket,
            prefix,
            clock,
            ..
        } = &*self.shared;
        Self::with(
            bucket.clone(),
            prefix.clone(),
            Arc::clone(clock),
            records.max(1),
        )
    }

    fn with(bucket: Bucket, prefix: String, clock: Arc<dyn Clock>, threshold: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                bucket,
                prefix,
                clock,
                threshold,
                open: Mutex::new(None),
                sealed: tokio::sync::Mutex::new(None),
            }),
            record: PhantomData,
        }
    }

    /// Appends a record. Without a flush threshold it is durable when this returns.
    ///
    /// # Errors
    /// [`StorageError::Unencodable`]: nothing happened. [`StorageError::Unavailable`]: without a flush
    /// threshold it is open whether the record was written; with one, the buffer is full and cannot be
    /// flushed, and the record was not taken.
    pub async fn append(&self, record: T) -> Result<(), StorageError> {
        let line = serde_json::to_vec(&record)?;
        drop(record);
        if self.shared.is_buffered() {
            self.shared.append_buffered(&line).await
        } else {
            self.shared.append_durably(&line).await
        }
    }

    /// Writes what is buffered; durable when this returns.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]; the records stay buffered and the next flush writes them.
    pub async fn flush(&self) -> Result<(), StorageError> {
        self.shared.flush().await
    }

    /// All records: those in the bucket and those in this log's own buffer, in order.
    ///
    /// # Errors
    /// [`StorageError::NewerFormat`], [`StorageError::Contended`], [`StorageError::Unavailable`].
    pub async fn read_all(&self) -> Result<LogContents<T>, StorageError> {
        self.read_with(|line| serde_json::from_slice(line).ok())
            .await
    }

    /// As [`Self::read_all`], with lines that the caller reads in a way of its own: one that gives none is
    /// malformed. Called for one line at a time, on several threads at once.
    ///
    /// # Errors
    /// As [`Self::read_all`].
    pub async fn read_with<R: Send + 'static>(
        &self,
        read: impl Fn(&[u8]) -> Option<R> + Send + Sync + 'static,
    ) -> Result<LogContents<R>, StorageError> {
        self.shared.read_with(read).await
    }

    /// Merges the batch files into one and returns how many it replaced. Others may append, read and
    /// compact meanwhile; a crash at any step loses and doubles nothing.
    ///
    /// # Errors
    /// As [`Self::read_all`].
    pub async fn compact(&self) -> Result<usize, StorageError> {
        self.shared.compact().await
    }
}

impl<T> Clone for AppendLog<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            record: PhantomData,
        }
    }
}

impl<T> fmt::Debug for AppendLog<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendLog")
            .field("bucket", self.shared.bucket.name())
            .field("prefix", &self.shared.prefix)
            .finish_non_exhaustive()
    }
}

/// What every clone of a log works on.
struct Shared {
    bucket: Bucket,
    prefix: String,
    clock: Arc<dyn Clock>,
    /// Records per batch file in buffered mode; 1 is the durable mode.
    threshold: usize,
    /// The batch that takes records. Locked for moments only.
    open: Mutex<Option<Batch>>,
    /// The batch that is being written. Whoever holds the lock is the writer; the batch stays here until
    /// its fate is known, so that a writer that is cancelled leaves it to the next one.
    sealed: tokio::sync::Mutex<Option<Batch>>,
}

/// Records that go into one file.
struct Batch {
    /// Given once, with the first record: a batch that is written twice lands on the same name.
    name: BatchName,
    lines: Vec<u8>,
    records: usize,
    outcome: Arc<Outcome>,
}

/// What became of a batch; empty until it is known.
type Outcome = OnceLock<Result<(), StorageError>>;

impl Shared {
    fn is_buffered(&self) -> bool {
        self.threshold > 1
    }

    async fn append_durably(&self, line: &[u8]) -> Result<(), StorageError> {
        let outcome = {
            let mut open = self.lock_open();
            let batch = open.get_or_insert_with(|| self.new_batch());
            batch.push(line);
            Arc::clone(&batch.outcome)
        };
        let mut sealed = self.sealed.lock().await;
        loop {
            if let Some(result) = outcome.get() {
                return result.clone();
            }
            // Not known yet, so the record is in the sealed batch or in the open one, and each turn
            // settles one of them. A failure reaches this append through its outcome.
            let _ = self.write_one(&mut sealed).await;
        }
    }

    async fn append_buffered(&self, line: &[u8]) -> Result<(), StorageError> {
        loop {
            let full = {
                let mut open = self.lock_open();
                let batch = open.get_or_insert_with(|| self.new_batch());
                if batch.records < self.threshold {
                    batch.push(line);
                    Some(batch.records == self.threshold)
                } else {
                    None
                }
            };
            match full {
                Some(false) => return Ok(()),
                Some(true) => break,
                // The last flush failed. Taking more would grow without bound.
                None => self.flush().await?,
            }
        }
        if let Err(error) = self.flush().await {
            let prefix = &self.prefix;
            tracing::warn!(prefix, %error, "a full buffer could not be flushed; it is kept");
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), StorageError> {
        let mut sealed = self.sealed.lock().await;
        if sealed.is_some() {
            self.write_one(&mut sealed).await?;
        }
        self.write_one(&mut sealed).await
    }

    /// Writes the sealed batch, or else seals the open one and writes that; without either it is done.
    async fn write_one(&self, sealed: &mut Option<Batch>) -> Result<(), StorageError> {
        if sealed.is_none() {
            *sealed = self.lock_open().take();
        }
        let Some(batch) = sealed.as_ref() else {
            return Ok(());
        };
        let path = self.path(&batch.name.file_name());
        // Overwriting is right: only this batch has this name, and a repeated write is the same bytes.
        let result = self.bucket.put(&path, batch.file()).await;
        if (result.is_ok() || !self.is_buffered())
            && let Some(batch) = sealed.take()
        {
            // Set here and nowhere else, once per batch.
            let _ = batch.outcome.set(result.clone());
        }
        result
    }

    fn new_batch(&self) -> Batch {
        Batch {
            name: BatchName::new(&time_ordered_id(&*self.clock)),
            lines: Vec::new(),
            records: 0,
            outcome: Arc::default(),
        }
    }

    fn path(&self, file_name: &str) -> String {
        format!("{}/{file_name}", self.prefix)
    }

    fn lock_open(&self) -> MutexGuard<'_, Option<Batch>> {
        // A batch is pushed to by appending to two fields; a panic in between is out of memory.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    fn push(&mut self, line: &[u8]) {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        self.records += 1;
    }

    fn file(&self) -> Bytes {
        let mut bytes = header_line();
        bytes.extend_from_slice(&self.lines);
        bytes.into()
    }
}

#[cfg(test)]
mod tests;
