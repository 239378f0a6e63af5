//! One step of a search for a configuration: ask what to try, check it, try it, remember it.
//!
//! The journal is read anew at every step, so a proposer always sees what was measured on these vectors and
//! equal journals get equal proposals. When the serving configuration has no trial on the present vectors it is
//! tried first, on its own graph: without that nothing could be said about an improvement.
//!
//! A candidate that cannot become better than what is known ends early ([`crate::Bar`]); what serves is always
//! measured to the end.
//!
//! A step decides nothing about what serves, and keeps nothing between two steps but the journal: who steps
//! again after a restart goes on where the journal ends.

use std::sync::Arc;

use boathouse_types::{
    Asked, Configuration, HouseStrategy, Judged, JudgementCause, JudgementError, Objective,
    PluginRef, Proposal, ProposalContext, Trial, Verdict,
};
use tokio_util::sync::CancellationToken;

use super::{AutotuneEvent, proposal_seed};
use crate::{
    Bar, Bounds, Evaluation, Proposer, Scorer, TrialReport, TrialRequest, Tuner, TuningError,
    basis::Basis,
    blocking::{blocking, unless_cancelled},
    house::{Choice, Situation},
    judge::{champion_position, verdicts},
    replay::{Put, Shown},
    tuner::{SampleRequest, build_id_of},
};

/// Who says what to try next.
#[derive(Clone)]
pub enum Strategy {
    /// A small fixed grid within the bounds: five builds by five `ef_search`, those of one build
    /// together, or four builds of a table by six ways to search them; points that the journal has for the present vectors are skipped.
    Grid,
    /// Nine builds on a tenth of the vectors, the better ones on three tenths, the best on all with a search for
    /// its `ef_search`; where a round would have fewer than 1,000 vectors it is left out. For graphs only.
    Halving,
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
    pub bounds: Bounds,
    /// What serves; its seed is the seed of every build.
    pub serving: Configuration,
    /// Note of the trial.
    pub note: Option<String>,
    /// Whether nothing but what serves is tried where no trial could be put forward: the queries are too few to show a
    /// recall at the floor of the objective, or the scorer does not take its weights.
    pub only_useful: bool,
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
        /// The proposer, when it was suspended for this failure: the next step asks another one.
        suspended: Option<PluginRef>,
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
        check_space(evaluation, request)?;
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
            Next::Refused { message, suspended } => {
                on_event(AutotuneEvent::Refused {
                    message: message.clone(),
                    suspended: suspended.clone(),
                });
                Ok(Stepped::Refused { message, suspended })
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

/// That what is evaluated, what serves and what may be tried are of one kind, and that the strategy is for it.
fn check_space(evaluation: &Evaluation, request: &StepRequest) -> Result<(), TuningError> {
    let backend = evaluation.data().backend;
    if request.bounds.backend() != backend || request.serving.backend() != backend {
        return Err(TuningError::InvalidInput(
            "bounds and what serves are of another engine than what is tuned".to_owned(),
        ));
    }
    match (&request.strategy, &request.bounds) {
        (Strategy::Halving, Bounds::Table(_)) => Err(not_halved()),
        _ => Ok(()),
    }
}

fn not_halved() -> TuningError {
    TuningError::InvalidInput("halving is for graphs; use `grid` or `proposer`".to_owned())
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
    Refused {
        message: String,
        suspended: Option<PluginRef>,
    },
    Exhausted(String),
}

struct Candidate {
    /// For a sample, `ef_search` is not meant.
    config: Configuration,
    /// Share of the vectors; none for all.
    sample: Option<f64>,
    reason: String,
    proposed_by: Option<PluginRef>,
    asked: Option<Asked>,
}

impl Step<'_> {
    async fn next(&self) -> Result<Next, TuningError> {
        let serving = self.request.serving;
        let is_known = |trial: &Trial| {
            trial.config == serving && trial.is_whole() && trial.derived_from.is_none()
        };
        if !self
            .comparable(self.evaluation.basis())
            .iter()
            .any(is_known)
        {
            return Ok(Next::Try(Box::new(Candidate {
                config: serving,
                sample: None,
                reason: "baseline: what serves".to_owned(),
                proposed_by: None,
                asked: None,
            })));
        }
        if self.request.only_useful
            && let Some(why) = self.futile().await?
        {
            return Ok(Next::Exhausted(why));
        }
        match &self.request.strategy {
            Strategy::Grid => self.house(HouseStrategy::Grid).await,
            Strategy::Halving => self.house(HouseStrategy::Halving).await,
            Strategy::Proposer(proposer) => {
                let (context, asked) = self.question().await?;
                match unless_cancelled(self.cancel, proposer.propose(context)).await? {
                    Ok(judged) => {
                        let settings = proposer.settings_digest(&judged.by);
                        Ok(self.check(judged, Asked { settings, ..asked }))
                    }
                    Err(error) => Ok(Next::Refused {
                        message: error.to_string(),
                        suspended: (error.cause == JudgementCause::Suspended)
                            .then_some(error.plugin),
                    }),
                }
            }
        }
    }

    /// Why no trial could be put forward, whatever it measured; none where one could.
    async fn futile(&self) -> Result<Option<String>, TuningError> {
        let objective = &self.request.objective;
        if let Some(why) = self.evaluation.out_of_reach(objective.recall_floor) {
            return Ok(Some(format!("no trial could meet the objective: {why}")));
        }
        if objective.weights.is_empty() {
            return Ok(None);
        }
        // Weights are what a scorer may not know; it says so of no trials too.
        let asked = verdicts(self.request.scorer.as_ref(), &[], objective);
        Ok(match unless_cancelled(self.cancel, asked).await? {
            Err(error) if error.cause == JudgementCause::Declined => {
                Some(format!("no trial could be judged: {error}"))
            }
            _ => None,
        })
    }

    /// What a strategy of the host chooses.
    async fn house(&self, strategy: HouseStrategy) -> Result<Next, TuningError> {
        let data = self.evaluation.data();
        let seed = self.request.serving.seed();
        let situation = Situation {
            bounds: self.request.bounds.clone(),
            floor: self.request.objective.recall_floor,
            seed,
            data_version: &data.data_version,
            evalset: Some(self.evaluation.evalset()),
            vectors: data.len() as u64,
            journal: &self.journal,
        };
        let (settings, sample, reason) = match situation.choice(strategy) {
            Choice::Try { settings, reason } => (settings, None, reason),
            Choice::Sample {
                build: (m, ef_construction),
                share,
                reason,
            } => {
                let least = match &self.request.bounds {
                    Bounds::Graph(bounds) => bounds.ef_search.min,
                    Bounds::Table(_) => 1,
                };
                (vec![m, ef_construction, least], Some(share), reason)
            }
            Choice::Exhausted(reason) => return Ok(Next::Exhausted(reason)),
        };
        Ok(Next::Try(Box::new(Candidate {
            config: self.request.bounds.configuration(&settings, seed)?,
            sample,
            reason,
            proposed_by: None,
            asked: Some(self.asked(None, Some(strategy)).await?),
        })))
    }

    /// A proposal as a candidate, or why it is none.
    fn check(&self, judged: Judged<Proposal>, asked: Asked) -> Next {
        let (settings, reason) = match judged.answer {
            Proposal::Configuration { settings, reason } => (settings, reason),
            Proposal::Exhausted(reason) => return Next::Exhausted(reason),
        };
        let seed = self.request.serving.seed();
        match self.request.bounds.configuration(&settings, seed) {
            Ok(config) => Next::Try(Box::new(Candidate {
                config,
                sample: None,
                reason,
                proposed_by: Some(judged.by),
                asked: Some(asked),
            })),
            Err(error) => Next::Refused {
                message: format!("{}: {error}", judged.by),
                suspended: None,
            },
        }
    }

    /// A question to the proposer, and what the journal keeps of it. It shows the trials on the present vectors and
    /// queries: figures on others do not compare.
    async fn question(&self) -> Result<(ProposalContext, Asked), TuningError> {
        let data = self.evaluation.data();
        let promoted = self.tuner.promotions().current(data.backend).await?;
        let shown = Shown::of(&self.journal, self.evaluation.basis());
        let trials = shown.trials();
        let champion = champion_position(&trials, promoted.as_ref(), &self.request.serving);
        let context = ProposalContext {
            index: data.facts(),
            knobs: self.request.bounds.knobs(),
            objective: self.request.objective.clone(),
            champion: champion.and_then(|at| u32::try_from(at).ok()),
            seed: proposal_seed(self.journal.len()),
            trials,
        };
        let line = champion.and_then(|at| shown.line(at));
        Ok((context, self.asked(line, None).await?))
    }

    /// What the journal keeps of a question or of a choice of the host.
    async fn asked(
        &self,
        champion: Option<u32>,
        strategy: Option<HouseStrategy>,
    ) -> Result<Asked, TuningError> {
        let data = self.evaluation.data().clone();
        let (journal, bounds) = (self.journal.clone(), self.request.bounds.clone());
        let evalset = Some(self.evaluation.evalset().to_owned());
        let objective = self.request.objective.clone();
        blocking(self.cancel, move |_| {
            let put = Put {
                journal: &journal,
                index: data.facts(),
                knobs: bounds.knobs(),
                objective,
                data_version: data.data_version,
                evalset,
                champion,
                strategy,
            };
            Ok(put.asked())
        })
        .await
    }

    async fn attempt(&self, candidate: Candidate) -> Result<Stepped, TuningError> {
        let number = self.journal.len() + 1;
        (self.on_event)(AutotuneEvent::Proposed {
            number,
            config: candidate.config,
            sample: candidate.sample,
            reason: candidate.reason.clone(),
            proposed_by: candidate.proposed_by.clone(),
        });
        let report = match candidate.sample {
            None => self.on_all_vectors(candidate, number).await?,
            Some(share) => self.on_a_sample(candidate, share, number).await?,
        };
        self.remember(report).await
    }

    async fn on_all_vectors(
        &self,
        candidate: Candidate,
        number: usize,
    ) -> Result<TrialReport, TuningError> {
        let (data, config) = (self.evaluation.data(), candidate.config);
        let serving = self.request.serving;
        // The last word of halving is about the build itself, and so is what is said of what serves.
        let derive = config != serving && !matches!(self.request.strategy, Strategy::Halving);
        if self.tuner.must_build(data, &config, derive).await? {
            (self.on_event)(AutotuneEvent::Building {
                config,
                build_id: build_id_of(&data.data_version, &config),
            });
        }
        // What serves is measured to the end: all others are compared with it.
        let bar = (config != serving).then(|| {
            let floor = self.request.objective.recall_floor;
            Bar::new(floor, &self.comparable(self.evaluation.basis()))
        });
        let request = TrialRequest {
            champion: Some(serving),
            bar,
            derive,
            ..self.trial(candidate)
        };
        self.tuner
            .measure(self.evaluation, request, number, self.cancel)
            .await
    }

    async fn on_a_sample(
        &self,
        candidate: Candidate,
        share: f64,
        number: usize,
    ) -> Result<TrialReport, TuningError> {
        let Bounds::Graph(bounds) = &self.request.bounds else {
            return Err(not_halved());
        };
        let request = SampleRequest {
            trial: self.trial(candidate),
            share,
            floor: self.request.objective.recall_floor,
            ef_search: bounds.ef_search.clone(),
        };
        self.tuner
            .measure_sample(self.evaluation, request, number, self.cancel)
            .await
    }

    fn trial(&self, candidate: Candidate) -> TrialRequest {
        TrialRequest {
            config: candidate.config,
            note: self.request.note.clone(),
            proposed_by: candidate.proposed_by,
            reason: Some(candidate.reason),
            asked: candidate.asked,
            ..TrialRequest::default()
        }
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
        let mut trials = self.comparable(Basis::of(trial));
        trials.push(trial.clone());
        let scorer = self.request.scorer.as_ref();
        let asked = verdicts(scorer, &trials, &self.request.objective);
        let answer = unless_cancelled(self.cancel, asked).await?;
        Ok(answer.map(|mut judged| Judged {
            by: judged.by,
            answer: judged.answer.pop(),
        }))
    }

    /// Trials that rest on the same; others do not compare.
    fn comparable(&self, basis: Basis<'_>) -> Vec<Trial> {
        Shown::of(&self.journal, basis).trials()
    }
}
