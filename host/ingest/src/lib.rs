//! Ingest: tables come in, datasets with versions, findings and lineage come out.
//!
//! [`ingest_file`] turns a CSV, JSON or Parquet file into a new version of a dataset; [`Datasets`] is the
//! catalogue of what is there; [`Dataset`] reads one version. Personal-data detectors enter as
//! [`PiiDetector`]; [`Lineage`] tells where rows came from; [`redact_dsn`] keeps credentials out of it all.
//!
//! Invariants: a dataset is at every moment wholly in its old state or wholly in its new one; a value is
//! never changed by being ingested, a type that cannot hold it is not chosen; what is read is what was written, or
//! an error; memory does not depend on the size of the file; messages name places and cures, never values; a
//! detector that failed is on record.
//!
//! Not here: plugins (a detector is a trait object), indexes (whether one still uses a dataset is for the
//! caller to ask), HTTP, tasks.

mod catalog;
#[cfg(test)]
mod crash;
mod dataset;
mod decoded;
mod detect;
mod dsn;
mod error;
mod file;
mod lineage;
mod mysql;
mod nearest;
mod pii;
mod postgres;
mod progress;
mod read;
mod redact;
mod run;
mod sample;
mod seal;
mod spool;
mod stamp;
mod table;
#[cfg(test)]
mod testing;
mod tls;
mod upload;
mod uuid;
mod watch;
mod zone;

pub use catalog::{Datasets, PiiScan, Retention, ScanReport};
pub use dataset::{
    ColumnInfo, DatasetFile, DatasetManifest, DatasetVersion, IngestMode, SourceInfo,
};
pub use detect::{
    ColumnFinding, Detection, DetectorFailure, FindingSource, OnDetectorFailure, PiiDetector,
};
pub use dsn::Dsn;
pub use error::{BadFile, IngestError, Place};
pub use file::{
    ColumnReport, Compression, DialectReport, FileFormat, FileInput, FileOptions, FileReport,
    FileSchema, IngestContext, IngestReport, IngestRequest, NullSpelling, OptionWords, ReadReport,
    TextReason, ingest_file,
};
pub use lineage::{
    DataSource, DatasetFacets, ErrorMessage, Facet, IngestFacet, Job, JobFacets, JobType, Lineage,
    LineageDataset, LineageWriter, Origin, OutputFacets, OutputStatistics, Recorded, Run, RunEvent,
    RunFacets, RunState, SchemaField, SchemaFields, Unended,
};
pub use pii::{
    Action, ColumnRule, DecidedBy, HashKey, MIN_KEY_BYTES, PiiCounts, PiiPolicy, PiiRules,
    StoredPolicy, Treatment,
};
pub use progress::{Estimate, IngestProgress, Pace, Phase, ProgressSnapshot};
pub use read::{Dataset, MAX_PAGE_ROWS, RowsPage};
pub use redact::redact_dsn;
pub use seal::FileSeal;
pub use table::{
    JobInfo, JobMark, JobSpec, JobTurn, Jobs, NulledValues, Position, TableRead, TableReport,
    TableRequest, TableSource, TableSystem, TlsMode, TypeMode, ValuePolicy, Window, ingest_table,
};
