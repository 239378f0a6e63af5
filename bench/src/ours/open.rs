//! A stored index, opened by what a host opens indexes with.
//!
//! The peer answers the same questions (`bench/python/hnswlib_open_peer.py`).

use std::{
    fs::File,
    io::Read as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use boathouse_storage::FileCache;
use boathouse_types::{Dimension, Metric};
use boathouse_vector::{
    BuildOptions, Builder, Frozen, HnswGraph, Provenance, Scratch, table::VectorTable,
};
use serde::{Deserialize, Serialize};

use super::lance::Searched;
use crate::{compare::median, data, process};

/// Names of the files, and the version of the vectors in them.
const ROWS: &str = "base.rows";
const GRAPH: &str = "base.graph";
const VERSION: &str = "bench";

/// What either side can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Index a file and store the index. Answered by [`Stored`].
    Store {
        base: PathBuf,
        rows: usize,
        dimension: u32,
        m: u32,
        ef_construction: u32,
        threads: usize,
        path: PathBuf,
    },
    /// Open it and search for the first vector of a file. Answered by [`Opened`].
    Open {
        path: PathBuf,
        query: PathBuf,
        rows: usize,
        dimension: u32,
        k: usize,
        ef: usize,
    },
    /// Open it and search for every so many-th vector of the file that it was made of. Answered by [`Found`].
    Find {
        path: PathBuf,
        base: PathBuf,
        rows: usize,
        dimension: u32,
        every: usize,
        k: usize,
        ef: usize,
    },
    /// Open it unless it is, and search for the first queries of a file, each timed by itself. Only ours can. Answered by
    /// [`Searched`].
    Each {
        path: PathBuf,
        queries: PathBuf,
        most: usize,
        rows: usize,
        dimension: u32,
        k: usize,
        ef: usize,
    },
}

/// A stored index.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// What it takes on the disk.
    pub(crate) bytes: u64,
    /// Wall-clock time of the build, vectors being in memory, where the side tells.
    #[serde(default)]
    pub(crate) build_seconds: Option<f64>,
}

/// An opened index.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// Wall-clock time until the answer.
    pub(crate) seconds: f64,
    /// Memory of the process that no other can have too.
    pub(crate) private_bytes: u64,
    /// Rows that were found.
    pub(crate) found: Vec<u64>,
}

/// Rows that were searched for by their own vectors.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    /// How many were asked for.
    pub(crate) asked: usize,
    /// How many were in their own answers.
    pub(crate) found: usize,
}

pub(super) fn serve() -> Result<()> {
    let mut kept = None;
    process::serve(&super::name(), |ask| {
        Ok(match ask {
            Ask::Store {
                base,
                rows,
                dimension,
                m,
                ef_construction,
                threads,
                path,
            } => {
                let table = table(&base, dimension)?;
                ensure!(table.len() == rows, "{} vectors, not {rows}", table.len());
                let options = BuildOptions {
                    m,
                    ef_construction,
                    seed: 1,
                    threads,
                    builder: Builder::default(),
                };
                serde_json::to_value(store(&table, &options, &path)?)?
            }
            Ask::Open {
                path,
                query,
                rows,
                dimension,
                k,
                ef,
            } => {
                let mut first = vec![0; 4 * dimension as usize];
                File::open(query)?.read_exact(&mut first)?;
                let (words, _) = first.as_chunks();
                let query: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
                let of = provenance(dimension, rows)?;
                serde_json::to_value(open(&path, &of, &query, (k, ef))?)?
            }
            Ask::Find {
                path,
                base,
                rows,
                dimension,
                every,
                k,
                ef,
            } => {
                let index = opened(&path, &provenance(dimension, rows)?)?;
                serde_json::to_value(find(&index, &base, every, (k, ef))?)?
            }
            Ask::Each {
                path,
                queries,
                most,
                rows,
                dimension,
                k,
                ef,
            } => {
                let index = match kept.take() {
                    Some(index) => index,
                    None => opened(&path, &provenance(dimension, rows)?)?,
                };
                let searched = each(kept.insert(index), &queries, most, (k, ef))?;
                serde_json::to_value(searched)?
            }
        })
    })
}

fn provenance(dimension: u32, rows: usize) -> Result<Provenance<'static>> {
    Ok(Provenance {
        data_version: VERSION,
        dimension: Dimension::new(dimension)?,
        metric: Metric::Cosine,
        rows: rows as u64,
    })
}

fn table(path: &Path, dimension: u32) -> Result<VectorTable> {
    let dimension = Dimension::new(dimension)?;
    let mut table = VectorTable::new(dimension);
    data::for_each_vector(path, dimension.get(), |vector| {
        let row = table.len();
        Ok(table.push(format!("doc-{row}"), row as u64, vector)?)
    })?;
    Ok(table)
}

fn store(table: &VectorTable, options: &BuildOptions, path: &Path) -> Result<Stored> {
    let frozen = Frozen::of(table, Metric::Cosine)?;
    let start = Instant::now();
    let graph = HnswGraph::build(&frozen.vectors, options, &|_| ControlFlow::Continue(()))?;
    let build_seconds = Some(start.elapsed().as_secs_f64());
    let files = FileCache::new(path.to_owned());
    let kept = files.put(ROWS, |out| frozen.write(VERSION, out))
        && files.put(GRAPH, |out| out.write_all(&graph.to_bytes()));
    ensure!(kept, "the index cannot be stored");
    let bytes = [ROWS, GRAPH].map(|name| std::fs::metadata(path.join(name)).map(|file| file.len()));
    let [rows, links] = bytes;
    Ok(Stored {
        bytes: rows? + links?,
        build_seconds,
    })
}

/// An index as a host opens it.
fn opened(path: &Path, of: &Provenance<'_>) -> Result<(Frozen, HnswGraph)> {
    let files = FileCache::new(path.to_owned());
    let frozen = files.get(ROWS, |bytes| Frozen::read(bytes, of));
    let frozen = frozen.context("no stored vectors")?;
    let graph = files.get(GRAPH, |bytes| HnswGraph::read(&bytes));
    Ok((frozen, graph.context("no stored graph")?))
}

fn find(
    (frozen, graph): &(Frozen, HnswGraph),
    base: &Path,
    every: usize,
    (k, ef): (usize, usize),
) -> Result<Found> {
    let mut scratch = Scratch::default();
    let (mut row, mut asked, mut found) = (0, 0, 0);
    data::for_each_vector(base, frozen.vectors.dimension().get(), |vector| {
        if row % every == 0 {
            let query = frozen.vectors.prepare_query(vector)?;
            let answer = graph.search(&frozen.vectors, &query, k, ef, &mut scratch);
            let mut rows = answer.neighbors.iter().map(|one| one.row as usize);
            asked += 1;
            found += usize::from(rows.any(|one| one == row));
        }
        row += 1;
        Ok(())
    })?;
    Ok(Found { asked, found })
}

fn each(
    (frozen, graph): &(Frozen, HnswGraph),
    queries: &Path,
    most: usize,
    (k, ef): (usize, usize),
) -> Result<Searched> {
    let mut scratch = Scratch::default();
    let (mut times, mut answers) = (Vec::new(), Vec::new());
    let queries = data::read_vectors(queries, frozen.vectors.dimension().get())?;
    for vector in queries.iter().take(most) {
        let start = Instant::now();
        let query = frozen.vectors.prepare_query(vector)?;
        let found = graph.search(&frozen.vectors, &query, k, ef, &mut scratch);
        times.push(start.elapsed().as_secs_f64() * 1e6);
        answers.push(found.neighbors.iter().map(|one| one.row).collect());
    }
    Ok(Searched {
        p50_us: median(&times),
        answers,
    })
}

fn open(
    path: &Path,
    of: &Provenance<'_>,
    query: &[f32],
    (k, ef): (usize, usize),
) -> Result<Opened> {
    let start = Instant::now();
    let (frozen, graph) = opened(path, of)?;
    let query = frozen.vectors.prepare_query(query)?;
    let found = graph.search(&frozen.vectors, &query, k, ef, &mut Scratch::default());
    let found = found
        .neighbors
        .iter()
        .map(|one| frozen.rows[one.row as usize]);
    let found = found.collect();
    let seconds = start.elapsed().as_secs_f64();
    Ok(Opened {
        seconds,
        private_bytes: process::memory(std::process::id(), "RssAnon")?,
        found,
    })
}
