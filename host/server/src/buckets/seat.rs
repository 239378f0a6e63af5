//! One bucket's place in the table: what it is, how it is, and the gate before its store.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use boathouse_storage::{BackendConfig, Bucket, BucketConfig};
use boathouse_types::{BucketName, DatasetName, IndexName, Timestamp};
use object_store::ObjectStore;
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{admission::Fault, gate::Gate, gone::Gone};

/// Where the host was told of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Every host has it: `primary` and `rescue`.
    BuiltIn,
    /// The configuration.
    Configuration,
    /// A client, at run time.
    Catalogue,
}

/// Whether a bucket may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// It answers.
    Healthy,
    /// It does not, or must not be used; `detail` says why.
    Unhealthy,
}

/// How a bucket is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// Whether it may be used.
    pub state: HealthState,
    /// Since when.
    pub since: Timestamp,
    /// What is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What lies in a bucket, counted in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When they were counted.
    pub counted_at: Timestamp,
}

/// A bucket of the table.
pub(super) struct Seat {
    pub(super) config: BucketConfig,
    pub(super) origin: Origin,
    pub(super) gate: Arc<Gate>,
    /// Rings when the store fails.
    pub(super) bell: Arc<Notify>,
    /// Fires when the bucket is removed or the host stops.
    pub(super) left: CancellationToken,
    /// Upkeep runs.
    busy: AtomicBool,
    status: Mutex<Status>,
}

struct Status {
    /// Registered: not one that is only about to be.
    is_in: bool,
    /// The open bucket, without gate and mirror; none while it cannot be opened.
    open: Option<Bucket>,
    health: Health,
    usage: Option<Usage>,
    /// Not to be counted before.
    count_after: Option<Instant>,
    /// Objects of its indexes are not to be looked at before.
    check_after: Option<Instant>,
    /// What was found missing of its datasets and indexes.
    gone: Gone,
    /// It was in use since the host started.
    was_admitted: bool,
    /// How far what is missing was looked for since the bucket was admitted.
    look: Look,
}

/// How far what is missing in a bucket was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Not yet.
    Owed,
    /// In the bucket alone, as its copies did not answer.
    Alone,
    /// In the bucket and its copies.
    Whole,
}

impl Seat {
    /// A seat whose gate is shut.
    pub(super) fn new(
        config: BucketConfig,
        origin: Origin,
        bell: Arc<Notify>,
        left: CancellationToken,
        now: Timestamp,
    ) -> Self {
        let why = "it was not opened yet";
        Self {
            gate: Gate::shut(why, Arc::clone(&bell)),
            config,
            origin,
            bell,
            left,
            busy: AtomicBool::new(false),
            status: Mutex::new(Status {
                is_in: false,
                open: None,
                health: Health {
                    state: HealthState::Unhealthy,
                    since: now,
                    detail: Some(why.to_owned()),
                },
                usage: None,
                count_after: None,
                check_after: None,
                gone: Gone::default(),
                was_admitted: false,
                look: Look::Owed,
            }),
        }
    }

    pub(super) fn name(&self) -> &BucketName {
        &self.config.name
    }

    /// The bucket behind its gate.
    pub(super) fn bucket(&self) -> Bucket {
        let gate = Arc::clone(&self.gate) as Arc<dyn ObjectStore>;
        Bucket::over(self.config.clone(), gate)
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.config.backend, BackendConfig::Local { .. })
    }

    pub(super) fn is_in(&self) -> bool {
        self.status().is_in
    }

    pub(super) fn come_in(&self) {
        self.status().is_in = true;
    }

    /// The bucket without its gate; none while it is not admitted.
    pub(super) fn open(&self) -> Option<Bucket> {
        self.status().open.clone()
    }

    pub(super) fn health(&self) -> Health {
        self.status().health.clone()
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.status().health.state == HealthState::Healthy
    }

    /// The bucket may be used from now on.
    pub(super) fn admit(&self, bucket: Bucket, now: Timestamp) {
        let mut status = self.status();
        self.gate.open(bucket.store());
        status.open = Some(bucket);
        status.was_admitted = true;
        status.look = Look::Owed;
        status.count_after = None;
        status.check_after = None;
        if status.health.state != HealthState::Healthy {
            status.health = Health {
                state: HealthState::Healthy,
                since: now,
                detail: None,
            };
        }
    }

    /// The bucket must not be used until it is admitted again. Gives whether it could be before.
    pub(super) fn suspend(&self, fault: &Fault, now: Timestamp) -> bool {
        let mut status = self.status();
        self.gate.close(format!(
            "bucket `{}` is out of use: {}",
            self.name(),
            fault.why
        ));
        let was_healthy = status.health.state == HealthState::Healthy;
        let since = if was_healthy {
            now
        } else {
            status.health.since
        };
        status.open = None;
        status.health = Health {
            state: HealthState::Unhealthy,
            since,
            detail: Some(fault.why.clone()),
        };
        was_healthy
    }

    /// Whether there is still nothing to open: a folder that was not in use yet and is not there. What the
    /// start said about it holds.
    pub(super) fn lacks_its_folder(&self) -> bool {
        let BackendConfig::Local { root } = &self.config.backend else {
            return false;
        };
        !self.status().was_admitted && !root.exists()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.status().usage
    }

    /// Whether the objects are to be counted now.
    pub(super) fn is_count_due(&self) -> bool {
        let after = self.status().count_after;
        after.is_none_or(|after| after <= Instant::now())
    }

    pub(super) fn counted(&self, usage: Usage, next: Instant) {
        let mut status = self.status();
        status.usage = Some(usage);
        status.count_after = Some(next);
    }

    /// Whether the objects of its indexes are to be looked at now.
    pub(super) fn is_check_due(&self) -> bool {
        let after = self.status().check_after;
        after.is_none_or(|after| after <= Instant::now())
    }

    /// The objects of its indexes were looked at.
    pub(super) fn checked(&self, next: Instant) {
        self.status().check_after = Some(next);
    }

    /// How far what is missing was looked for.
    pub(super) fn look(&self) -> Look {
        self.status().look
    }

    pub(super) fn looked(&self, look: Look, gone: Gone) {
        let mut status = self.status();
        status.gone = gone;
        status.look = look;
    }

    /// What was found missing.
    pub(super) fn gone(&self) -> Gone {
        self.status().gone.clone()
    }

    /// A dataset whose missing files are nobody's any more.
    pub(super) fn excuse_dataset(&self, dataset: &DatasetName) {
        self.status().gone.datasets.remove(dataset);
    }

    /// A dataset whose manifest is to be believed after all.
    pub(super) fn believe_dataset(&self, dataset: &DatasetName) {
        self.status().gone.doubtful_datasets.remove(dataset);
    }

    /// An index whose manifest is to be believed after all.
    pub(super) fn believe_index(&self, index: &IndexName) {
        self.status().gone.doubtful_indexes.remove(index);
    }

    /// The right to do upkeep; none while it runs.
    pub(super) fn begin_upkeep(&self) -> bool {
        !self.busy.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_upkeep(&self) {
        self.busy.store(false, Ordering::Release);
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
