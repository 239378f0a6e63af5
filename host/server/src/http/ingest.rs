//! What all routes of ingest have in common: the task, its progress, and what it did in the end.

pub(crate) mod file;
mod origin;
pub(crate) mod table;

use std::sync::Arc;

use boathouse_ingest::{
    Estimate, FileReport, IngestError, IngestProgress, IngestReport, Pace, Phase, ProgressSnapshot,
    ReadReport, TableReport, Treatment,
};
use boathouse_types::{BucketName, DatasetName};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    http::{
        datasets::{FindingView, failures, findings},
        pii::Unmet,
    },
    problem::Problem,
    tasks::{IngestPace, Progress, TaskContext, TaskView},
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
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileReport>,
    /// How a table or query was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<TableReport>,
    /// Personal data in the rows that were added.
    findings: Vec<FindingView>,
    /// What policies did to columns, and what people said about them.
    treatments: Vec<Treatment>,
    /// Whether a detector was asked and every one answered; when not, the findings are incomplete.
    findings_complete: bool,
    /// Detectors that failed, or that none was active; the findings are incomplete then.
    detector_failures: Vec<String>,
    #[serde(flatten)]
    unmet: Unmet,
}

impl IngestView {
    fn of(report: IngestReport, unmet: Unmet) -> Self {
        let (file, table) = match report.read {
            ReadReport::File(file) => (Some(file), None),
            ReadReport::Table(table) => (None, Some(table)),
        };
        let detector_failures = failures(&report.version.detection);
        Self {
            version: report.version.version,
            rows: report.version.rows,
            added_rows: report.added_rows,
            bytes: report.version.bytes,
            file,
            table,
            findings: findings(&report.version.detection),
            findings_complete: report.version.detection.is_complete(),
            treatments: report.version.treatments,
            detector_failures,
            unmet,
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
            let report = told(&this, work, &progress, &task).await?;
            if !report.is_up_to_date() {
                this.ingested(&report).await;
            }
            let unmet = unmet(&this, &report).await;
            let view = IngestView::of(report, unmet);
            serde_json::to_value(view).map_err(|error| Problem::internal(&error))
        })
}

/// What the dataset's policy names in vain. The rows are in, so a policy that cannot be read is no error here.
async fn unmet(app: &App, report: &IngestReport) -> Unmet {
    match app.datasets.pii_policy(&report.dataset).await {
        Ok(Some(stored)) => Unmet::of(&stored.value.policy, &report.version),
        Ok(None) => Unmet::default(),
        Err(error) => {
            tracing::warn!(dataset = %report.dataset, %error, "a policy cannot be read after an ingest");
            Unmet::default()
        }
    }
}

/// Passes an ingest's counters on to its task until it ends, the last ones too.
async fn told<T>(
    app: &App,
    work: impl Future<Output = T>,
    progress: &IngestProgress,
    task: &TaskContext,
) -> T {
    let mut pace = Pace::default();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            ended = &mut work => {
                let now = progress.snapshot();
                task.show(view(&now, pace.look(&now, app.clock.now())));
                return ended;
            }
            _ = ticks.tick() => {
                let now = progress.snapshot();
                let estimate = pace.look(&now, app.clock.now());
                task.show(view(&now, estimate));
            }
        }
    }
}

fn view(now: &ProgressSnapshot, estimate: Estimate) -> Progress {
    let is_table = now.parts > 0;
    let (stage, done, total, unit) = match now.phase {
        Phase::Survey => ("reading", now.bytes, now.total_bytes, "bytes"),
        Phase::Connect => ("connecting", 0, 0, "rows"),
        Phase::Convert if is_table => ("reading", now.rows, now.expected_rows, "rows"),
        Phase::Convert => ("converting", now.bytes, now.total_bytes, "bytes"),
        Phase::Detect => ("looking for personal data", now.rows, now.rows, "rows"),
        Phase::Store | Phase::Done => ("storing", now.rows, now.rows, "rows"),
    };
    Progress {
        stage: stage.to_owned(),
        done,
        // A database guesses its rows; what is there counts more.
        total: (total > 0).then_some(total.max(done)),
        unit: unit.to_owned(),
        ingest: Some(IngestPace {
            rows: now.rows,
            bytes: now.bytes,
            parts_done: is_table.then_some(now.parts_done),
            parts: is_table.then_some(now.parts),
            rows_per_second: estimate.rows_per_second,
            eta_seconds: estimate.eta_seconds,
        }),
    }
}
