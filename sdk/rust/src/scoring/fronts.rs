//! Non-dominated sorting: which points nobody beats, which nobody beats once those are gone, and so on.
//!
//! It is the efficient non-dominated sort with binary search over fronts (Zhang, Tian, Cheng and Jin,
//! 2015, ENS-BS). Taken in lexicographic order, a point can only be dominated by those before it; and if
//! a front holds somebody who dominates it, then so does every front before that one. The first aim is
//! settled by the order, so a front is asked in the other aims alone, and of its members it keeps only
//! its edge, sorted by the second aim. With up to three aims the edge is a staircase, whose one step
//! before the point decides: O(n log^2 n) comparisons in all. With more aims all steps before the point
//! are asked, n^2 / 2 comparisons at worst, when nobody dominates anybody.
//!
//! The file names nothing else of the crate.

use std::cmp::Ordering;

/// Pareto fronts of points with one number per aim, less being better; negate what should be large.
///
/// A point dominates another when it is nowhere worse and somewhere better. Front 0 is what nobody
/// dominates, front 1 what nobody dominates once front 0 is taken away, and so on; the answer has
/// one front per point, in their order. Equal points share a front, both zeros are one number, and a
/// point with a NaN neither dominates nor is dominated.
///
/// The sort is the efficient non-dominated sort with binary search (Zhang, Tian, Cheng and Jin, 2015):
/// O(n log^2 n) comparisons with up to three aims, n^2 / 2 at worst with more.
#[must_use]
pub fn fronts<const AIMS: usize>(points: &[[f64; AIMS]]) -> Vec<u32> {
    // Adding zero makes both zeros one, so that the order of sorting agrees with domination.
    let rows = points.iter().map(|point| point.map(|number| number + 0.0));
    let mut rows: Vec<([f64; AIMS], usize)> = rows.zip(0..).collect();
    rows.retain(|(point, _)| !point.iter().any(|number| number.is_nan()));
    rows.sort_unstable_by(|(a, _), (b, _)| lexicographic(a, b));

    let mut answer = vec![0; points.len()];
    let mut fronts: Vec<Edge<AIMS>> = Vec::new();
    let mut previous: Option<([f64; AIMS], u32)> = None;
    for (point, row) in rows {
        let front = match previous {
            Some((same, front)) if same == point => front,
            _ => {
                let front = fronts.partition_point(|front| front.dominates(&point));
                if front == fronts.len() {
                    fronts.push(Edge::default());
                }
                fronts[front].insert(point);
                u32::try_from(front).unwrap_or(u32::MAX)
            }
        };
        answer[row] = front;
        previous = Some((point, front));
    }
    answer
}

fn lexicographic(a: &[f64], b: &[f64]) -> Ordering {
    let mut aims = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
    aims.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Those members of a front that decide what it dominates from here on, by their second aim.
struct Edge<const AIMS: usize> {
    steps: Vec<[f64; AIMS]>,
}

impl<const AIMS: usize> Default for Edge<AIMS> {
    fn default() -> Self {
        Self { steps: Vec::new() }
    }
}

impl<const AIMS: usize> Edge<AIMS> {
    /// Whether a member is nowhere worse than the point, which comes after all members and equals none.
    fn dominates(&self, point: &[f64; AIMS]) -> bool {
        let before = self
            .steps
            .partition_point(|step| second(step) <= second(point));
        // The third aim falls along a staircase, so its last step is the one to beat.
        let deciding = if AIMS <= 3 { 1 } else { before };
        let mut latest_first = self.steps[..before].iter().rev().take(deciding);
        latest_first.any(|step| covers(step, point))
    }

    /// Adds a point that no member dominates, in place of the steps next to it that it covers.
    fn insert(&mut self, point: [f64; AIMS]) {
        let start = self
            .steps
            .partition_point(|step| second(step) < second(&point));
        let next = self.steps[start..].iter();
        let covered = next.take_while(|step| covers(&point, *step)).count();
        self.steps.splice(start..start + covered, [point]);
    }
}

/// The second aim; with a single one all points tie in it.
fn second(point: &[f64]) -> f64 {
    point.get(1).copied().unwrap_or(0.0)
}

/// Whether `a` is nowhere worse than `b` from the second aim on.
fn covers(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).skip(1).all(|(a, b)| a <= b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dominates(a: &[f64], b: &[f64]) -> bool {
        let mut aims = a.iter().zip(b);
        aims.clone().all(|(a, b)| a <= b) && aims.any(|(a, b)| a < b)
    }

    /// The definition, peeled front by front.
    fn by_definition<const AIMS: usize>(points: &[[f64; AIMS]]) -> Vec<u32> {
        let mut answer = vec![u32::MAX; points.len()];
        let mut left: Vec<usize> = (0..points.len()).collect();
        for front in 0.. {
            let beaten = |row: &usize| left.iter().any(|by| dominates(&points[*by], &points[*row]));
            let (behind, best): (Vec<usize>, Vec<usize>) = left.iter().partition(|row| beaten(row));
            if best.is_empty() {
                break;
            }
            best.into_iter().for_each(|row| answer[row] = front);
            left = behind;
        }
        answer
    }

    /// Few levels make many equal numbers and points, many levels hardly any.
    fn agrees_with_the_definition<const AIMS: usize>() {
        let mut state = 7_u64;
        // Knuth's linear congruential generator (MMIX).
        let mut draw = |levels: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % levels) as f64 - 1.0
        };
        for levels in [2, 4, 50, 1 << 30] {
            for length in [1, 2, 17, 120] {
                let points: Vec<[f64; AIMS]> = (0..length)
                    .map(|_| std::array::from_fn(|_| draw(levels)))
                    .collect();
                let (told, expected) = (fronts(&points), by_definition(&points));
                assert_eq!(told, expected, "{AIMS} aims, {levels} levels, {length}");
            }
        }
    }

    #[test]
    fn any_number_of_aims_agrees_with_the_definition() {
        agrees_with_the_definition::<0>();
        agrees_with_the_definition::<1>();
        agrees_with_the_definition::<2>();
        agrees_with_the_definition::<3>();
        agrees_with_the_definition::<4>();
        agrees_with_the_definition::<6>();
    }

    #[test]
    fn nothing_one_and_equals() {
        assert_eq!(fronts::<3>(&[]), [0; 0]);
        assert_eq!(fronts(&[[1.0]]), [0]);
        assert_eq!(fronts(&[[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), [0, 0, 1]);
    }

    #[test]
    fn both_zeros_are_one_number() {
        assert_eq!(fronts(&[[-0.0, 2.0], [0.0, 1.0]]), [1, 0]);
        assert_eq!(fronts(&[[0.0, -0.0], [-0.0, 0.0]]), [0, 0]);
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
        let points: Vec<[f64; 3]> = (0..1_000).rev().map(|n| [f64::from(n); 3]).collect();
        assert_eq!(fronts(&points), (0..1_000).rev().collect::<Vec<u32>>());
    }

    #[test]
    fn nan_stands_apart_and_infinity_does_not() {
        let nan = f64::NAN;
        assert_eq!(fronts(&[[nan, 1.0], [0.0, 0.0], [1.0, 1.0]]), [0, 0, 1]);
        assert_eq!(fronts(&[[-nan, 0.0], [0.0, 0.0], [0.0, nan]]), [0, 0, 0]);
        let (least, most) = (f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(
            fronts(&[[most, 0.0], [least, 0.0], [least, most]]),
            [1, 0, 1]
        );
    }
}
