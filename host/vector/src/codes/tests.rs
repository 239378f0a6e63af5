//! What codes promise: order within the margin, zeros where padding is, none where they would mislead.

use boathouse_types::{Dimension, Metric};

use crate::{
    exact::exact_top_k,
    gauge::Gauge,
    samples::{clustered, dimension},
    set::VectorSet,
};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::L2, Metric::Dot];

fn distances(gauge: &mut Gauge<'_>, rows: u32) -> Vec<f32> {
    let list: Vec<u32> = (0..rows).collect();
    let mut out = Vec::new();
    gauge.distances(&list, &mut out);
    out
}

#[test]
fn rows_farther_apart_than_the_margin_keep_their_order() {
    for metric in METRICS {
        for components in [3, 16, 50, 65, 128] {
            let (set, queries) = clustered(800, components, 20, metric, 7);
            set.encode();
            assert!(set.codes().is_some());
            let (mut pairs, mut swapped) = (0_u32, 0_u32);
            for query in &queries {
                let mut gauge = Gauge::quick(&set, &query.values);
                let margin = gauge.margin();
                assert!(margin > 0.0 && margin.is_finite());
                let coded = distances(&mut gauge, 800);
                for (a, b) in (0..799).map(|row| (row, row + 1)) {
                    let exact = set.distance(query, a) - set.distance(query, b);
                    let near = coded[a as usize] - coded[b as usize];
                    pairs += 1;
                    swapped += u32::from(near.abs() > margin && (near > 0.0) != (exact > 0.0));
                }
            }
            assert!(
                swapped * 2_000 <= pairs,
                "{metric:?}, {components} components: {swapped} of {pairs}"
            );
        }
    }
}

#[test]
fn a_row_in_the_place_of_a_query_is_near_what_its_vector_gives() {
    for metric in METRICS {
        let (set, _) = clustered(300, 40, 0, metric, 9);
        set.encode();
        let mut of_codes = Gauge::of_row(&set, 0);
        for row in [0, 1, 150, 299] {
            of_codes.aim(row);
            let mut of_vector = Gauge::quick(&set, set.padded(row));
            let slack = of_codes.margin() + of_vector.margin();
            let pairs = distances(&mut of_codes, 300);
            let pairs = pairs.into_iter().zip(distances(&mut of_vector, 300));
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= slack));
        }
    }
}

#[test]
fn codes_take_a_quarter_of_the_vectors() {
    let (set, _) = clustered(2_000, 384, 0, Metric::Cosine, 11);
    let before = set.memory_bytes();
    set.encode();
    let codes = set.memory_bytes() - before;
    assert!(codes * 100 <= before * 27, "{codes} beside {before}");
}

#[test]
fn sets_that_codes_would_blur_have_none() {
    let check = |metric, vectors: &[[f32; 2]], expected: bool| {
        let mut builder = VectorSet::builder(Dimension::new(2).expect("valid"), metric);
        for vector in vectors {
            builder.push(vector).expect("good row");
        }
        let set = builder.finish();
        set.encode();
        assert_eq!(
            set.codes().is_some(),
            expected,
            "{metric:?} {}",
            vectors.len()
        );
    };
    let grid: Vec<[f32; 2]> = (0..400)
        .map(|i| [(i % 20) as f32, (i / 20) as f32])
        .collect();
    check(Metric::L2, &grid, true);
    let mut far_out = grid.clone();
    far_out.push([1e9, -1e9]);
    check(Metric::L2, &far_out, false);
    let mut tiny: Vec<[f32; 2]> = grid.iter().map(|&[x, y]| [x * 1e-30, y * 1e-30]).collect();
    check(Metric::L2, &tiny, false);
    tiny.clear();
    check(Metric::L2, &tiny, false);
}

#[test]
fn one_row_all_equal_rows_and_equal_components_do_no_harm() {
    for metric in METRICS {
        for count in [1_u32, 2, 70] {
            let mut builder = VectorSet::builder(dimension(3), metric);
            for _ in 0..count {
                builder.push(&[1.0, 2.0, 2.0]).expect("good row");
            }
            let set = builder.finish();
            set.encode();
            let query = set.prepare_query(&[2.0, 1.0, 2.0]).expect("good query");
            let mut gauge = Gauge::quick(&set, &query.values);
            let found = distances(&mut gauge, count);
            let exact = set.distance(&query, 0);
            assert!(found.iter().all(|near| (near - exact).abs() <= 1e-5));
        }
        let mut builder = VectorSet::builder(dimension(3), metric);
        for row in 0..100 {
            builder.push(&[5.0, row as f32, 5.0]).expect("good row");
        }
        let set = builder.finish();
        set.encode();
        let query = set.row_query(40);
        let mut gauge = Gauge::quick(&set, &query.values);
        let near = distances(&mut gauge, 100);
        let best = (0..100).min_by(|&a, &b| near[a].total_cmp(&near[b]));
        if metric != Metric::Dot {
            let best = best.expect("rows") as i64;
            assert!((best - 40).abs() <= 1, "{metric:?}: {best}");
            assert_eq!(exact_top_k(&set, &query, 1, |_| true)[0].row, 40);
        }
    }
}
