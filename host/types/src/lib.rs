//! The vocabulary that every room of the host shares.
//!
//! Plain data with invariants checked once, at the edge: a [`BucketName`] cannot climb out of its
//! folder, a [`Dimension`] cannot be zero. There is no I/O here, nothing asynchronous, and no foreign
//! type other than serde's and utoipa's derives.

mod clock;
mod configuration;
mod judgement;
mod name;
mod pii;
mod trial;
mod vector;

pub use clock::{Clock, ManualClock, Timestamp};
pub use configuration::{Configuration, TableConfig};
pub use judgement::{
    IndexFacts, Judged, JudgementCause, JudgementError, Knob, Objective, PluginKind, PluginRef,
    Proposal, ProposalContext, Verdict,
};
pub use name::{BucketName, DatasetName, IndexName, JobName, NameError};
pub use pii::{ColumnSample, Evidence, Finding, Scope, TableSample};
pub use trial::{Asked, HouseStrategy, IndexConfig, Interval, Trial, TrialMetrics};
pub use vector::{Dimension, DimensionError, Metric, VectorBackend};
