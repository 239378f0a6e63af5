//! S3 as `object_store` speaks it, less one ambiguity: a 404 that is about the bucket, not the object.
//!
//! `object_store` answers `NotFound` to every 404. That an object is not there is an answer; that the whole
//! bucket is gone, or that the server knows nothing of buckets, is a failure. Told apart here, because on
//! top of this a missing object may be made anew, while a failing bucket is answered by the rescue.
//!
//! A GET tells the two apart in its body. A HEAD has none, so what it does not find is asked for once more
//! by a GET of one byte. A put, a listing and a deletion that are answered with 404 never mean an object.
//!
//! A listing from an offset on is a whole listing less what comes before, as the trait has it by default:
//! SeaweedFS, asked to start after `a`, passes over everything in the folder `a`.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    aws::AmazonS3, path::Path,
};

use crate::bucket::{chain, has_code};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct S3Store(AmazonS3);

impl S3Store {
    pub(crate) fn new(store: AmazonS3) -> Self {
        Self(store)
    }

    /// Whether there is such an object is asked again where the answer says why not.
    async fn head(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        let found = self.0.get_opts(at, how.clone()).await;
        if !matches!(found, Err(Error::NotFound { .. })) {
            return found;
        }
        let byte = GetOptions {
            head: false,
            range: Some(GetRange::Bounded(0..1)),
            ..how.clone()
        };
        match self.0.get_opts(at, byte).await {
            Err(error @ Error::NotFound { .. }) => Err(object_or_bucket(error)),
            // Written meanwhile. An empty object has no first byte, which is no matter here.
            _ => self.0.get_opts(at, how).await.map_err(object_or_bucket),
        }
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.0.put_opts(at, bytes, how).await.map_err(no_bucket)
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(at, how).await.map_err(no_bucket)
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        if how.head {
            self.head(at, how).await
        } else {
            self.0.get_opts(at, how).await.map_err(object_or_bucket)
        }
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0
            .get_ranges(at, ranges)
            .await
            .map_err(object_or_bucket)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations).map_err(no_bucket).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix).map_err(no_bucket).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await.map_err(no_bucket)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.0
            .copy_opts(from, to, how)
            .await
            .map_err(object_or_bucket)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, how: RenameOptions) -> Result<()> {
        self.0
            .rename_opts(from, to, how)
            .await
            .map_err(object_or_bucket)
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// For operations whose 404 may be about the object: a failure when it is about the bucket.
fn object_or_bucket(error: Error) -> Error {
    let is_object = matches!(error, Error::NotFound { .. });
    if is_object && has_code(&chain(&error), &["NoSuchBucket"]) {
        return no_bucket(error);
    }
    error
}

/// For operations whose 404 is about an object only when it says so.
fn no_bucket(error: Error) -> Error {
    if has_code(&chain(&error), &["NoSuchKey"]) {
        return error;
    }
    match error {
        Error::NotFound { source, .. } => Error::Generic {
            store: "S3",
            source,
        },
        error => error,
    }
}
