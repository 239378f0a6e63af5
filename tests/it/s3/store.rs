//! What the storage room promises, kept by a real S3 server: the suite that object stores pass, and races.

use std::sync::Arc;

use boathouse_storage::{AppendLog, Bucket, Manifest, Mirror, MirrorScope, StorageError, restore};
use boathouse_types::{Clock, ManualClock};
use bytes::Bytes;
use futures::future::{join, join_all};
use object_store::{ObjectStore, integration};
use tokio_util::sync::CancellationToken;

use crate::support::s3::Space;

/// The suite that object_store runs on its own stores; each part wants an empty one.
pub(super) async fn check_store(mut empty: impl FnMut(&str) -> Arc<dyn ObjectStore>) {
    integration::put_get_delete_list(&*empty("basics")).await;
    integration::list_with_offset_exclusivity(&*empty("offset")).await;
    integration::get_opts(&*empty("get-opts")).await;
    integration::put_opts(&*empty("put-opts"), true).await;
    integration::list_uses_directories_correctly(&*empty("folders")).await;
    integration::list_with_delimiter(&*empty("delimiter")).await;
    integration::rename_and_copy(&*empty("rename")).await;
    integration::stream_get(&*empty("parts")).await;
    integration::multipart_out_of_order(&*empty("order")).await;
    integration::multipart_race_condition(&*empty("race"), true).await;
}

#[tokio::test]
async fn a_bucket_on_s3_passes_the_suite_of_object_stores() {
    let Some(space) = Space::shared().await else {
        return;
    };
    check_store(|part| Arc::clone(space.bucket(part).store())).await;
}

#[tokio::test]
async fn a_mirrored_bucket_on_s3_passes_it_too_and_is_rebuilt_from_its_copy() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let rescue = space.bucket("copies");
    let mirror = Mirror::new(rescue.clone(), clock(), MirrorScope::Everything);
    check_store(|part| Arc::clone(mirror.over(&space.bucket(part)).store())).await;

    let home = space.bucket("home");
    let mirrored = mirror.over(&home);
    for part in ["a", "b/c", "b/d"] {
        mirrored.put(part, Bytes::from(part)).await.expect("put");
    }
    let stop = CancellationToken::new();
    let settled = async {
        mirror.settled().await;
        stop.cancel();
    };
    join(mirror.work(stop.clone()), settled).await;
    home.delete("b/c").await.expect("lost");
    let restored = restore(&rescue, &home, false).await.expect("restored");
    assert_eq!((restored.copied, restored.kept), (1, 2), "{restored:?}");
    assert_eq!(home.get("b/c").await.expect("it is back"), "b/c");
}

#[tokio::test]
async fn of_creates_that_race_one_wins_and_its_bytes_stay() {
    let Some(space) = Space::shared().await else {
        return;
    };
    let bucket = space.bucket("races");
    bucket.probe().await.expect("fit for commits");
    for race in 0..10 {
        let path = format!("race-{race}");
        let create = |racer: usize| {
            let (bucket, path) = (&bucket, &path);
            async move { bucket.put_new(path, Bytes::from(racer.to_string())).await }
        };
        let results = join_all((0..8).map(create)).await;
        let won: Vec<_> = (0..8).filter(|&racer| results[racer].is_ok()).collect();
        assert_eq!(won.len(), 1, "{path}: {results:?}");
        let second = |result: &Result<(), _>| matches!(result, Err(StorageError::Exists { .. }));
        assert_eq!(results.iter().filter(|result| second(result)).count(), 7);
        let kept = bucket.get(&path).await.expect("the winner's");
        assert_eq!(kept, won[0].to_string().as_bytes());
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(1))
}

/// A record: who wrote it, and how many that writer had written before.
type Record = (usize, usize);

/// A log that shares nothing in memory with another one, as if of another host.
fn log(bucket: &Bucket) -> AppendLog<Record> {
    AppendLog::new(bucket.clone(), "log", clock())
}

#[tokio::test]
async fn eight_writers_and_a_compaction_lose_and_double_nothing() {
    const WRITERS: usize = 8;
    const RECORDS: usize = 25;
    let Some(space) = Space::shared().await else {
        return;
    };
    let bucket = space.bucket("log");
    let write = |writer: usize| {
        let log = log(&bucket);
        async move {
            for number in 0..RECORDS {
                log.append((writer, number)).await.expect("acknowledged");
            }
        }
    };
    let compact = async {
        let compactor = log(&bucket);
        let mut merged = 0;
        while merged < WRITERS * RECORDS / 4 {
            merged += compactor.compact().await.expect("compacted");
        }
    };
    join(join_all((0..WRITERS).map(write)), compact).await;
    log(&bucket).compact().await.expect("compacted");
    let contents = log(&bucket).read_all().await.expect("readable");
    assert_eq!(contents.malformed, 0);
    for writer in 0..WRITERS {
        let of_writer = contents.records.iter().filter(|(by, _)| *by == writer);
        let numbers: Vec<_> = of_writer.map(|(_, number)| *number).collect();
        assert_eq!(numbers, (0..RECORDS).collect::<Vec<_>>(), "of {writer}");
    }
    assert_eq!(contents.records.len(), WRITERS * RECORDS);
    assert_eq!(bucket.list("log").await.expect("a listing").len(), 1);
}

#[tokio::test]
async fn of_commits_that_race_one_wins_and_the_others_are_told() {
    const RACERS: usize = 4;
    const COMMITS: usize = 6;
    let Some(space) = Space::shared().await else {
        return;
    };
    let bucket = space.bucket("manifest");
    let race = |racer: usize| {
        let manifest: Manifest<Vec<Record>> = Manifest::new(bucket.clone(), "manifest");
        async move {
            let (mut done, mut conflicts) = (0, 0);
            while done < COMMITS {
                let found = manifest.load().await.expect("readable");
                let (version, mut all) = found.map_or((0, vec![]), |it| (it.version, it.value));
                all.push((racer, done));
                match manifest.commit(version, &all).await {
                    Ok(next) => {
                        assert_eq!(next, version + 1);
                        done += 1;
                    }
                    Err(StorageError::Conflict { .. }) => conflicts += 1,
                    Err(error) => panic!("{error:?}"),
                }
                manifest.prune(0).await.expect("pruned");
            }
            conflicts
        }
    };
    let conflicts: usize = join_all((0..RACERS).map(race)).await.into_iter().sum();
    let manifest: Manifest<Vec<Record>> = Manifest::new(bucket.clone(), "manifest");
    let last = manifest.load().await.expect("readable").expect("committed");
    assert_eq!(last.version, (RACERS * COMMITS) as u64);
    for racer in 0..RACERS {
        let of_racer = last.value.iter().filter(|(by, _)| *by == racer);
        let numbers: Vec<_> = of_racer.map(|(_, number)| *number).collect();
        assert_eq!(numbers, (0..COMMITS).collect::<Vec<_>>(), "of {racer}");
    }
    assert!(conflicts > 0, "nobody ever raced");
}
