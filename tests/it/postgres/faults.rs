//! Servers that die, connections that break, runs that nobody wants any more.

use std::time::{Duration, Instant};

use boathouse_db_server::{PASSWORD, Postgres, USER};
use serde_json::json;

use super::{
    ROUTE, check_refused, ingest,
    proxy::{After, Proxy},
    wish,
};
use crate::support::{
    Host, check_failed,
    db::{self, own_postgres},
};

const NUMBERS: &str = "CREATE TABLE numbers AS SELECT g AS id, repeat('x', 150) AS pad FROM generate_series(1, 300000) g;";

/// Sessions of the host that do something.
const ACTIVE: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'boathouse' AND state <> 'idle' AND datname = ";

/// Starts an ingest that is held in the middle, and waits until it is.
async fn held(host: &Host, proxy: &Proxy, database: &str) -> serde_json::Value {
    let task = host
        .start(ROUTE, &wish(&proxy.dsn(database), "table", "numbers"))
        .await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("a task"));
    host.until(&path, |task| proxy.held() > 0 || task["state"] != "running")
        .await;
    assert!(proxy.held() > 0, "nothing was held");
    task
}

async fn check_nothing(host: &Host) {
    let (status, dataset) = host.get("/datasets/d").await;
    assert_eq!(status, 404, "{dataset}");
}

/// Waits until the server does nothing for the host any more.
async fn until_quiet(server: &Postgres, database: &str, patience: Duration) {
    let deadline = Instant::now() + patience;
    let sql = format!("{ACTIVE}'{database}'");
    loop {
        let active = server.execute(&sql).expect("a count");
        if active.trim() == "0" {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{active} sessions are still at work"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_nothing_and_a_retry_is_clean() {
    let Some(mut server) = own_postgres(&[]).await else {
        return;
    };
    server.execute(NUMBERS).expect("a table");
    let host = Host::fresh();
    let proxy = Proxy::start(server.port(), After::Hold, 1 << 20).await;
    let task = held(&host, &proxy, "postgres").await;
    server.kill();
    proxy.release();
    let ended = host.ended(&task).await;
    check_failed(
        &ended,
        "source_failed",
        &["nothing of the ingest is visible"],
    );
    check_nothing(&host).await;
    server.restart().expect("a server");
    let result = ingest(&host, &wish(&server.dsn("postgres"), "table", "numbers")).await;
    assert_eq!(result["added_rows"], 300_000, "{result}");
}

#[tokio::test]
async fn a_session_that_is_ended_by_the_server_is_told() {
    let (Some(server), Some(database)) = (db::postgres().await, db::postgres_with(NUMBERS).await)
    else {
        return;
    };
    let host = Host::fresh();
    let proxy = Proxy::start(server.port(), After::Hold, 1 << 20).await;
    let task = held(&host, &proxy, database.name()).await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'boathouse' AND datname = current_database()";
    database.execute(end).await;
    proxy.release();
    check_failed(
        &host.ended(&task).await,
        "source_failed",
        &["the database failed"],
    );
    check_nothing(&host).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_anywhere_is_told() {
    let (Some(server), Some(database)) = (db::postgres().await, db::postgres_with(NUMBERS).await)
    else {
        return;
    };
    let host = Host::fresh();
    for (bytes, code) in [
        (0, "source_unreachable"),
        (20, "source_unreachable"),
        (1_000, "source_failed"),
        (100_000, "source_failed"),
        (5_000_000, "source_failed"),
    ] {
        let proxy = Proxy::start(server.port(), After::Cut, bytes).await;
        let (status, task) = host
            .post(
                ROUTE,
                &wish(&proxy.dsn(database.name()), "table", "numbers"),
            )
            .await;
        assert_eq!(status, 202, "{task}");
        let ended = host.ended(&task).await;
        let told = ended["error"]["code"].as_str();
        // A cut in the first kilobytes may come before or after the login is through.
        let expected = [Some(code), (bytes == 1_000).then_some("source_unreachable")];
        assert!(
            told.is_some() && expected.contains(&told),
            "{bytes}: {ended}"
        );
        check_nothing(&host).await;
    }
}

#[tokio::test]
async fn a_run_that_is_cancelled_stops_the_server_too() {
    let (Some(server), Some(database)) = (db::postgres().await, db::postgres_with("").await) else {
        return;
    };
    let host = Host::fresh();
    let slow = wish(&database.dsn(), "query", "SELECT pg_sleep(600)::text AS x");
    let task = host.start(ROUTE, &slow).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'boathouse' AND query LIKE 'COPY%pg_sleep(600)%' AND state = 'active'";
    while database.execute(sleeping).await.trim() == "0" {
        assert!(Instant::now() < deadline, "it never began to read");
    }
    let path = format!("/tasks/{}/cancel", task["id"].as_str().expect("a task"));
    host.start(&path, &json!({})).await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    until_quiet(server, database.name(), Duration::from_secs(20)).await;
    check_nothing(&host).await;
}

#[tokio::test]
async fn a_host_that_is_killed_leaves_no_work_at_the_server() {
    let (Some(server), Some(database)) = (db::postgres().await, db::postgres_with("").await) else {
        return;
    };
    let host = Host::fresh();
    let slow = wish(&database.dsn(), "query", "SELECT pg_sleep(600)::text AS x");
    host.start(ROUTE, &slow).await;
    let active = format!("{ACTIVE}'{}'", database.name());
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.execute(&active).expect("a count").trim() == "0" {
        assert!(Instant::now() < deadline, "it never began");
    }
    let host = host.kill_and_restart();
    until_quiet(server, database.name(), Duration::from_secs(20)).await;
    check_nothing(&host).await;
}

#[tokio::test]
async fn fewer_connections_do_where_the_server_has_no_room() {
    let Some(server) =
        own_postgres(&["max_connections=6", "superuser_reserved_connections=0"]).await
    else {
        return;
    };
    server.execute(NUMBERS).expect("a table");
    let host = Host::fresh();
    let mut wish = wish(&server.dsn("postgres"), "table", "numbers");
    wish["parallel"] = json!(16);
    let table = "INSERT INTO numbers SELECT id, pad FROM numbers, generate_series(1, 5);";
    server.execute(table).expect("rows");
    let result = ingest(&host, &wish).await;
    assert_eq!(result["added_rows"], 1_800_000, "{result}");
    let notes = super::report(&result)["notes"].to_string();
    assert!(notes.contains("fewer connections"), "{notes}");
}

#[tokio::test]
async fn one_connection_reads_where_the_snapshot_is_not_shared() {
    let role = format!("alone_{}", std::process::id());
    let Some(database) = db::postgres_with(&format!(
        "{NUMBERS} CREATE ROLE {role} LOGIN PASSWORD 'sailor-alone'; GRANT SELECT ON numbers TO {role};
         REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC;"
    ))
    .await
    else {
        return;
    };
    let host = Host::fresh();
    let own = format!("{USER}:{PASSWORD}");
    let dsn = database
        .dsn()
        .replace(&own, &format!("{role}:sailor-alone"));
    let result = ingest(&host, &wish(&dsn, "table", "numbers")).await;
    let report = super::report(&result);
    assert_eq!(
        (&result["added_rows"], &report["connections"]),
        (&json!(300_000), &json!(1))
    );
    assert!(
        report["notes"].to_string().contains("fewer connections"),
        "{result}"
    );
}

#[tokio::test]
async fn a_table_that_somebody_rewrites_is_told() {
    let Some(server) = own_postgres(&[]).await else {
        return;
    };
    server
        .execute("CREATE TABLE numbers (id int);")
        .expect("a table");
    let host = Host::fresh();
    let dsn = server.dsn("postgres");
    let lock = std::thread::spawn(move || {
        server
            .execute("BEGIN; LOCK TABLE numbers; SELECT pg_sleep(13);")
            .map(|_| server)
    });
    let deadline = Instant::now() + Duration::from_secs(10);
    let look = wish(
        &dsn,
        "query",
        "SELECT 1 AS x FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'numbers'::regclass",
    );
    loop {
        let mut look = look.clone();
        look["dataset"] = json!("locks");
        if host.done(ROUTE, &look).await["added_rows"] == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "it was never locked");
    }
    check_refused(
        &host,
        &wish(&dsn, "table", "numbers"),
        "source_failed",
        &["locked"],
    )
    .await;
    drop(lock.join().expect("no panic").expect("a lock"));
}
