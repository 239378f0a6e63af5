//! What cannot be ingested is told with its cure, and what is only unusual comes in.

use boathouse_db_server::{PASSWORD, USER};
use serde_json::json;

use super::{check_refused, ingest, landed, report, wish};
use crate::support::{
    Host,
    db::{self, own_postgres},
};

const PEOPLE: &str = "CREATE TABLE people (id int, name text); INSERT INTO people SELECT g, 'p' || g FROM generate_series(1, 100) g;";

#[tokio::test]
async fn a_text_that_is_no_address_is_told() {
    let host = Host::fresh();
    for dsn in [
        format!("mysql://u:{PASSWORD}@h/d"),
        format!("postgres://u:{PASSWORD}@h:port/d"),
        format!("postgres://u:{PASSWORD}@@h/d"),
        format!("postgres://u:{PASSWORD}@h/d?sslmode=maybe"),
        format!("host=h user=u password={PASSWORD} no"),
        format!("host=h password={PASSWORD}"),
        format!("user=u password={PASSWORD}"),
        PASSWORD.to_owned(),
    ] {
        check_refused(
            &host,
            &wish(&dsn, "table", "t"),
            "bad_dsn",
            &["connection text"],
        )
        .await;
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() {
    let Some(database) = db::postgres_with(PEOPLE).await else {
        return;
    };
    let host = Host::fresh();
    let (good, name) = (database.dsn(), database.name());
    let other = |from: &str, to: &str| good.replace(from, to);
    let wrong_password = other(PASSWORD, "sailor-no-more");
    let told = ["password authentication failed"];
    check_refused(
        &host,
        &wish(&wrong_password, "table", "people"),
        "source_denied",
        &told,
    )
    .await;
    let none = other(&format!(":{PASSWORD}"), "");
    check_refused(
        &host,
        &wish(&none, "table", "people"),
        "source_denied",
        &["has none"],
    )
    .await;
    let database_name = good.replace(name, "nowhere");
    let told = ["nowhere", "does not exist"];
    check_refused(
        &host,
        &wish(&database_name, "table", "people"),
        "source_denied",
        &told,
    )
    .await;
    let unknown_host = other("127.0.0.1", "no-such-host.invalid");
    let told = ["no-such-host.invalid"];
    check_refused(
        &host,
        &wish(&unknown_host, "table", "people"),
        "source_unreachable",
        &told,
    )
    .await;
    let closed = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:1/d");
    check_refused(
        &host,
        &wish(&closed, "table", "people"),
        "source_unreachable",
        &["127.0.0.1:1"],
    )
    .await;
    // The second of two hosts is the one that answers.
    let both = good.replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1");
    let result = ingest(&host, &wish(&both, "table", "people")).await;
    assert_eq!(result["added_rows"], 100, "{result}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let Some(database) = db::postgres_with(&format!(
        "{PEOPLE} CREATE SEQUENCE counter; CREATE ROLE guest_{0} LOGIN PASSWORD 'sailor-guest'; CREATE SCHEMA own;",
        std::process::id()
    ))
    .await
    else {
        return;
    };
    let (host, dsn) = (Host::fresh(), database.dsn());
    for (table, told) in [
        ("nobody", "nobody"),
        ("own.people", "own.people"),
        ("nowhere.people", "nowhere.people"),
        ("a b c", "a b c"),
        ("people; DROP TABLE people", "DROP"),
        ("\"", "table"),
        ("counter", "counter"),
        ("other.public.people", "people"),
    ] {
        check_refused(&host, &wish(&dsn, "table", table), "no_such_table", &[told]).await;
    }
    let query = "SELECT nmae FROM people";
    check_refused(
        &host,
        &wish(&dsn, "query", query),
        "no_such_column",
        &["column `nmae`", "did you mean `people.name`?"],
    )
    .await;
    let guest = dsn.replace(
        &format!("{USER}:{PASSWORD}"),
        &format!("guest_{}:sailor-guest", std::process::id()),
    );
    check_refused(
        &host,
        &wish(&guest, "table", "people"),
        "source_denied",
        &["permission denied"],
    )
    .await;
    let mut with_window = wish(&dsn, "table", "people");
    with_window["job"] = json!({"name": "j", "column": "changed"});
    let told = ["column `changed` in table public.people"];
    check_refused(&host, &with_window, "no_such_column", &told).await;
    with_window["job"] = json!({"name": "j", "column": "Name"});
    let told = ["column `Name`", "did you mean `name`?"];
    check_refused(&host, &with_window, "no_such_column", &told).await;
}

#[tokio::test]
async fn a_query_only_reads_and_is_one() {
    let Some(database) = db::postgres_with(&format!(
        "{PEOPLE} CREATE FUNCTION meddle() RETURNS int LANGUAGE sql AS 'DELETE FROM people RETURNING 1';"
    ))
    .await
    else {
        return;
    };
    let (host, dsn) = (Host::fresh(), database.dsn());
    for query in [
        "DELETE FROM people",
        "DELETE FROM people RETURNING id",
        "WITH gone AS (DELETE FROM people RETURNING id) SELECT * FROM gone",
        "SELECT meddle() AS x",
        "SELECT id INTO other FROM people",
        "CREATE TABLE other AS SELECT 1 AS x",
        "SELECT 1 AS x; SELECT 2 AS x",
        "SELECT 1 AS x; DROP TABLE people",
        "SELECT 1 AS x) TO PROGRAM 'touch /tmp/meddled' --",
        "SELECT 1 AS x) AS q; DROP TABLE people; --",
        "SELECT $1::int AS x",
        "SELECT 'unclosed",
        "COMMIT",
        "SHOW all",
        "VACUUM",
        ";",
        "no query at all",
    ] {
        check_refused(
            &host,
            &wish(&dsn, "query", query),
            "bad_query",
            &["the query cannot be run"],
        )
        .await;
    }
    let two = wish(&dsn, "query", "SELECT 1 AS x; SELECT 2 AS x");
    check_refused(&host, &two, "bad_query", &["more than one statement"]).await;
    let left = super::cell(&database, "SELECT count(*) FROM people").await;
    assert_eq!(left, "100");
}

#[tokio::test]
async fn columns_that_make_no_dataset_are_told() {
    let Some(database) =
        db::postgres_with("CREATE TABLE empty (); CREATE TABLE people (id int);").await
    else {
        return;
    };
    let (host, dsn) = (Host::fresh(), database.dsn());
    check_refused(
        &host,
        &wish(&dsn, "table", "empty"),
        "bad_columns",
        &["there are none"],
    )
    .await;
    check_refused(
        &host,
        &wish(&dsn, "query", "SELECT"),
        "bad_columns",
        &["there are none"],
    )
    .await;
    let twice = "SELECT a.id, b.id FROM people a, people b";
    check_refused(
        &host,
        &wish(&dsn, "query", twice),
        "bad_columns",
        &["two are called `id`"],
    )
    .await;
}

#[tokio::test]
async fn a_query_that_fails_half_way_leaves_nothing_and_quotes_nothing() {
    let Some(database) = db::postgres_with(
        "CREATE FUNCTION grumble(x int) RETURNS int LANGUAGE plpgsql AS $$
            BEGIN IF x = 100000 THEN RAISE EXCEPTION 'the sailor drowned at %', x; END IF; RETURN x; END $$;",
    )
    .await
    else {
        return;
    };
    let (host, dsn) = (Host::fresh(), database.dsn());
    let of = |what: &str| format!("SELECT {what} AS x FROM generate_series(1, 200000) g");
    for (query, told) in [
        (of("1 / (100000 - g)"), "division by zero"),
        (
            of("CASE g WHEN 100000 THEN 'sailor' ELSE '1' END::int"),
            "22P02",
        ),
        (of("grumble(g)"), "P0001"),
    ] {
        check_refused(&host, &wish(&dsn, "query", &query), "bad_query", &[told]).await;
    }
}

#[tokio::test]
async fn unusual_tables_come_in() {
    let many: Vec<String> = (0..1_600).map(|at| format!("c{at} int")).collect();
    let Some(database) = db::postgres_with(&format!(
        "CREATE SCHEMA \"Odd.One\"; CREATE TABLE \"Odd.One\".\"My \"\"Table\" (id int); INSERT INTO \"Odd.One\".\"My \"\"Table\" VALUES (1);
         CREATE TABLE \"Mixed\" (id int); INSERT INTO \"Mixed\" VALUES (1);
         CREATE TABLE wide ({}); INSERT INTO wide (c0, c1599) VALUES (1, 2);
         CREATE TABLE nothing (id int, name text); CREATE VIEW seen AS SELECT 1 AS id;
         CREATE MATERIALIZED VIEW kept AS SELECT g AS id FROM generate_series(1, 50) g;",
        many.join(", ")
    ))
    .await
    else {
        return;
    };
    let (host, dsn) = (Host::fresh(), database.dsn());
    for (kind, what, rows, columns) in [
        ("table", "\"Odd.One\".\"My \"\"Table\"", 1, 1),
        ("table", "Mixed", 1, 1),
        ("table", "public.wide", 1, 1_600),
        ("table", "nothing", 0, 2),
        ("table", "seen", 1, 1),
        ("table", "kept", 50, 1),
        ("query", "SELECT 1 AS a, 'x' AS b -- the end\n ;", 1, 2),
        ("query", "VALUES (1, 2), (3, 4)", 2, 2),
        ("query", "WITH x AS (SELECT 1 AS a) TABLE x", 1, 1),
        (
            "query",
            "SELECT NULL AS n, ROW(1, 'a') AS r, pg_sleep(0) AS s",
            1,
            3,
        ),
    ] {
        let result = ingest(&host, &wish(&dsn, kind, what)).await;
        let dataset = host.read("/datasets/d").await;
        let made = dataset["columns"].as_array().map_or(0, Vec::len);
        assert_eq!(
            (&result["added_rows"], made),
            (&json!(rows), columns),
            "{what}: {result} {dataset}"
        );
    }
}

#[tokio::test]
async fn a_row_that_is_too_long_is_refused_before_it_is_kept() {
    let Some(database) = db::postgres_with(
        "CREATE TABLE t (id int, long text); INSERT INTO t VALUES (1, repeat('x', 70000000));
         CREATE TABLE fits (id int, long text); INSERT INTO fits VALUES (1, repeat('x', 60000000));",
    )
    .await
    else {
        return;
    };
    let (host, dsn) = (Host::fresh(), database.dsn());
    check_refused(
        &host,
        &wish(&dsn, "table", "t"),
        "value_out_of_range",
        &["`long`", "64 MiB"],
    )
    .await;
    let huge = "SELECT repeat('x', 1000000000) AS huge";
    check_refused(
        &host,
        &wish(&dsn, "query", huge),
        "value_out_of_range",
        &["`huge`", "64 MiB"],
    )
    .await;
    ingest(&host, &wish(&dsn, "table", "fits")).await;
    let rows = landed::rows(&host.data);
    let text = landed::text(rows.schema().field(1), rows.column(1), 0);
    assert_eq!(text.map(|text| text.len()), Some(60_000_000));
}

#[tokio::test]
async fn texts_that_are_not_utf8_are_refused() {
    let Some(server) = own_postgres(&[]).await else {
        return;
    };
    let made = "CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0; CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0;";
    server.execute(made).expect("databases");
    let raw = "CREATE TABLE t (id int, name text, n int); SET client_encoding = SQL_ASCII; INSERT INTO t VALUES (1, E'caf\\xe9', 3);";
    server.execute_in("raw", raw).expect("rows");
    let latin = "CREATE TABLE t (id int, name text); INSERT INTO t VALUES (1, 'café');";
    server.execute_in("latin", latin).expect("rows");
    let host = Host::fresh();
    let told = ["`name`", "UTF-8"];
    check_refused(
        &host,
        &wish(&server.dsn("raw"), "table", "t"),
        "value_out_of_range",
        &told,
    )
    .await;
    ingest(&host, &wish(&server.dsn("latin"), "table", "t")).await;
    let rows = landed::rows(&host.data);
    assert_eq!(
        landed::text(rows.schema().field(1), rows.column(1), 0).as_deref(),
        Some("café")
    );
}

#[tokio::test]
async fn a_user_who_sees_some_rows_gets_those_and_is_told() {
    let role = format!("narrow_{}", std::process::id());
    let Some(database) = db::postgres_with(&format!(
        "{PEOPLE} ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE ROLE {role} LOGIN PASSWORD 'sailor-narrow';
         CREATE POLICY few ON people USING (id <= 10); GRANT SELECT ON people TO {role};"
    ))
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let dsn = database.dsn().replace(
        &format!("{USER}:{PASSWORD}"),
        &format!("{role}:sailor-narrow"),
    );
    let result = ingest(&host, &wish(&dsn, "table", "people")).await;
    assert_eq!(result["added_rows"], 10, "{result}");
    assert!(
        report(&result)["notes"]
            .to_string()
            .contains("row security"),
        "{result}"
    );
}
