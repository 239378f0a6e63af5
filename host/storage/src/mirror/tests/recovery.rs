//! Nothing is forgotten by a crash, and a lost bucket comes back.

use super::*;

#[tokio::test]
async fn what_a_crash_leaves_uncopied_is_found_at_the_next_start() {
    for (at, last) in (0..12).flat_map(|at| Last::BOTH.map(|last| (at, last))) {
        let world = World::new();
        world.rescue_store.follow(Plan::Stop { at, last });
        worked(&world.mirror, async {
            for path in ["a", "b", "c"] {
                put(&world.bucket, path, "1").await;
            }
            while world.lag().failing.is_none() && world.lag() != MirrorLag::default() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // Another process, over the same two buckets.
        let mirror = Mirror::new(world.rescue.clone(), clock(), MirrorScope::Recovery);
        let _bucket = mirror.over(&world.home);
        worked(&mirror, mirror.settled()).await;
        assert_eq!(world.copies().await, ["a", "b", "c"], "{at} {last:?}");
        assert_eq!(
            mirror.catch_up(world.name()).await.unwrap_or_default() % 3,
            0
        );
    }
}

#[tokio::test]
async fn a_worker_that_was_stopped_half_way_goes_on_where_it_was() {
    let world = World::new();
    world.level().await;
    put(&world.bucket, "a", "1").await;
    put(&world.bucket, "b", "1").await;
    world.rescue_store.follow(Plan::Stall { at: 0 });
    worked(&world.mirror, world.rescue_store.reached()).await;
    assert!(world.lag().objects > 0);
    world.level().await;
    assert_eq!(world.copies().await, ["a", "b"]);
}

#[tokio::test]
async fn a_write_that_is_cut_off_or_loses_its_answer_is_copied_if_it_happened() {
    let world = World::new();
    world.level().await;
    let last = Last::Done;
    world.home_store.follow(Plan::FailOnce { at: 0, last });
    assert!(world.bucket.put("a", Bytes::from("1")).await.is_err());
    world.home_store.follow(Plan::Stall { at: 0 });
    assert!(
        world
            .bucket
            .put("b", Bytes::from("1"))
            .now_or_never()
            .is_none()
    );
    assert_eq!(world.lag().objects, 2);
    world.level().await;
    assert_eq!(world.copies().await, ["a"]);
}

#[tokio::test]
async fn a_damaged_file_of_a_log_takes_the_place_of_no_sounder_copy() {
    let world = World::new();
    let log = AppendLog::<u64>::new(world.bucket.clone(), "log", clock());
    log.append(7).await.unwrap();
    world.level().await;
    let path = world.home.list("log").await.unwrap().remove(0).path;
    let (copy, sound) = (
        format!("primary/{path}"),
        world.home.get(&path).await.unwrap(),
    );
    let changed = async |damaged: &Bucket, path: &str, bytes: Bytes| {
        damaged.put(path, bytes).await.unwrap();
        let differing = world.mirror.catch_up(world.name()).await.unwrap();
        assert_eq!(differing, 1, "the sizes differ");
        world.level().await;
        world.rescue.get(&copy).await.unwrap()
    };
    let torn = sound.slice(..10);
    for damaged in [sound.slice(..sound.len() - 2), torn.clone()] {
        assert_eq!(changed(&world.home, &path, damaged).await, sound);
    }
    assert_eq!(log.read_all().await.unwrap().records, [7], "it comes back");
    assert_eq!(world.home.get(&path).await.unwrap(), sound);
    // A copy that was damaged itself is made anew.
    assert_eq!(changed(&world.rescue, &copy, torn).await, sound);
}

/// A bucket with a document that names an object, and a log.
async fn filled() -> World {
    let world = World::new();
    let bucket = &world.bucket;
    for version in 0..2 {
        put(bucket, &format!("z/blob-{version}"), "1").await;
        let manifest = Manifest::<u64>::new(bucket.clone(), "a/manifest");
        manifest.commit(version, &version).await.unwrap();
    }
    let log = AppendLog::<u64>::new(bucket.clone(), "log", clock());
    log.append(7).await.unwrap();
    put(bucket, "indexes/i/vectors/v", "vv").await;
    world.level().await;
    world
}

#[tokio::test]
async fn a_lost_bucket_comes_back() {
    let world = filled().await;
    let home = Bucket::memory(name("primary"));
    put(&home, "z/blob-1", "x").await;
    let expected = Restored {
        copied: 4,
        kept: 1,
        bytes: world
            .rescue
            .list("primary")
            .await
            .unwrap()
            .iter()
            .map(|o| o.size)
            .sum::<u64>()
            - 1,
    };
    assert_eq!(restore(&world.rescue, &home, true).await.unwrap(), expected);
    assert_eq!(paths(&home, "").await, ["z/blob-1"]);
    assert_eq!(
        restore(&world.rescue, &home, false).await.unwrap(),
        expected
    );
    assert_eq!(home.get("z/blob-1").await.unwrap(), "x");
    let manifest = Manifest::<u64>::new(home.clone(), "a/manifest");
    assert_eq!(manifest.load().await.unwrap().unwrap().value, 1);
    let log = AppendLog::<u64>::new(home.clone(), "log", clock());
    assert_eq!(log.read_all().await.unwrap().records, [7]);
    assert!(!home.exists("indexes/i/vectors/v").await.unwrap());
    let again = restore(&world.rescue, &home, false).await.unwrap();
    assert_eq!((again.copied, again.kept), (0, 5));
}

#[tokio::test]
async fn a_restoration_that_stops_anywhere_shows_nothing_half_and_is_finished_by_the_next() {
    let world = filled().await;
    for (at, last) in (0..).flat_map(|at| Last::BOTH.map(|last| (at, last))) {
        let (home, seen, store) = switched("primary");
        store.follow(Plan::Stop { at, last });
        let done = restore(&world.rescue, &seen, false).await;
        assert_eq!(done.is_err(), store.stopped());
        let manifest = Manifest::<u64>::new(home.clone(), "a/manifest");
        if let Some(found) = manifest.load().await.unwrap() {
            for version in 0..=found.value {
                assert!(
                    home.exists(&format!("z/blob-{version}")).await.unwrap(),
                    "{at}"
                );
            }
        }
        restore(&world.rescue, &home, false).await.unwrap();
        assert_eq!(paths(&home, "").await, world.copies().await);
        if done.is_ok() {
            break;
        }
    }
}

#[tokio::test]
async fn a_copy_is_verified_and_its_digest_told() {
    let (from, to) = (Bucket::memory(name("from")), Bucket::memory(name("to")));
    // SHA-256 of "abc", FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    put(&from, "x", "abc").await;
    let digest = from.copy_to("x", &to).await.unwrap();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, abc);
    let large: Bytes = (0..20 << 20).map(|at| (at % 239) as u8).collect();
    from.put("y", large.clone()).await.unwrap();
    from.copy_to("y", &to).await.unwrap();
    assert_eq!(to.get("y").await.unwrap(), large);
    let missing = from.copy_to("none", &to).await;
    assert!(matches!(missing, Err(StorageError::NotFound { .. })));
    assert!(!to.exists("none").await.unwrap());
}

#[tokio::test]
async fn a_large_copy_that_fails_leaves_nothing() {
    let from = Bucket::memory(name("from"));
    from.put("y", Bytes::from(vec![7; 20 << 20])).await.unwrap();
    for at in 0..5 {
        let (to, seen, store) = switched("to");
        store.follow(Plan::FailOnce {
            at,
            last: Last::Lost,
        });
        assert!(from.copy_to("y", &seen).await.is_err(), "{at}");
        assert!(to.list("").await.unwrap().is_empty(), "{at}");
    }
}
