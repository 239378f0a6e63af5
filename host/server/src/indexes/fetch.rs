//! Objects that a manifest names, read so that damage of one copy costs nothing.
//!
//! An object that is gone from the bucket of its index, or whose bytes are not those that were written, is read from its
//! copy in rescue, where there is one and it is sound; that goes in its place then, as it does with manifests and logs.
//! Whether bytes are sound is for the caller to say, by the digest in the manifest. A bucket that does not answer is no
//! damage: what may answer for it then is decided by the bucket's own view of its rescue.

use boathouse_storage::{Bucket, StorageError};
use boathouse_types::IndexName;
use boathouse_vector::VectorError;
use bytes::Bytes;

use super::objects::{Vital, unusable};
use crate::problem::{Problem, chain};

/// Why an object cannot be used.
pub(super) enum Unusable {
    /// It is not the one that the manifest names.
    Altered,
    /// It does not read.
    Vector(VectorError),
    /// It does not read, or a newer program wrote it.
    Storage(StorageError),
}

impl From<VectorError> for Unusable {
    fn from(error: VectorError) -> Self {
        Self::Vector(error)
    }
}

impl From<StorageError> for Unusable {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Unusable {
    /// Whether another copy may be sound: not where a newer program is needed.
    fn is_damage(&self) -> bool {
        let newer = matches!(
            self,
            Self::Vector(VectorError::NewerFormat { .. })
                | Self::Storage(StorageError::NewerFormat { .. })
        );
        !newer
    }

    /// The problem of an object of an index.
    fn of(self, kind: &Vital, index: &IndexName, (bucket, path): (&Bucket, &str)) -> Problem {
        let damaged = |reason| StorageError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let error = match self {
            Self::Vector(error @ VectorError::NewerFormat { .. }) => return error.into(),
            Self::Vector(error) => damaged(chain(&error)),
            Self::Storage(error) => error,
            Self::Altered => damaged("its bytes are not those that the manifest names".to_owned()),
        };
        unusable(kind, index, (bucket.name(), path), error)
    }
}

/// What `read` makes of an object of an index, or of its copy. It runs where it blocks nobody.
///
/// # Errors
/// The bucket fails; `damaged_object` where neither the object nor a copy of it can be used.
pub(super) async fn read<T: Send + 'static>(
    (kind, index): (&Vital, &IndexName),
    (bucket, path): (&Bucket, &str),
    read: impl Fn(Bytes) -> Result<T, Unusable> + Clone + Send + 'static,
) -> Result<T, Problem> {
    let why = match bucket.get(path).await {
        Ok(bytes) => match blocking(bytes, read.clone()).await? {
            Ok(found) => return Ok(found),
            Err(why) => why,
        },
        Err(error @ StorageError::NotFound { .. }) => error.into(),
        Err(error) => return Err(unusable(kind, index, (bucket.name(), path), error)),
    };
    let copy = match why.is_damage() {
        true => copied(bucket, path).await,
        false => None,
    };
    if let Some(copy) = copy
        && let Ok(found) = blocking(copy.clone(), read).await?
    {
        put_back(index, (bucket, path), copy).await;
        return Ok(found);
    }
    Err(why.of(kind, index, (bucket, path)))
}

/// The copy of an object in rescue; none where there is none, or rescue does not answer.
pub(super) async fn copied(bucket: &Bucket, path: &str) -> Option<Bytes> {
    match bucket.copies()?.get(path).await {
        Ok(copy) => Some(copy),
        Err(StorageError::NotFound { .. }) => None,
        Err(error) => {
            let bucket = bucket.name();
            tracing::warn!(%bucket, path, %error, "whether `rescue` has a sound copy of a damaged object is not known");
            None
        }
    }
}

/// Puts a sound copy in the place of an object; true when it is there.
pub(super) async fn put_back(
    index: &IndexName,
    (bucket, path): (&Bucket, &str),
    copy: Bytes,
) -> bool {
    let put = bucket.put(path, copy).await;
    let bucket = bucket.name();
    match &put {
        Ok(()) => {
            tracing::warn!(%index, %bucket, path, "an object that was damaged or gone is back from its copy in `rescue`");
        }
        Err(error) => {
            tracing::warn!(%index, %bucket, path, %error, "the copy of a damaged object could not be put in its place");
        }
    }
    put.is_ok()
}

async fn blocking<T: Send + 'static>(
    bytes: Bytes,
    read: impl Fn(Bytes) -> Result<T, Unusable> + Send + 'static,
) -> Result<Result<T, Unusable>, Problem> {
    let work = tokio::task::spawn_blocking(move || read(bytes));
    work.await.map_err(|error| Problem::internal(&error))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{objects::VECTORS, testing},
        *,
    };

    const PATH: &str = "indexes/papers/vectors/a.parquet";

    fn sound(bytes: Bytes) -> Result<Bytes, Unusable> {
        match bytes.starts_with(b"good") {
            true => Ok(bytes),
            false => Err(Unusable::Altered),
        }
    }

    /// Reads an object in this state whose copy is in that one; gives the outcome and what lies there afterwards.
    async fn outcome(
        home: Option<&'static str>,
        copy: Option<&'static str>,
    ) -> (Result<Bytes, Problem>, Option<Bytes>) {
        let (bucket, copies) = testing::mirrored();
        for (place, state) in [(&bucket, home), (&copies, copy)] {
            if let Some(state) = state {
                place.put(PATH, state.into()).await.unwrap();
            }
        }
        let read = read((&VECTORS, &testing::name()), (&bucket, PATH), sound).await;
        (read, bucket.get(PATH).await.ok())
    }

    #[tokio::test]
    async fn a_sound_copy_is_read_and_goes_in_the_place_of_what_is_not() {
        for home in [None, Some("bad"), Some("")] {
            let (read, left) = outcome(home, Some("good copy")).await;
            assert_eq!(read.unwrap(), "good copy", "{home:?}");
            assert_eq!(left.unwrap(), "good copy", "{home:?}");
        }
        let (read, left) = outcome(Some("good"), Some("good copy")).await;
        assert_eq!(
            (read.unwrap(), left.unwrap()),
            ("good".into(), "good".into())
        );
    }

    #[tokio::test]
    async fn without_a_sound_copy_the_object_is_named_and_stays_as_it_is() {
        for copy in [None, Some("bad too")] {
            for (home, word) in [(None, "is gone"), (Some("bad"), "is damaged")] {
                let (read, left) = outcome(home, copy).await;
                let refused = read.unwrap_err();
                assert_eq!(refused.code, "damaged_object");
                for word in [PATH, word] {
                    assert!(refused.detail.contains(word), "{word}: {refused:?}");
                }
                assert_eq!(left, home.map(Bytes::from));
            }
        }
    }
}
