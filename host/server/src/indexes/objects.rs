//! Where the objects of an index lie in a bucket, and how they are taken away.
//!
//! What is taken away is listed first and only what was listed is deleted, again and again until nothing
//! is left: so what somebody else adds meanwhile is looked at before it goes. The manifest stays, as the
//! mark of what became of the index; only [`erase`] takes that too.
//!
//! Everything here asks the bucket itself and never its copy in rescue, which may be older. The copy does not
//! learn of deletions either: what it holds of an index goes when the name is used again
//! ([`forget_copies`]), or is collected as garbage.

use std::collections::BTreeSet;

use boathouse_storage::{Bucket, Manifest, ObjectInfo, StorageError};
use boathouse_types::IndexName;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::IndexMeta;

/// Objects that are copied or deleted at the same time.
pub(super) const CONCURRENCY: usize = 8;
/// How often listing and deleting may find more before it gives up.
const ROUNDS: usize = 16;

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

/// Folders of what the manifest names: vectors, tombstones, and graphs over the vectors.
fn named(name: &IndexName) -> [String; 3] {
    [
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

/// Deletes an index whose manifest cannot be read, manifest and all.
pub(super) async fn erase(bucket: &Bucket, name: &IndexName) -> Result<(), StorageError> {
    let own = bucket.without_rescue();
    let versions = own.list(&manifest_folder(name)).await?;
    delete(bucket, paths(versions)).await?;
    sweep(bucket, name).await
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;

    use super::*;

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
