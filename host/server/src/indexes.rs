//! The indexes of this host: what is stored of them, what serves, and how one comes to be.
//!
//! An index lives in its home bucket. Its manifest is committed last, so an index that is listed is
//! whole: vectors, graph and all. What serves is swapped as one pointer; a search that has begun
//! finishes on what it began with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use boathouse_storage::{Bucket, BucketRegistry};
use boathouse_tuning::TunerOptions;
use boathouse_types::{DatasetName, IndexName};

use crate::problem::Problem;

pub(crate) mod create;
mod live;
mod meta;
mod search;

use live::erase;
pub use live::{LiveIndex, Serving};
pub use meta::{IndexMeta, IndexSpec, IndexView, ServingView};
pub use search::{Hit, SearchAnswer, SearchRequest, search};

/// All indexes, by name.
#[derive(Default)]
pub struct Indexes {
    live: Mutex<BTreeMap<IndexName, Arc<LiveIndex>>>,
    /// Indexes that are stored and cannot be opened.
    broken: Mutex<BTreeMap<IndexName, Broken>>,
    /// Indexes that are being built, with their dataset.
    reserved: Mutex<BTreeMap<IndexName, DatasetName>>,
}

/// An index that cannot be opened.
struct Broken {
    bucket: Bucket,
    why: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Indexes {
    /// Opens every index of every bucket. One that cannot be opened is reported by [`Self::broken`] and
    /// does not keep the others from serving.
    pub async fn open(buckets: &BucketRegistry, options: &TunerOptions) -> Self {
        let indexes = Self::default();
        for bucket in buckets.list() {
            let names = match bucket.children("indexes").await {
                Ok(names) => names,
                Err(error) => {
                    tracing::error!(bucket = %bucket.name(), %error, "the bucket cannot be listed");
                    continue;
                }
            };
            for name in names {
                let Ok(name) = IndexName::new(name.as_str()) else {
                    continue;
                };
                match LiveIndex::open(&bucket, &name, options.clone()).await {
                    Ok(Some(index)) => indexes.insert(index),
                    Ok(None) => {}
                    Err(problem) => {
                        tracing::error!(index = %name, %problem, "the index cannot be opened");
                        let (bucket, why) = (bucket.clone(), problem.detail);
                        locked(&indexes.broken).insert(name, Broken { bucket, why });
                    }
                }
            }
        }
        indexes
    }

    /// All that serve, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<LiveIndex>> {
        locked(&self.live).values().cloned().collect()
    }

    /// Indexes that could not be opened, with the reason.
    #[must_use]
    pub fn broken(&self) -> Vec<(IndexName, String)> {
        locked(&self.broken)
            .iter()
            .map(|(name, broken)| (name.clone(), broken.why.clone()))
            .collect()
    }

    /// An index by name.
    ///
    /// # Errors
    /// 404 when there is none.
    pub fn get(&self, name: &str) -> Result<Arc<LiveIndex>, Problem> {
        let name = IndexName::new(name)?;
        locked(&self.live).get(&name).cloned().ok_or_else(|| {
            let broken = locked(&self.broken)
                .get(&name)
                .map(|broken| broken.why.clone());
            Problem::not_found(
                "unknown_index",
                match broken {
                    Some(why) => {
                        format!("index `{name}` cannot be opened and may be deleted: {why}")
                    }
                    None => {
                        format!("there is no index `{name}`; `GET /vectors/indexes` lists them")
                    }
                },
            )
        })
    }

    /// Names of the indexes on a dataset, those that are being built among them.
    #[must_use]
    pub fn on(&self, dataset: &DatasetName) -> Vec<IndexName> {
        let live = self.list();
        let live = live
            .iter()
            .filter(|index| index.meta.dataset == *dataset)
            .map(|index| index.meta.name.clone());
        let reserved = locked(&self.reserved);
        let building = reserved
            .iter()
            .filter(|(_, on)| *on == dataset)
            .map(|(name, _)| name.clone());
        live.chain(building).collect()
    }

    /// Sets a name aside for an index that is to be built.
    ///
    /// # Errors
    /// 409 when it is taken or being built.
    pub fn reserve(
        self: &Arc<Self>,
        name: &IndexName,
        dataset: &DatasetName,
    ) -> Result<Reservation, Problem> {
        let mut reserved = locked(&self.reserved);
        let taken =
            locked(&self.live).contains_key(name) || locked(&self.broken).contains_key(name);
        if taken {
            return Err(Problem::conflict(
                "index_exists",
                format!("there is an index `{name}` already; delete it or choose another name"),
            ));
        }
        if reserved.contains_key(name) {
            return Err(Problem::conflict(
                "index_building",
                format!("index `{name}` is being built; `GET /tasks` shows how far it is"),
            ));
        }
        reserved.insert(name.clone(), dataset.clone());
        Ok(Reservation {
            indexes: Arc::clone(self),
            name: name.clone(),
        })
    }

    /// Takes an index out of service and deletes what is stored of it. Its name is free when this returns.
    ///
    /// # Errors
    /// 404, or the bucket fails; what is left over then is taken away at the next start.
    pub async fn delete(&self, name: &str) -> Result<(), Problem> {
        let broken = locked(&self.broken)
            .get(name)
            .map(|broken| broken.bucket.clone());
        if let (Some(bucket), Ok(name)) = (broken, IndexName::new(name)) {
            erase(&bucket, &name).await?;
            locked(&self.broken).remove(&name);
            return Ok(());
        }
        let index = self.get(name)?;
        let _turn = index.turn.try_lock().map_err(|_| {
            Problem::conflict(
                "index_busy",
                format!("index `{name}` is being tuned; cancel that task first"),
            )
        })?;
        index.bury().await?;
        let swept = index.sweep().await;
        locked(&self.live).remove(&index.meta.name);
        Ok(swept?)
    }

    fn insert(&self, index: LiveIndex) {
        locked(&self.live).insert(index.meta.name.clone(), Arc::new(index));
    }
}

/// A name that is set aside until this is dropped.
pub struct Reservation {
    indexes: Arc<Indexes>,
    name: IndexName,
}

impl Reservation {
    /// Puts the finished index in service.
    pub fn fulfil(self, index: LiveIndex) {
        self.indexes.insert(index);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        locked(&self.indexes.reserved).remove(&self.name);
    }
}
