//! What is read is one moment of the database, whatever happens to it meanwhile.

use serde_json::json;

use super::{
    ROUTE, cell, ingest, landed,
    proxy::{After, Proxy},
    report, wish,
};
use crate::support::{Host, db};

/// Enough pages for several parts.
const NUMBERS: &str = "CREATE TABLE numbers (id int PRIMARY KEY, v bigint NOT NULL, pad text);
    INSERT INTO numbers SELECT g, g * 7, repeat('x', 150) FROM generate_series(1, 400000) g;";

const SUMS: &str =
    "SELECT count(*) || ' ' || sum(id::numeric) || ' ' || sum(v::numeric) FROM numbers";

/// Rows, and sums of the first two columns, of what was ingested.
fn sums(host: &Host) -> String {
    let rows = landed::rows(&host.data);
    let sum = |at: usize| -> i128 {
        let column = rows.column(at);
        (0..rows.num_rows())
            .map(|row| landed::text(rows.schema().field(at), column, row).expect("a number"))
            .map(|text| text.parse::<i128>().expect("a number"))
            .sum()
    };
    format!("{} {} {}", rows.num_rows(), sum(0), sum(1))
}

#[tokio::test]
async fn changes_during_an_export_do_not_show() {
    let Some(server) = db::postgres().await else {
        return;
    };
    let Some(database) = db::postgres_with(NUMBERS).await else {
        return;
    };
    let host = Host::fresh();
    let before = cell(&database, SUMS).await;
    let proxy = Proxy::start(server.port(), After::Hold, 1 << 20).await;
    let mut wish = wish(&proxy.dsn(database.name()), "table", "numbers");
    wish["parallel"] = json!(3);
    let task = host.start(ROUTE, &wish).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("a task"));
    host.until(&path, |task| {
        proxy.held() == 3 || task["state"] != "running"
    })
    .await;
    assert_eq!(proxy.held(), 3, "three connections read");
    // What a snapshot covers is done; what it does not has to wait, and gives up here.
    database
        .execute("UPDATE numbers SET v = -1 WHERE id % 3 = 0; DELETE FROM numbers WHERE id % 5 = 0; INSERT INTO numbers SELECT g, 1 FROM generate_series(500001, 600000) g; VACUUM numbers;")
        .await;
    for rewrite in [
        "TRUNCATE numbers",
        "VACUUM FULL numbers",
        "ALTER TABLE numbers ADD COLUMN late int",
        "DROP TABLE numbers",
    ] {
        let tried = format!("SET lock_timeout = '100ms'; {rewrite};");
        let refused = server
            .execute_in(database.name(), &tried)
            .expect_err("it has to wait");
        assert!(
            refused.to_string().contains("lock timeout"),
            "{rewrite}: {refused}"
        );
    }
    proxy.release();
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(sums(&host), before);
    assert_eq!(report(&ended["result"])["connections"], 3, "{ended}");
    assert_ne!(cell(&database, SUMS).await, before, "the table did change");
}

#[tokio::test]
async fn partitions_and_children_are_read_once_each() {
    let Some(database) = db::postgres_with(
        "CREATE TABLE numbers (id int NOT NULL, v bigint NOT NULL, pad text) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF numbers FOR VALUES FROM (0) TO (1000);
         CREATE TABLE high PARTITION OF numbers FOR VALUES FROM (1000) TO (10000000) PARTITION BY HASH (id);
         CREATE TABLE even PARTITION OF high FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE odd (pad text, v bigint NOT NULL, gone int, id int NOT NULL);
         ALTER TABLE odd DROP COLUMN gone;
         ALTER TABLE high ATTACH PARTITION odd FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO numbers SELECT g, g * 3, repeat('x', 200) FROM generate_series(1, 350000) g;
         CREATE TABLE parent (id int, v bigint); CREATE TABLE child (extra text) INHERITS (parent);
         INSERT INTO parent VALUES (1, 1); INSERT INTO child VALUES (2, 2, 'x');",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let result = ingest(&host, &wish(&database.dsn(), "table", "numbers")).await;
    assert_eq!(sums(&host), cell(&database, SUMS).await);
    assert!(
        report(&result)["connections"].as_u64() > Some(1),
        "{result}"
    );
    let result = ingest(&host, &wish(&database.dsn(), "table", "parent")).await;
    assert_eq!(result["added_rows"], 2, "{result}");
}

#[tokio::test]
async fn a_job_reads_what_is_new() {
    let Some(database) = db::postgres_with(
        "CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind \"char\");
         CREATE INDEX ON events (at, id);
         INSERT INTO events SELECT g, '2024-01-01'::timestamptz + (g / 10) * interval '1 second' FROM generate_series(1, 25) g;",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let mut wish = wish(&database.dsn(), "table", "events");
    wish["job"] = json!({"name": "events", "column": "at", "key": "id"});
    wish["mode"] = json!("append");
    let first = host.done(ROUTE, &wish).await;
    assert_eq!(first["added_rows"], 25, "{first}");
    let again = host.done(ROUTE, &wish).await;
    assert_eq!(again["added_rows"], 0, "{again}");
    // Of the same second as the last, and later; ties are told apart by the key.
    database
        .execute("INSERT INTO events SELECT g, '2024-01-01'::timestamptz + (g / 10) * interval '1 second' FROM generate_series(26, 40) g;")
        .await;
    let more = host.done(ROUTE, &wish).await;
    assert_eq!(more["added_rows"], 15, "{more}");
    let rows = landed::rows(&host.data);
    let ids: Vec<_> = (0..rows.num_rows())
        .filter_map(|row| landed::text(rows.schema().field(0), rows.column(0), row))
        .collect();
    assert_eq!(ids, (1..=40).map(|id| id.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lag_leaves_young_rows_for_later() {
    let Some(database) = db::postgres_with(
        "CREATE TABLE t (id int, at timestamptz, n numeric(10,2));
         INSERT INTO t VALUES (1, now() - interval '1 hour', 1), (2, now() - interval '1 second', 50), (3, NULL, 100);",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    for (column, lag, rows) in [("at", 600, 1), ("at", 0, 2), ("n", 60, 1), ("n", 0, 3)] {
        let mut wish = wish(&database.dsn(), "table", "t");
        wish["dataset"] = json!(format!("{column}-{lag}"));
        wish["job"] = json!({"name": format!("{column}-{lag}"), "column": column, "lag": lag});
        let result = host.done(ROUTE, &wish).await;
        assert_eq!(result["added_rows"], rows, "{column} {lag}: {result}");
        let notes = report(&result)["notes"].to_string();
        assert!(notes.contains("is null are not read"), "{notes}");
    }
}

#[tokio::test]
async fn a_job_passes_over_values_that_nothing_follows() {
    let Some(database) = db::postgres_with(
        "CREATE DOMAIN moment AS timestamptz;
         CREATE TABLE t (id int, at moment, day date, f float8, n numeric);
         INSERT INTO t VALUES (1, '2024-01-01', '2024-01-01', 1, 1),
            (2, 'infinity', 'infinity', 'Infinity', 'NaN'), (3, '-infinity', '-infinity', 'NaN', 'NaN'),
            (NULL, '2024-01-01', '2024-01-01', 1, 1);",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let columns = [("at", 0), ("at", 60), ("day", 0), ("f", 0), ("n", 0)];
    let wishes = columns.map(|(column, lag)| {
        let name = format!("{column}-{lag}");
        let mut wish = wish(&database.dsn(), "table", "t");
        wish["dataset"] = json!(name);
        wish["mode"] = json!("append");
        wish["job"] = json!({"name": name, "column": column, "key": "id", "lag": lag});
        wish
    });
    for wish in &wishes {
        let first = host.done(ROUTE, wish).await;
        assert_eq!(first["added_rows"], 1, "{wish}: {first}");
        let notes = report(&first)["notes"].to_string();
        assert!(notes.contains("`id` is null are not read"), "{notes}");
        assert!(
            notes.contains("not a number") || notes.contains("is infinite"),
            "{notes}"
        );
    }
    // Rows of which one has no key, for every job that now stands at the row before.
    database
        .execute("INSERT INTO t VALUES (4, '2024-01-02', '2024-01-02', 2, 2), (NULL, '2024-01-02', '2024-01-02', 2, 2);")
        .await;
    for wish in &wishes {
        let more = host.done(ROUTE, wish).await;
        assert_eq!(more["added_rows"], 1, "{wish}: {more}");
    }
}
