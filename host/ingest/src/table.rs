//! Table ingest: one table or query of a database becomes one version of a dataset.
//!
//! A [`Connector`] stands for one consistent snapshot of one source and gives its rows in parts, which are read
//! side by side. The rest, whatever the database: parts go through bounded channels into nameless local files,
//! then the course of every ingest (`run.rs`). Memory is bounded by the bytes in flight, never by the table.
//! What a connector says about itself holds no credentials, and its errors no value of the data.

use std::num::NonZeroUsize;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use boathouse_types::{BucketName, DatasetName};
use serde::{Deserialize, Serialize};

use crate::{IngestError, IngestMode};

/// What to read, and into what.
#[derive(Debug, Clone)]
pub struct TableRequest {
    /// The dataset, made if there is none.
    pub dataset: DatasetName,
    /// Where a new dataset goes; none: the primary bucket, or where the dataset is.
    pub bucket: Option<BucketName>,
    /// Whether its rows replace or follow those there are.
    pub mode: IngestMode,
    /// What is read, and how.
    pub read: TableRead,
}

/// What is read of a database, and how.
#[derive(Debug, Clone)]
pub struct TableRead {
    /// A table or a query.
    pub source: TableSource,
    /// Which Arrow types the columns get.
    pub types: TypeMode,
    /// What happens to a value that its Arrow type cannot hold.
    pub out_of_range: ValuePolicy,
    /// Most connections that read side by side.
    pub parallel: NonZeroUsize,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Only a stretch of the rows, for incremental runs.
    pub window: Option<Window>,
}

/// A table or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableSource {
    /// A table or view, `schema.table` or `table`, as the caller wrote it; parts may stand in double quotes
    /// (MySQL: backquotes).
    Table(String),
    /// One `SELECT`.
    Query(String),
}

/// Which Arrow types the columns get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypeMode {
    /// Every value exactly as it is at the source.
    #[default]
    Exact,
    /// Int32, Int64, Float64, Boolean, and Utf8 for the rest.
    Portable,
}

/// What happens to a value that its Arrow type cannot hold, such as a date before Christ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValuePolicy {
    /// The ingest fails and names the column.
    #[default]
    Error,
    /// It becomes null and is counted in the report.
    Null,
}

/// How a connection to a database is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Not at all.
    Disable,
    /// Encrypted where the server can; no certificate is checked.
    #[default]
    Prefer,
    /// Encrypted or not at all; no certificate is checked.
    Require,
    /// Encrypted, and the certificate must be valid for the host.
    VerifyFull,
}

/// A stretch of a table in the order of (`column`, `key`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The column that grows, for example `updated_at`.
    pub column: String,
    /// A column that tells rows apart which are equal in `column`, for example the primary key.
    pub key: Option<String>,
    /// Only rows after this position.
    pub after: Option<Position>,
    /// Rows stay out whose `column` is less than this behind the newest: seconds of the server's clock for
    /// times and dates, the column's own unit for numbers. It gives transactions that were slow to commit
    /// the time to appear, so that no row is passed over.
    pub lag: u64,
}

/// Where an incremental run got to: values of the cursor's columns in the server's own text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Position {
    /// Of the column that grows.
    pub column: String,
    /// Of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What was found out about a table while it was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TableReport {
    /// Connections that read side by side.
    pub connections: usize,
    /// Why it was fewer than asked for, or anything else that a reader of the rows should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Values that became null because their type cannot hold them, by column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nulled: Vec<NulledValues>,
}

/// Values of a column that became null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NulledValues {
    /// The column.
    pub column: String,
    /// How many.
    pub values: u64,
    /// What they were, for example `zero dates`.
    pub what: String,
}

/// One consistent snapshot of one table or query, open until it is dropped.
#[async_trait]
pub(crate) trait Connector: Send + Sync {
    /// Columns, with the server's name of each type in the field metadata and nullability as it is there.
    fn schema(&self) -> SchemaRef;

    /// How many parts there are; each may be read once, several at the same time. At least one.
    fn parts(&self) -> usize;

    /// About how many rows there are, if that is known without counting.
    fn estimated_rows(&self) -> Option<u64>;

    /// Reads a part, in batches of at most a few MiB. Ends early with an error when `rows` does.
    async fn read(&self, part: usize, rows: &mut dyn PartSink) -> Result<(), IngestError>;

    /// Ends the snapshot after all parts were read; tells what was found out, and the position of the last
    /// row where a window was asked for (none: there was no row).
    async fn finish(&self) -> Result<(TableReport, Option<Position>), IngestError>;
}

/// Takes the rows of a part.
#[async_trait]
pub(crate) trait PartSink: Send {
    /// Takes a batch; waits while too much is in flight.
    ///
    /// # Errors
    /// When the run was cancelled or failed elsewhere: the part is to be given up.
    async fn write(&mut self, batch: RecordBatch) -> Result<(), IngestError>;

    /// Counts bytes that came from the server.
    fn received(&self, bytes: u64);
}
