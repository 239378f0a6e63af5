//! Links in batches: every row of a batch looks for its neighbours in the graph of all rows before the
//! batch, then all links of the batch are written at once.
//!
//! A batch is searched on many threads and changes nothing meanwhile, so there is no lock, and the graph does
//! not depend on the number of threads: one seed gives one graph. The idea is the prefix doubling of ParlayANN
//! (M. Manohar et al., PPoPP 2024) with batches of a small share of the rows linked so far, so that hardly any
//! row misses a neighbour for being in the same batch.
//!
//! 1. Levels are drawn from the seed: level l with probability m^-l (the HNSW paper's `1 / ln m`). The first row
//!    of the highest level is inserted first and stays the entry.
//! 2. Each row of a batch walks down to its level and collects `ef_construction` candidates on each of its
//!    layers; algorithm 4 of the paper chooses among them.
//! 3. Each link is mirrored. Links that a row gets from the whole batch are taken together: while there is
//!    room they are added, otherwise the same choice is made among old and new. Half as many slots again as a
//!    finished row has make that rare ([`Growing`]); at the end every row is brought to the links that it may have.
//!
//! Rows are compared by their codes throughout, where the set has them.
//!
//! Guides, where there are some, are linked before all other rows and stand on layer 1 at least. Every row after them
//! begins its search on layers 1 and 0 from the nearest of them too, so that it is linked in its own cluster.
//!
//! Measured on GloVe (25,000 rows of 50 components, `m` 16, `ef_construction` 80) as processor time of a build and
//! recall@10 at `ef` 64: by vectors and with a choice at every link to a full row 3.6 s and 0.969; by codes 3.4 s and
//! 0.970; with spare slots 1.9 s and 0.971, with twice as many of them the same. hnswlib took 2.5 s for 0.960.

use std::{
    ops::ControlFlow,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::{ThreadPool, prelude::*};

use super::growing::Growing;
use crate::{
    error::VectorError,
    exact::key,
    gauge::Gauge,
    graph::{
        BuildOptions,
        diversify::Choice,
        layers::{Layers, MAX_LEVEL},
        traverse::{Links, Scratch, candidates, greedy, nearest_guides},
    },
    set::VectorSet,
};

/// Rows that are inserted one by one at the start.
const FIRST: usize = 256;

/// A batch has at most one row for so many that are linked already.
const SHARE: usize = 40;

/// Most rows of a batch.
const BATCH: usize = 4_096;

/// Rows whose links are made anew at a time: they are held twice meanwhile.
const ANEW: usize = 4_096;

/// Rows of a batch between two looks at `progress`: a large batch takes seconds, and who stops a build waits for it.
const PART: usize = 128;

/// How many times nearer to a chosen row than to this one a candidate must be to be passed over.
///
/// Measured on GloVe (25,000 rows of 50 components, cosine, `m` 16, `ef_construction` 80) as recall@10 at `ef` 64
/// and distances a query: 1.0: 0.944 and 985; 1.2: 0.957 and 1,127; 1.4: 0.949 and 1,090; 1.7: 0.943 and 1,064.
const SLACK: f32 = 1.2;

/// Links that a new row takes on the ground layer; the rest of its slots is for rows that come after it. With half,
/// three quarters and all of them taken, recall@10 at `ef` 64 was 0.957, 0.968 and 0.971, at a rising price.
fn own_links(layer: u8, capacity: usize) -> usize {
    match layer {
        0 => capacity * 3 / 4,
        _ => capacity,
    }
}

/// Links all rows of the set, led by guides where there are some, in ascending order.
pub(in crate::graph) fn build(
    set: &VectorSet,
    options: &BuildOptions,
    guides: &[u32],
    threads: &ThreadPool,
    progress: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Layers, VectorError> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut levels = draw_levels(&mut rng, options.m, set.len());
    for &guide in guides {
        let level = &mut levels[guide as usize];
        *level = (*level).max(1);
    }
    let mut order: Vec<u32> = (0..set.rows()).collect();
    order.shuffle(&mut rng);
    let mut building = Building {
        graph: Growing::unlinked(options.m as usize, levels),
        set,
        ef: options.ef_construction as usize,
        work: (0..threads.current_num_threads())
            .map(|_| Mutex::default())
            .collect(),
    };
    if let Some(at) = order.iter().position(|&row| row == building.graph.entry()) {
        order.swap(0, at);
    }
    // The entry stays the first, and may be a guide itself.
    let leading = guides_first(order.get_mut(1..).unwrap_or_default(), guides) + 1;
    let mut done = order.len().min(1);
    while done < order.len() {
        let size = if done < FIRST {
            1
        } else {
            (done / SHARE).clamp(1, BATCH)
        };
        let mut end = order.len().min(done + size);
        if done < leading {
            end = end.min(leading);
        }
        let mut chosen = Vec::new();
        for part in order[done..end].chunks(PART) {
            threads.install(|| building.choose_all(part, &mut chosen));
            if progress(done).is_break() {
                return Err(VectorError::Cancelled);
            }
        }
        threads.install(|| building.link(chosen));
        done = end;
        if done == leading {
            building.graph.lead_by(guides);
        }
        if progress(done).is_break() {
            return Err(VectorError::Cancelled);
        }
    }
    threads.install(|| building.trim());
    Ok(building.graph.finish())
}

/// Brings guides to the front, all rows otherwise in the order in which they were, and says how many they are.
fn guides_first(order: &mut [u32], guides: &[u32]) -> usize {
    if guides.is_empty() {
        return 0;
    }
    let is_none = |row: &u32| guides.binary_search(row).is_err();
    order.sort_by_key(is_none);
    order.partition_point(|row| !is_none(row))
}

/// A level for every row.
fn draw_levels(rng: &mut ChaCha8Rng, m: u32, rows: usize) -> Vec<u8> {
    let scale = 1.0 / f64::from(m.max(2)).ln();
    let draw = |_| {
        let uniform = 1.0 - rng.random::<f64>();
        // Not negative, and beyond the bound only by a chance that is cut off.
        (-uniform.ln() * scale).min(f64::from(MAX_LEVEL)) as u8
    };
    (0..rows).map(draw).collect()
}

struct Building<'a> {
    graph: Growing,
    set: &'a VectorSet,
    ef: usize,
    /// One a thread.
    work: Vec<Mutex<Work>>,
}

/// Working memory of a thread.
#[derive(Default)]
struct Work {
    scratch: Scratch,
    choice: Choice,
    distances: Vec<f32>,
}

/// The links of a row on a layer.
struct Chosen {
    row: u32,
    layer: u8,
    to: Vec<u32>,
}

impl Building<'_> {
    /// Chooses the links of some rows of a batch among what was linked before.
    fn choose_all(&self, rows: &[u32], chosen: &mut Vec<Chosen>) {
        chosen.par_extend(rows.par_iter().flat_map_iter(|&row| self.choose(row)));
    }

    /// Links the rows of a batch as they chose.
    fn link(&mut self, chosen: Vec<Chosen>) {
        let mut mirrored: Vec<(u8, u32, u32)> = chosen
            .iter()
            .flat_map(|links| links.to.iter().map(|&to| (links.layer, to, links.row)))
            .collect();
        mirrored.par_sort_unstable();
        let groups: Vec<&[(u8, u32, u32)]> =
            mirrored.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        self.set_all(chosen);
        // What a row's links become depends on no other row's, so this may be done in parts.
        for part in groups.chunks(ANEW) {
            let grown: Vec<Chosen> = part.par_iter().map(|group| self.grow(group)).collect();
            self.set_all(grown);
        }
    }

    fn set_all(&mut self, chosen: Vec<Chosen>) {
        for links in chosen {
            self.graph.set_links(links.row, links.layer, &links.to);
        }
    }

    /// Chooses the links of a new row on all its layers.
    fn choose(&self, row: u32) -> Vec<Chosen> {
        let mut work = self.work();
        let mut gauge = Gauge::of_row(self.set, row);
        let level = self.graph.level(row);
        let start = greedy(&self.graph, &mut gauge, level);
        let mut starts = vec![start];
        nearest_guides(self.graph.guides(), &mut gauge, &mut work.scratch);
        let mut all = Vec::with_capacity(usize::from(level) + 1);
        for layer in (0..=level).rev() {
            if layer <= 1 {
                starts.extend_from_slice(work.scratch.starts());
            }
            candidates(
                &self.graph,
                &mut gauge,
                layer,
                &starts,
                self.ef,
                &mut work.scratch,
            );
            starts = work.scratch.keys();
            let own = own_links(layer, self.graph.capacity(layer));
            let to = work.choice.select(self.set, &starts, own, SLACK);
            all.push(Chosen { row, layer, to });
        }
        all
    }

    /// The links of a row that is linked to from the batch.
    fn grow(&self, group: &[(u8, u32, u32)]) -> Chosen {
        let (layer, row, _) = group[0];
        let old = self.graph.links(row, layer);
        let new = group.iter().map(|&(_, _, from)| from);
        let mut to: Vec<u32> = old.iter().copied().chain(new).collect();
        if to.len() > self.graph.room(layer) {
            to = self.chosen_anew(row, &to, self.graph.capacity(layer));
        }
        Chosen { row, layer, to }
    }

    /// Brings every row to the links that it may have in the end.
    fn trim(&mut self) {
        for start in (0..self.graph.len()).step_by(ANEW) {
            let end = self.graph.len().min(start + ANEW);
            let trimmed: Vec<Chosen> = (start..end)
                .into_par_iter()
                .filter_map(|row| {
                    let row = row as u32;
                    let links = self.graph.on_ground(row);
                    let capacity = self.graph.capacity(0);
                    (links.len() > capacity).then(|| Chosen {
                        row,
                        layer: 0,
                        to: self.chosen_anew(row, links, capacity),
                    })
                })
                .collect();
            self.set_all(trimmed);
        }
    }

    /// Chooses among the links of a row.
    fn chosen_anew(&self, row: u32, links: &[u32], capacity: usize) -> Vec<u32> {
        let mut work = self.work();
        work.distances.clear();
        Gauge::of_row(self.set, row).distances(links, &mut work.distances);
        let keys = links.iter().zip(&work.distances);
        let mut keys: Vec<u64> = keys.map(|(&link, &distance)| key(distance, link)).collect();
        keys.sort_unstable();
        work.choice.select(self.set, &keys, capacity, SLACK)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        self.work[thread % self.work.len()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
