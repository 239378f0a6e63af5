//! P1: HNSW search on one thread at a recall@10 of 0.90, 0.95 and 0.99, against hnswlib.
//!
//! Both sides build with the same `m` and `ef_construction` and are asked for queries that were not
//! indexed. Recall depends on `ef` alone once a graph stands, so it is measured once; then rounds time
//! just the two values of `ef` on either side of each target, and queries per second at the target are
//! read between them, straight in recall and in the logarithm of time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    Options,
    compare::{Bar, Comparison, Row, round, rounds},
    data::{Split, Truth},
    ours::search::{Ask, Built, Searched},
    process::Process,
};

pub(crate) const K: usize = 10;
const M: u32 = 16;
const EF_CONSTRUCTION: u32 = 200;
const TARGETS: [f64; 3] = [0.90, 0.95, 0.99];

/// Values of `ef` from 10 up, each a quarter to a fifth more than the one before.
const LADDER: [usize; 34] = [
    10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
];

pub(crate) fn run(options: Options) -> Result<()> {
    let rows = options.rows(100_000, 10_000);
    let split = Split::of_glove(rows, if options.quick { 500 } else { 2_000 })?;
    let threads = std::thread::available_parallelism()?.get();
    let truth = split.truth(K, threads)?;
    let mut ours = Side::build(Process::ours("search")?, &split, threads)?;
    let mut peer = Side::build(Process::peer("hnswlib_peer.py")?, &split, threads)?;
    ours.measure_recall(&truth)?;
    peer.measure_recall(&truth)?;

    let (our_efs, peer_efs) = (ours.needed(), peer.needed());
    let timed = rounds(
        options.rounds(),
        || ours.times(&our_efs),
        || peer.times(&peer_efs),
    )?;
    for target in TARGETS {
        let (Some(our), Some(their)) = (ours.bracket(target), peer.bracket(target)) else {
            eprintln!("P1: recall {target} is out of reach of a side up to ef 3072");
            continue;
        };
        let mut measured = Comparison::default();
        for (our_times, their_times) in &timed {
            let per_second =
                |times, bracket: &Bracket| split.query_count as f64 / bracket.at(times);
            measured.push(per_second(our_times, &our), per_second(their_times, &their));
        }
        Row {
            id: "P1",
            work: format!("HNSW search, one thread, GloVe 50-d {rows} rows, recall@10 {target:.2}"),
            peer: peer.process.name(),
            unit: "queries/s",
            measured: &measured,
            bar: Bar::AtLeast(1.3),
            detail: json!({
                "m": M,
                "ef_construction": EF_CONSTRUCTION,
                "queries": split.query_count,
                "ours": our.describe(),
                "peer": their.describe(),
                "build_seconds": [round(ours.built.seconds), round(peer.built.seconds)],
            }),
        }
        .print();
    }
    Ok(())
}

/// One side with its index.
struct Side<'a> {
    process: Process,
    split: &'a Split,
    built: Built,
    /// `ef` and the recall that it gives, up to beyond the last target.
    curve: Vec<(usize, f64)>,
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
            let answers = self.search(ef, true)?.answers;
            let recall = truth.recall(&answers.context("no answers")?)?;
            self.curve.push((ef, recall));
            if TARGETS.iter().all(|&target| recall >= target) {
                break;
            }
        }
        Ok(())
    }

    /// The steps of the curve on either side of a target; none when it is not reached.
    fn bracket(&self, target: f64) -> Option<Bracket> {
        let above = self
            .curve
            .iter()
            .position(|&(_, recall)| recall >= target)?;
        Some(Bracket {
            target,
            below: self.curve[above.saturating_sub(1)],
            above: self.curve[above],
        })
    }

    /// Every `ef` that some target needs.
    fn needed(&self) -> BTreeSet<usize> {
        let brackets = TARGETS.iter().filter_map(|&target| self.bracket(target));
        brackets
            .flat_map(|bracket| [bracket.below.0, bracket.above.0])
            .collect()
    }

    /// Seconds for all queries by `ef`.
    fn times(&mut self, efs: &BTreeSet<usize>) -> Result<BTreeMap<usize, f64>> {
        efs.iter()
            .map(|&ef| Ok((ef, self.search(ef, false)?.seconds)))
            .collect()
    }
}

/// Two steps of a curve, `(ef, recall)`, with a target between them.
#[derive(Debug)]
struct Bracket {
    target: f64,
    below: (usize, f64),
    above: (usize, f64),
}

impl Bracket {
    /// How far the target lies from the lower step to the upper, in 0..=1.
    fn position(&self) -> f64 {
        let width = self.above.1 - self.below.1;
        if width <= 0.0 {
            return 1.0;
        }
        ((self.target - self.below.1) / width).clamp(0.0, 1.0)
    }

    /// Seconds at the target; NaN when a step was not timed.
    fn at(&self, times: &BTreeMap<usize, f64>) -> f64 {
        let log = |step: (usize, f64)| times.get(&step.0).map_or(f64::NAN, |time| time.ln());
        let (below, above) = (log(self.below), log(self.above));
        (below + (above - below) * self.position()).exp()
    }

    fn describe(&self) -> Value {
        let step = |(ef, recall): (usize, f64)| json!({ "ef": ef, "recall": round(recall) });
        json!([step(self.below), step(self.above)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_at_a_target_lies_between_its_steps() {
        let bracket = Bracket {
            target: 0.95,
            below: (32, 0.94),
            above: (40, 0.96),
        };
        let times = BTreeMap::from([(32, 1.0), (40, 4.0)]);
        assert!((bracket.at(&times) - 2.0).abs() < 1e-9);
        let reached_at_once = Bracket {
            target: 0.90,
            below: (10, 0.93),
            above: (10, 0.93),
        };
        let seconds = reached_at_once.at(&BTreeMap::from([(10, 3.0)]));
        assert!((seconds - 3.0).abs() < 1e-9);
    }
}
