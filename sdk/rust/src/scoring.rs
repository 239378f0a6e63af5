//! Plugins that decide which trial is best: feasibility, Pareto front and rank.
//!
//! What a plugin is written for is its taste, the score. The two parts that most plugins share are
//! here: [`fronts`], and [`Objective::is_met_by`] for feasibility.

use std::cmp::Ordering;

use crate::{Description, Error, Objective, Trials};

/// A scoring plugin: a pure function of its input.
pub trait Scoring {
    /// What the plugin says of itself.
    fn describe() -> Description;

    /// Judges every trial; the answer has exactly one verdict per trial, in the order of the input.
    ///
    /// # Errors
    ///
    /// Whatever keeps the plugin from judging; then no trial of this call is judged.
    fn evaluate(trials: &Trials, objective: &Objective) -> Result<Vec<Verdict>, Error>;
}

/// The word on one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Meets every bound of the objective.
    pub feasible: bool,
    /// 0 = not dominated by any trial, 1 = not dominated once front 0 is taken away, and so on.
    pub front: u32,
    /// Higher is better. Never NaN: the host refuses the whole answer otherwise.
    pub score: f64,
    /// Why, in a few words.
    pub reason: Option<String>,
}

/// Pareto fronts of points with one number per aim, less being better; negate what should be large.
///
/// A point dominates another when it is nowhere worse and somewhere better. Front 0 is what nobody
/// dominates, front 1 what nobody dominates once front 0 is taken away, and so on; the answer has
/// one front per point, in their order. Equal points share a front, and NaN neither dominates nor is
/// dominated.
///
/// The sort is the efficient non-dominated sort with sequential search (Zhang, Tian, Cheng and Jin,
/// 2015): a point is compared with members of fronts only, so it costs n^2 / 2 comparisons when
/// nobody dominates anybody and less otherwise.
#[must_use]
pub fn fronts<const AIMS: usize>(points: &[[f64; AIMS]]) -> Vec<u32> {
    // Both zeros are one number here, so that the order of sorting agrees with domination.
    let points: Vec<[f64; AIMS]> = points
        .iter()
        .map(|point| point.map(|number| number + 0.0))
        .collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| {
        let aims = points[a].iter().zip(&points[b]);
        let mut orders = aims.map(|(a, b)| a.total_cmp(b));
        orders
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut fronts = vec![0; points.len()];
    for row in order {
        // Whoever dominates a point stands before it; the latest are the most likely to.
        let dominated = |front: &Vec<usize>| {
            let mut latest_first = front.iter().rev();
            latest_first.any(|&other| dominates(&points[other], &points[row]))
        };
        let front = members.iter().position(|front| !dominated(front));
        let front = front.unwrap_or(members.len());
        if front == members.len() {
            members.push(Vec::new());
        }
        members[front].push(row);
        fronts[row] = u32::try_from(front).unwrap_or(u32::MAX);
    }
    fronts
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut aims = a.iter().zip(b);
    aims.clone().all(|(a, b)| a <= b) && aims.any(|(a, b)| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_one_and_equals() {
        assert_eq!(fronts::<3>(&[]), [0; 0]);
        assert_eq!(fronts(&[[1.0]]), [0]);
        assert_eq!(fronts(&[[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), [0, 0, 1]);
        assert_eq!(fronts(&[[-0.0, 2.0], [0.0, 1.0]]), [1, 0]);
    }

    #[test]
    fn one_better_aim_is_enough_to_stay_on_the_front() {
        let points = [
            [-0.99, 900.0, 9.0],
            [-0.90, 300.0, 9.0],
            [-0.80, 400.0, 5.0],
            [-0.80, 500.0, 9.0],
        ];
        assert_eq!(fronts(&points), [0, 0, 0, 1]);
    }

    #[test]
    fn a_chain_has_as_many_fronts_as_points() {
        let points: Vec<[f64; 2]> = (0..100).rev().map(|n| [f64::from(n); 2]).collect();
        assert_eq!(fronts(&points), (0..100).rev().collect::<Vec<u32>>());
    }

    #[test]
    fn nan_stands_apart() {
        assert_eq!(
            fronts(&[[f64::NAN, 1.0], [0.0, 0.0], [1.0, 1.0]]),
            [0, 0, 1]
        );
    }
}
