//! The best trial of a journal, by one of three questions.
//!
//! Where times cannot be told apart, distance counts decide ([`crate::rank`]): the answer to a question in which
//! time has a say is then the trial that finds as much with fewer distances.
//!
//! Where no trial meets the objective, those are asked about whose recall comes nearest to its floor: a fast answer
//! that finds little is not what somebody wants who could not have both.

use std::{cmp::Ordering, str::FromStr};

use boathouse_types::{IndexName, Objective, PluginRef, Trial, Verdict};
use serde::{Deserialize, Serialize};

use crate::{
    TuningError,
    judge::{Scorer, recall_low, shortfall, verdicts},
    rank::{originals, settle},
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
/// earlier trial. Where a configuration was measured on its own graph, trials on a cut-down one do not count.
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
    let trials = originals(trials);
    let chosen = match by {
        BestBy::Recall => by_recall(&trials, objective),
        BestBy::Latency => by_latency(&trials, objective),
        BestBy::Pareto => by_score(&trials, objective, scorer).await?,
    };
    chosen.ok_or_else(|| TuningError::EmptyJournal(index.clone()))
}

fn by_recall(trials: &[Trial], objective: &Objective) -> Option<Best> {
    let trial = trials.iter().min_by(|a, b| {
        let recall = b.metrics.recall_at_k.total_cmp(&a.metrics.recall_at_k);
        recall.then_with(|| p95_order(a, b))
    })?;
    let why = shortfall(trial, objective);
    let highest = format!("highest recall of {} trials", trials.len());
    Some(Best {
        trial: trial.clone(),
        by: BestBy::Recall,
        feasible: why.is_none(),
        verdict: None,
        scored_by: None,
        reason: match why {
            None => highest,
            Some(why) => format!("{highest}; it does not meet the objective: {why}"),
        },
    })
}

fn by_latency(trials: &[Trial], objective: &Objective) -> Option<Best> {
    let feasible: Vec<&Trial> = trials
        .iter()
        .filter(|trial| shortfall(trial, objective).is_none())
        .collect();
    let most = most_reached(trials, objective);
    let met = !feasible.is_empty();
    let pool = match met {
        true => feasible,
        false => trials
            .iter()
            .filter(|trial| reached(trial, objective) >= most)
            .collect(),
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
            let none = format!("none of {} trials meets the objective", trials.len());
            format!(
                "lowest p95 at the recall nearest to the floor; {none}{}",
                miss(trial, objective)
            )
        },
    })
}

/// How near a trial comes to the floor of recall for sure; above it all are equal.
fn reached(trial: &Trial, objective: &Objective) -> f64 {
    recall_low(trial).min(objective.recall_floor)
}

/// How near one of the trials comes at most.
fn most_reached(trials: &[Trial], objective: &Objective) -> f64 {
    let all = trials.iter().map(|trial| reached(trial, objective));
    all.fold(f64::NEG_INFINITY, f64::max)
}

/// What a trial misses, as the end of a sentence; nothing when it misses nothing.
fn miss(trial: &Trial, objective: &Objective) -> String {
    shortfall(trial, objective).map_or_else(String::new, |why| format!(": {why}"))
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
    Ok(
        highest_score(trials, &verdicts, objective).map(|(at, feasible)| Best {
            trial: trials[at].clone(),
            by: BestBy::Pareto,
            feasible,
            verdict: Some(verdicts[at].clone()),
            scored_by: Some(judged.by),
            reason: if feasible {
                "highest score of the feasible trials".to_owned()
            } else {
                let none = format!("none of {} trials is feasible", trials.len());
                let miss = miss(&trials[at], objective);
                format!("highest score at the recall nearest to the floor; {none}{miss}")
            },
        }),
    )
}

/// Position of the highest score among the feasible, else among those nearest to the floor, and whether it is feasible.
fn highest_score(
    trials: &[Trial],
    verdicts: &[Verdict],
    objective: &Objective,
) -> Option<(usize, bool)> {
    let any = verdicts.iter().any(|verdict| verdict.feasible);
    let most = most_reached(trials, objective);
    let is_in = |at: &usize| match any {
        true => verdicts[*at].feasible,
        false => reached(&trials[*at], objective) >= most,
    };
    let pool: Vec<usize> = (0..trials.len()).filter(is_in).collect();
    let pool = || pool.iter().copied();
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
        check(&trials, "latency", "b", false).await;
        check(&trials, "pareto", "b", false).await;
        check(&trials, "recall", "b", false).await;
        // As near to the floor as the other: the faster one.
        let trials = [trials[1].clone(), trial("c", 0.9, 100.0)];
        check(&trials, "latency", "c", false).await;
        check(&trials, "pareto", "c", false).await;
    }

    #[tokio::test]
    async fn of_trials_that_miss_the_floor_one_that_finds_less_is_not_the_best_for_being_fast() {
        let objective = Objective {
            recall_floor: 0.9999,
            ..Objective::default()
        };
        let trials = [trial("quick", 0.9, 1.0), trial("perfect", 1.0, 900.0)];
        for by in [BestBy::Latency, BestBy::Recall] {
            let index = index_name();
            let found = best(&index, &trials, by, &objective, &LinearScorer).await;
            let found = found.unwrap();
            assert_eq!(
                (found.trial.id.as_str(), found.feasible),
                ("perfect", false)
            );
            assert!(found.reason.contains("100 queries can show"), "{found:?}");
        }
        // Where recall is enough and time is short, recall has no say.
        let slow = Objective {
            p95_budget_us: Some(0.5),
            recall_floor: 0.8,
            ..Objective::default()
        };
        let index = index_name();
        let found = best(&index, &trials, BestBy::Latency, &slow, &LinearScorer).await;
        assert_eq!(found.unwrap().trial.id, "quick");
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
