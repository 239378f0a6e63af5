//! What can go wrong with a table, named by what the caller can do about it.
//!
//! Messages are ours and name no path, URL or value. What Lance said stands behind them as the source, for a log:
//! shortened, with everything in quotes left out, since that may be a document's name, and URLs without users and queries.

use std::{error::Error as StdError, fmt};

use crate::objects::ObjectError;

/// Longest text of a cause, in characters.
const LONGEST_CAUSE: usize = 400;

/// A failed operation on a table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Correct the request.
    #[error("{0}")]
    Invalid(String),
    /// Make the folder usable, or choose another.
    #[error("the folder cannot hold tables: {reason}")]
    UnusableFolder {
        /// What the operating system said.
        reason: String,
    },
    /// Create the table first.
    #[error("there is no such table")]
    NoTable,
    /// Choose another place, or open the table that is there.
    #[error("there is a table already")]
    TableExists,
    /// Choose a version that is there.
    #[error("the table has no such version")]
    NoVersion,
    /// Tag a version first.
    #[error("the table has no such tag")]
    NoTag,
    /// Leave it alone: another program's table, or one of a later release.
    #[error("this is not a table of vectors of this program: {reason}")]
    ForeignTable {
        /// What is not as it should be.
        reason: String,
    },
    /// Add rows, or choose another kind of index.
    #[error("this index needs {needed} rows to learn from, and the table has {found}")]
    TooFewRows {
        /// Rows that are needed.
        needed: u64,
        /// Rows that are there.
        found: u64,
    },
    /// Correct the settings: Lance does not take them.
    #[error("Lance does not take these settings")]
    Refused(#[source] Cause),
    /// Try again: somebody else changed the table in between.
    #[error("the table was changed by somebody else at the same time")]
    Conflict(#[source] Cause),
    /// Whether it was done is not known: look, then try again.
    #[error("whether the change was made is not known")]
    Unknown(#[source] Cause),
    /// Give more room to temporary files, or do less at once.
    #[error("there is not enough room for the work")]
    NoRoom(#[source] Cause),
    /// Look at the bucket.
    #[error("the bucket did not do what the table needed")]
    Storage(#[source] ObjectError),
    /// Restore the table, or make it again from the vectors that it came from.
    #[error("the table is damaged")]
    Damaged(#[source] Cause),
    /// Make the table again from the vectors: its rows are not those that went in.
    #[error("the table does not hold what was migrated: {reason}")]
    NotVerified {
        /// What differs.
        reason: String,
    },
    /// The source of a migration failed; its own error.
    #[error("the vectors to migrate could not be read")]
    Source(#[source] Box<dyn StdError + Send + Sync>),
    /// A defect; the cause belongs into a log.
    #[error("the work on the table failed")]
    Failed(#[source] Cause),
    /// The host of the tables is stopping.
    #[error("tables are being closed")]
    Stopped,
}

/// What Lance said, fit for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    pub(crate) fn of(text: &str) -> Self {
        Self(shortened(&redacted(text), LONGEST_CAUSE))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

/// Our error for one of Lance's. A function, not a `From`: that would be part of the crate's interface.
pub(crate) fn ours(error: lance::Error) -> Error {
    match object_error(&error) {
        Some(object) => Error::Storage(object.clone()),
        None => named(&error, Cause::of(&error.to_string())),
    }
}

fn named(error: &lance::Error, cause: Cause) -> Error {
    use lance::Error as Lance;
    if error.is_commit_status_unknown() {
        return Error::Unknown(cause);
    }
    match error {
        Lance::Shared { source } => named(source, cause),
        Lance::DatasetNotFound { .. } => Error::NoTable,
        Lance::DatasetAlreadyExists { .. } => Error::TableExists,
        Lance::VersionNotFound { .. } => Error::NoVersion,
        Lance::RefNotFound { .. } => Error::NoTag,
        Lance::InvalidInput { .. } | Lance::InvalidRef { .. } | Lance::NotSupported { .. } => {
            Error::Refused(cause)
        }
        Lance::CommitConflict { .. }
        | Lance::RetryableCommitConflict { .. }
        | Lance::IncompatibleTransaction { .. }
        | Lance::TooMuchWriteContention { .. }
        | Lance::RefConflict { .. } => Error::Conflict(cause),
        Lance::DiskCapExceeded { .. } => Error::NoRoom(cause),
        Lance::CorruptFile { .. } | Lance::NotFound { .. } => Error::Damaged(cause),
        _ => Error::Failed(cause),
    }
}

/// The bucket's own error, if that is where it all began. [`ObjectError::Missing`] and [`ObjectError::Exists`] are none:
/// they are answers, and Lance says what they mean.
fn object_error(error: &lance::Error) -> Option<&ObjectError> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<ObjectError>() {
            Some(ObjectError::Missing | ObjectError::Exists) => return None,
            Some(object) => return Some(object),
            None => next = error.source(),
        }
    }
    None
}

/// The beginning of a text.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text without what is in quotes, without users and queries of URLs, and without folders of the machine that built
/// this program; on one line.
fn redacted(text: &str) -> String {
    let text = unquoted(text);
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    words.join(" ")
}

/// Leaves out what is in quotes. An apostrophe within a word is none.
fn unquoted(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['\'', '"', '`']) {
        let quote = &rest[start..=start];
        let (before, behind) = (&rest[..start], &rest[start + 1..]);
        left.push_str(before);
        left.push_str(quote);
        rest = behind;
        if before.ends_with(char::is_alphanumeric) {
            continue;
        }
        let closes = |&(end, _): &(usize, &str)| {
            let after = behind[end + 1..].chars().next();
            !after.is_some_and(char::is_alphanumeric)
        };
        if let Some((end, _)) = behind.match_indices(quote).find(closes) {
            left.push_str("...");
            left.push_str(quote);
            rest = &behind[end + 1..];
        }
    }
    left.push_str(rest);
    left
}

fn word(word: &str) -> String {
    if let Some((_, file)) = word.rsplit_once("/registry/src/") {
        return file
            .split_once('/')
            .map_or(file, |(_, file)| file)
            .to_owned();
    }
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let path = path.rsplit_once('@').map_or(path, |(_, path)| path);
    format!("{scheme}://{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Cause::of(text).to_string(), expected);
    }

    #[test]
    fn a_cause_names_no_document_user_or_folder_of_the_build() {
        check(
            "no row where doc_id = 'patient-17', and `name` isn't \"O'Neill\" either",
            "no row where doc_id = '...', and `...` isn't \"...\" either",
        );
        check(
            "GET http://key:secret@host/bucket/object?X-Amz-Signature=abc failed",
            "GET http://host/bucket/object failed",
        );
        check(
            "bad page,\n /home/me/.cargo/registry/src/index.crates.io-19/lance-14.0.2/src/x.rs:1:2",
            "bad page, lance-14.0.2/src/x.rs:1:2",
        );
        assert_eq!(Cause::of(&"ab ".repeat(900)).0.len(), LONGEST_CAUSE + 3);
    }

    #[test]
    fn an_unclosed_quote_does_not_end_the_text() {
        check("the dim's wrong", "the dim's wrong");
        check("it 'begins and goes on", "it 'begins and goes on");
    }

    #[test]
    fn the_bucket_s_own_error_is_found_behind_lance_s() {
        let failed = ObjectError::Failed("no route".to_owned());
        let store = object_store::Error::Generic {
            store: "bucket",
            source: Box::new(failed.clone()),
        };
        let error = ours(lance::Error::from(store));
        assert!(matches!(error, Error::Storage(object) if object == failed));
    }

    #[test]
    fn an_object_that_exists_is_no_failure_of_the_bucket() {
        let store = object_store::Error::AlreadyExists {
            path: "versions/1".to_owned(),
            source: Box::new(ObjectError::Exists),
        };
        let error = ours(lance::Error::from(store));
        assert!(matches!(error, Error::Failed(_)));
    }
}
