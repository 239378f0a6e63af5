//! What is wrong with a predicate, and where.
//!
//! One enum, its variants named by what the author of the predicate can do about it. Messages name places in the text,
//! columns and types; values of rows do not occur in them.

use std::fmt;

use sqlparser::tokenizer::Span;

/// A place in the text of a predicate, counted from 1; nowhere in particular when the line is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Line of the text.
    pub line: u64,
    /// Character in that line.
    pub character: u64,
}

/// A predicate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Say it shorter.
    #[error("the filter has {bytes} bytes and may have {most}; say it shorter")]
    TooLong {
        /// Bytes of the text.
        bytes: usize,
        /// Most that are taken.
        most: usize,
    },
    /// Say it in a simpler way.
    #[error(
        "the filter has {what}; say it in a simpler way, several values of a column with `IN (...)`"
    )]
    TooComplex {
        /// What there is too much of.
        what: String,
    },
    /// Write it as SQL.
    #[error("the filter is not a condition in SQL{place}: {detail}")]
    Syntax {
        /// Where the text stops making sense.
        place: Place,
        /// What was expected.
        detail: String,
    },
    /// Name a column that there is.
    #[error("there is no column `{name}`{place};{hint} the columns are {known}")]
    UnknownColumn {
        /// The name as it is written.
        name: String,
        /// Where it stands.
        place: Place,
        /// The nearest name, as a question.
        hint: String,
        /// The names that there are.
        known: String,
    },
    /// Say in quotes which of several columns is meant.
    #[error(
        "`{name}`{place} may be any of {candidates}; put the one that is meant in double quotes"
    )]
    AmbiguousColumn {
        /// The name as it is written.
        name: String,
        /// Where it stands.
        place: Place,
        /// The columns whose names differ from it in case only.
        candidates: String,
    },
    /// Leave it out: a filter cannot hold this.
    #[error("a filter cannot hold {what}{place}; {cure}")]
    Unsupported {
        /// What it is.
        what: String,
        /// Where it stands.
        place: Place,
        /// What to do instead.
        cure: String,
    },
    /// Compare what can be compared.
    #[error("{detail}{place}; {cure}")]
    WrongType {
        /// What does not fit.
        detail: String,
        /// Where.
        place: Place,
        /// How it would fit.
        cure: String,
    },
    /// The predicate is sound, and a row has a value for which it has no answer.
    #[error(
        "the filter has no answer for some row: {why}; leave such rows out by a condition before it, as in `n <> 0 AND 10 / n > 2`"
    )]
    NoAnswer {
        /// What happened there.
        why: &'static str,
    },
}

impl Place {
    /// The place where a piece of the text begins.
    pub(crate) fn of(span: Span) -> Self {
        Self {
            line: span.start.line,
            character: span.start.column,
        }
    }
}

/// As it follows what it is the place of.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => Ok(()),
            1 => write!(f, " (at character {})", self.character),
            line => write!(f, " (at line {line}, character {})", self.character),
        }
    }
}
