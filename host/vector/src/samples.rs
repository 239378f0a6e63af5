//! Test data: seeded mixtures of clusters of low intrinsic dimension, as embeddings are, with near
//! duplicates. Never uniform noise, on which every graph looks worse than it is.

use boathouse_types::{Dimension, Metric};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::set::{Query, VectorSet};

/// A checked dimension.
pub(crate) fn dimension(components: u32) -> Dimension {
    Dimension::new(components).expect("valid dimension")
}

/// `rows` vectors around a few dozen centres and `queries` further ones of the same mixture.
pub(crate) fn clustered(
    rows: usize,
    components: u32,
    queries: usize,
    metric: Metric,
    seed: u64,
) -> (VectorSet, Vec<Query>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let vectors = mixture(&mut rng, rows + queries, components as usize);
    let mut builder = VectorSet::builder(dimension(components), metric).with_capacity(rows);
    for vector in &vectors[..rows] {
        builder.push(vector).expect("good row");
    }
    let set = builder.finish();
    let queries = vectors[rows..]
        .iter()
        .map(|v| set.prepare_query(v).expect("good query"));
    let queries = queries.collect();
    (set, queries)
}

/// Each vector is a centre plus a random mix of that centre's own few directions plus a little noise;
/// every twentieth is a near copy of an earlier one.
pub(crate) fn mixture(rng: &mut ChaCha8Rng, count: usize, components: usize) -> Vec<Vec<f32>> {
    const DIRECTIONS: usize = 12;
    let centres = (count / 250).clamp(4, 64);
    let mut normal = |scale: f32| {
        // The sum of twelve uniforms has variance 1.
        scale * (0..12).map(|_| rng.random::<f32>() - 0.5).sum::<f32>()
    };
    let mut vector = |scale: f32| (0..components).map(|_| normal(scale)).collect::<Vec<f32>>();
    let clusters: Vec<(Vec<f32>, Vec<Vec<f32>>)> = (0..centres)
        .map(|_| (vector(1.0), (0..DIRECTIONS).map(|_| vector(0.4)).collect()))
        .collect();
    let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(count);
    for index in 0..count {
        let noise = vector(0.05);
        let mix = vector(1.0);
        let base = if index % 20 == 19 {
            vectors[index * 7 / 20].clone()
        } else {
            let (centre, directions) = &clusters[index * 31 % centres];
            let mut sum = centre.clone();
            for (direction, weight) in directions.iter().zip(mix.iter().cycle()) {
                for (value, step) in sum.iter_mut().zip(direction) {
                    *value += weight * step;
                }
            }
            sum
        };
        vectors.push(base.iter().zip(&noise).map(|(a, b)| a + b).collect());
    }
    vectors
}
