//! How versions of a dataset expire: which have had their time, and the commit that says so.
//!
//! A version that has expired cannot be read any more. Its entry stays in the manifest, marked, as long as
//! a later version still shows its rows; otherwise the entry goes, and its files are listed by nobody.
//! Removing such files is for the caller, when nobody can be reading them any more. The newest version never
//! expires, nor does one that the caller names as in use; and none does before a newer one has stood for the
//! grace period, so that work which began on it while it was the newest comes to its end.

use std::collections::BTreeSet;

use boathouse_storage::StorageError;
use boathouse_types::{DatasetName, Timestamp};

use super::{ATTEMPTS, Datasets, manifest, prune};
use crate::{DatasetManifest, IngestError, IngestMode};

/// When versions expire. With both bounds a version expires when both allow it; with none, never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Versions that stay readable at least, the newest ones; none: no bound.
    pub keep_versions: Option<u64>,
    /// Milliseconds that a version stays readable once a newer one stands; none: no bound.
    pub keep_millis: Option<i64>,
    /// Milliseconds that a newer version stands before anything expires.
    pub grace_millis: i64,
}

impl Retention {
    /// Whether nothing ever expires.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.keep_versions.is_none() && self.keep_millis.is_none()
    }

    /// Whether a version is over, before which `newer` readable ones stand, the first for `since`
    /// milliseconds.
    fn is_over(&self, newer: u64, since: i64) -> bool {
        !self.keeps_all()
            && since >= self.grace_millis
            && self.keep_versions.is_none_or(|keep| newer >= keep)
            && self.keep_millis.is_none_or(|keep| since >= keep)
    }
}

impl Datasets {
    /// Lets the versions of a dataset expire that have had their time, but for those in `in_use`, and
    /// returns their numbers. A dataset that is not there has none.
    ///
    /// # Errors
    /// [`IngestError::Storage`]; [`IngestError::Conflict`] when others kept changing the dataset.
    pub async fn expire(
        &self,
        name: &DatasetName,
        retention: &Retention,
        in_use: &BTreeSet<u64>,
    ) -> Result<Vec<u64>, IngestError> {
        for _ in 0..ATTEMPTS {
            let Some((bucket, _)) = self.find(name).await? else {
                return Ok(Vec::new());
            };
            // A copy may be behind; what is to go is decided on the bucket itself.
            let Some(found) = manifest(&bucket.without_rescue(), name).load().await? else {
                return Ok(Vec::new());
            };
            let now = self.clock.now();
            let over = found.value.outlived(retention, in_use, now);
            if over.is_empty() {
                return Ok(over);
            }
            let manifest = manifest(&bucket, name);
            let next = found.value.after_expiry(&over, now);
            match manifest.commit(found.version, &next).await {
                Ok(_) => {
                    prune(&manifest).await;
                    return Ok(over);
                }
                Err(StorageError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(IngestError::Conflict(name.clone()))
    }
}

impl DatasetManifest {
    /// Numbers of the readable versions that have had their time, oldest first.
    #[must_use]
    pub fn outlived(
        &self,
        retention: &Retention,
        in_use: &BTreeSet<u64>,
        now: Timestamp,
    ) -> Vec<u64> {
        let mut newer = 0;
        let mut over = Vec::new();
        for (at, version) in self.versions.iter().enumerate().rev() {
            if version.expired_at.is_some() {
                continue;
            }
            if let Some(next) = self.versions.get(at + 1) {
                let since = now.millis() - next.created_at.millis();
                if !in_use.contains(&version.version) && retention.is_over(newer, since) {
                    over.push(version.version);
                }
            }
            newer += 1;
        }
        over.reverse();
        over
    }

    /// The manifest in which these versions have expired. Entries whose rows no readable version shows are
    /// gone from it.
    fn after_expiry(&self, over: &[u64], now: Timestamp) -> Self {
        let mut next = self.clone();
        for version in &mut next.versions {
            if over.contains(&version.version) {
                version.expired_at.get_or_insert(now);
            }
        }
        let mut shown = false;
        let mut kept: Vec<_> = next
            .versions
            .drain(..)
            .rev()
            .filter(|version| {
                shown |= version.expired_at.is_none();
                let keep = shown;
                // What a replacing version shows begins with itself.
                shown &= version.mode == IngestMode::Append;
                keep
            })
            .collect();
        kept.reverse();
        next.versions = kept;
        next
    }

    /// Why a version cannot be read.
    pub(crate) fn unreadable(&self, version: u64) -> IngestError {
        let dataset = self.name.clone();
        if (1..self.next_version).contains(&version) {
            IngestError::VersionExpired { dataset, version }
        } else {
            IngestError::VersionNotFound { dataset, version }
        }
    }
}

#[cfg(test)]
mod tests;
