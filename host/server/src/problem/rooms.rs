//! Which problem each room's errors become.

use axum::http::StatusCode;
use boathouse_ingest::IngestError;
use boathouse_models::EmbedError;
use boathouse_plugins::PluginError;
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
            | VectorError::ForeignGraph { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged_object",
                error.to_string(),
            ),
            _ => Self::internal(&error),
        }
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
            TuningError::AlreadyServes { .. } => {
                Self::conflict("already_serves", error.to_string())
            }
            TuningError::Stale { .. } => Self::conflict("stale_evaluation_set", error.to_string()),
            TuningError::Damaged { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged_object",
                error.to_string(),
            ),
            TuningError::Worker(_) => Self::internal(&error),
        }
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Storage(inner) => inner.into(),
            IngestError::Cancelled => Self::cancelled(),
            IngestError::MissingFile { .. } => {
                Self::unprocessable("missing_file", error.to_string())
            }
            IngestError::BadFile(_) => Self::unprocessable("bad_file", error.to_string()),
            IngestError::BadOption { option, .. } => {
                Self::field(option, "bad_option", error.to_string())
            }
            IngestError::SchemaDiffers { .. } => {
                Self::conflict("schema_differs", error.to_string())
            }
            IngestError::DatasetNotFound(_) => {
                Self::not_found("unknown_dataset", error.to_string())
            }
            IngestError::VersionNotFound { .. } => {
                Self::not_found("unknown_version", error.to_string())
            }
            IngestError::VersionExpired { .. } => {
                Self::not_found("version_expired", error.to_string())
            }
            IngestError::ColumnNotFound { .. } => {
                Self::unprocessable("unknown_column", error.to_string())
            }
            IngestError::NotText { .. } => Self::unprocessable("not_text", error.to_string()),
            IngestError::RowOutOfRange { .. } => {
                Self::unprocessable("row_out_of_range", error.to_string())
            }
            IngestError::LivesElsewhere { .. } => {
                Self::conflict("lives_elsewhere", error.to_string())
            }
            IngestError::BadDsn { .. } => Self::unprocessable("bad_dsn", error.to_string()),
            IngestError::Connect { .. } => Self::source("source_unreachable", &error),
            IngestError::Source { .. } => Self::source("source_failed", &error),
            IngestError::Denied { .. } => Self::unprocessable("source_denied", error.to_string()),
            IngestError::NoSuchTable { .. } => {
                Self::unprocessable("no_such_table", error.to_string())
            }
            IngestError::BadQuery { .. } => Self::unprocessable("bad_query", error.to_string()),
            IngestError::Value { .. } => {
                Self::unprocessable("value_out_of_range", error.to_string())
            }
            IngestError::Columns { .. } => Self::unprocessable("bad_columns", error.to_string()),
            IngestError::JobRunning { .. } => Self::conflict("job_running", error.to_string()),
            IngestError::BadJob { .. } => Self::unprocessable("bad_job", error.to_string()),
            IngestError::DetectorFailed(inner) => inner.into(),
            IngestError::NoDetector => Self::unprocessable("no_detector", error.to_string()),
            IngestError::BadPolicy { .. } => {
                Self::unprocessable("bad_pii_policy", error.to_string())
            }
            IngestError::PolicyChanged { .. } => {
                Self::conflict("changed_meanwhile", error.to_string())
            }
            IngestError::PersonalData { .. } => {
                Self::unprocessable("personal_data", error.to_string())
            }
            IngestError::InClear { .. } => Self::conflict("rows_in_clear", error.to_string()),
            IngestError::HashKeyDiffers { .. } => {
                Self::conflict("hash_key_differs", error.to_string())
            }
            IngestError::Conflict(_) => Self::conflict("changed_meanwhile", error.to_string()),
            IngestError::Damaged { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged_object",
                error.to_string(),
            ),
            IngestError::Unreachable { .. } => Self::storage(&error),
            IngestError::Spool(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "spool_failed",
                chain(&error),
            ),
            _ => Self::internal(&error),
        }
    }
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
            JudgementCause::Declined | JudgementCause::Failed => {
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

impl From<EmbedError> for Problem {
    fn from(error: EmbedError) -> Self {
        Self::unprocessable("cannot_embed", error.to_string())
    }
}
