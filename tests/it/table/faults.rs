//! A run that is cut off, wherever: nothing of it is visible, nothing stays behind in the spool, and the same
//! request brings every row once.

use std::{path::Path, process::Command, time::Instant};

use serde_json::{Value, json};

use super::{PATIENCE, POSTGRES, System, files, ids, spec, until_count};
use crate::support::{
    Host, check_failed,
    db::{self, Database},
    s3::{self, Space},
    skip,
};

/// Rows that take their time: some are there at once, the rest never comes.
const HALF: &str = "SELECT i AS id, repeat(md5(i::text), 20) AS note,
    CASE WHEN i > 5000 THEN pg_sleep(3600)::text END AS wait FROM generate_series(1, 5001) i";

/// A table that takes a while to be stored.
const WIDE: &str = "CREATE TABLE t (id bigint PRIMARY KEY, note text NOT NULL);
    INSERT INTO t SELECT i, (SELECT string_agg(md5((i * 40 + k)::text), '') FROM generate_series(1, 20) k)
        FROM generate_series(1, 20000) i;";

/// Where a run is cut off.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Before the first row.
    Waiting,
    /// Rows are in the spool.
    Reading,
    /// Its stage in the task.
    Stage(&'static str),
}

/// Starts a run and waits until it is there; one that was faster has ended.
async fn run_until(host: &Host, dsn: &str, at: At) -> Value {
    let source = match at {
        At::Waiting => json!({"query": POSTGRES.endless}),
        At::Reading => json!({"query": HALF}),
        At::Stage(_) => json!({"table": "t", "parallel": 2}),
    };
    let task = host.start("/ingest/db", &spec(dsn, source)).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
    let is_there = |task: &Value| {
        let progress = &task["progress"];
        task["state"] != "running"
            || match at {
                At::Waiting => progress["stage"] == "reading",
                // Rows that take their time are not yet enough for a batch.
                At::Reading => progress["ingest"]["bytes"].as_u64() > Some(1 << 20),
                At::Stage(stage) => progress["stage"] == stage,
            }
    };
    host.until(&path, is_there).await
}

/// Checks that there is no version, or the one that a run made which was faster than its end.
async fn check_all_or_nothing(host: &Host, rows: i64) {
    match host.get("/datasets/d").await {
        (404, _) => {}
        (200, dataset) => {
            assert_eq!(dataset["rows"], rows, "{dataset}");
            assert!(ids(host, "d").await.into_iter().eq(1..=rows));
        }
        other => panic!("{other:?}"),
    }
    let spool = host.data.join("spool");
    assert_eq!(files(&spool), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_host_that_is_killed_at_any_point_leaves_nothing_and_the_retry_brings_all() {
    let Some(database) = db::postgres_with(WIDE).await else {
        return;
    };
    let points = [
        At::Waiting,
        At::Reading,
        At::Stage("reading"),
        At::Stage("looking for personal data"),
        At::Stage("storing"),
    ];
    for at in points {
        let host = Host::fresh();
        run_until(&host, &database.dsn(), at).await;
        let host = host.kill_and_restart();
        check_all_or_nothing(&host, 20_000).await;
        until_count(&database, POSTGRES.running, "0").await;
        let wanted = spec(&database.dsn(), json!({"table": "t"}));
        let done = host.done("/ingest/db", &wanted).await;
        assert_eq!(done["rows"], 20_000, "{at:?}");
        assert!(ids(&host, "d").await.into_iter().eq(1..=20_000), "{at:?}");
    }
}

#[tokio::test]
async fn an_append_that_is_killed_while_it_is_stored_comes_once() {
    let Some(database) = db::postgres_with(WIDE).await else {
        return;
    };
    let mut host = Host::configured("[ingest.jobs]\nlease_secs = 1\n");
    let body = json!({"table": "t", "job": {"name": "j", "column": "id"}});
    let body = spec(&database.dsn(), body);
    for stage in ["storing", "looking for personal data", "storing"] {
        let task = host.start("/ingest/db", &body).await;
        let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
        let is_there =
            |task: &Value| task["state"] != "running" || task["progress"]["stage"] == stage;
        host.until(&path, is_there).await;
        host = host.kill_and_restart();
        check_all_or_nothing(&host, 20_000).await;
        let is_free = |list: &Value| {
            let jobs = list["jobs"].as_array().expect("jobs");
            jobs.iter().all(|job| job["running_since"].is_null())
        };
        host.until("/ingest/jobs", is_free).await;
    }
    host.done("/ingest/db", &body).await;
    assert!(ids(&host, "d").await.into_iter().eq(1..=20_000));
    let again = host.done("/ingest/db", &body).await;
    assert_eq!(again["added_rows"], 0, "{again}");
}

/// Waits until a host has its buckets back.
async fn until_it_answers(host: &Host) {
    let deadline = Instant::now() + PATIENCE;
    while host.get("/datasets/d").await.0 == 503 {
        assert!(Instant::now() < deadline, "the bucket does not come back");
    }
}

/// A file system of a few hundred KiB in place of a folder, until it is dropped.
struct Tiny<'a>(&'a Path);

impl<'a> Tiny<'a> {
    fn over(folder: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(folder);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then_some(Self(folder))
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_room_is_all_that_a_retry_needs() {
    let Some(database) = db::postgres_with(WIDE).await else {
        return;
    };
    let host = Host::fresh();
    let spool = host.data.join("spool");
    let Some(tiny) = Tiny::over(&spool) else {
        return skip("a full disk", "a file system cannot be mounted here");
    };
    let wanted = spec(&database.dsn(), json!({"table": "t"}));
    let task = host.start("/ingest/db", &wanted).await;
    check_failed(&host.ended(&task).await, "spool_failed", &[]);
    check_all_or_nothing(&host, 0).await;
    drop(tiny);
    assert_eq!(host.done("/ingest/db", &wanted).await["rows"], 20_000);
}

#[tokio::test]
async fn a_bucket_that_fails_on_the_way_keeps_nothing() {
    let Some(database) = db::postgres_with(WIDE).await else {
        return;
    };
    let host = Host::fresh();
    let view = "CREATE VIEW v AS SELECT *, pg_sleep(id % 1000 / 999 * 0.1)::text AS wait FROM t;";
    database.execute(view).await;
    let wanted = spec(&database.dsn(), json!({"query": "SELECT * FROM v"}));
    let task = host.start("/ingest/db", &wanted).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
    host.until(&path, |task| {
        task["progress"]["ingest"]["rows"].as_u64() > Some(0)
    })
    .await;
    // A file where the folder of datasets has to be.
    let in_the_way = host.data.join("primary").join("datasets");
    std::fs::write(&in_the_way, "").expect("written");
    let ended = host.ended(&task).await;
    check_failed(&ended, "storage_unavailable", &[]);
    std::fs::remove_file(&in_the_way).expect("removed");
    check_all_or_nothing(&host, 0).await;
    let wanted = spec(&database.dsn(), json!({"table": "t"}));
    assert_eq!(host.done("/ingest/db", &wanted).await["rows"], 20_000);
}

#[tokio::test]
async fn an_s3_server_that_dies_on_the_way_has_all_or_nothing() {
    let Some(database) = db::postgres_with(WIDE).await else {
        return;
    };
    let Some(mut server) = s3::server().await else {
        return;
    };
    let space = Space::on(&server);
    let host = space.host();
    for stage in ["reading", "storing"] {
        let ended = {
            let wanted = spec(&database.dsn(), json!({"table": "t", "parallel": 2}));
            let task = host.start("/ingest/db", &wanted).await;
            let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
            let is_there =
                |task: &Value| task["state"] != "running" || task["progress"]["stage"] == stage;
            host.until(&path, is_there).await;
            server.kill();
            host.ended(&task).await
        };
        server.restart().await.expect("it starts again");
        until_it_answers(&host).await;
        let is_fine = ended["state"] == "succeeded";
        assert!(
            is_fine || ended["error"]["code"] == "storage_unavailable",
            "{ended}"
        );
        check_all_or_nothing(&host, 20_000).await;
    }
    let wanted = spec(&database.dsn(), json!({"table": "t"}));
    assert_eq!(host.done("/ingest/db", &wanted).await["rows"], 20_000);
    assert!(ids(&host, "d").await.into_iter().eq(1..=20_000));
}

async fn check_server_killed(
    system: System,
    database: &Database<impl boathouse_db_server::Product>,
    kill: &str,
) {
    let host = Host::fresh();
    let task = host
        .start(
            system.route,
            &spec(&database.dsn(), json!({"query": system.endless})),
        )
        .await;
    until_count(database, system.running, "1").await;
    database.execute(kill).await;
    let ended = host.ended(&task).await;
    check_failed(&ended, "source_failed", &[]);
    check_all_or_nothing(&host, 0).await;
    let wanted = spec(&database.dsn(), json!({"table": "t"}));
    assert_eq!(host.done(system.route, &wanted).await["rows"], 20_000);
}

#[tokio::test]
async fn a_connection_that_postgres_ends_fails_the_run_and_the_retry_brings_all() {
    if let Some(database) = db::postgres_with(POSTGRES.table).await {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE query LIKE '%pg_sleep(3600)%' AND pid <> pg_backend_pid()
            AND datname = current_database();";
        check_server_killed(POSTGRES, &database, kill).await;
    }
}

#[tokio::test]
async fn a_connection_that_mariadb_ends_fails_the_run_and_the_retry_brings_all() {
    if let Some(database) = db::mariadb_with(super::MYSQL.table).await {
        let kill = "SET @victim = (SELECT id FROM information_schema.processlist
            WHERE info LIKE '%sleep(3600)%' AND db = database() AND id <> connection_id() LIMIT 1);
            EXECUTE IMMEDIATE concat('KILL CONNECTION ', @victim);";
        check_server_killed(super::MYSQL, &database, kill).await;
    }
}
