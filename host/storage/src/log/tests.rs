//! Append logs: nothing acknowledged is lost or doubled, whoever writes, crashes, compacts or reads.

mod crash;

use std::collections::BTreeSet;

use boathouse_types::{BucketName, ManualClock};
use futures::{FutureExt, future::join_all};
use serde::Deserialize;
use tempfile::TempDir;

use super::*;
use boathouse_faults::{FaultyStore, Last, Plan};

use crate::{BackendConfig, BucketConfig};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    id: u32,
    #[serde(default)]
    note: Option<String>,
}

fn record(id: u32) -> Record {
    Record { id, note: None }
}

fn memory() -> Bucket {
    Bucket::memory(BucketName::primary())
}

/// The bucket as somebody sees it whose store misbehaves.
fn faulty(bucket: &Bucket, plan: Plan) -> (Bucket, FaultyStore) {
    let store = FaultyStore::new(Arc::clone(bucket.store()), plan);
    (bucket.with_store(Arc::new(store.clone())), store)
}

fn local(folder: &TempDir) -> Bucket {
    let config = BucketConfig {
        name: BucketName::primary(),
        backend: BackendConfig::Local {
            root: folder.path().to_owned(),
        },
    };
    Bucket::open(&config, &|_| None).unwrap()
}

fn log(bucket: &Bucket) -> AppendLog<Record> {
    AppendLog::new(bucket.clone(), "journal", Arc::new(ManualClock::at(1)))
}

async fn ids(log: &AppendLog<Record>) -> Vec<u32> {
    let contents = log.read_all().await.unwrap();
    contents.records.into_iter().map(|r| r.id).collect()
}

async fn files(bucket: &Bucket) -> usize {
    bucket.list("journal").await.unwrap().len()
}

#[tokio::test]
async fn records_come_back_in_order_and_survive_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    for bucket in [memory(), local(&folder)] {
        assert!(ids(&log(&bucket)).await.is_empty());
        for id in 0..20 {
            log(&bucket).append(record(id)).await.unwrap();
        }
        let expected: Vec<_> = (0..20).collect();
        assert_eq!(ids(&log(&bucket)).await, expected);
        assert_eq!(log(&bucket).compact().await.unwrap(), 20);
        assert_eq!(files(&bucket).await, 1);
        assert_eq!(ids(&log(&bucket)).await, expected);
        assert_eq!(log(&bucket).compact().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn appends_at_once_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = local(&folder);
    let log = log(&bucket);
    let results = join_all((0..64).map(|id| log.append(record(id)))).await;
    assert!(results.iter().all(Result::is_ok));
    // The first is on its way when the others come; they all go with the second file.
    assert_eq!(files(&bucket).await, 2);
    assert_eq!(ids(&log).await, (0..64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failed_group_fails_every_append_in_it() {
    let bucket = memory();
    let (faulty, _) = faulty(
        &bucket,
        Plan::Stop {
            at: 0,
            last: Last::Lost,
        },
    );
    let log = log(&faulty);
    let results = join_all((0..5).map(|id| log.append(record(id)))).await;
    assert!(
        results
            .iter()
            .all(|r| matches!(r, Err(StorageError::Unavailable { .. })))
    );
    assert_eq!(files(&bucket).await, 0);
}

#[tokio::test]
async fn a_cancelled_append_hands_its_batch_on() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = local(&folder);
    let log = log(&bucket);
    // The first poll hands the write to the disk; nobody waits for it.
    assert!(log.append(record(0)).now_or_never().is_none());
    assert!(log.append(record(1)).now_or_never().is_none());
    log.append(record(2)).await.unwrap();
    assert_eq!(ids(&log).await, [0, 1, 2]);
    log.compact().await.unwrap();
    assert_eq!(ids(&log).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_buffer_is_written_when_it_is_full_or_flushed() {
    let bucket = memory();
    let log = log(&bucket).with_flush_threshold(3);
    for id in 0..2 {
        log.append(record(id)).await.unwrap();
    }
    assert_eq!((files(&bucket).await, ids(&log).await), (0, vec![0, 1]));
    log.append(record(2)).await.unwrap();
    assert_eq!(files(&bucket).await, 1);
    log.append(record(3)).await.unwrap();
    assert_eq!(
        (files(&bucket).await, ids(&log).await),
        (1, vec![0, 1, 2, 3])
    );
    log.flush().await.unwrap();
    log.flush().await.unwrap();
    assert_eq!(
        (files(&bucket).await, ids(&log).await),
        (2, vec![0, 1, 2, 3])
    );
}

#[tokio::test]
async fn a_buffer_that_cannot_be_flushed_is_kept_and_bounded() {
    for last in Last::BOTH {
        let bucket = memory();
        let (faulty, _) = faulty(&bucket, Plan::Stop { at: 0, last });
        let log = log(&faulty).with_flush_threshold(2);
        let taken =
            [0, 1, 2, 3, 4, 5].map(|id| log.append(record(id)).now_or_never().unwrap().is_ok());
        assert_eq!(taken, [true, true, true, true, false, false]);
        assert!(log.flush().await.is_err());
        // The sealed batch and the open one, and not twice what did reach the store.
        let buffered = log.shared.buffered().await;
        assert_eq!(buffered.values().map(|l| l.len()).sum::<usize>(), 4 * 21);
    }
}

#[tokio::test]
async fn older_journals_and_damaged_lines_read() {
    let bucket = memory();
    let journal = [
        (
            "journal/batch_1700000000000002.jsonl",
            "{\"id\":2}\n{\"id\":3,\"note\":\"seed\"}\n",
        ),
        (
            "journal/batch_1700000000000001.jsonl",
            "{\"id\":1}\r\n\n{\"id\":\nnot json\n\u{fffd}\n{\"id\":10}",
        ),
        ("journal/readme.txt", "no journal"),
        ("journal/below/other.jsonl", "{\"id\":99}\n"),
        ("journal2/other.jsonl", "{\"id\":99}\n"),
    ];
    for (path, text) in journal {
        bucket.put(path, Bytes::from(text)).await.unwrap();
    }
    bucket
        .put(
            "journal/batch_1700000000000003.jsonl",
            Bytes::from_static(b"\xff\xfe\n"),
        )
        .await
        .unwrap();
    let log = log(&bucket);
    log.append(record(4)).await.unwrap();
    for _ in 0..2 {
        let contents = log.read_all().await.unwrap();
        let ids: Vec<_> = contents.records.iter().map(|r| r.id).collect();
        assert_eq!((ids, contents.malformed), (vec![1, 10, 2, 3, 4], 4));
        assert_eq!(bucket.malformed(), [("journal".to_owned(), 4)]);
        assert_eq!(contents.records[3].note.as_deref(), Some("seed"));
        log.compact().await.unwrap();
    }
    assert!(bucket.exists("journal/readme.txt").await.unwrap());
}

#[tokio::test]
async fn files_that_a_compaction_left_behind_are_ignored_and_removed() {
    let bucket = memory();
    let log = log(&bucket);
    for id in 0..3 {
        log.append(record(id)).await.unwrap();
    }
    let before = bucket.list("journal").await.unwrap();
    let mut leftovers = Vec::new();
    for file in before {
        leftovers.push((file.path.clone(), bucket.get(&file.path).await.unwrap()));
    }
    log.compact().await.unwrap();
    for (path, bytes) in leftovers {
        bucket.put(&path, bytes).await.unwrap();
    }
    assert_eq!(ids(&log).await, [0, 1, 2]);
    log.append(record(3)).await.unwrap();
    assert_eq!(log.compact().await.unwrap(), 5);
    assert_eq!(
        (files(&bucket).await, ids(&log).await),
        (1, vec![0, 1, 2, 3])
    );
}

#[tokio::test]
async fn a_newer_file_is_refused_and_not_compacted_away() {
    let bucket = memory();
    let log = log(&bucket);
    log.append(record(0)).await.unwrap();
    let newer = "{\"format\":\"boathouse/log\",\"format_version\":2}\n";
    bucket
        .put("journal/zzz.jsonl", Bytes::from(newer))
        .await
        .unwrap();
    for error in [
        log.read_all().await.unwrap_err(),
        log.compact().await.unwrap_err(),
    ] {
        assert!(
            matches!(error, StorageError::NewerFormat { found: 2, .. }),
            "{error}"
        );
    }
    assert_eq!(files(&bucket).await, 2);
}

#[tokio::test]
async fn writers_readers_and_compactions_at_once_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for bucket in [memory(), local(&folder)] {
        let acknowledged = Mutex::new(BTreeSet::new());
        let writers = join_all((0..4).map(|writer| {
            let (log, acknowledged) = (log(&bucket), &acknowledged);
            async move {
                for n in 0..15 {
                    let id = writer * 100 + n;
                    log.append(record(id)).await.unwrap();
                    acknowledged.lock().unwrap().insert(id);
                }
            }
        }));
        let compactions = join_all((0..2).map(|_| async {
            for _ in 0..10 {
                match log(&bucket).compact().await {
                    Ok(_) | Err(StorageError::Contended { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }));
        let readers = async {
            for _ in 0..20 {
                let before = acknowledged.lock().unwrap().clone();
                let found = ids(&log(&bucket)).await;
                let unique: BTreeSet<_> = found.iter().copied().collect();
                assert_eq!(unique.len(), found.len(), "doubled: {found:?}");
                assert!(before.is_subset(&unique), "lost: {before:?} {found:?}");
            }
        };
        futures::join!(writers, compactions, readers);
        log(&bucket).compact().await.unwrap();
        let found = ids(&log(&bucket)).await;
        assert_eq!(found.len(), 60);
        for writer in 0..4 {
            let own: Vec<_> = found.iter().filter(|id| **id / 100 == writer).collect();
            assert!(own.is_sorted(), "{own:?}");
        }
    }
}

/// Handlers need futures that may move between threads.
#[test]
fn futures_are_send() {
    fn check(_: impl Send) {}
    let (bucket, log) = (memory(), log(&memory()));
    check(log.append(record(0)));
    check(log.flush());
    check(log.read_all());
    check(log.compact());
    check(bucket.probe());
    check(bucket.list(""));
    check(bucket.children(""));
    check(bucket.get("a"));
    let manifest = crate::Manifest::<u32>::new(bucket.clone(), "m");
    check(manifest.load());
    check(manifest.commit(0, &1));
    check(manifest.prune(1));
}
