//! P2: time and memory of the build that reaches recall@10 of 0.95 at `ef` 64, against hnswlib, Faiss and USearch.
//!
//! Each side takes the first step of one and the same ladder of `m` and `ef_construction`, cheapest
//! first, whose graph reaches the recall. Then all build it again and again on all cores, each time
//! in a fresh process, so that the peak of its memory is that of this build. The peer that is best at time need not
//! be the one that is best at memory; the rows of both say `best`.

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    data::{Collection, Split, Truth},
    ours::search::{Ask, Built, Searched},
    p1::{K, PEERS},
    process::Process,
};

const RECALL: f64 = 0.95;
const EF: usize = 64;
const ROUNDS: usize = 5;

/// `m` and `ef_construction`, by what they cost.
const LADDER: [(u32, u32); 13] = [
    (8, 40),
    (8, 80),
    (12, 40),
    (12, 80),
    (16, 40),
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
    options.for_each_split(compare)
}

fn compare(collection: Collection, split: &Split) -> Result<()> {
    let threads = std::thread::available_parallelism()?.get();
    let bench = Bench {
        truth: split.truth(K, threads)?,
        split,
        threads,
    };
    let mut sides = vec![Side::of(None, &bench)?];
    for peer in PEERS {
        sides.push(Side::of(Some(peer), &bench)?);
    }
    for round in 0..ROUNDS {
        // Who goes first changes from round to round.
        for turn in 0..sides.len() {
            let at = (turn + round) % sides.len();
            sides[at].build(&bench)?;
        }
    }
    for what in [Cost::Time, Cost::Memory] {
        print(collection, &bench, what, &sides);
    }
    Ok(())
}

/// What a build costs.
#[derive(Debug, Clone, Copy)]
enum Cost {
    Time,
    Memory,
}

impl Cost {
    fn of(self, built: &Built) -> f64 {
        match self {
            Self::Time => built.seconds,
            Self::Memory => built.peak_bytes as f64,
        }
    }

    fn describe(self) -> (&'static str, &'static str, Bar) {
        match self {
            Self::Time => ("time", "s", Bar::AtMost(0.8)),
            Self::Memory => ("peak memory", "bytes", Bar::AtMost(1.0)),
        }
    }
}

/// A row for each peer.
fn print(collection: Collection, bench: &Bench<'_>, cost: Cost, sides: &[Side]) {
    let Some((ours, peers)) = sides.split_first() else {
        return;
    };
    let (what, unit, bar) = cost.describe();
    let least = peers.iter().map(|peer| median(&peer.costs(cost)));
    let least = least.fold(f64::INFINITY, f64::min);
    for peer in peers {
        let mut measured = Comparison::default();
        for (ours, theirs) in ours.costs(cost).into_iter().zip(peer.costs(cost)) {
            measured.push(ours, theirs);
        }
        Row {
            id: "P2",
            work: format!(
                "HNSW build, {} threads, {} {} rows, to recall@10 {RECALL} at ef {EF}: {what}",
                bench.threads,
                collection.describe(),
                bench.split.rows
            ),
            peer: &peer.name,
            unit,
            measured: &measured,
            bar,
            detail: json!({
                "best": median(&peer.costs(cost)) <= least,
                "ours": ours.describe(),
                "peer": peer.describe(),
            }),
        }
        .print();
    }
}

/// A side, its step of the ladder and what its builds took.
struct Side {
    /// The peer's script; ours has none.
    script: Option<&'static str>,
    name: String,
    step: (u32, u32),
    built: Vec<Built>,
    recall: Vec<f64>,
}

impl Side {
    /// Finds the side's step.
    fn of(script: Option<&'static str>, bench: &Bench<'_>) -> Result<Self> {
        for step in LADDER {
            let (name, built, recall) = bench.build(script, step)?;
            eprintln!(
                "P2: {name} {step:?} gives {recall:.4} in {:.1} s",
                built.seconds
            );
            if recall >= RECALL {
                return Ok(Self {
                    script,
                    name,
                    step,
                    built: Vec::new(),
                    recall: Vec::new(),
                });
            }
        }
        anyhow::bail!("no step of the ladder reaches recall {RECALL} at ef {EF}")
    }

    fn build(&mut self, bench: &Bench<'_>) -> Result<()> {
        let (_, built, recall) = bench.build(self.script, self.step)?;
        self.built.push(built);
        self.recall.push(recall);
        Ok(())
    }

    fn costs(&self, cost: Cost) -> Vec<f64> {
        self.built.iter().map(|built| cost.of(built)).collect()
    }

    fn describe(&self) -> serde_json::Value {
        let (m, ef_construction) = self.step;
        json!({ "m": m, "ef_construction": ef_construction, "recall": round(median(&self.recall)) })
    }
}

struct Bench<'a> {
    split: &'a Split,
    truth: Truth,
    threads: usize,
}

impl Bench<'_> {
    /// Builds in a process of its own; gives its name, the cost, and the recall at the `ef` of the bar.
    fn build(
        &self,
        script: Option<&str>,
        (m, ef_construction): (u32, u32),
    ) -> Result<(String, Built, f64)> {
        let mut process = match script {
            Some(script) => Process::peer(script)?,
            None => Process::ours("search")?,
        };
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
        let recall = self.truth.recall(&answers)?;
        Ok((process.name().to_owned(), built, recall))
    }
}
