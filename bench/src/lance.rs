//! Lance tables of two sides: the course that P9 and S22 share, and vectors in Parquet for it.
//!
//! Three cold rounds make a table of the same Parquet objects and build the same index, each side a folder of its own; then
//! warm rounds search, read documents and append to the last of these tables. Both sides have the same release of Lance, the
//! same caches, and as many threads as there are cores. Our tables are synced and compared with their source;
//! pylance syncs nothing, so a change has a second row, in which the files that pylance wrote are synced as well.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, ensure};
use boathouse_types::Dimension;
use boathouse_vector::table::{self, VectorTable};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Options,
    compare::{Bar, Comparison, Row, median, round, rounds},
    data::{self, Split, Truth},
    ours::lance::{Ask, Did, Read, Searched},
    p1::K,
    process::Process,
};

/// Partitions that are searched, and candidates for each hit that are compared exactly: what a host does by itself.
pub(crate) const NPROBES: usize = 20;
pub(crate) const REFINE_FACTOR: u32 = 10;
/// Components that share a code.
const GROUP: u32 = 8;
/// Rows of an append, and rounds of appends.
pub(crate) const APPENDED: usize = 100;
const APPENDS: usize = 9;
/// Documents of a round, with the B-tree and without.
const DOCUMENTS: usize = 500;
const SCANNED: usize = 5;
/// Searches of a round.
const SEARCHES: usize = 500;
/// Most that ours may take of pylance's time.
const BAR: Bar = Bar::AtMost(1.15);

/// What is indexed and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) partitions: usize,
    pub(crate) sub_vectors: usize,
}

impl Plan {
    /// Partitions of some 390 rows, 256 at most; a code for eight components.
    pub(crate) fn of(split: &Split) -> Self {
        Self {
            partitions: (split.rows / 390).clamp(4, 256),
            sub_vectors: (split.dimension / GROUP) as usize,
        }
    }
}

/// One that is asked.
pub(crate) trait Side {
    fn migrate(&mut self) -> Result<Did>;
    fn index(&mut self, plan: Plan) -> Result<Did>;
    fn search(&mut self, most: usize) -> Result<Searched>;
    fn documents(&mut self, ids: &[String]) -> Result<Read>;
    /// Appends [`APPENDED`] documents whose ids begin with a name.
    fn append(&mut self, name: &str) -> Result<Did>;
}

/// A process that keeps tables in a folder.
pub(crate) struct Tables {
    pub(crate) process: Process,
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) folder: PathBuf,
    pub(crate) dimension: u32,
    pub(crate) queries: PathBuf,
}

impl Side for Tables {
    fn migrate(&mut self) -> Result<Did> {
        self.process.ask(&Ask::Migrate {
            sources: self.sources.clone(),
            folder: self.folder.clone(),
            dimension: self.dimension,
        })
    }

    fn index(&mut self, plan: Plan) -> Result<Did> {
        self.process.ask(&Ask::Index {
            partitions: plan.partitions,
            sub_vectors: plan.sub_vectors,
        })
    }

    fn search(&mut self, most: usize) -> Result<Searched> {
        self.process.ask(&Ask::Search {
            queries: self.queries.clone(),
            most,
            k: K,
            nprobes: NPROBES,
            refine_factor: REFINE_FACTOR,
        })
    }

    fn documents(&mut self, ids: &[String]) -> Result<Read> {
        self.process.ask(&Ask::Documents { ids: ids.to_vec() })
    }

    fn append(&mut self, name: &str) -> Result<Did> {
        self.process.ask(&Ask::Append {
            vectors: self.queries.clone(),
            count: APPENDED,
            name: name.to_owned(),
        })
    }
}

/// pylance, with as many threads as there are cores.
pub(crate) fn peer(
    split: &Split,
    sources: Vec<PathBuf>,
    folder: PathBuf,
    threads: usize,
) -> Result<Tables> {
    let mut process = Process::peer_on("lance_peer.py", threads)?;
    let Same { rows, same } = process.ask(&AskPeer::Compare {
        sources: &sources,
        base: &split.base,
        dimension: split.dimension,
    })?;
    ensure!(
        rows == split.rows && same == rows,
        "of {rows} stored vectors {same} are those of the split of {}",
        split.rows
    );
    Ok(Tables {
        process,
        sources,
        folder,
        dimension: split.dimension,
        queries: split.queries.clone(),
    })
}

/// What only the peer is asked.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum AskPeer<'a> {
    /// How many vectors in Parquet are those of a file, to the bit. Answered by [`Same`].
    Compare {
        sources: &'a [PathBuf],
        base: &'a Path,
        dimension: u32,
    },
}

#[derive(Deserialize)]
struct Same {
    rows: usize,
    same: usize,
}

/// What is measured, and what is said about it.
pub(crate) struct Course<'a> {
    pub(crate) id: &'static str,
    /// Collection and engine, for people.
    pub(crate) of: String,
    pub(crate) split: &'a Split,
    pub(crate) truth: &'a Truth,
    pub(crate) plan: Plan,
    pub(crate) options: Options,
    pub(crate) peer: String,
    /// A file of the vectors in Parquet that is written again with the appended rows, and where to.
    pub(crate) rewritten: (PathBuf, PathBuf),
    /// What the system that this one re-creates took, by work.
    pub(crate) seed: Value,
}

impl Course<'_> {
    /// Asks both sides and prints the rows.
    pub(crate) fn run(&self, ours: &mut dyn Side, peer: &mut dyn Side) -> Result<()> {
        self.cold(ours, peer)?;
        self.searches(ours, peer)?;
        self.documents(ours, peer)?;
        self.appends(ours, peer)
    }

    fn cold(&self, ours: &mut dyn Side, peer: &mut dyn Side) -> Result<()> {
        let (mut migrated, mut indexed) = (Vec::new(), Vec::new());
        for number in 0..if self.options.quick { 1 } else { 3 } {
            migrated.push(in_turn(number, || ours.migrate(), || peer.migrate())?);
            let ids = self.ids(SCANNED);
            if number == 0 {
                let (our, their) = (ours.documents(&ids)?, peer.documents(&ids)?);
                ensure!(
                    our.found == ids.len() && their.found == ids.len(),
                    "a document is missing"
                );
                eprintln!(
                    "{}: a document by id without a B-tree: {:.1} ms, {:.1} ms",
                    self.id,
                    our.p50_us / 1e3,
                    their.p50_us / 1e3
                );
            }
            let (plan, turn) = (self.plan, number + 1);
            indexed.push(in_turn(turn, || ours.index(plan), || peer.index(plan))?);
        }
        let Plan {
            partitions,
            sub_vectors,
        } = self.plan;
        let made = json!({ "partitions": partitions, "sub_vectors": sub_vectors });
        self.print_change("migrate from Parquet", "s", &migrated, &json!({}));
        self.print_change("build IVF_PQ and B-trees", "s", &indexed, &made);
        Ok(())
    }

    fn searches(&self, ours: &mut dyn Side, peer: &mut dyn Side) -> Result<()> {
        let all = self.split.query_count;
        let recall = [ours.search(all)?, peer.search(all)?]
            .map(|searched| self.truth.recall(&searched.answers));
        let [our, their] = recall;
        let (our, their) = (our?, their?);
        let most = SEARCHES.min(all);
        let count = self.options.rounds();
        let timed = rounds(count, || ours.search(most), || peer.search(most))?;
        let mut measured = Comparison::default();
        for (our, their) in timed {
            measured.push(our.p50_us / 1e3, their.p50_us / 1e3);
        }
        let detail = json!({
            "recall_at_10": [round(our), round(their)],
            "nprobes": NPROBES, "refine_factor": REFINE_FACTOR,
        });
        self.print("search, p50", "ms", &measured, detail);
        Ok(())
    }

    fn documents(&self, ours: &mut dyn Side, peer: &mut dyn Side) -> Result<()> {
        let ids = self.ids(DOCUMENTS);
        let count = self.options.rounds();
        let timed = rounds(count, || ours.documents(&ids), || peer.documents(&ids))?;
        let mut measured = Comparison::default();
        for (our, their) in timed {
            let (found, asked) = ([our.found, their.found], ids.len());
            ensure!(
                found == [asked; 2],
                "{found:?} of {asked} documents are there"
            );
            measured.push(our.p50_us / 1e3, their.p50_us / 1e3);
        }
        let detail = json!({ "bar_ms": 0.5, "met_ms": measured.ours() <= 0.5 });
        self.print(
            "document by id, with its vector, p50",
            "ms",
            &measured,
            detail,
        );
        Ok(())
    }

    fn appends(&self, ours: &mut dyn Side, peer: &mut dyn Side) -> Result<()> {
        let mut names = (0..).map(|number| format!("ours-{number}"));
        let mut theirs = (0..).map(|number| format!("peer-{number}"));
        let timed = rounds(
            APPENDS,
            || ours.append(&names.next().unwrap_or_default()),
            || peer.append(&theirs.next().unwrap_or_default()),
        )?;
        let (from, to) = &self.rewritten;
        let rewrite = rewrite(from, &self.split.queries, to)?;
        let detail = json!({
            "parquet_rewritten": { "seconds": round(rewrite.seconds), "bytes": rewrite.bytes },
        });
        self.print_change(&format!("append {APPENDED} rows"), "ms", &timed, &detail);
        Ok(())
    }

    /// Two rows of a change of tables: against pylance as it is, and with what it wrote synced.
    fn print_change(&self, work: &str, unit: &str, timed: &[(Did, Did)], detail: &Value) {
        let scale = if unit == "ms" { 1e3 } else { 1.0 };
        let (mut plain, mut synced) = (Comparison::default(), Comparison::default());
        for (our, their) in timed {
            plain.push(our.seconds * scale, their.seconds * scale);
            synced.push(our.seconds * scale, their.synced_seconds * scale);
        }
        let bytes = |of: fn(&(Did, Did)) -> u64| {
            let bytes: Vec<f64> = timed.iter().map(|both| of(both) as f64).collect();
            median(&bytes)
        };
        let mut detail = detail.clone();
        detail["bytes_added"] = json!([bytes(|both| both.0.bytes), bytes(|both| both.1.bytes)]);
        self.print(work, unit, &plain, detail.clone());
        self.print(
            &format!("{work}, pylance's files synced too"),
            unit,
            &synced,
            detail,
        );
    }

    fn print(&self, work: &str, unit: &str, measured: &Comparison, mut detail: Value) {
        if !self.seed.is_null() {
            detail["seed"] = self.seed.clone();
        }
        Row {
            id: self.id,
            work: format!("{}: {work}", self.of),
            peer: &self.peer,
            unit,
            measured,
            bar: BAR,
            detail,
        }
        .print();
    }

    /// Ids of documents, evenly spread.
    fn ids(&self, count: usize) -> Vec<String> {
        let rows = self.split.rows;
        let count = count.min(rows);
        (0..count)
            .map(|at| (at * rows / count).to_string())
            .collect()
    }
}

/// Asks both, who goes first by the number of the round.
fn in_turn<T>(
    number: usize,
    ours: impl FnOnce() -> Result<T>,
    peer: impl FnOnce() -> Result<T>,
) -> Result<(T, T)> {
    if number.is_multiple_of(2) {
        let ours = ours()?;
        Ok((ours, peer()?))
    } else {
        let peer = peer()?;
        Ok((ours()?, peer))
    }
}

/// Writes the rows of a split as a host stores vectors, each document named by its number.
pub(crate) fn write_parquet(split: &Split, path: &Path) -> Result<()> {
    let mut table = VectorTable::new(Dimension::new(split.dimension)?);
    data::for_each_vector(&split.base, split.dimension as usize, |vector| {
        let row = table.len();
        Ok(table.push(row.to_string(), row as u64, vector)?)
    })?;
    fs::write(path, table::write(&table)?)?;
    Ok(())
}

/// What it takes to have [`APPENDED`] rows more in Parquet by writing all of it again, synced.
pub(crate) fn rewrite(from: &Path, vectors: &Path, to: &Path) -> Result<Did> {
    let start = Instant::now();
    let mut table = table::read(Bytes::from(fs::read(from)?))?;
    let dimension = table.dimension().get();
    for (at, vector) in data::read_vectors(vectors, dimension)?
        .iter()
        .take(APPENDED)
        .enumerate()
    {
        table.push(format!("new-{at}"), at as u64, vector)?;
    }
    let did = written(&table, to, start)?;
    fs::remove_file(to)?;
    Ok(did)
}

/// Writes vectors in Parquet and syncs them.
pub(crate) fn written(table: &VectorTable, to: &Path, start: Instant) -> Result<Did> {
    let bytes = table::write(table)?;
    let mut file = fs::File::create(to)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Did {
        seconds,
        synced_seconds: seconds,
        bytes: bytes.len() as u64,
    })
}
