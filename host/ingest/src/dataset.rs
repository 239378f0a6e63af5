//! What the catalogue says about a dataset: the document behind `datasets/{name}/manifest`.
//!
//! A version is complete in itself except for its rows: an `append` version lists the files it added and
//! builds on the version before it, a `replace` version begins anew, so the document grows with the
//! number of ingests and not with its square. A version number is never used twice, also not by a dataset
//! that was deleted and made again. A version that has expired stays in the document, marked, as long as a
//! later one shows its rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use boathouse_types::{BucketName, DatasetName, JobName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Detection, FileSeal, JobMark, PiiScan, Treatment};

/// Field metadata under which a column's type at its source is kept.
pub(crate) const SOURCE_TYPE: &str = "boathouse.source_type";

/// How an ingest changes a dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IngestMode {
    /// The new rows take the place of all others.
    #[default]
    Replace,
    /// The new rows come after the others.
    Append,
}

impl IngestMode {
    /// All of them, as requests and configurations call them.
    pub const NAMES: [&'static str; 2] = ["replace", "append"];
}

/// A dataset with all its versions, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DatasetManifest {
    /// Its name.
    pub name: DatasetName,
    /// Where its objects are.
    pub bucket: BucketName,
    /// Its versions, with those that expired and whose rows a later one shows; empty once deleted.
    pub versions: Vec<DatasetVersion>,
    /// The number that the next version gets.
    pub next_version: u64,
    /// When it was deleted, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// What one ingest made of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DatasetVersion {
    /// Its number, from 1.
    pub version: u64,
    /// How it relates to the version before it.
    pub mode: IngestMode,
    /// The files that it added.
    pub files: Vec<DatasetFile>,
    /// Rows of the dataset as of this version.
    pub rows: u64,
    /// Bytes of the dataset's files as of this version.
    pub bytes: u64,
    /// Columns, in order.
    pub columns: Vec<ColumnInfo>,
    /// Personal data found in the rows that it added.
    pub detection: Detection,
    /// What was done to columns of these rows that hold personal data, and what a person said about them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub treatments: Vec<Treatment>,
    /// What detectors found when they were asked again about the rows as of this version, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<PiiScan>,
    /// Where its rows came from.
    pub source: SourceInfo,
    /// When it was committed.
    pub created_at: Timestamp,
    /// Where the job got to whose run made it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobMark>,
    /// When it expired, if it did: it cannot be read, and is here for the rows that later versions show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_at: Option<Timestamp>,
}

/// A Parquet file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DatasetFile {
    /// Path in the dataset's bucket.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// What its bytes were when it was written; none: it is of an earlier release, and is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<FileSeal>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Arrow's text of its type.
    pub data_type: String,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// Its type at the source, where that says more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
}

/// Where rows came from. Holds no credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceInfo {
    /// `file`, `postgres`, `mysql` or `watcher`.
    pub system: String,
    /// The file, table or query, for a person.
    pub label: String,
    /// The authority that names the source by the conventions of OpenLineage, for example
    /// `postgres://host:5432`; none: told from `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The source's name there, for example `shop.public.orders`, of a query `shop.query.{digest}`; none: `label`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SHA-256 of the file in lower-case hexadecimal digits, of a source whose files count once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The run in the lineage that brought the rows; set by the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl SourceInfo {
    /// A source of a system, with a name for a person.
    #[must_use]
    pub fn new(system: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            system: system.into(),
            label: label.into(),
            ..Self::default()
        }
    }
}

impl DatasetManifest {
    /// A dataset without versions.
    pub(crate) fn new(name: DatasetName, bucket: BucketName) -> Self {
        Self {
            name,
            bucket,
            versions: Vec::new(),
            next_version: 1,
            deleted_at: None,
        }
    }

    /// The newest version, unless the dataset is deleted.
    #[must_use]
    pub fn latest(&self) -> Option<&DatasetVersion> {
        self.versions.last()
    }

    /// The versions that can be read, oldest first.
    pub fn readable(&self) -> impl Iterator<Item = &DatasetVersion> {
        self.versions
            .iter()
            .filter(|version| version.expired_at.is_none())
    }

    /// A version by its number, unless it has expired.
    #[must_use]
    pub fn version(&self, version: u64) -> Option<&DatasetVersion> {
        self.readable().find(|known| known.version == version)
    }

    /// Where a job got to, and in which version; none since all rows were last replaced.
    #[must_use]
    pub fn job(&self, name: &JobName) -> Option<(u64, &JobMark)> {
        let mut marks = self.jobs();
        marks.find(|(_, mark)| mark.job == *name)
    }

    /// The marks of all jobs since the rows were last replaced, newest first, with their versions.
    pub fn jobs(&self) -> impl Iterator<Item = (u64, &JobMark)> {
        let start = self
            .versions
            .iter()
            .rposition(|known| known.mode == IngestMode::Replace)
            .unwrap_or(0);
        let versions = self.versions[start..].iter().rev();
        versions.filter_map(|known| Some((known.version, known.job.as_ref()?)))
    }

    /// Whether the newest rows include those of a file with this SHA-256 digest, of a source whose files count
    /// once.
    #[must_use]
    pub fn shows_file(&self, digest: &str) -> bool {
        for version in self.versions.iter().rev() {
            if version.source.digest.as_deref() == Some(digest) {
                return true;
            }
            if version.mode == IngestMode::Replace {
                break;
            }
        }
        false
    }

    /// The files that hold the rows as of a version, in row order.
    #[must_use]
    pub fn files_as_of(&self, version: u64) -> Vec<DatasetFile> {
        let end = self
            .versions
            .partition_point(|known| known.version <= version);
        let past = &self.versions[..end];
        let start = past
            .iter()
            .rposition(|known| known.mode == IngestMode::Replace)
            .unwrap_or(0);
        past[start..]
            .iter()
            .flat_map(|known| known.files.clone())
            .collect()
    }
}

impl ColumnInfo {
    /// The column that an Arrow field describes.
    pub(crate) fn of(field: &Field) -> Self {
        Self {
            name: field.name().clone(),
            data_type: type_text(field.data_type()),
            nullable: field.is_nullable(),
            source_type: field.metadata().get(SOURCE_TYPE).cloned(),
        }
    }

    /// The columns of a schema.
    pub(crate) fn all(schema: &Schema) -> Vec<Self> {
        schema
            .fields()
            .iter()
            .map(|field| Self::of(field))
            .collect()
    }

    /// Whether rows of both can stand in one dataset.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.name == other.name && self.data_type == other.data_type
    }
}

fn type_text(data_type: &DataType) -> String {
    data_type.to_string()
}

/// A schema with the nullability of a version's columns, which may be wider than that of its first file.
pub(crate) fn with_columns(schema: &Schema, columns: &[ColumnInfo]) -> Arc<Schema> {
    let nullable = |name: &str| {
        columns
            .iter()
            .any(|column| column.name == name && column.nullable)
    };
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| {
            let wider = field.is_nullable() || nullable(field.name());
            Arc::new(field.as_ref().clone().with_nullable(wider))
        })
        .collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u64, mode: IngestMode) -> DatasetVersion {
        let file = DatasetFile {
            path: version.to_string(),
            rows: 1,
            bytes: 1,
            seal: None,
        };
        DatasetVersion {
            version,
            mode,
            files: vec![file],
            rows: 1,
            bytes: 1,
            columns: Vec::new(),
            detection: Detection::default(),
            treatments: Vec::new(),
            scans: Vec::new(),
            source: SourceInfo::new("file", ""),
            created_at: Timestamp::from_millis(0),
            job: None,
            expired_at: None,
        }
    }

    #[test]
    fn a_file_of_an_earlier_release_has_no_seal_and_gets_none() {
        let text = r#"{"path":"a","rows":1,"bytes":2}"#;
        let file: DatasetFile = serde_json::from_str(text).unwrap();
        assert_eq!(file.seal, None);
        assert_eq!(serde_json::to_string(&file).unwrap(), text);
    }

    #[test]
    fn a_version_is_readable_as_of_its_time() {
        use IngestMode::{Append, Replace};
        let mut manifest =
            DatasetManifest::new(DatasetName::new("d").unwrap(), BucketName::primary());
        manifest.versions = [(1, Append), (2, Append), (4, Replace), (5, Append)]
            .map(|(number, mode)| version(number, mode))
            .to_vec();
        let paths = |as_of| {
            let files = manifest.files_as_of(as_of);
            files
                .into_iter()
                .map(|file| file.path)
                .collect::<Vec<_>>()
                .concat()
        };
        assert_eq!([1, 2, 4, 5].map(paths), ["1", "12", "4", "45"]);
        assert!(manifest.version(3).is_none());
    }
}
