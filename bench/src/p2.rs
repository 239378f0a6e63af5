//! P2: time and memory of the build that reaches recall@10 of 0.95 at `ef` 64, against hnswlib.
//!
//! Each side takes the first step of one and the same ladder of `m` and `ef_construction`, cheapest
//! first, whose graph reaches the recall. Then both build it again and again on all cores, each time
//! in a fresh process, so that the peak of its memory is that of this build.

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    data::{Split, Truth},
    ours::search::{Ask, Built, Searched},
    p1::K,
    process::Process,
};

const RECALL: f64 = 0.95;
const EF: usize = 64;

/// `m` and `ef_construction`, by what they cost.
const LADDER: [(u32, u32); 11] = [
    (8, 40),
    (8, 80),
    (12, 80),
    (16, 80),
    (16, 120),
    (16, 200),
    (24, 120),
    (24, 200),
    (32, 200),
    (32, 400),
    (48, 400),
];

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(25_000, 5_000);
    let split = Split::of_glove(rows, if options.quick { 500 } else { 2_000 })?;
    let threads = std::thread::available_parallelism()?.get();
    let bench = Bench {
        truth: split.truth(K, threads)?,
        split,
        threads,
    };
    let peer_name = peer()?.name().to_owned();
    let our_step = bench.first_step(ours)?;
    let their_step = bench.first_step(peer)?;

    let (mut time, mut memory) = (Comparison::default(), Comparison::default());
    let (mut our_recall, mut their_recall) = (Vec::new(), Vec::new());
    for round in 0..5 {
        // Who goes first changes from round to round.
        let (our, their) = if round % 2 == 0 {
            let our = bench.build(ours, our_step)?;
            (our, bench.build(peer, their_step)?)
        } else {
            let their = bench.build(peer, their_step)?;
            (bench.build(ours, our_step)?, their)
        };
        time.push(our.0.seconds, their.0.seconds);
        memory.push(our.0.peak_bytes as f64, their.0.peak_bytes as f64);
        our_recall.push(our.1);
        their_recall.push(their.1);
    }
    let rows_of = [
        ("time", "s", &time, Bar::AtMost(0.8)),
        ("peak memory", "bytes", &memory, Bar::AtMost(1.0)),
    ];
    for (what, unit, measured, bar) in rows_of {
        Row {
            id: "P2",
            work: format!(
                "HNSW build, {threads} threads, GloVe 50-d {rows} rows, to recall@10 {RECALL} at ef {EF}: {what}"
            ),
            peer: &peer_name,
            unit,
            measured,
            bar,
            detail: json!({
                "ours": { "m": our_step.0, "ef_construction": our_step.1, "recall": round(median(&our_recall)) },
                "peer": { "m": their_step.0, "ef_construction": their_step.1, "recall": round(median(&their_recall)) },
            }),
        }
        .print();
    }
    Ok(())
}

fn ours() -> Result<Process> {
    Process::ours("search")
}

fn peer() -> Result<Process> {
    Process::peer("hnswlib_peer.py")
}

struct Bench {
    split: Split,
    truth: Truth,
    threads: usize,
}

impl Bench {
    fn first_step(&self, start: fn() -> Result<Process>) -> Result<(u32, u32)> {
        for step in LADDER {
            let (built, recall) = self.build(start, step)?;
            eprintln!("P2: {step:?} gives {recall:.4} in {:.1} s", built.seconds);
            if recall >= RECALL {
                return Ok(step);
            }
        }
        anyhow::bail!("no step of the ladder reaches recall {RECALL} at ef {EF}")
    }

    /// Builds in a process of its own; gives the cost, and the recall at the `ef` of the bar.
    fn build(
        &self,
        start: fn() -> Result<Process>,
        (m, ef_construction): (u32, u32),
    ) -> Result<(Built, f64)> {
        let mut process = start()?;
        let built = process.ask(&Ask::Build {
            base: self.split.base.clone(),
            rows: self.split.rows,
            dimension: self.split.dimension,
            m,
            ef_construction,
            threads: self.threads,
        })?;
        let searched: Searched = process.ask(&Ask::Search {
            queries: self.split.queries.clone(),
            k: K,
            ef: EF,
            answers: true,
        })?;
        let answers = searched.answers.context("no answers")?;
        Ok((built, self.truth.recall(&answers)?))
    }
}
