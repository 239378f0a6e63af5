//! `/datasets`.

use axum::{Json, extract::State, http::StatusCode};
use boathouse_ingest::{
    ColumnInfo, DatasetManifest, Detection, IngestError, IngestMode, PiiScan, RowsPage, SourceInfo,
    Treatment,
};
use boathouse_types::{BucketName, DatasetName, Evidence, PluginRef, Scope, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    auth::Caller,
    buckets::Doubtful,
    extract::{Path, Query},
    http::AppState,
    problem::Problem,
};

/// The datasets of this host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DatasetList {
    datasets: Vec<DatasetSummary>,
    /// Datasets that do not read, or are shown as they were before, as `GET /readyz` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broken: Vec<BrokenDataset>,
}

/// A dataset that is not to be believed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct BrokenDataset {
    /// Its name.
    name: DatasetName,
    /// Why, and what to do.
    why: String,
}

/// One dataset in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DatasetSummary {
    name: DatasetName,
    bucket: BucketName,
    /// The newest version.
    version: u64,
    rows: u64,
    bytes: u64,
}

/// A dataset.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct DatasetView {
    #[serde(flatten)]
    summary: DatasetSummary,
    columns: Vec<ColumnInfo>,
    /// Personal data of the newest version: what its newest scan found in all rows, or, before there is one,
    /// what the ingest found in the rows that it added.
    findings: Vec<FindingView>,
    /// Whether a detector was asked and every one answered; when not, the findings are incomplete.
    findings_complete: bool,
    /// When the findings are those of a scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings_scanned_at: Option<Timestamp>,
    /// Detectors that gave no answer, or that none was active.
    detector_failures: Vec<String>,
    /// What policies did to columns of the newest version, and what people said about them.
    treatments: Vec<Treatment>,
    /// The versions that can be read, oldest first.
    versions: Vec<VersionView>,
}

/// One version of a dataset.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct VersionView {
    version: u64,
    mode: IngestMode,
    rows: u64,
    bytes: u64,
    source: SourceInfo,
    created_at: Timestamp,
    /// What was looked for again in its rows, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scans: Vec<ScanSummary>,
}

/// A look at stored rows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ScanSummary {
    at: Timestamp,
    findings: Vec<FindingView>,
    /// Whether every detector answered.
    complete: bool,
}

/// Personal data in a column.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FindingView {
    column: String,
    /// Entity kind, for example `email`.
    kind: String,
    /// ISO 3166-1 alpha-2, where the kind has a country.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    scope: Scope,
    /// In 0..=1.
    confidence: f64,
    evidence: Evidence,
    /// Who found it.
    detector: PluginRef,
}

/// The findings of a version, without values.
pub(crate) fn findings(detection: &Detection) -> Vec<FindingView> {
    let view = |found: &boathouse_ingest::ColumnFinding| FindingView {
        column: found.column.clone(),
        kind: found.finding.kind.clone(),
        country: found.finding.country.clone(),
        scope: found.finding.scope,
        confidence: found.finding.confidence,
        evidence: found.finding.evidence,
        detector: found.detector.clone(),
    };
    detection.findings.iter().map(view).collect()
}

/// What is said of findings that nobody looked for.
const UNEXAMINED: &str = "no detector of personal data was active, so nobody looked: activate one, then look again with `boathouse pii scan`";

/// Detectors that gave no answer, and why; or that there was none.
pub(crate) fn failures(detection: &Detection) -> Vec<String> {
    if detection.is_unexamined() {
        return vec![UNEXAMINED.to_owned()];
    }
    let failures = detection.failures.iter();
    failures
        .map(|failure| format!("{}: {}", failure.detector, failure.message))
        .collect()
}

fn scans(scans: &[PiiScan]) -> Vec<ScanSummary> {
    let view = |scan: &PiiScan| ScanSummary {
        at: scan.at,
        findings: findings(&scan.detection),
        complete: scan.detection.is_complete(),
    };
    scans.iter().map(view).collect()
}

fn summary(dataset: &DatasetManifest) -> Option<DatasetSummary> {
    let latest = dataset.latest()?;
    Some(DatasetSummary {
        name: dataset.name.clone(),
        bucket: dataset.bucket.clone(),
        version: latest.version,
        rows: latest.rows,
        bytes: latest.bytes,
    })
}

/// The datasets that are not to be believed, as far as somebody may know of them.
async fn broken(app: &App, caller: &Caller) -> Vec<BrokenDataset> {
    let doubtful = app.bucket_table.doubtful().await.into_iter();
    let broken = doubtful.filter_map(|(doubtful, why)| match doubtful {
        Doubtful::Dataset(name) => Some(BrokenDataset { name, why }),
        Doubtful::Index(_) => None,
    });
    broken
        .filter(|broken| caller.reaches_dataset(broken.name.as_str()))
        .collect()
}

/// List datasets.
#[utoipa::path(get, path = "/datasets", responses((status = 200, body = DatasetList)))]
pub(crate) async fn list(
    State(app): AppState,
    caller: Caller,
) -> Result<Json<DatasetList>, Problem> {
    let mut datasets = app.datasets.list().await?;
    datasets.retain(|dataset| caller.reaches_dataset(dataset.name.as_str()));
    Ok(Json(DatasetList {
        datasets: datasets.iter().filter_map(summary).collect(),
        broken: broken(&app, &caller).await,
    }))
}

/// Show a dataset: columns, findings, versions.
#[utoipa::path(get, path = "/datasets/{name}", params(("name" = String, Path)), responses((status = 200, body = DatasetView), (status = 404, body = Problem)))]
pub(crate) async fn show(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<Json<DatasetView>, Problem> {
    let name = DatasetName::new(name)?;
    let dataset = app.datasets.get(&name).await?;
    let (Some(summary), Some(latest)) = (summary(&dataset), dataset.latest()) else {
        return Err(IngestError::DatasetNotFound(name).into());
    };
    let versions = dataset.readable().map(|version| VersionView {
        version: version.version,
        mode: version.mode,
        rows: version.rows,
        bytes: version.bytes,
        source: version.source.clone(),
        created_at: version.created_at,
        scans: scans(&version.scans),
    });
    let scanned = latest.scans.last();
    let detection = scanned.map_or(&latest.detection, |scan| &scan.detection);
    Ok(Json(DatasetView {
        columns: latest.columns.clone(),
        findings: findings(detection),
        findings_complete: detection.is_complete(),
        findings_scanned_at: scanned.map(|scan| scan.at),
        detector_failures: failures(detection),
        treatments: latest.treatments.clone(),
        versions: versions.collect(),
        summary,
    }))
}

/// Which rows.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowsQuery {
    /// The version, the newest when left out.
    version: Option<u64>,
    /// Number of the first row.
    #[serde(default)]
    offset: u64,
    /// How many, 100 when left out, 1,000 at most.
    #[serde(default = "hundred")]
    limit: usize,
}

fn hundred() -> usize {
    100
}

/// Read a page of rows.
#[utoipa::path(
    get, path = "/datasets/{name}/rows", params(("name" = String, Path), RowsQuery),
    responses((status = 200, body = RowsPage), (status = 404, body = Problem))
)]
pub(crate) async fn rows(
    State(app): AppState,
    Path(name): Path<String>,
    Query(query): Query<RowsQuery>,
) -> Result<Json<RowsPage>, Problem> {
    let dataset = app
        .datasets
        .open(&DatasetName::new(name)?, query.version)
        .await?;
    Ok(Json(dataset.rows(query.offset, query.limit).await?))
}

/// Delete a dataset that no index uses.
#[utoipa::path(delete, path = "/datasets/{name}", params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name = DatasetName::new(name)?;
    let users = app.indexes.on(&name);
    if !users.is_empty() {
        let users: Vec<_> = users.iter().map(|index| format!("`{index}`")).collect();
        return Err(Problem::conflict(
            "dataset_in_use",
            format!(
                "dataset `{name}` is used by index {}; delete that first",
                users.join(", ")
            ),
        ));
    }
    app.datasets.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
