//! One object from one bucket to another, in parts when it is large, with a digest.
//!
//! At most [`PARTS_IN_FLIGHT`] parts are in memory, whatever the object's size. A copy that fails leaves
//! nothing visible: small objects are written at once, large ones by an upload that is aborted. Neither
//! reading nor reading back is answered by a rescue: who copies wants this object, not an older one.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream::FuturesUnordered};
use object_store::{GetResult, MultipartUpload, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use super::Bucket;
use crate::{StorageError, path::object_path};

/// Bytes of one part, and the largest object that goes in one piece; S3 wants at least 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// S3 takes 10,000 parts, so larger objects have larger ones.
const MAX_PARTS: u64 = 9_000;
/// Parts that are on their way at the same time.
const PARTS_IN_FLIGHT: usize = 4;

/// What was copied.
pub(crate) struct Sent {
    /// SHA-256 of its bytes.
    pub(crate) digest: [u8; 32],
    /// The tag that its store gave to this state of the original.
    pub(crate) e_tag: Option<String>,
}

impl Bucket {
    /// Copies an object to the same path of another bucket, replacing what is there, and reads it back.
    /// Gives the SHA-256 of what was copied and read back.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is no such object; [`StorageError::Damaged`] when what is read
    /// back differs; otherwise as [`Bucket::put`].
    pub async fn copy_to(&self, path: &str, to: &Bucket) -> Result<[u8; 32], StorageError> {
        let sent = self.without_rescue().transfer(path, to).await?.digest;
        let found = to.without_rescue().digest(path).await?;
        if sent == found {
            return Ok(sent);
        }
        let (bucket, origin) = (to.name(), self.name());
        Err(StorageError::Damaged {
            path: to.whole_path(path),
            reason: format!(
                "its copy in bucket `{bucket}` differs from bucket `{origin}`; copy it again"
            ),
        })
    }

    /// The SHA-256 of an object, read in pieces.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub async fn digest(&self, path: &str) -> Result<[u8; 32], StorageError> {
        let fault = |error| self.fault(path, error);
        let object = self.store().get(&object_path(path)?).await.map_err(fault)?;
        let mut hasher = Sha256::new();
        let mut pieces = object.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(fault)? {
            hasher.update(&piece);
        }
        Ok(hasher.finalize().into())
    }

    /// Copies an object without reading it back.
    pub(crate) async fn transfer(&self, path: &str, to: &Bucket) -> Result<Sent, StorageError> {
        let fault = |error| self.fault(path, error);
        let object = self.store().get(&object_path(path)?).await.map_err(fault)?;
        let e_tag = object.meta.e_tag.clone();
        if object.meta.size <= PART_BYTES as u64 {
            let bytes = object.bytes().await.map_err(fault)?;
            let digest = Sha256::digest(&bytes).into();
            to.put(path, bytes).await?;
            return Ok(Sent { digest, e_tag });
        }
        let target = to.store().put_multipart(&object_path(path)?).await;
        let mut target = target.map_err(|error| to.fault(path, error))?;
        let sent = self.send_parts(path, object, to, &mut *target).await;
        if sent.is_err()
            && let Err(error) = target.abort().await
        {
            tracing::warn!(path, %error, "an upload could not be aborted");
        }
        sent.map(|digest| Sent { digest, e_tag })
    }

    async fn send_parts(
        &self,
        path: &str,
        object: GetResult,
        to: &Bucket,
        target: &mut dyn MultipartUpload,
    ) -> Result<[u8; 32], StorageError> {
        let failed = |error| to.fault(path, error);
        let mut parts = Parts::of(object);
        let mut hasher = Sha256::new();
        let mut on_the_way = FuturesUnordered::new();
        while let Some(part) = parts.next().await.map_err(|e| self.fault(path, e))? {
            hasher.update(&part);
            on_the_way.push(target.put_part(PutPayload::from(part)));
            if on_the_way.len() >= PARTS_IN_FLIGHT {
                on_the_way.next().await.transpose().map_err(failed)?;
            }
        }
        on_the_way.try_collect::<()>().await.map_err(failed)?;
        target.complete().await.map_err(failed)?;
        Ok(hasher.finalize().into())
    }
}

/// The body of an object, cut into parts of one size.
struct Parts {
    body: futures::stream::BoxStream<'static, object_store::Result<Bytes>>,
    rest: BytesMut,
    size: usize,
}

impl Parts {
    fn of(object: GetResult) -> Self {
        let least = usize::try_from(object.meta.size.div_ceil(MAX_PARTS)).unwrap_or(usize::MAX);
        Self {
            body: object.into_stream(),
            rest: BytesMut::new(),
            size: least.max(PART_BYTES),
        }
    }

    /// The next part; only the last one is smaller than the others.
    async fn next(&mut self) -> object_store::Result<Option<Bytes>> {
        while self.rest.len() < self.size {
            match self.body.try_next().await? {
                Some(piece) => self.rest.extend_from_slice(&piece),
                None if self.rest.is_empty() => return Ok(None),
                None => return Ok(Some(self.rest.split().freeze())),
            }
        }
        Ok(Some(self.rest.split_to(self.size).freeze()))
    }
}
