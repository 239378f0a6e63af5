//! What a tail promises: the nearest rows of base and parts together, and of each id the last.

use boathouse_types::{Dimension, Metric};
use boathouse_vector::{BuildOptions, Span, table::Origin};

use super::*;

const DIMENSION: u32 = 4;

/// A vector that is told by its number.
fn vector(number: usize) -> Vec<f32> {
    (0..4)
        .map(|at| ((number * 37 + at * 11) % 29) as f32 - 13.5)
        .collect()
}

/// Rows with ids, whose vectors are told by numbers.
fn table_of(rows: &[(&str, usize)]) -> VectorTable {
    let mut table = VectorTable::new(Dimension::new(DIMENSION).unwrap());
    for (at, (id, number)) in rows.iter().enumerate() {
        table.push(*id, at as u64, &vector(*number)).unwrap();
    }
    table
}

fn part(path: &str, rows: &[(&str, usize)]) -> Arc<Part> {
    let frozen = Frozen::of(&table_of(rows), Metric::L2).unwrap();
    Arc::new(Part::new(path, frozen))
}

fn ids(rows: &[(&str, usize)]) -> DocIds {
    rows.iter().map(|(id, _)| id).collect()
}

/// The tail behind a base of such rows, of which nothing was deleted.
fn behind(base: &DocIds, parts: Vec<Arc<Part>>, unique: bool) -> Tail {
    let rows: Vec<u64> = (0..base.len() as u64).collect();
    Tail::behind((base, &rows.into()), parts, unique, &Tombstones::default())
}

#[test]
fn of_the_rows_with_one_id_the_last_is_searched() {
    let base = ids(&[("a", 0), ("b", 1), ("c", 2)]);
    let parts = || {
        vec![
            part("1", &[("b", 3), ("d", 4), ("d", 5)]),
            part("2", &[("d", 6), ("a", 7)]),
        ]
    };
    let tail = behind(&base, parts(), false);
    let hidden: Vec<bool> = (0..3).map(|row| tail.hides(row)).collect();
    assert_eq!(hidden, [true, true, false]);
    let hidden = [
        [0, 1, 2].map(|row| tail.hides_in(0, row)),
        [0, 1, 2].map(|row| tail.hides_in(1, row)),
    ];
    assert_eq!(hidden, [[false, true, true], [false; 3]]);
    assert_eq!(
        (tail.hidden_in_base(), tail.rows(), tail.vectors()),
        (2, 5, 3)
    );

    let unique = behind(&base, parts(), true);
    assert_eq!((unique.hidden_in_base(), unique.vectors()), (0, 5));
    let empty = behind(&base, Vec::new(), false);
    assert_eq!(
        (empty.rows(), empty.vectors(), empty.memory_bytes()),
        (0, 0, 0)
    );
}

#[test]
fn the_nearest_are_those_of_a_search_that_compares_everything() {
    let names: Vec<String> = (0..200).map(|row| format!("d{row}")).collect();
    let rows: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(0..).collect();
    let (base, tail) = (&rows[..150], &rows[150..]);
    // Some ids come again with other vectors.
    let again: Vec<(&str, usize)> = (0..20).map(|row| (rows[row * 8].0, 500 + row)).collect();
    let parts = vec![part("1", tail), part("2", &again)];
    let live = behind(&ids(base), parts, false);
    let expected: Vec<(&str, usize)> = rows
        .iter()
        .filter(|(id, _)| again.iter().all(|(other, _)| other != id))
        .chain(&again)
        .copied()
        .collect();
    assert_eq!(150 - live.hidden_in_base() + live.vectors(), expected.len());

    let set = table_of(base).to_set(Metric::L2).unwrap();
    let config = boathouse_types::IndexConfig {
        m: 8,
        ef_construction: 40,
        seed: 1,
        ..boathouse_types::IndexConfig::default()
    };
    let options = BuildOptions::new(&config, 1);
    let graph = HnswGraph::build(&set, &options, &|_| std::ops::ControlFlow::Continue(())).unwrap();
    let all = table_of(&expected).to_set(Metric::L2).unwrap();
    let mut scratch = Scratch::default();
    for number in 0..60 {
        let query = set.prepare_query(&vector(number * 7 + 3)).unwrap();
        for k in [1, 10, expected.len()] {
            let wanted = Wanted {
                query: &query,
                k,
                ef: 400,
            };
            let (found, distances) = live.nearest(&set, &graph, &wanted, &mut scratch);
            let exact = exact_top_k(&all, &query, k, |_| true);
            let distance_of = |found: &[f32]| found.iter().map(|d| d.to_bits()).collect::<Vec<_>>();
            let found_at: Vec<f32> = found.iter().map(|found| found.distance).collect();
            let exact_at: Vec<f32> = exact.iter().map(|found| found.distance).collect();
            assert_eq!(
                distance_of(&found_at),
                distance_of(&exact_at),
                "{number} {k}"
            );
            assert!(distances >= live.vectors() as u64);
        }
    }
}

#[test]
fn rows_that_are_gone_are_left_out_and_others_keep_their_numbers() {
    let table = table_of(&[("a", 0), ("b", 1), ("c", 2)]);
    let mut gone = RowMask::default();
    assert!(gone.add(1) && !gone.add(1));
    assert_eq!(
        (gone.len(), gone.has(1), gone.has(0), gone.has(900)),
        (1, true, false, false)
    );
    let left = without(table.clone(), &gone).unwrap();
    assert!(left.doc_ids().iter().eq(["a", "c"]));
    assert_eq!(left.rows(), [0, 2]);
    assert_eq!(without(table.clone(), &RowMask::default()).unwrap(), table);
}

/// Tombstones of ids, each below a row.
async fn tombstones(deleted: &[(&str, u64)]) -> Arc<Tombstones> {
    let bucket = boathouse_storage::Bucket::memory(boathouse_types::BucketName::primary());
    let mut objects = Vec::new();
    for (at, (id, below)) in deleted.iter().enumerate() {
        let document = Tombstones::default().document(&[(*id).to_owned()], *below, false);
        bucket
            .put(&at.to_string(), document.unwrap())
            .await
            .unwrap();
        objects.push(crate::indexes::Deletion {
            path: at.to_string(),
            digest: String::new(),
            ids: 1,
            bytes: None,
        });
    }
    let (none, index) = (Arc::default(), crate::indexes::testing::name());
    let loaded = Tombstones::load(&none, &bucket, &index, &objects).await;
    loaded.unwrap()
}

/// A part whose rows of the dataset begin at a number.
fn part_from(path: &str, first: u64, rows: &[(&str, usize)]) -> Arc<Part> {
    let mut table = VectorTable::new(Dimension::new(DIMENSION).unwrap());
    for (at, (id, number)) in rows.iter().enumerate() {
        table.push(id, first + at as u64, &vector(*number)).unwrap();
    }
    Arc::new(Part::new(path, Frozen::of(&table, Metric::L2).unwrap()))
}

#[tokio::test]
async fn a_deleted_document_is_hidden_until_a_later_row_brings_it_back() {
    let base = (ids(&[("a", 0), ("b", 1), ("c", 2)]), vec![0, 1, 2].into());
    let part = || vec![part_from("1", 3, &[("b", 3), ("d", 4)])];
    let check = |deleted: Arc<Tombstones>, expected: [bool; 5], left: usize| {
        let tail = Tail::behind((&base.0, &base.1), part(), false, &deleted);
        let shown = [0, 1, 2].map(|row| !tail.hides(row));
        let behind = [0, 1].map(|row| !tail.hides_in(0, row));
        assert_eq!([shown.as_slice(), &behind].concat(), expected);
        assert_eq!(3 - tail.hidden_in_base() + tail.vectors(), left);
        // What is not shown is deleted or replaced, and `b` of the base is replaced in any case.
        assert_eq!(tail.deleted(), 4 - left);
    };
    check(tombstones(&[]).await, [true, false, true, true, true], 4);
    check(
        tombstones(&[("a", 3)]).await,
        [false, false, true, true, true],
        3,
    );
    // Deleted before the row of the tail came, which is another document of that id.
    check(
        tombstones(&[("b", 3)]).await,
        [true, false, true, true, true],
        4,
    );
    check(
        tombstones(&[("b", 5)]).await,
        [true, false, true, false, true],
        3,
    );
    check(
        tombstones(&[("d", 5), ("a", 4), ("b", 4)]).await,
        [false, false, true, false, false],
        1,
    );
}

#[tokio::test]
async fn a_filter_keeps_rows_of_the_dataset_that_are_not_hidden() {
    let base = (
        ids(&[("a", 0), ("b", 1), ("c", 2)]),
        vec![10, 20, 30].into(),
    );
    let part = vec![part_from("1", 31, &[("b", 3), ("d", 4)])];
    let tail = Tail::behind(
        (&base.0, &base.1),
        part,
        false,
        &*tombstones(&[("c", 31)]).await,
    );
    let kept = |rows: &[usize]| {
        let mut matching = RowMask::default();
        for row in rows {
            matching.add(*row);
        }
        let kept = tail.kept(&base.1, &matching);
        let shown = (0..3)
            .map(|row| kept.has(None, row))
            .chain((0..2).map(|row| kept.has(Some(0), row)));
        assert_eq!(kept.len(), shown.clone().filter(|shown| *shown).count());
        shown.collect::<Vec<bool>>()
    };
    assert_eq!(
        kept(&[10, 20, 30, 31, 32]),
        [true, false, false, true, true]
    );
    assert_eq!(kept(&[20, 32]), [false, false, false, false, true]);
    assert_eq!(kept(&[]), [false; 5]);
    assert_eq!(kept(&[99]), [false; 5]);
}

/// Vectors of pieces: of each document so many, told by numbers from one on; documents are rows of the dataset from
/// `first` on.
fn pieces_from(first: u64, documents: &[(&str, usize, usize)]) -> VectorTable {
    let mut table = VectorTable::new(Dimension::new(DIMENSION).unwrap());
    for (row, (id, many, number)) in (first..).zip(documents) {
        for at in 0..*many {
            let origin = Origin {
                doc_id: id,
                row,
                span: Some(Span {
                    start: at as u32 * 40,
                    end: at as u32 * 40 + 50,
                }),
                text_digest: None,
            };
            table.push_from(&origin, &vector(number + at)).unwrap();
        }
    }
    table
}

#[tokio::test]
async fn all_pieces_of_a_document_are_hidden_together_and_count_once() {
    let base = pieces_from(0, &[("a", 3, 0), ("b", 1, 10), ("c", 2, 20)]);
    let base = Frozen::of(&base, Metric::L2).unwrap();
    let tail = |deleted: Arc<Tombstones>| {
        let parts = [
            pieces_from(3, &[("a", 2, 30), ("d", 2, 40)]),
            pieces_from(5, &[("d", 3, 50), ("e", 1, 60)]),
        ];
        let part = |table| Arc::new(Part::new("1", Frozen::of(table, Metric::L2).unwrap()));
        let parts = parts.iter().map(part).collect();
        Tail::behind((&base.doc_ids, &base.rows), parts, false, &deleted)
    };
    let check = |tail: &Tail, hidden: [&[bool]; 3], counts: [usize; 3]| {
        let base: Vec<bool> = (0..6).map(|row| tail.hides(row)).collect();
        let parts = [0, 1].map(|part| (0..4).map(move |row| tail.hides_in(part, row)));
        let [first, second] = parts.map(Iterator::collect::<Vec<bool>>);
        assert_eq!([&base[..], &first[..], &second[..]], hidden);
        let documents = [tail.hidden_documents(), tail.documents(), tail.deleted()];
        assert_eq!(documents, counts);
    };
    let (no, yes) = (false, true);
    let replaced = tail(tombstones(&[]).await);
    check(
        &replaced,
        [&[yes, yes, yes, no, no, no], &[no, no, yes, yes], &[no; 4]],
        [1, 3, 0],
    );
    // One of the base, one of a part, and one that is back with both of its pieces.
    let deleted = tail(tombstones(&[("c", 7), ("d", 7), ("a", 3)]).await);
    check(
        &deleted,
        [
            &[yes, yes, yes, no, yes, yes],
            &[no, no, yes, yes],
            &[yes, yes, yes, no],
        ],
        [2, 2, 2],
    );
    let mut matching = RowMask::default();
    for row in [1, 2, 3, 6] {
        matching.add(row);
    }
    let kept = deleted.kept(&base.rows, &matching);
    assert_eq!((kept.len(), kept.documents()), (4, 3), "b, a and e");
}
