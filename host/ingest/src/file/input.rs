//! Where the bytes of a file come from.
//!
//! An upload is a file without a name already, so nothing of it outlives this process. A path is opened once,
//! at the start; what happens to its name later does not matter.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use crate::{IngestError, error::Place};

/// A file to ingest.
#[derive(Debug, Clone)]
pub enum FileInput {
    /// An open file, for example an upload without a name.
    File(Arc<File>),
    /// A file on this machine.
    Path(PathBuf),
}

impl FileInput {
    /// Opens it; `label` names it in errors.
    pub(super) fn open(&self, label: &str) -> Result<File, IngestError> {
        let file = match self {
            Self::File(file) => file.try_clone().map_err(IngestError::Spool)?,
            Self::Path(path) => File::open(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => IngestError::MissingFile {
                    label: label.to_owned(),
                },
                _ => IngestError::Spool(error),
            })?,
        };
        if !file.metadata().map_err(IngestError::Spool)?.is_file() {
            return Err(IngestError::bad(
                Place::default(),
                "this is no regular file",
                "name a file",
            ));
        }
        Ok(file)
    }

    /// The name that it has on this machine, if any.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Path(path) => Some(path.to_string_lossy().into_owned()),
        }
    }
}
