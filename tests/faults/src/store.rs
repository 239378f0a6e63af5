//! The object store's own operations, each of which asks the plan first.

use std::fmt;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart, path::Path,
};

use crate::{FaultyStore, Last, Plan, Verdict, failed};

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.change(at, self.inner.put_opts(at, bytes, how)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.run(self.inner.put_multipart_opts(at, how)).await?;
        Ok(Box::new(FaultyUpload {
            upload,
            store: self.clone(),
            path: at.clone(),
        }))
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        match self.state.next() {
            Verdict::Fails(Last::Done) if !how.head => {
                half(self.inner.get_opts(at, how).await?).await
            }
            verdict => self.obey(verdict, self.inner.get_opts(at, how)).await,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store
                        .change(&location, store.inner.delete(&location))
                        .await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            let verdict = store.state.next();
            let breaks_off = matches!(verdict, Verdict::Fails(Last::Done));
            if !breaks_off {
                store.obey(verdict, async { Ok(()) }).await?;
            }
            let objects = match store.state.plan() {
                Plan::StaleListings { .. } => {
                    let objects = store.stale(prefix.as_ref()).await?;
                    futures::stream::iter(objects.into_iter().map(Ok)).boxed()
                }
                _ => store.inner.list(prefix.as_ref()),
            };
            let end = futures::stream::iter(breaks_off.then(|| Err(failed())));
            Ok::<_, object_store::Error>(objects.chain(end))
        };
        futures::stream::once(listing).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.state.plan() {
            Plan::StaleListings { .. } => self.run(self.stale_level(prefix)).await,
            _ => self.run(self.inner.list_with_delimiter(prefix)).await,
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.change(to, self.inner.copy_opts(from, to, how)).await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

/// The same answer with a body that fails half-way.
async fn half(found: GetResult) -> Result<GetResult> {
    let (meta, range) = (found.meta.clone(), found.range.clone());
    let attributes = found.attributes.clone();
    let bytes = found.bytes().await?;
    let body = [Ok(bytes.slice(..bytes.len() / 2)), Err(failed())];
    Ok(GetResult {
        payload: GetResultPayload::Stream(futures::stream::iter(body).boxed()),
        meta,
        range,
        attributes,
    })
}

/// An upload whose every step asks the plan.
#[derive(Debug)]
struct FaultyUpload {
    upload: Box<dyn MultipartUpload>,
    store: FaultyStore,
    path: Path,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, part) = (self.store.clone(), self.upload.put_part(data));
        Box::pin(async move { store.run(part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.store.change(&self.path, self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.run(self.upload.abort()).await
    }
}
