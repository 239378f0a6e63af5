//! Chooses guides: rows that lie where the others are, so that the nearest of them tells the cluster of a query.
//!
//! Greedy k-centre (T. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985) over a sample of the
//! rows: the next guide is the row that is farthest from all guides so far. Where clusters lie farther apart than they
//! are wide, each gets a guide before any gets a second one, whatever their sizes. It ends when no row of the sample is
//! much farther from its guide than neighbours are from each other, or at [`MOST`] guides; then some clusters
//! may have none.
//!
//! A guided search compares the query with all guides, so there are no more than that, and at most one for
//! [`ROWS_A_GUIDE`] rows. The choice depends on the vectors and the seed alone.

use std::ops::ControlFlow;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::strays::drawn;
use crate::{error::VectorError, gauge::Gauge, set::VectorSet};

/// Guides that a graph can have.
pub(super) const MOST: usize = 1_024;

/// There is at most one guide for so many rows.
const ROWS_A_GUIDE: usize = 8;

/// Rows among which guides are chosen: of 1,000 clusters of like size, one in ten million is missed.
const SAMPLE: usize = 16_384;

/// Rows whose neighbours tell how far neighbours are from each other.
const PROBES: usize = 64;

/// How many times farther from its guide than neighbours are from each other a row may be. Distances are squared
/// lengths, so this is twice as far.
const COVERED: f32 = 4.0;

/// Guides for a set, in ascending order: none, or at least two. `progress` is told that all rows are linked, and may
/// stop it.
///
/// # Errors
/// [`VectorError::Cancelled`] when `progress` broke.
pub(super) fn choose(
    set: &VectorSet,
    seed: u64,
    progress: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Vec<u32>, VectorError> {
    let most = MOST.min(set.len() / ROWS_A_GUIDE);
    if most < 2 {
        return Ok(Vec::new());
    }
    let rows = drawn(&mut ChaCha8Rng::seed_from_u64(seed), set.len(), SAMPLE);
    let mut sample = Sample::of(set, rows);
    let covered = COVERED * sample.neighbour_gap();
    let mut from_guide = vec![f32::INFINITY; sample.rows.len()];
    let mut guides = Vec::new();
    let mut next = 0;
    while guides.len() < most {
        if progress(set.len()).is_break() {
            return Err(VectorError::Cancelled);
        }
        guides.push(sample.rows[next]);
        for (least, &gap) in from_guide.iter_mut().zip(sample.gaps(next)) {
            *least = least.min(gap);
        }
        let farthest = (0..from_guide.len()).max_by(|&a, &b| {
            // The first of equals.
            from_guide[a].total_cmp(&from_guide[b]).then(b.cmp(&a))
        });
        match farthest {
            Some(row) if from_guide[row] > covered => next = row,
            _ => break,
        }
    }
    if guides.len() < 2 {
        guides.clear();
    }
    guides.sort_unstable();
    Ok(guides)
}

/// Rows among which guides are chosen.
struct Sample<'a> {
    gauge: Gauge<'a>,
    rows: Vec<u32>,
    /// Distance of each row to itself, which is not zero for inner products.
    own: Vec<f32>,
    gaps: Vec<f32>,
}

impl<'a> Sample<'a> {
    fn of(set: &'a VectorSet, rows: Vec<u32>) -> Self {
        Self {
            gauge: Gauge::of_row(set, rows[0]),
            own: rows.iter().map(|&row| set.between(row, row)).collect(),
            gaps: Vec::with_capacity(rows.len()),
            rows,
        }
    }

    /// How far each row is from the one at a position: the distance above the mean of their distances to
    /// themselves. That is the distance itself for cosine and squared Euclidean ones, and half the squared Euclidean one
    /// for inner products, by which long rows would be near to all and short ones to none.
    fn gaps(&mut self, at: usize) -> &[f32] {
        self.gauge.aim(self.rows[at]);
        self.gaps.clear();
        self.gauge.distances(&self.rows, &mut self.gaps);
        let own = self.own[at];
        for (gap, other) in self.gaps.iter_mut().zip(&self.own) {
            *gap = (*gap - f32::midpoint(own, *other)).max(0.0);
        }
        // Not told by rounded codes.
        self.gaps[at] = 0.0;
        &self.gaps
    }

    /// The median distance of a row to its nearest neighbour in the sample.
    fn neighbour_gap(&mut self) -> f32 {
        let step = self.rows.len().div_ceil(PROBES);
        let mut nearest: Vec<f32> = (0..self.rows.len())
            .step_by(step)
            .map(|at| {
                let gaps = self.gaps(at).iter().enumerate();
                let others = gaps.filter(|&(other, _)| other != at);
                others.fold(f32::INFINITY, |least, (_, &gap)| least.min(gap))
            })
            .collect();
        nearest.sort_unstable_by(f32::total_cmp);
        nearest[nearest.len() / 2]
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::Metric;

    use super::*;
    use crate::{graph::apart::far_apart, samples::dimension};

    fn chosen(set: &VectorSet) -> Vec<u32> {
        choose(set, 3, &|_| ControlFlow::Continue(())).expect("guides")
    }

    #[test]
    fn every_cluster_gets_a_guide_and_hardly_any_a_second() {
        for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
            for encoded in [false, true] {
                let set = far_apart(40, 50, 64, metric);
                if encoded {
                    set.encode();
                }
                let guides = chosen(&set);
                let mut clusters: Vec<u32> = guides.iter().map(|guide| guide / 50).collect();
                clusters.dedup();
                assert_eq!(clusters.len(), 40, "{metric:?}");
                assert!(guides.len() <= 44, "{metric:?}: {}", guides.len());
                assert!(guides.is_sorted());
                assert_eq!(guides, chosen(&set));
            }
        }
    }

    #[test]
    fn guides_are_few_and_never_one() {
        let check = |rows: u32, expected| {
            let mut builder = VectorSet::builder(dimension(2), Metric::L2);
            for row in 0..rows {
                builder
                    .push(&[(1.5_f32).powi(row as i32 % 100), 1.0])
                    .expect("a row");
            }
            assert_eq!(chosen(&builder.finish()).len(), expected, "{rows} rows");
        };
        for (rows, expected) in [(0, 0), (15, 0), (16, 2), (64, 8)] {
            check(rows, expected);
        }
        let mut builder = VectorSet::builder(dimension(2), Metric::L2);
        for _ in 0..500 {
            builder.push(&[1.0, 1.0]).expect("a row");
        }
        assert!(chosen(&builder.finish()).is_empty(), "copies of one row");
    }

    #[test]
    fn the_choice_stops_when_told() {
        let set = far_apart(40, 50, 16, Metric::L2);
        let stopped = choose(&set, 3, &|_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(VectorError::Cancelled)));
    }
}
