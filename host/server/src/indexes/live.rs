//! An index in service.

use std::sync::Arc;

use arc_swap::ArcSwap;
use boathouse_storage::{Bucket, Manifest, StorageError, Versioned};
use boathouse_tuning::{BuildOrigin, IndexData, Promotion, Served, Tuner, TunerOptions};
use boathouse_types::IndexName;
use boathouse_vector::{HnswGraph, VectorSet, table};
use tokio_util::sync::CancellationToken;

use super::{IndexMeta, IndexView, ServingView};
use crate::problem::Problem;

/// What answers searches at this moment.
pub struct Serving {
    /// The graph.
    pub graph: Arc<HnswGraph>,
    /// Its id.
    pub build_id: String,
    /// The configuration, and the trial behind it.
    pub served: Served,
    origin: &'static str,
}

/// An index in service, with everything that tunes it.
pub struct LiveIndex {
    /// What is stored of it.
    pub meta: IndexMeta,
    /// Its vectors.
    pub data: IndexData,
    /// Document id of each vector.
    pub doc_ids: Vec<String>,
    /// Row of the dataset of each vector.
    pub rows: Vec<u64>,
    /// Its journal, graphs, promotions and evaluation sets.
    pub tuner: Tuner,
    /// Held by whoever runs trials or changes what serves: one at a time.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    bucket: Bucket,
    serving: ArcSwap<Serving>,
}

impl LiveIndex {
    /// Opens a stored index; none when it is not there or was deleted. The graph is read, and built
    /// anew only when it is missing or damaged.
    ///
    /// # Errors
    /// When the bucket fails or holds damaged vectors.
    pub async fn open(
        bucket: &Bucket,
        name: &IndexName,
        options: TunerOptions,
    ) -> Result<Option<Self>, Problem> {
        let Some(Versioned { value: meta, .. }) = manifest(bucket, name).load().await? else {
            return Ok(None);
        };
        if meta.deleted {
            // The process that deleted it may have been killed before it was done.
            sweep(bucket, name).await?;
            return Ok(None);
        }
        let bytes = bucket.get(&meta.vectors_path).await?;
        let metric = meta.metric;
        let loaded = tokio::task::spawn_blocking(move || {
            let table = table::read(bytes)?;
            let set = table.to_set(metric)?;
            Ok::<_, Problem>((table, set))
        });
        let (table, set) = loaded.await.map_err(|error| Problem::internal(&error))??;
        let uncancelled = CancellationToken::new();
        Self::assemble(bucket, meta, Arc::new(set), &table, options, &uncancelled)
            .await
            .map(Some)
    }

    /// Puts an index together from its parts and obtains the graph that is to serve.
    ///
    /// # Errors
    /// When the bucket fails or the graph cannot be built.
    pub(crate) async fn assemble(
        bucket: &Bucket,
        meta: IndexMeta,
        vectors: Arc<VectorSet>,
        table: &table::VectorTable,
        options: TunerOptions,
        cancel: &CancellationToken,
    ) -> Result<Self, Problem> {
        let data = IndexData {
            index: meta.name.clone(),
            backend: meta.vector_backend,
            data_version: meta.data_version.clone(),
            vectors,
        };
        let tuner = Tuner::open(bucket, &meta.name, options);
        let served = tuner
            .promotions()
            .current()
            .await?
            .unwrap_or_else(|| meta.first());
        let serving = obtain(&tuner, &data, served, cancel).await?;
        Ok(Self {
            doc_ids: table.doc_ids().to_vec(),
            rows: table.rows().to_vec(),
            turn: Arc::default(),
            serving: ArcSwap::from_pointee(serving),
            bucket: bucket.clone(),
            meta,
            data,
            tuner,
        })
    }

    /// What serves now.
    #[must_use]
    pub fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Makes ready to serve a configuration: its graph is there when this returns.
    ///
    /// # Errors
    /// When the graph cannot be obtained.
    pub async fn ready(&self, served: Served) -> Result<Serving, Problem> {
        obtain(&self.tuner, &self.data, served, &CancellationToken::new()).await
    }

    /// Serves from now on; searches under way finish on what they began with.
    pub fn serve(&self, serving: Serving, promotion: &Promotion) {
        debug_assert_eq!(serving.served.config, promotion.served.config);
        self.serving.store(Arc::new(Serving {
            served: promotion.served.clone(),
            ..serving
        }));
    }

    /// The view for clients.
    #[must_use]
    pub fn view(&self) -> IndexView {
        let serving = self.serving();
        self.meta.view(ServingView {
            config: serving.served.config,
            trial: serving.served.trial.clone(),
            build_id: serving.build_id.clone(),
            memory_bytes: (self.data.vectors.memory_bytes() + serving.graph.memory_bytes()) as u64,
            graph_origin: serving.origin,
        })
    }

    /// Marks the index as deleted.
    pub(crate) async fn bury(&self) -> Result<(), StorageError> {
        let manifest = manifest(&self.bucket, &self.meta.name);
        let version = manifest.load().await?.map_or(0, |found| found.version);
        let meta = IndexMeta {
            deleted: true,
            ..self.meta.clone()
        };
        manifest.commit(version, &meta).await.map(drop)
    }

    /// Deletes everything but the mark.
    pub(crate) async fn sweep(&self) -> Result<(), StorageError> {
        sweep(&self.bucket, &self.meta.name).await
    }
}

/// Deletes every object of an index but its manifest.
pub(crate) async fn sweep(bucket: &Bucket, name: &IndexName) -> Result<(), StorageError> {
    for folder in [
        format!("indexes/{name}/vectors"),
        format!("indexes/{name}/graphs"),
        format!("_hnsw_trials/{name}"),
        format!("_promotions/{name}"),
        format!("_evalsets/{name}"),
    ] {
        for object in bucket.list(&folder).await? {
            bucket.delete(&object.path).await?;
        }
    }
    Ok(())
}

/// Deletes an index that cannot be opened, manifest and all.
pub(crate) async fn erase(bucket: &Bucket, name: &IndexName) -> Result<(), StorageError> {
    for object in bucket.list(&format!("indexes/{name}/manifest")).await? {
        bucket.delete(&object.path).await?;
    }
    sweep(bucket, name).await
}

/// The manifest of an index.
pub(crate) fn manifest(bucket: &Bucket, name: &IndexName) -> Manifest<IndexMeta> {
    Manifest::new(bucket.clone(), format!("indexes/{name}/manifest"))
}

async fn obtain(
    tuner: &Tuner,
    data: &IndexData,
    served: Served,
    cancel: &CancellationToken,
) -> Result<Serving, Problem> {
    let built = tuner.builds().obtain(data, &served.config, cancel).await?;
    Ok(Serving {
        graph: built.graph,
        build_id: built.build_id,
        served,
        origin: match built.origin {
            BuildOrigin::Built { .. } => "built",
            BuildOrigin::Stored => "stored",
            BuildOrigin::Memory => "memory",
        },
    })
}
