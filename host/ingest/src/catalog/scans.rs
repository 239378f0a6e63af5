//! Stored versions looked at again: what the detectors of today find in the rows of then.
//!
//! A scan draws its sample from all rows as of a version, as an ingest does, and changes no row. What was
//! found is kept with the version, by a commit against which no ingest, deletion or expiry loses.

use boathouse_storage::StorageError;
use boathouse_types::{BucketName, DatasetName, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{ATTEMPTS, Datasets, manifest, prune};
use crate::{Detection, IngestContext, IngestError, Treatment, pii::InForce};

/// Scans of one version that are kept, the newest ones.
const KEPT: usize = 10;

/// What detectors found when they were asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PiiScan {
    /// When they were asked.
    pub at: Timestamp,
    /// What they found.
    pub detection: Detection,
}

/// What came of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanReport {
    /// The dataset's bucket.
    pub bucket: BucketName,
    /// The version that was scanned.
    pub version: u64,
    /// Rows as of it, all of which were read.
    pub rows: u64,
    /// What was found, as it is kept with the version.
    pub scan: PiiScan,
    /// Columns with which the policies in force would do something that was not done to them.
    pub wanting: Vec<Treatment>,
}

impl Datasets {
    /// Asks the detectors of the context about the rows as of a version (none: the newest), and keeps what
    /// they say with the version.
    ///
    /// # Errors
    /// As [`Self::open`]; [`IngestError::NobodyToAsk`]; [`IngestError::Cancelled`];
    /// [`IngestError::Conflict`] when the version went away meanwhile or others kept changing the dataset.
    pub async fn scan_pii(
        &self,
        context: &IngestContext,
        name: &DatasetName,
        version: Option<u64>,
        cancel: CancellationToken,
    ) -> Result<ScanReport, IngestError> {
        if context.detectors.is_empty() {
            return Err(IngestError::NobodyToAsk {
                dataset: name.clone(),
            });
        }
        let in_force = InForce::for_scan(context, name).await?;
        let dataset = self.open(name, version).await?;
        let look = async {
            let sample = dataset.sample(u64::MAX).await?;
            in_force.ask(&context.detectors, &sample).await
        };
        let detection = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(IngestError::Cancelled),
            found = look => found?,
        };
        let scanned = dataset.version();
        let wanting = in_force.wanting(&scanned.columns, &scanned.treatments, &detection);
        let scan = PiiScan {
            at: self.clock.now(),
            detection,
        };
        self.keep_scan(name, scanned.version, &scan).await?;
        Ok(ScanReport {
            bucket: dataset.bucket().name().clone(),
            version: scanned.version,
            rows: scanned.rows,
            scan,
            wanting,
        })
    }

    async fn keep_scan(
        &self,
        name: &DatasetName,
        version: u64,
        scan: &PiiScan,
    ) -> Result<(), IngestError> {
        for _ in 0..ATTEMPTS {
            let Some((bucket, _)) = self.find(name).await? else {
                return Err(IngestError::DatasetNotFound(name.clone()));
            };
            // What is changed is what stands in the bucket itself; a copy may be behind.
            let manifest = manifest(&bucket, name).without_rescue();
            let Some(mut found) = manifest.load().await? else {
                return Err(IngestError::DatasetNotFound(name.clone()));
            };
            let number = found.value.version(version).map(|known| known.version);
            let mut versions = found.value.versions.iter_mut();
            let Some(known) = versions.find(|known| Some(known.version) == number) else {
                return Err(found.value.unreadable(version));
            };
            known.scans.push(scan.clone());
            let surplus = known.scans.len().saturating_sub(KEPT);
            known.scans.drain(..surplus);
            match manifest.commit(found.version, &found.value).await {
                Ok(_) => {
                    prune(&manifest).await;
                    return Ok(());
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(IngestError::Conflict(name.clone()))
    }
}
