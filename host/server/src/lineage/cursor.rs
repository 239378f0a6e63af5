//! How far posting came, per dataset: a small document beside the log, `_lineage_posted/{dataset}.json`.
//!
//! A log gives events in the order of their files, and a file that was slow to be written may turn up before one
//! that is known already. So the note is no position: all events before a moment are posted, and of those since
//! then the ones that are named. The moment follows the newest event at a distance that no write of a file
//! lasts. A document that is missing or cannot be read means that nothing was posted, and so does another
//! endpoint: it gets the whole history.

use std::collections::BTreeMap;

use boathouse_ingest::{IngestError, RunEvent};
use boathouse_storage::{Bucket, StorageError};
use boathouse_types::{DatasetName, Timestamp};
use serde::{Deserialize, Serialize};

/// How far the moment stays behind the newest event.
const WINDOW_MILLIS: i64 = 15 * 60 * 1_000;
/// The folder of the documents.
const FOLDER: &str = "_lineage_posted";

/// What an endpoint has of one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Posted {
    /// The endpoint, credentials hidden.
    endpoint: String,
    /// Everything before this was posted.
    before: Timestamp,
    /// What of the rest was posted, with its time.
    events: BTreeMap<String, Timestamp>,
}

impl Posted {
    pub(super) fn nothing(endpoint: String) -> Self {
        Self {
            endpoint,
            before: Timestamp::from_millis(0),
            events: BTreeMap::new(),
        }
    }

    /// What is noted in a bucket.
    pub(super) async fn load(
        bucket: &Bucket,
        dataset: &DatasetName,
        endpoint: String,
    ) -> Result<Self, IngestError> {
        let noted = match bucket.get(&path(dataset)).await {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(StorageError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(noted
            .filter(|noted: &Self| noted.endpoint == endpoint)
            .unwrap_or_else(|| Self::nothing(endpoint)))
    }

    /// Notes it in the bucket.
    pub(super) async fn save(
        &self,
        bucket: &Bucket,
        dataset: &DatasetName,
    ) -> Result<(), StorageError> {
        let bytes = serde_json::to_vec(self)?;
        bucket.put(&path(dataset), bytes.into()).await
    }

    pub(super) fn has(&self, event: &RunEvent) -> bool {
        event.event_time < self.before || self.events.contains_key(&event.key())
    }

    pub(super) fn add(&mut self, event: &RunEvent) {
        self.events.insert(event.key(), event.event_time);
    }

    /// Forgets names that the moment covers, once all events of the log are posted.
    pub(super) fn settle(&mut self) {
        if let Some(newest) = self.events.values().max() {
            let before = Timestamp::from_millis(newest.millis() - WINDOW_MILLIS);
            self.before = self.before.max(before);
            self.events.retain(|_, at| *at >= before);
        }
    }
}

fn path(dataset: &DatasetName) -> String {
    format!("{FOLDER}/{dataset}.json")
}
