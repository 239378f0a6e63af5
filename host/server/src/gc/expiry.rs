//! Versions of datasets that expire in a run.
//!
//! A version that an index was built on stays, wherever that index is; so when one bucket cannot say which
//! indexes it has, nothing expires. An index that is being built is on the newest version of that moment,
//! which no rule lets go before the grace period is over; the datasets of those that this host builds are
//! left alone altogether.

use std::collections::{BTreeMap, BTreeSet};

use boathouse_types::{DatasetName, IndexName};

use super::{
    Run,
    judge::{Homes, Undecided, manifest_of},
    report::{ExpiredVersions, GcReport, LeftOut},
};
use crate::problem::chain;

/// Versions by dataset.
type Versions = BTreeMap<DatasetName, BTreeSet<u64>>;

impl Run {
    /// Lets versions expire that have had their time; in a dry run, says which.
    pub(super) async fn expire(&self, homes: &Homes, report: &mut GcReport) {
        if self.retention.keeps_all() {
            return;
        }
        let datasets = match self.datasets.list().await {
            Ok(datasets) => datasets,
            Err(error) => {
                let left = LeftOut::new("expiry of datasets", chain(&error));
                return report.left_out.push(left);
            }
        };
        let (building, idle): (Vec<_>, Vec<_>) = datasets
            .into_iter()
            .partition(|dataset| (self.building)(&dataset.name));
        let in_use = match versions_in_use(homes).await {
            Ok(in_use) => in_use,
            Err(why) => {
                let left = LeftOut::new("expiry of datasets", why);
                return report.left_out.push(left);
            }
        };
        for dataset in building {
            let what = format!("expiry of dataset `{}`", dataset.name);
            let left = LeftOut::new(what, "an index is being built on it");
            report.left_out.push(left);
        }
        for dataset in idle {
            if self.is_cancelled() {
                break;
            }
            let none = BTreeSet::new();
            let in_use = in_use.get(&dataset.name).unwrap_or(&none);
            let over = if self.dry_run {
                Ok(dataset.outlived(&self.retention, in_use, self.clock.now()))
            } else {
                let expired = self.datasets.expire(&dataset.name, &self.retention, in_use);
                expired.await
            };
            match over {
                Ok(versions) if versions.is_empty() => {}
                Ok(versions) => report.expired.push(ExpiredVersions {
                    dataset: dataset.name,
                    versions,
                }),
                Err(error) => {
                    let what = format!("expiry of dataset `{}`", dataset.name);
                    report.left_out.push(LeftOut::new(what, chain(&error)));
                }
            }
        }
    }
}

/// The versions that indexes of any bucket were built on.
async fn versions_in_use(homes: &Homes) -> Result<Versions, Undecided> {
    if let Some(missing) = homes.missing.first() {
        return Err(Undecided::new(format!(
            "bucket `{missing}` cannot be asked which versions its indexes were built on"
        )));
    }
    let mut in_use = Versions::new();
    for bucket in &homes.buckets {
        for child in bucket.children("indexes").await? {
            let Ok(name) = IndexName::new(child) else {
                continue;
            };
            if let Some(meta) = manifest_of(bucket, &name).await?
                && !meta.deleted
            {
                let covered = meta.covered_version();
                in_use.entry(meta.dataset).or_default().insert(covered);
            }
        }
    }
    Ok(in_use)
}
