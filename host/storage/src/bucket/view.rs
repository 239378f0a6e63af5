//! Other ways to look at the same bucket: over another store, below a folder, without its rescue.
//!
//! A view keeps the bucket's name and configuration, and what was learnt about its logs. Errors of a view
//! below a folder name the whole path, so that whoever reads them finds the object.

use std::sync::{Arc, MutexGuard, PoisonError};

use object_store::{ObjectStore, path::Path, prefix::PrefixStore};

use super::{BTreeMap, Bucket, Inner};
use crate::{StorageError, path::folder_path};

impl Bucket {
    /// The same bucket over a store that wraps its own: to count or to fail. A store that a rescue is to
    /// stand behind is wrapped before [`crate::Mirror::over`], not after.
    #[must_use]
    pub fn with_store(&self, store: Arc<dyn ObjectStore>) -> Self {
        self.view(self.0.folder.clone(), store, None)
    }

    /// The same bucket over `store`, and over `home` for those who want no rescue.
    pub(crate) fn with_stores(
        &self,
        store: Arc<dyn ObjectStore>,
        home: Arc<dyn ObjectStore>,
    ) -> Self {
        self.view(self.0.folder.clone(), store, Some(home))
    }

    /// The same bucket with reads that the home answers or nobody. For decisions: what to write next to,
    /// what may be deleted. Writes reach the rescue as ever.
    #[must_use]
    pub fn without_rescue(&self) -> Self {
        match &self.0.home {
            Some(home) => self.with_store(Arc::clone(home)),
            None => self.clone(),
        }
    }

    /// A view whose root is a folder of this one; the empty text is this view again.
    ///
    /// # Errors
    /// [`StorageError::InvalidPath`].
    pub fn within(&self, folder: &str) -> Result<Self, StorageError> {
        Ok(self.below(&folder_path(folder)?))
    }

    /// As [`Self::within`], for a path that was checked.
    pub(crate) fn below(&self, folder: &Path) -> Self {
        let wrap = |store: &Arc<dyn ObjectStore>| -> Arc<dyn ObjectStore> {
            Arc::new(PrefixStore::new(Arc::clone(store), folder.clone()))
        };
        let whole = self.0.folder.parts().chain(folder.parts()).collect();
        self.view(whole, wrap(self.store()), self.0.home.as_ref().map(wrap))
    }

    /// The path from the bucket's own root, as errors tell it.
    pub(super) fn whole_path(&self, path: &str) -> String {
        match self.0.folder.as_ref() {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }

    /// The logs whose last reading met lines that are no records, by prefix, each with how many.
    #[must_use]
    pub fn malformed(&self) -> Vec<(String, u64)> {
        let counts = self.malformed_counts();
        counts.iter().map(|(log, n)| (log.clone(), *n)).collect()
    }

    /// Keeps what a reading of the log under `prefix` has found.
    pub(crate) fn note_malformed(&self, prefix: &str, lines: u64) {
        let prefix = self.whole_path(prefix);
        let mut counts = self.malformed_counts();
        match lines {
            0 => counts.remove(&prefix),
            _ => counts.insert(prefix, lines),
        };
    }

    fn malformed_counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        let counts = self.0.malformed.lock();
        counts.unwrap_or_else(PoisonError::into_inner)
    }

    fn view(
        &self,
        folder: Path,
        store: Arc<dyn ObjectStore>,
        home: Option<Arc<dyn ObjectStore>>,
    ) -> Self {
        Self(Arc::new(Inner {
            config: self.0.config.clone(),
            folder,
            store,
            home,
            malformed: Arc::clone(&self.0.malformed),
        }))
    }
}

#[cfg(test)]
mod tests;
