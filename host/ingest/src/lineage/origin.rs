//! Who writes lineage: the host that is named in every event, and whoever is told of the events.

use boathouse_types::{BucketName, DatasetName, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

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

/// What a host adds to the lineage that it writes; by default nothing. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LineageWriter {
    origin: Option<Origin>,
    told: Option<UnboundedSender<Recorded>>,
}

impl LineageWriter {
    /// Names a host in its events and tells `told` of each; telling neither waits nor fails.
    #[must_use]
    pub fn new(origin: Origin, told: Option<UnboundedSender<Recorded>>) -> Self {
        Self {
            origin: Some(origin),
            told,
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
}
