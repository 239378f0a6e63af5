//! Buckets in memory with what a host would keep in them, and a run over them.

use std::{collections::BTreeMap, sync::Arc};

use boathouse_ingest::{
    DatasetManifest, Datasets, FileInput, FileOptions, IngestContext, IngestMode, IngestProgress,
    IngestRequest, Lineage, LineageWriter, OnDetectorFailure, Retention, ingest_file,
};
use boathouse_storage::{AppendLog, Bucket, BucketRegistry, Manifest};
use boathouse_tuning::{Journal, Promotions, build_id, build_id_of};
use boathouse_types::{BucketName, Clock, DatasetName, IndexConfig, IndexName, Trial};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::{
    Busy, GcReport, Run,
    judge::{listed_plugins, manifest_of},
};
use crate::{
    indexes::{Growth, IndexMeta, Segment},
    system::SystemClock,
};

/// Keeps everything; for runs that let nothing expire.
pub(super) const KEEP_ALL: Retention = Retention {
    keep_versions: None,
    keep_millis: None,
    grace_millis: 0,
};

/// Buckets `primary`, `cold` and `rescue`.
pub(super) struct World {
    pub(super) buckets: Vec<Bucket>,
    pub(super) datasets: Datasets,
    pub(super) clock: Arc<dyn Clock>,
}

/// Text that a reader gets to see, by where it is.
pub(super) type Readable = BTreeMap<String, String>;

pub(super) fn bucket_name(name: &str) -> BucketName {
    BucketName::new(name).expect("a name")
}

pub(super) fn index_name(name: &str) -> IndexName {
    IndexName::new(name).expect("a name")
}

pub(super) fn dataset_name(name: &str) -> DatasetName {
    DatasetName::new(name).expect("a name")
}

impl World {
    pub(super) fn new() -> Self {
        Self::over(["primary", "cold", "rescue"].map(|name| Bucket::memory(bucket_name(name))))
    }

    pub(super) fn over(buckets: impl IntoIterator<Item = Bucket>) -> Self {
        let buckets: Vec<Bucket> = buckets.into_iter().collect();
        let registry = BucketRegistry::new();
        for bucket in &buckets {
            registry.insert(bucket.clone()).expect("inserted");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Self {
            datasets: Datasets::new(Arc::new(registry), Arc::clone(&clock)),
            buckets,
            clock,
        }
    }

    pub(super) fn primary(&self) -> &Bucket {
        &self.buckets[0]
    }

    pub(super) fn rescue(&self) -> &Bucket {
        self.buckets.last().expect("rescue")
    }

    /// A run without a grace period.
    pub(super) fn run(&self) -> Run {
        Run {
            buckets: self.buckets.clone(),
            missing: Vec::new(),
            datasets: self.datasets.clone(),
            retention: KEEP_ALL,
            compact_files: 4,
            clock: Arc::clone(&self.clock),
            dry_run: false,
            grace_hours: 0,
            busy: Box::new(Busy::default),
            building: Box::new(|_| false),
            cancel: CancellationToken::new(),
            task: None,
        }
    }

    pub(super) async fn collect(&self) -> GcReport {
        self.run().go().await
    }

    /// Ingests one row into a dataset of `primary`.
    pub(super) async fn ingest(&self, name: &str, mode: IngestMode, row: u64) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("id,name\n{row},row {row}\n")).expect("written");
        let context = IngestContext {
            datasets: self.datasets.clone(),
            detectors: Vec::new(),
            on_detector_failure: Some(OnDetectorFailure::Refuse),
            pii: boathouse_ingest::PiiRules::default(),
            clock: Arc::clone(&self.clock),
            spool_folder: None,
            max_decompressed_bytes: u64::MAX,
            lineage: LineageWriter::default(),
        };
        let request = IngestRequest {
            dataset: dataset_name(name),
            bucket: None,
            input: FileInput::Path(file.path().to_owned()),
            label: "rows.csv".to_owned(),
            format: None,
            mode,
            system: "file",
            digest: None,
            options: FileOptions::default(),
        };
        let progress = Arc::new(IngestProgress::default());
        ingest_file(&context, request, progress, CancellationToken::new())
            .await
            .expect("ingested");
    }

    /// Everything that the three buckets have, byte for byte.
    pub(super) async fn bytes(&self) -> Vec<(String, Bytes)> {
        let mut all = Vec::new();
        for bucket in &self.buckets {
            for object in bucket.list("").await.expect("listed") {
                let bytes = bucket.get(&object.path).await.expect("read");
                all.push((format!("{}/{}", bucket.name(), object.path), bytes));
            }
        }
        all
    }

    /// What readers get to see of every bucket and of every copy.
    pub(super) async fn readable(&self) -> Readable {
        let mut all = Readable::new();
        for bucket in &self.buckets {
            readable_in(bucket.name().as_str(), bucket, &mut all).await;
            let copy = self
                .rescue()
                .within(bucket.name().as_str())
                .expect("a view");
            readable_in(&format!("rescue/{}", bucket.name()), &copy, &mut all).await;
        }
        all
    }

    /// Copies everything but rows, vectors and graphs into `rescue`, as its mirror does.
    pub(super) async fn mirror(&self) {
        for home in &self.buckets[..self.buckets.len() - 1] {
            let copy = self.rescue().within(home.name().as_str()).expect("a view");
            for object in home.list("").await.expect("listed") {
                let folders = ["/data/", "/vectors/", "/graphs/"];
                let is_heavy = folders.iter().any(|folder| object.path.contains(folder));
                if !is_heavy {
                    let bytes = home.get(&object.path).await.expect("read");
                    copy.put(&object.path, bytes).await.expect("copied");
                }
            }
        }
    }
}

pub(super) async fn put(bucket: &Bucket, path: &str) {
    let bytes = Bytes::from(path.to_owned());
    bucket.put(path, bytes).await.expect("written");
}

pub(super) async fn paths(bucket: &Bucket, folder: &str) -> Vec<String> {
    let listed = bucket.list(folder).await.expect("listed");
    listed.into_iter().map(|object| object.path).collect()
}

/// A path that a host could have given to rows or vectors.
pub(super) fn fresh(folder: &str) -> String {
    format!("{folder}/{}.parquet", uuid::Uuid::now_v7())
}

/// An index as it is stored, with vectors of its own.
pub(super) fn meta(name: &str, bucket: &Bucket, dataset: &str, version: u64) -> IndexMeta {
    let id = uuid::Uuid::now_v7().simple().to_string();
    serde_json::from_value(json!({
        "name": name, "dataset": dataset, "dataset_version": version, "text_column": "name",
        "embedder": "static", "embedder_digest": "aa", "dimension": 2, "metric": "cosine",
        "bucket": bucket.name(), "config": config(10), "vectors_path":
        format!("indexes/{name}/vectors/{id}.parquet"), "data_version": &id[16..],
        "vectors": 1, "skipped_rows": 0, "created_at": "2026-01-01T00:00:00Z"
    }))
    .expect("a document")
}

/// The same index with so many segments of rows that were appended.
pub(super) fn grown(meta: IndexMeta, version: u64, segments: usize) -> IndexMeta {
    let segment = |_| Segment {
        path: fresh(&format!("indexes/{}/vectors", meta.name)),
        digest: "00".to_owned(),
        vectors: 1,
        bytes: None,
    };
    let segments: Vec<Segment> = (0..segments).map(segment).collect();
    let growth = Growth {
        dataset_version: version,
        rows: 1 + segments.len() as u64,
        skipped_rows: 0,
        segments,
    };
    IndexMeta {
        grown: Some(growth),
        ..meta
    }
}

pub(super) fn config(ef_construction: u32) -> IndexConfig {
    IndexConfig {
        ef_construction,
        ..IndexConfig::default()
    }
}

/// Commits what a bucket says of an index from now on.
pub(super) async fn commit(bucket: &Bucket, meta: &IndexMeta) {
    let manifest = Manifest::new(bucket.clone(), format!("indexes/{}/manifest", meta.name));
    let found = manifest.load().await.expect("loaded");
    let version = found.map_or(0, |found: boathouse_storage::Versioned<IndexMeta>| {
        found.version
    });
    manifest.commit(version, meta).await.expect("committed");
}

/// Stores an index whole: vectors, graph, evaluation set, manifest.
pub(super) async fn put_index(bucket: &Bucket, meta: &IndexMeta) {
    for (path, _) in meta.vector_objects() {
        put(bucket, path).await;
    }
    put_graph(bucket, meta, &meta.config).await;
    put(bucket, &format!("_evalsets/{}/default.json", meta.name)).await;
    commit(bucket, meta).await;
}

/// Stores the graph of a configuration and gives its path.
pub(super) async fn put_graph(bucket: &Bucket, meta: &IndexMeta, config: &IndexConfig) -> String {
    let id = build_id(&meta.data_version, config);
    let path = format!("indexes/{}/graphs/{id}.graph", meta.name);
    put(bucket, &path).await;
    path
}

pub(super) fn trial(id: &str, meta: &IndexMeta, config: IndexConfig) -> Trial {
    serde_json::from_value(json!({
        "id": id, "config": config, "data_version": meta.data_version,
        "build_id": build_id(&meta.data_version, &config),
        "metrics": {"build_time_secs": 1.0, "search_latency_p50_us": 1.0,
            "search_latency_p95_us": 1.0, "search_latency_p99_us": 1.0, "recall_at_k": 0.9,
            "memory_bytes": 1, "vectors": 1, "eval_queries": 1, "brute_force_latency_us": 1.0}
    }))
    .expect("a trial")
}

/// The catalogue of plugins with these digests.
pub(super) async fn commit_catalogue(bucket: &Bucket, digests: &[String]) {
    let manifest = Manifest::<Value>::new(bucket.clone(), "plugins/manifest");
    let found = manifest.load().await.expect("loaded");
    let entry = |digest: &String| json!({"kind": "scoring", "name": "a/b", "version": digest, "digest": digest});
    let plugins: Vec<_> = digests.iter().map(entry).collect();
    let version = found.map_or(0, |found| found.version);
    let document = json!({"plugins": plugins});
    manifest
        .commit(version, &document)
        .await
        .expect("committed");
}

/// Stores bytes and report of a plugin and gives their digest.
pub(super) async fn put_plugin(bucket: &Bucket, seed: u64) -> String {
    let digest = format!("{seed:064x}");
    put(bucket, &format!("plugins/blobs/{digest}.wasm")).await;
    put(bucket, &format!("plugins/reports/{digest}.json")).await;
    digest
}

pub(super) fn log(bucket: &Bucket, prefix: &str, clock: &Arc<dyn Clock>) -> AppendLog<Value> {
    AppendLog::new(bucket.clone(), prefix, Arc::clone(clock))
}

/// What the rooms show of a bucket: versions of datasets with their bytes, indexes with theirs, journals,
/// promotions, lineage, plugins.
async fn readable_in(place: &str, bucket: &Bucket, all: &mut Readable) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut note = |what: String, text: String| drop(all.insert(format!("{place}: {what}"), text));
    for name in bucket.children("datasets").await.expect("listed") {
        let manifest =
            Manifest::<DatasetManifest>::new(bucket.clone(), format!("datasets/{name}/manifest"));
        let Some(found) = manifest.load().await.expect("loaded") else {
            continue;
        };
        for version in found.value.readable() {
            for file in found.value.files_as_of(version.version) {
                let bytes = bucket.get(&file.path).await.ok();
                let what = format!("rows of {name} {}: {}", version.version, file.path);
                note(what, format!("{bytes:?}"));
            }
        }
        let lineage = Lineage::new(bucket.clone(), dataset_name(&name), Arc::clone(&clock));
        note(
            format!("lineage of {name}"),
            format!("{:?}", lineage.read().await.expect("read")),
        );
    }
    for name in bucket.children("indexes").await.expect("listed") {
        let name = index_name(&name);
        let found = manifest_of(bucket, &name).await.expect("loaded");
        let Some(meta) = found.filter(|meta| !meta.deleted) else {
            continue;
        };
        let vectors = meta.vector_objects().map(|(path, _)| path.to_owned());
        let mut paths: Vec<String> = vectors.collect();
        paths.push(format!("_evalsets/{name}/default.json"));
        let journal = Journal::new(bucket, &name, Arc::clone(&clock));
        let journal = journal.read().await.expect("read");
        let promotions = Promotions::new(bucket, &name, Arc::clone(&clock));
        let promotions = promotions.history().await.expect("read");
        let configs = journal.trials.iter().map(|trial| trial.config);
        for config in configs.chain([meta.config.into()]) {
            let id = build_id_of(&meta.data_version, &config);
            paths.push(format!("indexes/{name}/graphs/{id}.graph"));
        }
        for path in paths {
            let bytes = bucket.get(&path).await.ok();
            note(path, format!("{bytes:?}"));
        }
        note(format!("journal of {name}"), format!("{journal:?}"));
        note(format!("promotions of {name}"), format!("{promotions:?}"));
    }
    for digest in listed_plugins(bucket)
        .await
        .expect("read")
        .into_iter()
        .flatten()
    {
        let bytes = bucket.get(&format!("plugins/blobs/{digest}.wasm")).await;
        note(format!("plugin {digest}"), format!("{:?}", bytes.ok()));
    }
}
