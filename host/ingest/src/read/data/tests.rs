//! Files that were altered after they were written: an error, or the rows as they were, never other rows.

use arrow::array::RecordBatch;
use boathouse_storage::{Mirror, MirrorScope};
use boathouse_types::BucketName;
use futures::TryStreamExt as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::*;
use crate::{
    Dataset, IngestError, IngestMode,
    testing::{World, dataset},
};

/// Bytes of a block.
const BLOCK: u64 = 64 << 10;
const ROWS: u64 = 8_000;
/// Rows of which one column lies in one block.
const SOME: [u64; 2] = [17, ROWS - 3];

/// A file of several blocks, with texts that do not compress.
async fn world() -> World {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = ChaCha8Rng::seed_from_u64(15);
    let mut csv = "id,text\n".to_owned();
    for id in 0..ROWS {
        csv += &format!("{id},t");
        csv.extend((0..40).map(|_| char::from(letters[random.random_range(0..letters.len())])));
        csv.push('\n');
    }
    let world = World::new();
    let ingested = world.ingest(csv, "a.csv", IngestMode::Replace).await;
    ingested.unwrap();
    world
}

/// The dataset, by whoever has read nothing of it yet.
async fn fresh(bucket: &Bucket) -> Dataset {
    let datasets = World::over(bucket).context.datasets;
    datasets.open(&dataset(), None).await.unwrap()
}

async fn whole(dataset: &Dataset) -> std::result::Result<Vec<RecordBatch>, IngestError> {
    dataset.scan(&[])?.try_collect().await
}

async fn some(dataset: &Dataset) -> std::result::Result<Vec<Value>, IngestError> {
    dataset.take(&SOME, &["id"]).await
}

/// The file and its bytes.
async fn stored(dataset: &Dataset) -> (DatasetFile, Bytes) {
    let file = dataset.files()[0].clone();
    let bytes = dataset.bucket().get(&file.path).await.unwrap();
    assert_eq!(bytes.len() as u64, file.bytes);
    (file, bytes)
}

/// Puts the bytes back with one bit flipped.
async fn flip(bucket: &Bucket, path: &str, bytes: &Bytes, bit: usize) {
    let mut altered = bytes.to_vec();
    altered[bit / 8] ^= 1 << (bit % 8);
    bucket.put(path, altered.into()).await.unwrap();
}

#[track_caller]
fn check_named(error: &IngestError, path: &str) {
    assert!(matches!(error, IngestError::Damaged { .. }), "{error}");
    let said = error.to_string();
    for words in [path, "ingest the dataset anew"] {
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn no_flipped_bit_is_read_as_another_value() {
    let world = world().await;
    let open = fresh(&world.bucket).await;
    let (file, bytes) = stored(&open).await;
    let content = usize::try_from(file.seal.unwrap().content).unwrap();
    let block = BLOCK as usize;
    assert!(content > 3 * block, "several blocks: {content}");
    let (rows, few) = (whole(&open).await.unwrap(), some(&open).await.unwrap());
    // The first byte and the last, and where content, checksums, page indexes and footer meet.
    let behind = content + 4 * content.div_ceil(block);
    let length = bytes.len();
    let edges = [
        0,
        content - 1,
        content,
        behind - 1,
        behind,
        length - 8,
        length - 1,
    ];
    let mut random = ChaCha8Rng::seed_from_u64(16);
    let bits = edges.into_iter().map(|byte| 8 * byte + byte % 8);
    let bits: Vec<usize> = bits
        .chain((0..200).map(|_| random.random_range(0..8 * length)))
        .collect();
    let mut harmless = 0;
    for bit in bits {
        flip(&world.bucket, &file.path, &bytes, bit).await;
        let open = fresh(&world.bucket).await;
        check_named(&whole(&open).await.unwrap_err(), &file.path);
        match some(&open).await {
            Ok(read) => {
                assert_eq!(read, few, "bit {bit}");
                harmless += 1;
            }
            Err(error) => check_named(&error, &file.path),
        }
    }
    assert!(harmless > 0, "a column needs few blocks");
    world.bucket.put(&file.path, bytes).await.unwrap();
    assert_eq!(whole(&fresh(&world.bucket).await).await.unwrap(), rows);
}

#[tokio::test]
async fn ranges_are_read_from_the_middle_of_blocks_to_the_middle_of_others() {
    let world = world().await;
    let open = fresh(&world.bucket).await;
    let (file, bytes) = stored(&open).await;
    let footer = open.0.footers.load(&world.bucket, &file).await.unwrap();
    let content = file.seal.unwrap().content;
    let mut data = DataFile::new(&world.bucket, &file, footer.sums);
    let asked = vec![
        2 * BLOCK + 5..3 * BLOCK + 9,
        4..10,
        BLOCK - 3..BLOCK + 3,
        9..2 * BLOCK,
        content - 1..content,
    ];
    let read = data.get_byte_ranges(asked.clone()).await.unwrap();
    for (range, read) in asked.iter().zip(read) {
        let (start, end) = (range.start as usize, range.end as usize);
        assert_eq!(read, bytes[start..end], "{range:?}");
    }
    let refused = data.get_bytes(content..content + 1).await.unwrap_err();
    assert!(refused.to_string().contains("bytes"), "{refused}");
    // What was altered is no matter to who reads beside it.
    flip(&world.bucket, &file.path, &bytes, 8 * 70_000).await;
    assert!(data.get_bytes(BLOCK - 9..BLOCK).await.is_ok());
    assert!(data.get_bytes(BLOCK..BLOCK + 1).await.is_err());
    assert!(data.get_bytes(2 * BLOCK..2 * BLOCK + 1).await.is_ok());
}

#[tokio::test]
async fn a_file_that_became_shorter_or_longer_gives_no_other_rows() {
    let world = world().await;
    let open = fresh(&world.bucket).await;
    let (file, bytes) = stored(&open).await;
    let content = file.seal.unwrap().content as usize;
    let rows = whole(&open).await.unwrap();
    for length in [0, 1, content / 2, content, content + 3, bytes.len() - 1] {
        let short = bytes.slice(..length);
        world.bucket.put(&file.path, short).await.unwrap();
        let refused = whole(&fresh(&world.bucket).await).await.unwrap_err();
        check_named(&refused, &file.path);
        if length < content {
            // Who knows the footer meets the loss in the content.
            check_named(&whole(&open).await.unwrap_err(), &file.path);
        }
    }
    let longer = [&bytes[..], &bytes[..]].concat();
    world.bucket.put(&file.path, longer.into()).await.unwrap();
    assert_eq!(whole(&fresh(&world.bucket).await).await.unwrap(), rows);
    // Another file of the same length is not taken for this one.
    let other = vec![7; bytes.len()];
    world.bucket.put(&file.path, other.into()).await.unwrap();
    check_named(&whole(&open).await.unwrap_err(), &file.path);
}

#[tokio::test]
async fn a_file_of_an_earlier_release_is_read_as_it_is() {
    let world = world().await;
    let rows = whole(&fresh(&world.bucket).await).await.unwrap();
    world.unseal().await;
    let open = fresh(&world.bucket).await;
    assert_eq!(open.files()[0].seal, None);
    assert_eq!(whole(&open).await.unwrap(), rows);
    let ingested = world.ingest("id,text\n8000,tail\n", "b.csv", IngestMode::Append);
    assert!(ingested.await.unwrap().version.files[0].seal.is_some());
    let more = whole(&fresh(&world.bucket).await).await.unwrap();
    let counted: usize = more.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(counted as u64, ROWS + 1);
}

#[tokio::test]
async fn what_was_altered_is_read_from_a_sound_copy() {
    let world = world().await;
    let rescue = Bucket::memory(BucketName::rescue());
    let copies = rescue.within("primary").unwrap();
    for object in world.bucket.list("").await.unwrap() {
        let bytes = world.bucket.get(&object.path).await.unwrap();
        copies.put(&object.path, bytes).await.unwrap();
    }
    let mirror = Mirror::new(rescue, world.clock.clone(), MirrorScope::Everything);
    let mirrored = mirror.over(&world.bucket);
    let open = fresh(&mirrored).await;
    let (file, bytes) = stored(&open).await;
    let rows = whole(&open).await.unwrap();
    let content = file.seal.unwrap().content as usize;
    for byte in [70_000, content + 1, bytes.len() - 20] {
        flip(&world.bucket, &file.path, &bytes, 8 * byte).await;
        let read = whole(&fresh(&mirrored).await).await;
        assert_eq!(read.unwrap(), rows, "byte {byte}");
        assert_ne!(world.bucket.get(&file.path).await.unwrap(), bytes);
        // A copy that is altered, too, is of no use.
        flip(&copies, &file.path, &bytes, 8 * byte + 1).await;
        let refused = whole(&fresh(&mirrored).await).await.unwrap_err();
        check_named(&refused, &file.path);
        copies.put(&file.path, bytes.clone()).await.unwrap();
    }
}
