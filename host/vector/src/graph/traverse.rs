//! Walking the frozen graph towards a query.
//!
//! On the upper layers a greedy walk runs to its local optimum. On the ground layer a best-first
//! search keeps the `ef` nearest rows seen, sorted, in one array: the next row to expand is the first
//! that was not expanded yet, so the array is candidate queue and result at once. Under a predicate
//! the two part: all rows lead on, only accepted ones are kept.
//!
//! Visited rows are marked with the number of the search, so that nothing has to be cleared between
//! searches. Neighbours of a row are gathered first and their vectors prefetched, then compared.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::layers::{Layers, NONE};
use crate::{
    exact::{Neighbor, key, neighbor},
    set::VectorSet,
};

/// Marks a pool entry whose row was expanded. Rows have 31 bits, so the top bit of the row is free.
const EXPANDED: u64 = 1 << 31;

/// Working memory of a search; one a thread, reused from search to search and across graphs.
#[derive(Debug, Default)]
pub struct Scratch {
    search: u32,
    seen_in: Vec<u32>,
    fresh: Vec<u32>,
    pool: Pool,
    frontier: BinaryHeap<Reverse<u64>>,
}

impl Scratch {
    /// Results of the last walk.
    pub(super) fn found(&self) -> usize {
        self.pool.entries.len()
    }

    /// The first `k` results of the last walk.
    pub(super) fn neighbors(&self, k: usize) -> Vec<Neighbor> {
        let entries = self.pool.entries.iter().take(k);
        entries.map(|&entry| neighbor(entry & !EXPANDED)).collect()
    }

    /// The keys of the results of the last walk.
    pub(super) fn keys(&self) -> Vec<u64> {
        let entries = self.pool.entries.iter();
        entries.map(|&entry| entry & !EXPANDED).collect()
    }

    fn begin(&mut self, rows: usize, ef: usize) {
        if self.seen_in.len() < rows {
            self.seen_in.resize(rows, 0);
        }
        self.search = self.search.wrapping_add(1);
        if self.search == 0 {
            self.seen_in.fill(0);
            self.search = 1;
        }
        self.pool.clear(ef);
        self.frontier.clear();
    }

    /// Marks a row; true the first time in a search.
    #[inline]
    fn first_visit(&mut self, row: u32) -> bool {
        let mark = &mut self.seen_in[row as usize];
        let fresh = *mark != self.search;
        *mark = self.search;
        fresh
    }

    /// Collects the neighbours of a row that were not seen yet and prefetches the first of them.
    #[inline]
    fn gather(&mut self, links: &[u32], set: &VectorSet) {
        self.fresh.clear();
        for &link in links {
            if self.first_visit(link) {
                if self.fresh.len() < AHEAD {
                    set.prefetch(link);
                }
                self.fresh.push(link);
            }
        }
    }
}

/// Vectors that are prefetched before they are compared.
const AHEAD: usize = 4;

/// The `ef` smallest keys, sorted.
#[derive(Debug, Default)]
struct Pool {
    ef: usize,
    entries: Vec<u64>,
}

impl Pool {
    fn clear(&mut self, ef: usize) {
        self.ef = ef.max(1);
        self.entries.clear();
    }

    /// Whether a key would enter.
    #[inline]
    fn admits(&self, key: u64) -> bool {
        self.entries.len() < self.ef
            || self
                .entries
                .last()
                .is_none_or(|&worst| key < worst & !EXPANDED)
    }

    /// Inserts an admitted key and says where.
    #[inline]
    fn insert(&mut self, key: u64) -> usize {
        if self.entries.len() == self.ef {
            self.entries.pop();
        }
        let at = self
            .entries
            .partition_point(|&entry| entry & !EXPANDED < key);
        self.entries.insert(at, key);
        at
    }
}

/// Leaves the `ef` nearest rows found in `scratch` and returns the number of distances computed.
pub(super) fn nearest(
    layers: &Layers,
    set: &VectorSet,
    query: &[f32],
    ef: usize,
    scratch: &mut Scratch,
) -> u64 {
    let Some((start, distances)) = descend(layers, set, query) else {
        scratch.begin(0, ef);
        return 0;
    };
    distances + nearest_from(layers, set, query, start.row, ef, scratch)
}

/// As [`nearest`], starting from a given row of the ground layer: all that is found can be reached
/// from there.
pub(super) fn nearest_from(
    layers: &Layers,
    set: &VectorSet,
    query: &[f32],
    start: u32,
    ef: usize,
    scratch: &mut Scratch,
) -> u64 {
    let start = key(set.distance_to(query, start), start);
    candidates(layers, set, query, 0, &[start], ef, scratch) + 1
}

/// Leaves the `ef` rows of a layer that are nearest as far as its links lead from `starts`, whose distances are
/// known, and returns the number of distances computed.
pub(super) fn candidates(
    layers: &Layers,
    set: &VectorSet,
    query: &[f32],
    layer: u8,
    starts: &[u64],
    ef: usize,
    scratch: &mut Scratch,
) -> u64 {
    scratch.begin(layers.len(), ef);
    for &start in starts {
        scratch.first_visit(start as u32);
        if scratch.pool.admits(start) {
            scratch.pool.insert(start);
        }
    }
    let mut distances = 0;
    let mut cursor = 0;
    while let Some(entry) = scratch.pool.entries.get_mut(cursor) {
        if *entry & EXPANDED != 0 {
            cursor += 1;
            continue;
        }
        let row = *entry as u32;
        *entry |= EXPANDED;
        let links = if layer == 0 {
            layers.on_ground(row)
        } else {
            layers.links(row, layer)
        };
        scratch.gather(links, set);
        distances += scratch.fresh.len() as u64;
        cursor += 1;
        for (index, &row) in scratch.fresh.iter().enumerate() {
            if let Some(&later) = scratch.fresh.get(index + AHEAD) {
                set.prefetch(later);
            }
            let key = key(set.distance_to(query, row), row);
            if scratch.pool.admits(key) {
                cursor = cursor.min(scratch.pool.insert(key));
            }
        }
    }
    distances
}

/// As [`nearest`] among the rows that `keep` accepts; the walk goes on until `ef` of them are nearer
/// than anything left to expand.
pub(super) fn nearest_kept(
    layers: &Layers,
    set: &VectorSet,
    query: &[f32],
    ef: usize,
    scratch: &mut Scratch,
    keep: &impl Fn(u32) -> bool,
) -> u64 {
    scratch.begin(layers.len(), ef);
    let Some((start, mut distances)) = descend(layers, set, query) else {
        return 0;
    };
    scratch.first_visit(start.row);
    let start = key(start.distance, start.row);
    scratch.frontier.push(Reverse(start));
    if keep(start as u32) {
        scratch.pool.insert(start);
    }
    while let Some(Reverse(next)) = scratch.frontier.pop() {
        if !scratch.pool.admits(next) && scratch.pool.entries.last() != Some(&next) {
            break;
        }
        scratch.gather(layers.on_ground(next as u32), set);
        distances += scratch.fresh.len() as u64;
        for (index, &row) in scratch.fresh.iter().enumerate() {
            if let Some(&later) = scratch.fresh.get(index + AHEAD) {
                set.prefetch(later);
            }
            let key = key(set.distance_to(query, row), row);
            if scratch.pool.admits(key) {
                scratch.frontier.push(Reverse(key));
                if keep(row) {
                    scratch.pool.insert(key);
                }
            }
        }
    }
    distances
}

/// Walks greedily down to the ground layer; gives the row reached and the number of distances computed, nothing
/// for a graph without rows.
fn descend(layers: &Layers, set: &VectorSet, query: &[f32]) -> Option<(Neighbor, u64)> {
    if layers.entry == NONE {
        return None;
    }
    let (best, distances) = walk_down(layers, set, query, 0);
    Some((neighbor(best), distances))
}

/// Walks greedily down to the layer above `level`'s, that is to where a search on layer `level` begins.
pub(super) fn greedy(layers: &Layers, set: &VectorSet, query: &[f32], level: u8) -> u64 {
    walk_down(layers, set, query, level).0
}

/// On each layer above `bottom` walks until no neighbour is nearer. The graph must have rows.
fn walk_down(layers: &Layers, set: &VectorSet, query: &[f32], bottom: u8) -> (u64, u64) {
    let mut distances = 1;
    let mut row = layers.entry;
    let mut best = key(set.distance_to(query, row), row);
    for layer in (bottom + 1..=layers.levels[row as usize]).rev() {
        loop {
            let links = layers.links(row, layer);
            for &link in links {
                set.prefetch(link);
            }
            distances += links.len() as u64;
            let keys = links
                .iter()
                .map(|&link| key(set.distance_to(query, link), link));
            best = keys.fold(best, u64::min);
            if best as u32 == row {
                break;
            }
            row = best as u32;
        }
    }
    (best, distances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_keeps_the_smallest_in_order_whatever_is_expanded() {
        let mut pool = Pool::default();
        pool.clear(3);
        for distance in [5.0, 1.0, 4.0, 2.0, 3.0, 0.5] {
            let key = key(distance, 7);
            if pool.admits(key) {
                let at = pool.insert(key);
                pool.entries[at] |= EXPANDED;
            }
        }
        let kept: Vec<_> = pool
            .entries
            .iter()
            .map(|&entry| neighbor(entry & !EXPANDED).distance)
            .collect();
        assert_eq!(kept, [0.5, 1.0, 2.0]);
        assert!(!pool.admits(key(2.0, 7)));
        assert!(pool.admits(key(2.0, 6)));
    }

    #[test]
    fn marks_survive_the_end_of_their_numbers() {
        let mut scratch = Scratch::default();
        scratch.begin(4, 1);
        assert!(scratch.first_visit(2));
        scratch.search = u32::MAX;
        scratch.begin(4, 1);
        assert!(scratch.first_visit(2));
        assert!(!scratch.first_visit(2));
    }
}
