//! A run of trials: step after step until a budget ends or nothing is left; then recommend.
//!
//! What one step is, is told by [`step`]; which strategies there are, by [`Strategy`]. A proposal outside the
//! bounds is refused, counted and never run; three failures in a row end the run, but for those of a proposer that is
//! suspended for them: another one answers from then on. A scorer that fails costs the verdict, not the trial. Nothing
//! is promoted here.

mod recommend;
mod report;
mod step;

use std::sync::Arc;

use boathouse_types::{PluginRef, Timestamp, Trial};
use tokio_util::sync::CancellationToken;

use crate::{
    Bounds, Evaluation, Tuner, TuningError,
    blocking::{alive, unless_cancelled},
};

pub use report::{AutotuneEvent, AutotuneReport, Ended, Recommendation};
pub use step::{StepRequest, Stepped, Strategy};

/// Failed proposals in a row that end a run.
const MAX_FAILURES: u32 = 3;

/// A run of trials.
#[derive(Clone)]
pub struct AutotuneRequest {
    /// What each step is told.
    pub step: StepRequest,
    /// Most trials, the baseline included.
    pub max_trials: u32,
    /// Seconds after which no further trial starts.
    pub max_seconds: Option<u64>,
    /// Where what is recommended has to lie; none for any trial of the journal.
    pub within: Option<Bounds>,
}

/// The seed of a proposal, from the length of the journal that it is based on. Lengths next to each
/// other give unrelated seeds (the finaliser of SplitMix64, Steele et al. 2014).
#[must_use]
pub fn proposal_seed(journal_length: usize) -> u64 {
    let mut seed = (journal_length as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

impl Tuner {
    /// Runs trials until a budget ends, nothing is left to try, a proposer that stays fails three times in a row,
    /// or somebody cancels; `on_event` hears of every step. A cancelled run still reports what it did.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] for impossible bounds; a failed build; or the bucket fails. Trials
    /// that ended before stay in the journal.
    pub async fn autotune(
        &self,
        evaluation: &Arc<Evaluation>,
        request: AutotuneRequest,
        cancel: &CancellationToken,
        on_event: &(dyn Fn(AutotuneEvent) + Send + Sync),
    ) -> Result<AutotuneReport, TuningError> {
        let mut run = Run {
            tuner: self,
            evaluation,
            request: &request,
            cancel,
            on_event,
            trials: Vec::new(),
            refused: 0,
            last_refusal: None,
            suspended: None,
        };
        let ended = match run.explore().await {
            Ok(ended) => ended,
            Err(TuningError::Cancelled) => Ended::Cancelled,
            Err(error) => return Err(error),
        };
        let report = run.conclude(ended).await?;
        on_event(AutotuneEvent::Done {
            report: report.clone(),
        });
        Ok(report)
    }
}

/// A run in progress.
struct Run<'a> {
    tuner: &'a Tuner,
    evaluation: &'a Arc<Evaluation>,
    request: &'a AutotuneRequest,
    cancel: &'a CancellationToken,
    on_event: &'a (dyn Fn(AutotuneEvent) + Send + Sync),
    trials: Vec<Trial>,
    refused: u32,
    last_refusal: Option<String>,
    suspended: Option<PluginRef>,
}

impl Run<'_> {
    async fn explore(&mut self) -> Result<Ended, TuningError> {
        let deadline = self.deadline();
        let mut failures = 0;
        loop {
            alive(self.cancel)?;
            if self.trials.len() >= self.request.max_trials as usize {
                return Ok(Ended::Trials);
            }
            let now = self.tuner.options().clock.now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(Ended::Time);
            }
            match self.step().await? {
                Stepped::Tried { report, .. } => {
                    failures = 0;
                    self.trials.push(report.trial);
                }
                Stepped::Exhausted { reason } => return Ok(Ended::Exhausted { reason }),
                Stepped::Refused { message, suspended } => {
                    self.refused += 1;
                    self.last_refusal = Some(message.clone());
                    // Whoever proposes next has not failed yet.
                    failures = if suspended.is_some() { 0 } else { failures + 1 };
                    self.suspended = suspended.or(self.suspended.take());
                    if failures == MAX_FAILURES {
                        return Ok(Ended::ProposerFailed { message });
                    }
                }
            }
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        let started = self.tuner.options().clock.now();
        self.request.max_seconds.map(|seconds| {
            let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
            Timestamp::from_millis(started.millis().saturating_add(millis))
        })
    }

    async fn step(&self) -> Result<Stepped, TuningError> {
        let request = &self.request.step;
        self.tuner
            .step(self.evaluation, request, self.cancel, self.on_event)
            .await
    }

    async fn conclude(self, ended: Ended) -> Result<AutotuneReport, TuningError> {
        let recommendation = if matches!(ended, Ended::Cancelled) {
            Recommendation::keep("the run was cancelled")
        } else {
            let request = &self.request.step;
            let recommended = self.tuner.recommend(
                &self.evaluation.data().data_version,
                request.scorer.as_ref(),
                &request.objective,
                &request.serving,
                &[],
                self.request.within.as_ref(),
            );
            match unless_cancelled(self.cancel, recommended).await {
                Ok(recommended) => recommended?,
                Err(_) => Recommendation::keep("the run was cancelled"),
            }
        };
        Ok(AutotuneReport {
            trials: self.trials,
            refused: self.refused,
            last_refusal: self.last_refusal,
            suspended: self.suspended,
            ended,
            recommendation,
        })
    }
}

#[cfg(test)]
mod tests;
