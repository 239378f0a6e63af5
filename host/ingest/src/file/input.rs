//! Where the bytes of a file come from.
//!
//! An upload is a file without a name already, so nothing of it outlives this process. A path is opened once,
//! at the start; what happens to its name later does not matter. An object of a bucket is copied to a nameless
//! file first, as fast as the disk takes it. Who may read which path or object is for the caller to ask.

use std::{
    fmt,
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use boathouse_storage::{Bucket, StorageError};
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::{IngestError, error::Place, spool, watch::Watch};

/// A file to ingest.
#[derive(Clone)]
pub enum FileInput {
    /// An open file, for example an upload without a name.
    File(Arc<File>),
    /// A file on this machine.
    Path(PathBuf),
    /// An object of a bucket.
    Object {
        /// The bucket.
        bucket: Bucket,
        /// Its path there.
        path: String,
    },
    /// Several files of one kind, which become one table in this order.
    Several(Vec<FileInput>),
}

/// A file on this machine, ready to be read.
pub(super) struct LocalFile {
    pub(super) file: File,
    /// The name that it has where it comes from.
    pub(super) name: Option<String>,
}

impl fmt::Debug for FileInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("File"),
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Object { bucket, path } => write!(f, "Object({}/{path})", bucket.name()),
            Self::Several(inputs) => f.debug_list().entries(inputs).finish(),
        }
    }
}

impl FileInput {
    /// Brings the files here; `label` names a single one in errors.
    pub(super) async fn fetch(
        &self,
        label: &str,
        folder: Option<&Path>,
        watch: &Watch,
    ) -> Result<Vec<LocalFile>, IngestError> {
        let Self::Several(inputs) = self else {
            return Ok(vec![self.fetch_one(label, folder, watch).await?]);
        };
        let mut files = Vec::with_capacity(inputs.len());
        for input in inputs {
            let name = input.name().unwrap_or_else(|| label.to_owned());
            let file = input.fetch_one(&name, folder, watch).await;
            files.push(file.map_err(|error| error.about(&name))?);
        }
        Ok(files)
    }

    async fn fetch_one(
        &self,
        label: &str,
        folder: Option<&Path>,
        watch: &Watch,
    ) -> Result<LocalFile, IngestError> {
        watch.check()?;
        let file = match self {
            Self::File(file) => file.try_clone().map_err(IngestError::Spool)?,
            Self::Path(path) => open(path, label)?,
            Self::Object { bucket, path } => {
                let file = spool::nameless(folder)?;
                copy(bucket, path, label, file, watch).await?
            }
            Self::Several(_) => {
                return Err(IngestError::Worker("files within files".to_owned()));
            }
        };
        check_kind(&file.metadata().map_err(IngestError::Spool)?)?;
        let name = self.name();
        Ok(LocalFile { file, name })
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::File(_) | Self::Several(_) => None,
            Self::Path(path) => Some(path.to_string_lossy().into_owned()),
            Self::Object { path, .. } => Some(path.clone()),
        }
    }
}

/// Opens a file, unless it is a pipe, whose other end could keep that waiting.
fn open(path: &Path, label: &str) -> Result<File, IngestError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => missing(label),
        _ => IngestError::Spool(error),
    };
    check_kind(&std::fs::metadata(path).map_err(unreadable)?)?;
    File::open(path).map_err(unreadable)
}

fn check_kind(metadata: &Metadata) -> Result<(), IngestError> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(IngestError::bad(
            Place::default(),
            "this is a folder, a pipe or a device, no regular file",
            "name a file",
        )),
    }
}

fn missing(label: &str) -> IngestError {
    IngestError::MissingFile {
        label: label.to_owned(),
    }
}

/// Copies an object to a file.
async fn copy(
    bucket: &Bucket,
    path: &str,
    label: &str,
    file: File,
    watch: &Watch,
) -> Result<File, IngestError> {
    let failed = |error: object_store::Error| match error {
        object_store::Error::NotFound { .. } => missing(label),
        other => IngestError::Storage(StorageError::Unavailable {
            bucket: bucket.name().clone(),
            path: path.to_owned(),
            source: Arc::new(other),
        }),
    };
    let place = object_store::path::Path::parse(path).map_err(|_| missing(label))?;
    let copying = async {
        let found = bucket.store().get(&place).await.map_err(failed)?;
        let mut bytes = found.into_stream();
        let mut file = tokio::fs::File::from_std(file);
        while let Some(bytes) = bytes.try_next().await.map_err(failed)? {
            file.write_all(&bytes).await.map_err(IngestError::Spool)?;
        }
        file.flush().await.map_err(IngestError::Spool)?;
        Ok(file.into_std().await)
    };
    tokio::select! {
        () = watch.cancel.cancelled() => Err(IngestError::Cancelled),
        copied = copying => copied,
    }
}
