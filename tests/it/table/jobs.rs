//! Jobs: what is new comes once, whatever ends a run, and one run at a time.

use boathouse_db_server::Product;
use serde_json::{Value, json};

use super::{MYSQL, POSTGRES, System, ids, spec, until_count};
use crate::support::{
    Host, check_problem,
    db::{self, Database},
};

/// A host that does not wait long for one that died.
fn host() -> Host {
    Host::configured("[ingest.jobs]\nlease_secs = 2\n")
}

fn job(dsn: &str, more: Value) -> Value {
    let mut body = spec(
        dsn,
        json!({"table": "t", "job": {"name": "j", "column": "id"}}),
    );
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    body
}

async fn check_steps<P: Product + Sync>(system: System, database: &Database<P>) {
    let host = host();
    let run = async |more: Value| host.done(system.route, &job(&database.dsn(), more)).await;
    let step = |result: &Value| (result["added_rows"].as_u64(), result["version"].as_u64());
    let first = run(json!({})).await;
    assert_eq!(step(&first), (Some(20_000), Some(1)));
    let same = run(json!({})).await;
    assert_eq!(step(&same), (Some(0), Some(1)));
    assert_eq!(same["table"]["up_to_date"], true, "{same}");
    database
        .execute("INSERT INTO t VALUES (20001, 'a'), (20002, 'b');")
        .await;
    let next = run(json!({})).await;
    assert_eq!(
        (step(&next), &next["rows"]),
        ((Some(2), Some(2)), &json!(20_002))
    );
    assert!(ids(&host, "d").await.into_iter().eq(1..=20_002));
    let host = host.kill_and_restart();
    let again = host
        .done(system.route, &job(&database.dsn(), json!({})))
        .await;
    assert_eq!(
        step(&again),
        (Some(0), Some(2)),
        "where it got to is not in memory"
    );
    let replaced = json!({"mode": "replace"});
    let anew = host
        .done(system.route, &job(&database.dsn(), replaced))
        .await;
    assert_eq!(step(&anew), (Some(20_002), Some(3)));
    let list = host.read("/ingest/jobs").await;
    let listed = &list["jobs"][0];
    let shown = (&listed["job"], &listed["dataset"], &listed["column"]);
    assert_eq!(shown, (&json!("j"), &json!("d"), &json!("id")));
    assert_eq!(listed["last_version"], 3);
    assert_eq!(listed["running_since"], Value::Null);
    assert!(!list.to_string().contains("20002"), "{list}");
}

#[tokio::test]
async fn a_job_on_postgres_brings_what_is_new() {
    if let Some(database) = db::postgres_with(POSTGRES.table).await {
        check_steps(POSTGRES, &database).await;
    }
}

#[tokio::test]
async fn a_job_on_mariadb_brings_what_is_new() {
    if let Some(database) = db::mariadb_with(MYSQL.table).await {
        check_steps(MYSQL, &database).await;
    }
}

#[tokio::test]
async fn a_job_keeps_to_its_column() {
    let Some(database) = db::postgres_with(POSTGRES.table).await else {
        return;
    };
    let host = host();
    host.done("/ingest/db", &job(&database.dsn(), json!({})))
        .await;
    let other = json!({"job": {"name": "j", "column": "note"}});
    let task = host.start("/ingest/db", &job(&database.dsn(), other)).await;
    crate::support::check_failed(&host.ended(&task).await, "bad_job", &["`id`", "replace"]);
    let unknown = json!({"job": {"name": "k", "column": "nowhere"}});
    let task = host
        .start("/ingest/db", &job(&database.dsn(), unknown))
        .await;
    crate::support::check_failed(&host.ended(&task).await, "no_such_column", &["nowhere"]);
    let (status, _) = host
        .post(
            "/ingest/db",
            &job(
                &database.dsn(),
                json!({"job": {"name": "../j", "column": "id"}}),
            ),
        )
        .await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn a_second_run_is_refused_until_the_first_ends() {
    let Some(database) = db::postgres_with(POSTGRES.table).await else {
        return;
    };
    let host = host();
    let slow = json!({"table": null, "query": POSTGRES.endless});
    let slow = job(&database.dsn(), slow);
    let task = host.start("/ingest/db", &slow).await;
    let other = job(&database.dsn(), json!({}));
    let refused = host.post("/ingest/db", &other).await;
    check_problem(refused, 409, "job_running", &["`j`", "since 20"]);
    let list = host.read("/ingest/jobs").await;
    assert!(list["jobs"][0]["running_since"].is_string(), "{list}");
    // Another job may run, also into the same dataset.
    let aside = json!({"dataset": "e", "job": {"name": "k", "column": "id"}});
    host.done("/ingest/db", &job(&database.dsn(), aside)).await;
    until_count(&database, POSTGRES.running, "1").await;
    let path = format!("/tasks/{}/cancel", task["id"].as_str().expect("an id"));
    host.post(&path, &json!({})).await;
    assert_eq!(host.ended(&task).await["state"], "cancelled");
    let done = host.done("/ingest/db", &other).await;
    assert_eq!(done["added_rows"], 20_000);
}

#[tokio::test]
async fn a_killed_run_is_made_again_once_its_lease_is_over() {
    let Some(database) = db::postgres_with(POSTGRES.table).await else {
        return;
    };
    let host = host();
    let slow = json!({"table": null, "query": POSTGRES.endless});
    host.start("/ingest/db", &job(&database.dsn(), slow)).await;
    until_count(&database, POSTGRES.running, "1").await;
    let host = host.kill_and_restart();
    let wanted = job(&database.dsn(), json!({}));
    let (status, first) = host.post("/ingest/db", &wanted).await;
    let task = match status {
        202 => first,
        _ => {
            assert_eq!((status, &first["code"]), (409, &json!("job_running")));
            host.until("/ingest/jobs", |list| {
                let jobs = list["jobs"].as_array().expect("jobs");
                jobs.iter().all(|job| job["running_since"].is_null())
            })
            .await;
            host.start("/ingest/db", &wanted).await
        }
    };
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert!(ids(&host, "d").await.into_iter().eq(1..=20_000));
    until_count(&database, POSTGRES.running, "0").await;
}
