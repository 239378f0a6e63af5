//! What happened to plugins: the audit log, and those who follow it live.
//!
//! One change of the catalogue is one record, a list of events, under `plugins/events` of the primary
//! bucket. The catalogue holds the events of its last change, so a process that ends between a commit and
//! its record loses nothing: the next one appends what is missing. Events count from 1 without gaps, and a
//! reader takes each number once.
//!
//! The newest [`KEPT`] events are in memory, for followers and for most readers; older ones are read from
//! the bucket. Nothing is ever deleted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use boathouse_storage::{AppendLog, Bucket, StorageError};
use boathouse_types::{Clock, PluginKind, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{name::PluginId, shadow::locked};

const PREFIX: &str = "plugins/events";
/// Events in memory.
const KEPT: usize = 10_000;
/// Files of the log that a start merges into one.
const MANY_FILES: usize = 64;

/// One thing that happened to a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Position in the log, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who did it: the name of a key, `anonymous` where none is needed, `boathouse` for the host itself.
    pub by: String,
    /// Kind of the plugin.
    pub kind: PluginKind,
    /// `team/name`.
    pub name: String,
    /// The version.
    pub version: String,
    /// What happened.
    pub event: Happened,
    /// Where, instead of what, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What can happen to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// Its bytes were stored.
    Uploaded,
    /// It passed the checks of this host.
    Checked,
    /// It runs beside what serves.
    ShadowStarted,
    /// It no longer does.
    ShadowStopped,
    /// It serves at one more place.
    Activated,
    /// It serves again at a place, after the version that had replaced it.
    RolledBack,
    /// It serves nowhere any more.
    Retired,
    /// It failed three times in a row, or could not be loaded; the bundled plugin answers in its place.
    Suspended,
    /// It answers again.
    Reinstated,
    /// Its bytes are gone.
    Deleted,
}

impl Happened {
    /// The name in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Checked => "checked",
            Self::ShadowStarted => "shadow_started",
            Self::ShadowStopped => "shadow_stopped",
            Self::Activated => "activated",
            Self::RolledBack => "rolled_back",
            Self::Retired => "retired",
            Self::Suspended => "suspended",
            Self::Reinstated => "reinstated",
            Self::Deleted => "deleted",
        }
    }
}

/// The audit log of plugins.
pub struct EventLog {
    log: AppendLog<Vec<Event>>,
    recent: Mutex<VecDeque<Event>>,
    /// Number of the newest event; followers wait on it. None once the host stops.
    newest: watch::Sender<Option<u64>>,
}

impl EventLog {
    /// Reads the log; merges its files when they have become many.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(crate) async fn open(bucket: &Bucket, clock: Arc<dyn Clock>) -> Result<Self, StorageError> {
        let log = AppendLog::new(bucket.clone(), PREFIX, clock);
        let mut recent = in_order(log.read_all().await?.records);
        recent.drain(..recent.len().saturating_sub(KEPT));
        if bucket.list(PREFIX).await?.len() > MANY_FILES
            && let Err(error) = log.compact().await
        {
            // Also when only the copies in `rescue` can be read.
            tracing::warn!(%error, "the log of what happened to plugins could not be compacted");
        }
        let newest = recent.back().map_or(0, |event| event.seq);
        Ok(Self {
            log,
            recent: Mutex::new(recent),
            newest: watch::Sender::new(Some(newest)),
        })
    }

    /// Number of the newest event that is on record; 0 when nothing has happened.
    #[must_use]
    pub fn newest(&self) -> u64 {
        locked(&self.recent).back().map_or(0, |event| event.seq)
    }

    /// Puts those events on record that are not yet, and tells followers.
    ///
    /// # Errors
    /// When the bucket fails; the same events may be given again.
    pub(crate) async fn append(&self, events: &[Event]) -> Result<(), StorageError> {
        let newest = self.newest();
        let fresh: Vec<Event> = events
            .iter()
            .filter(|event| event.seq > newest)
            .cloned()
            .collect();
        let Some(last) = fresh.last().map(|event| event.seq) else {
            return Ok(());
        };
        self.log.append(fresh.clone()).await?;
        let mut recent = locked(&self.recent);
        recent.extend(fresh);
        let surplus = recent.len().saturating_sub(KEPT);
        recent.drain(..surplus);
        drop(recent);
        self.newest.send_if_modified(|newest| match newest {
            Some(known) if *known < last => {
                *known = last;
                true
            }
            _ => false,
        });
        Ok(())
    }

    /// Events after a number, of one plugin or of all, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn after(
        &self,
        of: Option<&PluginId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, StorageError> {
        let wanted = |event: &&Event| event.seq > after && is_of(event, of);
        let remembered = {
            let recent = locked(&self.recent);
            let all = recent
                .front()
                .is_none_or(|oldest| oldest.seq <= after.saturating_add(1));
            all.then(|| recent.iter().filter(wanted).take(limit).cloned().collect())
        };
        match remembered {
            Some(events) => Ok(events),
            None => {
                let all = in_order(self.log.read_all().await?.records);
                Ok(all.iter().filter(wanted).take(limit).cloned().collect())
            }
        }
    }

    /// As [`Self::after`], but waits for the first one; none once the host stops.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn follow(
        &self,
        of: Option<&PluginId>,
        after: u64,
        limit: usize,
    ) -> Result<Option<Vec<Event>>, StorageError> {
        let mut newest = self.newest.subscribe();
        loop {
            if newest.borrow_and_update().is_none() {
                return Ok(None);
            }
            let events = self.after(of, after, limit).await?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
            if newest.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Lets followers go, so that the host can stop.
    pub(crate) fn close(&self) {
        self.newest.send_replace(None);
    }
}

fn is_of(event: &Event, of: Option<&PluginId>) -> bool {
    of.is_none_or(|id| event.kind == id.kind() && event.name == id.name())
}

/// Each event once, by its number.
fn in_order(records: Vec<Vec<Event>>) -> VecDeque<Event> {
    let by_seq: BTreeMap<u64, Event> = records
        .into_iter()
        .flatten()
        .map(|event| (event.seq, event))
        .collect();
    by_seq.into_values().collect()
}

#[cfg(test)]
mod tests {
    use boathouse_types::{BucketName, ManualClock};

    use super::*;

    fn bucket() -> Bucket {
        Bucket::memory(BucketName::primary())
    }

    async fn open(bucket: &Bucket) -> EventLog {
        EventLog::open(bucket, Arc::new(ManualClock::at(0)))
            .await
            .expect("opened")
    }

    fn event(seq: u64, name: &str) -> Event {
        Event {
            seq,
            at: Timestamp::from_millis(0),
            by: "tests".to_owned(),
            kind: PluginKind::Scoring,
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            event: Happened::Activated,
            detail: None,
        }
    }

    async fn numbers(log: &EventLog, of: Option<&PluginId>, after: u64) -> Vec<u64> {
        let events = log.after(of, after, 100).await.expect("read");
        events.iter().map(|event| event.seq).collect()
    }

    #[tokio::test]
    async fn events_are_told_once_in_order_and_after_a_restart() {
        let bucket = bucket();
        let log = open(&bucket).await;
        log.append(&[event(1, "a/x"), event(2, "a/y")])
            .await
            .expect("appended");
        log.append(&[event(2, "a/y"), event(3, "a/x")])
            .await
            .expect("appended");
        log.append(&[event(3, "a/x")]).await.expect("appended");
        for log in [log, open(&bucket).await] {
            assert_eq!(numbers(&log, None, 0).await, [1, 2, 3]);
            assert_eq!(numbers(&log, None, 2).await, [3]);
            assert!(numbers(&log, None, 99).await.is_empty());
            let of = PluginId::new(PluginKind::Scoring, "a", "x").expect("name");
            assert_eq!(numbers(&log, Some(&of), 0).await, [1, 3]);
            let other_kind = PluginId::new(PluginKind::Pii, "a", "x").expect("name");
            assert!(numbers(&log, Some(&other_kind), 0).await.is_empty());
            assert_eq!(log.newest(), 3);
        }
    }

    #[tokio::test]
    async fn what_memory_has_forgotten_is_read_from_the_bucket_and_many_files_become_one() {
        let bucket = bucket();
        let log = open(&bucket).await;
        for seq in 1..=70 {
            log.append(&[event(seq, "a/x")]).await.expect("appended");
        }
        locked(&log.recent).drain(..60);
        assert_eq!(numbers(&log, None, 5).await.len(), 65);
        let log = open(&bucket).await;
        assert_eq!(bucket.list(PREFIX).await.expect("listed").len(), 1);
        assert_eq!(numbers(&log, None, 0).await.len(), 70);
    }

    #[tokio::test]
    async fn a_follower_waits_for_the_next_event_and_ends_with_the_host() {
        let log = open(&bucket()).await;
        let mut waiting = Box::pin(log.follow(None, 0, 10));
        assert!(futures::poll!(&mut waiting).is_pending());
        log.append(&[event(1, "a/x")]).await.expect("appended");
        let told = waiting.await.expect("read").expect("open");
        assert_eq!(told.len(), 1);
        let mut waiting = Box::pin(log.follow(None, 1, 10));
        assert!(futures::poll!(&mut waiting).is_pending());
        log.close();
        assert_eq!(waiting.await.expect("read"), None);
    }

    #[test]
    fn names_are_those_of_the_log() {
        for happened in [
            Happened::Uploaded,
            Happened::ShadowStopped,
            Happened::RolledBack,
            Happened::Suspended,
        ] {
            let json = serde_json::to_string(&happened).expect("json");
            assert_eq!(json, format!("\"{}\"", happened.as_str()));
        }
    }
}
