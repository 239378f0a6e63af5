//! Columns and rows that `SELECT *` of a table does not show: which of them are read.

use serde_json::{Value, json};

use super::{columns, ingested, rows};
use crate::support::{Host, db};

#[tokio::test]
async fn columns_that_are_invisible_or_generated_are_read_too() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id INT PRIMARY KEY, secret TEXT INVISIBLE, n INT, doubled INT AS (n * 2) VIRTUAL, \
         kept INT AS (n + 1) PERSISTENT, `hidden ``sum` INT AS (n + id) VIRTUAL INVISIBLE); \
         INSERT INTO t (id, secret, n) VALUES (1, 'known', 5); CREATE VIEW v AS SELECT id, n FROM t;",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    ingested(&host, &database.dsn(), &json!({"table": "t"})).await;
    assert_eq!(
        columns(&host).await,
        [
            "id Int32",
            "secret Utf8?",
            "n Int32?",
            "doubled Int32?",
            "kept Int32?",
            "hidden `sum Int32?"
        ]
    );
    let expected = json!({
        "id": 1, "secret": "known", "n": 5, "doubled": 10, "kept": 6, "hidden `sum": 6
    });
    assert_eq!(rows(&host).await, [expected]);
    ingested(&host, &database.dsn(), &json!({"table": "v"})).await;
    assert_eq!(columns(&host).await, ["id Int32", "n Int32?"]);
    // A job may follow one.
    let job = json!({"name": "j", "column": "secret"});
    let what = json!({"table": "t", "mode": "replace", "job": job});
    let result = ingested(&host, &database.dsn(), &what).await;
    assert_eq!(result["added_rows"], 1, "{result}");
}

#[tokio::test]
async fn of_a_versioned_table_the_current_rows_are_read_and_that_is_said() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING; \
         INSERT INTO t VALUES (1, 1), (2, 2); UPDATE t SET n = 7 WHERE id = 1; DELETE FROM t WHERE id = 2; \
         CREATE TABLE p (id INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE, \
         e TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING; \
         INSERT INTO p VALUES (1); CREATE TABLE plain (id INT PRIMARY KEY);",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let result = ingested(&host, &database.dsn(), &json!({"table": "t"})).await;
    assert_eq!(columns(&host).await, ["id Int32", "n Int32?"]);
    assert_eq!(rows(&host).await, [json!({"id": 1, "n": 7})]);
    let notes = result["table"]["notes"].to_string();
    assert!(notes.contains("system-versioned"), "{notes}");
    // Columns that the table declares are its columns, whatever they are for.
    ingested(&host, &database.dsn(), &json!({"table": "p"})).await;
    let names: Vec<_> = columns(&host).await;
    let names: Vec<_> = names
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["id", "s", "e"]);
    let result = ingested(&host, &database.dsn(), &json!({"table": "plain"})).await;
    assert_eq!(result["table"]["notes"], Value::Null, "{result}");
}
