//! What compactions that were cut off leave behind: files whose batches are all in a compacted file too.
//!
//! Readers take each batch once, so such a file is a copy and nothing is lost with it. Which of two
//! compacted files with the same batches is the copy is decided by their names: the greater one counts.
//! So whoever looks, and however many look at once, the greatest file that holds a batch is nobody's copy.
//!
//! A file of batches may be deleted at any time once it is covered. A compacted file may not where
//! compactions run: one that is under way may be about to delete the file that covers it.

use super::{
    AppendLog, Shared,
    format::{self, Batches, read_file},
};
use crate::StorageError;

/// A file of a log that is a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredFile {
    /// Its path in the bucket.
    pub path: String,
    /// Whether it is itself a compacted file; see the module's text for who may delete those.
    pub compacted: bool,
}

impl<T> AppendLog<T> {
    /// Files of which every batch is, byte for byte, in a compacted file as well; for compacted files, in
    /// one of a greater name. By path.
    ///
    /// # Errors
    /// As [`AppendLog::read_all`].
    pub async fn covered(&self) -> Result<Vec<CoveredFile>, StorageError> {
        self.shared.covered().await
    }
}

/// One file's batches.
struct File {
    path: String,
    compacted: bool,
    batches: Batches,
}

impl Shared {
    async fn covered(&self) -> Result<Vec<CoveredFile>, StorageError> {
        let files = self.files(&self.bucket.without_rescue()).await?;
        self.compute(move || {
            let files = files
                .into_iter()
                .map(|(path, bytes)| {
                    let mut batches = Batches::new();
                    read_file(&path, &bytes, &mut batches)?;
                    Ok(File {
                        compacted: format::is_compacted(&path),
                        path,
                        batches,
                    })
                })
                .collect::<Result<Vec<_>, StorageError>>()?;
            Ok(files
                .iter()
                .filter(|file| file.is_covered(&files))
                .map(|file| CoveredFile {
                    path: file.path.clone(),
                    compacted: file.compacted,
                })
                .collect())
        })
        .await
    }
}

impl File {
    fn is_covered(&self, files: &[Self]) -> bool {
        let covers = |other: &&Self| other.compacted && (!self.compacted || other.path > self.path);
        let held = |name, lines: &[u8]| {
            files.iter().filter(covers).any(|other| {
                let copy = other.batches.get(name);
                copy.is_some_and(|copy| copy.trim_ascii_end() == lines.trim_ascii_end())
            })
        };
        !self.batches.is_empty() && self.batches.iter().all(|(name, lines)| held(name, lines))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use boathouse_types::{BucketName, ManualClock};
    use bytes::Bytes;

    use super::*;
    use crate::Bucket;

    fn log(bucket: &Bucket) -> AppendLog<u64> {
        AppendLog::new(bucket.clone(), "log", Arc::new(ManualClock::at(1_000)))
    }

    /// Names and bytes of everything in the log.
    async fn files(bucket: &Bucket) -> Vec<(String, Bytes)> {
        let mut files = Vec::new();
        for object in bucket.list("log").await.unwrap() {
            let bytes = bucket.get(&object.path).await.unwrap();
            files.push((object.path, bytes));
        }
        files
    }

    async fn put_back(bucket: &Bucket, files: &[(String, Bytes)]) {
        for (path, bytes) in files {
            bucket.put(path, bytes.clone()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn copies_are_found_and_nothing_is_missed_without_them() {
        let bucket = Bucket::memory(BucketName::primary());
        let log = log(&bucket);
        assert_eq!(log.covered().await.unwrap(), []);
        let older = Bytes::from("7\nnot a number\n8");
        bucket.put("log/older.jsonl", older).await.unwrap();
        for record in 0..3 {
            log.append(record).await.unwrap();
        }
        let first = files(&bucket).await;
        log.compact().await.unwrap();
        assert_eq!(log.covered().await.unwrap(), []);
        log.append(3).await.unwrap();
        let second = files(&bucket).await;
        log.compact().await.unwrap();
        let whole = log.read_all().await.unwrap();
        // As if every deletion of both compactions had been cut off.
        put_back(&bucket, &[first.clone(), second.clone()].concat()).await;
        let covered = log.covered().await.unwrap();
        let mut expected: Vec<_> = [first, second]
            .concat()
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        expected.sort();
        let paths: Vec<_> = covered.iter().map(|file| file.path.clone()).collect();
        assert_eq!(paths, expected);
        assert_eq!(covered.iter().filter(|file| file.compacted).count(), 1);
        for file in &covered {
            bucket.delete(&file.path).await.unwrap();
        }
        assert_eq!(log.read_all().await.unwrap(), whole);
        assert_eq!(log.covered().await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_is_only_partly_held_or_differs_is_no_copy() {
        let bucket = Bucket::memory(BucketName::primary());
        let log = log(&bucket);
        log.append(1).await.unwrap();
        log.append(2).await.unwrap();
        let before = files(&bucket).await;
        log.compact().await.unwrap();
        put_back(&bucket, &before).await;
        let (path, _) = &before[0];
        bucket.put(path, Bytes::from("9\n")).await.unwrap();
        log.append(3).await.unwrap();
        let covered = log.covered().await.unwrap();
        let paths: Vec<_> = covered.iter().map(|file| &file.path).collect();
        assert_eq!(paths, [&before[1].0]);
    }
}
