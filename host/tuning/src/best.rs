//! The best trial of a journal, by one of three questions.
//!
//! Where times cannot be told apart, distance counts decide ([`crate::rank`]): the answer to a question in which
//! time has a say is then the trial that finds as much with fewer distances.

use std::{cmp::Ordering, str::FromStr};

use boathouse_types::{IndexName, Objective, PluginRef, Trial, Verdict};
use serde::{Deserialize, Serialize};

use crate::{
    TuningError,
    judge::{Scorer, shortfall, verdicts},
    rank::settle,
};

/// What "best" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BestBy {
    /// Highest recall, then lowest p95.
    Recall,
    /// Lowest p95 among the trials that meet the objective.
    Latency,
    /// Highest score of the scoring plugin among the trials it finds feasible.
    #[default]
    Pareto,
}

impl FromStr for BestBy {
    type Err = TuningError;

    fn from_str(text: &str) -> Result<Self, TuningError> {
        match text {
            "recall" => Ok(Self::Recall),
            "latency" => Ok(Self::Latency),
            "pareto" => Ok(Self::Pareto),
            other => Err(TuningError::InvalidInput(format!(
                "best by `{}` is unknown; use recall, latency or pareto",
                other.chars().take(40).collect::<String>()
            ))),
        }
    }
}

/// The best trial and how it was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Best {
    /// The trial.
    pub trial: Trial,
    /// The question.
    pub by: BestBy,
    /// Whether it meets the objective; when false, no trial does.
    pub feasible: bool,
    /// The scorer's verdict, for `pareto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Who scored, for `pareto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scored_by: Option<PluginRef>,
    /// Why this one, in words.
    pub reason: String,
}

/// Chooses among `trials`, which are in the order of the journal. Ties go to the lower p95, then to the
/// earlier trial.
///
/// # Errors
/// [`TuningError::EmptyJournal`] without trials; [`TuningError::Judgement`] when the scorer fails.
pub async fn best(
    index: &IndexName,
    trials: &[Trial],
    by: BestBy,
    objective: &Objective,
    scorer: &dyn Scorer,
) -> Result<Best, TuningError> {
    let chosen = match by {
        BestBy::Recall => by_recall(trials, objective),
        BestBy::Latency => by_latency(trials, objective),
        BestBy::Pareto => by_score(trials, objective, scorer).await?,
    };
    chosen.ok_or_else(|| TuningError::EmptyJournal(index.clone()))
}

fn by_recall(trials: &[Trial], objective: &Objective) -> Option<Best> {
    let trial = trials.iter().min_by(|a, b| {
        let recall = b.metrics.recall_at_k.total_cmp(&a.metrics.recall_at_k);
        recall.then_with(|| p95_order(a, b))
    })?;
    Some(Best {
        trial: trial.clone(),
        by: BestBy::Recall,
        feasible: shortfall(trial, objective).is_none(),
        verdict: None,
        scored_by: None,
        reason: format!("highest recall of {} trials", trials.len()),
    })
}

fn by_latency(trials: &[Trial], objective: &Objective) -> Option<Best> {
    let feasible: Vec<&Trial> = trials
        .iter()
        .filter(|trial| shortfall(trial, objective).is_none())
        .collect();
    let met = !feasible.is_empty();
    let pool = if met {
        feasible
    } else {
        trials.iter().collect()
    };
    let fastest = pool.iter().copied().min_by(|a, b| p95_order(a, b))?;
    let trial = settle(fastest, pool.iter().copied());
    Some(Best {
        trial: trial.clone(),
        by: BestBy::Latency,
        feasible: met,
        verdict: None,
        scored_by: None,
        reason: if met {
            format!(
                "lowest p95 of {} trials that meet the objective",
                pool.len()
            )
        } else {
            format!(
                "lowest p95 of all; none of {} trials meets the objective",
                pool.len()
            )
        },
    })
}

async fn by_score(
    trials: &[Trial],
    objective: &Objective,
    scorer: &dyn Scorer,
) -> Result<Option<Best>, TuningError> {
    if trials.is_empty() {
        return Ok(None);
    }
    let judged = verdicts(scorer, trials, objective).await?;
    let verdicts = judged.answer;
    Ok(highest_score(trials, &verdicts).map(|(at, feasible)| Best {
        trial: trials[at].clone(),
        by: BestBy::Pareto,
        feasible,
        verdict: Some(verdicts[at].clone()),
        scored_by: Some(judged.by),
        reason: if feasible {
            "highest score of the feasible trials".to_owned()
        } else {
            format!(
                "highest score of all; none of {} trials is feasible",
                trials.len()
            )
        },
    }))
}

/// Position of the highest score among the feasible, else among all, and whether it is feasible.
fn highest_score(trials: &[Trial], verdicts: &[Verdict]) -> Option<(usize, bool)> {
    let any = verdicts.iter().any(|verdict| verdict.feasible);
    let pool = || (0..trials.len()).filter(|&at| verdicts[at].feasible || !any);
    let highest = pool()
        .min_by(|&a, &b| score_order((&trials[a], &verdicts[a]), (&trials[b], &verdicts[b])))?;
    let settled = settle(&trials[highest], pool().map(|at| &trials[at]));
    let at = pool().find(|&at| std::ptr::eq(&trials[at], settled));
    at.map(|at| (at, any))
}

/// Higher score first, then lower p95.
pub(crate) fn score_order(a: (&Trial, &Verdict), b: (&Trial, &Verdict)) -> Ordering {
    b.1.score
        .total_cmp(&a.1.score)
        .then_with(|| p95_order(a.0, b.0))
}

fn p95_order(a: &Trial, b: &Trial) -> Ordering {
    a.metrics
        .search_latency_p95_us
        .total_cmp(&b.metrics.search_latency_p95_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LinearScorer, index_name, trial};

    async fn check(trials: &[Trial], by: &str, expected: &str, feasible: bool) {
        let found = best(
            &index_name(),
            trials,
            by.parse().unwrap(),
            &Objective::default(),
            &LinearScorer,
        )
        .await
        .unwrap();
        assert_eq!(
            (found.trial.id.as_str(), found.feasible),
            (expected, feasible),
            "by {by}"
        );
        assert_eq!(found.verdict.is_some(), by == "pareto");
    }

    #[tokio::test]
    async fn each_question_has_its_own_answer() {
        let trials = [
            trial("fast", 0.80, 50.0),
            trial("good", 0.96, 200.0),
            trial("exact", 1.0, 900.0),
            trial("slow", 1.0, 950.0),
        ];
        check(&trials, "recall", "exact", true).await;
        check(&trials, "latency", "good", true).await;
        check(&trials, "pareto", "good", true).await;
    }

    #[tokio::test]
    async fn without_a_feasible_trial_the_answer_says_so() {
        let trials = [trial("a", 0.5, 100.0), trial("b", 0.9, 200.0)];
        check(&trials, "latency", "a", false).await;
        check(&trials, "pareto", "b", false).await;
        check(&trials, "recall", "b", false).await;
    }

    #[tokio::test]
    async fn ties_go_to_the_lower_p95_then_to_the_earlier() {
        let mut trials = vec![trial("a", 1.0, 100.0), trial("b", 1.0, 100.0)];
        for by in ["recall", "latency", "pareto"] {
            check(&trials, by, "a", true).await;
        }
        trials.push(trial("c", 1.0, 99.0));
        check(&trials, "recall", "c", true).await;
    }

    #[tokio::test]
    async fn distances_decide_between_times_that_cannot_be_told_apart() {
        let measured = |id: &str, p95: f64, distances: f64| {
            let mut trial = trial(id, 0.97, p95);
            trial.metrics.distances_per_query = Some(distances);
            trial.latency_spread = Some(0.2);
            trial
        };
        let mut trials = vec![
            measured("lucky", 95.0, 900.0),
            measured("good", 100.0, 800.0),
            measured("slow", 200.0, 100.0),
        ];
        check(&trials, "latency", "good", true).await;
        check(&trials, "pareto", "good", true).await;
        trials.push(measured("quick", 50.0, 2_000.0));
        check(&trials, "latency", "quick", true).await;
        trials[3].noisy = true;
        check(&trials, "latency", "slow", true).await;
    }

    #[tokio::test]
    async fn an_empty_journal_is_a_clear_error() {
        for by in [BestBy::Recall, BestBy::Latency, BestBy::Pareto] {
            let error = best(&index_name(), &[], by, &Objective::default(), &LinearScorer)
                .await
                .unwrap_err();
            assert!(error.to_string().contains("no trials yet"), "{error}");
        }
        assert!("fastest".parse::<BestBy>().is_err());
    }
}
