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
use boathouse_types::IndexName;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Deletion, fetch, objects::DELETIONS};
use crate::problem::Problem;

const FORMAT: &str = "boathouse/tombstones";
const VERSION: u64 = 1;

/// All tombstones of an index, in the order in which they were stored. What is known is shared and never copied: a
/// deletion costs what it deletes.
#[derive(Debug, Clone, Default)]
pub(super) struct Tombstones {
    layers: Vec<Arc<Layer>>,
    /// Ids of all layers, each counted once.
    ids: usize,
}

/// What one object holds.
#[derive(Debug)]
struct Layer {
    /// Where the object lies.
    path: String,
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
    /// Those that these objects of an index hold. `known` are some that were read before, which are not read again.
    ///
    /// # Errors
    /// When the bucket fails or an object is newer, or gone or not the one that its digest tells of, and its copy in
    /// rescue as well.
    pub(super) async fn load(
        known: &Arc<Self>,
        bucket: &Bucket,
        index: &IndexName,
        objects: &[Deletion],
    ) -> Result<Arc<Self>, Problem> {
        if known.are(objects) {
            return Ok(Arc::clone(known));
        }
        let mut all = match known.begin(objects) {
            true => Self::clone(known),
            false => Self::default(),
        };
        let mut layers = Vec::new();
        for object in &objects[all.layers.len()..] {
            let (place, named) = ((bucket, object.path.as_str()), object.clone());
            let read =
                move |bytes: Bytes| Layer::read(&named, &bytes).map_err(fetch::Unusable::Storage);
            layers.push(fetch::read((&DELETIONS, index), place, read).await?);
        }
        let added = tokio::task::spawn_blocking(move || {
            layers.into_iter().for_each(|layer| all.add(layer));
            Arc::new(all)
        });
        added.await.map_err(|error| Problem::internal(&error))
    }

    /// Whether they are what these objects hold, and nothing else.
    pub(super) fn are(&self, objects: &[Deletion]) -> bool {
        self.layers.len() == objects.len() && self.begin(objects)
    }

    /// Whether they are what the first of these objects hold.
    fn begin(&self, objects: &[Deletion]) -> bool {
        let own = self.layers.iter().map(|layer| &layer.path);
        let paths = objects.iter().map(|object| &object.path);
        self.layers.len() <= objects.len() && own.zip(paths).all(|(a, b)| a == b)
    }

    fn add(&mut self, layer: Layer) {
        let fresh = layer.below.keys().filter(|id| self.below(id).is_none());
        self.ids += fresh.count();
        self.layers.push(Arc::new(layer));
    }

    /// The document of these ids, deleted when the index covered so many rows; together with all that are here, if
    /// `together`. Without ids, of those that are here.
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
            for (id, below) in self.joined() {
                groups.entry(below).or_default().push(id.to_owned());
            }
        }
        if !ids.is_empty() {
            groups.entry(below).or_default().extend_from_slice(ids);
        }
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

    /// All layers as one.
    fn joined(&self) -> HashMap<&str, u64> {
        let mut all: HashMap<&str, u64> = HashMap::with_capacity(self.ids);
        for (id, below) in self.layers.iter().flat_map(|layer| &layer.below) {
            let known = all.entry(id).or_default();
            *known = (*below).max(*known);
        }
        all
    }

    /// The row from which on documents of this id are not hidden; none when it was never deleted.
    pub(super) fn below(&self, id: &str) -> Option<u64> {
        let known = self.layers.iter().filter_map(|layer| layer.below.get(id));
        known.max().copied()
    }

    /// Whether a row with this id is hidden.
    pub(super) fn hide(&self, id: &str, row: u64) -> bool {
        self.below(id).is_some_and(|below| row < below)
    }

    /// Ids that were deleted, those that are back among them.
    pub(super) fn len(&self) -> usize {
        self.ids
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids == 0
    }
}

impl Layer {
    /// What an object holds, which must be the one that the manifest names: a document in which a digit or a letter was
    /// altered is a document all the same, of other rows.
    fn read(object: &Deletion, bytes: &[u8]) -> Result<Self, StorageError> {
        let damaged = |reason: String| StorageError::Damaged {
            path: object.path.clone(),
            reason,
        };
        let digest = format!("{:x}", Sha256::digest(bytes));
        if !digest.starts_with(&object.digest) {
            let reason = "its bytes are not those that the manifest names";
            return Err(damaged(reason.to_owned()));
        }
        let head: Head =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if head.format != FORMAT {
            return Err(damaged(format!("it is not in the format {FORMAT}")));
        }
        if head.format_version > VERSION {
            return Err(StorageError::NewerFormat {
                path: object.path.clone(),
                format: FORMAT,
                found: head.format_version,
                supported: VERSION,
            });
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        let mut below = HashMap::new();
        for group in document.deleted {
            for id in group.ids {
                let known: &mut u64 = below.entry(id.into_boxed_str()).or_default();
                *known = group.below.max(*known);
            }
        }
        let path = object.path.clone();
        Ok(Self { path, below })
    }
}

#[cfg(test)]
mod tests {
    use boathouse_types::BucketName;

    use super::*;

    fn name() -> IndexName {
        IndexName::new("papers").unwrap()
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    /// Stores a document, and what a manifest says of it.
    async fn put(bucket: &Bucket, path: &str, bytes: Bytes) -> Deletion {
        let digest = format!("{:x}", Sha256::digest(&bytes));
        bucket.put(path, bytes).await.unwrap();
        Deletion {
            path: path.to_owned(),
            digest: digest[..16].to_owned(),
            ids: 0,
            bytes: None,
        }
    }

    /// Stores the tombstones of some ids.
    async fn bury(bucket: &Bucket, path: &str, gone: &[&str], below: u64) -> Deletion {
        let document = Tombstones::default().document(&ids(gone), below, false);
        put(bucket, path, document.unwrap()).await
    }

    async fn load(
        known: &Arc<Tombstones>,
        bucket: &Bucket,
        objects: &[&Deletion],
    ) -> Result<Arc<Tombstones>, Problem> {
        let objects: Vec<Deletion> = objects.iter().map(|one| (*one).clone()).collect();
        Tombstones::load(known, bucket, &name(), &objects).await
    }

    #[tokio::test]
    async fn a_tombstone_hides_rows_of_before_and_none_of_after() {
        let (bucket, none) = (Bucket::memory(BucketName::primary()), Arc::default());
        let first = bury(&bucket, "1", &["a", "b"], 10).await;
        let one = load(&none, &bucket, &[&first]).await.unwrap();
        assert_eq!(
            [one.hide("a", 9), one.hide("a", 10), one.hide("c", 0)],
            [true, false, false]
        );
        assert_eq!((one.len(), one.below("b")), (2, Some(10)));

        let second = bury(&bucket, "2", &["a"], 20).await;
        let both = load(&none, &bucket, &[&first, &second]).await.unwrap();
        assert_eq!(
            (both.len(), both.below("a"), both.below("b")),
            (2, Some(20), Some(10))
        );

        let together = both.document(&ids(&["c"]), 15, true).unwrap();
        let together = put(&bucket, "3", together).await;
        let all = load(&none, &bucket, &[&together]).await.unwrap();
        let below = ["a", "b", "c"].map(|id| all.below(id));
        assert_eq!(below, [Some(20), Some(10), Some(15)]);
        assert_eq!(all.len(), 3);
    }

    #[tokio::test]
    async fn what_is_known_is_neither_read_again_nor_copied() {
        let bucket = Bucket::memory(BucketName::primary());
        let first = bury(&bucket, "1", &["a"], 1).await;
        let second = bury(&bucket, "2", &["b"], 2).await;
        let known = load(&Arc::default(), &bucket, &[&first]).await.unwrap();
        bucket.delete("1").await.unwrap();
        let again = load(&known, &bucket, &[&first]).await.unwrap();
        assert!(Arc::ptr_eq(&again, &known));
        let both = load(&known, &bucket, &[&first, &second]).await.unwrap();
        assert_eq!(both.len(), 2);
        assert!(Arc::ptr_eq(&both.layers[0], &known.layers[0]));
        // Not what is known begins with: all is read.
        assert_eq!(load(&known, &bucket, &[&second]).await.unwrap().len(), 1);
        assert!(load(&known, &bucket, &[]).await.unwrap().is_empty());
        let gone = load(&known, &bucket, &[&second, &first]).await.unwrap_err();
        assert_eq!(gone.code, "damaged_object");
        for word in ["papers", "`1` of bucket `primary` is gone", "`rescue`"] {
            assert!(gone.detail.contains(word), "{word}: {}", gone.detail);
        }
    }

    #[tokio::test]
    async fn one_altered_byte_is_refused_though_it_is_a_document_still() {
        let bucket = Bucket::memory(BucketName::primary());
        let object = bury(&bucket, "x", &["doc-17"], 3100).await;
        let sound = bucket.get("x").await.unwrap();
        let text = String::from_utf8(sound.to_vec()).unwrap();
        for (from, to) in [("3100", "2100"), ("doc-17", "doc-19")] {
            let altered = Bytes::from(text.replace(from, to));
            assert_eq!(altered.len(), sound.len());
            bucket.put("x", altered).await.unwrap();
            let refused = load(&Arc::default(), &bucket, &[&object]).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.code, "damaged_object", "{from}");
            assert!(
                refused
                    .detail
                    .contains("`x` of bucket `primary` is damaged"),
                "{}",
                refused.detail
            );
        }
        bucket.put("x", sound).await.unwrap();
        let sound = load(&Arc::default(), &bucket, &[&object]).await.unwrap();
        assert_eq!(sound.below("doc-17"), Some(3100));
    }

    #[tokio::test]
    async fn what_is_no_document_or_newer_is_refused_by_name() {
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
            let object = put(&bucket, "x", Bytes::from(text)).await;
            let refused = load(&Arc::default(), &bucket, &[&object]).await;
            let refused = refused.unwrap_err();
            assert!(refused.detail.contains(word), "{text}: {}", refused.detail);
        }
    }
}
