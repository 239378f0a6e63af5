//! Graphs by what determines them: one build serves every `ef_search`.
//!
//! A graph is identified by a digest of `m`, `ef_construction`, the seed and the data version, and lives
//! at `indexes/{index}/graphs/{build_id}.graph`. It is looked for in memory, then among the local files,
//! then in the bucket, and only then built; whoever asks for the same graph meanwhile waits for that one
//! build. A stored graph that is damaged or belongs to other vectors is refused, reported and replaced by a
//! new build.
//!
//! A graph that serves has a local file as well ([`Builds::keep`]), the same bytes as in the bucket, from which
//! it is mapped: by the next start, and at once, so that its links take no memory of their own. Graphs of trials
//! have none.
//!
//! Only a few graphs are kept in memory, the most recently used; callers hold theirs by `Arc`.
//!
//! What serves a measurement alone is never stored: graphs over samples, and graphs that are cut down from one
//! with a larger `m` ([`Builds::derive`]). The latter are kept in memory as others are.

mod derive;

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use boathouse_storage::{Bucket, FileCache, StorageError};
use boathouse_types::{IndexConfig, IndexName};
use boathouse_vector::{BuildOptions, HnswGraph, VectorError, VectorSet};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::{IndexData, TuningError, blocking::blocking, bounds::check_config, journal::hex};

/// Graphs kept in memory beyond those that callers hold.
const KEPT_IN_MEMORY: usize = 4;

/// Where a graph, or the index of a table, came from.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum BuildOrigin {
    /// Built just now.
    Built {
        /// Wall-clock seconds, one build after another.
        secs: f64,
        /// What was wrong with the stored graph that it replaces.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
    },
    /// Cut down just now from a graph with a larger `m`.
    Derived {
        /// Wall-clock seconds.
        secs: f64,
    },
    /// Mapped from a local file.
    Mapped,
    /// Read from the bucket.
    Stored,
    /// Still in memory.
    Memory,
}

/// A graph at hand.
#[derive(Debug, Clone)]
pub struct Built {
    /// The graph.
    pub graph: Arc<HnswGraph>,
    /// Its identity.
    pub build_id: String,
    /// Where it came from.
    pub origin: BuildOrigin,
    /// Identity of the graph that it was cut down from; none for a real build.
    pub derived_from: Option<String>,
}

impl BuildOrigin {
    /// Seconds spent building: 0 unless it was built or cut down just now.
    #[must_use]
    pub fn secs(&self) -> f64 {
        match *self {
            Self::Built { secs, .. } | Self::Derived { secs } => secs,
            Self::Mapped | Self::Stored | Self::Memory => 0.0,
        }
    }
}

impl Built {
    /// Seconds spent building for this request.
    #[must_use]
    pub fn build_secs(&self) -> f64 {
        self.origin.secs()
    }
}

/// Identity of the graph that a configuration has over one version of an index's vectors: 16
/// hexadecimal digits. Which builder linked it is no part of it: a graph that an earlier version of this
/// program stored goes on serving.
#[must_use]
pub fn build_id(data_version: &str, config: &IndexConfig) -> String {
    let mut digest = Sha256::new();
    digest.update(b"boathouse graph 1\0");
    digest.update(config.m.to_le_bytes());
    digest.update(config.ef_construction.to_le_bytes());
    digest.update(config.seed.to_le_bytes());
    digest.update(data_version.as_bytes());
    hex(&digest.finalize()[..8])
}

/// A graph that may still be in the making; initialised once it is there.
type Slot = Arc<OnceCell<Arc<HnswGraph>>>;

/// The graphs of one index. Clones share them.
#[derive(Debug, Clone)]
pub struct Builds {
    bucket: Bucket,
    index: IndexName,
    threads: usize,
    /// Local files of graphs that serve.
    files: Option<FileCache>,
    /// Most recently used last.
    memory: Arc<Mutex<Vec<(String, Slot)>>>,
}

impl Builds {
    /// The graphs of `index` in `bucket`, built with so many threads; nothing is read or built yet.
    #[must_use]
    pub fn new(bucket: &Bucket, index: &IndexName, threads: usize) -> Self {
        Self {
            bucket: bucket.clone(),
            index: index.clone(),
            threads: threads.max(1),
            files: None,
            memory: Arc::default(),
        }
    }

    /// The same, with local files for the graphs that serve.
    #[must_use]
    pub fn with_files(self, files: Option<FileCache>) -> Self {
        Self { files, ..self }
    }

    /// The graph of a configuration: from memory, from a local file, from the bucket, or built and stored.
    ///
    /// # Errors
    /// [`TuningError::InvalidInput`] for a configuration beyond the hard limits or vectors of another
    /// index; [`TuningError::Vector`] when the build fails; [`TuningError::Cancelled`]; or the bucket
    /// fails.
    pub async fn obtain(
        &self,
        data: &IndexData,
        config: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<Built, TuningError> {
        self.check(data, config)?;
        let build_id = build_id(&data.data_version, config);
        let slot = self.slot(&build_id);
        let mut origin = BuildOrigin::Memory;
        // Boxed, so that callers can prove that their own futures are `Send`.
        let made: BoxFuture<'_, Result<_, TuningError>> = Box::pin(async {
            let (graph, from) = self.read_or_build(&build_id, data, config, cancel).await?;
            origin = from;
            Ok(graph)
        });
        let graph = slot.get_or_try_init(|| made).await?;
        Ok(Built {
            graph: Arc::clone(graph),
            build_id,
            origin,
            derived_from: None,
        })
    }

    /// Gives a graph that is to serve a local file, and serves it from there. Where that is not possible it stays in
    /// memory.
    ///
    /// # Errors
    /// [`TuningError::Cancelled`], or a failure of the pool.
    pub async fn keep(
        &self,
        built: Built,
        data: &IndexData,
        config: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<Built, TuningError> {
        let Some(files) = self.files.clone().filter(|_| !built.graph.is_lent()) else {
            return Ok(built);
        };
        let (graph, name) = (Arc::clone(&built.graph), Self::file(&built.build_id));
        let (vectors, config) = (Arc::clone(&data.vectors), *config);
        let kept = blocking(cancel, move |_| {
            let put = files.put(&name, |out| out.write_all(&graph.to_bytes()));
            Ok(put
                .then(|| mapped(&files, &name, &vectors, &config))
                .flatten())
        });
        let Some(graph) = kept.await? else {
            return Ok(built);
        };
        let slot = Arc::new(OnceCell::new_with(Some(Arc::clone(&graph))));
        let mut memory = self.lock();
        if let Some((_, known)) = memory.iter_mut().find(|(id, _)| *id == built.build_id) {
            *known = slot;
        }
        Ok(Built { graph, ..built })
    }

    /// The graph of a configuration over vectors that are no index's own, such as a sample: built, neither kept
    /// nor stored.
    ///
    /// # Errors
    /// As [`Self::obtain`], but for the bucket.
    pub(crate) async fn passing(
        &self,
        data: &IndexData,
        config: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<Built, TuningError> {
        self.check(data, config)?;
        let options = BuildOptions::new(config, self.threads);
        let vectors = Arc::clone(&data.vectors);
        let built = blocking(cancel, move |stop| build(&vectors, &options, stop));
        let (graph, secs) = built.await?;
        Ok(Built {
            graph: Arc::new(graph),
            build_id: build_id(&data.data_version, config),
            origin: BuildOrigin::Built {
                secs,
                replaces: None,
            },
            derived_from: None,
        })
    }

    fn check(&self, data: &IndexData, config: &IndexConfig) -> Result<(), TuningError> {
        check_config(config)?;
        if data.index != self.index {
            let (given, own) = (&data.index, &self.index);
            return Err(TuningError::InvalidInput(format!(
                "these are the vectors of index `{given}`, not of `{own}`"
            )));
        }
        Ok(())
    }

    /// Whether the graph of a configuration is in memory or in the bucket.
    ///
    /// # Errors
    /// When the bucket fails.
    pub async fn has(&self, data: &IndexData, config: &IndexConfig) -> Result<bool, TuningError> {
        let build_id = build_id(&data.data_version, config);
        let in_memory = self
            .lock()
            .iter()
            .any(|(id, slot)| *id == build_id && slot.initialized());
        Ok(in_memory || self.bucket.exists(&self.path(&build_id)).await?)
    }

    /// Deletes every stored graph whose id is not in `keep`, and says how many there were.
    ///
    /// # Errors
    /// When the bucket fails; what was deleted until then is gone.
    pub async fn prune(&self, keep: &[String]) -> Result<usize, TuningError> {
        self.lock().retain(|(id, _)| keep.contains(id));
        let kept = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.strip_suffix(".graph")
                .is_none_or(|id| keep.iter().any(|kept| kept == id))
        };
        let mut deleted = 0;
        for object in self.bucket.list(&self.prefix()).await? {
            if !kept(&object.path) {
                self.bucket.delete(&object.path).await?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    async fn read_or_build(
        &self,
        build_id: &str,
        data: &IndexData,
        config: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<(Arc<HnswGraph>, BuildOrigin), TuningError> {
        if let Some(graph) = self.mapped(build_id, data, config, cancel).await? {
            return Ok((graph, BuildOrigin::Mapped));
        }
        let path = self.path(build_id);
        let replaces = match self.read(&path, data, config, cancel).await? {
            Stored::Sound(graph) => return Ok((graph, BuildOrigin::Stored)),
            Stored::Missing => None,
            Stored::Broken(why) => {
                tracing::warn!(%path, %why, "a stored graph cannot be used and is built again");
                Some(why)
            }
        };
        let options = BuildOptions::new(config, self.threads);
        let vectors = Arc::clone(&data.vectors);
        let (graph, bytes, secs) = blocking(cancel, move |stop| {
            let (graph, secs) = build(&vectors, &options, stop)?;
            let bytes = Bytes::from(graph.to_bytes());
            Ok((Arc::new(graph), bytes, secs))
        })
        .await?;
        self.bucket.put(&path, bytes).await?;
        Ok((graph, BuildOrigin::Built { secs, replaces }))
    }

    async fn read(
        &self,
        path: &str,
        data: &IndexData,
        config: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<Stored, TuningError> {
        let bytes = match self.bucket.get(path).await {
            Ok(bytes) => bytes,
            Err(StorageError::NotFound { .. }) => return Ok(Stored::Missing),
            Err(error) => return Err(error.into()),
        };
        let (vectors, config) = (Arc::clone(&data.vectors), *config);
        blocking(cancel, move |_| {
            let read = HnswGraph::from_bytes(&bytes);
            let read = read.and_then(|graph| asked_for(graph, &vectors, &config));
            Ok(match read {
                Ok(graph) => Stored::Sound(Arc::new(graph)),
                Err(error) => Stored::Broken(error.to_string()),
            })
        })
        .await
    }

    /// The graph in a local file, if there is one.
    async fn mapped(
        &self,
        build_id: &str,
        data: &IndexData,
        config: &IndexConfig,
        cancel: &CancellationToken,
    ) -> Result<Option<Arc<HnswGraph>>, TuningError> {
        let Some(files) = self.files.clone() else {
            return Ok(None);
        };
        let (vectors, config) = (Arc::clone(&data.vectors), *config);
        let name = Self::file(build_id);
        blocking(cancel, move |_| {
            Ok(mapped(&files, &name, &vectors, &config))
        })
        .await
    }

    /// The slot of a graph, which becomes the most recently used; the least recently used go when there
    /// are too many. A slot that somebody else holds is in the making and stays.
    fn slot(&self, build_id: &str) -> Slot {
        let mut memory = self.lock();
        let slot = match memory.iter().position(|(id, _)| id == build_id) {
            Some(at) => memory.remove(at).1,
            None => Slot::default(),
        };
        memory.push((build_id.to_owned(), Arc::clone(&slot)));
        while memory.len() > KEPT_IN_MEMORY
            && let Some(idle) = memory
                .iter()
                .position(|(_, slot)| Arc::strong_count(slot) == 1)
        {
            memory.remove(idle);
        }
        slot
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Slot)>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a graph's file, in the bucket and among the local files.
    #[must_use]
    pub fn file(build_id: &str) -> String {
        format!("{build_id}.graph")
    }

    fn prefix(&self) -> String {
        format!("indexes/{}/graphs", self.index)
    }

    fn path(&self, build_id: &str) -> String {
        format!("{}/{}", self.prefix(), Self::file(build_id))
    }
}

/// The graph in a local file, if there is one that was asked for.
fn mapped(
    files: &FileCache,
    name: &str,
    vectors: &VectorSet,
    config: &IndexConfig,
) -> Option<Arc<HnswGraph>> {
    let graph = files.get(name, |bytes| {
        asked_for(HnswGraph::read(&bytes)?, vectors, config)
    })?;
    Some(Arc::new(graph))
}

/// A graph, and the seconds that it took.
fn build(
    vectors: &VectorSet,
    options: &BuildOptions,
    stop: &CancellationToken,
) -> Result<(HnswGraph, f64), TuningError> {
    let started = Instant::now();
    let graph = HnswGraph::build(vectors, options, &|_| go_on(stop))?;
    Ok((graph, started.elapsed().as_secs_f64()))
}

fn go_on(stop: &CancellationToken) -> ControlFlow<()> {
    match stop.is_cancelled() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

/// A stored graph, if it is the one that was asked for.
fn asked_for(
    graph: HnswGraph,
    vectors: &VectorSet,
    config: &IndexConfig,
) -> Result<HnswGraph, VectorError> {
    graph.fits(vectors)?;
    let built = (graph.m(), graph.ef_construction(), graph.seed());
    if built != (config.m, config.ef_construction, config.seed) {
        return Err(VectorError::ForeignGraph {
            what: "configuration",
        });
    }
    Ok(graph)
}

/// What the bucket has of a graph.
enum Stored {
    Sound(Arc<HnswGraph>),
    Missing,
    Broken(String),
}

#[cfg(test)]
mod tests;
