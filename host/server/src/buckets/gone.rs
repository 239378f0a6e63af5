//! What is gone of datasets and indexes: manifests whose files are not there.
//!
//! The mirror leaves out rows, vectors and graphs unless it keeps everything. So after a bucket was brought
//! back from its copies there may be manifests without their files. A graph that is missing is built anew
//! and is not gone; neither are files of versions that a newer one has replaced. Whose manifest is in doubt is noted
//! beside it (`doubt.rs`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use boathouse_ingest::DatasetManifest;
use boathouse_storage::{Bucket, Manifest, StorageError, Versioned};
use boathouse_types::{DatasetName, IndexName};
use serde::{Serialize, de::DeserializeOwned};

use super::doubt;
use crate::indexes::IndexMeta;

/// What of a bucket is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Datasets, with the files of their newest version that are missing.
    pub(crate) datasets: BTreeMap<DatasetName, BTreeSet<String>>,
    /// Indexes, with the objects of their vectors and deletions that are missing.
    pub(crate) indexes: BTreeMap<IndexName, BTreeSet<String>>,
    /// Datasets whose manifest may be none to believe.
    pub(super) doubtful_datasets: BTreeSet<DatasetName>,
    /// Indexes whose manifest may be none to believe. One that does not read is told by whoever opens it.
    pub(super) doubtful_indexes: BTreeSet<IndexName>,
}

impl Gone {
    /// Notes of what the copies of a bucket have a newer manifest.
    pub(super) fn compare(&mut self, paths: &HashSet<String>, copies: &HashSet<String>) {
        let datasets = doubt::behind(paths, copies, "datasets").into_iter();
        self.doubtful_datasets
            .extend(datasets.filter_map(|name| DatasetName::new(name).ok()));
        let indexes = doubt::behind(paths, copies, "indexes").into_iter();
        self.doubtful_indexes
            .extend(indexes.filter_map(|name| IndexName::new(name).ok()));
    }

    /// Keeps what another look has found missing too. A listing is older than the manifests that are read after it,
    /// so one look alone takes for missing what was written in between.
    pub(super) fn keep(&mut self, other: &Self) {
        keep_common(&mut self.datasets, &other.datasets);
        keep_common(&mut self.indexes, &other.indexes);
    }
}

/// Keeps the objects that are missing in both.
fn keep_common<N: Ord>(
    found: &mut BTreeMap<N, BTreeSet<String>>,
    other: &BTreeMap<N, BTreeSet<String>>,
) {
    found.retain(|name, objects| {
        let also = other.get(name);
        objects.retain(|object| also.is_some_and(|also| also.contains(object)));
        !objects.is_empty()
    });
}

/// Looks for what is missing among `paths`, which are (or are going to be) all objects of a bucket. Manifests
/// are read from `places`, the newest version counts.
///
/// # Errors
/// A manifest cannot be read.
pub(crate) async fn look(
    places: &[&Bucket],
    paths: &HashSet<String>,
) -> Result<Gone, StorageError> {
    let mut gone = Gone::default();
    for name in names(paths, "datasets") {
        let Ok(name) = DatasetName::new(name) else {
            continue;
        };
        let prefix = format!("datasets/{name}/manifest");
        let (newest, reads) = newest::<DatasetManifest>(places, &prefix).await?;
        if !reads {
            gone.doubtful_datasets.insert(name.clone());
        }
        let missing = newest
            .map(|dataset| missing_files(&dataset, paths))
            .filter(|missing| !missing.is_empty());
        gone.datasets.extend(missing.map(|missing| (name, missing)));
    }
    for name in names(paths, "indexes") {
        let Ok(name) = IndexName::new(name) else {
            continue;
        };
        let prefix = format!("indexes/{name}/manifest");
        let (newest, _) = newest::<IndexMeta>(places, &prefix).await?;
        let missing = newest
            .filter(|meta| !meta.deleted)
            .map(|meta| missing_objects(&meta, paths))
            .filter(|missing| !missing.is_empty());
        gone.indexes.extend(missing.map(|missing| (name, missing)));
    }
    Ok(gone)
}

/// The files of a dataset's newest version.
pub(crate) fn files(dataset: &DatasetManifest) -> BTreeSet<String> {
    let newest = dataset.latest().map(|newest| newest.version);
    let files = newest.map(|newest| dataset.files_as_of(newest));
    files.into_iter().flatten().map(|file| file.path).collect()
}

fn missing_files(dataset: &DatasetManifest, paths: &HashSet<String>) -> BTreeSet<String> {
    let mut missing = files(dataset);
    if dataset.deleted_at.is_some() {
        missing.clear();
    }
    missing.retain(|path| !paths.contains(path));
    missing
}

/// The objects that an index is opened from.
fn objects(index: &IndexMeta) -> BTreeSet<String> {
    index.objects().map(|(path, _)| path.to_owned()).collect()
}

fn missing_objects(index: &IndexMeta, paths: &HashSet<String>) -> BTreeSet<String> {
    let mut missing = objects(index);
    missing.retain(|path| !paths.contains(path));
    missing
}

/// The names of the manifests below a folder.
fn names(paths: &HashSet<String>, folder: &str) -> BTreeSet<String> {
    let name = |path: &String| {
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        let (name, rest) = rest.split_once('/')?;
        rest.starts_with("manifest/").then(|| name.to_owned())
    };
    paths.iter().filter_map(name).collect()
}

/// The newest of the manifests in several places, and whether all of them read.
async fn newest<T: Serialize + DeserializeOwned>(
    places: &[&Bucket],
    prefix: &str,
) -> Result<(Option<T>, bool), StorageError> {
    let mut newest: Option<Versioned<T>> = None;
    let mut reads = true;
    for place in places {
        let found = match Manifest::<T>::new((*place).clone(), prefix).load().await {
            Ok(found) => found,
            // Whoever opens it says so; what it refers to cannot be told.
            Err(error @ (StorageError::Damaged { .. } | StorageError::NewerFormat { .. })) => {
                tracing::warn!(prefix, %error, "a manifest cannot be read");
                reads = false;
                continue;
            }
            Err(error) => return Err(error),
        };
        let is_newer = |found: &Versioned<T>| {
            newest
                .as_ref()
                .is_none_or(|known| known.version < found.version)
        };
        newest = found.filter(is_newer).or(newest);
    }
    Ok((newest.map(|found| found.value), reads))
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;
    use serde_json::{Value, json};

    use super::*;

    const FILE: &str = "datasets/notes/data/b.parquet";
    const MANIFEST: &str = "datasets/notes/manifest/00000000000000000001.json";

    fn version(version: u64, mode: &str, file: &str) -> Value {
        json!({
            "version": version, "mode": mode, "files": [{"path": file, "rows": 1, "bytes": 1}],
            "rows": 1, "bytes": 1, "columns": [], "created_at": "2026-01-01T00:00:00Z",
            "detection": {"findings": [], "asked": [], "failures": []},
            "source": {"system": "file", "label": "notes.csv"}
        })
    }

    async fn dataset(bucket: &Bucket, of: u64, versions: Value) {
        let value =
            json!({"name": "notes", "bucket": "primary", "next_version": 9, "versions": versions});
        let manifest = Manifest::<Value>::new(bucket.clone(), "datasets/notes/manifest");
        manifest.commit(of, &value).await.expect("committed");
    }

    fn paths(of: &[&str]) -> HashSet<String> {
        of.iter().map(|path| (*path).to_owned()).collect()
    }

    #[tokio::test]
    async fn files_of_the_newest_version_count_and_no_others() {
        let bucket = Bucket::memory(BucketName::primary());
        let old = version(1, "replace", "datasets/notes/data/a.parquet");
        dataset(&bucket, 0, json!([old, version(2, "replace", FILE)])).await;
        let gone = look(&[&bucket], &paths(&[MANIFEST])).await.expect("looked");
        let files: Vec<_> = gone.datasets.values().flatten().collect();
        assert_eq!(files, [FILE]);
        let whole = look(&[&bucket], &paths(&[MANIFEST, FILE])).await;
        assert_eq!(whole.expect("looked"), Gone::default());
    }

    #[tokio::test]
    async fn of_two_places_the_newer_manifest_counts() {
        let (home, copy) = (
            Bucket::memory(BucketName::primary()),
            Bucket::memory(BucketName::rescue()),
        );
        dataset(&home, 0, json!([version(1, "replace", FILE)])).await;
        dataset(&copy, 0, json!([version(1, "replace", FILE)])).await;
        dataset(&home, 1, json!([])).await;
        for places in [[&home, &copy], [&copy, &home]] {
            let gone = look(&places, &paths(&[MANIFEST])).await.expect("looked");
            assert_eq!(gone, Gone::default());
        }
    }

    #[tokio::test]
    async fn a_damaged_manifest_hides_no_other() {
        let bucket = Bucket::memory(BucketName::primary());
        dataset(&bucket, 0, json!([version(1, "replace", FILE)])).await;
        let torn = "datasets/a/manifest/00000000000000000001.json";
        bucket.put(torn, "{".into()).await.expect("torn");
        let gone = look(&[&bucket], &paths(&[torn, MANIFEST])).await;
        let gone = gone.expect("looked");
        let doubtful: Vec<_> = gone.doubtful_datasets.iter().collect();
        assert_eq!((gone.datasets.len(), doubtful.len()), (1, 1));
        assert_eq!(doubtful[0].as_str(), "a");
    }

    #[test]
    fn only_what_two_looks_miss_is_missing() {
        let missing = |objects: &[&str]| {
            let name = IndexName::new("papers").expect("a name");
            let objects = objects.iter().map(|object| (*object).to_owned()).collect();
            Gone {
                indexes: BTreeMap::from([(name, objects)]),
                ..Gone::default()
            }
        };
        let mut found = missing(&["a", "b"]);
        found.keep(&missing(&["b", "c"]));
        assert_eq!(found, missing(&["b"]));
        found.keep(&missing(&["c"]));
        assert_eq!(found, Gone::default());
    }
}
