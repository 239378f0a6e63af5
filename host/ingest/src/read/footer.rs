//! Footers of data files, kept for the next read.
//!
//! A data file never changes, so a footer is good as long as its file exists. The cache is bounded by
//! count; the oldest entry leaves first.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use boathouse_storage::Bucket;
use object_store::path::Path;
use parquet::{
    arrow::{
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
        async_reader::ParquetObjectReader,
    },
    file::metadata::PageIndexPolicy,
};

use crate::{DatasetFile, IngestError, stamp};

/// Footers kept.
const CAPACITY: usize = 256;

/// Bytes fetched at once from a file's end, so that most footers take one request.
const FOOTER_BYTES: usize = 64 << 10;

/// Footers by bucket and path.
#[derive(Default)]
pub(crate) struct FooterCache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    footers: HashMap<String, ArrowReaderMetadata>,
    order: VecDeque<String>,
}

impl FooterCache {
    /// The footer of a file, with its page index. One of a later release is refused.
    pub(super) async fn load(
        &self,
        bucket: &Bucket,
        file: &DatasetFile,
    ) -> Result<ArrowReaderMetadata, IngestError> {
        let key = format!("{}/{}", bucket.name(), file.path);
        if let Some(footer) = self.lock().footers.get(&key) {
            return Ok(footer.clone());
        }
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = ArrowReaderMetadata::load_async(&mut reader(bucket, file), options)
            .await
            .map_err(|error| IngestError::unreadable(&file.path, &error))?;
        stamp::check(&file.path, footer.metadata().file_metadata())?;
        self.lock().insert(key, footer.clone());
        Ok(footer)
    }

    // The lock is never held across an await, and a panic cannot leave the map half-changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn insert(&mut self, key: String, footer: ArrowReaderMetadata) {
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

/// Reads ranges of a data file.
pub(super) fn reader(bucket: &Bucket, file: &DatasetFile) -> ParquetObjectReader {
    ParquetObjectReader::new(Arc::clone(bucket.store()), Path::from(file.path.as_str()))
        .with_file_size(file.bytes)
        .with_footer_size_hint(FOOTER_BYTES)
}
