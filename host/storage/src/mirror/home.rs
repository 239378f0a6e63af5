//! One mirrored bucket: where it is, where its copies are, and the work that keeps them level.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use boathouse_types::{BucketName, Clock, Timestamp};
use futures::future::join_all;
use object_store::path::Path;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    COMPARE_EVERY, MirrorLag, MirrorScope, note,
    queue::{CAPACITY, Queue},
    scope::{is_version, is_write_once},
};
use crate::{
    Bucket, StorageError,
    bucket::{Sent, chain},
    log::{is_log_file, is_sounder},
    manifest,
    path::object_path,
};

/// Copies that are made at the same time, per bucket.
const CONCURRENCY: usize = 4;

/// See the module's text.
pub(super) struct Home {
    bucket: Bucket,
    copies: Bucket,
    scope: MirrorScope,
    clock: Arc<dyn Clock>,
    queue: Mutex<Queue>,
    /// Rung when there is something to do.
    bell: Notify,
    /// Rung when there is nothing left to do; shared by all homes of a mirror.
    settled: Arc<Notify>,
    closed: CancellationToken,
    fallbacks: AtomicU64,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Home").field(self.name()).finish()
    }
}

impl Home {
    pub(super) fn new(
        bucket: Bucket,
        copies: Bucket,
        scope: MirrorScope,
        clock: Arc<dyn Clock>,
        settled: Arc<Notify>,
    ) -> Self {
        Self {
            bucket,
            copies,
            scope,
            clock,
            queue: Mutex::new(Queue::new()),
            bell: Notify::new(),
            settled,
            closed: CancellationToken::new(),
            fallbacks: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self) -> &BucketName {
        self.bucket.name()
    }

    /// The bucket itself, without rescue.
    pub(super) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Its copies, under the paths that the originals have.
    pub(super) fn copies(&self) -> &Bucket {
        &self.copies
    }

    pub(super) fn covers(&self, path: &Path) -> bool {
        // What another program left under a name that we would not take is not ours to keep.
        self.scope.covers(path) && (path.is_root() || object_path(path.as_ref()).is_ok())
    }

    /// Ends [`Self::tend`], now or when it begins.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Notes that an object was written, or may have been.
    pub(super) fn written(&self, path: &Path) {
        if self.covers(path) {
            self.push(path.clone(), self.clock.now());
            self.ring();
        }
    }

    pub(super) fn push(&self, path: Path, since: Timestamp) {
        self.queue().push(path, since);
    }

    /// Says that the queue has changed.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
        if self.is_settled() {
            self.settled.notify_waiters();
        }
    }

    /// Notes that a read was answered by the rescue.
    pub(super) fn fell_back(&self, what: &str, error: &object_store::Error) {
        let before = self.fallbacks.fetch_add(1, Ordering::Relaxed);
        note::note();
        // A bucket that is down is read often; the log need not tell each time.
        if (before + 1).is_power_of_two() {
            let bucket = self.name();
            tracing::warn!(%bucket, what, %error, "answered by the rescue, as the bucket failed");
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.queue().is_settled()
    }

    pub(super) fn lag(&self) -> MirrorLag {
        let queue = self.queue();
        MirrorLag {
            objects: queue.len(),
            oldest: queue.oldest(),
            comparing: queue.owes_comparison,
            failing: queue.failing.clone(),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
        }
    }

    /// Keeps the copies level until the bucket is given up, and gives itself back then.
    pub(super) async fn tend(self: Arc<Self>) -> Arc<Self> {
        self.queue().recover();
        let work = async {
            let mut next_comparison = Instant::now() + COMPARE_EVERY;
            loop {
                self.wait_for_work(&mut next_comparison).await;
                if let Err(error) = self.turn().await {
                    let (bucket, cause) = (self.name(), chain(&error));
                    tracing::warn!(%bucket, cause, "the rescue could not be brought level");
                    let pause = self.queue().failed(error.to_string());
                    tokio::time::sleep(pause).await;
                } else {
                    self.queue().succeeded();
                }
                if self.is_settled() {
                    self.settled.notify_waiters();
                }
            }
        };
        self.closed.run_until_cancelled(work).await;
        self
    }

    /// Waits for something to copy or to compare; the latter comes up by itself from time to time, however
    /// busy the bucket is.
    async fn wait_for_work(&self, next_comparison: &mut Instant) {
        loop {
            if Instant::now() >= *next_comparison {
                *next_comparison = Instant::now() + COMPARE_EVERY;
                self.queue().owes_comparison = true;
            }
            if self.queue().has_work() {
                return;
            }
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep_until(*next_comparison) => {}
            }
        }
    }

    /// Compares where that is due, and copies a few objects.
    async fn turn(&self) -> Result<(), StorageError> {
        // Half empty, so that a full queue is worked off before the listings are looked at again.
        let compare = {
            let queue = self.queue();
            queue.owes_comparison && queue.len() <= CAPACITY / 2
        };
        let compared = if compare {
            self.compare().await.map(drop)
        } else {
            Ok(())
        };
        let taken = self.queue().begin(CONCURRENCY);
        let copies = taken.into_iter().map(async |path| {
            let copied = self.copy(&path).await;
            self.queue().end(path, copied.is_ok());
            copied
        });
        join_all(copies)
            .await
            .into_iter()
            .fold(compared, Result::and)
    }

    /// Copies one object. One that is no longer there needs no copy.
    async fn copy(&self, path: &Path) -> Result<(), StorageError> {
        if is_version(path.as_ref()) {
            return self.copy_version(path.as_ref()).await;
        }
        if is_log_file(path.as_ref()) {
            return self.copy_log_file(path.as_ref()).await;
        }
        match self.bucket.transfer(path.as_ref(), &self.copies).await {
            Ok(Sent { e_tag, .. }) => {
                if let Some(e_tag) = e_tag.filter(|_| !is_write_once(path)) {
                    self.queue().note_copied(path.clone(), e_tag);
                }
                Ok(())
            }
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Copies a version of a manifest. One that does not read takes the place of no copy, which may bring it back.
    async fn copy_version(&self, path: &str) -> Result<(), StorageError> {
        let bytes = match self.bucket.get(path).await {
            Ok(bytes) => bytes,
            Err(StorageError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if !manifest::is_sound(&bytes) && self.copies.exists(path).await? {
            let bucket = self.name();
            tracing::error!(%bucket, path, "a damaged manifest is not copied: `rescue` keeps the copy that it has");
            return Ok(());
        }
        self.copies.put(path, bytes).await
    }

    /// Copies a file of a log. It is written once, so what lies there already and differs tells of damage: on this side it
    /// takes the place of no copy, which may bring it back.
    async fn copy_log_file(&self, path: &str) -> Result<(), StorageError> {
        let bytes = match self.bucket.get(path).await {
            Ok(bytes) => bytes,
            Err(StorageError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        match self.copies.put_new(path, bytes.clone()).await {
            Err(StorageError::Exists { .. }) => {}
            written => return written,
        }
        let copy = self.copies.get(path).await?;
        if copy == bytes {
            return Ok(());
        }
        let (named, original) = (path.to_owned(), bytes.clone());
        let judging = tokio::task::spawn_blocking(move || is_sounder(&named, &copy, &original));
        let is_damaged = judging.await;
        if is_damaged.map_err(|stopped| self.bucket.fault(path, stopped.into()))? {
            let bucket = self.name();
            tracing::error!(%bucket, path, "a damaged file of a log is not copied: `rescue` keeps the copy that it has");
            return Ok(());
        }
        self.copies.put(path, bytes).await
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change is a step or two on maps of plain values; a panic in between is out of memory.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
