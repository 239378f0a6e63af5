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

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;
    use serde_json::json;

    use super::*;

    fn event(run: &str, minute: i64) -> RunEvent {
        let at = Timestamp::from_millis(1_800_000_000_000 + minute * 60_000);
        let facet = json!({"_producer": "p", "_schemaURL": "s", "processingType": "BATCH", "integration": "I", "jobType": "J"});
        serde_json::from_value(json!({
            "eventType": "START", "eventTime": at, "producer": "p", "schemaURL": "s",
            "run": {"runId": run, "facets": {}},
            "job": {"namespace": "n", "name": "j", "facets": {"jobType": facet}},
            "inputs": [], "outputs": [],
        }))
        .expect("an event")
    }

    #[tokio::test]
    async fn what_was_posted_is_known_after_a_start_and_to_this_endpoint_only() {
        let bucket = Bucket::memory(BucketName::primary());
        let dataset = DatasetName::new("d").expect("a name");
        let load = async |endpoint: &str| {
            let loaded = Posted::load(&bucket, &dataset, endpoint.to_owned()).await;
            loaded.expect("loaded")
        };
        let mut posted = load("http://one/").await;
        assert!(!posted.has(&event("a", 0)));
        posted.add(&event("a", 0));
        posted.save(&bucket, &dataset).await.expect("saved");
        assert!(load("http://one/").await.has(&event("a", 0)));
        assert!(!load("http://one/").await.has(&event("b", 0)));
        assert!(!load("http://two/").await.has(&event("a", 0)));
        let damaged = bucket.put(&path(&dataset), "{".into()).await;
        damaged.expect("written");
        assert!(
            !load("http://one/").await.has(&event("a", 0)),
            "again rather than never"
        );
    }

    #[test]
    fn names_are_forgotten_when_the_moment_covers_them_and_a_latecomer_is_not_missed() {
        let mut posted = Posted::nothing("http://one/".to_owned());
        for (run, minute) in [("a", 0), ("b", 10), ("c", 20)] {
            posted.add(&event(run, minute));
            posted.settle();
        }
        let known: Vec<_> = posted.events.keys().cloned().collect();
        assert_eq!(known, ["b.START", "c.START"]);
        assert!(posted.has(&event("a", 0)));
        assert!(
            !posted.has(&event("late", 6)),
            "its file turned up after that of `c`"
        );
        posted.settle();
        assert_eq!(posted.events.len(), 2, "settling twice changes nothing");
    }
}
