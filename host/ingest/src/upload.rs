//! Local files into a bucket, all or nothing.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::Arc,
};

use boathouse_storage::{Bucket, StorageError};
use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, path::Path};

use crate::{DatasetFile, IngestError};

/// Bytes of one part, and the largest file that goes in one piece; S3 wants at least 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// Copies a file to `path` and gives its size. Fails without leaving an object, as far as the bucket
/// allows.
pub(crate) async fn upload(
    bucket: &Bucket,
    path: &str,
    file: &File,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<u64, IngestError> {
    let mut file = file.try_clone().map_err(IngestError::Spool)?;
    file.seek(SeekFrom::Start(0)).map_err(IngestError::Spool)?;
    let (mut file, first) = read_part(file).await?;
    if cancelled() {
        return Err(IngestError::Cancelled);
    }
    if first.len() < PART_BYTES {
        let bytes = first.len() as u64;
        let written = bucket.put_new(path, first).await;
        if written.is_err() {
            discard_path(bucket, path).await;
        }
        return Ok(written.map(|()| bytes)?);
    }
    let failed = |error| unavailable(bucket, path, error);
    let mut target = bucket
        .store()
        .put_multipart(&Path::from(path))
        .await
        .map_err(failed)?;
    let mut part = first;
    let mut bytes = 0;
    let copied = loop {
        if part.is_empty() {
            break target.complete().await.map_err(failed);
        }
        if cancelled() {
            break Err(IngestError::Cancelled);
        }
        bytes += part.len() as u64;
        if let Err(error) = target.put_part(PutPayload::from(part)).await {
            break Err(failed(error));
        }
        match read_part(file).await {
            Ok((same, next)) => (file, part) = (same, next),
            Err(error) => break Err(error),
        }
    };
    if let Err(error) = copied {
        abort(target, path).await;
        discard_path(bucket, path).await;
        return Err(error);
    }
    Ok(bytes)
}

/// Removes files that no manifest lists. What cannot be removed stays as an orphan, which is logged.
pub(crate) async fn discard(bucket: &Bucket, files: &[DatasetFile]) {
    for file in files {
        discard_path(bucket, &file.path).await;
    }
}

async fn discard_path(bucket: &Bucket, path: &str) {
    if let Err(error) = bucket.delete(path).await {
        tracing::warn!(path, %error, "an object that nobody needs could not be removed");
    }
}

async fn abort(mut target: Box<dyn MultipartUpload>, path: &str) {
    if let Err(error) = target.abort().await {
        tracing::warn!(path, %error, "an upload could not be aborted");
    }
}

/// Reads the next part on a thread that may block; an empty one is the end.
async fn read_part(file: File) -> Result<(File, Bytes), IngestError> {
    let read = tokio::task::spawn_blocking(move || {
        let mut part = Vec::with_capacity(PART_BYTES);
        let read = (&file).take(PART_BYTES as u64).read_to_end(&mut part);
        read.map(|_| (file, Bytes::from(part)))
    });
    read.await
        .map_err(|error| IngestError::Worker(error.to_string()))?
        .map_err(IngestError::Spool)
}

fn unavailable(bucket: &Bucket, path: &str, error: object_store::Error) -> IngestError {
    IngestError::Storage(StorageError::Unavailable {
        bucket: bucket.name().clone(),
        path: path.to_owned(),
        source: Arc::new(error),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::World;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[tokio::test]
    async fn a_large_file_goes_in_parts_and_arrives_whole() {
        let world = World::new();
        let bytes: Vec<u8> = (0..2 * PART_BYTES + 5).map(|at| (at % 251) as u8).collect();
        for length in [0, 1, PART_BYTES - 1, PART_BYTES, bytes.len()] {
            let path = format!("datasets/d/data/{length}.parquet");
            let sent = upload(&world.bucket, &path, &file(&bytes[..length]), &|| false).await;
            assert_eq!(sent.unwrap(), length as u64);
            assert_eq!(world.bucket.get(&path).await.unwrap(), bytes[..length]);
        }
    }

    #[tokio::test]
    async fn a_cancelled_or_failed_upload_leaves_nothing() {
        let world = World::new();
        let large = file(&vec![7; 2 * PART_BYTES]);
        let cancelled = upload(&world.bucket, "x/a", &large, &|| true).await;
        assert!(matches!(cancelled, Err(IngestError::Cancelled)));
        let asked = std::sync::atomic::AtomicU32::new(0);
        let later = || asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 1;
        let cancelled = upload(&world.bucket, "x/b", &large, &later).await;
        assert!(matches!(cancelled, Err(IngestError::Cancelled)));
        world.faults.allow_writes(0);
        let failed = upload(&world.bucket, "x/c", &large, &|| false).await;
        assert!(matches!(failed, Err(IngestError::Storage(_))));
        assert_eq!(world.paths("x").await, [""; 0]);
    }
}
