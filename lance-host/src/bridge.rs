//! A bucket of ours as the object store that Lance knows.
//!
//! Lance's version of that trait is not the host's, and neither shows in the crate's interface: this file turns the one
//! of standard types ([`Objects`]) into Lance's. Listings come back in lexical order, whatever order the bucket has, since
//! Lance finds the newest version by the first name of a listing.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{
    FutureExt, StreamExt, TryFutureExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, UploadPart, path::Path,
};

use crate::objects::{ObjectError, ObjectInfo, Objects, Part, Put, Upload};

/// The name in Lance's messages.
const STORE: &str = "bucket";

/// How many objects are deleted at once.
const DELETES_AT_ONCE: usize = 10;

/// [`Objects`] with Lance's trait.
pub(crate) struct Bridge(Arc<dyn Objects>);

impl Bridge {
    pub(crate) fn over(objects: Arc<dyn Objects>) -> Self {
        Self(objects)
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

/// The error of Lance's trait for one of ours; ours is its source, where `error.rs` finds it again.
fn failed(path: &Path, error: ObjectError) -> Error {
    let path = path.to_string();
    let source = Box::new(error.clone());
    match error {
        ObjectError::Missing => Error::NotFound { path, source },
        ObjectError::Exists => Error::AlreadyExists { path, source },
        ObjectError::Denied(_) => Error::PermissionDenied { path, source },
        ObjectError::Failed(_) => Error::Generic {
            store: STORE,
            source,
        },
    }
}

fn meta(info: ObjectInfo) -> Result<ObjectMeta> {
    Ok(ObjectMeta {
        location: Path::parse(&info.path)?,
        last_modified: DateTime::<Utc>::from(info.modified),
        size: info.size,
        e_tag: info.e_tag,
        version: None,
    })
}

fn metas(objects: Vec<ObjectInfo>) -> Result<Vec<ObjectMeta>> {
    let mut metas: Vec<_> = objects.into_iter().map(meta).collect::<Result<_>>()?;
    metas.sort_unstable_by(|a, b| a.location.as_ref().cmp(b.location.as_ref()));
    Ok(metas)
}

fn part(range: Option<GetRange>) -> Part {
    match range {
        None => Part::Whole,
        Some(GetRange::Bounded(range)) => Part::Range(range),
        Some(GetRange::Offset(from)) => Part::From(from),
        Some(GetRange::Suffix(bytes)) => Part::Last(bytes),
    }
}

fn joined(payload: &PutPayload) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.content_length());
    for part in payload {
        bytes.extend_from_slice(part);
    }
    bytes
}

fn written(e_tag: Option<String>) -> PutResult {
    PutResult {
        e_tag,
        version: None,
        extensions: object_store::Extensions::default(),
    }
}

fn result(meta: ObjectMeta, range: Range<u64>, bytes: Option<Vec<u8>>) -> GetResult {
    let bytes = bytes.map(|bytes| Ok(Bytes::from(bytes)));
    GetResult {
        payload: GetResultPayload::Stream(stream::iter(bytes).boxed()),
        meta,
        range,
        attributes: Attributes::default(),
        extensions: object_store::Extensions::default(),
    }
}

fn text(folder: Option<&Path>) -> String {
    folder.map(ToString::to_string).unwrap_or_default()
}

#[async_trait]
impl ObjectStore for Bridge {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let how = match options.mode {
            PutMode::Overwrite => Put::Replace,
            PutMode::Create => Put::New,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "put_opts with a version to replace".to_owned(),
                    implementer: STORE.to_owned(),
                });
            }
        };
        let put = self.0.put(location.to_string(), joined(&payload), how);
        put.await
            .map(written)
            .map_err(|error| failed(location, error))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.0.upload(location.to_string()).await;
        let upload = upload.map_err(|error| failed(location, error))?;
        Ok(Box::new(Parts {
            location: location.clone(),
            upload: Some(upload),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            let info = self.0.head(location.to_string()).await;
            let meta = meta(info.map_err(|error| failed(location, error))?)?;
            options.check_preconditions(&meta)?;
            return Ok(result(meta.clone(), 0..meta.size, None));
        }
        let found = self
            .0
            .get(location.to_string(), part(options.range.clone()))
            .await
            .map_err(|error| failed(location, error))?;
        let meta = meta(found.info)?;
        options.check_preconditions(&meta)?;
        Ok(result(meta, found.range, Some(found.bytes)))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let objects = Arc::clone(&self.0);
        let delete = move |location: Path| {
            let deleted = objects.delete(location.to_string());
            deleted.map(move |deleted| match deleted {
                Ok(()) => Ok(location),
                Err(error) => Err(failed(&location, error)),
            })
        };
        let deletes = locations.map_ok(delete);
        deletes.try_buffered(DELETES_AT_ONCE).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let folder = prefix.cloned().unwrap_or_default();
        let list = self.0.list(folder.to_string());
        let list = list.map(move |listed| match listed {
            Ok(objects) => metas(objects),
            // A folder is there by its objects only.
            Err(ObjectError::Missing) => Ok(Vec::new()),
            Err(error) => Err(failed(&folder, error)),
        });
        list.map_ok(|metas| stream::iter(metas.into_iter().map(Ok::<_, Error>)))
            .try_flatten_stream()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listing = match self.0.children(text(prefix)).await {
            Ok(listing) => listing,
            Err(ObjectError::Missing) => crate::objects::Listing::default(),
            Err(error) => return Err(failed(&prefix.cloned().unwrap_or_default(), error)),
        };
        let mut folders: Vec<Path> = listing
            .folders
            .iter()
            .map(|folder| Path::parse(folder).map_err(Error::from))
            .collect::<Result<_>>()?;
        folders.sort_unstable();
        Ok(ListResult {
            common_prefixes: folders,
            objects: metas(listing.objects)?,
            extensions: object_store::Extensions::default(),
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (how, named) = match options.mode {
            CopyMode::Overwrite => (Put::Replace, from),
            CopyMode::Create => (Put::New, to),
        };
        let copy = self.0.copy(from.to_string(), to.to_string(), how);
        copy.await.map_err(|error| failed(named, error))
    }
}

/// An upload in parts.
struct Parts {
    location: Path,
    /// None once it was completed or given up.
    upload: Option<Box<dyn Upload>>,
}

impl Parts {
    fn take(&mut self) -> Result<Box<dyn Upload>> {
        self.upload.take().ok_or_else(|| ended(&self.location))
    }
}

fn ended(location: &Path) -> Error {
    failed(
        location,
        ObjectError::Failed("the upload has ended already".to_owned()),
    )
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE} upload")
    }
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let location = self.location.clone();
        match &mut self.upload {
            Some(upload) => upload
                .part(joined(&data))
                .map_err(move |error| failed(&location, error))
                .boxed(),
            None => futures::future::ready(Err(ended(&location))).boxed(),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let completed = self.take()?.complete().await;
        completed
            .map(written)
            .map_err(|error| failed(&self.location, error))
    }

    async fn abort(&mut self) -> Result<()> {
        let aborted = self.take()?.abort().await;
        aborted.map_err(|error| failed(&self.location, error))
    }
}

#[cfg(test)]
mod tests;
