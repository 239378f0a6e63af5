//! What a database is called in lineage, messages and manifests: its place, and the table or the query.
//!
//! Names in lineage are those of OpenLineage (its page "Naming"). A query has none there: it goes by its database and
//! a digest of its text without constants, so that queries which differ in constants alone share a name, and nobody can
//! try out from it what a constant was.
//!
//! No credentials and no constants: a place is read from the text that [`redact_dsn`] gives, and of a query
//! all literals and comments are blanked, because a condition may name a person. Where a text can be read in
//! two ways, as with a backslash inside quotes, the rest of the query is left out.

use ring::digest::{SHA256, digest};

use super::{TableSource, TableSystem};
use crate::{Dsn, SourceInfo, file::clean_label, redact_dsn};

/// What stands for a literal.
const BLANK: char = '?';

/// Bytes of the digest of a query that its name has.
const DIGEST_BYTES: usize = 8;

/// Where the rows come from.
pub(super) fn source_info(system: TableSystem, dsn: &Dsn, source: &TableSource) -> SourceInfo {
    let place = Place::of(&redact_dsn(dsn.expose()), system.port());
    // A host that is the folder of a socket is one part of the authority.
    let host = place.host.replace('/', "%2F");
    let namespace = format!("{}://{host}:{}", system.name(), place.port);
    let what = subject(system, source);
    let label = format!("{}:{}/{}: {what}", place.host, place.port, place.database);
    SourceInfo {
        namespace: Some(clean_label(&namespace)),
        name: Some(clean_label(&name(system, &place.database, source))),
        ..SourceInfo::new(system.name(), clean_label(&label))
    }
}

/// What OpenLineage calls a table, and we a query.
fn name(system: TableSystem, database: &str, source: &TableSource) -> String {
    let (name, has_database) = match source {
        TableSource::Query(query) => {
            let digest = digest(&SHA256, blanked(query, system).as_bytes());
            let digits = digest.as_ref().iter().take(DIGEST_BYTES);
            let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
            (format!("query.{digits}"), false)
        }
        TableSource::Table(table) => {
            let (name, parts) = unquoted(table.trim(), system);
            let own = match system {
                TableSystem::Postgres => 3,
                TableSystem::Mysql => 2,
            };
            (name, parts >= own)
        }
    };
    match has_database || database.is_empty() {
        true => name,
        false => format!("{database}.{name}"),
    }
}

/// A name without the quotes around its parts, and how many parts it has.
fn unquoted(table: &str, system: TableSystem) -> (String, usize) {
    let quote = match system {
        TableSystem::Postgres => '"',
        TableSystem::Mysql => '`',
    };
    let (mut name, mut parts, mut is_quoted) = (String::new(), 1, false);
    let mut rest = table.chars().peekable();
    while let Some(next) = rest.next() {
        if next == quote {
            // Inside quotes two of them are one.
            if is_quoted && rest.next_if_eq(&quote).is_some() {
                name.push(quote);
            } else {
                is_quoted = !is_quoted;
            }
            continue;
        }
        parts += usize::from(next == '.' && !is_quoted);
        name.push(next);
    }
    (name, parts)
}

/// The table or query alone, wherever the database is.
pub(super) fn subject(system: TableSystem, source: &TableSource) -> String {
    match source {
        TableSource::Table(table) => clean_label(table),
        TableSource::Query(query) => clean_label(&blanked(query, system)),
    }
}

/// Where a database is.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: String,
    database: String,
}

impl Place {
    /// Reads a connection text whose credentials are hidden; what it does not say is as the systems take it.
    fn of(dsn: &str, port: &str) -> Self {
        let (host, given_port, database) = match dsn.split_once("://") {
            Some((_, rest)) => of_url(rest),
            None => of_pairs(dsn),
        };
        let or = |text: String, default: &str| match text.is_empty() {
            true => default.to_owned(),
            false => text,
        };
        Self {
            host: or(host, "localhost"),
            port: or(given_port, port),
            database,
        }
    }
}

/// Host, port and database of `user@host:port/database?…`.
fn of_url(rest: &str) -> (String, String, String) {
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, database) = match rest.rsplit_once('@') {
        Some((_, after)) => after.split_once('/').unwrap_or((after, "")),
        None => rest.split_once('/').unwrap_or((rest, "")),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    };
    (host.to_owned(), port.to_owned(), database.to_owned())
}

/// Host, port and database of `host=… port=… dbname=…`.
fn of_pairs(dsn: &str) -> (String, String, String) {
    let value = |keys: &[&str]| {
        let words = dsn.split([' ', '\t', '\n', ';']);
        let mut pairs = words.filter_map(|word| word.split_once('='));
        let found = pairs.find(|(key, _)| keys.contains(key));
        found.map_or_else(String::new, |(_, value)| {
            value.trim_matches('\'').to_owned()
        })
    };
    (
        value(&["host", "hostaddr"]),
        value(&["port"]),
        value(&["dbname", "database"]),
    )
}

/// A query without its literals and comments, in one line.
fn blanked(query: &str, system: TableSystem) -> String {
    let mut out = String::new();
    let mut rest = query.trim();
    while let Some(next) = rest.chars().next() {
        let after_word = out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$'));
        let is_text = next == '\'' || (next == '"' && system == TableSystem::Mysql);
        let used = if is_text {
            out.push(BLANK);
            quoted_length(rest, next)
        } else if next == '"' || next == '`' {
            let name = quoted_length(rest, next);
            out.push_str(name.map_or("", |length| &rest[..length]));
            name
        } else if next == '$' && !after_word {
            out.push(BLANK);
            dollar_length(rest)
        } else if next.is_ascii_digit() && !after_word {
            out.push(BLANK);
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '.'));
            Some(end.unwrap_or(rest.len()))
        } else if let Some(comment) = comment_length(rest, system) {
            comment
        } else {
            out.push(next);
            Some(next.len_utf8())
        };
        match used {
            Some(used) => rest = &rest[used..],
            None => {
                out.push('…');
                break;
            }
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How long the quoted text is with which `text` begins; none when that cannot be told.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        let end = at + text[at..].find(quote)?;
        if quote != '`' && text[at..end].contains('\\') {
            return None;
        }
        if !text[end + 1..].starts_with(quote) {
            return Some(end + 1);
        }
        at = end + 2;
    }
}

/// How long `$tag$…$tag$` or `$1` is.
fn dollar_length(text: &str) -> Option<usize> {
    let tag = 1 + text[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    if !text[tag..].starts_with('$') {
        return Some(tag);
    }
    let mark = &text[..=tag];
    let body = &text[mark.len()..];
    Some(mark.len() + body.find(mark)? + mark.len())
}

/// How long the comment is with which `text` begins, if it does with one; none inside when it has no end.
fn comment_length(text: &str, system: TableSystem) -> Option<Option<usize>> {
    let is_line = text.starts_with("--") || (text.starts_with('#') && system == TableSystem::Mysql);
    if is_line {
        return Some(Some(text.find('\n').unwrap_or(text.len())));
    }
    let body = text.strip_prefix("/*")?;
    // In Postgres comments nest: what follows one inside another may still be a comment.
    Some(match body.split_once("*/") {
        Some((comment, _)) if !comment.contains("/*") => Some(comment.len() + 4),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_place(dsn: &str, expected: &str) {
        let place = Place::of(&redact_dsn(dsn), "5432");
        let shown = format!("{}:{}/{}", place.host, place.port, place.database);
        assert_eq!(shown, expected, "{dsn}");
    }

    #[test]
    fn a_place_is_host_port_and_database_and_never_a_secret() {
        check_place(
            "postgres://me:secret@db:6000/shop?sslmode=require",
            "db:6000/shop",
        );
        check_place("postgres://db/shop", "db:5432/shop");
        check_place("mysql://me:p@ss/w:rd@db/shop", "db:5432/shop");
        check_place("postgres://me:secret@[::1]:7/shop", "[::1]:7/shop");
        check_place("host=db user=me password='a b' dbname=shop", "db:5432/shop");
        check_place("user=me password=secret", "localhost:5432/");
        check_place("nonsense", "localhost:5432/");
    }

    #[test]
    fn tables_have_names_and_queries_have_no_literals() {
        let dsn = Dsn::new("postgres://me:secret@db/shop");
        let of = |source| source_info(TableSystem::Postgres, &dsn, &source);
        let table = of(TableSource::Table("public.orders".to_owned()));
        assert_eq!(table.label, "db:5432/shop: public.orders");
        assert_eq!(table.namespace.as_deref(), Some("postgres://db:5432"));
        assert_eq!(table.name.as_deref(), Some("shop.public.orders"));
        let query = "SELECT * FROM orders\n WHERE name = 'Jane Doe' AND id > 17";
        let query = of(TableSource::Query(query.to_owned()));
        assert_eq!(
            query.label,
            "db:5432/shop: SELECT * FROM orders WHERE name = ? AND id > ?"
        );
        assert!(!query.label.contains("secret"));
    }

    #[track_caller]
    fn check_name(system: TableSystem, dsn: &str, table: &str, namespace: &str, name: &str) {
        let info = source_info(
            system,
            &Dsn::new(dsn),
            &TableSource::Table(table.to_owned()),
        );
        assert_eq!(info.namespace.as_deref(), Some(namespace));
        assert_eq!(info.name.as_deref(), Some(name));
    }

    #[test]
    fn a_table_has_the_name_that_openlineage_gives_it() {
        use TableSystem::{Mysql, Postgres};
        let (pg, my) = ("postgres://db/shop", "mysql://db/shop");
        let place = "postgres://db:5432";
        check_name(Postgres, pg, "public.orders", place, "shop.public.orders");
        check_name(
            Postgres,
            pg,
            "\"My \"\"own\"\".a\".\"b\"",
            place,
            "shop.My \"own\".a.b",
        );
        check_name(Postgres, pg, "shop.public.t", place, "shop.public.t");
        check_name(Mysql, my, "`orders`", "mysql://db:3306", "shop.orders");
        check_name(Mysql, my, "other.orders", "mysql://db:3306", "other.orders");
        let socket = "host=/run/pg dbname=shop";
        check_name(
            Postgres,
            socket,
            "a.b",
            "postgres://%2Frun%2Fpg:5432",
            "shop.a.b",
        );
    }

    #[test]
    fn a_query_has_a_name_of_its_own_without_its_constants() {
        let dsn = Dsn::new("postgres://me:secret@db/shop");
        let name = |query: &str| {
            let query = TableSource::Query(query.to_owned());
            source_info(TableSystem::Postgres, &dsn, &query).name
        };
        let jane = name("SELECT * FROM orders WHERE name = 'Jane'").unwrap();
        let digest = jane.strip_prefix("shop.query.").unwrap();
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(digest.len() == 16 && digest.chars().all(is_hex), "{jane}");
        assert_eq!(
            name("SELECT *\n FROM orders WHERE name = 'John'"),
            Some(jane.clone()),
            "constants do not count"
        );
        assert_ne!(
            name("SELECT id FROM orders WHERE name = 'Jane'"),
            Some(jane)
        );
        // What the label does not show any more counts too.
        let long = |end: &str| name(&format!("SELECT {} FROM {end}", "a, ".repeat(200)));
        assert_ne!(long("t"), long("u"));
    }

    #[track_caller]
    fn check_query(system: TableSystem, query: &str, expected: &str) {
        assert_eq!(blanked(query, system), expected);
    }

    #[test]
    fn constants_go_and_names_stay() {
        use TableSystem::{Mysql, Postgres};
        check_query(
            Postgres,
            "SELECT a1, \"b 2\" FROM t3",
            "SELECT a1, \"b 2\" FROM t3",
        );
        check_query(
            Mysql,
            "SELECT `b 2`, \"x\" FROM t3",
            "SELECT `b 2`, ? FROM t3",
        );
        check_query(Postgres, "SELECT 'it''s', 1.5e3, -7", "SELECT ?, ?, -?");
        check_query(Postgres, "SELECT $x$it's$x$, $1, $$y$$", "SELECT ?, ?, ?");
        check_query(
            Postgres,
            "SELECT a -- Jane\nFROM t /* Doe */",
            "SELECT a FROM t",
        );
        check_query(Mysql, "SELECT a # Jane\nFROM t", "SELECT a FROM t");
        check_query(Postgres, "SELECT 'an accent: é', ü", "SELECT ?, ü");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_left_out() {
        use TableSystem::{Mysql, Postgres};
        check_query(Postgres, r"SELECT 'a\' || x || 'Jane'", "SELECT ?…");
        check_query(Mysql, r"SELECT 'a\' , Jane'", "SELECT ?…");
        check_query(Postgres, "SELECT 'Jane", "SELECT ?…");
        check_query(Postgres, "SELECT $x$Jane", "SELECT ?…");
        check_query(Postgres, "SELECT /* a /* b */ Jane */ c", "SELECT …");
        check_query(Postgres, "SELECT /* Jane", "SELECT …");
    }
}
