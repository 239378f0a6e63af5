//! What can go wrong while tuning, by what the caller can do about it.

use boathouse_storage::StorageError;
use boathouse_types::{IndexName, JudgementError};
use boathouse_vector::VectorError;

/// A tuning operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum TuningError {
    /// The request cannot be honoured as it is; change it.
    #[error("{0}")]
    InvalidInput(String),
    /// Nothing of that name exists.
    #[error("no {what} `{name}` for index `{index}`")]
    NotFound {
        /// Kind of thing, for example `trial`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        index: IndexName,
    },
    /// The journal holds no trial yet; run one.
    #[error("index `{0}` has no trials yet; run a trial or autotune first")]
    EmptyJournal(IndexName),
    /// The evaluation set was made for other vectors than those at hand; make or update it.
    #[error("evaluation set `{set}` is for data version `{expected}`, the index is at `{found}`")]
    Stale {
        /// The evaluation set.
        set: String,
        /// The data version it was made for.
        expected: String,
        /// The data version of the index.
        found: String,
    },
    /// The evaluation set is for vectors of another shape than those at hand, though it says otherwise, or for another
    /// index; make it anew or delete it.
    #[error(
        "evaluation set `{set}` does not fit the index: {why}; make it anew (`POST /vectors/evalsets`, `boathouse tune evalset`) or delete it"
    )]
    Unfit {
        /// The evaluation set.
        set: String,
        /// What does not fit.
        why: String,
    },
    /// A stored object is not what was written; delete or replace it.
    #[error("`{path}` is damaged: {detail}")]
    Damaged {
        /// Path within the bucket.
        path: String,
        /// What does not fit.
        detail: String,
    },
    /// Somebody asked to stop. Nothing was recorded.
    #[error("cancelled")]
    Cancelled,
    /// There is no earlier configuration to go back to.
    #[error("index `{0}` has no earlier promotion to roll back to")]
    NoPrevious(IndexName),
    /// Something else served before than what was to be put back; ask again.
    #[error("index `{0}` would go back to another configuration than was looked up; ask again")]
    NotPrevious(IndexName),
    /// The trial to promote is what serves already.
    #[error("trial `{trial}` already serves index `{index}`")]
    AlreadyServes {
        /// The trial.
        trial: String,
        /// The index.
        index: IndexName,
    },
    /// A plugin gave no usable answer.
    #[error(transparent)]
    Judgement(#[from] JudgementError),
    /// The bucket failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The engine of a table failed; the cause is its own.
    #[error("the engine of a table failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Vectors, a graph or a query were refused.
    #[error(transparent)]
    Vector(VectorError),
    /// A computation on the blocking pool died.
    #[error("a background computation died: {0}")]
    Worker(String),
}

impl From<VectorError> for TuningError {
    fn from(error: VectorError) -> Self {
        match error {
            VectorError::Cancelled => Self::Cancelled,
            other => Self::Vector(other),
        }
    }
}
