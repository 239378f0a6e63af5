//! Other ways to look at the same bucket: over another store, below a folder, without its rescue, without copies.
//!
//! A view keeps the bucket's name and configuration, and what was learnt about its logs. Errors of a view
//! below a folder name the whole path, so that whoever reads them finds the object.

use std::sync::Arc;

use object_store::{ObjectStore, path::Path, prefix::PrefixStore};

use super::{Bucket, Inner};
use crate::{StorageError, path::folder_path};

impl Bucket {
    /// The same bucket over a store that wraps its own: to count or to fail. A store that a rescue is to
    /// stand behind is wrapped before [`crate::Mirror::over`], not after.
    #[must_use]
    pub fn with_store(&self, store: Arc<dyn ObjectStore>) -> Self {
        self.view(self.0.folder.clone(), store, None, self.0.copies.clone())
    }

    /// The same bucket over `store`, and over `home` for those who want no rescue, with its `copies`.
    pub(crate) fn with_stores(
        &self,
        store: Arc<dyn ObjectStore>,
        home: Arc<dyn ObjectStore>,
        copies: Bucket,
    ) -> Self {
        self.view(self.0.folder.clone(), store, Some(home), Some(copies))
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

    /// As [`Self::without_rescue`], and what is damaged is not mended from its copy either. For decisions that hold
    /// whether or not the rescue answers.
    #[must_use]
    pub fn without_copies(&self) -> Self {
        let home = self.0.home.as_ref().unwrap_or(&self.0.store);
        self.view(self.0.folder.clone(), Arc::clone(home), None, None)
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
        let home = self.0.home.as_ref().map(wrap);
        let copies = self.0.copies.as_ref().map(|copies| copies.below(folder));
        self.view(whole, wrap(self.store()), home, copies)
    }

    /// The path from the bucket's own root, as errors tell it.
    pub(super) fn whole_path(&self, path: &str) -> String {
        match self.0.folder.as_ref() {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }

    fn view(
        &self,
        folder: Path,
        store: Arc<dyn ObjectStore>,
        home: Option<Arc<dyn ObjectStore>>,
        copies: Option<Bucket>,
    ) -> Self {
        Self(Arc::new(Inner {
            config: self.0.config.clone(),
            folder,
            store,
            home,
            copies,
            logs: Arc::clone(&self.0.logs),
        }))
    }
}

#[cfg(test)]
mod tests;
