//! The store of a bucket as Lance sees it: names and bytes.
//!
//! A bucket that is closed is not kept open by tables that somebody once opened in it.

use std::{
    sync::{Arc, Weak},
    time::SystemTime,
};

use boathouse_ingest::redact_dsn;
use boathouse_lance_host::{
    Answer, Listing, ObjectBytes, ObjectError, ObjectInfo, Objects, Part, Put, Upload,
};
use bytes::Bytes;
use futures::{FutureExt as _, TryStreamExt as _};
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetRange, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, path::Path,
};

use crate::problem::chain;

/// A store that is there as long as its bucket.
pub(super) struct Adapter(Weak<dyn ObjectStore>);

impl Adapter {
    pub(super) fn of(store: &Arc<dyn ObjectStore>) -> Self {
        Self(Arc::downgrade(store))
    }

    fn store(&self) -> Result<Arc<dyn ObjectStore>, ObjectError> {
        let closed = || ObjectError::Failed("its bucket is closed".to_owned());
        self.0.upgrade().ok_or_else(closed)
    }
}

fn fault(error: Error) -> ObjectError {
    let shown = |error: &Error| redact_dsn(&chain(error));
    match error {
        Error::NotFound { .. } => ObjectError::Missing,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => ObjectError::Exists,
        Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::NotSupported { .. }
        | Error::InvalidPath { .. } => ObjectError::Denied(shown(&error)),
        other => ObjectError::Failed(shown(&other)),
    }
}

fn located(path: &str) -> Result<Path, ObjectError> {
    Path::parse(path).map_err(|error| ObjectError::Denied(error.to_string()))
}

/// A folder; none for the root.
fn folder(path: &str) -> Result<Option<Path>, ObjectError> {
    match path {
        "" => Ok(None),
        path => located(path).map(Some),
    }
}

fn info(meta: ObjectMeta) -> ObjectInfo {
    ObjectInfo {
        path: meta.location.to_string(),
        size: meta.size,
        modified: SystemTime::from(meta.last_modified),
        e_tag: meta.e_tag,
    }
}

/// The bytes as a vector, without a copy where nobody else holds them.
fn owned(bytes: Bytes) -> Vec<u8> {
    Vec::from(bytes)
}

impl Objects for Adapter {
    fn put(&self, path: String, bytes: Vec<u8>, how: Put) -> Answer<Option<String>> {
        let store = self.store();
        let options = PutOptions::from(match how {
            Put::Replace => PutMode::Overwrite,
            Put::New => PutMode::Create,
        });
        async move {
            let (store, path) = (store?, located(&path)?);
            let put = store.put_opts(&path, PutPayload::from(bytes), options);
            Ok(put.await.map_err(fault)?.e_tag)
        }
        .boxed()
    }

    fn upload(&self, path: String) -> Answer<Box<dyn Upload>> {
        let store = self.store();
        async move {
            let (store, path) = (store?, located(&path)?);
            let parts = store.put_multipart_opts(&path, PutMultipartOptions::default());
            let parts = parts.await.map_err(fault)?;
            Ok(Box::new(Parts {
                parts,
                _store: store,
            }) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn get(&self, path: String, part: Part) -> Answer<ObjectBytes> {
        let store = self.store();
        let range = match part {
            Part::Whole => None,
            Part::Range(range) => Some(GetRange::Bounded(range)),
            Part::From(from) => Some(GetRange::Offset(from)),
            Part::Last(bytes) => Some(GetRange::Suffix(bytes)),
        };
        async move {
            let (store, path) = (store?, located(&path)?);
            let options = GetOptions {
                range: range.clone(),
                ..GetOptions::default()
            };
            let found = match store.get_opts(&path, options).await {
                Err(error) => return Err(beyond(&*store, &path, range, error).await),
                Ok(found) => found,
            };
            let (range, meta) = (found.range.clone(), found.meta.clone());
            let bytes = found.bytes().await.map_err(fault)?;
            Ok(ObjectBytes {
                info: info(meta),
                range,
                bytes: owned(bytes),
            })
        }
        .boxed()
    }

    fn head(&self, path: String) -> Answer<ObjectInfo> {
        let store = self.store();
        async move { Ok(info(store?.head(&located(&path)?).await.map_err(fault)?)) }.boxed()
    }

    fn list(&self, path: String) -> Answer<Vec<ObjectInfo>> {
        let store = self.store();
        async move {
            let (store, folder) = (store?, folder(&path)?);
            let listed = store.list(folder.as_ref()).map_ok(info);
            listed.try_collect().await.map_err(fault)
        }
        .boxed()
    }

    fn children(&self, path: String) -> Answer<Listing> {
        let store = self.store();
        async move {
            let (store, folder) = (store?, folder(&path)?);
            let listed = store.list_with_delimiter(folder.as_ref()).await;
            let listed = listed.map_err(fault)?;
            let folders = listed.common_prefixes.iter().map(Path::to_string);
            Ok(Listing {
                folders: folders.collect(),
                objects: listed.objects.into_iter().map(info).collect(),
            })
        }
        .boxed()
    }

    fn delete(&self, path: String) -> Answer<()> {
        let store = self.store();
        async move { store?.delete(&located(&path)?).await.map_err(fault) }.boxed()
    }

    fn copy(&self, from: String, to: String, how: Put) -> Answer<()> {
        let store = self.store();
        let mode = match how {
            Put::Replace => CopyMode::Overwrite,
            Put::New => CopyMode::Create,
        };
        async move {
            let (store, from, to) = (store?, located(&from)?, located(&to)?);
            let options = CopyOptions::new().with_mode(mode);
            store.copy_opts(&from, &to, options).await.map_err(fault)
        }
        .boxed()
    }
}

/// Why a part of an object could not be read: stores do not agree on what they call a part behind its end.
async fn beyond(
    store: &dyn ObjectStore,
    path: &Path,
    range: Option<GetRange>,
    error: Error,
) -> ObjectError {
    let from = match range {
        Some(GetRange::Bounded(range)) => range.start,
        Some(GetRange::Offset(from)) => from,
        _ => return fault(error),
    };
    if matches!(error, Error::NotFound { .. }) {
        return fault(error);
    }
    match store.head(path).await {
        Ok(meta) if meta.size <= from => {
            let size = meta.size;
            ObjectError::Denied(format!("the object has {size} bytes, none from {from} on"))
        }
        _ => fault(error),
    }
}

/// An object that is written in parts. It holds its store, so that a bucket that closes lets it end.
struct Parts {
    parts: Box<dyn MultipartUpload>,
    _store: Arc<dyn ObjectStore>,
}

impl Upload for Parts {
    fn part(&mut self, bytes: Vec<u8>) -> Answer<()> {
        let part = self.parts.put_part(PutPayload::from(bytes));
        part.map(|put| put.map_err(fault)).boxed()
    }

    fn complete(mut self: Box<Self>) -> Answer<Option<String>> {
        async move { Ok(self.parts.complete().await.map_err(fault)?.e_tag) }.boxed()
    }

    fn abort(mut self: Box<Self>) -> Answer<()> {
        async move { self.parts.abort().await.map_err(fault) }.boxed()
    }
}
