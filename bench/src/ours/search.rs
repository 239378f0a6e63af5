//! HNSW by `boathouse_vector`: build over a file of vectors, search for a file of queries.
//!
//! The peers answer the same questions (`bench/python/*_peer.py`). Time of a build runs from the
//! first byte of the vectors to the graph; memory is the peak that the process reached less what it
//! held before. As in a host, the vectors are put into a local file, synced and mapped before the graph
//! is built. Time of a search runs over all queries on one thread, from the caller's vectors to the
//! rows, normalisation included.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use boathouse_storage::FileCache;
use boathouse_types::{Dimension, Metric};
use boathouse_vector::{
    BuildOptions, Builder, DocIds, Frozen, HnswGraph, Provenance, Scratch, VectorSet,
};
use serde::{Deserialize, Serialize};

use crate::{data, process};

/// What either side can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Index a file. Answered by [`Built`].
    Build {
        base: PathBuf,
        rows: usize,
        dimension: u32,
        m: u32,
        ef_construction: u32,
        threads: usize,
    },
    /// Search the index for every query of a file. Answered by [`Searched`].
    Search {
        queries: PathBuf,
        k: usize,
        ef: usize,
        /// Whether to tell the rows that were found.
        answers: bool,
    },
}

/// The cost of an index.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Built {
    /// Wall-clock time.
    pub(crate) seconds: f64,
    /// Growth of the process at its peak.
    pub(crate) peak_bytes: u64,
}

/// The cost of a pass over all queries.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Searched {
    /// Wall-clock time.
    pub(crate) seconds: f64,
    /// Rows found, nearest first, by query.
    pub(crate) answers: Option<Vec<Vec<u32>>>,
    /// Distances computed for a query on average, where the side counts them.
    #[serde(default)]
    pub(crate) distances: Option<f64>,
}

pub(super) fn serve() -> Result<()> {
    let mut index = None;
    process::serve(&super::name(), |ask| {
        Ok(match ask {
            Ask::Build {
                base,
                rows,
                dimension,
                m,
                ef_construction,
                threads,
            } => {
                let before = process::memory(std::process::id(), "VmRSS")?;
                let start = Instant::now();
                let set = mapped(&base, rows, dimension)?;
                let options = BuildOptions {
                    m,
                    ef_construction,
                    seed: 1,
                    threads,
                    builder: Builder::default(),
                };
                let graph = HnswGraph::build(&set, &options, &|_| ControlFlow::Continue(()))?;
                let seconds = start.elapsed().as_secs_f64();
                index = Some((set, graph));
                serde_json::to_value(Built {
                    seconds,
                    peak_bytes: process::memory(std::process::id(), "VmHWM")?
                        .saturating_sub(before),
                })?
            }
            Ask::Search {
                queries,
                k,
                ef,
                answers,
            } => {
                let (set, graph) = index.as_ref().context("nothing was built yet")?;
                let queries = data::read_vectors(&queries, set.dimension().get())?;
                let (seconds, found, distances) = search(set, graph, &queries, k, ef)?;
                serde_json::to_value(Searched {
                    seconds,
                    answers: answers.then_some(found),
                    distances: Some(distances as f64 / queries.len().max(1) as f64),
                })?
            }
        })
    })
}

/// The vectors of a file in a local file that is mapped, which goes with them.
fn mapped(base: &Path, rows: usize, dimension: u32) -> Result<Arc<VectorSet>> {
    const FILE: &str = "base.rows";
    const VERSION: &str = "bench";
    let frozen = Frozen {
        vectors: Arc::new(data::read_set(base, rows, dimension)?),
        doc_ids: (0..rows).map(|_| "").collect::<DocIds>(),
        rows: (0..rows as u64).collect::<Vec<_>>().into(),
        spans: None,
    };
    let folder = base.with_extension(format!("{}.index", std::process::id()));
    let files = FileCache::new(folder.clone());
    let kept = files.put(FILE, |out| frozen.write(VERSION, out));
    ensure!(kept, "the vectors cannot be kept in {}", folder.display());
    drop(frozen);
    let of = Provenance {
        data_version: VERSION,
        dimension: Dimension::new(dimension)?,
        metric: Metric::Cosine,
        rows: rows as u64,
    };
    let frozen = files.get(FILE, |bytes| Frozen::read(bytes, &of));
    fs::remove_dir_all(&folder)?;
    Ok(frozen.context("the local file cannot be read")?.vectors)
}

fn search(
    set: &VectorSet,
    graph: &HnswGraph,
    queries: &[Vec<f32>],
    k: usize,
    ef: usize,
) -> Result<(f64, Vec<Vec<u32>>, u64)> {
    let mut scratch = Scratch::default();
    let mut found = Vec::with_capacity(queries.len());
    let mut distances = 0;
    let start = Instant::now();
    for query in queries {
        let query = set.prepare_query(query)?;
        let outcome = graph.search(set, &query, k, ef, &mut scratch);
        distances += outcome.distances;
        found.push(outcome.neighbors.iter().map(|n| n.row).collect());
    }
    Ok((start.elapsed().as_secs_f64(), found, distances))
}
