//! HNSW by `boathouse_vector`: build over a file of vectors, search for a file of queries.
//!
//! The peers answer the same questions (`bench/python/*_peer.py`). Time of a build runs from the
//! first byte of the vectors to the graph; memory is the peak that the process reached less what it
//! held before. Time of a search runs over all queries on one thread, from the caller's vectors to the
//! rows, normalisation included.

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use anyhow::{Context, Result};
use boathouse_vector::{BuildOptions, Builder, HnswGraph, Scratch, VectorSet};
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
                let set = data::read_set(&base, rows, dimension)?;
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
