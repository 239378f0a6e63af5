//! A compacted journal of 100,000 trials, listed, against reading its bytes.
//!
//! Three rows. The log's records against the bytes alone, which nobody can do anything with; against the bytes
//! and serde_json on every line of them, which is the least that gives trials on one core; and the journal as
//! the host lists it, with its checks of every line, against the same.

use std::time::Instant;

use anyhow::{Result, ensure};
use boathouse_storage::{AppendLog, Bucket};
use boathouse_tuning::Journal;
use boathouse_types::{IndexName, Trial};
use serde_json::json;

use super::{Stores, clock, trial};
use crate::{
    Options,
    compare::{Bar, Comparison, Row, rounds},
};

/// Trials that are written at a time while the journal is made.
const BATCH: usize = 2_000;
/// Most that listing may cost.
const BAR: f64 = 1.5;

pub(crate) fn run(options: Options) -> Result<()> {
    let stores = Stores::local()?;
    let journal = stores
        .runtime
        .block_on(Made::new(&stores.local, options.rows(100_000, 10_000)))?;
    let took = |side| stores.runtime.block_on(journal.take(side));
    let rows = [
        (Side::Records, Side::Bytes),
        (Side::Records, Side::Lines),
        (Side::Trials, Side::Lines),
    ];
    for (ours, peer) in rows {
        let mut measured = Comparison::default();
        for (ours, theirs) in rounds(options.rounds(), || took(ours), || took(peer))? {
            measured.push(ours, theirs);
        }
        Row {
            id: "journal",
            work: format!("a compacted journal of {}: {}", journal.trials, ours.name()),
            peer: peer.name(),
            unit: "ms",
            measured: &measured,
            bar: Bar::AtMost(BAR),
            detail: json!({ "bytes": journal.size }),
        }
        .print();
    }
    Ok(())
}

/// What may be done with the journal.
#[derive(Clone, Copy)]
enum Side {
    Records,
    Trials,
    Bytes,
    Lines,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Records => "records of the log",
            Self::Trials => "trials as the host lists them",
            Self::Bytes => "get of the bytes",
            Self::Lines => "get of the bytes, serde_json on each line",
        }
    }
}

/// A compacted journal.
struct Made {
    bucket: Bucket,
    index: IndexName,
    /// Its one object.
    path: String,
    size: u64,
    trials: usize,
}

impl Made {
    async fn new(bucket: &Bucket, trials: usize) -> Result<Self> {
        let index = IndexName::new("bench")?;
        let prefix = format!("_hnsw_trials/{index}");
        let log = AppendLog::new(bucket.clone(), &prefix, clock()).with_flush_threshold(BATCH);
        for number in 0..trials {
            log.append(trial(number)?).await?;
        }
        log.flush().await?;
        log.compact().await?;
        let objects = bucket.list(&prefix).await?;
        ensure!(objects.len() == 1, "the journal is not compacted");
        Ok(Self {
            bucket: bucket.clone(),
            index,
            path: objects[0].path.clone(),
            size: objects[0].size,
            trials,
        })
    }

    /// Milliseconds that one of the sides takes.
    async fn take(&self, side: Side) -> Result<f64> {
        let start = Instant::now();
        let trials = match side {
            Side::Records => self.records().await?,
            Side::Trials => {
                let journal = Journal::new(&self.bucket, &self.index, clock());
                journal.read().await?.trials.len()
            }
            Side::Bytes => {
                let bytes = self.bucket.get(&self.path).await?;
                ensure!(bytes.len() as u64 == self.size, "half a journal");
                self.trials
            }
            Side::Lines => self.lines().await?,
        };
        let took = start.elapsed().as_secs_f64() * 1e3;
        ensure!(trials == self.trials, "{trials} of {} trials", self.trials);
        Ok(took)
    }

    async fn records(&self) -> Result<usize> {
        let prefix = format!("_hnsw_trials/{}", self.index);
        let log: AppendLog<Trial> = AppendLog::new(self.bucket.clone(), prefix, clock());
        Ok(log.read_all().await?.records.len())
    }

    async fn lines(&self) -> Result<usize> {
        let bytes = self.bucket.get(&self.path).await?;
        let mut trials: Vec<Trial> = Vec::with_capacity(self.trials);
        for line in bytes.split(|byte| *byte == b'\n') {
            // The lines that name the format and the batches are no trials.
            trials.extend(serde_json::from_slice::<Trial>(line).ok());
        }
        Ok(trials.len())
    }
}
