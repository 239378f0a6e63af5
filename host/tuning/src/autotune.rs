//! A run of trials: ask what to try, check it, try it, remember it, until a budget ends or nothing is
//! left; then recommend.
//!
//! The journal is read anew before every proposal, so a proposer always sees all of it and equal
//! journals get equal proposals. When the serving configuration has no trial on the present vectors it is
//! tried first: without it nothing could be said about an improvement.
//!
//! A proposal outside the bounds is refused, counted and never run; three failures in a row end the run.
//! A scorer that fails costs the verdict, not the trial. Nothing is promoted here.

mod recommend;
mod report;

use std::sync::Arc;

use boathouse_types::{
    Asked, IndexConfig, Judged, JudgementError, Objective, PluginRef, Proposal, ProposalContext,
    Timestamp, Trial, Verdict,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Evaluation, Proposer, Scorer, TrialRequest, TuneBounds, Tuner, TuningError,
    blocking::{alive, blocking, unless_cancelled},
    builds::build_id,
    grid,
    judge::{champion_position, verdicts},
    promotions::Served,
    replay,
};

use recommend::recommend;
pub use report::{AutotuneEvent, AutotuneReport, Ended, Recommendation};

/// Failed proposals in a row that end a run.
const MAX_FAILURES: u32 = 3;

/// Who says what to try next.
#[derive(Clone)]
pub enum Strategy {
    /// A small fixed grid within the bounds: five builds by five `ef_search`, those of one build
    /// together; points that the journal has for the present vectors are skipped.
    Grid,
    /// A proposer.
    Proposer(Arc<dyn Proposer>),
}

/// A run of trials.
#[derive(Clone)]
pub struct AutotuneRequest {
    /// Who says what to try next.
    pub strategy: Strategy,
    /// Who says which trial is best.
    pub scorer: Arc<dyn Scorer>,
    /// What the owner wants.
    pub objective: Objective,
    /// What may be tried.
    pub bounds: TuneBounds,
    /// What serves; its seed is the seed of every build of the run.
    pub serving: IndexConfig,
    /// Most trials, the baseline included.
    pub max_trials: u32,
    /// Seconds after which no further trial starts.
    pub max_seconds: Option<u64>,
    /// Note of each trial.
    pub note: Option<String>,
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
    /// Runs trials until a budget ends, nothing is left to try, the proposer fails three times in a row,
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
        request.bounds.validate()?;
        let started = self.options().clock.now();
        let deadline = request.max_seconds.map(|seconds| {
            let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
            Timestamp::from_millis(started.millis().saturating_add(millis))
        });
        let mut run = Run {
            tuner: self,
            evaluation,
            request: &request,
            cancel,
            on_event,
            deadline,
            promoted: self.promotions().current().await?,
            trials: Vec::new(),
            refused: 0,
            failures: 0,
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
    deadline: Option<Timestamp>,
    promoted: Option<Served>,
    trials: Vec<Trial>,
    refused: u32,
    /// Failed proposals since the last good one.
    failures: u32,
}

/// What to do next.
enum Step {
    Try(Box<Candidate>),
    Failed(String),
    Exhausted(String),
}

struct Candidate {
    config: IndexConfig,
    reason: String,
    proposed_by: Option<PluginRef>,
    asked: Option<Asked>,
}

impl Run<'_> {
    async fn explore(&mut self) -> Result<Ended, TuningError> {
        loop {
            alive(self.cancel)?;
            if self.trials.len() >= self.request.max_trials as usize {
                return Ok(Ended::Trials);
            }
            let now = self.tuner.options().clock.now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(Ended::Time);
            }
            let journal = self.tuner.journal().read().await?.trials;
            match self.next(&journal).await? {
                Step::Try(candidate) => {
                    self.failures = 0;
                    self.attempt(*candidate, &journal).await?;
                }
                Step::Exhausted(reason) => {
                    (self.on_event)(AutotuneEvent::Exhausted {
                        reason: reason.clone(),
                    });
                    return Ok(Ended::Exhausted { reason });
                }
                Step::Failed(message) => {
                    self.refused += 1;
                    self.failures += 1;
                    (self.on_event)(AutotuneEvent::Refused {
                        message: message.clone(),
                    });
                    if self.failures == MAX_FAILURES {
                        return Ok(Ended::ProposerFailed { message });
                    }
                }
            }
        }
    }

    async fn next(&self, journal: &[Trial]) -> Result<Step, TuningError> {
        let serving = self.request.serving;
        let comparable = self.comparable(journal);
        if !comparable.iter().any(|trial| trial.config == serving) {
            return Ok(Step::Try(Box::new(Candidate {
                config: serving,
                reason: "baseline: what serves".to_owned(),
                proposed_by: None,
                asked: None,
            })));
        }
        let (proposal, proposed_by, asked) = match &self.request.strategy {
            Strategy::Grid => {
                let next = grid::next(&self.request.bounds, &comparable, serving.seed);
                (Ok(next), None, None)
            }
            Strategy::Proposer(proposer) => {
                let (context, asked) = self.question(journal).await?;
                match unless_cancelled(self.cancel, proposer.propose(context)).await? {
                    Ok(judged) => (Ok(judged.answer), Some(judged.by), Some(asked)),
                    Err(error) => (Err(error), None, None),
                }
            }
        };
        Ok(self.check(proposal, proposed_by, asked))
    }

    /// A proposal as a candidate, or why it is none.
    fn check(
        &self,
        proposal: Result<Proposal, JudgementError>,
        proposed_by: Option<PluginRef>,
        asked: Option<Asked>,
    ) -> Step {
        let (settings, reason) = match proposal {
            Ok(Proposal::Configuration { settings, reason }) => (settings, reason),
            Ok(Proposal::Exhausted(reason)) => return Step::Exhausted(reason),
            Err(error) => return Step::Failed(error.to_string()),
        };
        let seed = self.request.serving.seed;
        match self.request.bounds.configuration(&settings, seed) {
            Ok(config) => Step::Try(Box::new(Candidate {
                config,
                reason,
                proposed_by,
                asked,
            })),
            Err(error) => {
                let who = proposed_by.map_or_else(String::new, |plugin| format!("{plugin}: "));
                Step::Failed(format!("{who}{error}"))
            }
        }
    }

    /// A question to the proposer, and what the journal keeps of it.
    async fn question(&self, journal: &[Trial]) -> Result<(ProposalContext, Asked), TuningError> {
        let context = self.context(journal);
        blocking(self.cancel, move |_| {
            let asked = replay::asked(&context);
            Ok((context, asked))
        })
        .await
    }

    fn context(&self, journal: &[Trial]) -> ProposalContext {
        let champion = champion_position(journal, self.promoted.as_ref(), &self.request.serving);
        ProposalContext {
            index: self.evaluation.data().facts(),
            knobs: self.request.bounds.knobs(),
            objective: self.request.objective.clone(),
            trials: journal.to_vec(),
            champion: champion.and_then(|at| u32::try_from(at).ok()),
            seed: proposal_seed(journal.len()),
        }
    }

    async fn attempt(
        &mut self,
        candidate: Candidate,
        journal: &[Trial],
    ) -> Result<(), TuningError> {
        let number = journal.len() + 1;
        let Candidate {
            config,
            reason,
            proposed_by,
            asked,
        } = candidate;
        (self.on_event)(AutotuneEvent::Proposed {
            number,
            config,
            reason: reason.clone(),
            proposed_by: proposed_by.clone(),
        });
        let data = self.evaluation.data();
        if !self.tuner.builds().has(data, &config).await? {
            (self.on_event)(AutotuneEvent::Building {
                config,
                build_id: build_id(&data.data_version, &config),
            });
        }
        let request = TrialRequest {
            config,
            champion: Some(self.request.serving),
            note: self.request.note.clone(),
            proposed_by,
            reason: Some(reason),
            asked,
        };
        let mut report = self
            .tuner
            .measure(self.evaluation, request, number, self.cancel)
            .await?;
        let judged = self.judge(journal, &report.trial).await?;
        let (verdict, unscored) = match judged {
            Ok(judged) => {
                report.trial.scored_by = Some(judged.by);
                (judged.answer, None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        self.tuner.record(&report.trial, self.cancel).await?;
        self.trials.push(report.trial.clone());
        (self.on_event)(AutotuneEvent::Trial {
            report: Box::new(report),
            verdict,
            unscored,
        });
        Ok(())
    }

    /// The scorer's word on a new trial among the comparable ones.
    async fn judge(
        &self,
        journal: &[Trial],
        trial: &Trial,
    ) -> Result<Result<Judged<Option<Verdict>>, JudgementError>, TuningError> {
        let mut trials = self.comparable(journal);
        trials.push(trial.clone());
        let scorer = self.request.scorer.as_ref();
        let asked = verdicts(scorer, &trials, &self.request.objective);
        let answer = unless_cancelled(self.cancel, asked).await?;
        Ok(answer.map(|mut judged| Judged {
            by: judged.by,
            answer: judged.answer.pop(),
        }))
    }

    /// Trials on the present vectors; measurements on others do not compare.
    fn comparable(&self, journal: &[Trial]) -> Vec<Trial> {
        let version = Some(&self.evaluation.data().data_version);
        journal
            .iter()
            .filter(|trial| trial.data_version.as_ref() == version)
            .cloned()
            .collect()
    }

    async fn conclude(self, ended: Ended) -> Result<AutotuneReport, TuningError> {
        let recommendation = if matches!(ended, Ended::Cancelled) {
            Recommendation::keep("the run was cancelled")
        } else {
            let trials = self.comparable(&self.tuner.journal().read().await?.trials);
            let (scorer, objective) = (self.request.scorer.as_ref(), &self.request.objective);
            match unless_cancelled(self.cancel, verdicts(scorer, &trials, objective)).await {
                Ok(Ok(judged)) => {
                    recommend(&trials, &judged.answer, objective, &self.request.serving)
                }
                Ok(Err(error)) => Recommendation::keep(format!("no verdict: {error}")),
                Err(_) => Recommendation::keep("the run was cancelled"),
            }
        };
        Ok(AutotuneReport {
            trials: self.trials,
            refused: self.refused,
            ended,
            recommendation,
        })
    }
}

#[cfg(test)]
mod tests;
