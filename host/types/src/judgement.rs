//! Questions put to plugins and the answers to them, free of any plugin machinery.
//!
//! The rooms that ask (`tuning`, `ingest`) and the room that runs guests (`plugins`) meet on these
//! types only; they mirror the WIT contract in `wit/`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Metric, Trial, VectorBackend};

/// The three judgements that a plugin can make.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PluginKind {
    /// Which configuration to try next.
    Proposer,
    /// Which trial is best.
    Scoring,
    /// Which columns hold personal data.
    Pii,
}

impl PluginKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Proposer, Self::Scoring, Self::Pii];

    /// The name used in URLs and in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposer => "proposer",
            Self::Scoring => "scoring",
            Self::Pii => "pii",
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A plugin at a version: who answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PluginRef {
    /// `team/name`.
    pub name: String,
    /// Semantic version.
    pub version: String,
}

impl fmt::Display for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// An answer and who gave it. What answers may change between two questions of one run, so an answer
/// carries its author instead of leaving that to be looked up.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<T> {
    /// Who answered.
    pub by: PluginRef,
    /// What was answered.
    pub answer: T,
}

/// A judgement could not be had. The caller decides whether to go on without it, and says so.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{plugin}: {message}")]
pub struct JudgementError {
    /// Who was asked.
    pub plugin: PluginRef,
    /// What the caller can make of it.
    pub cause: JudgementCause,
    /// What went wrong, for a person.
    pub message: String,
}

/// Why there is no judgement, by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JudgementCause {
    /// Ask again later: nobody was asked, because too many calls run and wait.
    Overloaded,
    /// Ask another question: the plugin is healthy and does not answer this one.
    Declined,
    /// Have the plugin mended, or another one serve: it did not answer as its contract demands.
    Failed,
    /// Ask again: the plugin failed and was suspended for it, so that the one of the house answers from now on.
    Suspended,
}

/// What a good configuration is for the owner of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// Least acceptable recall@k, in 0..=1.
    pub recall_floor: f64,
    /// Most acceptable 95th percentile of search latency, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_budget_us: Option<f64>,
    /// Most memory that vectors and graph may take, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_cap_bytes: Option<u64>,
    /// Free weights for scoring plugins that take them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<(String, f64)>,
}

impl Default for Objective {
    /// Recall of at least 0.95, no other bound.
    fn default() -> Self {
        Self {
            recall_floor: 0.95,
            p95_budget_us: None,
            memory_cap_bytes: None,
            weights: Vec::new(),
        }
    }
}

/// A scoring plugin's word on one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Verdict {
    /// Meets every bound of the objective.
    pub feasible: bool,
    /// 0 = on the Pareto front, 1 = on the next, and so on.
    pub front: u32,
    /// Higher is better; never NaN.
    pub score: f64,
    /// Why, when the plugin says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One knob: allowed values are `min`, `min + step`, ... up to `max`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Knob {
    /// For example `ef_search`.
    pub name: String,
    /// Least value.
    pub min: u32,
    /// Greatest value.
    pub max: u32,
    /// Distance between allowed values, at least 1.
    pub step: u32,
}

impl Knob {
    /// Whether a value lies within the bounds and on the step.
    #[must_use]
    pub fn allows(&self, value: u32) -> bool {
        (self.min..=self.max).contains(&value)
            && (value - self.min).is_multiple_of(self.step.max(1))
    }
}

/// The index that is being tuned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IndexFacts {
    /// Its name.
    pub name: String,
    /// Which engine serves it.
    pub backend: VectorBackend,
    /// Vectors in it.
    pub vectors: u64,
    /// Components of each.
    pub dimension: u32,
    /// Distance that orders its neighbours.
    pub metric: Metric,
}

/// Everything a proposer gets to see.
#[derive(Debug, Clone)]
pub struct ProposalContext {
    /// The index.
    pub index: IndexFacts,
    /// Knobs, in the order in which a proposal lists their values. Only `m`, `ef_construction` and
    /// `ef_search` exist for an HNSW index, `partitions`, `sub_vectors`, `nprobes` and `refine_factor` for a Lance table.
    pub knobs: Vec<Knob>,
    /// What the owner wants.
    pub objective: Objective,
    /// The whole journal, oldest first.
    pub trials: Vec<Trial>,
    /// Position in `trials` of the configuration that serves.
    pub champion: Option<u32>,
    /// The only source of chance, derived from the journal's length.
    pub seed: u64,
}

/// A proposer's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// Try this: one value per knob of the context, in its order.
    Configuration {
        /// The values.
        settings: Vec<u32>,
        /// Why.
        reason: String,
    },
    /// Nothing is left that would be worth a trial; the text says why.
    Exhausted(String),
}
