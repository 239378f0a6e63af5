//! Reads that the home fails are answered by the rescue, marked, and never mixed; decisions are not.

use serde_json::{Value, json};

use super::*;
use crate::{BackendConfig, BucketConfig};

/// A world with two objects, level.
async fn prepared() -> World {
    let world = World::new();
    put(&world.bucket, "x/a", "1234").await;
    put(&world.bucket, "x/y/b", "5678").await;
    put(&world.bucket, "indexes/i/vectors/v", "vv").await;
    world.level().await;
    world
}

#[tokio::test]
async fn reads_of_a_home_that_fails_are_answered_and_told() {
    let world = prepared().await;
    world.home_store.follow(Plan::DOWN);
    let bucket = &world.bucket;
    let (answers, told) = noting_rescue(async {
        (
            bucket.get("x/a").await.unwrap(),
            bucket.exists("x/y/b").await.unwrap(),
            paths(bucket, "x").await,
            bucket.children("x").await.unwrap(),
        )
    })
    .await;
    let listed = vec!["a".to_owned(), "y/b".to_owned()];
    assert_eq!(
        answers,
        (Bytes::from("1234"), true, listed, vec!["y".to_owned()])
    );
    assert!(told);
    let path = Path::from("x/a");
    let ranges = bucket
        .store()
        .get_ranges(&path, &[0..1, 2..4])
        .await
        .unwrap();
    assert_eq!(ranges, ["1", "34"]);
    assert_eq!(bucket.store().head(&path).await.unwrap().location, path);
    let level = bucket
        .store()
        .list_with_delimiter(Some(&"x".into()))
        .await
        .unwrap();
    assert_eq!((level.objects.len(), level.common_prefixes.len()), (1, 1));
    assert_eq!(world.lag().fallbacks, 7);

    world.home_store.follow(Plan::Never);
    let (_, told) = noting_rescue(bucket.get("x/a")).await;
    assert!(!told && world.lag().fallbacks == 7);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_taken_whole_from_the_rescue() {
    let world = prepared().await;
    // The rescue is behind: it must not be mixed with what the home has given.
    put(&world.home, "x/c", "new").await;
    let cut = Plan::Stop {
        at: 0,
        last: Last::Done,
    };
    world.home_store.follow(cut);
    assert_eq!(paths(&world.bucket, "x").await, ["a", "y/b"]);
    put(&world.home, "x/a", "12345678").await;
    world.home_store.follow(cut);
    assert_eq!(world.bucket.get("x/a").await.unwrap(), "1234");
}

#[tokio::test]
async fn what_the_home_answers_is_never_asked_of_the_rescue() {
    let world = prepared().await;
    world.bucket.delete("x/a").await.unwrap();
    world.bucket.delete("x/y/b").await.unwrap();
    let (missing, told) = noting_rescue(world.bucket.get("x/a")).await;
    assert!(matches!(missing, Err(StorageError::NotFound { .. })));
    assert!(!told && !world.bucket.exists("x/a").await.unwrap());
    assert!(world.bucket.list("x").await.unwrap().is_empty());
    assert!(world.rescue.exists("primary/x/a").await.unwrap());
}

#[tokio::test]
async fn where_the_rescue_has_no_answer_the_error_of_the_home_stands() {
    let world = prepared().await;
    world.home_store.follow(Plan::DOWN);
    let bucket = &world.bucket;
    let failed = |result: Result<(), StorageError>| {
        let Err(StorageError::Unavailable { bucket, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(bucket.as_str(), "primary");
    };
    // Never written; nothing there; left out of the mirror; the root, which is there in part only.
    failed(bucket.get("x/none").await.map(drop));
    failed(bucket.exists("x/none").await.map(drop));
    failed(bucket.list("nothing").await.map(drop));
    failed(bucket.children("nothing").await.map(drop));
    failed(bucket.get("indexes/i/vectors/v").await.map(drop));
    failed(bucket.list("indexes/i/vectors").await.map(drop));
    failed(bucket.list("").await.map(drop));
    failed(bucket.children("").await.map(drop));
    failed(bucket.without_rescue().get("x/a").await.map(drop));
    failed(bucket.without_rescue().list("x").await.map(drop));
    failed(bucket.put("x/a", Bytes::new()).await);
    failed(bucket.delete("x/a").await);
    world.rescue_store.follow(Plan::DOWN);
    failed(bucket.get("x/a").await.map(drop));
    assert_eq!(world.lag().fallbacks, 0);
}

#[tokio::test]
async fn a_folder_that_is_gone_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let backend = BackendConfig::Local { root: root.clone() };
    let name = name("primary");
    let home = Bucket::open(&BucketConfig { name, backend }, &|_| None).unwrap();
    let rescue = Bucket::memory(BucketName::new("rescue").unwrap());
    let mirror = Mirror::new(rescue, clock(), MirrorScope::Recovery);
    let bucket = mirror.over(&home);
    put(&bucket, "x/a", "1").await;
    worked(&mirror, mirror.settled()).await;
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(bucket.get("x/a").await.unwrap(), "1");
    assert_eq!(paths(&bucket, "x").await, ["a"]);
    assert_eq!(bucket.children("x").await.unwrap(), Vec::<String>::new());
    assert!(bucket.put("x/b", Bytes::new()).await.is_err());
    assert!(!root.exists());
}

#[tokio::test]
async fn documents_and_logs_are_read_from_the_rescue_and_decided_without_it() {
    let world = World::new();
    let manifest = Manifest::<u64>::new(world.bucket.clone(), "m/manifest");
    let log = AppendLog::<Value>::new(world.bucket.clone(), "log", clock());
    for n in 0..3 {
        manifest.commit(n, &n).await.unwrap();
        log.append(json!(n)).await.unwrap();
    }
    world.level().await;
    // The home goes on while the rescue stays behind.
    manifest.commit(3, &3).await.unwrap();
    log.append(json!(3)).await.unwrap();
    world.home_store.follow(Plan::DOWN);

    let (found, told) = noting_rescue(manifest.load()).await;
    assert_eq!(found.unwrap().unwrap().version, 3);
    assert!(told);
    let (found, told) = noting_rescue(log.read_all()).await;
    assert_eq!(found.unwrap().records, [0, 1, 2]);
    assert!(told);
    for failed in [
        manifest.commit(3, &9).await.map(drop),
        manifest.prune(0).await.map(drop),
        log.append(json!(9)).await,
        log.compact().await.map(drop),
    ] {
        assert!(
            matches!(failed, Err(StorageError::Unavailable { .. })),
            "{failed:?}"
        );
    }

    world.home_store.follow(Plan::Never);
    let conflict = manifest.commit(3, &9).await;
    assert!(matches!(conflict, Err(StorageError::Conflict { .. })));
    assert_eq!(manifest.load().await.unwrap().unwrap().value, 3);
    log.compact().await.unwrap();
    assert_eq!(log.read_all().await.unwrap().records, [0, 1, 2, 3]);
    // The rescue has the batches and the compacted file; each record counts once.
    world.level().await;
    world.home_store.follow(Plan::DOWN);
    assert_eq!(log.read_all().await.unwrap().records, [0, 1, 2, 3]);
}

#[tokio::test]
async fn one_read_that_fails_leads_no_decision_astray() {
    let world = World::new();
    let manifest = Manifest::<u64>::new(world.bucket.clone(), "m/manifest");
    let log = AppendLog::<u64>::new(world.bucket.clone(), "log", clock());
    for n in 0..20 {
        manifest.commit(n, &n).await.unwrap();
        log.append(n).await.unwrap();
    }
    world.level().await;
    manifest.prune(0).await.unwrap();
    // The home writes version 4 and then fails to say that 3 was pruned; the rescue still has 3.
    let fails = |at| {
        let last = Last::Lost;
        world.home_store.follow(Plan::FailOnce { at, last });
    };
    fails(1);
    let (stale, told) = noting_rescue(manifest.commit(3, &99)).await;
    assert!(
        matches!(stale, Err(StorageError::Unavailable { .. })),
        "{stale:?}"
    );
    assert!(!told && manifest.load().await.unwrap().unwrap().version == 20);
    fails(0);
    let (pruned, told) = noting_rescue(manifest.prune(0)).await;
    assert!(pruned.is_err() && !told);
    fails(0);
    let (compacted, told) = noting_rescue(log.compact()).await;
    assert!(compacted.is_err() && !told);
    let (covered, told) = noting_rescue(async {
        fails(0);
        log.covered().await
    })
    .await;
    assert!(covered.is_err() && !told);
}

/// The object of a version of the document `m`.
fn version(number: u64) -> String {
    format!("m/manifest/{number:020}.json")
}

#[tokio::test]
async fn a_damaged_manifest_is_read_from_its_copy_which_goes_in_its_place() {
    let world = World::new();
    let document = Manifest::<u64>::new(world.bucket.clone(), "m/manifest");
    document.commit(0, &7).await.unwrap();
    world.level().await;
    let sound = world.home.get(&version(1)).await.unwrap();
    // What is decided is decided on it as well: it is what was there.
    for reader in [document.clone(), document.without_rescue()] {
        put(&world.home, &version(1), "{\"format").await;
        assert_eq!(reader.load().await.unwrap().unwrap().value, 7);
        assert_eq!(world.home.get(&version(1)).await.unwrap(), sound);
    }
    put(&world.home, &version(1), "{").await;
    let alone = Manifest::<u64>::new(world.bucket.without_copies(), "m/manifest");
    assert!(alone.load().await.is_err());
    assert_eq!(world.home.get(&version(1)).await.unwrap(), "{");
}

#[tokio::test]
async fn while_the_rescue_does_not_answer_nobody_goes_back_to_an_earlier_version() {
    let world = World::new();
    let document = Manifest::<u64>::new(world.bucket.clone(), "m/manifest");
    document.commit(0, &7).await.unwrap();
    document.commit(1, &8).await.unwrap();
    world.level().await;
    put(&world.home, &version(2), "{").await;
    world.rescue_store.follow(Plan::DOWN);
    let told = document.load().await.unwrap_err();
    assert!(matches!(told, StorageError::Damaged { .. }), "{told}");
    let told = told.to_string();
    assert!(
        told.contains("try again") && !told.contains("delete"),
        "{told}"
    );
    let Err(StorageError::Unavailable { bucket, path, .. }) = document.newest_sound().await else {
        panic!("it went back");
    };
    assert_eq!(
        (bucket, path),
        (name("rescue"), format!("primary/{}", version(2)))
    );
    // Whoever asks the bucket alone gets what it has.
    let alone = Manifest::<u64>::new(world.bucket.without_copies(), "m/manifest");
    assert_eq!(alone.newest_sound().await.unwrap(), (2, Some(7)));

    world.rescue_store.follow(Plan::Never);
    document.commit(2, &9).await.unwrap();
    put(&world.home, &version(3), "{").await;
    let told = document.load().await.unwrap_err().to_string();
    assert!(
        told.contains("delete it: then version 2 holds again"),
        "{told}"
    );
    assert_eq!(document.newest_sound().await.unwrap(), (3, Some(8)));
}

#[tokio::test]
async fn what_is_written_once_takes_the_place_of_no_copy_of_another_size() {
    let world = World::with(MirrorScope::Everything);
    let id = "0199c5a200007000800000000000abcd";
    let paths = [
        format!("datasets/d/data/{id}.parquet"),
        format!("indexes/i/tombstones/{id}.json"),
        format!("indexes/i/vectors/{id}.parquet"),
    ];
    for path in &paths {
        put(&world.bucket, path, "whole").await;
    }
    world.level().await;
    for path in &paths {
        put(&world.home, path, "who").await;
    }
    assert_eq!(world.mirror.catch_up(world.name()).await.unwrap(), 0);
    world.level().await;
    // Nor at the next start, which compares as well.
    let mirror = Mirror::new(world.rescue.clone(), clock(), MirrorScope::Everything);
    let _bucket = mirror.over(&world.home);
    worked(&mirror, mirror.settled()).await;
    for path in &paths {
        let copy = format!("primary/{path}");
        assert_eq!(world.rescue.get(&copy).await.unwrap(), "whole", "{path}");
        world.home.delete(path).await.unwrap();
    }
    restore(&world.rescue, &world.home, false).await.unwrap();
    for path in &paths {
        assert_eq!(world.home.get(path).await.unwrap(), "whole", "{path}");
    }
}

#[tokio::test]
async fn what_is_damaged_at_home_damages_no_copy_and_a_restoration_mends_it() {
    let world = World::new();
    let document = Manifest::<u64>::new(world.bucket.clone(), "m/manifest");
    document.commit(0, &7).await.unwrap();
    world.level().await;
    let sound = world.home.get(&version(1)).await.unwrap();
    put(&world.bucket, &version(1), "torn").await;
    world.level().await;
    let copy = format!("primary/{}", version(1));
    assert_eq!(world.rescue.get(&copy).await.unwrap(), sound);
    let tried = restore(&world.rescue, &world.home, true).await.unwrap();
    assert_eq!((tried.copied, tried.kept), (1, 0));
    assert_eq!(world.home.get(&version(1)).await.unwrap(), "torn");
    let done = restore(&world.rescue, &world.home, false).await.unwrap();
    assert_eq!((done.copied, done.kept), (1, 0));
    assert_eq!(world.home.get(&version(1)).await.unwrap(), sound);
    let again = restore(&world.rescue, &world.home, false).await.unwrap();
    assert_eq!((again.copied, again.kept), (0, 1));
}

#[tokio::test]
async fn a_damaged_file_of_a_log_is_read_from_its_copy_which_goes_in_its_place() {
    let world = World::new();
    let log = AppendLog::<u64>::new(world.bucket.clone(), "log", clock());
    log.append(7).await.unwrap();
    log.append(8).await.unwrap();
    world.level().await;
    let files = world.home.list("log").await.unwrap();
    let newest = files.last().unwrap().path.as_str();
    let sound = world.home.get(newest).await.unwrap();
    for torn in [
        "{\"format\":\"boathouse/log\",\"format_version\":1}\nx\n",
        "{\"format\":\"boathouse/log\",\"f",
    ] {
        put(&world.home, newest, torn).await;
        let contents = log.read_all().await.unwrap();
        assert_eq!((contents.records, contents.malformed), (vec![7, 8], 0));
        assert_eq!(world.home.get(newest).await.unwrap(), sound);
    }
    put(&world.home, newest, "x").await;
    world.rescue_store.follow(Plan::DOWN);
    let contents = log.read_all().await.unwrap();
    assert_eq!((contents.records, contents.malformed), (vec![7], 1));
}

#[tokio::test]
async fn a_copy_that_is_no_better_than_a_file_of_a_log_is_asked_for_once() {
    let world = World::new();
    let log = AppendLog::<u64>::new(world.bucket.clone(), "log", clock());
    log.append(7).await.unwrap();
    log.append(8).await.unwrap();
    world.level().await;
    let files = world.home.list("log").await.unwrap();
    let newest = files.last().unwrap().path.as_str();
    let torn = "{\"format\":\"boathouse/log\",\"format_version\":1}\nx\n";
    put(&world.home, newest, torn).await;
    put(&world.rescue, &format!("primary/{newest}"), torn).await;
    // How often the rescue is asked.
    let asked = async |plan| {
        world.rescue_store.follow(plan);
        let contents = log.read_all().await.unwrap();
        assert_eq!((contents.records, contents.malformed), (vec![7], 1));
        world.rescue_store.begun()
    };
    assert_eq!(asked(Plan::DOWN).await, 1);
    assert_eq!(asked(Plan::Never).await, 1, "it did not answer");
    assert_eq!(asked(Plan::Never).await, 0, "its answer is known");
    let another = AppendLog::<u64>::new(world.bucket.without_rescue(), "log", clock());
    world.rescue_store.follow(Plan::Never);
    assert_eq!(another.read_all().await.unwrap().malformed, 1);
    assert_eq!(world.rescue_store.begun(), 0, "every reader knows it");
    let worse = "{\"format\":\"boathouse/log\",\"format_version\":1}\nx\ny\n";
    put(&world.home, newest, worse).await;
    assert_eq!(asked(Plan::Never).await, 1, "the copy is better now");
    assert_eq!(world.home.get(newest).await.unwrap(), torn);
}
