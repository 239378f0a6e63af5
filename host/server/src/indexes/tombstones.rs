//! Which documents of an index were deleted, and as of when.
//!
//! A tombstone is the id of a document and a number of rows: rows of the dataset below that number which have the id are
//! hidden, later ones are not. So a document that is appended again after it was deleted is back, and a base that is made
//! anew of the same rows hides what the old one hid. Once the rows of the dataset were replaced tombstones mean
//! nothing any more; the refresh that follows the replacement drops them.
//!
//! They lie beside the vectors, each deletion as one object that the manifest names; when there are several, the next
//! one puts all together. A document is an object in the format `boathouse/tombstones`:
//!
//! ```text
//! {"format": "boathouse/tombstones", "format_version": 1, "deleted": [{"below": 3100, "ids": ["a", "b"]}]}
//! ```
//!
//! Of several tombstones of one id the greatest number counts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use boathouse_storage::{Bucket, StorageError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Deletion;
use crate::problem::Problem;

const FORMAT: &str = "boathouse/tombstones";
const VERSION: u64 = 1;

/// All tombstones of an index.
#[derive(Debug, Clone, Default)]
pub(super) struct Tombstones {
    /// The objects that they were read from.
    paths: Vec<String>,
    /// For each id the row from which on it is not hidden.
    below: HashMap<Box<str>, u64>,
}

/// The object that holds some.
#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    format_version: u64,
    deleted: Vec<Group>,
}

/// What was deleted at one time.
#[derive(Serialize, Deserialize)]
struct Group {
    below: u64,
    ids: Vec<String>,
}

/// What of a document is told before the rest is looked at.
#[derive(Deserialize)]
struct Head {
    format: String,
    format_version: u64,
}

impl Tombstones {
    /// Those that these objects hold. `known` are some that were read before, which are not read again.
    ///
    /// # Errors
    /// When the bucket fails or an object is damaged or newer.
    pub(super) async fn load(
        known: &Arc<Self>,
        bucket: &Bucket,
        objects: &[Deletion],
    ) -> Result<Arc<Self>, Problem> {
        let paths: Vec<&str> = objects.iter().map(|one| one.path.as_str()).collect();
        if known.paths.iter().eq(&paths) {
            return Ok(Arc::clone(known));
        }
        let mut all = match paths
            .iter()
            .zip(&known.paths)
            .all(|(a, b)| *a == b.as_str())
        {
            true if known.paths.len() < paths.len() => Self::clone(known),
            _ => Self::default(),
        };
        for object in &objects[all.paths.len()..] {
            all.read(&object.path, &bucket.get(&object.path).await?)?;
        }
        Ok(Arc::new(all))
    }

    fn read(&mut self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let damaged = |reason: String| StorageError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let head: Head =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if head.format != FORMAT {
            return Err(damaged(format!("it is not in the format {FORMAT}")));
        }
        if head.format_version > VERSION {
            return Err(StorageError::NewerFormat {
                path: path.to_owned(),
                format: FORMAT,
                found: head.format_version,
                supported: VERSION,
            });
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        for group in document.deleted {
            for id in group.ids {
                self.add(id, group.below);
            }
        }
        self.paths.push(path.to_owned());
        Ok(())
    }

    fn add(&mut self, id: String, below: u64) {
        let known = self.below.entry(id.into_boxed_str()).or_default();
        *known = below.max(*known);
    }

    /// The document of these ids, deleted when the index covered so many rows; together with all that are here, if
    /// `together`.
    ///
    /// # Errors
    /// None that can happen.
    pub(super) fn document(
        &self,
        ids: &[String],
        below: u64,
        together: bool,
    ) -> Result<Bytes, Problem> {
        let mut groups: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        if together {
            for (id, below) in &self.below {
                groups.entry(*below).or_default().push(id.to_string());
            }
        }
        groups.entry(below).or_default().extend_from_slice(ids);
        let deleted = groups.into_iter().map(|(below, mut ids)| {
            ids.sort_unstable();
            Group { below, ids }
        });
        let document = Document {
            format: FORMAT.to_owned(),
            format_version: VERSION,
            deleted: deleted.collect(),
        };
        let bytes = serde_json::to_vec(&document);
        bytes
            .map(Bytes::from)
            .map_err(|error| Problem::internal(&error))
    }

    /// The row from which on documents of this id are not hidden; none when it was never deleted.
    pub(super) fn below(&self, id: &str) -> Option<u64> {
        self.below.get(id).copied()
    }

    /// Whether a row with this id is hidden.
    pub(super) fn hide(&self, id: &str, row: u64) -> bool {
        self.below(id).is_some_and(|below| row < below)
    }

    /// Ids that were deleted, those that are back among them.
    pub(super) fn len(&self) -> usize {
        self.below.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;

    use super::*;

    fn object(path: &str) -> Deletion {
        Deletion {
            path: path.to_owned(),
            digest: String::new(),
            ids: 0,
        }
    }

    async fn load(bucket: &Bucket, paths: &[&str]) -> Result<Arc<Tombstones>, Problem> {
        let objects: Vec<Deletion> = paths.iter().map(|path| object(path)).collect();
        Tombstones::load(&Arc::default(), bucket, &objects).await
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_tombstone_hides_rows_of_before_and_none_of_after() {
        let bucket = Bucket::memory(BucketName::primary());
        let first = Tombstones::default()
            .document(&ids(&["a", "b"]), 10, false)
            .unwrap();
        bucket.put("1", first).await.unwrap();
        let one = load(&bucket, &["1"]).await.unwrap();
        assert_eq!(
            [one.hide("a", 9), one.hide("a", 10), one.hide("c", 0)],
            [true, false, false]
        );
        assert_eq!((one.len(), one.below("b")), (2, Some(10)));

        let second = one.document(&ids(&["a"]), 20, false).unwrap();
        bucket.put("2", second).await.unwrap();
        let both = load(&bucket, &["1", "2"]).await.unwrap();
        assert_eq!(
            (both.len(), both.below("a"), both.below("b")),
            (2, Some(20), Some(10))
        );

        let together = both.document(&ids(&["c"]), 15, true).unwrap();
        bucket.put("3", together).await.unwrap();
        let all = load(&bucket, &["3"]).await.unwrap();
        let below = ["a", "b", "c"].map(|id| all.below(id));
        assert_eq!(below, [Some(20), Some(10), Some(15)]);
    }

    #[tokio::test]
    async fn what_is_known_is_not_read_again() {
        let bucket = Bucket::memory(BucketName::primary());
        let first = Tombstones::default()
            .document(&ids(&["a"]), 1, false)
            .unwrap();
        bucket.put("1", first).await.unwrap();
        let known = load(&bucket, &["1"]).await.unwrap();
        bucket
            .put("2", known.document(&ids(&["b"]), 2, false).unwrap())
            .await
            .unwrap();
        bucket.delete("1").await.unwrap();
        let load = |paths: &[&str]| {
            let objects: Vec<Deletion> = paths.iter().map(|path| object(path)).collect();
            let (known, bucket) = (Arc::clone(&known), bucket.clone());
            async move { Tombstones::load(&known, &bucket, &objects).await }
        };
        assert!(Arc::ptr_eq(&load(&["1"]).await.unwrap(), &known));
        assert_eq!(load(&["1", "2"]).await.unwrap().len(), 2);
        // Not what is known begins with: all is read.
        assert_eq!(load(&["2"]).await.unwrap().len(), 1);
        assert!(load(&[]).await.unwrap().is_empty());
        assert!(load(&["2", "1"]).await.is_err());
    }

    #[tokio::test]
    async fn what_is_damaged_or_newer_is_refused_by_name() {
        let bucket = Bucket::memory(BucketName::primary());
        for (text, word) in [
            ("", "EOF"),
            ("{}", "format"),
            (
                r#"{"format": "boathouse/other", "format_version": 1, "deleted": []}"#,
                "boathouse/tombstones",
            ),
            (
                r#"{"format": "boathouse/tombstones", "format_version": 1, "deleted": [{"ids": []}]}"#,
                "below",
            ),
            (
                r#"{"format": "boathouse/tombstones", "format_version": 9}"#,
                "version 9",
            ),
        ] {
            bucket.put("x", Bytes::from(text)).await.unwrap();
            let refused = load(&bucket, &["x"]).await.unwrap_err();
            assert!(refused.detail.contains(word), "{text}: {}", refused.detail);
            bucket.delete("x").await.unwrap();
        }
    }
}
