//! What serves against what is to serve, on the same queries, before anything is swapped.
//!
//! Both answer every query several times in turns (`duel/bout.rs`), on one thread, a block of queries after the
//! other; before each block the caller may let the duel wait. What came of it is [`Evidence`], and the [`Ruling`]
//! follows from that alone:
//!
//! 1. A challenger that misses the objective by the host's own reading, or that the scorer finds infeasible, is
//!    refused.
//! 2. When it meets the objective and the champion *surely* does not, it wins without being better in any other way.
//!    That takes more than a hair's breadth at a bound: a recall below the floor counts when the challenger's is
//!    surely higher, query by query, a p95 when it is over the budget by more than the repeats differ.
//! 3. Else it has to win by the scorer: over resamples of the queries (`duel/bootstrap.rs`) the difference of the
//!    two scores is above zero in at least 97.5 % of them.
//!
//! Where repeats differ so much that times of this run tell nothing, latencies are taken to be the number of
//! distances times what one cost on average over both; that is [`ComparedBy::Distances`], and bounds are read from
//! such latencies too. Tables count no distances: for them times have to do, and a restless machine shows in the scores'
//! interval.
//!
//! Absent here: building graphs, recording what was decided, and swapping what serves.

mod bootstrap;
mod bout;
mod ruling;

use std::sync::Arc;

use boathouse_types::{Configuration, Interval, Objective, PluginRef, TrialMetrics};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    Contender, Evaluation, Scorer, Tuner, TuningError,
    blocking::{blocking, unless_cancelled},
    measure::Comparison,
};

use bout::Bout;
pub use ruling::Ruling;
use ruling::rule;

/// One of the two.
#[derive(Debug, Clone)]
pub struct Fighter {
    /// What is searched.
    pub contender: Contender,
    /// The id of its graph, or of its index of the table.
    pub build_id: String,
    /// Its configuration.
    pub config: Configuration,
    /// The trial behind it, if any.
    pub trial: Option<String>,
}

/// A duel to be held.
pub struct Duel<'a> {
    /// What both are asked.
    pub evaluation: &'a Arc<Evaluation>,
    /// How many of these queries came from live traffic.
    pub live_queries: usize,
    /// What serves.
    pub champion: Fighter,
    /// What is to serve.
    pub challenger: Fighter,
    /// What the owner wants.
    pub objective: &'a Objective,
    /// Who says which is better.
    pub scorer: &'a dyn Scorer,
}

/// Waited for before each block of queries.
pub type Pause<'a> = &'a (dyn Fn() -> BoxFuture<'a, ()> + Send + Sync);

/// What a duel gave: enough to see why it was decided as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    /// Queries that both answered.
    pub queries: u64,
    /// How many of them came from live traffic; the others are of the evaluation set.
    pub live_queries: u64,
    /// Neighbours per query.
    pub k: u32,
    /// Version of the vectors.
    pub data_version: String,
    /// The machine: latencies of two machines do not compare.
    pub host: String,
    /// What served.
    pub champion: Side,
    /// What was to serve.
    pub challenger: Side,
    /// Both, query by query; none when there are fewer than two queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// The greater range of the passes' median latencies over their median; 0.1 is 10 %.
    pub spread: f64,
    /// What tells the speed of the two apart.
    pub compared_by: ComparedBy,
    /// How what served misses the objective beyond doubt; none when it meets it, or may do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sure_shortfall: Option<String>,
    /// The scores; none when they do not matter, because the challenger misses the objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreGain>,
}

/// One of the two, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Side {
    /// The trial behind it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
    /// Its configuration.
    pub config: Configuration,
    /// Its graph, or its index of the table.
    pub build_id: String,
    /// What it reached in this duel. Builds cost nothing here: both graphs are there.
    pub metrics: TrialMetrics,
    /// How it misses the objective by the host's own reading of comparable latencies; none when it meets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<String>,
}

/// What tells the speed of the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ComparedBy {
    /// Measured times.
    Time,
    /// Numbers of distances, because the machine was too noisy for times.
    Distances,
}

/// How much better the challenger's score is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScoreGain {
    /// Who scored.
    pub by: PluginRef,
    /// Score of the champion over all queries.
    pub champion: f64,
    /// Score of the challenger over all queries.
    pub challenger: f64,
    /// Challenger less champion.
    pub gain: f64,
    /// Its 95 % interval, by the bootstrap.
    pub interval: Interval,
    /// Resamples of the queries behind the interval.
    pub resamples: u32,
    /// Why the scorer finds the challenger infeasible, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infeasible: Option<String>,
}

impl Tuner {
    /// Holds a duel. It is measured alone in the whole process, as trials are; `pause` is waited for before each
    /// block of some dozens of queries.
    ///
    /// # Errors
    /// [`TuningError::Judgement`] when the scorer is asked and gives no scores; [`TuningError::Cancelled`].
    pub async fn duel(
        &self,
        duel: Duel<'_>,
        pause: Pause<'_>,
        cancel: &CancellationToken,
    ) -> Result<(Evidence, Ruling), TuningError> {
        let options = self.options();
        let bout = {
            let lane = unless_cancelled(cancel, options.lane.acquire()).await?;
            let _lane = lane.map_err(|closed| TuningError::Worker(closed.to_string()))?;
            let mut bout = Bout::new(&duel, options.plan);
            loop {
                unless_cancelled(cancel, pause()).await?;
                let (next, more) = blocking(cancel, move |stop| bout.block(stop)).await?;
                bout = next;
                if !more {
                    break bout;
                }
            }
        };
        let figures = Arc::new(bout.figures());
        let mut evidence = figures.evidence(&duel, options.host.clone());
        if evidence.challenger.shortfall.is_none() {
            let gain = bootstrap::score_gain(&figures, &evidence, &duel, cancel).await?;
            evidence.score = gain;
        }
        let ruling = rule(&evidence);
        Ok((evidence, ruling))
    }
}

#[cfg(test)]
mod tests;
