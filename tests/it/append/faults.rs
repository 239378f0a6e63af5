//! Appends and kills, moves, deletions and changed models.

use std::{fs, path::Path};

use super::*;

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("kind").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

/// The host is killed after the commit of a version, before anybody was told: the next start finds out.
#[tokio::test]
async fn what_nobody_was_told_of_is_found_at_the_next_start() {
    let host = world().await;
    let saved = tempfile::tempdir().expect("folder");
    let host = host.kill_and(|data| copy(&data.join("primary/indexes"), saved.path()));
    let version = append(
        &host,
        &[("new-1", "a lighthouse in the fog"), ("s0-0", "replaced")],
    )
    .await;
    covers(&host, "notes", version).await;
    let expected = everything(&host, "notes").await;
    let host = host.kill_and(|data| {
        fs::remove_dir_all(data.join("primary/indexes")).expect("removed");
        fs::remove_dir_all(data.join("primary/agent")).expect("removed");
        copy(saved.path(), &data.join("primary/indexes"));
    });
    covers(&host, "notes", version).await;
    assert_eq!(everything(&host, "notes").await, expected);
    let reason = queued(&host, "notes").await["reasons"][0].clone();
    assert_eq!(
        (&reason["reason"], &reason["dataset_version"]),
        (&json!("appended"), &json!(version))
    );
}

/// Killed wherever it may be just then, again and again.
#[tokio::test]
async fn a_kill_at_any_moment_loses_and_doubles_no_row() {
    let mut host = world().await;
    let mut landed = 0;
    for round in 0..8 {
        let csv = format!("id,text\nk{round},a row of round {round}\n");
        let sent = host.post_raw("/ingest/file?dataset=notes&format=csv&mode=append", csv);
        let (status, task) = sent.await;
        assert_eq!(status, 202, "{task}");
        if round % 2 == 0 {
            host.ended(&task).await;
        }
        host = host.kill_and_restart();
        let dataset = host.read("/datasets/notes").await;
        covers(
            &host,
            "notes",
            dataset["version"].as_u64().expect("a version"),
        )
        .await;
        landed = dataset["rows"].as_u64().expect("rows");
        let view = host.read("/vectors/indexes/notes").await;
        assert_eq!(
            (&view["rows"], &view["vectors"]),
            (&json!(landed), &json!(landed)),
            "round {round}"
        );
    }
    assert!(landed >= 34, "{landed}");
    check_as_from_scratch(&host, "notes").await;
}

#[tokio::test]
async fn an_index_that_is_deleted_while_rows_come_is_gone() {
    let host = world().await;
    for round in 0..5 {
        let rows: Vec<String> = (0..300).map(|at| format!("r{round}-{at}")).collect();
        let rows: Vec<(&str, &str)> = rows
            .iter()
            .map(|id| (id.as_str(), "one of very many rows"))
            .collect();
        append(&host, &rows).await;
        let (status, body) = host.delete("/vectors/indexes/notes").await;
        assert_eq!(status, 204, "{body}");
        check_problem(
            host.get("/vectors/indexes/notes").await,
            404,
            "unknown_index",
            &["notes"],
        );
        let idle = |tasks: &Value| {
            let tasks = tasks["tasks"].as_array().expect("tasks");
            tasks.iter().all(|task| task["state"] != "running")
        };
        host.until("/tasks", idle).await;
        let vectors = host.data.join("primary/indexes/notes/vectors");
        let left = fs::read_dir(vectors).map_or(0, Iterator::count);
        assert_eq!(left, 0, "round {round}");
        build(&host, "notes", "auto").await;
    }
    check_as_from_scratch(&host, "notes").await;
}

/// The vectors of two models do not compare, so nothing is appended and no text is searched for; vectors are, and a
/// refresh helps.
#[tokio::test]
async fn a_model_that_changed_is_told_and_a_refresh_rebuilds() {
    let host = world().await;
    let host = host.kill_and(|data| {
        let manifest = data.join("primary/indexes/notes/manifest/00000000000000000001.json");
        let text = fs::read_to_string(&manifest).expect("read");
        let mut document: Value = serde_json::from_str(&text).expect("json");
        document["value"]["embedder_digest"] = "of another release".into();
        fs::write(&manifest, document.to_string()).expect("written");
    });
    append(&host, &[("new-1", "a comet in the sky")]).await;
    let agent = host
        .until("/vectors/agent", |agent| {
            agent["queue"][0]["appends"]["state"] == "failed"
        })
        .await;
    let detail = agent["queue"][0]["appends"]["detail"]
        .as_str()
        .expect("a text");
    assert!(
        detail.contains("another model") && detail.contains("refresh"),
        "{detail}"
    );
    let tasks = host.read("/tasks").await;
    let tasks = tasks["tasks"].as_array().expect("tasks").clone();
    let failed = tasks
        .iter()
        .find(|task| task["kind"] == "append" && task["state"] == "failed");
    check_failed(
        failed.expect("a task"),
        "embedder_changed",
        &["another model"],
    );
    let search = "/vectors/indexes/notes/search";
    let refused = host.post(search, &exact("bread", 30)).await;
    check_problem(
        refused,
        409,
        "embedder_changed",
        &["another model", "refresh", "by vector"],
    );
    let texts = json!({"index": "notes", "texts": ["bread"]});
    let refused = host.post("/vectors/evalsets", &texts).await;
    check_problem(refused, 409, "embedder_changed", &["another model"]);
    let index = host.read("/vectors/indexes/notes").await;
    assert_eq!(index["embedder_changed"], true, "{index}");
    let vector = vec![0.5; index["dimension"].as_u64().expect("a number") as usize];
    let by_vector = |vector: &[f64]| json!({"vector": vector, "k": 30, "ef_search": 100_000});
    assert_eq!(
        ids(&host.search("notes", &by_vector(&vector)).await).len(),
        30
    );
    let short = host.post(search, &by_vector(&vector[1..])).await;
    check_problem(short, 422, "wrong_dimension", &["255 components", "256"]);
    let refreshed = host
        .done("/vectors/indexes/notes/refresh", &json!({}))
        .await;
    assert_eq!(
        (&refreshed["vectors"], &refreshed["behind"]),
        (&json!(31), &Value::Null)
    );
    check_as_from_scratch(&host, "notes").await;
}

#[tokio::test]
async fn rows_that_come_while_an_index_moves_arrive_with_it() {
    let cold = tempfile::tempdir().expect("folder");
    let config = format!(
        "[[buckets]]\nname = \"cold\"\nbackend = \"local\"\nroot = {:?}\n",
        cold.path()
    );
    let host = Host::configured(&config);
    prepare(&host).await;
    let mut version = 1;
    for (round, to) in ["cold", "primary", "cold"].into_iter().enumerate() {
        let ids = ["a", "b", "c"].map(|letter| format!("{letter}{round}"));
        version = append(&host, &[(&ids[0], "before the move")]).await;
        let (status, task) = patch(&host, "notes", &json!({"bucket": to})).await;
        assert_eq!(status, 202, "{task}");
        version = version.max(append(&host, &[(&ids[1], "during the move")]).await);
        let ended = host.ended(&task).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        version = version.max(append(&host, &[(&ids[2], "after the move")]).await);
        let view = covers(&host, "notes", version).await;
        assert_eq!(view["bucket"], *to);
        check_as_from_scratch(&host, "notes").await;
    }
    let host = host.kill_and_restart();
    let view = covers(&host, "notes", version).await;
    assert_eq!(
        (&view["bucket"], &view["vectors"]),
        (&json!("cold"), &json!(39))
    );
    check_as_from_scratch(&host, "notes").await;
    let at_home = host.data.join("primary/indexes/notes/vectors");
    assert_eq!(
        fs::read_dir(at_home).map_or(0, Iterator::count),
        0,
        "nothing is left behind"
    );
}
