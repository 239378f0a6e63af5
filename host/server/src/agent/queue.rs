//! What waits for the agent: one entry an index, with the reasons why.
//!
//! The queue is a small manifest in `primary`, read whenever it is looked at, so nothing of it is lost with the
//! process and nothing has to be kept in step. Equal reasons are counted instead of repeated. A change that
//! loses against another host's is made again on top of that.

use std::{collections::BTreeMap, sync::Arc};

use boathouse_storage::{Bucket, MIN_KEPT, Manifest, StorageError};
use boathouse_types::{Clock, DatasetName, IndexName, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// Where the queue is.
const PREFIX: &str = "agent/queue";
/// How often a change is tried when others change the queue too.
const ATTEMPTS: usize = 16;

/// Why an index is in the queue.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Rows were appended to its dataset.
    Appended,
    /// The rows of its dataset were replaced.
    Replaced,
    /// Somebody asked.
    Asked,
}

/// A reason, and when it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Noted {
    /// The reason.
    pub reason: Reason,
    /// The newest version of the dataset that it is about; none when somebody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_version: Option<u64>,
    /// When it was given first.
    pub first_at: Timestamp,
    /// When it was given last.
    pub last_at: Timestamp,
    /// How often it was given.
    pub count: u64,
}

/// An index that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) dataset: DatasetName,
    pub(super) reasons: Vec<Noted>,
}

/// A reason to be noted.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    index: IndexName,
    dataset: DatasetName,
    reason: Reason,
    dataset_version: Option<u64>,
}

pub(super) type Entries = BTreeMap<IndexName, Entry>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    entries: Entries,
}

/// The queue of a host.
pub(super) struct Queue {
    manifest: Manifest<Document>,
    clock: Arc<dyn Clock>,
    /// Changes of this process, one after the other.
    turn: Mutex<()>,
}

impl Entry {
    /// The newest version of the dataset that it knows of.
    pub(super) fn newest(&self) -> Option<u64> {
        let versions = self.reasons.iter();
        versions.filter_map(|noted| noted.dataset_version).max()
    }
}

impl Wish {
    pub(super) fn new(
        index: &IndexName,
        dataset: &DatasetName,
        reason: Reason,
        dataset_version: Option<u64>,
    ) -> Self {
        Self {
            index: index.clone(),
            dataset: dataset.clone(),
            reason,
            dataset_version,
        }
    }
}

impl Queue {
    /// The queue in a bucket; nothing is read yet.
    pub(super) fn new(primary: &Bucket, clock: &Arc<dyn Clock>) -> Self {
        Self {
            manifest: Manifest::new(primary.clone(), PREFIX),
            clock: Arc::clone(clock),
            turn: Mutex::default(),
        }
    }

    /// Everything that waits.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn entries(&self) -> Result<Entries, StorageError> {
        let found = self.manifest.load().await?;
        Ok(found.map_or_else(Entries::new, |found| found.value.entries))
    }

    /// Notes reasons; they are stored when this returns.
    ///
    /// # Errors
    /// When the bucket fails; they may be stored or not then.
    pub(super) async fn add(&self, wishes: &[Wish]) -> Result<(), StorageError> {
        let now = self.clock.now();
        self.change(|document| {
            for wish in wishes {
                document.note(wish, now);
            }
        })
        .await
    }

    /// Takes an index out.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(super) async fn remove(&self, index: &IndexName) -> Result<(), StorageError> {
        self.change(|document| drop(document.entries.remove(index)))
            .await
    }

    async fn change(&self, change: impl Fn(&mut Document)) -> Result<(), StorageError> {
        let _turn = self.turn.lock().await;
        for _ in 0..ATTEMPTS {
            let found = self.manifest.without_rescue().load().await?;
            let (version, before) =
                found.map_or_else(Default::default, |found| (found.version, found.value));
            let mut after = before.clone();
            change(&mut after);
            if after == before {
                return Ok(());
            }
            match self.manifest.commit(version, &after).await {
                Ok(_) => return self.manifest.prune(MIN_KEPT).await.map(drop),
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let path = PREFIX.to_owned();
        Err(StorageError::Contended { path })
    }
}

impl Document {
    fn note(&mut self, wish: &Wish, now: Timestamp) {
        let fresh = || Entry {
            dataset: wish.dataset.clone(),
            reasons: Vec::new(),
        };
        let entry = self.entries.entry(wish.index.clone()).or_insert_with(fresh);
        let mut known = entry.reasons.iter_mut();
        match known.find(|noted| noted.reason == wish.reason) {
            Some(noted) => {
                noted.count += 1;
                noted.last_at = now;
                noted.dataset_version = noted.dataset_version.max(wish.dataset_version);
            }
            None => entry.reasons.push(Noted {
                reason: wish.reason,
                dataset_version: wish.dataset_version,
                first_at: now,
                last_at: now,
                count: 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::{BucketName, ManualClock};

    use super::*;

    fn wish(index: &str, reason: Reason, version: Option<u64>) -> Wish {
        let (index, dataset) = (
            IndexName::new(index).unwrap(),
            DatasetName::new("d").unwrap(),
        );
        Wish::new(&index, &dataset, reason, version)
    }

    fn queue(bucket: &Bucket) -> (Queue, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_000));
        let shared: Arc<dyn Clock> = clock.clone();
        (Queue::new(bucket, &shared), clock)
    }

    fn summary(entries: &Entries) -> Vec<(String, Reason, Option<u64>, u64)> {
        let all = entries.iter().flat_map(|(name, entry)| {
            let reasons = entry.reasons.iter();
            reasons.map(|noted| {
                (
                    name.to_string(),
                    noted.reason,
                    noted.dataset_version,
                    noted.count,
                )
            })
        });
        all.collect()
    }

    #[tokio::test]
    async fn reasons_of_an_index_are_merged_and_last() {
        let bucket = Bucket::memory(BucketName::primary());
        let (queue, clock) = self::queue(&bucket);
        assert!(queue.entries().await.unwrap().is_empty());
        let both = [
            wish("a", Reason::Appended, Some(2)),
            wish("b", Reason::Appended, Some(2)),
        ];
        queue.add(&both).await.unwrap();
        clock.advance(500);
        queue
            .add(&[wish("a", Reason::Appended, Some(3))])
            .await
            .unwrap();
        queue.add(&[wish("a", Reason::Asked, None)]).await.unwrap();
        let entries = self::queue(&bucket).0.entries().await.unwrap();
        let expected = [
            ("a".to_owned(), Reason::Appended, Some(3), 2),
            ("a".to_owned(), Reason::Asked, None, 1),
            ("b".to_owned(), Reason::Appended, Some(2), 1),
        ];
        assert_eq!(summary(&entries), expected);
        let a = &entries[&IndexName::new("a").unwrap()];
        assert_eq!(
            a.reasons[0].last_at.millis() - a.reasons[0].first_at.millis(),
            500
        );
        assert_eq!(a.newest(), Some(3));
        queue.remove(&IndexName::new("a").unwrap()).await.unwrap();
        assert_eq!(queue.entries().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn two_writers_lose_nothing_and_old_versions_go() {
        let bucket = Bucket::memory(BucketName::primary());
        let (one, other) = (queue(&bucket).0, queue(&bucket).0);
        for round in 0..10 {
            let wishes = [wish("a", Reason::Appended, Some(round))];
            let (first, second) = tokio::join!(one.add(&wishes), other.add(&wishes));
            first.unwrap();
            second.unwrap();
        }
        let entries = one.entries().await.unwrap();
        assert_eq!(summary(&entries)[0].3, 20);
        assert!(bucket.list(PREFIX).await.unwrap().len() <= MIN_KEPT + 1);
    }

    #[tokio::test]
    async fn a_change_that_changes_nothing_writes_nothing() {
        let bucket = Bucket::memory(BucketName::primary());
        let (queue, _) = self::queue(&bucket);
        queue.remove(&IndexName::new("a").unwrap()).await.unwrap();
        queue.add(&[]).await.unwrap();
        assert!(bucket.list("").await.unwrap().is_empty());
    }
}
