//! What all tables share: threads, caches, places.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lance::{
    Dataset,
    dataset::{InsertBuilder, WriteMode, WriteParams, builder::DatasetBuilder},
    deps::{arrow_array::RecordBatch, arrow_schema::Schema},
    session::Session,
};
use lance_table::io::commit::ConditionalPutCommitHandler;

use crate::{
    Error, Location, Objects, Place, Shape, Table, columns, error::ours, place::Places,
    workers::Workers,
};

/// What tables may take of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Threads that wait and schedule. Computing is done on threads of Lance's, as many as there are processors.
    pub threads: NonZeroUsize,
    /// Parts of indexes that are kept, in bytes. Lance's own default is 6 GiB.
    pub index_cache_bytes: usize,
    /// Manifests, footers and the like that are kept, in bytes. Lance's own default is 1 GiB.
    pub metadata_cache_bytes: usize,
}

impl Default for Limits {
    /// Two threads, 256 MiB and 64 MiB: enough for an index of some million vectors by short codes.
    fn default() -> Self {
        Self {
            threads: NonZeroUsize::MIN.saturating_add(1),
            index_cache_bytes: 256 << 20,
            metadata_cache_bytes: 64 << 20,
        }
    }
}

/// Opens tables. Cheap to clone; threads and caches end with the last clone and the last table.
#[derive(Clone)]
pub struct Lance(Arc<Shared>);

/// What a table and its snapshots need of it.
pub(crate) struct Shared {
    pub(crate) workers: Workers,
    session: Arc<Session>,
    places: Places,
    number: usize,
}

/// Places are told apart by the host that gave them.
static HOSTS: AtomicUsize = AtomicUsize::new(0);

impl Lance {
    /// Starts the threads; reaches no disk and no network.
    ///
    /// # Errors
    /// [`Error::Failed`] when there can be no more threads.
    pub fn start(limits: Limits) -> Result<Self, Error> {
        let number = HOSTS.fetch_add(1, Ordering::Relaxed);
        let places = Places::of(number);
        let session = Session::new(
            limits.index_cache_bytes,
            limits.metadata_cache_bytes,
            places.registry(),
        );
        Ok(Self(Arc::new(Shared {
            workers: Workers::start(limits.threads)?,
            session: Arc::new(session),
            places,
            number,
        })))
    }

    /// A folder for tables; made if it is missing. What is acknowledged there is synced. Ask once a folder: every answer is a
    /// place of its own, with a share of the caches of its own, for as long as this host.
    ///
    /// # Errors
    /// [`Error::UnusableFolder`].
    pub fn folder(&self, root: &Path) -> Result<Place, Error> {
        self.0.places.folder(root)
    }

    /// A bucket for tables. Ask once a bucket, as for a folder.
    #[must_use]
    pub fn bucket(&self, objects: Arc<dyn Objects>) -> Place {
        self.0.places.bucket(objects)
    }

    /// Makes an empty table.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a shape that there cannot be, [`Error::TableExists`], [`Error::Storage`].
    pub async fn create(&self, location: &Location, shape: Shape) -> Result<Table, Error> {
        shape.check()?;
        let url = self.url(location)?;
        let shared = Arc::clone(&self.0);
        let create = async move {
            let dataset = shared.created(&url, shape).await?;
            Ok(Table::over(shared, Arc::new(dataset), shape))
        };
        self.0.workers.run(create).await
    }

    /// Opens a table at its latest version. Open it once and keep it: changes by one `Table` and its clones wait for each
    /// other, and show in their snapshots at once.
    ///
    /// # Errors
    /// [`Error::NoTable`], [`Error::ForeignTable`], [`Error::Damaged`], [`Error::Storage`].
    pub async fn open(&self, location: &Location) -> Result<Table, Error> {
        let url = self.url(location)?;
        let shared = Arc::clone(&self.0);
        let open = async move {
            let dataset = shared.loaded(&url).await?;
            let shape = columns::shape(&Schema::from(dataset.schema()))?;
            Ok(Table::over(shared, Arc::new(dataset), shape))
        };
        self.0.workers.run(open).await
    }

    /// Opens a table, or makes it if there is none.
    ///
    /// # Errors
    /// Those of [`Self::create`] and [`Self::open`], and [`Error::Invalid`] when the table that is there has another shape.
    pub async fn open_or_create(&self, location: &Location, shape: Shape) -> Result<Table, Error> {
        let opened = match self.open(location).await {
            Err(Error::NoTable) => match self.create(location, shape).await {
                // Somebody else was first.
                Err(Error::TableExists) => self.open(location).await?,
                created => return created,
            },
            opened => opened?,
        };
        if opened.shape() == shape {
            Ok(opened)
        } else {
            let Shape { dimension, metric } = opened.shape();
            Err(Error::Invalid(format!(
                "the table has vectors of {dimension} components and the metric {}",
                metric.name()
            )))
        }
    }

    fn url(&self, location: &Location) -> Result<String, Error> {
        if location.host == self.0.number {
            Ok(location.url.clone())
        } else {
            let reason = "the place belongs to another host of tables";
            Err(Error::Invalid(reason.to_owned()))
        }
    }
}

impl Shared {
    async fn created(&self, url: &str, shape: Shape) -> Result<Dataset, Error> {
        let params = WriteParams {
            mode: WriteMode::Create,
            commit_handler: Some(Arc::new(ConditionalPutCommitHandler)),
            session: Some(Arc::clone(&self.session)),
            ..WriteParams::default()
        };
        let nothing = RecordBatch::new_empty(columns::schema(shape)?);
        let insert = InsertBuilder::new(url).with_params(&params);
        insert.execute(vec![nothing]).await.map_err(|error| {
            match ours(error) {
                // Two may create the same version; the second one is told of a conflict.
                Error::Conflict(_) => Error::TableExists,
                other => other,
            }
        })
    }

    async fn loaded(&self, url: &str) -> Result<Dataset, Error> {
        let builder = DatasetBuilder::from_uri(url)
            .with_session(Arc::clone(&self.session))
            .with_commit_handler(Arc::new(ConditionalPutCommitHandler));
        builder.load().await.map_err(ours)
    }
}
