//! Judgements that this room asks for, and how far they are believed.
//!
//! The traits are implemented over plugins by the server and natively in tests. Each answer says who gave
//! it, because that may change from one question to the next. What comes back is foreign: [`verdicts`] lets nothing
//! through that has the wrong length or a score that is not a number, and [`shortfall`] is the host's own reading of
//! an objective, which no plugin can overrule.

use std::fmt;

use async_trait::async_trait;
use boathouse_types::{
    Configuration, Judged, JudgementCause, JudgementError, Objective, PluginRef, Proposal,
    ProposalContext, Trial, Verdict,
};

use crate::{promotions::Served, reach::out_of_reach};

/// Decides which configuration to try next.
#[async_trait]
pub trait Proposer: Send + Sync {
    /// One proposal; equal contexts put to the same version with the same settings give equal proposals.
    async fn propose(&self, context: ProposalContext) -> Result<Judged<Proposal>, JudgementError>;

    /// Fingerprint of the settings that the operator gave this one, which may change what it proposes; none where
    /// nothing can be set.
    fn settings_digest(&self, _: &PluginRef) -> Option<String> {
        None
    }
}

/// Decides which trial is best.
#[async_trait]
pub trait Scorer: Send + Sync {
    /// One verdict per trial, in their order.
    async fn evaluate(
        &self,
        trials: &[Trial],
        objective: &Objective,
    ) -> Result<Judged<Vec<Verdict>>, JudgementError>;
}

/// Asks a scorer and checks its answer.
///
/// # Errors
/// The scorer's own, or one in its name when it does not give exactly one finite score per trial.
pub async fn verdicts(
    scorer: &dyn Scorer,
    trials: &[Trial],
    objective: &Objective,
) -> Result<Judged<Vec<Verdict>>, JudgementError> {
    let judged = scorer.evaluate(trials, objective).await?;
    let verdicts = &judged.answer;
    let fault = if verdicts.len() == trials.len() {
        verdicts
            .iter()
            .position(|verdict| !verdict.score.is_finite())
            .map(|at| format!("the score of trial {at} is not a finite number"))
    } else {
        Some(format!(
            "{} verdicts for {} trials",
            verdicts.len(),
            trials.len()
        ))
    };
    match fault {
        None => Ok(judged),
        Some(message) => Err(JudgementError {
            plugin: judged.by,
            cause: JudgementCause::Failed,
            message,
        }),
    }
}

/// Why a trial misses the objective, or none when it meets it.
///
/// Recall counts by the lower bound of its interval where the trial has one (older journals do not).
#[must_use]
pub fn shortfall(trial: &Trial, objective: &Objective) -> Option<String> {
    let misses = misses(trial, objective);
    misses.first().map(ToString::to_string)
}

/// A part of an objective that a trial misses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Miss {
    /// The recall that it is sure of is below the floor.
    Recall {
        low: f64,
        floor: f64,
        /// Queries of a trial that asked all that there are; none where their number says nothing.
        queries: Option<u64>,
    },
    /// Microseconds.
    P95 {
        p95: f64,
        budget: f64,
    },
    Memory {
        bytes: u64,
        cap: u64,
    },
}

/// All that a trial misses of the objective.
pub(crate) fn misses(trial: &Trial, objective: &Objective) -> Vec<Miss> {
    let (metrics, low, floor) = (&trial.metrics, recall_low(trial), objective.recall_floor);
    let (p95, bytes) = (metrics.search_latency_p95_us, metrics.memory_bytes);
    let is_sure = trial.stopped_early.is_none() && metrics.recall_interval.is_some();
    let queries = is_sure.then_some(metrics.eval_queries);
    let slow = objective.p95_budget_us.filter(|budget| p95 > *budget);
    let large = objective.memory_cap_bytes.filter(|cap| bytes > *cap);
    [
        (low < floor).then_some(Miss::Recall {
            low,
            floor,
            queries,
        }),
        slow.map(|budget| Miss::P95 { p95, budget }),
        large.map(|cap| Miss::Memory { bytes, cap }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recall {
                low,
                floor,
                queries,
            } => {
                write!(f, "recall is at least {low:.4}, below the floor of {floor}")?;
                match queries.and_then(|queries| out_of_reach(queries, *floor)) {
                    Some(why) => write!(f, "; {why}"),
                    None => Ok(()),
                }
            }
            Self::P95 { p95, budget } => {
                write!(f, "p95 of {p95:.0} us is over the budget of {budget} us")
            }
            Self::Memory { bytes, cap } => {
                write!(f, "{bytes} bytes of memory are over the cap of {cap}")
            }
        }
    }
}

/// The recall that a trial is sure of: the lower bound of its interval, else the mean.
pub(crate) fn recall_low(trial: &Trial) -> f64 {
    let metrics = &trial.metrics;
    metrics
        .recall_interval
        .map_or(metrics.recall_at_k, |interval| interval.low)
}

/// Position in the journal of the configuration that serves: the promoted trial, else the latest trial
/// of the serving configuration, else none. A trial on a graph that was cut down from another one did not measure
/// what serves.
#[must_use]
pub fn champion_position(
    trials: &[Trial],
    promoted: Option<&Served>,
    serving: &Configuration,
) -> Option<usize> {
    let latest = |is_it: &dyn Fn(&Trial) -> bool| {
        let mut trials = trials.iter();
        trials.rposition(|trial| trial.derived_from.is_none() && is_it(trial))
    };
    let by_id = promoted
        .and_then(|served| served.trial.as_deref())
        .and_then(|id| latest(&|trial| trial.id == id));
    by_id.or_else(|| latest(&|trial| trial.config == *serving))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{plugin, trial};
    use boathouse_types::Interval;

    struct Broken(Vec<f64>);

    #[async_trait]
    impl Scorer for Broken {
        async fn evaluate(
            &self,
            _: &[Trial],
            _: &Objective,
        ) -> Result<Judged<Vec<Verdict>>, JudgementError> {
            let verdict = |score: &f64| Verdict {
                feasible: true,
                front: 0,
                score: *score,
                reason: None,
            };
            Ok(Judged {
                by: plugin("tests/broken"),
                answer: self.0.iter().map(verdict).collect(),
            })
        }
    }

    #[tokio::test]
    async fn a_scorer_with_a_wrong_answer_is_named() {
        let trials = [trial("t1", 0.99, 100.0), trial("t2", 0.98, 90.0)];
        for (scores, said) in [
            (vec![1.0], "1 verdicts for 2 trials"),
            (vec![1.0, f64::NAN], "trial 1"),
            (vec![f64::INFINITY, 0.0], "trial 0"),
        ] {
            let error = verdicts(&Broken(scores), &trials, &Objective::default())
                .await
                .unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(error.plugin, plugin("tests/broken"));
        }
    }

    #[test]
    fn the_lower_bound_of_recall_decides() {
        let objective = Objective::default();
        let mut close = trial("t1", 0.96, 100.0);
        close.metrics.recall_interval = Some(Interval {
            low: 0.94,
            high: 0.98,
        });
        assert!(shortfall(&close, &objective).is_some_and(|why| why.contains("0.9400")));
        close.metrics.recall_interval = Some(Interval {
            low: 0.951,
            high: 0.969,
        });
        assert_eq!(shortfall(&close, &objective), None);
        close.metrics.recall_interval = None;
        assert_eq!(
            shortfall(&close, &objective),
            None,
            "older lines count by the mean"
        );
    }

    #[test]
    fn a_floor_that_the_queries_cannot_show_is_told() {
        let objective = Objective {
            recall_floor: 0.999,
            ..Objective::default()
        };
        let mut perfect = trial("t1", 1.0, 100.0);
        perfect.metrics.eval_queries = 300;
        perfect.metrics.recall_interval = Some(Interval {
            low: 0.9902,
            high: 1.0,
        });
        let why = shortfall(&perfect, &objective).unwrap();
        assert!(why.contains("300 queries can show"), "{why}");
        // One that ended early did not ask all that there are.
        perfect.stopped_early = Some("it is no use".to_owned());
        let why = shortfall(&perfect, &objective).unwrap();
        assert!(!why.contains("can show"), "{why}");
        let reachable = Objective::default();
        let poor = trial("t2", 0.9, 100.0);
        let why = shortfall(&poor, &reachable).unwrap();
        assert!(!why.contains("can show"), "{why}");
    }

    #[test]
    fn budget_and_cap_bind() {
        let sure = trial("t1", 0.99, 100.0);
        let tight = Objective {
            p95_budget_us: Some(99.0),
            ..Objective::default()
        };
        assert!(shortfall(&sure, &tight).is_some_and(|why| why.contains("p95")));
        let small = Objective {
            memory_cap_bytes: Some(1),
            ..Objective::default()
        };
        assert!(shortfall(&sure, &small).is_some_and(|why| why.contains("memory")));
    }

    #[test]
    fn the_champion_is_the_promoted_trial_or_the_latest_of_the_serving_configuration() {
        let mut trials = vec![
            trial("a", 0.9, 1.0),
            trial("b", 0.9, 1.0),
            trial("c", 0.9, 1.0),
        ];
        trials[1].config.graph_mut().unwrap().ef_search = 50;
        let serving = trials[1].config;
        assert_eq!(champion_position(&trials, None, &serving), Some(1));
        let promoted = Served {
            trial: Some("a".to_owned()),
            ..Served::of_config(serving)
        };
        assert_eq!(
            champion_position(&trials, Some(&promoted), &serving),
            Some(0)
        );
        let mut unknown = serving;
        unknown.graph_mut().unwrap().ef_search = 77;
        assert_eq!(champion_position(&trials, None, &unknown), None);
        trials[0].derived_from = Some("a larger build".to_owned());
        assert_eq!(
            champion_position(&trials, Some(&promoted), &serving),
            Some(1),
            "the promoted trial searched another graph than the one that serves"
        );
    }
}
