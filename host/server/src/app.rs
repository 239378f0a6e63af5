//! The application: every part of the host, opened in order.

use std::{path::PathBuf, sync::Arc};

use boathouse_ingest::{Datasets, IngestContext, Jobs, PiiDetector, PiiRules};
use boathouse_models::{EmbedError, GpuReader, ServerAddress, ServerError, StaticEmbedder};
use boathouse_plugins::{Compiling, PluginHost};
use boathouse_storage::{Bucket, BucketRegistry, FileCache, Mirror};
use boathouse_tuning::TunerOptions;
use boathouse_types::{BucketName, Clock, DatasetName};
use tokio::{sync::Semaphore, task::JoinHandle};

use crate::{
    agent::Agent,
    auth::{Auth, AuthError},
    buckets::{BucketTable, BucketsError},
    config::{Config, Environment},
    gc::Collector,
    indexes::{Indexes, tidy_parts},
    lance,
    lineage::{LineageError, Outbox},
    live::Live,
    load::Load,
    models::{self, Models, ModelsConfig, ModelsParts},
    pii::PiiError,
    plugins::{PluginsError, Registry, RegistryParts},
    system::{SystemClock, this_program},
    tasks::{Background, Tasks},
    watcher::Watcher,
};

/// The parts of a host.
pub struct App {
    /// What is configured.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Buckets by name, mirrored into `rescue`.
    pub buckets: Arc<BucketRegistry>,
    /// How the buckets are, and how they come and go.
    pub bucket_table: Arc<BucketTable>,
    /// What copies into `rescue`.
    pub mirror: Mirror,
    /// Who may do what.
    pub auth: Auth,
    /// Tables.
    pub datasets: Datasets,
    /// Runs that bring rows of databases again and again.
    pub jobs: Jobs,
    /// What references to secrets are resolved by.
    pub(crate) environment: Environment,
    /// Indexes.
    pub indexes: Arc<Indexes>,
    /// What searches really got.
    pub live: Arc<Live>,
    /// Judgements.
    pub plugins: Arc<Registry>,
    /// Models, their profiles and the GPU slot; who turns texts into vectors.
    pub models: Models,
    /// What happens to personal data, where a dataset's own policy says nothing.
    pub(crate) pii: PiiRules,
    /// Where lineage is posted, and how far that is.
    pub(crate) lineage: Arc<Outbox>,
    /// Folders whose files become rows.
    pub(crate) watcher: Watcher,
    /// Long work.
    pub tasks: Tasks,
    /// Who keeps indexes up to date and tunes them.
    pub agent: Agent,
    /// How busy clients keep the host.
    pub load: Load,
    /// Garbage collection.
    pub gc: Collector,
    /// Folder for uploads under way.
    pub spool: PathBuf,
    /// What of builds under way is kept for when they are cut off.
    pub(crate) embedding: FileCache,
    /// One trial is measured at a time in the whole process.
    lane: Arc<Semaphore>,
}

/// What the buckets hold cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The buckets cannot be used.
    #[error(transparent)]
    Buckets(#[from] BucketsError),
    /// The plugins cannot be loaded.
    #[error(transparent)]
    Plugins(#[from] PluginsError),
    /// The plugin engine cannot be made.
    #[error(transparent)]
    Engine(#[from] boathouse_plugins::PluginError),
    /// Access cannot be set up.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The built-in model cannot be read.
    #[error(transparent)]
    Embedder(#[from] EmbedError),
    /// Where this program lies cannot be found out.
    #[error("cannot find the path of this program, which compiles plugins")]
    Program(#[source] std::io::Error),
    /// No client of the model server can be made.
    #[error(transparent)]
    Models(#[from] ServerError),
    /// `[models] ollama_url` or `OLLAMA_HOST` holds no address.
    #[error("{0}: {1}")]
    Address(&'static str, #[source] boathouse_models::AddressError),
    /// Opening was cut off.
    #[error("opening was cut off")]
    Worker(#[source] tokio::task::JoinError),
    /// Policies for personal data cannot be set up.
    #[error(transparent)]
    Pii(#[from] PiiError),
    /// Lineage cannot be written or posted.
    #[error(transparent)]
    Lineage(#[from] LineageError),
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
        Self::open_with(config, environment, Arc::new(SystemClock)).await
    }

    /// As [`Self::open`], with a time of one's own.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_with(
        config: Config,
        environment: &Environment,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let spool = empty_spool(&config)?;
        let tasks = Tasks::new(Arc::clone(&clock));
        let pii = config.ingest.pii.rules(environment)?;
        let lineage = Outbox::open(&config, environment, &clock)?;
        let table = BucketTable::open(&config, environment, &clock, tasks.background()).await?;
        let (buckets, primary, rescue) = (table.registry(), table.primary(), table.rescue());
        let coming = Coming::begin(&config, environment)?;
        let auth = Auth::open(
            &primary,
            &config.server,
            &config.auth,
            &clock,
            table.stands_in(),
        )
        .await?;
        let agent = Agent::new(&primary, &clock);
        let jobs = Jobs::new(
            primary.clone(),
            Arc::clone(&clock),
            config.ingest.jobs.lease(),
        );
        let plugins = plugins(&config, (primary, rescue), &clock, tasks.background()).await?;
        let lane = Arc::new(Semaphore::new(1));
        let options = tuner_options(&config, &clock, &lane);
        let known = Arc::clone(&table);
        let is_registered =
            move |name: &BucketName| known.health().iter().any(|(one, _)| one == name);
        options.files.iter().for_each(FileCache::delete_unfinished);
        let embedding = FileCache::new(config.server.data.join("cache/embedding"));
        tidy_parts(&embedding, clock.now());
        let indexes = Indexes::open(&buckets, Arc::new(is_registered), &options).await;
        let indexes = Arc::new(indexes.with_lance(config.lance.clone()));
        if table.unhealthy().is_empty() {
            indexes.tidy_files(&options).await;
        }
        let place = (&table.primary(), lineage.host());
        let models = coming.models(&config.models, place, &clock).await?;
        Ok(Arc::new(Self {
            datasets: Datasets::new(Arc::clone(&buckets), Arc::clone(&clock)),
            jobs,
            environment: environment.clone(),
            pii,
            lineage: Arc::new(lineage),
            watcher: Watcher::new(&config.watch),
            tasks,
            agent,
            load: Load::new(Arc::clone(&clock)),
            gc: Collector::default(),
            live: Arc::new(Live::new(
                &indexes,
                &clock,
                config.vectors.live_recall_share,
            )),
            indexes,
            auth,
            models,
            config,
            clock,
            buckets,
            plugins,
            mirror: table.mirror(),
            bucket_table: table,
            spool,
            embedding,
            lane,
        }))
    }

    /// What an ingest into a dataset needs.
    #[must_use]
    pub fn ingest_context(&self, dataset: &DatasetName) -> IngestContext {
        let detectors = self.plugins.detectors(dataset).into_iter();
        IngestContext {
            datasets: self.datasets.clone(),
            detectors: detectors
                .map(|judge| Arc::new(judge) as Arc<dyn PiiDetector>)
                .collect(),
            on_detector_failure: self.config.ingest.on_detector_failure,
            pii: self.pii.clone(),
            clock: Arc::clone(&self.clock),
            spool_folder: Some(self.spool.clone()),
            max_decompressed_bytes: self.config.ingest.max_decompressed_bytes(),
            lineage: self.lineage.writer(),
        }
    }

    /// Whether nobody runs a trial at this moment.
    pub(crate) fn lane_is_free(&self) -> bool {
        self.lane.available_permits() > 0
    }

    /// What tuners of this process run with.
    #[must_use]
    pub fn tuner_options(&self) -> TunerOptions {
        tuner_options(&self.config, &self.clock, &self.lane)
    }
}

/// The built-in model and the GPUs, which are opened while buckets are.
struct Coming {
    address: ServerAddress,
    opened: JoinHandle<(Result<StaticEmbedder, EmbedError>, Arc<dyn GpuReader>)>,
}

impl Coming {
    fn begin(config: &Config, environment: &Environment) -> Result<Self, OpenError> {
        let address = config.models.address(environment);
        let address = address.map_err(|(place, why)| OpenError::Address(place, why))?;
        let far = address.clone();
        let opening = move || (StaticEmbedder::bundled(), models::gpus_of(&far));
        Ok(Self {
            address,
            opened: tokio::task::spawn_blocking(opening),
        })
    }

    /// The models of a host of this name, whose profiles are in `primary`.
    async fn models(
        self,
        config: &ModelsConfig,
        (primary, host): (&Bucket, &str),
        clock: &Arc<dyn Clock>,
    ) -> Result<Models, OpenError> {
        let (built_in, gpus) = self.opened.await.map_err(OpenError::Worker)?;
        Ok(Models::open(ModelsParts {
            config,
            address: self.address,
            primary,
            host,
            clock,
            built_in: built_in?,
            gpus,
        })?)
    }
}

/// Opens the plugins; components are compiled by this very program in processes of their own, but for unit tests,
/// whose program is another one.
async fn plugins(
    config: &Config,
    (primary, rescue): (Bucket, Bucket),
    clock: &Arc<dyn Clock>,
    background: Background,
) -> Result<Arc<Registry>, OpenError> {
    let compiling = match cfg!(test) {
        true => Compiling::InProcess,
        false => Compiling::Child {
            program: this_program().map_err(OpenError::Program)?,
            cache: config.server.data.join("cache").join("plugins"),
        },
    };
    let parts = RegistryParts {
        host: PluginHost::new(config.plugins.sandbox.clone(), compiling)?,
        primary,
        rescue,
        settings: config.plugins.settings.clone(),
        clock: Arc::clone(clock),
        background,
    };
    Ok(Registry::open(parts, &boathouse_bundle::ALL).await?)
}

fn tuner_options(config: &Config, clock: &Arc<dyn Clock>, lane: &Arc<Semaphore>) -> TunerOptions {
    let mut options = TunerOptions::new(Arc::clone(clock));
    options.lane = Arc::clone(lane);
    let cache = config.server.data.join("cache");
    options.files = Some(FileCache::new(cache.join("indexes")));
    options.tables = lance::tables(&config.lance, &cache.join("trials"));
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
