//! A run that is cut off at every single operation: nothing that was readable is lost, and the next run
//! finishes the work.

use std::sync::Arc;

use boathouse_faults::{FaultyStore, Last, Plan};
use boathouse_storage::{Bucket, Manifest};
use serde_json::{Value, json};

use super::world::*;

/// One of everything that is collected, beside what is kept.
async fn littered() -> World {
    let world = World::new();
    let bucket = world.primary();
    let live = grown(meta("live", bucket, "d", 1), 2, 2);
    put_index(bucket, &live).await;
    put_graph(bucket, &live, &config(60)).await;
    put(bucket, &fresh("indexes/live/vectors")).await;
    let mut dead = meta("dead", bucket, "d", 1);
    put_index(bucket, &dead).await;
    dead.deleted = true;
    commit(bucket, &dead).await;
    put(bucket, &fresh("datasets/d/data")).await;
    let kept = put_plugin(bucket, 1).await;
    put_plugin(bucket, 2).await;
    commit_catalogue(bucket, &[kept]).await;
    let keys = Manifest::<Value>::new(bucket.clone(), "auth/keys");
    for version in 0..10 {
        keys.commit(version, &json!({})).await.expect("committed");
    }
    let journal = boathouse_tuning::Journal::new(bucket, &live.name, Arc::clone(&world.clock));
    for id in ["t1", "t2", "t3", "t4", "t5", "t6"] {
        let trial = trial(id, &live, config(10));
        journal.append(&trial).await.expect("appended");
    }
    leave_copies(&log(bucket, "audit/log", &world.clock), bucket).await;
    world
}

/// As if the deletions of a compaction had been cut off.
async fn leave_copies(log: &boathouse_storage::AppendLog<Value>, bucket: &Bucket) {
    log.append(json!(1)).await.expect("appended");
    log.append(json!(2)).await.expect("appended");
    let path = paths(bucket, "audit/log").await.remove(0);
    let bytes = bucket.get(&path).await.expect("read");
    log.compact().await.expect("merged");
    bucket.put(&path, bytes).await.expect("put back");
}

#[tokio::test]
async fn two_hosts_may_collect_at_once() {
    let world = littered().await;
    let before = world.readable().await;
    let (one, other) = (world.run(), world.run());
    futures::join!(one.go(), other.go());
    assert_eq!(world.readable().await, before);
    let idle = world.collect().await;
    assert_eq!(idle.objects, 0, "{idle:#?}");
}

#[tokio::test]
async fn a_run_may_end_at_any_operation() {
    for last in Last::BOTH {
        let mut at = 0;
        loop {
            let inner = littered().await;
            let before = inner.readable().await;
            let plan = Plan::Stop { at, last };
            let faulty = FaultyStore::new(Arc::clone(inner.primary().store()), plan);
            let seen = inner.primary().with_store(Arc::new(faulty.clone()));
            let cut = World::over([seen, inner.buckets[1].clone(), inner.buckets[2].clone()]);
            cut.collect().await;
            assert_eq!(inner.readable().await, before, "{last:?} at {at}");
            let next = inner.collect().await;
            assert_eq!(inner.readable().await, before, "{last:?} at {at}, next run");
            assert!(
                next.buckets.iter().all(|b| b.left_out.is_empty()),
                "{next:#?}"
            );
            let idle = inner.collect().await;
            assert_eq!(idle.objects, 0, "{last:?} at {at}: {idle:#?}");
            if !faulty.stopped() {
                break;
            }
            at += 1;
        }
        assert!(at > 40, "{at} operations only");
    }
}
