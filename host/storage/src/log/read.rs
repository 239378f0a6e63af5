//! Reading a log whole, and compacting it, while others write, read and compact.
//!
//! Compaction writes one file that holds the batches of all files it read, and then deletes those files.
//! At every moment each batch is in at least one file, and readers take a batch once, so a crash between
//! any two steps loses and doubles nothing; files left over vanish with the next compaction. Two
//! compactions at once are safe for the same reason: each deletes only what its own file holds.
//!
//! A listing is no snapshot: while it runs, a compaction may delete a batch that it has not reached and
//! create the compacted file behind it. A file that is gone when it is read, or a compacted file that is
//! there after reading and was not listed before, shows this, and the reader starts over.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    LogContents, Shared,
    decode::decode,
    format::{self, Batches, read_file},
};
use crate::{Bucket, StorageError, time_ordered_id};

/// Files that are read or deleted at the same time.
const CONCURRENCY: usize = 16;
/// How often reading starts over before it gives up.
const ATTEMPTS: usize = 16;

/// The files of a log, in the order of their names, each with its path.
pub(super) type Files = Vec<(String, Bytes)>;

impl Shared {
    pub(super) async fn read_with<R: Send + 'static>(
        &self,
        read: impl Fn(&[u8]) -> Option<R> + Send + Sync + 'static,
    ) -> Result<LogContents<R>, StorageError> {
        // Before the files: a batch flushed in between is in both places, under one name.
        let mut batches = self.buffered().await;
        let files = self.files(&self.bucket).await?;
        let contents = self
            .compute(move || {
                for (path, bytes) in &files {
                    read_file(path, bytes, &mut batches)?;
                }
                Ok(decode(&batches, &read))
            })
            .await?;
        self.bucket.note_malformed(&self.prefix, contents.malformed);
        Ok(contents)
    }

    pub(super) async fn compact(&self) -> Result<usize, StorageError> {
        // What may be deleted is decided by what the bucket itself holds.
        let bucket = self.bucket.without_rescue();
        let files = self.files(&bucket).await?;
        if files.len() < 2 {
            return Ok(0);
        }
        let paths: Vec<_> = files.iter().map(|(path, _)| path.clone()).collect();
        let merged = self
            .compute(move || {
                let mut batches = Batches::new();
                for (path, bytes) in &files {
                    read_file(path, bytes, &mut batches)?;
                }
                Ok(format::compacted_file(&batches))
            })
            .await?;
        let name = format::compacted_name(&time_ordered_id(&*self.clock));
        bucket.put(&self.path(&name), merged).await?;
        // Collected first: a closure held over an await would keep this future from being `Send`.
        let deletions: Vec<_> = paths.iter().map(|path| bucket.delete(path)).collect();
        stream::iter(deletions)
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        Ok(paths.len())
    }

    /// What buffered mode has not written yet. In durable mode nothing: no append was acknowledged.
    pub(super) async fn buffered(&self) -> Batches {
        let mut batches = Batches::new();
        if self.is_buffered() {
            let sealed = self.sealed.lock().await;
            let open = self.lock_open();
            for batch in sealed.iter().chain(open.iter()) {
                batches.insert(batch.name.clone(), Bytes::copy_from_slice(&batch.lines));
            }
        }
        batches
    }

    /// The bytes of all files; see the module's text for what makes it start over.
    pub(super) async fn files(&self, bucket: &Bucket) -> Result<Files, StorageError> {
        for _ in 0..ATTEMPTS {
            let listed = self.listing(bucket).await?;
            let reads: Vec<_> = listed.iter().map(|path| read(bucket, path)).collect();
            let read = stream::iter(reads)
                .buffered(CONCURRENCY)
                .try_collect::<Files>()
                .await;
            let files = match read {
                Err(StorageError::NotFound { .. }) => continue,
                read => read?,
            };
            let after = self.listing(bucket).await?;
            let stable = after
                .iter()
                .filter(|path| format::is_compacted(path))
                .all(|path| listed.contains(path));
            if stable {
                return Ok(files);
            }
        }
        Err(StorageError::Contended {
            path: self.prefix.clone(),
        })
    }

    /// Paths of the log's files, those directly under the prefix.
    async fn listing(&self, bucket: &Bucket) -> Result<Vec<String>, StorageError> {
        let objects = bucket.list(&self.prefix).await?;
        Ok(objects
            .into_iter()
            .map(|object| object.path)
            .filter(|path| {
                path.strip_prefix(&self.prefix)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .is_some_and(|name| !name.contains('/') && format::is_log_file(name))
            })
            .collect())
    }

    /// Runs what takes processor time where it blocks nobody.
    pub(super) async fn compute<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, StorageError> + Send + 'static,
    ) -> Result<R, StorageError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(self.bucket.fault(&self.prefix, cancelled.into())),
            },
        }
    }
}

async fn read(bucket: &Bucket, path: &str) -> Result<(String, Bytes), StorageError> {
    Ok((path.to_owned(), bucket.get(path).await?))
}
