//! Ingest: tables (P8), files, and the memory of a large table.
//!
//! A round asks each side once, each time in a fresh process, so that its peak of memory is that of this work alone;
//! who goes first changes. Memory is the peak of the process's resident memory, libraries included; how far it grew
//! from where it stood when it was asked is in the detail.

pub(crate) mod files;
pub(crate) mod memory;
pub(crate) mod tables;

use std::{fs, num::NonZeroUsize, path::PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    ours::ingest::{Ask, Cost},
    process::{self, Process},
};

/// What a piece of work is, and how it is judged.
struct Work {
    id: &'static str,
    what: String,
    rows: usize,
    ask: Ask,
    peers: &'static [&'static str],
    /// Rows a second, ours over the peer's, at least.
    rate: f64,
    /// Peak of resident memory, ours over the peer's, at most.
    memory: f64,
}

/// The cores of this machine.
fn threads() -> Result<NonZeroUsize> {
    Ok(std::thread::available_parallelism()?)
}

impl Work {
    /// Measures all sides in turn and prints two rows a peer. The first round does not count: it warms the server
    /// and the cache of the disk.
    fn measure(&self, options: Options) -> Result<()> {
        let sides = 1 + self.peers.len();
        let mut names = vec![String::new(); sides];
        let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); sides];
        for number in 0..=(if options.quick { 1 } else { 3 }) {
            for side in (0..sides).map(|turn| (number + turn) % sides) {
                let (name, cost) = self.ask(side)?;
                eprintln!("{}: {name} took {:.2} s", self.what, cost.seconds);
                names[side] = name;
                costs[side].extend((number > 0).then_some(cost));
            }
        }
        for peer in 1..sides {
            self.print(&costs[0], &names[peer], &costs[peer]);
        }
        Ok(())
    }

    /// Asks a side, ours being the first, and clears away what it made.
    fn ask(&self, side: usize) -> Result<(String, Cost)> {
        let mut process = match side.checked_sub(1) {
            None => Process::ours("ingest")?,
            Some(peer) => Process::peer(self.peers[peer])?,
        };
        let (Ask::Table { out, .. } | Ask::File { out, .. }) = &self.ask;
        let cost = process.ask(&self.ask)?;
        if out.is_dir() {
            fs::remove_dir_all(out)?;
        } else {
            fs::remove_file(out)?;
        }
        Ok((process.name().to_owned(), cost))
    }

    fn print(&self, ours: &[Cost], name: &str, peer: &[Cost]) {
        let (mut rate, mut memory) = (Comparison::default(), Comparison::default());
        let rows = self.rows as f64;
        for (ours, peer) in ours.iter().zip(peer) {
            rate.push(rows / ours.seconds, rows / peer.seconds);
            memory.push(ours.peak_bytes, peer.peak_bytes);
        }
        let lines = [
            ("rows/s", rate, Bar::AtLeast(self.rate)),
            ("bytes", memory, Bar::AtMost(self.memory)),
        ];
        for (unit, measured, bar) in lines {
            let what = if unit == "bytes" {
                ": peak resident"
            } else {
                ""
            };
            Row {
                id: self.id,
                work: format!("{}, {} rows{what}", self.what, self.rows),
                peer: name,
                unit,
                measured: &measured,
                bar,
                detail: json!({"ours": costs(ours), "peer": costs(peer)}),
            }
            .print();
        }
    }
}

/// Medians of the absolute figures.
fn costs(costs: &[Cost]) -> Value {
    let middle = |of: fn(&Cost) -> f64| round(median(&costs.iter().map(of).collect::<Vec<_>>()));
    json!({
        "seconds": middle(|cost| cost.seconds),
        "growth_mib": middle(|cost| cost.growth_bytes / 1_048_576.0),
    })
}

/// A folder of one run, gone with this value; runs beside it have their own.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self> {
        let name = format!("ingest-{}", std::process::id());
        process::emptied(&name).map(Self)
    }

    /// Where a side puts what it makes.
    fn out(&self) -> PathBuf {
        self.0.join("out")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
