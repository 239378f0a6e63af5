//! What a host that was killed finds again: everything acknowledged, nothing half done.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Host, check_problem, ids, passages, sentences};

#[tokio::test]
async fn everything_is_there_after_a_kill_and_serves_without_building() {
    check_restart(Host::fresh()).await;
}

/// A host as it was before it was killed; wherever its buckets are.
pub(crate) async fn check_restart(host: Host) {
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let (_, report) = host
        .post("/vectors/autotune/notes", &json!({"max_trials": 3}))
        .await;
    let trial = report["trials"][1].clone();
    let (status, body) = host
        .post(
            "/vectors/promote/notes",
            &json!({"trial": trial["id"], "force": true}),
        )
        .await;
    assert_eq!(status, 200, "{body}");
    let paths = [
        "/datasets",
        "/vectors/trials/notes",
        "/vectors/promotions/notes",
        "/vectors/evalsets?index=notes",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(host.read(path).await);
    }
    let plugins = names(&host.read("/plugins").await);
    let query = json!({"text": "ships in the harbour", "k": 5});
    let answer = host.search("notes", &query).await;

    let host = host.kill_and_restart();
    for (path, before) in paths.into_iter().zip(before) {
        assert_eq!(host.read(path).await, before, "{path}");
    }
    assert_eq!(names(&host.read("/plugins").await), plugins);
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(index["serving"]["graph_origin"], "mapped", "{index}");
    assert_eq!(index["serving"]["config"], trial["config"]);
    let again = host.search("notes", &query).await;
    assert_eq!(
        (ids(&again), &again["config"]),
        (ids(&answer), &answer["config"])
    );
    let (status, back) = host.post("/vectors/rollback/notes", &json!({})).await;
    assert_eq!(
        (status, &back["serving"]["trial"]),
        (200, &Value::Null),
        "{back}"
    );
}

fn names(plugins: &Value) -> Vec<String> {
    let plugins = plugins["plugins"].as_array().expect("plugins");
    plugins
        .iter()
        .map(|plugin| format!("{} {}", plugin["name"], plugin["digest"]))
        .collect()
}

#[tokio::test]
async fn a_kill_during_ingest_leaves_nothing_visible() {
    let host = Host::fresh();
    let mut csv = "id,text\n".to_owned();
    for row in 0..400_000 {
        csv += &format!("{row},row number {row} of a long table\n");
    }
    let (status, task) = host
        .post_raw("/ingest/file?dataset=long&format=csv", csv.clone())
        .await;
    assert_eq!(status, 202, "{task}");
    let path = format!("/tasks/{}", task["id"].as_str().expect("id"));
    host.until(&path, |task| {
        task["progress"]["done"].as_u64() > Some(0) || task["state"] != "running"
    })
    .await;
    let host = host.kill_and_restart();
    let (status, found) = host.get("/datasets/long").await;
    assert!(
        status == 404 || found["rows"] == 400_000,
        "half a dataset: {found}"
    );
    let left: Vec<_> = std::fs::read_dir(host.data.join("spool"))
        .expect("spool")
        .collect();
    assert!(left.is_empty(), "uploads left over: {left:?}");
    let report = host.ingest("long", csv).await;
    assert_eq!(report["rows"], 400_000);
}

/// Starts a build, waits until it is in a stage, and kills the host there.
async fn killed_while(stage: &str) -> Host {
    let host = Host::fresh();
    host.ingest("requests", passages()).await;
    let body = json!({"name": "passages", "dataset": "requests", "text_column": "passage"});
    let task = host.start("/vectors/indexes", &body).await;
    let path = format!("/tasks/{}", task["id"].as_str().expect("id"));
    host.until(&path, |task| {
        task["progress"]["stage"] == stage || task["state"] != "running"
    })
    .await;
    host.kill_and_restart()
}

#[tokio::test]
async fn a_kill_during_a_build_leaves_a_whole_index_or_none() {
    for stage in ["embedding", "building the graph"] {
        let host = killed_while(stage).await;
        assert_eq!(host.read("/readyz").await["ready"], true);
        let (status, body) = host.get("/vectors/indexes/passages").await;
        if status == 404 {
            let index = host.index("passages", "requests", "passage").await;
            assert_eq!(index["vectors"], 3028);
        } else {
            assert_eq!(body["vectors"], 3028, "{body}");
        }
        host.search("passages", &json!({"text": "gold"})).await;
    }
}

/// Names of the files below a folder that are not finished.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.path());
    names
        .filter(|path| path.to_string_lossy().contains('#'))
        .collect()
}

#[tokio::test]
async fn a_kill_while_a_local_file_is_written_leaves_none_of_it() {
    let mut host = Host::fresh();
    let mut csv = "id,text\n".to_owned();
    for row in 0..20_000 {
        csv += &format!("{row},row {row} of a table about harbours and bread\n");
    }
    host.ingest("rows", csv).await;
    let before = host.index("first", "rows", "text").await;
    let mut met = 0;
    for attempt in 0..10 {
        let name = format!("next-{attempt}");
        let body = json!({"name": name, "dataset": "rows", "text_column": "text"});
        let task = host.start("/vectors/indexes", &body).await;
        let path = format!("/tasks/{}", task["id"].as_str().expect("id"));
        let folder = host.data.join("cache/indexes").join(&name);
        let is_over = async |host: &Host| host.read(&path).await["state"] != "running";
        while unfinished(&folder).is_empty() && !folder.exists() && !is_over(&host).await {}
        host = host.kill_and(|_| met += usize::from(!unfinished(&folder).is_empty()));
        assert!(unfinished(&folder).is_empty(), "left over");
        assert_eq!(host.read("/readyz").await["ready"], true);
        let first = host.read("/vectors/indexes/first").await;
        assert_eq!(first["vectors"], before["vectors"], "{first}");
        if met == 2 {
            break;
        }
    }
    assert!(met > 0, "no kill met a file that was being written");
    let last = host.index("last", "rows", "text").await;
    assert_eq!(last["vectors"], 20_000, "{last}");
}

#[tokio::test]
async fn a_cancelled_build_leaves_no_index_and_the_name_free() {
    let host = Host::fresh();
    host.ingest("requests", passages()).await;
    let body = json!({"name": "passages", "dataset": "requests", "text_column": "passage"});
    let task = host.start("/vectors/indexes", &body).await;
    let id = task["id"].as_str().expect("id");
    let (status, _) = host.post(&format!("/tasks/{id}/cancel"), &json!({})).await;
    assert_eq!(status, 202);
    let ended = host.ended(&task).await;
    assert_eq!(ended["state"], "cancelled", "{ended}");
    assert_eq!(host.get("/vectors/indexes/passages").await.0, 404);
    host.index("passages", "requests", "passage").await;
}

#[tokio::test]
async fn a_kill_during_trials_keeps_those_that_ended() {
    let host = Host::fresh();
    host.ingest("requests", passages()).await;
    host.index("passages", "requests", "passage").await;
    host.done(
        "/vectors/evalsets",
        &json!({"index": "passages", "queries": 100}),
    )
    .await;
    let client = reqwest::Client::new();
    let request = client
        .post(format!("{}/vectors/autotune/passages", host.url))
        .header("prefer", "respond-async");
    let started = request
        .json(&json!({"max_trials": 50}))
        .send()
        .await
        .expect("answer");
    assert_eq!(started.status().as_u16(), 202);
    let journal = host
        .until("/vectors/trials/passages", |journal| {
            journal["total"].as_u64() > Some(1)
        })
        .await;

    let host = host.kill_and_restart();
    let after = host.read("/vectors/trials/passages").await;
    let (known, found) = (
        journal["trials"].as_array().expect("trials"),
        after["trials"].as_array().expect("trials"),
    );
    assert_eq!(
        &found[..known.len()],
        &known[..],
        "acknowledged trials are gone"
    );
    assert_eq!(after["malformed"], 0);
    let report = host
        .done("/vectors/trials/passages", &json!({"ef_search": 77}))
        .await;
    assert_eq!(report["trial"]["config"]["ef_search"], 77);
    assert_eq!(
        host.read("/vectors/trials/passages").await["total"].as_u64(),
        Some(found.len() as u64 + 1)
    );
}

#[tokio::test]
async fn deleting_an_index_that_is_not_there_is_told_and_the_host_answers_on() {
    let host = Host::fresh();
    let asked = async {
        for _ in 0..3 {
            let answer = host.delete("/vectors/indexes/nobody").await;
            check_problem(answer, 404, "unknown_index", &["`nobody`"]);
        }
        assert_eq!(host.get("/vectors/indexes/nobody").await.0, 404);
        assert_eq!(host.read("/readyz").await["ready"], true);
        assert_eq!(host.read("/vectors/indexes").await["indexes"], json!([]));
    };
    let asked = tokio::time::timeout(Duration::from_secs(60), asked).await;
    asked.expect("the host answers");
}
