//! Fixtures of this module's tests: a small index with a history, in buckets in memory; and a host without loops, for
//! what takes a dataset or a request.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use boathouse_faults::{FaultyStore, Plan};
use boathouse_storage::{Bucket, BucketRegistry, Mirror, MirrorScope};
use boathouse_tuning::{EvalSet, EvalSetName, EvalSource, EvalSpec, Promote, Tuner, TunerOptions};
use boathouse_types::{
    BucketName, DatasetName, Dimension, IndexConfig, IndexName, ManualClock, Metric, Trial,
    VectorBackend,
};
use boathouse_vector::{
    Frozen, Scratch,
    table::{self, VectorTable},
};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    Growth, IndexMeta, Indexes, LiveIndex, Segment, objects, objects::manifest, tail::Wanted,
};
use crate::{
    app::App,
    config::{Config, Environment},
    http,
    tasks::{TaskState, TaskView},
};

/// Vectors of the base of the index.
pub(super) const ROWS: u16 = 60;
/// Vectors of its tail.
pub(super) const TAIL: u16 = 4;
/// Components of each.
const DIMENSION: u16 = 8;

pub(super) fn name() -> IndexName {
    IndexName::new("papers").unwrap()
}

pub(super) fn bucket_name(text: &str) -> BucketName {
    BucketName::new(text).unwrap()
}

pub(super) fn memory(name: &str) -> Bucket {
    Bucket::memory(bucket_name(name))
}

pub(super) fn options() -> TunerOptions {
    TunerOptions {
        build_threads: 1,
        ..TunerOptions::new(Arc::new(ManualClock::at(1_800_000_000_000)))
    }
}

/// A bucket with a mirror that copies nothing by itself, and where its copies are.
pub(super) fn mirrored() -> (Bucket, Bucket) {
    let rescue = memory("rescue");
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let mirror = Mirror::new(rescue.clone(), clock, MirrorScope::Everything);
    let copies = rescue.within("primary").unwrap();
    (mirror.over(&memory("primary")), copies)
}

/// A view of a bucket whose store follows a plan, and that store.
pub(super) fn faulty(bucket: &Bucket, plan: Plan) -> (Bucket, FaultyStore) {
    let store = FaultyStore::new(Arc::clone(bucket.store()), plan);
    (bucket.with_store(Arc::new(store.clone())), store)
}

/// Vectors of some rows of the dataset.
pub(super) fn vectors(rows: std::ops::Range<u16>) -> VectorTable {
    let mut table = VectorTable::new(Dimension::new(DIMENSION.into()).unwrap());
    for row in rows {
        let component = |at: u16| f32::from((row * 31 + at * 17) % 23) - 11.0;
        let vector: Vec<f32> = (0..DIMENSION).map(component).collect();
        table
            .push(format!("doc-{row}"), row.into(), &vector)
            .unwrap();
    }
    table
}

/// What is stored of an index that was just built. `vectors` tells one index from another of its name.
pub(super) fn meta(bucket: &Bucket, vectors: &str) -> IndexMeta {
    let meta = json!({
        "name": name(), "dataset": DatasetName::new("papers").unwrap(), "dataset_version": 1,
        "text_column": "text", "embedder": "static", "embedder_digest": "", "dimension": DIMENSION,
        "metric": Metric::Cosine, "bucket": bucket.name(), "vector_backend": VectorBackend::Parquet,
        "config": IndexConfig::default(), "vectors_path": format!("indexes/papers/vectors/{vectors}.parquet"),
        "data_version": "", "vectors": ROWS, "skipped_rows": 0, "created_at": "2026-01-01T00:00:00Z"
    });
    serde_json::from_value(meta).unwrap()
}

/// Stores vectors and gives the beginning of their digest, and the number of bytes.
async fn put_vectors(bucket: &Bucket, path: &str, table: &VectorTable) -> (String, u64) {
    let bytes = Bytes::from(table::write(table).unwrap());
    let (digest, length) = (format!("{:x}", Sha256::digest(&bytes)), bytes.len() as u64);
    bucket.put(path, bytes).await.unwrap();
    (digest[..16].to_owned(), length)
}

/// Builds the index in a bucket, with a tail, two trials, a promotion and an evaluation set.
pub(super) async fn build(bucket: &Bucket, vectors_name: &str) {
    let table = vectors(0..ROWS);
    let meta = meta(bucket, vectors_name);
    let path = format!("indexes/papers/vectors/{vectors_name}-tail.parquet");
    let (digest, bytes) = put_vectors(bucket, &path, &vectors(ROWS..ROWS + TAIL)).await;
    let segment = Segment {
        digest,
        vectors: TAIL.into(),
        path,
        bytes: Some(bytes),
    };
    let (data_version, bytes) = put_vectors(bucket, &meta.vectors_path, &table).await;
    let meta = IndexMeta {
        data_version,
        vectors_bytes: Some(bytes),
        grown: Some(Growth {
            dataset_version: 2,
            rows: (ROWS + TAIL).into(),
            skipped_rows: 0,
            segments: vec![segment],
        }),
        ..meta
    };
    let frozen = Frozen::of(&table, meta.metric).unwrap();
    let stop = CancellationToken::new();
    let index = LiveIndex::assemble(bucket, meta.clone(), frozen, options(), &stop);
    let index = index.await.unwrap();
    let before = manifest(bucket, &name()).load().await.unwrap();
    let version = before.map_or(0, |found| found.version);
    manifest(bucket, &name())
        .commit(version, &meta)
        .await
        .unwrap();
    add_trial(&index.tuner, "t1").await;
    add_trial(&index.tuner, "t2").await;
    promote(&index.tuner, "t2").await;
    let spec = EvalSpec {
        k: 3,
        seed: 0,
        source: EvalSource::Drawn { queries: 5 },
    };
    let set = EvalSet::make(
        EvalSetName::new("default").unwrap(),
        &index.data,
        spec,
        &stop,
    );
    index
        .tuner
        .eval_sets()
        .save(&set.await.unwrap())
        .await
        .unwrap();
}

/// Adds a line to the journal.
pub(super) async fn add_trial(tuner: &Tuner, id: &str) {
    let trial: Trial = serde_json::from_value(json!({
        "id": id, "config": IndexConfig::default(),
        "metrics": {"build_time_secs": 1.0, "search_latency_p50_us": 5.0,
            "search_latency_p95_us": 8.0, "search_latency_p99_us": 9.0, "recall_at_k": 0.96,
            "memory_bytes": 1, "vectors": ROWS, "eval_queries": 5, "brute_force_latency_us": 43.0}
    }))
    .unwrap();
    tuner.journal().append(&trial).await.unwrap();
}

pub(super) async fn promote(tuner: &Tuner, trial: &str) {
    let request = Promote {
        trial: trial.to_owned(),
        serving: IndexConfig::default().into(),
        by: None,
        reason: None,
        evidence: None,
        graph: None,
    };
    tuner.promotions().promote(request).await.unwrap();
}

/// A copy of everything in a bucket, as another bucket of that name.
pub(super) async fn copy_of(bucket: &Bucket, name: &str) -> Bucket {
    let copy = memory(name);
    for object in bucket.list("").await.unwrap() {
        let bytes = bucket.get(&object.path).await.unwrap();
        copy.put(&object.path, bytes).await.unwrap();
    }
    copy
}

/// The indexes of these buckets, as a host finds them at its start.
pub(super) async fn opened(buckets: &[&Bucket]) -> Indexes {
    let registry = BucketRegistry::new();
    for bucket in buckets {
        registry.insert((*bucket).clone()).unwrap();
    }
    Indexes::open(&Arc::new(registry), Arc::new(|_| true), &options()).await
}

/// The same, when no other bucket is registered.
pub(super) async fn opened_alone(buckets: &[&Bucket]) -> Indexes {
    let registry = BucketRegistry::new();
    for bucket in buckets {
        registry.insert((*bucket).clone()).unwrap();
    }
    let registry = Arc::new(registry);
    let known = Arc::clone(&registry);
    let is_registered = move |name: &BucketName| known.get(name).is_ok();
    Indexes::open(&registry, Arc::new(is_registered), &options()).await
}

/// What an index answers and remembers; two that are equal are the same to whoever uses them.
#[derive(Debug, PartialEq)]
pub(super) struct Impression {
    hits: Vec<String>,
    pub(super) trials: Vec<String>,
    promotions: usize,
    eval_sets: Vec<String>,
    serves: Option<String>,
}

pub(super) async fn impression(index: &LiveIndex) -> Impression {
    let trials = index.tuner.journal().read().await.unwrap();
    assert_eq!(trials.malformed, 0);
    let sets = index.tuner.eval_sets();
    let mut eval_sets = Vec::new();
    for name in sets.list().await.unwrap() {
        eval_sets.push(sets.load(&name).await.unwrap().name.to_string());
    }
    Impression {
        hits: hits(index),
        trials: trials.trials.into_iter().map(|trial| trial.id).collect(),
        promotions: index.tuner.promotions().history().await.unwrap().len(),
        eval_sets,
        serves: index.serving().served.trial.clone(),
    }
}

/// Ids of the hits of a search.
pub(super) fn hits(index: &LiveIndex) -> Vec<String> {
    let vectors = &index.data.vectors;
    let query = vectors.prepare_query(vectors.row(7)).unwrap();
    let wanted = Wanted {
        query: &query,
        k: index.vectors().min(8),
        ef: 40,
    };
    let (serving, mut scratch) = (index.serving(), Scratch::default());
    let (found, _) = index
        .tail
        .nearest(vectors, &serving.graph, &wanted, &mut scratch);
    found
        .iter()
        .map(|found| index.document(found).0.to_owned())
        .collect()
}

/// Paths of what a bucket holds of the index besides its manifest.
pub(super) async fn objects_in(bucket: &Bucket) -> Vec<String> {
    let objects = objects::list(bucket, &name()).await.unwrap();
    objects.into_iter().map(|object| object.path).collect()
}

/// A host without loops in a folder of its own.
pub(crate) struct Quiet {
    pub(crate) app: Arc<App>,
    _folder: TempDir,
}

impl Quiet {
    pub(crate) async fn open() -> Self {
        Self::configured(|_| {}).await
    }

    /// One whose configuration is changed first.
    pub(crate) async fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data = folder.path().to_owned();
        config.vectors.threads = 1;
        change(&mut config);
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let app = App::open_with(config, &Environment::default(), clock).await;
        Self {
            app: app.unwrap(),
            _folder: folder,
        }
    }

    /// Brings rows into a dataset.
    pub(crate) async fn ingest(&self, dataset: &str, mode: &str, csv: impl Into<Body>) {
        let path = format!("/ingest/file?dataset={dataset}&format=csv&mode={mode}");
        succeeded(&self.ended(Request::post(path), csv.into()).await);
    }

    /// Builds an index on the column `text` of the dataset of its name, with the ids of the column `id`.
    pub(crate) async fn index(&self, name: &str) -> Arc<LiveIndex> {
        let spec = json!({"name": name, "dataset": name, "text_column": "text", "id_column": "id"});
        succeeded(&self.built(&spec).await);
        self.app.indexes.get(name).unwrap()
    }

    /// Builds an index; gives the task once it has ended.
    pub(crate) async fn built(&self, spec: &Value) -> TaskView {
        let request = Request::post("/vectors/indexes").header("content-type", "application/json");
        self.ended(request, Body::from(spec.to_string())).await
    }

    /// Sends a request that starts a task; gives the task once it has ended.
    pub(crate) async fn ended(
        &self,
        request: axum::http::request::Builder,
        body: Body,
    ) -> TaskView {
        let request = request.body(body).unwrap();
        let answer = http::router(Arc::clone(&self.app)).oneshot(request).await;
        let bytes = axum::body::to_bytes(answer.unwrap().into_body(), usize::MAX).await;
        let task: Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
        let id = task["id"].as_str().unwrap_or_else(|| panic!("{task}"));
        self.app.tasks.wait(id).await.unwrap()
    }
}

#[track_caller]
pub(crate) fn succeeded(task: &TaskView) {
    assert_eq!(task.state, TaskState::Succeeded, "{task:?}");
}
