//! The tables that this host has opened.
//!
//! Threads and caches of Lance begin with the first table: a host without any has none. A bucket is registered once, as
//! long as it is the same store. Whoever changes a table holds it ([`Seat::hold`]) from the first look at the manifest until
//! that is committed.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, OnceLock, Weak},
};

use boathouse_lance_host::{At, Error, Lance, Limits, Place, Shape, Snapshot, Table};
use boathouse_storage::Bucket;
use boathouse_types::Metric;
use object_store::ObjectStore;
use tokio::sync::{OnceCell, OwnedMutexGuard};

use super::{LanceConfig, LanceMeta, objects::Adapter};
use crate::indexes::{IndexMeta, locked};

/// Tables that are kept open.
const MOST_TABLES: usize = 256;
/// Snapshots of a table that are kept besides the newest.
const SNAPSHOTS: usize = 4;

/// All of them.
pub(crate) struct Room {
    config: LanceConfig,
    lance: OnceLock<Lance>,
    buckets: Mutex<Vec<Known>>,
    tables: Mutex<Tables>,
}

/// By the number of the bucket and the folder there.
type Tables = BTreeMap<(usize, String), Arc<OnceCell<Arc<Seat>>>>;

/// A bucket that tables are in.
struct Known {
    store: Weak<dyn ObjectStore>,
    number: usize,
    place: Place,
}

/// A table in use.
pub(super) struct Seat {
    pub(super) table: Table,
    changing: Arc<tokio::sync::Mutex<()>>,
    earlier: Mutex<Vec<Snapshot>>,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(LanceConfig::default())
    }
}

/// What a table of an index is made for.
pub(super) fn shape_of(meta: &IndexMeta) -> Shape {
    Shape {
        dimension: meta.dimension.get(),
        metric: match meta.metric {
            Metric::Cosine => boathouse_lance_host::Metric::Cosine,
            Metric::L2 => boathouse_lance_host::Metric::L2,
            Metric::Dot => boathouse_lance_host::Metric::Dot,
        },
    }
}

impl Room {
    /// No tables yet.
    pub(crate) fn new(config: LanceConfig) -> Self {
        Self {
            config,
            lance: OnceLock::new(),
            buckets: Mutex::default(),
            tables: Mutex::default(),
        }
    }

    pub(super) fn config(&self) -> &LanceConfig {
        &self.config
    }

    fn lance(&self) -> Result<Lance, Error> {
        if let Some(lance) = self.lance.get() {
            return Ok(lance.clone());
        }
        let threads = NonZeroUsize::new(self.config.threads).unwrap_or(NonZeroUsize::MIN);
        let started = Lance::start(Limits {
            threads,
            index_cache_bytes: self.config.index_cache_mb << 20,
            metadata_cache_bytes: self.config.metadata_cache_mb << 20,
        })?;
        // Of two that were started at once one goes again.
        Ok(self.lance.get_or_init(|| started).clone())
    }

    /// The place of a bucket's store and its number.
    fn place(&self, lance: &Lance, bucket: &Bucket) -> (usize, Place) {
        let store = bucket.store();
        let mut known = locked(&self.buckets);
        let same = |one: &&Known| std::ptr::addr_eq(one.store.as_ptr(), Arc::as_ptr(store));
        if let Some(one) = known.iter().find(same) {
            return (one.number, one.place.clone());
        }
        // Numbers are not given again: a table of a bucket that is gone must not be taken for one of this.
        let number = known.last().map_or(0, |last| last.number + 1);
        let place = lance.bucket(Arc::new(Adapter::of(store)));
        known.push(Known {
            store: Arc::downgrade(store),
            number,
            place: place.clone(),
        });
        (number, place)
    }

    /// A table, opened if it is not yet; with a shape it is made if it is missing.
    pub(super) async fn seat(
        &self,
        bucket: &Bucket,
        path: &str,
        made: Option<Shape>,
    ) -> Result<Arc<Seat>, Error> {
        let lance = self.lance()?;
        let (number, place) = self.place(&lance, bucket);
        let location = place.table(path)?;
        let cell = {
            let mut tables = locked(&self.tables);
            let key = (number, path.to_owned());
            if tables.len() >= MOST_TABLES && !tables.contains_key(&key) {
                // Those in use are held by who uses them; the others are opened again when they are wanted.
                tables.clear();
            }
            Arc::clone(tables.entry(key).or_default())
        };
        let open = async {
            let table = match made {
                Some(shape) => lance.open_or_create(&location, shape).await?,
                None => lance.open(&location).await?,
            };
            Ok(Arc::new(Seat {
                table,
                changing: Arc::default(),
                earlier: Mutex::default(),
            }))
        };
        cell.get_or_try_init(|| open).await.cloned()
    }

    /// Forgets that a table is open.
    pub(super) fn forget(&self, path: &str) {
        locked(&self.tables).retain(|(_, known), _| known != path);
    }

    /// The version of a table that a manifest names.
    pub(crate) async fn snapshot(
        &self,
        bucket: &Bucket,
        named: &LanceMeta,
    ) -> Result<Snapshot, Error> {
        let seat = self.seat(bucket, &named.path, None).await?;
        seat.snapshot(named.version).await
    }
}

impl Seat {
    /// Waits for the right to change the table and to commit that.
    pub(super) async fn hold(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// A version of it.
    pub(super) async fn snapshot(&self, version: u64) -> Result<Snapshot, Error> {
        let now = self.table.now();
        if now.version() == version {
            return Ok(now);
        }
        let of = |known: &&Snapshot| known.version() == version;
        if let Some(known) = locked(&self.earlier).iter().find(of) {
            return Ok(known.clone());
        }
        let found = now.at(At::Version(version)).await?;
        let mut earlier = locked(&self.earlier);
        if earlier.len() >= SNAPSHOTS {
            earlier.remove(0);
        }
        earlier.push(found.clone());
        Ok(found)
    }

    /// Makes the table hold again what a version of it holds, if somebody left it otherwise. Gives the version that it
    /// stands at then. Whoever calls this holds the table.
    pub(super) async fn stand(&self, version: u64) -> Result<u64, Error> {
        if self.table.now().version() == version || self.table.refresh().await? == version {
            return Ok(version);
        }
        self.table.restore(version).await
    }
}
