//! Who writes lineage: the host that is named in every event, and whoever is told of the events, and of those that
//! could not be written.

use boathouse_types::{BucketName, DatasetName, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use super::RunEvent;

/// The host that a run ran on. A run without an end is dead once another start of the same host is there,
/// because one process at a time holds a data folder; of other hosts nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Origin {
    /// Stays the same as long as the data folder does.
    pub host: String,
    /// Another one at each start.
    pub process: String,
}

/// An event that has become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The bucket of its log.
    pub bucket: BucketName,
    /// The dataset.
    pub dataset: DatasetName,
    /// When it happened.
    pub at: Timestamp,
}

/// A run of which the log does not have everything, because its bucket did not take it.
/// [`Lineage::end_run`](super::Lineage::end_run) writes what is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Unended {
    /// The bucket of the log.
    pub bucket: BucketName,
    /// The dataset.
    pub dataset: DatasetName,
    /// How the run began.
    pub(super) start: RunEvent,
    /// How it ended.
    pub(super) end: RunEvent,
}

/// What a host adds to the lineage that it writes; by default nothing. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LineageWriter {
    origin: Option<Origin>,
    told: Option<UnboundedSender<Recorded>>,
    owed: Option<UnboundedSender<Unended>>,
}

impl LineageWriter {
    /// Names a host in its events and tells `told` of each; telling neither waits nor fails.
    #[must_use]
    pub fn new(origin: Origin, told: Option<UnboundedSender<Recorded>>) -> Self {
        Self {
            origin: Some(origin),
            told,
            owed: None,
        }
    }

    /// The same, which hands runs to `owed` whose end the bucket does not take.
    #[must_use]
    pub fn owing(self, owed: UnboundedSender<Unended>) -> Self {
        Self {
            owed: Some(owed),
            ..self
        }
    }

    /// The host.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    pub(super) fn tell(&self, bucket: &BucketName, dataset: &DatasetName, at: Timestamp) {
        if let Some(told) = &self.told {
            let recorded = Recorded {
                bucket: bucket.clone(),
                dataset: dataset.clone(),
                at,
            };
            // Nobody listens any more when the host stops; the log has the event.
            let _ = told.send(recorded);
        }
    }

    /// Hands a run to who writes its end later; tells whether there is anybody.
    pub(super) fn owe(&self, run: Unended) -> bool {
        let owed = self.owed.as_ref();
        owed.is_some_and(|owed| owed.send(run).is_ok())
    }
}
