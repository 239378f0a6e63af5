//! P1: HNSW search on one thread at a recall@10 of 0.90, 0.95 and 0.99, against hnswlib, Faiss and USearch.
//!
//! All sides build with the same `m` and `ef_construction` and are asked for queries that were not
//! indexed. Recall depends on `ef` alone once a graph stands, so it is measured once; then rounds time
//! just the two values of `ef` on either side of each target, and queries per second at the target are
//! read between them, straight in recall and in the logarithm of time. Which peer is the best at a target is
//! told by its own median; its row says `best`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    data::{Collection, Split, Truth},
    ours::search::{Ask, Built, Searched},
    process::Process,
};

pub(crate) const K: usize = 10;
pub(crate) const M: u32 = 16;
pub(crate) const EF_CONSTRUCTION: u32 = 200;
pub(crate) const TARGETS: [f64; 3] = [0.90, 0.95, 0.99];

/// The peers of P1 and P2, in `bench/python`.
pub(crate) const PEERS: [&str; 3] = ["hnswlib_peer.py", "faiss_peer.py", "usearch_peer.py"];

/// Values of `ef` from 10 up, each a quarter to a fifth more than the one before.
pub(crate) const LADDER: [usize; 34] = [
    10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
];

pub(crate) fn run(options: Options) -> Result<()> {
    options.for_each_split(|collection, split| compare(options, collection, split))
}

fn compare(options: Options, collection: Collection, split: &Split) -> Result<()> {
    let threads = std::thread::available_parallelism()?.get();
    let truth = split.truth(K, threads)?;
    let mut sides = vec![Side::build(Process::ours("search")?, split, threads)?];
    for peer in PEERS {
        sides.push(Side::build(Process::peer(peer)?, split, threads)?);
    }
    for side in &mut sides {
        side.measure_recall(&truth)?;
    }
    time(&mut sides, options.rounds())?;
    for target in TARGETS {
        print(collection, target, &sides);
    }
    Ok(())
}

/// Times every side at the steps that its targets need: a round that does not count, then so many that do. Who goes
/// first changes from round to round.
fn time(sides: &mut [Side<'_>], rounds: usize) -> Result<()> {
    for round in 0..=rounds {
        for turn in 0..sides.len() {
            let at = (turn + round) % sides.len();
            let times = sides[at].times()?;
            if round > 0 {
                sides[at].timed.push(times);
            }
        }
    }
    Ok(())
}

/// A row for each peer that reaches the target.
fn print(collection: Collection, target: f64, sides: &[Side<'_>]) {
    let Some((ours, peers)) = sides.split_first() else {
        return;
    };
    let Some(our) = ours.bracket(target) else {
        eprintln!("P1: recall {target} is out of our reach up to ef 3072");
        return;
    };
    let ours_at = ours.rates(&our);
    let reached: Vec<(&Side<'_>, Bracket, Vec<f64>)> = peers
        .iter()
        .filter_map(|peer| {
            let bracket = peer.bracket(target)?;
            let rates = peer.rates(&bracket);
            Some((peer, bracket, rates))
        })
        .collect();
    let best = reached.iter().map(|(.., rates)| median(rates));
    let best = best.fold(0.0, f64::max);
    for (peer, bracket, rates) in &reached {
        let mut measured = Comparison::default();
        for (&ours, &theirs) in ours_at.iter().zip(rates) {
            measured.push(ours, theirs);
        }
        Row {
            id: "P1",
            work: format!(
                "HNSW search, one thread, {} {} rows, recall@10 {target:.2}",
                collection.describe(),
                ours.split.rows
            ),
            peer: peer.process.name(),
            unit: "queries/s",
            measured: &measured,
            bar: Bar::AtLeast(1.3),
            detail: json!({
                "best": median(rates) >= best,
                "m": M,
                "ef_construction": EF_CONSTRUCTION,
                "queries": ours.split.query_count,
                "ours": our.describe(),
                "peer": bracket.describe(),
                "build_seconds": [round(ours.built.seconds), round(peer.built.seconds)],
                "peak_bytes": [ours.built.peak_bytes, peer.built.peak_bytes],
            }),
        }
        .print();
    }
}

/// A step of a curve.
#[derive(Debug, Clone, Copy)]
struct Step {
    ef: usize,
    recall: f64,
    /// Distances a query, where the side tells.
    distances: Option<f64>,
}

impl Step {
    fn describe(self) -> Value {
        let distances = self.distances.map(round);
        json!({ "ef": self.ef, "recall": round(self.recall), "distances": distances })
    }
}

/// One side with its index.
struct Side<'a> {
    process: Process,
    split: &'a Split,
    built: Built,
    /// What each `ef` gives, up to beyond the last target.
    curve: Vec<Step>,
    /// Seconds for all queries by `ef`, round by round.
    timed: Vec<BTreeMap<usize, f64>>,
}

impl<'a> Side<'a> {
    fn build(mut process: Process, split: &'a Split, threads: usize) -> Result<Self> {
        let built: Built = process.ask(&Ask::Build {
            base: split.base.clone(),
            rows: split.rows,
            dimension: split.dimension,
            m: M,
            ef_construction: EF_CONSTRUCTION,
            threads,
        })?;
        eprintln!("P1: {} built in {:.1} s", process.name(), built.seconds);
        Ok(Self {
            process,
            split,
            built,
            curve: Vec::new(),
            timed: Vec::new(),
        })
    }

    fn search(&mut self, ef: usize, answers: bool) -> Result<Searched> {
        self.process.ask(&Ask::Search {
            queries: self.split.queries.clone(),
            k: K,
            ef,
            answers,
        })
    }

    fn measure_recall(&mut self, truth: &Truth) -> Result<()> {
        for ef in LADDER {
            let searched = self.search(ef, true)?;
            let recall = truth.recall(&searched.answers.context("no answers")?)?;
            self.curve.push(Step {
                ef,
                recall,
                distances: searched.distances,
            });
            if TARGETS.iter().all(|&target| recall >= target) {
                break;
            }
        }
        Ok(())
    }

    /// The steps of the curve on either side of a target; none when it is not reached.
    fn bracket(&self, target: f64) -> Option<Bracket> {
        let above = self.curve.iter().position(|step| step.recall >= target)?;
        Some(Bracket {
            target,
            below: self.curve[above.saturating_sub(1)],
            above: self.curve[above],
        })
    }

    /// Seconds for all queries at every `ef` that some target needs.
    fn times(&mut self) -> Result<BTreeMap<usize, f64>> {
        let brackets = TARGETS.iter().filter_map(|&target| self.bracket(target));
        let needed: BTreeSet<usize> = brackets
            .flat_map(|bracket| [bracket.below.ef, bracket.above.ef])
            .collect();
        let times = needed
            .into_iter()
            .map(|ef| Ok((ef, self.search(ef, false)?.seconds)));
        times.collect()
    }

    /// Queries a second at a target, round by round.
    fn rates(&self, bracket: &Bracket) -> Vec<f64> {
        let times = self.timed.iter().map(|times| bracket.at(times));
        times
            .map(|seconds| self.split.query_count as f64 / seconds)
            .collect()
    }
}

/// Two steps of a curve with a target between them.
#[derive(Debug)]
struct Bracket {
    target: f64,
    below: Step,
    above: Step,
}

impl Bracket {
    /// How far the target lies from the lower step to the upper, in 0..=1.
    fn position(&self) -> f64 {
        let width = self.above.recall - self.below.recall;
        if width <= 0.0 {
            return 1.0;
        }
        ((self.target - self.below.recall) / width).clamp(0.0, 1.0)
    }

    /// Seconds at the target; NaN when a step was not timed.
    fn at(&self, times: &BTreeMap<usize, f64>) -> f64 {
        let log = |step: Step| times.get(&step.ef).map_or(f64::NAN, |time| time.ln());
        let (below, above) = (log(self.below), log(self.above));
        (below + (above - below) * self.position()).exp()
    }

    fn describe(&self) -> Value {
        json!([self.below.describe(), self.above.describe()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_at_a_target_lies_between_its_steps() {
        let step = |ef, recall| Step {
            ef,
            recall,
            distances: None,
        };
        let bracket = Bracket {
            target: 0.95,
            below: step(32, 0.94),
            above: step(40, 0.96),
        };
        let times = BTreeMap::from([(32, 1.0), (40, 4.0)]);
        assert!((bracket.at(&times) - 2.0).abs() < 1e-9);
        let reached_at_once = Bracket {
            target: 0.90,
            below: step(10, 0.93),
            above: step(10, 0.93),
        };
        let seconds = reached_at_once.at(&BTreeMap::from([(10, 3.0)]));
        assert!((seconds - 3.0).abs() < 1e-9);
    }
}
