//! P3: from a stored index to the first answer, against hnswlib's `load_index` and a query.
//!
//! Both sides store an index over the same clustered vectors with the same `m` and `ef_construction` once. Then each
//! round opens it in a fresh process, in turns, and asks one query: time runs from the first look at a file to the
//! rows that were found. The start of the process, and of Python, is not in it. The files are in the system's
//! memory by then, as they are after a restart of a host. Ours are those that a host keeps, compared with their
//! seals and mapped by the functions that it opens indexes with; the peer has no checksums. Another row is about a
//! whole host.
//!
//! The clusters lie far apart, where a graph easily loses rows, and an index that has lost some is opened no faster
//! for it. So a row of its own says which share of rows either side finds by their own vectors, and ours are not
//! timed below [`LEAST_SELF_RECALL`].

mod restart;

use std::{
    f32::consts::TAU,
    fs,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round},
    ours::open::{Ask, Found, Opened, Stored},
    process::{self, Process},
};

const DIMENSION: u32 = 384;
const CLUSTERS: usize = 500;
const M: u32 = 16;
const EF_CONSTRUCTION: u32 = 80;
const EF: usize = 64;
const K: usize = 10;
/// Rows that are searched for by their own vectors, evenly spread.
const SAMPLE: usize = 1_000;
/// Share of them that must be found for ours to be timed.
const LEAST_SELF_RECALL: f64 = 0.99;

pub(crate) fn run(options: Options) -> Result<()> {
    load(options)?;
    restart::run(options)
}

/// An index alone, in a fresh process.
fn load(options: Options) -> Result<()> {
    let rows = options.rows(100_000, 5_000);
    let folder = process::emptied("p3")?;
    let base = folder.join("vectors.f32");
    write_mixture(&base, rows)?;
    let threads = std::thread::available_parallelism()?.get();
    let (mut ours, mut peer) = (ours()?, peer()?);
    let peer_name = peer.name().to_owned();
    let store = |side: &mut Process, path: PathBuf| -> Result<Stored> {
        side.ask(&Ask::Store {
            base: base.clone(),
            rows,
            dimension: DIMENSION,
            m: M,
            ef_construction: EF_CONSTRUCTION,
            threads,
            path,
        })
    };
    let places = (folder.join("ours"), folder.join("theirs"));
    let stored = (
        store(&mut ours, places.0.clone())?,
        store(&mut peer, places.1.clone())?,
    );
    drop((ours, peer));
    self_recall(&places, &base, rows, &peer_name)?;

    let mut measured = Comparison::default();
    let mut private = (Vec::new(), Vec::new());
    let mut finds = (true, true);
    for number in 0..=2 * options.rounds() {
        let open = |start: fn() -> Result<Process>, path: &Path| {
            opened(start, path, &base, rows, DIMENSION)
        };
        // Who goes first changes from round to round.
        let (our, their) = if number % 2 == 0 {
            let our = open(self::ours, &places.0)?;
            (our, open(self::peer, &places.1)?)
        } else {
            let their = open(self::peer, &places.1)?;
            (open(self::ours, &places.0)?, their)
        };
        finds.0 &= our.found.contains(&0);
        finds.1 &= their.found.contains(&0);
        // The first fills the system's memory.
        if number > 0 {
            measured.push(our.seconds * 1e3, their.seconds * 1e3);
            private.0.push(our.private_bytes as f64);
            private.1.push(their.private_bytes as f64);
        }
    }
    Row {
        id: "P3",
        work: format!("stored index of {rows} x {DIMENSION} to its first answer, fresh process"),
        peer: &peer_name,
        unit: "ms",
        measured: &measured,
        bar: Bar::AtMost(0.3),
        detail: json!({
            "stored_bytes": { "ours": stored.0.bytes, "peer": stored.1.bytes },
            "finds_the_row": { "ours": finds.0, "peer": finds.1 },
            "private_bytes": { "ours": round(median(&private.0)), "peer": round(median(&private.1)) },
        }),
    }
    .print();
    fs::remove_dir_all(&folder).context("the folder of p3")
}

/// The share of rows that either side finds by their own vectors at the `ef` of the answer that is timed.
fn self_recall(
    places: &(PathBuf, PathBuf),
    base: &Path,
    rows: usize,
    peer_name: &str,
) -> Result<()> {
    let find = |mut side: Process, path: &Path| -> Result<f64> {
        let found: Found = side.ask(&Ask::Find {
            path: path.to_owned(),
            base: base.to_owned(),
            rows,
            dimension: DIMENSION,
            every: rows.div_ceil(SAMPLE).max(1),
            k: K,
            ef: EF,
        })?;
        Ok(found.found as f64 / found.asked as f64)
    };
    let (our, their) = (find(ours()?, &places.0)?, find(peer()?, &places.1)?);
    let mut measured = Comparison::default();
    measured.push(our, their);
    Row {
        id: "P3",
        work: format!("rows of {rows} x {DIMENSION} found by their own vectors, ef {EF}"),
        peer: peer_name,
        unit: "share",
        measured: &measured,
        bar: Bar::AtLeast(1.0),
        detail: json!({ "least": LEAST_SELF_RECALL }),
    }
    .print();
    ensure!(
        our >= LEAST_SELF_RECALL,
        "ours finds only {our} of its rows: there is nothing to be timed"
    );
    Ok(())
}

fn ours() -> Result<Process> {
    Process::ours("open")
}

fn peer() -> Result<Process> {
    Process::peer("hnswlib_open_peer.py")
}

/// Opens the index in a process of its own and asks for the row 0.
fn opened(
    start: fn() -> Result<Process>,
    path: &Path,
    base: &Path,
    rows: usize,
    dimension: u32,
) -> Result<Opened> {
    start()?.ask(&Ask::Open {
        path: path.to_owned(),
        query: base.to_owned(),
        rows,
        dimension,
        k: K,
        ef: EF,
    })
}

/// Vectors around centres, each with noise of a third of the centres' own spread.
fn write_mixture(path: &Path, rows: usize) -> Result<()> {
    let dimension = DIMENSION as usize;
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let centres: Vec<f32> = (0..CLUSTERS * dimension).map(|_| chance.normal()).collect();
    let mut out = BufWriter::new(fs::File::create(path)?);
    for _ in 0..rows {
        let centre = chance.next() as usize % CLUSTERS;
        for &middle in &centres[centre * dimension..][..dimension] {
            out.write_all(&(middle + chance.normal() / 3.0).to_le_bytes())?;
        }
    }
    Ok(out.flush()?)
}

/// Seeded numbers (xorshift, G. Marsaglia 2003); the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Of a normal distribution, by the transform of Box and Muller.
    fn normal(&mut self) -> f32 {
        let unit = |bits: u64| ((bits >> 40) as f32 + 1.0) / (1 << 24) as f32;
        let (radius, angle) = (unit(self.next()), unit(self.next()));
        (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
    }
}
