//! What a server says about a table of its own.
//!
//! Each column becomes text by an expression that its type decides, so that equal values have equal texts here and in
//! `landed`; the server does the rest in one query.

use boathouse_db_server::Product;
use serde_json::Value;

use super::{ColumnSummary, Summary};
use crate::support::db::Database;

/// How one kind of server is asked.
pub(super) struct Dialect {
    /// The route that ingests from it.
    pub(super) route: &'static str,
    /// Around a name.
    quote: char,
    /// A number that is null.
    null: &'static str,
    /// What the client writes for a backslash.
    backslash: &'static str,
    /// Columns of a table: name and type, in order.
    columns: fn(table: &str) -> String,
    /// A column of a type as text.
    text: fn(column: &str, kind: &str) -> String,
    /// Whether a type is summed.
    is_number: fn(kind: &str) -> bool,
    /// Sums up columns `c0`... and numbers `n0`... of a relation as one JSON array of texts.
    query: fn(width: usize, relation: &str) -> String,
}

pub(super) const POSTGRES: Dialect = Dialect {
    route: "/ingest/db",
    quote: '"',
    null: "NULL::integer",
    backslash: r"\",
    columns: |table| {
        format!(
            "SELECT attname, format_type(coalesce(nullif(typbasetype, 0), atttypid), \
             CASE WHEN typbasetype = 0 THEN atttypmod END) \
             FROM pg_attribute JOIN pg_type t ON t.oid = atttypid \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;"
        )
    },
    text: postgres_text,
    is_number: |kind| {
        matches!(kind, "smallint" | "integer" | "bigint") || kind.starts_with("numeric(")
    },
    query: |width, relation| {
        let row = format!(
            "array_to_string(ARRAY[{}], chr(31), chr(30))",
            list(width, |at| format!("c{at}"))
        );
        let columns = list(width, |at| {
            format!(
                "count(c{at})::text, count(DISTINCT c{at})::text, min(c{at}), max(c{at}), sum(n{at})::text"
            )
        });
        let hash = format!("substr(encode(sha256(convert_to({row}, 'UTF8')), 'hex'), 1, 15)");
        format!(
            "SELECT array_to_json(ARRAY[count(*)::text, sum(('x' || {hash})::bit(60)::bigint)::text, {columns}]) \
             FROM {relation};"
        )
    },
};

pub(super) const MARIADB: Dialect = Dialect {
    route: "/ingest/mysql",
    quote: '`',
    null: "NULL",
    backslash: r"\\",
    columns: |table| {
        let (schema, table) = match table.split_once('.') {
            Some((schema, table)) => (format!("'{schema}'"), table),
            None => ("DATABASE()".to_owned(), table),
        };
        format!(
            "SELECT column_name, column_type FROM information_schema.columns \
             WHERE table_schema = {schema} AND table_name = '{table}' ORDER BY ordinal_position;"
        )
    },
    text: mariadb_text,
    is_number: |kind| {
        (kind.contains("int(") && !kind.starts_with("tinyint(1)")) || kind.starts_with("decimal(")
    },
    query: |width, relation| {
        let row = list(width, |at| format!("COALESCE(c{at}, CHAR(30))"));
        let columns = list(width, |at| {
            format!(
                "CAST(COUNT(c{at}) AS CHAR), CAST(COUNT(DISTINCT c{at}) AS CHAR), MIN(c{at}), MAX(c{at}), \
                 CAST(SUM(n{at}) AS CHAR)"
            )
        });
        let hash = format!("CONV(SUBSTR(SHA2(CONCAT_WS(CHAR(31), {row}), 256), 1, 15), 16, 10)");
        format!(
            "SET time_zone = '+00:00'; \
             SELECT JSON_ARRAY(CAST(COUNT(*) AS CHAR), CAST(SUM(CAST({hash} AS UNSIGNED)) AS CHAR), {columns}) \
             FROM {relation};"
        )
    },
};

fn list(width: usize, item: impl Fn(usize) -> String) -> String {
    (0..width).map(item).collect::<Vec<_>>().join(", ")
}

fn postgres_text(column: &str, kind: &str) -> String {
    if kind.starts_with("timestamp") {
        let zone = if kind.ends_with("with time zone") {
            " AT TIME ZONE 'UTC'"
        } else {
            ""
        };
        format!("to_char({column}{zone}, 'YYYY-MM-DD HH24:MI:SS.US')")
    } else if kind.starts_with("time") {
        format!("to_char({column}, 'HH24:MI:SS.US')")
    } else if kind.starts_with("interval") {
        format!(
            "extract(year FROM {column}) * 12 + extract(month FROM {column}) || ' ' || extract(day FROM {column}) || \
             ' ' || ((extract(hour FROM {column}) * 60 + extract(minute FROM {column})) * 60000000 \
             + extract(microseconds FROM {column}))::bigint"
        )
    } else if kind == "bytea" {
        format!("encode({column}, 'hex')")
    } else if kind.ends_with("[]") {
        format!("array_to_json({column})::text")
    } else if kind == "boolean" {
        format!("{column}::text")
    } else {
        // What the server prints, blanks at the end included.
        format!("CASE WHEN {column} IS NOT NULL THEN concat({column}) END")
    }
}

fn mariadb_text(column: &str, kind: &str) -> String {
    let (kind, arguments) = kind.split_once('(').unwrap_or((kind, ""));
    let text = match kind {
        "tinyint" if arguments.starts_with("1)") => {
            format!("CASE WHEN {column} IS NOT NULL THEN IF({column}, 'true', 'false') END")
        }
        "bit" => format!("CAST({column} + 0 AS CHAR)"),
        "time" => format!("CAST(CAST(ROUND(TIME_TO_SEC({column}) * 1000000) AS SIGNED) AS CHAR)"),
        "datetime" | "timestamp" => format!("DATE_FORMAT({column}, '%Y-%m-%d %H:%i:%s.%f')"),
        "set" => format!(
            "IF({column} = '', '[]', CONCAT('[\"', REPLACE({column}, ',', '\",\"'), '\"]'))"
        ),
        kind if kind.ends_with("blob") || kind.ends_with("binary") => {
            format!("LOWER(HEX({column}))")
        }
        _ => format!("CAST({column} AS CHAR)"),
    };
    format!("CONVERT({text} USING utf8mb4) COLLATE utf8mb4_nopad_bin")
}

/// Asks a server about a table.
pub(super) async fn summary<P: Product>(
    dialect: &Dialect,
    database: &Database<P>,
    table: &str,
) -> Summary {
    let columns = database.execute(&(dialect.columns)(table)).await;
    let columns: Vec<(&str, &str)> = columns
        .lines()
        .map(|line| line.split_once('\t').expect("name and type"))
        .collect();
    let select = list(columns.len(), |at| {
        let (name, kind) = columns[at];
        let column = format!("{0}{name}{0}", dialect.quote);
        let number = if (dialect.is_number)(kind) {
            &column
        } else {
            dialect.null
        };
        format!(
            "{} AS c{at}, {number} AS n{at}",
            (dialect.text)(&column, kind)
        )
    });
    let relation = format!("(SELECT {select} FROM {table}) AS texts");
    let said = database
        .execute(&(dialect.query)(columns.len(), &relation))
        .await;
    read(&columns, &said.replace(dialect.backslash, r"\"))
}

fn read(columns: &[(&str, &str)], said: &str) -> Summary {
    let said: Vec<Option<String>> = serde_json::from_str::<Vec<Value>>(said)
        .expect("JSON")
        .into_iter()
        .map(|text| text.as_str().map(ToOwned::to_owned))
        .collect();
    let count = |at: usize| {
        said[at]
            .as_deref()
            .and_then(|text| text.parse().ok())
            .expect("a count")
    };
    let columns = columns.iter().enumerate().map(|(at, (name, _))| {
        let first = 2 + 5 * at;
        ColumnSummary {
            name: (*name).to_owned(),
            values: count(first),
            distinct: count(first + 1),
            least: said[first + 2].clone(),
            greatest: said[first + 3].clone(),
            sum: said[first + 4].clone(),
        }
    });
    Summary {
        rows: count(0),
        digest: said[1].clone().unwrap_or_else(|| "0".to_owned()),
        columns: columns.collect(),
    }
}
