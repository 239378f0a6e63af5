//! What every graph must answer, whatever the dimension, the metric and the shape of the set: the rows that exact
//! search finds when it may look at all of them, rows in order with exact distances always, and as good a recall by
//! codes as by vectors.

use std::ops::ControlFlow;

use boathouse_types::{IndexConfig, Metric};
use proptest::prelude::*;

use super::*;
use crate::{
    exact::exact_top_k,
    recall_at_k,
    samples::{clustered, dimension, mixture},
};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

fn build(set: &VectorSet, m: u32, ef_construction: u32) -> HnswGraph {
    let options = BuildOptions {
        m,
        ef_construction,
        seed: 3,
        threads: 1,
        builder: Builder::default(),
    };
    HnswGraph::build(set, &options, &|_| ControlFlow::Continue(())).expect("builds")
}

/// As many as there can be, ascending, each row once, each distance that of the row.
fn check(set: &VectorSet, query: &Query, found: &[Neighbor], expected: usize) {
    assert_eq!(found.len(), expected);
    let ascending =
        |pair: &[Neighbor]| (pair[0].distance, pair[0].row) < (pair[1].distance, pair[1].row);
    assert!(found.windows(2).all(ascending), "{found:?}");
    for neighbor in found {
        assert_eq!(neighbor.distance, set.distance(query, neighbor.row));
    }
}

/// A set over the same vectors that has no codes.
fn without_codes(set: &VectorSet) -> VectorSet {
    let mut builder = VectorSet::builder(set.dimension(), set.metric());
    for row in 0..set.rows() {
        builder.push(set.row(row)).expect("good row");
    }
    builder.finish()
}

#[test]
fn every_dimension_answers_like_exact_search() {
    let mut scratch = Scratch::default();
    for components in 1..=130 {
        for metric in METRICS {
            let (set, queries) = clustered(160, components, 2, metric, u64::from(components));
            let graph = build(&set, 4, 16);
            for query in &queries {
                let expected = exact_top_k(&set, query, 12, |_| true);
                let found = graph.search(&set, query, 12, 160, &mut scratch);
                assert_eq!(found.neighbors, expected);
                // The walk itself may see every row too; what it leaves are exact distances in order.
                traverse::nearest(&graph.layers, &set, &query.values, 12, 160, &mut scratch);
                let walked = scratch.neighbors(12);
                check(&set, query, &walked, 12);
                let rows: Vec<u32> = expected.iter().map(|n| n.row).collect();
                let recall = recall_at_k(&walked, &rows);
                assert!(recall >= 0.9, "{metric:?} {components}: {recall}");
            }
        }
    }
}

#[test]
fn walks_by_codes_find_what_walks_by_vectors_find() {
    for (metric, components, rows) in [
        (Metric::Cosine, 50, 3_000),
        (Metric::Cosine, 384, 1_000),
        (Metric::L2, 64, 2_000),
        (Metric::Dot, 96, 2_000),
    ] {
        let (set, queries) = clustered(rows, components, 100, metric, 61);
        let graph = build(&set, 12, 60);
        assert!(set.codes().is_some());
        let plain = without_codes(&set);
        let mut scratch = Scratch::default();
        let mut recall = |set: &VectorSet| {
            let recalls = queries.iter().map(|query| {
                let found = graph.search(set, query, 10, 40, &mut scratch);
                check(set, query, &found.neighbors, 10);
                let exact = exact_top_k(set, query, 10, |_| true);
                let rows: Vec<u32> = exact.iter().map(|n| n.row).collect();
                recall_at_k(&found.neighbors, &rows)
            });
            recalls.sum::<f64>() / queries.len() as f64
        };
        let (coded, exact) = (recall(&set), recall(&plain));
        assert!(
            coded >= exact - 0.01,
            "{metric:?} {components}: {coded} against {exact}"
        );
    }
}

#[test]
fn a_row_is_compared_once_and_again_when_it_may_be_an_answer() {
    let (set, queries) = clustered(4_000, 32, 40, Metric::Cosine, 67);
    let graph = build(&set, 8, 60);
    let plain = without_codes(&set);
    let mut scratch = Scratch::default();
    let (mut coded, mut exact) = (0, 0);
    for query in &queries {
        coded += graph.search(&set, query, 10, 40, &mut scratch).distances;
        exact += graph.search(&plain, query, 10, 40, &mut scratch).distances;
    }
    // At least the ten of each answer were compared twice, at most the forty candidates.
    assert!(
        coded > exact && coded < exact + exact / 5 + 40 * 40,
        "{coded} against {exact}"
    );
}

#[test]
fn an_index_takes_little_more_than_its_vectors() {
    let rows = 1_000;
    let (set, _) = clustered(rows, 384, 0, Metric::Cosine, 71);
    let vectors = set.memory_bytes();
    let graph = build(&set, 16, 40);
    let (links, codes) = (graph.memory_bytes(), set.memory_bytes() - vectors);
    let share = |bytes: usize| bytes as f64 / (rows * 384 * size_of::<f32>()) as f64;
    assert!(share(vectors + links) <= 1.25, "{}", share(vectors + links));
    assert!(share(codes + links) <= 0.40, "{}", share(codes + links));
}

#[test]
fn building_leaves_no_row_more_links_than_it_may_have() {
    for m in [2, 5, 16] {
        let (set, _) = clustered(2_500, 12, 0, Metric::L2, 73);
        let graph = build(&set, m, 40);
        let layers = &graph.layers;
        let mut full = 0;
        for row in 0..2_500 {
            for layer in 0..=layers.levels[row as usize] {
                let links = layers.links(row, layer);
                let unique: std::collections::HashSet<_> = links.iter().collect();
                assert!(links.len() <= layers.capacity(layer));
                assert!(unique.len() == links.len() && !links.contains(&row));
            }
            full += usize::from(layers.on_ground(row).len() == layers.capacity(0));
        }
        assert!(full < 2_500, "spare slots are closed, not all are taken");
    }
}

#[test]
fn the_default_configuration_serves_copies_of_one_vector() {
    let mut rng = rand::SeedableRng::seed_from_u64(5);
    let vectors = mixture(&mut rng, 40, 16);
    for metric in METRICS {
        let mut builder = VectorSet::builder(dimension(16), metric);
        for index in 0..2_000 {
            builder.push(&vectors[index % 40]).expect("good row");
        }
        let set = builder.finish();
        let options = BuildOptions::new(&IndexConfig::default(), 2);
        let graph = HnswGraph::build(&set, &options, &|_| ControlFlow::Continue(()));
        let graph = graph.expect("builds");
        let mut scratch = Scratch::default();
        for row in [0, 7, 39] {
            let query = set.row_query(row);
            let found = graph.search(&set, &query, 10, 64, &mut scratch).neighbors;
            check(&set, &query, &found, 10);
            if metric != Metric::Dot {
                let own = set.distance(&query, row);
                assert_eq!(found[0].distance, own, "{metric:?} {row}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any subset of rows, any metric: with room for all of them, the matching rows that exact search finds.
    #[test]
    fn filters_equal_exact_search_when_there_is_room(
        count in 2_usize..300,
        components in 1_u32..70,
        metric in prop::sample::select(METRICS.to_vec()),
        mask in any::<u64>(),
        k in 1_usize..30,
        seed in any::<u64>(),
    ) {
        let (set, queries) = clustered(count, components, 2, metric, seed);
        let graph = build(&set, 6, 20);
        let keep = |row: u32| mask >> (row % 64) & 1 == 1;
        let matching = (0..count as u32).filter(|&row| keep(row)).count();
        let mut scratch = Scratch::default();
        for query in &queries {
            let expected = exact_top_k(&set, query, k, keep);
            let found = graph.search_filtered(&set, query, k, count, &mut scratch, keep);
            prop_assert_eq!(&found.neighbors, &expected);
            let narrow = graph.search_filtered(&set, query, k, 1, &mut scratch, keep).neighbors;
            check(&set, query, &narrow, k.min(matching));
            prop_assert!(narrow.iter().all(|neighbor| keep(neighbor.row)));
        }
    }

    /// Searches leave nothing behind: the same question has the same answer whatever was asked between.
    #[test]
    fn answers_do_not_depend_on_earlier_searches(
        count in 1_usize..400,
        ef in 1_usize..80,
        seed in any::<u64>(),
    ) {
        let (set, queries) = clustered(count, 20, 4, Metric::Cosine, seed);
        let graph = build(&set, 5, 20);
        let mut used = Scratch::default();
        for query in queries.iter().chain(&queries) {
            let even = |row: u32| row.is_multiple_of(2);
            let between = graph.search_filtered(&set, query, 3, 5, &mut used, even);
            check(&set, query, &between.neighbors, count.div_ceil(2).min(3));
            let fresh = graph.search(&set, query, 10, ef, &mut Scratch::default());
            prop_assert_eq!(graph.search(&set, query, 10, ef, &mut used), fresh);
        }
    }
}
