//! What cannot be: each says what is wrong, and nothing becomes visible.

use serde_json::json;

use super::{columns, ingest, ingested, is_absent, rows};
use crate::support::{Host, check_failed, db};

const TABLE: &str =
    "CREATE TABLE t (id INT PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'Jane Doe');";

#[tokio::test]
async fn wrong_ways_in_say_which_and_show_no_secret() {
    let Some(database) = db::mariadb_with(TABLE).await else {
        return;
    };
    let good = database.dsn();
    let (account, place) = good.split_once('@').expect("an account");
    let password = account.rsplit(':').next().expect("a password");
    let host = Host::fresh();
    let closed = format!("{account}@127.0.0.1:1/{}", database.name());
    let cases = [
        (
            format!("{account}wrong@{place}"),
            "source_denied",
            "Access denied",
        ),
        (
            good.replacen(database.name(), "nosuch", 1),
            "source_denied",
            "nosuch",
        ),
        (closed, "source_unreachable", "127.0.0.1:1"),
        (
            format!("{account}@host.invalid/x"),
            "source_unreachable",
            "host.invalid:3306",
        ),
        (good.replacen("mysql://", "", 1), "bad_dsn", "mysql://"),
        (
            good.replacen("mysql://", "oracle://", 1),
            "bad_dsn",
            "mariadb://",
        ),
        (format!("{good}?nosuch=1"), "bad_dsn", "parameter"),
        (format!("{account}@:99999/x"), "bad_dsn", "not an address"),
    ];
    for (dsn, code, word) in cases {
        let ended = ingest(&host, &dsn, &json!({"table": "t"})).await;
        check_failed(&ended, code, &[word]);
        assert!(!ended.to_string().contains(password), "{ended}");
    }
    is_absent(&host).await;
    let lineage = host.read("/lineage/d").await.to_string();
    assert!(!lineage.contains(password), "{lineage}");
    let other = good.replacen("mysql://", "mariadb://", 1);
    ingested(&host, &other, &json!({"table": "t"})).await;
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let Some(database) = db::mariadb_with(TABLE).await else {
        return;
    };
    let host = Host::fresh();
    let cases = [
        (json!({"table": "nosuch"}), "no_such_table", "nosuch"),
        (json!({"table": "nosuch.t"}), "no_such_table", "nosuch"),
        (json!({"table": "a.b.c"}), "no_such_table", "a.b.c"),
        (
            json!({"query": "SELECT nosuch FROM t"}),
            "no_such_column",
            "column `nosuch`; check the name",
        ),
        (
            json!({"query": "SELECT nmae FROM t"}),
            "no_such_column",
            "did you mean `name`?",
        ),
        (
            json!({"query": "SELECT x.idd FROM t x"}),
            "no_such_column",
            "did you mean `id`?",
        ),
        (json!({"query": "SELEC 1"}), "bad_query", "SELECT"),
        (json!({"query": "SELECT FROM t"}), "bad_query", "syntax"),
        (
            json!({"query": "SELECT * FROM t WHERE id = ?"}),
            "bad_query",
            "placeholders",
        ),
        (
            json!({"query": "SELECT 1 AS a, 2 AS a"}),
            "bad_columns",
            "`a`",
        ),
        (json!({"query": "SELECT 1 AS ``"}), "bad_columns", "no name"),
    ];
    for (what, code, word) in cases {
        let ended = ingest(&host, &database.dsn(), &what).await;
        check_failed(&ended, code, &[word]);
    }
    is_absent(&host).await;
}

#[tokio::test]
async fn a_query_that_does_more_than_read_is_refused_and_does_nothing() {
    let Some(database) = db::mariadb_with(&format!(
        "{TABLE} CREATE SEQUENCE s;\nDELIMITER //\n\
         CREATE FUNCTION takes() RETURNS INT BEGIN DELETE FROM t; RETURN 1; END//\nDELIMITER ;\n"
    ))
    .await
    else {
        return;
    };
    let host = Host::fresh();
    for query in [
        "DELETE FROM t",
        "DROP TABLE t",
        "SELECT 1; DELETE FROM t",
        "SELECT takes()",
        "WITH a AS (SELECT 1) SELECT takes() FROM a",
        "SELECT * FROM t INTO OUTFILE 'taken'",
        "SELECT id FROM t INTO @a",
        "SELECT * FROM t FOR UPDATE",
        "SELECT NEXTVAL(s)",
    ] {
        let ended = ingest(&host, &database.dsn(), &json!({"query": query})).await;
        check_failed(&ended, "bad_query", &["query"]);
    }
    is_absent(&host).await;
    assert_eq!(database.execute("SELECT COUNT(*) FROM t").await.trim(), "1");
}

#[tokio::test]
async fn a_query_that_fails_half_way_leaves_nothing_and_quotes_nothing() {
    let Some(database) = db::mariadb_with(TABLE).await else {
        return;
    };
    let host = Host::fresh();
    let late = "SELECT seq, IF(seq < 90000, 1, (SELECT name FROM t UNION ALL SELECT 'x')) v FROM seq_1_to_100000";
    let ended = ingest(&host, &database.dsn(), &json!({"query": late})).await;
    check_failed(&ended, "bad_query", &["more than 1 row"]);
    let value = "SELECT 9223372036854775807 + id + IF(name = 'Jane Doe', 1, 0) AS n FROM t";
    let ended = ingest(&host, &database.dsn(), &json!({"query": value})).await;
    check_failed(&ended, "bad_query", &["out of range"]);
    assert!(!ended["error"].to_string().contains("Jane Doe"), "{ended}");
    is_absent(&host).await;
}

#[tokio::test]
async fn an_empty_table_is_a_dataset_without_rows() {
    let Some(database) =
        db::mariadb_with("CREATE TABLE `my t``able` (id INT PRIMARY KEY, n TEXT);").await
    else {
        return;
    };
    let host = Host::fresh();
    let name = format!("`{}`.`my t``able`", database.name());
    let result = ingested(&host, &database.dsn(), &json!({"table": name})).await;
    assert_eq!(result["rows"], 0);
    assert_eq!(columns(&host).await, ["id Int32", "n Utf8?"]);
    assert!(rows(&host).await.is_empty());
}

#[tokio::test]
async fn as_many_columns_as_a_table_can_have_are_kept() {
    let columns_sql: Vec<_> = (0..1_000).map(|at| format!("c{at} TINYINT")).collect();
    let values = vec!["7"; 1_000].join(",");
    let sql = format!(
        "CREATE TABLE wide ({}); INSERT INTO wide VALUES ({values});",
        columns_sql.join(",")
    );
    let Some(database) = db::mariadb_with(&sql).await else {
        return;
    };
    let host = Host::fresh();
    ingested(&host, &database.dsn(), &json!({"table": "wide"})).await;
    assert_eq!(columns(&host).await.len(), 1_000);
    assert_eq!(rows(&host).await[0]["c999"], 7);
}

#[tokio::test]
async fn a_giant_cell_is_a_clear_error_and_a_large_one_is_kept() {
    let Some(database) = db::mariadb_with(
        "CREATE TABLE big (id INT PRIMARY KEY, body LONGTEXT); INSERT INTO big VALUES (1, REPEAT('a', 20000000)), \
         (2, REPEAT('b', 100000000));",
    )
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let ended = ingest(&host, &database.dsn(), &json!({"table": "big"})).await;
    check_failed(&ended, "value_out_of_range", &["column `body`", "64 MiB"]);
    is_absent(&host).await;
    let large = json!({"query": "SELECT id, body FROM big WHERE id = 1"});
    ingested(&host, &database.dsn(), &large).await;
    let rows = rows(&host).await;
    assert_eq!(rows[0]["body"].as_str().map(str::len), Some(20_000_000));
}
