//! Two contenders answer the same queries in turns, and what came of it.
//!
//! Queries are asked block by block. Within a block the passes go A B B A, and in every second block B A A B, so
//! that neither profits from a machine that warms up, slows down, or finds the vectors in its caches because the
//! other has just read them. A query's latency is the median of its repeats; recall and numbers of distances are
//! those of the first pass, as a search gives the same every time.

use std::{ops::Range, sync::Arc, time::Instant};

use boathouse_types::{Interval, Trial, TrialMetrics};
use boathouse_vector::{Scratch, mean_with_interval};
use tokio_util::sync::CancellationToken;

use super::{ComparedBy, Duel, Evidence, Fighter, Side};
use crate::{
    Contender, Evaluation, TuningError,
    blocking::alive,
    judge::{Miss, misses},
    measure::{Comparison, MeasurePlan, compare, median, percentile, sorted},
    tuner::rounded,
};

/// Queries of a block: some dozens of milliseconds of work.
const BLOCK: usize = 32;

/// A duel under way.
pub(super) struct Bout {
    evaluation: Arc<Evaluation>,
    plan: MeasurePlan,
    champion: Runner,
    challenger: Runner,
    /// First query of the next block.
    next: usize,
}

/// One contender, and what it did so far.
struct Runner {
    contender: Contender,
    scratch: Scratch,
    /// Microseconds of every repeat, query by query.
    repeats: Vec<Vec<f64>>,
    recalls: Vec<f64>,
    distances: Vec<f64>,
}

/// What a duel measured of one contender, query by query.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    /// Microseconds.
    pub(super) latencies: Vec<f64>,
    pub(super) recalls: Vec<f64>,
    pub(super) distances: Vec<f64>,
    /// Bytes in memory.
    memory_bytes: u64,
    /// Whether distances were counted.
    counted: bool,
    spread: f64,
}

/// What a duel measured.
#[derive(Debug)]
pub(super) struct Figures {
    evaluation: Arc<Evaluation>,
    pub(super) champion: Answers,
    pub(super) challenger: Answers,
    noisy_spread: f64,
}

impl Bout {
    pub(super) fn new(duel: &Duel<'_>, plan: MeasurePlan) -> Self {
        Self {
            evaluation: Arc::clone(duel.evaluation),
            plan,
            champion: Runner::new(&duel.champion),
            challenger: Runner::new(&duel.challenger),
            next: 0,
        }
    }

    /// Has both answer the next block of queries; false once all are answered.
    pub(super) fn block(mut self, stop: &CancellationToken) -> Result<(Self, bool), TuningError> {
        let all = self.evaluation.queries();
        let block = self.next..(self.next + BLOCK).min(all);
        let evaluation = &self.evaluation;
        let (mut first, mut second) = match (self.next / BLOCK).is_multiple_of(2) {
            true => (&mut self.champion, &mut self.challenger),
            false => (&mut self.challenger, &mut self.champion),
        };
        if self.next == 0 {
            // Caches, and the processor's frequency.
            let warm_up = 0..self.plan.warm_up.min(all);
            first.ask_all(evaluation, warm_up.clone(), stop)?;
            second.ask_all(evaluation, warm_up, stop)?;
        }
        for _ in 0..self.plan.rounds.max(1) {
            for _ in 0..2 {
                first.pass(evaluation, block.clone(), stop)?;
                second.pass(evaluation, block.clone(), stop)?;
                std::mem::swap(&mut first, &mut second);
            }
        }
        self.next = block.end;
        let more = self.next < all;
        Ok((self, more))
    }

    /// What was measured until now.
    pub(super) fn figures(self) -> Figures {
        let vectors = self.evaluation.data().vectors.memory_bytes();
        Figures {
            champion: self.champion.answers(vectors),
            challenger: self.challenger.answers(vectors),
            evaluation: self.evaluation,
            noisy_spread: self.plan.noisy_spread,
        }
    }
}

impl Runner {
    fn new(fighter: &Fighter) -> Self {
        Self {
            contender: fighter.contender.clone(),
            scratch: Scratch::default(),
            repeats: Vec::new(),
            recalls: Vec::new(),
            distances: Vec::new(),
        }
    }

    fn ask(
        &mut self,
        evaluation: &Evaluation,
        at: usize,
    ) -> Result<boathouse_vector::SearchOutcome, TuningError> {
        evaluation.ask(at, &self.contender, &mut self.scratch)
    }

    fn ask_all(
        &mut self,
        evaluation: &Evaluation,
        queries: Range<usize>,
        stop: &CancellationToken,
    ) -> Result<(), TuningError> {
        for at in queries {
            alive(stop)?;
            std::hint::black_box(self.ask(evaluation, at)?);
        }
        Ok(())
    }

    fn pass(
        &mut self,
        evaluation: &Evaluation,
        queries: Range<usize>,
        stop: &CancellationToken,
    ) -> Result<(), TuningError> {
        for at in queries {
            alive(stop)?;
            let started = Instant::now();
            let found = self.ask(evaluation, at)?;
            let took = started.elapsed().as_secs_f64() * 1e6;
            match self.repeats.get_mut(at) {
                Some(repeats) => repeats.push(took),
                None => {
                    self.repeats.push(vec![took]);
                    let recall = evaluation.prepared()[at].recall(&found.neighbors);
                    self.recalls.push(recall);
                    self.distances.push(found.distances as f64);
                }
            }
        }
        Ok(())
    }

    fn answers(self, vector_bytes: usize) -> Answers {
        let latencies = self.repeats.iter().map(|repeats| median(&sorted(repeats)));
        Answers {
            latencies: latencies.collect(),
            spread: spread(&self.repeats),
            recalls: self.recalls,
            distances: self.distances,
            memory_bytes: self.contender.memory_bytes(vector_bytes),
            counted: self.contender.counts_distances(),
        }
    }
}

/// Range of the repeats' median latencies over their median.
fn spread(repeats: &[Vec<f64>]) -> f64 {
    let count = repeats.iter().map(Vec::len).min().unwrap_or(0);
    let of = |repeat: usize| {
        let pass: Vec<f64> = repeats.iter().map(|query| query[repeat]).collect();
        median(&sorted(&pass))
    };
    let medians: Vec<f64> = (0..count).map(of).collect();
    let medians = sorted(&medians);
    match (medians.first(), medians.last()) {
        (Some(low), Some(high)) if median(&medians) > 0.0 => (high - low) / median(&medians),
        _ => 0.0,
    }
}

impl Figures {
    pub(super) fn queries(&self) -> usize {
        self.champion.recalls.len()
    }

    /// What a side reached on these queries, which may be named several times.
    pub(super) fn metrics(&self, side: &Answers, queries: &[usize]) -> TrialMetrics {
        let of = |values: &[f64]| -> Vec<f64> { queries.iter().map(|at| values[*at]).collect() };
        let latencies = sorted(&of(&side.latencies));
        let (recall, interval) = mean_with_interval(&of(&side.recalls));
        let distances: f64 = of(&side.distances).iter().sum();
        TrialMetrics {
            build_time_secs: 0.0,
            search_latency_p50_us: rounded(percentile(&latencies, 0.50), 1e3),
            search_latency_p95_us: rounded(percentile(&latencies, 0.95), 1e3),
            search_latency_p99_us: rounded(percentile(&latencies, 0.99), 1e3),
            recall_at_k: rounded(recall, 1e9),
            recall_interval: Some(rounded_interval(interval, 1e9)),
            k: u32::try_from(self.evaluation.k()).ok(),
            memory_bytes: side.memory_bytes,
            vectors: self.evaluation.data().len() as u64,
            eval_queries: queries.len() as u64,
            brute_force_latency_us: rounded(self.evaluation.brute_force_latency_us(), 1e3),
            distances_per_query: side
                .counted
                .then(|| rounded(distances / queries.len().max(1) as f64, 1e3)),
        }
    }

    /// Both, with latencies by which they can be told apart.
    pub(super) fn comparable(&self) -> (Answers, Answers) {
        let (mut champion, mut challenger) = (self.champion.clone(), self.challenger.clone());
        if self.compared_by() == ComparedBy::Distances {
            let both = || [&self.champion, &self.challenger].into_iter();
            let times: f64 = both().flat_map(|side| &side.latencies).sum();
            let distances: f64 = both().flat_map(|side| &side.distances).sum();
            let cost = times / distances.max(1.0);
            for side in [&mut champion, &mut challenger] {
                side.latencies = side.distances.iter().map(|count| count * cost).collect();
            }
        }
        (champion, challenger)
    }

    fn spread(&self) -> f64 {
        self.champion.spread.max(self.challenger.spread)
    }

    fn compared_by(&self) -> ComparedBy {
        let counted = self.champion.counted && self.challenger.counted;
        match counted && self.spread() > self.noisy_spread {
            true => ComparedBy::Distances,
            false => ComparedBy::Time,
        }
    }

    /// What there is to be said without a scorer.
    pub(super) fn evidence(&self, duel: &Duel<'_>, host: String) -> Evidence {
        let all: Vec<usize> = (0..self.queries()).collect();
        let missed = |fighter: &Fighter, answers: &Answers| {
            let trial = as_trial(fighter, self.metrics(answers, &all));
            misses(&trial, duel.objective)
        };
        let side = |fighter: &Fighter, measured: &Answers, comparable: &Answers| Side {
            shortfall: missed(fighter, comparable).first().map(Miss::to_string),
            trial: fighter.trial.clone(),
            config: fighter.config,
            build_id: fighter.build_id.clone(),
            metrics: self.metrics(measured, &all),
        };
        let (champion, challenger) = self.comparable();
        let comparison = compared(&champion, &challenger);
        let champion_misses = missed(&duel.champion, &champion);
        let sure = champion_misses
            .iter()
            .find(|miss| is_sure(miss, comparison.as_ref(), self.spread()));
        Evidence {
            queries: self.queries() as u64,
            live_queries: duel.live_queries as u64,
            k: u32::try_from(self.evaluation.k()).unwrap_or(u32::MAX),
            data_version: self.evaluation.data().data_version.clone(),
            host,
            champion: side(&duel.champion, &self.champion, &champion),
            challenger: side(&duel.challenger, &self.challenger, &challenger),
            sure_shortfall: sure.map(Miss::to_string),
            comparison,
            spread: rounded(self.spread(), 1e6),
            compared_by: self.compared_by(),
            score: None,
        }
    }
}

/// Whether the champion misses a part of the objective by more than chance: the challenger finds more for sure, or
/// the time is over the budget beyond what the repeats differ by.
fn is_sure(miss: &Miss, comparison: Option<&Comparison>, spread: f64) -> bool {
    match *miss {
        Miss::Recall { .. } => comparison.is_some_and(|found| found.recall_gain_interval.low > 0.0),
        Miss::P95 { p95, budget } => p95 * (1.0 - spread / 2.0) > budget,
        Miss::Memory { .. } => true,
    }
}

/// A contender in the shape in which scorers and the host's own reading take it.
pub(super) fn as_trial(fighter: &Fighter, metrics: TrialMetrics) -> Trial {
    let id = fighter.trial.as_deref().unwrap_or("unmeasured");
    Trial {
        build_id: Some(fighter.build_id.clone()),
        ..Trial::of(id, fighter.config, metrics)
    }
}

/// The two query by query; none where a single pair says nothing about others.
fn compared(champion: &Answers, challenger: &Answers) -> Option<Comparison> {
    if champion.recalls.len() < 2 {
        return None;
    }
    let own = (&challenger.latencies[..], &challenger.recalls[..]);
    let their = (&champion.latencies[..], &champion.recalls[..]);
    let found = compare(own, their);
    Some(Comparison {
        champion_p95_us: rounded(found.champion_p95_us, 1e3),
        champion_recall: rounded(found.champion_recall, 1e9),
        latency_ratio: rounded(found.latency_ratio, 1e9),
        latency_ratio_interval: rounded_interval(found.latency_ratio_interval, 1e9),
        recall_gain: rounded(found.recall_gain, 1e9),
        recall_gain_interval: rounded_interval(found.recall_gain_interval, 1e9),
    })
}

fn rounded_interval(interval: Interval, scale: f64) -> Interval {
    Interval {
        low: rounded(interval.low, scale),
        high: rounded(interval.high, scale),
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::Objective;

    use super::*;
    use crate::duel::tests::{By, Ring};

    fn gain(low: f64) -> Comparison {
        let any = Interval {
            low: 0.9,
            high: 1.1,
        };
        Comparison {
            champion_p95_us: 100.0,
            champion_recall: 0.9,
            latency_ratio: 1.0,
            latency_ratio_interval: any,
            recall_gain: low + 0.01,
            recall_gain_interval: Interval {
                low,
                high: low + 0.02,
            },
        }
    }

    #[test]
    fn a_hair_s_breadth_at_a_bound_is_not_sure() {
        let recall = Miss::Recall {
            low: 0.9499,
            floor: 0.95,
            queries: None,
        };
        assert!(!is_sure(&recall, Some(&gain(-0.001)), 0.0));
        assert!(is_sure(&recall, Some(&gain(0.001)), 5.0));
        assert!(!is_sure(&recall, None, 0.0), "a single query");
        let p95 = |p95| Miss::P95 { p95, budget: 100.0 };
        assert!(!is_sure(&p95(104.0), Some(&gain(0.5)), 0.1));
        assert!(is_sure(&p95(106.0), None, 0.1));
        let memory = Miss::Memory { bytes: 2, cap: 1 };
        assert!(is_sure(&memory, None, 5.0));
    }

    #[tokio::test]
    async fn times_that_tell_nothing_break_no_bound() {
        let ring = Ring::noisy_above(40, 0.2).await;
        let objective = Objective {
            recall_floor: 0.5,
            p95_budget_us: Some(105.0),
            ..Objective::default()
        };
        let duel = Duel {
            evaluation: &ring.evaluation,
            live_queries: 0,
            champion: ring.fighter(40).await,
            challenger: ring.fighter(40).await,
            objective: &objective,
            scorer: &By::recall(),
        };
        let evidence = |spread| {
            let answers = |micros| Answers {
                latencies: vec![micros; 40],
                recalls: vec![1.0; 40],
                distances: vec![100.0; 40],
                memory_bytes: 1,
                counted: true,
                spread,
            };
            let figures = Figures {
                evaluation: Arc::clone(&ring.evaluation),
                champion: answers(120.0),
                challenger: answers(80.0),
                noisy_spread: 0.2,
            };
            figures.evidence(&duel, "test machine x1".to_owned())
        };
        // Both compute the same distances, so both are taken to need 100 us.
        let restless = evidence(0.5);
        assert_eq!(restless.compared_by, ComparedBy::Distances);
        assert_eq!(restless.champion.metrics.search_latency_p95_us, 120.0);
        assert_eq!(
            (&restless.champion.shortfall, &restless.sure_shortfall),
            (&None, &None)
        );
        let quiet = evidence(0.1);
        assert_eq!(quiet.champion.shortfall, quiet.sure_shortfall);
        assert!(quiet.sure_shortfall.is_some_and(|why| why.contains("p95")));
    }
}
