//! What is shown of live recall.

use boathouse_types::{IndexConfig, IndexName, Timestamp};
use serde::Serialize;

use super::{
    drift::Drift,
    window::{Estimate, Point},
};

/// The recall that searches really got of what serves, in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LiveRecall {
    /// Over the newest searches that were judged.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The recall that the owner wants.
    pub floor: f64,
    /// The alarm, while recall is surely below the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
}

/// Recall is surely below the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Alarm {
    /// Since when.
    pub since: Timestamp,
}

/// The recall that searches really got.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RecallView {
    /// The index.
    pub index: IndexName,
    /// The recall that the owner wants.
    pub floor: f64,
    /// Share of searches that are judged; 0 when none are.
    pub share: f64,
    /// What serves at present; none before the first of its searches was judged.
    pub serving: Option<Estimate>,
    /// The alarm, while recall is surely below the floor.
    pub alarm: Option<Alarm>,
    /// What searched, the most recently judged first.
    pub configurations: Vec<SubjectView>,
    /// The last day in steps of five minutes, oldest first, over all configurations.
    pub history: Vec<Point>,
    /// How live queries compare with those of the evaluation set; none until enough were judged.
    pub drift: Option<Drift>,
    /// What was counted since the host began to serve the index.
    pub counts: Counts,
}

/// The recall of one configuration on one base.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SubjectView {
    /// Version of the vectors that the graph leads to.
    pub data_version: String,
    /// The configuration, with the `ef_search` that was used.
    pub config: IndexConfig,
    /// It serves at present.
    pub serves: bool,
    /// Its recall.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// When the last of its searches was judged.
    pub last_at: Timestamp,
}

/// Numbers of searches since the host began to serve an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// All searches, also those with a filter, which are never judged.
    pub searches: u64,
    /// Those that were answered exactly afterwards.
    pub judged: u64,
    /// Those that were to be and were not, as too many waited or the exact answer failed.
    pub dropped: u64,
    /// How often recall fell below the floor.
    pub breaches: u64,
    /// Queries that are kept, as vectors in memory, to try challengers on.
    pub kept_queries: u64,
}
