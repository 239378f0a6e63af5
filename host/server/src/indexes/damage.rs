//! Objects of an index in service that are gone, of another length or altered in its bucket.
//!
//! An index that serves from memory or from local files notices nothing of what becomes of its objects. The next host
//! does, and so does this one once it has lost these files. So listings tell from time to time whether all objects that
//! the manifest names are there, as long as they were written ([`LiveIndex::look_at_objects`]). That bytes were altered is
//! found by whoever reads them: a merge, a migration, and a refresh, which reads them all ([`LiveIndex::examine`]).
//!
//! What was found is told by the log, by a metric and by `GET /readyz`, until another look does not find it any more. A
//! refresh makes it good (`append/merge/mend.rs`).
//!
//! Absent here: the objects of a Lance table. The index does without it: what is inside is Lance's affair, the graph answers
//! when it cannot be read, and the next change of rows lets go of one that is lost (`lance/follow.rs`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use boathouse_storage::{Bucket, StorageError};
use boathouse_types::BucketName;
use boathouse_vector::table::VectorTable;

use super::{Indexes, LiveIndex, frozen, standing::Found};
use crate::problem::Problem;

/// Objects that a message names.
const NAMED: usize = 3;

/// What is wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not there.
    Gone,
    /// It has not as many bytes as were written.
    Length {
        /// Those that it has.
        found: u64,
        /// Those that were written.
        written: u64,
    },
    /// Its bytes are not those that the manifest names.
    Altered,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("is gone"),
            Self::Length { found, written } => {
                write!(f, "has {found} bytes of the {written} that were written")
            }
            Self::Altered => f.write_str("was altered"),
        }
    }
}

/// Faults by the paths of their objects.
pub(super) type Faults = BTreeMap<String, Fault>;

impl Indexes {
    /// Looks at the objects of all indexes that serve from a bucket, and again at promotions that were damaged. What a bucket that does not answer has is as it was
    /// found.
    pub(crate) async fn look_at_objects(&self, bucket: &BucketName) {
        let indexes = self.list().into_iter();
        for index in indexes.filter(|index| index.meta.bucket == *bucket) {
            let name = &index.meta.name;
            if let Err(error) = index.look_at_objects().await {
                tracing::debug!(index = %name, %bucket, %error, "whether objects of an index are gone is not known");
            }
            if let Err(problem) = index.look_at_promotions().await {
                tracing::debug!(index = %name, %bucket, %problem, "damaged promotions are as they were");
            }
        }
    }
}

impl LiveIndex {
    /// What is wrong with its objects as far as somebody has found out, by path.
    #[must_use]
    pub(crate) fn faults(&self) -> Vec<(String, Fault)> {
        let named: BTreeSet<&str> = self.meta.objects().map(|(path, _)| path).collect();
        let noted = self.noted().into_iter();
        noted
            .filter(|(path, _)| named.contains(path.as_str()))
            .collect()
    }

    /// What is wrong with its objects, in words; none when nothing is known to be.
    #[must_use]
    pub(crate) fn complaint(&self) -> Option<String> {
        let faults = self.faults();
        let shown = faults.iter().take(NAMED);
        let shown: Vec<String> = shown
            .map(|(path, fault)| format!("`{path}` {fault}"))
            .collect();
        let more = match faults.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(", and {more} more are gone or damaged"),
        };
        let (name, bucket) = (&self.meta.name, &self.meta.bucket);
        (!faults.is_empty()).then(|| {
            format!(
                "objects of it in bucket `{bucket}` are gone or damaged, and it serves from what this host has of them: {}{more}; `POST /vectors/indexes/{name}/refresh` (`boathouse index refresh {name}`) makes them good",
                shown.join(", ")
            )
        })
    }

    /// Looks whether all objects that its manifest names are there, as long as they were written. One that was found
    /// altered is read again.
    ///
    /// # Errors
    /// When the bucket fails; what was found before stands then.
    pub(crate) async fn look_at_objects(&self) -> Result<(), StorageError> {
        let bucket = self.bucket().without_rescue();
        let sizes = self.sizes(&bucket).await?;
        let (mut found, noted) = (Faults::new(), self.noted());
        let objects = self.meta.objects().zip(self.meta.object_bytes());
        for ((path, digest), (_, written)) in objects {
            let fault = match sizes.get(path) {
                None => Some(Fault::Gone),
                Some(&size) => match written.filter(|written| *written != size) {
                    Some(written) => Some(Fault::Length {
                        found: size,
                        written,
                    }),
                    None if noted.get(path) == Some(&Fault::Altered) => {
                        fault(&bucket, path, digest).await?
                    }
                    None => None,
                },
            };
            found.extend(fault.map(|fault| (path.to_owned(), fault)));
        }
        if !found.is_empty() {
            let named = self.named_at_home().await?;
            found.retain(|path, _| named.contains(path));
        }
        self.note(found);
        Ok(())
    }

    /// Reads all objects that its manifest names and compares them with their digests; gives what is wrong.
    ///
    /// # Errors
    /// When the bucket fails.
    pub(super) async fn examine(&self) -> Result<Faults, StorageError> {
        let bucket = self.bucket().without_rescue();
        let mut found = Faults::new();
        for (path, digest) in self.meta.objects() {
            let fault = fault(&bucket, path, digest).await?;
            found.extend(fault.map(|fault| (path.to_owned(), fault)));
        }
        self.note(found.clone());
        Ok(found)
    }

    /// The vectors of an object that its manifest names, as [`frozen::stored`] gives them. What is damaged is noted.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn stored(&self, named: (&str, &str)) -> Result<VectorTable, Problem> {
        let stored = frozen::stored((self.bucket(), &self.meta.name), named).await;
        if stored
            .as_ref()
            .is_err_and(|problem| problem.code == "damaged_object")
        {
            let mut noted = self.noted();
            noted.entry(named.0.to_owned()).or_insert(Fault::Altered);
            self.note(noted);
        }
        stored
    }

    /// Keeps what is wrong with its objects, and tells what was not known.
    pub(super) fn note(&self, found: Faults) {
        let before = self.replace_faults(found.clone());
        let (index, bucket) = (&self.meta.name, &self.meta.bucket);
        for (path, fault) in &found {
            if before.get(path) != Some(fault) {
                tracing::error!(%index, %bucket, path, %fault, "an object of an index in service is gone or damaged; a refresh makes it good");
            }
        }
        for path in before.keys().filter(|path| !found.contains_key(*path)) {
            tracing::info!(%index, %bucket, path, "an object of an index that was gone or damaged is so no more");
        }
    }

    /// Bytes of all objects in the folders of those that its manifest names.
    async fn sizes(&self, bucket: &Bucket) -> Result<HashMap<String, u64>, StorageError> {
        let folder =
            |(path, _): (&str, &str)| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let folders: BTreeSet<String> = self.meta.objects().filter_map(folder).collect();
        let mut sizes = HashMap::new();
        for folder in folders {
            let listed = bucket.list(&folder).await?.into_iter();
            sizes.extend(listed.map(|object| (object.path, object.size)));
        }
        Ok(sizes)
    }

    /// Paths of the objects that its manifest names by the word of its home: another host may have made a new base, and
    /// the objects of the one before be gone since. None when it is not there any more.
    async fn named_at_home(&self) -> Result<BTreeSet<String>, StorageError> {
        let home = Found::confirm(self.bucket(), &self.meta.name).await?;
        let home = home.filter(|home| !home.meta.deleted && home.meta.is_same_index(&self.meta));
        let paths = |home: Found| {
            let objects = home.meta.objects();
            objects.map(|(path, _)| path.to_owned()).collect()
        };
        Ok(home.map(paths).unwrap_or_default())
    }
}

/// What is wrong with an object whose digest must begin like this.
async fn fault(bucket: &Bucket, path: &str, digest: &str) -> Result<Option<Fault>, StorageError> {
    match bucket.digest(path).await {
        Ok(found) => {
            let digits: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok((!digits.starts_with(digest)).then_some(Fault::Altered))
        }
        Err(StorageError::NotFound { .. }) => Ok(Some(Fault::Gone)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{build, memory, name, opened},
        *,
    };

    async fn index(bucket: &Bucket) -> std::sync::Arc<LiveIndex> {
        build(bucket, "first").await;
        opened(&[bucket]).await.get(name().as_str()).unwrap()
    }

    fn base(index: &LiveIndex) -> String {
        index.meta.vectors_path.clone()
    }

    #[tokio::test]
    async fn objects_that_are_gone_or_cut_short_are_found_in_listings_until_they_are_back() {
        let bucket = memory("primary");
        let index = index(&bucket).await;
        let (path, tail) = (base(&index), index.meta.segments()[0].path.clone());
        index.look_at_objects().await.unwrap();
        assert_eq!((index.faults(), index.complaint()), (vec![], None));
        let sound = bucket.get(&path).await.unwrap();
        bucket.put(&path, sound.slice(..9)).await.unwrap();
        bucket.delete(&tail).await.unwrap();
        index.look_at_objects().await.unwrap();
        let cut = Fault::Length {
            found: 9,
            written: sound.len() as u64,
        };
        let mut expected = [(path.clone(), cut), (tail.clone(), Fault::Gone)];
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(index.faults(), expected);
        let told = index.complaint().unwrap();
        for word in [path.as_str(), tail.as_str(), "is gone", "has 9 bytes"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        bucket.put(&path, sound).await.unwrap();
        index.look_at_objects().await.unwrap();
        assert_eq!(index.faults(), [(tail, Fault::Gone)]);
    }

    #[tokio::test]
    async fn altered_bytes_are_found_by_who_reads_them_and_stand_until_they_are_sound() {
        let bucket = memory("primary");
        let index = index(&bucket).await;
        let path = base(&index);
        let sound = bucket.get(&path).await.unwrap();
        let mut altered = sound.to_vec();
        altered[100] ^= 1;
        bucket.put(&path, altered.into()).await.unwrap();
        index.look_at_objects().await.unwrap();
        assert_eq!(index.faults(), [], "a listing does not show it");
        let expected = [(path.clone(), Fault::Altered)];
        let digest = index.meta.data_version.clone();
        index.stored((&path, &digest)).await.unwrap_err();
        assert_eq!(index.faults(), expected);
        index.note(Faults::new());
        index.examine().await.unwrap();
        index.look_at_objects().await.unwrap();
        assert_eq!(index.faults(), expected);
        bucket.put(&path, sound).await.unwrap();
        index.look_at_objects().await.unwrap();
        assert_eq!(index.faults(), []);
    }

    #[tokio::test]
    async fn objects_that_the_manifest_names_no_more_are_not_missed() {
        let bucket = memory("primary");
        let index = index(&bucket).await;
        let found = Found::confirm(&bucket, &name()).await.unwrap().unwrap();
        let next = crate::indexes::IndexMeta {
            vectors_path: "indexes/papers/vectors/other.parquet".to_owned(),
            first_vectors_path: Some(found.meta.first_vectors().to_owned()),
            ..found.meta.clone()
        };
        found.replace(&next).await.unwrap();
        bucket.delete(&base(&index)).await.unwrap();
        index.look_at_objects().await.unwrap();
        assert_eq!(index.faults(), [], "another host has made a new base");
    }
}
