//! What must hold where clusters are finer than a step of the codes: their rows are told apart all the same.

use std::ops::ControlFlow;

use boathouse_types::{IndexConfig, Metric};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{exact::exact_top_k, samples::dimension};

/// Clusters, rows of each, components.
const CLUSTERS: u32 = 50;
const SIZE: u32 = 100;
const COMPONENTS: u32 = 32;
/// Of each component's range over all rows, what a step of its code takes.
const STEP: f32 = 1.0 / 127.0;

/// Clusters one behind the other whose rows differ from their centre by noise of so many of the centres' own deviations,
/// and queries of which each is a row with the same noise once more.
fn clusters(noise: f32, metric: Metric) -> (VectorSet, Vec<Query>) {
    let mut rng = ChaCha8Rng::seed_from_u64(43);
    // The sum of twelve uniforms has variance 1.
    let mut normal = || (0..12).map(|_| rng.random::<f32>() - 0.5).sum::<f32>();
    let mut builder = VectorSet::builder(dimension(COMPONENTS), metric);
    let mut asked = Vec::new();
    for _ in 0..CLUSTERS {
        let centre: Vec<f32> = (0..COMPONENTS).map(|_| normal()).collect();
        let mut near = || -> Vec<f32> { centre.iter().map(|x| x + noise * normal()).collect() };
        for _ in 0..SIZE {
            builder.push(&near()).expect("good row");
        }
        asked.extend((0..4).map(|_| near()));
    }
    let set = builder.finish();
    let queries = asked.iter().map(|query| set.prepare_query(query));
    let queries = queries.map(|query| query.expect("good query")).collect();
    (set, queries)
}

/// The largest share of a component's range that the rows of one cluster take.
fn widest(set: &VectorSet) -> f32 {
    let width = |rows: std::ops::Range<u32>, component: usize| {
        let values = rows.map(|row| set.row(row)[component]);
        let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        });
        high - low
    };
    let shares = (0..COMPONENTS as usize).flat_map(|component| {
        let all = width(0..set.rows(), component);
        let clusters = (0..CLUSTERS).map(move |cluster| cluster * SIZE..(cluster + 1) * SIZE);
        clusters.map(move |rows| width(rows, component) / all)
    });
    shares.fold(0.0, f32::max)
}

/// recall@10 with 64 candidates; a row as near as the last true one counts.
fn recall(set: &VectorSet, queries: &[Query]) -> f64 {
    let options = BuildOptions::new(&IndexConfig::default(), 2);
    let graph = HnswGraph::build(set, &options, &|_| ControlFlow::Continue(())).expect("builds");
    let (mut scratch, mut found) = (Scratch::default(), 0);
    for query in queries {
        let truth = exact_top_k(set, query, 10, |_| true);
        let answer = graph.search(set, query, 10, 64, &mut scratch);
        assert!(
            answer.distances < u64::from(CLUSTERS * SIZE),
            "no exact search"
        );
        let near = answer.neighbors.iter();
        found += near
            .filter(|near| near.distance <= truth[9].distance)
            .count();
    }
    found as f64 / (10 * queries.len()) as f64
}

#[test]
fn rows_of_clusters_finer_than_a_step_are_found() {
    for metric in [Metric::L2, Metric::Cosine] {
        let (set, queries) = clusters(0.002, metric);
        let widest = widest(&set);
        assert!(widest < STEP, "too wide a cluster: {widest}");
        let recall = recall(&set, &queries);
        assert!(recall >= 0.95, "{metric:?}: {recall}");
        assert!(set.codes().is_none(), "{metric:?}");
    }
}

/// Why such a set has no codes: walked by them, it is found by chance what is near.
#[test]
fn by_codes_rows_of_such_clusters_would_be_lost() {
    for metric in [Metric::L2, Metric::Cosine] {
        let (set, queries) = clusters(0.002, metric);
        set.encode_unjudged();
        let recall = recall(&set, &queries);
        assert!(recall < 0.9, "{metric:?}: {recall}");
    }
}

#[test]
fn clusters_of_some_steps_keep_their_codes() {
    for metric in [Metric::L2, Metric::Cosine] {
        let (set, queries) = clusters(0.1, metric);
        let recall = recall(&set, &queries);
        assert!(set.codes().is_some(), "{metric:?}");
        assert!(recall >= 0.95, "{metric:?}: {recall}");
    }
}

/// All rows of a cluster are equal: whichever are found, they are as near as any.
#[test]
fn equal_rows_keep_their_codes() {
    let (set, _) = clusters(0.0, Metric::L2);
    set.encode();
    assert!(set.codes().is_some());
}
