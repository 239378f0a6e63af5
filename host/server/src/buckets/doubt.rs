//! Manifests that are not to be believed: those that do not read, and those of which `rescue` has a newer version than
//! the bucket itself.
//!
//! A bucket that has lost the newest version of a manifest shows the one before it as if nothing had happened: rows are
//! missing, and documents that were deleted are found again. A copy is never ahead of its original, so that `rescue`
//! has a newer version tells of the loss. It is told and not mended while a host runs: what serves was opened from the
//! older version, and `boathouse restore` brings the newer one back.
//!
//! A name may have been given away and taken again; another index of the name is no newer version of this one.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use boathouse_ingest::DatasetManifest;
use boathouse_storage::{Bucket, Manifest, StorageError};
use boathouse_types::{DatasetName, IndexName};
use serde::{Serialize, de::DeserializeOwned};

use crate::{indexes::IndexMeta, problem::chain};

/// Whose manifest is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doubtful {
    /// That of a dataset.
    Dataset(DatasetName),
    /// That of an index.
    Index(IndexName),
}

impl fmt::Display for Doubtful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(name) => write!(f, "dataset {name}"),
            Self::Index(name) => write!(f, "index {name}"),
        }
    }
}

/// The names below a folder of which the copies have a newer manifest than the bucket, both told by their paths. Those
/// of the copies were listed first: a version that is committed in between is no loss.
pub(super) fn behind(
    paths: &HashSet<String>,
    copies: &HashSet<String>,
    folder: &str,
) -> Vec<String> {
    let own = newest(paths, folder);
    let is_ahead = |(name, version): &(String, u64)| own.get(name).is_none_or(|own| own < version);
    let copied = newest(copies, folder).into_iter().filter(is_ahead);
    copied.map(|(name, _)| name).collect()
}

/// The newest version of each manifest below a folder.
fn newest(paths: &HashSet<String>, folder: &str) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let version = |path: &String| {
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        let (name, rest) = rest.split_once('/')?;
        let number = rest.strip_prefix("manifest/")?.strip_suffix(".json")?;
        Some((name.to_owned(), number.parse::<u64>().ok()?))
    };
    for (name, version) in paths.iter().filter_map(version) {
        let known = all.entry(name).or_insert(version);
        *known = version.max(*known);
    }
    all
}

/// Why the manifest of a dataset is not to be believed; none when it is. `home` is the bucket as the rooms see it.
///
/// # Errors
/// The bucket or `rescue` fails: nothing is known then.
pub(super) async fn of_dataset(
    home: &Bucket,
    copies: &Bucket,
    name: &DatasetName,
) -> Result<Option<String>, StorageError> {
    let lived = |own: Option<&DatasetManifest>, copy: &DatasetManifest| {
        own.is_some() || copy.deleted_at.is_none() && copy.bucket == *home.name()
    };
    doubt(home, copies, &format!("datasets/{name}/manifest"), lived).await
}

/// As [`of_dataset`], of an index.
///
/// # Errors
/// As [`of_dataset`].
pub(super) async fn of_index(
    home: &Bucket,
    copies: &Bucket,
    name: &IndexName,
) -> Result<Option<String>, StorageError> {
    let same =
        |own: Option<&IndexMeta>, copy: &IndexMeta| own.is_some_and(|own| own.is_same_index(copy));
    doubt(home, copies, &format!("indexes/{name}/manifest"), same).await
}

async fn doubt<T: Serialize + DeserializeOwned>(
    home: &Bucket,
    copies: &Bucket,
    prefix: &str,
    is_newer: impl Fn(Option<&T>, &T) -> bool,
) -> Result<Option<String>, StorageError> {
    // First: what is committed from now on is no loss.
    let copy = Manifest::<T>::new(copies.clone(), prefix).load().await;
    let own = Manifest::<T>::new(home.clone(), prefix).without_rescue();
    let own = match own.load().await {
        Ok(own) => own,
        Err(error @ (StorageError::Damaged { .. } | StorageError::NewerFormat { .. })) => {
            return Ok(Some(chain(&error)));
        }
        Err(error) => return Err(error),
    };
    let copy = match copy {
        Ok(Some(copy)) => copy,
        // Such a copy tells of nothing.
        Ok(None) | Err(StorageError::Damaged { .. } | StorageError::NewerFormat { .. }) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (version, value) = own.map_or((0, None), |own| (own.version, Some(own.value)));
    if copy.version <= version || !is_newer(value.as_ref(), &copy.value) {
        return Ok(None);
    }
    let shown = match version {
        0 => "nothing of it is shown".to_owned(),
        _ => format!("what is shown is as of version {version}"),
    };
    let (bucket, lost) = (home.name(), copy.version);
    Ok(Some(format!(
        "version {lost} of its manifest is gone from bucket `{bucket}` and {shown}; `rescue` has a copy: stop this host and run `boathouse restore`"
    )))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boathouse_faults::{FaultyStore, Plan};
    use boathouse_types::BucketName;
    use serde_json::{Value, json};

    use super::*;

    fn name() -> DatasetName {
        DatasetName::new("notes").expect("a name")
    }

    fn object(version: u64) -> String {
        format!("datasets/notes/manifest/{version:020}.json")
    }

    /// A bucket and its copies, both with so many versions of a dataset.
    async fn world(versions: u64) -> (Bucket, Bucket) {
        let home = Bucket::memory(BucketName::primary());
        let copies = Bucket::memory(BucketName::rescue());
        let value =
            json!({"name": "notes", "bucket": "primary", "next_version": 9, "versions": []});
        for bucket in [&home, &copies] {
            let manifest = Manifest::<Value>::new(bucket.clone(), "datasets/notes/manifest");
            for version in 0..versions {
                manifest.commit(version, &value).await.expect("committed");
            }
        }
        (home, copies)
    }

    async fn told((home, copies): &(Bucket, Bucket)) -> Option<String> {
        of_dataset(home, copies, &name()).await.expect("asked")
    }

    #[tokio::test]
    async fn a_version_that_only_the_copies_have_was_lost() {
        let world = world(2).await;
        assert_eq!(told(&world).await, None);
        world.0.delete(&object(2)).await.expect("lost");
        let why = told(&world).await.expect("a doubt");
        let words = ["version 2", "as of version 1", "boathouse restore"];
        assert!(words.iter().all(|word| why.contains(word)), "{why}");
        world.0.delete(&object(1)).await.expect("lost");
        let why = told(&world).await.expect("a doubt");
        assert!(why.contains("nothing of it is shown"), "{why}");
        world.1.delete(&object(1)).await.expect("deleted");
        world.1.delete(&object(2)).await.expect("deleted");
        assert_eq!(told(&world).await, None, "there never was one");
    }

    #[tokio::test]
    async fn a_copy_that_is_behind_or_damaged_tells_of_no_loss() {
        let world = world(2).await;
        world.1.delete(&object(2)).await.expect("not copied yet");
        assert_eq!(told(&world).await, None);
        world.1.put(&object(3), "{".into()).await.expect("torn");
        assert_eq!(told(&world).await, None);
        world.0.put(&object(2), "{".into()).await.expect("torn");
        let why = told(&world).await.expect("a doubt");
        assert!(why.contains(&object(2)), "{why}");
    }

    #[tokio::test]
    async fn a_rescue_that_does_not_answer_settles_no_doubt() {
        let (home, copies) = world(2).await;
        home.delete(&object(2)).await.expect("lost");
        let store = FaultyStore::new(Arc::clone(copies.store()), Plan::DOWN);
        let unreachable = copies.with_store(Arc::new(store));
        let asked = of_dataset(&home, &unreachable, &name()).await;
        assert!(matches!(asked, Err(StorageError::Unavailable { .. })));
        assert!(told(&(home, copies)).await.is_some());
    }

    #[test]
    fn names_are_compared_by_their_newest_versions() {
        let paths = |of: &[(&str, u64)]| {
            let path = |(name, version): &(&str, u64)| {
                format!("indexes/{name}/manifest/{version:020}.json")
            };
            of.iter().map(path).collect::<HashSet<_>>()
        };
        let own = paths(&[("level", 1), ("level", 2), ("older", 1), ("newer", 3)]);
        let copies = paths(&[
            ("level", 2),
            ("older", 1),
            ("older", 2),
            ("newer", 2),
            ("lost", 1),
        ]);
        assert_eq!(behind(&own, &copies, "indexes"), ["lost", "older"]);
        assert!(behind(&own, &copies, "datasets").is_empty());
    }
}
