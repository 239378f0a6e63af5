//! What went wrong at the server, in words that hold no value of the data.
//!
//! A server's message may quote what it could not use: a text that is no number, a key that exists already.
//! Messages of the classes that are about names, rights and the server itself are shown; for a value that a
//! query choked on, the condition is named in words of ours; anything else, such as what a function of the
//! database raises, is shown by its code alone. Details, hints and contexts are never shown, but for the column that a
//! hint proposes in place of one that is not there.

use std::error::Error as _;

use tokio_postgres::{
    Error,
    error::{DbError, SqlState},
};

use crate::{
    IngestError, redact_dsn,
    tls::{self, CLOSED},
};

use super::{address::Endpoint, guard::TooLong};

/// The option of a connection text that names a file of certificates.
pub(super) const ROOTS: &str = "sslrootcert";

/// How the library calls an error of the connection, as it does not tell by type; what it could not read is another.
const COMMUNICATING: &str = "error communicating with the server";

/// Why work on a session failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server said so.
    Server {
        /// Its code, five characters.
        code: String,
        /// What may be shown of it.
        shown: String,
        /// Of a column that is not there: one that is, and is called much the same.
        nearest: Option<String>,
    },
    /// A row was longer than the guard allows.
    RowTooLong,
    /// The connection is gone, or what came is no answer.
    Lost(String),
}

impl Failure {
    /// The cause of an error of the client library.
    pub(super) fn of(error: &Error) -> Self {
        if let Some(told) = error.as_db_error() {
            return Self::Server {
                code: told.code().code().to_owned(),
                shown: shown(told),
                nearest: told.hint().and_then(|hint| nearest(told.code(), hint)),
            };
        }
        let io = error
            .source()
            .and_then(|source| source.downcast_ref::<std::io::Error>());
        if io
            .and_then(std::io::Error::get_ref)
            .is_some_and(|cause| cause.is::<TooLong>())
        {
            return Self::RowTooLong;
        }
        if let Some(io) = io.filter(|_| error.to_string() == COMMUNICATING) {
            return Self::cut(io);
        }
        match (error.is_closed(), error.source()) {
            (true, _) => Self::Lost(CLOSED.to_owned()),
            (false, Some(source)) => Self::Lost(redact_dsn(&format!("{error}: {source}"))),
            (false, None) => Self::Lost(error.to_string()),
        }
    }

    /// A connection that failed.
    fn cut(error: &std::io::Error) -> Self {
        let why = tls::reason(error, ROOTS);
        Self::Lost(match why == CLOSED {
            true => why,
            false => redact_dsn(&format!("{COMMUNICATING}: {why}")),
        })
    }

    /// Whether the server named one of these codes.
    pub(super) fn is(&self, states: &[SqlState]) -> bool {
        matches!(self, Self::Server { code, .. } if states.iter().any(|state| state.code() == code))
    }

    fn class(&self) -> &str {
        match self {
            Self::Server { code, .. } => code.get(..2).unwrap_or_default(),
            _ => "",
        }
    }

    /// As an error of getting in.
    pub(super) fn at_login(self, endpoint: &Endpoint) -> IngestError {
        match self.class() {
            "28" | "3D" | "42" => self.at_work(),
            _ => match self {
                Self::Server { shown, .. } => unreachable(endpoint, shown),
                Self::RowTooLong => unreachable(
                    endpoint,
                    "what answers there is no PostgreSQL server".to_owned(),
                ),
                Self::Lost(reason) if reason.contains("password missing") => IngestError::Denied {
                    reason: "the server asks for a password and the connection text has none"
                        .to_owned(),
                },
                Self::Lost(reason) => unreachable(endpoint, reason),
            },
        }
    }

    /// As an error of reading.
    pub(super) fn at_work(self) -> IngestError {
        let denied = self.is(&[SqlState::INSUFFICIENT_PRIVILEGE]);
        let missing = self.is(&[SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME]);
        let no_column = self.is(&[SqlState::UNDEFINED_COLUMN]);
        let locked = self.is(&[SqlState::LOCK_NOT_AVAILABLE]);
        let class = self.class().to_owned();
        match self {
            Self::Lost(reason) => IngestError::Source { reason },
            Self::RowTooLong => too_long("*"),
            Self::Server { shown, nearest, .. } => match class.as_str() {
                _ if no_column => IngestError::NoSuchColumn {
                    what: subject(&shown),
                    nearest,
                },
                _ if locked => IngestError::Source {
                    reason: "something else has locked the table for over 10 seconds".to_owned(),
                },
                _ if denied => IngestError::Denied { reason: shown },
                _ if missing => IngestError::NoSuchTable {
                    what: subject(&shown),
                },
                "28" | "3D" => IngestError::Denied { reason: shown },
                "0A" | "21" | "22" | "23" | "25" | "42" | "2F" | "38" | "44" | "54" | "P0" => {
                    IngestError::BadQuery { reason: shown }
                }
                _ => IngestError::Source { reason: shown },
            },
        }
    }
}

/// A row that does not pass the guard.
pub(super) fn too_long(column: &str) -> IngestError {
    IngestError::Value {
        column: column.to_owned(),
        problem: "a row is longer than 64 MiB".to_owned(),
        cure: "leave the long column out by a query, or cut it there".to_owned(),
    }
}

/// An endpoint that does not let us in.
pub(super) fn unreachable(endpoint: &Endpoint, reason: String) -> IngestError {
    IngestError::Connect {
        host: endpoint.shown(),
        reason: redact_dsn(&reason),
    }
}

/// What may be shown of a server's message.
fn shown(told: &DbError) -> String {
    let code = told.code().code();
    match code.get(..2) {
        Some("22" | "23" | "21") => match condition(code) {
            Some(words) => format!("{words} (SQLSTATE {code})"),
            None => format!("a value does not fit (SQLSTATE {code})"),
        },
        Some(
            "08" | "0A" | "25" | "28" | "3D" | "3F" | "40" | "42" | "53" | "54" | "55" | "57"
            | "58",
        ) => redact_dsn(&without_constants(told.message())),
        _ => format!("the server failed with SQLSTATE {code}"),
    }
}

/// A message without the place of a syntax error, where that is not a plain word: it may be a constant, which
/// the writer of a query took from the data.
fn without_constants(message: &str) -> String {
    let Some((what, place)) = message.split_once(" at or near \"") else {
        return without_odd_names(message);
    };
    let is_plain = |c: char| c.is_ascii_alphabetic() || c == '_';
    match place.trim_end_matches('"').chars().all(is_plain) {
        true => message.to_owned(),
        false => what.to_owned(),
    }
}

/// A message without quoted names that hold more than a name mostly does: in double quotes by mistake, a
/// constant is a name to the server.
fn without_odd_names(message: &str) -> String {
    let parts = message.split('"').enumerate();
    let parts: Vec<&str> = parts
        .map(
            |(at, part)| match at % 2 == 1 && !part.chars().all(is_usual) {
                true => "…",
                false => part,
            },
        )
        .collect();
    parts.join("\"")
}

fn is_usual(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.')
}

/// Words for the conditions that a query meets most.
fn condition(code: &str) -> Option<&'static str> {
    let words = match code {
        "21000" => "a subquery gave more than one row",
        "22001" => "a text is too long for its type",
        "22003" => "a number is out of range",
        "22004" => "a null stands where none may",
        "22007" => "a text is no date or time",
        "22008" => "a date or time is out of range",
        "22011" => "a part of a text begins or ends out of range",
        "22012" => "division by zero",
        "2201B" => "a regular expression is wrong",
        "2201E" => "a logarithm of zero or less",
        "2201F" => "a power that has no value",
        "22021" => "bytes that are not UTF-8",
        "22023" => "an argument has a value that a function does not take",
        "22025" => "an escape sequence is wrong",
        "2202E" => "an array index is out of range",
        "22P02" => "a text is not of the form that its type has",
        "22P03" => "bytes are not of the form that their type has",
        "22P05" => "a character has no form in UTF-8",
        _ => return None,
    };
    Some(words)
}

/// What a message like `relation "x" does not exist` is about.
fn subject(message: &str) -> String {
    let subject = message.strip_suffix(" does not exist").unwrap_or(message);
    subject.replace('"', "`")
}

/// The column that the server's hint proposes for one that is not there. Of hints nothing else is shown; this one is a
/// name of the schema.
fn nearest(code: &SqlState, hint: &str) -> Option<String> {
    if *code != SqlState::UNDEFINED_COLUMN {
        return None;
    }
    let (_, name) = hint.split_once("Perhaps you meant to reference the column \"")?;
    let (name, _) = name.split_once('"')?;
    name.chars().all(is_usual).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ends_is_told_in_words() {
        use std::io::{Error, ErrorKind};
        let cut = Error::new(
            ErrorKind::UnexpectedEof,
            "peer closed connection without sending TLS close_notify: https://docs.rs/rustls",
        );
        let lost = Failure::cut(&cut);
        assert_eq!(
            lost,
            Failure::Lost("the server closed the connection".to_owned())
        );
        let reset = Failure::cut(&Error::from(ErrorKind::ConnectionReset));
        let told = "error communicating with the server: connection reset";
        assert_eq!(reset, Failure::Lost(told.to_owned()));
    }

    #[test]
    fn a_column_that_is_not_there_is_told_with_the_nearest_one() {
        let none = SqlState::UNDEFINED_COLUMN;
        let hint =
            "Perhaps you meant to reference the column \"people.name\" or the column \"p.named\".";
        assert_eq!(nearest(&none, hint).as_deref(), Some("people.name"));
        assert_eq!(nearest(&SqlState::UNDEFINED_TABLE, hint), None);
        let odd = "Perhaps you meant to reference the column \"jane@corp.test\".";
        assert_eq!(nearest(&none, odd), None);
        let failure = Failure::Server {
            code: none.code().to_owned(),
            shown: "column \"nmae\" does not exist".to_owned(),
            nearest: Some("people.name".to_owned()),
        };
        assert_eq!(
            failure.at_work().to_string(),
            "the database has no column `nmae`; did you mean `people.name`?"
        );
    }

    #[test]
    fn a_constant_in_double_quotes_is_not_shown_as_a_name() {
        let told = "column \"jane@corp.test\" of relation \"t_1\" does not exist";
        let shown = without_constants(told);
        assert_eq!(shown, "column \"…\" of relation \"t_1\" does not exist");
    }

    fn server(code: &str, shown: &str) -> Failure {
        Failure::Server {
            code: code.to_owned(),
            shown: shown.to_owned(),
            nearest: None,
        }
    }

    #[test]
    fn a_syntax_error_shows_words_and_no_constants() {
        for (message, shown) in [
            (
                "syntax error at or near \"FRM\"",
                "syntax error at or near \"FRM\"",
            ),
            ("syntax error at or near \"'Ada'\"", "syntax error"),
            (
                "unterminated quoted string at or near \"'Ada L\"",
                "unterminated quoted string",
            ),
            (
                "syntax error at end of input",
                "syntax error at end of input",
            ),
        ] {
            assert_eq!(without_constants(message), shown);
        }
    }

    #[test]
    fn each_failure_says_what_the_caller_can_do() {
        let endpoint = Endpoint::Unix("/s".into());
        let denied = server("28P01", "password authentication failed for user \"u\"");
        assert!(matches!(
            denied.at_login(&endpoint),
            IngestError::Denied { .. }
        ));
        let none = server("3D000", "database \"d\" does not exist").at_login(&endpoint);
        assert!(matches!(none, IngestError::Denied { .. }));
        let full = server("53300", "sorry, too many clients already").at_login(&endpoint);
        assert!(matches!(full, IngestError::Connect { .. }));
        let missing = server("42P01", "relation \"x.y\" does not exist").at_work();
        assert_eq!(
            missing.to_string(),
            "the database has no relation `x.y`; check the name, or name its schema too"
        );
        let writes = server("25006", "cannot execute DELETE in a read-only transaction").at_work();
        assert!(matches!(writes, IngestError::BadQuery { .. }));
        let killed = server(
            "57P01",
            "terminating connection due to administrator command",
        );
        assert!(matches!(killed.at_work(), IngestError::Source { .. }));
        assert!(matches!(
            Failure::RowTooLong.at_work(),
            IngestError::Value { .. }
        ));
    }
}
