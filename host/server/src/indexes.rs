//! The indexes of this host: what is stored of them, what serves, and how one comes to be.
//!
//! An index lives in its home bucket. Its manifest is committed last, so an index that is listed is
//! whole: vectors, graph and all. What serves is swapped as one pointer; a search that has begun
//! finishes on what it began with. Rows that are appended to its dataset become part of it (`append.rs`), documents can
//! be deleted from it (`delete.rs`). An index may move to another bucket while it serves (`moves.rs`); which
//! of several manifests decides is told in `standing.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use boathouse_storage::{Bucket, BucketRegistry};
use boathouse_types::{BucketName, DatasetName, IndexName};

use crate::{
    lance::{LanceConfig, Room},
    problem::Problem,
};

pub(crate) mod append;
pub(crate) mod backend;
mod by_id;
pub(crate) mod chores;
mod chunks;
pub(crate) mod create;
mod damage;
pub(crate) mod delete;
mod desks;
mod documents;
mod embed;
mod fetch;
mod filter;
mod frozen;
mod ledger;
mod live;
mod meta;
pub(crate) mod moves;
pub(crate) mod objective;
mod objects;
mod open;
mod pace;
mod rows;
mod search;
mod standing;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tombstones;
mod truth;
mod warm;

use chores::Chores;
use desks::Desks;
use filter::Filters;
use objects::{erase, sweep};
use standing::{Found, decides, give_up, look};

pub use backend::LanceView;
#[cfg(feature = "lance")]
pub(crate) use backend::{NPROBES, REFINE_FACTOR};
pub(crate) use by_id::document;
#[cfg(feature = "lance")]
pub(crate) use by_id::document_of_table;
pub use chunks::Chunking;
pub use delete::{DeleteDocuments, DeletedDocuments};
pub use embed::Embeddings;
pub(crate) use embed::{check_embedder, forget_idle_parts, forget_parts, tidy_parts};
pub use filter::{FilterPlan, FilterView};
pub(crate) use live::Hold;
pub use live::{LiveIndex, Serving, Sole, Turn};
pub use meta::{
    AppendPolicy, Behind, Deletion, Growth, IndexChange, IndexMeta, IndexSpec, IndexView, Segment,
    ServingView,
};
pub(crate) use objects::delete_folder;
#[cfg(feature = "lance")]
pub(crate) use search::no_vector;
#[cfg(feature = "lance")]
pub(crate) use search::search_table;
pub use search::{Chunk, Hit, SearchAnswer, SearchRequest, search};
pub(crate) use truth::Truth;
pub(crate) use warm::warm;

/// Whether a bucket of that name is registered, also one that could not be opened.
pub type IsRegistered = Arc<dyn Fn(&BucketName) -> bool + Send + Sync>;

/// All indexes, by name.
pub struct Indexes {
    buckets: Arc<BucketRegistry>,
    is_registered: IsRegistered,
    /// Held while a name is opened, and while one that is not served is deleted.
    door: tokio::sync::Mutex<()>,
    live: Mutex<BTreeMap<IndexName, Arc<LiveIndex>>>,
    /// Indexes that are stored and cannot be opened.
    broken: Mutex<BTreeMap<IndexName, Broken>>,
    /// Indexes that have the name of another one and are not served, with the reason.
    strangers: Mutex<BTreeMap<(IndexName, BucketName), String>>,
    /// Indexes that are being built, or made anew though they are among the broken ones.
    reserved: Mutex<BTreeMap<IndexName, Building>>,
    filters: Filters,
    desks: Desks,
    chores: Chores,
    /// Tables of indexes in Lance.
    pub(crate) lance: Room,
}

/// An index that cannot be opened.
#[derive(Clone)]
struct Broken {
    home: BucketName,
    /// None when its home does not show it.
    bucket: Option<Bucket>,
    why: String,
}

/// What an index that is being built is for, and where it is to live.
struct Building {
    dataset: DatasetName,
    bucket: BucketName,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Indexes {
    fn new(buckets: &Arc<BucketRegistry>, is_registered: IsRegistered) -> Self {
        Self {
            buckets: Arc::clone(buckets),
            is_registered,
            door: tokio::sync::Mutex::default(),
            live: Mutex::default(),
            broken: Mutex::default(),
            strangers: Mutex::default(),
            reserved: Mutex::default(),
            filters: Filters::default(),
            desks: Desks::default(),
            chores: Chores::default(),
            lance: Room::default(),
        }
    }

    /// With what is configured of Lance tables. Before any is opened.
    #[must_use]
    pub(crate) fn with_lance(self, config: LanceConfig) -> Self {
        Self {
            lance: Room::new(config),
            ..self
        }
    }

    /// All that serve, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<LiveIndex>> {
        locked(&self.live).values().cloned().collect()
    }

    /// Indexes that could not be opened, with the reason, and those that are not served because another
    /// one has their name.
    #[must_use]
    pub fn broken(&self) -> Vec<(IndexName, String)> {
        let broken = locked(&self.broken);
        let broken = broken
            .iter()
            .map(|(name, broken)| (name.clone(), broken.why.clone()));
        let strangers = locked(&self.strangers);
        let strangers = strangers
            .iter()
            .map(|((name, _), why)| (name.clone(), why.clone()));
        broken.chain(strangers).collect()
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
                        format!("index `{name}` cannot be opened: {why}")
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
            .filter(|(_, building)| building.dataset == *dataset)
            .map(|(name, _)| name.clone());
        live.chain(building).collect()
    }

    /// Names of the indexes that serve, cannot be opened or are being built.
    fn names(&self) -> BTreeSet<IndexName> {
        let mut names: BTreeSet<_> = locked(&self.live).keys().cloned().collect();
        names.extend(locked(&self.broken).keys().cloned());
        names.extend(locked(&self.reserved).keys().cloned());
        names
    }

    /// Whether there is an index of that name, served or not, or one is being built.
    #[must_use]
    pub fn knows(&self, name: &IndexName) -> bool {
        locked(&self.live).contains_key(name)
            || locked(&self.broken).contains_key(name)
            || locked(&self.reserved).contains_key(name)
    }

    /// Names of the indexes that a bucket is needed for: those that live there or cannot be opened there,
    /// those that are being built there or moved to it.
    #[must_use]
    pub fn in_bucket(&self, bucket: &BucketName) -> Vec<IndexName> {
        let needs = |index: &&Arc<LiveIndex>| {
            index.meta.bucket == *bucket || index.moving_to().as_ref() == Some(bucket)
        };
        let live = self.list();
        let live = live.iter().filter(needs);
        let mut names: Vec<_> = live.map(|index| index.meta.name.clone()).collect();
        for (name, broken) in locked(&self.broken).iter() {
            names.extend((broken.home == *bucket).then(|| name.clone()));
        }
        for (name, building) in locked(&self.reserved).iter() {
            names.extend((building.bucket == *bucket).then(|| name.clone()));
        }
        names.sort();
        names.dedup();
        names
    }

    /// Sets a name aside for an index that is to be built.
    ///
    /// # Errors
    /// 409 when it is taken or being built.
    pub fn reserve(
        self: &Arc<Self>,
        name: &IndexName,
        dataset: &DatasetName,
        bucket: &BucketName,
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
        self.set_aside(&mut reserved, name, (dataset, bucket))
    }

    /// Sets an index aside that cannot be opened, to be made anew; gives the manifest that decides as well.
    ///
    /// # Errors
    /// 404 when no index of that name is known to be stored and out of service, or its manifest does not read; 409
    /// while it is moved or made anew.
    pub(crate) async fn reserve_broken(
        self: &Arc<Self>,
        name: &IndexName,
    ) -> Result<(Reservation, Found), Problem> {
        let _door = self.door.lock().await;
        let is_broken = locked(&self.broken).contains_key(name);
        let (all, _) = look(&self.buckets.list(), name).await;
        let winner = decides(&all).filter(|one| is_broken && one.is_alive(&all));
        let Some(found) = winner else {
            let unknown = self.get(name.as_str()).err();
            return Err(unknown.unwrap_or_else(|| shown_again(name)));
        };
        check_at_rest(found)?;
        let place = (&found.meta.dataset, found.bucket.name());
        let reservation = self.set_aside(&mut locked(&self.reserved), name, place)?;
        Ok((reservation, found.clone()))
    }

    fn set_aside(
        self: &Arc<Self>,
        reserved: &mut BTreeMap<IndexName, Building>,
        name: &IndexName,
        (dataset, bucket): (&DatasetName, &BucketName),
    ) -> Result<Reservation, Problem> {
        if reserved.contains_key(name) {
            return Err(building(name));
        }
        let (dataset, bucket) = (dataset.clone(), bucket.clone());
        reserved.insert(name.clone(), Building { dataset, bucket });
        Ok(Reservation {
            indexes: Arc::clone(self),
            name: name.clone(),
        })
    }

    /// Takes an index out of service and deletes what is stored of it. Its name is free when this returns.
    ///
    /// # Errors
    /// 404, 409 while it is tuned or moved, or the bucket fails; what is left over then is taken away later.
    pub async fn delete(&self, name: &str) -> Result<(), Problem> {
        let name = IndexName::new(name)?;
        let Some(index) = self.current(&name) else {
            return self.delete_broken(&name).await;
        };
        let _alone = index.take_alone()?;
        let _writing = index.writing().await;
        let manifest = Found::confirm(index.bucket(), &name).await?;
        if let Some(manifest) = manifest.filter(|found| found.meta.is_same_index(&index.meta)) {
            check_at_rest(&manifest)?;
            manifest.bury(None).await?;
        }
        let swept = sweep(index.bucket(), &name).await;
        self.retire(&index);
        frozen::forget(&index).await;
        self.settle_later(&name);
        Ok(swept?)
    }

    /// Deletes an index that is not served. Of one that went to a bucket which does not have it any more the
    /// tombstone becomes final.
    async fn delete_broken(&self, name: &IndexName) -> Result<(), Problem> {
        let _door = self.door.lock().await;
        let broken = locked(&self.broken).get(name).cloned();
        // The lock is free again: `get` takes it too.
        let Some(broken) = broken else {
            let unknown = self.get(name.as_str()).err();
            return Err(unknown.unwrap_or_else(|| shown_again(name)));
        };
        if locked(&self.reserved).contains_key(name) {
            return Err(building(name));
        }
        match &broken.bucket {
            Some(bucket) => match Found::confirm(bucket, name).await {
                Ok(Some(found)) => {
                    check_at_rest(&found)?;
                    found.bury(None).await?;
                    sweep(bucket, name).await?;
                }
                _ => erase(bucket, name).await?,
            },
            None => {
                self.check_gone(name, &broken.home).await?;
                give_up(&self.buckets.list(), name).await?;
            }
        }
        locked(&self.broken).remove(name);
        self.settle_later(name);
        Ok(())
    }

    /// That an index is not where its tombstone says: the bucket is not registered, or does not have it.
    async fn check_gone(&self, name: &IndexName, home: &BucketName) -> Result<(), Problem> {
        if !(self.is_registered)(home) {
            return Ok(());
        }
        let there = match self.buckets.get(home) {
            Ok(bucket) => Found::confirm(&bucket, name).await,
            Err(error) => Err(error),
        };
        match there {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(shown_again(name)),
            Err(_) => Err(Problem::conflict(
                "bucket_unhealthy",
                format!(
                    "index `{name}` lives in bucket `{home}`, which does not answer; delete it when it does"
                ),
            )),
        }
    }

    /// The index of that name that serves.
    fn current(&self, name: &IndexName) -> Option<Arc<LiveIndex>> {
        locked(&self.live).get(name).cloned()
    }

    /// Puts an index in service at another place, as its manifest there has it. Its turn is the caller's.
    async fn rehome(&self, index: &LiveIndex, home: &Found) -> (Arc<LiveIndex>, Sole) {
        // Its tail may have grown since the caller looked.
        let newest = self.current(&home.meta.name);
        let newest = newest.filter(|newest| newest.shares_seat(index));
        let moved = newest.as_deref().unwrap_or(index).moved(home).await;
        let moved = Arc::new(moved);
        let alone = moved.wait_alone().await;
        index.retire();
        locked(&self.live).insert(home.meta.name.clone(), Arc::clone(&moved));
        (moved, alone)
    }

    /// Takes an index out of service.
    fn retire(&self, index: &LiveIndex) {
        index.retire();
        locked(&self.live).remove(&index.meta.name);
    }

    fn insert(&self, index: LiveIndex) {
        locked(&self.live).insert(index.meta.name.clone(), Arc::new(index));
    }
}

fn shown_again(name: &IndexName) -> Problem {
    Problem::conflict(
        "index_busy",
        format!("the bucket of index `{name}` shows it again just now; try again in a minute"),
    )
}

fn building(name: &IndexName) -> Problem {
    Problem::conflict(
        "index_building",
        format!(
            "index `{name}` is being built; `GET /tasks` and `boathouse task list` show how far it is"
        ),
    )
}

/// That nobody moves an index at this moment, another host for example.
fn check_at_rest(found: &Found) -> Result<(), Problem> {
    match &found.meta.moving_to {
        None => Ok(()),
        Some(to) => Err(Problem::conflict(
            "index_busy",
            format!(
                "index `{}` is being moved to bucket `{to}`; try again when it is there",
                found.meta.name
            ),
        )),
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
        locked(&self.indexes.broken).remove(&self.name);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        locked(&self.indexes.reserved).remove(&self.name);
    }
}
