//! When a trial may end before all its queries are asked.
//!
//! Whatever the queries that are left give, a trial is of no use once even its optimistic bounds fall short: the
//! upper bound of its recall lies below the floor, or below the recall of a trial that computes fewer distances
//! in as little memory. Times decide nothing here: they are the part of a measurement that chance can turn.
//!
//! The bounds are looked at again and again, after each block of queries, and each look is a chance to be wrong.
//! So they are taken at 99.9 % instead of 95 %: over the nine looks of 1,000 queries a trial that does not deserve
//! it is stopped in at most half a percent of all cases (Bonferroni's inequality; one side of each interval
//! counts). Queries are asked in random order, so those asked so far stand for all.

use boathouse_types::Trial;

/// Queries between two looks, and before the first.
pub(crate) const BLOCK: usize = 100;

/// Half width of a normal interval of 99.9 %, in standard errors.
const Z: f64 = 3.290_527;

/// What a trial has to beat.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bar {
    floor: f64,
    known: Vec<Known>,
}

#[derive(Debug, Clone, PartialEq)]
struct Known {
    id: String,
    recall: f64,
    distances: f64,
    memory_bytes: u64,
}

/// What a trial found so far, query by query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoFar<'a> {
    pub(crate) recalls: &'a [f64],
    pub(crate) distances: &'a [f64],
    pub(crate) memory_bytes: u64,
}

impl Bar {
    /// The floor of an objective, and what was measured in full on the same vectors.
    #[must_use]
    pub fn new(floor: f64, comparable: &[Trial]) -> Self {
        let known = |trial: &Trial| {
            Some(Known {
                id: trial.id.clone(),
                recall: trial.metrics.recall_at_k,
                distances: trial.metrics.distances_per_query?,
                memory_bytes: trial.metrics.memory_bytes,
            })
        };
        let whole = comparable.iter().filter(|trial| trial.is_whole());
        Self {
            floor,
            known: whole.filter_map(known).collect(),
        }
    }

    /// Why nothing that is left to ask could make a trial useful; none while something could.
    pub(crate) fn missed(&self, so_far: &SoFar<'_>) -> Option<String> {
        let asked = so_far.recalls.len();
        let (recall, half) = estimate(so_far.recalls, Some(1.0));
        let best_recall = (recall + half).min(1.0);
        if best_recall < self.floor {
            return Some(format!(
                "after {asked} queries its recall is at most {best_recall:.4}, below the floor of {}",
                self.floor
            ));
        }
        let (distances, half) = estimate(so_far.distances, None);
        let least = distances - half;
        let better = self.known.iter().find(|known| {
            known.recall >= best_recall
                && known.distances <= least
                && known.memory_bytes <= so_far.memory_bytes
        })?;
        Some(format!(
            "after {asked} queries its recall is at most {best_recall:.4} at {least:.0} distances or more, and {} has {:.4} at {:.0}",
            better.id, better.recall, better.distances
        ))
    }
}

/// Mean of some values, to which an imagined one is added, and half the width of its interval. What is imagined
/// keeps values that do not differ from claiming certainty.
fn estimate(values: &[f64], imagined: Option<f64>) -> (f64, f64) {
    let all = || values.iter().copied().chain(imagined);
    let n = all().count() as f64;
    if n < 2.0 {
        return (all().sum(), f64::INFINITY);
    }
    let mean = all().sum::<f64>() / n;
    let variance = all().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, Z * (variance / n).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::testing::trial;

    fn bar(floor: f64) -> Bar {
        let mut known = trial("known", 0.97, 100.0);
        known.metrics.distances_per_query = Some(500.0);
        let mut cut = trial("cut short", 1.0, 100.0);
        cut.metrics.distances_per_query = Some(1.0);
        cut.stopped_early = Some("whatever".to_owned());
        Bar::new(floor, &[known, cut])
    }

    fn check(recall: f64, distances: f64, memory_bytes: u64, said: Option<&str>) {
        // Every other query a little above and below, so that there is a spread.
        let around = |mean: f64, by: f64| -> Vec<f64> {
            (0..400)
                .map(|at| if at % 2 == 0 { mean - by } else { mean + by })
                .collect()
        };
        let missed = bar(0.95).missed(&SoFar {
            recalls: &around(recall, 0.02),
            distances: &around(distances, 50.0),
            memory_bytes,
        });
        assert_eq!(missed.is_some(), said.is_some(), "{missed:?}");
        assert!(said.is_none_or(|said| missed.unwrap().contains(said)));
    }

    #[test]
    fn what_cannot_reach_the_floor_or_is_dominated_ends() {
        check(0.90, 10.0, 1_000, Some("below the floor of 0.95"));
        check(0.96, 600.0, 1_000, Some("known has 0.9700 at 500"));
        // In reach of the floor; more recall; fewer distances, perhaps; less memory.
        check(0.947, 100.0, 1_000, None);
        check(0.97, 600.0, 1_000, None);
        check(0.96, 505.0, 1_000, None);
        check(0.96, 600.0, 999, None);
    }

    #[test]
    fn a_trial_that_was_cut_short_proves_nothing_against_others() {
        check(0.98, 400.0, 1_000, None);
    }

    #[test]
    fn perfect_queries_are_never_below_any_floor() {
        let (recalls, distances) = (vec![1.0; BLOCK], vec![10.0; BLOCK]);
        let so_far = SoFar {
            recalls: &recalls,
            distances: &distances,
            memory_bytes: 1,
        };
        assert_eq!(bar(1.0).missed(&so_far), None);
    }

    /// A trial exactly at the floor is stopped about as rarely as the bounds promise.
    #[test]
    fn repeated_looks_rarely_stop_a_trial_at_the_floor() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let runs = 2_000;
        let stopped = (0..runs)
            .filter(|_| {
                // Neighbours of a query are found or missed together: 0, 5 or 10 of ten.
                let recalls: Vec<f64> = (0..1_000)
                    .map(|_| if rng.random_bool(0.9) { 1.0 } else { 0.5 })
                    .collect();
                let distances = vec![1.0; 1_000];
                (BLOCK..1_000).step_by(BLOCK).any(|asked| {
                    let so_far = SoFar {
                        recalls: &recalls[..asked],
                        distances: &distances[..asked],
                        memory_bytes: 1,
                    };
                    bar(0.95).missed(&so_far).is_some()
                })
            })
            .count();
        assert!(stopped * 200 <= runs, "{stopped} of {runs}");
    }
}
