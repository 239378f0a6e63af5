//! Plugins in the shape in which the rooms want their judgements.

use async_trait::async_trait;
use boathouse_ingest::PiiDetector;
use boathouse_plugins::{Plugin, PluginError};
use boathouse_tuning::{Proposer, Scorer};
use boathouse_types::{
    Finding, JudgementError, Objective, PluginRef, Proposal, ProposalContext, TableSample, Trial,
    Verdict,
};

/// A plugin that answers for a room.
#[derive(Clone)]
pub struct Judge(pub Plugin);

impl Judge {
    fn failed(&self, error: &PluginError) -> JudgementError {
        JudgementError {
            plugin: self.0.identity().clone(),
            message: error.to_string(),
        }
    }
}

#[async_trait]
impl Proposer for Judge {
    fn identity(&self) -> PluginRef {
        self.0.identity().clone()
    }

    async fn propose(&self, context: ProposalContext) -> Result<Proposal, JudgementError> {
        self.0
            .propose(&context)
            .await
            .map_err(|error| self.failed(&error))
    }
}

#[async_trait]
impl Scorer for Judge {
    fn identity(&self) -> PluginRef {
        self.0.identity().clone()
    }

    async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Vec<Verdict>, JudgementError> {
        self.0
            .evaluate(trials, objective)
            .await
            .map_err(|error| self.failed(&error))
    }
}

#[async_trait]
impl PiiDetector for Judge {
    fn identity(&self) -> PluginRef {
        self.0.identity().clone()
    }

    async fn detect(&self, table: &TableSample) -> Result<Vec<Finding>, JudgementError> {
        self.0
            .detect(table)
            .await
            .map_err(|error| self.failed(&error))
    }
}
