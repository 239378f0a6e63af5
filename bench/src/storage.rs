//! Storage: appends, commits and journals, against plain writes and reads of the same bytes.
//!
//! Both sides use the same buckets of the same process: a folder of this disk, and SeaweedFS, an S3 server that is
//! started as a process of its own. So a ratio says what the log or the manifest costs or gains over its store,
//! whatever the store is. What is measured is in `storage/append.rs`, `storage/commit.rs` and
//! `storage/journal.rs`.

mod append;
mod commit;
mod journal;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, ensure};
use boathouse_s3_server::{OWNER, Server};
use boathouse_storage::{BackendConfig, Bucket, BucketConfig};
use boathouse_types::{BucketName, Clock, ManualClock, Trial};
use serde_json::json;
use tokio::runtime::Runtime;

pub(crate) use self::{append::run as append, commit::run as commit, journal::run as journal};
use crate::process;

/// The buckets to measure in; their objects are gone with this value.
struct Stores {
    runtime: Runtime,
    folder: PathBuf,
    /// Runs for as long as its bucket is used.
    _server: Option<Server>,
    local: Bucket,
    s3: Option<Bucket>,
}

impl Stores {
    /// A folder of this disk only.
    fn local() -> Result<Self> {
        let folder = process::folder().join("data/storage");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let root = folder.join("bucket");
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?,
            local: open(BackendConfig::Local { root })?,
            folder,
            _server: None,
            s3: None,
        })
    }

    /// A folder of this disk, and SeaweedFS.
    fn all() -> Result<Self> {
        let mut stores = Self::local()?;
        let binary = process::folder().join(".venv/bin/weed");
        ensure!(
            binary.is_file(),
            "bench/.venv/bin/weed is missing: run bench/setup"
        );
        let server = stores.runtime.block_on(Server::start(&binary))?;
        stores.s3 = Some(open(BackendConfig::S3(server.config(OWNER)))?);
        stores._server = Some(server);
        Ok(stores)
    }

    /// What there is, each with what it is called in a row.
    fn each(&self) -> impl Iterator<Item = (&'static str, &Bucket)> {
        let s3 = self.s3.iter().map(|bucket| ("SeaweedFS", bucket));
        std::iter::once(("a local folder", &self.local)).chain(s3)
    }

    /// A folder beside the local bucket, on the same disk.
    fn beside(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn open(backend: BackendConfig) -> Result<Bucket> {
    let name = BucketName::primary();
    Ok(Bucket::open(&BucketConfig { name, backend }, &|_| None)?)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(1_800_000_000_000))
}

/// Deletes what a round has written, so that the next one finds folders as empty.
async fn clear(bucket: &Bucket, prefix: &str) -> Result<()> {
    if let BackendConfig::Local { root } = bucket.backend() {
        return remove(&root.join(prefix));
    }
    for object in bucket.list(prefix).await? {
        bucket.delete(&object.path).await?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// A line of a journal, about as long as those of real ones.
fn trial(number: usize) -> Result<Trial> {
    let ef_search = 10 + number % 500;
    let recall = 0.9 + (number % 100) as f64 / 1_000.0;
    Ok(serde_json::from_value(json!({
        "id": format!("t{number:06}-77b0e1"),
        "config": {"m": 16, "ef_construction": 80, "ef_search": ef_search, "seed": number},
        "metrics": {
            "build_time_secs": 0.25, "search_latency_p50_us": 61.125, "search_latency_p95_us": 88.5,
            "search_latency_p99_us": 101.75, "recall_at_k": recall, "memory_bytes": 3_700_000,
            "vectors": 3_028, "eval_queries": 1_000, "brute_force_latency_us": 180.25,
            "recall_interval": {"low": recall - 0.005, "high": recall + 0.002}, "k": 10,
            "distances_per_query": 620.5,
        },
        "note": "bench", "finished_at": "2026-01-01T00:00:00Z",
        "build_id": format!("{number:016x}"), "data_version": "9721d867f85beaf5",
        "host": "AMD EPYC 7B13 x2",
        "proposed_by": {"name": "boathouse/epsilon-greedy", "version": "0.1.0"},
        "reason": format!("step from champion: ef_search {ef_search}"),
        "scored_by": {"name": "boathouse/pareto", "version": "0.1.0"},
    }))?)
}
