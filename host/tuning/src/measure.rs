//! Timing and recall of a contender on an evaluation.
//!
//! One thread asks every query several times. Against a champion the passes are interleaved A B B A, so
//! that a machine that warms up or slows down does so for both alike. A query's latency is the median
//! over its repeats; percentiles are over queries. How far the passes' medians lie apart is the
//! *spread*: a spread beyond [`MeasurePlan::noisy_spread`] means that times of this run cannot tell
//! configurations apart, and distance counts should.
//!
//! Recall and distance counts come from the first pass; search is deterministic, so one is enough. A table counts no
//! distances. That pass
//! may end early ([`crate::early`]): then nothing else is asked, and what was measured until then is the outcome.
//!
//! How long the thread had to wait for a core meanwhile, and what was stolen from the machine, is looked at too
//! ([`crate::disturbance`]): a steady disturbance does not show in the spread.

use std::{ops::Range, time::Instant};

use boathouse_types::Interval;
use boathouse_vector::{Scratch, mean_with_interval};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    Contender, Evaluation, TuningError,
    blocking::alive,
    disturbance::Watch,
    early::{BLOCK, Bar, SoFar},
};

/// How thoroughly to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasurePlan {
    /// Rounds, at least 1; a round asks every query twice (A B B A against a champion, else A A).
    pub rounds: usize,
    /// Queries asked before the clock counts.
    pub warm_up: usize,
    /// Spread above which a run counts as noisy; 0.2 is 20 %.
    pub noisy_spread: f64,
    /// Share of the time that the thread waited for a core, or that the cores were stolen, above which a run
    /// counts as noisy; 0.05 is 5 %.
    pub noisy_share: f64,
}

impl Default for MeasurePlan {
    /// Two rounds, so four repeats of each query; 100 queries of warm-up; noisy above a spread of 20 % or a
    /// disturbance of 5 %.
    fn default() -> Self {
        Self {
            rounds: 2,
            warm_up: 100,
            noisy_spread: 0.2,
            noisy_share: 0.05,
        }
    }
}

/// A challenger beside the champion, query by query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Comparison {
    /// p95 of the champion in the same run, in microseconds.
    pub champion_p95_us: f64,
    /// Recall of the champion in the same run.
    pub champion_recall: f64,
    /// Geometric mean of the queries' latency ratios, challenger over champion; below 1 is faster.
    pub latency_ratio: f64,
    /// Its 95 % interval.
    pub latency_ratio_interval: Interval,
    /// Mean of the queries' recall differences, challenger less champion.
    pub recall_gain: f64,
    /// Its 95 % interval.
    pub recall_gain_interval: Interval,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    pub(crate) p50_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) recall: f64,
    pub(crate) recall_interval: Interval,
    /// None where they are not counted.
    pub(crate) distances_per_query: Option<f64>,
    /// Queries that were asked.
    pub(crate) asked: usize,
    /// None of a single pass.
    pub(crate) spread: Option<f64>,
    pub(crate) comparison: Option<Comparison>,
    /// Why it ended before all queries were asked.
    pub(crate) stopped_early: Option<String>,
    /// Why its times tell little; none where they do.
    pub(crate) noise: Option<String>,
}

/// Measures a challenger, beside the champion when there is one, as long as it may clear the bar.
pub(crate) fn measure(
    evaluation: &Evaluation,
    (challenger, champion): (&Contender, Option<&Contender>),
    bar: Option<&Bar>,
    plan: &MeasurePlan,
    stop: &CancellationToken,
) -> Result<Measured, TuningError> {
    let watch = Watch::start();
    let mut a = Run::new(evaluation, challenger);
    a.warm_up(plan.warm_up, stop)?;
    let stopped_early = a.first_pass(bar, stop)?;
    let mut comparison = None;
    if stopped_early.is_none() {
        let mut b = champion.map(|champion| Run::new(evaluation, champion));
        if let Some(b) = &mut b {
            b.warm_up(plan.warm_up, stop)?;
        }
        take_turns(&mut a, b.as_mut(), plan.rounds, stop)?;
        comparison = b.map(|b| {
            let theirs = (b.latencies(), &b.recalls);
            compare((&a.latencies(), &a.recalls), (&theirs.0, theirs.1))
        });
    }
    let disturbance = watch.stop().complaint(plan.noisy_share);
    Ok(Measured {
        comparison,
        stopped_early,
        ..a.measured(plan, disturbance)
    })
}

/// The passes after the first: A B B A, then again.
fn take_turns(
    a: &mut Run<'_>,
    mut b: Option<&mut Run<'_>>,
    rounds: usize,
    stop: &CancellationToken,
) -> Result<(), TuningError> {
    for round in 0..rounds.max(1) {
        if round > 0 {
            a.pass(stop)?;
        }
        if let Some(b) = &mut b {
            b.pass(stop)?;
            b.pass(stop)?;
        }
        a.pass(stop)?;
    }
    Ok(())
}

/// The recall that a contender is sure of, by asking every query once.
pub(crate) fn sure_recall(
    evaluation: &Evaluation,
    contender: &Contender,
    stop: &CancellationToken,
) -> Result<f64, TuningError> {
    let mut run = Run::new(evaluation, contender);
    run.pass(stop)?;
    Ok(mean_with_interval(&run.recalls).1.low)
}

/// One contender's passes so far.
struct Run<'a> {
    evaluation: &'a Evaluation,
    contender: &'a Contender,
    scratch: Scratch,
    /// Microseconds, pass by pass, query by query.
    passes: Vec<Vec<f64>>,
    /// Of the first pass, as long as it went.
    recalls: Vec<f64>,
    /// Distances computed, likewise.
    distances: Vec<f64>,
}

impl<'a> Run<'a> {
    fn new(evaluation: &'a Evaluation, contender: &'a Contender) -> Self {
        Self {
            evaluation,
            contender,
            scratch: Scratch::default(),
            passes: Vec::new(),
            recalls: Vec::new(),
            distances: Vec::new(),
        }
    }

    fn warm_up(&mut self, queries: usize, stop: &CancellationToken) -> Result<(), TuningError> {
        for at in 0..queries.min(self.evaluation.queries()) {
            alive(stop)?;
            std::hint::black_box(self.ask(at)?);
        }
        Ok(())
    }

    /// The first pass; ends, and says why, once the bar cannot be cleared any more.
    fn first_pass(
        &mut self,
        bar: Option<&Bar>,
        stop: &CancellationToken,
    ) -> Result<Option<String>, TuningError> {
        let all = self.evaluation.queries();
        let vectors = &self.evaluation.data().vectors;
        let memory_bytes = self.contender.memory_bytes(vectors.memory_bytes());
        let mut latencies = Vec::with_capacity(all);
        for from in (0..all).step_by(BLOCK) {
            let to = all.min(from + BLOCK);
            self.time(from..to, &mut latencies, stop)?;
            let so_far = SoFar {
                recalls: &self.recalls,
                distances: &self.distances,
                memory_bytes,
            };
            let missed = bar.filter(|_| to < all).and_then(|bar| bar.missed(&so_far));
            if missed.is_some() {
                self.passes.push(latencies);
                return Ok(missed);
            }
        }
        self.passes.push(latencies);
        Ok(None)
    }

    fn pass(&mut self, stop: &CancellationToken) -> Result<(), TuningError> {
        let mut latencies = Vec::with_capacity(self.evaluation.queries());
        self.time(0..self.evaluation.queries(), &mut latencies, stop)?;
        self.passes.push(latencies);
        Ok(())
    }

    fn time(
        &mut self,
        queries: Range<usize>,
        latencies: &mut Vec<f64>,
        stop: &CancellationToken,
    ) -> Result<(), TuningError> {
        let is_first = self.passes.is_empty();
        for at in queries {
            alive(stop)?;
            let started = Instant::now();
            let found = self.ask(at)?;
            latencies.push(started.elapsed().as_secs_f64() * 1e6);
            if is_first {
                let query = &self.evaluation.prepared()[at];
                self.recalls.push(query.recall(&found.neighbors));
                self.distances.push(found.distances as f64);
            }
        }
        Ok(())
    }

    fn ask(&mut self, at: usize) -> Result<boathouse_vector::SearchOutcome, TuningError> {
        self.evaluation.ask(at, self.contender, &mut self.scratch)
    }

    /// Each query's median over the passes, in microseconds.
    fn latencies(&self) -> Vec<f64> {
        (0..self.recalls.len())
            .map(|at| {
                let repeats: Vec<f64> = self.passes.iter().map(|pass| pass[at]).collect();
                median(&sorted(&repeats))
            })
            .collect()
    }

    /// What its passes gave.
    fn measured(&self, plan: &MeasurePlan, disturbance: Option<String>) -> Measured {
        let latencies = sorted(&self.latencies());
        let (recall, recall_interval) = mean_with_interval(&self.recalls);
        let asked = self.recalls.len();
        let spread = (self.passes.len() > 1).then(|| self.spread());
        let restless = spread
            .filter(|spread| *spread > plan.noisy_spread)
            .map(|spread| format!("repeats differ by {:.0} %", spread * 100.0));
        Measured {
            p50_us: percentile(&latencies, 0.50),
            p95_us: percentile(&latencies, 0.95),
            p99_us: percentile(&latencies, 0.99),
            recall,
            recall_interval,
            distances_per_query: self
                .contender
                .counts_distances()
                .then(|| self.distances.iter().sum::<f64>() / asked.max(1) as f64),
            asked,
            spread,
            comparison: None,
            stopped_early: None,
            noise: match (restless, disturbance) {
                (Some(restless), Some(disturbance)) => Some(format!("{restless}, {disturbance}")),
                (restless, disturbance) => restless.or(disturbance),
            },
        }
    }

    /// Range of the passes' medians over their median.
    fn spread(&self) -> f64 {
        let medians: Vec<f64> = self
            .passes
            .iter()
            .map(|pass| median(&sorted(pass)))
            .collect();
        let medians = sorted(&medians);
        match (medians.first(), medians.last()) {
            (Some(low), Some(high)) if median(&medians) > 0.0 => (high - low) / median(&medians),
            _ => 0.0,
        }
    }
}

/// A contender's latencies in microseconds and its recalls, query by query, beside a champion's.
pub(crate) fn compare(
    (latencies, recalls): (&[f64], &[f64]),
    (theirs, their_recalls): (&[f64], &[f64]),
) -> Comparison {
    // A clock that did not move between start and end would make the logarithm infinite.
    let floor = |latency: f64| latency.max(1e-3);
    let ratios: Vec<f64> = latencies
        .iter()
        .zip(theirs)
        .map(|(own, their)| (floor(*own) / floor(*their)).ln())
        .collect();
    let gains: Vec<f64> = recalls
        .iter()
        .zip(their_recalls)
        .map(|(own, their)| own - their)
        .collect();
    let (ratio, ratio_interval) = paired_interval(&ratios);
    let (recall_gain, recall_gain_interval) = paired_interval(&gains);
    Comparison {
        champion_p95_us: percentile(&sorted(theirs), 0.95),
        champion_recall: mean_with_interval(their_recalls).0,
        latency_ratio: ratio.exp(),
        latency_ratio_interval: Interval {
            low: ratio_interval.low.exp(),
            high: ratio_interval.high.exp(),
        },
        recall_gain,
        recall_gain_interval,
    }
}

/// Mean of differences, which may have any sign, and its normal 95 % interval, mean ± 1.96 s/√n; without
/// at least two differences the interval is infinite.
fn paired_interval(differences: &[f64]) -> (f64, Interval) {
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
    let half = if differences.len() > 1 {
        1.959_964 * (squares / (n - 1.0) / n).sqrt()
    } else {
        f64::MAX
    };
    let (low, high) = (mean - half, mean + half);
    (mean, Interval { low, high })
}

pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Middle of sorted values, the mean of the two middle ones for an even number; 0 of none.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(low), Some(high)) if sorted.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}

/// Nearest-rank percentile of sorted values: the least value that at least the share does not exceed; 0
/// of none.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn medians_and_percentiles_of_known_values() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((percentile(&hundred, 0.95) - 95.0).abs() < 1e-9);
        assert!((percentile(&hundred, 0.50) - 50.0).abs() < 1e-9);
        assert!((percentile(&[7.0], 0.99) - 7.0).abs() < 1e-9);
        assert!(percentile(&[], 0.5).abs() < 1e-9);
        assert!((median(&[1.0, 2.0, 4.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-9);
        assert!((median(&[1.0, 3.0]) - 2.0).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }

    /// Neighbours of a query are found or missed together, so queries are what is independent (a cluster sample:
    /// W. Cochran, Sampling Techniques, 1977, chapter 9). An interval that counted neighbours would be too narrow.
    #[test]
    fn the_interval_of_recall_holds_when_neighbours_depend_on_each_other() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (runs, queries, k) = (1_000, 1_000, 10.0);
        // A query in ten is hard: half of its neighbours are found together or not at all.
        let truth = 0.9 * 0.99 + 0.1 * 0.55;
        let (mut covered, mut covered_naively) = (0, 0);
        for _ in 0..runs {
            let recalls: Vec<f64> = (0..queries)
                .map(|_| match (rng.random_bool(0.1), rng.random_bool(0.1)) {
                    (true, true) => 1.0,
                    (true, false) => 0.5,
                    (false, true) => 0.9,
                    (false, false) => 1.0,
                })
                .collect();
            let (mean, interval) = mean_with_interval(&recalls);
            covered += u32::from(interval.low <= truth && truth <= interval.high);
            let naive = 1.96 * (mean * (1.0 - mean) / (f64::from(queries) * k)).sqrt();
            covered_naively += u32::from((mean - truth).abs() <= naive);
        }
        assert!((930..=990).contains(&covered), "{covered} of {runs}");
        assert!(covered_naively < 900, "{covered_naively} of {runs}");
    }

    #[test]
    fn differences_of_both_signs_keep_their_interval() {
        let (mean, interval) = paired_interval(&[-1.0, 1.0, -1.0, 1.0]);
        assert!(mean.abs() < 1e-9);
        // Standard deviation 2/sqrt(3), over sqrt(4), times 1.96.
        assert!((interval.high - 1.1316).abs() < 1e-3 && (interval.low + 1.1316).abs() < 1e-3);
        assert!(paired_interval(&[0.5]).1.high > 1e300);
    }
}
