//! A bucket made whole again from its copies in the rescue.
//!
//! Nothing that is there is touched but versions of manifests that do not read, so it may be run again after it was cut
//! off, and on a bucket that has lost only a part. Manifests come last and in the order of their versions: until one is there, nobody
//! refers to what was restored before it.

use serde::Serialize;

use super::scope::is_version;
use crate::{Bucket, ObjectInfo, StorageError, manifest};

/// Largest object that is written in one piece.
const WHOLE_BYTES: u64 = 8 << 20;

/// What a restoration did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Objects that were missing, and versions of manifests that were damaged.
    pub copied: u64,
    /// Objects that were there.
    pub kept: u64,
    /// Bytes of the objects that were copied.
    pub bytes: u64,
}

/// Copies into `home` what the rescue has of the bucket of that name and `home` lacks, and sound copies of manifests
/// that are damaged there; with `dry_run` only
/// counts it. `rescue` is the whole rescue bucket.
///
/// # Errors
/// What reading the rescue or writing the home has failed with; what was restored until then stays.
pub async fn restore(
    rescue: &Bucket,
    home: &Bucket,
    dry_run: bool,
) -> Result<Restored, StorageError> {
    let copies = rescue.within(home.name().as_str())?;
    let home = home.without_rescue();
    let mut done = Restored::default();
    for object in in_order(copies.list("").await?) {
        let ObjectInfo { path, size, .. } = &object;
        let is_copied = match home.exists(path).await? {
            true => mend(&copies, &home, path, dry_run).await?,
            false => dry_run || put(&copies, &home, &object).await?,
        };
        if is_copied {
            done.copied += 1;
            done.bytes += size;
        } else {
            done.kept += 1;
        }
    }
    Ok(done)
}

/// Copies an object that was not there; whether it was still not there then.
async fn put(copies: &Bucket, home: &Bucket, object: &ObjectInfo) -> Result<bool, StorageError> {
    if object.size > WHOLE_BYTES {
        // Uploads in parts know no condition. Large objects have unique names.
        return copies.copy_to(&object.path, home).await.map(|_| true);
    }
    let bytes = copies.get(&object.path).await?;
    match home.put_new(&object.path, bytes).await {
        Ok(()) => Ok(true),
        Err(StorageError::Exists { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts the copy of a version of a manifest in the place of one that does not read; whether that was, or is to be, done.
async fn mend(
    copies: &Bucket,
    home: &Bucket,
    path: &str,
    dry_run: bool,
) -> Result<bool, StorageError> {
    if !is_version(path) || manifest::is_sound(&home.get(path).await?) {
        return Ok(false);
    }
    let copy = copies.get(path).await?;
    let is_sound = manifest::is_sound(&copy);
    if is_sound && !dry_run {
        home.put(path, copy).await?;
    }
    Ok(is_sound)
}

/// By path, manifests last.
fn in_order(mut objects: Vec<ObjectInfo>) -> Vec<ObjectInfo> {
    objects.sort_by_cached_key(|object| (is_manifest(&object.path), object.path.clone()));
    objects
}

fn is_manifest(path: &str) -> bool {
    path.contains("/manifest/")
}
