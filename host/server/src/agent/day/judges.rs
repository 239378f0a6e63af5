//! Judges of the day: good ones, and those that do what they should not.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use boathouse_tuning::{Proposer, Scorer};
use boathouse_types::{
    Judged, JudgementCause, JudgementError, Objective, PluginRef, Proposal, ProposalContext, Trial,
    Verdict,
};
use tokio::sync::Notify;

use super::super::tuning::{Judges, Surroundings};

/// How the judges behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As they should.
    Good,
    /// The proposer leaves the bounds.
    OutOfBounds,
    /// The proposer gives no answer, as one that trapped.
    Fails,
    /// The proposer proposes the same again and again.
    Repeats,
    /// The proposer never answers.
    Hangs,
    /// The scorer finds everything feasible, and best what finds least.
    Lies,
}

/// A proposer that hangs tells when it was asked.
#[derive(Default)]
pub(super) struct Hanging {
    pub(super) asked: Notify,
}

/// Both judges, behaving as they are told at the moment.
#[derive(Clone)]
pub(super) struct Bench {
    mode: Arc<Mutex<Mode>>,
    pub(super) hanging: Arc<Hanging>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            mode: Arc::new(Mutex::new(Mode::Good)),
            hanging: Arc::default(),
        }
    }

    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A world in which these judges are asked about every index.
    pub(super) fn surroundings(&self) -> Surroundings {
        let judge = self.clone();
        Surroundings {
            judges: Box::new(move |_, _| Judges {
                proposer: Arc::new(judge.clone()),
                scorer: Arc::new(judge.clone()),
            }),
            slot: Box::new(|_| None),
        }
    }
}

fn by() -> PluginRef {
    PluginRef {
        name: "tests/judge".to_owned(),
        version: "1.0.0".to_owned(),
    }
}

fn configuration(settings: [u32; 3]) -> Result<Judged<Proposal>, JudgementError> {
    Ok(Judged {
        by: by(),
        answer: Proposal::Configuration {
            settings: settings.to_vec(),
            reason: "for the day".to_owned(),
        },
    })
}

#[async_trait]
impl Proposer for Bench {
    async fn propose(&self, context: ProposalContext) -> Result<Judged<Proposal>, JudgementError> {
        match self.mode() {
            Mode::Good | Mode::Lies => configuration(untried(&context)),
            Mode::OutOfBounds => configuration([16, 80, 100_000]),
            Mode::Repeats => configuration([8, 20, 10]),
            Mode::Fails => Err(JudgementError {
                plugin: by(),
                cause: JudgementCause::Failed,
                message: "it trapped".to_owned(),
            }),
            Mode::Hangs => {
                self.hanging.asked.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// A configuration within the bounds that has no trial, by the seed of the question.
fn untried(context: &ProposalContext) -> [u32; 3] {
    let mut seed = context.seed;
    loop {
        let mut draw = |values: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from((seed >> 33) % values).expect("small")
        };
        let settings = [8 + 4 * draw(7), 20 + 20 * draw(10), 10 + 10 * draw(20)];
        let is_known = |trial: &Trial| {
            let tried = trial.config.settings().into_iter();
            tried.map(|(_, value)| value).eq(settings)
        };
        if !context.trials.iter().any(is_known) {
            return settings;
        }
    }
}

#[async_trait]
impl Scorer for Bench {
    async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
        let lies = self.mode() == Mode::Lies;
        let verdict = |trial: &Trial| {
            let recall = trial.metrics.recall_at_k;
            let surely = trial.metrics.recall_interval.map_or(recall, |one| one.low);
            let distances = trial.metrics.distances_per_query.unwrap_or(f64::MAX);
            let is_feasible = surely >= objective.recall_floor;
            Verdict {
                feasible: lies || is_feasible,
                front: 0,
                score: match (lies, is_feasible) {
                    (true, _) => -recall,
                    (false, true) => 1.0 / (1.0 + distances),
                    (false, false) => recall - 1.0,
                },
                reason: None,
            }
        };
        Ok(Judged {
            by: by(),
            answer: trials.iter().map(verdict).collect(),
        })
    }
}
