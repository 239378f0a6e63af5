//! The datasets of all buckets: found, listed, grown, deleted.
//!
//! A dataset lives in one bucket, its home, under `datasets/{name}/`: a manifest and data files with unique
//! names. Data comes first, then one commit of the manifest makes it visible; a commit that loses a race
//! leaves nothing. Deleting commits a tombstone, then removes the files. Versions expire by a commit too
//! (`catalog/expiry.rs`), and no ingest or deletion loses against that. Which bucket is home is found by
//! looking, primary first, so that nothing can disagree with the bucket itself. Two hosts that create the
//! same new name in two different buckets at once are not told apart here; primary then wins.

mod expiry;
mod policy;
mod scans;

use std::sync::Arc;

use boathouse_storage::{Bucket, BucketRegistry, Manifest, StorageError, Versioned};
use boathouse_types::{BucketName, Clock, DatasetName, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Dataset, DatasetFile, DatasetManifest, DatasetVersion, IngestError, IngestMode, pii,
    read::FooterCache, spool::SpooledTable, upload,
};

pub use expiry::Retention;
pub use scans::{PiiScan, ScanReport};

/// How often a commit is tried when others commit too.
const ATTEMPTS: usize = 16;

/// All datasets; cheap to clone.
#[derive(Debug, Clone)]
pub struct Datasets {
    buckets: Arc<BucketRegistry>,
    clock: Arc<dyn Clock>,
    footers: Arc<FooterCache>,
}

/// A dataset's place, and what stood there when it was looked up.
pub(crate) struct Home {
    /// Its bucket.
    pub(crate) bucket: Bucket,
    name: DatasetName,
    found: Option<Versioned<DatasetManifest>>,
}

impl Datasets {
    /// The datasets in these buckets.
    #[must_use]
    pub fn new(buckets: Arc<BucketRegistry>, clock: Arc<dyn Clock>) -> Self {
        Self {
            buckets,
            clock,
            footers: Arc::default(),
        }
    }

    /// Every dataset that is not deleted, by name. A bucket that cannot be read is left out and logged, and so
    /// is a dataset whose manifest is damaged or of a newer program.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the primary bucket cannot be read.
    pub async fn list(&self) -> Result<Vec<DatasetManifest>, IngestError> {
        let mut all: Vec<DatasetManifest> = Vec::new();
        for bucket in self.primary_first() {
            match list_bucket(&bucket).await {
                Ok(found) => {
                    for manifest in found {
                        if !all.iter().any(|known| known.name == manifest.name) {
                            all.push(manifest);
                        }
                    }
                }
                Err(error) if *bucket.name() == BucketName::primary() => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(bucket = %bucket.name(), %error, "datasets of a bucket are not listed");
                }
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// A dataset with all its versions.
    ///
    /// # Errors
    /// [`IngestError::DatasetNotFound`]; [`IngestError::Storage`] also when it was not found and some
    /// bucket could not be asked.
    pub async fn get(&self, name: &DatasetName) -> Result<DatasetManifest, IngestError> {
        match self.find(name).await? {
            Some((_, found)) => Ok(found.value),
            None => Err(IngestError::DatasetNotFound(name.clone())),
        }
    }

    /// A dataset as of a version (none: the newest), ready to be read.
    ///
    /// # Errors
    /// As [`Self::get`], and [`IngestError::VersionNotFound`].
    pub async fn open(
        &self,
        name: &DatasetName,
        version: Option<u64>,
    ) -> Result<Dataset, IngestError> {
        let Some((bucket, found)) = self.find(name).await? else {
            return Err(IngestError::DatasetNotFound(name.clone()));
        };
        Dataset::of(bucket, found.value, version, Arc::clone(&self.footers))
    }

    /// Deletes a dataset: it is gone when this returns. Whether an index still uses it is for the caller
    /// to ask first. Files that cannot be removed now stay as orphans.
    ///
    /// # Errors
    /// As [`Self::get`], and [`IngestError::Conflict`] when it changed meanwhile.
    pub async fn delete(&self, name: &DatasetName) -> Result<(), IngestError> {
        let mut known = None;
        for _ in 0..ATTEMPTS {
            let Some((bucket, found)) = self.find(name).await? else {
                return Err(IngestError::DatasetNotFound(name.clone()));
            };
            if *known.get_or_insert(life(&found.value)) != life(&found.value) {
                break;
            }
            let versions = found.value.versions.iter();
            let files: Vec<_> = versions.flat_map(|version| version.files.clone()).collect();
            let tombstone = DatasetManifest {
                versions: Vec::new(),
                deleted_at: Some(self.clock.now()),
                ..found.value
            };
            match manifest(&bucket, name)
                .commit(found.version, &tombstone)
                .await
            {
                Ok(_) => {
                    upload::discard(&bucket, &files).await;
                    return Ok(());
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(IngestError::Conflict(name.clone()))
    }

    /// Where a dataset is, or where it is going to be.
    pub(crate) async fn home(
        &self,
        name: &DatasetName,
        wanted: Option<&BucketName>,
    ) -> Result<Home, IngestError> {
        let name = name.clone();
        if let Some((bucket, found)) = self.find(&name).await? {
            return match wanted {
                Some(wanted) if wanted != bucket.name() => Err(IngestError::LivesElsewhere {
                    dataset: name,
                    home: bucket.name().clone(),
                }),
                _ => Ok(Home {
                    bucket,
                    name,
                    found: Some(found),
                }),
            };
        }
        let primary = BucketName::primary();
        let bucket = self.buckets.get(wanted.unwrap_or(&primary))?;
        let found = manifest(&bucket, &name).load().await?;
        Ok(Home {
            bucket,
            name,
            found,
        })
    }

    /// Uploads a table to a home. It is visible once a version that lists it is committed.
    pub(crate) async fn upload(
        &self,
        home: &Home,
        table: &SpooledTable,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<DatasetFile, IngestError> {
        let id = boathouse_storage::time_ordered_id(self.clock.as_ref());
        let path = format!("datasets/{}/data/{id}.parquet", home.name);
        let bytes = upload::upload(&home.bucket, &path, &table.file, cancelled).await?;
        Ok(DatasetFile {
            path,
            rows: table.rows,
            bytes,
            seal: Some(table.seal),
        })
    }

    /// Makes a version visible; number, rows and bytes are filled in here. When it fails, the version's
    /// files are removed, unless it is open whether the commit happened.
    pub(crate) async fn commit(
        &self,
        home: Home,
        version: DatasetVersion,
    ) -> Result<DatasetVersion, IngestError> {
        let Home {
            bucket,
            name,
            mut found,
        } = home;
        // Files are removed by its word, and a copy in the rescue may be older.
        let manifest = manifest(&bucket, &name).without_rescue();
        for _ in 0..ATTEMPTS {
            let expected = found.as_ref().map_or(0, |found| found.version);
            let current = found.map_or_else(
                || DatasetManifest::new(name.clone(), bucket.name().clone()),
                |found| found.value,
            );
            let known = life(&current);
            let (next, version) = match grown(current, version.clone()) {
                Ok(grown) => grown,
                Err(error) => {
                    upload::discard(&bucket, &version.files).await;
                    return Err(error);
                }
            };
            match manifest.commit(expected, &next).await {
                Ok(_) => {
                    prune(&manifest).await;
                    return Ok(version);
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return settle(&manifest, &bucket, version, error).await,
            }
            found = match manifest.load().await {
                Ok(found) => found,
                Err(error) => {
                    upload::discard(&bucket, &version.files).await;
                    return Err(error.into());
                }
            };
            let same = found.as_ref().is_some_and(|now| life(&now.value) == known);
            if version.mode == IngestMode::Replace && !same {
                break;
            }
        }
        upload::discard(&bucket, &version.files).await;
        Err(IngestError::Conflict(name))
    }

    /// The bucket and manifest of a dataset that is not deleted.
    async fn find(
        &self,
        name: &DatasetName,
    ) -> Result<Option<(Bucket, Versioned<DatasetManifest>)>, IngestError> {
        let mut failed = None;
        for bucket in self.primary_first() {
            match manifest(&bucket, name).load().await {
                Ok(Some(found)) if lives_in(&found.value, &bucket) => {
                    return Ok(Some((bucket, found)));
                }
                Ok(_) => {}
                Err(_) if copies_lack(&bucket, name).await => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), |error| Err(error.into()))
    }

    fn primary_first(&self) -> Vec<Bucket> {
        let mut buckets = self.buckets.list();
        buckets.sort_by_key(|bucket| *bucket.name() != BucketName::primary());
        buckets
    }
}

impl Home {
    /// The dataset as it was found, unless there is none.
    pub(crate) fn dataset(&self) -> Option<&DatasetManifest> {
        self.found
            .as_ref()
            .map(|found| &found.value)
            .filter(|manifest| manifest.latest().is_some())
    }
}

/// Whether a bucket that fails has copies, and none of this dataset. Its folders are asked, because copies that
/// are not there tell nothing: a bucket with indexes alone has no folder of datasets.
async fn copies_lack(bucket: &Bucket, name: &DatasetName) -> bool {
    match bucket.children("datasets").await {
        Ok(names) => !names.iter().any(|known| known == name.as_str()),
        Err(_) => bucket.children("indexes").await.is_ok(),
    }
}

fn manifest(bucket: &Bucket, name: &DatasetName) -> Manifest<DatasetManifest> {
    Manifest::new(bucket.clone(), format!("datasets/{name}/manifest"))
}

async fn list_bucket(bucket: &Bucket) -> Result<Vec<DatasetManifest>, StorageError> {
    let mut all = Vec::new();
    for child in bucket.children("datasets").await? {
        // A folder that is no dataset's is none of ours.
        let Ok(name) = DatasetName::new(child) else {
            continue;
        };
        match manifest(bucket, &name).load().await {
            Ok(Some(found)) if lives_in(&found.value, bucket) => all.push(found.value),
            Ok(_) => {}
            // Whoever opens it is told; it hides none of the others.
            Err(error @ (StorageError::Damaged { .. } | StorageError::NewerFormat { .. })) => {
                tracing::error!(dataset = %name, bucket = %bucket.name(), %error, "a dataset is not listed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Whether a manifest found in a bucket is of a live dataset there, and no mirror of one elsewhere.
fn lives_in(manifest: &DatasetManifest, bucket: &Bucket) -> bool {
    manifest.deleted_at.is_none() && manifest.bucket == *bucket.name()
}

/// What an ingest or a deletion changes of a dataset, and an expiry does not.
fn life(manifest: &DatasetManifest) -> (u64, Option<Timestamp>) {
    (manifest.next_version, manifest.deleted_at)
}

/// The manifest with one more version, and that version with its number and totals.
fn grown(
    mut manifest: DatasetManifest,
    mut version: DatasetVersion,
) -> Result<(DatasetManifest, DatasetVersion), IngestError> {
    version.version = manifest.next_version;
    version.rows = version.files.iter().map(|file| file.rows).sum();
    version.bytes = version.files.iter().map(|file| file.bytes).sum();
    if version.mode == IngestMode::Append
        && version
            .job
            .as_ref()
            .is_some_and(|job| !job.continues(&manifest))
    {
        // Another run of the job brought these rows.
        return Err(IngestError::Conflict(manifest.name));
    }
    let digest = version.source.digest.as_deref();
    if version.mode == IngestMode::Append && digest.is_some_and(|one| manifest.shows_file(one)) {
        // Another look at the watched folder, or another host's, brought this file.
        return Err(IngestError::Conflict(manifest.name));
    }
    if let (IngestMode::Append, Some(latest)) = (version.mode, manifest.latest()) {
        let same = latest.columns.len() == version.columns.len()
            && latest
                .columns
                .iter()
                .zip(&version.columns)
                .all(|(a, b)| a.matches(b));
        if !same || !pii::continues(&latest.treatments, &version.treatments) {
            // Both were compared before; only another writer can have changed them since.
            return Err(IngestError::Conflict(manifest.name));
        }
        for (column, known) in version.columns.iter_mut().zip(&latest.columns) {
            column.nullable |= known.nullable;
        }
        version.rows += latest.rows;
        version.bytes += latest.bytes;
    }
    if version.mode == IngestMode::Replace {
        // Every job begins anew; where one got to is a value of rows that are shown no more.
        let past = manifest.versions.iter_mut();
        past.filter_map(|known| known.job.as_mut())
            .for_each(|job| job.position = None);
    }
    manifest.next_version += 1;
    manifest.deleted_at = None;
    manifest.versions.push(version.clone());
    Ok((manifest, version))
}

/// A commit failed in a way that leaves open whether it happened: finds out.
async fn settle(
    manifest: &Manifest<DatasetManifest>,
    bucket: &Bucket,
    version: DatasetVersion,
    error: StorageError,
) -> Result<DatasetVersion, IngestError> {
    let Ok(found) = manifest.load().await else {
        // Removing files that may be visible would be worse than leaving orphans.
        return Err(error.into());
    };
    let visible = found.is_some_and(|found| {
        let known = found.value.version(version.version);
        known.is_some_and(|known| known.files == version.files)
    });
    if visible {
        return Ok(version);
    }
    // A store that gave no answer may still carry the commit out: then the files are needed, else they are
    // garbage in the end.
    if !matches!(error, StorageError::Unavailable { .. }) {
        upload::discard(bucket, &version.files).await;
    }
    Err(error.into())
}

/// Old manifests are of no use; that one stays is no reason to fail.
async fn prune<T: Serialize + DeserializeOwned>(manifest: &Manifest<T>) {
    if let Err(error) = manifest.prune(boathouse_storage::MIN_KEPT).await {
        tracing::warn!(%error, "old manifests of a dataset stay");
    }
}
