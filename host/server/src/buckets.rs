//! The buckets of a host while it runs: which there are, how they are, and how they come and go.
//!
//! The registry of the storage room knows names and stores; here stands what is around it. Each bucket has
//! a seat: where it was told of (built in, configuration file, catalogue), whether it may be used at the
//! moment, and a gate before its store (`buckets/gate.rs`): behind a shut gate nothing waits for a store
//! that does not answer, and what the rescue bucket holds of it can be read. Each seat has a watcher
//! (`buckets/watch.rs`) that shuts the gate of a bucket that fails and opens it when the bucket is back. The
//! rooms get a bucket when it is admitted for the first time, and keep it then; `primary` they have always,
//! `rescue` never.
//!
//! Invariants: a bucket that was acknowledged is in the catalogue; no two buckets overlap
//! (`buckets/place.rs`); a bucket that has lost its objects is not used as an empty one
//! (`buckets/admission.rs`); no secret leaves this module, only references to them.
//!
//! Not here: what is in a bucket, and the copying into `rescue`, which is the storage room's.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use boathouse_storage::{Bucket, BucketConfig, BucketRegistry, Mirror, StorageError};
use boathouse_types::{BucketName, Clock};
use tokio::sync::Notify;

use crate::{
    config::{Config, Environment},
    problem::Problem,
    tasks::Background,
};

mod admission;
pub(crate) mod catalogue;
mod change;
mod doubt;
mod gate;
pub(crate) mod gone;
mod living;
mod place;
mod seat;
mod start;
mod view;
mod watch;

pub(crate) use admission::MARK;
pub(crate) use doubt::Doubtful;
pub use seat::{Health, HealthState, Origin, Usage};
pub use view::{BucketView, Counts, Holds, Location, Malformed, MirrorView};

use seat::Seat;

/// How long a bucket may take to be admitted while the host runs.
const ADMISSION: Duration = Duration::from_secs(60);

/// The buckets of a host cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BucketsError {
    /// A bucket without which no host starts is wrong.
    #[error("bucket `{bucket}` cannot be used: {why}")]
    Unusable {
        /// The bucket.
        bucket: BucketName,
        /// What is wrong and what to do.
        why: String,
    },
    /// The primary bucket is gone or empty, and there are copies of what it held.
    #[error(
        "bucket `primary` has lost what it held, of which `rescue` has copies ({why}): mount or put back what was there, or run `boathouse restore` to bring the copies back"
    )]
    PrimaryLost {
        /// What is missing.
        why: String,
    },
    /// Neither the primary bucket nor its copies can be read.
    #[error(
        "bucket `primary` does not answer ({why}) and `rescue` holds no copy of it to start from; make it reachable"
    )]
    PrimaryUnreachable {
        /// What the store said.
        why: String,
    },
    /// The primary bucket is empty, and whether it should be cannot be found out.
    #[error(
        "bucket `primary` is empty and `rescue` cannot be asked whether something was there before; make it reachable"
    )]
    Undecided(#[source] StorageError),
    /// What the primary bucket holds about buckets cannot be read or written.
    #[error("the catalogue of buckets cannot be used")]
    Catalogue(#[source] StorageError),
}

/// All buckets of a host, with their seats.
pub struct BucketTable {
    registry: Arc<BucketRegistry>,
    mirror: Mirror,
    primary: Bucket,
    rescue: Bucket,
    seats: Mutex<BTreeMap<BucketName, Arc<Seat>>>,
    parts: Parts,
}

/// What seats are made with.
#[derive(Clone)]
struct Parts {
    /// The data folder.
    data: PathBuf,
    environment: Arc<Environment>,
    clock: Arc<dyn Clock>,
    background: Background,
    /// Time between two looks at a bucket.
    every: Duration,
}

impl Parts {
    fn of(
        config: &Config,
        environment: &Environment,
        clock: &Arc<dyn Clock>,
        background: Background,
    ) -> Self {
        Self {
            data: config.server.data.clone(),
            environment: Arc::new(environment.clone()),
            clock: Arc::clone(clock),
            background,
            every: Duration::from_secs(config.storage.health.every_secs.max(1)),
        }
    }

    fn seat(&self, config: BucketConfig, origin: Origin) -> Arc<Seat> {
        let bell = Arc::new(Notify::new());
        let left = self.background.stopping().child_token();
        Arc::new(Seat::new(config, origin, bell, left, self.clock.now()))
    }
}

impl BucketTable {
    /// The buckets by name, as the rooms take them.
    #[must_use]
    pub fn registry(&self) -> Arc<BucketRegistry> {
        Arc::clone(&self.registry)
    }

    /// What copies into `rescue`.
    #[must_use]
    pub fn mirror(&self) -> Mirror {
        self.mirror.clone()
    }

    /// The primary bucket.
    #[must_use]
    pub fn primary(&self) -> Bucket {
        self.primary.clone()
    }

    /// The rescue bucket.
    #[must_use]
    pub fn rescue(&self) -> Bucket {
        self.rescue.clone()
    }

    /// A bucket for somebody who names it.
    ///
    /// # Errors
    /// 404 when there is none of that name, 503 `bucket_unhealthy` while it is out of use.
    pub fn get(&self, name: &BucketName) -> Result<Bucket, Problem> {
        let seat = self.seats().get(name).cloned();
        let why = seat.and_then(|seat| seat.health().detail);
        match (self.registry.get(name), why) {
            (Ok(bucket), None) => Ok(bucket),
            (Err(error), None) => Err(error.into()),
            (_, Some(_)) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "bucket_unhealthy",
                format!("bucket `{name}` is out of use at present; `GET /readyz` says why"),
            )),
        }
    }

    /// What the rooms have, and the rescue bucket.
    #[must_use]
    pub fn all(&self) -> Vec<Bucket> {
        let mut all = self.registry.list();
        all.push(self.rescue.clone());
        all
    }

    /// Whether the host began with the copies of the primary bucket.
    #[must_use]
    pub fn stands_in(&self) -> bool {
        let primary = self.seats().get(self.primary.name()).cloned();
        primary.is_some_and(|seat| !seat.is_healthy())
    }

    /// How each bucket is, by name.
    #[must_use]
    pub fn health(&self) -> Vec<(BucketName, Health)> {
        let seats = self.all_seats();
        let health = seats
            .iter()
            .map(|seat| (seat.name().clone(), seat.health()));
        health.collect()
    }

    /// Buckets that cannot be used at the moment, by name.
    #[must_use]
    pub fn unhealthy(&self) -> Vec<BucketName> {
        let seats = self.all_seats().into_iter();
        let unhealthy = seats.filter(|seat| !seat.is_healthy());
        unhealthy.map(|seat| seat.name().clone()).collect()
    }

    /// The seats of buckets that are registered, by name.
    fn all_seats(&self) -> Vec<Arc<Seat>> {
        let seats = self.seats();
        seats
            .values()
            .filter(|seat| seat.is_in())
            .cloned()
            .collect()
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<BucketName, Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a bucket to the rooms, mirrored, unless they have it already. The rescue bucket is the mirror's
    /// alone: nothing lives there, so nothing has to wait for it.
    fn register(&self, seat: &Seat) {
        let name = seat.name();
        if *name == *self.rescue.name() || self.registry.get(name).is_ok() {
            return;
        }
        let bucket = match name == self.primary.name() {
            true => self.primary.clone(),
            false => self.mirror.over(&seat.bucket()),
        };
        if let Err(error) = self.registry.insert(bucket) {
            tracing::error!(%error, "a bucket is registered twice");
        }
    }
}
