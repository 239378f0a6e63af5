//! Links by `hnsw_rs`, the reference builder, taken over into the flat form.
//!
//! How the library is used, and why:
//! - Its points are row numbers and its distance looks the vectors up here, so vectors are not copied
//!   and our kernels are used. Distances are shifted to be at least 0, which it asserts.
//! - It draws the levels itself, from a fixed seed, in the order of insertion. Our seed decides that
//!   order, so it still decides the graph.
//! - Two threads that insert at the same time lock each other out for good when one row reaches level
//!   2 and the other level 1, each meets the other, and the timing is unlucky: a row is held for
//!   reading while its links of one layer are mirrored, and is already visible through the layer
//!   above. So rows of level 2 and more are inserted while nothing else is. Which ones those are is
//!   found by a rehearsal: the same number of insertions without vectors, a few microseconds each.
//! - The first rows are inserted one by one, so that the graph does not start in pieces.
//! - Left over in a row's lists are links noted on layers above its own level, and links to rows that
//!   are not on the layer; both are dropped.

use std::ops::{ControlFlow, Range};

use boathouse_types::Metric;
use hnsw_rs::prelude::{Distance, Hnsw};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::{ThreadPool, prelude::*};

use crate::graph::{
    BuildOptions,
    layers::{Layers, MAX_LEVEL},
};
use crate::{error::VectorError, set::VectorSet};

/// Insertions between two calls of `progress`, at most.
const BATCH: usize = 512;

/// Rows that are inserted one by one at the start.
const FIRST: usize = 256;

/// Links all rows of the set.
pub(in crate::graph) fn build(
    set: &VectorSet,
    options: &BuildOptions,
    threads: &ThreadPool,
    progress: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Layers, VectorError> {
    let mut order: Vec<u32> = (0..set.rows()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
    let levels = match threads.current_num_threads() {
        1 => vec![0; order.len()],
        _ => rehearse_levels(options.m as usize, order.len()),
    };
    let points = Hnsw::new(
        options.m as usize,
        order.len(),
        usize::from(MAX_LEVEL) + 1,
        options.ef_construction as usize,
        RowDistance::over(set),
    );
    let linked = insert_all(&points, &order, &levels, threads, progress)
        .map(|()| take_over(&points, options.m as usize, order.len()));
    // Dropping works in parallel too and stays within the threads of the build.
    threads.install(move || drop(points));
    linked
}

fn insert_all(
    points: &Hnsw<'_, u32, RowDistance<'_>>,
    order: &[u32],
    levels: &[u8],
    threads: &ThreadPool,
    progress: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<(), VectorError> {
    let insert = |&row: &u32| points.insert((&[row], row as usize));
    let mut done = 0;
    while done < order.len() {
        let batch = next_batch(levels, done);
        done = batch.end;
        let rows = &order[batch];
        if threads.current_num_threads() == 1 || rows.len() == 1 {
            rows.iter().for_each(insert);
        } else {
            threads.install(|| rows.par_iter().for_each(insert));
        }
        if progress(done).is_break() {
            return Err(VectorError::Cancelled);
        }
    }
    Ok(())
}

/// The insertions from `start` on that may happen at the same time; `levels` are in their order.
fn next_batch(levels: &[u8], start: usize) -> Range<usize> {
    let alone = |index: usize| index < FIRST || levels[index] >= 2;
    if alone(start) {
        return start..start + 1;
    }
    let limit = levels.len().min(start + BATCH);
    let end = (start..limit).find(|&index| alone(index));
    start..end.unwrap_or(limit)
}

/// The levels that so many insertions get, in their order.
fn rehearse_levels(m: usize, rows: usize) -> Vec<u8> {
    /// A distance under which every search ends at once.
    struct Nowhere;
    impl Distance<u8> for Nowhere {
        fn eval(&self, _: &[u8], _: &[u8]) -> f32 {
            0.0
        }
    }
    let points = Hnsw::<u8, _>::new(m, rows, usize::from(MAX_LEVEL) + 1, 1, Nowhere);
    for index in 0..rows {
        points.insert((&[], index));
    }
    levels_by_origin(&points, rows)
}

fn levels_by_origin<T, D>(points: &Hnsw<'_, T, D>, rows: usize) -> Vec<u8>
where
    T: Clone + Send + Sync,
    D: Distance<T> + Send + Sync,
{
    let mut levels = vec![0; rows];
    for layer in 1..=points.get_max_level_observed() {
        for point in points
            .get_point_indexation()
            .get_layer_iterator(usize::from(layer))
        {
            levels[point.get_origin_id()] = layer;
        }
    }
    levels
}

/// Copies levels and links out of the library's points.
fn take_over(points: &Hnsw<'_, u32, RowDistance<'_>>, m: usize, rows: usize) -> Layers {
    let mut layers = Layers::unlinked(m, levels_by_origin(points, rows));
    if rows == 0 {
        return layers;
    }
    let indexation = points.get_point_indexation();
    for level in 0..=points.get_max_level_observed() {
        // The first row of the highest level is where the library starts its searches.
        for (position, point) in indexation
            .get_layer_iterator(usize::from(level))
            .enumerate()
        {
            let row = point.get_origin_id() as u32;
            if position == 0 && level == points.get_max_level_observed() {
                layers.entry = row;
            }
            for (layer, links) in (0..=level).zip(point.get_neighborhood_id()) {
                let mut links: Vec<u32> = links
                    .iter()
                    .filter(|link| link.p_id.0 >= layer)
                    .map(|link| link.d_id as u32)
                    .filter(|&link| link != row)
                    .collect();
                let mut seen = std::collections::HashSet::new();
                links.retain(|&link| seen.insert(link));
                layers.set_links(row, layer, links);
            }
        }
    }
    layers
}

/// Distance between rows of a set, at least 0.
struct RowDistance<'a> {
    set: &'a VectorSet,
    least: f32,
}

impl<'a> RowDistance<'a> {
    fn over(set: &'a VectorSet) -> Self {
        // By Cauchy and Schwarz no inner product of two rows exceeds the greatest squared norm.
        let least = match set.metric() {
            Metric::Cosine | Metric::L2 => 0.0,
            Metric::Dot => {
                let own = (0..set.rows()).map(|row| set.between(row, row));
                own.fold(0.0, f32::min)
            }
        };
        Self { set, least }
    }
}

impl Distance<u32> for RowDistance<'_> {
    #[inline]
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        match (a, b) {
            (&[a], &[b]) => (self.set.between(a, b) - self.least).max(0.0),
            // Every point is inserted with exactly one row number.
            _ => f32::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::clustered;

    #[test]
    fn the_rehearsal_foretells_the_levels() {
        let (set, _) = clustered(1_500, 8, 0, Metric::L2, 5);
        for m in [2, 4, 16] {
            let foretold = rehearse_levels(m, 1_500);
            let points = Hnsw::new(m, 1_500, 16, 8, RowDistance::over(&set));
            for row in 0..1_500_u32 {
                points.insert((&[row], row as usize));
            }
            assert_eq!(levels_by_origin(&points, 1_500), foretold);
        }
    }

    #[test]
    fn batches_cover_everything_once_and_leave_high_rows_alone() {
        let mut levels = vec![0_u8; 3_000];
        for (index, level) in [(0, 3), (300, 2), (301, 4), (999, 2), (1_000, 1), (2_999, 2)] {
            levels[index] = level;
        }
        let mut start = 0;
        while start < levels.len() {
            let batch = next_batch(&levels, start);
            assert_eq!(batch.start, start);
            assert!((1..=BATCH).contains(&batch.len()));
            assert!(batch.len() == 1 || batch.clone().all(|i| i >= FIRST && levels[i] < 2));
            start = batch.end;
        }
        assert_eq!(start, levels.len());
    }
}
