//! Versions of a table: which there are, which are kept, and the way back.
//!
//! Every change makes a version. A tag names one and keeps it: whoever serves a version tags it first, and takes the tag
//! away when nobody reads it any more.

use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::SystemTime};

use chrono::{DateTime, Utc};
use lance::{
    Dataset,
    dataset::{
        cleanup::CleanupPolicyBuilder,
        optimize::{CompactionOptions, compact_files},
    },
};

use crate::{Error, Table, error::ours};

/// A version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number; the first is 1.
    pub number: u64,
    /// When it was made, by the clock of who made it.
    pub made: SystemTime,
    /// Tags that name it, in order.
    pub tags: Vec<String>,
}

/// Which old versions are removed: those that are old by both measures, and carry no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many of the latest stay, whatever their age.
    pub keep: NonZeroUsize,
    /// Those that were made since then stay.
    pub since: SystemTime,
}

/// What a cleanup removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Versions.
    pub versions: u64,
    /// Files of rows and of indexes.
    pub files: u64,
    /// Bytes of all of it.
    pub bytes: u64,
    /// Files that could not be removed; the next cleanup finds them.
    pub left: u64,
}

impl Table {
    /// All versions that are kept, the oldest first. Reads the manifest of each.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub async fn versions(&self) -> Result<Vec<Version>, Error> {
        let list = move |dataset: Arc<Dataset>| async move {
            let versions = dataset.versions().await.map_err(ours)?;
            let mut tags: HashMap<u64, Vec<String>> = HashMap::new();
            for (tag, contents) in dataset.tags().list().await.map_err(ours)? {
                tags.entry(contents.version).or_default().push(tag);
            }
            let version = |version: lance::dataset::Version| {
                let mut tags = tags.remove(&version.version).unwrap_or_default();
                tags.sort_unstable();
                Version {
                    number: version.version,
                    made: SystemTime::from(version.timestamp),
                    tags,
                }
            };
            Ok(versions.into_iter().map(version).collect())
        };
        self.read(list).await
    }

    /// Names a version, which is kept from now on; what the tag named before is not.
    ///
    /// # Errors
    /// [`Error::NoVersion`]; [`Error::Refused`] for a tag that is not made of letters, digits, `.`, `-` and `_`;
    /// [`Error::Storage`].
    pub async fn tag(&self, tag: &str, version: u64) -> Result<(), Error> {
        let tag = tag.to_owned();
        let set = move |dataset: Arc<Dataset>| async move {
            let tags = dataset.tags();
            let set = match tags.update(&tag, version).await {
                Err(lance::Error::RefNotFound { .. }) => tags.create(&tag, version).await,
                updated => updated,
            };
            set.map_err(|error| match ours(error) {
                Error::NoTable | Error::Damaged(_) => Error::NoVersion,
                other => other,
            })
        };
        self.read(set).await
    }

    /// Takes a tag away.
    ///
    /// # Errors
    /// [`Error::NoTag`], [`Error::Storage`].
    pub async fn untag(&self, tag: &str) -> Result<(), Error> {
        let tag = tag.to_owned();
        let remove = move |dataset: Arc<Dataset>| async move {
            dataset.tags().delete(&tag).await.map_err(ours)
        };
        self.read(remove).await
    }

    /// Makes the rows and indexes of an earlier version current again, as a new version. Gives its number.
    ///
    /// # Errors
    /// [`Error::NoVersion`]; those of every change.
    pub async fn restore(&self, version: u64) -> Result<u64, Error> {
        let restore = move |dataset: Arc<Dataset>| async move {
            let earlier = dataset.checkout_version(version).await;
            let mut earlier = earlier.map_err(|error| match ours(error) {
                Error::NoTable | Error::Damaged(_) => Error::NoVersion,
                other => other,
            })?;
            earlier.restore().await.map_err(ours)?;
            let version = earlier.version_id();
            Ok((Arc::new(earlier), version))
        };
        self.change(restore).await
    }

    /// Writes rows of small files and of files with many deleted rows anew, into few files. Gives the version then. What it
    /// replaces goes with the versions that hold it.
    ///
    /// # Errors
    /// Those of every change.
    pub async fn compact(&self) -> Result<u64, Error> {
        let compact = move |dataset: Arc<Dataset>| async move {
            let mut dataset = Arc::unwrap_or_clone(dataset);
            let options = CompactionOptions::default();
            compact_files(&mut dataset, options, None)
                .await
                .map_err(ours)?;
            let version = dataset.version_id();
            Ok((Arc::new(dataset), version))
        };
        self.change(compact).await
    }

    /// Removes old versions and what only they hold. The current version and those with tags stay. Files that no version
    /// refers to are taken for those of a change under way and stay for a week.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub async fn clean_up(&self, retention: Retention) -> Result<Removed, Error> {
        let clean = move |dataset: Arc<Dataset>| async move {
            let policy = CleanupPolicyBuilder::default()
                .error_if_tagged_old_versions(false)
                .before_timestamp(DateTime::<Utc>::from(retention.since))
                .retain_n_versions(&dataset, retention.keep.get())
                .await
                .map_err(ours)?
                .build();
            let stats = dataset.cleanup_with_policy(policy).await.map_err(ours)?;
            let removed = Removed {
                versions: stats.old_versions,
                files: stats.data_files_removed
                    + stats.index_files_removed
                    + stats.deletion_files_removed,
                bytes: stats.bytes_removed,
                left: stats.failed_deletes,
            };
            Ok((dataset, removed))
        };
        self.change(clean).await
    }
}
