//! What stays of an index that has grown since its graph was built.

use std::{collections::BTreeSet, sync::Arc};

use boathouse_ingest::IngestMode;
use boathouse_tuning::{Journal, Promote, Promotions};

use super::world::*;
use crate::{gc::Class, indexes::IndexMeta};

#[tokio::test]
async fn segments_that_the_manifest_names_stay_and_others_go() {
    let world = World::new();
    let bucket = world.primary();
    let meta = grown(meta("i", bucket, "d", 1), 5, 3);
    put_index(bucket, &meta).await;
    // Left by an append that ended before its commit, and by parts that were put together.
    for _ in 0..2 {
        put(bucket, &fresh("indexes/i/vectors")).await;
    }
    let before = world.readable().await;
    let report = world.collect().await;
    assert_eq!(report.by_class()[&Class::Vectors].0, 2, "{report:#?}");
    assert_eq!(report.objects, 2);
    assert_eq!(world.readable().await, before);
    assert_eq!(paths(bucket, "indexes/i/vectors").await.len(), 4);
}

#[tokio::test]
async fn a_new_base_makes_garbage_of_the_old_one_and_of_graphs_over_it() {
    let world = World::new();
    let bucket = world.primary();
    let old = grown(meta("i", bucket, "d", 1), 2, 1);
    put_index(bucket, &old).await;
    let journal = Journal::new(bucket, &old.name, Arc::clone(&world.clock));
    let promotions = Promotions::new(bucket, &old.name, Arc::clone(&world.clock));
    journal
        .append(&trial("t1", &old, config(40)))
        .await
        .expect("appended");
    let wish = Promote {
        trial: "t1".to_owned(),
        serving: config(10).into(),
        by: None,
        reason: None,
        evidence: None,
        graph: None,
    };
    promotions.promote(wish).await.expect("promoted");
    put_graph(bucket, &old, &config(40)).await;
    let fresh = meta("i", bucket, "d", 2);
    let new = IndexMeta {
        first_vectors_path: Some(old.vectors_path.clone()),
        ..fresh
    };
    put_index(bucket, &new).await;
    let promoted = put_graph(bucket, &new, &config(40)).await;
    let report = world.collect().await;
    let by_class = report.by_class();
    let counts = [Class::Vectors, Class::Graphs].map(|class| by_class[&class].0);
    assert_eq!(counts, [2, 2], "{report:#?}");
    assert_eq!(paths(bucket, "indexes/i/vectors").await, [new.vectors_path]);
    assert_eq!(paths(bucket, "indexes/i/graphs").await.len(), 2);
    assert!(bucket.exists(&promoted).await.expect("asked"));
}

#[tokio::test]
async fn nothing_of_a_moved_index_goes_before_every_segment_has_arrived() {
    let world = World::new();
    let (old_home, new_home) = (&world.buckets[0], &world.buckets[1]);
    let mut there = grown(meta("i", new_home, "d", 1), 2, 2);
    let mut here = there.clone();
    here.bucket = old_home.name().clone();
    put_index(old_home, &here).await;
    (here.deleted, here.moved_to) = (true, Some(new_home.name().clone()));
    (here.home_generation, there.home_generation) = (1, 2);
    commit(old_home, &here).await;
    put_index(new_home, &there).await;
    let segment = &there.segments()[1].path;
    let bytes = new_home.get(segment).await.expect("read");
    new_home.delete(segment).await.expect("lost");
    let report = world.collect().await;
    assert_eq!(report.objects, 0, "{report:#?}");
    let left = &report.buckets[0].left_out[0];
    assert!(left.why.contains("does not have its vectors"), "{left:?}");
    new_home.put(segment, bytes).await.expect("found again");
    let report = world.collect().await;
    assert_eq!(report.by_class()[&Class::Vectors].0, 3, "{report:#?}");
}

#[tokio::test]
async fn the_version_that_an_index_covers_does_not_expire() {
    let world = World::new();
    for (row, mode) in [
        (1, IngestMode::Replace),
        (2, IngestMode::Append),
        (3, IngestMode::Append),
    ] {
        world.ingest("d", mode, row).await;
    }
    let meta = grown(meta("i", world.primary(), "d", 1), 2, 1);
    put_index(world.primary(), &meta).await;
    let mut run = world.run();
    run.retention.keep_versions = Some(1);
    run.go().await;
    let dataset = world.datasets.get(&dataset_name("d")).await.expect("there");
    let readable: BTreeSet<u64> = dataset.readable().map(|one| one.version).collect();
    assert_eq!(readable, [2, 3].into());
}
