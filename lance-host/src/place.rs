//! Where tables are: folders and buckets, each under a number, and the only scheme that Lance is given.
//!
//! Lance chooses a store and a commit handler by the scheme of a URL, and one that it does not know gets a handler without
//! any guard against concurrent commits. So no URL comes from outside: a table's is `boathouse://NUMBER/PATH`, the
//! number of a place that was registered here, the registry knows no other scheme, and the handler is always the one that
//! creates the manifest of a version conditionally.

use std::{
    collections::HashMap,
    fmt, fs,
    path::Path as FilePath,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use lance::io::{ObjectStore, ObjectStoreParams, ObjectStoreRegistry};
use lance_io::object_store::ObjectStoreProvider;
use object_store::{DynObjectStore, local::LocalFileSystem};
use url::Url;

use crate::{Error, bridge::Bridge, error::shortened, objects::Objects};

/// The scheme of every table.
const SCHEME: &str = "boathouse";

/// A scheme that Lance takes for a store behind its own trait: nothing is read or written around that.
const LIKE: &str = "file-object-store:///";

/// Bytes that are read at once, at least: of a folder, as of a disk's page; of a bucket, as one request costs the same.
const FOLDER_BLOCK: usize = 4 * 1024;
const BUCKET_BLOCK: usize = 64 * 1024;

/// Requests at once to a folder and to a bucket. Lance's own defaults for disks and for clouds.
const FOLDER_REQUESTS: usize = 8;
const BUCKET_REQUESTS: usize = 64;

/// Times that the rest of a download that broke off is asked for.
const DOWNLOAD_RETRIES: usize = 3;

/// Longest path of a table, in bytes.
const LONGEST_PATH: usize = 512;

/// A folder or a bucket in which tables can be. Belongs to the [`crate::Lance`] that gave it.
#[derive(Debug, Clone)]
pub struct Place {
    number: usize,
    host: usize,
}

/// Where one table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub(crate) host: usize,
    pub(crate) url: String,
}

impl Place {
    /// The table at a path from the place's root: parts of ASCII letters, digits, `-`, `_` and `.`, with `/` between
    /// them; none begins with a `.`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for any other path, and for one above 512 bytes.
    pub fn table(&self, path: &str) -> Result<Location, Error> {
        let sound = |part: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(known)
        };
        if path.len() > LONGEST_PATH || !path.split('/').all(sound) {
            let path = shortened(&path.escape_default().to_string(), 80);
            return Err(Error::Invalid(format!("`{path}` is no path of a table")));
        }
        Ok(Location {
            host: self.host,
            url: format!("{SCHEME}://{}/{path}", self.number),
        })
    }
}

#[derive(Clone)]
struct Store {
    inner: Arc<DynObjectStore>,
    block: usize,
    requests: usize,
    sorted: bool,
}

/// The places of one host, as Lance's provider of stores.
#[derive(Clone)]
pub(crate) struct Places {
    host: usize,
    stores: Arc<Mutex<HashMap<usize, Store>>>,
}

impl Places {
    /// No places yet, of the host of that number.
    pub(crate) fn of(host: usize) -> Self {
        Self {
            host,
            stores: Arc::default(),
        }
    }

    /// A registry that knows these places and nothing else.
    pub(crate) fn registry(&self) -> Arc<ObjectStoreRegistry> {
        let registry = ObjectStoreRegistry::empty();
        registry.insert(SCHEME, Arc::new(self.clone()));
        Arc::new(registry)
    }

    /// A folder, which is made if it is missing. What is written there is synced, names and folders included, before it
    /// counts as written.
    pub(crate) fn folder(&self, root: &FilePath) -> Result<Place, Error> {
        let unusable = |reason: String| Error::UnusableFolder { reason };
        fs::create_dir_all(root).map_err(|error| unusable(error.to_string()))?;
        let inner = LocalFileSystem::new_with_prefix(root)
            .map_err(|error| unusable(shortened(&error.to_string(), 200)))?
            .with_fsync(true);
        Ok(self.register(Store {
            inner: Arc::new(inner),
            block: FOLDER_BLOCK,
            requests: FOLDER_REQUESTS,
            sorted: false,
        }))
    }

    /// A bucket.
    pub(crate) fn bucket(&self, objects: Arc<dyn Objects>) -> Place {
        self.register(Store {
            inner: Arc::new(Bridge::over(objects)),
            block: BUCKET_BLOCK,
            requests: BUCKET_REQUESTS,
            sorted: true,
        })
    }

    fn register(&self, store: Store) -> Place {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let number = stores.len();
        stores.insert(number, store);
        Place {
            number,
            host: self.host,
        }
    }

    fn store(&self, url: &Url) -> Option<Store> {
        let number: usize = url.host_str()?.parse().ok()?;
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.get(&number).cloned()
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("places")
    }
}

#[async_trait]
impl ObjectStoreProvider for Places {
    async fn new_store(
        &self,
        base: Url,
        _params: &ObjectStoreParams,
    ) -> lance::Result<ObjectStore> {
        let store = self
            .store(&base)
            .ok_or_else(|| lance::Error::invalid_input("no such place"))?;
        let like =
            Url::parse(LIKE).map_err(|_| lance::Error::invalid_input("no such kind of store"))?;
        let mut made = ObjectStore::new(
            store.inner,
            like,
            Some(store.block),
            None,
            false,
            store.sorted,
            store.requests,
            DOWNLOAD_RETRIES,
            None,
        );
        // What makes a path unique among all stores of the session.
        made.store_prefix = format!("{SCHEME}${}", base.authority());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { number: 3, host: 1 }
    }

    #[test]
    fn a_path_becomes_a_url_below_its_place() {
        let location = place()
            .table("vectors/lance/notes-1.lance")
            .expect("a path");
        assert_eq!(location.url, "boathouse://3/vectors/lance/notes-1.lance");
    }

    #[test]
    fn no_path_leaves_its_place_or_names_a_store() {
        let long = "a".repeat(LONGEST_PATH + 1);
        for path in [
            "",
            "/notes",
            "notes/",
            "a//b",
            "..",
            "a/../b",
            ".hidden",
            "s3://bucket/notes",
            "notes?version=1",
            "notes#1",
            "%2e%2e",
            "no tes",
            "nötes",
            "a\\b",
            &long,
        ] {
            let refused = place().table(path);
            assert!(matches!(refused, Err(Error::Invalid(_))), "{path}");
        }
    }

    #[test]
    fn the_registry_knows_one_scheme() {
        let registry = Places::of(0).registry();
        assert!(registry.get_provider(SCHEME).is_some());
        for scheme in ["file", "s3", "gs", "az", "memory", "hf", "http"] {
            assert!(registry.get_provider(scheme).is_none(), "{scheme}");
        }
    }
}
