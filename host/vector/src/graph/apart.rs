//! What must hold where clusters lie far apart: no row is lost, whoever searches, and ordinary sets notice nothing.

use std::{ops::ControlFlow, sync::OnceLock};

use boathouse_types::{IndexConfig, Metric};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    exact::{exact_top_k, key},
    gauge::Gauge,
    samples::{clustered, dimension},
};

/// Clusters of the set that is searched here, and rows of each.
const CLUSTERS: u32 = 80;
const SIZE: u32 = 150;
const ROWS: u32 = CLUSTERS * SIZE;

fn go_on(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// So many clusters of `size` rows each, one behind the other: random centres, which are nearly orthogonal in many
/// dimensions, and noise of a quarter of their spread.
pub(super) fn far_apart(clusters: u32, size: u32, components: u32, metric: Metric) -> VectorSet {
    let mut rng = ChaCha8Rng::seed_from_u64(97);
    // The sum of twelve uniforms has variance 1.
    let mut normal = || (0..12).map(|_| rng.random::<f32>() - 0.5).sum::<f32>();
    let mut builder = VectorSet::builder(dimension(components), metric);
    for _ in 0..clusters {
        let centre: Vec<f32> = (0..components).map(|_| normal()).collect();
        for _ in 0..size {
            let row: Vec<f32> = centre.iter().map(|x| x + normal() / 4.0).collect();
            builder.push(&row).expect("good row");
        }
    }
    builder.finish()
}

/// The set that the tests below search, and a graph over it.
fn sample() -> &'static (VectorSet, HnswGraph) {
    static SAMPLE: OnceLock<(VectorSet, HnswGraph)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let set = far_apart(CLUSTERS, SIZE, 256, Metric::Cosine);
        let graph = build(&set, 8);
        assert!(graph.guides() > 0);
        (set, graph)
    })
}

fn options(m: u32) -> BuildOptions {
    BuildOptions {
        m,
        ef_construction: 40,
        seed: 7,
        threads: 2,
        builder: Builder::default(),
    }
}

fn build(set: &VectorSet, m: u32) -> HnswGraph {
    HnswGraph::build(set, &options(m), &go_on).expect("builds")
}

/// The share of rows, every seventh, that a search for their own vector finds first.
fn self_recall(set: &VectorSet, search: &mut dyn FnMut(&Query) -> SearchOutcome) -> f64 {
    let rows = (0..set.rows()).step_by(7);
    let asked = rows.len() as f64;
    let found = rows.filter(|&row| {
        let found = search(&set.row_query(row)).neighbors;
        found.first().is_some_and(|first| first.row == row)
    });
    found.count() as f64 / asked
}

#[test]
fn no_row_is_lost_however_far_clusters_lie_apart() {
    let mut scratch = Scratch::default();
    for metric in [Metric::Cosine, Metric::L2] {
        let set = far_apart(CLUSTERS, SIZE, 256, metric);
        let graph = build(&set, 8);
        let unled = unled(&set, &options(8));
        assert!(unled.self_recall < 0.95, "too easy a set: {unled:?}");
        let guides = graph.guides() as u32;
        assert!((CLUSTERS..=2 * CLUSTERS).contains(&guides), "{guides}");
        assert!(graph.audit().self_recall >= 0.99, "{:?}", graph.audit());
        let recall = self_recall(&set, &mut |query| {
            let found = graph.search(&set, query, 10, 64, &mut scratch);
            let distances = u64::from(guides)..u64::from(ROWS / 4);
            assert!(
                distances.contains(&found.distances),
                "all are counted, few are needed"
            );
            found
        });
        assert!(recall >= 0.99, "{metric:?}: {recall}");
    }
}

/// What the audit finds in a graph that was built without guides.
fn unled(set: &VectorSet, options: &BuildOptions) -> Audit {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let threads = threads.expect("threads");
    let mut layers = builder::build(set, options, &[], &threads, &go_on).expect("linked");
    repair::audit_and_repair(&mut layers, set, options, &go_on).expect("repaired")
}

#[test]
fn every_guide_is_compared_and_counted_and_the_nearest_few_are_where_a_search_begins() {
    let (set, graph) = sample();
    let guides = &graph.layers.guides;
    let mut scratch = Scratch::default();
    for row in (0..ROWS).step_by(1_001) {
        let mut gauge = Gauge::of_row(set, row);
        let compared = traverse::nearest_guides(guides, &mut gauge, &mut scratch);
        assert_eq!(compared, guides.len() as u64);
        let mut begun: Vec<u64> = scratch.starts().to_vec();
        begun.sort_unstable();
        let mut all: Vec<u64> = guides
            .iter()
            .map(|&guide| key(gauge.distance(guide), guide))
            .collect();
        all.sort_unstable();
        assert_eq!(begun, all[..8]);
        assert_eq!(begun[0] as u32 / SIZE, row / SIZE, "its own cluster's");
    }
}

/// Every second cluster is hidden, or some rows of every cluster.
#[test]
fn filtered_searches_find_the_rows_that_remain() {
    let (set, graph) = sample();
    let mut scratch = Scratch::default();
    let keeps: [fn(u32) -> bool; 2] = [|row| (row / SIZE).is_multiple_of(2), |row| row % 4 < 3];
    for keep in keeps {
        let rows: Vec<u32> = (0..ROWS).step_by(7).filter(|&row| keep(row)).collect();
        let found = rows.iter().filter(|&&row| {
            let query = set.row_query(row);
            let found = graph.search_filtered(set, &query, 10, 40, &mut scratch, keep);
            let distances = graph.guides() as u64..u64::from(ROWS / 4);
            assert!(
                distances.contains(&found.distances),
                "all are counted, few are needed"
            );
            assert!(found.neighbors.iter().all(|neighbor| keep(neighbor.row)));
            found.neighbors[0].row == row
        });
        let recall = found.count() as f64 / rows.len() as f64;
        assert!(recall >= 0.99, "{recall}");
    }
}

/// The query's own cluster is hidden, and what remains nearest is in others, all about equally far.
#[test]
fn a_hidden_cluster_leads_on_to_the_next() {
    let (set, graph) = sample();
    let keep: fn(u32) -> bool = |row| !(row / SIZE).is_multiple_of(2);
    let mut scratch = Scratch::default();
    let (mut asked, mut near) = (0, 0);
    for row in (0..ROWS).step_by(97).filter(|&row| !keep(row)) {
        let query = set.row_query(row);
        let nearest = exact_top_k(set, &query, 1, keep)[0].row / SIZE;
        let found = graph.search_filtered(set, &query, 10, 40, &mut scratch, keep);
        assert!(found.distances < u64::from(ROWS / 2), "no exact search");
        asked += 1;
        near += usize::from(found.neighbors[0].row / SIZE == nearest);
    }
    assert!(near * 10 >= asked * 8, "{near} of {asked}");
}

#[test]
fn derived_graphs_have_the_guides_of_the_large_one() {
    let (set, large) = sample();
    let small = large.derive(set, 6, 2, &go_on).expect("derived");
    assert_eq!(small.layers.guides, large.layers.guides);
    let mut scratch = Scratch::default();
    let recall = self_recall(set, &mut |query| {
        small.search(set, query, 10, 64, &mut scratch)
    });
    assert!(recall >= 0.99, "{recall}");
}

#[test]
fn a_guided_build_depends_on_the_seed_alone() {
    let (set, graph) = sample();
    let bytes = |seed, threads| {
        let options = BuildOptions {
            seed,
            threads,
            ..options(8)
        };
        let graph = HnswGraph::build(set, &options, &go_on).expect("builds");
        graph.to_bytes()
    };
    let one = graph.to_bytes();
    assert!([1, 3].into_iter().all(|threads| bytes(7, threads) == one));
    assert!(bytes(8, 2) != one);
}

#[test]
fn a_second_build_stops_when_told() {
    let (set, _) = sample();
    let rows = set.len();
    let linked = std::cell::Cell::new(false);
    let stop = |done| match done == rows {
        true => {
            linked.set(true);
            ControlFlow::Continue(())
        }
        // Back at the beginning, a second time.
        false if linked.get() => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let stopped = HnswGraph::build(set, &options(8), &stop);
    assert!(matches!(stopped, Err(VectorError::Cancelled)));
}

/// Overlapping clusters, with links few and many, and in whatever order rows come.
#[test]
fn ordinary_sets_have_no_guides() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
        let (set, _) = clustered(4_000, 48, 0, metric, 11);
        for (m, ef_construction) in [(8, 20), (16, 80)] {
            let options = BuildOptions {
                ef_construction,
                ..options(m)
            };
            let graph = HnswGraph::build(&set, &options, &go_on).expect("builds");
            assert_eq!(graph.guides(), 0, "{metric:?}, m {m}");
            assert_eq!(
                graph.to_bytes()[8],
                2,
                "the version that earlier programs read"
            );
        }
    }
    let mut rows: Vec<Vec<f32>> = (0..5_000_u32)
        .map(|row| vec![(row % 70) as f32, (row / 70) as f32, 0.5])
        .collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
    let mut builder = VectorSet::builder(dimension(3), Metric::L2);
    for row in &rows {
        builder.push(row).expect("good row");
    }
    let set = builder.finish();
    let graph = HnswGraph::build(&set, &BuildOptions::new(&IndexConfig::default(), 2), &go_on);
    assert_eq!(graph.expect("builds").guides(), 0, "a grid");
}

#[test]
fn small_sets_have_no_guides() {
    let set = far_apart(90, 11, 32, Metric::Cosine);
    assert!(set.len() < 1_000);
    assert_eq!(build(&set, 2).guides(), 0);
}

mod stored {
    use super::*;

    fn reason(bytes: &[u8]) -> String {
        HnswGraph::from_bytes(bytes)
            .expect_err("refused")
            .to_string()
    }

    /// Bytes whose guides were altered and whose checksum is right again.
    fn with_guide(bytes: &[u8], at: usize, guide: u32) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 4].copy_from_slice(&guide.to_le_bytes());
        resealed(bytes)
    }

    fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&checksum);
        bytes
    }

    #[test]
    fn guides_come_back_and_damaged_ones_are_refused() {
        let (set, graph) = sample();
        let bytes = graph.to_bytes();
        assert_eq!(bytes[8], 3);
        let back = HnswGraph::read(&::bytes::Bytes::from(bytes.clone())).expect("reads");
        assert_eq!(back.to_bytes(), bytes);
        assert_eq!(back.layers.guides, graph.layers.guides);
        let (mut one, mut other) = (Scratch::default(), Scratch::default());
        for row in (0..set.rows()).step_by(101) {
            let query = set.row_query(row);
            let before = graph.search(set, &query, 5, 30, &mut one);
            assert_eq!(back.search(set, &query, 5, 30, &mut other), before);
        }

        let first = bytes.len() - 4 - 4 * graph.guides();
        let second = graph.layers.guides[1];
        for guide in [second, second + 1, set.rows(), u32::MAX] {
            let refused = reason(&with_guide(&bytes, first, guide));
            assert!(refused.contains("its guides are not rows"), "{refused}");
        }
        let last = bytes.len() - 8;
        let refused = reason(&with_guide(&bytes, last, set.rows()));
        assert!(refused.contains("its guides are not rows"), "{refused}");
        for count in [0, 1_025, u32::MAX] {
            let refused = reason(&with_guide(&bytes, 84, count));
            assert!(
                refused.contains(&format!("it has {count} guides")),
                "{refused}"
            );
        }
        let fewer = graph.guides() as u32 - 1;
        let refused = reason(&with_guide(&bytes, 84, fewer));
        assert!(refused.contains("not the length"), "{refused}");
        for end in (0..bytes.len()).rev().take(4 * graph.guides()) {
            assert!(HnswGraph::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
