//! Tables for trials: the vectors of an index once more, in a local folder, with an index for each configuration.
//!
//! What serves is not touched by a trial. One table holds the vectors of one base; each index that is built over it makes
//! a version, and a version stays as it is, so one copy of the vectors does for all configurations. A row's number there
//! is its place in the base, which is how trials know rows. Threads and caches are the table's own: what a trial reads
//! pushes nothing out of what serves.
//!
//! Tables are kept for the next trial, a few, as long as the index has this base. A folder goes with the last who searches
//! in it; what a process left that was killed is deleted by the next one, before it makes its own.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use boathouse_lance_host::{
    Among, Effort, Error, Kind, Lance, Limits, Query, Rows, Shape, Snapshot, Table,
};
use boathouse_tuning::{BuildOrigin, BuiltTable, IndexData, TableBuilds, TableSearch, TuningError};
use boathouse_types::{IndexName, Metric, TableConfig};
use boathouse_vector::VectorSet;
use tokio::{runtime::Handle, sync::OnceCell};
use tokio_util::sync::CancellationToken;

use super::LanceConfig;
use crate::{indexes::locked, problem::Problem};

/// Tables that are kept.
const KEPT: usize = 2;
/// Bytes of vectors in a commit of a table that is being made.
const PORTION_BYTES: usize = 64 << 20;
/// Candidates that are compared exactly, at most: Lance's own bound.
const MOST: usize = 100_000;
/// The name of a table in its folder.
const NAME: &str = "vectors";
/// The index over vectors among the indexes of a table.
const VECTOR_INDEX: &str = "vector";

/// Makes tables for trials in a folder, which is emptied.
pub(crate) fn tables(config: &LanceConfig, folder: &Path) -> Option<Arc<dyn TableBuilds>> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "tables of earlier trials cannot be deleted");
        }
        _ => {}
    }
    Some(Arc::new(Tables {
        limits: Limits {
            threads: NonZeroUsize::new(config.threads).unwrap_or(NonZeroUsize::MIN),
            index_cache_bytes: config.index_cache_mb << 20,
            metadata_cache_bytes: config.metadata_cache_mb << 20,
        },
        folder: folder.to_owned(),
        kept: Mutex::default(),
    }))
}

/// The tables of a host.
#[derive(Debug)]
struct Tables {
    limits: Limits,
    folder: PathBuf,
    /// The most recently used last.
    kept: Mutex<Vec<Arc<Scratch>>>,
}

/// The table of a base.
struct Scratch {
    index: IndexName,
    data_version: String,
    limits: Limits,
    table: OnceCell<Table>,
    indexes: Mutex<BTreeMap<(u32, u32), Indexed>>,
    /// Held while an index is built: another one would take its place.
    building: tokio::sync::Mutex<()>,
    /// Last, so that everything is closed before it goes.
    folder: Folder,
}

/// An index over the vectors: the version of the table that has it, and its bytes.
#[derive(Clone)]
struct Indexed {
    snapshot: Snapshot,
    bytes: u64,
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(folder = %self.0.display(), %error, "the table of a trial cannot be deleted");
            }
            _ => {}
        }
    }
}

/// An index of a table that a trial searches.
struct Searched {
    /// Keeps the folder.
    _scratch: Arc<Scratch>,
    indexed: Indexed,
    rows: usize,
    runtime: Handle,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scratch({} at {})", self.index, self.data_version)
    }
}

impl std::fmt::Debug for Searched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Searched({} rows)", self.rows)
    }
}

fn failed(error: Error) -> TuningError {
    TuningError::Engine(Box::new(Problem::from(error)))
}

#[async_trait]
impl TableBuilds for Tables {
    async fn obtain(
        &self,
        data: &IndexData,
        config: &TableConfig,
        cancel: &CancellationToken,
    ) -> Result<BuiltTable, TuningError> {
        let scratch = self.of(data).await;
        let made = Arc::clone(&scratch).obtain(data, config);
        let made = cancel.run_until_cancelled(made).await;
        let (indexed, secs) = made.ok_or(TuningError::Cancelled)??;
        Ok(BuiltTable {
            table: Arc::new(Searched {
                _scratch: scratch,
                indexed,
                rows: data.len(),
                runtime: Handle::current(),
            }),
            origin: match secs {
                Some(secs) => BuildOrigin::Built {
                    secs,
                    replaces: None,
                },
                None => BuildOrigin::Memory,
            },
        })
    }

    fn has(&self, data: &IndexData, config: &TableConfig) -> bool {
        let kept = locked(&self.kept);
        let known = kept.iter().find(|scratch| scratch.is_of(data));
        known.is_some_and(|scratch| scratch.known(config).is_some())
    }

    fn forget(&self, index: &IndexName) {
        let gone: Vec<_> = locked(&self.kept)
            .extract_if(.., |scratch| scratch.index == *index)
            .collect();
        if !gone.is_empty() {
            // Deleting a folder is no work for this thread.
            drop(tokio::task::spawn_blocking(move || drop(gone)));
        }
    }
}

impl Tables {
    /// The table of a base, which may have to be made. One of another base of the index goes, and the one that was not
    /// used for longest where there are too many.
    async fn of(&self, data: &IndexData) -> Arc<Scratch> {
        let (found, gone) = {
            let mut kept = locked(&self.kept);
            let is_old = |one: &mut Arc<Scratch>| one.index == data.index && !one.is_of(data);
            let mut gone: Vec<Arc<Scratch>> = kept.extract_if(.., is_old).collect();
            let found = match kept.iter().position(|one| one.is_of(data)) {
                Some(at) => kept.remove(at),
                None => Arc::new(Scratch::new(&self.folder, self.limits, data)),
            };
            kept.push(Arc::clone(&found));
            let over = kept.len().saturating_sub(KEPT);
            gone.extend(kept.drain(..over));
            (found, gone)
        };
        if !gone.is_empty() {
            let _ = tokio::task::spawn_blocking(move || drop(gone)).await;
        }
        found
    }
}

impl Scratch {
    fn new(folder: &Path, limits: Limits, data: &IndexData) -> Self {
        let id = uuid::Uuid::now_v7().simple().to_string();
        Self {
            index: data.index.clone(),
            data_version: data.data_version.clone(),
            limits,
            table: OnceCell::new(),
            indexes: Mutex::default(),
            building: tokio::sync::Mutex::default(),
            folder: Folder(folder.join(id)),
        }
    }

    fn is_of(&self, data: &IndexData) -> bool {
        self.index == data.index && self.data_version == data.data_version
    }

    fn known(&self, config: &TableConfig) -> Option<Indexed> {
        let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (config.partitions, config.sub_vectors);
        indexes.get(&key).cloned()
    }

    /// The index of a configuration, and the seconds that it took when it was built now. Copying the vectors is no part of
    /// them.
    async fn obtain(
        self: Arc<Self>,
        data: &IndexData,
        config: &TableConfig,
    ) -> Result<(Indexed, Option<f64>), TuningError> {
        if let Some(known) = self.known(config) {
            return Ok((known, None));
        }
        let _building = self.building.lock().await;
        if let Some(known) = self.known(config) {
            return Ok((known, None));
        }
        let table = self.table.get_or_try_init(|| self.filled(data)).await;
        let table = table.map_err(failed)?;
        let kind = Kind::IvfPq {
            partitions: Some(config.partitions as usize),
            sub_vectors: Some(config.sub_vectors as usize),
        };
        let began = Instant::now();
        let built = async {
            let built = table.build_vectors(kind).await?;
            table.install(built).await?;
            let snapshot = table.now();
            let secs = began.elapsed().as_secs_f64();
            let stats = snapshot.stats().await?;
            let of_vectors = stats.indexes.iter().filter(|one| one.name == VECTOR_INDEX);
            let bytes = of_vectors.map(|one| one.bytes).sum();
            Ok((Indexed { snapshot, bytes }, secs))
        };
        let (indexed, secs) = built.await.map_err(failed)?;
        let key = (config.partitions, config.sub_vectors);
        locked(&self.indexes).insert(key, indexed.clone());
        Ok((indexed, Some(secs)))
    }

    /// The table with all vectors and no index.
    async fn filled(&self, data: &IndexData) -> Result<Table, Error> {
        let folder = self.folder.0.clone();
        // What an attempt before left is not whole.
        let emptied = tokio::task::spawn_blocking(move || {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder)
        });
        if let Ok(Err(error)) | Err(error) = emptied.await.map_err(std::io::Error::other) {
            return Err(Error::Source(Box::new(error)));
        }
        let lance = Lance::start(self.limits)?;
        let location = lance.folder(&self.folder.0)?.table(NAME)?;
        let vectors = &data.vectors;
        let table = lance.create(&location, shape_of(vectors)).await?;
        let step = (PORTION_BYTES / (vectors.dimension().get() * size_of::<f32>())).max(1);
        for from in (0..vectors.len()).step_by(step) {
            let to = vectors.len().min(from + step);
            let vectors = Arc::clone(vectors);
            let rows = tokio::task::spawn_blocking(move || rows_of(&vectors, from, to)).await;
            let rows = rows.map_err(|error| Error::Source(Box::new(error)))?;
            table.append(rows).await?;
        }
        Ok(table)
    }
}

fn shape_of(vectors: &VectorSet) -> Shape {
    Shape {
        dimension: vectors.dimension().get(),
        metric: match vectors.metric() {
            Metric::Cosine => boathouse_lance_host::Metric::Cosine,
            Metric::L2 => boathouse_lance_host::Metric::L2,
            Metric::Dot => boathouse_lance_host::Metric::Dot,
        },
    }
}

/// Some vectors as a table takes them; of a document they know nothing.
fn rows_of(vectors: &VectorSet, from: usize, to: usize) -> Rows {
    let mut rows = Rows::default();
    for row in (from..to).filter_map(|row| u32::try_from(row).ok()) {
        rows.push("", row.into(), None, vectors.row(row));
    }
    rows
}

impl TableSearch for Searched {
    fn search(
        &self,
        vector: &[f32],
        k: usize,
        config: &TableConfig,
    ) -> Result<Vec<u32>, TuningError> {
        let k = k.clamp(1, self.rows.clamp(1, MOST));
        let most = u32::try_from(MOST / k).unwrap_or(u32::MAX).max(1);
        let ask = |exact| Query {
            vector: vector.to_vec(),
            k,
            among: Among::All,
            effort: Effort {
                nprobes: Some(config.nprobes as usize),
                refine_factor: Some(config.refine_factor.min(most)),
                ef: None,
            },
            exact,
        };
        let snapshot = &self.indexed.snapshot;
        let found = async {
            let found = snapshot.search(ask(false)).await?;
            match found.hits.len() < k {
                // As for clients: the partitions that were looked into hold too few.
                true => snapshot.search(ask(true)).await,
                false => Ok(found),
            }
        };
        let found = self.runtime.block_on(found).map_err(failed)?;
        let row = |hit: &boathouse_lance_host::Hit| u32::try_from(hit.row).ok();
        Ok(found.hits.iter().filter_map(row).collect())
    }

    fn memory_bytes(&self) -> u64 {
        self.indexed.bytes
    }
}
