//! Every type and its edge values, against what the server prints.

mod columns;

use serde_json::{Value, json};

use super::{cell, check_refused, ingest, landed, report, wish};
use crate::support::{Host, db};
use columns::{COLUMNS, How, TYPES, everything};

/// Whether a value that was read is what the server prints.
fn same(how: How, ours: &str, theirs: &str) -> bool {
    let json = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let float = |text: &str| text.parse::<f64>().expect("a float").to_bits();
    match how {
        How::Text => ours == theirs,
        How::Float => float(ours) == float(theirs),
        How::Json => json(ours) == json(theirs),
    }
}

#[tokio::test]
async fn every_value_is_what_the_server_prints() {
    let Some(database) = db::postgres_with(&everything()).await else {
        return;
    };
    let host = Host::fresh();
    let result = ingest(&host, &wish(&database.dsn(), "table", "everything")).await;
    assert_eq!(report(&result)["nulled"], Value::Null, "{result}");
    let rows = landed::rows(&host.data);
    let schema = rows.schema();
    for (at, column) in COLUMNS.iter().enumerate() {
        let (field, array) = (schema.field(at + 1), rows.column(at + 1));
        let arrow = field.data_type().to_string();
        assert!(arrow.starts_with(column.arrow), "{}: {arrow}", column.kind);
        let expression = column.asked.replace("{}", &format!("c{at}"));
        let sql = format!("SELECT id, {expression} FROM everything ORDER BY id");
        let said = database.execute(&sql).await;
        let said: Vec<&str> = said
            .lines()
            .map(|line| line.split_once('\t').expect("two cells").1)
            .collect();
        assert_eq!(said.len(), rows.num_rows(), "{}", column.kind);
        for (row, theirs) in said.iter().enumerate() {
            let value = column.values.get(row);
            let Some(ours) = landed::text(field, array, row) else {
                assert_eq!((*theirs, value), ("\\N", None), "{} row {row}", column.kind);
                continue;
            };
            assert!(
                value.is_some() && same(column.how, &ours, theirs),
                "{} row {row}: {ours} is not {theirs}",
                column.kind
            );
        }
    }
}

#[tokio::test]
async fn columns_keep_what_they_are_at_the_source() {
    let Some(database) = db::postgres_with(&format!(
        "{TYPES} CREATE TABLE t (id int NOT NULL, m mood, n numeric(10,2) NOT NULL, v varchar(20), u uuid, j jsonb,
            dropped text, doubled int GENERATED ALWAYS AS (id * 2) STORED, \"Odd \"\"name\" text, a int[]);
         ALTER TABLE t DROP COLUMN dropped;
         INSERT INTO t (id, n, a) VALUES (1, 1, '[0:0][1:2]={{{{7,8}}}}'), (2, 2, '{{{{9}}}}');"
    ))
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let result = ingest(&host, &wish(&database.dsn(), "table", "t")).await;
    let rows = landed::rows(&host.data);
    let schema = rows.schema();
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(
        names,
        ["id", "m", "n", "v", "u", "j", "doubled", "Odd \"name", "a"]
    );
    let nullable: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.is_nullable())
        .collect();
    assert_eq!(
        nullable,
        [false, true, false, true, true, true, true, true, true]
    );
    let said = |column: &str, key: &str| {
        let field = schema.field_with_name(column).expect("a column");
        field.metadata().get(key).cloned().unwrap_or_default()
    };
    assert_eq!(said("n", "boathouse.source_type"), "numeric(10,2)");
    assert_eq!(said("v", "boathouse.source_type"), "character varying(20)");
    assert_eq!(
        said("m", "boathouse.enum_labels"),
        "[\"sad\",\"happy, or so\"]"
    );
    assert_eq!(said("u", "ARROW:extension:name"), "arrow.uuid");
    assert_eq!(said("j", "ARROW:extension:name"), "arrow.json");
    assert_eq!(said("a", "boathouse.array_bounds"), "from 0 to 1");
    let notes = report(&result)["notes"].to_string();
    assert!(
        notes.contains("1 array of `a` does not begin at 1"),
        "{notes}"
    );
    assert_eq!(
        landed::text(schema.field(8), rows.column(8), 0).as_deref(),
        Some("[[7,8]]")
    );
}

#[tokio::test]
async fn the_portable_mapping_gives_five_types() {
    let Some(database) = db::postgres_with(&everything()).await else {
        return;
    };
    let host = Host::fresh();
    let mut wish = wish(&database.dsn(), "table", "everything");
    wish["types"] = json!("portable");
    ingest(&host, &wish).await;
    let rows = landed::rows(&host.data);
    for (at, column) in COLUMNS.iter().enumerate() {
        let expected = match column.kind {
            "boolean" => "Boolean",
            "smallint" | "integer" | "whole" => "Int32",
            "bigint" => "Int64",
            "real" | "double precision" | "cents" => "Float64",
            kind if kind.starts_with("numeric") && !kind.ends_with(']') => "Float64",
            _ => "Utf8",
        };
        let schema = rows.schema();
        let field = schema.field(at + 1);
        assert_eq!(field.data_type().to_string(), expected, "{}", column.kind);
        if expected == "Utf8" && !matches!(column.kind, "char(5)" | "inet" | "cidr") {
            let said = database
                .execute(&format!(
                    "SELECT coalesce((c{at})::text, '\\N') FROM everything ORDER BY id"
                ))
                .await;
            for (row, theirs) in said.lines().enumerate() {
                let ours = landed::text(field, rows.column(at + 1), row);
                assert_eq!(
                    ours.as_deref().unwrap_or("\\N"),
                    theirs,
                    "{} row {row}",
                    column.kind
                );
            }
        }
    }
}

/// Values without a form: their type, and how the report calls them.
const WITHOUT_FORM: &[(&str, &str, &str)] = &[
    ("date", "infinity", "infinite dates"),
    ("date", "-infinity", "infinite dates"),
    ("date", "0044-03-15 BC", "dates before Christ"),
    ("date", "300000-01-01", "dates out of range"),
    ("timestamp", "infinity", "infinite times"),
    (
        "timestamptz",
        "4713-01-01 00:00:00+00 BC",
        "times before Christ",
    ),
    ("timestamp", "294276-12-31 23:59:59", "times out of range"),
    ("time", "24:00:00", "times of 24:00:00"),
    ("numeric(10,2)", "NaN", "NaN or infinite numbers"),
    ("numeric", "Infinity", ""),
    ("numeric(60,2)", "NaN", "NaN or infinite numbers"),
    ("date[]", "{2024-01-01,infinity}", "infinite dates"),
    ("tsrange", "[2024-01-01,infinity)", "infinite times"),
    (
        "daterange",
        "[0044-03-15 BC,2024-01-01)",
        "dates before Christ",
    ),
    ("daterange", "[-infinity,infinity]", "infinite dates"),
    (
        "datemultirange",
        "{[2024-01-01,2024-02-01),[2025-01-01,infinity)}",
        "infinite dates",
    ),
];

#[tokio::test]
async fn values_without_a_form_follow_the_policy() {
    let Some(database) = db::postgres_with("").await else {
        return;
    };
    let host = Host::fresh();
    for (kind, value, what) in WITHOUT_FORM {
        let table = format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id int, v {kind} NOT NULL); INSERT INTO t VALUES (1, '{value}'), (2, '{value}');"
        );
        database.execute(&table).await;
        let mut wish = wish(&database.dsn(), "table", "t");
        if !what.is_empty() {
            check_refused(&host, &wish, "value_out_of_range", &["column `v`", what]).await;
        }
        wish["out_of_range"] = json!("null");
        let result = ingest(&host, &wish).await;
        let expected = match *what {
            "" => Value::Null,
            what => json!([{"column": "v", "values": 2, "what": what}]),
        };
        assert_eq!(report(&result)["nulled"], expected, "{kind} {value}");
        assert_eq!(result["added_rows"], 2, "{result}");
        // Of an array it is the element that is null, of everything else the value.
        if !what.is_empty() {
            let page = host.read("/datasets/d/rows").await;
            let shown = &page["rows"][0]["v"];
            assert_eq!(shown.is_null(), *kind != "date[]", "{kind} {value}: {page}");
        }
        let (status, answer) = host.delete("/datasets/d").await;
        assert!(status < 300, "{answer}");
    }
}

#[tokio::test]
async fn arrays_of_mixed_dimensions_are_refused_or_null() {
    let Some(database) = db::postgres_with(
        "CREATE TABLE t (id int, a int[]); INSERT INTO t VALUES (1, '{1,2}'), (2, '{{1,2},{3,4}}');",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let mut wish = wish(&database.dsn(), "table", "t");
    check_refused(
        &host,
        &wish,
        "value_out_of_range",
        &["column `a`", "other dimensions"],
    )
    .await;
    wish["out_of_range"] = json!("null");
    let result = ingest(&host, &wish).await;
    assert_eq!(report(&result)["nulled"][0]["values"], 1, "{result}");
    let rows = landed::rows(&host.data);
    let texts: Vec<_> = (0..2)
        .map(|row| landed::text(rows.schema().field(1), rows.column(1), row))
        .collect();
    assert_eq!(texts, [None, Some("[[1,2],[3,4]]".to_owned())]);
}

#[tokio::test]
async fn addresses_of_all_kinds_are_what_the_server_prints() {
    let Some(database) = db::postgres_with(
        "CREATE TABLE t AS SELECT g AS id, (
            SELECT string_agg(CASE WHEN random() < 0.6 THEN '0' ELSE to_hex((random() * 65535)::int) END, ':')
            FROM generate_series(1, 8) WHERE g > 0)::inet AS a FROM generate_series(1, 3000) g;",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    ingest(&host, &wish(&database.dsn(), "table", "t")).await;
    let rows = landed::rows(&host.data);
    let said = database.execute("SELECT a FROM t ORDER BY id").await;
    for (row, theirs) in said.lines().enumerate() {
        let ours = landed::text(rows.schema().field(1), rows.column(1), row);
        assert_eq!(ours.as_deref(), Some(theirs));
    }
    let count = cell(&database, "SELECT count(*) FROM t").await;
    assert_eq!(rows.num_rows().to_string(), count);
}
