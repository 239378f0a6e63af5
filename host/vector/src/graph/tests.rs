//! What must hold of a graph: the shape of its answers, their quality on clustered data, the repair's
//! promise, and that stored bytes are either the same graph or refused.

use std::ops::ControlFlow;

use boathouse_types::{IndexConfig, Metric};
use proptest::prelude::*;

use super::*;
use crate::{
    exact::exact_top_k,
    recall_at_k,
    samples::{clustered, dimension},
};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

fn go_on(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn build(set: &VectorSet, m: u32, ef_construction: u32, threads: usize) -> HnswGraph {
    let options = BuildOptions {
        m,
        ef_construction,
        seed: 7,
        threads,
        builder: Builder::default(),
    };
    HnswGraph::build(set, &options, &go_on).expect("builds")
}

fn rows(neighbors: &[Neighbor]) -> Vec<u32> {
    neighbors.iter().map(|neighbor| neighbor.row).collect()
}

/// Answers are ascending by (distance, row), hence unique, and as many as there can be.
fn check_shape(neighbors: &[Neighbor], expected: usize) {
    assert_eq!(neighbors.len(), expected);
    let ascending =
        |pair: &[Neighbor]| (pair[0].distance, pair[0].row) < (pair[1].distance, pair[1].row);
    assert!(neighbors.windows(2).all(ascending), "{neighbors:?}");
}

fn mean_recall(graph: &HnswGraph, set: &VectorSet, queries: &[Query], ef: usize) -> f64 {
    let mut scratch = Scratch::default();
    let recall = |query: &Query| {
        let found = graph.search(set, query, 10, ef, &mut scratch);
        check_shape(&found.neighbors, 10);
        recall_at_k(
            &found.neighbors,
            &rows(&exact_top_k(set, query, 10, |_| true)),
        )
    };
    queries.iter().map(recall).sum::<f64>() / queries.len() as f64
}

/// Rows that a walk over the ground layer from `start` meets.
fn met_from(layers: &Layers, start: u32) -> usize {
    let mut met = vec![false; layers.len()];
    let mut pending = vec![start];
    met[start as usize] = true;
    while let Some(row) = pending.pop() {
        for &link in layers.on_ground(row) {
            if !std::mem::replace(&mut met[link as usize], true) {
                pending.push(link);
            }
        }
    }
    met.iter().filter(|&&met| met).count()
}

#[test]
fn the_default_configuration_finds_nearly_everything() {
    for metric in METRICS {
        let (set, queries) = clustered(2_000, 64, 200, metric, 11);
        let config = IndexConfig::default();
        for threads in [1, 2] {
            let options = BuildOptions::new(&config, threads);
            let graph = HnswGraph::build(&set, &options, &go_on).expect("builds");
            let recall = mean_recall(&graph, &set, &queries, config.ef_search as usize);
            // The greatest inner products belong to few long rows, the harder problem.
            let floor = if metric == Metric::Dot { 0.90 } else { 0.95 };
            assert!(recall >= floor, "{metric:?} on {threads} threads: {recall}");
            assert_eq!(graph.audit().sampled, 500);
            if metric != Metric::Dot {
                assert!(graph.audit().self_recall >= 0.98, "{:?}", graph.audit());
            }
        }
    }
}

#[test]
fn every_row_is_reachable_from_every_start() {
    for (m, ef_construction, threads) in [(2, 4, 1), (2, 1, 2), (4, 8, 2), (16, 80, 1)] {
        let (set, _) = clustered(1_200, 16, 0, Metric::L2, 13);
        let graph = build(&set, m, ef_construction, threads);
        for start in (0..1_200).step_by(97) {
            assert_eq!(met_from(&graph.layers, start), 1_200, "m {m} from {start}");
        }
        assert!((0..1_200).all(|row| !graph.layers.on_ground(row).contains(&row)));
    }
}

/// Ground layers in pieces: rows 0 to 99 form a ring, 100 to 199 a chain off it, the rest is alone; some rows are full.
fn pieces() -> Layers {
    let mut layers = Layers::unlinked(2, vec![0; 300]);
    for row in 0..200_u32 {
        let next = if row == 99 { 0 } else { row + 1 };
        let links = if row < 99 {
            vec![next, (row + 5) % 100, (row + 9) % 100, 100]
        } else {
            vec![next]
        };
        layers.set_links(
            row,
            0,
            links.into_iter().filter(|&link| link < 200 && link != row),
        );
    }
    layers
}

const PIECES: BuildOptions = BuildOptions {
    m: 2,
    ef_construction: 10,
    seed: 0,
    threads: 1,
    builder: Builder::Batched,
};

#[test]
fn repair_joins_pieces_and_dead_ends() {
    let (set, _) = clustered(300, 8, 0, Metric::Cosine, 17);
    let mut layers = pieces();
    let audit = repair::audit_and_repair(&mut layers, &set, &PIECES, &go_on).expect("repaired");
    assert_eq!(audit.unreachable, 100);
    assert!(audit.dead_ends >= 100 && audit.links_added >= 200);
    for start in [0, 99, 150, 199, 200, 299] {
        assert_eq!(met_from(&layers, start), 300);
    }
}

/// A large repair takes as long as a good part of the build.
#[test]
fn a_repair_stops_at_whatever_row_it_is_told_to() {
    let (set, _) = clustered(300, 8, 0, Metric::Cosine, 17);
    let looks = std::cell::Cell::new(0);
    let count = |done| {
        assert_eq!(done, 300);
        looks.set(looks.get() + 1);
        ControlFlow::Continue(())
    };
    repair::audit_and_repair(&mut pieces(), &set, &PIECES, &count).expect("repaired");
    let all = looks.get();
    assert!(all > 100, "one for each row that nothing leads to: {all}");
    for at in [1, all / 2, all] {
        looks.set(0);
        let stop = |_| {
            looks.set(looks.get() + 1);
            match looks.get() < at {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let stopped = repair::audit_and_repair(&mut pieces(), &set, &PIECES, &stop);
        assert!(matches!(stopped, Err(VectorError::Cancelled)), "{at}");
        assert_eq!(looks.get(), at, "it goes no further");
    }
}

#[test]
fn wide_searches_equal_exact_search() {
    for metric in METRICS {
        let (set, queries) = clustered(600, 24, 20, metric, 19);
        let graph = build(&set, 8, 40, 2);
        let mut scratch = Scratch::default();
        for query in &queries {
            let expected = exact_top_k(&set, query, 25, |_| true);
            for ef in [600, 10_000, usize::MAX] {
                let found = graph.search(&set, query, 25, ef, &mut scratch);
                assert_eq!(found.neighbors, expected);
                assert_eq!(found.distances, 600);
            }
            // The walk itself, without the shortcut, sees every row too.
            traverse::nearest(&graph.layers, &set, &query.values, 25, 600, &mut scratch);
            assert_eq!(scratch.neighbors(25), expected);
        }
    }
}

#[test]
fn k_at_its_edges() {
    let (set, queries) = clustered(400, 8, 3, Metric::L2, 23);
    let graph = build(&set, 2, 20, 1);
    let mut scratch = Scratch::default();
    for query in &queries {
        for (k, ef, expected) in [
            (0, 10, 0),
            (1, 0, 1),
            (30, 5, 30),
            (400, 1, 400),
            (usize::MAX, 1, 400),
        ] {
            check_shape(
                &graph.search(&set, query, k, ef, &mut scratch).neighbors,
                expected,
            );
        }
    }
}

#[test]
fn filters_give_k_whenever_k_match() {
    let (set, queries) = clustered(3_000, 16, 20, Metric::Cosine, 29);
    let graph = build(&set, 8, 60, 2);
    let mut scratch = Scratch::default();
    for (every, floor) in [
        (1, 0.9),
        (2, 0.9),
        (3, 0.9),
        (50, 1.0),
        (700, 1.0),
        (5_000, 1.0),
    ] {
        let keep = |row: u32| row % every == 1 % every;
        let matching = (0..3_000).filter(|&row| keep(row)).count();
        let mut recall = 0.0;
        for query in &queries {
            let found = graph.search_filtered(&set, query, 10, 40, &mut scratch, keep);
            check_shape(&found.neighbors, matching.min(10));
            assert!(found.neighbors.iter().all(|neighbor| keep(neighbor.row)));
            recall += recall_at_k(&found.neighbors, &rows(&exact_top_k(&set, query, 10, keep)));
        }
        let recall = recall / queries.len() as f64;
        assert!(recall >= floor, "one in {every}: {recall}");
    }
    let none = graph.search_filtered(&set, &queries[0], 10, 40, &mut scratch, |_| false);
    assert!(none.neighbors.is_empty());
}

#[test]
fn a_filter_that_the_sample_misjudges_still_gives_k() {
    let (set, queries) = clustered(3_000, 16, 5, Metric::L2, 31);
    let graph = build(&set, 4, 30, 1);
    let mut scratch = Scratch::default();
    // Every sampled row matches, one in twelve of all.
    let keep = |row: u32| row.is_multiple_of(12);
    for query in &queries {
        let found = graph.search_filtered(&set, query, 20, 20, &mut scratch, keep);
        check_shape(&found.neighbors, 20);
    }
    // Fewer than k match: the walk cannot find k, exact search says so.
    let found = graph.search_filtered(&set, &queries[0], 500, 20, &mut scratch, keep);
    check_shape(&found.neighbors, 250);
}

#[test]
fn degenerate_sets() {
    let mut scratch = Scratch::default();
    for metric in METRICS {
        for (count, distinct) in [(0, 1), (1, 1), (2, 1), (2, 2), (500, 1), (500, 3)] {
            let mut builder = VectorSet::builder(dimension(5), metric);
            for row in 0..count {
                let value = (row % distinct) as f32 + 1.0;
                builder
                    .push(&[value, 1.0, 0.0, 0.0, -1.0])
                    .expect("good row");
            }
            let set = builder.finish();
            let query = set.prepare_query(&[1.0; 5]).expect("good query");
            for m in [2, 255] {
                let graph = build(&set, m, 10, 2);
                assert_eq!(graph.len(), count);
                let found = graph.search(&set, &query, 10, 12, &mut scratch);
                check_shape(&found.neighbors, count.min(10));
                if count > 0 {
                    assert_eq!(met_from(&graph.layers, count as u32 - 1), count);
                    assert_eq!(
                        found.neighbors[0].distance,
                        exact_top_k(&set, &query, 1, |_| true)[0].distance
                    );
                }
                let back = HnswGraph::from_bytes(&graph.to_bytes()).expect("reads");
                assert_eq!(back.to_bytes(), graph.to_bytes());
            }
        }
    }
}

#[test]
fn one_seed_gives_one_graph_on_any_number_of_threads() {
    let (set, _) = clustered(3_000, 16, 0, Metric::Cosine, 37);
    let bytes = |seed, threads, builder| {
        let options = BuildOptions {
            m: 6,
            ef_construction: 30,
            seed,
            threads,
            builder,
        };
        HnswGraph::build(&set, &options, &go_on)
            .expect("builds")
            .to_bytes()
    };
    use Builder::{Batched, Reference};
    let one = bytes(1, 1, Batched);
    assert!((2..=4).all(|threads| bytes(1, threads, Batched) == one));
    assert!(bytes(2, 1, Batched) != one);
    assert!(bytes(1, 1, Reference) == bytes(1, 1, Reference));
    assert!(bytes(1, 1, Reference) != one);
}

#[test]
fn the_own_builder_finds_what_the_reference_finds() {
    let (set, queries) = clustered(4_000, 32, 200, Metric::Cosine, 5);
    let recall = |builder| {
        let options = BuildOptions {
            builder,
            ..BuildOptions::new(&IndexConfig::default(), 2)
        };
        let graph = HnswGraph::build(&set, &options, &go_on).expect("builds");
        mean_recall(&graph, &set, &queries, 32)
    };
    let (own, reference) = (recall(Builder::Batched), recall(Builder::Reference));
    assert!(own >= reference - 0.01, "{own} against {reference}");
}

#[test]
fn builds_report_progress_and_stop_when_told() {
    let (set, _) = clustered(1_500, 8, 0, Metric::L2, 41);
    let options = BuildOptions::new(&IndexConfig::default(), 2);
    let seen = std::cell::RefCell::new(Vec::new());
    let record = |done| {
        seen.borrow_mut().push(done);
        ControlFlow::Continue(())
    };
    HnswGraph::build(&set, &options, &record).expect("builds");
    let seen = seen.into_inner();
    assert!(seen.is_sorted() && seen.last() == Some(&1_500));
    let stop = |done| {
        if done >= 600 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let stopped = HnswGraph::build(&set, &options, &stop);
    assert!(matches!(stopped, Err(VectorError::Cancelled)));
    // Once when the last row is linked; by then there is the audit to stop.
    let linked = std::cell::Cell::new(0);
    let audited = |done| {
        linked.set(linked.get() + usize::from(done == 1_500));
        match linked.get() < 2 {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    let stopped = HnswGraph::build(&set, &options, &audited);
    assert!(matches!(stopped, Err(VectorError::Cancelled)));
}

#[test]
fn options_out_of_bounds_are_refused_by_name() {
    let (set, _) = clustered(10, 8, 0, Metric::L2, 43);
    let check = |m, ef_construction, message: &str| {
        let options = BuildOptions {
            m,
            ef_construction,
            seed: 0,
            threads: 1,
            builder: Builder::default(),
        };
        let error = HnswGraph::build(&set, &options, &go_on).expect_err("out of bounds");
        assert_eq!(error.to_string(), message);
    };
    check(1, 10, "m is 1, allowed are 2 to 255");
    check(256, 10, "m is 256, allowed are 2 to 255");
    check(8, 0, "ef_construction is 0, allowed are 1 to 65535");
}

#[test]
fn a_foreign_set_is_named_and_still_answered() {
    let (set, queries) = clustered(300, 8, 2, Metric::L2, 47);
    let graph = build(&set, 4, 20, 1);
    let (other, _) = clustered(301, 8, 0, Metric::L2, 48);
    assert!(graph.fits(&set).is_ok());
    let message = graph.fits(&other).expect_err("one row more").to_string();
    assert!(message.contains("number of rows differs"), "{message}");
    let found = graph.search(&other, &queries[0], 5, 10, &mut Scratch::default());
    assert_eq!(
        found.neighbors,
        exact_top_k(&other, &queries[0], 5, |_| true)
    );
}

mod stored {
    use super::*;

    fn sample() -> (VectorSet, Vec<Query>, HnswGraph, Vec<u8>) {
        let (set, queries) = clustered(120, 8, 4, Metric::L2, 53);
        let graph = build(&set, 3, 12, 1);
        let bytes = graph.to_bytes();
        (set, queries, graph, bytes)
    }

    fn reason(bytes: &[u8]) -> String {
        HnswGraph::from_bytes(bytes)
            .expect_err("refused")
            .to_string()
    }

    /// Makes the checksum right again after the bytes were altered.
    fn reseal(bytes: &mut [u8]) {
        let end = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&checksum);
    }

    #[test]
    fn a_graph_comes_back_whole() {
        let (set, queries, graph, bytes) = sample();
        let back = HnswGraph::from_bytes(&bytes).expect("reads");
        assert_eq!(back.to_bytes(), bytes);
        assert!(!back.is_lent());
        assert_eq!(back.audit(), graph.audit());
        assert_eq!((back.m(), back.ef_construction(), back.seed()), (3, 12, 7));
        let mut scratch = Scratch::default();
        for query in &queries {
            let before = graph.search(&set, query, 5, 10, &mut scratch);
            assert_eq!(back.search(&set, query, 5, 10, &mut scratch), before);
        }
    }

    /// The same graph as the first release wrote it: levels behind the fields, links behind them.
    fn of_version_1(bytes: &[u8]) -> Vec<u8> {
        let levels = bytes.len() - 4 - 120;
        let mut old = bytes[..84].to_vec();
        old[8] = 1;
        old.extend_from_slice(&bytes[levels..levels + 120]);
        old.extend_from_slice(&bytes[128..levels]);
        old.extend_from_slice(&[0; 4]);
        reseal(&mut old);
        old
    }

    #[test]
    fn links_are_searched_where_they_lie() {
        let (set, queries, graph, bytes) = sample();
        let mut room = vec![0_u8; bytes.len() + 64];
        let skip = room.as_ptr().align_offset(64);
        for shift in [0, 1, 4] {
            let at = (skip + shift) % 64;
            room[at..at + bytes.len()].copy_from_slice(&bytes);
            let lent = ::bytes::Bytes::from(room.clone());
            let place = lent.as_ptr().align_offset(64);
            let read = HnswGraph::read(&lent.slice(at..at + bytes.len())).expect("reads");
            let in_line = cfg!(target_endian = "little") && place == at;
            assert_eq!(read.is_lent(), in_line);
            assert_eq!(read.to_bytes(), bytes);
            let (mut one, mut other) = (Scratch::default(), Scratch::default());
            for query in &queries {
                let before = graph.search(&set, query, 5, 10, &mut one);
                assert_eq!(read.search(&set, query, 5, 10, &mut other), before);
            }
        }
    }

    #[test]
    fn files_of_the_first_release_are_read_and_written_anew() {
        let (.., graph, bytes) = sample();
        let old = of_version_1(&bytes);
        let back = HnswGraph::from_bytes(&old).expect("reads");
        assert_eq!(back.to_bytes(), bytes);
        assert_eq!(back.audit(), graph.audit());
        for end in 0..old.len() {
            assert!(HnswGraph::from_bytes(&old[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_refused() {
        let (.., bytes) = sample();
        for end in 0..bytes.len() {
            assert!(HnswGraph::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
        let mut flipped = bytes.clone();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                flipped[position] ^= 1 << bit;
                assert!(
                    HnswGraph::from_bytes(&flipped).is_err(),
                    "bit {bit} of {position}"
                );
                flipped[position] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let (.., bytes) = sample();
        assert!(reason(b"PAR1 and then some").contains("does not begin like a graph"));
        let mut newer = bytes.clone();
        newer[8] = 4;
        assert!(reason(&newer).contains("format version 4 and this program reads up to version 3"));
        assert!(reason(&bytes[..40]).contains("cut short"));
        assert!(reason(&bytes[..bytes.len() - 1]).contains("not the length"));
        let mut flipped = bytes.clone();
        flipped[200] ^= 1;
        assert!(reason(&flipped).contains("checksum"));
        let mut wild = bytes.clone();
        let first_link = 128;
        wild[first_link..first_link + 4].copy_from_slice(&120_u32.to_le_bytes());
        reseal(&mut wild);
        assert!(reason(&wild).contains("a link of row 0 is out of range"));
        let mut entry = bytes;
        entry[28..32].copy_from_slice(&500_u32.to_le_bytes());
        reseal(&mut entry);
        assert!(reason(&entry).contains("entry"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Whoever can make the checksum right can still not make a search panic.
        #[test]
        fn altered_and_resealed_bytes_never_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let (set, queries, _, mut bytes) = sample();
            for (index, value) in edits {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            reseal(&mut bytes);
            if let Ok(graph) = HnswGraph::from_bytes(&bytes) {
                let found = graph.search(&set, &queries[0], 5, 10, &mut Scratch::default());
                check_shape(&found.neighbors, 5);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(HnswGraph::from_bytes(&bytes).is_err());
            if bytes.len() >= 12 {
                bytes[..8].copy_from_slice(b"BOATHNSW");
                for version in [1_u32, 2, 3] {
                    bytes[8..12].copy_from_slice(&version.to_le_bytes());
                    reseal(&mut bytes);
                    prop_assert!(HnswGraph::from_bytes(&bytes).is_err());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Answers have the right shape for any size, configuration, metric, k, ef and filter, and each
    /// distance is the row's.
    #[test]
    fn answers_are_sorted_unique_and_k(
        count in 1_usize..400,
        components in 1_u32..40,
        m in 2_u32..12,
        ef_construction in 1_u32..40,
        metric in prop::sample::select(METRICS.to_vec()),
        k in 1_usize..50,
        ef in 0_usize..60,
        every in 1_u32..9,
        seed in any::<u64>(),
    ) {
        let (set, queries) = clustered(count, components, 3, metric, seed);
        let options = BuildOptions { m, ef_construction, seed, threads: 1, builder: Builder::default() };
        let graph = HnswGraph::build(&set, &options, &go_on).expect("builds");
        let mut scratch = Scratch::default();
        for query in &queries {
            let found = graph.search(&set, query, k, ef, &mut scratch).neighbors;
            check_shape(&found, k.min(count));
            for neighbor in &found {
                prop_assert_eq!(neighbor.distance, set.distance(query, neighbor.row));
            }
            traverse::nearest(&graph.layers, &set, &query.values, k, ef.max(k), &mut scratch);
            check_shape(&scratch.neighbors(k), k.min(count));
            let keep = |row: u32| row.is_multiple_of(every);
            let kept = graph.search_filtered(&set, query, k, ef, &mut scratch, keep).neighbors;
            check_shape(&kept, k.min(count.div_ceil(every as usize)));
        }
    }
}
