//! What a run tells while it goes on and when it ends.

use boathouse_types::{Configuration, PluginRef, Trial, Verdict};
use serde::Serialize;

use crate::TrialReport;

/// A step of a run, for a live table.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AutotuneEvent {
    /// A configuration within the bounds will be tried.
    Proposed {
        /// The line that the trial will have in the journal.
        number: usize,
        /// What will be tried.
        config: Configuration,
        /// Share of the vectors that will be measured, at the `ef_search` that is needed there; none for all.
        #[serde(skip_serializing_if = "Option::is_none")]
        sample: Option<f64>,
        /// Why.
        reason: String,
        /// Who proposed it; none for the baseline and the grid.
        #[serde(skip_serializing_if = "Option::is_none")]
        proposed_by: Option<PluginRef>,
    },
    /// Its graph, or its index of the table, does not exist yet and is being built.
    Building {
        /// What will be tried.
        config: Configuration,
        /// Identity of what is built.
        build_id: String,
    },
    /// A trial has ended and is in the journal.
    Trial {
        /// The trial and how it was measured.
        report: Box<TrialReport>,
        /// The scorer's word on it.
        #[serde(skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
        /// Why there is no verdict.
        #[serde(skip_serializing_if = "Option::is_none")]
        unscored: Option<String>,
    },
    /// A proposal could not be had or lies outside the bounds; nothing was run.
    Refused {
        /// What was wrong, with the proposer named.
        message: String,
        /// The proposer, when it was suspended for this failure: the bundled one goes on.
        #[serde(skip_serializing_if = "Option::is_none")]
        suspended: Option<PluginRef>,
    },
    /// Nothing is left that would be worth a trial.
    Exhausted {
        /// Why, in the proposer's words.
        reason: String,
    },
    /// The run has ended.
    Done {
        /// Its report.
        report: AutotuneReport,
    },
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Ended {
    /// The allowed number of trials was run.
    Trials,
    /// The allowed time has passed.
    Time,
    /// Nothing is left to try.
    Exhausted {
        /// Why, in the proposer's words.
        reason: String,
    },
    /// Three proposals in a row failed, and their proposer was not suspended for it.
    ProposerFailed {
        /// What was wrong with the last one.
        message: String,
    },
    /// Somebody asked to stop.
    Cancelled,
}

/// What to do with the outcome.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Recommendation {
    /// Put this trial's configuration in service.
    Promote {
        /// The trial.
        trial: Box<Trial>,
        /// The scorer's word on it.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// Let the present configuration serve on.
    Keep {
        /// Why.
        reason: String,
    },
}

impl Recommendation {
    pub(super) fn keep(reason: impl Into<String>) -> Self {
        Self::Keep {
            reason: reason.into(),
        }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Promote { reason, .. } | Self::Keep { reason } => reason,
        }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AutotuneReport {
    /// Trials that were run, in order; all are in the journal.
    pub trials: Vec<Trial>,
    /// Proposals that failed or were refused.
    pub refused: u32,
    /// Why the last one of these was, with the proposer named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<String>,
    /// The proposer that was suspended during the run, for three failures in a row; the bundled one went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<PluginRef>,
    /// Why it ended.
    pub ended: Ended,
    /// What to do, judged over all trials of the journal on the present vectors; within the bounds, where the run was
    /// given some.
    pub recommendation: Recommendation,
}
