//! Where rows came from: OpenLineage run events in an append log under `_lineage/{dataset}`.
//!
//! The shapes follow the OpenLineage object model 2-0-2 and its facets for schema, data source, output
//! statistics, job type and error message. Every run has one START and one of COMPLETE, FAIL or ABORT.
//! Labels and messages pass [`redact_dsn`] before they are kept. The log outlives its dataset.

use std::sync::Arc;

use boathouse_storage::{AppendLog, Bucket, StorageError, time_ordered_id};
use boathouse_types::{Clock, DatasetName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ColumnInfo, DatasetVersion, IngestError, SourceInfo, redact_dsn};

const PRODUCER: &str = concat!(
    "https://boathouse.invalid/producer/",
    env!("CARGO_PKG_VERSION")
);
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const NAMESPACE: &str = "boathouse";

macro_rules! facet_url {
    ($path:literal) => {
        concat!("https://openlineage.io/spec/facets/", $path)
    };
}

/// What happened to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunState {
    /// It began.
    Start,
    /// Its version is visible.
    Complete,
    /// It failed; nothing of it is visible.
    Fail,
    /// It was cancelled; nothing of it is visible.
    Abort,
}

/// An OpenLineage run event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunEvent {
    /// What happened.
    pub event_type: RunState,
    /// When.
    pub event_time: Timestamp,
    /// Who says so.
    pub producer: String,
    /// The definition that this follows.
    #[serde(rename = "schemaURL")]
    pub schema_url: String,
    /// The run.
    pub run: Run,
    /// What ran.
    pub job: Job,
    /// Where rows came from.
    pub inputs: Vec<LineageDataset>,
    /// Where they went.
    pub outputs: Vec<LineageDataset>,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Same in all events of the run.
    pub run_id: String,
    /// Facets of the run.
    pub facets: RunFacets,
}

/// Facets of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunFacets {
    /// Why it failed.
    #[serde(
        rename = "errorMessage",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub error_message: Option<Facet<ErrorMessage>>,
    /// What Boathouse adds: the kind of source and the version that the run made.
    #[serde(
        rename = "boathouse_ingest",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub ingest: Option<Facet<IngestFacet>>,
}

/// A facet: who produced it, its definition, and its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Facet<T> {
    /// Who says so.
    #[serde(rename = "_producer")]
    pub producer: String,
    /// The definition that this follows.
    #[serde(rename = "_schemaURL")]
    pub schema_url: String,
    /// The content.
    #[serde(flatten)]
    pub content: T,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorMessage {
    /// For a person; holds no credentials and no values.
    pub message: String,
    /// Always `RUST`.
    pub programming_language: String,
}

/// What Boathouse adds to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IngestFacet {
    /// `file`, `postgres`, `mysql` or `watcher`.
    pub source_system: String,
    /// The version that the run made, once it is visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Job {
    /// `boathouse`.
    pub namespace: String,
    /// `ingest.{dataset}`.
    pub name: String,
    /// Facets of the job.
    pub facets: JobFacets,
}

/// Facets of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobFacets {
    /// What kind of job it is.
    pub job_type: Facet<JobType>,
}

/// What kind of job it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobType {
    /// `BATCH`.
    pub processing_type: String,
    /// `BOATHOUSE`.
    pub integration: String,
    /// `INGEST`.
    pub job_type: String,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineageDataset {
    /// Its naming authority, for example `file` or `boathouse://primary`.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// What it is.
    pub facets: DatasetFacets,
    /// What the run wrote to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_facets: Option<OutputFacets>,
}

/// Facets of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatasetFacets {
    /// Its columns, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Facet<SchemaFields>>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_source: Option<Facet<DataSource>>,
}

/// Columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SchemaFields {
    /// In order.
    pub fields: Vec<SchemaField>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SchemaField {
    /// Its name.
    pub name: String,
    /// Arrow's text of its type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// Where a dataset is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DataSource {
    /// Name of the source.
    pub name: String,
    /// Its address, without credentials.
    pub uri: String,
}

/// Facets of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputFacets {
    /// What was written.
    pub output_statistics: Facet<OutputStatistics>,
}

/// What a run wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatistics {
    /// Rows.
    pub row_count: u64,
    /// Bytes.
    pub size: u64,
    /// Files.
    pub file_count: u64,
}

/// The lineage of one dataset.
pub struct Lineage {
    log: AppendLog<RunEvent>,
    bucket: Bucket,
    dataset: DatasetName,
    clock: Arc<dyn Clock>,
}

/// A run whose START is recorded.
pub(crate) struct RecordedRun<'a> {
    lineage: &'a Lineage,
    id: String,
    source: SourceInfo,
}

impl Lineage {
    /// The lineage of a dataset, in its home bucket.
    #[must_use]
    pub fn new(bucket: Bucket, dataset: DatasetName, clock: Arc<dyn Clock>) -> Self {
        let log = AppendLog::new(
            bucket.clone(),
            format!("_lineage/{dataset}"),
            Arc::clone(&clock),
        );
        Self {
            log,
            bucket,
            dataset,
            clock,
        }
    }

    /// All events, oldest first.
    ///
    /// # Errors
    /// [`IngestError::Storage`].
    pub async fn read(&self) -> Result<Vec<RunEvent>, IngestError> {
        Ok(self.log.read_all().await?.records)
    }

    /// Records the start of a run.
    pub(crate) async fn start(&self, source: &SourceInfo) -> Result<RecordedRun<'_>, StorageError> {
        let run = RecordedRun {
            lineage: self,
            id: time_ordered_id(self.clock.as_ref()),
            source: source.clone(),
        };
        self.log.append(run.event(RunState::Start)).await?;
        Ok(run)
    }
}

impl RecordedRun<'_> {
    /// Records how the run ended. That this fails does not undo the run, so it is logged only.
    pub(crate) async fn end(self, outcome: Result<&DatasetVersion, &IngestError>) {
        let event = match outcome {
            Ok(version) => self.completed(version),
            Err(IngestError::Cancelled) => self.event(RunState::Abort),
            Err(error) => self.failed(error),
        };
        if let Err(error) = self.lineage.log.append(event).await {
            tracing::warn!(dataset = %self.lineage.dataset, %error, "the end of a run is missing in the lineage");
        }
    }

    fn completed(&self, version: &DatasetVersion) -> RunEvent {
        let mut event = self.event(RunState::Complete);
        if let Some(ingest) = &mut event.run.facets.ingest {
            ingest.content.version = Some(version.version);
        }
        let fields = schema_facet(&version.columns);
        for dataset in event.inputs.iter_mut().chain(&mut event.outputs) {
            dataset.facets.schema = Some(fields.clone());
        }
        let statistics = OutputStatistics {
            row_count: version.files.iter().map(|file| file.rows).sum(),
            size: version.files.iter().map(|file| file.bytes).sum(),
            file_count: version.files.len() as u64,
        };
        let url = facet_url!("1-0-2/OutputStatisticsOutputDatasetFacet.json");
        for output in &mut event.outputs {
            output.output_facets = Some(OutputFacets {
                output_statistics: facet(url, statistics.clone()),
            });
        }
        event
    }

    fn failed(&self, error: &IngestError) -> RunEvent {
        let mut event = self.event(RunState::Fail);
        let message = ErrorMessage {
            message: redact_dsn(&error.to_string()),
            programming_language: "RUST".to_owned(),
        };
        let url = facet_url!("1-0-1/ErrorMessageRunFacet.json");
        event.run.facets.error_message = Some(facet(url, message));
        event
    }

    fn event(&self, state: RunState) -> RunEvent {
        let Lineage {
            bucket,
            dataset,
            clock,
            ..
        } = self.lineage;
        let home = format!("boathouse://{}", bucket.name());
        let label = redact_dsn(&self.source.label);
        let ingest = IngestFacet {
            source_system: self.source.system.clone(),
            version: None,
        };
        let job_type = JobType {
            processing_type: "BATCH".to_owned(),
            integration: "BOATHOUSE".to_owned(),
            job_type: "INGEST".to_owned(),
        };
        RunEvent {
            event_type: state,
            event_time: clock.now(),
            producer: PRODUCER.to_owned(),
            schema_url: SCHEMA.to_owned(),
            run: Run {
                run_id: self.id.clone(),
                facets: RunFacets {
                    error_message: None,
                    ingest: Some(facet(
                        "https://boathouse.invalid/spec/ingest-run-facet-1.json",
                        ingest,
                    )),
                },
            },
            job: Job {
                namespace: NAMESPACE.to_owned(),
                name: format!("ingest.{dataset}"),
                facets: JobFacets {
                    job_type: facet(facet_url!("2-0-3/JobTypeJobFacet.json"), job_type),
                },
            },
            inputs: vec![located(
                &self.source.system,
                &label,
                &format!("{}:{label}", self.source.system),
            )],
            outputs: vec![located(
                &home,
                dataset.as_str(),
                &format!("{home}/datasets/{dataset}"),
            )],
        }
    }
}

fn located(namespace: &str, name: &str, uri: &str) -> LineageDataset {
    let source = DataSource {
        name: namespace.to_owned(),
        uri: uri.to_owned(),
    };
    LineageDataset {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        facets: DatasetFacets {
            schema: None,
            data_source: Some(facet(
                facet_url!("1-0-1/DatasourceDatasetFacet.json"),
                source,
            )),
        },
        output_facets: None,
    }
}

fn schema_facet(columns: &[ColumnInfo]) -> Facet<SchemaFields> {
    let fields = columns
        .iter()
        .map(|column| SchemaField {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
        })
        .collect();
    facet(
        facet_url!("1-1-1/SchemaDatasetFacet.json"),
        SchemaFields { fields },
    )
}

fn facet<T>(schema_url: &str, content: T) -> Facet<T> {
    Facet {
        producer: PRODUCER.to_owned(),
        schema_url: schema_url.to_owned(),
        content,
    }
}
