//! What the trials of a course are asked: the evaluation set of the index, or what clients ask lately.
//!
//! A set says nothing of queries that are not like its own. When an alarm was given, or as long as what clients ask is not
//! what the set asks, trials with the set would find what serves good and put nothing better forward. Their recent queries
//! are asked in its place then, as soon as there are as many as the set has: fewer show less.
//!
//! Invariants: they are drawn once for a course, so that its trials compare, also when it had to make way in between; they
//! are in memory only and end with it. The set of the index stays as it is.
//!
//! Absent here: making an evaluation set of them, which stores them. That is for people to ask for.

use std::sync::{Arc, OnceLock};

use boathouse_tuning::{EvalSet, EvalSetName, EvalSource, EvalSpec};

use super::super::queue::Noted;
use crate::{app::App, indexes::LiveIndex, live, problem::Problem, tasks::TaskContext, tune};

/// The queries of a course; clones share what was drawn.
#[derive(Clone)]
pub(super) struct Queries {
    /// Whether those of clients are wanted.
    are_live: bool,
    drawn: Arc<OnceLock<EvalSet>>,
}

impl Queries {
    /// Those of a course on an index with these reasons.
    pub(super) fn of(index: &LiveIndex, reasons: &[Noted]) -> Self {
        let is_alarm = reasons.iter().any(|noted| noted.reason.is_alarm());
        Self {
            are_live: is_alarm || live::has_drifted(index),
            drawn: Arc::default(),
        }
    }

    /// What the next trial is asked.
    ///
    /// # Errors
    /// The bucket's failure, a damaged set, or the index is too small for one; 409 when the work was cancelled.
    pub(super) async fn set(
        &self,
        app: &App,
        index: &LiveIndex,
        task: &TaskContext,
    ) -> Result<EvalSet, Problem> {
        if let Some(drawn) = self.drawn.get() {
            return Ok(drawn.clone());
        }
        let cancel = task.cancellation();
        let telling = || task.progress("finding exact neighbours", 0, None, "queries");
        let set = tune::default_set(app, index, &cancel, telling).await?;
        if !self.are_live {
            return Ok(set);
        }
        let recent = live::recent_queries(index);
        if recent.len() < set.queries.len().min(live::CAPACITY) {
            return Ok(set);
        }
        telling();
        let spec = EvalSpec {
            k: set.k,
            seed: set.seed,
            source: EvalSource::Given(recent),
        };
        let name = EvalSetName::new(tune::LIVE_SET)?;
        let drawn = EvalSet::make(name, &index.data, spec, &cancel).await?;
        let (index, queries) = (&index.meta.name, drawn.queries.len());
        tracing::info!(%index, queries, "trials ask what clients ask lately, in place of the evaluation set");
        Ok(self.drawn.get_or_init(|| drawn).clone())
    }
}
