//! Policies for personal data, one a dataset, as people set them.
//!
//! A policy is a manifest under `pii/policies/{dataset}` of the primary bucket, so that it can be there before
//! the dataset is and outlives it: what somebody said about a column holds for the next ingest too. Its
//! version is the generation that clients see. An ingest goes by the bucket's own word and never by a copy,
//! which may be older than what was forbidden last.

use boathouse_storage::{Bucket, Manifest, StorageError, Versioned};
use boathouse_types::{BucketName, DatasetName};

use super::{Datasets, prune};
use crate::{IngestError, PiiPolicy, PiiRules, StoredPolicy};

/// Where policies are.
const POLICIES: &str = "pii/policies";

impl Datasets {
    /// The policy of a dataset, whether or not the dataset is there; none while nobody set one.
    ///
    /// # Errors
    /// [`IngestError::Storage`].
    pub async fn pii_policy(
        &self,
        name: &DatasetName,
    ) -> Result<Option<Versioned<StoredPolicy>>, IngestError> {
        Ok(policy(&self.policies()?, name).load().await?)
    }

    /// Sets the policy of a dataset in place of the one before. `expected` is the generation that the caller
    /// has seen, 0 for none; none: whatever there is.
    ///
    /// # Errors
    /// [`IngestError::BadPolicy`]; [`IngestError::PolicyChanged`]; [`IngestError::Storage`].
    pub async fn set_pii_policy(
        &self,
        name: &DatasetName,
        new: PiiPolicy,
        rules: &PiiRules,
        by: &str,
        expected: Option<u64>,
    ) -> Result<Versioned<StoredPolicy>, IngestError> {
        new.check(rules)?;
        let manifest = policy(&self.policies()?, name);
        let found = manifest.load().await?.map_or(0, |found| found.version);
        let changed = |found| IngestError::PolicyChanged {
            dataset: name.clone(),
            found,
        };
        if expected.is_some_and(|expected| expected != found) {
            return Err(changed(found));
        }
        let value = StoredPolicy {
            policy: new,
            changed_at: self.clock.now(),
            changed_by: by.to_owned(),
        };
        match manifest.commit(found, &value).await {
            Ok(version) => {
                prune(&manifest).await;
                Ok(Versioned { version, value })
            }
            Err(StorageError::Conflict { .. }) => Err(changed(found + 1)),
            Err(error) => Err(error.into()),
        }
    }

    fn policies(&self) -> Result<Bucket, IngestError> {
        let primary = self.buckets.get(&BucketName::primary())?;
        Ok(primary.without_rescue())
    }
}

fn policy(bucket: &Bucket, name: &DatasetName) -> Manifest<StoredPolicy> {
    Manifest::new(bucket.clone(), format!("{POLICIES}/{name}"))
}
