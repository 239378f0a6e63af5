//! S10: the three configurations with which the specification compares, on 100,000 vectors of 768 components.
//!
//! The seed's figures (recall@10, median of a search, seconds of a build) were taken on other vectors and another
//! machine: (20, 30) 0.960, 509 us, 8 s; (80, 30) 1.000, 873 us, 230 s; (200, 30) 1.000, 874 us, 106 s. What can be
//! compared is how the three stand to each other and to exact search, which the seed put at fifty times the second
//! configuration's time. There is no peer: the other side of each row is exact search on the same thread.

use std::{ops::ControlFlow, time::Instant};

use anyhow::Result;
use boathouse_vector::{
    BuildOptions, Builder, HnswGraph, Query, Scratch, SearchOutcome, VectorSet, exact_top_k,
};
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    data::{self, Collection, Split},
    p1::K,
};

/// `ef_construction` and `ef_search`, with an `m` of 16.
const CONFIGURATIONS: [(u32, usize); 3] = [(20, 30), (80, 30), (200, 30)];
const M: u32 = 16;

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(100_000, 10_000);
    let split = Collection::Mixture.split(rows, options.quick)?;
    let threads = std::thread::available_parallelism()?.get();
    let truth = split.truth(K, threads)?;
    let set = data::read_set(&split.base, split.rows, split.dimension)?;
    let queries = data::read_queries(&split.queries, &set)?;
    let exact: Vec<f64> = (0..options.rounds())
        .map(|_| exact_micros(&set, &queries))
        .collect();
    for (ef_construction, ef) in CONFIGURATIONS {
        let started = Instant::now();
        let options = BuildOptions {
            m: M,
            ef_construction,
            seed: 0,
            threads,
            builder: Builder::default(),
        };
        let graph = HnswGraph::build(&set, &options, &|_| ControlFlow::Continue(()))?;
        let seconds = started.elapsed().as_secs_f64();
        let mut measured = Comparison::default();
        let mut last = Round::default();
        for &exact in &exact {
            last = Round::of(&set, &graph, &queries, ef);
            measured.push(percentile(&last.micros, 50), exact);
        }
        let recall = truth.recall(&last.answers)?;
        print(
            &split,
            (ef_construction, ef),
            &measured,
            seconds,
            &last,
            recall,
        );
    }
    Ok(())
}

fn print(
    split: &Split,
    (ef_construction, ef): (u32, usize),
    measured: &Comparison,
    seconds: f64,
    last: &Round,
    recall: f64,
) {
    Row {
        id: "S10",
        work: format!(
            "search, {} {} rows, ef_construction {ef_construction}, ef_search {ef}: median",
            Collection::Mixture.describe(),
            split.rows
        ),
        peer: "exact search",
        unit: "us",
        measured,
        bar: Bar::AtMost(0.02),
        detail: json!({
            "recall": round(recall),
            "p95_us": round(percentile(&last.micros, 95)),
            "build_seconds": round(seconds),
            "distances": round(last.distances as f64 / last.micros.len().max(1) as f64),
        }),
    }
    .print();
}

/// All queries once.
#[derive(Default)]
struct Round {
    micros: Vec<f64>,
    answers: Vec<Vec<u32>>,
    distances: u64,
}

impl Round {
    fn of(set: &VectorSet, graph: &HnswGraph, queries: &[Query], ef: usize) -> Self {
        let mut scratch = Scratch::default();
        let mut round = Self::default();
        for query in queries {
            let started = Instant::now();
            let found: SearchOutcome = graph.search(set, query, K, ef, &mut scratch);
            round.micros.push(started.elapsed().as_secs_f64() * 1e6);
            round.distances += found.distances;
            let rows = found.neighbors.iter().map(|neighbor| neighbor.row);
            round.answers.push(rows.collect());
        }
        round
    }
}

/// Median time of an exact search, of a few.
fn exact_micros(set: &VectorSet, queries: &[Query]) -> f64 {
    const SAMPLE: usize = 20;
    let times = queries.iter().take(SAMPLE).map(|query| {
        let started = Instant::now();
        std::hint::black_box(exact_top_k(set, query, K, |_| true));
        started.elapsed().as_secs_f64() * 1e6
    });
    median(&times.collect::<Vec<f64>>())
}

/// The value below which so many of a hundred lie; NaN of nothing.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
