//! One step of a search for a configuration: ask what to try, check it, try it, remember it.
//!
//! The journal is read anew at every step, so a proposer always sees what was measured on these vectors and
//! equal journals get equal proposals. When the serving configuration has no trial on the present vectors it is
//! tried first: without it nothing could be said about an improvement.
//!
//! A step decides nothing about what serves, and keeps nothing between two steps but the journal: who steps
//! again after a restart goes on where the journal ends.

use std::sync::Arc;

use boathouse_types::{
    Asked, IndexConfig, Judged, JudgementError, Objective, PluginRef, Proposal, ProposalContext,
    Trial, Verdict,
};
use tokio_util::sync::CancellationToken;

use super::AutotuneEvent;
use crate::{
    Evaluation, Proposer, Scorer, TrialReport, TrialRequest, TuneBounds, Tuner, TuningError,
    blocking::{blocking, unless_cancelled},
    builds::build_id,
    grid,
    judge::{champion_position, verdicts},
    replay,
};

/// Who says what to try next.
#[derive(Clone)]
pub enum Strategy {
    /// A small fixed grid within the bounds: five builds by five `ef_search`, those of one build
    /// together; points that the journal has for the present vectors are skipped.
    Grid,
    /// A proposer.
    Proposer(Arc<dyn Proposer>),
}

/// What a step is told.
#[derive(Clone)]
pub struct StepRequest {
    /// Who says what to try next.
    pub strategy: Strategy,
    /// Who says which trial is best.
    pub scorer: Arc<dyn Scorer>,
    /// What the owner wants.
    pub objective: Objective,
    /// What may be tried.
    pub bounds: TuneBounds,
    /// What serves; its seed is the seed of every build.
    pub serving: IndexConfig,
    /// Note of the trial.
    pub note: Option<String>,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Stepped {
    /// A trial was run and is in the journal.
    Tried {
        /// The trial and how it was measured.
        report: Box<TrialReport>,
        /// The scorer's word on it; none when the scorer failed.
        verdict: Option<Verdict>,
    },
    /// A proposal could not be had or lies outside the bounds; nothing was run.
    Refused {
        /// What was wrong, with the proposer named.
        message: String,
    },
    /// Nothing is left that would be worth a trial.
    Exhausted {
        /// Why, in the proposer's words.
        reason: String,
    },
}

impl Tuner {
    /// Asks what to try, tries it and writes it down; `on_event` hears of it as it happens.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] for impossible bounds; [`TuningError::Cancelled`]; a failed build; or the
    /// bucket fails. The journal is then as it was.
    pub async fn step(
        &self,
        evaluation: &Arc<Evaluation>,
        request: &StepRequest,
        cancel: &CancellationToken,
        on_event: &(dyn Fn(AutotuneEvent) + Send + Sync),
    ) -> Result<Stepped, TuningError> {
        request.bounds.validate()?;
        let step = Step {
            tuner: self,
            evaluation,
            request,
            cancel,
            on_event,
            journal: self.journal().read().await?.trials,
        };
        match step.next().await? {
            Next::Try(candidate) => step.attempt(*candidate).await,
            Next::Refused(message) => {
                on_event(AutotuneEvent::Refused {
                    message: message.clone(),
                });
                Ok(Stepped::Refused { message })
            }
            Next::Exhausted(reason) => {
                on_event(AutotuneEvent::Exhausted {
                    reason: reason.clone(),
                });
                Ok(Stepped::Exhausted { reason })
            }
        }
    }
}

/// A step in progress.
struct Step<'a> {
    tuner: &'a Tuner,
    evaluation: &'a Arc<Evaluation>,
    request: &'a StepRequest,
    cancel: &'a CancellationToken,
    on_event: &'a (dyn Fn(AutotuneEvent) + Send + Sync),
    journal: Vec<Trial>,
}

/// What to do.
enum Next {
    Try(Box<Candidate>),
    Refused(String),
    Exhausted(String),
}

struct Candidate {
    config: IndexConfig,
    reason: String,
    proposed_by: Option<PluginRef>,
    asked: Option<Asked>,
}

impl Step<'_> {
    async fn next(&self) -> Result<Next, TuningError> {
        let serving = self.request.serving;
        let comparable = self.comparable();
        if !comparable.iter().any(|trial| trial.config == serving) {
            return Ok(Next::Try(Box::new(Candidate {
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
                let (context, asked) = self.question().await?;
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
    ) -> Next {
        let (settings, reason) = match proposal {
            Ok(Proposal::Configuration { settings, reason }) => (settings, reason),
            Ok(Proposal::Exhausted(reason)) => return Next::Exhausted(reason),
            Err(error) => return Next::Refused(error.to_string()),
        };
        let seed = self.request.serving.seed;
        match self.request.bounds.configuration(&settings, seed) {
            Ok(config) => Next::Try(Box::new(Candidate {
                config,
                reason,
                proposed_by,
                asked,
            })),
            Err(error) => {
                let who = proposed_by.map_or_else(String::new, |plugin| format!("{plugin}: "));
                Next::Refused(format!("{who}{error}"))
            }
        }
    }

    /// A question to the proposer, and what the journal keeps of it.
    async fn question(&self) -> Result<(ProposalContext, Asked), TuningError> {
        let promoted = self.tuner.promotions().current().await?;
        let champion = champion_position(&self.journal, promoted.as_ref(), &self.request.serving);
        let context = ProposalContext {
            index: self.evaluation.data().facts(),
            knobs: self.request.bounds.knobs(),
            objective: self.request.objective.clone(),
            champion: champion.and_then(|at| u32::try_from(at).ok()),
            seed: super::proposal_seed(self.journal.len()),
            trials: self.journal.clone(),
        };
        blocking(self.cancel, move |_| {
            let asked = replay::asked(&context);
            Ok((context, asked))
        })
        .await
    }

    async fn attempt(&self, candidate: Candidate) -> Result<Stepped, TuningError> {
        let number = self.journal.len() + 1;
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
        let report = self
            .tuner
            .measure(self.evaluation, request, number, self.cancel)
            .await?;
        self.remember(report).await
    }

    /// Asks the scorer about a new trial and appends it to the journal.
    async fn remember(&self, mut report: TrialReport) -> Result<Stepped, TuningError> {
        let (verdict, unscored) = match self.judge(&report.trial).await? {
            Ok(judged) => {
                report.trial.scored_by = Some(judged.by);
                (judged.answer, None)
            }
            Err(error) => (None, Some(error.to_string())),
        };
        self.tuner.record(&report.trial, self.cancel).await?;
        let report = Box::new(report);
        (self.on_event)(AutotuneEvent::Trial {
            report: report.clone(),
            verdict: verdict.clone(),
            unscored,
        });
        Ok(Stepped::Tried { report, verdict })
    }

    /// The scorer's word on a new trial among the comparable ones.
    async fn judge(
        &self,
        trial: &Trial,
    ) -> Result<Result<Judged<Option<Verdict>>, JudgementError>, TuningError> {
        let mut trials = self.comparable();
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
    fn comparable(&self) -> Vec<Trial> {
        let version = Some(&self.evaluation.data().data_version);
        self.journal
            .iter()
            .filter(|trial| trial.data_version.as_ref() == version)
            .cloned()
            .collect()
    }
}
