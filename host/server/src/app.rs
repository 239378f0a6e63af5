//! The application: every part of the host, opened in order.

use std::{path::PathBuf, sync::Arc};

use boathouse_ingest::{Datasets, IngestContext, PiiDetector};
use boathouse_models::StaticEmbedder;
use boathouse_plugins::PluginHost;
use boathouse_storage::BucketRegistry;
use boathouse_tuning::TunerOptions;
use boathouse_types::{BucketName, Clock, PluginKind};
use tokio::sync::Semaphore;

use crate::{
    adapters::Judge,
    config::{Config, Environment},
    indexes::Indexes,
    plugins::{Plugins, PluginsError},
    problem::Problem,
    system::SystemClock,
    tasks::Tasks,
};

/// Buckets without which a host does not start.
const ESSENTIAL: [&str; 2] = ["primary", "rescue"];

/// The parts of a host.
pub struct App {
    /// What is configured.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Buckets by name.
    pub buckets: Arc<BucketRegistry>,
    /// Configured buckets that cannot be used, with the reason.
    pub unhealthy: Vec<(BucketName, String)>,
    /// Tables.
    pub datasets: Datasets,
    /// Indexes.
    pub indexes: Arc<Indexes>,
    /// Judgements.
    pub plugins: Plugins,
    /// Text to vectors.
    pub embedder: Arc<StaticEmbedder>,
    /// Long work.
    pub tasks: Tasks,
    /// Folder for uploads under way.
    pub spool: PathBuf,
    /// One trial is measured at a time in the whole process.
    lane: Arc<Semaphore>,
}

/// What the buckets hold cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A bucket cannot be used.
    #[error(transparent)]
    Storage(#[from] boathouse_storage::StorageError),
    /// The plugins cannot be loaded.
    #[error(transparent)]
    Plugins(#[from] PluginsError),
    /// The plugin engine cannot be made.
    #[error(transparent)]
    Engine(#[from] boathouse_plugins::PluginError),
    /// The built-in model cannot be read.
    #[error(transparent)]
    Embedder(#[from] boathouse_models::EmbedError),
    /// Opening was cut off.
    #[error("opening was cut off")]
    Worker(#[source] tokio::task::JoinError),
    /// The folder for uploads cannot be made.
    #[error("cannot make folder {folder} for uploads under way")]
    Spool {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl App {
    /// Opens buckets, plugins, datasets and indexes.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(config: Config, environment: &Environment) -> Result<Arc<Self>, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let spool = empty_spool(&config)?;
        let buckets = Arc::new(BucketRegistry::new());
        let mut unhealthy = Vec::new();
        for bucket in config.all_buckets() {
            let added = buckets.add(&bucket, &|name| environment.get(name).cloned());
            match added {
                Ok(_) => {}
                Err(error) if ESSENTIAL.contains(&bucket.name.as_str()) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(bucket = %bucket.name, %error, "the bucket cannot be used");
                    unhealthy.push((bucket.name, error.to_string()));
                }
            }
        }
        let primary = buckets.get(&BucketName::primary())?;
        primary.probe().await?;
        buckets.get(&BucketName::rescue())?.probe().await?;
        let embedder = tokio::task::spawn_blocking(StaticEmbedder::bundled);
        let host = PluginHost::new(config.plugins.sandbox.clone())?;
        let plugins = Plugins::open(
            &host,
            &primary,
            &boathouse_bundle::ALL,
            &config.plugins.settings,
        )
        .await?;
        let lane = Arc::new(Semaphore::new(1));
        let options = tuner_options(&config, &clock, &lane);
        let indexes = Indexes::open(&buckets, &options).await;
        let embedder = embedder.await.map_err(OpenError::Worker)??;
        Ok(Arc::new(Self {
            datasets: Datasets::new(Arc::clone(&buckets), Arc::clone(&clock)),
            tasks: Tasks::new(Arc::clone(&clock)),
            indexes: Arc::new(indexes),
            embedder: Arc::new(embedder),
            config,
            clock,
            buckets,
            plugins,
            unhealthy,
            spool,
            lane,
        }))
    }

    /// What every ingest needs.
    ///
    /// # Errors
    /// 503 when no detector is active.
    pub fn ingest_context(&self) -> Result<IngestContext, Problem> {
        let detector: Arc<dyn PiiDetector> =
            Arc::new(Judge(self.plugins.of(PluginKind::Pii)?.clone()));
        Ok(IngestContext {
            datasets: self.datasets.clone(),
            detectors: vec![detector],
            on_detector_failure: self.config.ingest.on_detector_failure,
            clock: Arc::clone(&self.clock),
            spool_folder: Some(self.spool.clone()),
        })
    }

    /// What tuners of this process run with.
    #[must_use]
    pub fn tuner_options(&self) -> TunerOptions {
        tuner_options(&self.config, &self.clock, &self.lane)
    }
}

fn tuner_options(config: &Config, clock: &Arc<dyn Clock>, lane: &Arc<Semaphore>) -> TunerOptions {
    let mut options = TunerOptions::new(Arc::clone(clock));
    options.lane = Arc::clone(lane);
    if config.vectors.threads > 0 {
        options.build_threads = config.vectors.threads;
    }
    options
}

/// The folder for uploads, emptied of what an earlier process left there.
fn empty_spool(config: &Config) -> Result<PathBuf, OpenError> {
    let folder = config.server.data.join("spool");
    let fail = |source| OpenError::Spool {
        folder: folder.clone(),
        source,
    };
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    std::fs::create_dir_all(&folder).map_err(fail)?;
    Ok(folder)
}
