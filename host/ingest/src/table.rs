//! Table ingest: one table or query of a database becomes one version of a dataset.
//!
//! A [`Connector`] stands for one consistent snapshot of one source and gives its rows in parts, which are read
//! side by side. The rest, whatever the database: parts go through bounded channels into nameless local files,
//! then the course of every ingest (`run.rs`). Memory is bounded by the bytes in flight, never by the table.
//! What a connector says about itself holds no credentials, and its errors no value of the data.

mod feed;
mod fit;
mod job;
mod label;
mod lease;
mod pipeline;

use std::{num::NonZeroUsize, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use boathouse_types::{BucketName, DatasetName};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::{
    feed::{Source, TableFeed},
    job::Step,
};
pub use self::{
    job::{JobInfo, JobMark, JobSpec},
    lease::{JobTurn, Jobs},
};
use crate::{
    Dsn, IngestContext, IngestError, IngestMode, IngestProgress, IngestReport, ReadReport,
    SourceInfo, mysql, postgres,
    run::{self, Target},
    watch::Watch,
};

/// A system that tables come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableSystem {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

impl TableSystem {
    /// Whether a connection text makes use of the machine that it is used on, and not only of what it says
    /// itself: a Unix socket lets in the user that this process runs as, and certificates are files here.
    #[must_use]
    pub fn uses_this_machine(self, dsn: &Dsn) -> bool {
        match self {
            Self::Postgres => postgres::uses_this_machine(dsn),
            Self::Mysql => mysql::uses_this_machine(dsn),
        }
    }
}

/// What to read, and into what.
#[derive(Debug)]
pub struct TableRequest {
    /// The dataset, made if there is none.
    pub dataset: DatasetName,
    /// Where a new dataset goes; none: the primary bucket, or where the dataset is.
    pub bucket: Option<BucketName>,
    /// Whether its rows replace or follow those there are.
    pub mode: IngestMode,
    /// What is read, and how; the window is set by the job.
    pub read: TableRead,
    /// The turn of the job whose run this is; none: the rows are read as a whole.
    pub job: Option<JobTurn>,
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
    /// Rows stay out whose `column` is too young: for times and dates less than so many seconds before the server's
    /// clock at the start of the run, for numbers less than this below the greatest. It gives transactions that
    /// were slow to commit the time to appear, so that no row is passed over.
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
    /// There was nothing new for the job, and no version was made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub up_to_date: bool,
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

impl TypeMode {
    /// All of them, as requests and configurations call them.
    pub const NAMES: [&'static str; 2] = ["exact", "portable"];
}

impl ValuePolicy {
    /// All of them, as requests and configurations call them.
    pub const NAMES: [&'static str; 2] = ["error", "null"];
}

impl TlsMode {
    /// All of them, as requests and configurations call them.
    pub const NAMES: [&'static str; 4] = ["disable", "prefer", "require", "verify-full"];
}

impl TableSystem {
    /// The name of the system in lineage.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// The port that its servers have where nobody says otherwise.
    fn port(self) -> &'static str {
        match self {
            Self::Postgres => "5432",
            Self::Mysql => "3306",
        }
    }
}

/// A database as a source.
struct Database<'a> {
    system: TableSystem,
    dsn: &'a Dsn,
}

#[async_trait]
impl Source for Database<'_> {
    fn info(&self, source: &TableSource) -> SourceInfo {
        label::source_info(self.system, self.dsn, source)
    }

    fn subject(&self, source: &TableSource) -> String {
        label::subject(self.system, source)
    }

    async fn open(
        &self,
        read: &TableRead,
        watch: &Watch,
    ) -> Result<Arc<dyn Connector>, IngestError> {
        Ok(match self.system {
            TableSystem::Postgres => Arc::new(postgres::connect(self.dsn, read, watch).await?),
            TableSystem::Mysql => Arc::new(mysql::connect(self.dsn, read, watch).await?),
        })
    }
}

/// Ingests a table or a query. `progress` may be read meanwhile; `cancel` stops the work soon, until the commit.
///
/// # Errors
/// [`IngestError`], with nothing visible; only where the bucket fails from the commit on, it is open whether
/// the version is, which is whole then.
pub async fn ingest_table(
    context: &IngestContext,
    system: TableSystem,
    dsn: &Dsn,
    request: TableRequest,
    progress: Arc<IngestProgress>,
    cancel: CancellationToken,
) -> Result<IngestReport, IngestError> {
    let source = Database { system, dsn };
    ingest_from(context, &source, request, Watch { progress, cancel }).await
}

/// Ingests from whatever can be opened as a snapshot. A run of a job keeps its turn meanwhile.
async fn ingest_from(
    context: &IngestContext,
    source: &dyn Source,
    mut request: TableRequest,
    watch: Watch,
) -> Result<IngestReport, IngestError> {
    let Some(turn) = request.job.take() else {
        return land(context, source, request, None, watch).await;
    };
    let (spec, progress) = (turn.spec().clone(), watch.progress);
    let work = |cancel| {
        land(
            context,
            source,
            request,
            Some(spec),
            Watch { progress, cancel },
        )
    };
    turn.keep(&watch.cancel, work).await
}

async fn land(
    context: &IngestContext,
    source: &dyn Source,
    request: TableRequest,
    job: Option<JobSpec>,
    watch: Watch,
) -> Result<IngestReport, IngestError> {
    let TableRequest {
        dataset,
        bucket,
        mode,
        mut read,
        job: _,
    } = request;
    let step = match job {
        None => None,
        Some(spec) => {
            let reads = source.subject(&read.source);
            Some(next_step(context, &dataset, mode, &spec, &reads).await?)
        }
    };
    read.window = step.as_ref().map(Step::window);
    let target = Target {
        dataset: dataset.clone(),
        bucket,
        mode,
        source: source.info(&read.source),
    };
    let mut feed = TableFeed::new(source, dataset.clone(), read, step);
    let landed = run::run(context, target, &mut feed, watch).await?;
    let report = feed.report(landed.is_new)?;
    Ok(IngestReport {
        dataset,
        bucket: landed.bucket,
        version: landed.version,
        added_rows: landed.added_rows,
        read: ReadReport::Table(report),
    })
}

/// Where a run of a job begins.
async fn next_step(
    context: &IngestContext,
    dataset: &DatasetName,
    mode: IngestMode,
    spec: &JobSpec,
    reads: &str,
) -> Result<Step, IngestError> {
    if mode == IngestMode::Replace {
        return Step::next(spec, reads, None);
    }
    match context.datasets.get(dataset).await {
        Ok(known) => Step::next(spec, reads, Some(&known)),
        Err(IngestError::DatasetNotFound(_)) => Step::next(spec, reads, None),
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests;
