//! The bytes of plugins: kept by their digest in the primary bucket, and once more in `rescue`.
//!
//! Bytes are read back only as what they were stored as: what does not have its digest is damaged, and the
//! copy is taken instead, and put back. Beside a component lies the report of its checks.

use boathouse_plugins::CheckReport;
use boathouse_storage::{Bucket, StorageError};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Components and their reports.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    primary: Bucket,
    rescue: Bucket,
}

impl Store {
    pub(crate) fn new(primary: Bucket, rescue: Bucket) -> Self {
        Self { primary, rescue }
    }

    /// Stores a component and its report. Bytes that are there already stay; damaged ones are replaced.
    pub(crate) async fn put(
        &self,
        digest: &str,
        bytes: &Bytes,
        report: Option<&CheckReport>,
    ) -> Result<(), StorageError> {
        put_whole(&self.primary, digest, bytes).await?;
        if let Some(report) = report {
            let json = serde_json::to_vec(report)?;
            self.primary.put(&report_path(digest), json.into()).await?;
        }
        self.mirror(digest, bytes).await;
        Ok(())
    }

    /// A component, from `rescue` when the primary bucket has lost or damaged it.
    pub(crate) async fn get(&self, digest: &str) -> Result<Bytes, StorageError> {
        let fault = match whole(&self.primary, digest).await {
            Ok(bytes) => return Ok(bytes),
            Err(error @ (StorageError::NotFound { .. } | StorageError::Damaged { .. })) => error,
            Err(error) => return Err(error),
        };
        let Ok(bytes) = whole(&self.rescue, digest).await else {
            return Err(fault);
        };
        tracing::warn!(digest, %fault, "a component was taken from the rescue bucket");
        if let Err(error) = put_whole(&self.primary, digest, &bytes).await {
            tracing::warn!(digest, %error, "it could not be put back");
        }
        Ok(bytes)
    }

    /// The report of a component's checks; none when there is none that can be read.
    pub(crate) async fn report(&self, digest: &str) -> Result<Option<CheckReport>, StorageError> {
        match self.primary.get(&report_path(digest)).await {
            Ok(json) => Ok(serde_json::from_slice(&json).ok()),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a component that no version refers to. What cannot be removed is left over.
    pub(crate) async fn remove(&self, digest: &str) {
        for (bucket, path) in [
            (&self.primary, report_path(digest)),
            (&self.primary, blob_path(digest)),
            (&self.rescue, blob_path(digest)),
        ] {
            if let Err(error) = bucket.delete(&path).await {
                tracing::warn!(path, bucket = %bucket.name(), %error, "an object is left over");
            }
        }
    }

    /// A host without its rescue bucket still works, so a copy that fails is no failure.
    async fn mirror(&self, digest: &str, bytes: &Bytes) {
        if let Err(error) = put_whole(&self.rescue, digest, bytes).await {
            tracing::warn!(digest, %error, "a component has no copy in the rescue bucket");
        }
    }
}

/// SHA-256 of bytes, computed where it blocks nobody.
pub(crate) async fn digest_of(bytes: &Bytes) -> [u8; 32] {
    let shared = bytes.clone();
    let computed = tokio::task::spawn_blocking(move || Sha256::digest(&shared).into()).await;
    // Only a runtime that is shutting down leaves it undone.
    computed.unwrap_or_else(|_| Sha256::digest(bytes).into())
}

/// A digest in lower-case hex.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn blob_path(digest: &str) -> String {
    format!("plugins/blobs/{digest}.wasm")
}

fn report_path(digest: &str) -> String {
    format!("plugins/reports/{digest}.json")
}

async fn whole(bucket: &Bucket, digest: &str) -> Result<Bytes, StorageError> {
    let path = blob_path(digest);
    let bytes = bucket.get(&path).await?;
    if hex(&digest_of(&bytes).await) == digest {
        return Ok(bytes);
    }
    Err(StorageError::Damaged {
        path,
        reason: format!(
            "its {} bytes do not have the digest in its name",
            bytes.len()
        ),
    })
}

async fn put_whole(bucket: &Bucket, digest: &str, bytes: &Bytes) -> Result<(), StorageError> {
    match bucket.put_new(&blob_path(digest), bytes.clone()).await {
        Err(StorageError::Exists { .. }) => match whole(bucket, digest).await {
            // Gone means that another host deleted it just now.
            Err(StorageError::Damaged { .. } | StorageError::NotFound { .. }) => {
                bucket.put(&blob_path(digest), bytes.clone()).await
            }
            other => other.map(drop),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;

    use super::*;

    fn store() -> Store {
        Store::new(
            Bucket::memory(BucketName::primary()),
            Bucket::memory(BucketName::rescue()),
        )
    }

    async fn filled(store: &Store, bytes: &'static [u8]) -> String {
        let bytes = Bytes::from_static(bytes);
        let digest = hex(&digest_of(&bytes).await);
        store.put(&digest, &bytes, None).await.expect("stored");
        digest
    }

    #[tokio::test]
    async fn damaged_and_lost_bytes_come_back_from_the_copy() {
        let store = store();
        let digest = filled(&store, b"component").await;
        let path = blob_path(&digest);
        store
            .primary
            .put(&path, Bytes::from_static(b"compon"))
            .await
            .expect("torn");
        assert_eq!(store.get(&digest).await.expect("copy"), "component");
        assert_eq!(
            store.primary.get(&path).await.expect("put back"),
            "component"
        );
        store.primary.delete(&path).await.expect("lost");
        assert_eq!(store.get(&digest).await.expect("copy"), "component");
    }

    #[tokio::test]
    async fn bytes_without_a_sound_copy_are_an_error_and_a_new_upload_mends_them() {
        let store = store();
        let digest = filled(&store, b"component").await;
        for bucket in [&store.primary, &store.rescue] {
            let torn = Bytes::from_static(b"torn");
            bucket.put(&blob_path(&digest), torn).await.expect("torn");
        }
        let error = store.get(&digest).await.expect_err("no sound copy");
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        filled(&store, b"component").await;
        assert_eq!(store.get(&digest).await.expect("mended"), "component");
    }

    #[tokio::test]
    async fn what_is_removed_is_gone_everywhere() {
        let store = store();
        let digest = filled(&store, b"component").await;
        store.remove(&digest).await;
        let error = store.get(&digest).await.expect_err("gone");
        assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
        assert!(store.report(&digest).await.expect("read").is_none());
    }
}
