//! A small versioned document that several writers may change: one wins, nobody's change is lost.
//!
//! Version `n` is the object `{prefix}/{n, 20 digits}.json`, written once by a conditional create; the
//! greatest version is the document. Its bytes are one JSON object:
//!
//! ```text
//! {"format":"boathouse/manifest","format_version":1,"version":7,"commit":"<uuid>","value":{...}}
//! ```
//!
//! `commit` tells a writer whose request was repeated by the network that the object it met is its own.
//! A version may only be created on top of the one before: after the create, that one must still be
//! there. Otherwise the writer's knowledge was so old that the versions since were pruned, and its
//! create met a free name; it withdraws. This is why [`Manifest::prune`] keeps at least [`MIN_KEPT`].
//! A crash after any step leaves the old version or the new one, whole.
//!
//! A version that does not read, because its bytes were altered, is taken from its copy in the rescue, which is put in its
//! place: a version is written once, so its copy is what it was. While the rescue does not answer, nobody goes back to an
//! earlier version, nor is told to.

use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Bucket, StorageError, id, path::trimmed};

/// Versions that pruning always keeps: more than can be committed while one commit is on its way.
pub const MIN_KEPT: usize = 8;

const FORMAT: &str = "boathouse/manifest";
const FORMAT_VERSION: u64 = 1;
/// Digits of the greatest `u64`, so that names sort like numbers.
const DIGITS: usize = 20;
/// What to do about a version that is damaged for good.
const NO_COPY: &str = "`rescue` shows no sound copy of it; put it back from a backup, or delete it";
/// How often a listed version may be gone before reading gives up.
const READ_ATTEMPTS: usize = 16;

/// The document under a prefix of a bucket.
///
/// ```
/// use boathouse_storage::{Bucket, Manifest, StorageError};
/// use boathouse_types::BucketName;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), StorageError> {
/// let bucket = Bucket::memory(BucketName::primary());
/// let fleet = Manifest::<Vec<String>>::new(bucket, "fleet/manifest");
///
/// assert_eq!(fleet.load().await?, None);
/// fleet.commit(0, &vec!["Ada".to_owned()]).await?;
///
/// // Two writers know version 1: the first commit on top of it wins, the other one starts over.
/// let known = fleet.load().await?.expect("committed above");
/// fleet.commit(known.version, &vec!["Ada".to_owned(), "Bea".to_owned()]).await?;
/// let late = fleet.commit(known.version, &vec!["Ada".to_owned(), "Cleo".to_owned()]).await;
/// assert!(matches!(late, Err(StorageError::Conflict { expected: 1, .. })));
/// assert_eq!(fleet.load().await?.expect("still there").version, 2);
/// # Ok(())
/// # }
/// ```
pub struct Manifest<T> {
    bucket: Bucket,
    prefix: String,
    document: PhantomData<fn(T) -> T>,
}

/// A document and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The version, from 1.
    pub version: u64,
    /// The document.
    pub value: T,
}

impl<T: Serialize + DeserializeOwned> Manifest<T> {
    /// The manifest under `prefix`; touches nothing.
    #[must_use]
    pub fn new(bucket: Bucket, prefix: impl Into<String>) -> Self {
        Self {
            bucket,
            prefix: trimmed(&prefix.into()),
            document: PhantomData,
        }
    }

    /// The same manifest, read from its bucket alone. For decisions: a copy in the rescue may be older.
    #[must_use]
    pub fn without_rescue(&self) -> Self {
        Self {
            bucket: self.bucket.without_rescue(),
            ..self.clone()
        }
    }

    /// The newest version, or none when nothing was ever committed.
    ///
    /// # Errors
    /// [`StorageError::NewerFormat`], [`StorageError::Damaged`], [`StorageError::Contended`],
    /// [`StorageError::Unavailable`].
    pub async fn load(&self) -> Result<Option<Versioned<T>>, StorageError> {
        for _ in 0..READ_ATTEMPTS {
            let Some(version) = versions(&self.bucket, &self.prefix).await?.pop() else {
                return Ok(None);
            };
            let path = self.path(version);
            match self.bucket.get(&path).await {
                Ok(bytes) => {
                    let value = match decode(&path, &bytes) {
                        Err(StorageError::Damaged { reason, .. }) => {
                            self.mended(version, &reason).await?
                        }
                        decoded => decoded?,
                    };
                    return Ok(Some(Versioned { version, value }));
                }
                // Pruned between the listing and the read: there is a newer one.
                Err(StorageError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StorageError::Contended {
            path: self.prefix.clone(),
        })
    }

    /// The number of the newest version (0: there is none), and the newest document that reads, there or in the rescue.
    /// For documents that had better go on from what was known a moment before than not at all, where [`Self::load`] says
    /// that the newest is damaged.
    ///
    /// # Errors
    /// [`StorageError::NewerFormat`], [`StorageError::Unavailable`], also of the rescue when a version does not read.
    pub async fn newest_sound(&self) -> Result<(u64, Option<T>), StorageError> {
        let mut versions = versions(&self.bucket, &self.prefix).await?;
        let newest = versions.last().copied().unwrap_or(0);
        while let Some(version) = versions.pop() {
            let path = self.path(version);
            let bytes = self.bucket.get(&path).await;
            match bytes.and_then(|bytes| decode(&path, &bytes)) {
                Ok(value) => return Ok((newest, Some(value))),
                Err(StorageError::Damaged { .. }) => {
                    if let Some((value, _)) = self.sound_copy(&path).await? {
                        return Ok((newest, Some(value)));
                    }
                }
                Err(StorageError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((newest, None))
    }

    /// Makes `value` the version after `expected` (0: there is none yet) and returns that version.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when somebody else was first: nothing was changed. Any other error
    /// leaves open whether the commit happened; load to find out.
    pub async fn commit(&self, expected: u64, value: &T) -> Result<u64, StorageError> {
        let version = expected
            .checked_add(1)
            .ok_or_else(|| self.conflict(expected))?;
        // What is there decides, not what the rescue remembers.
        let bucket = self.bucket.without_rescue();
        let path = self.path(version);
        let commit = id::nonce().to_string();
        let bytes = serde_json::to_vec(&Envelope {
            format: FORMAT,
            format_version: FORMAT_VERSION,
            version,
            commit: &commit,
            value,
        })?;
        match bucket.put_new(&path, Bytes::from(bytes)).await {
            Ok(()) => {}
            Err(StorageError::Exists { .. }) if is_own(&bucket, &path, &commit).await? => {}
            Err(StorageError::Exists { .. }) => return Err(self.conflict(expected)),
            Err(error) => return Err(error),
        }
        if expected > 0 && !bucket.exists(&self.path(expected)).await? {
            bucket.delete(&path).await?;
            return Err(self.conflict(expected));
        }
        Ok(version)
    }

    /// Deletes all but the newest `keep` versions (at least [`MIN_KEPT`]), oldest first, and returns how
    /// many went.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]; what was deleted until then stays so.
    pub async fn prune(&self, keep: usize) -> Result<usize, StorageError> {
        let bucket = self.bucket.without_rescue();
        let versions = versions(&bucket, &self.prefix).await?;
        let surplus = versions.len().saturating_sub(keep.max(MIN_KEPT));
        for version in &versions[..surplus] {
            bucket.delete(&self.path(*version)).await?;
        }
        Ok(surplus)
    }

    /// A version that does not read, from its copy, which is put in its place.
    async fn mended(&self, version: u64, reason: &str) -> Result<T, StorageError> {
        let (bucket, path) = (self.bucket.name(), self.path(version));
        let (value, bytes) = match self.sound_copy(&path).await {
            Ok(Some(sound)) => sound,
            Err(error @ StorageError::NewerFormat { .. }) => return Err(error),
            other => {
                tracing::debug!(%bucket, path, reason, "a version of a manifest does not read");
                return Err(self.damaged(version, other.is_ok()));
            }
        };
        tracing::warn!(%bucket, path, reason, "a damaged manifest is read from its copy in `rescue`, which goes in its place");
        if let Err(error) = self.bucket.put(&path, bytes).await {
            tracing::warn!(%bucket, path, %error, "the copy could not be put in the place of a damaged manifest");
        }
        Ok(value)
    }

    /// The copy of a version that does not read; none where the rescue has no sound one.
    async fn sound_copy(&self, path: &str) -> Result<Option<(T, Bytes)>, StorageError> {
        let Some(bytes) = self.bucket.copied(path).await? else {
            return Ok(None);
        };
        match decode(path, &bytes) {
            Ok(value) => Ok(Some((value, bytes))),
            Err(StorageError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A version that is damaged, and what to do about it. It is not to be deleted before the rescue was `asked`.
    fn damaged(&self, version: u64, asked: bool) -> StorageError {
        let cure = match version.saturating_sub(1) {
            _ if !asked => {
                "`rescue`, which may have a sound copy of it, does not answer; try again when it does"
                    .to_owned()
            }
            0 => format!("{NO_COPY}: then what it tells of is gone"),
            before => format!("{NO_COPY}: then version {before} holds again"),
        };
        let bucket = self.bucket.name();
        StorageError::Damaged {
            path: self.path(version),
            reason: format!("it lies in bucket `{bucket}`, and {cure}"),
        }
    }

    fn path(&self, version: u64) -> String {
        format!("{}/{version:0DIGITS$}.json", self.prefix)
    }

    fn conflict(&self, expected: u64) -> StorageError {
        StorageError::Conflict {
            prefix: self.prefix.clone(),
            expected,
        }
    }
}

impl<T> Clone for Manifest<T> {
    fn clone(&self) -> Self {
        Self {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            document: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Manifest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("bucket", self.bucket.name())
            .field("prefix", &self.prefix)
            .finish()
    }
}

/// The versions that are there, ascending.
async fn versions(bucket: &Bucket, prefix: &str) -> Result<Vec<u64>, StorageError> {
    let objects = bucket.list(prefix).await?;
    Ok(objects
        .iter()
        .filter_map(|object| parse_name(object.path.strip_prefix(prefix)?))
        .collect())
}

/// Whether the object is the one that this very commit wrote.
async fn is_own(bucket: &Bucket, path: &str, commit: &str) -> Result<bool, StorageError> {
    #[derive(Deserialize)]
    struct Commit {
        commit: String,
    }
    match bucket.get(path).await {
        Ok(bytes) => {
            Ok(serde_json::from_slice::<Commit>(&bytes).is_ok_and(|found| found.commit == commit))
        }
        Err(StorageError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    format: &'a str,
    format_version: u64,
    version: u64,
    commit: &'a str,
    value: &'a T,
}

/// `/00000000000000000007.json` is 7; other objects below the prefix are not versions.
fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix('/')?.strip_suffix(".json")?;
    let proper = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    proper.then(|| digits.parse().ok()).flatten()
}

/// What every version begins with.
#[derive(Deserialize)]
struct Header {
    format: String,
    format_version: u64,
}

/// Whether bytes are a version of a manifest, of whatever document and of whatever program.
pub(crate) fn is_sound(bytes: &[u8]) -> bool {
    let found = decode::<Value>("", bytes);
    matches!(found, Ok(_) | Err(StorageError::NewerFormat { .. }))
}

/// The value in the envelope. The format is looked at first: a newer one may have another shape.
fn decode<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, StorageError> {
    #[derive(Deserialize)]
    struct Body<T> {
        value: T,
    }
    let damaged = |reason: String| StorageError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let header: Header = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
    if header.format != FORMAT {
        return Err(damaged(format!("it is not a `{FORMAT}`")));
    }
    if header.format_version > FORMAT_VERSION {
        return Err(StorageError::NewerFormat {
            path: path.to_owned(),
            format: FORMAT,
            found: header.format_version,
            supported: FORMAT_VERSION,
        });
    }
    let body: Body<T> = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
    Ok(body.value)
}

#[cfg(test)]
mod tests;
