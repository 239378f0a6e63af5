//! Lance tables by `boathouse_lance_host`, in a folder of this disk, on a runtime that only waits.
//!
//! The peer answers the same questions (`bench/python/lance_peer.py`). A table is made of vectors in Parquet, in portions, as
//! a host migrates them: what is there in the end is compared with what went in, and what is written is synced.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use boathouse_lance_host::{
    Effort, Kind, Lance, Limits, Metric, Query, Rows, Shape, SourceError, Table,
};
use boathouse_vector::table::{self, VectorTable};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::{compare::median, data, process};

/// Rows that are handed over at once, as a host does.
const STEP: usize = 4096;
/// Name of the table in its folder.
const TABLE: &str = "table";

/// What either side can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Make a table of vectors in Parquet, in the place of what is in the folder. Answered by [`Did`].
    Migrate {
        sources: Vec<PathBuf>,
        folder: PathBuf,
        dimension: u32,
    },
    /// Open a table that was made. Only ours can. Answered by [`Opened`].
    Open { folder: PathBuf, dimension: u32 },
    /// Build `IVF_PQ` over the vectors, and B-trees over ids and rows. Answered by [`Did`].
    Index {
        partitions: usize,
        sub_vectors: usize,
    },
    /// Search for the first queries of a file. Answered by [`Searched`].
    Search {
        queries: PathBuf,
        most: usize,
        k: usize,
        nprobes: usize,
        refine_factor: u32,
    },
    /// Read documents, with their vectors. Answered by [`Read`].
    Documents { ids: Vec<String> },
    /// Append vectors of a file as documents whose ids begin with a name. Answered by [`Did`].
    Append {
        vectors: PathBuf,
        count: usize,
        name: String,
    },
}

/// What something took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Did {
    /// Wall-clock time until it was said to be done.
    pub(crate) seconds: f64,
    /// Until all that it wrote was synced as well.
    pub(crate) synced_seconds: f64,
    /// Bytes that the folder has more.
    pub(crate) bytes: u64,
}

/// A table that was opened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// Its rows.
    pub(crate) rows: u64,
}

/// Searches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Searched {
    /// Median time of one.
    pub(crate) p50_us: f64,
    /// Rows found, nearest first, by query.
    pub(crate) answers: Vec<Vec<u32>>,
}

/// Documents that were read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Read {
    /// Median time of one.
    pub(crate) p50_us: f64,
    /// How many were there.
    pub(crate) found: usize,
}

pub(super) fn serve() -> Result<()> {
    let mut tables = Tables {
        lance: Lance::start(Limits::default())?,
        runtime: Builder::new_current_thread().build()?,
        open: None,
    };
    process::serve(&format!("{} lance-host", super::name()), |ask| {
        Ok(match ask {
            Ask::Migrate {
                sources,
                folder,
                dimension,
            } => serde_json::to_value(tables.migrate(&sources, &folder, dimension)?)?,
            Ask::Open { folder, dimension } => {
                serde_json::to_value(tables.open_again(folder, dimension as usize)?)?
            }
            Ask::Index {
                partitions,
                sub_vectors,
            } => serde_json::to_value(tables.index(partitions, sub_vectors)?)?,
            Ask::Search {
                queries,
                most,
                k,
                nprobes,
                refine_factor,
            } => {
                let effort = Effort {
                    nprobes: Some(nprobes),
                    refine_factor: Some(refine_factor),
                    ef: None,
                };
                serde_json::to_value(tables.search(&queries, most, k, effort)?)?
            }
            Ask::Documents { ids } => serde_json::to_value(tables.documents(&ids)?)?,
            Ask::Append {
                vectors,
                count,
                name,
            } => serde_json::to_value(tables.append(&vectors, count, &name)?)?,
        })
    })
}

/// The table that is asked, and what it takes.
struct Tables {
    lance: Lance,
    runtime: Runtime,
    open: Option<Open>,
}

struct Open {
    table: Table,
    folder: PathBuf,
    dimension: usize,
}

impl Tables {
    fn open(&self) -> Result<&Open> {
        self.open.as_ref().context("there is no table yet")
    }

    fn migrate(&mut self, sources: &[PathBuf], folder: &Path, dimension: u32) -> Result<Did> {
        self.open = None;
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let shape = Shape {
            dimension: dimension as usize,
            metric: Metric::Cosine,
        };
        let start = Instant::now();
        let location = self.lance.folder(folder)?.table(TABLE)?;
        let source = Source {
            objects: sources.to_vec().into(),
            open: None,
        };
        let table = self.runtime.block_on(async {
            let table = self.lance.create(&location, shape).await?;
            table.migrate(source).await?;
            anyhow::Ok(table)
        })?;
        let seconds = start.elapsed().as_secs_f64();
        self.open = Some(Open {
            table,
            folder: folder.to_owned(),
            dimension: shape.dimension,
        });
        Ok(Did {
            seconds,
            synced_seconds: seconds,
            bytes: process::folder_bytes(folder)?,
        })
    }

    fn open_again(&mut self, folder: PathBuf, dimension: usize) -> Result<Opened> {
        let location = self.lance.folder(&folder)?.table(TABLE)?;
        let table = self.runtime.block_on(self.lance.open(&location))?;
        let rows = self.runtime.block_on(table.now().rows())?;
        self.open = Some(Open {
            table,
            folder,
            dimension,
        });
        Ok(Opened { rows })
    }

    /// Times a change of the table.
    fn change<T>(&self, work: impl Future<Output = Result<T>>) -> Result<Did> {
        let folder = &self.open()?.folder;
        let before = process::folder_bytes(folder)?;
        let start = Instant::now();
        self.runtime.block_on(work)?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Did {
            seconds,
            synced_seconds: seconds,
            bytes: process::folder_bytes(folder)?.saturating_sub(before),
        })
    }

    fn index(&self, partitions: usize, sub_vectors: usize) -> Result<Did> {
        let kind = Kind::IvfPq {
            partitions: Some(partitions),
            sub_vectors: Some(sub_vectors),
        };
        let table = &self.open()?.table;
        self.change(async { Ok(table.index(kind).await?) })
    }

    fn search(&self, queries: &Path, most: usize, k: usize, effort: Effort) -> Result<Searched> {
        let Open {
            table, dimension, ..
        } = self.open()?;
        let snapshot = table.now();
        let (mut times, mut answers) = (Vec::new(), Vec::new());
        for vector in data::read_vectors(queries, *dimension)?
            .into_iter()
            .take(most)
        {
            let query = Query {
                effort,
                ..Query::nearest(vector, k)
            };
            let start = Instant::now();
            let found = self.runtime.block_on(snapshot.search(query))?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
            let rows = found.hits.iter().map(|hit| hit.doc_id.parse::<u32>());
            answers.push(rows.collect::<Result<_, _>>()?);
        }
        Ok(Searched {
            p50_us: median(&times),
            answers,
        })
    }

    fn documents(&self, ids: &[String]) -> Result<Read> {
        let snapshot = self.open()?.table.now();
        let (mut times, mut found) = (Vec::new(), 0);
        for id in ids {
            let start = Instant::now();
            let rows = self.runtime.block_on(snapshot.document(id))?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
            found += usize::from(!rows.is_empty());
        }
        Ok(Read {
            p50_us: median(&times),
            found,
        })
    }

    fn append(&self, vectors: &Path, count: usize, name: &str) -> Result<Did> {
        let Open {
            table, dimension, ..
        } = self.open()?;
        let mut rows = Rows::default();
        let vectors = data::read_vectors(vectors, *dimension)?;
        for (at, vector) in vectors.iter().take(count).enumerate() {
            rows.push(&format!("{name}-{at}"), at as u64, None, vector);
        }
        self.change(async { Ok(table.append(rows).await?) })
    }
}

/// The rows of objects of vectors, one object after the other.
struct Source {
    objects: VecDeque<PathBuf>,
    /// The one that is being read, and the next of its rows.
    open: Option<(VectorTable, usize)>,
}

impl Source {
    fn step(&mut self) -> Option<Rows> {
        let (vectors, from) = self.open.as_mut()?;
        let to = vectors.len().min(*from + STEP);
        let mut rows = Rows::default();
        for at in *from..to {
            let (id, row) = (vectors.doc_ids().get(at), vectors.rows()[at]);
            rows.push(id, row, None, vectors.vector(at));
        }
        *from = to;
        (!rows.is_empty()).then_some(rows)
    }
}

impl Iterator for Source {
    type Item = Result<Rows, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(rows) = self.step() {
                return Some(Ok(rows));
            }
            match read(&self.objects.pop_front()?) {
                Ok(vectors) => self.open = Some((vectors, 0)),
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

fn read(path: &Path) -> Result<VectorTable> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(table::read(Bytes::from(bytes))?)
}
