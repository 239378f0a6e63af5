//! Servers that die, connections that are cut, work that is cancelled: nothing is visible, nothing goes on at the
//! server, and the next run is as if there had been none.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{body, ingested, is_absent};
use crate::support::{Host, check_failed, db};

/// More rows than anybody waits for.
const ENDLESS: &str = "SELECT seq, REPEAT('x', 200) AS filler FROM seq_1_to_1000000000";

/// Starts an ingest and waits until rows come.
async fn under_way(host: &Host, dsn: &str, query: &str) -> Value {
    let task = host
        .start("/ingest/mysql", &body(dsn, &json!({"query": query})))
        .await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("a task"));
    host.until(&path, |task| {
        task["progress"]["done"].as_u64() > Some(20_000) || task["state"] != "running"
    })
    .await;
    task
}

#[tokio::test]
async fn a_server_that_is_killed_half_way_leaves_nothing_and_can_be_read_again() {
    let Some(mut server) = db::own_mariadb(&[]).await else {
        return;
    };
    let host = Host::fresh();
    let dsn = server.dsn("mysql");
    let task = under_way(&host, &dsn, ENDLESS).await;
    server.kill();
    let ended = host.ended(&task).await;
    check_failed(&ended, "source_failed", &["start it again"]);
    is_absent(&host).await;
    server.restart().expect("the server starts");
    let query = json!({"query": "SELECT seq FROM seq_1_to_10"});
    assert_eq!(ingested(&host, &dsn, &query).await["version"], 1);
}

#[tokio::test]
async fn a_connection_that_is_cut_half_way_is_a_clear_error() {
    let Some(database) = db::mariadb_with("CREATE TABLE t (id INT);").await else {
        return;
    };
    let host = Host::fresh();
    let query = format!("{ENDLESS} -- cut");
    let task = under_way(&host, &database.dsn(), &query).await;
    let victim = database.execute(&running("-- cut")).await;
    database.execute(&format!("KILL {}", victim.trim())).await;
    let ended = host.ended(&task).await;
    check_failed(&ended, "source_failed", &["start it again"]);
    is_absent(&host).await;
}

#[tokio::test]
async fn what_is_cancelled_ends_at_the_server_too() {
    let Some(database) = db::mariadb_with("CREATE TABLE t (id INT);").await else {
        return;
    };
    let host = Host::fresh();
    let slow = [
        (format!("{ENDLESS} -- rows"), "-- rows"),
        ("SELECT SLEEP(1000) AS waits -- sleeps".to_owned(), "-- sleeps"),
        ("SELECT COUNT(DISTINCT a.seq + b.seq) AS n FROM seq_1_to_1000000 a, seq_1_to_1000000 b -- counts".to_owned(), "-- counts"),
    ];
    for (query, mark) in slow {
        let task = host
            .start(
                "/ingest/mysql",
                &body(&database.dsn(), &json!({"query": query})),
            )
            .await;
        wait_for(&database, mark, true).await;
        let (status, _) = host
            .post(
                &format!("/tasks/{}/cancel", task["id"].as_str().expect("a task")),
                &json!({}),
            )
            .await;
        assert_eq!(status, 202);
        assert_eq!(host.ended(&task).await["state"], "cancelled");
        wait_for(&database, mark, false).await;
    }
    is_absent(&host).await;
}

/// Finds the connections that run a statement with a mark.
fn running(mark: &str) -> String {
    format!(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%{mark}' AND ID <> CONNECTION_ID()"
    )
}

/// Waits until a statement with a mark runs, or no longer does.
async fn wait_for(
    database: &db::Database<boathouse_db_server::MariaDbPrograms>,
    mark: &str,
    runs: bool,
) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while database.execute(&running(mark)).await.trim().is_empty() == runs {
        assert!(Instant::now() < deadline, "`{mark}` runs: {}", !runs);
        tokio::task::yield_now().await;
    }
}
