//! Finds out whether searches of a graph end in the wrong cluster.
//!
//! Between clusters that lie far apart nothing tells a walk where to go: from one of them all others are about equally
//! far. A walk down the upper layers then ends in any of them, and a search that begins there fills its candidates with
//! rows of that cluster and stops. Rows that were inserted so are linked there and nowhere else, and a search for
//! them finds nothing near. Such rows are *strays*.
//!
//! A row that is not found is no stray yet: graphs of few links miss some rows and find their neighbours. So what was
//! found is compared with a sample of all rows. A search that ended in the right place has found something nearer than
//! the nearest of a sample, or about as near; where the sample has something far nearer, it ended in the wrong one.
//!
//! An ordinary graph costs nothing here: the audit has searched for a sample of rows, and where it found nearly all of
//! them nothing more is looked at. Otherwise it is 256 searches, and one comparison with the sample for each row that
//! was not found.

use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

use super::{
    layers::Layers,
    repair::Audit,
    traverse::{Scratch, nearest_to_row},
};
use crate::{gauge::Gauge, set::VectorSet};

/// Rows below which a graph is not looked at: comparing all of them costs little more than a search.
const LEAST_ROWS: usize = 1_000;

/// Share of rows that may be lost.
const SHARE: f64 = 0.01;

/// Rows that are searched for.
const SAMPLE: usize = 256;

/// Candidates looked at in that search, whatever the configuration.
const EF: usize = 64;

/// Rows that what was found is compared with.
const LANDMARKS: usize = 4_096;

/// How many times nearer than what was found a landmark must be. Distances are squared lengths, so this is twice as
/// near.
const NEARER: f32 = 4.0;

/// Whether more than one in a hundred rows are strays.
pub(super) fn are_many(layers: &Layers, set: &VectorSet, audit: &Audit, seed: u64) -> bool {
    let lost = 1.0 - audit.self_recall;
    if layers.len() < LEAST_ROWS || lost <= SHARE {
        return false;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sample = drawn(&mut rng, layers.len(), SAMPLE);
    let landmarks = drawn(&mut rng, layers.len(), LANDMARKS);
    let mut work = (Scratch::default(), Vec::new());
    let strays = sample
        .iter()
        .filter(|&&row| is_stray(layers, set, row, &landmarks, &mut work));
    strays.count() as f64 > SHARE * sample.len() as f64
}

/// So many rows, or all of them when there are fewer, in ascending order.
pub(super) fn drawn(rng: &mut ChaCha8Rng, rows: usize, count: usize) -> Vec<u32> {
    let drawn = index::sample(rng, rows, count.min(rows)).into_iter();
    // A set has fewer than 2^31 rows.
    let mut drawn: Vec<u32> = drawn.map(|row| row as u32).collect();
    drawn.sort_unstable();
    drawn
}

/// Whether a search for a row ends far from it. By codes throughout, as in the audit.
fn is_stray(
    layers: &Layers,
    set: &VectorSet,
    row: u32,
    landmarks: &[u32],
    (scratch, distances): &mut (Scratch, Vec<f32>),
) -> bool {
    let (own, margin) = nearest_to_row(layers, set, row, EF, scratch);
    let found = scratch.neighbors(1);
    let found = found.first().map_or(f32::INFINITY, |best| best.distance);
    if found <= own + margin {
        return false;
    }
    distances.clear();
    Gauge::of_row(set, row).distances(landmarks, distances);
    let others = landmarks
        .iter()
        .zip(distances)
        .filter(|(at, _)| **at != row);
    // Above the row's distance to itself, which is not zero for inner products.
    let gaps = others.map(|(_, distance)| *distance - own);
    NEARER * gaps.fold(f32::INFINITY, f32::min) < found - own
}
