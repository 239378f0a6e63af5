//! The store that a mirrored bucket shows: its home, with writes noted and failed reads made good.
//!
//! A failure is an error that says nothing about the object: the store cannot be reached, denies access,
//! is gone. "There is no such object" is an answer and stays one. Where the rescue has no answer either (an
//! empty listing is none: nothing shows that the bucket was empty) the home's error stands.
//!
//! What may be answered by the rescue is read to its end before the first byte is handed on, listings as
//! well as bodies, so that no answer is pieced together from both.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart, path::Path,
};

use super::home::Home;

/// Largest body that is read before it is handed on; what is larger is a stream of the home's alone.
const LONGEST_BODY: u64 = 64 << 20;

/// See the module's text.
#[derive(Clone)]
pub(super) struct MirroredStore {
    home: Arc<Home>,
    store: Arc<dyn ObjectStore>,
    copies: Arc<dyn ObjectStore>,
    falls_back: bool,
}

impl MirroredStore {
    pub(super) fn new(home: Arc<Home>, falls_back: bool) -> Self {
        Self {
            store: Arc::clone(home.bucket().store()),
            copies: Arc::clone(home.copies().store()),
            home,
            falls_back,
        }
    }

    /// Whether the rescue may answer what the home has answered with `error`.
    fn may_fall_back(&self, at: &Path, error: &Error) -> bool {
        let failed = matches!(
            error,
            Error::Generic { .. }
                | Error::PermissionDenied { .. }
                | Error::Unauthenticated { .. }
                | Error::JoinError { .. }
        );
        failed && self.falls_back && self.home.covers(at)
    }

    /// The rescue's answer, or else the home's error.
    fn or_error<T>(&self, at: &Path, answer: Option<T>, error: Error) -> Result<T> {
        match answer {
            Some(answer) => {
                self.home.fell_back(at.as_ref(), &error);
                Ok(answer)
            }
            None => Err(error),
        }
    }

    async fn get_whole(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        let found = self.store.get_opts(at, how).await?;
        if found.range.end - found.range.start <= LONGEST_BODY
            && self.falls_back
            && self.home.covers(at)
        {
            return whole(found).await;
        }
        Ok(found)
    }

    async fn list_whole(&self, prefix: Option<Path>) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.list(prefix.as_ref()).try_collect().await;
        let (Some(prefix), Err(error)) = (non_root(prefix.as_ref()), &listed) else {
            return listed;
        };
        if !self.may_fall_back(prefix, error) {
            return listed;
        }
        let copies: Result<Vec<_>> = self.copies.list(Some(prefix)).try_collect().await;
        let copies = copies.ok().filter(|copies| !copies.is_empty());
        listed.or_else(|error| self.or_error(prefix, copies, error))
    }

    /// Notes the write when it is over, however it ends: one whose answer is lost, or that is cut off, may
    /// have happened.
    fn written<'a>(&'a self, at: &'a Path) -> impl Drop + 'a {
        Written(&self.home, at)
    }
}

struct Written<'a>(&'a Home, &'a Path);

impl Drop for Written<'_> {
    fn drop(&mut self) {
        self.0.written(self.1);
    }
}

#[async_trait]
impl ObjectStore for MirroredStore {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        let _written = self.written(at);
        self.store.put_opts(at, bytes, how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(MirroredUpload {
            upload: self.store.put_multipart_opts(at, how).await?,
            home: Arc::clone(&self.home),
            path: at.clone(),
        }))
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        match self.get_whole(at, how.clone()).await {
            Err(error) if self.may_fall_back(at, &error) => {
                let copy = async { whole(self.copies.get_opts(at, how).await?).await };
                let mut copy = copy.await.ok();
                if let Some(copy) = &mut copy {
                    copy.meta.location = at.clone();
                }
                self.or_error(at, copy, error)
            }
            answer => answer,
        }
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.store.get_ranges(at, ranges).await {
            Err(error) if self.may_fall_back(at, &error) => {
                let copy = self.copies.get_ranges(at, ranges).await.ok();
                self.or_error(at, copy, error)
            }
            answer => answer,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if !self.falls_back {
            return self.store.list(prefix);
        }
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listing = async move { store.list_whole(prefix).await };
        stream::once(listing)
            .map_ok(|objects| stream::iter(objects.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.store.list_with_delimiter(prefix).await;
        let (Some(prefix), Err(error)) = (non_root(prefix), &listed) else {
            return listed;
        };
        if !self.may_fall_back(prefix, error) {
            return listed;
        }
        let copies = self.copies.list_with_delimiter(Some(prefix)).await.ok();
        let copies =
            copies.filter(|found| !found.objects.is_empty() || !found.common_prefixes.is_empty());
        listed.or_else(|error| self.or_error(prefix, copies, error))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        let _written = self.written(to);
        self.store.copy_opts(from, to, how).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, how: RenameOptions) -> Result<()> {
        let _written = self.written(to);
        self.store.rename_opts(from, to, how).await
    }
}

impl fmt::Display for MirroredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MirroredStore({})", self.store)
    }
}

impl fmt::Debug for MirroredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirroredStore")
            .field("home", self.home.name())
            .field("falls_back", &self.falls_back)
            .finish_non_exhaustive()
    }
}

/// An upload that is noted when it is completed.
#[derive(Debug)]
struct MirroredUpload {
    upload: Box<dyn MultipartUpload>,
    home: Arc<Home>,
    path: Path,
}

#[async_trait]
impl MultipartUpload for MirroredUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let _written = Written(&self.home, &self.path);
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

/// The same answer with its body in memory.
async fn whole(found: GetResult) -> Result<GetResult> {
    let (meta, range) = (found.meta.clone(), found.range.clone());
    let attributes = found.attributes.clone();
    let bytes = found.bytes().await?;
    Ok(GetResult {
        payload: GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed()),
        meta,
        range,
        attributes,
    })
}

fn non_root(prefix: Option<&Path>) -> Option<&Path> {
    prefix.filter(|prefix| !prefix.is_root())
}
