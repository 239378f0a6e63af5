//! Which problem each room's errors become.

use axum::http::StatusCode;
use boathouse_ingest::IngestError;
use boathouse_plugins::PluginError;
use boathouse_query::QueryError;
use boathouse_storage::StorageError;
use boathouse_tuning::TuningError;
use boathouse_types::{JudgementCause, JudgementError};
use boathouse_vector::VectorError;

use super::{Problem, chain};

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::UnknownBucket { .. } => {
                Self::not_found("unknown_bucket", error.to_string())
            }
            StorageError::BucketExists { .. } => Self::conflict("bucket_exists", error.to_string()),
            StorageError::Exists { .. }
            | StorageError::Conflict { .. }
            | StorageError::Contended { .. } => {
                Self::conflict("changed_meanwhile", error.to_string())
            }
            StorageError::Full { .. } => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "bucket_full",
                error.to_string(),
            ),
            StorageError::NewerFormat { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "newer_format",
                error.to_string(),
            ),
            StorageError::Damaged { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged_object",
                error.to_string(),
            ),
            StorageError::Unavailable { bucket, .. } | StorageError::Denied { bucket, .. } => {
                Self::bucket(bucket, &error)
            }
            _ => Self::storage(&error),
        }
    }
}

impl From<VectorError> for Problem {
    fn from(error: VectorError) -> Self {
        match &error {
            VectorError::WrongDimension { .. } => {
                Self::unprocessable("wrong_dimension", error.to_string())
            }
            VectorError::NotFinite { .. }
            | VectorError::ZeroVector { .. }
            | VectorError::TooLong { .. } => Self::unprocessable("bad_vector", error.to_string()),
            VectorError::OptionOutOfBounds { .. } => {
                Self::unprocessable("out_of_bounds", error.to_string())
            }
            VectorError::SetFull { .. } => {
                Self::unprocessable("too_many_vectors", error.to_string())
            }
            VectorError::Cancelled => Self::cancelled(),
            VectorError::NewerFormat { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "newer_format",
                error.to_string(),
            ),
            VectorError::BrokenGraph { .. }
            | VectorError::BrokenTable { .. }
            | VectorError::BrokenFrozen { .. }
            | VectorError::ForeignGraph { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged_object",
                error.to_string(),
            ),
            _ => Self::internal(&error),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let code = match &error {
            QueryError::TooLong { .. } => "filter_too_long",
            QueryError::TooComplex { .. } => "filter_too_complex",
            QueryError::Syntax { .. } => "filter_syntax",
            QueryError::UnknownColumn { .. } => "unknown_column",
            QueryError::AmbiguousColumn { .. } => "ambiguous_column",
            QueryError::Unsupported { .. } => "filter_unsupported",
            QueryError::WrongType { .. } => "filter_type",
            QueryError::NoAnswer { .. } => "filter_no_answer",
        };
        Self::field("filter", code, error.to_string())
    }
}

impl From<TuningError> for Problem {
    fn from(error: TuningError) -> Self {
        match error {
            TuningError::Storage(inner) => inner.into(),
            TuningError::Vector(inner) => inner.into(),
            TuningError::Judgement(inner) => inner.into(),
            TuningError::Cancelled => Self::cancelled(),
            TuningError::InvalidInput(detail) => Self::unprocessable("invalid_input", detail),
            TuningError::NotFound { what, .. } => Self::not_found(
                if what == "trial" {
                    "unknown_trial"
                } else {
                    "not_found"
                },
                error.to_string(),
            ),
            TuningError::EmptyJournal(_) => Self::not_found("no_trials", error.to_string()),
            TuningError::NoPrevious(_) => Self::conflict("nothing_to_roll_back", error.to_string()),
            TuningError::NotPrevious(_) => Self::conflict("history_changed", error.to_string()),
            TuningError::AlreadyServes { .. } => {
                Self::conflict("already_serves", error.to_string())
            }
            TuningError::Stale { .. } => Self::conflict("stale_evaluation_set", error.to_string()),
            TuningError::Unfit { .. } => Self::conflict("unfit_evaluation_set", error.to_string()),
            TuningError::Damaged { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged_object",
                error.to_string(),
            ),
            TuningError::Engine(ref cause) => match cause.downcast_ref::<Self>() {
                Some(problem) => problem.clone(),
                None => Self::internal(&error),
            },
            TuningError::Worker(_) => Self::internal(&error),
        }
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Storage(inner) => inner.into(),
            IngestError::DetectorFailed(inner) => inner.into(),
            IngestError::Cancelled => Self::cancelled(),
            IngestError::BadOption { option, .. } => {
                Self::field(option, "bad_option", error.to_string())
            }
            IngestError::Connect { .. } => Self::source("source_unreachable", &error),
            IngestError::Source { .. } => Self::source("source_failed", &error),
            IngestError::Damaged { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged_object",
                error.to_string(),
            ),
            IngestError::Unreachable { ref bucket, .. } => Self::bucket(bucket, &error),
            IngestError::Spool(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "spool_failed",
                chain(&error),
            ),
            _ => match wish(&error) {
                Some((status, code)) => Self::new(status, code, error.to_string()),
                None => Self::internal(&error),
            },
        }
    }
}

/// Status and code of what the one who asked for an ingest or a read can put right.
fn wish(error: &IngestError) -> Option<(StatusCode, &'static str)> {
    let unprocessable = |code| (StatusCode::UNPROCESSABLE_ENTITY, code);
    let not_found = |code| (StatusCode::NOT_FOUND, code);
    let conflict = |code| (StatusCode::CONFLICT, code);
    Some(match error {
        IngestError::MissingFile { .. } => unprocessable("missing_file"),
        IngestError::BadFile(_) => unprocessable("bad_file"),
        IngestError::ColumnNotFound { .. } => unprocessable("unknown_column"),
        IngestError::NotText { .. } => unprocessable("not_text"),
        IngestError::RowOutOfRange { .. } => unprocessable("row_out_of_range"),
        IngestError::BadDsn { .. } => unprocessable("bad_dsn"),
        IngestError::Denied { .. } => unprocessable("source_denied"),
        IngestError::NoSuchTable { .. } => unprocessable("no_such_table"),
        IngestError::NoSuchColumn { .. } => unprocessable("no_such_column"),
        IngestError::BadQuery { .. } => unprocessable("bad_query"),
        IngestError::Value { .. } => unprocessable("value_out_of_range"),
        IngestError::Columns { .. } => unprocessable("bad_columns"),
        IngestError::BadJob { .. } => unprocessable("bad_job"),
        IngestError::NoDetector | IngestError::NobodyToAsk { .. } => unprocessable("no_detector"),
        IngestError::BadPolicy { .. } => unprocessable("bad_pii_policy"),
        IngestError::PersonalData { .. } => unprocessable("personal_data"),
        IngestError::DatasetNotFound(_) => not_found("unknown_dataset"),
        IngestError::VersionNotFound { .. } => not_found("unknown_version"),
        IngestError::VersionExpired { .. } => not_found("version_expired"),
        IngestError::SchemaDiffers { .. } => conflict("schema_differs"),
        IngestError::LivesElsewhere { .. } => conflict("lives_elsewhere"),
        IngestError::JobRunning { .. } => conflict("job_running"),
        IngestError::InClear { .. } => conflict("rows_in_clear"),
        IngestError::HashKeyDiffers { .. } => conflict("hash_key_differs"),
        IngestError::PolicyChanged { .. } | IngestError::Conflict(_) => {
            conflict("changed_meanwhile")
        }
        _ => return None,
    })
}

impl Problem {
    /// A database that is read from is at fault.
    fn source(code: &str, error: &IngestError) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, code, error.to_string())
    }
}

impl From<JudgementError> for Problem {
    fn from(error: JudgementError) -> Self {
        let (status, code) = match error.cause {
            JudgementCause::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            JudgementCause::Declined | JudgementCause::Failed | JudgementCause::Suspended => {
                (StatusCode::BAD_GATEWAY, "plugin_failed")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<PluginError> for Problem {
    fn from(error: PluginError) -> Self {
        match error {
            PluginError::Overloaded { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                error.to_string(),
            ),
            PluginError::Refused { .. } => Self::unprocessable("plugin_refused", error.to_string()),
            PluginError::Config { .. } | PluginError::Host { .. } => Self::internal(&error),
            _ => Self::new(StatusCode::BAD_GATEWAY, "plugin_failed", error.to_string()),
        }
    }
}

#[cfg(feature = "lance")]
impl From<boathouse_lance_host::Error> for Problem {
    fn from(error: boathouse_lance_host::Error) -> Self {
        use boathouse_lance_host::Error;
        let text = || chain(&error);
        match &error {
            Error::Invalid(_) => Self::unprocessable("out_of_bounds", error.to_string()),
            Error::Refused(_) => Self::unprocessable("lance_refused", text()),
            Error::TooFewRows { .. } => Self::unprocessable(
                "too_few_rows",
                format!(
                    "{error}; searches of the table are exact without it, or choose fewer partitions or the kind `ivf_hnsw_sq`"
                ),
            ),
            Error::Conflict(_) => Self::conflict("changed_meanwhile", error.to_string()),
            Error::NotVerified { .. } => Self::conflict("not_verified", error.to_string()),
            Error::Unknown(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "outcome_unknown",
                error.to_string(),
            ),
            Error::NoRoom(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "bucket_full",
                error.to_string(),
            ),
            Error::Stopped => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "storage_unavailable",
                error.to_string(),
            ),
            Error::Storage(_) => Self::storage(&error),
            Error::NoTable | Error::NoVersion | Error::Damaged(_) => {
                tracing::error!(cause = %text(), "a Lance table cannot be used");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "damaged_object",
                    format!(
                        "the Lance table cannot be used ({error}); `POST /vectors/lance/migrate/{{idx}}` with `\"again\": true` makes it anew"
                    ),
                )
            }
            Error::ForeignTable { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "newer_format",
                error.to_string(),
            ),
            Error::Source(cause) => match cause.downcast_ref::<Self>() {
                Some(problem) => problem.clone(),
                None => Self::internal(&error),
            },
            _ => Self::internal(&error),
        }
    }
}
