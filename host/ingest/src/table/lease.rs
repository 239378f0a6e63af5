//! One run of a job at a time, over all hosts of a bucket: leases under `ingest/jobs/{dataset}/{job}`.
//!
//! A lease is a small document of the primary bucket that a run writes when it begins, renews while it goes
//! on and gives back when it ends, however it ends. A host that dies gives nothing back; its lease is over
//! when its time is. A run whose lease is lost stops. Leases spare work and make errors clear; that no row
//! comes twice does not depend on them or on clocks (`job.rs`).

use std::{fmt, sync::Arc, time::Duration};

use boathouse_storage::{Bucket, MIN_KEPT, Manifest, StorageError, Versioned, time_ordered_id};
use boathouse_types::{Clock, DatasetName, JobName, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::job::{JobInfo, JobSpec};
use crate::{DatasetManifest, IngestError};

/// Where leases are.
const FOLDER: &str = "ingest/jobs";
/// Renewals within the time of a lease.
const RENEWALS: u32 = 3;
/// How often beginning is tried when others write the same lease.
const ATTEMPTS: usize = 4;

/// The jobs of all hosts that share a primary bucket.
#[derive(Debug, Clone)]
pub struct Jobs {
    primary: Bucket,
    clock: Arc<dyn Clock>,
    lease: Duration,
}

/// The right to run a job now. It has to be kept while the run goes on; one that is only dropped ends with
/// its time.
pub struct JobTurn {
    spec: JobSpec,
    holder: String,
    began: Timestamp,
    manifest: Manifest<Lease>,
    clock: Arc<dyn Clock>,
    lease: Duration,
}

/// Who runs a job, and until when nobody else may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    /// The run, of whichever host.
    holder: String,
    began: Timestamp,
    until: Timestamp,
}

impl Jobs {
    /// The jobs of a primary bucket; a lease that is not renewed is over after `lease`.
    #[must_use]
    pub fn new(primary: Bucket, clock: Arc<dyn Clock>, lease: Duration) -> Self {
        Self {
            primary,
            clock,
            lease,
        }
    }

    /// Takes the turn to run a job.
    ///
    /// # Errors
    /// [`IngestError::JobRunning`] while another run holds it, [`IngestError::Storage`].
    pub async fn begin(
        &self,
        dataset: &DatasetName,
        spec: JobSpec,
    ) -> Result<JobTurn, IngestError> {
        let manifest = self.lease(dataset, &spec.name);
        let holder = time_ordered_id(self.clock.as_ref());
        for _ in 0..ATTEMPTS {
            let found = manifest.load().await?;
            let now = self.clock.now();
            if let Some(lease) = found.as_ref().filter(|found| found.value.until > now) {
                return Err(IngestError::JobRunning {
                    job: spec.name.to_string(),
                    since: lease.value.began,
                });
            }
            let turn = JobTurn {
                spec: spec.clone(),
                holder: holder.clone(),
                began: now,
                manifest: manifest.clone(),
                clock: Arc::clone(&self.clock),
                lease: self.lease,
            };
            let known = found.map_or(0, |found| found.version);
            match manifest.commit(known, &turn.lease_until_later()).await {
                Ok(_) => return Ok(turn),
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(IngestError::Conflict(dataset.clone()))
    }

    /// The jobs of some datasets, and those that run for the first time, by dataset and name.
    ///
    /// # Errors
    /// [`IngestError::Storage`].
    pub async fn list(&self, datasets: &[DatasetManifest]) -> Result<Vec<JobInfo>, IngestError> {
        let mut jobs: Vec<JobInfo> = datasets.iter().flat_map(of_dataset).collect();
        for (dataset, job) in self.leased().await? {
            let since = self.running_since(&dataset, &job).await?;
            let is_same = |known: &&mut JobInfo| known.dataset == dataset && known.job == job;
            match jobs.iter_mut().find(is_same) {
                Some(known) => known.running_since = since,
                None if since.is_some() => jobs.push(JobInfo {
                    job,
                    dataset,
                    column: None,
                    last_version: None,
                    last_run: None,
                    running_since: since,
                }),
                None => {}
            }
        }
        jobs.sort_by(|a, b| (&a.dataset, &a.job).cmp(&(&b.dataset, &b.job)));
        Ok(jobs)
    }

    fn lease(&self, dataset: &DatasetName, job: &JobName) -> Manifest<Lease> {
        // A copy in the rescue may be of an older run.
        Manifest::new(self.primary.clone(), format!("{FOLDER}/{dataset}/{job}")).without_rescue()
    }

    /// Jobs that ever took their turn. What does not look like one is none of ours.
    async fn leased(&self) -> Result<Vec<(DatasetName, JobName)>, IngestError> {
        let mut leased = Vec::new();
        for folder in self.primary.children(FOLDER).await? {
            let Ok(dataset) = DatasetName::new(folder) else {
                continue;
            };
            let names = self
                .primary
                .children(&format!("{FOLDER}/{dataset}"))
                .await?;
            let names = names.into_iter().filter_map(|name| JobName::new(name).ok());
            leased.extend(names.map(|name| (dataset.clone(), name)));
        }
        Ok(leased)
    }

    async fn running_since(
        &self,
        dataset: &DatasetName,
        job: &JobName,
    ) -> Result<Option<Timestamp>, IngestError> {
        let found = self.lease(dataset, job).load().await?;
        let running = found.filter(|found| found.value.until > self.clock.now());
        Ok(running.map(|found| found.value.began))
    }
}

/// The jobs that brought rows of a dataset, each with its newest mark.
fn of_dataset(manifest: &DatasetManifest) -> Vec<JobInfo> {
    let mut jobs: Vec<JobInfo> = Vec::new();
    for (version, mark) in manifest.jobs() {
        if jobs.iter().any(|known| known.job == mark.job) {
            continue;
        }
        let made = manifest.versions.iter().find(|one| one.version == version);
        jobs.push(JobInfo {
            job: mark.job.clone(),
            dataset: manifest.name.clone(),
            column: Some(mark.column.clone()),
            last_version: Some(version),
            last_run: made.map(|made| made.created_at),
            running_since: None,
        });
    }
    jobs
}

impl JobTurn {
    /// The job.
    #[must_use]
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// Carries a run out and gives the turn back when it has ended. `work` gets a token that also stops it
    /// when the turn is lost.
    pub(super) async fn keep<T, W>(
        self,
        cancel: &CancellationToken,
        work: impl FnOnce(CancellationToken) -> W,
    ) -> Result<T, IngestError>
    where
        W: Future<Output = Result<T, IngestError>>,
    {
        let stop = cancel.child_token();
        let mut work = std::pin::pin!(work(stop.clone()));
        let (outcome, lost) = tokio::select! {
            biased;
            outcome = &mut work => (outcome, None),
            lost = self.renew() => {
                stop.cancel();
                (work.await, Some(lost))
            }
        };
        self.give_back().await;
        match (outcome, lost) {
            (Err(IngestError::Cancelled), Some(lost)) if !cancel.is_cancelled() => Err(lost),
            (outcome, _) => outcome,
        }
    }

    /// Renews the lease until it is lost.
    async fn renew(&self) -> IngestError {
        let mut until = self.lease_until_later().until;
        loop {
            tokio::time::sleep(self.lease / RENEWALS).await;
            let next = self.lease_until_later();
            match self.write(&next).await {
                Ok(true) => until = next.until,
                Ok(false) => return self.lost("another run took its turn"),
                Err(error) if self.clock.now() >= until => {
                    tracing::warn!(job = %self.spec.name, %error, "the lease of a job could not be renewed");
                    return self.lost("the bucket did not let it renew its lease");
                }
                Err(_) => {}
            }
        }
    }

    /// Ends the lease. That this fails keeps the next run waiting, no more.
    async fn give_back(&self) {
        let ended = Lease {
            until: self.clock.now(),
            ..self.lease_until_later()
        };
        if let Err(error) = self.write(&ended).await {
            tracing::warn!(job = %self.spec.name, %error, "the lease of a job ends by itself only");
        }
        if let Err(error) = self.manifest.prune(MIN_KEPT).await {
            tracing::warn!(job = %self.spec.name, %error, "old leases of a job stay");
        }
    }

    /// Writes the lease if it is still this run's.
    async fn write(&self, lease: &Lease) -> Result<bool, StorageError> {
        let Some(Versioned { version, value }) = self.manifest.load().await? else {
            return Ok(false);
        };
        if value.holder != self.holder {
            return Ok(false);
        }
        match self.manifest.commit(version, lease).await {
            Ok(_) => Ok(true),
            Err(StorageError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn lease_until_later(&self) -> Lease {
        let millis = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let now = self.clock.now().millis();
        Lease {
            holder: self.holder.clone(),
            began: self.began,
            until: Timestamp::from_millis(now.saturating_add(millis)),
        }
    }

    fn lost(&self, why: &str) -> IngestError {
        IngestError::BadJob {
            problem: format!(
                "the run of `{}` was stopped, as {why}; start it again",
                self.spec.name
            ),
        }
    }
}

impl fmt::Debug for JobTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobTurn")
            .field("job", &self.spec.name)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
