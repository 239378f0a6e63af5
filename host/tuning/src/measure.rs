//! Timing and recall of a graph on an evaluation.
//!
//! One thread asks every query several times. Against a champion the passes are interleaved A B B A, so
//! that a machine that warms up or slows down does so for both alike. A query's latency is the median
//! over its repeats; percentiles are over queries. How far the passes' medians lie apart is the
//! *spread*: a spread beyond [`MeasurePlan::noisy_spread`] means that times of this run cannot tell
//! configurations apart, and distance counts should.
//!
//! Recall and distance counts come from the first pass; search is deterministic, so one is enough.

use std::{sync::Arc, time::Instant};

use boathouse_types::Interval;
use boathouse_vector::{HnswGraph, Scratch, mean_with_interval};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{Evaluation, TuningError, blocking::alive};

/// How thoroughly to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasurePlan {
    /// Rounds, at least 1; a round asks every query twice (A B B A against a champion, else A A).
    pub rounds: usize,
    /// Queries asked before the clock counts.
    pub warm_up: usize,
    /// Spread above which a run counts as noisy; 0.2 is 20 %.
    pub noisy_spread: f64,
}

impl Default for MeasurePlan {
    /// Two rounds, so four repeats of each query; 100 queries of warm-up; noisy above 20 %.
    fn default() -> Self {
        Self {
            rounds: 2,
            warm_up: 100,
            noisy_spread: 0.2,
        }
    }
}

/// A challenger beside the champion, query by query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
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

/// A graph to be searched in one way.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) graph: Arc<HnswGraph>,
    pub(crate) ef_search: u32,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    pub(crate) p50_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) recall: f64,
    pub(crate) recall_interval: Interval,
    pub(crate) distances_per_query: f64,
    pub(crate) spread: f64,
    pub(crate) comparison: Option<Comparison>,
}

/// Measures a challenger, beside the champion when there is one.
pub(crate) fn measure(
    evaluation: &Evaluation,
    challenger: &Contender,
    champion: Option<&Contender>,
    plan: &MeasurePlan,
    stop: &CancellationToken,
) -> Result<Measured, TuningError> {
    let mut a = Run::new(evaluation, challenger);
    let mut b = champion.map(|champion| Run::new(evaluation, champion));
    a.warm_up(plan.warm_up, stop)?;
    if let Some(b) = &mut b {
        b.warm_up(plan.warm_up, stop)?;
    }
    for _ in 0..plan.rounds.max(1) {
        a.pass(stop)?;
        if let Some(b) = &mut b {
            b.pass(stop)?;
            b.pass(stop)?;
        }
        a.pass(stop)?;
    }
    let latencies = a.latencies();
    let (recall, recall_interval) = mean_with_interval(&a.recalls);
    let sorted = sorted(&latencies);
    Ok(Measured {
        p50_us: percentile(&sorted, 0.50),
        p95_us: percentile(&sorted, 0.95),
        p99_us: percentile(&sorted, 0.99),
        recall,
        recall_interval,
        distances_per_query: a.distances as f64 / a.recalls.len().max(1) as f64,
        spread: a.spread(),
        comparison: b.map(|b| compare(&latencies, &a.recalls, &b)),
    })
}

/// One contender's passes so far.
struct Run<'a> {
    evaluation: &'a Evaluation,
    contender: &'a Contender,
    scratch: Scratch,
    /// Microseconds, pass by pass, query by query.
    passes: Vec<Vec<f64>>,
    recalls: Vec<f64>,
    distances: u64,
}

impl<'a> Run<'a> {
    fn new(evaluation: &'a Evaluation, contender: &'a Contender) -> Self {
        Self {
            evaluation,
            contender,
            scratch: Scratch::default(),
            passes: Vec::new(),
            recalls: Vec::new(),
            distances: 0,
        }
    }

    fn warm_up(&mut self, queries: usize, stop: &CancellationToken) -> Result<(), TuningError> {
        for at in 0..queries.min(self.evaluation.queries()) {
            alive(stop)?;
            std::hint::black_box(self.ask(at));
        }
        Ok(())
    }

    fn pass(&mut self, stop: &CancellationToken) -> Result<(), TuningError> {
        let first = self.passes.is_empty();
        let mut latencies = Vec::with_capacity(self.evaluation.queries());
        for at in 0..self.evaluation.queries() {
            alive(stop)?;
            let started = Instant::now();
            let found = self.ask(at);
            latencies.push(started.elapsed().as_secs_f64() * 1e6);
            if first {
                let query = &self.evaluation.prepared()[at];
                self.recalls.push(query.recall(&found.neighbors));
                self.distances += found.distances;
            }
        }
        self.passes.push(latencies);
        Ok(())
    }

    fn ask(&mut self, at: usize) -> boathouse_vector::SearchOutcome {
        let query = &self.evaluation.prepared()[at];
        let wanted = query.wanted(self.evaluation.k());
        self.contender.graph.search(
            &self.evaluation.data().vectors,
            query.query(),
            wanted,
            self.contender.ef_search as usize,
            &mut self.scratch,
        )
    }

    /// Each query's median over the passes, in microseconds.
    fn latencies(&self) -> Vec<f64> {
        (0..self.evaluation.queries())
            .map(|at| {
                let repeats: Vec<f64> = self.passes.iter().map(|pass| pass[at]).collect();
                median(&sorted(&repeats))
            })
            .collect()
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

fn compare(latencies: &[f64], recalls: &[f64], champion: &Run<'_>) -> Comparison {
    let theirs = champion.latencies();
    // A clock that did not move between start and end would make the logarithm infinite.
    let floor = |latency: f64| latency.max(1e-3);
    let ratios: Vec<f64> = latencies
        .iter()
        .zip(&theirs)
        .map(|(own, their)| (floor(*own) / floor(*their)).ln())
        .collect();
    let gains: Vec<f64> = recalls
        .iter()
        .zip(&champion.recalls)
        .map(|(own, their)| own - their)
        .collect();
    let (ratio, ratio_interval) = paired_interval(&ratios);
    let (recall_gain, recall_gain_interval) = paired_interval(&gains);
    Comparison {
        champion_p95_us: percentile(&sorted(&theirs), 0.95),
        champion_recall: mean_with_interval(&champion.recalls).0,
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

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Middle of sorted values, the mean of the two middle ones for an even number; 0 of none.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match (sorted.get(half.wrapping_sub(1)), sorted.get(half)) {
        (Some(low), Some(high)) if sorted.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}

/// Nearest-rank percentile of sorted values: the least value that at least the share does not exceed; 0
/// of none.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn differences_of_both_signs_keep_their_interval() {
        let (mean, interval) = paired_interval(&[-1.0, 1.0, -1.0, 1.0]);
        assert!(mean.abs() < 1e-9);
        // Standard deviation 2/sqrt(3), over sqrt(4), times 1.96.
        assert!((interval.high - 1.1316).abs() < 1e-3 && (interval.low + 1.1316).abs() < 1e-3);
        assert!(paired_interval(&[0.5]).1.high > 1e300);
    }
}
