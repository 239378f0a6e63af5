//! What all routes of ingest have in common: the task, its progress, and what it did in the end.

pub(crate) mod file;

use std::sync::Arc;

use boathouse_ingest::{FileReport, IngestError, IngestProgress, IngestReport, Phase, ReadReport};
use boathouse_types::{BucketName, DatasetName};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    http::datasets::{FindingView, findings},
    problem::Problem,
    tasks::{TaskContext, TaskView},
};

/// What an ingest did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct IngestView {
    dataset: DatasetName,
    bucket: BucketName,
    /// The version that it made.
    version: u64,
    /// Rows of the dataset now.
    rows: u64,
    /// Rows that were added.
    added_rows: u64,
    /// Bytes of Parquet of the dataset now.
    bytes: u64,
    /// How a file was read.
    file: Option<FileReport>,
    /// Personal data in the rows that were added.
    findings: Vec<FindingView>,
    /// Detectors that failed; the findings are incomplete then.
    detector_failures: Vec<String>,
}

impl IngestView {
    fn of(report: IngestReport) -> Self {
        let ReadReport::File(file) = report.read;
        let file = Some(file);
        let failures = report.version.detection.failures.iter();
        Self {
            version: report.version.version,
            rows: report.version.rows,
            added_rows: report.added_rows,
            bytes: report.version.bytes,
            file,
            findings: findings(&report.version.detection),
            detector_failures: failures
                .map(|failure| format!("{}: {}", failure.detector, failure.message))
                .collect(),
            dataset: report.dataset,
            bucket: report.bucket,
        }
    }
}

/// Starts an ingest as a task; whoever waits for rows of the dataset is told when it has landed.
pub(crate) fn start<W>(
    app: &Arc<App>,
    dataset: &DatasetName,
    work: impl FnOnce(Arc<IngestProgress>, CancellationToken) -> W + Send + 'static,
) -> TaskView
where
    W: Future<Output = Result<IngestReport, IngestError>> + Send,
{
    let this = Arc::clone(app);
    app.tasks
        .start("ingest", dataset.as_str(), |task| async move {
            let progress = Arc::new(IngestProgress::default());
            let work = work(Arc::clone(&progress), task.cancellation());
            let report = told(work, &progress, &task).await?;
            this.ingested(&report).await;
            serde_json::to_value(IngestView::of(report)).map_err(|error| Problem::internal(&error))
        })
}

/// Passes an ingest's counters on to its task until it ends.
async fn told<T>(
    work: impl Future<Output = T>,
    progress: &IngestProgress,
    task: &TaskContext,
) -> T {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            ended = &mut work => return ended,
            _ = ticks.tick() => {
                let now = progress.snapshot();
                let (stage, done, total, unit) = match now.phase {
                    Phase::Survey => ("reading", now.bytes, Some(now.total_bytes), "bytes"),
                    Phase::Convert => ("converting", now.bytes, Some(now.total_bytes), "bytes"),
                    Phase::Detect => ("looking for personal data", now.rows, Some(now.rows), "rows"),
                    Phase::Store | Phase::Done => ("storing", now.rows, Some(now.rows), "rows"),
                };
                task.progress(stage, done, total.filter(|total| *total > 0), unit);
            }
        }
    }
}
