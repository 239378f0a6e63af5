//! SQL text: what a caller's query may be, how names and texts are written.
//!
//! A query is one statement that gives rows and does nothing else. The server is asked to see to that, too (the
//! transaction is read only), but some of what it would do all the same it must not be asked: a `SELECT …
//! INTO` writes files and variables, a locking read sees more than the snapshot, other statements end the
//! transaction. The quoting rules are those of an empty `sql_mode`, which every session has.

use super::fault::refused;
use crate::IngestError;

/// A table as it is written in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TableName {
    pub(super) schema: Option<String>,
    pub(super) table: String,
}

impl TableName {
    /// Reads `table` or `schema.table`; a part may stand in backquotes or double quotes.
    pub(super) fn parse(text: &str) -> Result<Self, IngestError> {
        let unknown = || IngestError::NoSuchTable {
            what: format!("table `{}`", text.trim()),
        };
        let mut parts = name_parts(text.trim()).ok_or_else(unknown)?;
        match (parts.pop(), parts.pop(), parts.pop()) {
            (Some(table), schema, None) => Ok(Self { schema, table }),
            _ => Err(unknown()),
        }
    }

    /// In SQL.
    pub(super) fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote_name(schema), quote_name(&self.table)),
            None => quote_name(&self.table),
        }
    }
}

/// The parts of a name with dots between them; none where a part is empty or a quote stays open.
fn name_parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = match rest.chars().next() {
            Some(quote @ ('`' | '"')) => quoted_part(&rest[1..], quote)?,
            _ => {
                let (part, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
                (part.to_owned(), after)
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => return after.is_empty().then_some(parts),
        }
    }
}

/// What stands before the closing quote, and what after it; a doubled quote is one of the name.
fn quoted_part(text: &str, quote: char) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(quote)?;
        part.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                part.push(quote);
                rest = more;
            }
            None => return Some((part, rest)),
        }
    }
}

/// A name in SQL.
pub(super) fn quote_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in SQL, whatever is in it.
pub(super) fn quote_text(text: &str) -> String {
    format!("_utf8mb4 {}", quote_bytes(text.as_bytes()))
}

/// Bytes in SQL.
pub(super) fn quote_bytes(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len() * 2 + 3);
    out.push_str("X'");
    for byte in bytes {
        // A text takes whatever is written to it.
        let _ = write!(out, "{byte:02X}");
    }
    out.push('\'');
    out
}

/// The query without what may follow it, if it only reads.
pub(super) fn reading_query(text: &str) -> Result<&str, IngestError> {
    let mut end = None;
    let mut first = None;
    let mut previous = String::new();
    for (at, piece) in Pieces::of(text) {
        if end.is_some() {
            return Err(refused("it is more than one statement: give one"));
        }
        match piece {
            Piece::Word(word) => {
                let word = word.to_ascii_uppercase();
                match (previous.as_str(), word.as_str()) {
                    (_, "INTO") => {
                        return Err(refused("it writes (`INTO`), and a source is only read"));
                    }
                    ("FOR", "UPDATE" | "SHARE") | ("LOCK", "IN") => {
                        return Err(refused(
                            "it locks rows, which would show changes made meanwhile",
                        ));
                    }
                    _ => {}
                }
                if first.is_none() {
                    check_first(&word)?;
                    first = Some(());
                }
                previous = word;
            }
            Piece::Mark(';') => end = Some(at),
            Piece::Mark('(') if first.is_none() => {}
            Piece::Mark(_) | Piece::Quoted => {
                if first.is_none() {
                    return Err(refused("it does not begin as a query: write one `SELECT`"));
                }
                previous.clear();
            }
        }
    }
    match first {
        Some(()) => Ok(text[..end.unwrap_or(text.len())].trim_end()),
        None => Err(refused("it is empty: write one `SELECT`")),
    }
}

fn check_first(word: &str) -> Result<(), IngestError> {
    match word {
        "SELECT" | "WITH" | "TABLE" | "VALUES" => Ok(()),
        _ => Err(refused(
            "it does not begin as a query: write one `SELECT`, `WITH`, `TABLE` or `VALUES`",
        )),
    }
}

enum Piece<'a> {
    Word(&'a str),
    /// A text, or a name in quotes.
    Quoted,
    Mark(char),
}

/// What a statement consists of, with places; comments are passed over, but not those whose content the server
/// runs.
struct Pieces<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Moves past the next `end`, or to the end of the text.
    fn pass(&mut self, end: &str) {
        self.at = match self.rest().find(end) {
            Some(skip) => self.at + skip + end.len(),
            None => self.text.len(),
        };
    }

    /// Moves past a comment, if there is one.
    fn comment(&mut self) -> bool {
        let rest = self.rest();
        let dashes = rest.strip_prefix("--").is_some_and(|after| {
            after
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || c.is_control())
        });
        if rest.starts_with('#') || dashes {
            self.pass("\n");
        } else if rest.starts_with("/*!") {
            self.at += 3;
        } else if rest.starts_with("/*M!") {
            self.at += 4;
        } else if rest.starts_with("/*") {
            self.at += 2;
            self.pass("*/");
        } else {
            return false;
        }
        true
    }

    /// Moves past a text or name in quotes, whose first quote was passed.
    fn quoted(&mut self, quote: char) {
        let mut chars = self.rest().char_indices();
        while let Some((skip, c)) = chars.next() {
            if c == '\\' && quote != '`' {
                chars.next();
            } else if c == quote {
                self.at += skip + 1;
                return;
            }
        }
        self.at = self.text.len();
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (usize, Piece<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest();
            let c = rest.chars().next()?;
            if c.is_whitespace() {
                self.at += c.len_utf8();
                continue;
            }
            if self.comment() {
                continue;
            }
            let start = self.at;
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
            let piece = if is_word(c) {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                self.at += length;
                Piece::Word(&rest[..length])
            } else {
                self.at += c.len_utf8();
                match c {
                    '\'' | '"' | '`' => {
                        self.quoted(c);
                        Piece::Quoted
                    }
                    mark => Piece::Mark(mark),
                }
            };
            return Some((start, piece));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_name(text: &str, expected: Option<&str>) {
        let name = TableName::parse(text).ok().map(|name| name.quoted());
        assert_eq!(name.as_deref(), expected, "{text}");
    }

    #[test]
    fn names_are_read_with_and_without_quotes() {
        check_name("orders", Some("`orders`"));
        check_name(" shop.orders ", Some("`shop`.`orders`"));
        check_name("`my shop`.`a``b.c`", Some("`my shop`.`a``b.c`"));
        check_name("\"shop\".orders", Some("`shop`.`orders`"));
        check_name("a`b", Some("`a``b`"));
        for wrong in ["", ".", "a.", ".a", "a.b.c", "`a", "`a`b", "``"] {
            check_name(wrong, None);
        }
    }

    #[test]
    fn texts_are_written_so_that_nothing_in_them_counts() {
        assert_eq!(quote_text("a'\\"), "_utf8mb4 X'61275C'");
        assert_eq!(quote_bytes(&[0, 255]), "X'00FF'");
    }

    #[test]
    fn one_statement_that_reads_is_a_query() {
        for (query, kept) in [
            ("SELECT 1", "SELECT 1"),
            (" select 1 ; -- done", " select 1"),
            ("/* why */ (SELECT 1) # end", "/* why */ (SELECT 1) # end"),
            (
                "WITH a AS (SELECT 1) SELECT * FROM a",
                "WITH a AS (SELECT 1) SELECT * FROM a",
            ),
            (
                "SELECT 'a;b', \"into\", `into`, 'it''s \\' into'",
                "SELECT 'a;b', \"into\", `into`, 'it''s \\' into'",
            ),
            ("SELECT 2--1", "SELECT 2--1"),
            (
                "SELECT SUBSTRING('a' FROM 1 FOR 2)",
                "SELECT SUBSTRING('a' FROM 1 FOR 2)",
            ),
        ] {
            assert_eq!(reading_query(query).unwrap(), kept);
        }
    }

    #[test]
    fn whatever_else_a_server_would_do_is_refused() {
        for query in [
            "",
            "-- nothing",
            "DELETE FROM a",
            "CALL p()",
            "SET @a = 1",
            "EXPLAIN SELECT 1",
            "'SELECT'",
            "SELECT 1; SELECT 2",
            "SELECT 1 INTO OUTFILE '/tmp/a'",
            "SELECT 1 /*!50000 INTO DUMPFILE '/tmp/a' */",
            "SELECT 1 /*M! INTO @a */",
            "SELECT * FROM a FOR UPDATE",
            "SELECT * FROM a FOR /* x */ SHARE",
            "SELECT * FROM a LOCK IN SHARE MODE",
            "/*! DELETE FROM a */",
        ] {
            let error = reading_query(query).expect_err(query);
            assert!(
                matches!(error, IngestError::BadQuery { .. }),
                "{query}: {error}"
            );
        }
    }
}
