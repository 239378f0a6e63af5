//! Indexes whose vectors are damaged or gone, with no sound copy anywhere: a refresh makes new ones.

use axum::{body::Body, http::Request};
use boathouse_tuning::{EvalSet, EvalSource, EvalSpec};
use tokio_util::sync::CancellationToken;

use super::{
    super::super::testing::{Impression, add_trial, impression, promote, succeeded},
    *,
};
use crate::tasks::{TaskState, TaskView};

/// An index with a tail, a promotion, an evaluation set and a deleted document.
struct World {
    host: Quiet,
    bucket: Bucket,
}

impl World {
    async fn new() -> Self {
        let host = Quiet::open().await;
        let text = |row| format!("{row},ships of number {row} in harbour {}\n", row * 7 % 5);
        let rows = |rows: std::ops::Range<u32>| {
            "id,text\n".to_owned() + &rows.map(text).collect::<String>()
        };
        host.ingest("notes", "replace", rows(0..12)).await;
        let index = host.index("notes").await;
        let bucket = index.bucket().clone();
        add_trial(&index.tuner, "t1").await;
        promote(&index.tuner, "t1").await;
        let (stop, set) = (
            CancellationToken::new(),
            EvalSetName::new("default").unwrap(),
        );
        let spec = EvalSpec {
            k: 3,
            seed: 0,
            source: EvalSource::Drawn { queries: 5 },
        };
        let set = EvalSet::make(set, &index.data, spec, &stop).await.unwrap();
        index.tuner.eval_sets().save(&set).await.unwrap();
        delete::land(&host.app.indexes, &index, &["9".to_owned()])
            .await
            .unwrap();
        host.ingest("notes", "append", rows(12..15)).await;
        let world = Self { host, bucket };
        succeeded(&world.refresh().await);
        world.restart().await;
        world
    }

    async fn refresh(&self) -> TaskView {
        let request = Request::post("/vectors/indexes/notes/refresh");
        self.host.ended(request, Body::empty()).await
    }

    fn index(&self) -> Arc<LiveIndex> {
        self.host.app.indexes.get("notes").unwrap()
    }

    async fn seen(&self) -> (Impression, Vec<String>) {
        let index = self.index();
        (impression(&index).await, everything(&index))
    }

    /// Opens the index as at the start of a host that has no local files; gives why that is not possible.
    async fn restart(&self) -> Option<String> {
        let app = &self.host.app;
        if let Ok(index) = app.indexes.get("notes") {
            app.indexes.retire(&index);
            frozen::forget(&index).await;
        }
        app.indexes
            .open_bucket(&self.bucket, &app.tuner_options())
            .await;
        let broken = app.indexes.broken().pop();
        broken.map(|(_, why)| why)
    }

    /// Paths of what lies in a folder of the index.
    async fn objects(&self, folder: &str) -> Vec<String> {
        let objects = self.bucket.list(&format!("indexes/notes/{folder}")).await;
        objects.unwrap().into_iter().map(|one| one.path).collect()
    }
}

async fn flip(bucket: &Bucket, path: &str) {
    let mut bytes = bucket.get(path).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bucket.put(path, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn a_refresh_makes_vectors_anew_that_are_damaged_or_gone_and_keeps_the_rest() {
    let world = World::new().await;
    let expected = world.seen().await;
    assert_eq!(
        (expected.1.len(), expected.1.contains(&"9".to_owned())),
        (14, false)
    );
    let mut versions = BTreeSet::new();
    for round in 0..4 {
        let named: Vec<String> = world
            .index()
            .meta
            .vector_objects()
            .map(|(path, _)| path.to_owned())
            .collect();
        assert_eq!(
            named.len(),
            if round == 0 { 2 } else { 1 },
            "a base, and a tail at first"
        );
        let path = named.last().unwrap();
        match round {
            0 | 1 => flip(&world.bucket, path).await,
            2 => world.bucket.put(path, "PAR1".into()).await.unwrap(),
            _ => world.bucket.delete(path).await.unwrap(),
        }
        let why = world.restart().await.expect("it is refused");
        for word in [path.as_str(), "refresh"] {
            assert!(why.contains(word), "{word}: {why}");
        }
        succeeded(&world.refresh().await);
        assert_eq!(world.host.app.indexes.broken(), []);
        assert_eq!(world.seen().await, expected, "round {round}");
        assert_eq!(world.restart().await, None, "what was committed is whole");
        assert_eq!(world.seen().await, expected, "round {round}");
        versions.insert(world.index().data.data_version.clone());
    }
    assert_eq!(versions.len(), 1, "the same rows make the same vectors");
}

#[tokio::test]
async fn where_deletions_are_damaged_nothing_is_made_and_the_document_stays_hidden() {
    let world = World::new().await;
    let expected = world.seen().await;
    let path = world.objects("tombstones").await.remove(0);
    let sound = world.bucket.get(&path).await.unwrap();
    flip(&world.bucket, &path).await;
    let why = world.restart().await.expect("it is refused");
    world
        .bucket
        .delete(&world.objects("vectors").await[0])
        .await
        .unwrap();
    let before = world.objects("").await;
    let task = world.refresh().await;
    let problem = task.error.expect("it is refused");
    assert_eq!(
        (problem.code.as_str(), &problem.detail),
        ("damaged_object", &why)
    );
    assert_eq!(world.objects("").await, before);
    world.bucket.put(&path, sound).await.unwrap();
    succeeded(&world.refresh().await);
    assert_eq!(world.seen().await, expected);
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_it_broken_and_can_be_repeated() {
    let world = World::new().await;
    let expected = world.seen().await;
    world
        .bucket
        .delete(&world.index().meta.vectors_path)
        .await
        .unwrap();
    let why = world.restart().await;
    let rows = world
        .bucket
        .list("datasets/notes/data")
        .await
        .unwrap()
        .remove(0)
        .path;
    let sound = world.bucket.get(&rows).await.unwrap();
    world.bucket.delete(&rows).await.unwrap();
    let before = world.objects("").await;
    let task = world.refresh().await;
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    assert_eq!(world.objects("").await, before);
    assert_eq!(world.restart().await, why);
    world.bucket.put(&rows, sound).await.unwrap();
    succeeded(&world.refresh().await);
    assert_eq!(world.seen().await, expected);
}

#[tokio::test]
async fn one_that_ends_at_any_operation_leaves_it_broken_or_whole() {
    let world = World::new().await;
    let expected = world.seen().await;
    let notes = IndexName::new("notes").unwrap();
    let mut at = 0;
    loop {
        let mut met = false;
        for plan in plans(at) {
            for path in world.objects("vectors").await {
                world.bucket.delete(&path).await.unwrap();
            }
            world.restart().await.expect("it is refused");
            let app = Arc::clone(&world.host.app);
            let (held, found) = app.indexes.reserve_broken(&notes).await.unwrap();
            let (bucket, store) = faulty(&world.bucket, plan);
            let found = Found::new(&bucket, found.version, found.meta);
            let ended = as_task(|task| async move {
                let healed = merge::heal(&app, (held, found), &task).await;
                healed.map(|()| Value::Null)
            });
            let ended = ended.await;
            met |= store.stopped();
            store.follow(Plan::Never);
            // The host goes on, or another one starts.
            let is_broken = world.restart().await.is_some();
            assert!(!is_broken || ended.is_err(), "{plan:?}");
            if is_broken {
                succeeded(&world.refresh().await);
            }
            assert_eq!(world.seen().await, expected, "{plan:?}: {ended:?}");
        }
        if !met {
            break;
        }
        at += 1;
    }
    assert!(at > 5, "{at} operations");
}

#[tokio::test]
async fn while_it_is_made_anew_it_is_neither_deleted_nor_made_twice() {
    let world = World::new().await;
    world
        .bucket
        .delete(&world.index().meta.vectors_path)
        .await
        .unwrap();
    world.restart().await;
    let (indexes, notes) = (&world.host.app.indexes, IndexName::new("notes").unwrap());
    let held = indexes.reserve_broken(&notes).await.unwrap();
    let again = indexes.reserve_broken(&notes).await.map(drop);
    for refused in [again, indexes.delete("notes").await] {
        assert_eq!(refused.unwrap_err().code, "index_building");
    }
    drop(held);
    indexes.delete("notes").await.unwrap();
    let unknown = indexes.reserve_broken(&notes).await.map(drop);
    assert_eq!(unknown.unwrap_err().code, "unknown_index");
}

mod mend;
