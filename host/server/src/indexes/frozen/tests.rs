//! An index opens from local files as it does from its bucket, and nothing in these files is trusted.

use std::{fs, path::PathBuf, sync::Arc};

use boathouse_storage::BucketRegistry;

use super::{
    super::testing::{ROWS, TAIL, build, hits, memory, name, options},
    *,
};

/// A bucket with an index, and a folder for local files.
struct World {
    bucket: Bucket,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let bucket = memory("primary");
        build(&bucket, "a").await;
        let folder = tempfile::tempdir().unwrap();
        Self { bucket, folder }
    }

    fn options(&self) -> TunerOptions {
        TunerOptions {
            files: Some(FileCache::new(self.folder.path().to_owned())),
            ..options()
        }
    }

    /// A start of the host.
    async fn start(&self) -> Indexes {
        let registry = BucketRegistry::new();
        registry.insert(self.bucket.clone()).unwrap();
        Indexes::open(&Arc::new(registry), Arc::new(|_| true), &self.options()).await
    }

    async fn opened(&self) -> Arc<LiveIndex> {
        let indexes = self.start().await;
        indexes.get(name().as_str()).unwrap()
    }

    /// Local files of the index, sorted.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join(name().as_str()));
        let mut files: Vec<_> = entries.into_iter().flatten().flatten().collect();
        files.sort_by_key(fs::DirEntry::file_name);
        files.into_iter().map(|file| file.path()).collect()
    }

    /// Objects of the index's vectors or graphs.
    async fn objects(&self, kind: &str) -> Vec<String> {
        let folder = format!("indexes/{}/{kind}", name());
        let objects = self.bucket.list(&folder).await.unwrap();
        objects.into_iter().map(|object| object.path).collect()
    }
}

/// Changes a byte of a read-only file.
fn damage(file: &PathBuf, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x10;
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

fn origin(index: &LiveIndex) -> &'static str {
    index.view().serving.graph_origin
}

#[tokio::test]
async fn the_second_start_maps_what_the_first_has_read() {
    let world = World::new().await;
    let first = world.opened().await;
    assert_eq!(origin(&first), "stored");
    assert_eq!(world.files().len(), 3, "base, tail and graph");
    let again = world.opened().await;
    let view = again.view().serving;
    assert_eq!(view.graph_origin, "mapped");
    if cfg!(target_endian = "little") {
        assert_eq!(view.mapped_bytes, view.memory_bytes);
    }
    assert_eq!(hits(&again), hits(&first));
    assert_eq!(again.vectors(), usize::from(ROWS + TAIL));
    assert!(again.doc_ids.iter().eq(first.doc_ids.iter()));
    assert_eq!(*again.rows, *first.rows);
}

#[tokio::test]
async fn a_start_from_local_files_reads_no_object_of_vectors_or_graphs() {
    let world = World::new().await;
    let before = hits(&*world.opened().await);
    for kind in ["vectors", "graphs"] {
        for path in world.objects(kind).await {
            world.bucket.delete(&path).await.unwrap();
        }
    }
    assert_eq!(hits(&*world.opened().await), before);
}

#[tokio::test]
async fn damaged_files_are_made_again() {
    let world = World::new().await;
    let before = hits(&*world.opened().await);
    for at in [0, 9, 4_096, usize::MAX] {
        for file in world.files() {
            damage(&file, at);
            let index = world.opened().await;
            assert_eq!(hits(&index), before);
            let is_graph = file.extension().is_some_and(|end| end == "graph");
            let expected = if is_graph { "stored" } else { "mapped" };
            assert_eq!(origin(&index), expected, "{file:?} at {at}");
            assert_eq!(world.files().len(), 3);
            assert_eq!(origin(&*world.opened().await), "mapped");
        }
    }
}

#[tokio::test]
async fn a_damaged_object_is_named_and_nothing_of_it_served() {
    let world = World::new().await;
    let [object, _] = &world.objects("vectors").await[..] else {
        panic!("a base and a tail");
    };
    let sound = world.bucket.get(object).await.unwrap();
    let mut altered = sound.to_vec();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    world.bucket.put(object, altered.into()).await.unwrap();
    let indexes = world.start().await;
    let [(broken, why)] = &indexes.broken()[..] else {
        panic!("one index is broken");
    };
    assert_eq!(*broken, name());
    assert!(
        why.contains(object.as_str()) && why.contains("is damaged"),
        "{why}"
    );
    world.bucket.put(object, sound).await.unwrap();
    world.opened().await;
}

#[tokio::test]
async fn an_object_that_is_gone_is_named_with_its_bucket_and_the_cure() {
    let world = World::new().await;
    for object in world.objects("vectors").await {
        let bytes = world.bucket.get(&object).await.unwrap();
        world.bucket.delete(&object).await.unwrap();
        let indexes = world.start().await;
        let [(_, why)] = &indexes.broken()[..] else {
            panic!("one index is broken");
        };
        let place = format!("object `{object}` of bucket `primary` is gone");
        assert!(
            why.contains(&place) && why.contains("`boathouse index refresh`"),
            "{why}"
        );
        world.bucket.put(&object, bytes).await.unwrap();
        for file in world.files() {
            fs::remove_file(file).unwrap();
        }
    }
}

#[tokio::test]
async fn damaged_graphs_of_the_bucket_are_built_again() {
    let world = World::new().await;
    let before = hits(&*world.opened().await);
    for file in world.files() {
        fs::remove_file(file).unwrap();
    }
    for path in world.objects("graphs").await {
        let mut bytes = world.bucket.get(&path).await.unwrap().to_vec();
        bytes[200] ^= 1;
        world.bucket.put(&path, bytes.into()).await.unwrap();
    }
    let index = world.opened().await;
    assert_eq!((origin(&index), hits(&index)), ("built", before));
    assert_eq!(origin(&*world.opened().await), "mapped");
}

#[tokio::test]
async fn files_that_nobody_serves_from_go() {
    let world = World::new().await;
    world.opened().await;
    let kept = world.files();
    let own = FileCache::new(world.folder.path().to_owned()).of_index(&name());
    for stray in ["0123456789abcdef.l2.rows", "0123456789abcdef.graph"] {
        assert!(own.put(stray, |out| out.write_all(b"of another base")));
    }
    let other = IndexName::new("letters").unwrap();
    let others = FileCache::new(world.folder.path().to_owned()).of_index(&other);
    assert!(others.put("a.graph", |out| out.write_all(b"of an index that is gone")));
    let indexes = world.start().await;
    indexes.tidy_files(&world.options()).await;
    assert_eq!(world.files(), kept);
    assert!(!world.folder.path().join("letters").exists());
    indexes.delete(name().as_str()).await.unwrap();
    assert!(world.files().is_empty());
}

#[tokio::test]
async fn without_room_for_files_an_index_serves_from_memory() {
    let world = World::new().await;
    // No folder can be made where a file is.
    fs::write(world.folder.path().join(name().as_str()), "in the way").unwrap();
    let index = world.opened().await;
    assert_eq!(index.view().serving.mapped_bytes, 0);
    assert_eq!(index.vectors(), usize::from(ROWS + TAIL));
}
