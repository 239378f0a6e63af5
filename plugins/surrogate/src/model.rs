//! What is believed of every configuration: recall, work, latency, memory, and the seconds of a build.
//!
//! Scales: recall's lower bound as log odds, everything else as natural logarithm. On them the knobs of an
//! HNSW graph act almost linearly, and [`slopes`] says how strongly before any trial; the figures are what
//! published curves of GloVe, SIFT and text embeddings have in common, with errors wide enough to be
//! corrected by two or three trials. A measure far from the floor of recall is believed less exactly: a
//! straight line that is right there matters more than one that is right everywhere. So does a trial that
//! was stopped early, see [`crate::interval`].
//!
//! Only the trials nearest to the decision are learned from when there are many.

use boathouse_sdk::proposer::Knob;
use boathouse_sdk::{Objective, Trial};

use crate::evidence::{Evidence, Work};
use crate::interval::Usual;
use crate::space::{SEARCH, Space};
use crate::surface::{Belief, Point, Prior, Slope, Surface, normal_below};

/// Trials that are learned from.
const MOST_POINTS: usize = 160;
/// Searches of a trial: a thousand queries in eight passes.
const SEARCHES_A_TRIAL: f64 = 8_000.0;
/// Seconds of a build before any build was timed, in trials.
const BUILD_IN_TRIALS: f64 = 10.0;

/// Beliefs about one space, learned from one journal.
pub(crate) struct Model {
    recall: Surface,
    work: Surface,
    latency: Option<(Surface, f64)>,
    memory: Option<(Surface, f64)>,
    building: Surface,
    builds_timed: bool,
    floor: f64,
    trial_seconds: f64,
    /// Logarithm of the least work of a trial that meets the objective, as the surface smooths it.
    best: Option<f64>,
}

/// A measure that has slopes of its own.
#[derive(Debug, Clone, Copy)]
enum Measure {
    Recall,
    Work,
    Memory,
    Building,
}

impl Model {
    pub(crate) fn of(space: &Space<'_>, evidence: &Evidence<'_>, objective: &Objective) -> Self {
        let floor = log_odds(objective.recall_floor);
        let trials = nearest(evidence, floor);
        let learn = |measure, value: &dyn Fn(&Trial<'_>) -> Option<(f64, f64)>| {
            let point = |trial: &&Trial<'_>| {
                let (value, noise) = value(trial)?;
                let at = Space::coordinates(trial.settings);
                Some(Point { at, value, noise })
            };
            let points: Vec<Point> = trials.iter().filter_map(point).collect();
            Surface::of(&prior(measure, space), &points)
        };
        let usual = Usual::of(&trials);
        let recall = learn(Measure::Recall, &|trial| {
            let bound = usual.bound(trial);
            let value = log_odds(bound.recall);
            let far = 0.3 * ((value - floor).abs() - 1.0).max(0.0);
            // The slope of log odds.
            let steep = 1.0 / (bound.recall * (1.0 - bound.recall)).max(0.01);
            Some((value, 0.05 + far + bound.vague * steep))
        });
        let noise = match evidence.work {
            Work::Distances => 0.005,
            Work::Latency => 0.05,
        };
        let work = learn(Measure::Work, &|trial| {
            // Queries differ in work, too, if less than in recall.
            let vague = usual.bound(trial).vague;
            Some((evidence.work.of(trial).ln(), noise + vague))
        });
        let latency = objective.p95_budget_us.map(|budget| {
            let value = |trial: &Trial<'_>| positive(trial.latency_p95_us).map(|ln| (ln, 0.05));
            (learn(Measure::Work, &value), budget.max(1e-3).ln())
        });
        let memory = objective.memory_cap_bytes.map(|cap| {
            let value =
                |trial: &Trial<'_>| positive(trial.memory_bytes as f64).map(|ln| (ln, 0.005));
            (learn(Measure::Memory, &value), (cap.max(1) as f64).ln())
        });
        let building = learn(Measure::Building, &|trial| {
            positive(trial.build_seconds).map(|ln| (ln, 0.1))
        });
        let mut model = Self {
            recall,
            work,
            latency,
            memory,
            building,
            builds_timed: evidence
                .trials
                .iter()
                .any(|trial| trial.build_seconds > 0.0),
            floor,
            trial_seconds: trial_seconds(evidence),
            best: None,
        };
        let feasible = trials.iter().filter(|trial| objective.is_met_by(trial));
        let works = feasible.map(|trial| model.work(&Space::coordinates(trial.settings)));
        model.best = works.min_by(f64::total_cmp);
        model
    }

    /// Logarithm of the least work that meets the objective so far.
    pub(crate) fn best(&self) -> Option<f64> {
        self.best
    }

    /// Mean of recall's log odds above the floor.
    pub(crate) fn margin(&self, at: &[f64]) -> f64 {
        self.recall.mean(at) - self.floor
    }

    /// Recall's log odds above the floor.
    pub(crate) fn margin_belief(&self, at: &[f64]) -> Belief {
        let belief = self.recall.at(at);
        Belief {
            mean: belief.mean - self.floor,
            ..belief
        }
    }

    /// Mean of the logarithm of work.
    pub(crate) fn work(&self, at: &[f64]) -> f64 {
        self.work.mean(at)
    }

    /// Logarithm of work.
    pub(crate) fn work_belief(&self, at: &[f64]) -> Belief {
        self.work.at(at)
    }

    /// Probability that latency and memory keep within budget and cap.
    pub(crate) fn within(&self, at: &[f64]) -> f64 {
        let below = |(surface, most): &(Surface, f64)| {
            let Belief { mean, deviation } = surface.at(at);
            normal_below((most - mean) / deviation.max(1e-3))
        };
        let limits = [self.latency.as_ref(), self.memory.as_ref()];
        limits.into_iter().flatten().map(below).product()
    }

    /// Seconds that a trial takes, with its build where that is new.
    pub(crate) fn seconds(&self, at: &[f64], is_built: bool) -> f64 {
        if is_built {
            return self.trial_seconds;
        }
        let build = match self.builds_timed {
            true => self.building.mean(at).clamp(-7.0, 14.0).exp(),
            false => BUILD_IN_TRIALS * self.trial_seconds,
        };
        // A new build is seldom right at the first trial.
        build + 2.0 * self.trial_seconds
    }
}

/// How a measure answers to the knobs, by factor of e: mean and error of the slope.
fn slopes(measure: Measure, knob: &Knob) -> Slope {
    let (mean, deviation) = match (measure, knob.name.as_str()) {
        (Measure::Recall, "m") => (0.7, 0.5),
        (Measure::Recall, "ef_construction") => (0.4, 0.3),
        (Measure::Recall, SEARCH) => (1.3, 0.5),
        (Measure::Recall, _) => (0.0, 0.7),
        (Measure::Work, "m") => (0.5, 0.3),
        (Measure::Work, "ef_construction") => (0.05, 0.15),
        (Measure::Work, SEARCH) => (0.8, 0.25),
        (Measure::Work, _) => (0.0, 0.5),
        (Measure::Memory, "m") => (0.2, 0.3),
        (Measure::Memory, "ef_construction" | SEARCH) => (0.0, 0.02),
        (Measure::Memory, _) => (0.0, 0.3),
        (Measure::Building, "m") => (0.5, 0.4),
        (Measure::Building, "ef_construction") => (0.8, 0.3),
        (Measure::Building, SEARCH) => (0.0, 0.02),
        (Measure::Building, _) => (0.0, 0.5),
    };
    Slope { mean, deviation }
}

fn prior(measure: Measure, space: &Space<'_>) -> Prior {
    let (of_builds, of_all, noise_scales): (_, _, &[f64]) = match measure {
        Measure::Recall => (0.4, 0.1, &[1.0, 3.0]),
        Measure::Work => (0.1, 0.1, &[1.0, 4.0]),
        Measure::Memory => (0.1, 0.01, &[1.0]),
        Measure::Building => (0.3, 0.05, &[1.0, 3.0]),
    };
    let knobs = space.knobs().iter();
    Prior {
        slopes: knobs.map(|knob| slopes(measure, knob)).collect(),
        build_axes: space.build_axes(),
        of_builds,
        of_all,
        noise_scales,
    }
}

/// The trials closest to the decision: recall near the floor, little work; of equals the latest.
fn nearest<'a, 'b>(evidence: &'b Evidence<'a>, floor: f64) -> Vec<&'b Trial<'a>> {
    let work = |trial: &Trial<'_>| evidence.work.of(trial).ln();
    let least = evidence.trials.iter().map(work).fold(f64::MAX, f64::min);
    let off = |trial: &Trial<'_>| (log_odds(trial.recall_low) - floor).abs() + work(trial) - least;
    let mut trials: Vec<(f64, &Trial<'a>)> = evidence
        .trials
        .iter()
        .rev()
        .map(|trial| (off(trial), trial))
        .collect();
    trials.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    trials.truncate(MOST_POINTS);
    trials.into_iter().map(|(_, trial)| trial).collect()
}

fn trial_seconds(evidence: &Evidence<'_>) -> f64 {
    let mut searches: Vec<f64> = evidence
        .trials
        .iter()
        .map(|trial| trial.latency_p95_us)
        .collect();
    searches.sort_by(f64::total_cmp);
    let median = searches.get(searches.len() / 2).copied().unwrap_or(0.0);
    (SEARCHES_A_TRIAL * median / 1e6).max(0.01)
}

/// Log odds of a share, which is kept from the ends: one miss in two thousand is as good as none.
fn log_odds(share: f64) -> f64 {
    let share = share.clamp(0.002, 0.9995);
    (share / (1.0 - share)).ln()
}

fn positive(value: f64) -> Option<f64> {
    (value > 0.0).then(|| value.ln())
}
