//! Where the objects of an index lie in a bucket, and how they are taken away.
//!
//! What is taken away is listed first and only what was listed is deleted, again and again until nothing
//! is left: so what somebody else adds meanwhile is looked at before it goes. The manifest stays, as the
//! mark of what became of the index; only [`erase`] takes that too, where no version of it reads.
//!
//! Everything here asks the bucket itself and never its copy in rescue, which may be older. The copy does not
//! learn of deletions either: what it holds of an index goes when the name is used again
//! ([`forget_copies`]), or is collected as garbage. A restoration brings back what the copies have and the bucket has
//! not, so what an earlier index of the name was must lie below what holds now, or be gone from the copies too
//! ([`forget_versions`]).

use std::{collections::BTreeSet, time::Duration};

use axum::http::StatusCode;
use boathouse_storage::{Bucket, Manifest, ObjectInfo, StorageError};
use boathouse_types::{BucketName, IndexName};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{IndexMeta, standing::Found};
use crate::problem::Problem;

/// Objects that are copied or deleted at the same time.
pub(super) const CONCURRENCY: usize = 8;
/// How often listing and deleting may find more before it gives up.
const ROUNDS: usize = 16;
/// How long copies are waited for that had better be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A kind of objects without which an index cannot be opened.
pub(super) struct Vital {
    what: &'static str,
    /// What to do when one is damaged or gone.
    cure: &'static str,
}

/// Objects of vectors.
pub(super) const VECTORS: Vital = Vital {
    what: "vectors",
    cure: "put a sound copy in its place, which `rescue` has where it mirrors everything; of an index that is not served for this, `refresh` (`POST /vectors/indexes/{idx}/refresh`, `boathouse index refresh`) makes the vectors anew from its dataset and keeps its journal, promotions, evaluation sets and deletions",
};

/// Objects of tombstones.
pub(super) const DELETIONS: Vital = Vital {
    what: "deletions",
    cure: "put a sound copy in its place, which `rescue` has, or delete the index and create it again from its dataset, which has the rows of the deleted documents",
};

/// The problem of an object of an index that cannot be used, which says which one that is and what to do.
pub(super) fn unusable(
    kind: &Vital,
    index: &IndexName,
    (bucket, path): (&BucketName, &str),
    error: StorageError,
) -> Problem {
    let state = match error {
        StorageError::NotFound { .. } => "gone".to_owned(),
        StorageError::Damaged { reason, .. } => format!("damaged ({reason})"),
        other => return other.into(),
    };
    let Vital { what, cure } = kind;
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "damaged_object",
        format!(
            "the {what} of index `{index}` cannot be used: object `{path}` of bucket `{bucket}` is {state}; {cure}"
        ),
    )
}

/// The manifest of an index.
pub(crate) fn manifest(bucket: &Bucket, name: &IndexName) -> Manifest<IndexMeta> {
    Manifest::new(bucket.clone(), manifest_folder(name))
}

fn manifest_folder(name: &IndexName) -> String {
    format!("indexes/{name}/manifest")
}

/// A path for vectors that no other object has.
pub(super) fn fresh_path(name: &IndexName) -> String {
    let id = uuid::Uuid::now_v7().simple();
    format!("indexes/{name}/vectors/{id}.parquet")
}

/// A path for tombstones that no other object has.
pub(super) fn fresh_tombstones(name: &IndexName) -> String {
    let id = uuid::Uuid::now_v7().simple();
    format!("indexes/{name}/tombstones/{id}.json")
}

/// Folders of what the manifest names: tables in Lance, tombstones, vectors, and graphs over the vectors.
fn named(name: &IndexName) -> [String; 4] {
    [
        format!("indexes/{name}/lance"),
        format!("indexes/{name}/tombstones"),
        format!("indexes/{name}/vectors"),
        format!("indexes/{name}/graphs"),
    ]
}

/// Folders of what exists once: trials, promotions and evaluation sets.
fn records(name: &IndexName) -> [String; 3] {
    [
        format!("_hnsw_trials/{name}"),
        format!("_promotions/{name}"),
        format!("_evalsets/{name}"),
    ]
}

/// Every object of an index but its manifest.
pub(super) async fn list(
    bucket: &Bucket,
    name: &IndexName,
) -> Result<Vec<ObjectInfo>, StorageError> {
    let (bucket, mut objects) = (bucket.without_rescue(), Vec::new());
    for folder in named(name).iter().chain(&records(name)) {
        objects.extend(bucket.list(folder).await?);
    }
    Ok(objects)
}

/// Deletes every object of an index but its manifest.
pub(crate) async fn sweep(bucket: &Bucket, name: &IndexName) -> Result<(), StorageError> {
    empty(bucket, name, None).await
}

/// Deletes the trials, promotions and evaluation sets of an index.
pub(super) async fn sweep_records(bucket: &Bucket, name: &IndexName) -> Result<(), StorageError> {
    for folder in records(name) {
        let left = bucket.without_rescue().list(&folder).await?;
        delete(bucket, paths(left)).await?;
    }
    Ok(())
}

/// Deletes every object of an index but its manifest, after its records have gone to where the index is
/// now: somebody who did not know of the move may have added some.
pub(super) async fn hand_over(
    bucket: &Bucket,
    name: &IndexName,
    heir: &Bucket,
) -> Result<(), StorageError> {
    empty(bucket, name, Some(heir)).await
}

async fn empty(
    bucket: &Bucket,
    name: &IndexName,
    heir: Option<&Bucket>,
) -> Result<(), StorageError> {
    for _ in 0..ROUNDS {
        let objects = list(bucket, name).await?;
        if objects.is_empty() {
            return Ok(());
        }
        if let Some(heir) = heir {
            hand_on(bucket, name, heir).await?;
        }
        delete(bucket, objects.into_iter().map(|object| object.path)).await?;
    }
    Err(StorageError::Contended {
        path: format!("indexes/{name}"),
    })
}

/// Copies the records that the heir lacks. A batch of a log has the same name wherever it lies, so one
/// that the heir has in a compacted file is not doubled by its copy.
async fn hand_on(bucket: &Bucket, name: &IndexName, heir: &Bucket) -> Result<(), StorageError> {
    for folder in records(name) {
        let known = paths(heir.without_rescue().list(&folder).await?);
        let here = paths(bucket.without_rescue().list(&folder).await?);
        for path in here.difference(&known) {
            match bucket.copy_to(path, heir).await {
                // Compacted by somebody else meanwhile: the next round finds the new file.
                Err(StorageError::NotFound { bucket: at, .. }) if at == *bucket.name() => {}
                copied => drop(copied?),
            }
        }
    }
    Ok(())
}

pub(super) fn paths(objects: Vec<ObjectInfo>) -> BTreeSet<String> {
    objects.into_iter().map(|object| object.path).collect()
}

pub(super) async fn delete(
    bucket: &Bucket,
    paths: impl IntoIterator<Item = String>,
) -> Result<(), StorageError> {
    let deletions: Vec<_> = paths
        .into_iter()
        .map(|path| async move { bucket.delete(&path).await })
        .collect();
    stream::iter(deletions)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

/// Deletes every object of a folder that no manifest names.
pub(crate) async fn delete_folder(bucket: &Bucket, folder: &str) -> Result<(), StorageError> {
    let left = bucket.without_rescue().list(folder).await?;
    delete(bucket, paths(left)).await
}

/// Deletes what rescue still holds of a deleted index of this name: a restoration would bring it back as part
/// of the one that is made now. What cannot be deleted is left to the collection of garbage.
pub(super) async fn forget_copies(rescue: &Bucket, home: &Bucket, name: &IndexName) {
    let forgotten = async {
        let copies = rescue.within(home.name().as_str())?;
        let left = paths(list(&copies, name).await?);
        delete(&copies, left).await
    };
    if let Err(error) = forgotten.await {
        tracing::warn!(index = %name, %error, "copies of a deleted index of this name are left over");
    }
}

/// Deletes the copies of versions of an index's manifest that the bucket itself does not have: they are of an earlier
/// index of that name, and a restoration would put them on top. Those that cannot be deleted soon are told.
pub(super) async fn forget_versions(home: &Bucket, name: &IndexName) {
    let folder = manifest_folder(name);
    let forgotten = async {
        let Some(copies) = home.copies() else {
            return Ok(());
        };
        let copied = paths(copies.list(&folder).await?);
        // After the copies: what is committed from now on has none yet.
        let own = paths(home.without_rescue().list(&folder).await?);
        delete(copies, copied.difference(&own).cloned()).await
    };
    let why = match tokio::time::timeout(PATIENCE, forgotten).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(late) => Some(late.to_string()),
    };
    if let Some(why) = why {
        tracing::warn!(index = %name, why, "`rescue` may hold manifests of an earlier index of this name, which `boathouse restore` would bring back");
    }
}

/// Deletes an index whose newest manifest cannot be read. The newest version that reads becomes a tombstone on top,
/// which holds whatever the copies have. Where none reads all go, and first from the copies, from which they would come
/// back.
///
/// # Errors
/// The bucket fails, or without any version that reads `rescue` does: the index is what it was then.
pub(super) async fn erase(bucket: &Bucket, name: &IndexName) -> Result<(), StorageError> {
    let alone = bucket.without_copies();
    match manifest(&alone, name).newest_sound().await {
        Ok((newest, Some(meta))) => {
            Found::new(bucket, newest, meta).bury(None).await?;
            forget_versions(bucket, name).await;
        }
        Ok((_, None)) | Err(StorageError::NewerFormat { .. }) => {
            let folder = manifest_folder(name);
            if let Some(copies) = bucket.copies() {
                delete(copies, paths(copies.list(&folder).await?)).await?;
            }
            delete(bucket, paths(alone.list(&folder).await?)).await?;
        }
        Err(error) => return Err(error),
    }
    sweep(bucket, name).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boathouse_faults::{FaultyStore, Plan};
    use boathouse_storage::{Mirror, MirrorScope, restore};
    use boathouse_types::{BucketName, ManualClock};
    use futures::future::select;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::indexes::testing::{faulty, memory, meta, name};

    /// A bucket with copies that can be switched off.
    struct World {
        home: Bucket,
        mirrored: Bucket,
        copies: Bucket,
        /// The store of the copies, as the mirror sees it.
        rescue: FaultyStore,
    }

    impl World {
        /// With so many versions of the manifest of an index, all of them copied.
        async fn new(versions: u64) -> Self {
            let (home, copies) = (memory("primary"), memory("rescue"));
            let (seen, rescue) = faulty(&copies, Plan::Never);
            let clock = Arc::new(ManualClock::at(1_800_000_000_000));
            let mirror = Mirror::new(seen, clock, MirrorScope::Recovery);
            let mirrored = mirror.over(&home);
            for version in 0..versions {
                let manifest = manifest(&mirrored, &name());
                let meta = meta(&home, "first");
                manifest.commit(version, &meta).await.unwrap();
            }
            let work = Box::pin(mirror.work(CancellationToken::new()));
            select(work, Box::pin(mirror.settled())).await;
            Self {
                home,
                mirrored,
                copies,
                rescue,
            }
        }

        async fn tear(&self, version: u64) {
            let path = format!("indexes/papers/manifest/{version:020}.json");
            self.home.put(&path, "{".into()).await.unwrap();
        }

        /// Makes another index of the name and restores the bucket; gives the vectors of the one that holds then.
        async fn made_anew(&self) -> String {
            let manifest = manifest(&self.home, &name());
            let before = manifest.load().await.unwrap();
            assert!(before.as_ref().is_none_or(|found| found.value.deleted));
            let version = before.map_or(0, |found| found.version);
            let other = meta(&self.home, "second");
            manifest.commit(version, &other).await.unwrap();
            restore(&self.copies, &self.home, false).await.unwrap();
            let found = manifest.load().await.unwrap().unwrap();
            found.value.vectors_path
        }
    }

    #[tokio::test]
    async fn what_was_erased_does_not_come_back_in_place_of_what_is_new() {
        for rescue in [Plan::Never, Plan::DOWN] {
            let world = World::new(5).await;
            world.tear(5).await;
            world.rescue.follow(rescue);
            erase(&world.mirrored, &name()).await.unwrap();
            assert!(world.made_anew().await.ends_with("second.parquet"));
        }
    }

    #[tokio::test]
    async fn what_no_version_tells_of_is_erased_from_the_copies_as_well() {
        let world = World::new(3).await;
        for version in 1..=3 {
            world.tear(version).await;
        }
        world.rescue.follow(Plan::DOWN);
        let failed = erase(&world.mirrored, &name()).await;
        assert!(matches!(failed, Err(StorageError::Unavailable { .. })));
        let kept = world.home.list("indexes/papers/manifest").await.unwrap();
        assert_eq!(kept.len(), 3, "the index is what it was");
        world.rescue.follow(Plan::Never);
        erase(&world.mirrored, &name()).await.unwrap();
        assert_eq!(world.home.list("indexes").await.unwrap(), []);
        assert_eq!(world.copies.list("primary/indexes").await.unwrap(), []);
        assert!(world.made_anew().await.ends_with("second.parquet"));
    }

    #[tokio::test]
    async fn copies_of_versions_that_the_bucket_has_stay() {
        let world = World::new(3).await;
        let path = |version: u64| format!("indexes/papers/manifest/{version:020}.json");
        world.home.delete(&path(3)).await.unwrap();
        forget_versions(&world.mirrored, &name()).await;
        let left = paths(world.copies.list("primary").await.unwrap());
        let kept = [1, 2].map(|version| format!("primary/{}", path(version)));
        assert_eq!(left, kept.into());
    }

    #[tokio::test]
    async fn copies_of_a_deleted_index_go_and_nothing_else() {
        let rescue = Bucket::memory(BucketName::rescue());
        let home = Bucket::memory(BucketName::primary());
        let name = IndexName::new("papers").unwrap();
        let gone = [
            "_evalsets/papers/default.json",
            "_hnsw_trials/papers/a.jsonl",
            "_promotions/papers/b.jsonl",
            "indexes/papers/vectors/c.parquet",
        ];
        let kept = [
            "archive/_hnsw_trials/papers/a.jsonl",
            "primary/_hnsw_trials/paper/a.jsonl",
            "primary/indexes/papers/manifest/00000000000000000001.json",
        ];
        let gone = gone.map(|path| format!("primary/{path}"));
        for path in gone.iter().map(String::as_str).chain(kept) {
            rescue.put(path, "x".into()).await.unwrap();
        }
        forget_copies(&rescue, &home, &name).await;
        let left = paths(rescue.list("").await.unwrap());
        assert_eq!(left, kept.map(str::to_owned).into());
    }
}
