//! Indexes that serve while objects of theirs are gone or damaged: it is told, and a refresh makes them good.

use tower::ServiceExt as _;

use super::*;

impl World {
    fn base(&self) -> String {
        self.index().meta.vectors_path.clone()
    }

    async fn delete(&self, path: &str) {
        self.bucket.delete(path).await.unwrap();
    }

    /// The answer to a `GET`.
    async fn read(&self, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let router = crate::http::router(Arc::clone(&self.host.app));
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        (status, String::from_utf8(bytes.unwrap().to_vec()).unwrap())
    }

    /// Refreshes; so many objects are good that were not.
    #[track_caller]
    fn check_mended(&self, task: &TaskView, objects: u64) {
        succeeded(task);
        let result = &task.result;
        assert_eq!(result["mended_objects"], objects, "{result}");
        assert_eq!(self.index().faults(), []);
    }

    /// Local files of the vectors of the index, with something else in them.
    fn spoil_local_files(&self) {
        let index = self.index();
        let files = self.host.app.tuner_options().files.unwrap();
        let files = files.of_index(&index.meta.name);
        for name in files.names() {
            assert!(files.put(&name, |out| out.write_all(b"something else")));
        }
    }
}

#[tokio::test]
async fn what_is_gone_is_told_and_a_refresh_makes_it_good_from_local_files() {
    for object in 0..2 {
        let world = World::new().await;
        let expected = world.seen().await;
        assert_eq!(world.read("/readyz").await.0, 200);
        let meta = world.index().meta.clone();
        let (path, _) = meta.vector_objects().nth(object).unwrap();
        world.delete(path).await;
        let home = world.index().meta.bucket.clone();
        world.host.app.indexes.look_at_objects(&home).await;
        let (status, told) = world.read("/readyz").await;
        assert_eq!(status, 503);
        for word in [path, "index notes", "boathouse index refresh"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        let (_, metrics) = world.read("/metrics").await;
        let line = "boathouse_index_damaged_objects{index=\"notes\"} 1";
        assert!(metrics.contains(line), "{metrics}");
        assert_eq!(world.seen().await, expected, "it serves all the same");

        // What the dataset has is not needed.
        let rows = world.bucket.list("datasets/notes/data").await.unwrap();
        let mut sound = Vec::new();
        for object in rows {
            sound.push((object.path.clone(), world.bucket.get(&object.path).await));
            world.delete(&object.path).await;
        }
        world.check_mended(&world.refresh().await, 1);
        for (path, bytes) in sound {
            world.bucket.put(&path, bytes.unwrap()).await.unwrap();
        }
        assert_eq!(world.read("/readyz").await.0, 200);
        assert_eq!(world.seen().await, expected);
        assert_eq!(world.restart().await, None, "the bucket is whole");
        assert_eq!(world.seen().await, expected);
    }
}

#[tokio::test]
async fn what_was_altered_or_cut_short_is_made_good_deletions_too() {
    let world = World::new().await;
    let expected = world.seen().await;
    let tombstones = world.objects("tombstones").await.remove(0);
    flip(&world.bucket, &tombstones).await;
    world.check_mended(&world.refresh().await, 1);
    assert_ne!(world.index().meta.deletions[0].path, tombstones);
    assert_eq!(world.restart().await, None);
    assert_eq!(world.seen().await, expected, "it is deleted still");

    flip(&world.bucket, &world.base()).await;
    let tombstones = world.index().meta.deletions[0].path.clone();
    world.delete(&tombstones).await;
    world.check_mended(&world.refresh().await, 2);
    assert_eq!(world.restart().await, None);
    assert_eq!(world.seen().await, expected);

    let sound = world.bucket.get(&world.base()).await.unwrap();
    let cut = sound.slice(..sound.len() / 2);
    world.bucket.put(&world.base(), cut).await.unwrap();
    world.check_mended(&world.refresh().await, 1);
    world.check_mended(&world.refresh().await, 0);
    assert_eq!(world.restart().await, None);
    assert_eq!(world.seen().await, expected);
}

#[tokio::test]
async fn a_sound_copy_goes_in_the_place_of_what_is_damaged_and_nothing_else_changes() {
    let world = World::new().await;
    let index = world.index();
    let (meta, path) = (index.meta.clone(), world.base());
    let sound = world.bucket.get(&path).await.unwrap();
    let copies = world.bucket.copies().unwrap().clone();
    copies.put(&path, sound.clone()).await.unwrap();
    flip(&world.bucket, &path).await;
    world.check_mended(&world.refresh().await, 1);
    assert_eq!(world.bucket.get(&path).await.unwrap(), sound);
    assert_eq!(world.index().meta, meta);

    // A copy that is no better is not believed.
    flip(&world.bucket, &path).await;
    flip(&copies, &path).await;
    world.check_mended(&world.refresh().await, 1);
    assert_ne!(world.base(), path);
}

#[tokio::test]
async fn where_local_files_are_damaged_too_all_is_embedded_anew_or_it_serves_as_before() {
    let world = World::new().await;
    let expected = world.seen().await;
    let rows = world.bucket.list("datasets/notes/data").await.unwrap();
    let rows = rows[0].path.clone();
    let sound = world.bucket.get(&rows).await.unwrap();
    world.delete(&world.base()).await;
    world.delete(&rows).await;
    world.spoil_local_files();
    let before = world.objects("").await;
    let task = world.refresh().await;
    assert_eq!(task.state, TaskState::Failed, "{task:?}");
    assert_eq!(world.objects("").await, before);
    assert_eq!(world.seen().await, expected);
    assert_eq!(world.index().faults().len(), 1, "it is told still");

    world.bucket.put(&rows, sound).await.unwrap();
    world.spoil_local_files();
    world.check_mended(&world.refresh().await, 1);
    assert_eq!(world.restart().await, None);
    assert_eq!(world.seen().await, expected);
}
