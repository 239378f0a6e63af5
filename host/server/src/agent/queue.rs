//! What waits for the agent: one entry an index, with the reasons why.
//!
//! The queue is a small document in `primary` (`ledger.rs`), read whenever it is looked at, so nothing of it is
//! lost with the process and nothing has to be kept in step. Equal reasons are counted instead of repeated. An
//! entry goes when its reasons have been dealt with; those that came meanwhile stay.

use std::{collections::BTreeMap, sync::Arc};

use boathouse_storage::{Bucket, StorageError};
use boathouse_types::{Clock, DatasetName, IndexName, Timestamp};
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;

/// Where the queue is.
const PREFIX: &str = "agent/queue";

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
    /// Searches of clients find too little of what they should.
    Recall,
    /// What clients look for has become different from what the evaluation set asks.
    Drift,
    /// Nobody has looked at it for long.
    Period,
}

impl Reason {
    /// The name in documents and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Appended => "appended",
            Self::Replaced => "replaced",
            Self::Asked => "asked",
            Self::Recall => "recall",
            Self::Drift => "drift",
            Self::Period => "period",
        }
    }

    /// Which of several indexes is served first: that of the smallest number.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Recall => 0,
            Self::Asked => 1,
            Self::Drift => 2,
            Self::Replaced => 3,
            Self::Appended => 4,
            Self::Period => 5,
        }
    }

    /// Whether it is about how the configuration does that serves.
    pub(super) fn is_alarm(self) -> bool {
        matches!(self, Self::Recall | Self::Drift)
    }

    /// Whether it is about rows of the dataset, which have to be in the index before they can be measured.
    pub(super) fn is_about_rows(self) -> bool {
        matches!(self, Self::Appended | Self::Replaced)
    }
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
    ledger: Ledger<Document>,
    clock: Arc<dyn Clock>,
}

impl Entry {
    /// The newest version of the dataset that it knows of.
    pub(super) fn newest(&self) -> Option<u64> {
        let versions = self.reasons.iter();
        versions.filter_map(|noted| noted.dataset_version).max()
    }

    /// Whether rows were replaced that are in the index by now.
    pub(super) fn has_covered(&self, covered: u64) -> bool {
        self.reasons.iter().any(|noted| noted.is_covered(covered))
    }

    /// Without those of its reasons that replaced rows were, once these rows are in the index.
    pub(super) fn without_covered(mut self, covered: u64) -> Self {
        self.reasons.retain(|noted| !noted.is_covered(covered));
        self
    }
}

impl Noted {
    /// That rows were replaced is over when the index is made of the new ones.
    fn is_covered(&self, version: u64) -> bool {
        let is_in = |replaced: u64| replaced <= version;
        self.reason == Reason::Replaced && self.dataset_version.is_some_and(is_in)
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
            ledger: Ledger::new(primary, PREFIX),
            clock: Arc::clone(clock),
        }
    }

    /// Everything that waits.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn entries(&self) -> Result<Entries, StorageError> {
        Ok(self.ledger.load().await?.entries.clone())
    }

    /// What waited when the queue was read or written last.
    pub(super) fn known(&self) -> Entries {
        self.ledger.known().entries.clone()
    }

    /// Notes reasons; they are stored when this returns.
    ///
    /// # Errors
    /// When the bucket fails; they may be stored or not then.
    pub(super) async fn add(&self, wishes: &[Wish]) -> Result<(), StorageError> {
        let now = self.clock.now();
        self.ledger
            .change(|document| {
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
        self.ledger
            .change(|document| drop(document.entries.remove(index)))
            .await
    }

    /// Takes reasons away that have been dealt with, as often as they were `seen`; what was noted since stays.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(super) async fn settle(
        &self,
        index: &IndexName,
        seen: &[Noted],
    ) -> Result<(), StorageError> {
        self.ledger
            .change(|document| {
                document.keep(index, |noted| {
                    let dealt = seen.iter().find(|known| known.reason == noted.reason);
                    let dealt = dealt.map_or(0, |known| known.count);
                    noted.count = noted.count.saturating_sub(dealt);
                    noted.count > 0
                });
            })
            .await
    }

    /// Takes away that the rows of an index were replaced, once it covers a version.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(super) async fn covered(
        &self,
        index: &IndexName,
        version: u64,
    ) -> Result<(), StorageError> {
        self.ledger
            .change(|document| document.keep(index, |noted| !noted.is_covered(version)))
            .await
    }
}

impl Document {
    /// Keeps some reasons of an entry, and the entry if any are left.
    fn keep(&mut self, index: &IndexName, keep: impl FnMut(&mut Noted) -> bool) {
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        entry.reasons.retain_mut(keep);
        if entry.reasons.is_empty() {
            self.entries.remove(index);
        }
    }

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
    use boathouse_storage::MIN_KEPT;
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

    #[tokio::test]
    async fn what_was_dealt_with_goes_and_what_came_meanwhile_stays() {
        let bucket = Bucket::memory(BucketName::primary());
        let (queue, _) = self::queue(&bucket);
        let (a, recall) = (IndexName::new("a").unwrap(), Reason::Recall);
        let wishes = [
            wish("a", Reason::Appended, Some(2)),
            wish("a", recall, None),
        ];
        queue.add(&wishes).await.unwrap();
        let seen = queue.entries().await.unwrap()[&a].reasons.clone();
        queue.add(&[wish("a", recall, None)]).await.unwrap();
        queue.settle(&a, &seen).await.unwrap();
        let left = queue.entries().await.unwrap();
        assert_eq!(summary(&left), [("a".to_owned(), recall, None, 1)]);
        queue.settle(&a, &left[&a].reasons).await.unwrap();
        assert!(queue.entries().await.unwrap().is_empty());
        queue.settle(&a, &seen).await.unwrap();
    }

    #[tokio::test]
    async fn replaced_rows_are_no_reason_once_they_are_in() {
        let bucket = Bucket::memory(BucketName::primary());
        let (queue, _) = self::queue(&bucket);
        let a = IndexName::new("a").unwrap();
        let wishes = [
            wish("a", Reason::Replaced, Some(4)),
            wish("a", Reason::Asked, None),
        ];
        queue.add(&wishes).await.unwrap();
        queue.covered(&a, 3).await.unwrap();
        let entry = queue.entries().await.unwrap()[&a].clone();
        assert_eq!(entry.reasons.len(), 2, "version 4 is not in yet");
        assert_eq!(entry.without_covered(4).reasons.len(), 1);
        queue.covered(&a, 5).await.unwrap();
        let left = queue.entries().await.unwrap();
        assert_eq!(summary(&left), [("a".to_owned(), Reason::Asked, None, 1)]);
    }

    #[tokio::test]
    async fn a_queue_of_an_earlier_release_reads() {
        let entry: Entry = serde_json::from_str(
            r#"{"dataset": "d", "reasons": [{"reason": "appended", "dataset_version": 3,
                "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:00Z", "count": 2},
                {"reason": "asked", "first_at": "2026-01-01T00:00:00Z",
                "last_at": "2026-01-01T00:00:00Z", "count": 1}]}"#,
        )
        .unwrap();
        assert_eq!((entry.reasons.len(), entry.newest()), (2, Some(3)));
        for noted in entry.reasons {
            let name = serde_json::to_value(noted.reason).unwrap();
            assert_eq!(name, noted.reason.as_str());
        }
    }
}
