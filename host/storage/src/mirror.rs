//! The rescue mirror: what recovery needs of every bucket, copied into one bucket of its own.
//!
//! An object `p` of the bucket `b` has its copy at `b/p` of the rescue. [`Mirror::over`] gives a bucket that
//! looks like its home: writes go to the home alone, and the path of each is queued for a copy, so a rescue
//! that is down neither slows nor fails anything. Reads that the home *fails* (not those it answers with
//! "there is no such object") are answered by the rescue, where it has an answer; [`noting_rescue`] tells
//! whether that happened.
//!
//! **The durable queue is the difference between the two buckets.** What is queued in memory only makes it
//! prompt: it is bounded, may be lost with the process, and is found again by comparing the listings. That
//! is done at the start, after the queue was full, and every [`COMPARE_EVERY`].
//!
//! A version of a manifest that does not read at its home is taken from its copy, which goes in its place; and it never
//! takes the place of its copy. Nor does a file of a log take the place of a copy that is sounder, or anything else that
//! is written once that of a copy of another size.
//!
//! Deletions are not mirrored. Formats are such that an older object too many does no harm: a manifest's
//! greatest version decides, and a log's batch counts once. What is to be decided by what is there (the next
//! version, what to compact or to delete) is decided without the rescue: [`Bucket::without_rescue`].
//!
//! Not here: the task that runs [`Mirror::work`], and the deletion of copies that nobody needs.

mod compare;
mod home;
mod note;
mod queue;
mod restore;
mod scope;
mod store;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use boathouse_types::{BucketName, Clock, Timestamp};
use futures::{StreamExt, stream::FuturesUnordered};
use object_store::path::Path;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::{home::Home, store::MirroredStore};
pub use self::{
    note::noting_rescue,
    restore::{Restored, restore},
    scope::MirrorScope,
};
use crate::{Bucket, StorageError};

/// How often the listings are compared although nothing asks for it: what was written behind this
/// process's back (by another host, by a request that was cut off) is found within this time.
const COMPARE_EVERY: Duration = Duration::from_secs(3600);

/// Copies what recovery needs of every bucket into the rescue bucket; clones share.
///
/// ```
/// use std::sync::Arc;
///
/// use boathouse_storage::{Bucket, Mirror, MirrorScope, restore};
/// use boathouse_types::{BucketName, ManualClock};
/// use bytes::Bytes;
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let rescue = Bucket::memory(BucketName::rescue());
/// let clock = Arc::new(ManualClock::at(1_800_000_000_000));
/// let mirror = Mirror::new(rescue.clone(), clock, MirrorScope::Recovery);
/// let primary = mirror.over(&Bucket::memory(BucketName::primary()));
///
/// // Written to the home and queued; the rescue is not waited for.
/// primary.put("_promotions/boats/1.jsonl", Bytes::from("{}\n")).await?;
/// assert_eq!(mirror.lag(primary.name()).objects, 1);
///
/// // The worker, which a server runs as a task until it stops.
/// let stop = CancellationToken::new();
/// let level = async {
///     mirror.settled().await;
///     stop.cancel();
/// };
/// futures::join!(mirror.work(stop.clone()), level);
///
/// // Primary is lost: an empty one is filled from its copies.
/// let empty = Bucket::memory(BucketName::primary());
/// let restored = restore(&rescue, &empty, false).await?;
/// assert_eq!(restored.copied, 1);
/// assert_eq!(empty.get("_promotions/boats/1.jsonl").await?, "{}\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mirror(Arc<Shared>);

struct Shared {
    rescue: Bucket,
    clock: Arc<dyn Clock>,
    scope: MirrorScope,
    homes: Mutex<BTreeMap<BucketName, Arc<Home>>>,
    /// Rung when a home comes or goes.
    changed: Notify,
    /// Rung when a home has nothing left to do.
    settled: Arc<Notify>,
}

/// How far the rescue is behind one bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorLag {
    /// Objects known to wait for their copy.
    pub objects: usize,
    /// When the oldest of them was written; none when nothing waits.
    pub oldest: Option<Timestamp>,
    /// The listings are still to be compared, so more objects may wait than are known.
    pub comparing: bool,
    /// What the last attempt has failed at; none when it succeeded.
    pub failing: Option<String>,
    /// Reads that the rescue has answered, since the start.
    pub fallbacks: u64,
}

impl Mirror {
    /// A mirror into `rescue`; touches nothing.
    #[must_use]
    pub fn new(rescue: Bucket, clock: Arc<dyn Clock>, scope: MirrorScope) -> Self {
        Self(Arc::new(Shared {
            rescue,
            clock,
            scope,
            homes: Mutex::default(),
            changed: Notify::new(),
            settled: Arc::default(),
        }))
    }

    /// The same bucket, mirrored from now on; what it holds already is compared with the rescue when the
    /// worker gets to it. Of two buckets of one name the later one counts.
    #[must_use]
    pub fn over(&self, home: &Bucket) -> Bucket {
        let copies = self.0.rescue.below(&Path::from(home.name().as_str()));
        let home = Arc::new(Home::new(
            home.without_rescue(),
            copies,
            self.0.scope,
            Arc::clone(&self.0.clock),
            Arc::clone(&self.0.settled),
        ));
        let before = self.homes().insert(home.name().clone(), Arc::clone(&home));
        self.leave(before);
        let store = |falls_back| Arc::new(MirroredStore::new(Arc::clone(&home), falls_back));
        let copies = home.copies().clone();
        home.bucket().with_stores(store(true), store(false), copies)
    }

    /// Stops mirroring the bucket of that name; its copies stay in the rescue.
    pub fn forget(&self, home: &BucketName) {
        let before = self.homes().remove(home);
        self.leave(before);
    }

    fn leave(&self, home: Option<Arc<Home>>) {
        if let Some(home) = home {
            home.close();
        }
        self.0.changed.notify_one();
        self.0.settled.notify_waiters();
    }

    /// Compares a bucket with its copies and queues what is missing or older there; gives how many objects
    /// that are. The worker does the same by itself; this is for who wants it now, and to know.
    ///
    /// # Errors
    /// [`StorageError::UnknownBucket`] for a bucket that is not mirrored; otherwise what listing either
    /// bucket has failed with.
    pub async fn catch_up(&self, home: &BucketName) -> Result<usize, StorageError> {
        let found = self.homes().get(home).cloned();
        let unknown = || StorageError::UnknownBucket { name: home.clone() };
        found.ok_or_else(unknown)?.compare().await
    }

    /// Copies what is queued, until `stop`. One worker per mirror; failures are retried with growing pauses,
    /// bucket by bucket, so that one that fails does not hold up the others.
    pub async fn work(&self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.tend_all()).await;
    }

    async fn tend_all(&self) {
        let mut tended: Vec<Arc<Home>> = Vec::new();
        let mut tending = FuturesUnordered::new();
        loop {
            for home in self.homes().values() {
                if !tended.iter().any(|known| Arc::ptr_eq(known, home)) {
                    tended.push(Arc::clone(home));
                    tending.push(Arc::clone(home).tend());
                }
            }
            tokio::select! {
                () = self.0.changed.notified() => {}
                Some(gone) = tending.next() => tended.retain(|known| !Arc::ptr_eq(known, &gone)),
            }
        }
    }

    /// Waits until every copy that is known to be needed is made and nothing is left to compare. Without a
    /// worker, or while a bucket fails, this may take for ever: give it a deadline.
    pub async fn settled(&self) {
        loop {
            let settled = self.0.settled.notified();
            tokio::pin!(settled);
            // Enabled before looking, so that nothing is missed in between.
            settled.as_mut().enable();
            if self.homes().values().all(|home| home.is_settled()) {
                return;
            }
            settled.await;
        }
    }

    /// How far the rescue is behind a bucket; nothing for one that is not mirrored.
    #[must_use]
    pub fn lag(&self, home: &BucketName) -> MirrorLag {
        let found = self.homes().get(home).cloned();
        found.map(|home| home.lag()).unwrap_or_default()
    }

    fn homes(&self) -> MutexGuard<'_, BTreeMap<BucketName, Arc<Home>>> {
        self.0.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("rescue", self.0.rescue.name())
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
