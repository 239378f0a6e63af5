//! Garbage collection: what nobody refers to any more goes, on a schedule or when somebody asks.
//!
//! A run lets versions of datasets expire (`gc/expiry.rs`), collects what is garbage in every bucket and in
//! the copy of it in `rescue` (`gc/sweep.rs`; the rules are in `gc/judge.rs`), and merges logs that have become
//! many files (`gc/compaction.rs`). It is a task like any other: it can be watched and cancelled, and its result
//! says what was collected and what was left out and why. One run at a time; several hosts may run theirs
//! at once.
//!
//! Invariants: nothing is deleted that a document of its bucket names, that is younger than the grace period
//! by the store's own clock, or whose documents cannot be read; an object that fits no pattern of this
//! program is counted and never touched; a dry run changes nothing at all.
//!
//! Not here: parts of uploads to S3 that never came to an end. Only the store can list them; it forgets them
//! by a lifecycle rule for incomplete uploads.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use boathouse_storage::{Bucket, ObjectInfo, StorageError};
use boathouse_types::{BucketName, Clock, DatasetName, Timestamp};
use bytes::Bytes;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    http::pii::SCAN,
    indexes::forget_idle_parts,
    problem::Problem,
    tasks::{TaskContext, TaskState, TaskView, Tasks},
};

mod compaction;
mod expiry;
mod judge;
mod places;
mod report;
mod sweep;

use judge::{Homes, Judge, Root, Undecided};
pub use places::Class;
pub use report::{BucketReport, CompactedLog, ExpiredVersions, GcReport, LeftOut, Sum};
use sweep::{Busy, Way, sweep};

const HOUR_MILLIS: i64 = 60 * 60 * 1_000;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long a host runs before the first run of its schedule.
const FIRST: Duration = Duration::from_secs(15 * 60);

/// A wish for a run.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GcSpec {
    /// Says what would be collected and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Leaves objects alone that are younger than this many hours; `[storage.gc] grace_hours` when left out.
    /// 0 is for when nothing else works on the buckets, other hosts included.
    pub grace_hours: Option<u32>,
}

/// What the runs of this host share.
#[derive(Debug, Default)]
pub struct Collector {
    /// Held by the run under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    collected: Mutex<BTreeMap<Class, (u64, u64)>>,
}

impl Collector {
    /// Objects and bytes that were collected since the host started, by class.
    pub(crate) fn collected(&self) -> BTreeMap<Class, (u64, u64)> {
        let collected = self.collected.lock();
        collected.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, report: &GcReport) {
        let collected = self.collected.lock();
        let mut collected = collected.unwrap_or_else(PoisonError::into_inner);
        for (class, (objects, bytes)) in report.by_class() {
            let sum = collected.entry(class).or_default();
            *sum = (sum.0 + objects, sum.1 + bytes);
        }
    }
}

/// Whether an object is one that a host itself keeps, by its path.
pub(crate) fn is_own_object(path: &str) -> bool {
    const OWN: [&str; 4] = ["auth/", "audit/", "_lineage_posted/", "_lineage/"];
    OWN.iter().any(|folder| path.starts_with(folder)) || places::place(path).is_some()
}

/// Starts a run as a task, whose result is a [`GcReport`].
///
/// # Errors
/// 409 `gc_running` while another one runs.
pub(crate) fn start(app: &Arc<App>, spec: GcSpec) -> Result<TaskView, Problem> {
    let turn = Arc::clone(&app.gc.turn).try_lock_owned().map_err(|_| {
        Problem::conflict(
            "gc_running",
            "garbage is being collected; `GET /tasks` shows how far it is",
        )
    })?;
    let worker = Arc::clone(app);
    let work = |task: TaskContext| async move {
        let _turn = turn;
        let report = Run::of(&worker, &spec, &task).go().await;
        if !report.dry_run {
            let (objects, bytes) = (report.objects, report.bytes);
            tracing::info!(objects, bytes, "garbage was collected");
            worker.gc.count(&report);
            let works = Arc::clone(&worker);
            let is_built = move |index: &str| busy(&works.tasks).indexes.contains(index);
            forget_idle_parts(&worker, is_built).await;
        }
        serde_json::to_value(report).map_err(|error| Problem::internal(&error))
    };
    Ok(app.tasks.start("gc", "buckets", work))
}

/// Runs on the schedule of `[storage.gc]`, until the host stops.
pub(crate) async fn on_schedule(app: Arc<App>) {
    let hours = app.config.storage.gc.every_hours;
    if hours == 0 {
        return;
    }
    let every = HOUR.saturating_mul(hours);
    let stop = app.tasks.background().stopping();
    let mut wait = FIRST;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = every;
        if let Err(problem) = start(&app, GcSpec::default()) {
            tracing::info!(%problem, "a scheduled collection of garbage is left out");
        }
    }
}

/// One run, with everything that it works on.
pub(crate) struct Run {
    /// The buckets as they are registered.
    buckets: Vec<Bucket>,
    /// Buckets that cannot be asked.
    missing: Vec<BucketName>,
    datasets: boathouse_ingest::Datasets,
    retention: boathouse_ingest::Retention,
    compact_files: u64,
    clock: Arc<dyn Clock>,
    dry_run: bool,
    grace_hours: u32,
    /// What this process works on at the moment of asking.
    busy: Box<dyn Fn() -> Busy + Send + Sync>,
    /// Whether an index is being built on a dataset.
    building: Box<dyn Fn(&DatasetName) -> bool + Send + Sync>,
    cancel: CancellationToken,
    task: Option<TaskContext>,
}

impl Run {
    fn of(app: &Arc<App>, spec: &GcSpec, task: &TaskContext) -> Self {
        let grace_hours = spec
            .grace_hours
            .unwrap_or(app.config.storage.gc.grace_hours);
        let (works, builds) = (Arc::clone(app), Arc::clone(app));
        let buckets = app.bucket_table.all();
        Self {
            missing: missing(app, &buckets),
            buckets,
            datasets: app.datasets.clone(),
            retention: app.config.datasets.retention(grace_hours),
            compact_files: app.config.storage.gc.compact_files,
            clock: Arc::clone(&app.clock),
            dry_run: spec.dry_run,
            grace_hours,
            busy: Box::new(move || busy(&works.tasks)),
            building: Box::new(move |dataset| is_indexed_now(&builds, dataset)),
            cancel: task.cancellation(),
            task: Some(task.clone()),
        }
    }

    async fn go(&self) -> GcReport {
        let mut report = GcReport {
            dry_run: self.dry_run,
            grace_hours: self.grace_hours,
            ..GcReport::default()
        };
        let homes = Homes {
            buckets: self.buckets.iter().map(Bucket::without_rescue).collect(),
            missing: self.missing.clone(),
        };
        for name in &homes.missing {
            let what = format!("bucket `{name}`");
            report
                .left_out
                .push(LeftOut::new(what, "it cannot be used"));
        }
        self.expire(&homes, &mut report).await;
        for (done, bucket) in self.buckets.iter().enumerate() {
            self.progress(bucket, done);
            if self.is_cancelled() {
                break;
            }
            report.add(self.bucket(bucket, &homes).await);
        }
        for home in &homes.buckets {
            if self.is_cancelled() {
                break;
            }
            if let Some(copy) = self.copy(home, &homes).await {
                report.add(copy);
            }
        }
        // Also when the last of them was cut short.
        let _ = self.is_cancelled();
        report
    }

    /// Collects in a bucket and merges its logs.
    async fn bucket(&self, bucket: &Bucket, homes: &Homes) -> BucketReport {
        let mut report = BucketReport::new(bucket.name().clone(), false);
        let plain = bucket.without_rescue();
        let others = match *bucket.name() == BucketName::rescue() {
            true => homes.buckets.iter().map(|b| b.name().to_string()).collect(),
            false => Vec::new(),
        };
        let root = match self.cutoff(&plain).await {
            Ok(cutoff) => Root {
                bucket: plain,
                home: None,
                cutoff,
            },
            Err(error) => {
                report.leave(LeftOut::new("the bucket", Undecided::from(error)));
                return report;
            }
        };
        let judge = self.judge(&root, homes);
        let logs = sweep(&judge, &self.way(&others), &mut report).await;
        self.staged(&root, &mut report).await;
        self.compact(bucket, &judge, logs, &mut report).await;
        report
    }

    /// Collects in the copy of a bucket in `rescue`; none where there is no copy.
    async fn copy(&self, home: &Bucket, homes: &Homes) -> Option<BucketReport> {
        let is_rescue = |bucket: &&Bucket| *bucket.name() == BucketName::rescue();
        let rescue = homes.buckets.iter().find(is_rescue)?;
        if is_rescue(&home) {
            return None;
        }
        let mut report = BucketReport::new(home.name().clone(), true);
        let opened = async {
            let bucket = rescue.within(home.name().as_str())?;
            if bucket.children("").await?.is_empty() {
                return Ok(None);
            }
            let cutoff = self.cutoff(rescue).await?;
            Ok::<_, StorageError>(Some((bucket, cutoff)))
        };
        match opened.await {
            Ok(None) => return None,
            Ok(Some((bucket, cutoff))) => {
                let root = Root {
                    bucket,
                    home: Some(home.clone()),
                    cutoff,
                };
                sweep(&self.judge(&root, homes), &self.way(&[]), &mut report).await;
            }
            Err(error) => report.leave(LeftOut::new("the copy", Undecided::from(error))),
        }
        Some(report)
    }

    /// Collects files under construction that nobody has touched for the grace period.
    async fn staged(&self, root: &Root, report: &mut BucketReport) {
        let staged = match root.bucket.staged().await {
            Ok(staged) => staged,
            Err(error) => {
                report.leave(LeftOut::new(
                    "files under construction",
                    Undecided::from(error),
                ));
                return;
            }
        };
        let is_old = |modified: Timestamp| modified <= root.cutoff;
        for file in staged.iter().filter(|file| is_old(file.modified)) {
            if !self.dry_run
                && let Err(error) = root.bucket.discard_staged(file).await
            {
                report.leave(LeftOut::new(&file.name, Undecided::from(error)));
                continue;
            }
            let object = ObjectInfo {
                path: file.name.clone(),
                size: file.size,
                modified: file.modified,
            };
            report.collected(Class::Staged, &object);
        }
    }

    /// The time until which an object was last written if it is older than the grace period. It is told by
    /// the store itself, from an object written just now; a dry run writes nothing and asks the host.
    async fn cutoff(&self, bucket: &Bucket) -> Result<Timestamp, StorageError> {
        let now = if self.dry_run {
            self.clock.now()
        } else {
            time_of(bucket).await?
        };
        let grace = i64::from(self.grace_hours) * HOUR_MILLIS;
        Ok(Timestamp::from_millis(now.millis() - grace))
    }

    fn judge<'a>(&'a self, root: &'a Root, homes: &'a Homes) -> Judge<'a> {
        Judge {
            root,
            homes,
            clock: &self.clock,
        }
    }

    fn way<'a>(&'a self, others: &'a [String]) -> Way<'a> {
        Way {
            busy: &*self.busy,
            dry_run: self.dry_run,
            cancel: &self.cancel,
            others,
        }
    }

    fn progress(&self, bucket: &Bucket, done: usize) {
        if let Some(task) = &self.task {
            let stage = format!("collecting in `{}`", bucket.name());
            let all = self.buckets.len() as u64;
            task.progress(&stage, done as u64, Some(all), "buckets");
        }
    }

    fn is_cancelled(&self) -> bool {
        let cancelled = self.cancel.is_cancelled();
        if let Some(task) = self.task.as_ref().filter(|_| cancelled) {
            task.stopped_early();
        }
        cancelled
    }
}

/// What a store takes for the present. One that is full says when it was written last, which is earlier.
async fn time_of(bucket: &Bucket) -> Result<Timestamp, StorageError> {
    let folder = format!("{}/{}", places::PROBES, uuid::Uuid::now_v7());
    let path = format!("{folder}/clock");
    let written = bucket.put(&path, Bytes::from_static(b"boathouse")).await;
    if let Err(StorageError::Full { .. }) = written {
        return newest(bucket, "").await;
    }
    written?;
    let told = newest(bucket, &folder).await;
    bucket.delete(&path).await?;
    told
}

/// When something in a folder was written last.
async fn newest(bucket: &Bucket, folder: &str) -> Result<Timestamp, StorageError> {
    let listed = bucket.list(folder).await?;
    let newest = listed.iter().map(|object| object.modified).max();
    newest.ok_or_else(|| StorageError::Unfit {
        bucket: bucket.name().clone(),
        reason: "an object just written is missing from the listing".to_owned(),
    })
}

/// Buckets that this host knows of and cannot ask at present.
fn missing(app: &App, known: &[Bucket]) -> Vec<BucketName> {
    let mut missing = app.bucket_table.unhealthy();
    let seats = app.bucket_table.health().into_iter().map(|(name, _)| name);
    missing.extend(seats.filter(|name| !known.iter().any(|bucket| bucket.name() == name)));
    missing.sort();
    missing.dedup();
    missing
}

/// What tasks work on at this moment.
fn busy(tasks: &Tasks) -> Busy {
    let mut busy = Busy::default();
    let running = tasks.list().into_iter();
    for task in running.filter(|task| task.state == TaskState::Running) {
        match task.kind.as_str() {
            "gc" => {}
            "ingest" | SCAN => drop(busy.datasets.insert(task.subject)),
            _ => drop(busy.indexes.insert(task.subject)),
        }
    }
    busy
}

/// Whether an index on a dataset is being built: it is known by name and does not serve yet.
fn is_indexed_now(app: &App, dataset: &DatasetName) -> bool {
    let live = app.indexes.list();
    let serves = |name: &_| live.iter().any(|index| index.meta.name == *name);
    !app.indexes.on(dataset).iter().all(serves)
}

#[cfg(test)]
mod tests;
