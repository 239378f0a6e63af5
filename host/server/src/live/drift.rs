//! Whether live queries are still like those that an index was tuned on.
//!
//! How far a query is from its nearest neighbour says how well the vectors cover the place it asks about. Queries
//! that move elsewhere change the distribution of that distance, and its distribution needs one number a query,
//! whatever the dimension. The distances of live queries are held against those of the evaluation set by the
//! two-sample test of Kolmogorov and Smirnov. Thousands of queries make every difference significant, so it also has
//! to be large to count.
//!
//! Both sides are distances to the base alone: rows that are appended come nearer to everybody's queries, and that
//! is growth. A shift that leaves these distances alike, from one well-covered place to another, goes unseen.

use std::collections::VecDeque;

use boathouse_types::Timestamp;
use serde::Serialize;

/// Live distances that are held against the evaluation set.
const WINDOW: usize = 500;
/// Fewest live distances and fewest evaluation queries for a test.
const LEAST: usize = 100;
/// New live distances between two tests.
const STEP: usize = 100;
/// How improbable a difference has to be if both were alike.
const SIGNIFICANCE: f64 = 0.001;
/// How large the greatest difference of the two distribution functions has to be.
const LARGE: f64 = 0.15;

/// How live queries compare with those of the evaluation set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Drift {
    /// They differ: significantly, and by much.
    pub drifted: bool,
    /// Greatest difference of the two distribution functions of the distance to the nearest neighbour, in 0..=1.
    pub statistic: f64,
    /// Probability of at least that difference if both were alike.
    pub p_value: f64,
    /// Live queries.
    pub live: u64,
    /// Queries of the evaluation set.
    pub evaluation: u64,
    /// When they were compared.
    pub at: Timestamp,
}

/// Distances of live queries to their nearest neighbour.
#[derive(Debug, Default)]
pub(super) struct Distances {
    /// Version of the base that they are measured to.
    data_version: String,
    nearest: VecDeque<f32>,
    /// Added since the last test.
    fresh: usize,
    /// Added since somebody was told of a drift; none when nobody was.
    since_told: Option<usize>,
    found: Option<Drift>,
}

impl Distances {
    /// Adds a distance. Gives all of them when it is time for a test.
    pub(super) fn add(&mut self, data_version: &str, distance: f32) -> Option<Vec<f32>> {
        if self.data_version != data_version {
            *self = Self {
                data_version: data_version.to_owned(),
                ..Self::default()
            };
        }
        if self.nearest.len() == WINDOW {
            self.nearest.pop_front();
        }
        self.nearest.push_back(distance);
        self.fresh += 1;
        if let Some(since) = &mut self.since_told {
            *since += 1;
        }
        let due = self.fresh >= STEP && self.nearest.len() >= LEAST;
        due.then(|| {
            self.fresh = 0;
            self.nearest.iter().copied().collect()
        })
    }

    /// Keeps the outcome of a test; true when somebody is to be told: at most once a window.
    pub(super) fn note(&mut self, found: Option<Drift>) -> bool {
        self.found = found;
        let told = self.since_told.is_some_and(|since| since < WINDOW);
        let tell = found.is_some_and(|found| found.drifted) && !told;
        if tell {
            self.since_told = Some(0);
        }
        tell
    }

    pub(super) fn found(&self) -> Option<Drift> {
        self.found
    }
}

/// Compares distances of live queries with those of an evaluation set; none when there are too few of those.
pub(super) fn compared(live: Vec<f32>, evaluation: Vec<f32>, at: Timestamp) -> Option<Drift> {
    if live.len() < LEAST || evaluation.len() < LEAST {
        return None;
    }
    let (lives, evaluations) = (live.len() as u64, evaluation.len() as u64);
    let (statistic, p_value) = kolmogorov_smirnov(live, evaluation);
    Some(Drift {
        drifted: p_value < SIGNIFICANCE && statistic >= LARGE,
        statistic,
        p_value,
        live: lives,
        evaluation: evaluations,
        at,
    })
}

/// The two-sample statistic of Kolmogorov and Smirnov and its probability by the asymptotic distribution
/// (N. Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of Mathematical
/// Statistics 19, 1948): with `e` = nm/(n+m), the probability of a statistic of at least `d` tends to `Q(d √e)`,
/// where `Q(x) = 2 Σ (-1)^(j-1) exp(-2 j² x²)` for j = 1, 2, ...
fn kolmogorov_smirnov(mut one: Vec<f32>, mut other: Vec<f32>) -> (f64, f64) {
    one.sort_by(f32::total_cmp);
    other.sort_by(f32::total_cmp);
    let (n, m) = (one.len() as f64, other.len() as f64);
    let (mut i, mut j, mut statistic) = (0, 0, 0.0_f64);
    while i < one.len() && j < other.len() {
        // Equal values are passed in both before the functions are compared.
        let at = one[i].min(other[j]);
        i += one[i..].partition_point(|value| *value <= at);
        j += other[j..].partition_point(|value| *value <= at);
        statistic = statistic.max((i as f64 / n - j as f64 / m).abs());
    }
    let scale = (n * m / (n + m)).sqrt();
    (statistic, kolmogorov(statistic * scale))
}

/// `Q` of [`kolmogorov_smirnov`].
fn kolmogorov(x: f64) -> f64 {
    // Below, the sum is 1 to fifteen digits and converges slowly.
    if x < 0.2 {
        return 1.0;
    }
    let (mut sum, mut sign) = (0.0, 1.0);
    for j in 1..=100_u32 {
        let term = (-2.0 * (f64::from(j) * x).powi(2)).exp();
        sum += sign * term;
        sign = -sign;
        if term < 1e-16 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn numbers(from: u16, count: u16) -> Vec<f32> {
        (from..from + count).map(f32::from).collect()
    }

    #[track_caller]
    fn near(found: f64, expected: f64, within: f64) {
        assert!(
            (found - expected).abs() < within,
            "{found} is not {expected}"
        );
    }

    /// Critical values of Smirnov's table.
    #[test]
    fn the_distribution_has_the_known_quantiles() {
        for (x, p) in [
            (1.2239, 0.10),
            (1.3581, 0.05),
            (1.6276, 0.01),
            (1.9495, 0.001),
        ] {
            near(kolmogorov(x), p, p / 500.0);
        }
        near(kolmogorov(0.5), 0.963_945, 1e-6);
        assert_eq!(kolmogorov(0.0), 1.0);
        assert!(kolmogorov(30.0) < 1e-12);
    }

    /// By hand: of {1, 2, 3, 4} and {3, 4, 5, 6} half are below 3 on one side and none on the other.
    #[test]
    fn the_statistic_of_small_samples_is_what_a_hand_finds() {
        let check = |one: &[f32], other: &[f32], expected: f64| {
            let (found, _) = kolmogorov_smirnov(one.to_vec(), other.to_vec());
            near(found, expected, 1e-12);
            let (swapped, _) = kolmogorov_smirnov(other.to_vec(), one.to_vec());
            near(swapped, expected, 1e-12);
        };
        check(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0], 0.5);
        check(&[1.0, 2.0], &[3.0, 4.0], 1.0);
        check(&[1.0, 2.0, 2.0, 2.0], &[2.0, 2.0, 2.0, 3.0], 0.25);
        check(&[5.0; 7], &[5.0; 3], 0.0);
        check(&[0.1, 0.4, 0.7], &[0.2, 0.5, 0.6, 0.9, 1.0], 7.0 / 15.0);
        // 100 against 100, moved by 50: e is 50, and the first term of the sum is all there is.
        let (d, p) = kolmogorov_smirnov(numbers(0, 100), numbers(50, 100));
        near(d, 0.5, 1e-12);
        near(p, 2.0 * (-2.0 * 0.25 * 50.0_f64).exp(), 1e-15);
    }

    #[test]
    fn only_a_large_and_sure_difference_is_a_drift() {
        let at = Timestamp::from_millis(NOW);
        let found = |live, evaluation| compared(live, evaluation, at);
        assert_eq!(found(numbers(0, 99), numbers(0, 500)), None);
        assert_eq!(found(numbers(0, 500), numbers(0, 99)), None);
        let alike = found(numbers(0, 500), numbers(1, 500)).unwrap();
        assert!(!alike.drifted && alike.p_value > 0.9, "{alike:?}");
        let sure_but_small = found(numbers(0, 5_000), numbers(500, 5_000)).unwrap();
        assert!(sure_but_small.p_value < SIGNIFICANCE && !sure_but_small.drifted);
        let moved = found(numbers(0, 500), numbers(200, 1_000)).unwrap();
        assert!(moved.drifted, "{moved:?}");
        assert_eq!((moved.live, moved.evaluation), (500, 1_000));
    }

    #[test]
    fn a_test_is_due_every_hundred_and_a_drift_is_told_once_a_window() {
        let mut distances = Distances::default();
        let drift = compared(
            numbers(0, 500),
            numbers(400, 500),
            Timestamp::from_millis(NOW),
        );
        assert!(drift.unwrap().drifted);
        let (mut due, mut told) = (0, Vec::new());
        for number in 0..1_300 {
            if let Some(all) = distances.add("v1", 1.0) {
                due += 1;
                assert_eq!(all.len(), (number + 1).min(WINDOW));
                if distances.note(drift) {
                    told.push(number + 1);
                }
            }
        }
        assert_eq!((due, told), (13, vec![100, 600, 1_100]));
        assert_eq!(distances.found(), drift);
        assert!(!distances.note(None));
        assert_eq!(distances.found(), None);
    }

    #[test]
    fn distances_to_another_base_begin_anew() {
        let mut distances = Distances::default();
        for _ in 0..99 {
            assert_eq!(distances.add("v1", 1.0), None);
        }
        for _ in 0..99 {
            assert_eq!(distances.add("v2", 2.0), None);
        }
        assert_eq!(distances.add("v2", 2.0), Some(vec![2.0; 100]));
    }
}
