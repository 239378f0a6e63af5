//! The rescue holds what recovery needs, whatever fails and in which order; reads know who answers them.

mod fallback;
mod recovery;

use std::{sync::Arc, time::Duration};

use boathouse_faults::{FaultyStore, Last, Plan};
use boathouse_types::{BucketName, ManualClock};
use bytes::Bytes;
use futures::FutureExt;
use object_store::{ObjectStoreExt, PutPayload, integration, path::Path};

use super::*;
use crate::{AppendLog, Manifest};

/// A home and a rescue that can be switched off, and the home as it looks mirrored.
struct World {
    mirror: Mirror,
    home: Bucket,
    home_store: FaultyStore,
    rescue: Bucket,
    rescue_store: FaultyStore,
    bucket: Bucket,
}

impl World {
    fn new() -> Self {
        Self::with(MirrorScope::Recovery)
    }

    fn with(scope: MirrorScope) -> Self {
        let (home, seen_home, home_store) = switched("primary");
        let (rescue, seen_rescue, rescue_store) = switched("rescue");
        let mirror = Mirror::new(seen_rescue, clock(), scope);
        let bucket = mirror.over(&seen_home);
        Self {
            mirror,
            home,
            home_store,
            rescue,
            rescue_store,
            bucket,
        }
    }

    fn name(&self) -> &BucketName {
        self.home.name()
    }

    fn lag(&self) -> MirrorLag {
        self.mirror.lag(self.name())
    }

    /// Runs the worker until everything is level.
    async fn level(&self) {
        worked(&self.mirror, self.mirror.settled()).await;
    }

    /// Paths of the copies.
    async fn copies(&self) -> Vec<String> {
        paths(&self.rescue, "primary").await
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(1_800_000_000_000))
}

fn name(text: &str) -> BucketName {
    BucketName::new(text).unwrap()
}

/// A bucket, the same as seen through a store that can be switched off, and that store.
fn switched(text: &str) -> (Bucket, Bucket, FaultyStore) {
    let bucket = Bucket::memory(name(text));
    let store = FaultyStore::new(Arc::clone(bucket.store()), Plan::Never);
    let seen = bucket.with_store(Arc::new(store.clone()));
    (bucket, seen, store)
}

/// Runs the worker as long as `scenario` takes.
async fn worked<T>(mirror: &Mirror, scenario: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let scenario = async {
        let result = scenario.await;
        stop.cancel();
        result
    };
    let both = async { futures::join!(mirror.work(stop.clone()), scenario) };
    let deadline = Duration::from_secs(30);
    let ((), result) = tokio::time::timeout(deadline, both)
        .await
        .expect("it hangs");
    result
}

async fn put(bucket: &Bucket, path: &str, text: &'static str) {
    bucket
        .put(path, Bytes::from_static(text.as_bytes()))
        .await
        .unwrap();
}

async fn paths(bucket: &Bucket, folder: &str) -> Vec<String> {
    let objects = bucket.list(folder).await.unwrap();
    let below = |path: &str| {
        path.strip_prefix(folder)
            .unwrap_or(path)
            .trim_matches('/')
            .to_owned()
    };
    objects.iter().map(|object| below(&object.path)).collect()
}

#[tokio::test]
async fn every_way_to_write_reaches_the_rescue() {
    let world = World::new();
    let store = world.bucket.store();
    worked(&world.mirror, async {
        put(&world.bucket, "a/put", "1").await;
        put(&world.bucket.without_rescue(), "a/strict", "1").await;
        world
            .bucket
            .put_new("a/new", Bytes::from("1"))
            .await
            .unwrap();
        let mut upload = store.put_multipart(&Path::from("a/parts")).await.unwrap();
        upload.put_part(PutPayload::from("1")).await.unwrap();
        upload.complete().await.unwrap();
        store
            .copy(&"a/put".into(), &"a/copied".into())
            .await
            .unwrap();
        store
            .rename(&"a/new".into(), &"a/renamed".into())
            .await
            .unwrap();
        put(&world.bucket.within("a/b").unwrap(), "below", "1").await;
        world.mirror.settled().await;
    })
    .await;
    let written = [
        "a/b/below",
        "a/copied",
        "a/parts",
        "a/put",
        "a/renamed",
        "a/strict",
    ];
    let copies = world.copies().await;
    assert!(
        written
            .iter()
            .all(|path| copies.iter().any(|copy| copy == path)),
        "{copies:?}"
    );
    assert_eq!(world.rescue.get("primary/a/parts").await.unwrap(), "1");
    let lag = world.lag();
    assert_eq!((lag.objects, lag.comparing, lag.failing), (0, false, None));
}

#[tokio::test]
async fn rows_vectors_and_graphs_are_copied_on_request_only() {
    let objects = [
        "_hnsw_trials/i/a.jsonl",
        "datasets/d/data/a.parquet",
        "datasets/d/manifest/00000000000000000001.json",
        "indexes/i/graphs/a.graph",
        "indexes/i/vectors/a.parquet",
    ];
    for (scope, expected) in [
        (MirrorScope::Recovery, vec![objects[0], objects[2]]),
        (MirrorScope::Everything, objects.to_vec()),
    ] {
        let world = World::with(scope);
        for path in objects {
            put(&world.bucket, path, "1").await;
        }
        world.bucket.probe().await.unwrap();
        world.level().await;
        assert_eq!(world.copies().await, expected);
    }
}

#[tokio::test]
async fn an_object_that_changes_is_copied_again() {
    let world = World::new();
    for text in ["one", "two", "six"] {
        put(&world.bucket, "_evalsets/i/default.json", text).await;
        world.level().await;
        let copy = world
            .rescue
            .get("primary/_evalsets/i/default.json")
            .await
            .unwrap();
        assert_eq!(copy, text);
    }
    // Behind the mirror's back, and of the same size.
    put(&world.home, "_evalsets/i/default.json", "ten").await;
    assert_eq!(world.mirror.catch_up(world.name()).await.unwrap(), 1);
    world.level().await;
    assert_eq!(world.mirror.catch_up(world.name()).await.unwrap(), 0);
    assert_eq!(
        world
            .rescue
            .get("primary/_evalsets/i/default.json")
            .await
            .unwrap(),
        "ten"
    );
}

#[tokio::test]
async fn what_is_written_while_it_is_copied_is_copied_again() {
    let world = World::new();
    world.level().await;
    put(&world.bucket, "a", "old").await;
    world.rescue_store.follow(Plan::Stall { at: 0 });
    worked(&world.mirror, world.rescue_store.reached()).await;
    put(&world.bucket, "a", "new").await;
    assert_eq!(world.lag().objects, 1);
    world.level().await;
    assert_eq!(world.rescue.get("primary/a").await.unwrap(), "new");
}

#[tokio::test]
async fn a_rescue_that_is_down_hinders_nothing_and_is_made_good() {
    let world = World::new();
    world.level().await;
    world.rescue_store.follow(Plan::DOWN);
    for path in ["a", "b", "c"] {
        // At once: nothing of the rescue is waited for.
        let bytes = Bytes::from_static(b"1");
        world
            .bucket
            .put(path, bytes)
            .now_or_never()
            .unwrap()
            .unwrap();
    }
    let since = clock().now();
    assert_eq!((world.lag().objects, world.lag().oldest), (3, Some(since)));
    worked(&world.mirror, async {
        while world.lag().failing.is_none() {
            tokio::task::yield_now().await;
        }
        assert!(world.mirror.settled().now_or_never().is_none());
        world.rescue_store.follow(Plan::Never);
        world.mirror.settled().await;
    })
    .await;
    assert_eq!(world.copies().await, ["a", "b", "c"]);
    assert_eq!(world.lag(), MirrorLag::default());
}

#[tokio::test]
async fn one_bucket_that_fails_does_not_hold_up_another() {
    let world = World::new();
    let (_, seen, store) = switched("other");
    let other = world.mirror.over(&seen);
    put(&other, "x", "1").await;
    store.follow(Plan::DOWN);
    worked(&world.mirror, async {
        put(&world.bucket, "a", "1").await;
        while world.lag() != MirrorLag::default() {
            tokio::task::yield_now().await;
        }
        assert!(world.mirror.lag(other.name()).comparing);
        // One that is given up is waited for no longer.
        world.mirror.forget(other.name());
        world.mirror.settled().await;
    })
    .await;
    assert_eq!(world.copies().await, ["a"]);
    assert!(paths(&world.rescue, "other").await.is_empty());
    let unknown = world.mirror.catch_up(other.name()).await;
    assert!(matches!(unknown, Err(StorageError::UnknownBucket { .. })));
}

#[tokio::test]
async fn one_object_that_fails_does_not_hold_up_the_others() {
    let world = World::new();
    world.level().await;
    for path in ["a", "b", "c", "d", "e", "f"] {
        put(&world.bucket, path, "1").await;
    }
    // Reading `a` fails once, its copy waits for the next round.
    let last = Last::Lost;
    world.home_store.follow(Plan::FailOnce { at: 0, last });
    world.level().await;
    assert_eq!(world.copies().await, ["a", "b", "c", "d", "e", "f"]);
}

#[tokio::test]
async fn more_than_the_queue_takes_is_found_by_comparing() {
    let world = World::new();
    let store = world.bucket.store();
    let written = queue::CAPACITY + 100;
    for n in 0..written {
        store
            .put(&Path::from(format!("a/{n}")), "1".into())
            .await
            .unwrap();
    }
    let lag = world.lag();
    assert_eq!((lag.objects, lag.comparing), (queue::CAPACITY, true));
    world.level().await;
    assert_eq!(world.copies().await.len(), written);
}

#[tokio::test]
async fn large_objects_arrive_whole() {
    let world = World::new();
    let bytes: Bytes = (0..(17 << 20) + 3).map(|at| (at % 251) as u8).collect();
    world.bucket.put("large", bytes.clone()).await.unwrap();
    world.level().await;
    assert_eq!(world.rescue.get("primary/large").await.unwrap(), bytes);
}

#[tokio::test]
async fn the_mirrored_bucket_passes_the_conformance_suite_of_object_store() {
    let world = World::new();
    for bucket in [world.bucket.clone(), world.bucket.without_rescue()] {
        let store = bucket.store();
        integration::put_get_delete_list(store).await;
        integration::get_opts(store).await;
        integration::put_opts(store, true).await;
        integration::list_uses_directories_correctly(store).await;
        integration::list_with_delimiter(store).await;
        integration::rename_and_copy(store).await;
        integration::copy_if_not_exists(store).await;
        integration::copy_rename_nonexistent_object(store).await;
        integration::stream_get(store).await;
        integration::multipart_race_condition(store, true).await;
        integration::multipart_out_of_order(store).await;
    }
}

/// Handlers and the server's tasks need futures that may move between threads.
#[test]
fn futures_are_send() {
    fn check(_: impl Send) {}
    let world = World::new();
    check(world.mirror.work(CancellationToken::new()));
    check(world.mirror.settled());
    check(world.mirror.catch_up(world.name()));
    check(restore(&world.rescue, &world.home, true));
    check(world.home.copy_to("a", &world.rescue));
    check(noting_rescue(world.bucket.get("a")));
}
