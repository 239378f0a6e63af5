//! Exact search: every row is compared, so the answer is the truth that graphs are measured against.
//!
//! Answers are ascending by distance, ties by row, each row once. That order is carried by one `u64`
//! per candidate (see [`key`]), so comparing two candidates is comparing two integers. Ground truth
//! for many queries walks the rows in tiles that stay in the cache while all queries of a thread pass.

use std::collections::BinaryHeap;

use crate::set::{Query, VectorSet};

/// A row and its distance to the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Row of the set.
    pub row: u32,
    /// Distance under the set's metric.
    pub distance: f32,
}

/// The `k` nearest rows among those that `keep` accepts, nearest first; fewer when fewer match.
#[must_use]
pub fn exact_top_k(
    set: &VectorSet,
    query: &Query,
    k: usize,
    keep: impl Fn(u32) -> bool,
) -> Vec<Neighbor> {
    exact_counted(set, query, k, keep).0
}

/// [`exact_top_k`] over all rows for many queries, on up to `threads` threads; answers in the order
/// of the queries.
#[must_use]
pub fn exact_top_k_batch(
    set: &VectorSet,
    queries: &[Query],
    k: usize,
    threads: usize,
) -> Vec<Vec<Neighbor>> {
    let share = queries.len().div_ceil(threads.max(1)).max(1);
    if share >= queries.len() {
        return tiled(set, queries, k);
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = queries
            .chunks(share)
            .map(|queries| scope.spawn(move || tiled(set, queries, k)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(answers) => answers,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}

/// [`exact_top_k`] with the number of distances it took.
pub(crate) fn exact_counted(
    set: &VectorSet,
    query: &Query,
    k: usize,
    keep: impl Fn(u32) -> bool,
) -> (Vec<Neighbor>, u64) {
    let mut nearest = Nearest::new(k, set.len());
    let mut distances = 0;
    let mut block = Block::default();
    let end = if k > 0 { set.rows() } else { 0 };
    for row in (0..end).filter(|&row| keep(row)) {
        distances += 1;
        block.rows.push(row);
        if block.rows.len() == BLOCK {
            block.offer_to(&mut nearest, set, query);
            block.rows.clear();
        }
    }
    block.offer_to(&mut nearest, set, query);
    (nearest.into_sorted(), distances)
}

/// Rows compared in one call.
const BLOCK: usize = 64;

/// Rows that are compared together.
#[derive(Default)]
struct Block {
    rows: Vec<u32>,
    distances: Vec<f32>,
}

impl Block {
    fn offer_to(&mut self, nearest: &mut Nearest, set: &VectorSet, query: &Query) {
        self.distances.clear();
        set.distances_to(&query.values, &self.rows, &mut self.distances);
        for (&row, &distance) in self.rows.iter().zip(&self.distances) {
            nearest.offer(key(distance, row));
        }
    }
}

fn tiled(set: &VectorSet, queries: &[Query], k: usize) -> Vec<Vec<Neighbor>> {
    /// Bytes of rows that share the second-level cache with the queries.
    const TILE_BYTES: usize = 128 * 1024;
    let tile = u32::try_from(TILE_BYTES / set.row_bytes()).map_or(1, |rows| rows.max(1));
    let mut nearest: Vec<_> = queries.iter().map(|_| Nearest::new(k, set.len())).collect();
    let mut block = Block::default();
    for start in (0..set.rows()).step_by(tile as usize) {
        let end = start.saturating_add(tile).min(set.rows());
        block.rows.clear();
        block.rows.extend(start..end);
        for (query, nearest) in queries.iter().zip(&mut nearest) {
            block.offer_to(nearest, set, query);
        }
    }
    nearest.into_iter().map(Nearest::into_sorted).collect()
}

/// The k smallest keys offered so far.
struct Nearest {
    k: usize,
    heap: BinaryHeap<u64>,
}

impl Nearest {
    fn new(k: usize, rows: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::with_capacity(k.min(rows)),
        }
    }

    #[inline]
    fn offer(&mut self, key: u64) {
        if self.heap.len() < self.k {
            self.heap.push(key);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && key < *worst
        {
            *worst = key;
        }
    }

    fn into_sorted(self) -> Vec<Neighbor> {
        let keys = self.heap.into_sorted_vec();
        keys.into_iter().map(neighbor).collect()
    }
}

/// Distance and row as one integer whose order is that of (distance, row).
///
/// The bits of a float order like an integer once negative ones are inverted and the sign is set on
/// the others.
#[inline]
pub(crate) fn key(distance: f32, row: u32) -> u64 {
    let bits = distance.to_bits();
    let ordered = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    u64::from(ordered) << 32 | u64::from(row)
}

/// The inverse of [`key`].
#[inline]
pub(crate) fn neighbor(key: u64) -> Neighbor {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    };
    Neighbor {
        row: key as u32,
        distance: f32::from_bits(bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{clustered, dimension};
    use boathouse_types::Metric;

    #[test]
    fn keys_order_like_distance_then_row_and_come_back() {
        let distances = [-1e30_f32, -1.5, -0.0, 0.0, 1e-40, 0.25, 1.0, 7.5e30];
        let keys: Vec<_> = distances
            .iter()
            .flat_map(|&distance| [key(distance, 0), key(distance, 9)])
            .collect();
        assert!(keys.is_sorted());
        for (&distance, pair) in distances.iter().zip(keys.chunks(2)) {
            assert_eq!(neighbor(pair[1]).distance.to_bits(), distance.to_bits());
            assert_eq!(neighbor(pair[1]).row, 9);
        }
    }

    #[test]
    fn agrees_with_sorting_everything() {
        for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
            let (set, queries) = clustered(500, 12, 20, metric, 3);
            let batches: Vec<_> = [1, 3, 64]
                .map(|threads| exact_top_k_batch(&set, &queries, 7, threads))
                .into();
            for (index, query) in queries.iter().enumerate() {
                let mut all: Vec<_> = (0..500)
                    .map(|row| (set.distance(query, row), row))
                    .collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let expected: Vec<_> = all[..7].iter().map(|&(_, row)| row).collect();
                let found = exact_top_k(&set, query, 7, |_| true);
                assert_eq!(found.iter().map(|n| n.row).collect::<Vec<_>>(), expected);
                assert!(batches.iter().all(|batch| batch[index] == found));
            }
        }
    }

    #[test]
    fn k_and_filters_at_their_edges() {
        let (set, queries) = clustered(50, 8, 1, Metric::L2, 4);
        let count = |k, keep: fn(u32) -> bool| exact_top_k(&set, &queries[0], k, keep).len();
        assert_eq!(count(0, |_| true), 0);
        assert_eq!(count(usize::MAX, |_| true), 50);
        assert_eq!(count(10, |row| row % 10 == 0), 5);
        assert_eq!(count(10, |_| false), 0);
        let empty = VectorSet::builder(dimension(8), Metric::L2).finish();
        assert!(exact_top_k(&empty, &queries[0], 3, |_| true).is_empty());
        assert_eq!(exact_top_k_batch(&empty, &queries, 3, 4), vec![vec![]]);
        assert!(exact_top_k_batch(&set, &[], 3, 4).is_empty());
    }

    #[test]
    fn equal_distances_are_ordered_by_row() {
        let mut builder = VectorSet::builder(dimension(2), Metric::L2);
        for _ in 0..20 {
            builder.push(&[1.0, 1.0]).expect("good row");
        }
        let set = builder.finish();
        let query = set.prepare_query(&[0.0, 0.0]).expect("good query");
        let rows: Vec<_> = exact_top_k(&set, &query, 5, |_| true)
            .iter()
            .map(|n| n.row)
            .collect();
        assert_eq!(rows, [0, 1, 2, 3, 4]);
    }
}
