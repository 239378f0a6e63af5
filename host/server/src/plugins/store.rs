//! The bytes of plugins: kept by their digest in the primary bucket, of which `rescue` has a copy.
//!
//! Bytes are read back only as what they were stored as: what does not have its digest is damaged, and the
//! copy is taken instead, and put back. Beside a component lies the report of its checks. The copy is made
//! by the mirror, like that of every object; here it is only read, and deleted with its component.

use boathouse_plugins::CheckReport;
use boathouse_storage::{Bucket, StorageError};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::report;

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
            let json = report::encode(report)?;
            self.primary.put(&report_path(digest), json).await?;
        }
        Ok(())
    }

    /// A component, from its copy when the primary bucket has lost or damaged it.
    pub(crate) async fn get(&self, digest: &str) -> Result<Bytes, StorageError> {
        let path = blob_path(digest);
        let fault = match whole(&self.primary, &path, digest).await {
            Ok(bytes) => return Ok(bytes),
            Err(error @ (StorageError::NotFound { .. } | StorageError::Damaged { .. })) => error,
            Err(error) => return Err(error),
        };
        let Ok(bytes) = whole(&self.rescue, &self.copy_of(&path), digest).await else {
            return Err(fault);
        };
        tracing::warn!(digest, %fault, "a component was taken from the rescue bucket");
        if let Err(error) = put_whole(&self.primary, digest, &bytes).await {
            tracing::warn!(digest, %error, "it could not be put back");
        }
        Ok(bytes)
    }

    /// The report of a component's checks; none when there is none that can be read.
    ///
    /// # Errors
    /// [`StorageError::NewerFormat`], or the bucket fails.
    pub(crate) async fn report(&self, digest: &str) -> Result<Option<CheckReport>, StorageError> {
        let path = report_path(digest);
        match self.primary.get(&path).await {
            Ok(json) => report::decode(&path, &json),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a component that no version refers to. What cannot be removed is left over.
    pub(crate) async fn remove(&self, digest: &str) {
        for path in [report_path(digest), blob_path(digest)] {
            let copy = self.copy_of(&path);
            for (bucket, path) in [(&self.primary, path), (&self.rescue, copy)] {
                if let Err(error) = bucket.delete(&path).await {
                    tracing::warn!(path, bucket = %bucket.name(), %error, "an object is left over");
                }
            }
        }
    }

    /// Where `rescue` has the copy of an object.
    fn copy_of(&self, path: &str) -> String {
        format!("{}/{path}", self.primary.name())
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

/// The object at a path, which must have the digest.
async fn whole(bucket: &Bucket, path: &str, digest: &str) -> Result<Bytes, StorageError> {
    let bytes = bucket.get(path).await?;
    if hex(&digest_of(&bytes).await) == digest {
        return Ok(bytes);
    }
    Err(StorageError::Damaged {
        path: path.to_owned(),
        reason: format!(
            "its {} bytes do not have the digest in its name",
            bytes.len()
        ),
    })
}

async fn put_whole(bucket: &Bucket, digest: &str, bytes: &Bytes) -> Result<(), StorageError> {
    let path = blob_path(digest);
    match bucket.put_new(&path, bytes.clone()).await {
        Err(StorageError::Exists { .. }) => match whole(bucket, &path, digest).await {
            // Gone means that another host deleted it just now.
            Err(StorageError::Damaged { .. } | StorageError::NotFound { .. }) => {
                bucket.put(&path, bytes.clone()).await
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

    /// A store with a component and its copy, which the mirror has made.
    async fn filled(store: &Store, bytes: &'static [u8]) -> String {
        let bytes = Bytes::from_static(bytes);
        let digest = hex(&digest_of(&bytes).await);
        store.put(&digest, &bytes, None).await.expect("stored");
        let copy = store.copy_of(&blob_path(&digest));
        store.rescue.put(&copy, bytes).await.expect("copied");
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
        let path = blob_path(&digest);
        for (bucket, path) in [
            (&store.primary, path.clone()),
            (&store.rescue, store.copy_of(&path)),
        ] {
            let torn = Bytes::from_static(b"torn");
            bucket.put(&path, torn).await.expect("torn");
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
        let left = store.rescue.list("").await.expect("listed");
        assert!(left.is_empty(), "{left:?}");
    }
}
