//! Random histories of a host that is killed now and then: whatever was readable stays readable, and a
//! second run finds nothing.

use std::sync::Arc;

use boathouse_ingest::{IngestMode, Retention};
use boathouse_storage::Bucket;
use boathouse_tuning::{Journal, Promote, Promotions};

use super::{super::judge::manifest_of, world::*};
use crate::indexes::IndexMeta;

const HISTORIES: u64 = 12;
const STEPS: usize = 60;

/// Chance from a seed: xorshift, which is enough to choose among a few steps.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }
}

struct History {
    world: World,
    chance: Chance,
    plugins: Vec<String>,
    step: u64,
}

impl History {
    async fn step(&mut self) {
        self.step += 1;
        match self.chance.below(11) {
            0 | 1 => self.ingest().await,
            2 => self.delete_dataset().await,
            3 => self.create_index().await,
            4 | 5 => self.trial().await,
            6 => self.delete_index().await,
            7 => self.move_index().await,
            8 => self.plugin().await,
            9 => self.compact().await,
            _ => self.world.mirror().await,
        }
    }

    /// Whether the host is killed just now.
    fn killed(&mut self) -> bool {
        self.chance.below(3) == 0
    }

    async fn ingest(&mut self) {
        let name = self.chance.one_of(&["a", "b"]);
        if self.killed() {
            let orphan = fresh(&format!("datasets/{name}/data"));
            return put(self.world.primary(), &orphan).await;
        }
        let mode = *self
            .chance
            .one_of(&[&IngestMode::Replace, &IngestMode::Append]);
        self.world.ingest(name, mode, self.step).await;
        let rule = Retention {
            keep_versions: Some(2),
            ..KEEP_ALL
        };
        let datasets = &self.world.datasets;
        let in_use = [1].into();
        let expired = datasets.expire(&dataset_name(name), &rule, &in_use).await;
        expired.expect("expired");
    }

    async fn delete_dataset(&mut self) {
        let name = dataset_name(self.chance.one_of(&["a", "b"]));
        let path = fresh(&format!("datasets/{name}/data"));
        if self.world.datasets.delete(&name).await.is_ok() && self.killed() {
            put(self.world.primary(), &path).await;
        }
    }

    /// An index that serves, and its home.
    async fn live(&mut self) -> Option<(Bucket, IndexMeta)> {
        let name = index_name(self.chance.one_of(&["i", "j"]));
        for bucket in &self.world.buckets[..2] {
            let found = manifest_of(bucket, &name).await.expect("loaded");
            if let Some(meta) = found.filter(|meta| !meta.deleted) {
                return Some((bucket.clone(), meta));
            }
        }
        None
    }

    async fn create_index(&mut self) {
        let name = self.chance.one_of(&["i", "j"]);
        let at = self.chance.below(2);
        let bucket = self.world.buckets[usize::try_from(at).expect("small")].clone();
        if self.killed() {
            return put(&bucket, &fresh(&format!("indexes/{name}/vectors"))).await;
        }
        for bucket in &self.world.buckets[..2] {
            let found = manifest_of(bucket, &index_name(name))
                .await
                .expect("loaded");
            if found.is_some_and(|meta| !meta.deleted) {
                return;
            }
        }
        sweep(&bucket, name).await;
        let mut meta = meta(name, &bucket, "a", 1);
        meta.home_generation = self.step;
        put_index(&bucket, &meta).await;
    }

    async fn trial(&mut self) {
        let Some((bucket, meta)) = self.live().await else {
            return;
        };
        let config = config(u32::try_from(10 + self.chance.below(9)).expect("small"));
        put_graph(&bucket, &meta, &config).await;
        if self.killed() {
            return;
        }
        let clock = || Arc::clone(&self.world.clock);
        let id = format!("t{}", self.step);
        let journal = Journal::new(&bucket, &meta.name, clock());
        journal
            .append(&trial(&id, &meta, config))
            .await
            .expect("appended");
        let wish = Promote {
            trial: id,
            serving: meta.config.into(),
            by: None,
            reason: None,
            evidence: None,
            graph: None,
        };
        let promotions = Promotions::new(&bucket, &meta.name, clock());
        promotions.promote(wish).await.expect("promoted");
    }

    async fn delete_index(&mut self) {
        if let Some((bucket, mut meta)) = self.live().await {
            meta.deleted = true;
            commit(&bucket, &meta).await;
            if !self.killed() {
                sweep(&bucket, meta.name.as_str()).await;
            }
        }
    }

    /// What a move does: everything copied, the new home committed, a tombstone left, and then swept.
    async fn move_index(&mut self) {
        let Some((from, mut meta)) = self.live().await else {
            return;
        };
        let is_other = |bucket: &&Bucket| bucket.name() != from.name();
        let to = self.world.buckets[..2]
            .iter()
            .find(is_other)
            .expect("another")
            .clone();
        sweep(&to, meta.name.as_str()).await;
        for object in from.list("").await.expect("listed") {
            let of_index = folders(meta.name.as_str());
            if of_index
                .iter()
                .any(|folder| object.path.starts_with(folder))
            {
                let bytes = from.get(&object.path).await.expect("read");
                to.put(&object.path, bytes).await.expect("copied");
            }
        }
        let mut there = meta.clone();
        there.home_generation += 1;
        there.bucket = to.name().clone();
        commit(&to, &there).await;
        (meta.deleted, meta.moved_to) = (true, Some(to.name().clone()));
        commit(&from, &meta).await;
        if !self.killed() {
            sweep(&from, meta.name.as_str()).await;
        }
    }

    async fn plugin(&mut self) {
        let bucket = self.world.primary().clone();
        if self.chance.below(2) == 0 && !self.plugins.is_empty() {
            // Its bytes stay behind.
            self.plugins.remove(0);
        } else {
            let digest = put_plugin(&bucket, self.step).await;
            if self.chance.below(3) == 0 {
                return;
            }
            self.plugins.push(digest);
        }
        commit_catalogue(&bucket, &self.plugins).await;
    }

    /// Compacts a log; killed, some of its old files stay.
    async fn compact(&mut self) {
        let Some((bucket, meta)) = self.live().await else {
            return;
        };
        let prefix = format!("_hnsw_trials/{}", meta.name);
        let mut files = Vec::new();
        for path in paths(&bucket, &prefix).await {
            files.push((path.clone(), bucket.get(&path).await.expect("read")));
        }
        log(&bucket, &prefix, &self.world.clock)
            .compact()
            .await
            .expect("merged");
        for (path, bytes) in files {
            // A compacted file that stays is merged by the next compaction, not collected.
            if !path.ends_with(".compact.jsonl") && self.killed() {
                bucket.put(&path, bytes).await.expect("put back");
            }
        }
    }
}

fn folders(index: &str) -> [String; 5] {
    [
        format!("indexes/{index}/vectors/"),
        format!("indexes/{index}/graphs/"),
        format!("_evalsets/{index}/"),
        format!("_hnsw_trials/{index}/"),
        format!("_promotions/{index}/"),
    ]
}

async fn sweep(bucket: &Bucket, index: &str) {
    for folder in folders(index) {
        for path in paths(bucket, folder.trim_end_matches('/')).await {
            bucket.delete(&path).await.expect("deleted");
        }
    }
}

#[tokio::test]
async fn what_was_readable_stays_so_and_a_second_run_finds_nothing() {
    let mut collected = 0;
    for seed in 1..=HISTORIES {
        let mut history = History {
            world: World::new(),
            chance: Chance(seed * 0x9E37_79B9),
            plugins: Vec::new(),
            step: 0,
        };
        put(history.world.primary(), "notes.txt").await;
        for _ in 0..STEPS {
            history.step().await;
        }
        let world = history.world;
        let before = world.readable().await;
        let first = world.collect().await;
        assert_eq!(world.readable().await, before, "seed {seed}: {first:#?}");
        assert!(world.primary().exists("notes.txt").await.expect("asked"));
        let second = world.collect().await;
        assert_eq!(second.objects, 0, "seed {seed}: {second:#?}");
        assert!(
            second
                .buckets
                .iter()
                .all(|bucket| bucket.compacted.is_empty())
        );
        assert_eq!(world.readable().await, before, "seed {seed}");
        collected += first.objects;
    }
    assert!(collected > HISTORIES * 10, "{collected} objects only");
}
