//! Whether the best trial should replace what serves.
//!
//! The scorer's word decides, but for one thing: it cannot know which differences in time are chance. Of the
//! trials whose times cannot be told from those of its favourite, one that finds as much with fewer distances is
//! taken instead ([`crate::rank`]); and a favourite that beats what serves by time alone, where times say
//! nothing, is no reason to change anything. Trials that ended early, or measured a sample, are not considered, and
//! what serves counts by a trial on its own graph only: one on a graph that was cut down stands for others.
//!
//! A trial is put forward only when the scorer finds it feasible and it meets the objective by the host's
//! own reading (recall by the lower bound of its interval), so a scorer that is wrong or lies can choose
//! badly among good configurations but cannot put a bad one in service.

use boathouse_types::{Configuration, Objective, Trial, Verdict};

use super::Recommendation;
use crate::{
    Bounds, Scorer, Tuner, TuningError,
    basis::Basis,
    best::score_order,
    judge::{shortfall, verdicts},
    rank::{cheaper_alike, originals, settle, times_differ},
    replay::Shown,
};

impl Tuner {
    /// What to do by the trials of the journal on one version of the vectors, with the queries that were asked last.
    /// A scorer that fails is a reason to keep what serves. Trials whose ids are in `except`, and others of their
    /// configurations, are not put forward, nor are those that do not lie `within` the bounds.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn recommend(
        &self,
        data_version: &str,
        scorer: &dyn Scorer,
        objective: &Objective,
        serving: &Configuration,
        except: &[String],
        within: Option<&Bounds>,
    ) -> Result<Recommendation, TuningError> {
        let journal = self.journal().read().await?.trials;
        let mut trials = Shown::of(
            &journal,
            Basis::newest(&journal, data_version, serving.backend()),
        )
        .trials();
        trials.retain(|trial| trial.is_whole() && !stands_for(trial, serving));
        let trials = originals(&trials);
        let excepted = |trial: &&Trial| except.contains(&trial.id);
        let configs = journal.iter().filter(excepted).map(|trial| trial.config);
        let limits = Limits {
            passed_over: configs.filter(|config| config != serving).collect(),
            within,
        };
        Ok(match verdicts(scorer, &trials, objective).await {
            Ok(judged) => recommend(&trials, &judged.answer, objective, serving, &limits),
            Err(error) => Recommendation::keep(format!("no verdict: {error}")),
        })
    }
}

/// Whether a trial measured what serves on a graph that is not its own.
fn stands_for(trial: &Trial, serving: &Configuration) -> bool {
    trial.config == *serving && trial.derived_from.is_some()
}

/// What may be put forward.
#[derive(Debug, Default)]
struct Limits<'a> {
    /// Configurations that may not.
    passed_over: Vec<Configuration>,
    /// Where one has to lie.
    within: Option<&'a Bounds>,
}

impl Limits<'_> {
    fn admit(&self, config: &Configuration) -> bool {
        !self.passed_over.contains(config) && self.within.is_none_or(|bounds| bounds.hold(config))
    }

    /// The trials that it leaves, for people.
    fn left(&self) -> &'static str {
        match (self.within, self.passed_over.is_empty()) {
            (Some(_), true) => "the trials within the bounds",
            (None, true) => "all trials",
            (_, false) => "the trials that are left",
        }
    }
}

/// Recommends by the verdicts on `trials`, which were all measured on the same vectors. What serves is always among
/// those that are compared.
fn recommend(
    trials: &[Trial],
    verdicts: &[Verdict],
    objective: &Objective,
    serving: &Configuration,
    limits: &Limits<'_>,
) -> Recommendation {
    let judged: Vec<Scored<'_>> = trials.iter().zip(verdicts).collect();
    let sound: Vec<Scored<'_>> = judged
        .iter()
        .copied()
        .filter(|one| is_sound(*one, objective))
        .collect();
    let mut open = sound.clone();
    open.retain(|(trial, _)| trial.config == *serving || limits.admit(&trial.config));
    let best = open.iter().min_by(|a, b| score_order(**a, **b));
    let Some(&(favourite, _)) = best else {
        return Recommendation::keep(match sound.is_empty() {
            true => nothing_feasible(&judged, objective),
            false => format!("none of {} meets the objective", limits.left()),
        });
    };
    let chosen = settle(favourite, open.iter().map(|(trial, _)| *trial));
    let Some(&(trial, verdict)) = open.iter().find(|(open, _)| open.id == chosen.id) else {
        return Recommendation::keep(nothing_feasible(&judged, objective));
    };
    if trial.config == *serving {
        let left = limits.left();
        return Recommendation::keep(format!("the serving configuration is the best of {left}"));
    }
    let champion = judged.iter().rfind(|(trial, _)| trial.config == *serving);
    match case_for((trial, verdict), champion.copied(), favourite, objective) {
        Ok(reason) => Recommendation::Promote {
            trial: Box::new(trial.clone()),
            verdict: verdict.clone(),
            reason,
        },
        Err(reason) => Recommendation::keep(reason),
    }
}

/// A trial with the word on it.
type Scored<'a> = (&'a Trial, &'a Verdict);

/// Whether the scorer and the host's own reading find that a trial meets the objective.
fn is_sound((trial, verdict): Scored<'_>, objective: &Objective) -> bool {
    verdict.feasible && shortfall(trial, objective).is_none()
}

/// Why a sound trial should replace what serves, or why it should not. `favourite` is the scorer's own choice.
fn case_for(
    (trial, verdict): Scored<'_>,
    champion: Option<Scored<'_>>,
    favourite: &Trial,
    objective: &Objective,
) -> Result<String, String> {
    let Some((champion, word)) = champion else {
        return Ok("the serving configuration was not measured on these vectors".to_owned());
    };
    if !is_sound((champion, word), objective) {
        let why = shortfall(champion, objective)
            .or_else(|| word.reason.clone())
            .unwrap_or_else(|| "the scorer finds it infeasible".to_owned());
        return Ok(format!(
            "{} meets the objective and the serving configuration does not: {why}",
            trial.id
        ));
    }
    if is_better_by_chance(trial, champion) {
        return Err(format!(
            "{} is not known to be better than what serves: their times cannot be told apart, and it finds no more with no fewer distances",
            trial.id
        ));
    }
    if trial.id != favourite.id && cheaper_alike(trial, champion) {
        let distances = |trial: &Trial| trial.metrics.distances_per_query.unwrap_or(0.0);
        let (own, their) = (distances(trial), distances(champion));
        return Ok(format!(
            "times cannot be told apart; {} finds as much with {own:.0} distances, the serving configuration needs {their:.0}",
            trial.id
        ));
    }
    let (own, their) = (verdict.score, word.score);
    match own > their {
        true => Ok(format!(
            "with a score of {own:.4} {} beats the serving configuration, whose score is {their:.4}",
            trial.id
        )),
        false => Err("no trial has a better score than what serves".to_owned()),
    }
}

/// Whether only times speak for a trial, and times do not speak.
fn is_better_by_chance(trial: &Trial, champion: &Trial) -> bool {
    let (own, their) = (&trial.metrics, &champion.metrics);
    // Where they are not counted nothing but times speaks for it either.
    let no_fewer = own
        .distances_per_query
        .zip(their.distances_per_query)
        .is_none_or(|(own, their)| own >= their);
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
    use boathouse_types::IndexConfig;

    use super::*;
    use crate::{TuneBounds, testing::trial};

    fn with(id: &str, ef_search: u32, recall: f64) -> Trial {
        let mut trial = trial(id, recall, 100.0);
        trial.config.graph_mut().unwrap().ef_search = ef_search;
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
            &Configuration::default(),
            &Limits::default(),
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
        check(&trials, &[0.5, 0.6], Some("better"), "0.6000 better beats");
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
    fn what_is_to_be_passed_over_makes_way_for_the_next_best() {
        let trials = [
            with("champion", 30, 0.97),
            with("first", 60, 0.99),
            with("second", 50, 0.99),
        ];
        let verdicts = [0.5, 0.9, 0.7].map(verdict);
        let without = |efs: &[u32]| {
            let config = |ef: &u32| {
                Configuration::Graph(IndexConfig {
                    ef_search: *ef,
                    ..IndexConfig::default()
                })
            };
            let limits = Limits {
                passed_over: efs.iter().map(config).collect(),
                within: None,
            };
            let (objective, serving) = (Objective::default(), Configuration::default());
            recommend(&trials, &verdicts, &objective, &serving, &limits)
        };
        let promoted = |found: Recommendation| match found {
            Recommendation::Promote { trial, .. } => trial.id,
            Recommendation::Keep { reason } => panic!("{reason}"),
        };
        assert_eq!(promoted(without(&[])), "first");
        assert_eq!(promoted(without(&[60])), "second");
        let nothing = without(&[60, 50]);
        assert!(
            nothing
                .reason()
                .contains("best of the trials that are left"),
            "{nothing:?}"
        );
    }

    #[test]
    fn what_lies_outside_of_the_bounds_is_not_put_forward() {
        let trials = [
            with("champion", 30, 0.97),
            with("far", 60, 0.99),
            with("near", 20, 0.99),
        ];
        let mut bounds = TuneBounds::default();
        // What serves lies outside, and is compared with all the same.
        (bounds.ef_search.min, bounds.ef_search.max) = (10, 20);
        let bounds = Bounds::from(bounds);
        let within = |scores: [f64; 3]| {
            let limits = Limits {
                passed_over: Vec::new(),
                within: Some(&bounds),
            };
            let (objective, serving) = (Objective::default(), Configuration::default());
            let verdicts = scores.map(verdict);
            recommend(&trials, &verdicts, &objective, &serving, &limits)
        };
        let found = within([0.5, 0.9, 0.7]);
        assert!(
            matches!(&found, Recommendation::Promote { trial, .. } if trial.id == "near"),
            "{found:?}"
        );
        let kept = within([0.8, 0.9, 0.7]);
        assert!(
            kept.reason()
                .contains("best of the trials within the bounds"),
            "{kept:?}"
        );
    }

    #[test]
    fn without_trials_nothing_changes() {
        check(&[], &[], None, "no trial on these vectors");
    }
}
