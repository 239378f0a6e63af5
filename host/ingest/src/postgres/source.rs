//! What is read at the server: a table by its name as the server writes it, or a query that is known to be one.
//!
//! Names and queries end up inside statements of ours, since `COPY` takes no parameters. A name is looked up
//! first and then written as the server quotes it. A query is prepared alone first, which the server refuses for
//! anything but one statement; what is one statement by itself cannot end the brackets that are put around it.

use crate::{IngestError, TableSource};

use super::{
    failure::Failure,
    session::{Session, get},
};

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A table, view or the like.
    Table {
        /// Schema and name as the server quotes them.
        name: String,
        /// `pg_class.relkind`.
        kind: String,
    },
    /// One `SELECT`, without a semicolon.
    Query(String),
}

const RESOLVE: &str = "
    SELECT c.relkind::text, pg_catalog.format('%I.%I', n.nspname, c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = pg_catalog.to_regclass($1)";

impl Source {
    /// Finds out what a request names.
    pub(super) async fn resolve(
        session: &mut Session,
        asked: &TableSource,
    ) -> Result<Self, IngestError> {
        match asked {
            TableSource::Table(name) => Self::table(session, name).await,
            TableSource::Query(text) => query(text).map(Self::Query),
        }
    }

    /// As the server reads the name; then letter by letter, for a name that was made in quotes.
    async fn table(session: &mut Session, asked: &str) -> Result<Self, IngestError> {
        let missing = || IngestError::NoSuchTable {
            what: format!("table `{}`", asked.escape_debug()),
        };
        let verbatim = quoted_parts(asked).ok_or_else(missing)?;
        for name in [asked, &verbatim] {
            let rows = match session.query(RESOLVE, &[&name]).await {
                // Not the form of a name, unless it is quoted.
                Err(Failure::Server { code, .. }) if code.starts_with("42") || code == "0A000" => {
                    continue;
                }
                rows => rows.map_err(Failure::at_work)?,
            };
            if let Some(row) = rows.first() {
                let kind: String = get(row, 0).map_err(Failure::at_work)?;
                let name: String = get(row, 1).map_err(Failure::at_work)?;
                return match kind.as_str() {
                    "r" | "p" | "m" | "v" | "f" => Ok(Self::Table { name, kind }),
                    _ => Err(missing()),
                };
            }
        }
        Err(missing())
    }

    /// The statement that keeps a table from being emptied or rewritten until the transaction ends. Neither is
    /// undone for a snapshot that is older.
    pub(super) fn lock(&self) -> Option<String> {
        match self {
            Self::Table { name, kind } if matches!(kind.as_str(), "r" | "p") => {
                Some(format!("LOCK TABLE {name} IN ACCESS SHARE MODE"))
            }
            Self::Table { name, .. } => Some(format!("SELECT FROM {name} LIMIT 0")),
            Self::Query(_) => None,
        }
    }

    /// The source inside a `FROM`; it is called `q`, and the columns of a query `c1`, `c2`, ….
    pub(super) fn in_from(&self, columns: usize) -> String {
        match self {
            Self::Table { name, .. } => format!("{name} AS q"),
            Self::Query(query) => {
                let names: Vec<_> = (1..=columns).map(|at| format!("c{at}")).collect();
                let names = match names.is_empty() {
                    true => String::new(),
                    false => format!("({})", names.join(",")),
                };
                // The line ends before the bracket, for a query that ends in a comment.
                format!("({query}\n) AS q{names}")
            }
        }
    }
}

/// A query without the semicolon at its end.
fn query(text: &str) -> Result<String, IngestError> {
    let text = text
        .trim()
        .trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let wrong = |reason: &str| {
        Err(IngestError::BadQuery {
            reason: reason.to_owned(),
        })
    };
    match text {
        "" => wrong("it is empty"),
        _ if text.contains('\0') => wrong("it holds a zero byte"),
        _ => Ok(text.to_owned()),
    }
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The parts of a name, each in quotes as it stands; none if there is something else in it.
fn quoted_parts(name: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut in_quotes = false;
    let mut chars = name.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut()?;
        match c {
            '\0' => return None,
            '"' if in_quotes && chars.peek() == Some(&'"') => part.extend(chars.next()),
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => parts.push(String::new()),
            c => part.push(c),
        }
    }
    let sound = !in_quotes && parts.iter().all(|part| !part.is_empty());
    sound.then(|| {
        parts
            .iter()
            .map(|part| quoted(part))
            .collect::<Vec<_>>()
            .join(".")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_part_by_part() {
        for (name, expected) in [
            ("t", Some("\"t\"")),
            ("S.My Table", Some("\"S\".\"My Table\"")),
            ("\"a.b\".\"c\"\"d\"", Some("\"a.b\".\"c\"\"d\"")),
            ("a..b", None),
            ("", None),
            ("\"a", None),
            ("a\0", None),
        ] {
            assert_eq!(quoted_parts(name).as_deref(), expected, "{name}");
        }
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn a_query_loses_its_last_semicolon_and_its_end_is_on_a_line_of_its_own() {
        let source = Source::Query(query(" select 1 -- one\n ; ").unwrap());
        assert_eq!(source.in_from(2), "(select 1 -- one\n) AS q(c1,c2)");
        assert_eq!(source.in_from(0), "(select 1 -- one\n) AS q");
        for wrong in ["", " ; ", "select '\0'"] {
            assert!(
                matches!(query(wrong), Err(IngestError::BadQuery { .. })),
                "{wrong:?}"
            );
        }
    }
}
