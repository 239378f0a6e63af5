//! What of a build under way is kept on this machine, so that one that is killed need not begin anew.
//!
//! While texts are embedded, the vectors that are done go into local files: whenever there are 64 MiB of them, and
//! whenever half a minute has passed. A file is a Parquet table of vectors with the digests of their texts, sealed like
//! all local files (`host/storage/src/cache.rs`), so one that a kill cut off does not count. Its name begins with the
//! model that made the vectors. Whoever builds an index of that name again takes them by their texts, whatever has become
//! of the dataset meanwhile.
//!
//! The files of an index go when a build of it is committed, when it is deleted, and at the start of a host and whenever
//! garbage is collected when nobody has added to them for a week and nobody works on the index.
//!
//! Invariants: nothing here is needed; a file that cannot be read or written is logged and costs the time to embed its
//! texts. A build without files goes on all the same.

use std::sync::Arc;

use boathouse_models::Embedder;
use boathouse_storage::FileCache;
use boathouse_types::{Clock, Dimension, IndexName, Timestamp};
use boathouse_vector::table::{self, Origin, TextDigest, VectorTable};

use super::reuse::Known;
use crate::app::App;

/// Bytes of vectors that are written as soon as they are there.
const BYTES: usize = 64 << 20;
/// Milliseconds after which fewer are written.
const MILLIS: i64 = 30_000;
/// Milliseconds after which files that nobody asked for go: a week.
const IDLE: i64 = 7 * 24 * 3_600_000;
/// Digits of the digest of the model in the name of a file.
const MODEL_DIGITS: usize = 16;

/// The files of the build of one index, and what is to go into the next one.
pub(super) struct Parts {
    files: FileCache,
    clock: Arc<dyn Clock>,
    /// The beginning of the names of the files.
    model: String,
    fresh: VectorTable,
    /// Since when `fresh` is not written.
    since: Timestamp,
}

impl Parts {
    /// The files of an index for vectors of a model.
    pub(super) fn of(app: &App, embedder: &dyn Embedder, index: &IndexName) -> Self {
        let files = app.embedding.of_index(index);
        let model = (embedder.model_digest(), embedder.dimension());
        Self::new(files, Arc::clone(&app.clock), model)
    }

    fn new(
        files: FileCache,
        clock: Arc<dyn Clock>,
        (digest, dimension): (&str, Dimension),
    ) -> Self {
        Self {
            files,
            model: digest.chars().take(MODEL_DIGITS).collect(),
            fresh: VectorTable::new(dimension),
            since: clock.now(),
            clock,
        }
    }

    /// Adds the vectors of all files to those that are known. Blocks.
    pub(super) fn read_into(&self, known: &mut Known) {
        for name in self.files.names() {
            if name.starts_with(&self.model)
                && let Some(vectors) = self.files.get(&name, table::read)
            {
                known.add(vectors);
            }
        }
    }

    /// Notes a vector that was made.
    pub(super) fn add(&mut self, digest: TextDigest, vector: &[f32]) {
        let origin = Origin {
            doc_id: "",
            row: self.fresh.len() as u64,
            span: None,
            text_digest: Some(digest),
        };
        // They are all of one model. One that is not kept is made again.
        let _ = self.fresh.push_from(&origin, vector);
    }

    /// Writes what was added, when it is much or some time has passed. Blocks.
    pub(super) fn keep_when_due(&mut self) {
        let now = self.clock.now();
        let waited = now.millis() - self.since.millis();
        if self.fresh.vector_bytes() < BYTES && waited < MILLIS {
            return;
        }
        self.since = now;
        let empty = VectorTable::new(self.fresh.dimension());
        let fresh = std::mem::replace(&mut self.fresh, empty);
        if fresh.is_empty() {
            return;
        }
        match table::write(&fresh) {
            Ok(bytes) => {
                let name = format!("{}-{}", self.model, uuid::Uuid::now_v7().simple());
                self.files.put(&name, |out| out.write_all(&bytes));
            }
            Err(error) => {
                tracing::warn!(%error, "vectors that are done are not kept for a build that is cut off");
            }
        }
    }
}

/// Deletes what was kept of builds of an index, which has been committed or deleted.
pub(crate) async fn forget_parts(app: &App, index: &IndexName) {
    let (files, index) = (app.embedding.clone(), index.clone());
    let forgotten = move || files.retain_indexes(|name| name != index.as_str());
    let _ = tokio::task::spawn_blocking(forgotten).await;
}

/// Deletes what was kept for builds that nobody has gone on with for a week. `is_built` says which indexes somebody works
/// on at the moment of asking: what these have stays, as a build may find all that it needs in old files and add none.
pub(crate) async fn forget_idle_parts(app: &App, is_built: impl Fn(&str) -> bool + Send + 'static) {
    let (files, since) = (app.embedding.clone(), idle_since(app.clock.now()));
    let _ = tokio::task::spawn_blocking(move || files.retain_recent(since, is_built)).await;
}

fn idle_since(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.millis() - IDLE)
}

/// Deletes what was left half written, and what was kept for builds that nobody has gone on with for a week. For the
/// start, when nobody builds.
pub(crate) fn tidy_parts(files: &FileCache, now: Timestamp) {
    files.delete_unfinished();
    files.retain_recent(idle_since(now), |_| false);
}

#[cfg(test)]
mod tests {
    use boathouse_types::ManualClock;

    use super::{super::reuse::digest_of, *};

    const MODEL: &str = "0123456789abcdef0123456789abcdef";

    struct World {
        _folder: tempfile::TempDir,
        files: FileCache,
        clock: Arc<ManualClock>,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let files = FileCache::new(folder.path().join("embedding"));
            Self {
                files: files.of_index(&IndexName::new("papers").unwrap()),
                clock: Arc::new(ManualClock::at(1_800_000_000_000)),
                _folder: folder,
            }
        }

        fn parts(&self, model: &str) -> Parts {
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            let model = (model, Dimension::new(2).unwrap());
            Parts::new(self.files.clone(), clock, model)
        }

        fn known(&self, model: &str) -> Known {
            let mut known = Known::new(Dimension::new(2).unwrap());
            self.parts(model).read_into(&mut known);
            known
        }
    }

    #[test]
    fn what_is_done_is_kept_after_half_a_minute_and_found_again() {
        let world = World::new();
        let mut parts = world.parts(MODEL);
        parts.add(digest_of("bread"), &[1.0, 0.0]);
        parts.keep_when_due();
        assert!(world.files.names().is_empty(), "it is too early");
        world.clock.advance(MILLIS);
        parts.keep_when_due();
        assert_eq!(world.files.names().len(), 1);
        // A text may come again, and be the first of another file.
        parts.add(digest_of("bread"), &[1.0, 0.0]);
        parts.add(digest_of("ships"), &[2.0, 0.0]);
        parts.keep_when_due();
        world.clock.advance(MILLIS);
        parts.keep_when_due();
        world.clock.advance(MILLIS);
        parts.keep_when_due();
        assert_eq!(world.files.names().len(), 2, "nothing is no file");
        let known = world.known(MODEL);
        for (text, number) in [("bread", 1.0), ("ships", 2.0)] {
            let found = known.get(&digest_of(text));
            assert_eq!(found, Some(&[number, 0.0][..]), "{text}");
        }
        let other = world.known("another model, whose vectors mean something else");
        assert!(other.get(&digest_of("bread")).is_none());
    }

    #[test]
    fn much_is_kept_at_once() {
        let world = World::new();
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let model = (MODEL, Dimension::new(65_536).unwrap());
        let mut parts = Parts::new(world.files.clone(), clock, model);
        let vector = vec![1.0; 65_536];
        for number in 0..BYTES / (4 * vector.len()) {
            parts.keep_when_due();
            assert_eq!(parts.fresh.len(), number, "nothing was written");
            parts.add(digest_of(&number.to_string()), &vector);
        }
        parts.keep_when_due();
        assert_eq!((world.files.names().len(), parts.fresh.len()), (1, 0));
    }
}
