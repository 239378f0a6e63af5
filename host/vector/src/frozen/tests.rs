//! What frozen vectors promise: they come back as they were, and nothing else comes back.

use rand::SeedableRng as _;

use super::*;
use crate::{
    Scratch, Span, exact_top_k,
    samples::{dimension, mixture},
};

const VERSION_TEXT: &str = "0123456789abcdef";

fn table(components: u32, rows: u32) -> VectorTable {
    let mut table = VectorTable::new(dimension(components));
    for row in 0..rows {
        let vector: Vec<_> = (0..components)
            .map(|i| ((row * 31 + i * 7) % 23) as f32 - 10.5)
            .collect();
        let name = format!("doc \u{1f6f6} {row}");
        table
            .push(name, u64::from(row) * 3, &vector)
            .expect("good row");
    }
    table
}

fn provenance(components: u32, rows: u64, metric: Metric) -> Provenance<'static> {
    Provenance {
        data_version: VERSION_TEXT,
        dimension: dimension(components),
        metric,
        rows,
    }
}

/// The bytes of a frozen table, which begin on a cache line as those of a mapped file do.
fn bytes_of(frozen: &Frozen) -> Vec<u8> {
    let mut bytes = Vec::new();
    frozen
        .write(VERSION_TEXT, &mut bytes)
        .expect("memory takes everything");
    bytes
}

fn on_a_line(bytes: &[u8]) -> Bytes {
    let shift = 64;
    let mut room = vec![0_u8; bytes.len() + shift];
    let skip = room.as_ptr().align_offset(64);
    room[skip..skip + bytes.len()].copy_from_slice(bytes);
    Bytes::from(room).slice(skip..skip + bytes.len())
}

fn reason(bytes: &[u8], of: &Provenance<'_>) -> String {
    Frozen::read(on_a_line(bytes), of)
        .expect_err("refused")
        .to_string()
}

#[test]
fn what_serves_gives_back_the_table_that_it_was_made_of() {
    let plain = table(5, 40);
    let mut of_pieces = VectorTable::new(dimension(5));
    for (row, vector) in plain.vectors().enumerate() {
        let origin = Origin {
            doc_id: plain.doc_ids().get(row / 2),
            row: row as u64 / 2,
            span: Some(Span {
                start: row as u32 % 2 * 7,
                end: row as u32 % 2 * 7 + 9,
            }),
            text_digest: None,
        };
        of_pieces.push_from(&origin, vector).expect("good row");
    }
    for table in [plain, of_pieces] {
        for metric in [Metric::L2, Metric::Dot] {
            let frozen = Frozen::of(&table, metric).expect("good rows");
            assert_eq!(frozen.to_table().expect("a table"), table);
        }
        let frozen = Frozen::of(&table, Metric::Cosine).expect("good rows");
        let units = frozen.to_table().expect("a table");
        assert_eq!(units.doc_ids(), table.doc_ids());
        let again = Frozen::of(&units, Metric::Cosine).expect("good rows");
        let rows = (0..40).map(|row| frozen.vectors.row(row).iter().zip(again.vectors.row(row)));
        let most = rows.flatten().map(|(a, b)| (a - b).abs());
        assert!(most.fold(0.0, f32::max) <= f32::EPSILON);
    }
}

#[test]
fn codes_are_written_alike_whether_they_were_made_before_or_on_the_way() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
        for rows in [0, 1, 300] {
            let frozen = Frozen::of(&table(50, rows), metric).expect("good vectors");
            let before = frozen.vectors.memory_bytes();
            let on_the_way = bytes_of(&frozen);
            assert_eq!(frozen.vectors.memory_bytes(), before, "none were kept");
            frozen.vectors.encode();
            assert!(on_the_way == bytes_of(&frozen), "{metric:?}, {rows} rows");
        }
    }
}

#[test]
fn what_was_frozen_comes_back_without_a_copy() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
        for (components, rows) in [(1, 1), (3, 0), (16, 7), (50, 40)] {
            let table = table(components, rows);
            let before = Frozen::of(&table, metric).expect("good vectors");
            let bytes = on_a_line(&bytes_of(&before));
            let of = provenance(components, rows.into(), metric);
            let back = Frozen::read(bytes, &of).expect("reads");
            assert!(back.is_lent() == cfg!(target_endian = "little"));
            assert!(!before.is_lent());
            assert_eq!(back.doc_ids, *table.doc_ids());
            assert_eq!(*back.rows, *table.rows());
            assert_eq!(back.vectors.values(), before.vectors.values());
            assert_eq!(back.vectors.memory_bytes() > 0, rows > 0);
            if rows > 0 {
                let query = before.vectors.row_query(0);
                assert_eq!(
                    exact_top_k(&back.vectors, &query, 5, |_| true),
                    exact_top_k(&before.vectors, &query, 5, |_| true)
                );
            }
        }
    }
}

#[test]
fn codes_come_back_so_that_searches_find_the_same_by_the_same_way() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
        let (count, components) = (600_u32, 40);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut table = VectorTable::new(dimension(components));
        for (row, vector) in mixture(&mut rng, count as usize, 40).iter().enumerate() {
            table
                .push(format!("{row}"), row as u64, vector)
                .expect("good row");
        }
        let before = Frozen::of(&table, metric).expect("good vectors");
        let bytes = on_a_line(&bytes_of(&before));
        let back = Frozen::read(bytes, &provenance(components, count.into(), metric));
        let back = back.expect("reads").vectors;
        assert!(back.codes().is_some(), "{metric:?}");
        let options = crate::BuildOptions {
            m: 8,
            ef_construction: 40,
            seed: 1,
            threads: 1,
            builder: crate::Builder::default(),
        };
        let go_on = |_| std::ops::ControlFlow::Continue(());
        let graph = crate::HnswGraph::build(&before.vectors, &options, &go_on).expect("builds");
        let mut scratch = Scratch::default();
        for row in (0..count).step_by(50) {
            let query = before.vectors.row_query(row);
            let expected = graph.search(&before.vectors, &query, 5, 20, &mut scratch);
            let found = graph.search(&back, &query, 5, 20, &mut scratch);
            assert_eq!(found, expected, "{metric:?}, row {row}");
        }
    }
}

/// Vectors of pieces, three for each document but the last.
fn pieces(components: u32, rows: u32) -> VectorTable {
    let mut all = VectorTable::new(dimension(components));
    for (row, vector) in (0..rows).zip(table(components, rows).vectors()) {
        let origin = Origin {
            doc_id: &format!("doc {}", row / 3),
            row: u64::from(row / 3),
            span: Some(Span {
                start: row % 3 * 40,
                end: row % 3 * 40 + 50,
            }),
            text_digest: None,
        };
        all.push_from(&origin, vector).expect("good row");
    }
    all
}

#[test]
fn pieces_come_back_with_and_without_codes() {
    for (components, rows) in [(1, 1), (3, 20), (50, 300)] {
        let table = pieces(components, rows);
        let before = Frozen::of(&table, Metric::L2).expect("good vectors");
        let bytes = bytes_of(&before);
        let of = provenance(components, rows.into(), Metric::L2);
        let back = Frozen::read(on_a_line(&bytes), &of).expect("reads");
        let spans = back.spans.expect("they are of pieces");
        let spans: Vec<Span> = (0..table.len()).map(|row| spans.get(row)).collect();
        assert_eq!(spans, table.spans());
        assert_eq!(back.doc_ids, *table.doc_ids());
        assert_eq!(back.rows.documents(), rows.div_ceil(3) as usize);
        assert_eq!(
            back.vectors.codes().is_some(),
            before.vectors.coding().is_some()
        );
        for end in [bytes.len() - 1, HEADER + 4, 110] {
            assert!(Frozen::read(on_a_line(&bytes[..end]), &of).is_err());
        }
    }
}

#[test]
fn bytes_that_begin_anywhere_are_read_all_the_same() {
    let before = Frozen::of(&table(5, 9), Metric::L2).expect("good vectors");
    let plain = bytes_of(&before);
    for shift in 0..65 {
        let shifted = Bytes::from([&vec![0; shift], plain.as_slice()].concat());
        let of = provenance(5, 9, Metric::L2);
        let back = Frozen::read(shifted.slice(shift..), &of).expect("reads");
        assert_eq!(back.vectors.values(), before.vectors.values());
        assert!(back.vectors.row(3).as_ptr().align_offset(64) == 0);
        assert_eq!(back.doc_ids.get(8), "doc \u{1f6f6} 8");
    }
}

#[test]
fn every_truncation_and_every_byte_more_is_refused() {
    let bytes = bytes_of(&Frozen::of(&table(3, 4), Metric::Dot).expect("good vectors"));
    let of = provenance(3, 4, Metric::Dot);
    for end in 0..bytes.len() {
        assert!(
            Frozen::read(on_a_line(&bytes[..end]), &of).is_err(),
            "{end} bytes"
        );
    }
    assert!(reason(&[&bytes[..], b"x"].concat(), &of).contains("length"));
}

#[test]
fn vectors_of_something_else_are_refused_by_what_differs() {
    let bytes = bytes_of(&Frozen::of(&table(3, 4), Metric::Dot).expect("good vectors"));
    let own = provenance(3, 4, Metric::Dot);
    let check = |of: Provenance<'_>, what: &str| {
        let reason = reason(&bytes, &of);
        assert!(
            reason.contains(&format!("their {what} differs")),
            "{reason}"
        );
    };
    check(provenance(4, 4, Metric::Dot), "dimension");
    check(provenance(3, 4, Metric::Cosine), "metric");
    check(provenance(3, 5, Metric::Dot), "number of rows");
    for data_version in [
        "",
        "0123456789abcde",
        "0123456789abcdeg",
        "0123456789abcdef0",
    ] {
        let of = Provenance {
            data_version,
            ..own
        };
        check(of, "version");
    }
    for (at, value, expected) in [
        (0, b'P', "does not begin like frozen vectors"),
        (8, 0, "format version is 0"),
        (
            8,
            7,
            "format version 7 and this program reads up to version 2",
        ),
        (8, 1, "an older format"),
        (16, 9, "unknown metric, 9"),
        (104, 2, "codes of an unknown kind"),
        (108, 2, "spans of an unknown kind"),
        (20, 200, "their version differs"),
    ] {
        let mut altered = bytes.clone();
        altered[at] = value;
        let reason = reason(&altered, &own);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn no_altered_byte_makes_anything_panic() {
    let before = Frozen::of(&table(2, 5), Metric::L2).expect("good vectors");
    let bytes = bytes_of(&before);
    let of = provenance(2, 5, Metric::L2);
    let options = crate::BuildOptions {
        m: 2,
        ef_construction: 4,
        seed: 1,
        threads: 1,
        builder: crate::Builder::default(),
    };
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let graph = crate::HnswGraph::build(&before.vectors, &options, &go_on).expect("builds");
    let mut scratch = Scratch::default();
    let fields = (0..FIELDS).chain(HEADER..bytes.len());
    for at in fields {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut altered = bytes.clone();
            altered[at] = value;
            let Ok(read) = Frozen::read(on_a_line(&altered), &of) else {
                continue;
            };
            assert_eq!(read.doc_ids.iter().count(), 5);
            let query = before.vectors.row_query(0);
            let found = graph.search(&read.vectors, &query, 3, 3, &mut scratch);
            assert_eq!(found.neighbors.len(), 3, "byte {at}");
        }
    }
}

#[test]
fn a_version_too_long_is_not_written() {
    let frozen = Frozen::of(&table(2, 1), Metric::L2).expect("good vectors");
    let long = "x".repeat(65);
    assert!(frozen.write(&long, &mut Vec::new()).is_err());
    assert!(frozen.write(&long[1..], &mut Vec::new()).is_ok());
}
