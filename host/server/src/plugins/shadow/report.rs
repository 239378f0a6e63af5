//! The report on a shadow: what its readers see.
//!
//! Every difference is given as the host would feel it, beside what it rests on: how many questions there
//! were, how long each side took, which it did not answer, and what was left out. Reports hold names,
//! counts and configurations, never a value of the data and never a guest's own log.

use std::{collections::BTreeMap, time::Duration};

use boathouse_plugins::{
    Cause, FindingsDifference, Latency, PluginError, ProposalDifference, ScoringDifference,
};
use boathouse_types::{DatasetName, IndexName, PluginKind, PluginRef};
use serde::{Deserialize, Serialize};

use super::LiveView;

/// A shadow against what serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShadowReport {
    /// What is decided.
    pub kind: PluginKind,
    /// The shadow.
    pub shadow: PluginRef,
    /// Everything the host remembers, asked of both sides for this report.
    pub history: History,
    /// What it was asked beside serving plugins since it began or the host started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveView>,
}

/// Both sides over what the host remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct History {
    /// Questions that both sides answered.
    pub compared: u64,
    /// Of these, those on which the host would have acted in the same way.
    pub equal: u64,
    /// The differences, by index or dataset.
    pub differences: Compared,
    /// What serves.
    pub active: Side,
    /// The shadow.
    pub shadow: Side,
    /// Questions that a side did not answer; they are not compared.
    pub unanswered: Vec<Unanswered>,
    /// What was not asked, and why.
    pub left_out: Vec<String>,
    /// How long it all took, in milliseconds.
    pub took_ms: u64,
}

/// The differences by kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compared {
    /// Over the journal of every index.
    Scoring(Vec<ScoredIndex>),
    /// Over prefixes of the journal of every index.
    Proposer(Vec<ProposedTrial>),
    /// Over a sample of every dataset.
    Pii(Vec<DetectedTable>),
}

/// Two scorings of the journal of one index, under its objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScoredIndex {
    /// The index.
    pub index: IndexName,
    /// Who scores for it.
    pub active: PluginRef,
    /// Id of the trial that wins by what serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner_active: Option<String>,
    /// Id of the trial that wins by the shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner_shadow: Option<String>,
    /// How the scorings differ; positions are those of the journal.
    pub difference: ScoringDifference,
}

/// Two proposals after the same lines of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProposedTrial {
    /// The index.
    pub index: IndexName,
    /// Who proposes for it.
    pub active: PluginRef,
    /// Lines of the journal that were shown.
    pub after: u64,
    /// The trial that was really made then; none for what would be tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// What was really proposed then: one value per knob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Vec<u32>>,
    /// The shadow proposes what was really proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_as_recorded: Option<bool>,
    /// The journal does not say what was asked, so default bounds and the index's objective were put.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
    /// How the proposals differ.
    pub difference: ProposalDifference,
}

/// Two detections in a sample of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DetectedTable {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its version.
    pub version: u64,
    /// Rows that the sample was drawn from.
    pub rows: u64,
    /// Who detects for it; of several, the findings of highest confidence count.
    pub active: Vec<PluginRef>,
    /// How the findings differ.
    pub difference: FindingsDifference,
}

/// How one side did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Side {
    /// How long its answers took, waiting for its turn included.
    pub latency: Latency,
    /// Questions that it did not answer, by cause.
    pub failures: BTreeMap<Cause, u64>,
}

/// A question that was not answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Unanswered {
    /// The index or dataset.
    pub about: String,
    /// Who did not answer.
    pub plugin: PluginRef,
    /// Why.
    pub cause: Cause,
}

/// How two answers differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// Two proposals.
    Proposer(ProposalDifference),
    /// Two scorings.
    Scoring(ScoringDifference),
    /// Two detections.
    Pii(FindingsDifference),
}

impl Difference {
    /// Whether the host would act in the same way on either answer.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        match self {
            Self::Proposer(difference) => difference.equal,
            Self::Scoring(difference) => difference.is_equal(),
            Self::Pii(difference) => difference.is_equal(),
        }
    }
}

/// One side's calls while they are made.
#[derive(Default)]
pub(super) struct Tally {
    took: Vec<Duration>,
    failures: BTreeMap<Cause, u64>,
}

impl Tally {
    pub(super) fn answered(&mut self, took: Duration) {
        self.took.push(took);
    }

    pub(super) fn failed(&mut self, error: &PluginError) {
        *self.failures.entry(error.cause()).or_default() += 1;
    }

    pub(super) fn side(self) -> Side {
        Side {
            latency: Latency::of(&self.took),
            failures: self.failures,
        }
    }
}

/// The name of a cause, as JSON and metrics have it.
pub(crate) fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Declined => "declined",
        Cause::Deadline => "deadline",
        Cause::Limit => "limit",
        Cause::Trap => "trap",
        Cause::BadAnswer => "bad_answer",
        Cause::Overloaded => "overloaded",
        Cause::Host => "host",
    }
}
