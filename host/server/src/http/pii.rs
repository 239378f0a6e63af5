//! `/datasets/{name}/pii`: what happens to personal data in a dataset, and looking for it again.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, response::Response};
use boathouse_ingest::{
    Action, ColumnRule, DatasetVersion, DecidedBy, IngestError, PiiPolicy, ScanReport,
    StoredPolicy, Treatment,
};
use boathouse_storage::Versioned;
use boathouse_types::{DatasetName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    auth,
    extract::{self, OptionalJson, Path},
    http::{
        AppState,
        datasets::{FindingView, failures, findings},
        tasks::accepted,
    },
    problem::Problem,
    tasks::TaskView,
};

/// The kind of the tasks that scan.
pub(crate) const SCAN: &str = "pii-scan";

/// What a person says about personal data in a dataset. It takes the place of what was said before.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySpec {
    /// What happens to columns of a kind: `tag`, `mask`, `mask:N`, `hash`, `drop` or `refuse`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    kinds: BTreeMap<String, Action>,
    /// What holds for single columns, whatever is found there: `{"action": "drop"}`, `{"action": "keep"}`,
    /// `{"kind": "email"}` or `{"kind": "none"}`.
    #[serde(default)]
    columns: BTreeMap<String, ColumnRule>,
    /// The generation that this replaces, 0 for none; whatever there is when left out.
    generation: Option<u64>,
}

/// What happens to personal data in a dataset.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PolicyView {
    dataset: DatasetName,
    /// Grows with each change; 0 while nobody said anything about this dataset.
    generation: u64,
    /// By kind, for this dataset.
    #[schema(value_type = BTreeMap<String, String>)]
    kinds: BTreeMap<String, Action>,
    /// By column, whatever is found there.
    columns: BTreeMap<String, ColumnRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_by: Option<String>,
    /// By kind, from the host's configuration; holds where the dataset's policy says nothing.
    #[schema(value_type = BTreeMap<String, String>)]
    inherited: BTreeMap<String, Action>,
    /// Findings below it have no consequence.
    min_confidence: f64,
    /// Id of the key of hashes, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_key_id: Option<String>,
    #[serde(flatten)]
    unmet: Unmet,
}

/// What a dataset's policy names in vain, most often by mistake.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct Unmet {
    /// Columns that the policy names and the newest version neither has nor left out.
    unknown_columns: Vec<String>,
    /// Kinds that the policy names and that no column of the newest version was found or said to hold.
    unused_kinds: Vec<String>,
}

impl Unmet {
    /// Of a policy, by what became of a version.
    pub(crate) fn of(policy: &PiiPolicy, version: &DatasetVersion) -> Self {
        let is_column = |name: &&String| {
            let mut known = version.columns.iter().map(|column| &column.name);
            let mut treated = version.treatments.iter().map(|one| &one.column);
            known.any(|known| known == *name) || treated.any(|known| known == *name)
        };
        let is_kind = |kind: &&String| {
            let scans = version.scans.iter().map(|scan| &scan.detection);
            let mut found = scans
                .chain([&version.detection])
                .flat_map(|detection| &detection.findings);
            let mut treated = version.treatments.iter();
            found.any(|found| found.finding.kind == **kind)
                || treated.any(|one| one.kind.as_ref() == Some(*kind))
        };
        let absent = |names: Vec<&String>| names.into_iter().cloned().collect();
        Self {
            unknown_columns: absent(
                policy
                    .columns
                    .keys()
                    .filter(|name| !is_column(name))
                    .collect(),
            ),
            unused_kinds: absent(policy.kinds.keys().filter(|kind| !is_kind(kind)).collect()),
        }
    }
}

/// What to scan.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScanSpec {
    /// The version, the newest when left out.
    version: Option<u64>,
}

/// What a scan found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ScanView {
    dataset: DatasetName,
    version: u64,
    at: Timestamp,
    findings: Vec<FindingView>,
    /// Whether every detector answered; when not, the findings are incomplete.
    findings_complete: bool,
    detector_failures: Vec<String>,
    /// Columns with which the policies would do something at an ingest and that this version holds as they
    /// are. A scan changes no row.
    would_treat: Vec<WouldTreat>,
}

/// A column with which a policy would do something.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct WouldTreat {
    column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[schema(value_type = String)]
    action: Action,
    decided_by: DecidedBy,
}

impl WouldTreat {
    fn of(treatment: Treatment) -> Self {
        Self {
            column: treatment.column,
            kind: treatment.kind,
            action: treatment.action,
            decided_by: treatment.decided_by,
        }
    }
}

impl ScanView {
    fn of(dataset: DatasetName, report: ScanReport) -> Self {
        let detection = &report.scan.detection;
        Self {
            dataset,
            version: report.version,
            at: report.scan.at,
            findings: findings(detection),
            findings_complete: detection.is_complete(),
            detector_failures: failures(detection),
            would_treat: report.wanting.into_iter().map(WouldTreat::of).collect(),
        }
    }
}

/// Show what happens to personal data in a dataset, which need not be there yet.
#[utoipa::path(
    get, path = "/datasets/{name}/pii/policy", params(("name" = String, Path)),
    responses((status = 200, body = PolicyView), (status = 422, body = Problem))
)]
pub(crate) async fn policy(
    State(app): AppState,
    Path(name): Path<String>,
) -> Result<Json<PolicyView>, Problem> {
    let name = DatasetName::new(name)?;
    let stored = app.datasets.pii_policy(&name).await?;
    Ok(Json(view(&app, name, stored).await?))
}

/// Say what happens to personal data in a dataset, from the next ingest on. Rows that are stored do not change.
#[utoipa::path(
    put, path = "/datasets/{name}/pii/policy", params(("name" = String, Path)), request_body = PolicySpec,
    responses((status = 200, body = PolicyView), (status = 409, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn set_policy(
    State(app): AppState,
    Path(name): Path<String>,
    extract::Json(spec): extract::Json<PolicySpec>,
) -> Result<Json<PolicyView>, Problem> {
    let name = DatasetName::new(name)?;
    let new = PiiPolicy {
        kinds: spec.kinds,
        columns: spec.columns,
    };
    let by = auth::current_caller();
    let stored = app
        .datasets
        .set_pii_policy(&name, new, &app.pii, &by, spec.generation)
        .await?;
    Ok(Json(view(&app, name, Some(stored)).await?))
}

/// Ask the detectors of today about the rows of a version, and keep what they find with it.
///
/// The task's result is a `ScanView`.
#[utoipa::path(
    post, path = "/datasets/{name}/pii/scan", params(("name" = String, Path)), request_body(content = Option<ScanSpec>),
    responses((status = 202, body = TaskView), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub(crate) async fn scan(
    State(app): AppState,
    Path(name): Path<String>,
    OptionalJson(spec): OptionalJson<ScanSpec>,
) -> Result<Response, Problem> {
    let name = DatasetName::new(name)?;
    let version = spec.unwrap_or_default().version;
    // What is not there is told at once.
    app.datasets.open(&name, version).await?;
    Ok(accepted(start_scan(&app, name, version)))
}

fn start_scan(app: &Arc<App>, name: DatasetName, version: Option<u64>) -> TaskView {
    let this = Arc::clone(app);
    let subject = name.to_string();
    app.tasks.start(SCAN, &subject, |task| async move {
        task.progress("looking for personal data", 0, None, "rows");
        let context = this.ingest_context(&name);
        let cancel = task.cancellation();
        let scan = this.datasets.scan_pii(&context, &name, version, cancel);
        let report = scan.await.map_err(|error| match error {
            IngestError::NobodyToAsk { .. } => {
                let cure = this.plugins.detector_cure();
                Problem::unprocessable("no_detector", format!("{error}; {cure}"))
            }
            error => error.into(),
        })?;
        task.progress(
            "looking for personal data",
            report.rows,
            Some(report.rows),
            "rows",
        );
        serde_json::to_value(ScanView::of(name, report)).map_err(|error| Problem::internal(&error))
    })
}

async fn view(
    app: &App,
    dataset: DatasetName,
    stored: Option<Versioned<StoredPolicy>>,
) -> Result<PolicyView, Problem> {
    let generation = stored.as_ref().map_or(0, |stored| stored.version);
    let (policy, changed_at, changed_by) = match stored {
        Some(Versioned { value, .. }) => {
            (value.policy, Some(value.changed_at), Some(value.changed_by))
        }
        None => (PiiPolicy::default(), None, None),
    };
    Ok(PolicyView {
        generation,
        unmet: unmet(app, &dataset, &policy).await?,
        dataset,
        kinds: policy.kinds,
        columns: policy.columns,
        changed_at,
        changed_by,
        inherited: app.pii.kinds.clone(),
        min_confidence: app.pii.min_confidence,
        hash_key_id: app.pii.key.as_ref().map(|key| key.id().to_owned()),
    })
}

/// What the policy names in vain, as far as that can be told before the next ingest.
async fn unmet(app: &App, dataset: &DatasetName, policy: &PiiPolicy) -> Result<Unmet, Problem> {
    let manifest = match app.datasets.get(dataset).await {
        Err(IngestError::DatasetNotFound(_)) => return Ok(Unmet::default()),
        found => found?,
    };
    let latest = manifest.latest();
    Ok(latest.map_or_else(Unmet::default, |latest| Unmet::of(policy, latest)))
}
