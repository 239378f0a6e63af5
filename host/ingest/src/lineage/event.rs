//! The shapes of OpenLineage 2-0-2 that Boathouse writes, as their JSON has them.
//!
//! They hold what an ingest has to say and nothing else of that model; what others would add to an event is
//! not read back. A field that came later is optional, so that older events read unchanged. What follows from
//! these shapes alone is here too; when an event is written, and with what in it, is told in `lineage.rs`.

use boathouse_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::Origin;
use crate::ColumnInfo;

/// Who says so, in every event and facet.
pub(super) const PRODUCER: &str = concat!(
    "https://boathouse.invalid/producer/",
    env!("CARGO_PKG_VERSION")
);

/// The definition that an event follows.
pub(super) const SCHEMA: &str =
    "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// The definition of a facet of OpenLineage: its version and its name.
macro_rules! facet_url {
    ($version:literal, $name:literal) => {
        concat!(
            "https://openlineage.io/spec/facets/",
            $version,
            "/",
            $name,
            ".json#/$defs/",
            $name
        )
    };
}
pub(super) use facet_url;

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
    /// The host that the run ran on: which data folder, and which start of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl RunState {
    /// Whether a run has ended with it.
    #[must_use]
    pub fn is_end(self) -> bool {
        self != Self::Start
    }

    /// As events write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Fail => "FAIL",
            Self::Abort => "ABORT",
        }
    }
}

impl RunEvent {
    /// Tells the event from all others: a run has one START and one end.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}.{}", self.run.run_id, self.event_type.as_str())
    }
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

pub(super) fn located(namespace: &str, name: &str, uri: &str) -> LineageDataset {
    let source = DataSource {
        name: namespace.to_owned(),
        uri: uri.to_owned(),
    };
    LineageDataset {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        facets: DatasetFacets {
            schema: None,
            data_source: Some(facet(facet_url!("1-0-1", "DatasourceDatasetFacet"), source)),
        },
        output_facets: None,
    }
}

pub(super) fn schema_facet(columns: &[ColumnInfo]) -> Facet<SchemaFields> {
    let fields = columns
        .iter()
        .map(|column| SchemaField {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
        })
        .collect();
    facet(
        facet_url!("1-1-1", "SchemaDatasetFacet"),
        SchemaFields { fields },
    )
}

pub(super) fn facet<T>(schema_url: &str, content: T) -> Facet<T> {
    Facet {
        producer: PRODUCER.to_owned(),
        schema_url: schema_url.to_owned(),
        content,
    }
}
