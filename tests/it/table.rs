//! Tables of databases over HTTP and the command line: what PostgreSQL and MariaDB have in common.
//!
//! Here: requests, secrets, progress and cancellation. `table/jobs.rs` is about runs that bring what is new,
//! `table/faults.rs` about hosts that are killed, disks that are full and buckets that fail on the way. What
//! single types and servers do is in `postgres` and `mysql`.

mod faults;
mod jobs;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use boathouse_db_server::{PASSWORD, Product};
use serde_json::{Value, json};

use crate::support::{
    Host, check_failed, check_problem,
    db::{self, Database},
    program,
};

/// Longest wait for a condition at a database.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the two systems, as a test needs it.
#[derive(Debug, Clone, Copy)]
struct System {
    route: &'static str,
    command: &'static str,
    /// In the lineage.
    name: &'static str,
    /// Makes the table `t` of 20,000 rows.
    table: &'static str,
    /// A query that never ends.
    endless: &'static str,
    /// Counts connections that run that query.
    running: &'static str,
}

const POSTGRES: System = System {
    route: "/ingest/db",
    command: "db",
    name: "postgres",
    table: "CREATE TABLE t (id bigint PRIMARY KEY, note varchar(40) NOT NULL);
        INSERT INTO t SELECT i, 'note ' || i FROM generate_series(1, 20000) i; ANALYZE t;",
    endless: "SELECT 1 AS id, pg_sleep(3600)::text AS note",
    running: "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%'
        AND datname = current_database() AND pid <> pg_backend_pid();",
};

const MYSQL: System = System {
    route: "/ingest/mysql",
    command: "mysql",
    name: "mysql",
    table: "CREATE TABLE t (id bigint PRIMARY KEY, note varchar(40) NOT NULL);
        INSERT INTO t SELECT seq, concat('note ', seq) FROM seq_1_to_20000;",
    endless: "SELECT 1 AS id, sleep(3600) AS note",
    running: "SELECT count(*) FROM information_schema.processlist
        WHERE info LIKE '%sleep(3600)%' AND db = database() AND id <> connection_id();",
};

/// The body of a request.
fn spec(dsn: &str, more: Value) -> Value {
    let mut spec = json!({"dsn": dsn, "dataset": "d"});
    let more = more.as_object().expect("an object").clone();
    spec.as_object_mut().expect("an object").extend(more);
    spec
}

/// All values of a column of integers, in order.
async fn ids(host: &Host, dataset: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    loop {
        let path = format!("/datasets/{dataset}/rows?limit=1000&offset={}", ids.len());
        let page = host.read(&path).await;
        let rows = page["rows"].as_array().expect("rows");
        if rows.is_empty() {
            break;
        }
        ids.extend(rows.iter().map(|row| row["id"].as_i64().expect("an id")));
    }
    ids.sort_unstable();
    ids
}

/// Waits until a statement that counts gives a number.
async fn until_count<P: Product>(database: &Database<P>, sql: &str, number: &str) {
    let deadline = Instant::now() + PATIENCE;
    while database.execute(sql).await.trim() != number {
        assert!(Instant::now() < deadline, "`{sql}` is never {number}");
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    };
    paths.flat_map(below).collect()
}

/// Checks that no file of a host holds a text.
fn check_nowhere(host: &Host, text: &str) {
    for path in files(&host.data) {
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let found = bytes.windows(text.len()).any(|at| at == text.as_bytes());
        assert!(!found, "`{text}` stands in {}", path.display());
    }
}

async fn check_whole<P: Product>(system: System, database: &Database<P>) {
    let host = Host::fresh();
    let more = json!({"table": "t", "parallel": 3});
    let task = host.start(system.route, &spec(&database.dsn(), more)).await;
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let result = &ended["result"];
    assert_eq!(
        (&result["rows"], &result["version"]),
        (&json!(20_000), &json!(1))
    );
    assert_eq!(result["file"], Value::Null, "{result}");
    let pace = &ended["progress"]["ingest"];
    assert_eq!(
        (&pace["rows"], &pace["parts_done"]),
        (&json!(20_000), &pace["parts"])
    );
    assert!(pace["bytes"].as_u64() > Some(100_000), "{pace}");
    assert!(ids(&host, "d").await.into_iter().eq(1..=20_000));
    let shown = host.read("/datasets/d").await;
    let columns = shown["columns"].as_array().expect("columns");
    assert!(
        columns.iter().all(|column| column["nullable"] == false),
        "{shown}"
    );
    assert!(
        columns[1]["source_type"]
            .as_str()
            .is_some_and(|of| of.ends_with("(40)"))
    );
    let source = &shown["versions"][0]["source"];
    assert_eq!(source["system"], system.name);
    let label = source["label"].as_str().expect("a label");
    assert!(
        label.contains("127.0.0.1") && label.contains(database.name()),
        "{label}"
    );
    let lineage = host.read("/lineage/d").await.to_string();
    assert!(
        lineage.contains(system.name) && !lineage.contains(PASSWORD),
        "{lineage}"
    );
    check_nowhere(&host, PASSWORD);
}

#[tokio::test]
async fn a_table_of_postgres_comes_in_whole_and_its_secret_stays_out() {
    if let Some(database) = db::postgres_with(POSTGRES.table).await {
        check_whole(POSTGRES, &database).await;
    }
}

#[tokio::test]
async fn a_table_of_mariadb_comes_in_whole_and_its_secret_stays_out() {
    if let Some(database) = db::mariadb_with(MYSQL.table).await {
        check_whole(MYSQL, &database).await;
    }
}

async fn check_cancel<P: Product>(system: System, database: &Database<P>) {
    let host = Host::fresh();
    let more = json!({"query": system.endless});
    let task = host.start(system.route, &spec(&database.dsn(), more)).await;
    until_count(database, system.running, "1").await;
    let path = format!("/tasks/{}/cancel", task["id"].as_str().expect("an id"));
    let (status, _) = host.post(&path, &json!({})).await;
    assert_eq!(status, 202);
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    assert_eq!(host.get("/datasets/d").await.0, 404);
    until_count(database, system.running, "0").await;
    let lineage = host.read("/lineage/d").await.to_string();
    assert!(lineage.contains("ABORT"), "{lineage}");
    assert!(files(&host.data.join("spool")).is_empty());
}

#[tokio::test]
async fn a_cancelled_query_ends_at_postgres_too() {
    if let Some(database) = db::postgres_with("").await {
        check_cancel(POSTGRES, &database).await;
    }
}

#[tokio::test]
async fn a_cancelled_query_ends_at_mariadb_too() {
    if let Some(database) = db::mariadb_with("").await {
        check_cancel(MYSQL, &database).await;
    }
}

#[tokio::test]
async fn a_task_tells_how_fast_it_is() {
    let Some(database) = db::postgres_with("").await else {
        return;
    };
    let host = Host::fresh();
    let query = "SELECT i AS id, pg_sleep(0.001)::text AS note FROM generate_series(1, 100000) i";
    let more = json!({"query": query});
    let task = host.start("/ingest/db", &spec(&database.dsn(), more)).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("an id"));
    let rate = |task: &Value| task["progress"]["ingest"]["rows_per_second"].as_f64();
    let view = host.until(&path, |task| rate(task) > Some(0.0)).await;
    assert_eq!(view["progress"]["stage"], "reading", "{view}");
    assert!(
        rate(&view) < Some(1_100.0),
        "a row takes a millisecond: {view}"
    );
    host.post(&format!("{path}/cancel"), &json!({})).await;
}

#[tokio::test]
async fn what_a_request_gets_wrong_is_told_at_once() {
    let host = Host::fresh();
    let check = async |more: Value, status: u16, code: &str, word: &str| {
        let answer = host.post("/ingest/db", &spec("postgres://h/d", more)).await;
        check_problem(answer, status, code, &[word]);
    };
    check(json!({}), 422, "bad_source", "table").await;
    check(
        json!({"table": "t", "query": "q"}),
        422,
        "bad_source",
        "one of the two",
    )
    .await;
    check(
        json!({"table": "t", "parallel": 17}),
        422,
        "out_of_bounds",
        "parallel",
    )
    .await;
    check(
        json!({"table": "t", "bucket": "nowhere"}),
        404,
        "unknown_bucket",
        "nowhere",
    )
    .await;
    check(
        json!({"table": "t", "dataset": "../x"}),
        422,
        "bad_body",
        "dataset",
    )
    .await;
    let misplaced = "postgres://me:hunter2@h/d";
    for field in ["mode", "types", "tls", "dns"] {
        let (status, body) = host
            .post(
                "/ingest/db",
                &spec("postgres://h/d", json!({"table": "t", field: misplaced})),
            )
            .await;
        assert_eq!(status, 422, "{body}");
        assert!(!body.to_string().contains("hunter2"), "{body}");
    }
    check(json!({"table": "t", "dsn": " "}), 422, "bad_dsn", "empty").await;
    check(
        json!({"table": "t", "dsn": "env:"}),
        422,
        "bad_dsn",
        "env:NAME",
    )
    .await;
    check(
        json!({"table": "t", "dsn": "file:/no/such/file"}),
        422,
        "bad_dsn",
        "readable",
    )
    .await;
    assert_eq!(
        host.read("/tasks").await["tasks"],
        json!([]),
        "nothing was started"
    );
}

#[tokio::test]
async fn what_the_database_refuses_is_told_by_the_task() {
    let Some(database) = db::postgres_with(POSTGRES.table).await else {
        return;
    };
    let host = Host::fresh();
    let fail = async |dsn: &str, more: Value, code: &str| {
        let task = host.start("/ingest/db", &spec(dsn, more)).await;
        let ended = host.ended(&task).await;
        check_failed(&ended, code, &[]);
        let shown = ended.to_string();
        assert!(
            !shown.contains(PASSWORD) && !shown.contains("hunter2"),
            "{shown}"
        );
    };
    let dsn = database.dsn();
    let wrong = dsn.replace(PASSWORD, "hunter2");
    fail(&wrong, json!({"table": "t"}), "source_denied").await;
    fail(&dsn, json!({"table": "nowhere"}), "no_such_table").await;
    fail(&dsn, json!({"query": "SELEKT 1"}), "bad_query").await;
    fail(
        "postgres://u:hunter2@127.0.0.1:1/d",
        json!({"table": "t"}),
        "source_unreachable",
    )
    .await;
    fail(
        "postgres://u:hunter2@no-such-host.invalid/d",
        json!({"table": "t"}),
        "source_unreachable",
    )
    .await;
    assert_eq!(host.get("/datasets/d").await.0, 404);
    check_nowhere(&host, PASSWORD);
    check_nowhere(&host, "hunter2");
}

#[tokio::test]
async fn references_are_for_admins_and_for_what_the_configuration_lists() {
    let Some(database) = db::postgres_with(POSTGRES.table).await else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, database.dsn() + "\n").expect("written");
        format!("file:{}", path.display())
    };
    let (listed, other) = (write("listed"), write("other"));
    let host = Host::configured(&format!("[ingest]\ndsn_references = [\"{listed}\"]\n"));
    // While the host asks for no keys, everybody may do everything.
    host.done("/ingest/db", &spec(&other, json!({"table": "t"})))
        .await;
    let owner = host.owner_token();
    let host = host.with_key(&owner);
    let body = json!({"name": "feeder", "scopes": ["ingest"]});
    let (status, made) = host.post("/auth/keys", &body).await;
    assert_eq!(status, 201, "{made}");
    let host = host.with_key(made["key"].as_str().expect("a key"));
    let start = async |dsn: &str| {
        host.post("/ingest/db", &spec(dsn, json!({"table": "t"})))
            .await
    };
    check_problem(
        start(&other).await,
        403,
        "dsn_reference_forbidden",
        &["dsn_references"],
    );
    check_problem(
        start("file:/no/such/file").await,
        403,
        "dsn_reference_forbidden",
        &[],
    );
    check_problem(start("env:PATH").await, 403, "dsn_reference_forbidden", &[]);
    for this_machine in [
        "host=/var/run/postgresql user=me",
        "postgres://me@db/shop?sslrootcert=/etc/hosts",
    ] {
        let refused = start(this_machine).await;
        check_problem(refused, 403, "dsn_reference_forbidden", &["Unix socket"]);
    }
    let (status, task) = start(&listed).await;
    assert_eq!(status, 202, "{task}");
    assert!(
        task["by"].as_str().is_some_and(|by| by.contains("feeder")),
        "{task}"
    );
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    check_nowhere(&host, PASSWORD);
}

/// Runs `boathouse ingest` against a host, with a text on its standard input and a variable.
fn command(host: &Host, arguments: &[&str], dsn: &str) -> (bool, String, String) {
    let mut child = Command::new(program())
        .args(["--url", &host.url, "ingest"])
        .args(arguments)
        .env("SHOP_DSN", dsn)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("standard input");
    // A command that does not read may have ended.
    let _ = std::io::Write::write_all(&mut stdin, dsn.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

async fn check_command<P: Product>(system: System, database: &Database<P>) {
    let host = Host::fresh();
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), database.dsn()).expect("written");
    let file = file.path().display().to_string();
    let ways: [&[&str]; 3] = [
        &["--dsn-env", "SHOP_DSN"],
        &["--dsn-file", &file],
        &["--dsn-stdin"],
    ];
    for way in ways {
        let arguments = [&[system.command, "--table", "t", "--dataset", "d"], way].concat();
        let (is_fine, out, err) = command(&host, &arguments, &database.dsn());
        assert!(is_fine, "{way:?}: {err}");
        assert!(
            out.contains("20000 rows") && !(out + &err).contains(PASSWORD),
            "{way:?}"
        );
    }
    assert_eq!(host.read("/datasets/d").await["version"], 3);
    let more = ["--job", "j", "--cursor", "id", "--json"];
    let job = [
        &[
            system.command,
            "--table",
            "t",
            "--dataset",
            "j",
            "--dsn-stdin",
        ],
        &more[..],
    ]
    .concat();
    for (rows, up_to_date) in [(20_000, json!(null)), (0, json!(true))] {
        let (is_fine, out, err) = command(&host, &job, &database.dsn());
        assert!(is_fine, "{err}");
        let result: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(
            (&result["added_rows"], &result["table"]["up_to_date"]),
            (&json!(rows), &up_to_date)
        );
    }
    let query = [
        system.command,
        "--query",
        "SELECT nothing",
        "--dataset",
        "x",
        "--dsn-stdin",
    ];
    let (is_fine, _, err) = command(&host, &query, &database.dsn());
    assert!(
        !is_fine && err.contains("error: ") && !err.contains(PASSWORD),
        "{err}"
    );
    check_wrong_commands(&host, system);
}

/// Commands without a connection text, a table or what a cursor belongs to.
fn check_wrong_commands(host: &Host, system: System) {
    for wrong in [
        &[system.command, "--table", "t", "--dataset", "d"][..],
        &[system.command, "--dsn-stdin", "--dataset", "d"],
        &[
            system.command,
            "--table",
            "t",
            "--dataset",
            "d",
            "--dsn-stdin",
            "--cursor",
            "id",
        ],
        &[],
    ] {
        assert!(!command(host, wrong, "").0, "{wrong:?}");
    }
}

#[tokio::test]
async fn the_command_reads_postgres_with_a_text_from_anywhere_but_its_arguments() {
    if let Some(database) = db::postgres_with(POSTGRES.table).await {
        check_command(POSTGRES, &database).await;
    }
}

#[tokio::test]
async fn the_command_reads_mariadb_with_a_text_from_anywhere_but_its_arguments() {
    if let Some(database) = db::mariadb_with(MYSQL.table).await {
        check_command(MYSQL, &database).await;
    }
}
