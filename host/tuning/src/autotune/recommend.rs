//! Whether the best trial should replace what serves.
//!
//! The scorer's word decides, but for one thing: it cannot know which differences in time are chance. Of the
//! trials whose times cannot be told from those of its favourite, one that finds as much with fewer distances is
//! taken instead ([`crate::rank`]); and a favourite that beats what serves by time alone, where times say
//! nothing, is no reason to change anything. Trials that ended early, or measured a sample, are not considered.
//!
//! A trial is put forward only when the scorer finds it feasible and it meets the objective by the host's
//! own reading (recall by the lower bound of its interval), so a scorer that is wrong or lies can choose
//! badly among good configurations but cannot put a bad one in service.

use boathouse_types::{IndexConfig, Objective, Trial, Verdict};

use super::Recommendation;
use crate::{
    Scorer, Tuner, TuningError,
    best::score_order,
    judge::{shortfall, verdicts},
    rank::{cheaper_alike, settle, times_differ},
};

impl Tuner {
    /// What to do by all trials of the journal on one version of the vectors. A scorer that fails is a reason
    /// to keep what serves.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn recommend(
        &self,
        data_version: &str,
        scorer: &dyn Scorer,
        objective: &Objective,
        serving: &IndexConfig,
    ) -> Result<Recommendation, TuningError> {
        let mut trials = self.journal().read().await?.trials;
        trials.retain(|trial| {
            trial.is_whole() && trial.data_version.as_deref() == Some(data_version)
        });
        Ok(match verdicts(scorer, &trials, objective).await {
            Ok(judged) => recommend(&trials, &judged.answer, objective, serving),
            Err(error) => Recommendation::keep(format!("no verdict: {error}")),
        })
    }
}

/// Recommends by the verdicts on `trials`, which were all measured on the same vectors.
fn recommend(
    trials: &[Trial],
    verdicts: &[Verdict],
    objective: &Objective,
    serving: &IndexConfig,
) -> Recommendation {
    let judged: Vec<(&Trial, &Verdict)> = trials.iter().zip(verdicts).collect();
    let sound = |(trial, verdict): (&Trial, &Verdict)| {
        verdict.feasible && shortfall(trial, objective).is_none()
    };
    let best = judged
        .iter()
        .copied()
        .filter(|&judged| sound(judged))
        .min_by(|a, b| score_order(*a, *b));
    let Some((favourite, _)) = best else {
        return Recommendation::keep(nothing_feasible(&judged, objective));
    };
    let all_sound = || judged.iter().copied().filter(|&judged| sound(judged));
    let trial = settle(favourite, all_sound().map(|(trial, _)| trial));
    let Some((_, verdict)) = all_sound().find(|(sound, _)| sound.id == trial.id) else {
        return Recommendation::keep(nothing_feasible(&judged, objective));
    };
    if trial.config == *serving {
        return Recommendation::keep("the serving configuration is the best of all trials");
    }
    let champion = judged
        .iter()
        .copied()
        .rfind(|(trial, _)| trial.config == *serving);
    let reason = match champion {
        None => "the serving configuration was not measured on these vectors".to_owned(),
        Some(champion) if !sound(champion) => {
            let why = shortfall(champion.0, objective)
                .or_else(|| champion.1.reason.clone())
                .unwrap_or_else(|| "the scorer finds it infeasible".to_owned());
            format!("it meets the objective and the serving configuration does not: {why}")
        }
        Some((champion, _)) if is_better_by_chance(trial, champion) => {
            return Recommendation::keep(format!(
                "{} is not known to be better than what serves: their times cannot be told apart, and it finds no more with no fewer distances",
                trial.id
            ));
        }
        Some((champion, _)) if trial.id != favourite.id && cheaper_alike(trial, champion) => {
            let distances = |trial: &Trial| trial.metrics.distances_per_query.unwrap_or(0.0);
            let (own, their) = (distances(trial), distances(champion));
            format!(
                "times cannot be told apart; it finds as much with {own:.0} distances, the serving configuration needs {their:.0}"
            )
        }
        Some((_, champion)) if verdict.score > champion.score => {
            let (own, their) = (verdict.score, champion.score);
            format!("its score of {own:.4} beats the serving configuration's {their:.4}")
        }
        Some(_) => return Recommendation::keep("no trial has a better score than what serves"),
    };
    Recommendation::Promote {
        trial: Box::new(trial.clone()),
        verdict: verdict.clone(),
        reason,
    }
}

/// Whether only times speak for a trial, and times do not speak.
fn is_better_by_chance(trial: &Trial, champion: &Trial) -> bool {
    let (own, their) = (&trial.metrics, &champion.metrics);
    let no_fewer = own
        .distances_per_query
        .zip(their.distances_per_query)
        .is_some_and(|(own, their)| own >= their);
    !times_differ(trial, champion)
        && no_fewer
        && own.recall_at_k <= their.recall_at_k
        && own.memory_bytes >= their.memory_bytes
}

/// Why no trial is put forward, by the example of the highest score.
fn nothing_feasible(judged: &[(&Trial, &Verdict)], objective: &Objective) -> String {
    let Some((trial, verdict)) = judged.iter().copied().min_by(|a, b| score_order(*a, *b)) else {
        return "there is no trial on these vectors".to_owned();
    };
    let why = shortfall(trial, objective)
        .or_else(|| verdict.reason.clone())
        .unwrap_or_else(|| "the scorer finds it infeasible".to_owned());
    format!(
        "no trial meets the objective; the best score, {}: {why}",
        trial.id
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trial;

    fn with(id: &str, ef_search: u32, recall: f64) -> Trial {
        let mut trial = trial(id, recall, 100.0);
        trial.config.ef_search = ef_search;
        trial
    }

    fn verdict(score: f64) -> Verdict {
        Verdict {
            feasible: true,
            front: 0,
            score,
            reason: None,
        }
    }

    fn check(trials: &[Trial], scores: &[f64], promoted: Option<&str>, said: &str) {
        let verdicts: Vec<Verdict> = scores.iter().copied().map(verdict).collect();
        let found = recommend(
            trials,
            &verdicts,
            &Objective::default(),
            &IndexConfig::default(),
        );
        let id = match &found {
            Recommendation::Promote { trial, .. } => Some(trial.id.as_str()),
            Recommendation::Keep { .. } => None,
        };
        assert_eq!(id, promoted, "{found:?}");
        assert!(found.reason().contains(said), "{found:?}");
    }

    #[test]
    fn a_better_score_within_the_objective_is_promoted() {
        let trials = [with("champion", 30, 0.97), with("better", 60, 0.99)];
        check(&trials, &[0.5, 0.6], Some("better"), "0.6000 beats");
        check(&trials, &[0.6, 0.6], None, "serving");
        check(
            &trials,
            &[0.7, 0.6],
            None,
            "serving configuration is the best",
        );
        check(&trials[1..], &[0.6], Some("better"), "not measured");
    }

    #[test]
    fn a_scorer_that_lies_cannot_promote_below_the_floor() {
        let trials = [with("champion", 30, 0.97), with("bad", 10, 0.80)];
        check(&trials, &[0.5, 99.0], None, "serving");
        check(&trials[1..], &[99.0], None, "no trial meets the objective");
    }

    #[test]
    fn a_champion_that_misses_the_objective_is_replaced_whatever_its_score() {
        let trials = [with("champion", 30, 0.90), with("good", 60, 0.99)];
        check(&trials, &[0.9, 0.1], Some("good"), "does not: recall");
    }

    fn at(trial: Trial, p95: f64, distances: f64) -> Trial {
        let mut trial = trial;
        trial.metrics.search_latency_p95_us = p95;
        trial.metrics.distances_per_query = Some(distances);
        trial.latency_spread = Some(0.2);
        trial
    }

    #[test]
    fn where_times_cannot_tell_fewer_distances_decide() {
        // The scorer falls for the lower p95, which is within the spread.
        let champion = at(with("champion", 30, 0.97), 100.0, 900.0);
        let lucky = at(with("lucky", 40, 0.97), 95.0, 1_000.0);
        check(
            &[champion.clone(), lucky.clone()],
            &[0.5, 0.6],
            None,
            "serving configuration is the best",
        );
        let fewer = at(with("fewer", 20, 0.97), 105.0, 800.0);
        check(
            &[champion.clone(), lucky.clone(), fewer.clone()],
            &[0.5, 0.6, 0.4],
            Some("fewer"),
            "800 distances, the serving configuration needs 900",
        );
        let sure = at(with("sure", 40, 0.97), 50.0, 1_000.0);
        check(
            &[champion.clone(), sure, fewer],
            &[0.5, 0.9, 0.4],
            Some("sure"),
            "beats",
        );
        let equal = at(with("equal", 40, 0.97), 95.0, 900.0);
        check(
            &[champion, equal],
            &[0.5, 0.6],
            None,
            "cannot be told apart",
        );
    }

    #[test]
    fn without_trials_nothing_changes() {
        check(&[], &[], None, "no trial on these vectors");
    }
}
