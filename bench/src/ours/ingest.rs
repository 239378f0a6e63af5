//! Ingest of one table or file into a bucket of its own, by the room's interface.
//!
//! Everything that an ingest does is timed: reading, types, Parquet, the sample for detectors (there are none),
//! the copy into the bucket with its syncs, the commit and the lineage.

use std::{num::NonZeroUsize, path::PathBuf, process, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use boathouse_ingest::{
    Datasets, Dsn, FileFormat, FileInput, FileOptions, IngestContext, IngestMode, IngestProgress,
    IngestReport, IngestRequest, LineageWriter, PiiRules, TableRead, TableRequest, TableSource,
    TableSystem, TlsMode, TypeMode, ValuePolicy, ingest_file, ingest_table,
};
use boathouse_storage::{BackendConfig, Bucket, BucketConfig, BucketRegistry};
use boathouse_types::{BucketName, DatasetName, ManualClock};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::process::{memory, serve};

/// What either side can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Ask {
    /// A table of a database. Answered by [`Cost`].
    Table {
        /// Where the database is.
        dsn: String,
        /// The table.
        table: String,
        /// A column of whole numbers that a peer may divide the table by.
        key: String,
        /// Where to put it: a folder for us, a file for peers.
        out: PathBuf,
        /// How much may be done side by side.
        threads: NonZeroUsize,
    },
    /// A file. Answered by [`Cost`].
    File {
        /// The file.
        path: PathBuf,
        /// `csv` or `json`.
        format: String,
        /// As in a table.
        out: PathBuf,
        /// How much a peer may do side by side.
        threads: NonZeroUsize,
    },
}

/// What it took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Wall-clock time.
    pub(crate) seconds: f64,
    /// How far the process grew at its peak, from where it stood before.
    pub(crate) growth_bytes: f64,
    /// The peak itself.
    pub(crate) peak_bytes: f64,
}

pub(super) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    serve(&super::name(), |ask: Ask| {
        let before = memory(process::id(), "VmRSS")?;
        let start = Instant::now();
        let report = runtime.block_on(ingest(ask))?;
        let seconds = start.elapsed().as_secs_f64();
        anyhow::ensure!(report.added_rows > 0, "no rows");
        let peak = memory(process::id(), "VmHWM")?;
        Ok(serde_json::to_value(Cost {
            seconds,
            growth_bytes: peak.saturating_sub(before) as f64,
            peak_bytes: peak as f64,
        })?)
    })
}

async fn ingest(ask: Ask) -> Result<IngestReport> {
    let dataset = DatasetName::new("bench")?;
    let progress = Arc::new(IngestProgress::default());
    let cancel = CancellationToken::new();
    Ok(match ask {
        Ask::Table {
            dsn,
            table,
            key: _,
            out,
            threads,
        } => {
            let system = match dsn.split_once(':') {
                Some(("mysql", _)) => TableSystem::Mysql,
                _ => TableSystem::Postgres,
            };
            let request = TableRequest {
                dataset,
                bucket: None,
                mode: IngestMode::Replace,
                read: TableRead {
                    source: TableSource::Table(table),
                    types: TypeMode::Exact,
                    out_of_range: ValuePolicy::Error,
                    parallel: threads,
                    tls: TlsMode::Disable,
                    window: None,
                },
                job: None,
            };
            let dsn = Dsn::new(&dsn);
            ingest_table(&context(out)?, system, &dsn, request, progress, cancel).await?
        }
        Ask::File {
            path, format, out, ..
        } => {
            let format: FileFormat = serde_json::from_value(format.into()).context("a format")?;
            let request = IngestRequest {
                dataset,
                bucket: None,
                input: FileInput::Path(path),
                label: "bench".to_owned(),
                format: Some(format),
                mode: IngestMode::Replace,
                system: "file",
                digest: None,
                options: FileOptions::default(),
            };
            ingest_file(&context(out)?, request, progress, cancel).await?
        }
    })
}

/// A bucket in a folder; temporary files stand beside it, on the same disk.
fn context(folder: PathBuf) -> Result<IngestContext> {
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let buckets = Arc::new(BucketRegistry::new());
    let root = folder.join("bucket");
    let config = BucketConfig {
        name: BucketName::primary(),
        backend: BackendConfig::Local { root },
    };
    buckets.insert(Bucket::open(&config, &|_| None)?)?;
    Ok(IngestContext {
        datasets: Datasets::new(buckets, clock.clone()),
        detectors: Vec::new(),
        on_detector_failure: None,
        pii: PiiRules::default(),
        clock,
        spool_folder: Some(folder),
        max_decompressed_bytes: u64::MAX,
        lineage: LineageWriter::default(),
    })
}
