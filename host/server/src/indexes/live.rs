//! An index in service.
//!
//! Where it lives does not change while it serves: when it moves, another one with the same vectors and
//! the same graph takes its place, and this one is retired. Who still holds it searches it as before; who
//! wants to change it is told to look again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use boathouse_storage::Bucket;
use boathouse_tuning::{BuildOrigin, IndexData, Promotion, Served, Tuner, TunerOptions};
use boathouse_types::BucketName;
use boathouse_vector::{HnswGraph, VectorSet, table};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::{IndexMeta, IndexView, ServingView, standing::Found};
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
    pub doc_ids: Arc<[String]>,
    /// Row of the dataset of each vector.
    pub rows: Arc<[u64]>,
    /// Its journal, graphs, promotions and evaluation sets.
    pub tuner: Tuner,
    turn: Arc<Mutex<()>>,
    /// Another one took its place, or it was deleted.
    retired: AtomicBool,
    moving_to: ArcSwapOption<BucketName>,
    bucket: Bucket,
    serving: ArcSwap<Serving>,
}

/// The right to run trials on an index, to change what serves, to move or to delete it: one at a time.
pub type Turn = OwnedMutexGuard<()>;

impl LiveIndex {
    /// Opens a stored index. The graph is read, and built anew only when it is missing or damaged.
    ///
    /// # Errors
    /// When the bucket fails or holds damaged vectors.
    pub(crate) async fn open(found: &Found, options: TunerOptions) -> Result<Self, Problem> {
        let bytes = found.bucket.get(&found.meta.vectors_path).await?;
        let metric = found.meta.metric;
        let loaded = tokio::task::spawn_blocking(move || {
            let table = table::read(bytes)?;
            let set = table.to_set(metric)?;
            Ok::<_, Problem>((table, set))
        });
        let (table, set) = loaded.await.map_err(|error| Problem::internal(&error))??;
        let (meta, uncancelled) = (found.meta.clone(), CancellationToken::new());
        let vectors = Arc::new(set);
        Self::assemble(&found.bucket, meta, vectors, &table, options, &uncancelled).await
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
            doc_ids: table.doc_ids().into(),
            rows: table.rows().into(),
            turn: Arc::default(),
            retired: AtomicBool::new(false),
            moving_to: ArcSwapOption::empty(),
            serving: ArcSwap::from_pointee(serving),
            bucket: bucket.clone(),
            meta,
            data,
            tuner,
        })
    }

    /// The same index at another place, with the vectors and the graph of this one. Nothing is read.
    #[must_use]
    pub(super) fn at(&self, home: &Found) -> Self {
        let options = self.tuner.options().clone();
        Self {
            meta: home.meta.clone(),
            data: self.data.clone(),
            doc_ids: Arc::clone(&self.doc_ids),
            rows: Arc::clone(&self.rows),
            tuner: Tuner::open(&home.bucket, &home.meta.name, options),
            turn: Arc::default(),
            retired: AtomicBool::new(false),
            moving_to: ArcSwapOption::empty(),
            bucket: home.bucket.clone(),
            serving: ArcSwap::new(self.serving()),
        }
    }

    /// Takes the turn.
    ///
    /// # Errors
    /// 409 when somebody else has it, or when this is not the index any more.
    pub fn take_turn(&self) -> Result<Turn, Problem> {
        let name = &self.meta.name;
        let turn = Arc::clone(&self.turn).try_lock_owned();
        let why = match (turn, self.moving_to()) {
            (Ok(turn), _) if !self.retired.load(Ordering::Acquire) => return Ok(turn),
            (Ok(_), _) => format!("index `{name}` was moved or deleted just now; try again"),
            (Err(_), Some(to)) => format!(
                "index `{name}` is being moved to bucket `{to}`; wait for that task or cancel it (`GET /tasks`)"
            ),
            (Err(_), None) => format!(
                "index `{name}` is being tuned or moved; wait for that task or cancel it (`GET /tasks`)"
            ),
        };
        Err(Problem::conflict("index_busy", why))
    }

    /// Waits for the turn.
    pub(super) async fn wait_for_turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// The bucket that it lives in.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The bucket that it is being moved to.
    #[must_use]
    pub fn moving_to(&self) -> Option<BucketName> {
        self.moving_to.load_full().map(Arc::unwrap_or_clone)
    }

    pub(super) fn set_moving_to(&self, bucket: Option<&BucketName>) {
        self.moving_to.store(bucket.cloned().map(Arc::new));
    }

    /// Nobody gets its turn any more.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
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
        self.meta.view(
            self.moving_to(),
            ServingView {
                config: serving.served.config,
                trial: serving.served.trial.clone(),
                build_id: serving.build_id.clone(),
                memory_bytes: (self.data.vectors.memory_bytes() + serving.graph.memory_bytes())
                    as u64,
                graph_origin: serving.origin,
            },
        )
    }
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
