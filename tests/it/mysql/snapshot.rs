//! One consistent state, whatever is written meanwhile and however many connections read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::{ingested, rows};
use crate::support::{Host, db};

/// Rows of the table that changes: enough for several connections.
const ROWS: usize = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn rows_changed_during_an_export_do_not_show() {
    let Some(database) = db::mariadb_with(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, generation INT, filler CHAR(100)); \
         INSERT INTO t SELECT seq, 0, REPEAT('x', 100) FROM seq_1_to_{ROWS}; ANALYZE TABLE t;"
    ))
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let database = Arc::new(database);
    let stop = Arc::new(AtomicBool::new(false));
    let (theirs, stopped) = (Arc::clone(&database), Arc::clone(&stop));
    // Each change is one transaction: a row more, a row less, and all others changed.
    let mut writers = tokio::task::JoinSet::new();
    writers.spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            theirs
                .execute(
                    "START TRANSACTION; UPDATE t SET generation = generation + 1; \
                     INSERT INTO t SELECT MAX(id) + 1, MAX(generation), '' FROM t; \
                     DELETE FROM t ORDER BY id LIMIT 1; COMMIT;",
                )
                .await;
        }
    });
    for parallel in [4, 1] {
        let what = json!({"table": "t", "parallel": parallel});
        let result = ingested(&host, &database.dsn(), &what).await;
        assert_eq!(result["table"]["connections"], parallel, "{result}");
        let generation = rows_of_one_generation(&host).await;
        let now = database.execute("SELECT MAX(generation) FROM t").await;
        assert!(generation <= now.trim().parse::<u64>().expect("a number"));
    }
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
}

/// All rows are of one generation, whose number follows from the ids.
async fn rows_of_one_generation(host: &Host) -> u64 {
    let rows = rows(host).await;
    assert_eq!(rows.len(), ROWS);
    let mut ids: Vec<_> = rows
        .iter()
        .map(|row| row["id"].as_u64().expect("an id"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ROWS, "a row is there twice");
    let generation = ids[0] - 1;
    let strangers = rows.iter().filter(|row| row["generation"] != generation);
    assert_eq!(strangers.count(), 0, "rows of several generations");
    generation
}

/// Columns of a key, their values, and how many connections read such a table.
const KEYS: [(&str, &str, u64); 12] = [
    ("id INT PRIMARY KEY", "seq", 4),
    (
        "id BIGINT UNSIGNED PRIMARY KEY",
        "18446744073709551615 - seq * 1000",
        4,
    ),
    (
        "id INT PRIMARY KEY",
        "CAST(seq * 48271 MOD 2000003 AS SIGNED) - 1000000",
        4,
    ),
    (
        "id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY",
        "MD5(seq)",
        4,
    ),
    (
        "id VARCHAR(40) PRIMARY KEY",
        "CONCAT(SUBSTR(MD5(seq), 1, 3), 'ÄöZ', seq)",
        4,
    ),
    ("id BINARY(16) PRIMARY KEY", "UNHEX(MD5(seq))", 4),
    (
        "id UUID PRIMARY KEY",
        "CONCAT(LPAD(HEX(seq * 85899), 8, '0'), '-0000-4000-8000-', LPAD(HEX(seq * 85899), 8, '0'), 'abcd')",
        4,
    ),
    // Of version 1, all from one machine: MariaDB compares their last digits first.
    (
        "id UUID PRIMARY KEY",
        "CONCAT(LPAD(HEX(seq), 8, '0'), '-1111-11ee-8000-f402ac130003')",
        1,
    ),
    (
        "id VARCHAR(40) PRIMARY KEY",
        "CONCAT('order-', LPAD(seq, 8, '0'))",
        1,
    ),
    (
        "id INT, part INT, PRIMARY KEY (part, id)",
        "seq, seq MOD 977",
        4,
    ),
    (
        "id DATETIME PRIMARY KEY",
        "'2000-01-01' + INTERVAL seq MINUTE",
        1,
    ),
    ("id INT", "seq", 1),
];

#[tokio::test]
async fn every_row_is_read_once_whatever_the_key() {
    let n = 50_000;
    let tables = KEYS.iter().enumerate().map(|(at, (key, value, _))| {
        format!(
            "CREATE TABLE t{at} ({key}); INSERT INTO t{at} SELECT {value} FROM seq_1_to_{n}; ANALYZE TABLE t{at};"
        )
    });
    let Some(database) = db::mariadb_with(&tables.collect::<String>()).await else {
        return;
    };
    let host = Host::fresh();
    for (at, (key, _, connections)) in KEYS.iter().enumerate() {
        let what = json!({"table": format!("t{at}"), "parallel": 4});
        let result = ingested(&host, &database.dsn(), &what).await;
        assert_eq!(result["rows"], n, "{key}");
        assert_eq!(
            result["table"]["connections"], *connections,
            "{key}: {result}"
        );
        assert_eq!(
            result["table"]["notes"].is_null(),
            *connections == 4,
            "{key}: {result}"
        );
        let rows = rows(&host).await;
        let mut ids: Vec<String> = rows.iter().map(|row| row["id"].to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n, "{key}");
    }
}

#[tokio::test]
async fn who_may_not_lock_reads_through_one_connection_and_is_told() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_50000; ANALYZE TABLE t; \
         CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'p@ss/word'; GRANT SELECT ON t TO reader@'%';",
    )
    .await
    else {
        return;
    };
    let good = database.dsn();
    let (_, place) = good.split_once('@').expect("an account");
    let dsn = format!("mysql://reader:p%40ss%2Fword@{place}");
    let host = Host::fresh();
    let result = ingested(&host, &dsn, &json!({"table": "t", "parallel": 4})).await;
    assert_eq!(result["table"]["connections"], 1, "{result}");
    let note = result["table"]["notes"][0].as_str().expect("a note");
    assert!(
        note.contains("LOCK TABLES") && note.contains("RELOAD"),
        "{note}"
    );
    assert_eq!(result["rows"], 50_000);
}

#[tokio::test]
async fn a_table_that_cannot_be_locked_in_time_is_read_through_one_connection() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_50000; ANALYZE TABLE t;",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let database = Arc::new(database);
    let theirs = Arc::clone(&database);
    // Holds a change of the table open for longer than anybody waits for a lock.
    let mut writers = tokio::task::JoinSet::new();
    writers.spawn(async move {
        theirs
            .execute("START TRANSACTION; DELETE FROM t WHERE id = 1; SELECT SLEEP(12); ROLLBACK;")
            .await;
    });
    let open =
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(12)%'";
    while database.execute(open).await.trim() == "0" {
        tokio::task::yield_now().await;
    }
    let result = ingested(
        &host,
        &database.dsn(),
        &json!({"table": "t", "parallel": 4}),
    )
    .await;
    let note = result["table"]["notes"][0].as_str().expect("a note");
    assert!(note.contains("in time"), "{note}");
    assert_eq!(result["rows"], 50_000);
    writers.join_all().await;
}

#[tokio::test]
async fn a_table_without_snapshots_is_locked_while_it_is_read() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE t (id INT PRIMARY KEY) ENGINE = MyISAM; INSERT INTO t SELECT seq FROM seq_1_to_50000; \
         CREATE OR REPLACE USER bare@'%' IDENTIFIED BY 'x'; GRANT SELECT ON t TO bare@'%';",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let note = |result: &Value| result["table"]["notes"].to_string();
    let locked = ingested(
        &host,
        &database.dsn(),
        &json!({"table": "t", "parallel": 1}),
    )
    .await;
    assert!(note(&locked).contains("was locked"), "{locked}");
    assert_eq!(locked["rows"], 50_000);
    let good = database.dsn();
    let (_, place) = good.split_once('@').expect("an account");
    let dsn = format!("mysql://bare:x@{place}");
    let bare = ingested(&host, &dsn, &json!({"table": "t", "parallel": 1})).await;
    assert!(
        note(&bare).contains("changes made meanwhile may show"),
        "{bare}"
    );
    // Nothing is locked any more.
    let write = database.execute("SET lock_wait_timeout = 1; DELETE FROM t WHERE id = 1;");
    tokio::time::timeout(Duration::from_secs(20), write)
        .await
        .expect("the lock is gone");
}
