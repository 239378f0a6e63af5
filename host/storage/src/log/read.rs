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
//!
//! A file is written once, and never without a line, so its copy in the rescue is what it was. One with lines that are
//! no records is replaced by its copy where that has fewer of them. Where it has not, that is kept in mind and the rescue
//! is not asked again. What reads in neither can be taken out (`log/aside.rs`).

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    LogContents, Shared,
    decode::decode,
    format::{self, Batches, is_blank, read_file},
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
        let batches = self.buffered().await;
        let files = Arc::new(self.files(&self.bucket).await?);
        let read = Arc::new(read);
        let mut contents = self.contents(&files, &batches, &read).await;
        let is_damaged = match &contents {
            Ok(contents) => contents.malformed > 0,
            Err(error) => matches!(error, StorageError::Damaged { .. }),
        };
        if is_damaged && let Some(mended) = self.mended(&files, &read).await {
            contents = self.contents(&Arc::new(mended), &batches, &read).await;
        }
        let contents = contents?;
        self.bucket.note_malformed(&self.prefix, contents.malformed);
        Ok(contents)
    }

    /// The records of batches and files. A file without any counts as a line that is none.
    pub(super) async fn contents<R: Send + 'static>(
        &self,
        files: &Arc<Files>,
        batches: &Batches,
        read: &Arc<impl Fn(&[u8]) -> Option<R> + Send + Sync + 'static>,
    ) -> Result<LogContents<R>, StorageError> {
        let (files, mut batches, read) = (Arc::clone(files), batches.clone(), Arc::clone(read));
        self.compute(move || {
            let mut blank = 0;
            for (path, bytes) in files.iter() {
                read_file(path, bytes, &mut batches)?;
                blank += u64::from(is_blank(bytes));
            }
            let mut contents = decode(&batches, &*read);
            contents.malformed += blank;
            Ok(contents)
        })
        .await
    }

    /// The files, those that have a sounder copy in the rescue replaced by it, in the bucket as well; none where there
    /// is no such copy.
    async fn mended<R: Send + 'static>(
        &self,
        files: &Arc<Files>,
        read: &Arc<impl Fn(&[u8]) -> Option<R> + Send + Sync + 'static>,
    ) -> Option<Files> {
        let (looked, judge) = (Arc::clone(files), Arc::clone(read));
        let faulty = self.compute(move || {
            let all = looked.iter().enumerate();
            let faulty = all.map(|(at, (path, bytes))| (at, faults(path, bytes, &*judge)));
            Ok(faulty.filter(|(_, lines)| *lines > 0).collect::<Vec<_>>())
        });
        let faulty = faulty.await.ok()?;
        let (mut mended, mut replaced) = (files.to_vec(), 0);
        let mut hopeless = BTreeMap::new();
        for (at, lines) in faulty {
            let (path, bytes) = &mut mended[at];
            if self.bucket.is_hopeless(&self.prefix, path, lines) {
                hopeless.insert(path.clone(), lines);
                continue;
            }
            match self.bucket.copied(path).await {
                Ok(Some(copy)) if faults(path, &copy, &**read) < lines => {
                    self.put_back(path, &copy).await;
                    *bytes = copy;
                    replaced += 1;
                }
                Ok(_) => {
                    hopeless.insert(path.clone(), lines);
                }
                // The next reading asks again.
                Err(error) => {
                    tracing::debug!(path, %error, "whether a damaged file of a log has a sounder copy is not known")
                }
            }
        }
        self.bucket.note_hopeless(&self.prefix, hopeless);
        (replaced > 0).then_some(mended)
    }

    async fn put_back(&self, path: &str, copy: &Bytes) {
        let bucket = self.bucket.name();
        tracing::warn!(%bucket, path, "a damaged file of a log is read from its copy in `rescue`, which goes in its place");
        if let Err(error) = self.bucket.put(path, copy.clone()).await {
            tracing::warn!(%bucket, path, %error, "the copy could not be put in the place of a damaged file of a log");
        }
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

/// How many lines of a file are no records: as many as can be when the file itself does not read, one when it has no
/// line, and none when it is of a newer program.
pub(super) fn faults<R: Send>(
    path: &str,
    bytes: &Bytes,
    read: &(impl Fn(&[u8]) -> Option<R> + Sync),
) -> u64 {
    let mut batches = Batches::new();
    match read_file(path, bytes, &mut batches) {
        Ok(()) => decode(&batches, read).malformed + u64::from(is_blank(bytes)),
        Err(StorageError::NewerFormat { .. }) => 0,
        Err(_) => u64::MAX,
    }
}

async fn read(bucket: &Bucket, path: &str) -> Result<(String, Bytes), StorageError> {
    Ok((path.to_owned(), bucket.get(path).await?))
}
