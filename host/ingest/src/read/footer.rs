//! Footers of data files, kept for the next read.
//!
//! A data file never changes, so a footer is good as long as its file exists; the checksums beside it tell when the
//! file did change. The cache is bounded by count; the oldest entry leaves first.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use boathouse_storage::Bucket;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::data::DataFile;
use crate::{DatasetFile, IngestError, seal::Sums, stamp};

/// Footers kept.
const CAPACITY: usize = 256;

/// What the end of a data file says; cheap to clone.
#[derive(Clone)]
pub(super) struct Footer {
    /// Schema, row groups, page index.
    pub(super) metadata: ArrowReaderMetadata,
    /// The checksums of the content; none in a file of an earlier release.
    pub(super) sums: Option<Arc<Sums>>,
}

/// Footers by bucket and path.
#[derive(Default)]
pub(crate) struct FooterCache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    footers: HashMap<String, Footer>,
    order: VecDeque<String>,
}

impl FooterCache {
    /// The footer of a file, with its page index. One of a later release is refused.
    pub(super) async fn load(
        &self,
        bucket: &Bucket,
        file: &DatasetFile,
    ) -> Result<Footer, IngestError> {
        let key = format!("{}/{}", bucket.name(), file.path);
        if let Some(footer) = self.lock().footers.get(&key) {
            return Ok(footer.clone());
        }
        let mut data = DataFile::new(bucket, file, None);
        let metadata = ArrowReaderMetadata::load_async(&mut data, ArrowReaderOptions::new())
            .await
            .map_err(|error| IngestError::unreadable(bucket.name(), &file.path, &error))?;
        stamp::check(&file.path, metadata.metadata().file_metadata())?;
        let footer = Footer {
            metadata,
            sums: data.sums(),
        };
        self.lock().insert(key, footer.clone());
        Ok(footer)
    }

    // The lock is never held across an await, and a panic cannot leave the map half-changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn insert(&mut self, key: String, footer: Footer) {
        if self.footers.insert(key.clone(), footer).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.footers.remove(&oldest);
            }
        }
    }
}

impl fmt::Debug for FooterCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FooterCache({})", self.lock().order.len())
    }
}
