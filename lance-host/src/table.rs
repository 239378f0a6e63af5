//! A table, and what changes it.
//!
//! A change works on the version that is current, commits a new one and puts it in the place of the old; snapshots that
//! were taken before go on with theirs. Changes of one table wait for each other. Those of other processes do not: then one
//! of two wins, Lance tries the other again on the winner's version where both can stand (two appends), and otherwise it
//! fails with [`Error::Conflict`] and may be asked for again.

use std::{
    future::Future,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use lance::{
    Dataset,
    dataset::{DeleteBuilder, InsertBuilder, WriteMode, WriteParams},
    deps::datafusion::prelude::{Expr, col, lit},
};
use tokio::sync::Mutex;

use crate::{Error, Rows, Shape, Snapshot, columns, error::ours, host};

/// A table. Clones are the same table.
#[derive(Clone)]
pub struct Table(Arc<Inner>);

struct Inner {
    host: Arc<host::Shared>,
    shape: Shape,
    current: RwLock<Arc<Dataset>>,
    /// Held while the table is changed.
    changing: Mutex<()>,
    /// Whether a change ended in a way that leaves open what the latest version is.
    doubtful: AtomicBool,
}

impl Table {
    pub(crate) fn over(host: Arc<host::Shared>, dataset: Arc<Dataset>, shape: Shape) -> Self {
        Self(Arc::new(Inner {
            host,
            shape,
            current: RwLock::new(dataset),
            changing: Mutex::new(()),
            doubtful: AtomicBool::new(false),
        }))
    }

    /// What the table is made for.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.0.shape
    }

    /// The version that is current, to read from.
    #[must_use]
    pub fn now(&self) -> Snapshot {
        Snapshot::over(Arc::clone(&self.0.host), self.0.current(), self.0.shape)
    }

    /// Adds rows; a search finds them at once. Without rows nothing happens. Gives the version with them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for rows that are not of the table's shape; those of every change.
    pub async fn append(&self, rows: Rows) -> Result<u64, Error> {
        let shape = self.shape();
        if rows.is_empty() {
            return Ok(self.now().version());
        }
        let prepare = async move {
            rows.check(shape.dimension, shape.metric)?;
            columns::batch(rows, shape)
        };
        let batch = self.0.host.workers.run(prepare).await?;
        let append = move |dataset: Arc<Dataset>| async move {
            let params = WriteParams {
                mode: WriteMode::Append,
                ..WriteParams::default()
            };
            let insert = InsertBuilder::new(dataset).with_params(&params);
            let changed = insert.execute(vec![batch]).await.map_err(ours)?;
            let version = changed.version_id();
            Ok((Arc::new(changed), version))
        };
        self.change(append).await
    }

    /// Removes all rows of documents, and tells how many there were. Their bytes stay until they are compacted and the
    /// versions before are cleaned up.
    ///
    /// # Errors
    /// Those of every change.
    pub async fn delete(&self, doc_ids: &[String]) -> Result<u64, Error> {
        if doc_ids.is_empty() {
            return Ok(0);
        }
        let wanted: Vec<Expr> = doc_ids.iter().map(|id| lit(id.as_str())).collect();
        let wanted = col(columns::DOC_ID).in_list(wanted, false);
        let delete = move |dataset: Arc<Dataset>| async move {
            let delete = DeleteBuilder::from_expr(dataset, wanted);
            let deleted = delete.execute().await.map_err(ours)?;
            Ok((deleted.new_dataset, deleted.num_deleted_rows))
        };
        self.change(delete).await
    }

    /// Looks for versions that others have committed. Gives the latest.
    ///
    /// # Errors
    /// [`Error::NoTable`] when it is gone, [`Error::Storage`], [`Error::Damaged`].
    pub async fn refresh(&self) -> Result<u64, Error> {
        let look = move |dataset: Arc<Dataset>| async move {
            let dataset = latest(dataset).await?;
            let version = dataset.version_id();
            Ok((dataset, version))
        };
        self.change(look).await
    }

    /// Does something with the current version that makes no other.
    pub(crate) async fn read<T, W, F>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Dataset>) -> F + Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let dataset = self.0.current();
        self.0.host.workers.run(work(dataset)).await
    }

    /// Does what may block on a thread for that.
    pub(crate) fn blocking(&self, work: impl FnOnce() + Send + 'static) {
        self.0.host.workers.blocking(work);
    }

    /// Changes the table by a function from the current version to the next.
    pub(crate) async fn change<T, W, F>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Dataset>) -> F + Send + 'static,
        F: Future<Output = Result<(Arc<Dataset>, T), Error>> + Send + 'static,
    {
        let table = Arc::clone(&self.0);
        let change = async move {
            let _changing = table.changing.lock().await;
            // Until it is known how this ends, which may be never: who waits can go away.
            let doubtful = table.doubtful.swap(true, Ordering::AcqRel);
            let mut dataset = table.current();
            if doubtful {
                dataset = latest(dataset).await?;
            }
            let (changed, answer) = work(dataset).await?;
            *table
                .current
                .write()
                .unwrap_or_else(PoisonError::into_inner) = changed;
            table.doubtful.store(false, Ordering::Release);
            Ok(answer)
        };
        self.0.host.workers.run(change).await
    }
}

impl Inner {
    fn current(&self) -> Arc<Dataset> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn latest(dataset: Arc<Dataset>) -> Result<Arc<Dataset>, Error> {
    let mut dataset = Arc::unwrap_or_clone(dataset);
    dataset.checkout_latest().await.map_err(ours)?;
    Ok(Arc::new(dataset))
}
