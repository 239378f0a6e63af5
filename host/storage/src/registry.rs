//! The buckets of a host, by name.
//!
//! The lock is a plain one and is never held across an await: callers get a [`Bucket`], which is cheap
//! to clone and stays usable after its name is removed. Removing a bucket deletes no data.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use boathouse_types::BucketName;

use crate::{Bucket, BucketConfig, StorageError};

/// Names to buckets.
///
/// ```
/// use boathouse_storage::{BucketConfig, BucketRegistry, StorageError};
/// use bytes::Bytes;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = BucketRegistry::new();
/// let config: BucketConfig = serde_json::from_str(r#"{"name": "scratch", "backend": "memory"}"#)?;
/// // The second argument answers for the environment variables that secrets refer to.
/// let bucket = registry.add(&config, &|_| None)?;
/// // Whether it can be written, and whether of two racing creates one wins.
/// bucket.probe().await?;
/// bucket.put("notes/today.txt", Bytes::from("calm")).await?;
///
/// let found = registry.get(&config.name)?;
/// assert_eq!(found.get("notes/today.txt").await?, "calm");
/// // What lies outside a bucket has no name in it.
/// let outside = found.get("../secret").await;
/// assert!(matches!(outside, Err(StorageError::InvalidPath { .. })));
///
/// // The name goes, the objects stay.
/// registry.remove(&config.name)?;
/// assert!(registry.list().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct BucketRegistry {
    buckets: RwLock<BTreeMap<BucketName, Bucket>>,
}

impl BucketRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a bucket and registers it. Reaches no network; see [`Bucket::probe`] for that.
    ///
    /// # Errors
    /// [`StorageError::BucketExists`] when the name is taken, otherwise as [`Bucket::open`].
    pub fn add(
        &self,
        config: &BucketConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Bucket, StorageError> {
        // Asked first, so that a name that is taken does not create a folder.
        if self.read().contains_key(&config.name) {
            return Err(taken(&config.name));
        }
        let bucket = Bucket::open(config, environment)?;
        self.insert(bucket.clone())?;
        Ok(bucket)
    }

    /// Registers a bucket that is open already.
    ///
    /// # Errors
    /// [`StorageError::BucketExists`] when the name is taken.
    pub fn insert(&self, bucket: Bucket) -> Result<(), StorageError> {
        let mut buckets = self.write();
        if buckets.contains_key(bucket.name()) {
            return Err(taken(bucket.name()));
        }
        buckets.insert(bucket.name().clone(), bucket);
        Ok(())
    }

    /// The bucket of that name.
    ///
    /// # Errors
    /// [`StorageError::UnknownBucket`].
    pub fn get(&self, name: &BucketName) -> Result<Bucket, StorageError> {
        self.read().get(name).cloned().ok_or_else(|| unknown(name))
    }

    /// Takes the bucket out of the registry and hands it back; its objects stay.
    ///
    /// # Errors
    /// [`StorageError::UnknownBucket`].
    pub fn remove(&self, name: &BucketName) -> Result<Bucket, StorageError> {
        self.write().remove(name).ok_or_else(|| unknown(name))
    }

    /// All buckets, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Bucket> {
        self.read().values().cloned().collect()
    }

    // A panic elsewhere cannot leave the map half-changed, so a poisoned lock is still good.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<BucketName, Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<BucketName, Bucket>> {
        self.buckets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken(name: &BucketName) -> StorageError {
    StorageError::BucketExists { name: name.clone() }
}

fn unknown(name: &BucketName) -> StorageError {
    StorageError::UnknownBucket { name: name.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BackendConfig;

    #[test]
    fn names_are_taken_once_and_come_free_again() {
        let folder = tempfile::tempdir().unwrap();
        let registry = BucketRegistry::new();
        let name = BucketName::new("one").unwrap();
        let config = |root: &str| BucketConfig {
            name: name.clone(),
            backend: BackendConfig::Local {
                root: folder.path().join(root),
            },
        };
        registry.add(&config("a"), &|_| None).unwrap();
        let again = registry.add(&config("b"), &|_| None);
        assert!(matches!(again, Err(StorageError::BucketExists { .. })));
        assert!(!folder.path().join("b").exists());

        assert_eq!(registry.list().len(), 1);
        assert_eq!(registry.remove(&name).unwrap().name(), &name);
        assert!(matches!(
            registry.get(&name),
            Err(StorageError::UnknownBucket { .. })
        ));
        assert!(registry.remove(&name).is_err());
        assert!(folder.path().join("a").exists());
    }
}
