//! Tables from end to end, in folders and in buckets alike.

mod changes;
mod interface;
pub(crate) mod memory;
mod migration;

use std::sync::Arc;

use self::memory::{Memory, Shared};
use crate::{
    Among, At, Effort, Error, Fold, Kind, Lance, Limits, Location, Metric, Place, Query, Rows,
    Shape, Table,
};

pub(crate) const SHAPE: Shape = Shape {
    dimension: 16,
    metric: Metric::Cosine,
};

/// Components in -1..1 that look random, always the same ones for a seed (splitmix64).
pub(crate) fn vector(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..SHAPE.dimension).map(|_| next()).collect()
}

/// Documents `d<from>` to before `d<to>`, each with its number as its row.
pub(crate) fn documents(from: u64, to: u64) -> Rows {
    let mut rows = Rows::default();
    for number in from..to {
        rows.push(&format!("d{number}"), number, None, &vector(number));
    }
    rows
}

pub(crate) fn lance() -> Lance {
    Lance::start(Limits::default()).expect("threads")
}

/// A place of each kind, with what keeps it alive.
pub(crate) fn places(lance: &Lance) -> [(Place, Option<tempfile::TempDir>); 2] {
    let folder = tempfile::tempdir().expect("folder");
    let bucket = lance.bucket(Arc::new(Shared(Memory::new())));
    [
        (lance.folder(folder.path()).expect("folder"), Some(folder)),
        (bucket, None),
    ]
}

pub(crate) fn at(place: &Place) -> Location {
    place.table("vectors/notes.lance").expect("a path")
}

pub(crate) async fn filled(lance: &Lance, place: &Place, rows: u64) -> Table {
    let table = lance.create(&at(place), SHAPE).await.expect("created");
    table.append(documents(0, rows)).await.expect("appended");
    table
}

pub(crate) const IVF_PQ: Kind = Kind::IvfPq {
    partitions: Some(4),
    sub_vectors: None,
};

/// Everything is looked at, so that what is found does not depend on chance.
const WHOLE: Effort = Effort {
    nprobes: Some(64),
    refine_factor: Some(100),
    ef: None,
};

pub(crate) fn thorough(number: u64) -> Query {
    Query {
        effort: WHOLE,
        ..Query::nearest(vector(number), 5)
    }
}

/// The documents nearest to one of them, by exact search here.
fn nearest(metric: Metric, number: u64, among: impl Iterator<Item = u64>) -> Vec<u64> {
    let query = vector(number);
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let distance = |other: u64| {
        let other = vector(other);
        match metric {
            Metric::Dot => 1.0 - dot(&query, &other),
            Metric::L2 => query.iter().zip(&other).map(|(a, b)| (a - b).powi(2)).sum(),
            Metric::Cosine => {
                1.0 - dot(&query, &other) / (dot(&query, &query) * dot(&other, &other)).sqrt()
            }
        }
    };
    let mut found: Vec<(f32, u64)> = among.map(|other| (distance(other), other)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().take(5).map(|(_, other)| other).collect()
}

async fn found(table: &Table, query: Query) -> Vec<u64> {
    let found = table.now().search(query).await.expect("search");
    found.hits.iter().map(|hit| hit.row).collect()
}

#[tokio::test]
async fn appended_rows_are_found_before_and_after_an_index_and_after_reopening() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 400).await;
        assert_eq!(found(&table, thorough(3)).await[0], 3);
        table.index(IVF_PQ).await.expect("index");
        table.append(documents(400, 450)).await.expect("append");
        let stats = table.now().stats().await.expect("stats");
        assert_eq!((stats.rows, stats.unindexed_rows), (450, 50));
        for number in [7, 399, 400, 449] {
            let expected = nearest(Metric::Cosine, number, 0..450);
            assert_eq!(found(&table, thorough(number)).await, expected, "{number}");
        }
        for (fold, parts) in [(Fold::Append, 2), (Fold::Merge, 1), (Fold::Retrain, 1)] {
            table.fold(fold).await.expect("fold");
            let stats = table.now().stats().await.expect("stats");
            let index = stats.indexes.iter().find(|index| index.name == "vector");
            let index = index.expect("an index");
            assert_eq!((stats.unindexed_rows, index.parts), (0, parts), "{fold:?}");
            let expected = nearest(Metric::Cosine, 449, 0..450);
            assert_eq!(found(&table, thorough(449)).await, expected, "{fold:?}");
        }
        for fold in [Fold::Append, Fold::Merge] {
            let version = table.now().version();
            assert_eq!(table.fold(fold).await.expect("fold"), version, "{fold:?}");
        }
        let names: Vec<_> = table.now().stats().await.expect("stats").indexes;
        let names: Vec<_> = names.iter().map(|index| index.name.as_str()).collect();
        assert_eq!(names, ["doc_id", "row", "vector"]);
        let again = lance.open(&at(&place)).await.expect("reopened");
        assert_eq!(again.shape(), SHAPE);
        assert_eq!(again.now().version(), table.now().version());
        assert_eq!(found(&again, thorough(400)).await[0], 400);
    }
}

#[tokio::test]
async fn exact_searches_order_by_each_metric() {
    let lance = lance();
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
        let place = lance.bucket(Arc::new(Shared(Memory::new())));
        let shape = Shape { metric, ..SHAPE };
        let table = lance.create(&at(&place), shape).await.expect("created");
        table.append(documents(0, 200)).await.expect("append");
        let query = Query {
            exact: true,
            ..Query::nearest(vector(11), 5)
        };
        let hits = table
            .now()
            .search(query.clone())
            .await
            .expect("search")
            .hits;
        assert!(hits.is_sorted_by(|a, b| a.distance <= b.distance));
        assert_eq!(
            found(&table, query).await,
            nearest(metric, 11, 0..200),
            "{metric:?}"
        );
        if metric != Metric::Dot {
            assert!(
                hits[0].distance.abs() < 1e-5,
                "{metric:?}: {}",
                hits[0].distance
            );
        }
    }
}

#[tokio::test]
async fn as_many_neighbours_come_back_as_rows_match() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 400).await;
        table.index(IVF_PQ).await.expect("index");
        table.append(documents(400, 420)).await.expect("append");
        let rows: Vec<u64> = (0..420).filter(|row| row % 40 == 3).collect();
        let among = |rows: &[u64]| Query {
            among: Among::Rows(rows.to_vec()),
            ..thorough(403)
        };
        let expected = nearest(Metric::Cosine, 403, rows.iter().copied());
        assert_eq!(expected[0], 403);
        assert_eq!(found(&table, among(&rows)).await, expected);
        assert_eq!(found(&table, among(&[5])).await, [5]);
        assert_eq!(found(&table, among(&[])).await, [0; 0]);
        assert_eq!(found(&table, among(&[10_000])).await, [0; 0]);
    }
}

#[tokio::test]
async fn a_graph_index_finds_what_exact_search_finds() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 500).await;
        let kind = Kind::IvfHnswSq {
            partitions: Some(2),
            m: 12,
            ef_construction: 80,
        };
        table.index(kind).await.expect("index");
        let mut hits = 0;
        for number in 0..40 {
            let query = Query {
                effort: Effort {
                    nprobes: Some(2),
                    refine_factor: Some(4),
                    ef: Some(80),
                },
                ..Query::nearest(vector(number), 5)
            };
            let expected = nearest(Metric::Cosine, number, 0..500);
            let found = found(&table, query).await;
            hits += found.iter().filter(|row| expected.contains(row)).count();
        }
        assert!(hits >= 190, "{hits} of 200");
        // The next kind takes the place of this one.
        table.index(IVF_PQ).await.expect("index");
        let stats = table.now().stats().await.expect("stats");
        let kinds: Vec<_> = stats
            .indexes
            .iter()
            .filter(|index| index.name == "vector")
            .map(|index| index.kind.as_str())
            .collect();
        assert_eq!(kinds, ["IVF_PQ"]);
    }
}

#[tokio::test]
async fn a_document_is_read_with_all_its_pieces() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = filled(&lance, &place, 300).await;
        let mut pieces = Rows::default();
        pieces.push("it's \"two\"", 900, Some((0, 80)), &vector(1));
        pieces.push("it's \"two\"", 900, Some((60, 120)), &vector(2));
        table.append(pieces).await.expect("append");
        for indexed in [false, true] {
            let there = table.now();
            let one = there.document("d42").await.expect("read");
            assert_eq!(one.len(), 1);
            assert_eq!((one[0].row, one[0].span), (42, None));
            assert_eq!(one[0].vector, vector(42));
            let two = there.document("it's \"two\"").await.expect("read");
            let spans: Vec<_> = two.iter().map(|piece| piece.span).collect();
            assert_eq!(spans, [Some((0, 80)), Some((60, 120))], "{indexed}");
            assert!(there.document("nobody").await.expect("read").is_empty());
            if !indexed {
                table.index(IVF_PQ).await.expect("index");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_table_answers_and_takes_no_index() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let table = lance.create(&at(&place), SHAPE).await.expect("created");
        assert_eq!(found(&table, thorough(1)).await, [0; 0]);
        assert!(table.now().document("d1").await.expect("read").is_empty());
        let refused = table.index(IVF_PQ).await;
        assert!(matches!(
            refused,
            Err(Error::TooFewRows {
                needed: 256,
                found: 0
            })
        ));
        let missing = table.now().at(At::Version(7)).await;
        assert!(matches!(missing, Err(Error::NoVersion)));
        let missing = table.now().at(At::Tag("serving".to_owned())).await;
        assert!(matches!(missing, Err(Error::NoTag)));
    }
}

#[tokio::test]
async fn tables_are_made_once_and_found_where_they_are() {
    let lance = lance();
    for (place, _kept) in places(&lance) {
        let location = at(&place);
        assert!(matches!(lance.open(&location).await, Err(Error::NoTable)));
        lance.create(&location, SHAPE).await.expect("created");
        let again = lance.create(&location, SHAPE).await;
        assert!(matches!(again, Err(Error::TableExists)));
        let opened = lance.open_or_create(&location, SHAPE).await;
        assert_eq!(opened.expect("opened").now().version(), 1);
        let other = Shape {
            dimension: 8,
            ..SHAPE
        };
        let other = lance.open_or_create(&location, other).await;
        assert!(matches!(other, Err(Error::Invalid(_))));
        let elsewhere = self::lance();
        let foreign = elsewhere.open(&location).await;
        assert!(matches!(foreign, Err(Error::Invalid(_))));
    }
}
