//! Judgements that this room asks for, and how far they are believed.
//!
//! The traits are implemented over plugins by the server and natively in tests. Each answer says who gave
//! it, because that may change from one question to the next. What comes back is foreign: [`verdicts`] lets nothing through that has the wrong length or a score that is not a
//! number, and [`shortfall`] is the host's own reading of an objective, which no plugin can overrule.

use async_trait::async_trait;
use boathouse_types::{
    IndexConfig, Judged, JudgementCause, JudgementError, Objective, Proposal, ProposalContext,
    Trial, Verdict,
};

use crate::promotions::Served;

/// Decides which configuration to try next.
#[async_trait]
pub trait Proposer: Send + Sync {
    /// One proposal; equal contexts put to the same version give equal proposals.
    async fn propose(&self, context: ProposalContext) -> Result<Judged<Proposal>, JudgementError>;
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
    let metrics = &trial.metrics;
    let recall = recall_low(trial);
    if recall < objective.recall_floor {
        return Some(format!(
            "recall is at least {recall:.4}, below the floor of {}",
            objective.recall_floor
        ));
    }
    if let Some(budget) = objective.p95_budget_us
        && metrics.search_latency_p95_us > budget
    {
        let p95 = metrics.search_latency_p95_us;
        return Some(format!(
            "p95 of {p95:.0} us is over the budget of {budget} us"
        ));
    }
    if let Some(cap) = objective.memory_cap_bytes
        && metrics.memory_bytes > cap
    {
        let bytes = metrics.memory_bytes;
        return Some(format!("{bytes} bytes of memory are over the cap of {cap}"));
    }
    None
}

/// The recall that a trial is sure of: the lower bound of its interval, else the mean.
pub(crate) fn recall_low(trial: &Trial) -> f64 {
    let metrics = &trial.metrics;
    metrics
        .recall_interval
        .map_or(metrics.recall_at_k, |interval| interval.low)
}

/// Position in the journal of the configuration that serves: the promoted trial, else the latest trial
/// of the serving configuration, else none.
#[must_use]
pub fn champion_position(
    trials: &[Trial],
    promoted: Option<&Served>,
    serving: &IndexConfig,
) -> Option<usize> {
    let by_id = promoted
        .and_then(|served| served.trial.as_deref())
        .and_then(|id| trials.iter().rposition(|trial| trial.id == id));
    by_id.or_else(|| trials.iter().rposition(|trial| trial.config == *serving))
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
        trials[1].config.ef_search = 50;
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
        let unknown = IndexConfig {
            ef_search: 77,
            ..serving
        };
        assert_eq!(champion_position(&trials, None, &unknown), None);
    }
}
