//! The bytes of a data file, as they were written.
//!
//! Of a file with a seal nothing is believed before it was compared: what is behind the content at once, ranges of
//! the content by the blocks that hold them. What is not as it was written comes from the copy in the rescue where
//! that is sound, and is an error that names the object otherwise. A file of an earlier release has no seal; its bytes
//! are taken as they are. Fetching is asynchronous; comparing happens on threads that may block.
//!
//! Nothing is put in the place of what is damaged: a file may be large, and others may be reading it.

use std::{ops::Range, sync::Arc};

use boathouse_storage::Bucket;
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use object_store::{ObjectStoreExt, path::Path};
use parquet::{
    arrow::{arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader},
    errors::{ParquetError, Result},
    file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
};

use crate::{
    DatasetFile, FileSeal,
    seal::{Altered, Sums},
};

/// Bytes fetched at once from the end of a file without a seal, so that most footers take one request.
const FOOTER_BYTES: usize = 64 << 10;

/// A data file that is being read.
pub(super) struct DataFile {
    bucket: Bucket,
    file: DatasetFile,
    path: Path,
    /// None before the footer was read, and of a file without a seal.
    sums: Option<Arc<Sums>>,
}

impl DataFile {
    /// A file whose footer is still to be read, or one whose checksums its footer gave.
    pub(super) fn new(bucket: &Bucket, file: &DatasetFile, sums: Option<Arc<Sums>>) -> Self {
        Self {
            bucket: bucket.clone(),
            path: Path::from(file.path.as_str()),
            file: file.clone(),
            sums,
        }
    }

    /// The checksums, once the footer was read.
    pub(super) fn sums(&self) -> Option<Arc<Sums>> {
        self.sums.clone()
    }

    /// Ranges in the order asked for.
    async fn read(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let Some(sums) = &self.sums else {
            return self.fetch(&ranges).await;
        };
        let blocks = sums.around(&ranges)?;
        let read = self.compared(sums, &blocks).await?;
        let cut = |range: &Range<u64>| {
            // There is one, as blocks were put around every range.
            let at = blocks.partition_point(|block| block.start <= range.start) - 1;
            // Both fit: that much is in memory.
            let (from, to) = (range.start - blocks[at].start, range.end - blocks[at].start);
            read[at].slice(from as usize..to as usize)
        };
        Ok(ranges.iter().map(cut).collect())
    }

    /// Whole blocks, as they were written.
    async fn compared(&self, sums: &Arc<Sums>, blocks: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetched = self.fetch(blocks).await?;
        let (known, ranges) = (Arc::clone(sums), blocks.to_vec());
        let work = move || {
            let pieces = ranges.iter().zip(fetched);
            let compared = pieces.map(|(range, bytes)| known.compare(range, bytes));
            compared.collect::<Vec<_>>()
        };
        let compared = tokio::task::spawn_blocking(work).await;
        let compared = compared.map_err(|error| ParquetError::External(Box::new(error)))?;
        let mut sound = Vec::with_capacity(blocks.len());
        for (range, bytes) in blocks.iter().zip(compared) {
            sound.push(match bytes {
                Ok(bytes) => bytes,
                Err(altered) => {
                    let look = |copy| sums.compare(range, copy);
                    self.copy(range.clone(), altered, look).await?
                }
            });
        }
        Ok(sound)
    }

    /// Checksums and footer of a sealed file.
    async fn sealed(&mut self, seal: FileSeal) -> Result<ParquetMetaData> {
        let range = seal.content..self.file.bytes;
        if range.is_empty() {
            return Err(Altered::Bytes(range).into());
        }
        let behind = self.get_bytes(range.clone()).await?;
        let (sums, behind) = match Sums::of(seal, behind) {
            Ok(sound) => sound,
            Err(altered) => {
                let look = |copy| Sums::of(seal, copy);
                self.copy(range, altered, look).await?
            }
        };
        let mut footer = footer();
        footer.try_parse_sized(&behind, self.file.bytes)?;
        self.sums = Some(Arc::new(sums));
        footer.finish()
    }

    /// A range of the copy in the rescue, if it passes a look; otherwise what is wrong with the object.
    async fn copy<T>(
        &self,
        range: Range<u64>,
        altered: Altered,
        look: impl Fn(Bytes) -> std::result::Result<T, Altered>,
    ) -> Result<T> {
        let (bucket, path) = (self.bucket.name(), &self.file.path);
        let copy = self.bucket.copied_range(path, range).await;
        let Some(sound) = copy.and_then(|copy| look(copy).ok()) else {
            return Err(altered.into());
        };
        tracing::warn!(%bucket, path, %altered, "a damaged part of a file of rows is read from its copy in `rescue`");
        Ok(sound)
    }

    /// Ranges as the bucket has them.
    async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fetched = self.bucket.store().get_ranges(&self.path, ranges).await;
        match fetched {
            Ok(fetched) => Ok(fetched),
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// Why ranges could not be had: the bucket fails, or the file has not the bytes that it had.
    async fn failed(&self, error: object_store::Error) -> ParquetError {
        let written = self.file.bytes;
        match self.bucket.store().head(&self.path).await {
            Ok(found) if found.size != written => Altered::Length {
                found: found.size,
                written,
            }
            .into(),
            _ => ParquetError::External(Box::new(error)),
        }
    }
}

impl AsyncFileReader for DataFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let mut read = self.read(vec![range.clone()]).await?;
            read.pop().ok_or_else(|| Altered::Bytes(range).into())
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        self.read(ranges).boxed()
    }

    /// The footer with its page index, whatever the options say.
    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let (seal, bytes) = (self.file.seal, self.file.bytes);
            let found = match seal {
                Some(seal) => self.sealed(seal).await?,
                None => {
                    let footer = footer().with_prefetch_hint(Some(FOOTER_BYTES));
                    footer.load_and_finish(self, bytes).await?
                }
            };
            Ok(Arc::new(found))
        }
        .boxed()
    }
}

/// Reads a footer and, where there is one, its page index.
fn footer() -> ParquetMetaDataReader {
    ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional)
}

#[cfg(test)]
mod tests;
