//! The errors of this room, named by what the caller can do about them.

use std::fmt;

/// Why a vector, an option or stored bytes were refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// The vector has another number of components than the set.
    #[error("{at} has {found} components where {expected} are expected")]
    WrongDimension {
        /// Which vector.
        at: Place,
        /// Components of the set.
        expected: usize,
        /// Components of the vector.
        found: usize,
    },
    /// The vector has a component that is NaN or infinite.
    #[error("component {component} of {at} is not a finite number")]
    NotFinite {
        /// Which vector.
        at: Place,
        /// Zero-based position of the first such component.
        component: usize,
    },
    /// The vector is zero and has no direction.
    #[error("{at} is a zero vector, which has no cosine distance")]
    ZeroVector {
        /// Which vector.
        at: Place,
    },
    /// The vector is so long that distances to it would not be finite.
    #[error("{at} is too long for distances in 32-bit floats: scale the vectors down")]
    TooLong {
        /// Which vector.
        at: Place,
    },
    /// The set is full.
    #[error("a set holds at most {limit} vectors: split it")]
    SetFull {
        /// Rows that a set can hold.
        limit: u32,
    },
    /// A build option is out of its bounds.
    #[error("{option} is {value}, allowed are {low} to {high}")]
    OptionOutOfBounds {
        /// Name of the option.
        option: &'static str,
        /// What was asked.
        value: u64,
        /// Least allowed value.
        low: u64,
        /// Greatest allowed value.
        high: u64,
    },
    /// The build was told to stop.
    #[error("the build was cancelled")]
    Cancelled,
    /// The threads of a build could not be started.
    #[error("the threads of the build could not be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The graph was built over other vectors.
    #[error("the graph does not belong to these vectors ({what} differs): rebuild it")]
    ForeignGraph {
        /// The first property that differs.
        what: &'static str,
    },
    /// Stored graph bytes cannot be used.
    #[error("the stored graph cannot be used ({reason}): rebuild it")]
    BrokenGraph {
        /// What is wrong with them.
        reason: String,
    },
    /// Stored bytes are of a later release: update this program.
    #[error(
        "the stored {what} have format version {found} and this program reads up to version {supported}: update boathouse"
    )]
    NewerFormat {
        /// What they are, in the plural.
        what: &'static str,
        /// Their version.
        found: u64,
        /// The newest version known here.
        supported: u64,
    },
    /// Stored vectors cannot be used.
    #[error("the stored vectors cannot be used ({reason}): embed them again")]
    BrokenTable {
        /// What is wrong with them.
        reason: String,
    },
    /// Frozen vectors cannot be used.
    #[error("the frozen vectors cannot be used ({reason}): freeze them anew from the stored ones")]
    BrokenFrozen {
        /// What is wrong with them.
        reason: String,
    },
    /// A vector of a piece of a text among such of whole texts, or the other way round.
    #[error(
        "vector {row} is of a piece of a text and others are of whole texts, or the other way round: embed them alike"
    )]
    MixedPieces {
        /// Number of the vector.
        row: u64,
    },
    /// Vectors could not be written as Parquet.
    #[error("the vectors could not be written as parquet")]
    TableWrite(#[source] parquet::errors::ParquetError),
}

/// The vector that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A row of the set, counted from zero.
    Row(u64),
    /// The query.
    Query,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row) => write!(f, "row {row}"),
            Self::Query => f.write_str("the query"),
        }
    }
}
