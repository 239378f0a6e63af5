//! What a MySQL or MariaDB server, or the driver, says when something is wrong: sorted for the caller.
//!
//! A message of the server may quote a value, and its form is not always one of a name. So only messages
//! about names keep what they quote; from others whose form is known it is taken, from the first quote to the
//! last. Of all the rest, as of what a stored function says of its own (SIGNAL), only the number is shown.

use mysql_async::{DriverError, Error, IoError, ServerError, TlsError};

use crate::{IngestError, redact_dsn, tls};

/// The option of a connection text that names a file of certificates.
const ROOTS: &str = "ssl-ca";

/// An error of the driver as one of this room.
pub(super) fn fault(error: Error) -> IngestError {
    match error {
        Error::Server(error) => said(&error),
        Error::Driver(error) => driver(&error),
        Error::Io(IoError::Io(error)) => lost(&tls::reason(&error, ROOTS)),
        Error::Io(IoError::Tls(TlsError::Tls(error))) => lost(&tls::handshake(&error, ROOTS)),
        Error::Io(IoError::Tls(error)) => lost(&format!("TLS failed: {error}")),
        Error::Url(_) => lost("the connection text cannot be used"),
        Error::Other(error) => lost(&error.to_string()),
    }
}

/// Whether the error is that a row is longer than a connection takes.
pub(super) fn is_giant(error: &Error) -> bool {
    match error {
        Error::Io(IoError::Io(error)) => {
            // The driver does not say by type which error of its codec it was.
            error.to_string().contains("larger than max_allowed_packet")
        }
        Error::Driver(DriverError::PacketTooLarge) => true,
        // Of a packet, and of the result of a function.
        Error::Server(error) => matches!(error.code, 1153 | 1301),
        _ => false,
    }
}

/// Whether the server does not know the variable that was to be set.
pub(super) fn is_unknown_variable(error: &Error) -> bool {
    matches!(error, Error::Server(error) if matches!(error.code, 1193 | 1238))
}

/// Whether a lock was not to be had in time.
pub(super) fn is_lock_timeout(error: &Error) -> bool {
    matches!(error, Error::Server(error) if error.code == 1205)
}

/// Whether a right is missing.
pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Server(error) if is_denial(error.code))
}

fn said(error: &ServerError) -> IngestError {
    let text = redact_dsn(error.message.trim());
    match error.code {
        // A stored function may say anything.
        1642..=1644 => lost(&number(error)),
        _ if error.state.starts_with("45") => lost(&number(error)),
        code if is_denial(code) => IngestError::Denied { reason: text },
        1046 => bad_dsn(),
        1049 => missing("database", &text),
        1054 => IngestError::NoSuchColumn {
            what: format!("column `{}`", quoted(&text)),
            nearest: None,
        },
        1109 | 1146 => missing("table", &text),
        1040 | 1203 | 1226 => lost(&text),
        1792 => refused("it writes, and a source is only read"),
        1064 => refused(&syntax(&text)),
        1295 => refused("it is no statement that gives rows"),
        // Of these the state says nothing: values that functions do not take, such as a text that is no date.
        1210 | 1411 | 1525 => refused(&blank(&text)),
        _ if ["21", "22", "23", "42"]
            .iter()
            .any(|class| error.state.starts_with(class)) =>
        {
            refused(&blank(&text))
        }
        code if is_plain(code, &error.state) => lost(&blank(&text)),
        _ => lost(&number(error)),
    }
}

/// A connection text without a database, where a name was not qualified.
fn bad_dsn() -> IngestError {
    IngestError::BadDsn {
        problem: "it names no default database".to_owned(),
        cure: "end its address with `/database`, or write `database.table`".to_owned(),
    }
}

/// What names an error and shows nothing of its text.
fn number(error: &ServerError) -> String {
    let is_state = error.state.len() == 5 && error.state.bytes().all(|b| b.is_ascii_alphanumeric());
    match is_state {
        true => format!("error {} (SQLSTATE {})", error.code, error.state),
        false => format!("error {}", error.code),
    }
}

/// A broken grammar: the text near which it is broken is of the query, with its values; the line is not.
fn syntax(text: &str) -> String {
    let line = text.rsplit_once("' at line ");
    let line = line.and_then(|(_, line)| line.trim().parse::<u32>().ok());
    let place = line.map(|line| format!(" at line {line}"));
    format!(
        "its syntax is wrong{}; correct the query",
        place.unwrap_or_default()
    )
}

/// Whether the text is known to hold no value but in quotes: of connections, transactions, locks and limits.
fn is_plain(code: u16, state: &str) -> bool {
    let classes = ["08", "25", "40", "70"];
    classes.iter().any(|class| state.starts_with(class))
        || matches!(
            code,
            // Of these the state says nothing: memory, disk, shutdown, locks, servers that only read, time.
            1028 | 1030 | 1037 | 1038 | 1041 | 1053 | 1114 | 1205 | 1290 | 1836 | 3024
        )
}

/// Codes that say that somebody may not do something.
fn is_denial(code: u16) -> bool {
    matches!(
        code,
        1044 | 1045
            | 1130
            | 1142
            | 1143
            | 1227
            | 1251
            | 1370
            | 1449
            | 1698
            | 1820
            | 1862
            | 3118
            | 4151
    )
}

fn driver(error: &DriverError) -> IngestError {
    match error {
        DriverError::MixedParams
        | DriverError::Params(_)
        | DriverError::StmtParamsMismatch { .. } => placeholders(),
        // These hold values or packets in their fields.
        DriverError::FromValue { .. }
        | DriverError::FromRow { .. }
        | DriverError::UnexpectedPacket { .. } => {
            lost("it sent what the driver does not understand")
        }
        DriverError::ConnectionClosed => lost(tls::CLOSED),
        DriverError::UnknownAuthPlugin { name } => IngestError::Denied {
            reason: format!("it asks for `{name}`, a way to log in that is not known here"),
        },
        DriverError::MysqlOldPasswordDisabled | DriverError::CleartextPluginDisabled => {
            IngestError::Denied {
                reason: "it asks for a way to log in that shows the password".to_owned(),
            }
        }
        other => lost(&other.to_string()),
    }
}

/// A query with `?` or `:name` in it.
pub(super) fn placeholders() -> IngestError {
    refused("it has placeholders, and there is nothing to put in their place: write the values")
}

/// A query that cannot be run.
pub(super) fn refused(reason: &str) -> IngestError {
    IngestError::BadQuery {
        reason: reason.to_owned(),
    }
}

/// A connection or a server that failed.
pub(super) fn lost(reason: &str) -> IngestError {
    IngestError::Source {
        reason: redact_dsn(reason),
    }
}

fn missing(kind: &str, text: &str) -> IngestError {
    IngestError::NoSuchTable {
        what: format!("{kind} `{}`", quoted(text)),
    }
}

/// The name that a message quotes.
fn quoted(text: &str) -> &str {
    text.split('\'').nth(1).unwrap_or_default()
}

/// The text without what it quotes.
fn blank(text: &str) -> String {
    let is_quote = |c: char| matches!(c, '\'' | '"');
    match (text.find(is_quote), text.rfind(is_quote)) {
        (Some(first), Some(last)) if first < last => {
            format!("{}'…'{}", &text[..first], &text[last + 1..])
        }
        (Some(first), _) => format!("{}…", &text[..first]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: u16, state: &str, message: &str, expected: &str) {
        let error = Error::Server(ServerError {
            code,
            state: state.to_owned(),
            message: message.to_owned(),
        });
        assert_eq!(fault(error).to_string(), expected);
    }

    #[test]
    fn what_the_server_says_is_sorted_and_quotes_no_value() {
        let cure = "check the name, or name its schema too";
        let missing = |what: &str| format!("the database has no {what}; {cure}");
        check(
            1146,
            "42S02",
            "Table 'a.b' doesn't exist",
            &missing("table `a.b`"),
        );
        check(
            1054,
            "42S22",
            "Unknown column 'x' in 'field list'",
            "the database has no column `x`; check the name",
        );
        check(
            1690,
            "22003",
            "BIGINT value is out of range in '(9 + O'Brien's)'",
            "the query cannot be run: BIGINT value is out of range in '…'",
        );
        check(
            1292,
            "22007",
            "Truncated incorrect value: 'it's",
            "the query cannot be run: Truncated incorrect value: '…'s",
        );
        check(
            1411,
            "HY000",
            "Incorrect datetime value: 'Jane' for function str_to_date",
            "the query cannot be run: Incorrect datetime value: '…' for function str_to_date",
        );
        check(
            1046,
            "3D000",
            "No database selected",
            "the connection text cannot be used: it names no default database; \
             end its address with `/database`, or write `database.table`",
        );
        check(
            1792,
            "25006",
            "Cannot execute",
            "the query cannot be run: it writes, and a source is only read",
        );
        check(
            1317,
            "70100",
            "Query execution was interrupted",
            "the database failed: Query execution was interrupted; nothing of the ingest is visible, so start it again",
        );
        check(
            1045,
            "28000",
            "Access denied for user 'me'@'host' (using password: YES)",
            "the database refuses: Access denied for user 'me'@'host' (using password: YES); \
             check user, password, database and rights",
        );
    }

    #[test]
    fn what_may_be_anything_shows_its_number_only() {
        let lost = |what: &str| {
            format!(
                "the database failed: {what}; nothing of the ingest is visible, so start it again"
            )
        };
        let signal = lost("error 1644 (SQLSTATE 45000)");
        check(1644, "45000", "no such person: Jane Doe", &signal);
        check(1644, "45000", "Jane Doe said 'no'", &signal);
        check(
            1644,
            "22003",
            "Jane Doe",
            &lost("error 1644 (SQLSTATE 22003)"),
        );
        check(
            1045,
            "45001",
            "Jane Doe",
            &lost("error 1045 (SQLSTATE 45001)"),
        );
        check(
            1105,
            "HY000",
            "at Jane Doe",
            &lost("error 1105 (SQLSTATE HY000)"),
        );
        check(
            1105,
            "99Z0Z",
            "at Jane Doe",
            &lost("error 1105 (SQLSTATE 99Z0Z)"),
        );
        check(1105, "Jane Doe", "x", &lost("error 1105"));
        let wait = "Lock wait timeout exceeded; try restarting transaction";
        check(1205, "HY000", wait, &lost(wait));
    }

    #[test]
    fn a_broken_grammar_shows_its_line_only() {
        let said = |near: &str| {
            format!(
                "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB \
                 server version for the right syntax to use near {near}"
            )
        };
        let shown = |place: &str| {
            format!("the query cannot be run: its syntax is wrong{place}; correct the query")
        };
        let near = said("'FRM t WHERE name = 'Jane Doe'' at line 3");
        check(1064, "42000", &near, &shown(" at line 3"));
        let near = said("''x' at line 9 Jane Doe' at line 12");
        check(1064, "42000", &near, &shown(" at line 12"));
        check(1064, "42000", &said("'Jane Doe"), &shown(""));
    }

    #[test]
    fn a_connection_that_ends_is_told_without_a_link() {
        let cut = std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "peer closed connection without sending TLS close_notify: https://docs.rs/rustls",
        );
        assert_eq!(
            fault(Error::from(cut)).to_string(),
            "the database failed: the server closed the connection; nothing of the ingest is visible, \
             so start it again"
        );
    }

    #[test]
    fn a_lone_quote_hides_the_rest() {
        assert_eq!(blank("near 'secret"), "near …");
        assert_eq!(blank("nothing quoted"), "nothing quoted");
    }
}
