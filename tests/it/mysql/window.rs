//! Incremental runs: each brings what is new, once.

use serde_json::json;

use super::{ingest, ingested, rows};
use crate::support::{Host, check_failed, db};

#[tokio::test]
async fn a_job_brings_each_row_once_in_the_order_of_its_cursor() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, at DATETIME(6)); \
         INSERT INTO t VALUES (18446744073709551000, '2021-01-01 00:00:00.000001'), \
         (5, '2021-01-01 00:00:00.000002'), (6, '2021-01-01 00:00:00.000002'), (7, NULL);",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let what = json!({"table": "t", "job": {"name": "j", "column": "at", "key": "id"}});
    let first = ingested(&host, &database.dsn(), &what).await;
    assert_eq!(first["added_rows"], 3, "{first}");
    let notes = first["table"]["notes"].to_string();
    assert!(notes.contains("`at` is null are not read"), "{notes}");
    // One is equal to the last but for its key, one is later, one is earlier and too late.
    database
        .execute(
            "INSERT INTO t VALUES (9, '2021-01-01 00:00:00.000002'), (1, '2021-01-02'), \
             (2, '2020-01-01');",
        )
        .await;
    let second = ingested(&host, &database.dsn(), &what).await;
    assert_eq!(second["added_rows"], 2, "{second}");
    let third = ingested(&host, &database.dsn(), &what).await;
    assert_eq!(third["table"]["up_to_date"], true, "{third}");
    let mut ids: Vec<_> = rows(&host)
        .await
        .iter()
        .map(|row| row["id"].as_u64())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 5, 6, 9, 18_446_744_073_709_551_000].map(Some));
}

#[tokio::test]
async fn a_lag_keeps_back_what_is_too_new() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP NULL, n BIGINT UNSIGNED); \
         INSERT INTO t VALUES (1, '2021-01-01', 0), (2, UTC_TIMESTAMP() + INTERVAL 1 DAY, 95), \
         (3, '2021-01-02', 100);",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let job = |name: &str, cursor: &str| json!({"query": "SELECT id, at, n FROM t", "mode": "replace", "job": {"name": name, "column": cursor, "lag": 10}});
    let by_clock = ingested(&host, &database.dsn(), &job("clock", "at")).await;
    assert_eq!(by_clock["added_rows"], 2, "{by_clock}");
    let by_number = ingested(&host, &database.dsn(), &job("number", "n")).await;
    assert_eq!(by_number["added_rows"], 1, "{by_number}");
}

#[tokio::test]
async fn a_cursor_needs_a_column_with_an_exact_order() {
    let Some(database) =
        db::mariadb_with("CREATE TABLE t (id INT, f DOUBLE, s TEXT, d TIME);").await
    else {
        return;
    };
    let host = Host::fresh();
    for (job, code, word) in [
        (
            json!({"name": "j", "column": "nosuch"}),
            "no_such_column",
            "column `nosuch` in table t",
        ),
        (
            json!({"name": "j", "column": "idd"}),
            "no_such_column",
            "did you mean `id`?",
        ),
        (
            json!({"name": "j", "column": "d"}),
            "bad_job",
            "column `d`, which is `time`",
        ),
        (
            json!({"name": "j", "column": "f"}),
            "bad_job",
            "exact order",
        ),
        (
            json!({"name": "j", "column": "s", "lag": 1}),
            "bad_job",
            "lag",
        ),
    ] {
        let ended = ingest(&host, &database.dsn(), &json!({"table": "t", "job": job})).await;
        check_failed(&ended, code, &[word]);
    }
}
