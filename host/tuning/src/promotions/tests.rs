//! What the registry promises: a stack that survives restarts, copies that are behind, and damage.

use boathouse_faults::{FaultyStore, Last, Plan};
use boathouse_storage::{Mirror, MirrorScope};
use boathouse_types::{BucketName, IndexConfig};

use super::*;
use crate::testing::{clock, index_name, memory_bucket, trial};

async fn registry(bucket: &Bucket) -> Promotions {
    let journal = Journal::new(bucket, &index_name(), clock());
    for (id, ef_search) in [("t1", 40), ("t2", 50)] {
        let mut trial = trial(id, 0.97, 100.0);
        trial.config.graph_mut().unwrap().ef_search = ef_search;
        journal.append(&trial).await.unwrap();
    }
    Promotions::new(bucket, &index_name(), clock())
}

fn request(trial: &str) -> Promote {
    Promote {
        trial: trial.to_owned(),
        serving: IndexConfig::default().into(),
        by: Some("ada".to_owned()),
        reason: None,
        evidence: None,
        graph: None,
    }
}

/// Takes the newest promotion back, whatever it is.
async fn back(registry: &Promotions) -> Result<Promotion, TuningError> {
    let previous = registry.previous(VectorBackend::Parquet).await?;
    registry.rollback(&previous, None, None).await
}

#[tokio::test]
async fn promotions_stack_and_rollbacks_unstack() {
    let bucket = memory_bucket();
    let registry = registry(&bucket).await;
    assert_eq!(
        registry.current(VectorBackend::Parquet).await.unwrap(),
        None
    );
    registry.promote(request("t1")).await.unwrap();
    registry.promote(request("t2")).await.unwrap();
    let reopened = Promotions::new(&bucket, &index_name(), clock());
    let current = reopened
        .current(VectorBackend::Parquet)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            current.trial.as_deref(),
            current.config.graph().unwrap().ef_search
        ),
        (Some("t2"), 50)
    );
    let slow = Some("slow".to_owned());
    let previous = reopened.previous(VectorBackend::Parquet).await.unwrap();
    let first = reopened.rollback(&previous, None, slow).await.unwrap();
    assert_eq!(first.served.trial.as_deref(), Some("t1"));
    let first = back(&reopened).await.unwrap();
    assert_eq!(first.served, Served::of_config(IndexConfig::default()));
    let error = back(&reopened).await.unwrap_err();
    assert!(matches!(error, TuningError::NoPrevious(_)), "{error}");
    assert_eq!(reopened.history().await.unwrap().len(), 4);
    reopened.promote(request("t2")).await.unwrap();
    let again = back(&reopened).await.unwrap();
    assert_eq!(again.served.trial, None);
}

#[tokio::test]
async fn nothing_else_is_put_back_than_what_was_expected() {
    let registry = registry(&memory_bucket()).await;
    registry.promote(request("t1")).await.unwrap();
    let expected = registry.previous(VectorBackend::Parquet).await.unwrap();
    registry.promote(request("t2")).await.unwrap();
    let refused = registry.rollback(&expected, None, None).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, TuningError::NotPrevious(_)), "{error}");
    let current = registry
        .current(VectorBackend::Parquet)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(current.trial.as_deref(), Some("t2"));
    assert_eq!(registry.history().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_line_names_the_graph_and_the_vectors_that_serve() {
    let registry = registry(&memory_bucket()).await;
    let graph = ServedGraph {
        build_id: "built".to_owned(),
        data_version: "v2".to_owned(),
    };
    let wish = Promote {
        graph: Some(graph),
        ..request("t1")
    };
    let served = registry.promote(wish).await.unwrap().served;
    assert_eq!(
        (served.build_id.as_deref(), served.data_version.as_deref()),
        (Some("built"), Some("v2"))
    );
}

/// The file that was written last, under a name that a host with another clock would have given it.
async fn written_at(bucket: &Bucket, millis: u64, written: &mut Vec<String>) {
    let files = bucket.list("_promotions").await.unwrap();
    let last = files.iter().find(|file| !written.contains(&file.path));
    let last = last.unwrap().path.clone();
    let (high, low) = (millis >> 16, millis & 0xffff);
    let renamed = format!("_promotions/papers/{high:08x}-{low:04x}-7000-8000-000000000000.jsonl");
    let bytes = bucket.get(&last).await.unwrap();
    bucket.put(&renamed, bytes).await.unwrap();
    bucket.delete(&last).await.unwrap();
    written.push(renamed);
}

#[tokio::test]
async fn a_clock_that_goes_back_over_a_restart_changes_no_order() {
    let (bucket, mut written) = (memory_bucket(), Vec::new());
    let first = registry(&bucket).await;
    first.promote(request("t1")).await.unwrap();
    written_at(&bucket, 1_800_000_000_000, &mut written).await;
    for (number, trial) in [(1, "t2"), (2, "t1"), (3, "t2")] {
        // Each host finds the clock a minute behind that of the one before.
        let reopened = Promotions::new(&bucket, &index_name(), clock());
        reopened.promote(request(trial)).await.unwrap();
        let millis = 1_800_000_000_000 - number * 60_000;
        written_at(&bucket, millis, &mut written).await;
        let history = reopened.history().await.unwrap();
        assert_eq!(history.len() as u64, number + 1);
        assert_eq!(history.last().unwrap().number, Some(number));
        let current = reopened
            .current(VectorBackend::Parquet)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(current.trial.as_deref(), Some(trial));
    }
    let back = back(&Promotions::new(&bucket, &index_name(), clock())).await;
    assert_eq!(back.unwrap().served.trial.as_deref(), Some("t1"));
}

#[tokio::test]
async fn lines_of_older_hosts_come_first_in_the_order_of_their_files() {
    let bucket = memory_bucket();
    let registry = registry(&bucket).await;
    for trial in ["t1", "t2"] {
        let line = Promotion {
            number: None,
            ..registry.promote(request(trial)).await.unwrap()
        };
        let files = bucket.list("_promotions").await.unwrap();
        let written = &files.last().unwrap().path;
        bucket.delete(written).await.unwrap();
        registry.log.append(line).await.unwrap();
    }
    let next = registry.promote(request("t1")).await.unwrap();
    assert_eq!(next.number, Some(2));
    let history = registry.history().await.unwrap();
    let shown: Vec<_> = history
        .iter()
        .map(|line| (line.number, line.served.trial.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            (None, Some("t1")),
            (None, Some("t2")),
            (Some(2), Some("t1"))
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_promoted_is_told() {
    let registry = registry(&memory_bucket()).await;
    let error = registry.promote(request("t9")).await.unwrap_err();
    assert!(error.to_string().contains("no trial `t9`"), "{error}");
    let error = back(&registry).await.unwrap_err();
    assert!(error.to_string().contains("no earlier"), "{error}");
    registry.promote(request("t1")).await.unwrap();
    let error = registry.promote(request("t1")).await.unwrap_err();
    assert!(
        matches!(error, TuningError::AlreadyServes { .. }),
        "{error}"
    );
}

/// The files of the registry, by path.
async fn files(bucket: &Bucket) -> Vec<String> {
    let listed = bucket.list("_promotions").await.unwrap().into_iter();
    let files = listed.map(|object| object.path);
    files.filter(|path| path.ends_with(".jsonl")).collect()
}

#[tokio::test]
async fn damaged_lines_are_kept_aside_and_told_until_something_is_promoted() {
    let bucket = memory_bucket();
    let registry = registry(&bucket).await;
    assert_eq!(registry.set_damage_aside().await.unwrap(), 0);
    registry.promote(request("t1")).await.unwrap();
    registry.promote(request("t2")).await.unwrap();
    let newest = files(&bucket).await.pop().unwrap();
    let torn = bucket.get(&newest).await.unwrap().slice(..60);
    bucket.put(&newest, torn.clone()).await.unwrap();
    assert_eq!(registry.kept_aside().await.unwrap(), [""; 0]);
    assert_eq!(registry.set_damage_aside().await.unwrap(), 1);
    let kept = registry.kept_aside().await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(bucket.get(&kept[0]).await.unwrap(), torn);
    let current = registry
        .current(VectorBackend::Parquet)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(current.trial.as_deref(), Some("t1"), "what reads decides");
    assert_eq!(bucket.malformed(), []);

    let reopened = Promotions::new(&bucket, &index_name(), clock());
    assert_eq!(reopened.kept_aside().await.unwrap(), kept);
    let promoted = reopened.promote(request("t2")).await.unwrap();
    assert_eq!(promoted.number, Some(1));
    assert_eq!(reopened.kept_aside().await.unwrap(), [""; 0]);
    assert!(bucket.exists(&kept[0]).await.unwrap(), "it is kept still");
}

#[tokio::test]
async fn a_registry_of_which_nothing_reads_begins_anew_beside_what_is_kept() {
    let bucket = memory_bucket();
    let registry = registry(&bucket).await;
    registry.promote(request("t1")).await.unwrap();
    for file in files(&bucket).await {
        let torn = "{\"format\":\"boathouse/log\",\"f".into();
        bucket.put(&file, torn).await.unwrap();
    }
    let error = registry.current(VectorBackend::Parquet).await.unwrap_err();
    assert!(matches!(error, TuningError::Storage(_)), "{error}");
    assert_eq!(registry.set_damage_aside().await.unwrap(), 1);
    assert_eq!(
        registry.current(VectorBackend::Parquet).await.unwrap(),
        None
    );
    assert_eq!(registry.kept_aside().await.unwrap().len(), 1);
    registry.promote(request("t2")).await.unwrap();
    assert_eq!(registry.kept_aside().await.unwrap(), [""; 0]);
    let history = registry.history().await.unwrap();
    assert_eq!(history.len(), 1);
}

#[tokio::test]
async fn an_older_copy_does_not_decide_what_is_put_back() {
    let home = memory_bucket();
    let plain = registry(&home).await;
    plain.promote(request("t1")).await.unwrap();
    let rescue = Bucket::memory(BucketName::rescue());
    let copies = rescue.within("primary").unwrap();
    for object in home.list("").await.unwrap() {
        let bytes = home.get(&object.path).await.unwrap();
        copies.put(&object.path, bytes).await.unwrap();
    }
    plain.promote(request("t2")).await.unwrap();

    let store = FaultyStore::new(Arc::clone(home.store()), Plan::Never);
    let mirror = Mirror::new(rescue, clock(), MirrorScope::Recovery);
    let mirrored = mirror.over(&home.with_store(Arc::new(store.clone())));
    let registry = Promotions::new(&mirrored, &index_name(), clock());
    let (at, last) = (0, Last::Lost);
    store.follow(Plan::FailOnce { at, last });
    let shown = registry
        .current(VectorBackend::Parquet)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shown.trial.as_deref(), Some("t1"));
    store.follow(Plan::FailOnce { at, last });
    let error = registry.previous(VectorBackend::Parquet).await.unwrap_err();
    assert!(matches!(error, TuningError::Storage(_)), "{error}");
    let previous = registry.previous(VectorBackend::Parquet).await.unwrap();
    store.follow(Plan::FailOnce { at, last });
    let refused = registry.rollback(&previous, None, None).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, TuningError::Storage(_)), "{error}");
    let back = back(&registry).await.unwrap();
    assert_eq!(back.served.trial.as_deref(), Some("t1"));
}
