//! What can go wrong in this room, sorted by what the caller can do about it.
//!
//! Messages name the place and the cure. They never quote a value of the data: an error ends up in logs
//! and lineage, where personal data has no business.

use std::fmt;

use arrow::{datatypes::DataType, error::ArrowError};
use boathouse_storage::StorageError;
use boathouse_types::{BucketName, DatasetName, JudgementError, Timestamp};
use parquet::errors::ParquetError;

use crate::{TypeMode, nearest::nearest, redact_dsn, seal::Altered};

/// Why an ingest or a read of a dataset failed.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Name a file that exists.
    #[error("there is no file `{label}`: check the path")]
    MissingFile {
        /// The file as the caller named it, credentials hidden.
        label: String,
    },
    /// Correct the file.
    #[error(transparent)]
    BadFile(Box<BadFile>),
    /// Ingest with another schema, into another dataset, or with mode `replace`.
    #[error(
        "the file does not fit dataset `{dataset}`: {differences}; correct the file or ingest with mode `replace`"
    )]
    SchemaDiffers {
        /// The dataset that was to grow.
        dataset: DatasetName,
        /// One clause a column.
        differences: String,
    },
    /// Say something else about the file.
    #[error("the option `{option}` cannot be meant: {problem}; {cure}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// Name a dataset that exists.
    #[error("there is no dataset `{0}`")]
    DatasetNotFound(DatasetName),
    /// Name a version that exists.
    #[error("dataset `{dataset}` has no version {version}")]
    VersionNotFound {
        /// The dataset.
        dataset: DatasetName,
        /// The version asked for.
        version: u64,
    },
    /// Read a newer version.
    #[error(
        "version {version} of dataset `{dataset}` has expired; read one that the dataset still lists"
    )]
    VersionExpired {
        /// The dataset.
        dataset: DatasetName,
        /// The version asked for.
        version: u64,
    },
    /// Name a column that exists.
    #[error("dataset `{dataset}` has no column `{column}`; it has {known}")]
    ColumnNotFound {
        /// The dataset.
        dataset: DatasetName,
        /// The column asked for.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// Choose a column of text.
    #[error("column `{column}` of dataset `{dataset}` is {data_type}, not text")]
    NotText {
        /// The dataset.
        dataset: DatasetName,
        /// The column asked for.
        column: String,
        /// Its Arrow type.
        data_type: String,
    },
    /// Ask for a row that exists.
    #[error("row {row} is out of range: dataset `{dataset}` has {rows} rows")]
    RowOutOfRange {
        /// The dataset.
        dataset: DatasetName,
        /// The row asked for, from 0.
        row: u64,
        /// Rows of the version.
        rows: u64,
    },
    /// Leave out the bucket, or delete the dataset first.
    #[error(
        "dataset `{dataset}` lives in bucket `{home}`: leave out the bucket, or delete the dataset first"
    )]
    LivesElsewhere {
        /// The dataset.
        dataset: DatasetName,
        /// Its bucket.
        home: BucketName,
    },
    /// Repair or remove the detector, or let failures be tagged.
    #[error("a personal-data detector failed and the ingest is set to refuse that: {0}")]
    DetectorFailed(JudgementError),
    /// Have a detector serve, or say that findings may be missing.
    #[error(
        "the policy for personal data depends on findings and no detector is active; activate one, or set `on_detector_failure` to `tag-unknown`"
    )]
    NoDetector,
    /// Have a detector serve, then look again.
    #[error(
        "no personal-data detector is active for dataset `{dataset}`, so nobody can look at its rows"
    )]
    NobodyToAsk {
        /// The dataset that was to be looked at.
        dataset: DatasetName,
    },
    /// Correct the policy for personal data.
    #[error("the policy for personal data cannot be used: {problem}; {cure}")]
    BadPolicy {
        /// What is wrong.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// Look at the policy that somebody else made, and change that.
    #[error(
        "the policy for personal data in dataset `{dataset}` is of generation {found} by now; read it and change that"
    )]
    PolicyChanged {
        /// The dataset.
        dataset: DatasetName,
        /// Its generation, 0 while there is none.
        found: u64,
    },
    /// Leave the columns out at the source, or have the policy changed.
    #[error(
        "refused by the policy for personal data of dataset `{dataset}`: {columns}; leave them out at the source, or change the policy"
    )]
    PersonalData {
        /// The dataset.
        dataset: DatasetName,
        /// One clause a column, without values.
        columns: String,
    },
    /// Ingest with mode `replace`, or say that the column is to stay as it is.
    #[error(
        "column `{column}` of dataset `{dataset}` is {data_type} in clear, and rows to which the policy does `{action}` cannot follow it; ingest with mode `replace`, or keep the column by the dataset's policy"
    )]
    InClear {
        /// The dataset.
        dataset: DatasetName,
        /// The column.
        column: String,
        /// Its type there.
        data_type: String,
        /// What the policy says.
        action: String,
    },
    /// Bring the earlier key back, or ingest with mode `replace`.
    #[error(
        "column `{column}` of dataset `{dataset}` is hashed with key `{key_id}`, which is not the key in force; bring that key back, or ingest with mode `replace`"
    )]
    HashKeyDiffers {
        /// The dataset.
        dataset: DatasetName,
        /// The column.
        column: String,
        /// Id of the key of the earlier rows.
        key_id: String,
    },
    /// Correct the connection text.
    #[error("the connection text cannot be used: {problem}; {cure}")]
    BadDsn {
        /// What is wrong, without the text itself.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// Check host, port and network, and that the database runs.
    #[error(
        "the database at {host} cannot be reached: {reason}; check host, port and that it runs"
    )]
    Connect {
        /// Host and port.
        host: String,
        /// Why, credentials hidden.
        reason: String,
    },
    /// Use another user, password or database, or have rights granted.
    #[error("the database refuses: {reason}; check user, password, database and rights")]
    Denied {
        /// What the server says, credentials hidden.
        reason: String,
    },
    /// Name what exists at the source.
    #[error("the database has no {what}; check the name, or name its schema too")]
    NoSuchTable {
        /// The table, schema or database.
        what: String,
    },
    /// Name a column that exists at the source.
    #[error("the database has no {what}; {}", proposed(.nearest.as_deref()))]
    NoSuchColumn {
        /// The column, and where it was looked for.
        what: String,
        /// One that is there and is called much the same.
        nearest: Option<String>,
    },
    /// Correct the query.
    #[error("the query cannot be run: {reason}")]
    BadQuery {
        /// What the server says, values blanked.
        reason: String,
    },
    /// Try again when the database is well.
    #[error("the database failed: {reason}; nothing of the ingest is visible, so start it again")]
    Source {
        /// What happened, values blanked.
        reason: String,
    },
    /// Correct the value at the source, or let such values become null.
    #[error("column `{column}`: {problem}; {cure}")]
    Value {
        /// The column.
        column: String,
        /// What is wrong, without the value.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// Name the columns so that they can be told apart.
    #[error("the columns cannot make a dataset: {problem}")]
    Columns {
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Wait for the run that is under way, or cancel it.
    #[error("job `{job}` is running already, since {since}; wait for its end or cancel it")]
    JobRunning {
        /// The job.
        job: String,
        /// When that run began.
        since: Timestamp,
    },
    /// Choose another job, cursor or dataset.
    #[error("the job cannot go on: {problem}")]
    BadJob {
        /// What does not fit, and what to do.
        problem: String,
    },
    /// Look at what the other writer did and try again.
    #[error("dataset `{0}` was changed by somebody else meanwhile: try again")]
    Conflict(DatasetName),
    /// Nothing: it was asked for.
    #[error("the ingest was cancelled; nothing of it is visible")]
    Cancelled,
    /// Look after the bucket.
    #[error("the bucket failed: {0}")]
    Storage(#[from] StorageError),
    /// Wait until the bucket answers.
    #[error("bucket `{bucket}` failed at the stored object `{path}`: {message}")]
    Unreachable {
        /// The bucket.
        bucket: BucketName,
        /// The object.
        path: String,
        /// What the store said.
        message: String,
    },
    /// Restore the object or ingest again.
    #[error("the stored object `{path}` cannot be read: {message}")]
    Damaged {
        /// Path in its bucket.
        path: String,
        /// What the reader says.
        message: String,
    },
    /// Make room on the local disk, or make its folder writable.
    #[error("the local spool failed: {0}")]
    Spool(#[source] std::io::Error),
    /// Report it: this is a defect of the host.
    #[error("a worker of the ingest failed: {0}")]
    Worker(String),
}

/// What to do about a name that is not there.
fn proposed(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => "check the name".to_owned(),
    }
}

/// Whether a store says that an object is not there.
fn is_gone(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let told = source.downcast_ref::<object_store::Error>();
    told.is_some_and(|error| matches!(error, object_store::Error::NotFound { .. }))
}

/// Where in a file something is wrong. Lines and columns count from 1; in CSV the column is the number
/// of the field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: Option<u64>,
    /// The column within it.
    pub column: Option<u64>,
    /// The byte of the file, from 0.
    pub byte: Option<u64>,
}

impl Place {
    /// A whole line.
    #[must_use]
    pub fn line(line: u64) -> Self {
        Self {
            line: Some(line),
            ..Self::default()
        }
    }

    /// A column in a line.
    #[must_use]
    pub fn at(line: u64, column: u64) -> Self {
        Self {
            line: Some(line),
            column: Some(column),
            byte: None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("line", self.line),
            ("column", self.column),
            ("byte", self.byte),
        ];
        let mut separator = "";
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, "{separator}{name} {value}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// A file that cannot be taken, with the place and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadFile {
    /// The file as the caller named it, credentials hidden; empty until the ingest fills it in.
    pub label: String,
    /// Where.
    pub place: Place,
    /// What is wrong, without any value of the data.
    pub problem: String,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.label.is_empty() {
            write!(f, "`{}`: ", self.label)?;
        }
        if self.place != Place::default() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}; {}", self.problem, self.cure)
    }
}

impl IngestError {
    /// A column that is not among those of a table or query; `place` says of which.
    pub(crate) fn no_such_column<'a>(
        name: &str,
        place: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::NoSuchColumn {
            what: format!("column `{}` in {place}", name.escape_debug()),
            nearest: nearest(name, known),
        }
    }

    /// A column that holds values for which its Arrow type has none; `other` is what else may be set than the policy.
    pub(crate) fn lacks(
        column: &str,
        what: &str,
        types: TypeMode,
        data_type: &DataType,
        other: Option<&str>,
    ) -> Self {
        let types = match types {
            TypeMode::Exact => "exact",
            TypeMode::Portable => "portable",
        };
        let shown = data_type.to_string();
        let shown = match data_type.is_nested() {
            // Without all that is in it.
            true => shown.split('(').next().unwrap_or_default(),
            false => shown.as_str(),
        };
        let other = other.map_or(String::new(), |other| format!(", or {other}"));
        Self::Value {
            column: column.to_owned(),
            problem: format!(
                "it holds {what}, for which a {shown} column has no value (`types` = `{types}`)"
            ),
            cure: format!(
                "set `out_of_range` to `null` to have null in their place{other}; or turn them into something else \
                 by a query, or correct them at the source"
            ),
        }
    }

    /// A file that needs correcting.
    pub(crate) fn bad(place: Place, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::BadFile(Box::new(BadFile {
            label: String::new(),
            place,
            problem: redact_dsn(&problem.into()),
            cure: cure.into(),
        }))
    }

    /// Names the file in an error that is about it.
    pub(crate) fn about(self, label: &str) -> Self {
        match self {
            Self::BadFile(mut bad) => {
                label.clone_into(&mut bad.label);
                Self::BadFile(bad)
            }
            Self::MissingFile { .. } => Self::MissingFile {
                label: label.to_owned(),
            },
            other => other,
        }
    }

    /// A server that speaks no TLS where that is asked for.
    pub(crate) fn no_tls() -> Self {
        Self::BadOption {
            option: "tls",
            problem: "the server offers no TLS".to_owned(),
            cure:
                "switch TLS on there, or say `prefer` or `disable` here and in the connection text"
                    .to_owned(),
        }
    }

    /// A worker that gave up. What it said may quote the data, so that stays out.
    pub(crate) fn gave_up(error: &tokio::task::JoinError) -> Self {
        Self::Worker(match error.is_panic() {
            true => "it gave up on what it met".to_owned(),
            false => error.to_string(),
        })
    }

    /// An error of the writer of the local spool.
    pub(crate) fn spool(error: ParquetError) -> Self {
        Self::Spool(std::io::Error::other(error))
    }

    /// An error of Arrow on data that this room itself made.
    pub(crate) fn arrow(error: &ArrowError) -> Self {
        Self::Worker(redact_dsn(&error.to_string()))
    }

    /// A file of rows that does not read: its bucket fails, or it is damaged.
    pub(crate) fn unreadable(bucket: &BucketName, path: &str, error: &ParquetError) -> Self {
        match error {
            ParquetError::External(source) if is_gone(source.as_ref()) => Self::damaged(
                path,
                "it is gone from its bucket; put it back, or ingest the dataset anew",
            ),
            ParquetError::External(source) if source.is::<object_store::Error>() => {
                Self::Unreachable {
                    bucket: bucket.clone(),
                    path: path.to_owned(),
                    message: redact_dsn(&source.to_string()),
                }
            }
            ParquetError::External(source) if source.is::<Altered>() => Self::damaged(path, source),
            _ => Self::damaged(path, error),
        }
    }

    /// An object of ours that does not read.
    pub(crate) fn damaged(path: &str, error: impl fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            message: redact_dsn(&error.to_string()),
        }
    }
}
