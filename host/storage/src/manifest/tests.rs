//! Commits: exactly one of several wins, none is lost, and a crash at any step leaves old or new.

mod crash;

use std::sync::Arc;

use boathouse_types::BucketName;
use tempfile::TempDir;

use super::*;
use boathouse_faults::{FaultyStore, Last, Plan};

use crate::{BackendConfig, BucketConfig};

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

fn counter(bucket: &Bucket) -> Manifest<u64> {
    Manifest::new(bucket.clone(), "x/manifest/")
}

/// Adds one the way writers should: load, change, commit, and on conflict again.
async fn increment(manifest: &Manifest<u64>) {
    loop {
        let (version, value) = match manifest.load().await.unwrap() {
            Some(found) => (found.version, found.value),
            None => (0, 0),
        };
        match manifest.commit(version, &(value + 1)).await {
            Ok(committed) => {
                assert_eq!(committed, version + 1);
                return;
            }
            Err(StorageError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn versions_follow_each_other() {
    let manifest = counter(&memory());
    assert_eq!(manifest.load().await.unwrap(), None);
    assert_eq!(manifest.commit(0, &10).await.unwrap(), 1);
    assert_eq!(manifest.commit(1, &11).await.unwrap(), 2);
    for stale in [0, 1, 7, u64::MAX] {
        let refused = manifest.commit(stale, &99).await;
        assert!(
            matches!(refused, Err(StorageError::Conflict { .. })),
            "{stale}: {refused:?}"
        );
    }
    let found = manifest.load().await.unwrap().unwrap();
    assert_eq!((found.version, found.value), (2, 11));
}

#[tokio::test]
async fn of_racing_commits_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    for bucket in [memory(), local(&folder)] {
        let manifest = counter(&bucket);
        for round in 0..5 {
            let racers = (0..8).map(|racer| {
                let manifest = manifest.clone();
                async move { manifest.commit(round, &racer).await.map(|_| racer) }
            });
            let mut winners = Vec::new();
            for result in futures::future::join_all(racers).await {
                match result {
                    Ok(racer) => winners.push(racer),
                    Err(error) => {
                        assert!(matches!(error, StorageError::Conflict { .. }), "{error}")
                    }
                }
            }
            let found = manifest.load().await.unwrap().unwrap();
            assert_eq!((found.version, winners), (round + 1, vec![found.value]));
        }
    }
}

#[tokio::test]
async fn no_increment_is_lost_while_versions_are_pruned() {
    let folder = tempfile::tempdir().unwrap();
    for bucket in [memory(), local(&folder)] {
        let writers = (0..4).map(|_| async {
            let manifest = counter(&bucket);
            for _ in 0..10 {
                increment(&manifest).await;
                manifest.prune(0).await.unwrap();
            }
        });
        futures::future::join_all(writers).await;
        let manifest = counter(&bucket);
        let found = manifest.load().await.unwrap().unwrap();
        assert_eq!((found.version, found.value), (40, 40));
        assert!(bucket.list("x").await.unwrap().len() <= MIN_KEPT);
    }
}

#[tokio::test]
async fn pruning_keeps_the_newest_and_a_writer_from_before_it_is_refused() {
    let bucket = memory();
    let manifest = counter(&bucket);
    for version in 0..20 {
        manifest.commit(version, &version).await.unwrap();
    }
    assert_eq!(manifest.prune(12).await.unwrap(), 8);
    assert_eq!(manifest.prune(12).await.unwrap(), 0);
    assert_eq!(
        versions(&bucket, "x/manifest").await.unwrap(),
        (9..=20).collect::<Vec<_>>()
    );

    // The names of the versions it would write are free again.
    for stale in [3, 7] {
        let refused = manifest.commit(stale, &99).await;
        assert!(
            matches!(refused, Err(StorageError::Conflict { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(manifest.load().await.unwrap().unwrap().version, 20);
    assert_eq!(bucket.list("x").await.unwrap().len(), 12);
}

#[tokio::test]
async fn formats_are_checked() {
    let bucket = memory();
    let manifest = counter(&bucket);
    manifest.commit(0, &1).await.unwrap();
    let stored = bucket
        .get("x/manifest/00000000000000000001.json")
        .await
        .unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["format"], "boathouse/manifest");
    assert_eq!(stored["format_version"], 1);

    let newest = "x/manifest/00000000000000000002.json";
    for (text, told) in [
        (
            r#"{"format":"boathouse/manifest","format_version":2,"new":1}"#,
            "update",
        ),
        (
            r#"{"format":"other","format_version":1,"value":1}"#,
            "damaged",
        ),
        (
            r#"{"format":"boathouse/manifest","format_version":1,"value":"x"}"#,
            "damaged",
        ),
        ("", "damaged"),
    ] {
        bucket.put(newest, Bytes::from(text)).await.unwrap();
        let error = manifest.load().await.unwrap_err().to_string();
        assert!(error.contains(told) && error.contains(newest), "{error}");
    }
}

#[tokio::test]
async fn what_does_not_read_is_named_with_its_bucket_and_a_cure() {
    let bucket = memory();
    let manifest = counter(&bucket);
    let path = |version: u64| format!("x/manifest/{version:020}.json");
    for (version, cure) in [(1, "is gone"), (2, "version 1 holds again")] {
        manifest.commit(version - 1, &version).await.unwrap();
        let sound = bucket.get(&path(version)).await.unwrap();
        bucket
            .put(&path(version), Bytes::from("{\"form"))
            .await
            .unwrap();
        let told = manifest.load().await.unwrap_err().to_string();
        let object = path(version);
        let words = [object.as_str(), "`primary`", "backup", cure];
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        assert!(!told.contains("line 1"), "{told}");
        bucket.put(&path(version), sound).await.unwrap();
    }
    assert_eq!(manifest.newest_sound().await.unwrap(), (2, Some(2)));
    bucket.put(&path(2), Bytes::from("{")).await.unwrap();
    assert_eq!(manifest.newest_sound().await.unwrap(), (2, Some(1)));
    bucket.put(&path(1), Bytes::from("{")).await.unwrap();
    assert_eq!(manifest.newest_sound().await.unwrap(), (2, None));
}

#[tokio::test]
async fn other_objects_beside_the_versions_are_no_versions() {
    let bucket = memory();
    let manifest = counter(&bucket);
    manifest.commit(0, &1).await.unwrap();
    for path in [
        "x/manifest/9.json",
        "x/manifest/00000000000000000009.json/a",
        "x/manifest2/00000000000000000009.json",
    ] {
        bucket.put(path, Bytes::from_static(b"?")).await.unwrap();
    }
    assert_eq!(manifest.load().await.unwrap().unwrap().version, 1);
}

#[test]
fn bytes_are_sound_when_the_document_in_them_reads() {
    let sound = br#"{"format":"boathouse/manifest","format_version":1,"value":{"name":"x"}}"#;
    assert!(is_sound(sound));
    let changed = |from: &str, to: &str| {
        let text = String::from_utf8(sound.to_vec()).unwrap();
        text.replace(from, to).into_bytes()
    };
    assert!(is_sound(&changed("version\":1", "version\":2")));
    assert!(is_sound(&changed(
        "version\":1,\"value",
        "version\":2,\"other"
    )));
    for damaged in [
        changed("value", "valuf"),
        changed("format_version", "format_versiom"),
        changed("boathouse", "boathousf"),
        changed("}}", "}"),
        sound
            .map(|byte| if byte == b'x' { 0xff } else { byte })
            .to_vec(),
        Vec::new(),
    ] {
        assert!(!is_sound(&damaged), "{}", damaged.escape_ascii());
    }
}
