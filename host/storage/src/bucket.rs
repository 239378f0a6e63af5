//! One bucket: an object store with a name, checked paths, and errors that say what to do.
//!
//! Every path goes through [`crate::path`], so no caller can leave the bucket's root. `put` and `put_new`
//! are atomic and durable once they return. Folders exist by the objects in them only. Bytes come and go
//! whole here; code that streams (Parquet readers and writers) takes [`Bucket::store`], which gives the
//! same durability.

mod copy;
mod fault;
mod logs;
mod open;
mod probe;
mod view;

use std::{fmt, ops::Range, sync::Arc};

use boathouse_types::{BucketName, Timestamp};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, memory::InMemory,
    path::Path,
};

use self::logs::KnownLogs;
pub(crate) use self::{
    copy::Sent,
    fault::{chain, has_code},
};
use crate::{
    BackendConfig, BucketConfig, StorageError,
    path::{folder_path, object_path},
};

/// A named object store; cheap to clone.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>);

struct Inner {
    config: BucketConfig,
    /// The folder that this view takes for its root; the root itself is the empty path.
    folder: Path,
    store: Arc<dyn ObjectStore>,
    /// The same store with reads that never fall back; none where nothing falls back anyway.
    home: Option<Arc<dyn ObjectStore>>,
    /// Where the copies of its objects are, under the same paths; none where nothing is mirrored.
    copies: Option<Bucket>,
    /// What was learnt about its logs. Shared by all views.
    logs: Arc<KnownLogs>,
}

/// What a listing says about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Path from the bucket's root.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written, by the store's clock.
    pub modified: Timestamp,
}

impl Bucket {
    /// Opens a bucket; a local root is created and must be a writable folder. Reaches no network.
    ///
    /// # Errors
    /// [`StorageError::UnusableRoot`], [`StorageError::Misconfigured`], [`StorageError::UnresolvedSecret`].
    pub fn open(
        config: &BucketConfig,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, StorageError> {
        let store = open::store(config, environment)?;
        Ok(Self::over(config.clone(), store))
    }

    /// A bucket in memory.
    #[must_use]
    pub fn memory(name: BucketName) -> Self {
        let backend = BackendConfig::Memory;
        Self::over(BucketConfig { name, backend }, Arc::new(InMemory::new()))
    }

    /// A bucket over a store that somebody else opened, or will open behind it; touches nothing.
    #[must_use]
    pub fn over(config: BucketConfig, store: Arc<dyn ObjectStore>) -> Self {
        Self(Arc::new(Inner {
            config,
            folder: Path::default(),
            store,
            home: None,
            copies: None,
            logs: Arc::default(),
        }))
    }

    /// The name it is registered under.
    #[must_use]
    pub fn name(&self) -> &BucketName {
        &self.0.config.name
    }

    /// Where its objects are; holds references to secrets, never secrets.
    #[must_use]
    pub fn backend(&self) -> &BackendConfig {
        &self.0.config.backend
    }

    /// The store itself, for code that streams. Its paths are not checked by this type.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.0.store
    }

    /// Writes an object, replacing what is there.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`]; [`StorageError::Unavailable`] leaves open whether it was written.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.write(path, bytes, PutMode::Overwrite).await
    }

    /// Writes an object that must not be there yet; of several at once, one succeeds.
    ///
    /// # Errors
    /// [`StorageError::Exists`], otherwise as [`Self::put`].
    pub async fn put_new(&self, path: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.write(path, bytes, PutMode::Create).await
    }

    /// Reads an object whole.
    ///
    /// # Errors
    /// [`StorageError::NotFound`], [`StorageError::InvalidPath`], [`StorageError::Unavailable`].
    pub async fn get(&self, path: &str) -> Result<Bytes, StorageError> {
        let location = object_path(path)?;
        let fault = |error| self.fault(path, error);
        let result = self.store().get(&location).await.map_err(fault)?;
        result.bytes().await.map_err(fault)
    }

    /// Where the rescue has the copies of this bucket's objects, under the paths that these have; none where nothing is
    /// mirrored.
    #[must_use]
    pub fn copies(&self) -> Option<&Self> {
        self.0.copies.as_ref()
    }

    /// The copy that the rescue has of an object; none where nothing is mirrored, and when there is no copy.
    ///
    /// # Errors
    /// The rescue does not answer: whether there is a copy is not known.
    pub(crate) async fn copied(&self, path: &str) -> Result<Option<Bytes>, StorageError> {
        let Some(copies) = self.copies() else {
            return Ok(None);
        };
        match copies.get(path).await {
            Ok(copy) => Ok(Some(copy)),
            Err(StorageError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A range of the copy that the rescue has of an object, none where it has none: for who finds that a part of a
    /// large object was altered, and can tell whether the copy's is sound.
    pub async fn copied_range(&self, path: &str, range: Range<u64>) -> Option<Bytes> {
        let copies = self.0.copies.as_ref()?;
        let path = object_path(path).ok()?;
        copies.store().get_range(&path, range).await.ok()
    }

    /// Deletes an object; one that is not there is fine.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`], [`StorageError::Unavailable`].
    pub async fn delete(&self, path: &str) -> Result<(), StorageError> {
        match self.store().delete(&object_path(path)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.fault(path, error)),
        }
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`], [`StorageError::Unavailable`].
    pub async fn exists(&self, path: &str) -> Result<bool, StorageError> {
        match self.store().head(&object_path(path)?).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.fault(path, error)),
        }
    }

    /// All objects in a folder and the folders below it, by path; the empty text is the root.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`], [`StorageError::Unavailable`].
    pub async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let prefix = folder_path(folder)?;
        let mut objects: Vec<_> = self
            .store()
            .list(non_root(&prefix))
            .map_ok(ObjectInfo::from)
            .try_collect()
            .await
            .map_err(|error| self.fault(folder, error))?;
        objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    /// The names of the folders directly in a folder, sorted.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`], [`StorageError::Unavailable`].
    pub async fn children(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let prefix = folder_path(folder)?;
        let listing = self.store().list_with_delimiter(non_root(&prefix)).await;
        let listing = listing.map_err(|error| self.fault(folder, error))?;
        let mut names = Vec::new();
        for child in listing.common_prefixes {
            if self.holds_objects(&child).await?
                && let Some(name) = child.filename()
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Object stores list folders that hold something; a local disk lists emptied ones too.
    async fn holds_objects(&self, folder: &Path) -> Result<bool, StorageError> {
        if !matches!(self.backend(), BackendConfig::Local { .. }) {
            return Ok(true);
        }
        let first = self.store().list(Some(folder)).next().await;
        match first.transpose() {
            Ok(object) => Ok(object.is_some()),
            Err(error) => Err(self.fault(folder.as_ref(), error)),
        }
    }

    async fn write(&self, path: &str, bytes: Bytes, mode: PutMode) -> Result<(), StorageError> {
        let location = object_path(path)?;
        self.store()
            .put_opts(&location, PutPayload::from(bytes), mode.into())
            .await
            .map(drop)
            .map_err(|error| self.fault(path, error))
    }
}

impl fmt::Debug for Bucket {
    /// Name and backend only: a store's own text may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.0.config).finish()
    }
}

impl From<ObjectMeta> for ObjectInfo {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            path: meta.location.to_string(),
            size: meta.size,
            modified: Timestamp::from_millis(meta.last_modified.timestamp_millis()),
        }
    }
}

fn non_root(prefix: &Path) -> Option<&Path> {
    (!prefix.is_root()).then_some(prefix)
}

#[cfg(test)]
mod tests;
