//! What the agent must not forget when its host stops: whether somebody switched it on or off, when trials began,
//! and what came of its last looks at each index.
//!
//! It is one small document in `primary` (`agent/state`). A trial is written down before it begins, so a host that
//! is killed half-way through one has counted it, and hosts that share a `primary` share its hour. One that was
//! cancelled counts as well: it has cost what the limit protects.

use std::{collections::BTreeMap, sync::Arc};

use boathouse_storage::{Bucket, StorageError};
use boathouse_types::{Clock, IndexName, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ledger::Ledger, queue::Reason};

/// Where the document is.
const PREFIX: &str = "agent/state";
/// The time over which trials are counted.
const HOUR: i64 = 60 * 60 * 1_000;
/// Looks at an index that are remembered.
const LOOKS: usize = 10;

/// Somebody started or stopped the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Switched {
    /// Whether it tunes since then.
    pub enabled: bool,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What the configuration said at that time; when it says something else since, that holds.
    pub configured: bool,
}

/// A look at an index: what was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Look {
    /// When it ended.
    pub at: Timestamp,
    /// Why the agent looked.
    pub reasons: Vec<Reason>,
    /// Trials that were run.
    pub trials: u32,
    /// Version of the vectors that they measured.
    pub data_version: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The same in words.
    pub detail: String,
}

/// What comes of a look at an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Another configuration serves.
    Promoted,
    /// The same configuration serves.
    Kept,
    /// Something went wrong; it is tried again.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    switched: Option<Switched>,
    /// When the trials of the last hour began, oldest first.
    starts: Vec<Timestamp>,
    /// Looks at each index, newest last.
    looks: BTreeMap<IndexName, Vec<Look>>,
}

/// The agent's memory.
pub(super) struct Memory {
    ledger: Ledger<Document>,
    clock: Arc<dyn Clock>,
}

impl Document {
    /// Whether the agent tunes, by the last word that was said: a person's or the configuration's.
    pub(super) fn is_enabled(&self, configured: bool) -> bool {
        self.switch(configured)
            .map_or(configured, |switched| switched.enabled)
    }

    /// A person's word, while it holds.
    pub(super) fn switch(&self, configured: bool) -> Option<&Switched> {
        let switched = self.switched.as_ref();
        switched.filter(|switched| switched.configured == configured)
    }

    /// How many trials began in the hour that ends now, both ends included.
    pub(super) fn trials_in_hour(&self, now: Timestamp) -> u32 {
        let recent = self.starts.iter().filter(|start| is_recent(start, now));
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// When fewer than `most` trials will have begun within an hour; none when that is so now.
    pub(super) fn room_at(&self, most: u32, now: Timestamp) -> Option<Timestamp> {
        let recent = self.starts.iter().filter(|start| is_recent(start, now));
        // All but `most - 1` have to be over.
        let binding = recent.rev().nth((most as usize).saturating_sub(1))?;
        Some(Timestamp::from_millis(binding.millis() + HOUR + 1))
    }

    /// The last look at an index.
    pub(super) fn last_look(&self, index: &IndexName) -> Option<&Look> {
        self.looks.get(index)?.last()
    }

    /// Looks at an index, newest last.
    pub(super) fn looks(&self, index: &IndexName) -> &[Look] {
        self.looks.get(index).map_or(&[], Vec::as_slice)
    }

    /// Forgets what no limit needs any more. A start that lies ahead was told by a clock that was wrong, and
    /// cannot have been later than now.
    fn tidy(&mut self, now: Timestamp) {
        for start in &mut self.starts {
            *start = (*start).min(now);
        }
        self.starts.retain(|start| is_recent(start, now));
    }
}

/// Whether a trial that began then counts still.
fn is_recent(start: &Timestamp, now: Timestamp) -> bool {
    now.millis() - start.millis() <= HOUR
}

impl Memory {
    /// The memory in a bucket; nothing is read yet.
    pub(super) fn new(primary: &Bucket, clock: &Arc<dyn Clock>) -> Self {
        Self {
            ledger: Ledger::new(primary, PREFIX),
            clock: Arc::clone(clock),
        }
    }

    /// As it was read or written last.
    pub(super) fn known(&self) -> Arc<Document> {
        self.ledger.known()
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn load(&self) -> Result<Arc<Document>, StorageError> {
        self.ledger.load().await
    }

    /// Switches the agent on or off.
    ///
    /// # Errors
    /// When the bucket fails; it may be switched or not then.
    pub(super) async fn switch(
        &self,
        enabled: bool,
        configured: bool,
        by: &str,
    ) -> Result<(), StorageError> {
        let switched = Switched {
            enabled,
            at: self.clock.now(),
            by: by.to_owned(),
            configured,
        };
        self.ledger
            .change(|document| {
                if document.is_enabled(configured) != enabled {
                    document.switched = Some(switched.clone());
                }
            })
            .await
    }

    /// Writes down that a trial begins, if fewer than `most` began within an hour; none when it may not.
    ///
    /// # Errors
    /// When the bucket fails; the trial must not begin then.
    pub(super) async fn begin_trial(&self, most: u32) -> Result<Option<Timestamp>, StorageError> {
        let now = self.clock.now();
        let begin = |document: &mut Document| {
            document.tidy(now);
            let may = document.room_at(most, now).is_none();
            if may {
                document.starts.push(now);
            }
            may.then_some(now)
        };
        self.ledger.change(begin).await
    }

    /// Takes back that a trial began: there was nothing to try.
    ///
    /// # Errors
    /// When the bucket fails; it counts then.
    pub(super) async fn not_begun(&self, begun: Timestamp) -> Result<(), StorageError> {
        self.ledger
            .change(|document| {
                let at = document.starts.iter().rposition(|start| *start == begun);
                if let Some(at) = at {
                    document.starts.remove(at);
                }
            })
            .await
    }

    /// Remembers a look at an index.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn looked(&self, index: &IndexName, look: &Look) -> Result<(), StorageError> {
        self.ledger
            .change(|document| {
                let looks = document.looks.entry(index.clone()).or_default();
                looks.push(look.clone());
                let surplus = looks.len().saturating_sub(LOOKS);
                looks.drain(..surplus);
            })
            .await
    }

    /// Forgets an index.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn forget(&self, index: &IndexName) -> Result<(), StorageError> {
        self.ledger
            .change(|document| drop(document.looks.remove(index)))
            .await
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::{BucketName, ManualClock};

    use super::*;

    const START: i64 = 1_800_000_000_000;
    const MINUTE: i64 = 60_000;

    fn bucket() -> Bucket {
        Bucket::memory(BucketName::primary())
    }

    fn memory(bucket: &Bucket) -> (Memory, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(START));
        let shared: Arc<dyn Clock> = clock.clone();
        (Memory::new(bucket, &shared), clock)
    }

    #[tokio::test]
    async fn an_hour_has_room_for_so_many_trials_also_after_a_restart() {
        let bucket = bucket();
        let (first, clock) = memory(&bucket);
        for _ in 0..3 {
            assert!(first.begin_trial(3).await.unwrap().is_some());
            clock.advance(MINUTE);
        }
        let (again, clock) = memory(&bucket);
        clock.advance(3 * MINUTE);
        assert_eq!(again.begin_trial(3).await.unwrap(), None, "the fourth");
        let full_until = again.known().room_at(3, clock.now()).unwrap();
        assert_eq!(full_until.millis(), START + HOUR + 1);
        clock.advance(HOUR - 3 * MINUTE);
        assert_eq!(again.known().trials_in_hour(clock.now()), 3);
        assert_eq!(
            again.begin_trial(3).await.unwrap(),
            None,
            "to the millisecond"
        );
        clock.advance(1);
        assert_eq!(again.known().trials_in_hour(clock.now()), 2);
        assert!(again.begin_trial(3).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn two_hosts_share_an_hour() {
        let bucket = bucket();
        let ((one, _), (other, _)) = (memory(&bucket), memory(&bucket));
        let mut begun = 0;
        for _ in 0..5 {
            let (first, second) = tokio::join!(one.begin_trial(4), other.begin_trial(4));
            begun += usize::from(first.unwrap().is_some());
            begun += usize::from(second.unwrap().is_some());
        }
        assert_eq!(begun, 4);
    }

    #[tokio::test]
    async fn what_did_not_begin_does_not_count_and_a_wrong_clock_does_not_bind_for_ever() {
        let bucket = bucket();
        let (memory, clock) = memory(&bucket);
        clock.advance(24 * HOUR);
        let begun = memory.begin_trial(1).await.unwrap().unwrap();
        clock.advance(-24 * HOUR);
        assert_eq!(memory.begin_trial(1).await.unwrap(), None);
        clock.advance(HOUR + 1);
        assert!(memory.begin_trial(1).await.unwrap().is_some());
        memory.not_begun(begun).await.unwrap();
        let begun = clock.now();
        memory.not_begun(begun).await.unwrap();
        assert!(memory.begin_trial(1).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_last_word_holds_whoever_said_it() {
        let bucket = bucket();
        let (first, _) = memory(&bucket);
        assert!(first.load().await.unwrap().is_enabled(true));
        first.switch(false, true, "ada").await.unwrap();
        let again = memory(&bucket).0.load().await.unwrap();
        assert!(!again.is_enabled(true), "a stop survives a restart");
        assert_eq!(again.switch(true).unwrap().by, "ada");
        assert!(!again.is_enabled(false));
        assert!(
            again.switch(false).is_none(),
            "the configuration says so itself"
        );
        let (other, _) = memory(&bucket);
        other.switch(true, false, "bea").await.unwrap();
        let both = other.known();
        assert!(both.is_enabled(false) && both.is_enabled(true));
    }

    #[tokio::test]
    async fn the_newest_looks_are_remembered() {
        let bucket = bucket();
        let (memory, clock) = memory(&bucket);
        let index = IndexName::new("a").unwrap();
        for trials in 0..15 {
            let look = Look {
                at: clock.now(),
                reasons: vec![Reason::Asked],
                trials,
                data_version: "v".to_owned(),
                outcome: Outcome::Kept,
                detail: "nothing is better".to_owned(),
            };
            memory.looked(&index, &look).await.unwrap();
        }
        let again = self::memory(&bucket).0.load().await.unwrap();
        assert_eq!(again.looks(&index).len(), LOOKS);
        assert_eq!(again.last_look(&index).unwrap().trials, 14);
        memory.forget(&index).await.unwrap();
        assert!(memory.known().last_look(&index).is_none());
    }
}
