//! One build per graph, whoever asks and whenever; nothing broken is ever searched.

use super::*;
use crate::testing::{clustered, data_of, index_name, memory_bucket};
use boathouse_types::Metric;

fn config(m: u32) -> IndexConfig {
    IndexConfig {
        m,
        ef_construction: 20,
        ..IndexConfig::default()
    }
}

async fn obtain(builds: &Builds, data: &IndexData, config: &IndexConfig) -> Built {
    builds
        .obtain(data, config, &CancellationToken::new())
        .await
        .unwrap()
}

#[test]
fn an_identity_depends_on_everything_but_ef_search() {
    let base = IndexConfig::default();
    let id = build_id("v1", &base);
    assert_eq!(id.len(), 16);
    assert_eq!(
        id,
        build_id(
            "v1",
            &IndexConfig {
                ef_search: 99,
                ..base
            }
        )
    );
    let others = [
        build_id("v2", &base),
        build_id("v1", &IndexConfig { m: 8, ..base }),
        build_id(
            "v1",
            &IndexConfig {
                ef_construction: 81,
                ..base
            },
        ),
        build_id("v1", &IndexConfig { seed: 1, ..base }),
    ];
    assert!(!others.contains(&id));
}

#[tokio::test]
async fn memory_then_bucket_then_build() {
    let (bucket, data) = (memory_bucket(), clustered(200));
    let builds = Builds::new(&bucket, &index_name(), 1);
    assert!(!builds.has(&data, &config(8)).await.unwrap());
    let first = obtain(&builds, &data, &config(8)).await;
    assert!(matches!(
        first.origin,
        BuildOrigin::Built { replaces: None, .. }
    ));
    assert!(first.build_secs() > 0.0);
    let other_ef = IndexConfig {
        ef_search: 90,
        ..config(8)
    };
    let second = obtain(&builds, &data, &other_ef).await;
    assert_eq!(second.origin, BuildOrigin::Memory);
    assert!(Arc::ptr_eq(&first.graph, &second.graph));
    let restarted = Builds::new(&bucket, &index_name(), 1);
    assert!(restarted.has(&data, &config(8)).await.unwrap());
    let third = obtain(&restarted, &data, &config(8)).await;
    assert_eq!(
        (third.origin, third.build_id),
        (BuildOrigin::Stored, first.build_id)
    );
    assert_eq!(third.graph.to_bytes(), first.graph.to_bytes());
}

#[tokio::test]
async fn askers_at_once_share_one_build() {
    let data = clustered(400);
    let builds = Builds::new(&memory_bucket(), &index_name(), 1);
    let asked = (0..8).map(|_| {
        let (builds, data) = (builds.clone(), data.clone());
        async move { obtain(&builds, &data, &config(8)).await }
    });
    let answers = futures::future::join_all(asked).await;
    let built = |built: &&Built| matches!(built.origin, BuildOrigin::Built { .. });
    assert_eq!(answers.iter().filter(built).count(), 1);
}

#[tokio::test]
async fn a_damaged_or_foreign_graph_is_reported_and_built_again() {
    let (bucket, data) = (memory_bucket(), clustered(200));
    let fresh = || Builds::new(&bucket, &index_name(), 1);
    let good = obtain(&fresh(), &data, &config(8)).await;
    let path = format!("indexes/papers/graphs/{}.graph", good.build_id);
    let bytes = bucket.get(&path).await.unwrap();
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let other = obtain(&fresh(), &data, &config(12)).await;
    for broken in [
        flipped,
        bytes[..bytes.len() / 2].to_vec(),
        Vec::new(),
        other.graph.to_bytes(),
    ] {
        bucket.put(&path, Bytes::from(broken)).await.unwrap();
        let again = obtain(&fresh(), &data, &config(8)).await;
        assert!(matches!(
            again.origin,
            BuildOrigin::Built {
                replaces: Some(_),
                ..
            }
        ));
        assert_eq!(bucket.get(&path).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_cancelled_build_leaves_nothing_and_can_be_asked_again() {
    let (bucket, data) = (memory_bucket(), clustered(200));
    let builds = Builds::new(&bucket, &index_name(), 1);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let stopped = builds.obtain(&data, &config(8), &cancel).await;
    assert!(matches!(stopped, Err(TuningError::Cancelled)));
    assert!(bucket.list("indexes").await.unwrap().is_empty());
    assert!(matches!(
        obtain(&builds, &data, &config(8)).await.origin,
        BuildOrigin::Built { .. }
    ));
}

#[tokio::test]
async fn memory_keeps_a_few_and_pruning_keeps_the_named() {
    let (bucket, data) = (memory_bucket(), clustered(60));
    let builds = Builds::new(&bucket, &index_name(), 1);
    let mut ids = Vec::new();
    for m in 2..9 {
        ids.push(obtain(&builds, &data, &config(m)).await.build_id);
    }
    assert_eq!(builds.lock().len(), KEPT_IN_MEMORY);
    assert_eq!(
        obtain(&builds, &data, &config(8)).await.origin,
        BuildOrigin::Memory
    );
    assert_eq!(
        obtain(&builds, &data, &config(2)).await.origin,
        BuildOrigin::Stored
    );
    assert_eq!(builds.prune(&ids[..2]).await.unwrap(), 5);
    assert!(builds.has(&data, &config(2)).await.unwrap());
    assert!(!builds.has(&data, &config(8)).await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_built_is_refused() {
    let builds = Builds::new(&memory_bucket(), &index_name(), 1);
    let cancel = CancellationToken::new();
    let data = clustered(20);
    let wild = builds
        .obtain(&data, &config(1_000), &cancel)
        .await
        .unwrap_err();
    assert!(matches!(wild, TuningError::InvalidInput(_)), "{wild}");
    let index = boathouse_types::IndexName::new("other").unwrap();
    let foreign = IndexData {
        index,
        ..data_of(&[vec![1.0]], Metric::L2)
    };
    let refused = builds
        .obtain(&foreign, &config(8), &cancel)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("other"), "{refused}");
}

#[tokio::test]
async fn a_graph_that_serves_is_mapped_by_the_next_start() {
    let (bucket, data) = (memory_bucket(), clustered(200));
    let (folder, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let files = FileCache::new(folder.path().to_owned());
    let start = || Builds::new(&bucket, &index_name(), 1).with_files(Some(files.clone()));
    let builds = start();
    let eight = config(8);
    let built = obtain(&builds, &data, &eight).await;
    assert!(!built.graph.is_lent());
    let kept = builds.keep(built.clone(), &data, &eight, &stop);
    let kept = kept.await.unwrap();
    assert!(matches!(kept.origin, BuildOrigin::Built { .. }));
    assert_eq!(kept.graph.to_bytes(), built.graph.to_bytes());
    let again = obtain(&builds, &data, &config(8)).await;
    assert!(
        Arc::ptr_eq(&again.graph, &kept.graph),
        "what is mapped takes the place in memory"
    );
    // Graphs of trials have no file.
    obtain(&builds, &data, &config(4)).await;
    let next = start();
    assert_eq!(
        obtain(&next, &data, &config(4)).await.origin,
        BuildOrigin::Stored
    );
    let mapped = obtain(&next, &data, &config(8)).await;
    assert_eq!(
        (mapped.origin, mapped.build_id),
        (BuildOrigin::Mapped, built.build_id)
    );
    assert_eq!(mapped.graph.is_lent(), cfg!(target_endian = "little"));
    assert_eq!(mapped.graph.to_bytes(), built.graph.to_bytes());
}

#[tokio::test]
async fn local_files_of_other_vectors_or_configurations_are_not_used() {
    let (bucket, data) = (memory_bucket(), clustered(200));
    let (folder, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let files = FileCache::new(folder.path().to_owned());
    let builds = Builds::new(&bucket, &index_name(), 1).with_files(Some(files.clone()));
    let built = obtain(&builds, &data, &config(8)).await;
    let sound = built.graph.to_bytes();
    let name = Builds::file(&built.build_id);
    builds.keep(built, &data, &config(8), &stop).await.unwrap();
    let other = clustered(199);
    let foreign = obtain(
        &Builds::new(&memory_bucket(), &index_name(), 1),
        &other,
        &config(8),
    )
    .await;
    let wide = obtain(&builds, &data, &config(12)).await;
    for wrong in [
        foreign.graph.to_bytes(),
        wide.graph.to_bytes(),
        sound[1..].to_vec(),
    ] {
        assert!(files.put(&name, |out| out.write_all(&wrong)));
        let next = Builds::new(&bucket, &index_name(), 1).with_files(Some(files.clone()));
        let found = obtain(&next, &data, &config(8)).await;
        assert_eq!(found.origin, BuildOrigin::Stored);
        assert_eq!(found.graph.to_bytes(), sound);
        assert!(!folder.path().join(&name).exists(), "it is deleted");
    }
}
