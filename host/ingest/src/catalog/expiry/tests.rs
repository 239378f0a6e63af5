//! Versions that expire: which, what stays readable, and what happens when others ingest meanwhile.

use super::*;
use crate::testing::{World, dataset};

const NEVER: Retention = Retention {
    keep_versions: None,
    keep_millis: None,
    grace_millis: 0,
};

fn keep(versions: u64) -> Retention {
    Retention {
        keep_versions: Some(versions),
        ..NEVER
    }
}

/// A dataset of versions with these modes, one ingested each second, each adding one row.
async fn grown(modes: &[IngestMode]) -> World {
    let world = World::new();
    for (at, mode) in modes.iter().enumerate() {
        let csv = format!("id,name\n{at},row {at}\n");
        world.ingest(csv, "rows.csv", *mode).await.unwrap();
        world.clock.advance(1_000);
    }
    world
}

async fn rows(world: &World, version: u64) -> Result<usize, IngestError> {
    let datasets = &world.context.datasets;
    let opened = datasets.open(&dataset(), Some(version)).await?;
    Ok(opened.rows(0, 100).await?.rows.len())
}

async fn expired(world: &World, retention: &Retention, in_use: &[u64]) -> Vec<u64> {
    let in_use = in_use.iter().copied().collect();
    let datasets = &world.context.datasets;
    datasets
        .expire(&dataset(), retention, &in_use)
        .await
        .unwrap()
}

async fn entries(world: &World) -> Vec<u64> {
    let manifest = world.context.datasets.get(&dataset()).await.unwrap();
    manifest
        .versions
        .iter()
        .map(|version| version.version)
        .collect()
}

#[tokio::test]
async fn what_expired_is_gone_and_what_is_left_reads_the_same() {
    use IngestMode::{Append, Replace};
    let world = grown(&[Append, Append, Replace, Append, Append]).await;
    assert_eq!(expired(&world, &NEVER, &[]).await, [0; 0]);
    assert_eq!(expired(&world, &keep(1), &[4]).await, [1, 2, 3]);
    for version in 1..=3 {
        let error = rows(&world, version).await.unwrap_err();
        assert!(
            matches!(error, IngestError::VersionExpired { version: told, .. } if told == version),
            "{error}"
        );
    }
    assert_eq!(rows(&world, 4).await.unwrap(), 2);
    assert_eq!(rows(&world, 5).await.unwrap(), 3);
    // The rows of version 3 are still shown; those of 1 and 2 are not.
    assert_eq!(entries(&world).await, [3, 4, 5]);
    let error = rows(&world, 6).await.unwrap_err();
    assert!(
        matches!(error, IngestError::VersionNotFound { .. }),
        "{error}"
    );
    assert_eq!(expired(&world, &keep(1), &[4]).await, [0; 0]);
    assert_eq!(expired(&world, &keep(1), &[]).await, [4]);
    assert_eq!(rows(&world, 5).await.unwrap(), 3);
    world
        .ingest("id,name\n9,x\n", "rows.csv", Replace)
        .await
        .unwrap();
    assert_eq!(expired(&world, &keep(1), &[]).await, [5]);
    assert_eq!(entries(&world).await, [6]);
}

#[tokio::test]
async fn age_counts_from_the_version_that_followed() {
    use IngestMode::Replace;
    let world = grown(&[Replace, Replace, Replace]).await;
    let aged = |keep_millis, grace_millis| Retention {
        keep_millis: Some(keep_millis),
        grace_millis,
        ..NEVER
    };
    // Version 2 stands for two seconds, version 3 for one.
    assert_eq!(expired(&world, &aged(2_001, 0), &[]).await, [0; 0]);
    assert_eq!(expired(&world, &aged(0, 2_001), &[]).await, [0; 0]);
    assert_eq!(expired(&world, &aged(2_000, 0), &[]).await, [1]);
    let both = Retention {
        keep_versions: Some(2),
        ..aged(0, 0)
    };
    assert_eq!(expired(&world, &both, &[]).await, [0; 0]);
    assert_eq!(expired(&world, &aged(0, 0), &[]).await, [2]);
    assert_eq!(expired(&world, &aged(0, 0), &[]).await, [0; 0]);
    assert_eq!(rows(&world, 3).await.unwrap(), 1);
}

#[tokio::test]
async fn a_dataset_that_is_not_there_or_deleted_has_nothing_to_expire() {
    let world = World::new();
    assert_eq!(expired(&world, &keep(1), &[]).await, [0; 0]);
    let world = grown(&[IngestMode::Replace, IngestMode::Replace]).await;
    world.context.datasets.delete(&dataset()).await.unwrap();
    assert_eq!(expired(&world, &keep(1), &[]).await, [0; 0]);
}

/// Expiry lies between what an ingest or a deletion has read and its commit.
#[tokio::test]
async fn an_ingest_and_a_deletion_do_not_lose_against_an_expiry() {
    use IngestMode::{Append, Replace};
    for mode in [Append, Replace] {
        let world = grown(&[Replace, Replace]).await;
        let home = world.context.datasets.home(&dataset(), None).await.unwrap();
        let mut version = home.dataset().unwrap().latest().unwrap().clone();
        version.mode = mode;
        version.files[0].path = "datasets/people/data/other.parquet".to_owned();
        assert_eq!(expired(&world, &keep(1), &[]).await, [1]);
        let committed = world.context.datasets.commit(home, version).await.unwrap();
        assert_eq!(committed.version, 3);
        assert_eq!(entries(&world).await, [2, 3]);
    }
}

#[tokio::test]
async fn a_replacing_ingest_still_loses_against_another_ingest() {
    let world = grown(&[IngestMode::Replace]).await;
    let home = world.context.datasets.home(&dataset(), None).await.unwrap();
    let version = home.dataset().unwrap().latest().unwrap().clone();
    world
        .ingest("id,name\n7,x\n", "rows.csv", IngestMode::Replace)
        .await
        .unwrap();
    let error = world.context.datasets.commit(home, version).await;
    assert!(matches!(error, Err(IngestError::Conflict(_))), "{error:?}");
}

#[tokio::test]
async fn two_hosts_may_expire_at_once() {
    let world = grown(&[IngestMode::Replace; 6]).await;
    let in_use = BTreeSet::new();
    let (name, rule) = (dataset(), keep(2));
    let (first, second) = futures::join!(
        world.context.datasets.expire(&name, &rule, &in_use),
        world.context.datasets.expire(&name, &rule, &in_use),
    );
    let told = [first.unwrap(), second.unwrap()].concat();
    assert!((1..=4).all(|version| told.contains(&version)), "{told:?}");
    assert_eq!(entries(&world).await, [5, 6]);
}

#[test]
fn a_manifest_of_an_older_host_reads_and_has_nothing_expired() {
    let text = r#"{"name":"people","bucket":"primary","next_version":3,"versions":[{"version":2,
        "mode":"replace","files":[],"rows":0,"bytes":0,"columns":[],
        "detection":{"findings":[],"asked":[],"failures":[]},
        "source":{"system":"file","label":"x"},"created_at":"2026-01-01T00:00:00Z"}]}"#;
    let manifest: DatasetManifest = serde_json::from_str(text).unwrap();
    assert_eq!(manifest.readable().count(), 1);
    let again = serde_json::to_string(&manifest).unwrap();
    assert!(!again.contains("expired_at"), "{again}");
    let error = manifest.unreadable(1).to_string();
    assert!(
        error.contains("version 1") && error.contains("expired"),
        "{error}"
    );
}
